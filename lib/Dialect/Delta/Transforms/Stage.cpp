//===- Stage.cpp - Cut a scan by its dependence on the carry --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Analysis/Cut.cpp decides what goes where, ProgramBuilder.cpp makes a program
// of it.
//
//===----------------------------------------------------------------------===//

#include "ProgramBuilder.h"
#include "Remarks.h"
#include "SplitSolve.h"

#include "wyvern/Dialect/Delta/Analysis/Cut.h"
#include "wyvern/Dialect/Delta/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Dominance.h"
#include "mlir/Transforms/CSE.h"
#include "llvm/ADT/TypeSwitch.h"

#define DEBUG_TYPE "delta-stage"

namespace mlir::wyvern::delta {
#define GEN_PASS_DEF_STAGEPASS
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::delta

using namespace mlir;
using namespace mlir::wyvern::delta;

//===----------------------------------------------------------------------===//
// The programs
//===----------------------------------------------------------------------===//

/// Creates the map before: outs of the scan that no carry enters, then what
/// crosses. Returns what crosses; a value that is such an out does so as that.
static SmallVector<Value> createBefore(RewriterBase &rewriter, ChunkScanOp scan,
                                       Cut &cut) {
  SmallVector<Value> results(cut.crossing);
  ValueRange yielded = scan.getYield().getOuts();
  for (unsigned out : cut.beforeOuts)
    results.push_back(yielded[out]);
  SmallVector<Operation *> ops = sliceOf(scan, results);
  ProgramBuilder program(scan, ops);
  for (unsigned out : cut.beforeOuts)
    program.addProgramOut(out);
  SmallVector<unsigned> places;
  unsigned numOuts = cut.beforeOuts.size();
  for (Value value : cut.crossing) {
    TileStorage storage = cut.getStorage(value);
    const unsigned *same = llvm::find_if(cut.beforeOuts, [&](unsigned out) {
      return yielded[out] == value &&
             scan.getOutBinding(out) == storage.binding &&
             scan.getOuts()[out].getType() == storage.type;
    });
    places.push_back(
        same == cut.beforeOuts.end() ? numOuts : same - cut.beforeOuts.begin());
    if (same != cut.beforeOuts.end())
      continue;
    program.addOut(value, storage);
    ++numOuts;
  }
  ResultRange outs = program.createMap(rewriter).getOuts();
  for (auto [out, value] : llvm::zip(cut.beforeOuts, outs))
    rewriter.replaceAllUsesWith(scan.getOuts()[out], value);
  return llvm::map_to_vector(
      places, [&](unsigned place) -> Value { return outs[place]; });
}

/// The chain: what leads to carries and to outs that do not mix the split
/// dimension, then what the map after wants of it.
static ChunkScanOp createChain(RewriterBase &rewriter, ChunkScanOp scan,
                               Cut &cut, ValueRange crossed) {
  SmallVector<Operation *> ops = inOrder(scan, cut.chainOps);
  ProgramBuilder program(scan, ops);
  for (auto [tile, tensor] : llvm::zip_equal(cut.crossing, crossed))
    program.addIn(tile, tensor, cut.getStorage(tile).binding);
  for (unsigned out : cut.chainOuts)
    program.addProgramOut(out);
  for (Value value : cut.chainCrossing)
    program.addOut(value, cut.getStorage(value));
  return program.createScan(rewriter);
}

/// The map after: outs that mix the split dimension.
static ChunkMapOp createAfter(RewriterBase &rewriter, ChunkScanOp scan,
                              Cut &cut, ValueRange crossed,
                              ValueRange chainCrossed) {
  SmallVector<Operation *> ops = inOrder(scan, cut.afterOps);
  llvm::SmallDenseSet<Value> read;
  for (Operation *op : ops)
    read.insert(op->operand_begin(), op->operand_end());
  ProgramBuilder program(scan, ops);
  for (auto [tile, tensor] : llvm::zip_equal(cut.crossing, crossed))
    if (read.contains(tile))
      program.addIn(tile, tensor, cut.getStorage(tile).binding);
  for (auto [tile, tensor] : llvm::zip_equal(cut.chainCrossing, chainCrossed))
    program.addIn(tile, tensor, cut.getStorage(tile).binding);
  for (unsigned out : cut.afterOuts)
    program.addProgramOut(out);
  return program.createMap(rewriter);
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct StagePass : wyvern::delta::impl::StagePassBase<StagePass> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<ChunkScanOp> scans;
    getOperation()->walk([&](ChunkScanOp scan) { scans.push_back(scan); });
    IRRewriter rewriter(&getContext());
    for (ChunkScanOp scan : scans)
      if (succeeded(stage(rewriter, scan)))
        ++numStaged;
    // Splitting a solve spreads its rate once more.
    DominanceInfo dominance(getOperation());
    eliminateCommonSubExpressions(rewriter, dominance, getOperation());
  }

private:
  void splitSolves(RewriterBase &rewriter, ChunkScanOp scan);
  LogicalResult stage(RewriterBase &rewriter, ChunkScanOp scan);
};
} // namespace

