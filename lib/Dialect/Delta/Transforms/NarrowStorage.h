//===- NarrowStorage.h - 16-bit storage between programs --------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_NARROWSTORAGE_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_NARROWSTORAGE_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::wyvern::delta {

/// The tile that a chunk program sees of one of its ins; null for other
/// operands.
BlockArgument getTileOf(OpOperand &use);

/// True if chunk programs alone read `tensor`, all of them as a matrix or as
/// rounded; and, with `mayBeSaved`, a function that saves it.
bool isNarrowable(Value tensor, FloatType type, bool mayBeSaved);

/// Stores what goes from one chunk program to another in `type`, where it is a
/// matrix or is only read as rounded to `type`: the conversion at the program's
/// exit then rounds, and a reader's truncf is exact. Returns how many tensors.
unsigned narrowOuts(ChunkProgramOpInterface program, FloatType type);

/// The same for what a forward saves for its backward, in both signatures.
unsigned narrowResiduals(func::FuncOp forward, FloatType type);

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_NARROWSTORAGE_H
