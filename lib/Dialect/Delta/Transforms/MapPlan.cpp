//===- MapPlan.cpp - The products of a map, divided among several ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MapPlan.h"

#include "wyvern/Dialect/Delta/Analysis/TileStorage.h"
#include "wyvern/Dialect/Delta/IR/ChunkRegion.h"
#include "wyvern/Dialect/Delta/IR/Splat.h"
#include "wyvern/Dialect/Delta/Utils/Training.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

/// The number of what is not assigned yet.
static constexpr int kLater = std::numeric_limits<int>::max();
/// Bytes of an element that products read, and of one in registers.
static constexpr int64_t kOperandBytes = 2, kHeldBytes = 4;
/// Bytes that lie between the tiles of a block: each starts at a multiple of
/// what TMA asks for, and small ones do not fill the gaps of large ones.
static constexpr int64_t kGap = 1024, kGaps = 8 * 1024, kLeastGaps = 4 * 1024;
/// Rows of a chunk that registers hold as one tile.
static constexpr int64_t kRows = 64;
/// Tiles that registers hold at a time, or bytes of more narrow ones: of more,
/// the addresses and masks of their operands find no room besides. Found by
/// compiling all specs.
static constexpr int64_t kMostHeld = 2, kMostHeldBytes = 64 * 1024;
/// Sums that registers hold through both phases of a map, beside the product
/// that is added to one of them and its operand.
static constexpr size_t kMostPhaseSums = 3;
/// Bytes of a sum of 64 columns: four are as many registers as two of 128.
static constexpr int64_t kNarrowBytes = kHeldBytes * kRows * kRows;

/// True for a product with a decay a channel, which is one product for each
/// half of the tokens (delta-halve-decay), added up in registers.
static bool isHalved(Operation *op) {
  auto apply = dyn_cast<DecayApplyOp>(op);
  return apply && apply.getG() && getTileRank(apply.getG()) == 2;
}

/// True if what `op` adds up for each half is made of other products. It reads
/// that once for each half: where it is not loaded, registers hold it
/// meanwhile.
static bool isHalvedProduct(Operation *op) {
  auto apply = dyn_cast<DecayApplyOp>(op);
  return isHalved(op) && apply.getM().getDefiningOp();
}

/// True if `op` reads `tile` as an operand that is rounded.
static bool readsRounded(Operation *op, Value tile) {
  SmallVector<OpOperand *> rounded =
      cast<ChunkRegionOpInterface>(op).getRoundedOperands();
  return llvm::all_of(op->getOpOperands(), [&](OpOperand &operand) {
    return operand.get() != tile || llvm::is_contained(rounded, &operand);
  });
}

/// True for what a forward has saved, which is stored as what programs hand
/// each other.
static bool isSaved(Value tensor) {
  auto argument = dyn_cast<BlockArgument>(tensor);
  auto func = argument
                  ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp())
                  : func::FuncOp();
  return func && func.getArgAttr(argument.getArgNumber(), kResidualAttr);
}

/// Returns the bytes of an element of what is loaded, as delta-assign-precision
/// stores it: rows that are not only multiplied may have a second part.
static int64_t getElementBytes(ChunkMapOp map, Value tile, bool isRounded,
                               bool knowsSaved) {
  Value in = ChunkProgramOpInterface::getInOfTile(tile);
  int64_t bytes =
      getElementTypeOrSelf(in ? in : tile).getIntOrFloatBitWidth() / 8;
  bool isState = false;
  if (in) {
    unsigned number = cast<BlockArgument>(tile).getArgNumber() - 1;
    isState = !cast<ChunkProgramOpInterface>(map.getOperation())
                   .getInBinding(number)
                   .has(DimKind::time);
  }
  bool isBetween = !in || in.getDefiningOp<ChunkProgramOpInterface>() ||
                   (knowsSaved && isSaved(in));
  return isBetween && getTileRank(tile) == 2 && (isRounded || isState)
             ? std::min(bytes, kOperandBytes)
             : bytes;
}

int64_t mlir::wyvern::delta::countInBytes(ChunkMapOp map, unsigned in) {
  BlockArgument tile = map.getInArg(in);
  bool isRounded = llvm::all_of(tile.getUsers(), [&](Operation *user) {
    return readsRounded(user, tile);
  });
  return kGap +
         countFilledElements(tile) * getElementBytes(map, tile, isRounded,
                                                     /*knowsSaved=*/true);
}

bool mlir::wyvern::delta::hasProductsOfOtherRows(ChunkMapOp map) {
  return llvm::any_of(map.getBlock().getOps<linalg::ContractOp>(),
                      [](linalg::ContractOp product) {
                        Type type = product->getResult(0).getType();
                        return cast<RankedTensorType>(type).getDimSize(0) !=
                               kRows;
                      });
}

bool MapPlan::isSpread(Value value) {
  Operation *def = value.getDefiningOp();
  return def && (isa<linalg::BroadcastOp>(def) || getTileRank(value) == 0);
}

//===----------------------------------------------------------------------===//
// What a map needs
//===----------------------------------------------------------------------===//

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
      int64_t bytes = kGap + countFilledElements(tile) *
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
      needs.stored = std::max(needs.stored,
                              kGap + elementBytes * countFilledElements(tile));
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

  void addOp(Operation *op) {
    if (plan.sums.find(op))
      return;
    for (Value operand : op->getOperands())
      addRead(operand, op);
    for (Value result : op->getResults())
      if (isa<CumsumOp>(op) && getTileRank(result) == 2)
        addScan(result);
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

  /// Rows that are computed and multiplied lie in shared memory as those that
  /// are loaded. (Pairs of tokens, which are fewer, take what gaps leave.)
  void addComputed(Operation *op) {
    if (!isa<linalg::ContractOp>(op))
      return;
    for (OpOperand *operand :
         cast<ChunkRegionOpInterface>(op).getRoundedOperands()) {
      Value tile = operand->get();
      int64_t elements = countFilledElements(tile);
      int of = plan.getNumber(tile);
      if (tile.getDefiningOp() && elements > kRows * kRows &&
          (of == number || of == MapPlan::kAnywhere) &&
          computed.insert(tile).second)
        needs.staged += kGap + kOperandBytes * elements;
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
    int64_t bytes = kGap + kHeldBytes * countFilledElements(tile);
    needs.loaded += bytes;
    needs.once += bytes;
    // A product takes its registers, out of memory (sched-separate).
    if (!plan.isHalvedMap &&
        cast<RankedTensorType>(tile.getType()).getDimSize(0) == kRows)
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
      for (Value operand : def->getOperands())
        addRead(operand, def);
      for (Value result : def->getResults())
        if (isa<CumsumOp>(def) && getTileRank(result) == 2)
          addScan(result);
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
    return ::getElementBytes(plan.map, tile, isRounded,
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
  int64_t scanned = kGap + kHeldBytes * elements;
  int64_t first = countIns(phases->firstIns) + scanned;
  auto numWaiting = static_cast<int64_t>(numSums->second);
  int64_t second = countIns(phases->secondIns) + (1 + numWaiting) * scanned +
                   2 * (kGap + kOperandBytes * elements);
  return kHeldBytes * elements <= kNarrowBytes &&
         2 * (std::max(first, second) + kGap) <= room.shared;
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
  Needs needs = Counter(*this, 0).count();
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
      Needs needs = Counter(*this, current).count();
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
      exceedsMemory |= !fitsShared(Counter(*this, current).count());
    }
    assigned[best] = current;
    llvm::erase(left, best);
    isEmpty = false;
  }
  number();
  numMaps = current + 1;
}
