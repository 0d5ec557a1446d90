//===- SumParts.cpp - Sums over channels in parts -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SumParts.h"

#include "wyvern/Dialect/Delta/IR/ChunkRegion.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

bool delta::isSumOverChannels(Operation *op) {
  auto dot = dyn_cast<DecayDotOp>(op);
  return dot && dot.getG() && getTileRank(dot.getG()) == 2;
}

/// Returns how many matrices among the ins `tiles` are made of.
static unsigned countRows(llvm::SetVector<Value> tiles) {
  unsigned rows = 0;
  for (size_t i = 0; i < tiles.size(); ++i) {
    Operation *def = tiles[i].getDefiningOp();
    if (def)
      tiles.insert_range(def->getOperands());
    rows += !def && getTileRank(tiles[i]) == 2;
  }
  return rows;
}

Value delta::findSummedChannels(ChunkMapOp map) {
  constexpr unsigned kPlainRows = 2; // queries and keys
  llvm::SetVector<Value> operands;
  Value channels;
  for (Operation &op : map.getBlock()) {
    auto apply = dyn_cast<DecayApplyOp>(op);
    if (apply && apply.getG() && getTileRank(apply.getG()) == 2)
      return {};
    if (!isSumOverChannels(&op))
      continue;
    auto dot = cast<DecayDotOp>(op);
    channels = dot.getA();
    operands.insert(dot.getA());
    operands.insert(dot.getB());
  }
  return countRows(operands) > kPlainRows ? channels : Value();
}

void delta::addUpParts(RewriterBase &rewriter, ChunkMapOp map, int64_t parts,
                       llvm::DenseMap<Value, PartOfSum> &members) {
  SmallVector<DecayDotOp> sums(map.getBlock().getOps<DecayDotOp>());
  for (DecayDotOp sum : sums) {
    if (!isSumOverChannels(sum))
      continue;
    rewriter.setInsertionPointAfter(sum);
    Value total;
    for (int64_t number = 0; number < parts; ++number) {
      Value part = rewriter.clone(*sum)->getResult(0);
      members[part] = {sum.getM(), number};
      total = total ? arith::AddFOp::create(rewriter, sum.getLoc(), total, part)
                    : part;
    }
    rewriter.replaceAllUsesWith(sum.getM(), total);
  }
}
