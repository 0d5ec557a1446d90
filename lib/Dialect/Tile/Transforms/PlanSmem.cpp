//===- PlanSmem.cpp - tile-plan-smem ------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Tile/Transforms/Passes.h"

#include "mlir/IR/Builders.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::wyvern::tile {
#define GEN_PASS_DEF_TILEPLANSMEMPASS
#include "wyvern/Dialect/Tile/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::tile

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// From one operation of a block to a later one of it (both included): when a
/// tile holds something. Operations are numbered in their order.
struct Lifetime {
  Lifetime(Region *role, unsigned first, unsigned last)
      : role(role), first(first), last(last) {}

  Region *role;
  unsigned first, last;

  /// Roles run at once, and so do the warpgroups of one role: nothing of two of
  /// them is over before the other.
  bool meets(const Lifetime &other) const {
    return role != other.role || hasSeveralWarpgroups() ||
           (first <= other.last && other.first <= last);
  }

  /// True if this one is over in the course of `other`, in its role.
  bool isWithin(const Lifetime &other) const {
    return role == other.role && !hasSeveralWarpgroups() &&
           other.first < first && last < other.last;
  }

private:
  bool hasSeveralWarpgroups() const {
    if (!role)
      return false;
    auto roles = cast<RolesOp>(role->getParentOp());
    return 32 * roles.getWarps()[role->getRegionNumber()] > kWarpgroupThreads;
  }
};

/// Something to place, and when it holds something: always, or in its
/// lifetimes.
struct Placement {
  Operation *op;
  StringRef attribute; ///< of `op`, that says where it lies
  int64_t bytes, alignment;
  bool always = false;
  SmallVector<Lifetime> lifetimes = {};
  /// Of a ring of one stage: from when a role has acquired it to when it writes
  /// there. The place is that role's own.
  std::optional<Lifetime> unwritten = std::nullopt;
  int64_t offset = 0;

  int64_t end() const { return offset + bytes; }
  bool conflicts(const Placement &other) const;

private:
  /// True if all that this one holds is over before `ring` is written.
  bool isOverIn(const Placement &ring) const {
    return ring.unwritten && !always && !lifetimes.empty() &&
           llvm::all_of(lifetimes, [&](const Lifetime &lifetime) {
             return lifetime.isWithin(*ring.unwritten);
           });
  }
};

/// Finds when the tiles of a kernel hold something.
class Lifetimes {
public:
  explicit Lifetimes(KernelOp kernel) {
    kernel.walk<WalkOrder::PreOrder>(
        [&](Operation *op) { numbers.try_emplace(op, numbers.size()); });
  }

  Placement get(AllocOp alloc);
  /// Returns when the stage of `ring`, which is used once, holds something.
  Lifetime getOfStage(AllocRingOp ring);
  /// Returns when the only stage of `ring` is acquired and not written yet;
  /// nothing where that is not in one block of one role.
  std::optional<Lifetime> getUnwritten(AllocRingOp ring);

private:
  Lifetime between(Operation *first, Operation *last);
  /// The operations that touch what `tile` holds: its users, and the awaits of
  /// the products that read it.
  void collectUsers(Value tile, SmallVectorImpl<Operation *> &users);

  DenseMap<Operation *, unsigned> numbers;
};
} // namespace

bool Placement::conflicts(const Placement &other) const {
  if (isOverIn(other) || other.isOverIn(*this))
    return false;
  if (always || other.always)
    return true;
  return llvm::any_of(lifetimes, [&](const Lifetime &mine) {
    return llvm::any_of(other.lifetimes, [&](const Lifetime &theirs) {
      return mine.meets(theirs);
    });
  });
}

/// Returns the role that `op` is of; null outside of roles.
static Region *getRole(Operation *op) {
  Region *role = op->getParentRegion();
  while (role && !isa<RolesOp>(role->getParentOp()))
    role = role->getParentRegion();
  return role;
}

Lifetime Lifetimes::between(Operation *first, Operation *last) {
  return {getRole(first), numbers.lookup(first), numbers.lookup(last)};
}

