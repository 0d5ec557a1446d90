//===- MapRounds.cpp - Maps that a block makes in rounds ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Analysis/MapRounds.h"

#include "wyvern/Dialect/Delta/Analysis/TileStorage.h"
#include "wyvern/Dialect/Delta/IR/ChunkRegion.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

namespace {
/// What a tile has of the dimension that is in parts: which part, and which of
/// its own dimensions that is.
struct Part {
  int64_t first, end;
  int64_t dim;
};

/// Finds the rounds of a map.
class RoundFinder {
public:
  explicit RoundFinder(ChunkMapOp map)
      : map(map), program(cast<ChunkProgramOpInterface>(map.getOperation())) {}

  std::optional<MapRounds> find();

private:
  bool findParts();
  std::optional<Part> getPart(BindingAttr binding) const;
  /// Finds what each operation has of the parts, and the round that it is of.
  bool divide();
  bool addToRound(Operation &op);
  /// Makes what rounds read of other ins before them.
  void makeEarly();
  bool isOrdered();
  void collectIns(MapRounds &rounds);
  void countHeld(MapRounds &rounds);

  ChunkMapOp map;
  ChunkProgramOpInterface program;
  SmallVector<int64_t> starts; ///< of the parts, in order
  llvm::DenseMap<Value, Part> parts;
  /// 0 is before the rounds, one more than there are rounds is behind them.
  llvm::DenseMap<Operation *, unsigned> turns;
  llvm::SmallSetVector<Value, 8> early; ///< other ins that rounds read
};
} // namespace

std::optional<Part> RoundFinder::getPart(BindingAttr binding) const {
  std::optional<Part> part;
  int64_t dim = 0;
  for (BoundDim bound : binding.getDims()) {
    if (bound.isPart()) {
      if (part)
        return std::nullopt;
      part = Part{bound.offset, bound.end, dim};
    }
    if (bound.kind == DimKind::time || bound.kind == DimKind::whole)
      ++dim;
  }
  return part;
}

bool RoundFinder::findParts() {
  SmallVector<std::pair<int64_t, int64_t>> ranges;
  for (unsigned i = 0; i < map.getIns().size(); ++i)
    if (std::optional<Part> part = getPart(program.getInBinding(i));
        part && !map.getInArg(i).use_empty()) {
      parts[map.getInArg(i)] = *part;
      ranges.push_back({part->first, part->end});
    }
  llvm::sort(ranges);
  ranges.erase(llvm::unique(ranges), ranges.end());
  for (size_t i = 0; i < ranges.size(); ++i) {
    if (i > 0 && ranges[i].first < ranges[i - 1].second)
      return false;
    starts.push_back(ranges[i].first);
  }
  return ranges.size() > 1;
}

/// Adds `op`, which reads tiles of parts, to the round of these. What it makes
/// is such a tile, or a sum over the part.
bool RoundFinder::addToRound(Operation &op) {
  SmallVector<Part> read;
  for (Value operand : op.getOperands())
    if (auto it = parts.find(operand); it != parts.end())
      read.push_back(it->second);
  for (const Part &part : read)
    if (part.first != read.front().first)
      return false;
  turns[&op] = 1 + llvm::find(starts, read.front().first) - starts.begin();
  if (auto reduce = dyn_cast<linalg::ReduceOp>(op))
    return reduce.getDimensions() == ArrayRef<int64_t>(read.front().dim);
  if (isa<linalg::ContractOp>(op))
    return read.size() == 2;
  if (!op.hasTrait<OpTrait::Elementwise>() || op.getNumResults() != 1)
    return false;
  parts[op.getResult(0)] = read.front();
  return true;
}

bool RoundFinder::divide() {
  unsigned behind = 1 + starts.size();
  for (Operation &op : map.getBlock().without_terminator()) {
    bool readsPart = llvm::any_of(op.getOperands(), [&](Value operand) {
      return parts.contains(operand);
    });
    if (readsPart) {
      if (!addToRound(op))
        return false;
      continue;
    }
    unsigned turn = 0;
    for (Value operand : op.getOperands()) {
      Operation *def = operand.getDefiningOp();
      turn = std::max(turn, def ? turns.lookup(def) : behind);
    }
    turns[&op] = turn;
  }
  return true;
}

