//===- DecayTiles.cpp - Products as warps have them -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DecayTiles.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

/// Bytes of the rows of a product, and of all of it, in the scratch tile.
static constexpr int64_t kRowBytes = DecayedProductsOp::kProductPitch * 4,
                         kProductBytes = kAccRows * kRowBytes;
static constexpr int64_t kProducts = 2;

namespace {
class ProductsSpreader {
public:
  ProductsSpreader(Emitter &e, DecayedProductsOp op, const DecayPanels &panels,
                   DecayMade made)
      : e(e), op(op), panels(panels), made(std::move(made)),
        scratch(panels.getScratch()),
        lane(e.band(e.threadIdAgain(), e.c32(31))) {}

  SmallVector<Value> spread();

private:
  /// A block of rows and one of columns.
  struct Place {
    Value block, other;
  };
  /// Returns where tile `i` of three lies, by halves and by blocks.
  Place getNearPlace(int64_t i);
  Place getLevelPlace(int64_t i);
  void maskNear();
  Value getProductAddress(int64_t product, Value row, Value tile);
  void storeTile(int64_t tile, Value block, Value column);
  void storeOthers();
  void storeTiles();
  void storeZeros();
  Value loadProduct(int64_t product);

  int64_t countProducts() { return static_cast<int64_t>(op.getLeft().size()); }
  void sync() { emitWarpgroupBarrier(e, op.getBarrierId(), /*proxy=*/false); }

  Emitter &e;
  DecayedProductsOp op;
  const DecayPanels &panels;
  DecayMade made;
  Value scratch;
  Value lane; ///< asked for again: the loop would hold it
};
} // namespace

/// Drops what blocks with themselves have above the diagonal, and sets this.
void ProductsSpreader::maskNear() {
  Value row = e.udiv(lane, 4), zero = e.cf32(0);
  for (int64_t product = 0; product < countProducts(); ++product)
    for (int64_t half : {0, 1}) {
      Value diagonal = zero;
      if (op.getDiagonal()[product]) {
        diagonal = made.diagonals[2 * product + half];
        for (int64_t mask : {1, 2})
          diagonal = LLVM::FAddOp::create(e.builder, e.loc, diagonal,
                                          e.shuffleXor(diagonal, mask));
      }
      for (int64_t i : {0, 1}) {
        Value column = e.add(e.mul(e.urem(lane, 4), kRowElements), i);
        Value isBelow = e.cmp(LLVM::ICmpPredicate::ult, column, row);
        Value isOn = e.cmp(LLVM::ICmpPredicate::eq, column, row);
        Value &value =
            made.sums.getTile(near0 + half)[product * kRowElements + i];
        value = e.select(isBelow, value, e.select(isOn, diagonal, zero));
      }
    }
}

/// Returns the address of the lane's two elements of `row` of a product in
/// column tile `tile`. Rows have a gap, so that those of 8 lie in banks of
/// their own.
Value ProductsSpreader::getProductAddress(int64_t product, Value row,
                                          Value tile) {
  Value column =
      e.add(e.mul(tile, kDecayRows), e.mul(e.urem(lane, 4), kRowElements));
  Value byte = e.add(e.mul(row, kRowBytes), e.mul(column, 4));
  return e.add(e.add(scratch, byte), product * kProductBytes);
}

void ProductsSpreader::storeTile(int64_t tile, Value block, Value column) {
  Value row = e.add(e.mul(block, kDecayRows), e.udiv(lane, 4));
  for (int64_t n = 0; n < countProducts(); ++n)
    e.storeSharedVector(ArrayRef<Value>(made.sums.getTile(tile))
                            .slice(n * kRowElements, kRowElements),
                        getProductAddress(n, row, column));
}

/// Of the three tiles the first ones are those of the warp's first block.
ProductsSpreader::Place ProductsSpreader::getNearPlace(int64_t i) {
  Value warp = panels.getWarp();
  Value isFirst = e.cmp(LLVM::ICmpPredicate::ult, e.c32(i), warp);
  Value block = e.select(isFirst, panels.getBlock(0), panels.getBlock(1));
  Value other =
      e.select(isFirst, e.c32(i), e.sub(e.c32(i + kDecayBlocks / 2), warp));
  return {block, other};
}

/// The first of them is that of `next`.
ProductsSpreader::Place ProductsSpreader::getLevelPlace(int64_t i) {
  DecayLevel level = i == 0 ? DecayLevel::next : DecayLevel::middle32;
  Value later = e.select(panels.isLater(level, 0), panels.getBlock(0),
                         panels.getBlock(1));
  if (i == 0)
    return {later, e.bxor(later, e.c32(1))};
  return {later, e.add(e.band(later, e.c32(~int64_t{3})), i - 1)};
}

/// Stores the tiles that lie elsewhere by halves and by blocks.
void ProductsSpreader::storeOthers() {
  for (int64_t i = 0; i < kNearOthers; ++i) {
    Place near = getNearPlace(i), level = getLevelPlace(i);
    storeTile(nearOthers + i,
              e.select(made.isByHalves, near.block, level.block),
              e.select(made.isByHalves, near.other, level.other));
  }
}

void ProductsSpreader::storeTiles() {
  for (int64_t half : {0, 1})
    storeTile(near0 + half, panels.getBlock(half), panels.getBlock(half));
  storeOthers();
  for (int64_t i = 0; i < kDecayBlocks / 2; ++i)
    storeTile(middle64 + i, panels.getBlock(1), e.c32(i));
}

/// Stores what lies above the diagonal: 7 - w tiles of the first block's rows,
/// and w of the other one's.
void ProductsSpreader::storeZeros() {
  SmallVector<Value> zeros(kRowElements, e.cf32(0));
  for (int64_t i = 0; i < kDecayBlocks - 1; ++i) {
    // Tile w + 1 + i of block w, or tile i + 1 of block 7 - w.
    Value first = e.add(panels.getBlock(0), i + 1);
    Value isFirst = e.cmp(LLVM::ICmpPredicate::ult, first, e.c32(kDecayBlocks));
    Value block = e.select(isFirst, panels.getBlock(0), panels.getBlock(1));
    Value tile = e.select(isFirst, first, e.c32(i + 1));
    Value row = e.add(e.mul(block, kDecayRows), e.udiv(lane, 4));
    for (int64_t n = 0; n < countProducts(); ++n)
      e.storeSharedVector(zeros, getProductAddress(n, row, tile));
  }
}

/// Returns a product as results have it.
Value ProductsSpreader::loadProduct(int64_t product) {
  SmallVector<Value> values;
  Value row = AccPosition::get(e).row0;
  for (int64_t tile = 0; tile < kDecayBlocks; ++tile)
    for (int64_t half : {0, 1})
      llvm::append_range(
          values,
          e.loadSharedVector(
              e.f32(), kRowElements,
              getProductAddress(product, e.add(row, 8 * half), e.c32(tile))));
  return e.vectorOf(values);
}

SmallVector<Value> ProductsSpreader::spread() {
  maskNear();
  // The last panel's operands may lie there; all else has been read.
  if (getExchangeByte(op.getColumns()) < kProducts * kProductBytes)
    sync();
  storeTiles();
  storeZeros();
  sync();
  SmallVector<Value> products;
  for (int64_t n = 0; n < countProducts(); ++n)
    products.push_back(loadProduct(n));
  return products;
}

SmallVector<Value> tile::spreadProducts(Emitter &e, DecayedProductsOp op,
                                        const DecayPanels &panels,
                                        DecayMade made) {
  return ProductsSpreader(e, op, panels, std::move(made)).spread();
}
