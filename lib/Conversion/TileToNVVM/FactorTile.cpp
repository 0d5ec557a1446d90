//===- FactorTile.cpp - The tile a triangular factor is formed in -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FactorTile.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

/// Bytes of a row of a block of L, of a row of a copied block, and of half of
/// it.
static constexpr int64_t kBlockBytes = kStrip * 4;
static constexpr int64_t kCopyBytes = kStrip * 2;
static constexpr int64_t kHalfBytes = kCopyBytes / 2;

/// Copied blocks that have room for their low part in strip 1; the others' lies
/// in strip 2.
static constexpr int64_t kLowInStrip1 = 4;

/// Byte offset of copy `number` (of block (s, j): s (s + 1) / 2 + j) from the
/// tile's start, less 32 bytes for each copy before it.
static int64_t copyOrigin(int64_t rowBytes, bool low, bool inStrip1) {
  if (!low)
    return kBlockBytes;
  if (inStrip1)
    return kStrip * rowBytes + 2 * kBlockBytes;
  return 2 * kStrip * rowBytes + 3 * kBlockBytes - kLowInStrip1 * kCopyBytes;
}

FactorTile::FactorTile(Emitter &e, Value base, SmemType type)
    : e(e), base(base), rowBytes(type.getPaddedRowBytes()) {
  // Opaque: a dozen addresses follow from the thread's number, and hoisted out
  // of a loop they would take as many registers.
  Value thread = e.ptx("mov.u32 $0, %tid.x;", "=r", {}, e.i32()).front();
  warp = e.urem(e.udiv(thread, 32), kStrips);
  lane = e.urem(thread, 32);
  strip = e.add(base, e.mul(warp, kStrip * rowBytes));
}

Value FactorTile::at(Value row, Value column) {
  return e.add(e.add(strip, e.mul(row, rowBytes)), e.mul(column, 4));
}

Value FactorTile::atDiagonal(int64_t row, int64_t column) {
  Value diagonal = e.add(strip, e.mul(warp, kBlockBytes));
  return e.add(diagonal, row * rowBytes + column * 4);
}

Value FactorTile::copy(int64_t pair, int64_t half, bool low) {
  Value before = e.udiv(e.mul(warp, e.add(warp, 1)), 2);
  Value number = e.add(e.add(before, e.udiv(lane, kStrip)), 2 * pair);
  Value origin = e.c32(copyOrigin(rowBytes, low, /*inStrip1=*/true));
  if (low)
    origin =
        e.select(e.cmp(LLVM::ICmpPredicate::ult, number, e.c32(kLowInStrip1)),
                 origin, e.c32(copyOrigin(rowBytes, low, /*inStrip1=*/false)));
  Value row = e.add(base, e.mul(e.urem(lane, kStrip), rowBytes));
  Value inRow = e.add(e.mul(number, kCopyBytes), kHalfBytes * half);
  return e.add(e.add(row, origin), inRow);
}

Value FactorTile::isCopied(int64_t pair) {
  Value needed = e.cmp(LLVM::ICmpPredicate::ult, warp, e.c32(kStrips - 1));
  return e.band(needed, hasColumn(pair));
}

Value FactorTile::copiedBlock(int64_t s, int64_t j, bool low) {
  int64_t number = s * (s + 1) / 2 + j;
  int64_t offset =
      copyOrigin(rowBytes, low, number < kLowInStrip1) + number * kCopyBytes;
  // Matrices: columns 0-7 with rows 0-7, then 8-15; columns 8-15 likewise.
  Value matrix = e.udiv(lane, 8);
  Value column = e.add(e.urem(lane, 8), e.mul(e.udiv(matrix, 2), 8));
  Value half = e.mul(e.urem(matrix, 2), kHalfBytes);
  return e.add(e.add(e.add(base, e.mul(column, rowBytes)), half), offset);
}

Value FactorTile::hasBlock(int64_t j) {
  return e.cmp(LLVM::ICmpPredicate::uge, warp, e.c32(j));
}

Value FactorTile::hasColumn(int64_t pair) {
  Value column = e.add(lane, 32 * pair);
  Value width = e.mul(e.add(warp, 1), kStrip);
  return e.cmp(LLVM::ICmpPredicate::ult, column, width);
}
