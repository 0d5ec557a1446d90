//===- FactorScratch.cpp - Where warps meet to form a factor ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FactorScratch.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

/// Bytes of all rates.
static constexpr int64_t kRates = kAccRows * 4;
/// Bytes of a row of a block on the diagonal, how much further its lower half
/// lies, and the block in all.
static constexpr int64_t kRow = 24 * 4;
static constexpr int64_t kSkew = 16 * 4;
static constexpr int64_t kBlock = kStrip * kRow + kSkew;
/// Bytes of half a row of a copy, of a copy, and the number of copies.
static constexpr int64_t kHalf = kStrip;
static constexpr int64_t kCopy = kStrip * 2 * kHalf;

/// Where copies of what the rounding lost begin.
static constexpr int64_t kLostOrigin = kRates + kStrips * kBlock;
/// Bytes of a strip of what rounding L_21 takes away.
static constexpr int64_t kRest = kStrip * kFactorBlock * 2;

static_assert(kCopy + kRest <= kBlock,
              "both take the place of the block on the diagonal");

FactorScratch::FactorScratch(Emitter &e, Value base) : e(e), base(base) {
  // A dozen addresses follow from it.
  Value thread = e.threadIdAgain();
  warp = e.urem(e.udiv(thread, 32), kStrips);
  lane = e.urem(thread, 32);
  block = e.add(e.add(base, kRates), e.mul(warp, kBlock));
}

Value FactorScratch::element(Value l, Value row, Value column) {
  int64_t rowBytes =
      SmemType::get(e.builder.getContext(), {kAccRows, kAccRows}, e.f32())
          .getPaddedRowBytes();
  Value strip = e.add(l, e.mul(warp, kStrip * rowBytes));
  return e.add(e.add(strip, e.mul(row, rowBytes)), e.mul(column, 4));
}

Value FactorScratch::rate(Value row) {
  return e.add(e.add(base, e.mul(warp, kStrip * 4)), e.mul(row, 4));
}

Value FactorScratch::diagonal(Value row, Value column, bool lower) {
  Value address = e.add(e.add(block, e.mul(row, kRow)), e.mul(column, 4));
  return lower ? e.add(address, kStrip / 2 * kRow + kSkew) : address;
}

Value FactorScratch::diagonal(Value row, Value column, Value isLower) {
  Value further = e.select(isLower, e.c32(kStrip / 2 * kRow + kSkew), e.c32(0));
  return e.add(diagonal(row, column), further);
}

Value FactorScratch::copiedRow() {
  // Matrices: rows 0-7 with columns 0-7, rows 8-15; columns 8-15 likewise.
  Value matrix = e.udiv(lane, 8);
  Value row = e.add(e.urem(lane, 8), e.mul(e.urem(matrix, 2), 8));
  Value half = e.bxor(e.udiv(matrix, 2), e.urem(e.udiv(lane, 4), 2));
  return e.add(e.mul(row, 2 * kHalf), e.mul(half, kHalf));
}

Value FactorScratch::copy(bool lost) {
  Value first = e.add(e.add(base, kRates), e.mul(firstOfBlock(), kBlock));
  if (lost)
    first = e.add(e.add(base, kLostOrigin),
                  e.mul(e.udiv(warp, kStripsOfBlock), kCopy));
  return e.add(first, copiedRow());
}

Value FactorScratch::rest(Value strip, int64_t j) {
  Value first = e.add(e.add(base, kRates + kCopy), e.mul(strip, kBlock));
  return e.add(e.add(first, j * kRest / kStripsOfBlock),
               e.mul(lane, kRest / kStripsOfBlock / 32));
}

Value FactorScratch::firstOfBlock() {
  return e.mul(e.udiv(warp, kStripsOfBlock), kStripsOfBlock);
}

Value FactorScratch::isStrip(int64_t s) {
  return e.cmp(LLVM::ICmpPredicate::eq, warp, e.c32(s));
}

Value FactorScratch::isBelow(int64_t s) {
  return e.cmp(LLVM::ICmpPredicate::ugt, warp, e.c32(s));
}
