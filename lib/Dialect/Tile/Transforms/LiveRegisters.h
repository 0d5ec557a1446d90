//===- LiveRegisters.h - Registers that tiles hold ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_TILE_TRANSFORMS_LIVEREGISTERS_H
#define WYVERN_LIB_DIALECT_TILE_TRANSFORMS_LIVEREGISTERS_H

#include "wyvern/Dialect/Tile/IR/Tile.h"

namespace mlir::wyvern::tile {

/// Registers of a thread that hold `value`: its share of a tile or vector, in
/// flight or not. None for what is a choice of other registers (a broadcast), a
/// constant or a mask.
int64_t countRegisters(Value value);

/// How many registers of a thread hold tiles behind each operation of a block.
/// Below, a chain of elementwise operations runs element by element: what is
/// between two of them is in no register for long.
class LiveRegisters {
public:
  /// Awaits are where they stand with `arePlaced`, else before the first read
  /// of what they await: that is as far as they can move.
  explicit LiveRegisters(Block &block, bool arePlaced = false);

  /// Tiles live right behind `op`, an operation of the block.
  int64_t after(Operation *op) const { return live.lookup(op); }

private:
  DenseMap<Operation *, int64_t> live;
};

} // namespace mlir::wyvern::tile

#endif // WYVERN_LIB_DIALECT_TILE_TRANSFORMS_LIVEREGISTERS_H
