//===- Schedule.cpp - tile-schedule -------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Tile/Transforms/Passes.h"

#include "InFlight.h"
#include "LiveRegisters.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::wyvern::tile {
#define GEN_PASS_DEF_TILESCHEDULEPASS
#include "wyvern/Dialect/Tile/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::tile

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// The pure operations that an operation needs from its block, operands first,
/// and what they wait for.
class MovableOperands {
public:
  /// Collects what `op` needs; returns the last operation among what has to
  /// stay where it is (null if none): `op` can move to just behind it.
  Operation *collect(Operation *op);

  llvm::SetVector<Operation *> ops;

private:
  /// The result of `collect` for each of `ops`: shared operands are walked
  /// once.
  llvm::DenseMap<Operation *, Operation *> bounds;
};
} // namespace

Operation *MovableOperands::collect(Operation *op) {
  Operation *last = nullptr;
  for (Value operand : op->getOperands()) {
    Operation *def = operand.getDefiningOp();
    if (!def || def->getBlock() != op->getBlock())
      continue;
    Operation *bound = def;
    if (isMemoryEffectFree(def) && def->getNumRegions() == 0) {
      if (!ops.contains(def)) {
        Operation *needed = collect(def);
        bounds[def] = needed;
        ops.insert(def);
      }
      bound = bounds.lookup(def);
    }
    if (bound && (!last || last->isBeforeInBlock(bound)))
      last = bound;
  }
  return last;
}

/// The last product issued after `bound` and before the next await: one that is
/// ready at the same time and comes first in the program.
static Operation *skipReadyProducts(Operation *bound, MmaOp mma) {
  Operation *last = bound;
  for (Operation *op = bound->getNextNode();
       op && op != mma && !isa<AwaitOp>(op); op = op->getNextNode())
    if (isa<MmaOp>(op))
      last = op;
  return last;
}

/// True if something between the two decides what the product's shared tiles
/// hold (the ring's hand-overs, barriers, rows being zeroed, a region), or is
/// makes a factor: its columns fill the registers, an accumulator beside them
/// spills.
static bool crossesHandOver(Operation *from, MmaOp mma) {
  for (Operation *op = from->getNextNode(); op && op != mma;
       op = op->getNextNode())
    if (op->getNumRegions() != 0 ||
        isa<AcquireOp, CommitOp, WaitOp, ReleaseOp, ZeroRowsOp, BarrierOp,
            SyncOp, EraseStripsOp, EraseJoinOp>(op))
      return true;
  return false;
}

/// The first operation from `from` on behind which `mma` can be issued so that
/// its accumulator and the tiles that are live keep within `budget` registers.
static Operation *findRoom(Operation *from, MmaOp mma, int64_t budget) {
  if (mma.getC())
    return from; // it takes the place of C
  LiveRegisters live(*mma->getBlock());
  int64_t accumulator = countRegisters(mma.getD());
  for (Operation *op = mma->getPrevNode(); op != from; op = op->getPrevNode())
    if (live.after(op) + accumulator > budget)
      return op;
  return from;
}

/// Moves `mma` and what it needs up to where its operands are ready, behind the
/// products that are ready as early, or as far as the registers allow. Returns
/// true if it moved.
static bool hoist(MmaOp mma, int64_t budget) {
  MovableOperands movable;
  Operation *last = movable.collect(mma);
  if (!last)
    return false;
  last = skipReadyProducts(last, mma);
  if (last == mma->getPrevNode() || crossesHandOver(last, mma))
    return false;
  last = findRoom(last, mma, budget);
  movable.ops.insert(mma);
  bool moved = false;
  for (Operation *op : movable.ops) {
    if (op->isBeforeInBlock(last))
      continue; // already early enough
    if (op->getPrevNode() != last) {
      op->moveAfter(last);
      moved |= op == mma;
    }
    last = op;
  }
  return moved;
}

/// True if `op` awaits a product of the same block that is younger than `mma`.
static bool awaitsYounger(Operation &op, MmaOp mma) {
  auto other = dyn_cast<AwaitOp>(op);
  auto younger = other ? other.getValue().getDefiningOp<MmaOp>() : MmaOp();
  return younger && mma->getBlock() == younger->getBlock() &&
         mma->isBeforeInBlock(younger);
}

/// True if `op` changes the accumulator of the last round, to which a product
/// will add, in place: none may be in flight meanwhile (ptxas then injects a
/// wait, C7517).
static bool isInPlace(Operation *op) {
  return op->hasTrait<OpTrait::Elementwise>() &&
         llvm::any_of(op->getOperands(), llvm::IsaPred<BlockArgument>) &&
         llvm::any_of(op->getUses(), [&](OpOperand &use) {
           auto mma = dyn_cast<MmaOp>(use.getOwner());
           return mma && mma.getC() == use.get();
         });
}

