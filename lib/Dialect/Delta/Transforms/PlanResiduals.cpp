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
#include "wyvern/Dialect/Delta/Transforms/SaveChoice.h"
#include "wyvern/Dialect/Delta/Utils/Training.h"

#include "mlir/IR/Remarks.h"
#include "llvm/Support/FormatVariadic.h"

#define DEBUG_TYPE "delta-plan-residuals"

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
    if (failed(checkOptions()))
      return signalPassFailure();
    IRRewriter rewriter(&getContext());
    for (auto forward :
         llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      func::FuncOp backward = getBackward(forward);
      if (!backward)
        continue;
      StringRef what = save;
      if (save == "auto")
        what = choose(forward, backward);
      numSaved +=
          ResidualPlan(forward, backward, rewriter).save(what, interval);
    }
    getOperation()->walk([](Operation *op) {
      if (isa<EraseSolveOp, EraseSolveAdjointOp>(op))
        op->removeAttr(kSystemAttr);
      if (isa<ChunkScanOp>(op))
        op->removeAttr(kReplayAttr);
    });
  }

  LogicalResult checkOptions() {
    if (!llvm::is_contained({"auto", "none", "factor", "checkpoints", "states"},
                            StringRef(save)))
      return getOperation()->emitError()
             << "expected save auto, none, factor, checkpoints or states, "
                "found '"
             << save
             << "': factor saves what solves the triangular systems, "
                "checkpoints that and some states, states all that the chain "
                "makes; auto chooses states or factor";
    if (interval < 1)
      return getOperation()->emitError()
             << "expected an interval of at least one chunk, found "
             << interval.getValue();
    return success();
  }

  /// Returns what is saved of a pair of functions; says why.
  StringRef choose(func::FuncOp forward, func::FuncOp backward) {
    SaveChoice choice = chooseSave(forward, backward,
                                   {mostBytes, bytesPerCycle, flopsPerCycle});
    numStates += choice.takesStates();
    remark::analysis(
        forward.getLoc(),
        remark::RemarkOpts::name(forward.getSymName()).category(DEBUG_TYPE))
        << llvm::formatv("{0}", choice).str();
    return choice.getSave();
  }
};
} // namespace
