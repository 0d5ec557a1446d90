//===- EraseFactorBlocksToNVVM.cpp - The triangular factor by strips ----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Z = (I + L C)^-1 L with C = diag(c), by strips of 16 rows, a warp a strip:
//
//   1. Z_ss, the block on the diagonal, in fp32: the columns of its 8 x 8
//   blocks
//      by substitution, a column a lane, then one product of these blocks.
//   2. The other blocks of the strip, with Z_ss known, on the tensor cores:
//
//        P_sj = L_sj - (Z_ss C_s) L_sj,   j = 0 ... s - 1;   P_ss = Z_ss
//
//   3. Y_s = -C_s P_s is copied in f16 for the warps of later strips: the only
//      barrier.
//   4. Strip s takes the strips above it out, from right to left, on the tensor
//      cores: for k = s - 1 ... 0, with A the f16 rounding of its block k,
//
//        block j  +=  A Y_kj,   j = 0 ... k
//
// In exact arithmetic block j of strip s is, once the strips from k on are
// taken out,
//
//     k_i^T (I - c_m k_m k_m^T) ... k_j      (rows m of these strips after j)
//
// for a row i and a column j. Keys of norm 1 and rates from 0 to 2 make every
// factor a map of norm at most 1, and decays make it smaller. So all that is
// rounded to f16 is at most 2 (Y and Z C, which have a rate), far from its
// largest number 65504.
//
// Warps do not branch: each computes on what its strip has no block for, and
// selects at the end.
//
//===----------------------------------------------------------------------===//

#include "FactorTile.h"
#include "Fragments.h"
#include "Patterns.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// Rows of what is substituted at once, and multipliers that are one load.
constexpr int64_t kSolved = kStrip / 2;
constexpr int64_t kPanel = 4;
/// Elements of a 16 x 16 block that a thread holds, in the acc layout: rows
/// lane / 4 and 8 below it, then the same 8 columns to the right.
constexpr int64_t kBlockElements = kStrip * kStrip / 32;

Value multiplyAdd(Emitter &e, Value a, Value b, Value c) {
  return LLVM::FMAOp::create(e.builder, e.loc, a, b, c);
}
Value multiplyNegated(Emitter &e, Value a, Value b) {
  Value negated = LLVM::FNegOp::create(e.builder, e.loc, a);
  return LLVM::FMulOp::create(e.builder, e.loc, negated, b);
}

//===----------------------------------------------------------------------===//
// The block on the diagonal
//===----------------------------------------------------------------------===//

/// Solves for a column of 8 rows a lane, and writes it over L:
///
///     lanes  0-7   Z_11      lanes  8-15  -C_1 Z_11
///     lanes 16-23  P_21      lanes 24-31  Z_22
///
/// of the 8 x 8 blocks, P_21 = (I + L_22 C_2)^-1 L_21.
void solveColumns(FactorTile &tile, Value rates) {
  Emitter &e = tile.e;
  Value lower = e.udiv(tile.lane, 16);
  Value column = e.urem(tile.lane, 16);
  Value isScaled =
      e.cmp(LLVM::ICmpPredicate::eq, e.udiv(tile.lane, kSolved), e.c32(1));
  Value source = e.select(isScaled, e.urem(column, kSolved), column);
  Value firstRow = e.mul(lower, kSolved);

  SmallVector<Value> c, p, y;
  for (int64_t panel = 0; panel < kSolved; panel += kPanel)
    c.append(e.loadSharedVector(
        e.f32(), kPanel, e.add(e.add(rates, e.mul(firstRow, 4)), panel * 4)));
  for (int64_t i = 0; i < kSolved; ++i) {
    p.push_back(
        e.loadShared(e.f32(), tile.atDiagonal(e.add(firstRow, i), source)));
    for (int64_t panel = 0; panel < i; panel += kPanel) {
      SmallVector<Value> l = e.loadSharedVector(
          e.f32(), kPanel,
          tile.atDiagonal(e.add(firstRow, i), e.add(firstRow, panel)));
      for (int64_t k = panel; k < std::min(i, panel + kPanel); ++k)
        p[i] = multiplyAdd(e, l[k - panel], y[k], p[i]);
    }
    y.push_back(multiplyNegated(e, c[i], p[i]));
  }
  // All lanes have had L.
  syncWarp(e);
  for (int64_t i = 0; i < kSolved; ++i)
    e.storeShared(e.select(isScaled, y[i], p[i]),
                  tile.atDiagonal(e.add(firstRow, i), column));
  syncWarp(e);
}

