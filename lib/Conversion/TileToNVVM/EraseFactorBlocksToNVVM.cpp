//===- EraseFactorBlocksToNVVM.cpp - The triangular factor by strips ----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Z = (I + L C)^-1 L with C = diag(c), by strips of 16 rows, a warp a strip:
//
//   1. P_s = (I + L_ss C_s)^-1 L_s, all columns of the strip: substitution in
//      fp32, two columns a lane. Block (s, s) of it is Z_ss.
//   2. Y_s = -C_s P_s is copied in f16 for the warps of later strips: the only
//      barrier.
//   3. Strip s takes the strips above it out, from right to left, on the tensor
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
// rounded to f16 is at most 2 (Y, which has a rate before it), far from its
// largest number 65504. docs/numerics.md has the errors.
//
//===----------------------------------------------------------------------===//

#include "FactorTile.h"
#include "Fragments.h"
#include "Patterns.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// Substitution works by halves of a strip, so that the registers of one are
/// free for the next, and by panels of rows, whose multipliers are one load.
constexpr int64_t kHalfStrip = kStrip / 2;
constexpr int64_t kPanel = 4;

//===----------------------------------------------------------------------===//
// Substitution
//===----------------------------------------------------------------------===//

/// Columns lane and lane + 32 of a strip: row by row, P as it becomes final.
/// Where the strip has no such column, a lane computes on what lies there, and
/// nothing of it is written.
class StripSubstitution {
public:
  StripSubstitution(FactorTile &tile, Value rates, bool split)
      : e(tile.e), tile(tile), rates(rates), split(split) {}

  void emit() {
    loadColumns(0);
    solveHalf(0);
    storeHalf(0);
    loadColumns(kHalfStrip);
    for (int64_t panel = 0; panel < kHalfStrip; panel += kPanel)
      for (int64_t i = kHalfStrip; i < kStrip; ++i)
        takeOut(i, panel, kPanel);
    solveHalf(kHalfStrip);
    storeHalf(kHalfStrip);
    syncWarp(e);
  }

private:
  /// Loads L, from row `first` on.
  void loadColumns(int64_t first) {
    for (int64_t i = first; i < first + kHalfStrip; ++i)
      for (int64_t pair = 0; pair < 2; ++pair)
        p[pair].push_back(
            e.loadShared(e.f32(), tile.at(i, e.add(tile.lane, 32 * pair))));
  }

  /// Makes the rows from `first` on final; those above are taken out already.
  void solveHalf(int64_t first) {
    for (int64_t panel = first; panel < first + kHalfStrip; panel += kPanel) {
      SmallVector<Value> c =
          e.loadSharedVector(e.f32(), kPanel, e.add(rates, panel * 4));
      for (int64_t i = panel; i < first + kHalfStrip; ++i) {
        if (i > panel)
          takeOut(i, panel, std::min(kPanel, i - panel));
        if (i < panel + kPanel)
          scale(i, c[i - panel]);
      }
    }
  }

  /// Takes `count` rows from `panel` on out of row `i`.
  void takeOut(int64_t i, int64_t panel, int64_t count) {
    SmallVector<Value> l =
        e.loadSharedVector(e.f32(), kPanel, tile.atDiagonal(i, panel));
    for (int64_t k = 0; k < count; ++k)
      for (int64_t pair = 0; pair < 2; ++pair)
        p[pair][i] = LLVM::FMAOp::create(e.builder, e.loc, l[k],
                                         y[pair][panel + k], p[pair][i]);
  }

  /// Row `i` of Y, from row `i` of P, which is final.
  void scale(int64_t i, Value rate) {
    Value negated = LLVM::FNegOp::create(e.builder, e.loc, rate);
    for (int64_t pair = 0; pair < 2; ++pair)
      y[pair].push_back(
          LLVM::FMulOp::create(e.builder, e.loc, negated, p[pair][i]));
  }

  /// Writes the rows from `first` on: P over L, and the copies of Y.
  void storeHalf(int64_t first) {
    // As multipliers the rows are of no more use, once all lanes have had them.
    syncWarp(e);
    for (int64_t pair = 0; pair < 2; ++pair) {
      for (int64_t i = first; i < first + kHalfStrip; ++i)
        storeSharedIf(e, tile.hasColumn(pair), p[pair][i],
                      tile.at(i, e.add(tile.lane, 32 * pair)));
      copyHalf(pair, first);
    }
  }

