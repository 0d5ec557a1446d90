//===- TileRoles.cpp - Constraints of what roles do together ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// What is wrong here hangs on a GPU, or is a race: a barrier that waits for
// more arrivals than there are, a hardware barrier that two parties use, a
// warpgroup with warps of two roles. The numbers (C..) are those of
// docs/spec.md.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// The warps of the block that run a role.
struct RoleWarps {
  Region *region;
  int64_t number, first, count;

  bool isWholeWarpgroups() const {
    return first % kWarpgroupWarps == 0 && count % kWarpgroupWarps == 0;
  }
  int64_t countWarpgroups() const {
    return llvm::divideCeil(count, kWarpgroupWarps);
  }
};
} // namespace

static SmallVector<RoleWarps> getRoleWarps(RolesOp op) {
  SmallVector<RoleWarps> roles;
  int64_t first = 0;
  for (auto [i, region] : llvm::enumerate(op.getRoles())) {
    int64_t count = op.getWarps()[i];
    roles.push_back({&region, static_cast<int64_t>(i), first, count});
    first += count;
  }
  return roles;
}

//===----------------------------------------------------------------------===//
// Warps and register budgets
//===----------------------------------------------------------------------===//

int64_t tile::getStartRegisters(const TargetInfo &target, int64_t threads,
                                int64_t minBlocks) {
  // A quarter of the registers is of each quarter of the SM, which has every
  // fourth warp: an incomplete warpgroup counts as a whole one.
  int64_t counted = llvm::alignTo(threads, kWarpgroupThreads);
  int64_t granule = target.registerGranule;
  return std::min(target.startRegisters, target.smRegisters /
                                             (counted * minBlocks) / granule *
                                             granule);
}

int64_t tile::getBudget(const TargetInfo &target, int64_t part, int64_t whole) {
  int64_t registers =
      llvm::alignDown(target.smRegisters / kWarpgroupThreads * part / whole,
                      target.registerGranule);
  return std::clamp(registers, target.leastRegisters, target.mostRegisters);
}

static int64_t warpsOfRoles(RolesOp op) {
  int64_t warps = 0;
  for (int64_t count : op.getWarps())
    warps += count;
  return warps;
}

/// Budgets of whole warpgroups that setmaxnreg takes, and that fit together.
static LogicalResult verifyBudgets(RolesOp op, ArrayRef<int64_t> budgets) {
  ArrayRef<int64_t> warps = op.getWarps();
  if (budgets.size() != warps.size())
    return op.emitOpError()
           << "(C2) expected one register budget a role, found "
           << budgets.size() << " for " << warps.size();
  auto kernel = op->getParentOfType<KernelOp>();
  int64_t threads =
      kernel ? llvm::alignTo(32 * int64_t(kernel.getWarps()), kWarpgroupThreads)
             : 0;
  TargetInfo target = getTarget(op);
  int64_t start =
      kernel ? getStartRegisters(target, threads, kernel.getMinBlocks()) : 0;
  int64_t total = 0, first = 0;
  for (auto [count, budget] : llvm::zip_equal(warps, budgets)) {
    int64_t end = llvm::alignTo(first + count, 4);
    bool isPadded = first + count == warpsOfRoles(op) && kernel &&
                    static_cast<int64_t>(kernel.getWarps()) == end;
    if (budget != 0 && count % 4 != 0 && !isPadded)
      return op.emitOpError()
             << "(C3) setmaxnreg is per warpgroup: expected roles of 4, 8 ... "
                "warps, or a last one whose warpgroup the kernel's warps fill, "
                "found "
             << count;
    if (budget != 0 && !target.hasBudget(budget))
      return op.emitOpError()
             << "(C4) expected a budget of 0, or a multiple of "
             << target.registerGranule << " from " << target.leastRegisters
             << " to " << target.mostRegisters << ", found " << budget;
    total += 32 * (end - first) * (budget ? budget : start);
    first = end;
  }
  // What a role asks for and does not get, it waits for.
  if (kernel && total > start * threads)
    return op.emitOpError()
           << "(C6) expected budgets of at most the block's " << start * threads
           << " registers (" << start << " a thread), found " << total;
  return success();
}

