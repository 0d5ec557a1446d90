//===- Adjoint.cpp - The reverse sweep over a block -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Adjoints/Adjoint.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Transforms/RegionUtils.h"

#include "wyvern/Dialect/Delta/Adjoints/AdjointOpInterface.cpp.inc"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// What an operation reads: its operands, and what its regions use from
/// outside.
static SmallVector<Value> getInputs(Operation *op) {
  llvm::SetVector<Value> captured;
  getUsedValuesDefinedAbove(op->getRegions(), captured);
  SmallVector<Value> inputs(op->getOperands());
  llvm::append_range(inputs, captured);
  return inputs;
}

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
  for (Value input : getInputs(def))
    getPrimal(input);
  b.clone(*def, primals);
  return primals.lookup(value);
}

LogicalResult Adjoint::sweep(Block &block) {
  SmallVector<Operation *> differentiated;
  for (Operation &op : block.without_terminator()) {
    if (llvm::none_of(getInputs(&op),
                      [&](Value input) { return isActive(input); }))
      continue;
    differentiated.push_back(&op);
    for (Value result : op.getResults())
      if (isa<FloatType>(getElementTypeOrSelf(result)))
        setActive(result);
  }
  for (Operation *op : llvm::reverse(differentiated)) {
    if (llvm::none_of(op->getResults(),
                      [&](Value result) { return getGradient(result); }))
      continue;
    auto rule = dyn_cast<AdjointOpInterface>(op);
    if (!rule)
      return op->emitOpError()
             << "has no derivative rule, but a gradient goes through it; write "
                "it with operations that have one, or implement "
                "AdjointOpInterface";
    b.setLoc(op->getLoc());
    if (failed(rule.buildAdjoint(*this)))
      return failure();
  }
  return success();
}
