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

LiveRegisters::LiveRegisters(Block &block) {
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
    ends[info->getEndOperation(value, from)] += registers;
  };
  for (Value value : info->in())
    begin(value, &block.front());
  for (Value argument : block.getArguments())
    begin(argument, &block.front());
  for (Operation &op : block) {
    current -= ends.lookup(&op);
    for (Value result : op.getResults())
      if (!result.use_empty())
        begin(result, &op);
    live[&op] = current;
  }
}