LogicalResult RolesOp::verify() {
  ArrayRef<int64_t> warps = getWarps();
  if (warps.size() != getRoles().size())
    return emitOpError() << "(C1) expected one number of warps a role, found "
                         << warps.size() << " for " << getRoles().size();
  int64_t total = warpsOfRoles(*this);
  auto kernel = (*this)->getParentOfType<KernelOp>();
  if (kernel && total > static_cast<int64_t>(kernel.getWarps()))
    return emitOpError() << "(C5) expected roles of at most the kernel's "
                         << kernel.getWarps() << " warps, found " << total;
  if (getRegisters())
    return verifyBudgets(*this, *getRegisters());
  return success();
}

//===----------------------------------------------------------------------===//
// Rings
//===----------------------------------------------------------------------===//

namespace {
/// How many warps of some roles use each stage of a ring. A role of several
/// warpgroups may do so with all, or with one after the other in turn.
struct WarpRange {
  int64_t least = 0, most = 0;

  /// Adds a use by all warps of `role`'s warpgroups, or by one warp of each.
  void add(const RoleWarps &role, bool isOneWarp) {
    least += isOneWarp ? 1 : std::min(role.count, kWarpgroupWarps);
    most += isOneWarp ? role.countWarpgroups() : role.count;
  }
};

/// Warps of the roles that acquire, commit, wait for and release a ring.
struct RingWarps {
  WarpRange acquire, commit, wait, release;

  /// The range that a use of the ring belongs to.
  WarpRange &of(Operation *use) {
    if (isa<AcquireOp>(use))
      return acquire;
    if (isa<CommitOp>(use))
      return commit;
    return isa<WaitOp>(use) ? wait : release;
  }
};
} // namespace

using RingUses = llvm::MapVector<AllocRingOp, RingWarps>;

static RingUses countRingWarps(ArrayRef<RoleWarps> roles) {
  RingUses uses;
  for (const RoleWarps &role : roles) {
    DenseSet<std::pair<Operation *, OperationName>> seen;
    role.region->walk([&](Operation *op) {
      if (!isa<AcquireOp, CommitOp, WaitOp, ReleaseOp>(op))
        return;
      auto ring = op->getOperand(0).getDefiningOp<AllocRingOp>();
      if (ring && seen.insert({ring, op->getName()}).second)
        uses[ring].of(op).add(role, op->getParentOfType<OneWarpOp>());
    });
  }
  return uses;
}

static LogicalResult verifyRing(RolesOp op, AllocRingOp ring,
                                const RingWarps &warps) {
  auto check = [&](StringRef use, WarpRange found, StringRef side,
                   int64_t expected) -> LogicalResult {
    if (found.least <= expected && expected <= found.most)
      return success();
    InFlightDiagnostic diagnostic = op.emitOpError()
                                    << "(C7) expected roles of " << expected
                                    << " warps that " << use << " a ring, its "
                                    << side << ", found " << found.most;
    diagnostic.attachNote(ring.getLoc()) << "the ring";
    return diagnostic;
  };
  int64_t producers = ring.getProducers(), consumers = ring.getConsumers();
  return success(
      succeeded(check("acquire", warps.acquire, "producers", producers)) &&
      succeeded(check("commit", warps.commit, "producers", producers)) &&
      succeeded(check("wait for", warps.wait, "consumers", consumers)) &&
      succeeded(check("release", warps.release, "consumers", consumers)));
}

