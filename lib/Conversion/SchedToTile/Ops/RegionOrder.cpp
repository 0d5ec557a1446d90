//===- RegionOrder.cpp - In which order a region's tiles are made -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RegionOrder.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::wyvern;

//===----------------------------------------------------------------------===//
// Units
//===----------------------------------------------------------------------===//

RegionOrder::RegionOrder(Block &block, const Costs &costs) {
  for (Operation &op : block.without_terminator())
    if (!costs.isMadeAtUse(&op))
      addUnit(&op, costs);
}

void RegionOrder::addUnit(Operation *op, const Costs &costs) {
  Unit unit{op, /*needs=*/{}, /*reads=*/{}};
  llvm::SetVector<Operation *> pending;
  pending.insert(op);
  llvm::SmallSetVector<unsigned, 4> needs, reads;
  for (size_t i = 0; i < pending.size(); ++i)
    for (Value operand : pending[i]->getOperands()) {
      Operation *def = operand.getDefiningOp();
      if (!def)
        continue;
      auto it = numbers.find(def);
      if (it == numbers.end()) {
        pending.insert(def); // made here
        continue;
      }
      needs.insert(it->second);
      if (costs.getRegisters(operand) > 0)
        reads.insert(it->second);
    }
  unit.needs = needs.takeVector();
  unit.reads = reads.takeVector();
  for (Value result : op->getResults())
    unit.registers += costs.getRegisters(result);
  unit.stagedBytes = costs.getStagedBytes(op);
  unit.isLate = unit.reads.empty() && unit.stagedBytes > 0;
  numbers[op] = units.size();
  units.push_back(std::move(unit));
}

//===----------------------------------------------------------------------===//
// The order
//===----------------------------------------------------------------------===//

/// What is done, and what is live.
class RegionOrder::State {
public:
  explicit State(ArrayRef<Unit> units)
      : units(units), done(units.size()), readers(units.size()),
        users(units.size()) {
    for (const Unit &unit : units) {
      for (unsigned read : unit.reads)
        ++readers[read];
      for (unsigned need : unit.needs)
        ++users[need];
    }
  }

  int64_t getLive() const { return live; }
  int64_t getPeak() const { return peak; }
  int64_t getStagedPeak() const { return stagedPeak; }
  bool isDone(unsigned i) const { return done[i]; }
  bool isReady(unsigned i) const {
    return !done[i] && llvm::all_of(units[i].needs, [&](unsigned need) {
      return done[need] || (units[need].isLate && isReady(need));
    });
  }

  /// What unit `i` adds to the live registers, with what it reads last gone.
  int64_t getGrowth(unsigned i) const {
    int64_t growth = readers[i] ? units[i].registers : 0;
    for (unsigned read : units[i].reads)
      if (readers[read] == 1)
        growth -= units[read].registers;
    return growth;
  }

  /// Takes unit `i` and what comes with it; appends them to `order` if given.
  void take(unsigned i, SmallVectorImpl<unsigned> *order) {
    for (unsigned need : units[i].needs)
      if (!done[need])
        take(need, order);
    peak = std::max(peak, live + units[i].registers);
    live += getGrowth(i);
    staged += units[i].stagedBytes;
    stagedPeak = std::max(stagedPeak, staged);
    done[i] = true;
    for (unsigned read : units[i].reads)
      --readers[read];
    for (unsigned need : units[i].needs)
      if (--users[need] == 0)
        staged -= units[need].stagedBytes;
    if (order)
      order->push_back(i);
  }

  /// Takes the units that do not raise the live registers, as long as there
  /// are some: first those that find room beside what is live.
  void takeFree(SmallVectorImpl<unsigned> *order) {
    auto isFree = [&](unsigned i) {
      return !units[i].isLate && isReady(i) && getGrowth(i) <= 0;
    };
    auto hasRoom = [&](unsigned i) {
      return isFree(i) && live + units[i].registers <= kMostRegisters;
    };
    auto numbers = llvm::seq<unsigned>(0, units.size());
    while (true) {
      auto next = llvm::find_if(numbers, hasRoom);
      if (next == numbers.end())
        next = llvm::find_if(numbers, isFree);
      if (next == numbers.end())
        return;
      take(*next, order);
    }
  }

private:
  ArrayRef<Unit> units;
  SmallVector<bool> done;
  SmallVector<unsigned> readers, users;
  int64_t live = 0, peak = 0, staged = 0, stagedPeak = 0;
};

std::optional<unsigned> RegionOrder::findBest(const State &state) const {
  std::optional<unsigned> best;
  std::pair<int64_t, int64_t> bestCost;
  for (unsigned i = 0; i < units.size(); ++i) {
    if (units[i].isLate || !state.isReady(i))
      continue;
    State after = state;
    after.take(i, /*order=*/nullptr);
    after.takeFree(/*order=*/nullptr);
    std::pair<int64_t, int64_t> cost(after.getLive(), after.getPeak());
    if (!best || cost < bestCost) {
      best = i;
      bestCost = cost;
    }
  }
  return best;
}

RegionOrder::Order RegionOrder::getOrder(const State &state,
                                         ArrayRef<unsigned> order) const {
  return {llvm::map_to_vector(order, [&](unsigned i) { return units[i].op; }),
          state.getPeak(), state.getStagedPeak()};
}

RegionOrder::Order RegionOrder::compute() const {
  State state(units);
  SmallVector<unsigned> order;
  state.takeFree(&order);
  while (std::optional<unsigned> best = findBest(state)) {
    state.take(*best, &order);
    state.takeFree(&order);
  }
  return getOrder(state, order);
}

RegionOrder::Order RegionOrder::keep() const {
  State state(units);
  SmallVector<unsigned> order;
  for (unsigned i = 0; i < units.size(); ++i)
    if (!units[i].isLate)
      state.take(i, &order);
  return getOrder(state, order);
}
