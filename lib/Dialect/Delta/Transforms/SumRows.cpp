//===- SumRows.cpp - Row dots of products, for few registers --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The gradient of a gate sums, row by row, products times the tile that the
// same product is a gradient of. What differentiation leaves scales each tile
// once for its gradient and once for the gate, keeps a product beside the sum
// that it is added to, and runs a sum over tokens for each term. Registers and
// instructions of a map are what all that costs.
//
//===----------------------------------------------------------------------===//

#include "RowDots.h"

#include "wyvern/Dialect/Delta/IR/Delta.h"
#include "wyvern/Dialect/Delta/IR/Splat.h"
#include "wyvern/Dialect/Delta/Transforms/Passes.h"
#include "wyvern/Dialect/Delta/Utils/TileBuilder.h"

#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::wyvern::delta {
#define GEN_PASS_DEF_SUMROWSPASS
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::delta

using namespace mlir;
using namespace mlir::wyvern::delta;

//===----------------------------------------------------------------------===//
// Scaled tiles and their row sums
//===----------------------------------------------------------------------===//

namespace {
/// `tile` times a number, a constant of its type, or times a vector that is
/// spread over it.
struct Scaled {
  Value tile;
  Value number;
  linalg::BroadcastOp spread;

  bool isOfRows() {
    return spread && spread.getDimensions() == ArrayRef<int64_t>(1);
  }
};
} // namespace

static std::optional<Scaled> matchScaled(Value value) {
  auto mul = value.getDefiningOp<arith::MulFOp>();
  if (!mul || getTileRank(value) != 2)
    return std::nullopt;
  for (auto [tile, scale] : {std::pair(mul.getLhs(), mul.getRhs()),
                             std::pair(mul.getRhs(), mul.getLhs())}) {
    if (getSplat(scale))
      return Scaled{tile, scale, {}};
    auto spread = scale.getDefiningOp<linalg::BroadcastOp>();
    if (spread && getTileRank(spread.getInput()) == 1)
      return Scaled{tile, {}, spread};
  }
  return std::nullopt;
}

/// Returns the sums that `like` is, of the rows of `a * b`.
static Value createRowDot(OpBuilder &builder, linalg::ReduceOp like, Value a,
                          Value b) {
  IRMapping mapping;
  mapping.map(like.getInputs().front(),
              arith::MulFOp::create(builder, like.getLoc(), a, b));
  return builder.clone(*like, mapping)->getResult(0);
}

/// A scale of rows, or a number, comes out of a sum over columns:
///   sum_j s_i x_ij y_ij = s_i sum_j x_ij y_ij
struct TakeOutOfSum : OpRewritePattern<linalg::ReduceOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::ReduceOp sum,
                                PatternRewriter &rewriter) const override {
    arith::MulFOp dots = matchRowDot(sum);
    if (!dots)
      return rewriter.notifyMatchFailure(sum, "it sums no products");
    for (auto [factor, other] : {std::pair(dots.getLhs(), dots.getRhs()),
                                 std::pair(dots.getRhs(), dots.getLhs())}) {
      std::optional<Scaled> scaled = matchScaled(factor);
      if (!scaled || !(scaled->number || scaled->isOfRows()))
        continue;
      Value sums = createRowDot(rewriter, sum, scaled->tile, other);
      ImplicitLocOpBuilder b(sum.getLoc(), rewriter);
      TileBuilder tile(b, cast<FloatType>(getElementTypeOrSelf(sums)));
      Value scale = scaled->number
                        ? tile.splat(*getSplat(scaled->number), shapeOf(sums))
                        : scaled->spread.getInput();
      rewriter.replaceOp(sum, tile.mul(scale, sums));
      return success();
    }
    return rewriter.notifyMatchFailure(sum, "no factor has a scale of rows");
  }
};

