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

/// Splits every out of `program` with rows of tokens that some reader sums to a
/// vector: a second out holds what rounding took away. Readers that sum add
/// both; products read the first. Expects the operands of products to be
/// rounded. Returns the number of outs that it split.
unsigned splitOuts(RewriterBase &rewriter, ChunkProgramOpInterface program,
                   FloatType type);

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SPLITSTORAGE_H
