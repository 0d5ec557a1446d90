//===- Simplify.cpp - Cheaper chunk programs with the same values ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Runs after differentiation, for which scales are best kept on the key side of
// a matmul, and before staging, for which they are not: a scaled input tile has
// to be computed and stored before a matmul can read it.
//
//===----------------------------------------------------------------------===//

#include "Simplify.h"

#include "wyvern/Dialect/Delta/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Dominance.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/CSE.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::wyvern::delta {
#define GEN_PASS_DEF_SIMPLIFYPASS
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::delta

using namespace mlir;
using namespace mlir::wyvern::delta;

namespace {
struct SimplifyPass : wyvern::delta::impl::SimplifyPassBase<SimplifyPass> {
  using Base::Base;

  void runOnOperation() override {
    MLIRContext *context = &getContext();
    RewritePatternSet patterns(context);
    populateMoveScalePatterns(patterns, numScalesMoved);
    populatePushScalePatterns(patterns, numScalesPushed);
    populateExpandDecayPatterns(patterns, numDecaysExpanded);
    ChunkScanOp::getCanonicalizationPatterns(patterns, context);
    ChunkMapOp::getCanonicalizationPatterns(patterns, context);
    DecayMaskOp::getCanonicalizationPatterns(patterns, context);
    RewritePatternSet sharing(context);
    populateShareScalePatterns(sharing);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))) ||
        failed(applyPatternsGreedily(getOperation(), std::move(sharing))))
      return signalPassFailure();
    // Moved scales are broadcast once for each matmul they left.
    IRRewriter rewriter(context);
    DominanceInfo dominance(getOperation());
    eliminateCommonSubExpressions(rewriter, dominance, getOperation());
  }
};
} // namespace
