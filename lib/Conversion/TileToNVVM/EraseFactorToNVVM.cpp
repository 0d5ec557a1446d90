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
//   Z_11                Z_21 = P + P Y,   P = (I + L_22 C_2)^-1 L_21,
//         Z_22                            Y = -C_1 Z_11
//
// and above the two blocks what rounding takes away left of them. Right of
// both, if Z has two parts, what it takes away of the blocks.
//
//   1. Each warp solves for the 32 columns of its block by substitution in
//      fp32, a column a lane: for (Z_11 0) or for (P Z_22).
//   2. The first strip copies Y in f16 for the warp of the second, which a
//      barrier is for.
//   3. The second strip adds P Y, on the tensor cores.
//
// In exact arithmetic P is k_i^T (I - c_m k_m k_m^T) ... k_j (rows m of the
// second strip before i) for a row i and a column j. Keys of norm 1 and rates
// from 0 to 2 make every factor a map of norm at most 1, and decays make it
// smaller. So all that is rounded to f16 is at most 2 (Y, which has a rate),
// far from its largest number 65504.
//
// Warps do not branch: each computes on what its strip has no block for, and
// selects at the end.
//
//===----------------------------------------------------------------------===//

#include "FactorScratch.h"
#include "Fragments.h"
#include "Patterns.h"
#include "StripSolution.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// Elements of a 16 x 16 block that a thread holds, in the acc layout: rows
/// lane / 4 and 8 below it, then the same 8 columns to the right.
constexpr int64_t kBlockElements = kStrip * kStrip / 32;

//===----------------------------------------------------------------------===//
// The strip
//===----------------------------------------------------------------------===//

/// A 16 x 16 block of a factor: its row and column of blocks.
struct BlockOfZ {
  Value strip, column;
};

/// This warp's part of a factor `z`.
class Strip {
public:
  Strip(FactorScratch &scratch, Value z, SmemType type, bool forApply = false,
        bool scaled = false)
      : e(scratch.e), scratch(scratch), z(z), type(type),
        to(type.getElementType()), forApply(forApply), scaled(scaled) {}

  /// Solves for the strip of L in the registers `held` or, where there are
  /// none, in the tile `shared`, and writes Z left of the diagonal.
  void begin(ArrayRef<Value> held, Value shared, Value rates, int64_t barrier) {
    // No warp still reads what the scratch tile held.
    emitWarpgroupBarrier(e, barrier, /*proxy=*/false);
    if (!shared)
      writeHeld(held);
    StripOfL source = shared ? getDiagonal(shared) : shareStrip(held);
    shareRates(rates);
    syncWarp(e);
    StripSolution column = solveStrip(scratch, source, isRightSplit());
    // All lanes have had L.
    syncWarp(e);
    shareColumn(column);
    if (shared)
      writeShared(shared);
  }

  /// The same of L and rates in shared memory. The scratch tile is not needed
  /// before the system is solved: nobody waits at the barrier then.
  void beginShared(Value l, Value rates, int64_t barrier) {
    scratch.setRates(rates);
    StripSolution column = solveStrip(scratch, getDiagonal(l), isRightSplit());
    emitWarpgroupBarrier(e, barrier, /*proxy=*/false);
    shareColumn(column);
    writeShared(l);
  }

  /// Writes the blocks on the diagonal.
  void join(int64_t barrier) {
    emitWarpgroupBarrier(e, barrier, /*proxy=*/false);
    SmallVector<Value> first = loadSolved(0), second = loadSolved(kStrip);
    addCopied(first);
    writeDiagonal(first, second);
  }

private:
  //===--------------------------------------------------------------------===//
  // L
  //===--------------------------------------------------------------------===//

  SmallVector<Value> selectBlock(Value condition, ArrayRef<Value> a,
                                 ArrayRef<Value> b) {
    SmallVector<Value> block;
    for (auto [x, y] : llvm::zip_equal(a, b))
      block.push_back(e.select(condition, x, y));
    return block;
  }

  static ArrayRef<Value> getBlock(ArrayRef<Value> held, int64_t j) {
    return held.slice(j * kBlockElements, kBlockElements);
  }

