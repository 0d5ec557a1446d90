//===- ChannelStages.cpp - Which of several maps makes what ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ChannelStages.h"

#include "wyvern/Dialect/Delta/Utils/ChannelDecay.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

/// Returns the channels of the first product of `map` with a decay a channel;
/// null without one.
static Value findDecayed(ChunkMapOp map) {
  for (Operation &op : map.getBlock())
    if (isHalved(&op))
      return op.getResult(0);
  return {};
}

/// Returns the first tile of `map` that leaves as rows of tokens with whole
/// columns; null without one.
static Value findRows(ChunkMapOp map) {
  auto program = cast<ChunkProgramOpInterface>(map.getOperation());
  for (auto [i, out] : llvm::enumerate(map.getYield().getOuts())) {
    BindingAttr binding = program.getOutBinding(i);
    BoundDim last = binding.getDims().back();
    if (getTileRank(out) == 2 && binding.has(DimKind::time) &&
        last.kind == DimKind::whole && !last.isPart() && last.parts == 1)
      return out;
  }
  return {};
}

Value mlir::wyvern::delta::findChannels(ChunkMapOp map) {
  if (Value decayed = findDecayed(map))
    return decayed;
  Value summed = findSummedChannels(map);
  return summed ? summed : findRows(map);
}

Channels::Channels(ChunkMapOp map)
    : classes(cast<ChunkProgramOpInterface>(map.getOperation())),
      tile(findChannels(map)), number(classes.get({tile, 1})) {}

int64_t Channels::count(Value value) const {
  int64_t found = 0;
  for (int64_t dim = 0; dim < getTileRank(value); ++dim)
    found += isOf({value, dim});
  return found;
}

bool Channels::mixes(Operation &op) const {
  auto isOne = [&](TileDim dim) { return isOf(dim); };
  return llvm::any_of(op.getResults(),
                      [&](Value result) { return count(result) > 1; }) ||
         llvm::any_of(cast<ChunkRegionOpInterface>(op).getLoops(),
                      [&](const TileLoop &loop) {
                        return (loop.isMixed || loop.isTime || loop.isPlaced) &&
                               llvm::any_of(loop.dims, isOne);
                      });
}

/// True for what takes long, and is not made twice.
static bool isUnit(Operation &op) {
  return cast<ChunkRegionOpInterface>(op).getMatmulFlops() > 0 ||
         isa<linalg::ReduceOp>(op);
}

/// Sums over channels are divided where no product that keeps the channels has
/// a decay: rows of such a product, which the last map reads too, go there as
/// they are.
ChannelStages::ChannelStages(ChunkMapOp map, const Channels &channels)
    : dividesSums(!hasHalvedProducts(map)) {
  llvm::SmallPtrSet<Operation *, 32> made; // of products and sums
  for (Operation &op : map.getBlock().without_terminator()) {
    bool isMade =
        isUnit(op) || llvm::any_of(op.getOperands(), [&](Value operand) {
          return made.contains(operand.getDefiningOp());
        });
    bool hasChannels = llvm::any_of(
        op.getResults(), [&](Value result) { return channels.has(result); });
    if (isMade)
      made.insert(&op);
    bool readsPartial = llvm::any_of(
        op.getOperands(), [&](Value operand) { return isPartial(operand); });
    bool readsParts = reads(op, ChannelStage::parts);
    bool isDivided =
        dividesSums && readsParts && channels.mixes(op) && isSumOfColumns(op);
    if (reads(op, ChannelStage::behind) || readsPartial) {
      stages[&op] = ChannelStage::behind;
    } else if (isDivided || dividesPairs(op)) {
      stages[&op] = ChannelStage::parts;
      partial.insert(&op);
    } else if (channels.mixes(op) || (isMade && !hasChannels)) {
      stages[&op] = readsParts ? ChannelStage::behind : ChannelStage::before;
    } else if (readsParts || isUnit(op)) {
      stages[&op] = ChannelStage::parts;
    }
  }
  for (Operation &op : llvm::reverse(map.getBlock().without_terminator()))
    moveBehind(op);
}

/// Moves what only the last map reads there, where one tile crosses as before.
void ChannelStages::moveBehind(Operation &op) {
  auto isParts = [&](Value operand) {
    return get(operand) == ChannelStage::parts;
  };
  auto isBehind = [&](Operation *user) {
    return get(user) == ChannelStage::behind;
  };
  if (get(&op) == ChannelStage::parts && op.hasTrait<OpTrait::Elementwise>() &&
      llvm::count_if(op.getOperands(), isParts) == 1 &&
      llvm::all_of(op.getUsers(), isBehind))
    stages[&op] = ChannelStage::behind;
}
