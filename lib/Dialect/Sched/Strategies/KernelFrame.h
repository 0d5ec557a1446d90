//===- KernelFrame.h - A kernel with nothing in it yet ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What every strategy does the same way: a kernel for the operands of a chunk
// program, roles, loads, and chunk operations moved into a role.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_SCHED_STRATEGIES_KERNELFRAME_H
#define WYVERN_LIB_DIALECT_SCHED_STRATEGIES_KERNELFRAME_H

#include "wyvern/Dialect/Delta/Analysis/SplitDim.h"
#include "wyvern/Dialect/Sched/IR/Sched.h"

namespace mlir::wyvern::sched {

/// How a kernel's blocks divide the work.
struct Grid {
  GridOver over = GridOver::sequences;
  int64_t run = 1;      ///< chunks a slot
  int64_t split = 1;    ///< blocks that share the split dimension
  bool cluster = false; ///< These blocks are one.
  int64_t minBlocks = 1;
  bool overlaps = false; ///< with the end of the kernel before
};

/// Returns the grid of the kernel of a scan with carries: a block for each
/// sequence, or, where carries start anew every few chunks, for each such run.
Grid getScanGrid(delta::ChunkScanOp scan);

/// What a kernel reads and writes; `outs` and `finals` are the values that its
/// results will replace.
struct KernelTensors {
  SmallVector<Value> ins, outs, inits, finals;
  SmallVector<Attribute> inBindings, outBindings, initBindings;
};

/// Returns what `program` reads and writes.
KernelTensors getTensors(delta::ChunkProgramOpInterface program);

/// Adds the pool that the carry of `program` is kept in, if it is no carry.
void addPool(KernelTensors &tensors, delta::ChunkProgramOpInterface program);

/// Creates an empty kernel in front of `program`, which says chunk, heads and
/// sequences, with these operands and results and an empty block.
KernelOp createKernel(OpBuilder &builder,
                      delta::ChunkProgramOpInterface program,
                      const KernelTensors &tensors, StringRef name,
                      const Grid &grid);

/// Creates a role at the end of `kernel` and places `builder` in it.
RoleOp createRole(OpBuilder &builder, KernelOp kernel, StringRef name,
                  int64_t warps);

/// Creates the loop of a role, in the direction of `program`, with its valid
/// tokens and `inits`, and places `builder` in front of its yield.
EachChunkOp createEachChunk(OpBuilder &builder, Location loc,
                            delta::Direction direction, ValueRange inits);

/// Returns the direction in which `program` visits its chunks; a map, which has
/// none, goes forward.
delta::Direction getDirection(delta::ChunkProgramOpInterface program);

/// Returns the split dimension of `scan`; diagnoses a scan where the products
/// of a `whole`, which is "chunk" or "token", leave none.
FailureOr<delta::TileDim> requireSplitDim(delta::ChunkScanOp scan,
                                          const delta::DimClasses &classes,
                                          StringRef whole);

/// Returns the split dimension's number of parts of 64, one accumulator's rows;
/// diagnoses a scan whose state cannot be shared.
FailureOr<int64_t> countSplitParts(delta::ChunkScanOp scan);

/// Returns the type in which a channel that TMA fills holds the tile of `in`:
/// matrices as they lie in memory, vectors in f32.
RankedTensorType getLoadedType(KernelOp kernel, BlockArgument in);

} // namespace mlir::wyvern::sched

#endif // WYVERN_LIB_DIALECT_SCHED_STRATEGIES_KERNELFRAME_H
