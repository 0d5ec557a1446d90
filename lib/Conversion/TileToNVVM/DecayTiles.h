//===- DecayTiles.h - Products as warps have them -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The 16 x 8 products of a warp, 8 rows of the first product and the same 8 of
// the second one, are by columns:
//
//   near0, near1 each of its blocks with itself: from lanes' own registers
//   nearOthers   by halves: its first block with those in front of it, then the
//                other one with those of its half, three in all
//   next         by blocks: the odd one of its blocks with that in front of it
//   middle32     by blocks: blocks 2 and 3, or 6 and 7, of which it has one,
//                with the two in front of these
//   middle64     the last one of its blocks with blocks 0 to 3
//
// so that all warps have as many.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_TILETONVVM_DECAYTILES_H
#define WYVERN_LIB_CONVERSION_TILETONVVM_DECAYTILES_H

#include "DecayPanels.h"

namespace mlir::wyvern::tile {

/// The numbers of the tiles.
enum DecayTile : int64_t {
  near0,
  near1,
  next,
  middle32,
  middle64 = 5,
  numTiles = 9,
  nearOthers = next
};
constexpr int64_t kNearOthers = middle64 - nearOthers;
/// Elements of such a tile that a lane has: two of each product's row.
constexpr int64_t kTileElements = 4, kRowElements = 2;

/// Tile `i` of nearOthers: which of its blocks warp `warp` multiplies, and by
/// which other one.
struct NearOther {
  int64_t half, other;
};
constexpr NearOther getNearOther(int64_t warp, int64_t i) {
  return i < warp ? NearOther{0, i} : NearOther{1, kDecayBlocks / 2 + i - warp};
}

/// The sums of all products as they go through the loop.
class DecaySums {
public:
  explicit DecaySums(Emitter &e)
      : values(numTiles * kTileElements, e.cf32(0)) {}
  explicit DecaySums(ValueRange values) : values(values) {}

  MutableArrayRef<Value> getTiles(int64_t first, int64_t count) {
    return MutableArrayRef(values).slice(first * kTileElements,
                                         count * kTileElements);
  }
  MutableArrayRef<Value> getTile(int64_t tile) { return getTiles(tile, 1); }

  SmallVector<Value> values;
};

/// What the loop has made.
struct DecayMade {
  DecaySums sums;
  /// Of each product and block of the warp the lane's sum of the products of a
  /// row with itself.
  SmallVector<Value> diagonals;
  Value isByHalves;
};

/// Returns the products as results have them, through the scratch tile: a lane
/// has two elements of each product's row.
SmallVector<Value> spreadProducts(Emitter &e, DecayedProductsOp op,
                                  const DecayPanels &panels, DecayMade made);

} // namespace mlir::wyvern::tile

#endif // WYVERN_LIB_CONVERSION_TILETONVVM_DECAYTILES_H
