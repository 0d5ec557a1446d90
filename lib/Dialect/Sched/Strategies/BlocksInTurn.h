//===- BlocksInTurn.h - A map whose chunks blocks do in turn ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Blocks that share a head each have a part of the state, and need all that the
// map makes: alone, each would make it for itself. As a cluster one makes it
// for all of them, and the next chunk's another one.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_SCHED_STRATEGIES_BLOCKSINTURN_H
#define WYVERN_LIB_DIALECT_SCHED_STRATEGIES_BLOCKSINTURN_H

#include "KernelFrame.h"
#include "RolePlan.h"

namespace mlir::wyvern::sched {

/// Makes the blocks of a head in `grid`, of which there are several, a cluster
/// that does the chunks of all roles of `plan` but the first in turn. Returns
/// false, with a remark of `pass`, where they do not reach or cannot send each
/// other what these make.
bool takeTurns(RolePlan &plan, Grid &grid, StringRef pass);

/// Lets the `blocks` blocks of a cluster, which divide the first role of `plan`
/// and some of the others, do the chunks of the rest in turn, but for a role
/// whose tiles they cannot send each other. Returns how many roles they do so.
unsigned takeTurnsBeside(RolePlan &plan, int64_t blocks);

} // namespace mlir::wyvern::sched

#endif // WYVERN_LIB_DIALECT_SCHED_STRATEGIES_BLOCKSINTURN_H
