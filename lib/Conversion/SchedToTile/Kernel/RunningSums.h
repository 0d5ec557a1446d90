//===- RunningSums.h - Sums over the tokens so far --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_SCHEDTOTILE_KERNEL_RUNNINGSUMS_H
#define WYVERN_LIB_CONVERSION_SCHEDTOTILE_KERNEL_RUNNINGSUMS_H

#include "Operands.h"

namespace mlir::wyvern {

/// Builds the kernel `name` of `op` at the builder's place, in a program of
/// chunks of `chunk` tokens, or diagnoses what the GPU path does not take.
LogicalResult lowerRunningSum(OpBuilder &builder, delta::RunningSumOp op,
                              StringRef name, const TensorNames &names,
                              int64_t chunk);

/// Replaces `op` by the launch of its kernel, in a program of chunks of `chunk`
/// tokens.
void replaceByLaunch(delta::RunningSumOp op, StringRef name, int64_t chunk);

} // namespace mlir::wyvern

#endif // WYVERN_LIB_CONVERSION_SCHEDTOTILE_KERNEL_RUNNINGSUMS_H
