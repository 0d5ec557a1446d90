//===- MapPhases.cpp - Maps that a block makes in two phases --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Analysis/MapPhases.h"

#include "wyvern/Dialect/Delta/IR/ChunkRegion.h"
#include "wyvern/Dialect/Delta/IR/Splat.h"
#include "wyvern/Dialect/Delta/Utils/ChannelDecay.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// True for what makes a product with a decay a channel, or is it.
static bool isOfDecayProduct(Operation *op) {
  if (auto mask = dyn_cast<DecayMaskOp>(op))
    return mask.getNear() || mask.getHalf();
  return isa<SumToMiddleOp>(op) || isHalved(op);
}

static bool isProduct(Operation *op) {
  return cast<ChunkRegionOpInterface>(op).getMatmulFlops() > 0;
}

/// Returns the in that `value` is, bounded or not, or `value`.
static Value skipBound(Value value) {
  Value in = getBounded(value);
  return in && ChunkProgramOpInterface::getInOfTile(in) ? in : value;
}

namespace {
/// Finds the phases of a map.
class PhaseFinder {
public:
  explicit PhaseFinder(ChunkMapOp map) : map(map) {}

  std::optional<MapPhases> find();

private:
  using Ops = llvm::SmallPtrSet<Operation *, 32>;

  void divide();
  bool moveToSecond();
  /// The ins that `ops` read, by way of what belongs to neither phase; apart,
  /// those by way of a running sum.
  void collectIns(const Ops &ops, llvm::SmallSetVector<Value, 8> &ins,
                  llvm::SmallSetVector<Value, 2> &summed);

  ChunkMapOp map;
  Ops first, second;
};
} // namespace

/// The second phase is what follows from products with a decay, the first one
/// other products and what else follows from them.
void PhaseFinder::divide() {
  auto follows = [](Operation &op, const Ops &ops) {
    return llvm::any_of(op.getOperands(), [&](Value operand) {
      return ops.contains(operand.getDefiningOp());
    });
  };
  for (Operation &op : map.getBlock().without_terminator()) {
    if (isOfDecayProduct(&op) || follows(op, second))
      second.insert(&op);
    else if (isProduct(&op) || isa<linalg::ReduceOp>(op) || follows(op, first))
      first.insert(&op);
  }
}

void PhaseFinder::collectIns(const Ops &ops,
                             llvm::SmallSetVector<Value, 8> &ins,
                             llvm::SmallSetVector<Value, 2> &summed) {
  llvm::SetVector<Operation *> read(ops.begin(), ops.end());
  for (size_t i = 0; i < read.size(); ++i)
    for (Value operand : read[i]->getOperands()) {
      operand = skipBound(operand);
      Operation *def = operand.getDefiningOp();
      if (def && !first.contains(def) && !second.contains(def))
        read.insert(def);
      if (ChunkProgramOpInterface::getInOfTile(operand)) {
        if (isa<CumsumOp>(read[i]))
          summed.insert(operand);
        else
          ins.insert(operand);
      }
    }
}

/// Moves what only adds up, or scales, what the second phase reads too. Returns
/// false if there is none.
bool PhaseFinder::moveToSecond() {
  llvm::SmallSetVector<Value, 8> ins;
  llvm::SmallSetVector<Value, 2> summed;
  collectIns(second, ins, summed);
  bool moved = false;
  for (Operation &op : map.getBlock().without_terminator()) {
    if (!first.contains(&op) || isProduct(&op))
      continue;
    bool reads = llvm::any_of(op.getOperands(), [&](Value operand) {
      return ins.contains(skipBound(operand)) ||
             second.contains(operand.getDefiningOp());
    });
    if (!reads)
      continue;
    first.erase(&op);
    second.insert(&op);
    moved = true;
  }
  return moved;
}

std::optional<MapPhases> PhaseFinder::find() {
  divide();
  while (moveToSecond())
    ;
  llvm::SmallSetVector<Value, 8> firstIns, secondIns;
  llvm::SmallSetVector<Value, 2> firstSummed, secondSummed;
  collectIns(first, firstIns, firstSummed);
  collectIns(second, secondIns, secondSummed);
  secondIns.insert(secondSummed.begin(), secondSummed.end());
  auto isOfBoth = [&](Value in) { return secondIns.contains(in); };
  if (llvm::none_of(first, isProduct) ||
      llvm::none_of(second, isOfDecayProduct) ||
      llvm::any_of(firstIns, isOfBoth) || !llvm::all_of(firstSummed, isOfBoth))
    return std::nullopt;
  MapPhases phases;
  for (auto [i, tile] :
       llvm::enumerate(map.getBlock().getArguments().drop_front(1))) {
    if (firstIns.contains(tile))
      phases.firstIns.push_back(i);
    if (secondIns.contains(tile))
      phases.secondIns.push_back(i);
    if (firstSummed.contains(tile))
      phases.summed.push_back(i);
  }
  llvm::SetVector<Operation *> needed(first.begin(), first.end());
  for (size_t i = 0; i < needed.size(); ++i)
    for (Value operand : needed[i]->getOperands())
      if (Operation *def = operand.getDefiningOp())
        needed.insert(def);
  phases.first.insert(needed.begin(), needed.end());
  return phases;
}

std::optional<MapPhases> delta::findPhases(ChunkMapOp map) {
  return PhaseFinder(map).find();
}

bool delta::isReadBehindProducts(Value value) {
  Operation *def = value.getDefiningOp();
  bool isSpread = isa_and_nonnull<linalg::BroadcastOp>(def);
  if (!def || isSpread || getTileRank(value) != 2 || value.use_empty())
    return false;
  return llvm::all_of(value.getUsers(), [&](Operation *user) {
    for (Operation *op = user->getNextNode(); op; op = op->getNextNode())
      if (auto chunkOp = dyn_cast<ChunkRegionOpInterface>(op);
          chunkOp && chunkOp.getMatmulFlops() > 0)
        return false;
    return true;
  });
}
