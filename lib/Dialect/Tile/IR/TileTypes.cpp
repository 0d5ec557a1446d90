//===- TileTypes.cpp - Sizes and places of tiles ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/IR/Builders.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

//===----------------------------------------------------------------------===//
// Layouts of register tiles
//===----------------------------------------------------------------------===//

std::optional<LayoutKind> tile::getLayout(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return std::nullopt;
  auto layout = dyn_cast_or_null<LayoutAttr>(tensor.getEncoding());
  if (!layout)
    return std::nullopt;
  return layout.getKind();
}

RankedTensorType tile::getTileType(ArrayRef<int64_t> shape, Type element,
                                   LayoutKind kind) {
  return RankedTensorType::get(shape, element,
                               LayoutAttr::get(element.getContext(), kind));
}

int64_t LayoutAttr::getElementsPerThread(ArrayRef<int64_t> shape) const {
  switch (getKind()) {
  case LayoutKind::acc:
    return shape[0] * shape[1] / kWarpgroupThreads;
  case LayoutKind::row:
    return 2 * (shape[0] / kAccRows);
  case LayoutKind::col:
    return shape[0] / 4;
  case LayoutKind::warp:
    return llvm::divideCeil(shape[0], 32);
  }
  llvm_unreachable("unknown layout");
}

//===----------------------------------------------------------------------===//
// !tile.smem
//===----------------------------------------------------------------------===//

Type SmemType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape;
  Type element;
  int64_t wholeRows = 0;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() ||
      parser.parseDimensionList(shape, /*allowDynamic=*/false) ||
      parser.parseType(element) ||
      (succeeded(parser.parseOptionalComma()) &&
       (parser.parseKeyword("of") || parser.parseInteger(wholeRows))) ||
      parser.parseGreater())
    return {};
  return parser.getChecked<SmemType>(
      loc, parser.getContext(), ArrayRef<int64_t>(shape), element, wholeRows);
}

void SmemType::print(AsmPrinter &printer) const {
  printer << '<';
  printer.printDimensionList(getShape());
  printer << 'x' << getElementType();
  if (getWholeRows())
    printer << ", of " << getWholeRows();
  printer << '>';
}

LogicalResult SmemType::verify(function_ref<InFlightDiagnostic()> emitError,
                               ArrayRef<int64_t> shape, Type element,
                               int64_t wholeRows) {
  bool half = isHalf(element);
  if (wholeRows != 0 && (!half || shape.size() != 2 || wholeRows % 8 != 0 ||
                         wholeRows <= shape[0]))
    return emitError() << "(C3) expected some rows of a matrix of bf16 or f16 "
                          "that has more, a multiple of 8, found "
                       << shape[0] << " of " << wholeRows << " rows of "
                       << element;
  if (element.isF32() && (shape.size() == 1 || shape.size() == 2))
    return success();
  if (!half || shape.size() != 2)
    return emitError()
           << "(C1) expected a matrix of bf16 or f16, or a vector or "
              "matrix of f32, found "
           << shape.size() << " dimensions of " << element;
  if (shape[0] % 8 != 0 || shape[1] % kBlockColumns != 0)
    return emitError()
           << "(C2) expected rows a multiple of 8 and columns a multiple "
              "of 64 (the 128-byte swizzle), found "
           << shape[0] << " x " << shape[1];
  return success();
}

bool SmemType::isSwizzled() const { return !getElementType().isF32(); }

int64_t SmemType::getAlignment() const { return isSwizzled() ? 1024 : 16; }

int64_t SmemType::getPaddedRowBytes() const { return getShape()[1] * 4 + 16; }

int64_t SmemType::getSizeInBytes() const {
  if (getShape().size() == 1)
    return getShape()[0] * 4;
  if (!isSwizzled())
    return getShape()[0] * getPaddedRowBytes();
  return getShape()[0] * getShape()[1] * 2;
}

//===----------------------------------------------------------------------===//
// !tile.global
//===----------------------------------------------------------------------===//

std::optional<int64_t> GlobalType::getStaticStride(unsigned dim) const {
  ArrayRef<int64_t> inner = getTensor().getShape().drop_front(dim + 1);
  if (getContiguous() && inner.empty())
    return 1;
  if (!getDense() || ShapedType::isDynamicShape(inner))
    return std::nullopt;
  return ShapedType::getNumElements(inner);
}

//===----------------------------------------------------------------------===//
// !tile.ring
//===----------------------------------------------------------------------===//

int64_t RingType::getTileStride(unsigned i) const {
  auto tile = cast<SmemType>(getTiles()[i]);
  return llvm::alignTo(tile.getSizeInBytes(), tile.getAlignment());
}

int64_t RingType::getTileOffset(unsigned i) const {
  int64_t offset = 0;
  for (unsigned k = 0; k < i; ++k) {
    offset += getDepth() * getTileStride(k);
    offset =
        llvm::alignTo(offset, cast<SmemType>(getTiles()[k + 1]).getAlignment());
  }
  return offset;
}

int64_t RingType::getAlignment() const {
  int64_t alignment = 128; // a line of shared memory
  for (Type tile : getTiles())
    alignment = std::max(alignment, cast<SmemType>(tile).getAlignment());
  return alignment;
}

int64_t RingType::getTileBytes() const {
  if (getTiles().empty())
    return 0;
  unsigned last = getTiles().size() - 1;
  return getTileOffset(last) + getDepth() * getTileStride(last);
}

bool RingType::hasSwizzledTile() const {
  return llvm::any_of(
      getTiles(), [](Type type) { return cast<SmemType>(type).isSwizzled(); });
}

int64_t RingType::getTransactionBytes() const {
  if (getFill() == Fill::warps)
    return 0;
  int64_t bytes = 0;
  for (Type type : getTiles())
    if (auto tile = cast<SmemType>(type); tile.isSwizzled())
      bytes += tile.getSizeInBytes();
  return bytes;
}

int64_t RingType::getBarrierBytes() const {
  // A full and an empty barrier of 8 bytes for every stage.
  return 16 * getDepth();
}
