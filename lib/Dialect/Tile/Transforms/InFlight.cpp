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
