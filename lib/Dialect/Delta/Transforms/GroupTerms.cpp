//===- GroupTerms.cpp - The gradient of a decay from those of its factors -===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TermSums.h"

#include "wyvern/Dialect/Delta/IR/ChunkRegion.h"
#include "wyvern/Dialect/Delta/Transforms/Passes.h"
#include "wyvern/Dialect/Delta/Utils/ChannelDecay.h"
#include "wyvern/Dialect/Delta/Utils/TileBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

namespace mlir::wyvern::delta {
#define GEN_PASS_DEF_GROUPTERMSPASS
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::delta

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

//===----------------------------------------------------------------------===//
// Products as lists of factors
//===----------------------------------------------------------------------===//

namespace {
/// A product of tiles, element by element: its factors in an order of their
/// own.
struct Monomial {
  SmallVector<Value> factors;
  bool isNegative = false;

  Monomial times(const Monomial &other) const {
    Monomial product = *this;
    product.factors.append(other.factors);
    llvm::sort(product.factors, [](Value a, Value b) {
      return a.getAsOpaquePointer() < b.getAsOpaquePointer();
    });
    product.isNegative ^= other.isNegative;
    return product;
  }
};
} // namespace

/// More products than a sum has are not looked for.
static constexpr size_t kMostProducts = 32;

/// Returns the products that `value` is a sum of; none where there are many.
static SmallVector<Monomial> expand(Value value) {
  Operation *def = value.getDefiningOp();
  if (!isa_and_nonnull<arith::MulFOp, arith::AddFOp, arith::SubFOp,
                       arith::NegFOp>(def))
    return {Monomial{{value}}};
  SmallVector<Monomial> first = expand(def->getOperand(0));
  auto negate = [](SmallVector<Monomial> &list) {
    for (Monomial &monomial : list)
      monomial.isNegative = !monomial.isNegative;
  };
  if (isa<arith::NegFOp>(def)) {
    negate(first);
    return first;
  }
  SmallVector<Monomial> second = expand(def->getOperand(1)), all;
  if (first.empty() || second.empty() ||
      first.size() * second.size() > kMostProducts)
    return {};
  if (isa<arith::MulFOp>(def)) {
    for (const Monomial &a : first)
      for (const Monomial &b : second)
        all.push_back(a.times(b));
    return all;
  }
  if (isa<arith::SubFOp>(def))
    negate(second);
  all.append(first);
  all.append(second);
  return all;
}

//===----------------------------------------------------------------------===//
// Which gradient of the decay is of which other gradient
//===----------------------------------------------------------------------===//

namespace {
/// A product in the running sums of a decay's gradient.
struct Scanned {
  Monomial product;
  bool isExclusive; ///< summed over earlier rows; else over this and later ones
  bool isTaken = false;
};

/// A sum that the gradient of the decay has, times an in: the terms that sums
/// over later rows add, those that they take off, and those of sums over
/// earlier rows, with their sign there.
struct Matched {
  const TermSum *sum;
  BlockArgument factor;
  SmallVector<SumTerm> added, subtracted, earlier;
  SmallVector<bool> isEarlierSubtracted;
};

/// The gradient of a decay, and the sums that it is made of.
class DecayGradient {
public:
  DecayGradient(Block &block, const TermSums &sums, const TermSum &root)
      : block(block), sums(sums), root(root) {}

  /// Finds these sums. Returns false where some product is of none.
  bool match();
  void rewrite(RewriterBase &rewriter);

private:
  bool collectScanned();
  std::optional<Matched> match(const TermSum &sum, BlockArgument factor);
  bool isReadAtEndAlone(const TermSum &sum) const;

