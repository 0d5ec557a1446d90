//===- Panels.h - Maps that go through their channels -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_SCHED_STRATEGIES_PANELS_H
#define WYVERN_LIB_DIALECT_SCHED_STRATEGIES_PANELS_H

#include "wyvern/Dialect/Delta/Analysis/DecayedProducts.h"

namespace mlir::wyvern::sched {

/// What a map makes of rows and gates alone, some channels at a time: its
/// products with a decay a channel.
struct Panels {
  delta::DecayedProducts products;
  SmallVector<unsigned> ins; ///< their numbers

  /// True for rows that leave from registers, as they are scaled.
  bool isScaled(Value tile) const;
};

/// Returns the panels of `map`: the rows have no place in shared memory.
/// Nothing for a map that does more with them, or reads nothing else.
std::optional<Panels> findPanels(delta::ChunkMapOp map);

} // namespace mlir::wyvern::sched

#endif // WYVERN_LIB_DIALECT_SCHED_STRATEGIES_PANELS_H
