//===- LiveRegisters.cpp - Registers that tiles hold --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LiveRegisters.h"

#include "mlir/Analysis/Liveness.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

int64_t tile::countRegisters(Value value) {
  Type type = value.getType();
  if (auto inflight = dyn_cast<InflightType>(type))
    type = inflight.getTile();
  auto tile = dyn_cast<RankedTensorType>(type);
  Operation *def = value.getDefiningOp();
  if (!tile || !getLayout(tile) || tile.getElementType().isInteger(1) ||
      (def && (isa<BroadcastOp, IndexOp>(def) ||
               def->hasTrait<OpTrait::ConstantLike>())))
    return 0;
  constexpr int64_t kRegisterBits = 32;
  int64_t bits = cast<LayoutAttr>(tile.getEncoding())
                     .getElementsPerThread(tile.getShape()) *
                 tile.getElementTypeBitWidth();
  return llvm::divideCeil(bits, kRegisterBits);
}

/// The first operation of the block that awaits `mma`; or, as awaits are moved
/// down to there, that reads what it computes.
static Operation *findCompletion(MmaOp mma, bool arePlaced) {
  Block *block = mma->getBlock();
  Operation *first = &block->back();
  auto take = [&](Operation *user) {
    Operation *op = block->findAncestorOpInBlock(*user);
    if (op && op->isBeforeInBlock(first))
      first = op;
  };
  for (Operation *await : mma.getD().getUsers()) {
    if (arePlaced)
      take(await);
    else
      llvm::for_each(await->getUsers(), take);
  }
  return first;
}

/// True for a result of one elementwise operation that only the next one reads.
static bool isBetweenElementwise(Operation *op) {
  if (!op->hasOneUse() || !op->hasTrait<OpTrait::Elementwise>())
    return false;
  Operation *user = *op->user_begin(), *next = op->getNextNode();
  while (next && isa<BroadcastOp>(next))
    next = next->getNextNode();
  return next == user && user->hasTrait<OpTrait::Elementwise>();
}

/// The last operation of the block that needs `value`, which is there at
/// `from`. The registers of an A operand are the product's until it is
/// complete; those of a chain of elementwise operations are free at its end.
static Operation *findEnd(Value value, Operation *from,
                          const LivenessBlockInfo &info, bool arePlaced) {
  Operation *end = info.getEndOperation(value, from);
  for (Operation *user : value.getUsers()) {
    auto mma = dyn_cast<MmaOp>(user);
    if (!mma || mma.getA() != value || mma->getBlock() != from->getBlock())
      continue;
    if (Operation *completion = findCompletion(mma, arePlaced);
        end->isBeforeInBlock(completion))
      end = completion;
  }
  while (isBetweenElementwise(end))
    end = *end->user_begin();
  return end;
}

LiveRegisters::LiveRegisters(Block &block, bool arePlaced) {
  Liveness liveness(block.getParentOp());
  const LivenessBlockInfo *info = liveness.getLiveness(&block);
  // Where each value is read last.
  DenseMap<Operation *, int64_t> ends;
  int64_t current = 0;
  auto begin = [&](Value value, Operation *from) {
    int64_t registers = countRegisters(value);
    if (registers == 0)
      return;
    current += registers;
    ends[findEnd(value, from, *info, arePlaced)] += registers;
  };
  for (Value value : info->in())
    begin(value, &block.front());
  for (Value argument : block.getArguments())
    begin(argument, &block.front());
  for (Operation &op : block) {
    current -= ends.lookup(&op);
    for (Value result : op.getResults())
      if (!result.use_empty() && !isBetweenElementwise(&op))
        begin(result, &op);
    live[&op] = current;
  }
}
