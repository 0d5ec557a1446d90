//===- TileLayoutTest.cpp - Who holds what, and where it lies -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The address arithmetic that convert-tile-to-nvvm emits, evaluated for every
// thread and compared with the formulas of Tile_LayoutAttr and Tile_SmemType.
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/TypeSwitch.h"
#include "gtest/gtest.h"

#include <map>
#include <set>

using namespace mlir;
using namespace mlir::wyvern::tile;

namespace {

/// What `value` is in thread `thread`.
int64_t evaluate(Value value, int64_t thread) {
  auto binary = [&](auto op, auto function) {
    return function(evaluate(op.getLhs(), thread),
                    evaluate(op.getRhs(), thread));
  };
  return llvm::TypeSwitch<Operation *, int64_t>(value.getDefiningOp())
      .Case([&](NVVM::ThreadIdXOp) { return thread; })
      .Case([](LLVM::ConstantOp op) {
        return cast<IntegerAttr>(op.getValue()).getInt();
      })
      .Case([&](LLVM::AddOp op) { return binary(op, std::plus<int64_t>()); })
      .Case([&](LLVM::MulOp op) {
        return binary(op, std::multiplies<int64_t>());
      })
      .Case(
          [&](LLVM::UDivOp op) { return binary(op, std::divides<int64_t>()); })
      .Case(
          [&](LLVM::URemOp op) { return binary(op, std::modulus<int64_t>()); })
      .Case([&](LLVM::AndOp op) { return binary(op, std::bit_and<int64_t>()); })
      .Case(
          [&](LLVM::XOrOp op) { return binary(op, std::bit_xor<int64_t>()); });
}

class TileLayoutTest : public ::testing::Test {
protected:
  TileLayoutTest() : builder(&context), module(ModuleOp::create(loc())) {
    context.loadDialect<TileDialect, LLVM::LLVMDialect, NVVM::NVVMDialect>();
    builder.setInsertionPointToStart(module->getBody());
  }

  Location loc() { return UnknownLoc::get(&context); }

  MLIRContext context;
  OpBuilder builder;
  OwningOpRef<ModuleOp> module;
};

TEST_F(TileLayoutTest, EveryElementOfAnAccTileHasOneHolder) {
  constexpr int64_t columns = 24;
  Emitter e(builder, loc());
  AccPosition at = AccPosition::get(e);
  int64_t count = LayoutAttr::get(&context, LayoutKind::acc)
                      .getElementsPerThread({kAccRows, columns});

  std::map<std::pair<int64_t, int64_t>, int> holders;
  // A second warpgroup of the block holds a tile of its own, in the same
  // places.
  for (int64_t thread = kWarpgroupThreads; thread < 2 * kWarpgroupThreads;
       ++thread) {
    int64_t row0 = evaluate(at.row0, thread), col0 = evaluate(at.col0, thread);
    int64_t warp = thread / 32 % 4, lane = thread % 32;
    for (int64_t i = 0; i < count; ++i) {
      int64_t row = row0 + AccPosition::rowOffset(i);
      int64_t col = col0 + AccPosition::colOffset(i);
      // Element i = 4 j + 2 r + c of the formula.
      int64_t j = i / 4, r = i / 2 % 2, c = i % 2;
      EXPECT_EQ(row, 16 * warp + lane / 4 + 8 * r);
      EXPECT_EQ(col, 8 * j + 2 * (lane % 4) + c);
      ++holders[{row, col}];
    }
  }
  EXPECT_EQ(holders.size(), size_t(kAccRows * columns));
  for (auto [place, number] : holders) {
    EXPECT_EQ(number, 1) << place.first << ", " << place.second;
    EXPECT_LT(place.first, kAccRows);
    EXPECT_LT(place.second, columns);
  }
}

TEST_F(TileLayoutTest, SwizzledUnitsAreAPermutation) {
  for (auto [rows, columns] :
       {std::pair<int64_t, int64_t>(64, 64), {64, 128}, {32, 64}, {8, 192}}) {
    auto tile =
        SmemType::get(&context, {rows, columns}, BFloat16Type::get(&context));
    constexpr int64_t base = 4096;
    std::set<int64_t> addresses;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; c += 8) {
        Emitter e(builder, loc());
        int64_t address = evaluate(
            swizzledAddress(e, e.c32(base), tile, e.c32(r), e.c32(c)), 0);
        EXPECT_EQ(address, base + c / 64 * rows * 128 + r * 128 +
                               ((2 * (c % 64)) ^ (16 * (r % 8))));
        EXPECT_EQ(address % 16, 0);
        EXPECT_LT(address - base, tile.getSizeInBytes());
        addresses.insert(address);
      }
    EXPECT_EQ(addresses.size(), size_t(rows * columns / 8));
  }
}

TEST_F(TileLayoutTest, EightRowsOfOneColumnAreInDifferentBanks) {
  // What the swizzle is for: ldmatrix reads 16 bytes of each of eight rows.
  auto tile = SmemType::get(&context, {64, 64}, BFloat16Type::get(&context));
  for (int64_t c = 0; c < 64; c += 8) {
    std::set<int64_t> banks;
    for (int64_t r = 8; r < 16; ++r) {
      Emitter e(builder, loc());
      banks.insert(
          evaluate(swizzledAddress(e, e.c32(0), tile, e.c32(r), e.c32(c)), 0) %
          128);
    }
    EXPECT_EQ(banks.size(), 8u) << "column " << c;
  }
}

} // namespace
