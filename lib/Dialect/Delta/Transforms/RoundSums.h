//===- RoundSums.h - Sums that go on in registers ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_ROUNDSUMS_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_ROUNDSUMS_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/IR/PatternMatch.h"

namespace mlir::wyvern::delta {

/// Writes sums of products, part for part (`cutSums`), as what a block adds up
/// in rounds: each product starts from the sum so far.
void addInRounds(RewriterBase &rewriter, ChunkMapOp map);

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_ROUNDSUMS_H
