//===- Protocol.cpp - What makes a kernel's channels safe -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//===----------------------------------------------------------------------===//

#include "Protocol.h"

#include "wyvern/Dialect/Sched/IR/ChunkOrder.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;

//===----------------------------------------------------------------------===//
// Who fills and who reads
//===----------------------------------------------------------------------===//

/// Checks that `channel` is used once a chunk by each of its roles.
static LogicalResult verifyUses(ChannelOp channel) {
  llvm::SmallPtrSet<Operation *, 4> readers;
  Operation *filler = nullptr;
  for (Operation *user : channel->getUsers()) {
    Operation *role = user->getParentOfType<RoleOp>();
    if (isa<PutOp>(user)) {
      if (filler)
        return user->emitOpError()
               << "(K30) puts into a channel that is put into already; it "
                  "takes the tiles of each chunk once";
      filler = role;
    } else if (!readers.insert(role).second) {
      return user->emitOpError()
             << "(K31) gets from a channel twice in one role; use the tiles "
                "of the first sched.get again";
    }
  }
  if (!filler || readers.empty())
    return channel.emitOpError()
           << "(K32) expected a role that puts and one that gets; the others "
              "would wait for ever";
  if (readers.contains(filler))
    return channel.emitOpError() << "(K33) is put into and gotten from by one "
                                    "role; use the value itself";
  return success();
}

/// Checks that a bulk copy can bring `tile` and leave it as `held`.
static LogicalResult verifyCopied(PutOp put, Value tile,
                                  RankedTensorType held) {
  auto load = tile.getDefiningOp<LoadOp>();
  if (!load)
    return put.emitOpError()
           << "(K34) puts a computed tile into a channel that TMA fills; "
              "use fill warps, or put what sched.load brings";
  Type stored =
      cast<GlobalType>(load.getSource().getType()).getTensor().getElementType();
  // Warps bring vectors, and convert them.
  if (held.getRank() > 1 && held.getElementType() != stored)
    return put.emitOpError()
           << "(K37) expected a channel that TMA fills to hold tiles of "
           << stored << ", as they are in memory, found " << held
           << "; a bulk copy does not convert";
  return success();
}

/// Checks that a channel that TMA fills takes loads and nothing else.
static LogicalResult verifyFill(ChannelOp channel) {
  if (channel.getFill() != Fill::tma)
    return success();
  for (Operation *user : channel->getUsers()) {
    auto put = dyn_cast<PutOp>(user);
    if (!put)
      continue;
    for (auto [tile, held] : llvm::zip_equal(
             put.getTiles(), channel.getChannel().getType().getTiles()))
      if (failed(verifyCopied(put, tile, cast<RankedTensorType>(held))))
        return failure();
  }
  return success();
}

/// Checks that whoever waits for a stage of `channel` has seen its use before.
/// A barrier tells two uses in a row apart and no more: a copy that waits for
/// chunk c would pass at the end of chunk c - 2 * depth.
static LogicalResult verifyCopies(ChannelOp channel) {
  int64_t depth = channel.getDepth();
  auto filler = cast<RoleOp>(channel.getFiller());
  auto check = [&](RoleOp role, bool isMultiple) -> LogicalResult {
    int64_t copies = role.getCopies();
    if (isMultiple ? depth % copies == 0 : depth >= copies)
      return success();
    return channel.emitOpError()
           << "(K27) expected a depth "
           << (isMultiple ? "that is a multiple of " : "of at least ") << copies
           << ", the copies of role " << role.getRoleNameAttr() << ", found "
           << depth << "; a copy would take one chunk's tiles for another's";
  };
  if (failed(check(filler, /*isMultiple=*/true)))
    return failure();
  for (Operation *reader : channel.getReaders())
    if (failed(check(cast<RoleOp>(reader), filler.getCopies() > 1)))
      return failure();
  return success();
}

/// Checks that a role that begins a chunk before it ends the last one finds
/// both in the channel.
static LogicalResult verifyOverlap(ChannelOp channel) {
  if (channel.getDepth() > 1)
    return success();
  for (Operation *reader : channel.getReaders())
    if (cast<RoleOp>(reader).getEachChunk().getOverlap())
      return channel.emitOpError()
             << "(K39) expected a depth of at least 2, since role "
             << cast<RoleOp>(reader).getRoleNameAttr()
             << " overlaps its chunks and holds the tiles of two, found 1";
  return success();
}

/// Checks that all roles visit the chunks in one direction.
static LogicalResult verifyDirection(KernelOp kernel) {
  std::optional<delta::Direction> first;
  for (RoleOp role : kernel.getRoles()) {
    EachChunkOp loop = role.getEachChunk();
    if (first && *first != loop.getDirection())
      return loop.emitOpError()
             << "(K35) expected every role to visit the chunks in one "
                "direction; channels would hand over another chunk's tiles";
    first = loop.getDirection();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Waiting
//===----------------------------------------------------------------------===//

/// Checks that the roles do not all end up waiting for each other. One chunk
/// decides. Of all that waits, take what is at the earliest chunk c. It is no
/// put: that waits for a reader that is at an earlier chunk than c. So it is a
/// get, of tiles whose role is at chunk c too, and waits in turn. Depths and
/// copies let a role run ahead and never make one wait for ever.
static LogicalResult verifyProgress(KernelOp kernel) {
  ChunkOrder order = orderChunk(kernel);
  if (order.waiting.empty())
    return success();
  GetOp first = order.waiting.front();
  InFlightDiagnostic diagnostic =
      first.emitOpError()
      << "(K36) waits for ever: role "
      << first->getParentOfType<RoleOp>().getRoleNameAttr()
      << " gets tiles of a role that waits for this one in the same chunk; put "
         "before this sched.get what that role needs, or compute both in one "
         "role";
  for (GetOp get : llvm::drop_begin(order.waiting))
    diagnostic.attachNote(get.getLoc())
        << "role " << get->getParentOfType<RoleOp>().getRoleNameAttr()
        << " waits here";
  return diagnostic;
}

LogicalResult sched::verifyProtocol(KernelOp kernel) {
  for (ChannelOp channel : kernel.getChannels())
    if (failed(verifyUses(channel)) || failed(verifyFill(channel)) ||
        failed(verifyCopies(channel)) || failed(verifyOverlap(channel)))
      return failure();
  if (failed(verifyDirection(kernel)))
    return failure();
  return verifyProgress(kernel);
}
