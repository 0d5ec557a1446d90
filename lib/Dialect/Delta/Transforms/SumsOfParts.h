//===- SumsOfParts.h - Sums over channels that blocks divide ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SUMSOFPARTS_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SUMSOFPARTS_H

#include "wyvern/Dialect/Delta/Analysis/TileStorage.h"

#include "mlir/IR/PatternMatch.h"

namespace mlir::wyvern::delta {

/// On a map that adds up what maps of parts have made of a sum: this is stored
/// in f32, where sums over heads have 16 bits.
inline constexpr llvm::StringLiteral kSumOfPartsAttr = "delta.sum_of_parts";

/// True for a sum of the columns of a matrix from zero, a number a row, which
/// no out is: it may be added up of sums of some columns each.
bool isSumOfColumns(Operation &op);

/// True for pairs of tokens with a decay a channel, summed over the channels:
/// they too may be.
bool isSumOverPairs(Operation &op);

/// Returns a tile whose columns such sums of `map` are over; null where there
/// are none, or they are made of no more ins than queries and keys.
Value findSummedChannels(ChunkMapOp map);

/// Returns `storage` for as many heads as there are parts of each.
TileStorage storeParts(TileStorage storage, int64_t parts);

/// Returns `binding`, of an in with as many heads as there are parts of each,
/// for the part of number `part`.
BindingAttr bindMember(BindingAttr binding, int64_t parts, int64_t part);

/// Adds the other parts to in `number` of `map`, which is the first of `parts`:
/// what reads it reads their sum, in order. Marks a map of matrices.
void addMembers(RewriterBase &rewriter, ChunkMapOp map, unsigned number,
                int64_t parts);

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SUMSOFPARTS_H
