//===- SumProducts.cpp - Products that are added to a running sum ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A gradient is a sum of what several uses of a value contribute, in the order
// in which differentiation meets them: each product has a tile of its own, and
// additions join them. On a GPU these tiles are registers, of which there are
// not enough for three; added to one tile, products need no more than that one.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/IR/Delta.h"
#include "wyvern/Dialect/Delta/IR/Splat.h"
#include "wyvern/Dialect/Delta/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::wyvern::delta {
#define GEN_PASS_DEF_SUMPRODUCTSPASS
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::delta

using namespace mlir;
using namespace mlir::wyvern::delta;

/// Returns the product of two matrices that `value` is, if nothing else reads
/// it; null for all others.
static linalg::ContractOp getProduct(Value value) {
  auto product = value.getDefiningOp<linalg::ContractOp>();
  return product && value.hasOneUse() && isZero(product.getOutputs().front())
             ? product
             : linalg::ContractOp();
}

//===----------------------------------------------------------------------===//
// The terms of a sum
//===----------------------------------------------------------------------===//

namespace {
/// A product times a vector that is spread over it, or times a number.
struct ScaledProduct {
  linalg::ContractOp product;
  Value scale; ///< as the product is multiplied by it
  Value base;  ///< what is spread, without its sign
  bool isNegated = false;
};

/// Products that have a scale in common, but for its sign.
struct ScaledGroup {
  Value scale, base;
  SmallVector<linalg::ContractOp> added, subtracted;
};
} // namespace

static std::optional<ScaledProduct> matchScaled(Value term) {
  auto mul = term.getDefiningOp<arith::MulFOp>();
  if (!mul || !term.hasOneUse())
    return std::nullopt;
  for (auto [factor, scale] : {std::pair(mul.getLhs(), mul.getRhs()),
                               std::pair(mul.getRhs(), mul.getLhs())}) {
    linalg::ContractOp product = getProduct(factor);
    if (!product)
      continue;
    if (getSplat(scale))
      return ScaledProduct{product, scale, scale};
    auto spread = scale.getDefiningOp<linalg::BroadcastOp>();
    if (!spread)
      continue;
    auto neg = spread.getInput().getDefiningOp<arith::NegFOp>();
    return ScaledProduct{product, scale,
                         neg ? neg.getOperand() : spread.getInput(),
                         neg != nullptr};
  }
  return std::nullopt;
}

/// Collects the terms of `sum`: of additions whose results it alone reads.
static void collectTerms(arith::AddFOp sum, SmallVectorImpl<Value> &terms) {
  for (Value operand : sum->getOperands()) {
    auto inner = operand.getDefiningOp<arith::AddFOp>();
    if (inner && operand.hasOneUse())
      collectTerms(inner, terms);
    else
      terms.push_back(operand);
  }
}

static ArrayRef<int64_t> getDims(Value scale) {
  auto spread = scale.getDefiningOp<linalg::BroadcastOp>();
  return spread ? spread.getDimensions() : ArrayRef<int64_t>();
}

/// Adds `term` to the group of its scale.
static void addToGroup(const ScaledProduct &term,
                       SmallVectorImpl<ScaledGroup> &groups) {
  auto group = llvm::find_if(groups, [&](const ScaledGroup &known) {
    return known.base == term.base &&
           getDims(known.scale) == getDims(term.scale);
  });
  if (group == groups.end()) {
    groups.push_back({term.scale, term.base, {term.product}, {}});
    return;
  }
  // The sign of a group is that of the scale that came first.
  bool isSame = group->scale == term.scale;
  (isSame ? group->added : group->subtracted).push_back(term.product);
}

//===----------------------------------------------------------------------===//
// The sum again
//===----------------------------------------------------------------------===//

namespace {
/// Writes a sum anew, in front of the addition that it ends in.
class SumWriter {
public:
  SumWriter(RewriterBase &rewriter, arith::AddFOp root)
      : rewriter(rewriter), root(root) {}

  Value write(ArrayRef<Value> terms);

private:
  /// Returns the sum of `products`, each added to the tile of those before it.
  Value accumulate(Value start, ArrayRef<linalg::ContractOp> products);
  Value writeGroup(const ScaledGroup &group);
  Value add(Value a, Value b) {
    return a ? arith::AddFOp::create(rewriter, root.getLoc(), a, b) : b;
  }

  RewriterBase &rewriter;
  arith::AddFOp root;
};
} // namespace

Value SumWriter::accumulate(Value start,
                            ArrayRef<linalg::ContractOp> products) {
  for (linalg::ContractOp product : products) {
    Value from = start ? start : product.getOutputs().front();
    start = linalg::ContractOp::create(
                rewriter, product.getLoc(), product->getResultTypes(),
                product.getInputs(), from, product.getIndexingMaps())
                .getResult(0);
  }
  return start;
}

Value SumWriter::writeGroup(const ScaledGroup &group) {
  Value start;
  if (!group.subtracted.empty())
    start = arith::NegFOp::create(rewriter, root.getLoc(),
                                  accumulate(/*start=*/{}, group.subtracted));
  Value sum = accumulate(start, group.added);
  return arith::MulFOp::create(rewriter, root.getLoc(), group.scale, sum);
}

Value SumWriter::write(ArrayRef<Value> terms) {
  SmallVector<ScaledGroup> groups;
  SmallVector<linalg::ContractOp> products;
  Value sum;
  rewriter.setInsertionPoint(root);
  for (Value term : terms) {
    if (linalg::ContractOp product = getProduct(term))
      products.push_back(product);
    else if (std::optional<ScaledProduct> scaled = matchScaled(term))
      addToGroup(*scaled, groups);
    else
      sum = add(sum, term);
  }
  for (const ScaledGroup &group : groups)
    sum = add(sum, writeGroup(group));
  return accumulate(sum, products);
}

