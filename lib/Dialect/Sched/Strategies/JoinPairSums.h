//===- JoinPairSums.h - Sums of several tiles of pairs at once --*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The gradient of a gate is the rows less the columns of each tile of pairs
// that decays. Rows and columns of a sum of tiles are summed once: exchanges
// between lanes, barriers and what is handed on once, for a tile that is held
// until the next one is there.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_SCHED_STRATEGIES_JOINPAIRSUMS_H
#define WYVERN_LIB_DIALECT_SCHED_STRATEGIES_JOINPAIRSUMS_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

namespace mlir::wyvern::sched {

/// Adds tiles of `map` whose rows less columns are added, before they are
/// summed. Returns how many differences there are less.
unsigned joinPairSums(delta::ChunkMapOp map);

} // namespace mlir::wyvern::sched

#endif // WYVERN_LIB_DIALECT_SCHED_STRATEGIES_JOINPAIRSUMS_H
