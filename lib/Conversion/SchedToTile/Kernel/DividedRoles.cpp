//===- DividedRoles.cpp - What one block of a cluster does of a role ----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DividedRoles.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"

using namespace mlir;
using namespace mlir::wyvern;

/// Gives `value` the shape of one of `parts` blocks.
static void divideTile(Value value, int64_t parts,
                       const KernelOrientation &orientation) {
  std::optional<int64_t> dim = orientation.getDividedDim(value);
  if (!dim)
    return;
  SmallVector<int64_t> shape(tensorOf(value).getShape());
  shape[*dim] /= parts;
  value.setType(tensorOf(value).clone(shape));
}

/// Returns `splat`, which is one number or nothing throughout, of `shape`.
static Value reshapeSplat(OpBuilder &builder, Value splat,
                          ArrayRef<int64_t> shape) {
  Location loc = splat.getLoc();
  RankedTensorType type = tensorOf(splat).clone(shape);
  if (splat.getDefiningOp<tensor::EmptyOp>())
    return tensor::EmptyOp::create(builder, loc, shape, type.getElementType());
  if (auto fill = splat.getDefiningOp<linalg::FillOp>())
    return linalg::FillOp::create(
               builder, loc, fill.getInputs(),
               reshapeSplat(builder, fill.getOutputs().front(), shape))
        .getResult(0);
  return arith::ConstantOp::create(
      builder, loc, DenseElementsAttr::get(type, getSplatValue(splat)));
}

/// Returns the operands of `op` that have the shape of its result.
static SmallVector<OpOperand *> getOperandsLikeResult(Operation *op) {
  SmallVector<OpOperand *> operands;
  if (auto style = dyn_cast<DestinationStyleOpInterface>(op)) {
    for (OpOperand &init : style.getDpsInitsMutable())
      operands.push_back(&init);
  } else if (op->hasTrait<OpTrait::Elementwise>()) {
    for (OpOperand &operand : op->getOpOperands())
      if (isa<RankedTensorType>(operand.get().getType()))
        operands.push_back(&operand);
  }
  return operands;
}

/// Gives the operands of `op` that are to have its result's shape that one.
static LogicalResult matchOperands(Operation *op) {
  OpBuilder builder(op);
  for (OpOperand *operand : getOperandsLikeResult(op)) {
    Value value = operand->get();
    ArrayRef<int64_t> shape = tensorOf(op->getResult(0)).getShape();
    if (tensorOf(value).getShape() == shape)
      continue;
    if (!isSplat(value))
      return op->emitOpError()
             << "is of a divided role: expected operands of which a block has "
                "the same part as of the result, "
             << tensorOf(op->getResult(0)) << ", found " << tensorOf(value)
             << "; a tile that is used as a part and as a whole is to be made "
                "twice";
    operand->set(reshapeSplat(builder, value, shape));
  }
  return success();
}

/// Divides what all blocks have, of the operands of a sum that each has a
/// summand of, by their number: it is in the sum of all once.
static void shareOperands(Operation *op, int64_t blocks,
                          const KernelOrientation &orientation) {
  OpBuilder builder(op);
  for (OpOperand &operand : op->getOpOperands()) {
    Value value = operand.get();
    if (orientation.isSummand(value))
      continue;
    auto share = DenseElementsAttr::get(
        tensorOf(value),
        builder.getFloatAttr(tensorOf(value).getElementType(),
                             1.0 / static_cast<double>(blocks)));
    operand.set(arith::MulFOp::create(
        builder, op->getLoc(), value,
        arith::ConstantOp::create(builder, op->getLoc(), share)));
  }
}

LogicalResult wyvern::divideTiles(sched::KernelOp kernel,
                                  const KernelOrientation &orientation) {
  auto parts = static_cast<int64_t>(kernel.getSplit());
  for (sched::RoleOp role : kernel.getRoles()) {
    Block &block = role.getEachChunk().getBlock();
    for (Operation &op : llvm::make_early_inc_range(block))
      if (isa<arith::AddFOp, arith::SubFOp>(op) &&
          orientation.isSummand(op.getResult(0)))
        shareOperands(&op, parts, orientation);
    if (!role.getDivided())
      continue;
    for (Operation &op : block)
      for (Value result : op.getResults())
        divideTile(result, parts, orientation);
    for (Operation &op : llvm::make_early_inc_range(block))
      if (op.getNumResults() > 0 && !isSplat(op.getResult(0)) &&
          failed(matchOperands(&op)))
        return failure();
  }
  return success();
}
