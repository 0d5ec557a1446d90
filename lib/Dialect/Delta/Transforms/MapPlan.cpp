//===- MapPlan.cpp - The products of a map, divided among several ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// MapNeeds.cpp counts what a map needs.
//
//===----------------------------------------------------------------------===//

#include "MapPlan.h"

#include "TileBytes.h"

#include "wyvern/Dialect/Delta/Analysis/TileStorage.h"
#include "wyvern/Dialect/Delta/IR/ChunkRegion.h"
#include "wyvern/Dialect/Delta/IR/Splat.h"
#include "wyvern/Dialect/Delta/Utils/ChannelDecay.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

/// The number of what is not assigned yet.
static constexpr int kLater = std::numeric_limits<int>::max();
/// Bytes that tiles leave between them, since small ones do not fill the gaps
/// of large ones.
static constexpr int64_t kGaps = 8 * 1024, kLeastGaps = 4 * 1024;
/// Tiles that registers hold at a time, or bytes of more narrow ones: of more,
/// the addresses and masks of their operands find no room besides. Found by
/// compiling all specs.
static constexpr int64_t kMostHeld = 2, kMostHeldBytes = 64 * 1024;
/// Sums that registers hold through both phases of a map, beside the product
/// that is added to one of them and its operand.
static constexpr size_t kMostPhaseSums = 3;
/// Bytes of a sum of 64 columns: four are as many registers as two of 128.
static constexpr int64_t kNarrowBytes = kHeldBytes * kTileRows * kTileRows;

/// True if what `op` adds up for each half is made of other products. It reads
/// that once for each half: where it is not loaded, registers hold it
/// meanwhile.
static bool isHalvedProduct(Operation *op) {
  auto apply = dyn_cast<DecayApplyOp>(op);
  return isHalved(op) && apply.getM().getDefiningOp();
}

bool mlir::wyvern::delta::hasProductsOfOtherRows(ChunkMapOp map) {
  return llvm::any_of(map.getBlock().getOps<linalg::ContractOp>(),
                      [](linalg::ContractOp product) {
                        Type type = product->getResult(0).getType();
                        return cast<RankedTensorType>(type).getDimSize(0) !=
                               kTileRows;
                      });
}

bool MapPlan::isSpread(Value value) {
  Operation *def = value.getDefiningOp();
  return def && (isa<linalg::BroadcastOp>(def) || getTileRank(value) == 0);
}

//===----------------------------------------------------------------------===//
// What there is room for
//===----------------------------------------------------------------------===//

bool MapPlan::fitsShared(const Needs &needs) const {
  return needs.getShared() - needs.fetched + kGaps <= room.shared;
}

bool MapPlan::fits(const Needs &needs) const {
  // One that is held alone is what the next product adds to.
  bool isAlone = !isHalvedMap && needs.numHeld <= 1;
  // Beside sums there is a product, and what the next half multiplies.
  bool isNarrow = needs.sharesOperand || (isHalvedMap && needs.staged == 0);
  int64_t beside = (isNarrow ? 1 : 2) * needs.largest;
  return fitsShared(needs) &&
         (isAlone || needs.held + beside <= room.registers) &&
         (needs.numHeld <= kMostHeld || needs.held <= kMostHeldBytes);
}

bool MapPlan::fitsBeside(const Needs &needs) const {
  return fits(needs) &&
         (!isHalvedMap || 2 * (needs.getShared() - needs.once) <= room.shared);
}

/// Narrow sums of products in halves share their factors, and what each half
/// multiplies lies where the one before did: there may be as many as registers
/// hold. Where these read no product, neither earlier nor of this map, what
/// makes no halves is done before, in maps of its own: their sums come out of
/// memory to registers, where its own would go to memory through shared tiles.
bool MapPlan::isRoomFor(Operation *unit, const Needs &needs,
                        int current) const {
  bool isEmpty = true, areHalved = true;
  for (Operation *other : units)
    if (other != unit && assigned.lookup(other) == current) {
      isEmpty = false;
      areHalved &= isHalved(other);
    }
  if (isEmpty)
    return fits(needs);
  if (!isHalved(unit))
    return fitsBeside(needs);
  if (areHalved && needs.largest <= kNarrowBytes)
    return fits(needs);
  return fitsBeside(needs) && (areHalved || isHalvedProduct(unit));
}

//===----------------------------------------------------------------------===//
// Two phases
//===----------------------------------------------------------------------===//

std::optional<std::pair<size_t, size_t>> MapPlan::countPhaseSums() const {
  auto findSum = [&](Value term) -> Operation * {
    for (const TermSum &sum : sums.get())
      if (llvm::any_of(sum.terms, [&](const SumTerm &other) {
            return other.value == term && !other.scan;
          }))
        return sum.root;
    return nullptr;
  };
  llvm::SmallPtrSet<Operation *, 4> decayed;
  SmallVector<Operation *> others;
  for (Operation *unit : units) {
    if (isa<linalg::ReduceOp>(unit))
      continue;
    // A term that others read too is a term all the same.
    Value value = unit->getResult(0);
    Operation *root = findSum(value);
    while (!root && value.hasOneUse() &&
           value.user_begin()->hasTrait<OpTrait::Elementwise>()) {
      value = value.user_begin()->getResult(0);
      root = findSum(value);
    }
    if (!root)
      return std::nullopt;
    if (isHalved(unit))
      decayed.insert(root);
    else
      others.push_back(root);
  }
  size_t apart = llvm::count_if(
      others, [&](Operation *root) { return !decayed.contains(root); });
  return std::pair(decayed.size(), apart);
}

