//===- TileSpread.cpp - Tiles of the CUDA cores: spreads, constraints ---===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The numbers (C..) are those of docs/spec.md.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/IR/AffineMap.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

//===----------------------------------------------------------------------===//
// #tile.spread
//===----------------------------------------------------------------------===//

SpreadAttr tile::getSpread(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor ? dyn_cast_or_null<SpreadAttr>(tensor.getEncoding())
                : SpreadAttr();
}

/// `_`, or `piece p lanes l step s warps w`.
static ParseResult parseDimSpread(AsmParser &parser, DimSpread &dim) {
  if (succeeded(parser.parseOptionalKeyword("_")))
    return success();
  auto parseNumber = [&](StringRef keyword, int64_t &value) -> ParseResult {
    SMLoc loc;
    if (parser.parseKeyword(keyword) || parser.getCurrentLocation(&loc) ||
        parser.parseInteger(value))
      return failure();
    if (value < 1)
      return parser.emitError(loc)
             << "expected " << keyword << " of at least 1, found " << value;
    return success();
  };
  return failure(
      parseNumber("piece", dim.piece) || parseNumber("lanes", dim.lanes) ||
      parseNumber("step", dim.step) || parseNumber("warps", dim.warps));
}

Attribute SpreadAttr::parse(AsmParser &parser, Type) {
  SmallVector<DimSpread> dims;
  if (parser.parseLess() ||
      parser.parseCommaSeparatedList(
          AsmParser::Delimiter::Square,
          [&] { return parseDimSpread(parser, dims.emplace_back()); }) ||
      parser.parseGreater())
    return {};
  return SpreadAttr::get(parser.getContext(), dims);
}

void SpreadAttr::print(AsmPrinter &printer) const {
  printer << "<[";
  llvm::interleaveComma(getDims(), printer, [&](const DimSpread &dim) {
    if (dim == DimSpread())
      printer << '_';
    else
      printer << "piece " << dim.piece << " lanes " << dim.lanes << " step "
              << dim.step << " warps " << dim.warps;
  });
  printer << "]>";
}

SmallVector<int64_t> SpreadAttr::getThreadShape(ArrayRef<int64_t> shape) const {
  SmallVector<int64_t> held(shape);
  for (auto [size, dim] : llvm::zip_equal(held, getDims()))
    size /= dim.lanes * dim.warps;
  return held;
}

int64_t SpreadAttr::getIdleLaneBits() const {
  int64_t bits = 31;
  for (const DimSpread &dim : getDims())
    bits &= ~((dim.lanes - 1) * dim.step);
  return bits;
}

int64_t SpreadAttr::getWarps() const {
  int64_t warps = 1;
  for (const DimSpread &dim : getDims())
    warps = std::max(warps, dim.warps);
  return warps;
}

//===----------------------------------------------------------------------===//
// What every operation on such tiles asks
//===----------------------------------------------------------------------===//

/// Checks that a tile is spread over the lanes of whole warps: lanes by powers
/// of two that no two dimensions share, sizes that pieces divide.
static LogicalResult verifySpread(Operation *op, Type type) {
  auto tensor = cast<RankedTensorType>(type);
  SpreadAttr spread = getSpread(type);
  bool fits = spread && tensor.hasStaticShape() &&
              static_cast<int64_t>(spread.getDims().size()) == tensor.getRank();
  int64_t taken = 0;
  for (int64_t i = 0; fits && i < tensor.getRank(); ++i) {
    const DimSpread &dim = spread.getDims()[i];
    int64_t bits = (dim.lanes - 1) * dim.step;
    fits = llvm::isPowerOf2_64(dim.lanes) && llvm::isPowerOf2_64(dim.step) &&
           dim.lanes * dim.step <= 32 && (taken & bits) == 0 &&
           tensor.getDimSize(i) % (dim.piece * dim.lanes * dim.warps) == 0;
    taken |= bits;
  }
  if (fits)
    return success();
  return op->emitOpError()
         << "(C1) expected a tile of static shape with a #tile.spread of as "
            "many dimensions, each of whole pieces for each of its lanes and "
            "warps, with powers of two of a warp's lanes that no other "
            "dimension has, found "
         << type;
}

