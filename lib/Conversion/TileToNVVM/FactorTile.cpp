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

Value FactorTile::atDiagonal(Value row, Value column) {
  return e.add(at(row, column), e.mul(warp, kBlockBytes));
}

Value FactorTile::copiedRow() {
  // Matrices: rows 0-7 with columns 0-7, rows 8-15; columns 8-15 likewise.
  Value matrix = e.udiv(lane, 8);
  Value row = e.add(e.urem(lane, 8), e.mul(e.urem(matrix, 2), 8));
  Value half = e.mul(e.udiv(matrix, 2), kHalfBytes);
  return e.add(e.add(base, e.mul(row, rowBytes)), half);
}

Value FactorTile::copy(Value j, bool low) {
  Value number = e.add(e.udiv(e.mul(warp, e.add(warp, 1)), 2), j);
  Value origin = e.c32(copyOrigin(rowBytes, low, /*inStrip1=*/true));
  if (low)
    origin =
        e.select(e.cmp(LLVM::ICmpPredicate::ult, number, e.c32(kLowInStrip1)),
                 origin, e.c32(copyOrigin(rowBytes, low, /*inStrip1=*/false)));
  return e.add(e.add(copiedRow(), origin), e.mul(number, kCopyBytes));
}

Value FactorTile::copiedBlock(int64_t s, int64_t j, bool low) {
  int64_t number = s * (s + 1) / 2 + j;
  int64_t offset =
      copyOrigin(rowBytes, low, number < kLowInStrip1) + number * kCopyBytes;
  return e.add(copiedRow(), offset);
}

Value FactorTile::isStrip(int64_t s) {
  return e.cmp(LLVM::ICmpPredicate::eq, warp, e.c32(s));
}

Value FactorTile::isBelow(int64_t s) {
  return e.cmp(LLVM::ICmpPredicate::ugt, warp, e.c32(s));
}
