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
/// Bytes from a row of a strip in the scratch tile to the next: 8 words more
/// than it has.
constexpr int64_t kStripRowBytes = (kFactorBlock + 8) * 4;

/// The scratch tile of a factor as one warp sees it. Strip s is rows
/// 16 s to 16 s + 15 of the block of 32 columns on the diagonal. It holds
///
///   * the rates, for each strip 16;
///   * the strips, f32, once they are solved. Rows are 40 words apart: neither
///     the acc layout's accesses (4 rows of 8 words) nor those of a row meet in
///     a bank;
///   * right of the diagonal in a first strip, where the solution is zero, its
///     Y transposed: row n is column n of Y, 16 f16 and 16 for what rounding
///     them lost. The halves of rows 4 to 7 of each 8 are swapped, so that an
///     ldmatrix reads all the banks.
class FactorScratch {
public:
  FactorScratch(Emitter &e, Value base);

  /// Address of rate `row` of this warp's strip: in the scratch tile, unless
  /// all rates lie elsewhere.
  Value rate(int64_t row);
  void setRates(Value place) { rates = place; }
  /// Address of the rate of a row of any strip, where all lie elsewhere.
  Value rateOf(Value row) { return e.add(rates, e.mul(row, 4)); }
  /// Address of element (row, column) of this warp's strip.
  Value element(Value row, Value column);
  /// Row and first column of this lane in 8 x 8 elements of the acc layout.
  Value row() { return e.udiv(lane, 4); }
  Value column() { return e.mul(e.urem(lane, 4), 2); }

  /// Address of rows 8 `half` to 8 `half` + 7 of column n of Y of this warp's
  /// block of the factor, or of what their rounding lost.
  Value copy(Value n, Value half, bool lost);

  /// True if this warp has the second strip of its block.
  Value isSecond();
  /// True if this warp has a strip of the second block.
  Value isLower();

  Emitter &e;
  Value warp, lane;

private:
  /// Where the rows of strip `strip` begin.
  Value getStrip(Value strip);

  Value base, rates;
};

} // namespace mlir::wyvern::tile

#endif // WYVERN_LIB_CONVERSION_TILETONVVM_FACTORSCRATCH_H
