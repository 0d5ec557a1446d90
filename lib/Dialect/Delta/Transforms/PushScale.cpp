//===- PushScale.cpp - Scales of rows into sums of products ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The gradient of rows that are scaled (keys that are divided by their norms)
// is a sum of products that is scaled, and its row dots with these rows. Scales
// inside of the sum join those that its terms have anyway, and the matrices of
// pairs of tokens have one scale for both sides: they are rounded once.
//
//===----------------------------------------------------------------------===//

#include "Simplify.h"

#include "wyvern/Dialect/Delta/IR/Delta.h"
#include "wyvern/Dialect/Delta/IR/Splat.h"
#include "wyvern/Dialect/Delta/Utils/TileBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

namespace {
/// A tile and a number for each of its rows, or of its columns.
struct Scaled {
  Value tile, scale;
  int64_t dim; ///< of the tile, that the scale is over
};
} // namespace

/// Returns what `value` is, if it is a tile times such a vector.
static std::optional<Scaled> matchScaled(Value value) {
  auto mul = value.getDefiningOp<arith::MulFOp>();
  if (!mul || getTileRank(value) != 2)
    return std::nullopt;
  for (auto [tile, scale] : {std::pair(mul.getLhs(), mul.getRhs()),
                             std::pair(mul.getRhs(), mul.getLhs())})
    if (auto spread = scale.getDefiningOp<linalg::BroadcastOp>();
        spread && getTileRank(spread.getInput()) == 1)
      return Scaled{tile, spread.getInput(), 1 - spread.getDimensions()[0]};
  return std::nullopt;
}

static Value createScaled(TileBuilder &tiles, Value tile, Value scale,
                          int64_t dim) {
  return tiles.mul(tiles.broadcast(scale, shapeOf(tile), {1 - dim}), tile);
}

//===----------------------------------------------------------------------===//
// Two scales
//===----------------------------------------------------------------------===//

/// True for solved rows times their rate, and for a tile with a scale of the
/// same dimension, with which that of `scaled` is to be one first.
static bool isSolvedOrScaled(const Scaled &scaled) {
  std::optional<Scaled> inner = matchScaled(scaled.tile);
  return (inner && inner->dim == scaled.dim) ||
         scaled.tile.getDefiningOp<EraseApplyOp>();
}

namespace {
/// Two scales over one dimension are one, and one of rows comes before one of
/// columns, so that equal tiles are told to be equal:
///   t_i (s_i x_ij) = (t_i s_i) x_ij     s_i (t_j x_ij) = t_j (s_i x_ij)
/// A backward runs a forward scan again, with fewer uses of its tiles, and that
/// has to round as it did: there two scales are one whoever else reads the
/// inner one's tile, but for rates of solved rows, which products read too.
struct OrderScales : OpRewritePattern<arith::MulFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::MulFOp mul,
                                PatternRewriter &rewriter) const override {
    std::optional<Scaled> outer = matchScaled(mul);
    std::optional<Scaled> inner =
        outer ? matchScaled(outer->tile) : std::nullopt;
    if (!inner || outer->dim > inner->dim)
      return rewriter.notifyMatchFailure(mul, "its scales are in order");
    auto scan = mul->getParentOfType<ChunkScanOp>();
    bool mayRunAgain = outer->dim == inner->dim && scan &&
                       scan.getDirection() == Direction::forward;
    if (mayRunAgain ? isSolvedOrScaled(*inner) : !outer->tile.hasOneUse())
      return rewriter.notifyMatchFailure(mul, "others read its tile");
    ImplicitLocOpBuilder b(mul.getLoc(), rewriter);
    TileBuilder tiles(b, cast<FloatType>(getElementTypeOrSelf(mul.getType())));
    if (outer->dim == inner->dim) {
      Value scale = tiles.mul(outer->scale, inner->scale);
      rewriter.replaceOp(mul,
                         createScaled(tiles, inner->tile, scale, outer->dim));
      return success();
    }
    Value tile = createScaled(tiles, inner->tile, outer->scale, outer->dim);
    rewriter.replaceOp(mul,
                       createScaled(tiles, tile, inner->scale, inner->dim));
    return success();
  }
};
} // namespace

/// Returns the user of `tile` that is it times this scale; null if there is
/// none.
static Value findScaled(Value tile, const Scaled &like) {
  for (Operation *user : tile.getUsers()) {
    if (user->getNumResults() != 1)
      continue;
    std::optional<Scaled> scaled = matchScaled(user->getResult(0));
    if (scaled && scaled->tile == tile && scaled->scale == like.scale &&
        scaled->dim == like.dim)
      return user->getResult(0);
  }
  return {};
}

