//===- MoveScale.cpp - Scales leave the ins that matmuls read -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Simplify.h"

#include "wyvern/Dialect/Delta/IR/Delta.h"
#include "wyvern/Dialect/Delta/Utils/TileBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// True for the tile of an in: what a matmul can read as it was loaded. A row
/// that is convolved is made where it is loaded.
static bool isPlainIn(Value value) {
  return ChunkProgramOpInterface::getInOfTile(value) != nullptr ||
         value.getDefiningOp<ConvRowOp>() != nullptr;
}

namespace {
/// `tile * broadcast(scale)`, and the dimensions of the tile that index scale;
/// none for a scale that is one number, given as a constant of tile's type.
struct ScaledIn {
  Value tile, scale;
  SmallVector<int64_t> dims;
  bool isNegated = false;
};
} // namespace

/// Returns what `operand` is, if it is an in times a scale, or times several,
/// of which this is the last.
static std::optional<ScaledIn> matchScaledIn(Value operand) {
  auto neg = operand.getDefiningOp<arith::NegFOp>();
  auto mul = (neg ? neg.getOperand() : operand).getDefiningOp<arith::MulFOp>();
  if (!mul)
    return std::nullopt;
  bool isNegated = neg != nullptr;
  for (auto [tile, scale] : {std::pair(mul.getLhs(), mul.getRhs()),
                             std::pair(mul.getRhs(), mul.getLhs())}) {
    // The scale first: a product of a tile with itself has two ways down.
    std::optional<double> splat = getSplat(scale);
    auto broadcast = scale.getDefiningOp<linalg::BroadcastOp>();
    if ((!splat && !broadcast) || (!isPlainIn(tile) && !matchScaledIn(tile)))
      continue;
    if (splat)
      return ScaledIn{tile, scale, {}, isNegated};
    ScaledIn scaled{tile, broadcast.getInput(), {}, isNegated};
    int64_t rank = cast<RankedTensorType>(tile.getType()).getRank();
    for (int64_t dim = 0; dim < rank; ++dim)
      if (!llvm::is_contained(broadcast.getDimensions(), dim))
        scaled.dims.push_back(dim);
    return scaled;
  }
  return std::nullopt;
}

/// True for a row of a step that is to stay scaled: one that each thread loads
/// is widened where it is read, and one that something else than a product
/// reads scaled is in registers anyway, and would be there twice.
static bool staysScaled(linalg::ContractOp op, Value operand, Value row) {
  auto scan = op->getParentOfType<ChunkScanOp>();
  return scan && scan.getChunk() == 1 &&
         (!row.getDefiningOp<ConvRowOp>() ||
          !llvm::all_of(operand.getUsers(), llvm::IsaPred<linalg::ContractOp>));
}

namespace {
/// Takes the scale off an in that is an operand of a contraction.
///
/// A scale over dimensions that the result keeps moves to the result. One over
/// dimensions that are summed moves to the other operand.
struct MoveScaleOffIn : OpRewritePattern<linalg::ContractOp> {
  MoveScaleOffIn(MLIRContext *context, Pass::Statistic &numMoved)
      : OpRewritePattern(context), numMoved(numMoved) {}

  LogicalResult matchAndRewrite(linalg::ContractOp op,
                                PatternRewriter &rewriter) const override {
    for (unsigned i : {0u, 1u}) {
      std::optional<ScaledIn> scaled = matchScaledIn(op.getInputs()[i]);
      if (!scaled || staysScaled(op, op.getInputs()[i], scaled->tile))
        continue;
      if (succeeded(moveToResult(op, i, *scaled, rewriter)) ||
          succeeded(moveToOther(op, i, *scaled, rewriter))) {
        ++numMoved;
        return success();
      }
    }
    return rewriter.notifyMatchFailure(
        op, "no operand is an in times a scale that can move");
  }

private:
  LogicalResult moveToResult(linalg::ContractOp op, unsigned i,
                             const ScaledIn &scaled,
                             PatternRewriter &rewriter) const;
  LogicalResult moveToOther(linalg::ContractOp op, unsigned i,
                            const ScaledIn &scaled,
                            PatternRewriter &rewriter) const;

  Pass::Statistic &numMoved;
};

/// Takes the scale of rows off an in that is an operand of a decay product: it
/// scales rows or columns of the result, whatever the decay.
struct MoveScaleOffDecayed : OpRewritePattern<DecayDotOp> {
  MoveScaleOffDecayed(MLIRContext *context, Pass::Statistic &numMoved)
      : OpRewritePattern(context), numMoved(numMoved) {}

  LogicalResult matchAndRewrite(DecayDotOp op,
                                PatternRewriter &rewriter) const override;

private:
  Pass::Statistic &numMoved;
};
} // namespace

