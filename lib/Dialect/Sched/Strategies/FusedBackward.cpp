//===- FusedBackward.cpp - sched-fuse-backward ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BlocksInTurn.h"
#include "ChannelOrder.h"
#include "DividedMap.h"
#include "HeadPairs.h"
#include "JoinPairSums.h"
#include "MapPieces.h"
#include "RoleWriter.h"

#include "wyvern/Dialect/Sched/Strategies/Passes.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"

namespace mlir::wyvern::sched {
#define GEN_PASS_DEF_FUSEBACKWARDPASS
#include "wyvern/Dialect/Sched/Strategies/Passes.h.inc"
} // namespace mlir::wyvern::sched

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;

/// Roles of the map, the chain being one of the others.
static constexpr unsigned kMapRoles = 2, kChain = 0;
/// Registers of an SM for one thread of each warpgroup of a block.
static constexpr int64_t kAllRegisters = 512;
/// Those of the chain beside its carries: an accumulator of 64 columns, the
/// carries in 16 bits while they are multiplied, and what addresses take.
static constexpr int64_t kBesideCarries = 96;
/// Those of a chain that decays, beyond one that does not: vectors that it
/// multiplies its rows by. It has them where the roles of the map keep so many,
/// for each row of a token, that they need not make things again.
static constexpr int64_t kOfDecayingChain = 32, kPlenty = 128;
/// Blocks of a cluster, and the registers of a chain whose warpgroup is alone
/// in its block: an accumulator, the carries in 16 bits while they are
/// multiplied, and those of the rows that it takes from registers, beside its
/// carries.
static constexpr int64_t kClusterBlocks = 2, kOfLoneChain = 208;
/// Registers of a role of a map that sums pairs of tokens, of which each has
/// several rows.
static constexpr int64_t kOfRowsWithDecay = 128;
/// Bytes of shared memory for barriers and what sums of rows need.
static constexpr int64_t kOtherBytes = 1024;
/// Those that sums of columns need of their own, unless the place of a tile
/// that is put behind them, and has no other place, is all there is.
static constexpr int64_t kSumBytes = 1024;
/// What blocks of a cluster hand each other for a sum of a vector, at most.
static constexpr int64_t kExchangeBytes = 1024;

//===----------------------------------------------------------------------===//
// Roles
//===----------------------------------------------------------------------===//

/// True if the map of `program` multiplies pairs of tokens by their decay.
static bool hasDecay(const FusedProgram &program) {
  return llvm::any_of(
      program.getMap().getBlock().getOps<delta::DecayMaskOp>(),
      [](delta::DecayMaskOp mask) { return mask.getG() != nullptr; });
}

/// Returns the most rows that a token has in a tile of `program`.
static int64_t countRows(const FusedProgram &program) {
  int64_t rows = 1;
  for (const FusedProgram::In &in : program.getIns())
    if (in.binding.has(delta::DimKind::time))
      rows = std::max(rows, in.binding.getTimeMultiple());
  return rows;
}

/// Returns the chain, in `parts` warpgroups of a block, and the roles of the
/// map, with their budgets. A thread of the warp that loads apart from these
/// has `loadRegisters`, 0 if there is none.
static SmallVector<PlannedRole> divide(const FusedProgram &program,
                                       int64_t parts, bool isCluster,
                                       int64_t loadRegisters) {
  delta::ChunkScanOp scan = program.getScan();
  SmallVector<PlannedRole> roles = {{"chain", tile::kWarpgroupWarps}};
  roles[kChain].split = parts;
  for (Operation &op : scan.getBlock().without_terminator())
    if (!program.isFree(&op))
      roles[kChain].ops.push_back(&op);
  int64_t blocks = isCluster ? kClusterBlocks : 1;
  for (auto [i, ops] : llvm::enumerate(divideMap(program, kMapRoles, blocks))) {
    PlannedRole role{"map" + (i ? std::to_string(i) : ""),
                     tile::kWarpgroupWarps};
    role.ops = ops;
    roles.push_back(role);
  }
  tile::TargetInfo target = tile::getTarget(scan);
  int64_t others = roles.size() - 1;
  int64_t groups = parts + others + (loadRegisters > 0);
  // All start with the same number. The chain has as many, or what it needs.
  int64_t share =
      llvm::alignDown(kAllRegisters / groups, target.registerGranule);
  int64_t ofChain =
      isCluster && !loadRegisters
          ? kOfLoneChain
          : std::max(share,
                     kBesideCarries +
                         program.countCarried(isCluster ? parts * kClusterBlocks
                                                        : parts));
  auto countOfMap = [&] {
    return (groups * share - parts * ofChain - loadRegisters) / others;
  };
  if (hasDecay(program) && countOfMap() - parts * kOfDecayingChain / others >=
                               kPlenty * countRows(program))
    ofChain += kOfDecayingChain;
  int64_t ofMap = countOfMap();
  for (auto [i, role] : llvm::enumerate(roles))
    role.registers =
        tile::getBudget(target, i == kChain ? ofChain : ofMap, kAllRegisters);
  return roles;
}

