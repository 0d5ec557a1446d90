//===- MapOfRuns.h - A map whose blocks load ahead --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Blocks of most maps have one chunk, and hide what they wait for behind other
// blocks of their SM. Where the tiles of one chunk fill more than half of the
// shared memory there is no other block. Such a map's block visits a run of
// chunks, and loads a tile of the next one as soon as nothing reads it in this
// one.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_SCHED_STRATEGIES_MAPOFRUNS_H
#define WYVERN_LIB_DIALECT_SCHED_STRATEGIES_MAPOFRUNS_H

#include "KernelFrame.h"

namespace mlir::wyvern::sched {

/// Returns true if the ins of a chunk of `map` leave no room for those of
/// another block, it sums no rows of matrices, which takes registers and memory
/// of its own, it is not made in rounds, and its outs are two roles' work. (One
/// role alone has no registers left to visit more than one chunk.)
bool visitsRuns(delta::ChunkMapOp map);

/// Writes the roles of such a map into its empty kernel: two that compute, each
/// some of the outs, and one that loads.
void writeMapOfRuns(OpBuilder &builder, delta::ChunkMapOp map, KernelOp kernel);

} // namespace mlir::wyvern::sched

#endif // WYVERN_LIB_DIALECT_SCHED_STRATEGIES_MAPOFRUNS_H
