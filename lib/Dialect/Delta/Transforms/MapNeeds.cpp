//===- MapNeeds.cpp - What one of the maps of a plan needs ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MapPlan.h"
#include "TileBytes.h"

#include "wyvern/Dialect/Delta/Analysis/TileStorage.h"
#include "wyvern/Dialect/Delta/IR/Splat.h"
#include "wyvern/Dialect/Delta/Utils/ChannelDecay.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

/// Counts what the map of one number needs.
class MapPlan::Counter {
public:
  Counter(const MapPlan &plan, int number) : plan(plan), number(number) {}

  Needs count() {
    ChunkMapOp map = plan.map;
    for (Operation &op : map.getBlock().without_terminator())
      if (!plan.sums.isInner(&op) && plan.numbers.lookup(&op) == number)
        addOp(&op);
    for (const TermSum &sum : plan.sums.get())
      addSum(sum);
    for (auto [tile, how] : read) {
      int64_t bytes = kTileGap + countFilledElements(tile) *
                                     getElementBytes(tile, how.isRounded);
      needs.loaded += bytes;
      if (how.times == 1 && !how.isRounded && getTileRank(tile) == 2)
        needs.once += bytes;
    }
    if (needs.sharesOperand)
      needs.staged = staged; // a half's is done with before the next one's
    else
      needs.staged += staged;
    // Where products are made in halves, what leaves takes the place of their
    // operands.
    if (!plan.isHalvedMap)
      addStored();
    return needs;
  }

private:
  /// Outs of this map, and what later ones read of it.
  void addStored() {
    ChunkMapOp map = plan.map;
    for (auto [tensor, tile] :
         llvm::zip_equal(map.getOuts(), map.getYield().getOuts()))
      if (std::max(plan.getNumber(tile), 0) == number)
        addStored(tile,
                  getElementTypeOrSelf(tensor).getIntOrFloatBitWidth() / 8);
    for (Operation &op : map.getBlock().without_terminator()) {
      if (plan.numbers.lookup(&op) != number || plan.sums.isInner(&op))
        continue;
      for (OpOperand &use : op.getUses())
        if (!isa<YieldOp>(use.getOwner()) && !plan.isSpread(use.get()) &&
            plan.numbers.lookup(use.getOwner()) > number)
          addStored(use.get(), readsRounded(use.getOwner(), use.get())
                                   ? kOperandBytes
                                   : kHeldBytes);
    }
  }

  void addStored(Value tile, int64_t elementBytes) {
    if (getTileRank(tile) == 2)
      needs.stored = std::max(
          needs.stored, kTileGap + elementBytes * countFilledElements(tile));
  }

  /// True for a product of rows that several operations read: registers hold it
  /// from the first to the last. What is part of a sum that another map ends is
  /// read there.
  bool isHeld(Operation *op) const {
    if (isHalved(op) || !isa<linalg::ContractOp>(op) ||
        getTileRank(op->getResult(0)) != 2)
      return false;
    Value value = op->getResult(0);
    while (value.hasOneUse()) {
      Operation *user = *value.user_begin();
      if (!user->hasTrait<OpTrait::Elementwise>() ||
          (!plan.isHalvedMap && plan.numbers.lookup(user) != number))
        return false;
      value = user->getResult(0);
    }
    return llvm::any_of(value.getUsers(), [](Operation *user) {
      return user->hasTrait<OpTrait::Elementwise>();
    });
  }

  /// Adds what `op` reads, and rows that it sums.
  void addOperands(Operation *op) {
    for (Value operand : op->getOperands())
      addRead(operand, op);
    for (Value result : op->getResults())
      if (isa<CumsumOp>(op) && getTileRank(result) == 2)
        addScan(result);
  }

  void addOp(Operation *op) {
    if (plan.sums.find(op))
      return;
    addOperands(op);
    if (isHeld(op))
      addHeld(op->getResult(0));
    if (!plan.isHalvedMap)
      addComputed(op);
    if (!isHalved(op))
      return;
    addHalved(cast<DecayApplyOp>(op));
  }

