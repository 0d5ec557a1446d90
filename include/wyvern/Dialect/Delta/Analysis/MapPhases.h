//===- MapPhases.h - Maps that a block makes in two phases ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_ANALYSIS_MAPPHASES_H
#define WYVERN_DIALECT_DELTA_ANALYSIS_MAPPHASES_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "llvm/ADT/SetVector.h"

namespace mlir::wyvern::delta {

/// A map that adds products of ins, the terms of states, to the sums of
/// products with a decay a channel. No in is read in both phases, but for the
/// gates that the first one sums: what the first phase reads can make room for
/// what the second one does.
struct MapPhases {
  /// Operations of the first phase, with all that they need.
  llvm::SmallPtrSet<Operation *, 32> first;
  /// Ins that each phase reads.
  SmallVector<unsigned> firstIns, secondIns;
  /// Of the latter, those of which the first one reads running sums.
  SmallVector<unsigned> summed;
};

/// Returns the phases of `map`, before or behind delta-halve-decay; nothing if
/// it has not two of them.
std::optional<MapPhases> findPhases(ChunkMapOp map);

/// True for a matrix that is read behind all products of its block alone, and
/// is no vector that is spread.
bool isReadBehindProducts(Value value);

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_ANALYSIS_MAPPHASES_H
