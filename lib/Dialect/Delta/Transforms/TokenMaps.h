//===- TokenMaps.h - What is computed for each token by itself --*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A spec computes operands of its recurrence in maps of chunks of one token.
// The chunk program of the recurrence has them in chunks as long as its own, or
// computes them itself.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_TOKENMAPS_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_TOKENMAPS_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/IR/PatternMatch.h"

namespace mlir::wyvern::delta {

/// Gives the maps of one token that make operands of `op` chunks of `chunk`
/// tokens, with `getTileRows(n)` rows in tiles of n rows a token, 0 for a
/// chunk's. Diagnoses a map whose rows are not made each by itself.
LogicalResult widenTokenMaps(RecurrenceOp op, int64_t chunk,
                             function_ref<int64_t(int64_t)> getTileRows);

/// Computes in `program`, at the builder's place, what maps of its chunks make
/// for it and is little work: numbers a row, and rows that are sums and
/// products of rows as they come, with factors a row. Returns what is in the
/// place of the tiles of its ins; nothing reads these then. Past a sequence's
/// end only `masked` is zero. A step of decoding computes all of it.
llvm::SmallDenseMap<Value, Value> fuseTokenMaps(OpBuilder &builder,
                                                ChunkProgramOpInterface program,
                                                Value masked);

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_TOKENMAPS_H
