//===- FetchedIns.h - Ins without a place in shared memory ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_SCHED_STRATEGIES_FETCHEDINS_H
#define WYVERN_LIB_DIALECT_SCHED_STRATEGIES_FETCHEDINS_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

namespace mlir::wyvern::sched {

/// True if `map` sums rows of matrices, as with a decay a channel.
bool sumsRows(delta::ChunkMapOp map);

/// Returns the numbers of the ins that the role of `map` that computes should
/// take from memory itself, since a second block on the SM then finds room;
/// none, where one does so anyway or does not.
SmallVector<unsigned> findFetchedIns(delta::ChunkMapOp map);

} // namespace mlir::wyvern::sched

#endif // WYVERN_LIB_DIALECT_SCHED_STRATEGIES_FETCHEDINS_H
