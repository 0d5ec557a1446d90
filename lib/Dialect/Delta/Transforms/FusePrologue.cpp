//===- FusePrologue.cpp - Per-token operations into chunk programs --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Remarks.h"

#include "wyvern/Dialect/Delta/Transforms/Passes.h"
#include "wyvern/Dialect/Delta/Utils/ExtendProgram.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#define DEBUG_TYPE "delta-fuse-prologue"

namespace mlir::wyvern::delta {
#define GEN_PASS_DEF_FUSEPROLOGUEPASS
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::delta

using namespace mlir;
using namespace mlir::wyvern::delta;

/// Returns why `op`, which makes an in of a chunk program, cannot move into it;
/// empty if it can.
static StringRef findObstacle(Operation *op) {
  if (!op->hasTrait<OpTrait::Elementwise>() ||
      !isa<ChunkRegionOpInterface>(op) || op->getNumResults() != 1)
    return "it is not elementwise";
  Type type = op->getResult(0).getType();
  if (!isa<FloatType>(getElementTypeOrSelf(type)) ||
      !llvm::all_of(op->getOperandTypes(),
                    [&](Type operand) { return operand == type; }))
    return "its operands are not tensors of floats of the type of its result, "
           "which could be read as that is";
  return "";
}

/// True if `op` makes zeros of zeros.
static bool keepsZero(Operation *op) {
  return isa<arith::MulFOp, arith::AddFOp, arith::SubFOp, arith::NegFOp>(op);
}

/// Computes in number `number` of `program` inside of it, by `op`.
static void fuse(RewriterBase &rewriter, ChunkProgramOpInterface program,
                 unsigned number, Operation *op) {
  BindingAttr binding = program.getInBinding(number);
  BlockArgument tile = program.getInArg(number);
  IRMapping mapping;
  for (Value operand : op->getOperands())
    mapping.map(operand, findOrAddIn(rewriter, program, operand, binding,
                                     tile.getType()));
  rewriter.setInsertionPointToStart(&program.getBlock());
  Operation *inside = rewriter.clone(*op, mapping);
  Value result = inside->getResult(0);
  result.setType(tile.getType());
  if (!keepsZero(op))
    result = MaskRowsOp::create(rewriter, op->getLoc(), result,
                                program.getValid(), binding.getTimeMultiple());
  rewriter.replaceAllUsesWith(tile, result);
}

namespace {
struct FuseProloguePass
    : wyvern::delta::impl::FuseProloguePassBase<FuseProloguePass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<ChunkProgramOpInterface> programs;
    getOperation()->walk(
        [&](ChunkProgramOpInterface program) { programs.push_back(program); });
    IRRewriter rewriter(&getContext());
    unsigned fused = 0;
    for (ChunkProgramOpInterface program : programs)
      fused += fuseInto(rewriter, program);
    numFused += fused;
    if (fused > 0)
      dropOutside();
  }

private:
  /// Returns how many operations moved. Operands become ins behind the others,
  /// so that the walk comes to what makes them.
  static unsigned fuseInto(RewriterBase &rewriter,
                           ChunkProgramOpInterface program) {
    unsigned fused = 0;
    for (unsigned i = 0; i < program.getIns().size(); ++i) {
      Operation *op = program.getIns()[i].getDefiningOp();
      if (!op || isa<ChunkProgramOpInterface>(op) ||
          program.getInArg(i).use_empty())
        continue;
      if (StringRef reason = findObstacle(op); !reason.empty()) {
        emitMissedRemark(op, DEBUG_TYPE, reason);
        continue;
      }
      fuse(rewriter, program, i, op);
      ++fused;
    }
    return fused;
  }

  /// Drops ins that nothing reads any more, and what made them.
  void dropOutside() {
    MLIRContext *context = &getContext();
    RewritePatternSet patterns(context);
    ChunkScanOp::getCanonicalizationPatterns(patterns, context);
    ChunkMapOp::getCanonicalizationPatterns(patterns, context);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
