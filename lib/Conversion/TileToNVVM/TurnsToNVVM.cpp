//===- TurnsToNVVM.cpp - Blocks that write the same rows in turn ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A number a warp in the shared memory of the block that waits, which a warp of
// the other block writes. No barrier: one tells a phase only from the phase
// before, so who is ahead would have to wait for who is behind.
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

/// The bytes of a warp's number.
static constexpr int64_t kTurnBytes = 4;

/// Returns the address of the calling warp's number.
static Value locateTurn(Emitter &e, Value turns) {
  Value warp = e.urem(e.udiv(e.threadIdAgain(), 32), kWarpgroupWarps);
  return e.add(turns, e.mul(warp, kTurnBytes));
}

namespace {
struct BeginTurnsPattern : OpConversionPattern<BeginTurnsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(BeginTurnsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    Value first = e.cmp(LLVM::ICmpPredicate::eq, e.threadId(), e.c32(0));
    e.ifThen(first, [&] {
      for (int64_t warp = 0; warp < kWarpgroupWarps; ++warp)
        e.ptx("st.shared.b32 [$0], $1;", "r,r,~{memory}",
              {e.add(adaptor.getTurns(), warp * kTurnBytes), e.c32(0)}, {});
    });
    rewriter.eraseOp(op);
    return success();
  }
};

struct PassTurnsPattern : OpConversionPattern<PassTurnsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(PassTurnsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    Value turn = locateTurn(e, adaptor.getTurns());
    // PTX ISA 8.11: each lane's stores are before its fence, which is before
    // the elected lane's number.
    e.ptx("{\n"
          ".reg .pred elected;\n"
          ".reg .b32 there;\n"
          "fence.acq_rel.cluster;\n"
          "bar.warp.sync 0xffffffff;\n"
          "elect.sync _|elected, 0xffffffff;\n"
          "mapa.shared::cluster.u32 there, $0, $1;\n"
          "@elected st.relaxed.cluster.shared::cluster.b32 [there], $2;\n"
          "}",
          "r,r,r,~{memory}",
          {turn, e.trunc32(adaptor.getBlock()), e.trunc32(adaptor.getCount())},
          {});
    rewriter.eraseOp(op);
    return success();
  }
};

struct AwaitTurnsPattern : OpConversionPattern<AwaitTurnsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(AwaitTurnsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    e.ptx("{\n"
          ".reg .pred early;\n"
          ".reg .b32 passed;\n"
          "again:\n"
          "ld.acquire.cluster.shared::cta.b32 passed, [$0];\n"
          "setp.lt.u32 early, passed, $1;\n"
          "@early bra again;\n"
          "}",
          "r,r,~{memory}",
          {locateTurn(e, adaptor.getTurns()), e.trunc32(adaptor.getCount())},
          {});
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void tile::populateTurnsPatterns(LLVMTypeConverter &converter,
                                 RewritePatternSet &patterns) {
  patterns.add<BeginTurnsPattern, PassTurnsPattern, AwaitTurnsPattern>(
      converter, patterns.getContext());
}
