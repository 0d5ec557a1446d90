//===- EraseFactorToNVVM.cpp - The triangular factor, by strips ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The factor of L with C = diag(c), by blocks of 32 rows: Z = (I + L C)^-1 L of
// each block on the diagonal, left of it L as it is. A block is two strips of
// 16 rows, a warp a strip:
//
//   Z_11                Z_21 = P + P Y,   P = L_21 - (Z_22 C_2) L_21,
//         Z_22                            Y = -C_1 Z_11
//
// and above the two blocks what rounding takes away left of them. L is in
// registers, or in shared memory, from where it is read when it is needed.
//
//   1. Z_ss in fp32: the columns of its 8 x 8 blocks by substitution, a column
//      a lane, then one product of these.
//   2. The first strip copies Y in f16 for the warp of the second, which a
//      barrier is for.
//   3. The second strip forms P, with Z_22 known, on the tensor cores, in
//      operands of two f16 each, and Z_21 with the f16 rounding of P.
//
// In exact arithmetic P is k_i^T (I - c_m k_m k_m^T) ... k_j (rows m of the
// second strip before i) for a row i and a column j. Keys of norm 1 and rates
// from 0 to 2 make every factor a map of norm at most 1, and decays make it
// smaller. So all that is rounded to f16 is at most 2 (Y and Z C, which have a
// rate), far from its largest number 65504.
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

/// This warp's strip in the acc layout: the block on the diagonal, and the one
/// left of it, which is of use in the second strip of a block of the factor.
class Strip {
public:
  /// Takes L from registers, for a factor that is rounded to `to`.
  Strip(FactorScratch &scratch, ArrayRef<Value> l, Type to)
      : e(scratch.e), scratch(scratch), l(l), to(to), split(to.isF16()) {
    diagonal = getBlock(0);
    for (int64_t j = 1; j < kStrips; ++j)
      diagonal = selectBlock(scratch.isStrip(j), getBlock(j), diagonal);
  }

  /// Takes L from the tile `shared` of shared memory.
  Strip(FactorScratch &scratch, Value shared, Type to)
      : e(scratch.e), scratch(scratch), shared(shared), to(to),
        split(to.isF16()) {}

  void emit(Value rates, int64_t barrier) {
    // No warp still reads what the scratch tile held.
    emitWarpgroupBarrier(e, barrier, /*proxy=*/false);
    if (!shared)
      shareDiagonal();
    shareRates(rates);
    syncWarp(e);
    solveColumns(scratch, shared);
    diagonal = joinColumns(scratch);
    // All lanes have had the block on the diagonal: the copy takes its place.
    syncWarp(e);
    copyDiagonal();
    shareRest();
    left = shared ? loadBlock(e.mul(scratch.firstOfBlock(), kStrip))
                  : selectBlock(scratch.isStrip(1), getBlock(0), getBlock(2));
    solveLeft();
    emitWarpgroupBarrier(e, barrier, /*proxy=*/false);
    addCopied();
  }

  Value result() {
    Value isLower = scratch.isBelow(kStripsOfBlock - 1);
    SmallVector<Value> all;
    for (int64_t j = 0; j < kStrips; ++j) {
      SmallVector<Value> zeros(kBlockElements, e.zero(e.f32()));
      SmallVector<Value> block =
          j < kStripsOfBlock
              ? selectBlock(isLower, getLower(j), zeros)
              : selectBlock(isLower, zeros, loadRest(j - kStripsOfBlock));
      if (j % kStripsOfBlock == 0)
        block = selectBlock(scratch.isStrip(j + 1), left, block);
      all.append(selectBlock(scratch.isStrip(j), diagonal, block));
    }
    return e.vectorOf(all);
  }

private:
  SmallVector<Value> getBlock(int64_t j) {
    return llvm::to_vector(l.slice(j * kBlockElements, kBlockElements));
  }

  SmallVector<Value> selectBlock(Value condition, ArrayRef<Value> a,
                                 ArrayRef<Value> b) {
    SmallVector<Value> block;
    for (auto [x, y] : llvm::zip_equal(a, b))
      block.push_back(e.select(condition, x, y));
    return block;
  }

  /// Reads the block of L with columns from `first` on.
  SmallVector<Value> loadBlock(Value first) {
    SmallVector<Value> block;
    for (int64_t right : {0, 8})
      for (int64_t down : {0, 8})
        block.append(e.loadSharedVector(
            e.f32(), 2,
            scratch.element(shared, e.add(scratch.row(), down),
                            e.add(e.add(scratch.column(), first), right))));
    return block;
  }

