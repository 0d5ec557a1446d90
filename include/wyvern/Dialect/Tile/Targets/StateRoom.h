//===- StateRoom.h - Where a state's rounded copy is ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_TILE_TARGETS_STATEROOM_H
#define WYVERN_DIALECT_TILE_TARGETS_STATEROOM_H

#include "wyvern/Dialect/Tile/Targets/TargetInfo.h"

namespace mlir::wyvern::tile {

/// True if a warpgroup's registers have room for 64 rows of a state of so many
/// columns, for what its products read of it, rounded to 16 bits, and for two
/// of these products with 64 columns each, and a tile more that is made
/// meanwhile where it `combinesIns`. Where they have not, products read the
/// rounded state from shared memory.
inline bool holdsRoundedState(const TargetInfo &target, int64_t columns,
                              bool combinesIns) {
  constexpr int64_t kRows = 64, kThreads = 128;
  int64_t state = columns * kRows / kThreads, rounded = state / 2;
  int64_t tiles = combinesIns ? 3 : 2;
  return state + rounded + tiles * kRows * kRows / kThreads <=
         target.tileRegisters;
}

} // namespace mlir::wyvern::tile

#endif // WYVERN_DIALECT_TILE_TARGETS_STATEROOM_H
