//===- DecayedTerms.cpp - Products with a decay, taken twice --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The gradient of a decay a channel is a running sum of (a x + b y) F, where a
// F and b F are terms of other gradients. As it is differentiated, a map holds
// F and all of a F, a x, b F and b y.
//
//===----------------------------------------------------------------------===//

#include "DecayedTerms.h"

#include "wyvern/Dialect/Delta/IR/ChunkRegion.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

namespace {
/// Finds what is multiplied by the decays of one matrix.
class Decayed {
public:
  Decayed(RewriterBase &rewriter, Value factor)
      : rewriter(rewriter), factor(factor) {}

  /// Multiplies the sums of terms, of which each has a product with the factor
  /// already. Returns how many that are.
  unsigned reuse();

private:
  /// Returns `term` times the factor, where an operation before `before` makes
  /// it; null if there is none.
  Value find(Value term, Operation *before) const;
  bool isOfTerms(Value value, Operation *before) const;
  Value multiply(Value value, Operation *before);

  RewriterBase &rewriter;
  Value factor;
};
} // namespace

Value Decayed::find(Value term, Operation *before) const {
  if (!term.getDefiningOp())
    return {};
  for (Operation *user : term.getUsers()) {
    auto product = dyn_cast<arith::MulFOp>(user);
    if (product && product.getRhs() == factor && product.getLhs() == term &&
        product->isBeforeInBlock(before))
      return product;
  }
  return {};
}

/// True for products, or sums of them, of which one operand each is found.
bool Decayed::isOfTerms(Value value, Operation *before) const {
  Operation *op = value.getDefiningOp();
  if (!op || !op->hasOneUse())
    return false;
  if (isa<arith::AddFOp>(op))
    return isOfTerms(op->getOperand(0), before) &&
           isOfTerms(op->getOperand(1), before);
  return isa<arith::MulFOp>(op) &&
         llvm::any_of(op->getOperands(),
                      [&](Value term) { return find(term, before); });
}

Value Decayed::multiply(Value value, Operation *before) {
  Operation *op = value.getDefiningOp();
  Value a = op->getOperand(0), b = op->getOperand(1);
  if (isa<arith::AddFOp>(op)) {
    Value left = multiply(a, before), right = multiply(b, before);
    return arith::AddFOp::create(rewriter, op->getLoc(), left, right);
  }
  Value decayed = find(a, before);
  if (!decayed) {
    decayed = find(b, before);
    b = a;
  }
  return arith::MulFOp::create(rewriter, op->getLoc(), decayed, b);
}

unsigned Decayed::reuse() {
  unsigned numReused = 0;
  for (Operation *user : llvm::make_early_inc_range(factor.getUsers())) {
    auto product = dyn_cast<arith::MulFOp>(user);
    if (!product || product.getRhs() != factor ||
        !isOfTerms(product.getLhs(), product))
      continue;
    rewriter.setInsertionPoint(product);
    rewriter.replaceOp(product, multiply(product.getLhs(), product));
    ++numReused;
  }
  return numReused;
}

unsigned delta::reuseDecayedTerms(RewriterBase &rewriter, ChunkMapOp map) {
  Block &block = map.getBlock();
  unsigned numReused = 0;
  for (math::ExpOp exp : llvm::to_vector(block.getOps<math::ExpOp>()))
    if (exp.getOperand().getDefiningOp<CumsumOp>() &&
        getTileRank(exp.getResult()) == 2)
      numReused += Decayed(rewriter, exp.getResult()).reuse();
  if (numReused == 0)
    return 0;
  auto ops =
      llvm::to_vector(llvm::make_pointer_range(block.without_terminator()));
  for (Operation *op : llvm::reverse(ops))
    if (isOpTriviallyDead(op))
      rewriter.eraseOp(op);
  return numReused;
}