/// Returns Z_ss in the acc layout, from what solveColumns has written:
/// Z_21 = P_21 + P_21 (-C_1 Z_11).
SmallVector<Value> joinColumns(FactorTile &tile) {
  Emitter &e = tile.e;
  Value row = tile.row(), below = e.add(row, kSolved);
  Value column = tile.column(), right = e.add(column, kSolved);
  auto loadPair = [&](Value row, Value column) {
    return e.loadSharedVector(e.f32(), 2, tile.atDiagonal(row, column));
  };
  SmallVector<Value> z = loadPair(row, column), p;
  SmallVector<Value> z21 = loadPair(below, column);
  for (int64_t panel = 0; panel < kSolved; panel += kPanel)
    p.append(e.loadSharedVector(e.f32(), kPanel,
                                tile.atDiagonal(below, e.c32(panel))));
  for (int64_t k = 0; k < kSolved; ++k) {
    SmallVector<Value> y = loadPair(e.c32(k), right);
    for (int64_t i = 0; i < 2; ++i)
      z21[i] = multiplyAdd(e, p[k], y[i], z21[i]);
  }
  z.append(z21);
  z.append(2, e.zero(e.f32()));
  z.append(loadPair(below, right));
  return z;
}

//===----------------------------------------------------------------------===//
// The strip
//===----------------------------------------------------------------------===//

/// An operand of products of f16, and what it lost where that is wanted.
struct Halves {
  SmallVector<Value> high, low;
};

/// This warp's strip in the acc layout: block on the diagonal apart, and blocks
/// 0 to 2, which hold nothing of use where they are not left of it.
class Strip {
public:
  Strip(FactorTile &tile, Value rates, bool split)
      : e(tile.e), tile(tile), rates(rates), split(split) {}

  void emit(int64_t barrier) {
    for (int64_t j = 0; j < kStrips - 1; ++j)
      blocks.push_back(loadBlock(j));
    solveColumns(tile, rates);
    diagonal = joinColumns(tile);
    solveBlocks();
    copyBlocks();
    emitWarpgroupBarrier(e, barrier, /*proxy=*/false);
    for (int64_t k = kStrips - 2; k >= 0; --k)
      takeOut(k);
  }

  Value result() {
    SmallVector<Value> all;
    for (int64_t j = 0; j < kStrips; ++j)
      for (int64_t i = 0; i < kBlockElements; ++i) {
        Value left = j < kStrips - 1 ? blocks[j][i] : e.zero(e.f32());
        if (j > 0)
          left = e.select(tile.isBelow(j), left, e.zero(e.f32()));
        all.push_back(e.select(tile.isStrip(j), diagonal[i], left));
      }
    return e.vectorOf(all);
  }

private:
  SmallVector<Value> loadBlock(int64_t j) {
    SmallVector<Value> block;
    for (int64_t right : {0, 8})
      for (int64_t down : {0, 8})
        block.append(e.loadSharedVector(
            e.f32(), 2,
            tile.at(e.add(tile.row(), down),
                    e.add(tile.column(), kStrip * j + right))));
    return block;
  }

  /// P_sj: all blocks with one A operand.
  void solveBlocks() {
    SmallVector<Value> scaled;
    for (int64_t right : {0, 8}) {
      SmallVector<Value> c = e.loadSharedVector(
          e.f32(), 2, e.add(rates, e.mul(e.add(tile.column(), right), 4)));
      for (int64_t i = 0; i < kBlockElements / 2; ++i)
        scaled.push_back(multiplyNegated(e, c[i % 2], diagonal[right / 2 + i]));
    }
    // In two parts whatever the merges have: these products cancel most of L
    // where keys repeat, and of one part they would lose ten times as much as
    // the merges.
    Halves a = round(scaled, /*split=*/true);
    for (SmallVector<Value> &block : blocks) {
      Halves b = round(block, /*split=*/true);
      for (Value &matrix : b.high)
        matrix = transposeMatrix(e, matrix);
      for (Value &matrix : b.low)
        matrix = transposeMatrix(e, matrix);
      multiply(block, a, b);
    }
  }

