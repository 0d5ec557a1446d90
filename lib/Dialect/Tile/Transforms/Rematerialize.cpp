//===- Rematerialize.cpp - tile-rematerialize ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Tile/Transforms/Passes.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::wyvern::tile {
#define GEN_PASS_DEF_TILEREMATERIALIZEPASS
#include "wyvern/Dialect/Tile/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::tile

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// The operations that spread vectors over tiles: pure, and of no tile but
/// such.
class SpreadOps {
public:
  explicit SpreadOps(KernelOp kernel) {
    kernel.walk([&](Operation *op) {
      if (isSpread(op))
        ops.insert(op);
    });
  }

  ArrayRef<Operation *> get() const { return ops.getArrayRef(); }
  bool contains(Operation *op) const { return ops.contains(op); }

  /// Those that `op` needs, operands first, relayouts of vectors included.
  void collect(Operation *op, llvm::SetVector<Operation *> &needed) const;

private:
  /// Operands come first in a walk.
  bool isSpread(Operation *op) const;

  llvm::SetVector<Operation *> ops;
};
} // namespace

static bool isTile(Type type) { return getLayout(type) == LayoutKind::acc; }

/// True for exponentials where registers do and instructions are what is dear.
static bool isDear(Operation *op) {
  return isa<math::Exp2Op>(op) &&
         op->getParentOfType<KernelOp>()->hasAttr(kFewAddressesAttr);
}

bool SpreadOps::isSpread(Operation *op) const {
  if (op->getNumResults() != 1 || op->getNumRegions() != 0 ||
      op->hasTrait<OpTrait::ConstantLike>() || !isMemoryEffectFree(op) ||
      !isTile(op->getResult(0).getType()) || isDear(op))
    return false;
  return llvm::all_of(op->getOperands(), [&](Value operand) {
    Operation *def = operand.getDefiningOp();
    return !isTile(operand.getType()) ||
           (def &&
            (def->hasTrait<OpTrait::ConstantLike>() || ops.contains(def)));
  });
}

void SpreadOps::collect(Operation *op,
                        llvm::SetVector<Operation *> &needed) const {
  if (!op || needed.contains(op) || !(contains(op) || isa<RelayoutOp>(op)))
    return;
  for (Value operand : op->getOperands())
    collect(operand.getDefiningOp(), needed);
  needed.insert(op);
}

/// Moves what finds the block's first slot into the role that alone reads it:
/// others would have it in registers too.
static void sinkFirstSlot(RolesOp roles) {
  SmallVector<FirstSlotOp> slots(roles->getBlock()->getOps<FirstSlotOp>());
  for (FirstSlotOp slot : slots) {
    Region *only = nullptr;
    bool isOfOne = !slot->use_empty();
    for (Operation *user : slot->getUsers()) {
      Region *role = user->getParentRegion();
      while (role && role->getParentOp() != roles)
        role = role->getParentRegion();
      isOfOne &= role && (!only || only == role);
      only = role;
    }
    if (isOfOne)
      slot->moveBefore(&only->front(), only->front().begin());
  }
}

/// True in a role whose budget two warpgroups of a state have at most: beside
/// what they carry, rows and what these are made of, it has little.
static bool isShortOfRegisters(EraseApplyOp solve) {
  constexpr int64_t kBudget = 192;
  Region *role = solve->getParentRegion();
  while (role && !isa<RolesOp>(role->getParentOp()))
    role = role->getParentRegion();
  if (!role)
    return false;
  std::optional<ArrayRef<int64_t>> budgets =
      cast<RolesOp>(role->getParentOp()).getRegisters();
  return budgets && (*budgets)[role->getRegionNumber()] <= kBudget;
}

namespace {
struct Rematerialize : tile::impl::TileRematerializePassBase<Rematerialize> {
  void runOnOperation() override {
    getOperation().walk([](RolesOp roles) { sinkFirstSlot(roles); });
    getOperation().walk([&](EraseApplyOp solve) {
      if (!solve.getAdjoint() && isShortOfRegisters(solve))
        readAgain(solve);
    });
    SpreadOps spread(getOperation());
    llvm::SetVector<Operation *> users;
    for (Operation *op : spread.get())
      for (Operation *user : op->getUsers())
        if (!spread.contains(user))
          users.insert(user);
    for (Operation *user : users)
      makeOperands(user, spread);
    for (Operation *op : llvm::reverse(spread.get()))
      if (op->use_empty())
        op->erase();
  }

private:
  /// Reads rates of `solve` again for what stands behind rows that it makes and
  /// that leave: they would be held while these do.
  void readAgain(EraseApplyOp solve) {
    for (Value operand : solve->getOperands()) {
      auto read = operand.getDefiningOp<ReadOp>();
      if (!read || cast<RankedTensorType>(read.getType()).getRank() != 1)
        continue;
      Operation *store = solve->getNextNode();
      while (store && !isa<StoreRowsOp>(store))
        store = store->getNextNode();
      auto isBehind = [&](OpOperand &use) {
        Operation *user = use.getOwner();
        return store && user->getBlock() == store->getBlock() &&
               store->isBeforeInBlock(user);
      };
      if (llvm::none_of(read->getUses(), isBehind))
        continue;
      OpBuilder builder(store->getContext());
      builder.setInsertionPointAfter(store);
      Value again = builder.clone(*read)->getResult(0);
      read.getResult().replaceUsesWithIf(again, isBehind);
      ++numMade;
    }
  }

  void makeOperands(Operation *user, const SpreadOps &spread) {
    llvm::SetVector<Operation *> needed;
    for (Value operand : user->getOperands())
      if (Operation *def = operand.getDefiningOp(); def && spread.contains(def))
        spread.collect(def, needed);
    OpBuilder builder(user);
    IRMapping mapping;
    for (Operation *op : needed)
      builder.clone(*op, mapping);
    for (OpOperand &operand : user->getOpOperands())
      operand.set(mapping.lookupOrDefault(operand.get()));
    numMade += needed.size();
  }
};
} // namespace
