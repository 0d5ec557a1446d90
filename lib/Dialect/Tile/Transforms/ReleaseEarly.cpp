//===- ReleaseEarly.cpp - tile-release-early ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "InFlight.h"
#include "Progress.h"

#include "wyvern/Dialect/Tile/Transforms/Passes.h"

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

namespace {
struct ReleaseEarly : tile::impl::TileReleaseEarlyPassBase<ReleaseEarly> {
  using TileReleaseEarlyPassBase::TileReleaseEarlyPassBase;

  void runOnOperation() override {
    SmallVector<Held> all;
    getOperation().walk([&](ReleaseOp op) { all.push_back(collect(op)); });
    for (const Held &held : llvm::reverse(all))
      moveUp(held);
    for (const Held &held : all)
      if (!held.waiting.empty() && handsOver(*held.release->getBlock()))
        moveBehind(held);
  }

private:
  /// A release, and what stands behind it and waits for the place to be free.
  struct Held {
    ReleaseOp release;
    SmallVector<Operation *> waiting;
  };

  static Held collect(ReleaseOp release) {
    Held held{release, {}};
    for (Operation *next = release->getNextNode();
         next && next->hasAttr(kBehindReleaseAttr); next = next->getNextNode())
      held.waiting.push_back(next);
    return held;
  }

  /// True if the role that runs `block` hands stages to others.
  static bool handsOver(Block &block) {
    return !block.getOps<CommitOp>().empty();
  }

  /// Moves a release up, and what waits for it too, unless its role hands over
  /// stages: others may wait for these.
  void moveUp(const Held &held) {
    ReleaseOp release = held.release;
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
    release->moveAfter(last);
    ++numEarlier;
    if (!handsOver(block))
      moveAll(held.waiting, release);
  }

  static void moveAll(ArrayRef<Operation *> ops, Operation *place) {
    for (Operation *op : llvm::reverse(ops))
      op->moveAfter(place);
  }

  /// Moves what waits behind the release, unless some role then waits for ever
  /// for what this one hands over later.
  void moveBehind(const Held &held) {
    Operation *before = held.waiting.front()->getPrevNode();
    moveAll(held.waiting, held.release);
    if (mayProgress(getOperation()))
      return;
    moveAll(held.waiting, before);
    ++numLeft;
  }
};
} // namespace