  Block &block;
  const TermSums &sums;
  const TermSum &root;
  SmallVector<Scanned> scanned;
  SmallVector<SumTerm> others; ///< without a running sum
  SmallVector<Matched, 0> matched;
};
} // namespace

/// Running sums over this and later rows, or over earlier ones. (The latter are
/// what all rows add up to less the former; but where gates are strong they are
/// next to nothing, and the difference would be a rounding error.)
bool DecayGradient::collectScanned() {
  for (const SumTerm &term : root.terms) {
    if (!term.scan) {
      others.push_back(term);
      continue;
    }
    CumsumOp scan = term.scan;
    if (scan.getReverse() == scan.getExclusive())
      return false;
    SmallVector<Monomial> products = expand(term.value);
    if (products.empty())
      return false;
    for (Monomial &product : products) {
      product.isNegative ^= term.isSubtracted;
      scanned.push_back({std::move(product), scan.getExclusive()});
    }
  }
  return !scanned.empty();
}

/// What is made again at the end of the block is there for nobody before it.
bool DecayGradient::isReadAtEndAlone(const TermSum &sum) const {
  return llvm::all_of(sum.root->getUsers(), llvm::IsaPred<YieldOp>);
}

std::optional<Matched> DecayGradient::match(const TermSum &sum,
                                            BlockArgument factor) {
  Matched found{&sum, factor, {}, {}, {}, {}};
  SmallVector<Scanned *> taken;
  for (const SumTerm &term : sum.terms) {
    SmallVector<Monomial> products = expand(term.value);
    if (term.scan || products.size() != 1)
      return std::nullopt;
    Monomial wanted = products.front().times(Monomial{{factor}});
    Scanned *scan = llvm::find_if(scanned, [&](const Scanned &candidate) {
      return !candidate.isTaken && !llvm::is_contained(taken, &candidate) &&
             candidate.product.factors == wanted.factors;
    });
    if (scan == scanned.end())
      return std::nullopt;
    taken.push_back(scan);
    bool isOpposite = scan->product.isNegative ^ wanted.isNegative;
    if (scan->isExclusive) {
      found.earlier.push_back(term);
      found.isEarlierSubtracted.push_back(isOpposite);
    } else {
      bool isSubtracted = isOpposite ^ term.isSubtracted;
      (isSubtracted ? found.subtracted : found.added).push_back(term);
    }
  }
  for (Scanned *scan : taken)
    scan->isTaken = true;
  return found;
}

/// True for what drops the gradient where a decay is at its bound.
static bool isSelectionAtEnd(Operation *op) {
  return isa<arith::SelectOp>(op) &&
         llvm::all_of(op->getUsers(), llvm::IsaPred<YieldOp>);
}

bool DecayGradient::match() {
  bool isAtEnd = llvm::all_of(root.root->getUsers(), [](Operation *user) {
    return isa<YieldOp>(user) || isSelectionAtEnd(user);
  });
  if (!collectScanned() || !isAtEnd)
    return false;
  for (const TermSum &sum : sums.get()) {
    if (&sum == &root || !isReadAtEndAlone(sum))
      continue;
    for (BlockArgument factor : block.getArguments())
      if (factor.getType() == sum.root->getResult(0).getType())
        if (std::optional<Matched> found = match(sum, factor)) {
          matched.push_back(std::move(*found));
          break;
        }
  }
  return !matched.empty() &&
         llvm::all_of(scanned, [](const Scanned &s) { return s.isTaken; });
}

//===----------------------------------------------------------------------===//
// The same, grouped
//===----------------------------------------------------------------------===//

void DecayGradient::rewrite(RewriterBase &rewriter) {
  rewriter.setInsertionPoint(block.getTerminator());
  Location loc = root.root->getLoc();
  ImplicitLocOpBuilder b(loc, rewriter);
  auto type = cast<RankedTensorType>(root.root->getResult(0).getType());
  TileBuilder tile(b, cast<FloatType>(type.getElementType()));
  Value later, earlier; // what is summed over later rows, and over earlier ones
  auto addTo = [&](Value &sum, Value x, bool isSubtracted) {
    if (!sum)
      sum = isSubtracted ? tile.neg(x) : x;
    else
      sum = isSubtracted ? tile.sub(sum, x) : tile.add(sum, x);
  };
  for (const Matched &of : matched) {
    Value added, subtracted;
    if (!of.added.empty())
      added = addTerms(rewriter, loc, /*start=*/{}, of.added);
    if (!of.subtracted.empty())
      subtracted = addTerms(rewriter, loc, /*start=*/{}, of.subtracted);
    Value sum = added ? added : subtracted, difference = sum;
    if (added && subtracted) {
      sum = tile.add(added, subtracted);
      difference = tile.sub(added, subtracted);
    }
    if (difference)
      addTo(later, tile.mul(of.factor, difference), /*isSubtracted=*/!added);
    for (auto [term, isSubtracted] :
         llvm::zip_equal(of.earlier, of.isEarlierSubtracted))
      addTo(earlier, tile.mul(of.factor, term.value), isSubtracted);
    rewriter.replaceOp(of.sum->root, addTerms(rewriter, loc, sum, of.earlier));
  }
  Value total;
  auto addScan = [&](Value rows, bool isReverse) {
    if (rows)
      addTo(total,
            CumsumOp::create(rewriter, loc, type, rows, isReverse,
                             /*exclusive=*/!isReverse),
            /*isSubtracted=*/false);
  };
  addScan(later, /*isReverse=*/true);
  addScan(earlier, /*isReverse=*/false);
  SmallVector<Operation *> readers(root.root->getUsers());
  rewriter.replaceOp(root.root, addTerms(rewriter, loc, total, others));
  for (Operation *reader : readers)
    if (isSelectionAtEnd(reader))
      rewriter.moveOpBefore(reader, block.getTerminator());
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

/// Erases what nothing reads any more.
static void eraseDead(RewriterBase &rewriter, Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (isOpTriviallyDead(&op))
      rewriter.eraseOp(&op);
}

namespace {
struct GroupTermsPass
    : wyvern::delta::impl::GroupTermsPassBase<GroupTermsPass> {
  using Base::Base;

  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    getOperation()->walk([&](ChunkMapOp map) {
      if (hasHalvedProducts(map))
        group(rewriter, map.getBlock());
    });
  }

private:
  void group(RewriterBase &rewriter, Block &block) {
    TermSums sums(block);
    for (const TermSum &sum : sums.get()) {
      if (llvm::none_of(sum.terms,
                        [](const SumTerm &term) { return term.scan; }))
        continue;
      DecayGradient gradient(block, sums, sum);
      if (!gradient.match())
        continue;
      gradient.rewrite(rewriter);
      eraseDead(rewriter, block);
      ++numGrouped;
      return; // the sums are others now
    }
  }
};
} // namespace
