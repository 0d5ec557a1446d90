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
    Value sum = sumLanes(e, sumRows(e, op, adaptor, threads));
    Value warp = e.udiv(e.threadId(), kLanes);
    Value scratch = adaptor.getScratch();
    // What the block summed before is read.
    sync(e);
    e.ifThen(e.cmp(LLVM::ICmpPredicate::eq, e.laneId(), e.c32(0)),
             [&] { e.storeShared(sum, e.add(scratch, e.mul(warp, 4))); });
    sync(e);
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
  static void sync(Emitter &e) { e.ptx("bar.sync 0;", "~{memory}", {}, {}); }

  static Value fadd(Emitter &e, Value a, Value b) {
    return LLVM::FAddOp::create(e.builder, e.loc, a, b);
  }

  static Value sumLanes(Emitter &e, Value sum) {
    for (int64_t mask = kLanes / 2; mask > 0; mask /= 2)
      sum = fadd(e, sum, e.shuffleXor(sum, mask));
    return sum;
  }

  /// The thread's sum of rows of a dense tensor [batch, tokens, heads]. It
  /// loads several at once, the last one again in the place of those past the
  /// end.
  static Value sumRows(Emitter &e, SumTokensOp op, OpAdaptor adaptor,
                       Value threads) {
    int64_t heads = op.getGlobal().getType().getTensor().getDimSize(2);
    Value first = e.ext64(e.threadId()), step = e.ext64(threads);
    Value rows = adaptor.getRows(), last = e.sub(rows, e.c64(1));
    Value pointer = globalPointer(e, adaptor.getGlobal());
    auto loop = scf::ForOp::create(e.builder, e.loc, first, rows,
                                   e.mul(step, kRowsAtOnce), {e.cf32(0)});
    OpBuilder::InsertionGuard guard(e.builder);
    e.builder.setInsertionPointToStart(loop.getBody());
    Value sum = loop.getRegionIterArg(0), row = loop.getInductionVar();
    SmallVector<Value> loaded;
    for (int64_t i = 0; i < kRowsAtOnce; ++i) {
      Value isRow = e.cmp(LLVM::ICmpPredicate::slt, row, rows);
      Value element =
          e.add(e.mul(e.select(isRow, row, last), heads), adaptor.getHead());
      Value x =
          e.loadGlobal(e.f32(), offsetPointer(e, pointer, element, e.f32()));
      loaded.push_back(e.select(isRow, x, e.cf32(0)));
      row = e.add(row, step);
    }
    for (Value x : loaded)
      sum = fadd(e, sum, x);
    scf::YieldOp::create(e.builder, e.loc, sum);
    return loop.getResult(0);
  }
};
} // namespace

void tile::populateSharedByTokensPatterns(LLVMTypeConverter &converter,
                                          RewritePatternSet &patterns) {
  patterns.add<LoadScalarPattern, SumTokensPattern>(converter,
                                                    patterns.getContext());
}