void Lifetimes::collectUsers(Value tile, SmallVectorImpl<Operation *> &users) {
  for (Operation *user : tile.getUsers()) {
    users.push_back(user);
    if (auto write = dyn_cast<WriteOp>(user))
      collectUsers(write.getWritten(), users);
    if (auto strips = dyn_cast<EraseStripsOp>(user);
        strips && strips.getZ() == tile)
      collectUsers(strips.getWritten(), users);
    if (auto scan = dyn_cast<ScanRowsOp>(user);
        scan && scan.getScratch() == tile &&
        isa<SmemType>(scan.getSums().getType()))
      collectUsers(scan.getSums(), users);
    if (auto join = dyn_cast<EraseJoinOp>(user); join && join.getZ() == tile)
      collectUsers(join.getWritten(), users);
    if (auto view = dyn_cast<SubviewOp>(user))
      collectUsers(view.getView(), users);
    if (auto mma = dyn_cast<MmaOp>(user))
      llvm::append_range(users, mma.getD().getUsers());
  }
}

Placement Lifetimes::get(AllocOp alloc) {
  SmemType type = alloc.getTile().getType();
  Placement placement{alloc, "offset", type.getSizeInBytes(),
                      type.getAlignment()};
  SmallVector<Operation *> users;
  collectUsers(alloc.getTile(), users);
  if (alloc.getTransient()) {
    for (Operation *user : users)
      placement.lifetimes.push_back(between(user, user));
    return placement;
  }
  auto byNumber = [&](Operation *a, Operation *b) {
    return numbers.lookup(a) < numbers.lookup(b);
  };
  auto inBlockOf = [](Operation *op) {
    return
        [op](Operation *other) { return op->getBlock() == other->getBlock(); };
  };
  // What is written first and used in one block begins anew each time that the
  // block runs.
  llvm::sort(users, byNumber);
  if (users.empty() ||
      !isa<WriteOp, EraseStripsOp, ScanRowsOp>(users.front()) ||
      !llvm::all_of(users, inBlockOf(users.front())))
    placement.always = true;
  else
    placement.lifetimes.push_back(between(users.front(), users.back()));
  return placement;
}

std::optional<Lifetime> Lifetimes::getUnwritten(AllocRingOp ring) {
  AcquireOp acquire;
  for (Operation *user : ring.getRing().getUsers())
    if (auto found = dyn_cast<AcquireOp>(user)) {
      if (acquire)
        return std::nullopt;
      acquire = found;
    }
  // Into a ring across blocks another one writes at any time then.
  if (ring.getRing().getType().getDepth() != 1 || !acquire ||
      ring.getAcross() != 1)
    return std::nullopt;
  Operation *first = nullptr;
  for (Value tile : acquire.getTiles())
    for (Operation *user : tile.getUsers()) {
      if (user->getBlock() != acquire->getBlock())
        return std::nullopt;
      if (!first || user->isBeforeInBlock(first))
        first = user;
    }
  if (!first)
    return std::nullopt;
  return between(acquire, first);
}

/// True for a ring of one stage that one role fills and reads, outside of
/// loops.
static bool isUsedOnce(AllocRingOp ring) {
  Operation *some = *ring.getRing().getUsers().begin();
  return ring.getRing().getType().getDepth() == 1 && ring.getAcross() == 1 &&
         getRole(some) &&
         llvm::all_of(ring.getRing().getUsers(), [&](Operation *user) {
           return getRole(user) == getRole(some) &&
                  !user->getParentOfType<LoopLikeOpInterface>();
         });
}

Lifetime Lifetimes::getOfStage(AllocRingOp ring) {
  SmallVector<Operation *> users;
  for (Operation *user : ring.getRing().getUsers()) {
    if (!isa<AcquireOp, WaitOp>(user))
      continue;
    users.push_back(user);
    for (Value tile : user->getResults())
      collectUsers(tile, users);
  }
  auto [first, last] = std::minmax_element(
      users.begin(), users.end(), [&](Operation *a, Operation *b) {
        return numbers.lookup(a) < numbers.lookup(b);
      });
  return between(*first, *last);
}

/// The lowest place that nothing has which holds something at the same time.
static void place(Placement &placement, ArrayRef<Placement> placed) {
  SmallVector<int64_t> candidates = {0};
  for (const Placement &other : placed)
    candidates.push_back(llvm::alignTo(other.end(), placement.alignment));
  llvm::sort(candidates);
  auto isFree = [&](int64_t offset) {
    return llvm::none_of(placed, [&](const Placement &other) {
      return offset < other.end() && other.offset < offset + placement.bytes &&
             placement.conflicts(other);
    });
  };
  placement.offset = *llvm::find_if(candidates, isFree);
}

