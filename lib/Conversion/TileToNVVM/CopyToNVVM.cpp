//===- CopyToNVVM.cpp - Copies that a warp makes into a ring ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// What TMA does not bring: vectors, whose elements lie a row apart, and rows of
// f32. Of f32 by asynchronous copies, whose lanes arrive at the full barrier
// when they have ended: each adds an arrival to the phase first (PTX
// ISA 9.7.13.15.17), which cannot end before the warp commits.
//
//===----------------------------------------------------------------------===//

#include "ColumnBound.h"
#include "Patterns.h"
#include "Stage.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

static constexpr int64_t kLanes = 32;

/// Copies `size` bytes, 4 or 16, or zeroes them: of what is not valid no byte
/// is read.
static void copy(Emitter &e, Value to, Value from, Value isValid,
                 int64_t size) {
  Value bytes = e.select(isValid, e.c32(size), e.c32(0));
  std::string count = std::to_string(size);
  e.ptx("cp.async." + std::string(size == 16 ? "cg" : "ca") +
            ".shared::cta.global [$0], [$1], " + count + ", $2;",
        "r,l,r,~{memory}", {to, from, bytes}, {});
}

/// Lets the full barrier of the stage wait for the lane's copies.
static void arriveWhenCopied(Emitter &e, const Stage &stage) {
  e.ptx("cp.async.mbarrier.arrive.shared::cta.b64 [$0];", "r,~{memory}",
        stage.full, {});
}

namespace {
/// A lane takes every 32nd element.
struct LoadVectorPattern : OpConversionPattern<LoadVectorOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(LoadVectorOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    int64_t size = op.getTile().getType().getShape()[0];
    if (size % kLanes != 0)
      return rewriter.notifyMatchFailure(
          op, "expected a multiple of 32 elements: each lane writes");
    Emitter e(rewriter, op.getLoc());
    Type element = op.getGlobal().getType().getTensor().getElementType();
    Value varying = adaptor.getCoords()[op.getDim()];
    Value base = globalAddressAgain(e, adaptor.getGlobal(), adaptor.getCoords(),
                                    element, varying);
    Value stride =
        globalFieldAgain(e, adaptor.getGlobal(), op.getDim() + 1, varying);
    // A pointer a lane would be held from chunk to chunk.
    Value lane = e.urem(e.threadIdAgain(), kLanes);
    Value valid = e.trunc32(adaptor.getValid());
    auto pointTo = [&](Value index) {
      return offsetPointer(e, base, e.mul(e.ext64(index), stride), element);
    };
    // Of 16 bits no copy is asynchronous: all are asked for before the first is
    // waited for. A chunk has a token; what is behind its last one is not read.
    Value last = e.sub(valid, e.c32(1));
    SmallVector<Value> loaded;
    for (int64_t i = 0; i < size; i += kLanes) {
      Value index = e.add(lane, i);
      Value isValid = e.cmp(LLVM::ICmpPredicate::ult, index, valid);
      if (element.isF32())
        copy(e, e.add(adaptor.getTile(), e.mul(index, 4)), pointTo(index),
             isValid, 4);
      else
        loaded.push_back(
            e.loadGlobal(element, pointTo(e.select(isValid, index, last))));
    }
    for (auto [i, value] : llvm::enumerate(loaded)) {
      Value index = e.add(lane, i * kLanes);
      Value isValid = e.cmp(LLVM::ICmpPredicate::ult, index, valid);
      Value wide = LLVM::FPExtOp::create(rewriter, op.getLoc(), e.f32(), value);
      e.storeShared(e.select(isValid, wide, e.cf32(0)),
                    e.add(adaptor.getTile(), e.mul(index, 4)));
    }
    if (element.isF32()) {
      Stage stage(e, op.getRing(), adaptor.getRing(), adaptor.getIndex());
      arriveWhenCopied(e, stage);
    }
    rewriter.eraseOp(op);
    return success();
  }
};

/// Lanes take the units of a row in turn, then those of the next row: of as
/// many rows as they fill, or as fill them. Rows without gaps lie at multiples
/// of 16 bytes: what is dense does, and others are asked to (Layouts.c).
struct LoadRowsPattern : OpConversionPattern<LoadRowsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(LoadRowsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    SmemType tile = op.getTile().getType();
    GlobalType global = op.getGlobal().getType();
    bool hasWholeRows = global.getDense() || global.getContiguous();
    int64_t unit = hasWholeRows ? 4 : 1;
    int64_t units = tile.getShape()[1] / unit;
    int64_t rowsPerStep = kLanes / std::gcd(units, kLanes);
    if (tile.getShape()[0] % rowsPerStep != 0)
      return rewriter.notifyMatchFailure(
          op, "expected rows that 32 lanes can share");
    Emitter e(rewriter, op.getLoc());
    Value lane = e.laneId(), valid = e.trunc32(adaptor.getValid());
    Value lower = e.c32(0), upper = e.c32(tile.getShape()[0]);
    auto loop = scf::ForOp::create(rewriter, op.getLoc(), lower, upper,
                                   e.c32(rowsPerStep));
    {
      OpBuilder::InsertionGuard guard(rewriter);
      rewriter.setInsertionPointToStart(loop.getBody());
      for (int64_t first = 0; first < rowsPerStep * units; first += kLanes) {
        Value number = e.add(lane, first);
        Value row = e.add(loop.getInductionVar(), e.udiv(number, units));
        copyUnit(e, op, adaptor, row, e.urem(number, units), unit,
                 e.cmp(LLVM::ICmpPredicate::ult, row, valid));
      }
    }
    arriveWhenCopied(
        e, Stage(e, op.getRing(), adaptor.getRing(), adaptor.getIndex()));
    rewriter.eraseOp(op);
    return success();
  }

private:
  static void copyUnit(Emitter &e, LoadRowsOp op, OpAdaptor adaptor, Value row,
                       Value number, int64_t unit, Value isValid) {
    SmemType tile = op.getTile().getType();
    Type element = tile.getElementType();
    Value global = adaptor.getGlobal(), column = e.mul(number, unit);
    int64_t last = adaptor.getCoords().size() - 1;
    Value offset =
        e.add(e.mul(e.ext64(row), globalStride(e, global, op.getDim())),
              e.mul(e.ext64(column), globalStride(e, global, last)));
    Value from =
        offsetPointer(e, globalAddress(e, global, adaptor.getCoords(), element),
                      offset, element);
    ColumnBound bound(e, op.getGlobal().getType(), adaptor.getCoords()[last],
                      tile.getShape()[1]);
    isValid = bound.andInside(isValid, column);
    Value to =
        e.add(e.add(adaptor.getTile(), e.mul(row, tile.getPaddedRowBytes())),
              e.mul(column, 4));
    copy(e, to, from, isValid, 4 * unit);
  }
};
} // namespace

void tile::populateCopyPatterns(LLVMTypeConverter &converter,
                                RewritePatternSet &patterns) {
  patterns.add<LoadVectorPattern, LoadRowsPattern>(converter,
                                                   patterns.getContext());
}