/// Two scales of one dimension, or one and a number, are one:
///   t_i (s_i x_ij) = (t_i s_i) x_ij
struct JoinScales : OpRewritePattern<arith::MulFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::MulFOp mul,
                                PatternRewriter &rewriter) const override {
    std::optional<Scaled> outer = matchScaled(mul);
    std::optional<Scaled> inner = outer && outer->tile.hasOneUse()
                                      ? matchScaled(outer->tile)
                                      : std::nullopt;
    if (!inner || !(outer->spread || inner->spread) ||
        (outer->spread && inner->spread &&
         outer->spread.getDimensions() != inner->spread.getDimensions()))
      return rewriter.notifyMatchFailure(mul, "its scales are no one scale");
    ImplicitLocOpBuilder b(mul.getLoc(), rewriter);
    TileBuilder tile(b, cast<FloatType>(getElementTypeOrSelf(mul.getType())));
    linalg::BroadcastOp spread = outer->spread ? outer->spread : inner->spread;
    auto getVector = [&](Scaled scaled) -> Value {
      return scaled.spread ? scaled.spread.getInput()
                           : tile.splat(*getSplat(scaled.number),
                                        shapeOf(spread.getInput()));
    };
    Value scale = tile.mul(getVector(*outer), getVector(*inner));
    Value tiles = tile.broadcast(scale, shapeOf(mul.getResult()),
                                 llvm::to_vector(spread.getDimensions()));
    rewriter.replaceOpWithNewOp<arith::MulFOp>(mul, tiles, inner->tile);
    return success();
  }
};

/// True for the sums of a tile's rows, or those times a vector.
static bool isScaledSum(Value vector) {
  Operation *def = vector.getDefiningOp();
  if (isa_and_nonnull<linalg::ReduceOp>(def))
    return true;
  auto mul = dyn_cast_or_null<arith::MulFOp>(def);
  return mul && llvm::any_of(mul->getOperands(), isScaledSum);
}

/// Vectors times sums: t (x + y) = t x + t y, and t (s x) = (t s) x, where x is
/// a sum of rows. So each such sum has one scale.
struct ScaleEachSum : OpRewritePattern<arith::MulFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::MulFOp mul,
                                PatternRewriter &rewriter) const override {
    if (getTileRank(mul.getResult()) != 1)
      return rewriter.notifyMatchFailure(mul, "not of vectors");
    for (auto [scale, scaled] : {std::pair(mul.getLhs(), mul.getRhs()),
                                 std::pair(mul.getRhs(), mul.getLhs())}) {
      Operation *def = scaled.getDefiningOp();
      if (!def || isScaledSum(scale))
        continue;
      Location loc = mul.getLoc();
      auto times = [&](Value a, Value b) -> Value {
        return arith::MulFOp::create(rewriter, loc, a, b);
      };
      if (isa<arith::AddFOp>(def) &&
          llvm::any_of(def->getOperands(), isScaledSum)) {
        rewriter.replaceOpWithNewOp<arith::AddFOp>(
            mul, times(scale, def->getOperand(0)),
            times(scale, def->getOperand(1)));
        return success();
      }
      if (!isa<arith::MulFOp>(def))
        continue;
      for (unsigned i : {0u, 1u})
        if (isScaledSum(def->getOperand(i))) {
          rewriter.replaceOpWithNewOp<arith::MulFOp>(
              mul, times(scale, def->getOperand(1 - i)), def->getOperand(i));
          return success();
        }
    }
    return rewriter.notifyMatchFailure(mul, "scales no sum of rows");
  }
};

//===----------------------------------------------------------------------===//
// A row dot of a term of a sum
//===----------------------------------------------------------------------===//

namespace {
/// A product times a scale of rows, its row dot with some tile, and that times
/// the same scale.
struct Term {
  linalg::ContractOp product;
  linalg::ReduceOp sum;
  Value factor;
  arith::MulFOp scaledSum;
};
} // namespace

/// Returns what `value`, a term of a sum, is, if its row dot is taken too.
static std::optional<Term> matchTerm(Value value) {
  std::optional<Scaled> scaled = matchScaled(value);
  auto product =
      scaled ? scaled->tile.getDefiningOp<linalg::ContractOp>() : nullptr;
  if (!product || !scaled->isOfRows())
    return std::nullopt;
  for (Operation *user : scaled->tile.getUsers()) {
    auto dots = dyn_cast<arith::MulFOp>(user);
    auto sum = dots && dots->hasOneUse()
                   ? dyn_cast<linalg::ReduceOp>(*dots->user_begin())
                   : linalg::ReduceOp();
    if (!sum || matchRowDot(sum) != dots || !sum->hasOneUse())
      continue;
    auto times = dyn_cast<arith::MulFOp>(*sum->user_begin());
    Value scale = scaled->spread.getInput();
    if (!times || !llvm::is_contained(times->getOperands(), scale))
      continue;
    Value factor =
        dots.getLhs() == scaled->tile ? dots.getRhs() : dots.getLhs();
    return Term{product, sum, factor, times};
  }
  return std::nullopt;
}

