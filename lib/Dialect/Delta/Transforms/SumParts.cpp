//===- SumParts.cpp - Sums over channels in parts -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SumParts.h"

#include "wyvern/Dialect/Delta/IR/ChunkRegion.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

bool delta::isSumOverChannels(Operation *op) {
  auto dot = dyn_cast<DecayDotOp>(op);
  return dot && dot.getG() && getTileRank(dot.getG()) == 2;
}

Value delta::findSummedChannels(ChunkMapOp map) {
  constexpr unsigned kPlainOperands = 2; // a query and a key
  llvm::SmallPtrSet<Value, 4> operands;
  for (Operation &op : map.getBlock()) {
    auto apply = dyn_cast<DecayApplyOp>(op);
    if (apply && apply.getG() && getTileRank(apply.getG()) == 2)
      return {};
    if (isSumOverChannels(&op))
      operands.insert_range(llvm::ArrayRef<Value>(
          {cast<DecayDotOp>(op).getA(), cast<DecayDotOp>(op).getB()}));
  }
  if (operands.size() <= kPlainOperands)
    return {};
  auto sums = map.getBlock().getOps<DecayDotOp>();
  return (*llvm::find_if(sums, isSumOverChannels)).getA();
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
