//===- Protocol.cpp - What makes a kernel's channels safe
//-------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A role's region is straight-line code, so a kernel is a set of sequential
// processes joined by bounded buffers. Such a network either always ends up
// waiting or never does, whatever the speeds (Kahn, 1974; Parks, 1995): one run
// in any order decides.
//
//===----------------------------------------------------------------------===//

#include "Protocol.h"

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

/// Checks that a channel that TMA fills takes loads and nothing else.
static LogicalResult verifyFill(ChannelOp channel) {
  if (channel.getFill() != Fill::tma)
    return success();
  for (Operation *user : channel->getUsers()) {
    auto put = dyn_cast<PutOp>(user);
    if (!put)
      continue;
    for (Value tile : put.getTiles())
      if (!tile.getDefiningOp<LoadOp>())
        return put.emitOpError()
               << "(K34) puts a computed tile into a channel that TMA fills; "
                  "use fill warps, or put what sched.load brings";
  }
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

namespace {
/// The hand-overs of one group of warps, chunk by chunk.
class Process {
public:
  Process(RoleOp role, int64_t copy) : role(role), chunk(copy) {
    for (Operation &op : role.getEachChunk().getBlock())
      if (isa<GetOp, PutOp>(op))
        steps.push_back(&op);
  }

  RoleOp role;
  SmallVector<Operation *> steps;
  int64_t chunk;   ///< that it is at
  size_t next = 0; ///< step of the chunk
};

/// Runs all roles over a few chunks, each step when its channel allows.
class Network {
public:
  explicit Network(KernelOp kernel) {
    for (ChannelOp channel : kernel.getChannels())
      chunks += channel.getDepth();
    for (RoleOp role : kernel.getRoles()) {
      int64_t copies = role.getCopies();
      chunks += copies;
      for (int64_t copy = 0; copy < copies; ++copy)
        processes.emplace_back(role, copy);
    }
  }

  /// Runs until nothing moves; returns a step that waits, or null if all ended.
  Operation *run() {
    bool moved = true;
    while (moved) {
      moved = false;
      for (Process &process : processes)
        while (!isDone(process) && step(process))
          moved = true;
    }
    for (Process &process : processes)
      if (!isDone(process))
        return process.steps[process.next];
    return nullptr;
  }

private:
  bool isDone(const Process &process) const {
    return process.steps.empty() || process.chunk >= chunks;
  }

  /// Takes the next step if it need not wait. Tiles are released at the end of
  /// the reader's chunk.
  bool step(Process &process) {
    Operation *op = process.steps[process.next];
    if (auto get = dyn_cast<GetOp>(op)) {
      if (!filled.contains({get.getChannel(), process.chunk}))
        return false;
    } else {
      auto put = cast<PutOp>(op);
      auto channel = put.getChannel().getDefiningOp<ChannelOp>();
      int64_t before = process.chunk - channel.getDepth();
      if (before >= 0 && released.lookup({put.getChannel(), before}) <
                             channel.getReaders().size())
        return false;
      filled.insert({put.getChannel(), process.chunk});
    }
    if (++process.next == process.steps.size())
      endChunk(process);
    return true;
  }

  void endChunk(Process &process) {
    for (Operation *op : process.steps)
      if (auto get = dyn_cast<GetOp>(op))
        ++released[{get.getChannel(), process.chunk}];
    process.chunk += process.role.getCopies();
    process.next = 0;
  }

  int64_t chunks = 1; ///< after which every wait has come up
  std::vector<Process> processes;
  llvm::DenseSet<std::pair<Value, int64_t>> filled;
  llvm::DenseMap<std::pair<Value, int64_t>, size_t> released;
};
} // namespace

static LogicalResult verifyProgress(KernelOp kernel) {
  Operation *waiting = Network(kernel).run();
  if (!waiting)
    return success();
  auto role = waiting->getParentOfType<RoleOp>();
  return waiting->emitOpError()
         << "(K36) waits for ever: role " << role.getRoleNameAttr()
         << (isa<GetOp>(waiting)
                 ? " gets tiles that their role cannot put before this role "
                   "goes on"
                 : " puts tiles while a reader still holds those of an earlier "
                   "chunk and waits for this role")
         << "; make a channel deeper, or move the operation";
}

LogicalResult sched::verifyProtocol(KernelOp kernel) {
  for (ChannelOp channel : kernel.getChannels())
    if (failed(verifyUses(channel)) || failed(verifyFill(channel)))
      return failure();
  if (failed(verifyDirection(kernel)))
    return failure();
  return verifyProgress(kernel);
}
