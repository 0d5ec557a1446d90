//===- KernelCost.h - What a kernel is estimated to take --------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Estimates in cycles of an SM, from the operations of a kernel's roles and the
// numbers of the module's target. They say which of several schedules of one
// program is faster, and are no promise of a time.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_SCHED_ANALYSIS_KERNELCOST_H
#define WYVERN_DIALECT_SCHED_ANALYSIS_KERNELCOST_H

#include "wyvern/Dialect/Sched/IR/Sched.h"

namespace mlir::wyvern::sched {

/// What a role does in one chunk, for one of its groups of warps.
struct RoleCost {
  /// Cycles of the warps, which do one thing after the other.
  int64_t laneCycles = 0;
  /// Cycles of triangular systems, most of them waits of one row for another.
  int64_t solveCycles = 0;
  /// Cycles of the longest chain of products, which run beside the warps.
  int64_t productCycles = 0;
  /// Cycles of the tensor cores for all groups.
  int64_t tensorCycles = 0;
  /// Cycles of states that leave every chunk, for all groups: their bytes wait
  /// for the SM's share of the memory.
  int64_t storeCycles = 0;
  /// Bytes that this block stores like all others of its head.
  int64_t repeatedBytes = 0;

  int64_t getCycles() const {
    return laneCycles + solveCycles + productCycles + storeCycles;
  }
};

/// What a block does in one chunk.
struct KernelCost {
  int64_t stepCycles = 0; ///< if it is alone on its SM
  int64_t stepWork = 0;   ///< of what blocks of an SM share
  int64_t stepBytes = 0;  ///< of device memory
  /// Before and after all steps, beside what every block takes.
  int64_t blockCycles = 0;
};

/// Estimates what one group of warps of a role does in a chunk.
RoleCost estimateRole(RoleOp role);

/// Estimates what a block of a kernel does in a chunk.
KernelCost estimateKernel(KernelOp kernel);

} // namespace mlir::wyvern::sched

#endif // WYVERN_DIALECT_SCHED_ANALYSIS_KERNELCOST_H
