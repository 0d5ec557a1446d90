//===- RegionPlan.cpp - Where and when a map's values are made ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RegionLowering.h"
#include "RegionOrder.h"

#include "wyvern/Dialect/Delta/Utils/TileBuilder.h"
#include "wyvern/Dialect/Tile/Targets/StateRoom.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// Operands of products are in shared memory: it takes them across, and their
/// registers are free while the product runs.
/// True for a mask of what lies in shared memory, or will, or that rounded: it
/// is made where it is read, as a left operand in registers.
bool RegionLowering::isMaskOfShared(Value value) {
  if (auto rounded = value.getDefiningOp<arith::TruncFOp>())
    value = rounded.getIn();
  auto mask = value.getDefiningOp<DecayMaskOp>();
  return mask && !mask.getG() &&
         (getShared(mask.getM()) || mask.getM().getDefiningOp<sched::GetOp>());
}

bool RegionLowering::isSharedFactor(Value value) {
  auto exp = value.getDefiningOp<math::ExpOp>();
  Operation *sums = exp ? exp.getOperand().getDefiningOp() : nullptr;
  return sums && getSharedFactor(sums) == value;
}

bool RegionLowering::isReadBack(Operation *op) {
  auto wide = dyn_cast<arith::ExtFOp>(op);
  return wide && isMap && staged.contains(wide.getIn());
}

void RegionLowering::planStaging(Block &block) {
  for (Operation &op : block) {
    if (done.contains(&op))
      continue;
    if (std::optional<Product> product = getProduct(&op)) {
      if (!isShared(product->a) && !isMaskOfShared(product->a))
        staged.insert(product->a);
      if (!isShared(product->b))
        staged.insert(product->b);
    }
  }
}

void RegionLowering::planFusion(Block &block) {
  for (Operation &op : block)
    if (std::optional<ScaledSum> sum = matchScaledSum(&op)) {
      fused.insert(sum->product);
      fused.insert(*sum->product->user_begin());
    }
  auto addsProduct = [&](Operation *op) {
    return llvm::any_of(op->getOperands(), [&](Value operand) {
      Operation *def = operand.getDefiningOp();
      return def && isa<linalg::ContractOp>(def) && fused.contains(def);
    });
  };
  for (Operation &op : block.without_terminator()) {
    if (done.contains(&op) || op.getNumResults() != 1 || !op.hasOneUse() ||
        isSink(*op.user_begin()) || tensorOf(op.getResult(0)).getRank() != 2)
      continue;
    Operation *user = *op.user_begin();
    if (auto contract = dyn_cast<linalg::ContractOp>(op)) {
      // One product a sum: it starts from the other term. One that is negated
      // is taken off.
      if (isa<arith::AddFOp, arith::NegFOp>(user) &&
          isZero(contract.getOutputs().front()) && getProduct(contract) &&
          !addsProduct(user))
        fused.insert(&op);
      continue;
    }
    // A product times what lies in shared memory frees that.
    if (llvm::any_of(op.getOperands(),
                     [&](Value factor) { return isSharedFactor(factor); }) &&
        !isMadeAtUse(op.getResult(0)))
      continue;
    // A sum of two tiles frees one: it is made as soon as it can.
    if (op.hasTrait<OpTrait::Elementwise>() && !isMadeAtUse(op.getResult(0)) &&
        !isSumOfTiles(&op) && !staged.contains(op.getResult(0)) &&
        !addsProduct(&op) && !isShared(op.getResult(0)))
      fused.insert(&op);
  }
}

int64_t RegionLowering::countRegisters(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  std::optional<int64_t> m = orientation.getM(value);
  if (!type || type.getRank() != 2 || !m || isMadeAtUse(value))
    return 0;
  if (Operation *op = value.getDefiningOp(); op && getSharedFactor(op))
    return 0;
  // A staged value is read from where it is written to.
  if (staged.contains(value) &&
      llvm::all_of(value.getUsers(), [&](Operation *user) {
        return getProduct(user).has_value() || isReadBack(user);
      }))
    return 0;
  RankedTensorType tile = getRegisterType(value, m);
  constexpr int64_t kRegisterBits = 32;
  return orientation.getBlocks(value, *m) * tile.getNumElements() *
         tile.getElementTypeBitWidth() / kRegisterBits /
         tile::kWarpgroupThreads;
}

int64_t RegionLowering::getStagingRoom(int64_t blocks) {
  int64_t room = tile::getTarget(allocationPoint).sharedBytes / blocks;
  int64_t largest = 0;
  for (auto [value, tile] : shared) {
    int64_t bytes = cast<tile::SmemType>(tile.getType()).getSizeInBytes();
    room -= bytes;
    largest = std::max(largest, bytes);
  }
  return room - largest;
}

