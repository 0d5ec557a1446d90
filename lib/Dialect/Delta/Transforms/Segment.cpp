//===- Segment.cpp - A long sequence in parts that run at once ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// SegmentPrograms.cpp makes the programs, LinearPart.cpp what a segment does to
// the state that enters it.
//
//===----------------------------------------------------------------------===//

#include "Remarks.h"
#include "SegmentPrograms.h"

#include "wyvern/Dialect/Delta/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

#define DEBUG_TYPE "delta-segment"

namespace mlir::wyvern::delta {
#define GEN_PASS_DEF_SEGMENTPASS
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::delta

using namespace mlir;
using namespace mlir::wyvern::delta;

/// Returns the most tokens that a sequence can have, if the types tell.
static std::optional<int64_t> getMaxTokens(ChunkScanOp scan) {
  for (auto [in, binding] :
       llvm::zip(scan.getIns(), scan.getInBindings().getAsRange<BindingAttr>()))
    for (auto [dim, size] :
         llvm::zip(binding.getDims(),
                   cast<RankedTensorType>(in.getType()).getShape()))
      if (dim.kind == DimKind::time && !ShapedType::isDynamic(size))
        return size / dim.multiple;
  return std::nullopt;
}

static bool isReturned(Value result) {
  return llvm::any_of(result.getUsers(), [](Operation *user) {
    return user->hasTrait<OpTrait::IsTerminator>();
  });
}

/// True if the binding has a slot for several chunks.
static bool hasGroups(BindingAttr binding) {
  return llvm::any_of(binding.getDims(), [](BoundDim dim) {
    return dim.kind == DimKind::chunk && dim.multiple > 1;
  });
}

/// True if a tensor of the caller has a slot for several chunks of `program`.
static bool givesGroups(ChunkProgramOpInterface program) {
  for (auto [i, in] : llvm::enumerate(program.getIns()))
    if (isa<BlockArgument>(in) && hasGroups(program.getInBinding(i)))
      return true;
  for (auto [i, out] : llvm::enumerate(program.getOuts()))
    if (isReturned(out) && hasGroups(program.getOutBinding(i)))
      return true;
  return false;
}

/// True if states in a pool are what a part of a sequence would hand on to the
/// next one, and none is kept on the way.
static bool hasExactPool(ChunkScanOp scan) {
  auto pool = cast<RankedTensorType>(scan.getInits().front().getType());
  return !scan.getKeepSlots() && !scan.getLengths() &&
         pool.getElementType() == scan.getCompute();
}

/// True if the function computes of a sequence what it computes of parts of it,
/// each from the state in which the one before ends: it is one scan beside
/// maps, nothing in it knows where in its sequence a chunk is, no tensor of the
/// caller has a slot for several chunks, which may be of two parts, and none
/// says how many tokens there are.
static bool isOfParts(FunctionOpInterface func, ChunkScanOp scan) {
  if (getMaxTokens(scan) || scan.getInits().size() != 1 ||
      !isa<BlockArgument>(scan.getInits().front()) ||
      (scan.hasSlots() && !hasExactPool(scan)) ||
      !isReturned(scan.getFinals().front()))
    return false;
  WalkResult result = func.walk([&](Operation *op) {
    auto program = dyn_cast<ChunkProgramOpInterface>(op);
    bool isObstacle = isa<LevelRowsOp, RunningSumOp, SumTokensOp>(op) ||
                      (isa<ChunkScanOp>(op) && op != scan) ||
                      (program && givesGroups(program));
    return isObstacle ? WalkResult::interrupt() : WalkResult::advance();
  });
  return !result.wasInterrupted();
}

/// Returns why the carries of `scan` are not one state that segments could hand
/// on; empty if they are.
static StringRef findCarryObstacle(ChunkScanOp scan) {
  if (scan.getInits().size() != 1)
    return "it has several carries: the transition would mix them";
  BindingAttr binding = scan.getCarryBinding(0);
  if (binding.has(DimKind::chunk))
    return "its carry starts anew every few chunks already";
  if (!binding.has(DimKind::seq) && !binding.has(DimKind::slot))
    return "its carry has no seq or slot dimension, which a slot a segment "
           "could replace";
  if (scan.getLengths())
    return "it has lengths, which segments do not know";
  if (getTileRank(scan.getCarryArg(0)) != 2)
    return "its carry is not a matrix";
  return "";
}

namespace {
struct SegmentPass : wyvern::delta::impl::SegmentPassBase<SegmentPass> {
  using Base::Base;

  void runOnOperation() override {
    if (tokens < 1) {
      getOperation()->emitError()
          << "expected tokens of at least 1, found " << tokens.getValue()
          << ": a segment is as many tokens of a sequence";
      return signalPassFailure();
    }
    SmallVector<ChunkScanOp> scans;
    getOperation()->walk([&](ChunkScanOp scan) { scans.push_back(scan); });
    IRRewriter rewriter(&getContext());
    // Of each function, how many tokens its segments have.
    llvm::MapVector<Operation *, llvm::SmallSetVector<int64_t, 1>> lengths;
    for (ChunkScanOp scan : scans) {
      auto func = scan->getParentOfType<FunctionOpInterface>();
      bool inParts = isOfParts(func, scan);
      if (failed(segment(rewriter, scan)))
        continue;
      ++numSegmented;
      lengths[func].insert(countChunks(scan) * int64_t(scan.getChunk()));
      if (atLaunch && inParts)
        func->setAttr(kPartsAttr, scan.getDirectionAttr());
    }
    // A launch has one number to give.
    for (auto &[func, tokens] : lengths)
      if (atLaunch && tokens.size() == 1)
        func->setAttr(kSegmentAttr, rewriter.getI64IntegerAttr(tokens.front()));
  }

private:
  /// Returns the chunks of a segment.
  int64_t countChunks(ChunkScanOp scan) {
    return llvm::divideCeil(int64_t(tokens), int64_t(scan.getChunk()));
  }
  LogicalResult segment(RewriterBase &rewriter, ChunkScanOp scan);
};
} // namespace

LogicalResult SegmentPass::segment(RewriterBase &rewriter, ChunkScanOp scan) {
  auto refuse = [&](Operation *op, StringRef reason) {
    emitMissedRemark(op, DEBUG_TYPE, reason);
    return failure();
  };
  int64_t chunks = countChunks(scan);
  if (std::optional<int64_t> most = getMaxTokens(scan);
      most && *most <= chunks * int64_t(scan.getChunk()))
    return refuse(scan, "its sequences have no more tokens than one segment");
  if (StringRef reason = findCarryObstacle(scan); !reason.empty())
    return refuse(scan, reason);
  DimClasses classes(cast<ChunkProgramOpInterface>(scan.getOperation()));
  std::optional<TileDim> splitDim = findSplitDim(scan, classes);
  if (!splitDim)
    return refuse(scan, "its recurrence mixes every dimension of the carry, so "
                        "there are no independent lanes");
  LinearPart linear(scan, classes, *splitDim);
  if (auto [op, reason] = linear.findObstacle(); op)
    return refuse(op, reason);
  createSegments(rewriter, scan, linear, *splitDim, chunks);
  return success();
}
