//===- FetchedIns.h - Ins without a place in shared memory ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_SCHED_STRATEGIES_FETCHEDINS_H
#define WYVERN_LIB_DIALECT_SCHED_STRATEGIES_FETCHEDINS_H

#include "wyvern/Dialect/Delta/Analysis/MapPhases.h"
#include "wyvern/Dialect/Delta/Analysis/MapRounds.h"

namespace mlir::wyvern::sched {

/// True if `map` sums rows of matrices, as with a decay a channel.
bool sumsRows(delta::ChunkMapOp map);

/// Returns the numbers of the ins that the role of `map` that computes should
/// take from memory itself, since a second block on the SM then finds room, or
/// the one block; none, where they do so anyway or do not.
SmallVector<unsigned> findFetchedIns(delta::ChunkMapOp map);

/// Returns the phases of `map`, if a second block on the SM finds room where
/// the ins of the second phase take the place of those of the first, and none
/// otherwise.
std::optional<delta::MapPhases> findGainfulPhases(delta::ChunkMapOp map);

/// Returns the rounds of `map`, if a block with all its ins leaves no room for
/// another one, and has room for those of one round and of the next.
std::optional<delta::MapRounds> findGainfulRounds(delta::ChunkMapOp map);

/// Returns the bytes of the largest matrix among `outs` of `map`, which leave
/// through shared memory one after the other.
int64_t countStoredBytes(delta::ChunkMapOp map, ArrayRef<unsigned> outs);

} // namespace mlir::wyvern::sched

#endif // WYVERN_LIB_DIALECT_SCHED_STRATEGIES_FETCHEDINS_H
