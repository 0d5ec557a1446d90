//===- EraseFactorToNVVM.cpp - The triangular factor, by strips ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Z = (I + L C)^-1 L with C = diag(c), by strips of 16 rows, a warp a strip:
//
// L is in registers, or in shared memory, from where it is read when it is
// needed.
//
//   1. Z_ss, the block on the diagonal, in fp32: the columns of its 8 x 8
//      blocks by substitution, a column a lane, then one product of these.
//   2. The other blocks of the strip, with Z_ss known, on the tensor cores, in
//      operands of two f16 each:
//
//        P_sj = L_sj - (Z_ss C_s) L_sj,   j = 0 ... s - 1;   P_ss = Z_ss
//
//   3. Y_s = -C_s P_s is copied in f16 for the warps of later strips, which a
//      barrier is for.
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

#include "FactorScratch.h"
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
/// of the 8 x 8 blocks, P_21 = (I + L_22 C_2)^-1 L_21. L is the tile `shared`,
/// or, where that is null, in the scratch tile itself.
void solveColumns(FactorScratch &scratch, Value shared) {
  Emitter &e = scratch.e;
  auto element = [&](Value row, Value column, Value isLower) {
    if (!shared)
      return scratch.diagonal(row, column, isLower);
    Value further = e.select(isLower, e.c32(kSolved), e.c32(0));
    return scratch.element(shared, e.add(row, further),
                           e.add(column, e.mul(scratch.warp, kStrip)));
  };
  Value isLower = e.cmp(LLVM::ICmpPredicate::uge, scratch.lane, e.c32(kStrip));
  Value column = e.urem(scratch.lane, kStrip);
  Value isScaled =
      e.cmp(LLVM::ICmpPredicate::eq, e.udiv(scratch.lane, kSolved), e.c32(1));
  Value source = e.select(isScaled, e.urem(column, kSolved), column);
  Value first = e.select(isLower, e.c32(kSolved), e.c32(0));

  SmallVector<Value> c, p, y;
  for (int64_t panel = 0; panel < kSolved; panel += kPanel)
    c.append(
        e.loadSharedVector(e.f32(), kPanel, scratch.rate(e.add(first, panel))));
  for (int64_t i = 0; i < kSolved; ++i) {
    Value row = e.c32(i);
    p.push_back(e.loadShared(e.f32(), element(row, source, isLower)));
    for (int64_t panel = 0; panel < i; panel += kPanel) {
      SmallVector<Value> l = e.loadSharedVector(
          e.f32(), kPanel, element(row, e.add(first, panel), isLower));
      for (int64_t k = panel; k < std::min(i, panel + kPanel); ++k)
        p[i] = multiplyAdd(e, l[k - panel], y[k], p[i]);
    }
    y.push_back(multiplyNegated(e, c[i], p[i]));
  }
  // All lanes have had L.
  syncWarp(e);
  for (int64_t i = 0; i < kSolved; ++i)
    e.storeShared(e.select(isScaled, y[i], p[i]),
                  scratch.diagonal(e.c32(i), column, isLower));
  syncWarp(e);
}

/// Returns Z_ss in the acc layout, from what solveColumns has written:
/// Z_21 = P_21 + P_21 (-C_1 Z_11).
SmallVector<Value> joinColumns(FactorScratch &scratch) {
  Emitter &e = scratch.e;
  Value row = scratch.row();
  Value column = scratch.column(), right = e.add(column, kSolved);
  auto loadPair = [&](Value row, Value column, bool lower) {
    return e.loadSharedVector(e.f32(), 2, scratch.diagonal(row, column, lower));
  };
  SmallVector<Value> z = loadPair(row, column, /*lower=*/false), p;
  SmallVector<Value> z21 = loadPair(row, column, /*lower=*/true);
  for (int64_t panel = 0; panel < kSolved; panel += kPanel)
    p.append(e.loadSharedVector(
        e.f32(), kPanel, scratch.diagonal(row, e.c32(panel), /*lower=*/true)));
  for (int64_t k = 0; k < kSolved; ++k) {
    SmallVector<Value> y = loadPair(e.c32(k), right, /*lower=*/false);
    for (int64_t i = 0; i < 2; ++i)
      z21[i] = multiplyAdd(e, p[k], y[i], z21[i]);
  }
  z.append(z21);
  z.append(2, e.zero(e.f32()));
  z.append(loadPair(row, right, /*lower=*/true));
  return z;
}

//===----------------------------------------------------------------------===//
// The strip
//===----------------------------------------------------------------------===//

