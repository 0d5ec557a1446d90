//===- DeltaAttrs.cpp - Bindings of chunk operands ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/IR/Delta.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

/// What there is n of in `time * n`, `chunk * n` and `head * n`; empty for the
/// kinds that have no multiple.
static StringRef describeMultiple(DimKind kind) {
  switch (kind) {
  case DimKind::time:
    return "row a token";
  case DimKind::chunk:
    return "chunk a slot";
  case DimKind::head:
    return "head of the tensor a head";
  case DimKind::whole:
    return "element that a tile has a multiple of";
  case DimKind::seq:
  case DimKind::slot:
    return "";
  }
  llvm_unreachable("unknown kind of dimension");
}

/// Parses `from a to b` if it is there.
static ParseResult parsePart(AsmParser &parser, BoundDim &dim) {
  if (failed(parser.parseOptionalKeyword("from")))
    return success();
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseInteger(dim.offset) || parser.parseKeyword("to") ||
      parser.parseInteger(dim.end))
    return failure();
  if (dim.offset < 0 || dim.end <= dim.offset)
    return parser.emitError(loc) << "expected a part of some elements, found "
                                 << dim.offset << " to " << dim.end;
  return success();
}

/// Parses `split n` if it is there.
static ParseResult parseSplit(AsmParser &parser, BoundDim &dim) {
  if (failed(parser.parseOptionalKeyword("split")))
    return success();
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseInteger(dim.parts))
    return failure();
  if (dim.parts < 2)
    return parser.emitError(loc)
           << "expected two or more parts, one for each head in turn, found "
           << dim.parts;
  return success();
}

/// Parses the n of `* n`.
static ParseResult parseMultiple(AsmParser &parser, BoundDim &dim) {
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseInteger(dim.multiple))
    return failure();
  if (dim.multiple < 1)
    return parser.emitError(loc)
           << "expected at least one " << describeMultiple(dim.kind)
           << ", found " << dim.multiple;
  return success();
}

/// Parses `in m` if it is there.
static ParseResult parseRows(AsmParser &parser, BoundDim &dim) {
  if (failed(parser.parseOptionalKeyword("in")))
    return success();
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseInteger(dim.rows))
    return failure();
  if (dim.rows < 1)
    return parser.emitError(loc)
           << "expected a tile of some rows, found " << dim.rows;
  return success();
}

/// Parses `row i` if it is there.
static ParseResult parseRow(AsmParser &parser, BoundDim &dim) {
  if (failed(parser.parseOptionalKeyword("row")))
    return success();
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseInteger(dim.offset))
    return failure();
  dim.isRow = true;
  if (dim.offset < 0 || dim.offset >= dim.multiple)
    return parser.emitError(loc)
           << "expected one of a token's rows, 0 to " << dim.multiple - 1
           << ", found " << dim.offset;
  return success();
}

/// Parses one entry of a binding: a keyword, after `_` perhaps `from a to b` or
/// `split n`, after some perhaps `* n`, after `time * n` perhaps `row i`, after
/// these perhaps `in m`, and after `head * n` and `chunk * n` perhaps `+ i`.
static ParseResult parseBoundDim(AsmParser &parser, BoundDim &dim) {
  StringRef keyword;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseKeyword(&keyword))
    return failure();
  std::optional<DimKind> kind = symbolizeDimKind(keyword);
  if (!kind)
    return parser.emitError(loc)
           << "expected seq, time, chunk, head, slot or _, found '" << keyword
           << "'";
  dim = {*kind, 1};
  if (*kind == DimKind::whole &&
      (parsePart(parser, dim) || parseSplit(parser, dim)))
    return failure();
  bool isCounted =
      !describeMultiple(*kind).empty() && succeeded(parser.parseOptionalStar());
  if (isCounted && parseMultiple(parser, dim))
    return failure();
  if (*kind == DimKind::time)
    return failure(parseRow(parser, dim) || parseRows(parser, dim));
  bool isMember = *kind == DimKind::head || *kind == DimKind::chunk;
  if (!isCounted || !isMember || failed(parser.parseOptionalPlus()))
    return success();
  return parser.parseInteger(dim.offset);
}

FailureOr<BindingAttr> BindingAttr::parseDims(AsmParser &parser) {
  SmallVector<BoundDim> dims;
  auto parseOne = [&]() { return parseBoundDim(parser, dims.emplace_back()); };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseOne))
    return failure();
  return BindingAttr::get(parser.getContext(), dims);
}

void BindingAttr::printDims(llvm::raw_ostream &os) const {
  os << '[';
  llvm::interleaveComma(getDims(), os, [&](BoundDim dim) {
    os << stringifyDimKind(dim.kind);
    if (dim.isPart())
      os << " from " << dim.offset << " to " << dim.end;
    if (dim.parts != 1)
      os << " split " << dim.parts;
    if (dim.multiple != 1)
      os << " * " << dim.multiple;
    if (dim.isRow)
      os << " row " << dim.offset;
    if (dim.rows != 0)
      os << " in " << dim.rows;
    if (dim.offset != 0 && !dim.isPart() && !dim.isRow)
      os << " + " << dim.offset;
  });
  os << ']';
}

Attribute BindingAttr::parse(AsmParser &parser, Type) {
  if (parser.parseLess())
    return {};
  FailureOr<BindingAttr> binding = parseDims(parser);
  if (failed(binding) || parser.parseGreater())
    return {};
  return *binding;
}

void BindingAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printDims(printer.getStream());
  printer << '>';
}

bool BindingAttr::has(DimKind kind) const {
  return llvm::any_of(getDims(),
                      [&](BoundDim dim) { return dim.kind == kind; });
}

/// The dimension of a kind; one of multiple 1 if there is none.
static BoundDim findDim(BindingAttr binding, DimKind kind) {
  for (BoundDim dim : binding.getDims())
    if (dim.kind == kind)
      return dim;
  return {kind};
}

int64_t BindingAttr::getTimeMultiple() const {
  return findDim(*this, DimKind::time).multiple;
}

std::optional<int64_t> BindingAttr::getTimeRow() const {
  BoundDim time = findDim(*this, DimKind::time);
  return time.isRow ? std::optional(time.offset) : std::nullopt;
}

BindingAttr BindingAttr::withOwnRows() const {
  SmallVector<BoundDim> dims(getDims());
  for (BoundDim &dim : dims)
    dim.rows = 0;
  return get(getContext(), dims);
}

int64_t BindingAttr::getChunkMultiple() const {
  return findDim(*this, DimKind::chunk).multiple;
}

int64_t BindingAttr::getChunkOffset() const {
  return findDim(*this, DimKind::chunk).offset;
}

int64_t BindingAttr::getParts() const {
  int64_t parts = 1;
  for (BoundDim dim : getDims())
    parts *= dim.parts;
  return parts;
}

RankedTensorType BindingAttr::getTileType(RankedTensorType type, int64_t chunk,
                                          Type compute) const {
  SmallVector<int64_t> shape;
  for (auto [dim, size] : llvm::zip_equal(getDims(), type.getShape())) {
    if (dim.kind == DimKind::time)
      shape.push_back(dim.getRows(chunk));
    else if (dim.kind == DimKind::whole)
      shape.push_back(ShapedType::isDynamic(size)
                          ? size
                          : llvm::alignTo(dim.getExtent(size), dim.multiple));
  }
  return RankedTensorType::get(shape, compute);
}
