//===- CarryDependence.cpp - What a carry enters --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Analysis/CarryDependence.h"

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