/// This warp's strip in the acc layout: block on the diagonal apart, and blocks
/// 0 to 2, which hold nothing of use where they are not left of it.
class Strip {
public:
  /// Takes L from registers. With `split` the operands of merges have two
  /// parts.
  Strip(FactorScratch &scratch, ArrayRef<Value> l, bool split)
      : e(scratch.e), scratch(scratch), split(split) {
    for (int64_t j = 0; j < kStrips - 1; ++j)
      blocks.push_back(llvm::to_vector(getBlock(l, j)));
    for (int64_t i = 0; i < kBlockElements; ++i) {
      diagonal.push_back(getBlock(l, 0)[i]);
      for (int64_t j = 1; j < kStrips; ++j)
        diagonal.back() =
            e.select(scratch.isStrip(j), getBlock(l, j)[i], diagonal.back());
    }
  }

  /// Takes L from the tile `shared` of shared memory.
  Strip(FactorScratch &scratch, Value shared, bool split)
      : e(scratch.e), scratch(scratch), shared(shared), split(split) {}

  void emit(Value rates, int64_t barrier) {
    // No warp still reads what the scratch tile held.
    emitWarpgroupBarrier(e, barrier, /*proxy=*/false);
    if (!shared)
      shareDiagonal();
    shareRates(rates);
    syncWarp(e);
    solveColumns(scratch, shared);
    diagonal = joinColumns(scratch);
    if (shared)
      loadBlocks();
    solveBlocks();
    // All lanes have had the block on the diagonal: copies take its place.
    syncWarp(e);
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
          left = e.select(scratch.isBelow(j), left, e.zero(e.f32()));
        all.push_back(e.select(scratch.isStrip(j), diagonal[i], left));
      }
    return e.vectorOf(all);
  }

