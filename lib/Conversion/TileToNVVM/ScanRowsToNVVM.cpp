//===- ScanRowsToNVVM.cpp - Running sums over the rows of a matrix ------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The rows of an acc tile lie in the lanes of four warps, so a matrix is summed
// in shared memory: a thread takes a column, and neighbours lie in neighbouring
// banks.
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

/// Rows that are loaded before they are added: their latencies overlap.
static constexpr int64_t kRowsAtOnce = 16;

namespace {
/// Consecutive rows, from `first` on by `step` of 1 or -1, that one sum runs
/// over.
struct Run {
  int64_t first, step, count;
  bool isInclusive;
};

class ScanEmitter {
public:
  ScanEmitter(Emitter &e, ScanRowsOp op, Value source, Value scratch)
      : e(e), source(source), scratch(scratch),
        rowBytes(op.getScratch().getType().getPaddedRowBytes()) {
    findRuns(op);
  }

  /// Sums the column of this thread and those 128 columns further on.
  void sumColumns(int64_t columns) {
    for (int64_t first = 0; first < columns; first += kWarpgroupThreads) {
      Value column = e.add(e.warpgroupThread(), first);
      auto sum = [&] {
        for (const Run &run : runs)
          sumRun(run, e.mul(column, 4));
      };
      if (first + kWarpgroupThreads <= columns)
        sum();
      else
        e.ifThen(e.cmp(LLVM::ICmpPredicate::ult, column, e.c32(columns)), sum);
    }
  }

private:
  void findRuns(ScanRowsOp op) {
    bool isInclusive = !op.getExclusive();
    if (!op.getHalf()) {
      runs.push_back(op.getReverse()
                         ? Run{kAccRows - 1, -1, kAccRows, isInclusive}
                         : Run{0, 1, kAccRows, isInclusive});
      return;
    }
    int64_t half = *op.getHalf();
    for (int64_t middle = half; middle < kAccRows; middle += 2 * half) {
      runs.push_back({middle - 1, -1, half, /*isInclusive=*/false});
      runs.push_back({middle, 1, half, isInclusive});
    }
  }

  void sumRun(const Run &run, Value columnByte) {
    Value sum = e.cf32(0);
    for (int64_t begin = 0; begin < run.count; begin += kRowsAtOnce) {
      int64_t end = std::min(begin + kRowsAtOnce, run.count);
      SmallVector<Value> values;
      for (int64_t i = begin; i < end; ++i)
        values.push_back(
            e.loadShared(e.f32(), address(source, run, i, columnByte)));
      for (int64_t i = begin; i < end; ++i) {
        Value next =
            LLVM::FAddOp::create(e.builder, e.loc, sum, values[i - begin]);
        e.storeShared(run.isInclusive ? next : sum,
                      address(scratch, run, i, columnByte));
        sum = next;
      }
    }
  }

  Value address(Value base, const Run &run, int64_t i, Value columnByte) {
    return e.add(e.add(base, columnByte),
                 (run.first + run.step * i) * rowBytes);
  }

  Emitter &e;
  Value source, scratch;
  int64_t rowBytes;
  SmallVector<Run> runs;
};

struct ScanRowsPattern : OpConversionPattern<ScanRowsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(ScanRowsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    auto type = cast<RankedTensorType>(op.getSums().getType());
    SmemType tile = op.getScratch().getType();
    Value scratch = adaptor.getScratch(), source = adaptor.getX();
    auto sync = [&] {
      emitWarpgroupBarrier(e, op.getBarrierId(), /*proxy=*/false);
    };
    sync();
    if (isa<RankedTensorType>(op.getX().getType())) {
      // A thread reads an element of a run before it writes there.
      writePlainMatrix(e, e.elements(source), scratch, tile,
                       /*transposed=*/false, /*firstRow=*/0);
      source = scratch;
      sync();
    }
    ScanEmitter(e, op, source, scratch).sumColumns(type.getDimSize(1));
    sync();
    rewriter.replaceOp(op, readPlain(e, scratch, tile, type,
                                     /*transposed=*/false, /*firstRow=*/0));
    return success();
  }
};
} // namespace

void tile::populateScanRowsPatterns(LLVMTypeConverter &converter,
                                    RewritePatternSet &patterns) {
  patterns.add<ScanRowsPattern>(converter, patterns.getContext());
}