SmallVector<Operation *>
RegionLowering::chooseOrder(Block &block, const RegionOrder::Costs &costs) {
  RegionOrder units(block, costs);
  RegionOrder::Order order = units.compute(), kept = units.keep();
  int64_t roomBeside = getStagingRoom(/*blocks=*/2);
  // Rows that are summed have a place of their own besides.
  constexpr int64_t kScanBytes = 32 * 1024;
  bool sumsRows = !block.getOps<SumToMiddleOp>().empty();
  bool isTooWide = order.stagedBytes >
                   getStagingRoom(/*blocks=*/1) - (sumsRows ? kScanBytes : 0);
  bool gainsBlock =
      order.stagedBytes > roomBeside && kept.stagedBytes <= roomBeside;
  bool keptIsNarrow =
      kept.registers <= std::max(RegionOrder::kMostRegisters, order.registers);
  bool takesKept = isTooWide || (gainsBlock && keptIsNarrow);
  return takesKept && kept.stagedBytes < order.stagedBytes ? kept.ops
                                                           : order.ops;
}

/// True if `block` multiplies two tiles that it gets, element by element.
static bool combinesIns(Block &block) {
  return llvm::any_of(block.getOps<arith::MulFOp>(), [](arith::MulFOp op) {
    return tensorOf(op.getResult()).getRank() == 2 &&
           llvm::all_of(op->getOperands(), [](Value operand) {
             return operand.getDefiningOp<sched::GetOp>() != nullptr;
           });
  });
}

/// A chain's products read what it carries from registers, but for a state that
/// leaves no room there for its rounded copy.
void RegionLowering::planStates(Block &block) {
  tile::TargetInfo target = tile::getTarget(allocationPoint);
  for (Operation &op : block) {
    std::optional<Product> product = getProduct(&op);
    if (!product || isShared(product->a))
      continue;
    int64_t columns = tensorOf(product->a).getDimSize(1 - product->aM);
    if (tile::holdsRoundedState(target, columns, combinesIns(block)))
      continue;
    staged.insert(product->a);
    holdsVectors = false;
  }
}

/// Returns the operations that lead to what `block` carries on.
static llvm::SmallPtrSet<Operation *, 32> findCarried(Block &block) {
  llvm::SmallPtrSet<Operation *, 32> carried;
  SmallVector<Value> worklist(
      cast<sched::YieldOp>(block.getTerminator()).getCarries());
  while (!worklist.empty()) {
    Operation *def = worklist.pop_back_val().getDefiningOp();
    if (def && def->getBlock() == &block && carried.insert(def).second)
      worklist.append(def->operand_begin(), def->operand_end());
  }
  return carried;
}

/// True for what is made of vectors wherever it is read.
static bool isSpreadVector(Operation *op) {
  return isa<linalg::BroadcastOp, tensor::EmptyOp>(op) ||
         op->hasTrait<OpTrait::ConstantLike>();
}

/// Orders the operations of a chain whose state fills the registers, and whose
/// rounded copy the products read from shared memory: first what leads to the
/// next state, behind the copy also where that alone does not need it, since
/// both states would be live until it is made; then what else reads the copy.
/// What is done to tiles element by
/// element comes right behind what made them: of a tile that several products
/// read as something else, these are held and not the tile. What reads a carry
/// stays, since others may still read that.
static SmallVector<Operation *> orderByState(Block &block,
                                             ArrayRef<Operation *> all) {
  llvm::SmallPtrSet<Operation *, 32> carried = findCarried(block);
  for (Operation *op : all)
    if (isa<arith::TruncFOp>(op) && isa<BlockArgument>(op->getOperand(0)))
      carried.insert(op);
  SmallVector<Operation *> ops(all), ordered;
  llvm::stable_sort(ops, [&](Operation *a, Operation *b) {
    return carried.contains(a) > carried.contains(b);
  });
  llvm::DenseMap<Operation *, size_t> places;
  std::function<std::optional<size_t>(Operation *)> findPlace =
      [&](Operation *op) -> std::optional<size_t> {
    size_t place = 0;
    for (Value operand : op->getOperands()) {
      Operation *def = operand.getDefiningOp();
      bool isCarry = !def && isa<RankedTensorType>(operand.getType());
      if (isCarry || (def && !places.contains(def) && !isSpreadVector(def)))
        return std::nullopt;
      if (def)
        place = std::max(place, places.lookup(def));
    }
    return place;
  };
  // Places are numbers of the program, so that what is moved keeps its order.
  SmallVector<std::pair<size_t, Operation *>> keyed;
  for (auto [i, op] : llvm::enumerate(ops)) {
    bool isMoved = op->hasTrait<OpTrait::Elementwise>() || isSpreadVector(op);
    std::optional<size_t> place = isMoved ? findPlace(op) : std::nullopt;
    places[op] = place.value_or(i + 1);
    keyed.push_back({places[op], op});
  }
  llvm::stable_sort(keyed, llvm::less_first());
  for (auto [place, op] : keyed)
    ordered.push_back(op);
  return ordered;
}

