//===- PlanResiduals.cpp - What a forward saves for its backward ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// delta-differentiate leaves a backward that makes every forward value again.
// Here some of them become results of the forward and arguments of the
// backward, and remarks say what either choice costs.
//
//===----------------------------------------------------------------------===//

#include "ResidualPlan.h"

#include "wyvern/Dialect/Delta/Transforms/Passes.h"
#include "wyvern/Dialect/Delta/Utils/Training.h"

namespace mlir::wyvern::delta {
#define GEN_PASS_DEF_PLANRESIDUALSPASS
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::delta

using namespace mlir;
using namespace mlir::wyvern::delta;

namespace {
struct PlanResidualsPass
    : wyvern::delta::impl::PlanResidualsPassBase<PlanResidualsPass> {
  using Base::Base;

  void runOnOperation() override {
    if (!llvm::is_contained({"none", "factor", "checkpoints", "states"},
                            StringRef(save))) {
      getOperation()->emitError()
          << "expected save none, factor, checkpoints or states, found '"
          << save
          << "': factor saves what solves the triangular systems, checkpoints "
             "that and some states, states all that the chain makes";
      return signalPassFailure();
    }
    if (interval < 1) {
      getOperation()->emitError()
          << "expected an interval of at least one chunk, found "
          << interval.getValue();
      return signalPassFailure();
    }
    IRRewriter rewriter(&getContext());
    for (auto forward :
         llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      func::FuncOp backward = getBackward(forward);
      if (!backward)
        continue;
      ResidualPlan plan(forward, backward, rewriter);
      for (EraseSolveOp solve : plan.findSystems()) {
        if (save == "none") {
          plan.remarkOnFactor(solve);
          continue;
        }
        plan.saveFactor(solve);
        ++numSaved;
      }
      if (save == "states")
        numSaved += plan.saveReplays() + plan.saveMapped();
      else
        numSaved += plan.saveStates(save == "checkpoints" ? interval : 0);
      plan.dropUnusedArguments();
    }
    getOperation()->walk([](Operation *op) {
      if (isa<EraseSolveOp, EraseSolveAdjointOp>(op))
        op->removeAttr(kSystemAttr);
      if (isa<ChunkScanOp>(op))
        op->removeAttr(kReplayAttr);
    });
  }
};
} // namespace