  /// Block j of this strip of L_21, if the strip is one of it.
  SmallVector<Value> getLower(int64_t j) {
    return shared ? loadBlock(e.c32(kStrip * j)) : getBlock(j);
  }

  /// Writes what rounding takes away of this strip of L_21, for the warp that
  /// holds the strip with the place for it.
  void shareRest() {
    auto pair = VectorType::get({2}, to), wide = VectorType::get({2}, e.f32());
    auto round = [&](Value x) -> Value {
      return LLVM::FPTruncOp::create(e.builder, e.loc, pair, x);
    };
    for (int64_t j = 0; j < kStripsOfBlock; ++j) {
      SmallVector<Value> block = getLower(j), pairs;
      for (int64_t i = 0; i < kBlockElements; i += 2) {
        Value x = e.vectorOf({block[i], block[i + 1]});
        Value kept = LLVM::FPExtOp::create(e.builder, e.loc, wide, round(x));
        Value lost = LLVM::FSubOp::create(e.builder, e.loc, x, kept);
        pairs.push_back(
            LLVM::BitcastOp::create(e.builder, e.loc, e.i32(), round(lost)));
      }
      e.storeSharedVector(pairs, scratch.rest(scratch.warp, j));
    }
  }

  /// Reads it: block j on the right of this strip, of Z_12.
  SmallVector<Value> loadRest(int64_t j) {
    Value strip =
        e.add(e.urem(scratch.warp, kStripsOfBlock), e.c32(kStripsOfBlock));
    SmallVector<Value> block;
    for (Value two : e.loadSharedVector(e.i32(), kBlockElements / 2,
                                        scratch.rest(strip, j))) {
      auto [low, high] = e.unpack(two, to);
      for (Value x : {low, high})
        block.push_back(LLVM::FPExtOp::create(e.builder, e.loc, e.f32(), x));
    }
    return block;
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

  /// Copies Y for the strip below.
  void copyDiagonal() {
    SmallVector<Value> y;
    for (int64_t i = 0; i < kBlockElements; i += 2) {
      Value down = e.c32(i / 2 % 2 * 8);
      Value c = e.loadShared(e.f32(), scratch.rate(e.add(scratch.row(), down)));
      for (int64_t k : {i, i + 1})
        y.push_back(multiplyNegated(e, c, diagonal[k]));
    }
    Value isFirst =
        e.cmp(LLVM::ICmpPredicate::eq, scratch.warp, scratch.firstOfBlock());
    SmallVector<Value> halves = round(y);
    storeMatricesIf(e, isFirst, halves, scratch.copy(/*lost=*/false));
    if (split)
      storeMatricesIf(e, isFirst, roundRemainder(y, halves),
                      scratch.copy(/*lost=*/true));
  }

  /// Makes P of the block left of the diagonal.
  void solveLeft() {
    SmallVector<Value> scaled;
    for (int64_t right : {0, 8}) {
      SmallVector<Value> c = e.loadSharedVector(
          e.f32(), 2, scratch.rate(e.add(scratch.column(), right)));
      for (int64_t i = 0; i < kBlockElements / 2; ++i)
        scaled.push_back(multiplyNegated(e, c[i % 2], diagonal[right / 2 + i]));
    }
    // Each operand as the sum of two f16: these products cancel most of L where
    // keys repeat.
    SmallVector<Value> a = round(scaled), aLost = roundRemainder(scaled, a);
    SmallVector<Value> b = round(left), bLost = roundRemainder(left, b);
    for (SmallVector<Value> *part : {&b, &bLost})
      for (Value &matrix : *part)
        matrix = transposeMatrix(e, matrix);
    multiply(left, a, b);
    multiply(left, aLost, b);
    multiply(left, a, bLost);
  }

  /// Adds P Y.
  void addCopied() {
    SmallVector<Value> a = round(left), aLost;
    if (split)
      aLost = roundRemainder(left, a);
    SmallVector<Value> y = loadTransposed(e, scratch.copy(/*lost=*/false));
    multiply(left, a, y);
    if (!split)
      return;
    multiply(left, aLost, y);
    multiply(left, a, loadTransposed(e, scratch.copy(/*lost=*/true)));
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
  ArrayRef<Value> l;
  Value shared;
  Type to;
  bool split;
  SmallVector<Value> diagonal, left;
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
    SmallVector<Value> l;
    if (!isShared)
      l = e.elements(adaptor.getL());
    Strip strip = isShared ? Strip(scratch, adaptor.getL(), op.getTo())
                           : Strip(scratch, l, op.getTo());
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
