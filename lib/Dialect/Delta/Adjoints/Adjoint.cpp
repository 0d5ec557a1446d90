//===- Adjoint.cpp - The reverse sweep over a block -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Adjoints/Adjoint.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include "wyvern/Dialect/Delta/Adjoints/AdjointOpInterface.cpp.inc"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

void Adjoint::addGradient(Value value, Value gradient) {
  if (!isActive(value))
    return;
  Value &sum = gradients[value];
  sum = sum ? arith::AddFOp::create(b, sum, gradient).getResult() : gradient;
}

void Adjoint::addProduct(Value value, Value lhs, Value rhs,
                         ArrayRef<AffineMap> maps) {
  if (!isActive(value))
    return;
  TileBuilder tile = tiles(value);
  Value &sum = gradients[value];
  if (!sum)
    sum = tile.splat(0.0, shapeOf(value));
  sum = tile.contract(lhs, rhs, sum, maps);
}

Value Adjoint::getPrimal(Value value) {
  if (Value known = primals.lookupOrNull(value))
    return known;
  Operation *def = value.getDefiningOp();
  Value primal;
  if (auto rule = dyn_cast_or_null<AdjointOpInterface>(def))
    primal = rule.rematerialize(cast<OpResult>(value), *this);
  if (!primal)
    primal = getGiven(value);
  if (primal) {
    primals.map(value, primal);
    return primal;
  }
  assert(def && "a block argument is given");
  for (Value operand : def->getOperands())
    getPrimal(operand);
  b.clone(*def, primals);
  return primals.lookup(value);
}

LogicalResult Adjoint::sweep(Block &block) {
  for (Operation &op : block.without_terminator())
    if (llvm::any_of(op.getOperands(),
                     [&](Value operand) { return isActive(operand); }))
      for (Value result : op.getResults())
        if (isa<FloatType>(getElementTypeOrSelf(result)))
          setActive(result);
  for (Operation &op : llvm::drop_begin(llvm::reverse(block))) {
    bool hasGradient = llvm::any_of(op.getResults(), [&](Value result) {
      return isActive(result) && getGradient(result);
    });
    if (!hasGradient)
      continue;
    auto rule = dyn_cast<AdjointOpInterface>(op);
    if (!rule)
      return op.emitOpError()
             << "has no derivative rule, but a gradient goes through it; write "
                "it with operations that have one, or implement "
                "AdjointOpInterface";
    b.setLoc(op.getLoc());
    if (failed(rule.buildAdjoint(*this)))
      return failure();
  }
  return success();
}
