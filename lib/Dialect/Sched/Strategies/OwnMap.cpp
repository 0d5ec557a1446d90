//===- OwnMap.cpp - A map of what one scan alone reads --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OwnMap.h"

#include "wyvern/Dialect/Delta/Utils/Training.h"

#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;
using namespace mlir::wyvern::sched;

/// True if `scan` reads `out`, and no other program does: a forward may save it
/// for its backward.
static bool isReadByAlone(OpResult out, ChunkScanOp scan) {
  auto isRead = [&](OpOperand &use) {
    return use.getOwner() == scan.getOperation();
  };
  return llvm::any_of(out.getUses(), isRead) &&
         llvm::all_of(out.getUses(), [&](OpOperand &use) {
           return isRead(use) || isSavedBy(use);
         });
}

bool sched::isReadBefore(ChunkMapOp map, ChunkScanOp scan) {
  return llvm::any_of(map->getUsers(), [&](Operation *user) {
    return user->isBeforeInBlock(scan);
  });
}

/// Returns the products that make those outs of `map` that `isAsked` holds for.
static llvm::SmallPtrSet<Operation *, 8>
findProducts(ChunkMapOp map, llvm::function_ref<bool(OpResult)> isAsked) {
  BackwardSliceOptions options;
  options.inclusive = true;
  options.filter = [&](Operation *op) {
    return op->getBlock() == &map.getBlock();
  };
  SetVector<Operation *> slice;
  for (OpResult out : map->getResults())
    if (isAsked(out))
      (void)getBackwardSlice(map.getYield().getOuts()[out.getResultNumber()],
                             &slice, options);
  llvm::SmallPtrSet<Operation *, 8> products;
  for (Operation *op : slice) {
    auto chunkOp = dyn_cast<ChunkRegionOpInterface>(op);
    if (chunkOp && chunkOp.getMatmulFlops() > 0)
      products.insert(op);
  }
  return products;
}

/// Returns the outs of `map` that go with `scan`: none where others would
/// compute a product of theirs too.
static SmallVector<OpResult> findOwnOuts(ChunkMapOp map, ChunkScanOp scan) {
  auto isOwn = [&](OpResult out) { return isReadByAlone(out, scan); };
  auto own = findProducts(map, isOwn);
  auto others = findProducts(map, [&](OpResult out) { return !isOwn(out); });
  SmallVector<OpResult> outs;
  if (llvm::none_of(own, [&](Operation *op) { return others.contains(op); }))
    llvm::copy_if(map->getResults(), std::back_inserter(outs), isOwn);
  return outs;
}

void sched::cutOwnMaps(RewriterBase &rewriter, ChunkScanOp scan) {
  SetVector<Operation *> maps;
  for (Value in : scan.getIns())
    if (auto map = in.getDefiningOp<ChunkMapOp>())
      if (isReadBefore(map, scan))
        maps.insert(map);
  SmallVector<Operation *> halves;
  for (Operation *map : maps) {
    SmallVector<OpResult> outs = findOwnOuts(cast<ChunkMapOp>(map), scan);
    if (outs.empty())
      continue;
    rewriter.setInsertionPoint(scan);
    Operation *own = rewriter.clone(*map);
    for (OpResult out : outs)
      rewriter.replaceAllUsesWith(out, own->getResult(out.getResultNumber()));
    halves.append({map, own});
  }
  // Canonicalization drops what a half does not compute any more.
  RewritePatternSet patterns(rewriter.getContext());
  ChunkMapOp::getCanonicalizationPatterns(patterns, rewriter.getContext());
  (void)applyOpPatternsGreedily(halves, std::move(patterns));
}
