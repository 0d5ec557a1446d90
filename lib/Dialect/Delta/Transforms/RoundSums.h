//===- RoundSums.h - Sums that go on in registers ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_ROUNDSUMS_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_ROUNDSUMS_H

#include "MapPlan.h"

#include "mlir/IR/PatternMatch.h"

namespace mlir::wyvern::delta {

/// Columns of a round, and what parts of a sum have a multiple of: what
/// delta-pad-dims pads to.
inline constexpr int64_t kRoundColumns = 64;

/// Writes, before `map`, a map of the same outs that adds its sums in rounds of
/// `kRoundColumns`, each product starting from the sum so far. Null, and
/// nothing written, where it has no such sums or a block with `room` has no
/// room for what two rounds load and all that it computes.
ChunkMapOp cutInRounds(RewriterBase &rewriter, ChunkMapOp map, MapRoom room);

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_ROUNDSUMS_H