/// True for a matrix of f32 that is read to be combined with the product of
/// `await`: registers would hold both while it is in flight.
static bool isReadFor(Operation *op, AwaitOp await) {
  auto read = dyn_cast<ReadOp>(op);
  if (!read || read.getTile().getType().isSwizzled() ||
      read.getTile().getType().getShape().size() != 2)
    return false;
  return llvm::any_of(read->getUsers(), [&](Operation *user) {
    return llvm::is_contained(user->getOperands(), await.getTile());
  });
}

/// Moves `await` down to its first use in the block, at most to the next
/// release, to a matrix that is read for it, or to where an accumulator is
/// changed in place, and to no place
/// behind the await of a younger product: that one completes this product too,
/// and registers of a product must not be touched first while another one is in
/// flight (ptxas then injects a wait, C7517).
static void place(AwaitOp await) {
  auto mma = await.getValue().getDefiningOp<MmaOp>();
  if (!mma || mma->getBlock() != await->getBlock())
    return;
  llvm::SmallPtrSet<Operation *, 4> users;
  for (Operation *user : await.getTile().getUsers())
    users.insert(await->getBlock()->findAncestorOpInBlock(*user));
  Operation *target = mma->getNextNode();
  while (target->getNextNode() && !users.contains(target) &&
         !isa<ReleaseOp>(target) && !isInPlace(target) &&
         !isReadFor(target, await) && !awaitsYounger(*target, mma))
    target = target->getNextNode();
  if (target != await)
    await->moveBefore(target);
}

/// Moves the awaits of all products that are in flight at `op` to before it.
/// Returns false if there are none.
static bool awaitBefore(Operation *op, ArrayRef<AwaitOp> awaits) {
  bool moved = false;
  for (AwaitOp await : awaits) {
    auto mma = await.getValue().getDefiningOp<MmaOp>();
    if (!mma || mma->getBlock() != op->getBlock() ||
        !mma->isBeforeInBlock(op) || !op->isBeforeInBlock(await))
      continue;
    await->moveBefore(op);
    moved = true;
  }
  return moved;
}

/// Awaits products earlier where tiles would hold more than `budget` registers:
/// what a product in flight reads from registers is free when it is complete.
/// Returns at how many places.
static int64_t relieve(Block &block, ArrayRef<AwaitOp> awaits, int64_t budget) {
  int64_t places = 0;
  for (Operation &op : block) {
    if (isa<MmaOp, AwaitOp>(op) ||
        LiveRegisters(block, /*arePlaced=*/true).after(&op) <= budget)
      continue;
    places += awaitBefore(&op, awaits);
  }
  return places;
}

/// Moves reads of vectors that take many registers, with what spreads these
/// over tiles, down to where they are first combined with a tile: a product
/// that is awaited in between finds them free. None goes past where its stage
/// is handed back. Returns how many moved.
static int64_t sinkWideReads(Block &block) {
  constexpr int64_t wide = 64;
  int64_t moved = 0;
  for (ReadOp read : llvm::to_vector(block.getOps<ReadOp>())) {
    if (cast<RankedTensorType>(read.getType()).getRank() != 1 ||
        countRegisters(read.getResult()) < wide || !read->hasOneUse())
      continue;
    auto spread = dyn_cast<BroadcastOp>(*read->user_begin());
    if (!spread || !spread->hasOneUse() || spread->getBlock() != &block)
      continue;
    Operation *user = *spread->user_begin();
    if (user->getBlock() != &block || user == spread->getNextNode() ||
        llvm::any_of(llvm::make_range(read->getIterator(), user->getIterator()),
                     [](Operation &op) { return isa<ReleaseOp>(op); }))
      continue;
    spread->moveBefore(user);
    read->moveBefore(spread);
    ++moved;
  }
  return moved;
}

/// True if `a` is what the rounding of a tile leaves out of it, rounded.
static bool isRemainder(Value a) {
  auto rounded = a.getDefiningOp<arith::TruncFOp>();
  auto rest =
      rounded ? rounded.getIn().getDefiningOp<arith::SubFOp>() : nullptr;
  auto kept = rest ? rest.getRhs().getDefiningOp<arith::ExtFOp>() : nullptr;
  auto part = kept ? kept.getIn().getDefiningOp<arith::TruncFOp>() : nullptr;
  return part && part.getIn() == rest.getLhs();
}

