//===- RunningSum.h - Tensors and angles of delta.running_sum --*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_UTILS_RUNNINGSUM_H
#define WYVERN_DIALECT_DELTA_UTILS_RUNNINGSUM_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::wyvern::delta {

/// Returns how a chunk program would bind what `op` is a sum of, and the sums;
/// its init and total without `ofTokens`.
BindingAttr bindRunningSum(RunningSumOp op, bool ofTokens);

/// Returns `angle`, a number or a tile, less a multiple of 2 pi: between -pi
/// and pi.
Value createWrapped(ImplicitLocOpBuilder &b, Value angle);

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_UTILS_RUNNINGSUM_H
