//===- DeltaToSCF.cpp - The pass convert-delta-to-scf ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

#include "wyvern/Conversion/Passes.h"
#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

namespace mlir::wyvern {
#define GEN_PASS_DEF_CONVERTDELTATOSCF
#include "wyvern/Conversion/Passes.h.inc"
} // namespace mlir::wyvern

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// An error if `op` is one that no pattern converts.
static LogicalResult checkConvertible(Operation *op) {
  if (isa<RecurrenceOp>(op))
    return op->emitError() << "expected a chunk program, found a recurrence; "
                              "run delta-form-wy first";
  return success();
}

namespace {
struct ConvertDeltaToSCF
    : wyvern::impl::ConvertDeltaToSCFBase<ConvertDeltaToSCF> {
  void runOnOperation() override {
    auto check = [&](Operation *op) {
      numScans += isa<ChunkScanOp>(op);
      numMaps += isa<ChunkMapOp>(op);
      return WalkResult(checkConvertible(op));
    };
    if (getOperation()->walk(check).wasInterrupted())
      return signalPassFailure();

    RewritePatternSet patterns(&getContext());
    populateChunkLoopPatterns(patterns);
    populateContractPatterns(patterns);
    populateDecayPatterns(patterns);
    populateErasePatterns(patterns);
    populateRowPatterns(patterns);
    populateRunningSumPatterns(patterns);
    populateSumTokensPatterns(patterns);
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};
} // namespace