/// Moves the wait for the right operand of `mma` in front of what makes its
/// left one, if that is what a rounding leaves out: there is no branch between
/// then, so ptxas makes the parts of both as the products read them, and holds
/// neither whole. Returns whether it moved.
static bool waitBeforeParts(MmaOp mma) {
  auto wait = mma.getB().getDefiningOp<WaitOp>();
  if (!wait || wait->getBlock() != mma->getBlock() || !isRemainder(mma.getA()))
    return false;
  Operation *first = wait;
  while (Operation *before = first->getPrevNode()) {
    if (!before->hasTrait<OpTrait::Elementwise>() && !isa<BroadcastOp>(before))
      break;
    first = before;
  }
  if (first == wait)
    return false;
  wait->moveBefore(first);
  return true;
}

/// Returns the registers a thread has in the role that `block` is of, if it has
/// a budget.
static std::optional<int64_t> getRoleBudget(Block &block) {
  auto roles = dyn_cast<RolesOp>(block.getParentOp());
  if (!roles)
    roles = block.getParentOp()->getParentOfType<RolesOp>();
  if (!roles || !roles.getRegisters())
    return std::nullopt;
  for (auto [region, budget] :
       llvm::zip_equal(roles.getRoles(), *roles.getRegisters()))
    if (budget != 0 && region.isAncestor(block.getParent()))
      return budget;
  return std::nullopt;
}

namespace {
struct Schedule : tile::impl::TileSchedulePassBase<Schedule> {
  using TileSchedulePassBase::TileSchedulePassBase;

  void runOnOperation() override {
    setBudgets();
    SmallVector<Block *> blocks;
    getOperation().walk([&](Block *block) {
      if (!block->empty() && block->back().hasTrait<OpTrait::IsTerminator>())
        blocks.push_back(block);
    });
    for (Block *block : blocks)
      scheduleBlock(*block);
    // Without products ptxas orders the reads as the registers allow.
    bool multiplies = llvm::any_of(
        blocks, [](Block *b) { return !b->getOps<MmaOp>().empty(); });
    if (multiplies)
      for (Block *block : blocks)
        boundBlocks(*block);
  }

private:
  /// Finds what tiles may hold: what the options say, else the target.
  void setBudgets() {
    target = getTarget(getOperation());
    if (registers > 0)
      target.tileRegisters = registers;
    if (registersOnce > 0)
      target.tileRegistersOnce = registersOnce;
    if (registersShared > 0)
      target.tileRegistersShared = registersShared;
  }

  /// True if tiles of `block` find no room in the registers that `blocks`
  /// blocks an SM leave each other.
  bool isFull(Block &block, int64_t blocks) {
    int64_t threads = 32 * getOperation().getWarps();
    int64_t all = target.smRegisters / threads;
    bool isShared = blocks * target.startRegisters > all;
    int64_t room = isShared ? target.tileRegistersShared : target.tileRegisters;
    LiveRegisters live(block);
    return llvm::any_of(block,
                        [&](Operation &op) { return live.after(&op) > room; });
  }

  /// Fewer blocks an SM where more of them leave too few registers.
  void boundBlocks(Block &block) {
    KernelOp kernel = getOperation();
    int64_t blocks = kernel.getMinBlocks();
    while (blocks > 1 && isFull(block, blocks))
      --blocks;
    numAlone += blocks == 1 && kernel.getMinBlocks() > 1;
    kernel.setMinBlocks(blocks);
  }

  void scheduleBlock(Block &block) {
    int64_t budget = isa<LoopLikeOpInterface>(block.getParentOp())
                         ? target.tileRegisters
                         : target.tileRegistersOnce;
    std::optional<int64_t> ofRole = getRoleBudget(block);
    if (ofRole)
      budget = std::min(budget, *ofRole - target.plainRegisters);
    SmallVector<MmaOp> products(block.getOps<MmaOp>());
    for (MmaOp mma : products)
      numHoisted += hoist(mma, budget);
    SmallVector<AwaitOp> awaits(block.getOps<AwaitOp>());
    for (AwaitOp await : llvm::reverse(awaits))
      place(await);
    numSunk += sinkWideReads(block);
    KernelOp kernel = getOperation();
    bool isShort = kernel->hasAttr(kFewRegistersAttr) ||
                   kernel->hasAttr(kFewAddressesAttr);
    if (ofRole) {
      numRelieved += relieve(block, awaits, budget);
      if (isShort)
        for (MmaOp mma : products)
          numWaits += waitBeforeParts(mma);
    }
    for (AwaitOp await : awaits) {
      int64_t pending = countPending(await);
      await.setPending(pending + isChained(await));
      numOverlapped += pending > 0;
    }
  }

  TargetInfo target;
};
} // namespace
