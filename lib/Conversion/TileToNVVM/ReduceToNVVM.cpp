//===- ReduceToNVVM.cpp - Sums of rows and columns, and diagonals -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Always in one order, so that every run gives the same bits:
//
//   rows       a thread's elements of the row from left to right, then the four
//              lanes of the row; one of them writes the sum
//   columns    a thread's elements from the first block's upper row down, then
//              the eight lanes of the column; each warp writes its sums, and
//              the four of a column are added when they are read
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// Lanes of a warp: the elements of a warp-held vector lie one a lane.
constexpr int64_t kLanes = 32;

class ReduceEmitter {
public:
  ReduceEmitter(ReduceOp op, ReduceOp::Adaptor adaptor, Emitter &e)
      : e(e), scratch(adaptor.getScratch()),
        size(cast<RankedTensorType>(op.getSums().getType()).getDimSize(0)),
        barrier(op.getBarrierId()), at(AccPosition::get(e)) {
    for (Value tile : adaptor.getTiles())
      blocks.push_back(e.elements(tile));
  }

  Value sumRows() {
    sync();
    for (auto [block, elements] : llvm::enumerate(blocks))
      writeRows(block * kAccRows, elements);
    sync();
    return readSums(/*parts=*/1);
  }

  Value sumColumns() {
    sync();
    writeColumns();
    sync();
    return readSums(/*parts=*/4);
  }

private:
  void sync() { emitWarpgroupBarrier(e, barrier, /*proxy=*/false); }
  /// Where element `index` of the scratch lies, for some that follow it.
  Value address(Value index) {
    return e.add(scratch, e.opaque(e.mul(index, 4)));
  }
  Value fadd(Value a, Value b) {
    return a ? LLVM::FAddOp::create(e.builder, e.loc, a, b).getResult() : b;
  }

  /// The sum over the lanes whose numbers differ in the bits of `masks`.
  Value sumLanes(Value sum, ArrayRef<int64_t> masks) {
    for (int64_t mask : masks)
      sum = fadd(sum, e.shuffleXor(sum, mask));
    return sum;
  }

  void writeRows(int64_t firstRow, ArrayRef<Value> elements) {
    Value sums[2];
    for (auto [i, value] : llvm::enumerate(elements))
      sums[AccPosition::rowOffset(i) / 8] =
          fadd(sums[AccPosition::rowOffset(i) / 8], value);
    for (Value &sum : sums)
      sum = sumLanes(sum, {1, 2});
    Value first = e.cmp(LLVM::ICmpPredicate::eq, at.col0, e.c32(0));
    e.ifThen(first, [&] {
      Value row = e.add(address(at.row0), 4 * firstRow);
      e.storeShared(sums[0], row);
      e.storeShared(sums[1], e.add(row, 4 * 8));
    });
  }

  /// A warp's sums of the columns, which stand in pairs: its lane l has columns
  /// 2 (l % 4) and the next one of every eight, in the rows of l / 4.
  void writeColumns() {
    SmallVector<Pair> pairs(size / 8, Pair(2));
    for (auto [number, pair] : llvm::enumerate(pairs))
      for (ArrayRef<Value> elements : blocks)
        for (int64_t i = 4 * number; i < 4 * (static_cast<int64_t>(number) + 1);
             ++i)
          pair[i % 2] = fadd(pair[i % 2], elements[i]);
    Value lane = e.laneId();
    int64_t shares = 1; // of the lanes of a column, each with a share of pairs
    for (int64_t mask : {4, 8, 16}) {
      bool isEven = pairs.size() % 2 == 0;
      pairs = isEven ? exchange(pairs, lane, mask) : sumOver(pairs, mask);
      shares *= isEven ? 2 : 1;
    }
    // Pairs 0, shares, 2 shares ... of the lane's first.
    Value first = e.urem(e.udiv(lane, 4), shares);
    Value column = e.add(at.col0, e.mul(first, 8));
    Value row = address(e.add(e.mul(e.warpInGroup(), size), column));
    auto store = [&] {
      for (auto [number, pair] : llvm::enumerate(pairs))
        e.storeSharedVector(pair, e.add(row, 4 * 8 * shares * number));
    };
    if (shares == kLanes / 4)
      store();
    else
      e.ifThen(e.cmp(LLVM::ICmpPredicate::ult, lane, e.c32(4 * shares)), store);
  }

  using Pair = SmallVector<Value, 2>;

  /// Returns each second pair, of even number in the lanes without `mask`,
  /// summed over the lanes whose numbers differ in it: each gives the other
  /// what it does not keep.
  SmallVector<Pair> exchange(ArrayRef<Pair> pairs, Value lane, int64_t mask) {
    Value isEven =
        e.cmp(LLVM::ICmpPredicate::eq, e.band(lane, e.c32(mask)), e.c32(0));
    SmallVector<Pair> kept;
    for (size_t i = 0; i < pairs.size(); i += 2) {
      kept.emplace_back();
      for (auto [even, odd] : llvm::zip_equal(pairs[i], pairs[i + 1])) {
        Value given = e.select(isEven, odd, even);
        kept.back().push_back(
            fadd(e.select(isEven, even, odd), e.shuffleXor(given, mask)));
      }
    }
    return kept;
  }

