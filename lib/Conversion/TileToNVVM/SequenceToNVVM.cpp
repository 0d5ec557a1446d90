//===- SequenceToNVVM.cpp - Which sequence and chunk a block works on ---===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

/// Returns a number of tokens, chunks or slots, which is known to fit 32 bits,
/// as one that takes one register.
static Value narrow(Emitter &e, Value number) {
  return e.ext64(e.trunc32(number));
}

/// Returns a / b of such numbers. By what a launch chooses, a division of 64
/// bits would be a call, which has a stack.
static Value divide(Emitter &e, Value a, Value b) {
  return e.ext64(e.udiv(e.trunc32(a), e.trunc32(b)));
}

/// Returns ceil(tokens / chunk).
static Value countChunks(Emitter &e, Value tokens, Value chunk) {
  return divide(e, e.add(tokens, e.sub(chunk, e.c64(1))), chunk);
}

namespace {
struct BlockIdPattern : OpConversionPattern<BlockIdOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(BlockIdOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    Value id = NVVM::BlockIdXOp::create(rewriter, op.getLoc(), e.i32());
    rewriter.replaceOp(op, e.ext64(id));
    return success();
  }
};

/// The pointer and entry width of a lowered cu_seqlens.
struct CuSeqlens {
  Value pointer, width;

  CuSeqlens(Emitter &e, Value packed)
      : pointer(LLVM::ExtractValueOp::create(e.builder, e.loc, packed, 0)),
        width(LLVM::ExtractValueOp::create(e.builder, e.loc, packed, 1)) {}

  /// Entry `index`, widened from 4 bytes where they are narrow.
  Value entry(Emitter &e, Value index) {
    Value wide = e.cmp(LLVM::ICmpPredicate::eq, width, e.c64(8));
    return e.ifElse(
        wide, e.i64(),
        [&] {
          return e.loadGlobal(e.i64(),
                              offsetPointer(e, pointer, index, e.i64()));
        },
        [&] {
          return e.ext64(
              e.loadGlobal(e.i32(), offsetPointer(e, pointer, index, e.i32())));
        });
  }
};

struct SequencePattern : OpConversionPattern<SequenceOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(SequenceOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    CuSeqlens cu(e, adaptor.getCu());
    Value packed = isPresent(e, cu.pointer), n = adaptor.getN();
    Value zero = e.c64(0), tokens = adaptor.getTokens();
    auto entryOr = [&](Value index, Value dense) {
      return e.ifElse(
          packed, e.i64(), [&] { return cu.entry(e, index); },
          [&] { return dense; });
    };
    Value start = entryOr(n, zero);
    Value stop = entryOr(e.add(n, 1), tokens);
    Value end = entryOr(adaptor.getSequences(), tokens);
    Value batch = e.select(packed, zero, n);
    // What is counted with it takes one register too.
    Value length = narrow(e, e.sub(stop, start));
    rewriter.replaceOp(op, {batch, start, length, end});
    return success();
  }
};

struct FirstSlotPattern : OpConversionPattern<FirstSlotOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(FirstSlotOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    CuSeqlens cu(e, adaptor.getCu());
    Value n = adaptor.getN(), chunk = adaptor.getChunk();
    rewriter.replaceOp(
        op, e.ifElse(
                isPresent(e, cu.pointer), e.i64(),
                [&] { return e.add(divide(e, cu.entry(e, n), chunk), n); },
                [&] {
                  return e.mul(n, countChunks(e, adaptor.getTokens(), chunk));
                }));
    return success();
  }
};

/// Bisection for the last n with floor(cu[n] / chunk) + n <= slot; the left
/// side grows by at least 1 with n, so there is exactly one.
struct FindChunkPattern : OpConversionPattern<FindChunkOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(FindChunkOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    CuSeqlens cu(e, adaptor.getCu());
    Value packed = isPresent(e, cu.pointer), slot = adaptor.getSlot();
    Value chunk = adaptor.getChunk();
    Value perRow = countChunks(e, adaptor.getTokens(), chunk);
    auto firstSlot = [&](Value n) {
      return e.add(divide(e, cu.entry(e, n), chunk), n);
    };
    Value n = e.ifElse(
        packed, e.i64(),
        [&] { return bisect(e, slot, adaptor.getSequences(), firstSlot); },
        [&] { return divide(e, slot, perRow); });
    Value c = e.ifElse(
        packed, e.i64(), [&] { return e.sub(slot, firstSlot(n)); },
        [&] { return e.sub(slot, e.mul(n, perRow)); });
    rewriter.replaceOp(op, {narrow(e, n), narrow(e, c)});
    return success();
  }

private:
  static Value bisect(Emitter &e, Value slot, Value sequences,
                      function_ref<Value(Value)> firstSlot) {
    Type i64 = e.i64();
    auto loop = scf::WhileOp::create(
        e.builder, e.loc, TypeRange{i64, i64}, ValueRange{e.c64(0), sequences},
        [&](OpBuilder &, Location, ValueRange bounds) {
          Value more = e.cmp(LLVM::ICmpPredicate::ugt,
                             e.sub(bounds[1], bounds[0]), e.c64(1));
          scf::ConditionOp::create(e.builder, e.loc, more, bounds);
        },
        [&](OpBuilder &, Location, ValueRange bounds) {
          Value middle = e.udiv(e.add(bounds[0], bounds[1]), 2);
          Value below =
              e.cmp(LLVM::ICmpPredicate::ule, firstSlot(middle), slot);
          Value low = e.select(below, middle, bounds[0]);
          Value high = e.select(below, bounds[1], middle);
          scf::YieldOp::create(e.builder, e.loc, ValueRange{low, high});
        });
    return loop.getResult(0);
  }
};

struct UniformPattern : OpConversionPattern<UniformOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(UniformOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    Value number = e.trunc32(adaptor.getOperand());
    // A shuffle from one lane: ptxas does not see through it.
    rewriter.replaceOp(op, e.ext64(e.shuffle(number, e.c32(0))));
    return success();
  }
};
} // namespace

void tile::populateSequencePatterns(LLVMTypeConverter &converter,
                                    RewritePatternSet &patterns) {
  patterns.add<BlockIdPattern, SequencePattern, FirstSlotPattern,
               FindChunkPattern, UniformPattern>(converter,
                                                 patterns.getContext());
}
