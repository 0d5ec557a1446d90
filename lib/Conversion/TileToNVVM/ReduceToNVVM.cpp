//===- ReduceToNVVM.cpp - Sums of rows and columns ----------------------===//
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

  /// Column 2 (l % 4) + c + 8 j of this warp's rows, for lanes l of 0 to 3.
  void writeColumns() {
    Value first = e.cmp(LLVM::ICmpPredicate::ult, e.laneId(), e.c32(4));
    Value row = address(e.add(e.mul(e.warpInGroup(), size), at.col0));
    for (int64_t column = 0; column < size; column += 8) {
      SmallVector<Value> pair(2);
      for (ArrayRef<Value> elements : blocks)
        for (int64_t i = column / 2; i < column / 2 + 4; ++i)
          pair[i % 2] = fadd(pair[i % 2], elements[i]);
      for (Value &sum : pair)
        sum = sumLanes(sum, {4, 8, 16});
      e.ifThen(first,
               [&] { e.storeSharedVector(pair, e.add(row, 4 * column)); });
    }
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
  patterns.add<ReducePattern>(converter, patterns.getContext());
}
