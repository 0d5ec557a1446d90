//===- FactorTile.h - The tile a triangular factor is formed in ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_TILETONVVM_FACTORTILE_H
#define WYVERN_LIB_CONVERSION_TILETONVVM_FACTORTILE_H

#include "Emitter.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"

namespace mlir::wyvern::tile {

/// Rows of a strip: what one warp holds of an acc tile, and one step of K of an
/// mma.sync.
constexpr int64_t kStrip = 16;
constexpr int64_t kStrips = kAccRows / kStrip;

/// The 64 x 64 f32 tile of an erase_factor_blocks as one warp sees it. Strip s
/// is rows 16 s to 16 s + 15, block (s, j) its columns 16 j to 16 j + 15. The
/// blocks above the diagonal hold no L; 16-bit copies lie there instead:
///
///            block 0   1      2      3
///   strip 0  L         high   high   high
///   strip 1  L         L      low    low
///   strip 2  L         L      L      low
///   strip 3  L         L      L      L
///
/// "high" is room for the blocks (0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)
/// of Y in f16, "low" for what this rounding lost. A row of a copy lies in a
/// row of the tile, so that eight of them are in all the banks.
class FactorTile {
public:
  FactorTile(Emitter &e, Value base, SmemType type);

  /// Address of an element of this warp's strip.
  Value at(Value row, Value column);
  /// Address of element (row, column) of this warp's block on the diagonal.
  Value atDiagonal(Value row, Value column);
  /// Row and first column of this lane in 8 x 8 elements of the acc layout.
  Value row() { return e.udiv(lane, 4); }
  Value column() { return e.mul(e.urem(lane, 4), 2); }

  /// Address that stmatrix wants of this lane for the copy of block `j` of this
  /// warp's strip of Y, or for that of what it lost.
  Value copy(Value j, bool low);
  /// Address that ldmatrix wants of this lane for block (s, j) of Y.
  Value copiedBlock(int64_t s, int64_t j, bool low);

  /// True if this warp has strip `s`.
  Value isStrip(int64_t s);
  /// True if this warp's strip is below strip `s`.
  Value isBelow(int64_t s);

  Emitter &e;
  Value warp, lane;

private:
  /// Where this lane's row of four matrices lies, from the copy's origin.
  Value copiedRow();

  Value base, strip;
  int64_t rowBytes;
};

} // namespace mlir::wyvern::tile

#endif // WYVERN_LIB_CONVERSION_TILETONVVM_FACTORTILE_H
