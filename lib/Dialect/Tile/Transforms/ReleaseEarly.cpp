//===- ReleaseEarly.cpp - tile-release-early ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "InFlight.h"

#include "wyvern/Dialect/Tile/Transforms/Passes.h"

#include "llvm/ADT/SetVector.h"

namespace mlir::wyvern::tile {
#define GEN_PASS_DEF_TILERELEASEEARLYPASS
#include "wyvern/Dialect/Tile/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::tile

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

/// Returns the wait that `release` ends; null if it is not in its block.
static WaitOp findWait(ReleaseOp release) {
  for (Operation *user : release.getRing().getUsers())
    if (auto wait = dyn_cast<WaitOp>(user);
        wait && wait->getBlock() == release->getBlock() &&
        wait.getIndex() == release.getIndex())
      return wait;
  return {};
}

/// Adds the awaits of `mma`, and those of the products that add to it without
/// having waited for it.
static void collectAwaits(MmaOp mma, SmallVectorImpl<Operation *> &users) {
  for (Operation *user : mma.getD().getUsers()) {
    users.push_back(user);
    auto await = dyn_cast<AwaitOp>(user);
    if (await && isChained(await))
      collectAwaits(cast<MmaOp>(*await->user_begin()), users);
  }
}

/// Adds the operations that touch what `tile` holds: its users, the awaits of
/// products that read it, and those of parts of it. What a factor is made in is
/// another tile than the one that it is made of.
static void collectUsers(Value tile, SmallVectorImpl<Operation *> &users) {
  for (Operation *user : tile.getUsers()) {
    users.push_back(user);
    if (auto mma = dyn_cast<MmaOp>(user))
      collectAwaits(mma, users);
    if (auto strips = dyn_cast<EraseStripsOp>(user);
        strips && strips.getZ() != tile)
      continue;
    for (Value result : user->getResults())
      if (isa<SmemType>(result.getType()))
        collectUsers(result, users);
  }
}

/// Returns the last of `ops`, or what holds it, in `block`.
static Operation *findLast(ArrayRef<Operation *> ops, Block &block) {
  Operation *last = nullptr;
  for (Operation *op : ops) {
    Operation *here = block.findAncestorOpInBlock(*op);
    if (here && (!last || last->isBeforeInBlock(here)))
      last = here;
  }
  return last;
}

/// Returns what `moved` is made of and stands behind `place` in its block,
/// numbers that something else there reads first, in their order. Nothing if
/// some of that does more than compute.
static std::optional<SmallVector<Operation *>> findNeeded(Operation *moved,
                                                          Operation *place) {
  llvm::SetVector<Operation *> needed;
  auto add = [&](Operation *op) {
    op->walk([&](Operation *inner) {
      for (Value operand : inner->getOperands()) {
        Operation *def = operand.getDefiningOp();
        if (def && def->getBlock() == place->getBlock() &&
            place->isBeforeInBlock(def))
          needed.insert(def);
      }
    });
  };
  add(moved);
  for (size_t i = 0; i < needed.size(); ++i)
    add(needed[i]);
  if (!llvm::all_of(needed, [](Operation *op) { return isPure(op); }))
    return std::nullopt;
  SmallVector<Operation *> ordered = needed.takeVector();
  llvm::sort(ordered,
             [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  return ordered;
}

namespace {
struct ReleaseEarly : tile::impl::TileReleaseEarlyPassBase<ReleaseEarly> {
  using TileReleaseEarlyPassBase::TileReleaseEarlyPassBase;

  void runOnOperation() override {
    SmallVector<ReleaseOp> releases;
    getOperation().walk([&](ReleaseOp op) { releases.push_back(op); });
    for (ReleaseOp release : llvm::reverse(releases))
      moveUp(release);
  }

private:
  void moveUp(ReleaseOp release) {
    WaitOp wait = findWait(release);
    if (!wait)
      return;
    Block &block = *release->getBlock();
    SmallVector<Operation *> users = {wait};
    for (Value tile : wait.getTiles())
      collectUsers(tile, users);
    Operation *last = findLast(users, block);
    if (last->getNextNode() == release)
      return;
    // What waits for the place to be free comes with it.
    SmallVector<Operation *> moved = {release};
    llvm::SetVector<Operation *> numbers;
    while (Operation *next = moved.back()->getNextNode()) {
      if (!next->hasAttr(kBehindReleaseAttr))
        break;
      std::optional<SmallVector<Operation *>> needed = findNeeded(next, last);
      if (!needed)
        break;
      numbers.insert_range(*needed);
      moved.push_back(next);
    }
    moved.insert(moved.begin(), numbers.begin(), numbers.end());
    for (Operation *op : moved) {
      op->moveAfter(last);
      last = op;
    }
    ++numEarlier;
  }
};
} // namespace
