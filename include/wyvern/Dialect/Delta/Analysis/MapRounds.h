//===- MapRounds.h - Maps that a block makes in rounds ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_ANALYSIS_MAPROUNDS_H
#define WYVERN_DIALECT_DELTA_ANALYSIS_MAPROUNDS_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

namespace mlir::wyvern::delta {

/// A map of sums over a head dimension in parts (`_ from a to b`), of which
/// each round adds what one part has. No tile of a part is read in another
/// round: what a round reads can make room for what the one after the next
/// does, and sums stay in registers.
struct MapRounds {
  /// Ins that come together, in order: first what several rounds read, if there
  /// is any, then each round's, then what is read behind them all.
  SmallVector<SmallVector<unsigned>> ins;
  /// Of each operation, with which of these it is made.
  llvm::DenseMap<Operation *, unsigned> turns;
  bool keepsFirst = false;  ///< the first ins are read by all rounds
  int64_t heldElements = 0; ///< of matrices that go on from one to the next

  /// Returns the most bytes that lie in shared memory at a time, where those of
  /// an in are `countBytes`: what is read, and what comes meanwhile.
  int64_t countBytes(function_ref<int64_t(unsigned)> countBytes) const;
};

/// Returns the rounds of `map`; nothing if it has not two of them.
std::optional<MapRounds> findRounds(ChunkMapOp map);

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_ANALYSIS_MAPROUNDS_H
