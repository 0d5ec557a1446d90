//===- Starts.h - Carries that start from what a role makes -----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_SCHED_STRATEGIES_STARTS_H
#define WYVERN_LIB_DIALECT_SCHED_STRATEGIES_STARTS_H

#include "KernelFrame.h"

namespace mlir::wyvern::sched {

/// Returns the constant or identity that carry `i` of `program` starts from
/// everywhere, if a map writes it for this alone or a fill does, and nobody
/// reads what the carry ends in: a role makes it in registers, and no tensor of
/// it is needed. Null for every other carry.
Operation *findStart(delta::ChunkProgramOpInterface program, unsigned i);

/// True if nothing of what `map` writes is read, once roles make the starts
/// that they can.
bool makesStartsAlone(delta::ChunkMapOp map);

/// Returns what the kernel of `program` reads and writes: no carries that roles
/// make the start of.
KernelTensors getOwnTensors(delta::ChunkProgramOpInterface program);

/// Creates what the carries of `program` start from in the role that `builder`
/// stands in: operations that make it there, or loads of the inits of `kernel`.
SmallVector<Value> createStarts(OpBuilder &builder,
                                delta::ChunkProgramOpInterface program,
                                KernelOp kernel);

/// Stores what the carries end in behind `loop`, where somebody reads it.
void storeFinals(OpBuilder &builder, delta::ChunkProgramOpInterface program,
                 KernelOp kernel, EachChunkOp loop);

/// Replaces the outs and finals of `tensors` by the results of their kernel.
void replaceByKernel(const KernelTensors &tensors, KernelOp kernel);

} // namespace mlir::wyvern::sched

#endif // WYVERN_LIB_DIALECT_SCHED_STRATEGIES_STARTS_H
