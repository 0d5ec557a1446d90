//===- TermSums.cpp - Sums of matrices as lists of terms ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TermSums.h"

#include "wyvern/Dialect/Delta/IR/ChunkRegion.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

//===----------------------------------------------------------------------===//
// From operations to terms
//===----------------------------------------------------------------------===//

static bool isAddition(Operation *op) {
  return isa_and_nonnull<arith::AddFOp, arith::SubFOp>(op) &&
         getTileRank(op->getResult(0)) == 2;
}

TermSums::TermSums(Block &block) {
  for (Operation &op : llvm::reverse(block)) {
    if (!isAddition(&op) || inner.contains(&op))
      continue;
    TermSum sum{&op, {}};
    collect(op.getOperand(0), {}, sum.terms);
    SumTerm second;
    second.isSubtracted = isa<arith::SubFOp>(op);
    collect(op.getOperand(1), second, sum.terms);
    sums.push_back(std::move(sum));
  }
}

/// Adds what `value` is a sum of to `terms`; `outer` says with which sign and
/// within which running sum.
void TermSums::collect(Value value, SumTerm outer,
                       SmallVectorImpl<SumTerm> &terms) {
  Operation *def = value.getDefiningOp();
  bool isAlone = def && value.hasOneUse();
  if (isAlone && isAddition(def)) {
    inner.insert(def);
    collect(def->getOperand(0), outer, terms);
    if (isa<arith::SubFOp>(def))
      outer.isSubtracted = !outer.isSubtracted;
    return collect(def->getOperand(1), outer, terms);
  }
  auto scan = dyn_cast_or_null<CumsumOp>(def);
  if (isAlone && scan && !outer.scan && getTileRank(value) == 2) {
    inner.insert(def);
    outer.scan = scan;
    return collect(scan.getX(), outer, terms);
  }
  outer.value = value;
  terms.push_back(outer);
}

const TermSum *TermSums::find(Operation *op) const {
  const TermSum *sum = llvm::find_if(
      sums, [&](const TermSum &known) { return known.root == op; });
  return sum == sums.end() ? nullptr : sum;
}

//===----------------------------------------------------------------------===//
// From terms to operations
//===----------------------------------------------------------------------===//

namespace {
/// A sum as it grows.
class Adder {
public:
  Adder(RewriterBase &rewriter, Location loc, Value sum)
      : rewriter(rewriter), loc(loc), sum(sum) {}

  void add(Value value, bool isSubtracted) {
    if (!sum)
      sum = isSubtracted ? arith::NegFOp::create(rewriter, loc, value) : value;
    else if (isSubtracted)
      sum = arith::SubFOp::create(rewriter, loc, sum, value);
    else
      sum = arith::AddFOp::create(rewriter, loc, sum, value);
  }

  Value get() const { return sum; }

private:
  RewriterBase &rewriter;
  Location loc;
  Value sum;
};
} // namespace

static bool areSameKind(CumsumOp a, CumsumOp b) {
  return (!a && !b) || (a && b && a.getReverse() == b.getReverse() &&
                        a.getExclusive() == b.getExclusive());
}

Value delta::addTerms(RewriterBase &rewriter, Location loc, Value start,
                      ArrayRef<SumTerm> terms) {
  Adder sum(rewriter, loc, start);
  SmallVector<SumTerm> left(terms);
  while (!left.empty()) {
    CumsumOp scan = left.front().scan;
    auto isOfKind = [&](const SumTerm &term) {
      return areSameKind(term.scan, scan);
    };
    SmallVector<SumTerm> group =
        llvm::to_vector(llvm::make_filter_range(left, isOfKind));
    llvm::erase_if(left, isOfKind);
    if (!scan) {
      for (const SumTerm &term : group)
        sum.add(term.value, term.isSubtracted);
      continue;
    }
    // What is taken away throughout is summed with the other sign.
    bool isSubtracted = llvm::all_of(
        group, [](const SumTerm &term) { return term.isSubtracted; });
    llvm::stable_sort(group, [](const SumTerm &a, const SumTerm &b) {
      return a.isSubtracted < b.isSubtracted;
    });
    Adder scanned(rewriter, loc, /*sum=*/{});
    for (const SumTerm &term : group)
      scanned.add(term.value, term.isSubtracted != isSubtracted);
    Value rows =
        CumsumOp::create(rewriter, loc, scan.getY().getType(), scanned.get(),
                         scan.getReverse(), scan.getExclusive());
    sum.add(rows, isSubtracted);
  }
  return sum.get();
}
