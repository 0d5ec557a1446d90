//===- PartialSums.cpp - Summands of what blocks sum together -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Sched/Analysis/PartialSums.h"

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;

bool sched::isSum(Operation *op) {
  auto reduce = dyn_cast<linalg::ReduceOp>(op);
  return reduce && reduce.getBlock()->getOperations().size() == 2 &&
         isa<arith::AddFOp>(reduce.getBlock()->front()) &&
         matchPattern(reduce.getInits().front(), m_AnyZeroFloat());
}

/// True for an operation of one operand that keeps sums: of the sum of two it
/// makes the sum of what it makes of each.
static bool keepsSums(Operation *op) {
  return isa<arith::NegFOp, linalg::BroadcastOp, delta::CumsumOp,
             delta::LastRowOp, delta::MaskRowsOp, delta::SumRowsOp>(op) ||
         isSum(op);
}

bool PartialSums::follow(Operation *op, bool isOverParts) {
  auto count = llvm::count_if(op->getOperands(),
                              [&](Value operand) { return contains(operand); });
  if (isOverParts && !isSum(op))
    return false;
  if (count == 0 && !isOverParts)
    return true;
  if (auto put = dyn_cast<PutOp>(op))
    return followPut(put);
  if (auto store = dyn_cast<StoreOp>(op))
    return delta::getTileRank(store.getTile()) == 1;
  bool isSummand = isOverParts || keepsSums(op) ||
                   isa<arith::AddFOp, arith::SubFOp>(op) ||
                   (isa<arith::MulFOp>(op) && count == 1);
  if (!isSummand || op->getNumResults() != 1)
    return false;
  summands.insert(op->getResult(0));
  return true;
}

bool PartialSums::followPut(PutOp put) {
  auto channel = put.getChannel().getDefiningOp<ChannelOp>();
  for (auto [i, tile] : llvm::enumerate(put.getTiles())) {
    if (!contains(tile))
      continue;
    // Readers in 16 bits would round each summand.
    auto held =
        cast<RankedTensorType>(channel.getChannel().getType().getTiles()[i]);
    if (!held.getElementType().isF32())
      return false;
    // Who gets it across blocks gets the sum of theirs.
    if (channel.getAcross()) {
      if (held.getRank() != 1)
        return false;
      continue;
    }
    for (Operation *user : channel->getUsers())
      if (auto get = dyn_cast<GetOp>(user))
        summands.insert(get.getTiles()[i]);
  }
  return true;
}

Operation *
PartialSums::follow(KernelOp kernel,
                    llvm::function_ref<bool(Operation *)> isOverParts) {
  // Roles get what others put: until nothing is new.
  for (size_t before = summands.size() + 1; before != summands.size();) {
    before = summands.size();
    for (RoleOp role : kernel.getRoles())
      for (Operation &op : role.getEachChunk().getBlock())
        if (!follow(&op, isOverParts(&op)))
          return &op;
  }
  return nullptr;
}
