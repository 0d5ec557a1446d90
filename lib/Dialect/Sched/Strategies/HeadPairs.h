//===- HeadPairs.h - Sums over pairs of heads, in a kernel ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_SCHED_STRATEGIES_HEADPAIRS_H
#define WYVERN_LIB_DIALECT_SCHED_STRATEGIES_HEADPAIRS_H

#include "FusedProgram.h"

#include "wyvern/Dialect/Sched/IR/Sched.h"

namespace mlir::wyvern::sched {

/// An out, by its number, that a map behind a program sums over pairs of heads,
/// and does no more than that.
struct PairSum {
  unsigned out;
  delta::ChunkMapOp map;
  int64_t bytes; ///< of half of a tile, which blocks hand each other
};

/// Returns the outs of the map of `program` that blocks of a pair of heads can
/// sum.
SmallVector<PairSum> findPairSums(const FusedProgram &program);

/// Lets `kernel` sum outs over pairs of heads, in the place of their maps.
void sumHeadPairs(KernelOp kernel, ArrayRef<PairSum> sums);

} // namespace mlir::wyvern::sched

#endif // WYVERN_LIB_DIALECT_SCHED_STRATEGIES_HEADPAIRS_H