  /// Reads a block whose element (0, 0) lies at `origin`.
  SmallVector<Value> loadBlock(StripOfL place) {
    Value lane =
        e.add(e.add(place.origin, e.mul(scratch.row(), place.rowBytes)),
              e.mul(scratch.column(), 4));
    SmallVector<Value> block;
    for (int64_t right : {0, 8})
      for (int64_t down : {0, 8})
        block.append(e.loadSharedVector(
            e.f32(), 2, e.add(lane, down * place.rowBytes + right * 4)));
    return block;
  }

  /// Rows of strip `strip` in `shared`, from column 0 on.
  StripOfL getRows(Value shared, Value strip) {
    int64_t rowBytes =
        SmemType::get(e.builder.getContext(), {kAccRows, kAccRows}, e.f32())
            .getPaddedRowBytes();
    return {e.add(shared, e.mul(strip, kStrip * rowBytes)), rowBytes};
  }

  /// This warp's strip of the block on the diagonal in `shared`.
  StripOfL getDiagonal(Value shared) {
    StripOfL rows = getRows(shared, scratch.warp);
    Value right =
        e.select(scratch.isLower(), e.c32(kFactorBlock * 4), e.c32(0));
    return {e.add(rows.origin, right), rows.rowBytes};
  }

  /// The same of what is in registers, which goes to the scratch tile.
  StripOfL shareStrip(ArrayRef<Value> held) {
    for (int64_t j = 0; j < kStripsOfBlock; ++j) {
      SmallVector<Value> block =
          selectBlock(scratch.isLower(), getBlock(held, j + kStripsOfBlock),
                      getBlock(held, j));
      for (int64_t i = 0; i < kBlockElements; i += 2) {
        Value row = e.add(scratch.row(), i / 2 % 2 * 8);
        Value column = e.add(scratch.column(), j * kStrip + i / 4 * 8);
        e.storeSharedVector(ArrayRef(block).slice(i, 2),
                            scratch.element(row, column));
      }
    }
    return {scratch.element(e.c32(0), e.c32(0)), kStripRowBytes};
  }

  /// Writes the strip's rates. Element i of `rates` is rate 32 i + lane.
  void shareRates(Value rates) {
    Value mine =
        e.select(scratch.isLower(), e.element(rates, 1), e.element(rates, 0));
    Value half = e.udiv(scratch.lane, kStrip);
    Value row = e.urem(scratch.lane, kStrip);
    storeIf(e,
            e.cmp(LLVM::ICmpPredicate::eq, half,
                  e.urem(scratch.warp, kStripsOfBlock)),
            mine, e.add(scratch.rate(0), e.mul(row, 4)));
  }

  //===--------------------------------------------------------------------===//
  // The blocks on the diagonal
  //===--------------------------------------------------------------------===//

  /// Writes a column of the solution and, over the zeros right of the diagonal
  /// of a first strip, one of Y for the warp of the second.
  void shareColumn(const StripSolution &column) {
    for (auto [i, value] : llvm::enumerate(scaled ? column.scaled : column.p))
      e.storeShared(value, scratch.element(e.c32(i), scratch.lane));
    syncWarp(e);
    Value before = e.mul(e.urem(scratch.warp, kStripsOfBlock), kStrip);
    Value isY = e.cmp(LLVM::ICmpPredicate::ult, e.add(scratch.lane, before),
                      e.c32(kStrip));
    auto copy = [&](ArrayRef<Value> y, bool lost) {
      for (int64_t half : {0, 1})
        storeVectorIf(e, isY, y.slice(half * kPanel, kPanel),
                      scratch.copy(scratch.lane, e.c32(half), lost));
    };
    copy(column.halves, /*lost=*/false);
    if (isRightSplit())
      copy(findLost(scratch, column), /*lost=*/true);
  }

  /// Reads 16 columns of what was solved.
  SmallVector<Value> loadSolved(int64_t firstColumn) {
    return loadBlock(
        {scratch.element(e.c32(0), e.c32(firstColumn)), kStripRowBytes});
  }

