//===- SharedByTokensToNVVM.cpp - What all tokens of a head share -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// A number a head is read by every thread; its gradient is a sum over tokens,
// in one order, so that every run gives the same bits:
//
//   thread i   rows i, i + n, i + 2 n ... of n threads, from the first on
//   a warp     its lanes in pairs, 16 apart, then 8 ...
//   the block  its warps in the same way, by the first warp
//
// One of channels has a lane a column, and the warps the rows.
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

/// Lanes of a warp.
static constexpr int64_t kLanes = 32;
/// Loads of a thread that are under way together.
static constexpr int64_t kRowsAtOnce = 8;

static void syncBlock(Emitter &e) { e.ptx("bar.sync 0;", "~{memory}", {}, {}); }

static Value addFloats(Emitter &e, Value a, Value b) {
  return LLVM::FAddOp::create(e.builder, e.loc, a, b);
}

/// Returns the thread's sum of one column of f32 rows of `columns` elements:
/// of every `step`-th row from `first` to before `rows`. It loads several at
/// once, the last one again in the place of those past the end.
static Value sumColumn(Emitter &e, Value pointer, Value first, Value step,
                       Value rows, int64_t columns, Value column) {
  Value last = e.sub(rows, e.c64(1));
  auto loop = scf::ForOp::create(e.builder, e.loc, first, rows,
                                 e.mul(step, kRowsAtOnce), {e.cf32(0)});
  OpBuilder::InsertionGuard guard(e.builder);
  e.builder.setInsertionPointToStart(loop.getBody());
  Value sum = loop.getRegionIterArg(0), row = loop.getInductionVar();
  SmallVector<Value> loaded;
  for (int64_t i = 0; i < kRowsAtOnce; ++i) {
    Value isRow = e.cmp(LLVM::ICmpPredicate::slt, row, rows);
    Value element = e.add(e.mul(e.select(isRow, row, last), columns), column);
    Value x =
        e.loadGlobal(e.f32(), offsetPointer(e, pointer, element, e.f32()));
    loaded.push_back(e.select(isRow, x, e.cf32(0)));
    row = e.add(row, step);
  }
  for (Value x : loaded)
    sum = addFloats(e, sum, x);
  scf::YieldOp::create(e.builder, e.loc, sum);
  return loop.getResult(0);
}

namespace {
struct LoadScalarPattern : OpConversionPattern<LoadScalarOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(LoadScalarOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    Type element = op.getGlobal().getType().getTensor().getElementType();
    Value from =
        globalAddress(e, adaptor.getGlobal(), adaptor.getCoords(), element);
    Value loaded = e.loadGlobal(element, from);
    rewriter.replaceOp(
        op, element.isF32()
                ? loaded
                : LLVM::FPExtOp::create(rewriter, op.getLoc(), e.f32(), loaded)
                      .getResult());
    return success();
  }
};

struct SumTokensPattern : OpConversionPattern<SumTokensOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(SumTokensOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    Value threads = NVVM::BlockDimXOp::create(rewriter, op.getLoc(), e.i32());
    // Rows of a dense tensor [batch, tokens, heads].
    Value sum = sumLanes(
        e, sumColumn(e, globalPointer(e, adaptor.getGlobal()),
                     e.ext64(e.threadId()), e.ext64(threads), adaptor.getRows(),
                     op.getGlobal().getType().getTensor().getDimSize(2),
                     adaptor.getHead()));
    Value warp = e.udiv(e.threadId(), kLanes);
    Value scratch = adaptor.getScratch();
    // What the block summed before is read.
    syncBlock(e);
    e.ifThen(e.cmp(LLVM::ICmpPredicate::eq, e.laneId(), e.c32(0)),
             [&] { e.storeShared(sum, e.add(scratch, e.mul(warp, 4))); });
    syncBlock(e);
    e.ifThen(e.cmp(LLVM::ICmpPredicate::eq, warp, e.c32(0)), [&] {
      Value lane = e.laneId();
      Value isWarp =
          e.cmp(LLVM::ICmpPredicate::ult, lane, e.udiv(threads, kLanes));
      Value part = e.ifElse(
          isWarp, e.f32(),
          [&] { return e.loadShared(e.f32(), e.add(scratch, e.mul(lane, 4))); },
          [&] { return e.cf32(0); });
      Value total = sumLanes(e, part);
      e.ifThen(e.cmp(LLVM::ICmpPredicate::eq, lane, e.c32(0)), [&] {
        e.storeGlobal(total, globalAddress(e, adaptor.getResult(),
                                           adaptor.getHead(), e.f32()));
      });
    });
    rewriter.eraseOp(op);
    return success();
  }

private:
  static Value sumLanes(Emitter &e, Value sum) {
    for (int64_t mask = kLanes / 2; mask > 0; mask /= 2)
      sum = addFloats(e, sum, e.shuffleXor(sum, mask));
    return sum;
  }
};

struct SumTokenColumnsPattern : OpConversionPattern<SumTokenColumnsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(SumTokenColumnsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    Value threads = NVVM::BlockDimXOp::create(rewriter, op.getLoc(), e.i32());
    Value warps = e.udiv(threads, kLanes);
    Value scratch = adaptor.getScratch();
    ArrayRef<int64_t> shape = op.getResult().getType().getTensor().getShape();
    int64_t columns = shape[0] * shape[1];
    Value column =
        e.add(e.mul(adaptor.getBlock(), kLanes), e.ext64(e.laneId()));
    // Lanes past the last column add it again.
    Value last = e.c64(columns - 1);
    Value isColumn = e.cmp(LLVM::ICmpPredicate::sle, column, last);
    Value warp = e.udiv(e.threadId(), kLanes);
    Value sum = sumColumn(e, globalPointer(e, adaptor.getGlobal()),
                          e.ext64(warp), e.ext64(warps), adaptor.getRows(),
                          columns, e.select(isColumn, column, last));
    syncBlock(e); // What the block summed before is read.
    e.storeShared(sum, e.add(scratch, e.mul(e.threadId(), 4)));
    syncBlock(e);
    Value isFirst = e.cmp(LLVM::ICmpPredicate::eq, warp, e.c32(0));
    e.ifThen(e.band(isFirst, isColumn), [&] {
      Value total = sumWarps(e, scratch, threads);
      e.storeGlobal(total, globalAddress(e, adaptor.getResult(),
                                         {e.udiv(column, shape[1]),
                                          e.urem(column, shape[1])},
                                         e.f32()));
    });
    rewriter.eraseOp(op);
    return success();
  }

private:
  /// The sum of what each warp's lane of this number has put into `scratch`.
  static Value sumWarps(Emitter &e, Value scratch, Value threads) {
    auto loop = scf::ForOp::create(e.builder, e.loc, e.c32(0), threads,
                                   e.c32(kLanes), {e.cf32(0)});
    OpBuilder::InsertionGuard guard(e.builder);
    e.builder.setInsertionPointToStart(loop.getBody());
    Value number = e.add(loop.getInductionVar(), e.laneId());
    Value part = e.loadShared(e.f32(), e.add(scratch, e.mul(number, 4)));
    Value sum = addFloats(e, loop.getRegionIterArg(0), part);
    scf::YieldOp::create(e.builder, e.loc, sum);
    return loop.getResult(0);
  }
};
} // namespace

void tile::populateSharedByTokensPatterns(LLVMTypeConverter &converter,
                                          RewritePatternSet &patterns) {
  patterns.add<LoadScalarPattern, SumTokensPattern, SumTokenColumnsPattern>(
      converter, patterns.getContext());
}
