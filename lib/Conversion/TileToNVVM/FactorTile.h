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
/// of Y in f16, "low" for what this rounding lost. A copy has its columns as
/// rows of 32 bytes, which is how ldmatrix gets the B operand of a product. A
/// column of the copy lies in a row of the tile, so that eight of them are in
/// all the banks.
class FactorTile {
public:
  FactorTile(Emitter &e, Value base, SmemType type);

  /// Address of an element of this warp's strip.
  Value at(Value row, Value column);
  Value at(int64_t row, Value column) { return at(e.c32(row), column); }
  /// Address of element (row, column) of this warp's block on the diagonal.
  Value atDiagonal(int64_t row, int64_t column);

  /// Address of rows 8 `half` and on of column lane + 32 `pair` of this warp's
  /// strip of Y, in the first copy or in that of what it lost.
  Value copy(int64_t pair, int64_t half, bool low);
  /// True where this lane has a column lane + 32 `pair` of a strip of Y that
  /// other warps need.
  Value isCopied(int64_t pair);
  /// Address that ldmatrix wants of this lane for block (s, j) of Y.
  Value copiedBlock(int64_t s, int64_t j, bool low);

  /// True if this warp's strip has columns 16 j and on.
  Value hasBlock(int64_t j);
  /// True if column lane + 32 `pair` is one of them.
  Value hasColumn(int64_t pair);

  Emitter &e;
  Value warp, lane;

private:
  Value base, strip;
  int64_t rowBytes;
};

} // namespace mlir::wyvern::tile

#endif // WYVERN_LIB_CONVERSION_TILETONVVM_FACTORTILE_H
