//===- ExpandDecay.cpp - decay_apply as a mask and a contraction ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Simplify.h"

#include "wyvern/Dialect/Delta/IR/Delta.h"
#include "wyvern/Dialect/Delta/Utils/ChannelDecay.h"
#include "wyvern/Dialect/Delta/Utils/TileBuilder.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

namespace {
/// A decay that all channels share comes out of the sum over them. Both sides
/// of one decay product then share the masked matrix, and each is a
/// contraction, which others can accumulate on.
struct ExpandDecayApply : OpRewritePattern<DecayApplyOp> {
  ExpandDecayApply(MLIRContext *context, Pass::Statistic &numExpanded)
      : OpRewritePattern(context), numExpanded(numExpanded) {}

  LogicalResult matchAndRewrite(DecayApplyOp op,
                                PatternRewriter &rewriter) const override {
    if (getChannelDecay(op))
      return rewriter.notifyMatchFailure(
          op, "each channel has a decay of its own, inside the sum");
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value masked =
        DecayMaskOp::create(b, op.getM().getType(), op.getM(), op.getG(),
                            op.getMask(), op.getRows(), op.getBeforeDecay(),
                            /*half=*/IntegerAttr(), /*near=*/IntegerAttr());
    TileBuilder tile(b, cast<FloatType>(getElementTypeOrSelf(op.getR())));
    rewriter.replaceOp(op, op.getTranspose()
                               ? tile.transposedMatmul(masked, op.getX())
                               : tile.matmul(masked, op.getX()));
    ++numExpanded;
    return success();
  }

private:
  Pass::Statistic &numExpanded;
};
} // namespace

void delta::populateExpandDecayPatterns(RewritePatternSet &patterns,
                                        Pass::Statistic &numExpanded) {
  patterns.add<ExpandDecayApply>(patterns.getContext(), numExpanded);
}