bool MapPlan::fitsInPhases() {
  std::optional<MapPhases> phases = findPhases(map);
  if (!phases || llvm::any_of(units, isHalvedProduct))
    return false;
  std::optional<std::pair<size_t, size_t>> numSums = countPhaseSums();
  if (!numSums || numSums->first > kMostPhaseSums)
    return false;
  auto countIns = [&](ArrayRef<unsigned> ins) {
    int64_t bytes = 0;
    for (unsigned in : ins)
      bytes += countInBytes(map, in);
    return bytes;
  };
  int64_t elements = 0; // of a sum
  for (Operation *unit : units)
    if (isHalved(unit))
      elements = std::max(elements, countFilledElements(unit->getResult(0)));
  // Rows are summed in a place of their own, two operands of products are made
  // at a time, and what is in none of the sums waits in shared memory.
  int64_t scanned = kTileGap + kHeldBytes * elements;
  int64_t first = countIns(phases->firstIns) + scanned;
  auto numWaiting = static_cast<int64_t>(numSums->second);
  int64_t second = countIns(phases->secondIns) + (1 + numWaiting) * scanned +
                   2 * (kTileGap + kOperandBytes * elements);
  return kHeldBytes * elements <= kNarrowBytes &&
         2 * (std::max(first, second) + kTileGap) <= room.shared;
}

//===----------------------------------------------------------------------===//
// Who does what
//===----------------------------------------------------------------------===//

MapPlan::MapPlan(ChunkMapOp map, MapRoom room)
    : map(map), room(room), sums(map.getBlock()) {
  for (Operation &op : map.getBlock().without_terminator())
    if (cast<ChunkRegionOpInterface>(op).getMatmulFlops() > 0 ||
        isa<linalg::ReduceOp>(op))
      units.push_back(&op);
  isHalvedMap = llvm::any_of(units, isHalved);
  for (Operation *unit : units)
    assigned[unit] = 0;
  number();
  if (isHalvedMap && fitsInPhases())
    return;
  // A map without a decay a channel holds little in registers beside what it
  // loads. More sums than wide ones are those of halves alone.
  Needs needs = countNeeds(0);
  int64_t bytes = needs.getShared() - needs.fetched + kLeastGaps;
  bool holdsMany = needs.numHeld > kMostHeld && !llvm::all_of(units, isHalved);
  if (llvm::any_of(units, isHalvedProduct) ||
      (isHalvedMap ? holdsMany || !fits(needs) : bytes > room.shared))
    assign();
}

int MapPlan::getNumber(Value value) const {
  Operation *def = value.getDefiningOp();
  return def ? numbers.lookup(def) : kAnywhere;
}

int MapPlan::getNumber(const TermSum &sum, const SumTerm &term) const {
  int number = getNumber(term.value);
  if (number == kAnywhere)
    return numbers.lookup(sum.root);
  if (!isSpread(term.value))
    return number;
  // What is spread over rows or columns comes with the next matrix.
  int next = kLater;
  for (const SumTerm &other : sum.terms)
    if (int of = getNumber(other.value); of >= number && !isSpread(other.value))
      next = std::min(next, of);
  return next == kLater ? number : next;
}

void MapPlan::number() {
  for (Operation &op : map.getBlock().without_terminator()) {
    auto unit = assigned.find(&op);
    int number = unit == assigned.end() ? kAnywhere : unit->second;
    for (Value operand : op.getOperands())
      number = std::max(number, getNumber(operand));
    numbers[&op] = number;
  }
}

/// Fills one map after the other: with what it has room for and costs it least.
/// With products made in halves, which take long, more than one only where it
/// lets two blocks share an SM.
/// What reads no other product comes first, so that products of products find
/// their operands made; and what is made in halves comes last.
void MapPlan::assign() {
  for (Operation *unit : units)
    assigned[unit] = kLater;
  SmallVector<Operation *> left(units);
  int current = 0;
  bool isEmpty = true;
  while (!left.empty()) {
    number();
    Operation *best = nullptr, *cheapest = nullptr;
    std::tuple<bool, bool, int64_t> bestCost, cheapestCost;
    for (Operation *unit : left) {
      int64_t depth = kAnywhere;
      for (Value operand : unit->getOperands())
        depth = std::max<int64_t>(depth, getNumber(operand));
      if (depth == kLater || (depth == current && isHalved(unit)))
        continue;
      assigned[unit] = current;
      number();
      Needs needs = countNeeds(current);
      assigned[unit] = kLater;
      number();
      bool readsProduct = depth != kAnywhere;
      std::tuple<bool, bool, int64_t> cost(readsProduct, isHalved(unit),
                                           needs.getShared() - needs.once);
      if (isRoomFor(unit, needs, current) && (!best || cost < bestCost)) {
        best = unit;
        bestCost = cost;
      }
      if (!cheapest || cost < cheapestCost) {
        cheapest = unit;
        cheapestCost = cost;
      }
    }
    if (!best && !isEmpty) {
      ++current;
      isEmpty = true;
      continue;
    }
    if (!best) {
      exceeds = true;
      best = cheapest;
      assigned[best] = current;
      number();
      exceedsMemory |= !fitsShared(countNeeds(current));
    }
    assigned[best] = current;
    llvm::erase(left, best);
    isEmpty = false;
  }
  number();
  numMaps = current + 1;
}