  /// Returns all pairs, summed over the lanes whose numbers differ in `mask`.
  SmallVector<Pair> sumOver(ArrayRef<Pair> pairs, int64_t mask) {
    SmallVector<Pair> sums;
    for (const Pair &pair : pairs)
      sums.push_back({sumLanes(pair[0], {mask}), sumLanes(pair[1], {mask})});
    return sums;
  }

  Value readSums(int64_t parts) {
    SmallVector<Value> sums;
    Value first = address(e.laneId());
    for (int64_t i = 0; i < size; i += kLanes) {
      Value sum;
      for (int64_t part = 0; part < parts; ++part)
        sum = fadd(sum,
                   e.loadShared(e.f32(), e.add(first, 4 * (part * size + i))));
      // ptxas adds as late as it can, and would hold all parts until then; it
      // does not put off an exchange between lanes, here of each with itself.
      sums.push_back(parts > 1 ? e.shuffleXor(sum, 0) : sum);
    }
    return e.vectorOf(sums);
  }

  Emitter &e;
  Value scratch;
  int64_t size, barrier;
  AccPosition at;
  SmallVector<SmallVector<Value>> blocks;
};

/// A warp's rows of the diagonal are in two blocks of 8 columns, whose number
/// is the warp's: each lane chooses two elements, of its upper and of its lower
/// row, and those that are on the diagonal are written.
struct DiagonalPattern : OpConversionPattern<DiagonalOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(DiagonalOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    int64_t barrier = op.getBarrierId();
    Value lane = e.laneId(), warp = e.warpInGroup();
    Value isOdd = isSet(e, lane, 4), isSecond = isSet(e, warp, 1),
          isThird = isSet(e, warp, 2);
    SmallVector<Value> elements = e.elements(adaptor.getX()), chosen;
    for (int64_t half : {0, 1}) {
      SmallVector<Value> ofWarps;
      for (int64_t number = 0; number < kWarpgroupWarps; ++number) {
        int64_t first = 4 * (2 * number + half) + 2 * half;
        ofWarps.push_back(
            e.select(isOdd, elements[first + 1], elements[first]));
      }
      chosen.push_back(e.select(isThird,
                                e.select(isSecond, ofWarps[3], ofWarps[2]),
                                e.select(isSecond, ofWarps[1], ofWarps[0])));
    }
    // The lane's upper row is lane / 4 of the warp's, and its columns of a
    // block begin at 2 (lane % 4).
    Value isDiagonal =
        e.cmp(LLVM::ICmpPredicate::eq, e.udiv(lane, 8), e.urem(lane, 4));
    Value row = e.add(e.mul(warp, 16), e.udiv(lane, 4));
    Value scratch = adaptor.getScratch();
    auto address = [&](Value index) {
      return e.add(scratch, e.opaque(e.mul(index, 4)));
    };
    emitWarpgroupBarrier(e, barrier, /*proxy=*/false);
    e.ifThen(isDiagonal, [&] {
      Value upper = address(row);
      e.storeShared(chosen[0], upper);
      e.storeShared(chosen[1], e.add(upper, 4 * 8));
    });
    emitWarpgroupBarrier(e, barrier, /*proxy=*/false);
    SmallVector<Value> diagonal;
    Value first = address(lane);
    for (int64_t i = 0; i < kAccRows; i += kLanes)
      diagonal.push_back(e.loadShared(e.f32(), e.add(first, 4 * i)));
    rewriter.replaceOp(op, e.vectorOf(diagonal));
    return success();
  }

private:
  static Value isSet(Emitter &e, Value number, int64_t bit) {
    return e.cmp(LLVM::ICmpPredicate::ne, e.band(number, e.c32(bit)), e.c32(0));
  }
};

struct ReducePattern : OpConversionPattern<ReduceOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(ReduceOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    auto sums = cast<RankedTensorType>(op.getSums().getType());
    if (sums.getDimSize(0) % kLanes != 0)
      return rewriter.notifyMatchFailure(
          op, "expected a multiple of 32 sums: each lane reads");
    Emitter e(rewriter, op.getLoc());
    ReduceEmitter emitter(op, adaptor, e);
    rewriter.replaceOp(op, op.getDim() == 1 ? emitter.sumRows()
                                            : emitter.sumColumns());
    return success();
  }
};
} // namespace

void tile::populateReducePatterns(LLVMTypeConverter &converter,
                                  RewritePatternSet &patterns) {
  patterns.add<ReducePattern, DiagonalPattern>(converter,
                                               patterns.getContext());
}