/// Returns why carries of `parts` parts have no warpgroups of a block, or of
/// each block of a cluster; empty if they have.
static std::string checkParts(int64_t parts, bool isCluster) {
  constexpr int64_t kMostParts = 2;
  if (parts > kMostParts)
    return "its carries take more than two warpgroups";
  if (isCluster && parts % kClusterBlocks != 0)
    return "its carries have no part for each of the blocks of a cluster";
  return {};
}

/// Returns why `roles` have too few registers; empty if they have enough.
static std::string checkRegisters(const FusedProgram &program,
                                  ArrayRef<PlannedRole> roles) {
  int64_t ofMap = *roles.back().registers;
  if (ofMap >= kOfRowsWithDecay || !hasDecay(program) ||
      countRows(program) == 1)
    return {};
  return "the chain leaves " + std::to_string(ofMap) +
         " registers to the roles of the map, which with a decay and several "
         "rows a token need " +
         std::to_string(kOfRowsWithDecay);
}

//===----------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------===//

static int64_t countBytes(RankedTensorType tile) {
  return tile.getNumElements() * tile.getElementTypeBitWidth() / 8;
}

/// Returns the bytes of one chunk's tiles in `channel`, in one block.
static int64_t countBytes(const PlannedChannel &channel, KernelOp kernel,
                          const DividedMap *divided) {
  int64_t bytes = 0;
  for (Type type : channel.types)
    bytes += channel.summands * countBytes(cast<RankedTensorType>(type));
  for (unsigned in : channel.ins)
    bytes += countBytes(getLoadedType(kernel, kernel.getInArgs()[in])) /
             (divided ? divided->countParts(channel, in) : 1);
  return bytes;
}

/// Returns the bytes of the places that matrices of `program` leave through.
static int64_t countStaging(const FusedProgram &program) {
  int64_t bytes = 0;
  for (const FusedProgram::Out &out : program.getOuts())
    if (delta::getTileRank(out.tile) == 2)
      bytes += countBytes(cast<RankedTensorType>(out.tile.getType())
                              .clone(getElementTypeOrSelf(out.tensor)));
  return bytes;
}

/// Returns the role that loads `channel` on the side: of those that read it one
/// that nobody waits for, else the last.
static unsigned findHost(const RolePlan &plan, const PlannedChannel &channel) {
  auto isWaitedFor = [&](unsigned role) {
    return llvm::any_of(plan.getChannels(), [&](const PlannedChannel &other) {
      return other.filler == role;
    });
  };
  for (unsigned reader : channel.readers)
    if (!isWaitedFor(reader))
      return reader;
  return channel.readers.back();
}

/// Lets channels that have two places have one, the last one first, as long as
/// `room` is less than nothing. Returns the room that there is then.
static int64_t saveRoom(RolePlan &plan, KernelOp kernel,
                        const DividedMap *divided, int64_t room) {
  for (PlannedChannel &channel : llvm::reverse(plan.getChannels()))
    if (room < 0 && channel.depth > 1) {
      channel.depth = 1;
      room += countBytes(channel, kernel, divided);
    }
  return room;
}

/// Says how deep the channels of `plan` are, who loads, and how outs leave.
/// Returns the bytes that are missing for that. `divided` says what a block has
/// of what is loaded, null where it has all; `loadsApart` that a warp of its
/// own loads; `pairBytes` is what blocks of a pair of heads hand each other.
static int64_t planMemory(RolePlan &plan, KernelOp kernel,
                          const DividedMap *divided, bool loadsApart,
                          int64_t pairBytes) {
  int64_t room = tile::getTarget(kernel).sharedBytes - kOtherBytes - pairBytes;
  // The chain is a chunk ahead of the map: it reads what they share twice.
  for (PlannedChannel &channel : plan.getChannels()) {
    bool isShared = !channel.filler && channel.readers.front() == kChain &&
                    channel.readers.size() > 1;
    channel.depth = isShared ? 2 : 1;
    room -= channel.depth * countBytes(channel, kernel, divided);
  }
  // What the chain reads last of that, the others have read soonest.
  if (pairBytes > 0)
    room = saveRoom(plan, kernel, divided, room);
  if (room < 0)
    return -room;
  if (hasDecay(plan.getProgram()))
    room =
        std::max<int64_t>(room - kSumBytes - (divided ? kExchangeBytes : 0), 0);
  int64_t staging =
      countStaging(plan.getProgram()) / static_cast<int64_t>(kernel.getSplit());
  bool isStaged = staging <= room;
  if (isStaged)
    room -= staging;
  plan.setStores(isStaged ? PlannedRole::Stores::staged
                          : PlannedRole::Stores::direct);
  for (unsigned number : orderByNeed(plan, /*isCluster=*/divided != nullptr)) {
    PlannedChannel &channel = plan.getChannels()[number];
    if (int64_t bytes = countBytes(channel, kernel, divided);
        channel.depth == 1 && bytes <= room) {
      channel.depth = 2;
      room -= bytes;
    }
  }
  for (PlannedChannel &channel : plan.getChannels()) {
    if (channel.filler || loadsApart)
      continue;
    // Each tile's place is filled again when the chunk is done with it.
    channel.host = findHost(plan, channel);
    channel.ahead = channel.depth;
  }
  return 0;
}

