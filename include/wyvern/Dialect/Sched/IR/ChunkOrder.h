//===- ChunkOrder.h - The roles of one chunk, in one order ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_SCHED_IR_CHUNKORDER_H
#define WYVERN_DIALECT_SCHED_IR_CHUNKORDER_H

#include "wyvern/Dialect/Sched/IR/Sched.h"

namespace mlir::wyvern::sched {

/// What the roles of a kernel do in one chunk.
struct ChunkOrder {
  /// The operations of all roles but the yields, so that tiles are put before
  /// they are gotten. Those of one role are in its own order.
  SmallVector<Operation *> ops;
  /// Where roles wait for each other, the `sched.get` that each stops at.
  SmallVector<GetOp> waiting;
};

/// Returns the order in which one processor can run a chunk of all roles.
ChunkOrder orderChunk(KernelOp kernel);

} // namespace mlir::wyvern::sched

#endif // WYVERN_DIALECT_SCHED_IR_CHUNKORDER_H