  /// Copies the blocks of Y that later strips want.
  void copyBlocks() {
    Value c[2];
    for (int64_t down : {0, 1})
      c[down] = e.loadShared(
          e.f32(), e.add(rates, e.mul(e.add(tile.row(), 8 * down), 4)));
    Value isWanted =
        e.cmp(LLVM::ICmpPredicate::ult, tile.warp, e.c32(kStrips - 1));
    auto copy = [&](ArrayRef<Value> block, Value j, Value condition) {
      SmallVector<Value> y;
      for (auto [i, value] : llvm::enumerate(block))
        y.push_back(multiplyNegated(e, c[i / 2 % 2], value));
      Halves halves = round(y, split);
      storeMatricesIf(e, condition, halves.high, tile.copy(j, /*low=*/false));
      if (split)
        storeMatricesIf(e, condition, halves.low, tile.copy(j, /*low=*/true));
    };
    copy(diagonal, tile.warp, isWanted);
    // Of the strips that others want, the last is strip 2.
    for (int64_t j = 0; j < kStrips - 2; ++j)
      copy(blocks[j], e.c32(j), e.band(isWanted, tile.isBelow(j)));
  }

  /// Takes strip `k` out. The next block to be an A operand comes first, so
  /// that its products are behind it when its turn is.
  void takeOut(int64_t k) {
    Halves a = round(blocks[k], split);
    // A strip that is not below strip k has nothing to take out.
    for (SmallVector<Value> *registers : {&a.high, &a.low})
      for (Value &value : *registers)
        value = e.select(tile.isBelow(k), value, e.c32(0));
    for (int64_t j = k - 1; j >= 0; --j)
      multiplyCopied(a, k, j);
    multiplyCopied(a, k, k);
  }

  void multiplyCopied(const Halves &a, int64_t k, int64_t j) {
    Halves b;
    b.high = loadTransposed(e, tile.copiedBlock(k, j, /*low=*/false));
    if (split)
      b.low = loadTransposed(e, tile.copiedBlock(k, j, /*low=*/true));
    multiply(blocks[j], a, b);
  }

  /// Adds A B to `block`: two registers of B for each 8 of its columns.
  void multiply(MutableArrayRef<Value> block, const Halves &a,
                const Halves &b) {
    auto add = [&](ArrayRef<Value> a, ArrayRef<Value> b) {
      multiplyHalves(e, block.take_front(4), a, b.take_front(2));
      multiplyHalves(e, block.take_back(4), a, b.take_back(2));
    };
    add(a.high, b.high);
    if (a.low.empty())
      return;
    add(a.low, b.high);
    add(a.high, b.low);
  }

  /// Rounds a block to an operand: the acc layout, register for register.
  Halves round(ArrayRef<Value> block, bool split) {
    Halves halves;
    for (int64_t i = 0; i < kBlockElements; i += 2) {
      halves.high.push_back(packHalves(e, block[i], block[i + 1]));
      if (split)
        halves.low.push_back(
            packRemainders(e, block[i], block[i + 1], halves.high.back()));
    }
    return halves;
  }

  Emitter &e;
  FactorTile &tile;
  Value rates;
  bool split;
  SmallVector<Value> diagonal;
  SmallVector<SmallVector<Value>> blocks;
};

//===----------------------------------------------------------------------===//
// The pattern
//===----------------------------------------------------------------------===//

struct EraseFactorBlocksPattern : OpConversionPattern<EraseFactorBlocksOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(EraseFactorBlocksOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    bool split = op.getParts() == 2;
    FactorTile tile(e, adaptor.getL(), op.getL().getType());
    Value rates = e.add(adaptor.getRate(), e.mul(tile.warp, kStrip * 4));
    Strip strip(tile, rates, split);
    strip.emit(op.getBarrierId());
    rewriter.replaceOp(op, strip.result());
    return success();
  }
};
} // namespace

void tile::populateEraseFactorBlocksPatterns(LLVMTypeConverter &converter,
                                             RewritePatternSet &patterns) {
  patterns.add<EraseFactorBlocksPattern>(converter, patterns.getContext());
}