/// The same with room for sums over `pairs` of heads; if there is none, without
/// them, which are left to their maps.
static int64_t planMemory(RolePlan &plan, KernelOp kernel,
                          const DividedMap *divided, bool loadsApart,
                          SmallVectorImpl<PairSum> &pairs) {
  int64_t bytes = 0;
  for (const PairSum &sum : pairs)
    bytes += sum.bytes;
  int64_t missing = planMemory(plan, kernel, divided, loadsApart, bytes);
  if (missing == 0 || pairs.empty())
    return missing;
  pairs.clear();
  return planMemory(plan, kernel, divided, loadsApart, /*pairBytes=*/0);
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct FuseBackward : sched::impl::FuseBackwardPassBase<FuseBackward> {
  using FuseBackwardPassBase::FuseBackwardPassBase;

  void runOnOperation() override {
    SmallVector<delta::ChunkScanOp> scans(
        getOperation().getOps<delta::ChunkScanOp>());
    unsigned number = 0;
    // Of two that one map reads from, the later one is the chain of gradients.
    for (delta::ChunkScanOp scan : llvm::reverse(scans)) {
      std::string why;
      std::optional<FusedProgram> program =
          FusedProgram::matchBehind(scan, why);
      if (!program) {
        FusedProgram::decline(scan, getArgument(), why);
        continue;
      }
      std::string name = (getOperation().getSymName() + "_fused").str();
      if (number)
        name += std::to_string(number);
      FailureOr<bool> fused = fuse(*program, name);
      if (failed(fused))
        return signalPassFailure();
      number += *fused;
    }
  }

private:
  /// Returns whether there is a kernel of both now; fails on a scan that no
  /// kernel can be made of.
  FailureOr<bool> fuse(const FusedProgram &program, StringRef name) {
    delta::ChunkScanOp scan = program.getScan();
    auto decline = [&](StringRef why) {
      FusedProgram::decline(scan, getArgument(), why);
      return false;
    };
    FailureOr<int64_t> parts = countSplitParts(scan);
    if (failed(parts))
      return failure();
    if (std::string why = checkParts(*parts, cluster); !why.empty())
      return decline(why);
    Grid grid = getScanGrid(scan);
    if (cluster) {
      grid.split = kClusterBlocks;
      grid.cluster = true;
      *parts /= kClusterBlocks;
    }
    // Of who loads apart, if somebody does: where pairs of tokens are summed
    // too no role has time for it.
    std::optional<int64_t> loadRegisters;
    if (cluster && hasDecay(program)) {
      loadRegisters = tile::getTarget(scan).leastRegisters;
      numJoined += joinPairSums(program.getMap());
    }
    SmallVector<PlannedRole> roles =
        divide(program, *parts, cluster, loadRegisters.value_or(0));
    if (std::string why = checkRegisters(program, roles); !why.empty())
      return decline(why);
    RolePlan plan(program, roles, /*apart=*/true);
    if (loadRegisters) {
      plan.setPutsAtOnce();
      plan.joinLoadedVectors();
    }
    std::optional<DividedMap> divided;
    if (cluster) {
      divided.emplace(plan, kClusterBlocks);
      if (std::string why = divided->divide(plan); !why.empty())
        return decline(why);
      if (inTurn && loadRegisters)
        numInTurn += takeTurnsBeside(plan, kClusterBlocks);
    }
    delta::ChunkMapOp map = program.getMap();
    OpBuilder builder(map);
    KernelTensors tensors = getFusedTensors(program);
    KernelOp kernel = createKernel(
        builder, cast<delta::ChunkProgramOpInterface>(map.getOperation()),
        tensors, name, grid);
    // Blocks of a cluster that divide a head sum no pairs of heads.
    SmallVector<PairSum> pairs;
    if (sumPairs && !cluster)
      pairs = findPairSums(program);
    if (int64_t missing =
            planMemory(plan, kernel, divided ? &*divided : nullptr,
                       loadRegisters.has_value(), pairs)) {
      kernel.erase();
      return decline("the tiles of a chunk of both take " +
                     std::to_string(missing) +
                     " bytes of shared memory more than a block has");
    }
    plan.loadForFirstPut();
    RoleWriter(builder, plan, kernel, loadRegisters).write();
    replaceFused(program, tensors, kernel);
    ++numFused;
    sumHeadPairs(kernel, pairs);
    numPairSums += pairs.size();
    return true;
  }
};
} // namespace