namespace {
struct PlanSmem : tile::impl::TilePlanSmemPassBase<PlanSmem> {
  using TilePlanSmemPassBase::TilePlanSmemPassBase;

  void runOnOperation() override {
    KernelOp kernel = getOperation();
    TargetInfo target = getTarget(kernel);
    if (limit > 0)
      target.sharedBytes = limit;
    // Barriers lie behind the tiles of their ring, and the next one's tiles
    // leave a gap of up to a kilobyte; where that does not fit, apart. So they
    // do where a block of one chunk has several rings, one after the other.
    SmallVector<AllocRingOp> rings;
    kernel.walk([&](AllocRingOp ring) { rings.push_back(ring); });
    inTurn = rings.size() > 1 && llvm::all_of(rings, isUsedOnce);
    int64_t end = placeAll(/*apart=*/inTurn);
    if (end > target.sharedBytes)
      end = placeAll(/*apart=*/true);
    kernel.setSharedBytes(end);
    sharedBytes += end;
    boundBlocks(kernel, end, target);
    if (end > target.sharedBytes) {
      kernel.emitError() << "kernel " << kernel.getSymName() << " needs " << end
                         << " bytes of shared memory, a block has "
                         << target.sharedBytes
                         << "; use another schedule (with less in a block), "
                            "smaller head dimensions, or fewer value heads a "
                            "key head";
      signalPassFailure();
    }
  }

private:
  /// Places everything and returns the bytes that it takes.
  int64_t placeAll(bool apart) {
    SmallVector<Placement> placements = collect(apart);
    llvm::stable_sort(placements, [](const Placement &a, const Placement &b) {
      return std::pair(a.alignment, a.bytes) > std::pair(b.alignment, b.bytes);
    });
    Builder builder(&getContext());
    int64_t end = 0;
    for (auto [i, placement] : llvm::enumerate(placements)) {
      place(placement, ArrayRef(placements).take_front(i));
      placement.op->setAttr(placement.attribute,
                            builder.getI64IntegerAttr(placement.offset));
      end = std::max(end, placement.end());
    }
    return end;
  }

  /// Returns what is to be placed: rings as one, or their barriers `apart`.
  SmallVector<Placement> collect(bool apart) {
    SmallVector<Placement> placements;
    Lifetimes lifetimes(getOperation());
    getOperation().walk([&](Operation *op) {
      if (auto ring = dyn_cast<AllocRingOp>(op)) {
        RingType type = ring.getRing().getType();
        constexpr int64_t kBarrierBytes = 8;
        int64_t behind = apart ? 0 : type.getBarrierBytes();
        placements.push_back({op, "offset", type.getTileBytes() + behind,
                              type.getAlignment(), /*always=*/true});
        if (inTurn) {
          placements.back().always = false;
          placements.back().lifetimes = {lifetimes.getOfStage(ring)};
        } else if (apart) {
          placements.back().unwritten = lifetimes.getUnwritten(ring);
        }
        if (apart)
          placements.push_back({op, "barriers", type.getBarrierBytes(),
                                kBarrierBytes, /*always=*/true});
      } else if (auto alloc = dyn_cast<AllocOp>(op)) {
        placements.push_back(lifetimes.get(alloc));
      }
    });
    return placements;
  }

  /// Rings are used once each, so that their places are free before and behind.
  bool inTurn = false;

  /// No more blocks an SM than its shared memory has room for: registers would
  /// be kept free for blocks that cannot be there.
  void boundBlocks(KernelOp kernel, int64_t bytes, const TargetInfo &target) {
    // An SM has as much more than one block may have as it takes for each
    // block.
    int64_t reserved = target.sharedBytesReserved;
    int64_t blocks = (target.sharedBytes + reserved) / (bytes + reserved);
    if (blocks >= static_cast<int64_t>(kernel.getMinBlocks()))
      return;
    kernel.setMinBlocks(std::max<int64_t>(blocks, 1));
    ++numBounded;
  }
};
} // namespace