/// True for elementwise work on vectors and numbers that come out of memory, of
/// which some is more than a sum or a product, such as a logarithm, or reads a
/// number: the gates of a layer's own. `seen` has what was looked at, once
/// each: what is no such work ends the search.
static bool isOfRawVectors(Operation *op, bool &hasFunction,
                           llvm::SmallPtrSetImpl<Operation *> &seen) {
  if (!seen.insert(op).second)
    return true;
  bool isVectorWork =
      op->getNumResults() == 1 && getTileRank(op->getResult(0)) <= 1 &&
      (op->hasTrait<OpTrait::Elementwise>() || isa<linalg::BroadcastOp>(op));
  if (!isVectorWork)
    return false;
  hasFunction |= !isa<arith::AddFOp, arith::MulFOp, arith::NegFOp,
                      arith::SubFOp, linalg::BroadcastOp>(op);
  return llvm::all_of(op->getOperands(), [&](Value operand) {
    Operation *def = operand.getDefiningOp();
    hasFunction |= isa_and_nonnull<sched::LoadOp>(def);
    return def && (isa<sched::GetOp, sched::LoadOp, tensor::EmptyOp>(def) ||
                   def->hasTrait<OpTrait::ConstantLike>() ||
                   isOfRawVectors(def, hasFunction, seen));
  });
}

/// Moves such work to where it is first read: it can be made at any time, and
/// would hold registers of all threads meanwhile.
static SmallVector<Operation *> delayRawVectors(ArrayRef<Operation *> ops) {
  llvm::DenseMap<Operation *, size_t> places;
  for (auto [i, op] : llvm::enumerate(ops))
    places[op] = i;
  // What is made at its use has the place of that.
  std::function<size_t(Operation *)> getFirstUse = [&](Operation *op) {
    size_t first = ops.size();
    for (Operation *user : op->getUsers()) {
      auto it = places.find(user);
      first =
          std::min(first, it == places.end() ? getFirstUse(user) : it->second);
    }
    return first;
  };
  // What moves comes before what stands there.
  using Key = std::pair<size_t, bool>;
  SmallVector<std::pair<Key, Operation *>> keyed;
  for (Operation *op : llvm::reverse(ops)) {
    bool hasFunction = false;
    llvm::SmallPtrSet<Operation *, 16> seen;
    bool moves = isOfRawVectors(op, hasFunction, seen) && hasFunction;
    if (moves)
      places[op] = getFirstUse(op);
    keyed.push_back({{places[op], !moves}, op});
  }
  std::reverse(keyed.begin(), keyed.end());
  llvm::stable_sort(keyed, llvm::less_first());
  return llvm::to_vector(llvm::make_second_range(keyed));
}

SmallVector<Operation *> RegionLowering::plan(Block &block, bool takesInPlace,
                                              bool getsLate) {
  isTight = takesInPlace && isMap;
  bool getsInOrder = takesInPlace || getsLate;
  auto isHandOver = [&](Operation *op) {
    return isa<sched::SchedDialect>(op->getDialect()) &&
           !(getsInOrder && isa<sched::GetOp>(op));
  };
  if (!isMap) {
    planStates(block);
    SmallVector<Operation *> ops;
    for (Operation &op : block)
      if (!isHandOver(&op))
        ops.push_back(&op);
    return holdsVectors ? ops : orderByState(block, ops);
  }
  planStaging(block);
  planFusion(block);
  auto isLeftOut = [&](Operation *op) {
    if (isHandOver(op) || done.contains(op))
      return true;
    if (op->getNumResults() != 1 || isa<sched::GetOp>(op))
      return false;
    Value result = op->getResult(0);
    if (fused.contains(op) || isSplat(result))
      return true;
    // Made in the place of the sums, whose registers it has.
    if (isa<math::ExpOp>(op))
      if (Operation *sums = op->getOperand(0).getDefiningOp();
          sums && getExpOfSums(sums))
        return true;
    bool isOut = llvm::any_of(result.getUsers(), isSink);
    auto type = dyn_cast<RankedTensorType>(result.getType());
    return !isOut && !staged.contains(result) && type && type.getRank() == 2 &&
           (isMadeAtUse(result) || isShared(result));
  };
  auto getStagedBytes = [&](Operation *op) -> int64_t {
    if (op->getNumResults() != 1 ||
        !(staged.contains(op->getResult(0)) || getSharedFactor(op)))
      return 0;
    RankedTensorType type = tensorOf(op->getResult(0));
    return type.getNumElements() * type.getElementTypeBitWidth() / 8;
  };
  // Others wait for what a role puts: its order is the schedule's.
  if (getsInOrder || !block.getOps<sched::PutOp>().empty()) {
    SmallVector<Operation *> ops;
    for (Operation &op : block.without_terminator())
      if (!isLeftOut(&op))
        ops.push_back(&op);
    return ops;
  }
  auto getRegisters = [&](Value value) { return countRegisters(value); };
  RegionOrder::Costs costs{isLeftOut, getStagedBytes, getRegisters};
  return delayRawVectors(chooseOrder(block, costs));
}