/// Of z = x + y, with the row dots of x and y, the one of y is that of z less
/// that of x: then y need not be there beside the sum. What is asked of it is
/// its sum with the other one, to which the difference is exact.
static bool dotWithSum(IRRewriter &rewriter, arith::AddFOp sum) {
  std::optional<Term> x = matchTerm(sum.getLhs()), y = matchTerm(sum.getRhs());
  if (!x || !y || x->factor != y->factor || x->product == y->product)
    return false;
  rewriter.setInsertionPointAfter(sum);
  Value dots = createRowDot(rewriter, y->sum, sum, x->factor);
  Value difference = arith::SubFOp::create(rewriter, y->scaledSum.getLoc(),
                                           dots, x->scaledSum.getResult());
  rewriter.replaceOp(y->scaledSum, difference);
  rewriter.eraseOp(y->sum);
  return true;
}

//===----------------------------------------------------------------------===//
// Running sums
//===----------------------------------------------------------------------===//

namespace {
/// A sum of vectors: its terms that are running sums of a kind, and the others.
struct VectorSum {
  SmallVector<Value> rest, summed;
};
} // namespace

/// Collects what the running sums among the terms of `vector` run over. Those
/// of which `root` alone reads the result.
static void collectRunning(Value vector, VectorSum &terms, CumsumOp &like) {
  auto add = vector.getDefiningOp<arith::AddFOp>();
  if (add && vector.hasOneUse()) {
    collectRunning(add.getLhs(), terms, like);
    collectRunning(add.getRhs(), terms, like);
    return;
  }
  auto running = vector.getDefiningOp<CumsumOp>();
  if (!running || !vector.hasOneUse() ||
      (like && (running.getReverse() != like.getReverse() ||
                running.getExclusive() != like.getExclusive()))) {
    terms.rest.push_back(vector);
    return;
  }
  if (!like)
    like = running;
  terms.summed.push_back(running.getX());
}

/// Adds the terms of `vector` to `parts`: those of the additions that make it.
static void collectParts(Value vector, SmallVectorImpl<Value> &parts) {
  auto add = vector.getDefiningOp<arith::AddFOp>();
  if (!add || !vector.hasOneUse())
    return parts.push_back(vector);
  collectParts(add.getLhs(), parts);
  collectParts(add.getRhs(), parts);
}

/// True for the difference that dotWithSum has made: what comes last.
static bool isDifferenceOfDots(Value vector) {
  auto sub = vector.getDefiningOp<arith::SubFOp>();
  auto dots =
      sub ? sub.getLhs().getDefiningOp<linalg::ReduceOp>() : linalg::ReduceOp();
  arith::MulFOp mul = dots ? matchRowDot(dots) : arith::MulFOp();
  return mul && llvm::any_of(mul->getOperands(), [](Value operand) {
           return operand.getDefiningOp<arith::AddFOp>() != nullptr;
         });
}

