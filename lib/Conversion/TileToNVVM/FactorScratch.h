//===- FactorScratch.h - Where warps meet to form a factor --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_TILETONVVM_FACTORSCRATCH_H
#define WYVERN_LIB_CONVERSION_TILETONVVM_FACTORSCRATCH_H

#include "Emitter.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"

namespace mlir::wyvern::tile {

/// Rows of a strip: what one warp holds of an acc tile, and one step of K of an
/// mma.sync.
constexpr int64_t kStrip = 16;
constexpr int64_t kStrips = kAccRows / kStrip;

/// The scratch tile of an erase_factor as one warp sees it. Strip s is rows
/// 16 s to 16 s + 15, block (s, j) its columns 16 j to 16 j + 15. It holds
///
///   * the rates, for each strip 16;
///   * the blocks on the diagonal, f32. A row is 24 words apart from the next
///     and the lower eight rows are 16 words further, so that neither the acc
///     layout's accesses (4 rows of 8 words) nor those by columns (16 words of
///     rows r and r + 8) meet in a bank;
///   * in the place of strip s's block, once it is solved, copies of the blocks
///     (s, 0) to (s, s) of Y, s at most 2: 16 rows of 32 bytes of f16 each. The
///     halves of rows 4 to 7 of each 8 are swapped, so that an ldmatrix reads
///     all the banks;
///   * where merges have operands of two parts, as much for what this rounding
///     lost.
class FactorScratch {
public:
  FactorScratch(Emitter &e, Value base);

  /// Address of element (row, column) of this warp's strip of `l`, a tile of
  /// shared memory.
  Value element(Value l, Value row, Value column);

  /// Address of rate `row` of this warp's strip.
  Value rate(Value row);
  /// Address of element (row, column) of this warp's block on the diagonal;
  /// `row` is below 8, and 8 more with `lower`.
  Value diagonal(Value row, Value column, bool lower = false);
  /// The same of a row that is in the lower half where the lane says so.
  Value diagonal(Value row, Value column, Value isLower);
  /// Row and first column of this lane in 8 x 8 elements of the acc layout.
  Value row() { return e.udiv(lane, 4); }
  Value column() { return e.mul(e.urem(lane, 4), 2); }

  /// Address that stmatrix wants of this lane for the copy of block `j` of this
  /// warp's strip of Y, or for that of what its rounding lost.
  Value copy(Value j, bool lost);
  /// Address that ldmatrix wants of this lane for block (s, j) of Y.
  Value copiedBlock(int64_t s, int64_t j, bool lost);

  /// True if this warp has strip `s`.
  Value isStrip(int64_t s);
  /// True if this warp's strip is below strip `s`.
  Value isBelow(int64_t s);

  Emitter &e;
  Value warp, lane;

private:
  /// Where this lane's row of four matrices lies, from a copy's start.
  Value copiedRow();

  Value base, block;
};

} // namespace mlir::wyvern::tile

#endif // WYVERN_LIB_CONVERSION_TILETONVVM_FACTORSCRATCH_H
