//===- FactorScratch.cpp - Where warps meet to form a factor ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FactorScratch.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

/// Bytes of all rates, and of a strip.
static constexpr int64_t kRates = kAccRows * 4;
static constexpr int64_t kStripBytes = kStrip * kStripRowBytes;
/// Bytes of 8 elements of 16 bits, and where Y begins in a row.
static constexpr int64_t kUnit = 16;
static constexpr int64_t kCopy = kStrip * 4;

static_assert(kRates + kStrips * kStripBytes == kFactorScratch * 4);

FactorScratch::FactorScratch(Emitter &e, Value base)
    : e(e), base(base), rates(base) {
  warp = e.urem(e.warpNumber(), kStrips);
  // A dozen addresses follow from it.
  lane = e.urem(e.threadIdAgain(), 32);
}

Value FactorScratch::getStrip(Value strip) {
  return e.add(e.add(base, kRates), e.mul(strip, kStripBytes));
}

Value FactorScratch::rate(int64_t row) {
  return e.add(e.add(rates, e.mul(warp, kStrip * 4)), row * 4);
}

Value FactorScratch::element(Value row, Value column) {
  return e.add(e.add(getStrip(warp), e.mul(row, kStripRowBytes)),
               e.mul(column, 4));
}

Value FactorScratch::copy(Value n, Value half, bool lost) {
  Value first = e.mul(e.udiv(warp, kStripsOfBlock), kStripsOfBlock);
  Value row = e.add(getStrip(first), e.mul(n, kStripRowBytes));
  Value swapped = e.bxor(half, e.urem(e.udiv(n, 4), 2));
  return e.add(e.add(row, e.mul(swapped, kUnit)),
               kCopy + (lost ? 2 * kUnit : 0));
}

Value FactorScratch::isSecond() {
  return e.cmp(LLVM::ICmpPredicate::ne, e.urem(warp, kStripsOfBlock), e.c32(0));
}

Value FactorScratch::isLower() {
  return e.cmp(LLVM::ICmpPredicate::uge, warp, e.c32(kStripsOfBlock));
}
