//===- RegionPlan.cpp - Where and when a map's values are made ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RegionLowering.h"
#include "RegionOrder.h"

#include "wyvern/Dialect/Delta/Utils/TileBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// Registers of a thread that tiles may take at once for the sake of shared
/// memory: what is left of all by addresses and what an operation needs.
static constexpr int64_t kMostRegisters = 224;

/// Operands of products are in shared memory: it takes them across, and their
/// registers are free while the product runs.
/// True for a mask of what lies in shared memory, or that rounded: it is made
/// where it is read, as a left operand in registers.
bool RegionLowering::isMaskOfShared(Value value) {
  if (auto rounded = value.getDefiningOp<arith::TruncFOp>())
    value = rounded.getIn();
  auto mask = value.getDefiningOp<DecayMaskOp>();
  return mask && !mask.getG() && getShared(mask.getM());
}

bool RegionLowering::isSharedFactor(Value value) {
  auto exp = value.getDefiningOp<math::ExpOp>();
  Operation *sums = exp ? exp.getOperand().getDefiningOp() : nullptr;
  return sums && getSharedFactor(sums) == value;
}

void RegionLowering::planStaging(Block &block) {
  for (Operation &op : block)
    if (std::optional<Product> product = getProduct(&op)) {
      if (!isShared(product->a) && !isMaskOfShared(product->a))
        staged.insert(product->a);
      if (!isShared(product->b))
        staged.insert(product->b);
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
    if (op.getNumResults() != 1 || !op.hasOneUse() ||
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
        return getProduct(user).has_value();
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
  bool isTooWide = order.stagedBytes > getStagingRoom(/*blocks=*/1);
  bool gainsBlock =
      order.stagedBytes > roomBeside && kept.stagedBytes <= roomBeside;
  bool keptIsNarrow =
      kept.stagedBytes < order.stagedBytes && kept.registers <= kMostRegisters;
  return (isTooWide || gainsBlock) && keptIsNarrow ? kept.ops : order.ops;
}

SmallVector<Operation *> RegionLowering::plan(Block &block, bool takesInPlace) {
  isTight = takesInPlace && isMap;
  auto isHandOver = [&](Operation *op) {
    return isa<sched::SchedDialect>(op->getDialect()) &&
           !(takesInPlace && isa<sched::GetOp>(op));
  };
  if (!isMap) { // between the chain's products nothing goes through shared
                // memory
    SmallVector<Operation *> ops;
    for (Operation &op : block)
      if (!isHandOver(&op))
        ops.push_back(&op);
    return ops;
  }
  planStaging(block);
  planFusion(block);
  auto isLeftOut = [&](Operation *op) {
    if (isHandOver(op))
      return true;
    if (op->getNumResults() != 1 || isa<sched::GetOp>(op))
      return false;
    Value result = op->getResult(0);
    if (fused.contains(op) || isSplat(result))
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
  if (takesInPlace || !block.getOps<sched::PutOp>().empty()) {
    SmallVector<Operation *> ops;
    for (Operation &op : block.without_terminator())
      if (!isLeftOut(&op))
        ops.push_back(&op);
    return ops;
  }
  auto getRegisters = [&](Value value) { return countRegisters(value); };
  RegionOrder::Costs costs{isLeftOut, getStagedBytes, getRegisters};
  return chooseOrder(block, costs);
}
