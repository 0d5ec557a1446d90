//===- InFlight.cpp - Products that are not awaited yet -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "InFlight.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

int64_t tile::countPending(AwaitOp await) {
  auto mma = await.getValue().getDefiningOp<MmaOp>();
  if (!mma || mma->getBlock() != await->getBlock())
    return 0;
  int64_t pending = 0;
  for (Operation *op = mma->getNextNode(); op && op != await;
       op = op->getNextNode())
    pending += isa<MmaOp>(op);
  return pending;
}

/// True for a tile of a stage of a ring, or a part of it: it stays until the
/// stage is released.
static bool isOfStage(Value tile) {
  while (auto part = tile.getDefiningOp<SubviewOp>())
    tile = part.getTile();
  return tile.getDefiningOp<WaitOp>() != nullptr;
}

bool tile::isChained(AwaitOp await) {
  auto product = await.getValue().getDefiningOp<MmaOp>();
  // Rounds that overlap are taken apart.
  if (!product || await->getParentOp()->hasAttr(kOverlapRoundsAttr) ||
      !await->hasOneUse() || !isOfStage(product.getB()) ||
      isa<SmemType>(product.getA().getType()))
    return false;
  auto next = dyn_cast<MmaOp>(*await->user_begin());
  return next && next.getC() == await.getTile() &&
         await->getNextNode() == next.getOperation();
}
