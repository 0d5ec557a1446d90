//===- SumParts.h - Sums over channels in parts -----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SUMPARTS_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SUMPARTS_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/IR/PatternMatch.h"

namespace mlir::wyvern::delta {

/// On a map that adds up what maps of parts have made of a sum: this is stored
/// in f32.
inline constexpr llvm::StringLiteral kSumOfPartsAttr = "delta.sum_of_parts";

/// True for pairs of tokens with a decay a channel, summed over the channels.
bool isSumOverChannels(Operation *op);

/// Returns a tile whose columns the sums of `map` over channels are over, if
/// there are such sums, made of more ins than queries and keys, and no product
/// that keeps the channels. Null otherwise.
Value findSummedChannels(ChunkMapOp map);

/// Part `number` of a sum, the result of an operation on all channels.
struct PartOfSum {
  Value whole;
  int64_t number;
};

/// Writes each sum of `map` over channels as one of `parts`. Each of them is a
/// clone of the operation, which stands for the sum over some of the channels,
/// and is in `members`.
void addUpParts(RewriterBase &rewriter, ChunkMapOp map, int64_t parts,
                llvm::DenseMap<Value, PartOfSum> &members);

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SUMPARTS_H
