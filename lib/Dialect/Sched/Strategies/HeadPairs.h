//===- HeadPairs.h - Sums over pairs of heads, in a kernel ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_SCHED_STRATEGIES_HEADPAIRS_H
#define WYVERN_LIB_DIALECT_SCHED_STRATEGIES_HEADPAIRS_H

#include "wyvern/Dialect/Sched/IR/Sched.h"

namespace mlir::wyvern::sched {

/// Lets `kernel` sum its outs over pairs of heads, where maps behind it do no
/// more than that: they are erased, and its blocks are clusters of a pair.
/// Returns how many outs it sums.
int64_t sumHeadPairs(KernelOp kernel);

} // namespace mlir::wyvern::sched

#endif // WYVERN_LIB_DIALECT_SCHED_STRATEGIES_HEADPAIRS_H