  /// Products of a half share what they multiply, scaled. Masks of what is
  /// loaded are left operands in registers.
  void addHalved(DecayApplyOp apply) {
    addHeld(apply.getR());
    addScan(apply.getG());
    int64_t operands = 0;
    if (scaled.insert(apply.getX()).second)
      operands += kOperandBytes * countFilledElements(apply.getX());
    if (plan.getNumber(apply.getM()) == number)
      operands += kOperandBytes * countFilledElements(apply.getM());
    // Those of one half, and the largest of the next.
    staged += operands;
    needs.staged = std::max(needs.staged, operands);
    ++numHalved;
    needs.sharesOperand = numHalved > 1 && scaled.size() == 1;
  }

  /// Rows that are computed and multiplied, by this map or wherever it reads
  /// them.
  void addComputed(Operation *op) {
    if (!isa<linalg::ContractOp>(op))
      return;
    for (OpOperand *operand :
         cast<ChunkRegionOpInterface>(op).getRoundedOperands()) {
      int of = plan.getNumber(operand->get());
      if ((of == number || of == kAnywhere) &&
          computed.insert(operand->get()).second)
        needs.staged += countComputedBytes(operand->get());
    }
  }

  /// A sum that earlier maps began is loaded.
  void addSum(const TermSum &sum) {
    bool isPart = false, isLater = false;
    for (const SumTerm &term : sum.terms) {
      int of = plan.getNumber(sum, term);
      isLater |= of < number;
      if (of != number)
        continue;
      isPart = true;
      addRead(term.value, sum.root);
      if (term.scan)
        addScan(term.value);
    }
    if (!isPart || !isLater)
      return;
    Value tile = sum.root->getResult(0);
    int64_t bytes = kTileGap + kHeldBytes * countFilledElements(tile);
    needs.loaded += bytes;
    needs.once += bytes;
    // A product takes its registers, out of memory (sched-separate).
    if (!plan.isHalvedMap &&
        cast<RankedTensorType>(tile.getType()).getDimSize(0) == kTileRows)
      needs.fetched += bytes;
  }

  void addRead(Value value, Operation *reader) {
    Operation *def = value.getDefiningOp();
    if (def && plan.getNumber(value) == number)
      return;
    // A bounded in is read as that.
    if (Value bounded = getBounded(value);
        bounded && !bounded.getDefiningOp()) {
      value = bounded;
      def = nullptr;
    }
    if (def && plan.getNumber(value) == kAnywhere) {
      if (!visited.insert(def).second)
        return;
      addOperands(def);
      return;
    }
    if (!isa<RankedTensorType>(value.getType()))
      return;
    bool isRounded = !plan.sums.find(reader) && readsRounded(reader, value);
    auto [it, isNew] = read.insert({value, {isRounded, 1}});
    if (isNew)
      return;
    it->second.isRounded &= isRounded;
    ++it->second.times;
  }

  void addHeld(Value tile) {
    int64_t bytes = kHeldBytes * countFilledElements(tile);
    needs.held += bytes;
    ++needs.numHeld;
    needs.largest = std::max(needs.largest, bytes);
  }

  /// Rows are summed in shared memory, one matrix at a time.
  void addScan(Value tile) {
    needs.scanned =
        std::max(needs.scanned, kHeldBytes * countFilledElements(tile));
  }

  int64_t getElementBytes(Value tile, bool isRounded) const {
    return getLoadedBytes(plan.map, tile, isRounded,
                          /*knowsSaved=*/!plan.isHalvedMap);
  }

  const MapPlan &plan;
  int number;
  Needs needs;
  int64_t staged = 0;
  /// How a tile is read: as an operand of products alone, and how many times.
  struct Reading {
    bool isRounded;
    int64_t times;
  };
  llvm::MapVector<Value, Reading> read;
  llvm::SmallPtrSet<Operation *, 32> visited;
  llvm::SmallDenseSet<Value, 8> computed; ///< rows that products read
  /// What halved products multiply.
  llvm::SmallDenseSet<Value, 4> scaled;
  int64_t numHalved = 0;
};

MapPlan::Needs MapPlan::countNeeds(int number) const {
  return Counter(*this, number).count();
}