  /// Makes Z_21 of P in a second strip; to what a first one has nothing is
  /// added.
  void addCopied(SmallVector<Value> &first) {
    SmallVector<Value> a = round(first, e.f16()), aLost;
    if (isLeftSplit())
      aLost = roundRemainder(first, a, e.f16());
    for (SmallVector<Value> *part : {&a, &aLost})
      for (Value &x : *part)
        x = e.select(scratch.isSecond(), x, e.c32(0));
    SmallVector<Value> y = loadCopy(/*lost=*/false);
    multiply(first, a, y);
    if (isLeftSplit())
      multiply(first, aLost, y);
    if (isRightSplit())
      multiply(first, a, loadCopy(/*lost=*/true));
  }

  /// Reads Y as the B operand of two products of 8 columns.
  SmallVector<Value> loadCopy(bool lost) {
    // Matrices: columns 0-7 with rows 0-7, rows 8-15; columns 8-15 likewise.
    Value matrix = e.udiv(scratch.lane, 8);
    Value n = e.add(e.urem(scratch.lane, 8), e.mul(e.udiv(matrix, 2), 8));
    return loadMatrices(e, scratch.copy(n, e.urem(matrix, 2), lost));
  }

  /// Adds A B to `block`: two registers of B for each 8 of its columns.
  void multiply(MutableArrayRef<Value> block, ArrayRef<Value> a,
                ArrayRef<Value> b) {
    multiplyHalves(e, block.take_front(4), a, b.take_front(2));
    multiplyHalves(e, block.take_back(4), a, b.take_back(2));
  }

  void writeDiagonal(ArrayRef<Value> first, SmallVector<Value> second) {
    // A first strip has a copy of Y in the place of these zeros.
    SmallVector<Value> zeros(kBlockElements, e.zero(e.f32()));
    second = selectBlock(scratch.isSecond(), second, zeros);
    Value column = e.mul(e.udiv(scratch.warp, kStripsOfBlock), kStripsOfBlock);
    for (ArrayRef<Value> block : {first, ArrayRef<Value>(second)}) {
      SmallVector<Value> halves = round(block, to);
      write(halves, {scratch.warp, column}, /*condition=*/{});
      if (hasTwoParts(type))
        write(roundRemainder(block, halves, to),
              {scratch.warp, e.add(column, kStrips)}, /*condition=*/{});
      column = e.add(column, 1);
    }
  }

  //===--------------------------------------------------------------------===//
  // What is left of them
  //===--------------------------------------------------------------------===//

  /// Writes a block of L_21 in `shared`, a warp a block.
  void writeShared(Value shared) {
    Value strip = e.add(e.udiv(scratch.warp, kStripsOfBlock), kStripsOfBlock);
    Value column = e.urem(scratch.warp, kStripsOfBlock);
    StripOfL rows = getRows(shared, strip);
    SmallVector<Value> block = loadBlock(
        {e.add(rows.origin, e.mul(column, kStrip * 4)), rows.rowBytes});
    if (scaled)
      scaleRows(block, strip);
    writeLower(block, {strip, column}, /*condition=*/{});
  }

  /// Multiplies the rows of a block of strip `strip` by their rates.
  void scaleRows(MutableArrayRef<Value> block, Value strip) {
    Value first = e.add(e.mul(strip, kStrip), scratch.row());
    SmallVector<Value, 2> rates;
    for (int64_t down : {0, 8})
      rates.push_back(e.loadShared(
          e.f32(), e.add(scratch.rateOf(first), down * sizeof(float))));
    for (auto [i, x] : llvm::enumerate(block))
      x = LLVM::FMulOp::create(e.builder, e.loc, rates[i / 2 % 2], x);
  }

  /// Writes what this strip has of L_21 in registers, if it is one of it.
  void writeHeld(ArrayRef<Value> held) {
    for (int64_t j = 0; j < kStripsOfBlock; ++j)
      writeLower(getBlock(held, j), {scratch.warp, e.c32(j)},
                 scratch.isLower());
  }

