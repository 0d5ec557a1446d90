//===- Guests.cpp - What roles within a role put ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RoleLowering.h"

#include "wyvern/Dialect/Delta/Analysis/MapPhases.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::wyvern;

static sched::ChannelOp getChannel(sched::PutOp put) {
  return put.getChannel().getDefiningOp<sched::ChannelOp>();
}

/// True for a put into the place of the running chunk's tiles.
static bool takesPlace(sched::PutOp put) {
  return put.getAhead() == getChannel(put).getDepth();
}

/// Returns the get of `role` out of the channel of `put`; null if it does not
/// read it.
static sched::GetOp findGet(sched::PutOp put, sched::RoleOp role) {
  for (Operation *user : put.getChannel().getUsers())
    if (auto get = dyn_cast<sched::GetOp>(user);
        get && get->getParentOfType<sched::RoleOp>() == role)
      return get;
  return {};
}

/// A warp a channel, of several groups of the first one: loads are a few
/// hundred cycles of one warp, and the role goes on when all are under way.
void RoleLowering::beginGuests(sched::EachChunkOp loop) {
  for (sched::RoleOp guest : context.kernel.getRoles())
    if (guest.getWithin() == role.getRoleName())
      for (auto put : guest.getEachChunk().getBlock().getOps<sched::PutOp>())
        guests.push_back(
            {put, static_cast<int64_t>(guests.size()) % tile::kWarpgroupWarps});
  // A copy brings what is of the chunks that it takes.
  for (GuestPut &guest : guests)
    for (uint64_t use = 0; use < guest.put.getAhead();
         use += role.getCopies()) {
      Value first = index(use);
      if (copy)
        first = arith::AddIOp::create(builder, loc, first, copy);
      locateGuestPut(guest, first);
      lowerGuestPut(guest, loop);
    }
}

void RoleLowering::locateGuestPut(GuestPut &guest, Value use) {
  guest.use = use;
  guest.exists = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult,
                                       use, context.location->count);
  if (!part)
    return;
  Value isFirst = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                        part, index(0));
  guest.exists = arith::AndIOp::create(builder, loc, guest.exists, isFirst);
}

scf::IfOp RoleLowering::lowerGuestPut(const GuestPut &guest,
                                      sched::EachChunkOp loop) {
  OpBuilder::InsertionGuard guard(builder);
  auto ifOp = scf::IfOp::create(builder, loc, guest.exists,
                                /*withElse=*/false);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  auto oneWarp = tile::OneWarpOp::create(builder, loc, guest.warp);
  builder.createBlock(&oneWarp.getBody());
  fillByTMA(guest.put, getVisit(loop, guest.use));
  return ifOp;
}

void RoleLowering::lowerGuests(sched::EachChunkOp loop, Value use) {
  for (GuestPut &guest : guests) {
    Value later = use;
    if (guest.put.getAhead())
      later =
          arith::AddIOp::create(builder, loc, use, index(guest.put.getAhead()));
    locateGuestPut(guest, later);
    if (!takesPlace(guest.put) && !guest.put.getLate())
      lowerGuestPut(guest, loop);
  }
}

sched::PutOp RoleLowering::findLatePut(sched::GetOp get) {
  sched::PutOp put =
      findPut(get.getChannel().getDefiningOp<sched::ChannelOp>());
  return put.getLate() ? put : sched::PutOp();
}

/// What the role has read is read by all its warps before other tiles come to
/// its place, and what it has written there is seen before. What it has made
/// and needs no more before its last product waits in shared memory, where
/// there is room now.
void RoleLowering::lowerLatePut(sched::GetOp get, sched::PutOp put,
                                RegionLowering &lowering) {
  tile::BarrierOp::create(builder, loc, /*proxy=*/true, barrier);
  for (const GuestPut &guest : guests)
    if (guest.put == put)
      lowerGuestPut(guest, role.getEachChunk());
  for (Operation &op : *get->getBlock()) {
    if (&op == get)
      return;
    for (Value result : op.getResults())
      if (delta::isReadBehindProducts(result))
        lowering.park(result);
  }
}

sched::PutOp RoleLowering::findEarlyPut(sched::GetOp get) {
  for (Operation *op = get->getNextNode(); op; op = op->getNextNode())
    if (auto next = dyn_cast<sched::GetOp>(op)) {
      sched::PutOp put = findLatePut(next);
      return put && put.getEarly() ? put : sched::PutOp();
    }
  return {};
}

/// True if a tile out of `get`, as it is or rounded, is read behind `op`.
static bool isReadBehind(sched::GetOp get, Operation *op) {
  SmallVector<Operation *> users(get->getUsers());
  while (!users.empty()) {
    Operation *user = users.pop_back_val();
    if (op->isBeforeInBlock(user))
      return true;
    if (isa<arith::TruncFOp>(user))
      llvm::append_range(users, user->getUsers());
  }
  return false;
}

/// The tiles come while the role computes with those of `get`, where others
/// lay that it has done with: products that read these are complete, and all
/// its warps have got so far.
void RoleLowering::lowerEarlyPut(sched::GetOp get, sched::PutOp put,
                                 RegionLowering &lowering, const Visit &visit) {
  bool isFirst = true;
  for (auto other : get->getBlock()->getOps<sched::GetOp>()) {
    if (other == get)
      break;
    isFirst = false;
    if (!isReadBehind(other, get) && released.insert(other).second)
      lowerRelease(other, lowering, visit);
  }
  if (!isFirst)
    tile::BarrierOp::create(builder, loc, /*proxy=*/true, barrier);
  for (const GuestPut &guest : guests)
    if (guest.put == put)
      lowerGuestPut(guest, role.getEachChunk());
}

bool RoleLowering::goesBehindRelease(sched::PutOp put) {
  sched::ChannelOp channel = getChannel(put);
  if (channel.getReaders() == ArrayRef<Operation *>(role))
    return true;
  // Other readers wait for what this role puts later in the chunk. Where roles
  // sum pairs, they are not equally long: what has another place for the next
  // chunk waits for the others where nothing waits for it.
  return role.getEachChunk().getBlock().getOps<sched::PutOp>().empty() &&
         (channel.getDepth() == 1 || !sumsColumns());
}

void RoleLowering::lowerGuestsBehind(sched::GetOp get,
                                     sched::EachChunkOp loop) {
  for (const GuestPut &guest : guests)
    if (takesPlace(guest.put) && findGet(guest.put, role) == get)
      if (goesBehindRelease(guest.put))
        lowerGuestPut(guest, loop)
            ->setAttr(tile::kBehindReleaseAttr, builder.getUnitAttr());
}

void RoleLowering::endGuests(sched::EachChunkOp loop) {
  for (const GuestPut &guest : guests)
    if (takesPlace(guest.put) &&
        !(findGet(guest.put, role) && goesBehindRelease(guest.put)))
      lowerGuestPut(guest, loop);
}
