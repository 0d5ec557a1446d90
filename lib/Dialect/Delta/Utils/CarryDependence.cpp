//===- CarryDependence.cpp - What a carry enters --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Utils/CarryDependence.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

CarryDependence::CarryDependence(ChunkProgramOpInterface program) {
  for (unsigned i = 0; i < program.getInits().size(); ++i)
    values.insert(program.getCarryArg(i));
  for (Operation &op : program.getBlock().without_terminator())
    if (llvm::any_of(op.getOperands(),
                     [&](Value operand) { return reaches(operand); }))
      values.insert(op.result_begin(), op.result_end());
}

bool delta::isCheap(Operation *op) {
  return op->hasTrait<OpTrait::ConstantLike>() ||
         op->hasTrait<OpTrait::Elementwise>() ||
         isa<tensor::EmptyOp, linalg::FillOp, linalg::BroadcastOp,
             linalg::ElementwiseOp, MaskRowsOp, RepeatRowsOp>(op);
}