static LogicalResult verifyRings(RolesOp op, ArrayRef<RoleWarps> roles) {
  for (auto &[ring, warps] : countRingWarps(roles))
    if (failed(verifyRing(op, ring, warps)))
      return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// Warpgroups
//===----------------------------------------------------------------------===//

/// True for a tile that the four warps of a warpgroup hold together.
static bool isOfWarpgroup(Type type) {
  std::optional<LayoutKind> layout = getLayout(type);
  return isa<InflightType>(type) || (layout && *layout != LayoutKind::warp);
}

/// True for what only all warps of a warpgroup can do.
static bool needsWarpgroup(Operation *op) {
  return isa<BarrierOp, StoreVectorOp, ZeroFillOp, ZeroRowsOp>(op) ||
         llvm::any_of(op->getOperandTypes(), isOfWarpgroup) ||
         llvm::any_of(op->getResultTypes(), isOfWarpgroup);
}

LogicalResult OneWarpOp::verify() {
  if (getWarp() < 0 || getWarp() >= kWarpgroupWarps)
    return emitOpError() << "(C2) expected one of the " << kWarpgroupWarps
                         << " warps of a warpgroup, found " << getWarp();
  return success();
}

LogicalResult OneWarpOp::verifyRegions() {
  WalkResult result = walk([&](Operation *use) {
    if (use == *this || !needsWarpgroup(use))
      return WalkResult::advance();
    InFlightDiagnostic diagnostic =
        emitOpError() << "(C1) expected what one warp can do, found "
                      << use->getName()
                      << ", for which all four of a warpgroup are needed";
    diagnostic.attachNote(use->getLoc()) << "this needs a warpgroup";
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

static LogicalResult verifyWarpgroups(RolesOp op, const RoleWarps &role) {
  if (role.isWholeWarpgroups())
    return success();
  WalkResult result = role.region->walk([&](Operation *use) {
    if (!needsWarpgroup(use))
      return WalkResult::advance();
    InFlightDiagnostic diagnostic =
        op.emitOpError() << "(C8) expected whole warpgroups, the first warp a "
                            "multiple of four, for role "
                         << role.number << " with " << use->getName()
                         << ", found " << role.count << " warps from "
                         << role.first << " on";
    diagnostic.attachNote(use->getLoc()) << "this needs a warpgroup";
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

//===----------------------------------------------------------------------===//
// Hardware barriers
//===----------------------------------------------------------------------===//

/// The hardware barriers that a role names, in order of use. In the hardware, 0
/// is that of the block; in operations the warpgroup's own, the one after its
/// number.
static llvm::MapVector<int64_t, Operation *> getBarriers(Region &role) {
  llvm::MapVector<int64_t, Operation *> barriers;
  role.walk([&](Operation *op) {
    std::optional<Attribute> id = op->getInherentAttr("barrier_id");
    if (auto number = dyn_cast_or_null<IntegerAttr>(id.value_or(Attribute())))
      barriers.insert({number.getInt(), op});
  });
  return barriers;
}

/// Returns the hardware barrier of the first warpgroup of `role`.
static int64_t getOwnBarrier(const RoleWarps &role) {
  return role.first / kWarpgroupWarps + 1;
}

static LogicalResult verifyBarrier(const RoleWarps &role, int64_t id,
                                   Operation *use, const TargetInfo &target) {
  bool isThere =
      id == 0 ? getOwnBarrier(role) + role.countWarpgroups() <= target.barriers
              : 0 < id && id < target.barriers;
  if (!isThere)
    return use->emitOpError() << "(C9) expected a hardware barrier from 1 to "
                              << target.barriers - 1
                              << ", or 0 for the warpgroup's own, found " << id;
  if (id != 0 && role.count > kWarpgroupWarps)
    return use->emitOpError()
           << "(C9) expected hardware barrier 0, each warpgroup's own, in a "
              "role of "
           << role.count << " warps, found " << id;
  return success();
}

static LogicalResult verifyBarriers(ArrayRef<RoleWarps> roles,
                                    const TargetInfo &target) {
  SmallVector<const RoleWarps *> owners(target.barriers, nullptr);
  for (const RoleWarps &role : roles)
    for (auto [id, use] : getBarriers(*role.region)) {
      if (failed(verifyBarrier(role, id, use, target)))
        return failure();
      int64_t first = id ? id : getOwnBarrier(role);
      int64_t count = id ? 1 : role.countWarpgroups();
      for (const RoleWarps *&owner :
           MutableArrayRef(owners).slice(first, count)) {
        if (owner && owner != &role)
          return use->emitOpError()
                 << "(C10) expected a hardware barrier of this role alone, "
                    "found "
                 << &owner - owners.data() << ", which role " << owner->number
                 << " has too";
        owner = &role;
      }
    }
  return success();
}

LogicalResult RolesOp::verifyRegions() {
  SmallVector<RoleWarps> roles = getRoleWarps(*this);
  for (const RoleWarps &role : roles)
    if (failed(verifyWarpgroups(*this, role)))
      return failure();
  if (failed(verifyRings(*this, roles)))
    return failure();
  return verifyBarriers(roles, getTarget(*this));
}