  /// Copies the rows from `first` on for the warps of later strips.
  void copyHalf(int64_t pair, int64_t first) {
    SmallVector<Value> high, low;
    for (int64_t i = first; i < first + kHalfStrip; i += 2) {
      Value upper = y[pair][i], lower = y[pair][i + 1];
      high.push_back(packHalves(e, upper, lower));
      low.push_back(packRemainders(e, upper, lower, high.back()));
    }
    Value copied = tile.isCopied(pair);
    int64_t half = first / kHalfStrip;
    storeSharedIf(e, copied, high, tile.copy(pair, half, /*low=*/false));
    if (split)
      storeSharedIf(e, copied, low, tile.copy(pair, half, /*low=*/true));
  }

  Emitter &e;
  FactorTile &tile;
  Value rates;
  bool split;
  SmallVector<Value> p[2], y[2];
};

//===----------------------------------------------------------------------===//
// Merges
//===----------------------------------------------------------------------===//

/// Takes the strips above out of this warp's strip, in the acc layout.
class StripMerge {
public:
  StripMerge(FactorTile &tile, bool split)
      : e(tile.e), tile(tile), split(split) {}

  /// Loads the strip; its blocks above the diagonal are zero.
  void loadStrip() {
    Value row = e.udiv(tile.lane, 4), column = e.mul(e.urem(tile.lane, 4), 2);
    for (int64_t j = 0; j < kStrips; ++j) {
      auto load = [&] {
        SmallVector<Value> block;
        for (int64_t right : {0, 8})
          for (int64_t down : {0, 8})
            block.append(e.loadSharedVector(
                e.f32(), 2,
                tile.at(e.add(row, down), e.add(column, kStrip * j + right))));
        return e.vectorOf(block);
      };
      Type type = VectorType::get({kBlockElements}, e.f32());
      Value block = j == 0 ? load()
                           : e.ifElse(tile.hasBlock(j), type, load,
                                      [&] { return e.zero(type); });
      strip.append(e.elements(block));
    }
  }

  Value emit() {
    for (int64_t k = kStrips - 2; k >= 0; --k)
      takeOut(k);
    return e.vectorOf(strip);
  }

private:
  /// Elements of a 16 x 16 block that a thread holds.
  static constexpr int64_t kBlockElements = kStrip * kStrip / 32;

  /// Takes strip `k` out. The next block to be an A operand comes first, so
  /// that its products are behind it when its turn is.
  void takeOut(int64_t k) {
    SmallVector<Value> high, low;
    loadOperand(k, high, low);
    for (int64_t j = k - 1; j >= 0; --j)
      multiply(high, low, k, j);
    multiply(high, low, k, k);
  }

  /// A: block `k` in f16, which is the acc layout register for register. Zero
  /// in the warps whose strip is not below strip `k`.
  void loadOperand(int64_t k, SmallVector<Value> &high,
                   SmallVector<Value> &low) {
    Value below = tile.hasBlock(k + 1);
    for (int64_t i = 0; i < kBlockElements; i += 2) {
      Value first = strip[kBlockElements * k + i];
      Value second = strip[kBlockElements * k + i + 1];
      Value packed = packHalves(e, first, second);
      Value rest = packRemainders(e, first, second, packed);
      high.push_back(e.select(below, packed, e.c32(0)));
      low.push_back(e.select(below, rest, e.c32(0)));
    }
  }

  void multiply(ArrayRef<Value> high, ArrayRef<Value> low, int64_t k,
                int64_t j) {
    SmallVector<Value> y = loadMatrices(e, tile.copiedBlock(k, j, false));
    multiplyBlock(high, y, j);
    if (!split)
      return;
    multiplyBlock(low, y, j);
    multiplyBlock(high, loadMatrices(e, tile.copiedBlock(k, j, true)), j);
  }

  /// Adds A B to block `j`, B as loaded by loadMatrices: two registers for each
  /// 8 of its columns.
  void multiplyBlock(ArrayRef<Value> a, ArrayRef<Value> b, int64_t j) {
    MutableArrayRef<Value> block(strip);
    block = block.slice(kBlockElements * j, kBlockElements);
    multiplyHalves(e, block.take_front(4), a, b.take_front(2));
    multiplyHalves(e, block.take_back(4), a, b.take_back(2));
  }

  Emitter &e;
  FactorTile &tile;
  bool split;
  SmallVector<Value> strip;
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
    StripSubstitution(tile, rates, split).emit();
    StripMerge merge(tile, split);
    merge.loadStrip();
    emitWarpgroupBarrier(e, op.getBarrierId(), /*proxy=*/false);
    rewriter.replaceOp(op, merge.emit());
    return success();
  }
};
} // namespace

void tile::populateEraseFactorBlocksPatterns(LLVMTypeConverter &converter,
                                             RewritePatternSet &patterns) {
  patterns.add<EraseFactorBlocksPattern>(converter, patterns.getContext());
}