namespace {
/// Scales go where the same ones are already: (s_i t_j x_ij) y_ij is
/// x_ij (s_i t_j y_ij), if that is made of y anyway.
struct ShareScales : OpRewritePattern<arith::MulFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::MulFOp mul,
                                PatternRewriter &rewriter) const override {
    if (getTileRank(mul.getResult()) != 2)
      return rewriter.notifyMatchFailure(mul, "no matrix");
    for (auto [x, y] : {std::pair(mul.getLhs(), mul.getRhs()),
                        std::pair(mul.getRhs(), mul.getLhs())}) {
      SmallVector<Scaled> scales; // the last one first
      Value core = x;
      for (auto scaled = matchScaled(core); scaled && core.hasOneUse();
           scaled = matchScaled(core)) {
        scales.push_back(*scaled);
        core = scaled->tile;
      }
      Value known = y;
      for (const Scaled &scaled : llvm::reverse(scales))
        known = known ? findScaled(known, scaled) : Value();
      if (scales.empty() || !known || known == mul.getResult())
        continue;
      ImplicitLocOpBuilder b(mul.getLoc(), rewriter);
      TileBuilder tiles(b,
                        cast<FloatType>(getElementTypeOrSelf(mul.getType())));
      Value shared = y;
      for (const Scaled &scaled : llvm::reverse(scales))
        shared = createScaled(tiles, shared, scaled.scale, scaled.dim);
      rewriter.replaceOp(mul, tiles.mul(core, shared));
      // Else the factors would look as if they could change places again.
      for (Operation *op = x.getDefiningOp();
           op && op != core.getDefiningOp();) {
        std::optional<Scaled> scaled = matchScaled(op->getResult(0));
        rewriter.eraseOp(op);
        op = scaled->tile.getDefiningOp();
      }
      return success();
    }
    return rewriter.notifyMatchFailure(mul, "no factor has the other's scales");
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// Into a sum
//===----------------------------------------------------------------------===//

/// True for an operand of a product that is computed, not read as it was
/// loaded.
static bool isComputed(Value value) {
  if (ChunkProgramOpInterface::getInOfTile(value))
    return false;
  std::optional<Scaled> scaled = matchScaled(value);
  return !scaled || isComputed(scaled->tile);
}

/// Returns which operand of the product `op` has the rows of its result; it is
/// computed, and the other one does not have them. Nothing for other products.
static std::optional<unsigned> findRowOperand(linalg::ContractOp op) {
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  if (maps[2].getNumResults() != 2)
    return std::nullopt;
  AffineExpr row = maps[2].getResult(0);
  for (unsigned i : {0u, 1u})
    if (maps[i].getResultPosition(row) && !maps[1 - i].getResultPosition(row) &&
        isComputed(op.getInputs()[i]))
      return i;
  return std::nullopt;
}

/// Returns `sum` with rows scaled, the scale inside of it as far as sums go.
static Value scaleSum(ImplicitLocOpBuilder &b, Value sum, Value scale) {
  TileBuilder tiles(b, cast<FloatType>(getElementTypeOrSelf(sum)));
  if (sum.hasOneUse() || sum.use_empty()) {
    if (auto add = sum.getDefiningOp<arith::AddFOp>())
      return tiles.add(scaleSum(b, add.getLhs(), scale),
                       scaleSum(b, add.getRhs(), scale));
    auto product = sum.getDefiningOp<linalg::ContractOp>();
    std::optional<unsigned> i =
        product ? findRowOperand(product) : std::nullopt;
    if (i) {
      Value operand = product.getInputs()[*i], init = product.getOutputs()[0];
      std::optional<unsigned> dim =
          product.getIndexingMapsArray()[*i].getResultPosition(
              product.getIndexingMapsArray()[2].getResult(0));
      SmallVector<Value> inputs(product.getInputs());
      inputs[*i] = createScaled(tiles, operand, scale, *dim);
      Value start = isZero(init) ? init : scaleSum(b, init, scale);
      return tiles.contract(inputs[0], inputs[1], start,
                            product.getIndexingMapsArray());
    }
  }
  return createScaled(tiles, sum, scale, /*dim=*/0);
}

namespace {
/// A scale of the rows of a sum of products goes into it.
struct ScaleTermsOfSum : OpRewritePattern<arith::MulFOp> {
  ScaleTermsOfSum(MLIRContext *context, Pass::Statistic &numPushed)
      : OpRewritePattern(context), numPushed(numPushed) {}

  LogicalResult matchAndRewrite(arith::MulFOp mul,
                                PatternRewriter &rewriter) const override {
    std::optional<Scaled> scaled = matchScaled(mul);
    auto product = scaled && scaled->dim == 0
                       ? scaled->tile.getDefiningOp<linalg::ContractOp>()
                       : linalg::ContractOp();
    if (!product || !product->hasOneUse() || isZero(product.getOutputs()[0]) ||
        !findRowOperand(product))
      return rewriter.notifyMatchFailure(mul, "scales no rows of a sum");
    ImplicitLocOpBuilder b(mul.getLoc(), rewriter);
    rewriter.replaceOp(mul, scaleSum(b, scaled->tile, scaled->scale));
    ++numPushed;
    return success();
  }

private:
  Pass::Statistic &numPushed;
};
} // namespace

//===----------------------------------------------------------------------===//
// The row dots of a sum
//===----------------------------------------------------------------------===//

/// Returns `product` without its factor `factor`; null if it has none.
static Value dropFactor(TileBuilder &tiles, Value product, Value factor) {
  auto mul = product.getDefiningOp<arith::MulFOp>();
  if (!mul)
    return {};
  for (auto [a, b] : {std::pair(mul.getLhs(), mul.getRhs()),
                      std::pair(mul.getRhs(), mul.getLhs())}) {
    if (a == factor)
      return b;
    if (Value rest = dropFactor(tiles, a, factor))
      return tiles.mul(rest, b);
  }
  return {};
}

namespace {
/// The row dots `dots` of a tile with another one, `sums`, and what they are
/// multiplied by.
struct RowDots {
  arith::MulFOp dots;
  linalg::ReduceOp sums;
  arith::MulFOp times;

  /// Returns them, if that is all that is done with `dots`.
  static std::optional<RowDots> match(arith::MulFOp dots) {
    auto sums = dots->hasOneUse()
                    ? dyn_cast<linalg::ReduceOp>(*dots->user_begin())
                    : linalg::ReduceOp();
    if (!sums || sums.getDimensions() != ArrayRef<int64_t>(1) ||
        !isZero(sums.getInits().front()) || !sums->hasOneUse())
      return std::nullopt;
    auto times = dyn_cast<arith::MulFOp>(*sums->user_begin());
    if (!times || times.getLhs() == times.getRhs())
      return std::nullopt;
    return RowDots{dots, sums, times};
  }

  Value getFactor() {
    Value sum = sums.getResult(0);
    return times.getLhs() == sum ? times.getRhs() : times.getLhs();
  }
};

/// Of a sum that is read twice, scaled and in row dots that are multiplied by
/// the same scale among others, the row dots are of what is scaled:
///   n_i z_ij,  t_i n_i sum_j z_ij y_ij     =>   w_ij = n_i z_ij,  t_i sum_j
///   w_ij y_ij
/// Then the sum is not needed without its scale.
struct DotScaledSum : OpRewritePattern<arith::MulFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::MulFOp mul,
                                PatternRewriter &rewriter) const override {
    std::optional<Scaled> scaled = matchScaled(mul);
    if (!scaled || scaled->dim != 0 ||
        !scaled->tile.getDefiningOp<linalg::ContractOp>() ||
        !scaled->tile.hasNUses(2))
      return rewriter.notifyMatchFailure(mul, "scales no sum read twice");
    Operation *other = nullptr;
    for (Operation *user : scaled->tile.getUsers())
      if (user != mul)
        other = user;
    auto dots = dyn_cast_or_null<arith::MulFOp>(other);
    std::optional<RowDots> found = dots && dots.getLhs() != dots.getRhs()
                                       ? RowDots::match(dots)
                                       : std::nullopt;
    if (!found)
      return rewriter.notifyMatchFailure(mul, "there are no row dots");
    ImplicitLocOpBuilder b(found->times.getLoc(), rewriter);
    b.setInsertionPoint(found->times);
    TileBuilder tiles(b, cast<FloatType>(getElementTypeOrSelf(mul.getType())));
    Value rest = dropFactor(tiles, found->getFactor(), scaled->scale);
    if (!rest)
      return rewriter.notifyMatchFailure(mul, "they have another scale");
    Value tile = mul.getResult();
    if (found->times->isBeforeInBlock(mul)) {
      tile = createScaled(tiles, scaled->tile, scaled->scale, /*dim=*/0);
      rewriter.replaceOp(mul, tile);
    }
    Value factor =
        dots.getLhs() == scaled->tile ? dots.getRhs() : dots.getLhs();
    Value sums = tiles.sum(tiles.mul(tile, factor), /*dim=*/1);
    rewriter.replaceOp(found->times, tiles.mul(sums, rest));
    rewriter.eraseOp(found->sums);
    rewriter.eraseOp(found->dots);
    return success();
  }
};
} // namespace

void delta::populatePushScalePatterns(RewritePatternSet &patterns,
                                      Pass::Statistic &numPushed) {
  patterns.add<OrderScales, DotScaledSum>(patterns.getContext());
  patterns.add<ScaleTermsOfSum>(patterns.getContext(), numPushed);
}

void delta::populateShareScalePatterns(RewritePatternSet &patterns) {
  patterns.add<ShareScales>(patterns.getContext());
}