private:
  static ArrayRef<Value> getBlock(ArrayRef<Value> l, int64_t j) {
    return l.slice(j * kBlockElements, kBlockElements);
  }

  /// Reads the blocks left of the one on the diagonal.
  void loadBlocks() {
    for (int64_t j = 0; j < kStrips - 1; ++j) {
      SmallVector<Value> &block = blocks.emplace_back();
      for (int64_t right : {0, 8})
        for (int64_t down : {0, 8})
          block.append(e.loadSharedVector(
              e.f32(), 2,
              scratch.element(shared, e.add(scratch.row(), down),
                              e.add(scratch.column(), kStrip * j + right))));
    }
  }

  /// Writes the block on the diagonal where all lanes of the warp find it.
  void shareDiagonal() {
    for (int64_t right : {0, 1})
      for (bool lower : {false, true}) {
        ArrayRef<Value> pair =
            ArrayRef(diagonal).slice(4 * right + (lower ? 2 : 0), 2);
        e.storeSharedVector(
            pair, scratch.diagonal(scratch.row(),
                                   e.add(scratch.column(), 8 * right), lower));
      }
  }

  /// The same of the strip's rates. Element i of `rates` is rate 32 i + lane.
  void shareRates(Value rates) {
    Value mine =
        e.select(scratch.isBelow(1), e.element(rates, 1), e.element(rates, 0));
    Value half = e.udiv(scratch.lane, kStrip);
    storeIf(e, e.cmp(LLVM::ICmpPredicate::eq, half, e.urem(scratch.warp, 2)),
            mine, scratch.rate(e.urem(scratch.lane, kStrip)));
  }

  /// P_sj: all blocks with one A operand.
  void solveBlocks() {
    SmallVector<Value> scaled;
    for (int64_t right : {0, 8}) {
      SmallVector<Value> c = e.loadSharedVector(
          e.f32(), 2, scratch.rate(e.add(scratch.column(), right)));
      for (int64_t i = 0; i < kBlockElements / 2; ++i)
        scaled.push_back(multiplyNegated(e, c[i % 2], diagonal[right / 2 + i]));
    }
    // Each operand as the sum of two f16: these products cancel most of L where
    // keys repeat. Of all blocks one term after the other: a product that adds
    // to what the one before adds to waits for it.
    SmallVector<Value> a = round(scaled), aLost = roundRemainder(scaled, a);
    SmallVector<SmallVector<Value>> b, bLost;
    for (ArrayRef<Value> block : blocks) {
      b.push_back(round(block));
      bLost.push_back(roundRemainder(block, b.back()));
      for (SmallVector<Value> *part : {&b.back(), &bLost.back()})
        for (Value &matrix : *part)
          matrix = transposeMatrix(e, matrix);
    }
    for (auto [block, b] : llvm::zip_equal(blocks, b))
      multiply(block, a, b);
    for (auto [block, b] : llvm::zip_equal(blocks, b))
      multiply(block, aLost, b);
    for (auto [block, b] : llvm::zip_equal(blocks, bLost))
      multiply(block, a, b);
  }

  /// Copies the blocks of Y that later strips want.
  void copyBlocks() {
    Value c[2];
    for (int64_t down : {0, 1})
      c[down] =
          e.loadShared(e.f32(), scratch.rate(e.add(scratch.row(), 8 * down)));
    Value isWanted =
        e.cmp(LLVM::ICmpPredicate::ult, scratch.warp, e.c32(kStrips - 1));
    auto copy = [&](ArrayRef<Value> block, Value j, Value condition) {
      SmallVector<Value> y;
      for (auto [i, value] : llvm::enumerate(block))
        y.push_back(multiplyNegated(e, c[i / 2 % 2], value));
      SmallVector<Value> halves = round(y);
      storeMatricesIf(e, condition, halves, scratch.copy(j, /*lost=*/false));
      if (split)
        storeMatricesIf(e, condition, roundRemainder(y, halves),
                        scratch.copy(j, /*lost=*/true));
    };
    copy(diagonal, scratch.warp, isWanted);
    // Of the strips that others want, the last is strip 2.
    for (int64_t j = 0; j < kStrips - 2; ++j)
      copy(blocks[j], e.c32(j), e.band(isWanted, scratch.isBelow(j)));
  }

  /// Takes strip `k` out. The next block to be an A operand comes first.
  void takeOut(int64_t k) {
    SmallVector<int64_t> taken;
    for (int64_t j = k - 1; j >= 0; --j)
      taken.push_back(j);
    taken.push_back(k);
    SmallVector<Value> a = round(blocks[k]), aLost;
    if (split)
      aLost = roundRemainder(blocks[k], a);
    // A strip that is not below strip k has nothing to take out.
    for (SmallVector<Value> *part : {&a, &aLost})
      for (Value &value : *part)
        value = e.select(scratch.isBelow(k), value, e.c32(0));
    auto load = [&](bool lost) {
      return llvm::map_to_vector(taken, [&](int64_t j) {
        return loadTransposed(e, scratch.copiedBlock(k, j, lost));
      });
    };
    auto addProducts = [&](ArrayRef<Value> a,
                           ArrayRef<SmallVector<Value>> copies) {
      for (auto [j, b] : llvm::zip_equal(taken, copies))
        multiply(blocks[j], a, b);
    };
    SmallVector<SmallVector<Value>> copies = load(/*lost=*/false);
    addProducts(a, copies);
    if (!split)
      return;
    addProducts(aLost, copies);
    addProducts(a, load(/*lost=*/true));
  }

  /// Adds A B to `block`: two registers of B for each 8 of its columns.
  void multiply(MutableArrayRef<Value> block, ArrayRef<Value> a,
                ArrayRef<Value> b) {
    multiplyHalves(e, block.take_front(4), a, b.take_front(2));
    multiplyHalves(e, block.take_back(4), a, b.take_back(2));
  }

  /// Rounds a block to an operand: the acc layout, register for register.
  SmallVector<Value> round(ArrayRef<Value> block) {
    SmallVector<Value> halves;
    for (int64_t i = 0; i < kBlockElements; i += 2)
      halves.push_back(packHalves(e, block[i], block[i + 1]));
    return halves;
  }

  /// Returns what `halves`, the operand that `block` was rounded to, lost.
  SmallVector<Value> roundRemainder(ArrayRef<Value> block,
                                    ArrayRef<Value> halves) {
    SmallVector<Value> lost;
    for (auto [i, pair] : llvm::enumerate(halves))
      lost.push_back(packRemainders(e, block[2 * i], block[2 * i + 1], pair));
    return lost;
  }

  Emitter &e;
  FactorScratch &scratch;
  Value shared;
  bool split;
  SmallVector<Value> diagonal;
  SmallVector<SmallVector<Value>> blocks;
};

//===----------------------------------------------------------------------===//
// The pattern
//===----------------------------------------------------------------------===//

struct EraseFactorPattern : OpConversionPattern<EraseFactorOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(EraseFactorOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    FactorScratch scratch(e, adaptor.getScratch());
    bool isShared = isa<SmemType>(op.getL().getType());
    bool split = op.getParts() == 2;
    Strip strip = isShared ? Strip(scratch, adaptor.getL(), split)
                           : Strip(scratch, e.elements(adaptor.getL()), split);
    strip.emit(adaptor.getRate(), op.getBarrierId());
    rewriter.replaceOp(op, strip.result());
    return success();
  }
};
} // namespace

void tile::populateEraseFactorPatterns(LLVMTypeConverter &converter,
                                       RewritePatternSet &patterns) {
  patterns.add<EraseFactorPattern>(converter, patterns.getContext());
}