//===----------------------------------------------------------------------===//
// Scaled products of a chain
//===----------------------------------------------------------------------===//

/// Returns the product that `value` is a number times, with that number, if
/// nothing else reads either.
static std::optional<std::pair<linalg::ContractOp, double>>
matchNumbered(Value value) {
  std::optional<ScaledProduct> scaled = matchScaled(value);
  std::optional<double> number =
      scaled ? getSplat(scaled->scale) : std::nullopt;
  if (!number)
    return std::nullopt;
  return std::pair(scaled->product, *number);
}

namespace {
/// `term + number * product`, written so that it takes one tile: the product is
/// added to the term over the number.
struct AddScaledProduct : OpRewritePattern<arith::AddFOp> {
  AddScaledProduct(MLIRContext *context, Pass::Statistic &numSums)
      : OpRewritePattern(context), numSums(numSums) {}

  LogicalResult matchAndRewrite(arith::AddFOp sum,
                                PatternRewriter &rewriter) const override {
    for (auto [term, scaled] : {std::pair(sum.getLhs(), sum.getRhs()),
                                std::pair(sum.getRhs(), sum.getLhs())}) {
      auto match = matchNumbered(scaled);
      if (!match || !isScale(match->second))
        continue;
      rewriter.replaceOp(
          sum, addOver(rewriter, sum, term, match->first, match->second));
      ++numSums;
      return success();
    }
    return rewriter.notifyMatchFailure(sum, "it adds no scaled product");
  }

private:
  /// True for a number that a state may be divided by and multiplied with again
  /// without coming near the ends of f32.
  static bool isScale(double number) {
    constexpr double kLeast = 1e-6;
    return std::abs(number) > kLeast && std::abs(number) < 1 / kLeast;
  }

  /// Returns the first operation of the block that reads `sum`.
  static Operation *findFirstUser(arith::AddFOp sum) {
    Operation *first = sum->getBlock()->getTerminator();
    for (Operation *user : sum->getUsers())
      if (user->isBeforeInBlock(first))
        first = user;
    return first;
  }

  static Value addOver(PatternRewriter &rewriter, arith::AddFOp sum, Value term,
                       linalg::ContractOp product, double number) {
    Location loc = sum.getLoc();
    auto type = cast<RankedTensorType>(sum.getType());
    auto scale = [&](Value value, double by) -> Value {
      Value splat = arith::ConstantOp::create(
          rewriter, loc,
          DenseElementsAttr::get(
              type, rewriter.getFloatAttr(type.getElementType(), by)));
      return arith::MulFOp::create(rewriter, loc, value, splat);
    };
    // Both change a tile that products are added to, so no product should be
    // under way: one comes as soon as it can, the other as late.
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPointAfterValue(term);
    Value start = scale(term, 1 / number);
    rewriter.setInsertionPoint(sum);
    Value added = linalg::ContractOp::create(
                      rewriter, product.getLoc(), product->getResultTypes(),
                      product.getInputs(), start, product.getIndexingMaps())
                      .getResult(0);
    rewriter.setInsertionPoint(findFirstUser(sum));
    return scale(added, number);
  }

  Pass::Statistic &numSums;
};
} // namespace

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct SumProductsPass
    : wyvern::delta::impl::SumProductsPassBase<SumProductsPass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<ChunkMapOp> maps;
    getOperation()->walk([&](ChunkMapOp map) { maps.push_back(map); });
    IRRewriter rewriter(&getContext());
    for (ChunkMapOp map : maps)
      rewriteSums(rewriter, map);
    rewriteScans();
  }

private:
  static void eraseDead(Block &block) {
    auto ops = llvm::to_vector(llvm::make_pointer_range(block));
    for (Operation *op : llvm::reverse(ops))
      if (isOpTriviallyDead(op))
        op->erase();
  }

  void rewriteScans() {
    SmallVector<Operation *> sums;
    getOperation()->walk([&](ChunkScanOp scan) {
      for (auto sum : scan.getBlock().getOps<arith::AddFOp>())
        sums.push_back(sum);
    });
    RewritePatternSet patterns(&getContext());
    patterns.add<AddScaledProduct>(&getContext(), numSums);
    GreedyRewriteConfig config;
    config.setStrictness(GreedyRewriteStrictness::ExistingOps);
    if (failed(applyOpPatternsGreedily(sums, std::move(patterns), config)))
      return signalPassFailure();
    getOperation()->walk([&](ChunkScanOp scan) { eraseDead(scan.getBlock()); });
  }

  /// True for an addition that is a term of another one, and of no more.
  static bool isInner(arith::AddFOp sum) {
    return sum->hasOneUse() && isa<arith::AddFOp>(*sum->user_begin());
  }

  void rewriteSums(RewriterBase &rewriter, ChunkMapOp map) {
    Block &block = map.getBlock();
    SmallVector<arith::AddFOp> roots;
    for (auto sum : block.getOps<arith::AddFOp>())
      if (!isInner(sum))
        roots.push_back(sum);
    for (arith::AddFOp root : roots)
      rewriteSum(rewriter, root);
    eraseDead(block);
  }

  void rewriteSum(RewriterBase &rewriter, arith::AddFOp root) {
    SmallVector<Value> terms;
    collectTerms(root, terms);
    auto hasProduct = [](Value term) {
      return getProduct(term) || matchScaled(term);
    };
    if (getTileRank(root.getResult()) != 2 || !llvm::any_of(terms, hasProduct))
      return;
    Value sum = SumWriter(rewriter, root).write(terms);
    rewriter.replaceOp(root, sum);
    ++numSums;
  }
};
} // namespace
