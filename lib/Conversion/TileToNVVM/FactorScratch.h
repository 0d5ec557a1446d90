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
/// Strips of a block of the factor.
constexpr int64_t kStripsOfBlock = kFactorBlock / kStrip;

/// The scratch tile of an erase_factor as one warp sees it. Strip s is rows
/// 16 s to 16 s + 15, block (s, j) its columns 16 j to 16 j + 15. It holds
///
///   * the rates, for each strip 16;
///   * the blocks on the diagonal, f32. A row is 24 words apart from the next
///     and the lower eight rows are 16 words further, so that neither the acc
///     layout's accesses (4 rows of 8 words) nor those by columns (16 words of
///     rows r and r + 8) meet in a bank;
///   * in the place of the block on the diagonal of a first strip, once it is
///     solved, a copy of its Y: 16 rows of 32 bytes of f16. The halves of rows
///     4 to 7 of each 8 are swapped, so that an ldmatrix reads all the banks;
///   * behind the place of such a copy in every block of strips 2 and 3, what
///     rounding takes away of their part of L_21, as the lanes hold it;
///   * where the last product has operands of two parts, as much for what this
///     rounding lost.
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

  /// Address that stmatrix and ldmatrix want of this lane for the copy of Y of
  /// this warp's block of the factor, or for that of what its rounding lost.
  Value copy(bool lost);

  /// Address of this lane's elements of what rounding takes away of block j of
  /// strip `strip` of L_21.
  Value rest(Value strip, int64_t j);

  /// The first strip of this warp's block of the factor.
  Value firstOfBlock();
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