void StagePass::splitSolves(RewriterBase &rewriter, ChunkScanOp scan) {
  CarryDependence dependence(
      cast<ChunkProgramOpInterface>(scan.getOperation()));
  auto split = [&](auto solve, Value rhs) {
    if (!dependence.reaches(rhs))
      return;
    if (dependence.reaches(solve.getL()) ||
        dependence.reaches(solve.getRate())) {
      emitMissedRemark(solve, DEBUG_TYPE,
                       "the system itself depends on a carry: it is solved in "
                       "the chain");
      return;
    }
    replaceSolve(rewriter, solve, createFactor(rewriter, solve));
    ++numSolvesSplit;
  };
  for (Operation &op :
       llvm::make_early_inc_range(scan.getBlock().without_terminator()))
    llvm::TypeSwitch<Operation *>(&op)
        .Case([&](EraseSolveOp solve) { split(solve, solve.getW()); })
        .Case([&](EraseSolveAdjointOp solve) { split(solve, solve.getDu()); });
}

LogicalResult StagePass::stage(RewriterBase &rewriter, ChunkScanOp scan) {
  auto refuse = [&](StringRef reason) {
    emitMissedRemark(scan, DEBUG_TYPE, reason);
    return failure();
  };
  if (scan.getInits().empty())
    return refuse("no carry: it is a chunk_map");
  splitSolves(rewriter, scan);
  Cut cut(scan);
  if (cut.isEmpty())
    return refuse("everything worth storing depends on a carry");
  numCrossing += cut.crossing.size() + cut.chainCrossing.size();
  numRecomputed += cut.numRecomputed;

  rewriter.setInsertionPoint(scan);
  auto replaceOuts = [&](ArrayRef<unsigned> outs, ValueRange values) {
    for (auto [out, value] : llvm::zip(outs, values))
      rewriter.replaceAllUsesWith(scan.getOuts()[out], value);
  };
  SmallVector<Value> crossed;
  if (!cut.crossing.empty() || !cut.beforeOuts.empty())
    crossed = createBefore(rewriter, scan, cut);
  ChunkScanOp chain = createChain(rewriter, scan, cut, crossed);
  replaceOuts(cut.chainOuts, chain.getOuts());
  if (!cut.afterOuts.empty()) {
    ValueRange outs = chain.getOuts();
    ChunkMapOp after = createAfter(rewriter, scan, cut, crossed,
                                   outs.drop_front(cut.chainOuts.size()));
    replaceOuts(cut.afterOuts, after.getOuts());
  }
  rewriter.replaceAllUsesWith(scan.getFinals(), chain.getFinals());
  rewriter.eraseOp(scan);
  return success();
}
