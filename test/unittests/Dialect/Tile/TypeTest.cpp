//===- TypeTest.cpp - Sizes and places of tiles ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/IR/Builders.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace mlir::wyvern::tile;

namespace {

class TileTypeTest : public ::testing::Test {
protected:
  TileTypeTest() { context.loadDialect<TileDialect>(); }

  SmemType smem(ArrayRef<int64_t> shape, Type element) {
    return SmemType::get(&context, shape, element);
  }
  Type bf16() { return BFloat16Type::get(&context); }
  Type f32() { return Float32Type::get(&context); }

  int64_t perThread(LayoutKind kind, ArrayRef<int64_t> shape) {
    return LayoutAttr::get(&context, kind).getElementsPerThread(shape);
  }

  MLIRContext context;
};

TEST_F(TileTypeTest, ElementsOfAThread) {
  // 128 threads share a matrix; the four threads of a row share its columns.
  EXPECT_EQ(perThread(LayoutKind::acc, {64, 64}), 32);
  EXPECT_EQ(perThread(LayoutKind::acc, {64, 8}), 4);
  EXPECT_EQ(perThread(LayoutKind::row, {64}), 2);
  EXPECT_EQ(perThread(LayoutKind::col, {64}), 16);
  // Every warp has all of it, a part of a lane's share may be nobody's.
  EXPECT_EQ(perThread(LayoutKind::warp, {64}), 2);
  EXPECT_EQ(perThread(LayoutKind::warp, {40}), 2);
}

TEST_F(TileTypeTest, LayoutOfATensor) {
  RankedTensorType tile = getTileType({64, 32}, f32(), LayoutKind::acc);
  EXPECT_EQ(getLayout(tile), LayoutKind::acc);
  EXPECT_EQ(getLayout(RankedTensorType::get({64, 32}, f32())), std::nullopt);
  EXPECT_EQ(getLayout(f32()), std::nullopt);
}

TEST_F(TileTypeTest, SizesInSharedMemory) {
  EXPECT_EQ(smem({64, 128}, bf16()).getSizeInBytes(), 64 * 128 * 2);
  EXPECT_EQ(smem({64, 128}, bf16()).getAlignment(), 1024);
  EXPECT_EQ(smem({64}, f32()).getSizeInBytes(), 256);
  // Padded rows: a column of a scratch matrix is not in one bank.
  EXPECT_EQ(smem({65, 64}, f32()).getPaddedRowBytes(), 64 * 4 + 16);
  EXPECT_EQ(smem({65, 64}, f32()).getSizeInBytes(), 65 * (64 * 4 + 16));
  EXPECT_EQ(smem({65, 64}, f32()).getAlignment(), 16);
}

TEST_F(TileTypeTest, TilesOfARingDoNotOverlap) {
  // Vectors between swizzled tiles: all their stages leave one gap behind them.
  SmallVector<Type> tiles = {smem({64, 64}, bf16()), smem({64}, f32()),
                             smem({32, 64}, bf16()), smem({64}, f32()),
                             smem({3}, f32())};
  auto ring = RingType::get(&context, 3, tiles, Fill::tma);
  int64_t end = 0, transaction = 0;
  for (auto [i, type] : llvm::enumerate(tiles)) {
    auto tile = cast<SmemType>(type);
    EXPECT_GE(ring.getTileOffset(i), end) << "tile " << i;
    EXPECT_EQ(ring.getTileOffset(i) % tile.getAlignment(), 0) << "tile " << i;
    EXPECT_GE(ring.getTileStride(i), tile.getSizeInBytes()) << "tile " << i;
    EXPECT_EQ(ring.getTileStride(i) % tile.getAlignment(), 0) << "tile " << i;
    end = ring.getTileOffset(i) + 3 * ring.getTileStride(i);
    if (tile.isSwizzled())
      transaction += tile.getSizeInBytes();
  }
  EXPECT_EQ(ring.getTileBytes(), end);
  // The vectors' 3 * 256 bytes are padded once, not in every stage.
  EXPECT_EQ(ring.getTileOffset(2), 3 * 64 * 64 * 2 + 1024);
  // TMA brings matrices; vectors are the producer warp's own writes.
  EXPECT_EQ(ring.getTransactionBytes(), transaction);
  // Behind the tiles a full and an empty barrier of 8 bytes for each stage.
  EXPECT_EQ(ring.getBarrierBytes(), 3 * 16);
}

} // namespace