/// Running sums of one kind that are added are the running sum of what they run
/// over, added: `root` again, with one of them.
static bool joinRunning(IRRewriter &rewriter, arith::AddFOp root) {
  VectorSum terms;
  CumsumOp like;
  // Of the first kind that two are of.
  for (bool isReverse : {true, false}) {
    terms = {};
    like = {};
    for (auto cumsum : root->getBlock()->getOps<CumsumOp>())
      if (!like && cumsum.getReverse() == isReverse &&
          getTileRank(cumsum.getY()) == 1)
        like = cumsum;
    if (!like)
      continue;
    collectRunning(root.getLhs(), terms, like);
    collectRunning(root.getRhs(), terms, like);
    if (terms.summed.size() > 1)
      break;
  }
  if (terms.summed.size() < 2)
    return false;
  SmallVector<Value> parts;
  for (Value summed : terms.summed)
    collectParts(summed, parts);
  // What waits for most products comes last.
  llvm::stable_sort(parts, [](Value a, Value b) {
    return isDifferenceOfDots(a) < isDifferenceOfDots(b);
  });
  rewriter.setInsertionPoint(root);
  auto sum = [&](ArrayRef<Value> values) {
    Value all = values.front();
    for (Value value : values.drop_front())
      all = arith::AddFOp::create(rewriter, root.getLoc(), all, value);
    return all;
  };
  Value running = CumsumOp::create(rewriter, like.getLoc(), sum(parts),
                                   like.getReverse(), like.getExclusive());
  if (!terms.rest.empty())
    running = arith::AddFOp::create(rewriter, root.getLoc(), sum(terms.rest),
                                    running);
  rewriter.replaceOp(root, running);
  return true;
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct SumRowsPass : wyvern::delta::impl::SumRowsPassBase<SumRowsPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<ChunkMapOp> maps;
    getOperation()->walk([&](ChunkMapOp map) { maps.push_back(map); });
    IRRewriter rewriter(&getContext());
    for (ChunkMapOp map : maps)
      if (failed(rewrite(rewriter, map)))
        return signalPassFailure();
  }

private:
  LogicalResult rewrite(IRRewriter &rewriter, ChunkMapOp map) {
    Block &block = map.getBlock();
    bool hasRowDot = llvm::any_of(
        block.getOps<linalg::ReduceOp>(),
        [](linalg::ReduceOp sum) { return matchRowDot(sum) != nullptr; });
    if (!hasRowDot)
      return success();
    // A scale that a sum has read too is another one's own afterwards.
    if (failed(apply<TakeOutOfSum>(block)) ||
        failed(apply<JoinScales, ScaleEachSum>(block)))
      return failure();
    joinEqual(rewriter, block);
    for (auto sum : llvm::to_vector(block.getOps<arith::AddFOp>()))
      if (getTileRank(sum.getResult()) == 2)
        numDifferences += dotWithSum(rewriter, sum);
    sortTopologically(&block);
    for (auto sum : llvm::to_vector(block.getOps<arith::AddFOp>()))
      if (getTileRank(sum.getResult()) == 1 && !isInner(sum))
        numRunning += joinRunning(rewriter, sum);
    eraseDead(block);
    return success();
  }

  template <typename... PatternTs> LogicalResult apply(Block &block) {
    RewritePatternSet patterns(&getContext());
    patterns.add<PatternTs...>(&getContext());
    GreedyRewriteConfig config;
    config.enableFolding(false);
    config.setStrictness(GreedyRewriteStrictness::ExistingAndNewOps);
    SmallVector<Operation *> ops;
    for (Operation &op : block.without_terminator())
      ops.push_back(&op);
    return applyOpPatternsGreedily(ops, std::move(patterns), config);
  }

  static bool isInner(arith::AddFOp sum) {
    return sum->hasOneUse() && isa<arith::AddFOp>(*sum->user_begin());
  }

  static void eraseDead(Block &block) {
    auto ops = llvm::to_vector(llvm::make_pointer_range(block));
    for (Operation *op : llvm::reverse(ops))
      if (isOpTriviallyDead(op))
        op->erase();
  }

  /// Scales of a tile and of its sum are one vector.
  static void joinEqual(IRRewriter &rewriter, Block &block) {
    SmallVector<arith::MulFOp> known;
    for (auto mul : llvm::make_early_inc_range(block.getOps<arith::MulFOp>())) {
      if (getTileRank(mul.getResult()) != 1)
        continue;
      auto *same = llvm::find_if(known, [&](arith::MulFOp other) {
        return (other.getLhs() == mul.getLhs() &&
                other.getRhs() == mul.getRhs()) ||
               (other.getLhs() == mul.getRhs() &&
                other.getRhs() == mul.getLhs());
      });
      if (same == known.end())
        known.push_back(mul);
      else
        rewriter.replaceOp(mul, same->getResult());
    }
  }
};
} // namespace
