//===- SplitStorage.h - A matrix in two 16-bit parts ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SPLITSTORAGE_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SPLITSTORAGE_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/IR/PatternMatch.h"

namespace mlir::wyvern::delta {

/// What rounding took away from a tile: `tile - rounded`, in the type of
/// `tile`.
Value createRemainder(OpBuilder &builder, Value tile, Value rounded);

/// Gives every out of `program` with rows of tokens that a vector is summed
/// from a second out with its remainder, which the readers that sum add again;
/// their products take the first alone. Expects the operands of products to be
/// rounded. The number of outs.
unsigned splitOuts(RewriterBase &rewriter, ChunkProgramOpInterface program,
                   FloatType type);

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SPLITSTORAGE_H