static LogicalResult verifySpreads(Operation *op, TypeRange types) {
  for (Type type : types)
    if (failed(verifySpread(op, type)))
      return failure();
  return success();
}

/// Checks the place of a tile in a tensor.
static LogicalResult verifyPlace(Operation *op, GlobalType global,
                                 RankedTensorType value, size_t coords,
                                 ArrayRef<int64_t> dims) {
  RankedTensorType tensor = global.getTensor();
  int64_t rank = tensor.getRank();
  if (static_cast<int64_t>(coords) != rank)
    return op->emitOpError() << "(C2) expected a coordinate for each of the "
                             << rank << " dimensions, found " << coords;
  auto isDim = [&](int64_t dim) { return dim >= 0 && dim < rank; };
  if (static_cast<int64_t>(dims.size()) != value.getRank() ||
      !llvm::all_of(dims, isDim))
    return op->emitOpError()
           << "(C3) expected a dimension of the tensor for each of the tile's "
           << value.getRank() << ", found [" << dims << "]";
  if (value.getElementType() != tensor.getElementType())
    return op->emitOpError() << "(C4) expected elements of the tensor's type "
                             << tensor.getElementType() << ", found " << value;
  ArrayRef<DimSpread> spread = getSpread(value).getDims();
  for (auto [i, dim] : llvm::enumerate(dims))
    if (spread[i].piece > 1 && (dim != rank - 1 || !global.getContiguous()))
      return op->emitOpError()
             << "(C5) expected pieces of more than one element along the last "
                "dimension of a contiguous tensor alone, where they lie side "
                "by side, found "
             << value << " along dimension " << dim << " of " << global;
  return success();
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

LogicalResult LoadIndexOp::verify() {
  RankedTensorType tensor = getGlobal().getType().getTensor();
  if (tensor.getRank() != 1 || !tensor.getElementType().isSignlessInteger())
    return emitOpError() << "(C1) expected a vector of integers, found "
                         << tensor;
  return success();
}

LogicalResult StochasticTruncOp::verify() {
  auto source = cast<RankedTensorType>(getSource().getType());
  RankedTensorType rounded = source.clone(BFloat16Type::get(getContext()));
  if (!source.getElementType().isF32() || getRounded().getType() != rounded)
    return emitOpError()
           << "(C1) expected a tile of f32, and the same of bf16, "
              "found "
           << source << " and " << getRounded().getType();
  if (static_cast<int64_t>(getSteps().size()) != source.getRank())
    return emitOpError() << "(C2) expected a step for each of the tile's "
                         << source.getRank() << " dimensions, found ["
                         << getSteps() << "]";
  return success();
}

LogicalResult LoadSpreadOp::verify() {
  auto value = cast<RankedTensorType>(getValue().getType());
  if (failed(verifySpread(*this, value)))
    return failure();
  return verifyPlace(*this, getGlobal().getType(), value, getCoords().size(),
                     getDims());
}

LogicalResult StoreSpreadOp::verify() {
  auto value = cast<RankedTensorType>(getValue().getType());
  if (failed(verifySpread(*this, value)))
    return failure();
  return verifyPlace(*this, getGlobal().getType(), value, getCoords().size(),
                     getDims());
}

//===----------------------------------------------------------------------===//
// Registers
//===----------------------------------------------------------------------===//

SmallVector<std::pair<DimSpread, int64_t>> ContractOp::getLoopSpreads() {
  auto maps = getMaps().getAsValueRange<AffineMapAttr>();
  SmallVector<std::pair<DimSpread, int64_t>> loops(
      (*maps.begin()).getNumDims());
  for (auto [operand, map] : llvm::zip_equal(getTiles(), maps)) {
    auto type = cast<RankedTensorType>(operand.getType());
    for (auto [dim, expr] : llvm::enumerate(map.getResults()))
      loops[cast<AffineDimExpr>(expr).getPosition()] = {
          getSpread(type).getDims()[dim], type.getDimSize(dim)};
  }
  return loops;
}

SmallVector<unsigned> ContractOp::getSummedLoops() {
  AffineMap result = cast<AffineMapAttr>(getMaps()[2]).getValue();
  SmallVector<unsigned> summed;
  for (unsigned loop = 0; loop < result.getNumDims(); ++loop)
    if (!result.isFunctionOfDim(loop))
      summed.push_back(loop);
  return summed;
}

/// Checks that maps are projected permutations of one number of loops, each of
/// which has one extent and one spread.
static LogicalResult verifyLoops(ContractOp op) {
  SmallVector<AffineMap> maps(op.getMaps().getAsValueRange<AffineMapAttr>());
  auto fits = [&](AffineMap map, Value operand) {
    return map.isProjectedPermutation() &&
           map.getNumDims() == maps.front().getNumDims() &&
           map.getNumResults() ==
               cast<RankedTensorType>(operand.getType()).getRank();
  };
  if (maps.size() != 3 || !fits(maps[0], op.getA()) ||
      !fits(maps[1], op.getB()) || !fits(maps[2], op.getC()))
    return op.emitOpError() << "(C2) expected a map of the loops to the "
                               "dimensions of A, B and C each, found "
                            << op.getMaps();
  SmallVector<std::pair<DimSpread, int64_t>> loops = op.getLoopSpreads();
  for (auto [operand, map] : llvm::zip_equal(op.getTiles(), maps)) {
    auto type = cast<RankedTensorType>(operand.getType());
    for (auto [dim, expr] : llvm::enumerate(map.getResults()))
      if (loops[cast<AffineDimExpr>(expr).getPosition()] !=
          std::pair(getSpread(type).getDims()[dim], type.getDimSize(dim)))
        return op.emitOpError()
               << "(C3) expected the dimensions of one loop to be equally long "
                  "and spread alike, found dimension "
               << dim << " of " << type << " for loop "
               << cast<AffineDimExpr>(expr).getPosition();
  }
  return success();
}

int64_t ContractOp::getSummedWarps() {
  SmallVector<std::pair<DimSpread, int64_t>> loops = getLoopSpreads();
  int64_t warps = 1;
  for (unsigned loop : getSummedLoops())
    warps *= loops[loop].first.warps;
  return warps;
}

/// Checks that sums over several warps have a place to meet in, and that there
/// are no other warps.
static LogicalResult verifyWarpSums(ContractOp op) {
  int64_t warps = op.getSummedWarps();
  auto blocks = static_cast<int64_t>(op.getBlocks());
  if (warps * blocks == 1 && !op.getScratch())
    return success();
  auto result = cast<RankedTensorType>(op.getD().getType());
  int64_t wanted = warps * blocks * result.getNumElements();
  SmemType scratch = op.getScratch() ? op.getScratch().getType() : SmemType();
  if (warps * blocks == 1 || !scratch || !scratch.getElementType().isF32() ||
      scratch.getShape() != ArrayRef<int64_t>(wanted))
    return op.emitOpError()
           << "(C5) expected what is summed over to lie within a warp, or "
              "scratch of a number of f32 for each of the warps and elements "
              "of D, found "
           << warps << " warps, " << result.getNumElements() << " elements and "
           << (scratch ? "scratch" : "no scratch");
  auto kernel = op->getParentOfType<KernelOp>();
  if (blocks < 1 || (kernel && kernel.getCluster() % blocks != 0))
    return op.emitOpError()
           << "(C7) expected blocks that sum together to divide a cluster of "
              "the kernel, found "
           << blocks;
  bool isWhole =
      llvm::all_of(getSpread(result).getDims(),
                   [](const DimSpread &dim) { return dim.isWhole(); });
  if (isWhole && (!kernel || static_cast<int64_t>(kernel.getWarps()) == warps))
    return success();
  return op.emitOpError() << "(C6) expected all warps of the kernel to share "
                             "what is summed over, and each thread to have all "
                             "of D, found "
                          << warps << " warps and " << result;
}

LogicalResult ContractOp::verify() {
  if (failed(verifySpreads(*this, getTiles().getTypes())) ||
      failed(verifyLoops(*this)))
    return failure();
  for (Type type : getTiles().getTypes())
    if (!cast<RankedTensorType>(type).getElementType().isF32())
      return emitOpError() << "(C4) expected tiles of f32, found " << type;
  return verifyWarpSums(*this);
}

LogicalResult RearrangeOp::verify() {
  auto source = cast<RankedTensorType>(getSource().getType());
  auto result = cast<RankedTensorType>(getResult().getType());
  if (failed(verifySpreads(*this, {source, result})))
    return failure();
  ArrayRef<int64_t> from = getFrom();
  if (static_cast<int64_t>(from.size()) != result.getRank() ||
      source.getElementType() != result.getElementType())
    return emitOpError() << "(C2) expected a dimension of the source, or -1, "
                            "for each of the result's "
                         << result.getRank() << " and one element type, found "
                         << source << " and " << result;
  llvm::SmallBitVector named(source.getRank());
  for (auto [k, dim] : llvm::enumerate(from)) {
    if (dim == -1)
      continue;
    if (dim < 0 || dim >= source.getRank() || named[dim] ||
        source.getDimSize(dim) != result.getDimSize(k) ||
        getSpread(source).getDims()[dim] != getSpread(result).getDims()[k])
      return emitOpError()
             << "(C3) expected dimension " << k
             << " to be one of the source that no other is, as long and spread "
                "alike, found dimension "
             << dim << " of " << source << " for " << result;
    named.set(dim);
  }
  for (int64_t dim = 0; dim < source.getRank(); ++dim)
    if (!named[dim] && source.getDimSize(dim) != 1)
      return emitOpError() << "(C4) expected what is dropped to have one "
                              "element, found dimension "
                           << dim << " of " << source;
  return success();
}

LogicalResult SolveRowsOp::verify() {
  auto l = cast<RankedTensorType>(getL().getType());
  auto rate = cast<RankedTensorType>(getRate().getType());
  auto w = cast<RankedTensorType>(getW().getType());
  if (failed(verifySpreads(*this, getOperandTypes())))
    return failure();
  bool fits = w.getRank() == 2 && rate.getRank() == 1 && l.getRank() == 2;
  int64_t rows = fits ? w.getDimSize(0) : 0;
  fits = fits && l.getDimSize(0) == rows && l.getDimSize(1) == rows &&
         rate.getDimSize(0) == rows;
  auto isWhole = [](const DimSpread &dim) { return dim.isWhole(); };
  if (fits && llvm::all_of(getSpread(l).getDims(), isWhole) &&
      llvm::all_of(getSpread(rate).getDims(), isWhole) &&
      isWhole(getSpread(w).getDims().front()))
    return success();
  return emitOpError() << "(C2) expected L of n x n, n rates and W of n rows, "
                          "the rows whole in every thread, found "
                       << l << ", " << rate << " and " << w;
}

LogicalResult ConvRowOp::verify() {
  auto x = cast<RankedTensorType>(getX().getType());
  auto window = cast<RankedTensorType>(getWindow().getType());
  auto filter = cast<RankedTensorType>(getFilter().getType());
  if (failed(verifySpreads(*this, getOperandTypes())))
    return failure();
  bool fits = x.getRank() == 2 && window.getRank() == 2 &&
              filter.getRank() == 2 && x.getDimSize(0) == 1 &&
              window.getDimSize(1) == x.getDimSize(1) &&
              filter.getDimSize(0) == x.getDimSize(1) &&
              filter.getDimSize(1) == window.getDimSize(0) + 1;
  auto getDim = [](RankedTensorType type, unsigned dim) {
    return getSpread(type).getDims()[dim];
  };
  if (fits && getDim(x, 0).isWhole() && getDim(window, 0).isWhole() &&
      getDim(filter, 1).isWhole() && getDim(x, 1) == getDim(window, 1) &&
      getDim(x, 1) == getDim(filter, 0))
    return success();
  return emitOpError() << "(C2) expected one row of d channels, a window of "
                          "w - 1 rows and a filter of d x w, channels spread "
                          "alike and all else whole in every thread, found "
                       << x << ", " << window << " and " << filter;
}

int64_t tile::getRowsElements(TypeRange tiles) {
  int64_t elements = 0;
  for (Type type : tiles)
    elements += static_cast<int64_t>(llvm::alignTo<kRowsAlignment>(
        cast<RankedTensorType>(type).getNumElements()));
  return elements;
}

/// Checks that an entry of `place` holds these tiles.
static LogicalResult verifyRows(Operation *op, TypeRange tiles,
                                SmemType place) {
  if (failed(verifySpreads(op, tiles)))
    return failure();
  bool fits = place.getElementType().isF32() && place.getShape().size() == 2 &&
              place.getShape().back() == getRowsElements(tiles);
  for (Type type : tiles)
    fits &= cast<RankedTensorType>(type).getElementType().isF32();
  if (fits)
    return success();
  return op->emitOpError()
         << "(C2) expected tiles of f32, and a matrix of f32 whose rows hold "
            "all of them, each in a multiple of "
         << kRowsAlignment << " elements: " << getRowsElements(tiles)
         << ", found " << tiles << " and " << place;
}

LogicalResult PutRowsOp::verify() {
  if (failed(verifyRows(*this, getTiles().getTypes(), getPlace().getType())))
    return failure();
  for (Type type : getTiles().getTypes())
    if (getOfWarp() && getSpread(type).getWarps() > 1)
      return emitOpError() << "(C3) expected tiles that one warp has all of, "
                              "since it puts them, found "
                           << type;
  return success();
}

LogicalResult GetRowsOp::verify() {
  return verifyRows(*this, getTiles().getTypes(), getPlace().getType());
}

/// Checks that there are other blocks to wait for.
static LogicalResult verifyCluster(Operation *op) {
  auto kernel = op->getParentOfType<KernelOp>();
  if (!kernel || kernel.getCluster() > 1)
    return success();
  return op->emitOpError()
         << "(C1) expected a kernel whose blocks form clusters, found one of "
            "single blocks, which wait for no other";
}

LogicalResult ClusterArriveOp::verify() { return verifyCluster(*this); }

LogicalResult ClusterWaitOp::verify() { return verifyCluster(*this); }

/// Checks that there is a place for what each thread holds of a tile.
static LogicalResult verifyOwnPlace(Operation *op, Value tile, SmemType place) {
  auto type = cast<RankedTensorType>(tile.getType());
  if (failed(verifySpread(op, type)))
    return failure();
  auto kernel = op->getParentOfType<KernelOp>();
  int64_t held = ShapedType::getNumElements(
      getSpread(type).getThreadShape(type.getShape()));
  int64_t threads = kernel ? static_cast<int64_t>(kernel.getWarps()) * 32 : 0;
  bool fits = type.getElementType().isF32() && place.getElementType().isF32() &&
              place.getShape().size() == 1;
  if (fits && (!kernel || place.getShape().front() == held * threads))
    return success();
  return op->emitOpError() << "(C2) expected a tile of f32, and a vector of "
                              "f32 with an entry for each of the "
                           << held << " elements of each of the kernel's "
                           << threads << " threads, found " << type << " and "
                           << place;
}

LogicalResult KeepOp::verify() {
  return verifyOwnPlace(*this, getTile(), getPlace().getType());
}

LogicalResult KeptOp::verify() {
  return verifyOwnPlace(*this, getTile(), getPlace().getType());
}