  /// Writes a block of L_21, and across the diagonal what rounding takes away
  /// of it.
  void writeLower(ArrayRef<Value> values, BlockOfZ block, Value condition) {
    SmallVector<Value> halves = round(values, to);
    BlockOfZ across = {e.sub(block.strip, e.c32(kStripsOfBlock)),
                       e.add(block.column, kStripsOfBlock)};
    write(halves, block, condition);
    write(roundRemainder(values, halves, to), across, condition);
    if (!hasTwoParts(type) || forApply)
      return;
    // What is left of the second part.
    SmallVector<Value> zeros(halves.size(), e.c32(0));
    for (const BlockOfZ &place : {block, across})
      write(zeros, {place.strip, e.add(place.column, kStrips)}, condition);
  }

  /// Writes four matrices to a block of Z.
  void write(ArrayRef<Value> matrices, BlockOfZ block, Value condition) {
    Value row = e.add(e.mul(block.strip, kStrip), e.urem(scratch.lane, kStrip));
    Value column = e.add(e.mul(block.column, kStrip),
                         e.mul(e.udiv(scratch.lane, kStrip), 8));
    storeMatrices(e, matrices, swizzledAddress(e, z, type, row, column),
                  condition);
  }

  //===--------------------------------------------------------------------===//
  // Rounding
  //===--------------------------------------------------------------------===//

  /// True if the left operand of the last product, P, has two parts. Of a Z in
  /// two parts that is enough: where keys repeat, entries of P are equal, and
  /// so are their errors, while those of Y have either sign.
  bool isLeftSplit() { return isRightSplit() || hasTwoParts(type); }
  /// True if the right one, Y, has.
  bool isRightSplit() { return to.isF16(); }

  /// Rounds to an operand: a block's acc layout, register for register.
  SmallVector<Value> round(ArrayRef<Value> block, Type half) {
    SmallVector<Value> halves;
    for (size_t i = 0; i < block.size(); i += 2)
      halves.push_back(packHalves(e, block[i], block[i + 1], half));
    return halves;
  }

  /// Returns what `halves`, the operand that `block` was rounded to, lost.
  SmallVector<Value> roundRemainder(ArrayRef<Value> block,
                                    ArrayRef<Value> halves, Type half) {
    SmallVector<Value> lost;
    for (auto [i, pair] : llvm::enumerate(halves))
      lost.push_back(
          packRemainders(e, block[2 * i], block[2 * i + 1], pair, half));
    return lost;
  }

  Emitter &e;
  FactorScratch &scratch;
  Value z;
  SmemType type;
  Type to;
  bool forApply, scaled;
};

//===----------------------------------------------------------------------===//
// The patterns
//===----------------------------------------------------------------------===//

struct EraseStripsPattern : OpConversionPattern<EraseStripsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(EraseStripsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    FactorScratch scratch(e, adaptor.getScratch());
    Strip strip(scratch, adaptor.getZ(), op.getZ().getType(), op.getForApply(),
                op.getScaled());
    bool isShared = isa<SmemType>(op.getL().getType());
    if (isShared && isa<SmemType>(op.getRate().getType())) {
      strip.beginShared(adaptor.getL(), adaptor.getRate(), op.getBarrierId());
    } else {
      SmallVector<Value> held;
      if (!isShared)
        held = e.elements(adaptor.getL());
      strip.begin(held, isShared ? adaptor.getL() : Value(), adaptor.getRate(),
                  op.getBarrierId());
    }
    rewriter.replaceOp(op, adaptor.getZ());
    return success();
  }
};

struct EraseJoinPattern : OpConversionPattern<EraseJoinOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(EraseJoinOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    FactorScratch scratch(e, adaptor.getScratch());
    Strip(scratch, adaptor.getZ(), op.getZ().getType()).join(op.getBarrierId());
    rewriter.replaceOp(op, adaptor.getZ());
    return success();
  }
};
} // namespace

void tile::populateEraseFactorPatterns(LLVMTypeConverter &converter,
                                       RewritePatternSet &patterns) {
  patterns.add<EraseStripsPattern, EraseJoinPattern>(converter,
                                                     patterns.getContext());
}