void RoundFinder::makeEarly() {
  unsigned behind = 1 + starts.size();
  SmallVector<Operation *> worklist;
  for (auto [op, turn] : turns)
    if (turn > 0 && turn < behind)
      worklist.push_back(op);
  while (!worklist.empty())
    for (Value operand : worklist.pop_back_val()->getOperands()) {
      Operation *def = operand.getDefiningOp();
      if (!def && !parts.contains(operand)) {
        early.insert(operand);
      } else if (def && turns.lookup(def) == behind) {
        turns[def] = 0;
        worklist.push_back(def);
      }
    }
}

/// True if nothing is read before it is made.
bool RoundFinder::isOrdered() {
  return llvm::all_of(turns, [&](const auto &entry) {
    return llvm::all_of(entry.first->getOperands(), [&](Value operand) {
      Operation *def = operand.getDefiningOp();
      return !def || turns.lookup(def) <= entry.second;
    });
  });
}

void RoundFinder::collectIns(MapRounds &rounds) {
  rounds.keepsFirst = !early.empty();
  rounds.ins.resize(starts.size() + 2);
  for (unsigned i = 0; i < map.getIns().size(); ++i) {
    BlockArgument tile = map.getInArg(i);
    if (tile.use_empty() || getTileRank(tile) == 0)
      continue;
    unsigned turn = early.contains(tile) ? 0 : 1 + starts.size();
    if (auto it = parts.find(tile); it != parts.end())
      turn = 1 + llvm::find(starts, it->second.first) - starts.begin();
    rounds.ins[turn].push_back(i);
  }
  rounds.turns = turns;
  if (!rounds.ins.back().empty() && rounds.keepsFirst)
    return;
  if (rounds.ins.back().empty()) {
    rounds.ins.pop_back();
    for (auto &entry : rounds.turns)
      entry.second = std::min<unsigned>(entry.second, rounds.ins.size() - 1);
  }
  if (rounds.keepsFirst)
    return;
  rounds.ins.erase(rounds.ins.begin());
  for (auto &entry : rounds.turns)
    entry.second = std::max(entry.second, 1u) - 1;
}

/// Counts what registers hold from one round to the next, vectors aside, of
/// tiles as they will be filled up.
void RoundFinder::countHeld(MapRounds &rounds) {
  for (unsigned turn = 0; turn + 1 < rounds.ins.size(); ++turn) {
    int64_t held = 0;
    for (auto [op, made] : rounds.turns)
      for (Value result : op->getResults()) {
        bool goesOn = made <= turn && getTileRank(result) == 2 &&
                      !op->hasTrait<OpTrait::ConstantLike>() &&
                      !isa<linalg::BroadcastOp>(op) && op->getNumOperands() &&
                      llvm::any_of(result.getUsers(), [&](Operation *user) {
                        auto it = rounds.turns.find(user);
                        return it == rounds.turns.end() || it->second > turn;
                      });
        if (goesOn)
          held += countFilledElements(result);
      }
    rounds.heldElements = std::max(rounds.heldElements, held);
  }
}

std::optional<MapRounds> RoundFinder::find() {
  if (!findParts() || !divide())
    return std::nullopt;
  makeEarly();
  if (!isOrdered())
    return std::nullopt;
  MapRounds rounds;
  collectIns(rounds);
  countHeld(rounds);
  return rounds;
}

std::optional<MapRounds> delta::findRounds(ChunkMapOp map) {
  return RoundFinder(map).find();
}

int64_t MapRounds::countBytes(function_ref<int64_t(unsigned)> countIn) const {
  auto countTurn = [&](size_t turn) {
    int64_t bytes = 0;
    if (turn < ins.size())
      for (unsigned in : ins[turn])
        bytes += countIn(in);
    return bytes;
  };
  int64_t most = 0;
  for (size_t turn = keepsFirst; turn < ins.size(); ++turn)
    most = std::max(most, countTurn(turn) + countTurn(turn + 1));
  return most + (keepsFirst ? countTurn(0) : 0);
}
