//===- JoinedProducts.cpp - Products with one factor of rows --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "JoinedProducts.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

bool mlir::wyvern::delta::moveBefore(Value value, ArrayRef<Operation *> group) {
  Operation *made = value.getDefiningOp();
  if (!made)
    return true; // an in is there from the beginning
  llvm::SetVector<Operation *> needed;
  needed.insert(made);
  for (size_t i = 0; i < needed.size(); ++i)
    for (Value operand : needed[i]->getOperands())
      if (Operation *def = operand.getDefiningOp())
        needed.insert(def);
  if (llvm::any_of(group, [&](Operation *op) { return needed.contains(op); }))
    return false;
  SmallVector<Operation *> ops = needed.takeVector();
  llvm::sort(ops,
             [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  for (Operation *op : ops)
    if (group.back()->isBeforeInBlock(op))
      op->moveBefore(group.back());
  return true;
}

void JoinedProducts::addFar(TokenPairs pairs, HalvedGates &gates) {
  if (!term.weight)
    return add(pairs, /*prepares=*/false, gates);
  Value sum; // without the factor
  for (DecayHalves *product : products)
    if (product->hasPairs(pairs))
      sum = product->contract(sum);
  if (!sum)
    return;
  Value part = getFirst().scaled(sum, pairs);
  far = far ? arith::AddFOp::create(getFirst().getBuilder(), far, part) : part;
}

void JoinedProducts::takeStart(JoinedProducts &all, HalvedGates &gates) {
  if (all.total && term.weight && gates.terms.takeOther(term, all.total))
    far = std::exchange(all.total, {});
}

void JoinedProducts::endFar(HalvedGates &gates) {
  if (!far)
    return;
  gates.terms.addOther(term, far);
  addPart(far);
}

void JoinedProducts::add(TokenPairs pairs, bool prepares, HalvedGates &gates) {
  Value sum; // without the factor
  for (DecayHalves *product : products) {
    if (!product->hasPairs(pairs))
      continue;
    if (prepares)
      product->prepare(pairs);
    if (!product->isAlone(pairs)) {
      sum = product->contract(sum);
      continue;
    }
    Value part = product->multiply(pairs);
    addPart(part);
    addToGates(part, pairs, gates);
  }
  if (!sum)
    return;
  addPart(getFirst().scaled(sum, pairs));
  addToGates(sum, pairs, gates);
}

void JoinedProducts::begin(ArrayRef<Operation *> group) {
  if (owner)
    return;
  Operation *op = getFirst().getOp();
  auto user = op->hasOneUse() ? dyn_cast<arith::AddFOp>(*op->getUsers().begin())
                              : arith::AddFOp();
  if (!user || user.getLhs() == user.getRhs())
    return;
  Value rest = user.getOperand(user.getLhs() == op->getResult(0));
  bool isFirst =
      rest.getDefiningOp() || (group.size() > 2 && !rest.hasOneUse());
  if (!isFirst || !moveBefore(rest, group))
    return;
  total = rest;
  addition = user;
}

void JoinedProducts::replace(RewriterBase &rewriter) {
  if (addition || owner) {
    if (addition)
      rewriter.replaceOp(addition, total);
    for (DecayHalves *product : products)
      rewriter.eraseOp(product->getOp());
    return;
  }
  if (!total) {
    Operation *op = getFirst().getOp();
    ImplicitLocOpBuilder b(op->getLoc(), rewriter);
    TileBuilder tile(b,
                     cast<FloatType>(getElementTypeOrSelf(op->getResult(0))));
    total = tile.splat(0.0, shapeOf(op->getResult(0)));
  }
  rewriter.replaceOp(getFirst().getOp(), total);
  for (DecayHalves *product : llvm::drop_begin(products))
    rewriter.eraseOp(product->getOp());
}

void JoinedProducts::addToGates(Value product, TokenPairs pairs,
                                HalvedGates &gates) {
  // A token with itself leaves nothing.
  if (!term.weight || (pairs.near == 1 && term.isPaired))
    return;
  DecayHalves &first = getFirst();
  gates.terms.add(first.getBuilder(), term,
                  first.weighed(product, term.weight, pairs, gates.type));
}

void JoinedProducts::addPart(Value part) {
  if (owner)
    return owner->addPart(part);
  total = total ? arith::AddFOp::create(getFirst().getBuilder(), total, part)
                : part;
}
