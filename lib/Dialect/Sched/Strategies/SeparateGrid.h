//===- SeparateGrid.h - How the blocks of separate kernels divide work --*- C++
//-*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_SCHED_STRATEGIES_SEPARATEGRID_H
#define WYVERN_DIALECT_SCHED_STRATEGIES_SEPARATEGRID_H

#include "KernelFrame.h"

namespace mlir::wyvern::sched {

/// Blocks that an SM should hold of maps that multiply by what they have
/// computed, and hold more at a time: as many as leave each other registers.
constexpr int64_t kStagingMapBlocks = 2;

/// Returns how the blocks of `program` divide its work. Fails, with a message,
/// where the split dimension of a scan cannot be divided.
FailureOr<Grid> chooseGrid(delta::ChunkProgramOpInterface program,
                           bool hasPanels, bool ofRuns);

/// Returns the numbers of the ins that a chunk of `program` reads: one may be
/// there to say how many tokens there are, and nothing else. All, if none is.
SmallVector<unsigned> findReadIns(delta::ChunkProgramOpInterface program);

/// Returns how many chunks of the ins fit into a block's shared memory, but no
/// more than `most` and no less than one.
int64_t fitDepth(delta::ChunkProgramOpInterface program, KernelOp kernel,
                 int64_t most);

} // namespace mlir::wyvern::sched

#endif // WYVERN_DIALECT_SCHED_STRATEGIES_SEPARATEGRID_H