/// For the dimensions of operand `i` that index a scale, those of a tile with
/// the map `to`; fails if the tile lacks one or orders them differently.
static FailureOr<SmallVector<int64_t>> translateDims(linalg::ContractOp op,
                                                     unsigned i,
                                                     ArrayRef<int64_t> dims,
                                                     AffineMap to) {
  AffineMap from = op.getIndexingMapsArray()[i];
  SmallVector<int64_t> translated;
  for (int64_t dim : dims) {
    std::optional<unsigned> position =
        to.getResultPosition(from.getResult(dim));
    if (!position || (!translated.empty() && *position < translated.back()))
      return failure();
    translated.push_back(*position);
  }
  return translated;
}

/// `tile * broadcast(scale)` with the scale indexed by the dimensions `dims` of
/// tile.
static Value createScaled(OpBuilder &builder, Location loc, Value tile,
                          const ScaledIn &scaled, ArrayRef<int64_t> dims) {
  ImplicitLocOpBuilder b(loc, builder);
  TileBuilder tiles(b, cast<FloatType>(getElementTypeOrSelf(tile)));
  ArrayRef<int64_t> shape = shapeOf(tile);
  if (std::optional<double> number = getSplat(scaled.scale))
    return tiles.mul(tiles.splat(scaled.isNegated ? -*number : *number, shape),
                     tile);
  SmallVector<int64_t> added;
  for (int64_t dim = 0, rank = shape.size(); dim < rank; ++dim)
    if (!llvm::is_contained(dims, dim))
      added.push_back(dim);
  Value scale = scaled.isNegated ? tiles.neg(scaled.scale) : scaled.scale;
  return tiles.mul(tiles.broadcast(scale, shape, added), tile);
}

LogicalResult MoveScaleOffIn::moveToResult(linalg::ContractOp op, unsigned i,
                                           const ScaledIn &scaled,
                                           PatternRewriter &rewriter) const {
  auto dims = translateDims(op, i, scaled.dims, op.getIndexingMapsArray()[2]);
  if (failed(dims))
    return rewriter.notifyMatchFailure(op, "the scale is over a summed "
                                           "dimension");
  Location loc = op.getLoc();
  Value init = op.getOutputs()[0];
  bool accumulates = !isZero(init);
  SmallVector<Value> inputs(op.getInputs());
  inputs[i] = scaled.tile;
  ImplicitLocOpBuilder b(loc, rewriter);
  TileBuilder tiles(b, cast<FloatType>(getElementTypeOrSelf(init)));
  Value start = accumulates ? tiles.splat(0.0, shapeOf(init)) : init;
  auto product = linalg::ContractOp::create(
      rewriter, loc, init.getType(), inputs, start, op.getIndexingMaps());
  Value result =
      createScaled(rewriter, loc, product->getResult(0), scaled, *dims);
  if (accumulates)
    result = arith::AddFOp::create(rewriter, loc, init, result);
  rewriter.replaceOp(op, result);
  return success();
}

LogicalResult MoveScaleOffIn::moveToOther(linalg::ContractOp op, unsigned i,
                                          const ScaledIn &scaled,
                                          PatternRewriter &rewriter) const {
  unsigned other = 1 - i;
  Value tile = op.getInputs()[other];
  // Between two ins the second takes it: the values' side, whose rows stay in
  // registers, while the keys' side is read as it was loaded.
  if (isPlainIn(tile) && other == 0)
    return rewriter.notifyMatchFailure(op, "the other operand is an in too");
  auto dims =
      translateDims(op, i, scaled.dims, op.getIndexingMapsArray()[other]);
  if (failed(dims))
    return rewriter.notifyMatchFailure(
        op, "the scale is over dimensions of both operands");
  Value moved = createScaled(rewriter, op.getLoc(), tile, scaled, *dims);
  rewriter.modifyOpInPlace(op, [&] {
    op.getInputsMutable()[i].set(scaled.tile);
    op.getInputsMutable()[other].set(moved);
  });
  return success();
}

LogicalResult
MoveScaleOffDecayed::matchAndRewrite(DecayDotOp op,
                                     PatternRewriter &rewriter) const {
  for (int64_t i : {0, 1}) {
    std::optional<ScaledIn> scaled = matchScaledIn(op->getOperand(i));
    if (!scaled || llvm::is_contained(scaled->dims, 1))
      continue;
    auto product = cast<DecayDotOp>(rewriter.clone(*op));
    product->setOperand(i, scaled->tile);
    SmallVector<int64_t> dims(scaled->dims.size(), i);
    rewriter.replaceOp(
        op, createScaled(rewriter, op.getLoc(), product.getM(), *scaled, dims));
    ++numMoved;
    return success();
  }
  return rewriter.notifyMatchFailure(op, "no operand is an in with a scale of "
                                         "rows");
}

void delta::populateMoveScalePatterns(RewritePatternSet &patterns,
                                      Pass::Statistic &numMoved) {
  patterns.add<MoveScaleOffIn, MoveScaleOffDecayed>(patterns.getContext(),
                                                    numMoved);
}
