//===- MapOfRuns.cpp - A map whose blocks load ahead ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MapOfRuns.h"

#include "FetchedIns.h"

#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;

using Slice = llvm::SmallPtrSet<Operation *, 8>;

/// Returns the bytes that the tile of in `i` takes in shared memory.
static int64_t countBytes(delta::ChunkMapOp map, unsigned i) {
  auto tile = cast<RankedTensorType>(map.getInArg(i).getType());
  Type element = getElementTypeOrSelf(map.getIns()[i]);
  bool isVector = tile.getRank() < 2;
  int64_t bits = isVector ? 32 : element.getIntOrFloatBitWidth();
  return tile.getNumElements() * bits / 8;
}

static int64_t countBytes(delta::ChunkMapOp map) {
  int64_t bytes = 0;
  for (unsigned i = 0; i < map.getIns().size(); ++i)
    if (!map.getInArg(i).use_empty())
      bytes += countBytes(map, i);
  return bytes;
}

//===----------------------------------------------------------------------===//
// Which role computes what
//===----------------------------------------------------------------------===//

static void addSlice(Value value, Slice &slice) {
  SmallVector<Value> worklist = {value};
  while (!worklist.empty())
    if (Operation *def = worklist.pop_back_val().getDefiningOp();
        def && slice.insert(def).second)
      worklist.append(def->operand_begin(), def->operand_end());
}

static int64_t countFlops(const Slice &slice) {
  int64_t sum = 0;
  for (Operation *op : slice)
    sum += cast<delta::ChunkRegionOpInterface>(op).getMatmulFlops();
  return sum;
}

namespace {
/// A role to be: some outs and all that leads to them.
struct OutGroup {
  SmallVector<unsigned> outs;
  Slice ops;
};
} // namespace

/// Divides the outs of `map` among two roles, so that the one with more to do
/// has as little as can be; what both need, both compute. One role, where an
/// out needs nearly all that the others do.
static SmallVector<OutGroup> groupOuts(delta::ChunkMapOp map) {
  ValueRange outs = map.getYield().getOuts();
  SmallVector<std::pair<int64_t, unsigned>> order;
  for (auto [i, out] : llvm::enumerate(outs)) {
    Slice slice;
    addSlice(out, slice);
    order.push_back({-countFlops(slice), i});
  }
  llvm::sort(order);
  SmallVector<OutGroup> groups(2);
  for (auto [flops, out] : order) {
    SmallVector<std::pair<int64_t, int64_t>, 2> costs;
    for (auto [i, group] : llvm::enumerate(groups)) {
      Slice with = group.ops;
      addSlice(outs[out], with);
      int64_t here = countFlops(with), there = countFlops(groups[1 - i].ops);
      costs.push_back({std::max(here, there), here + there});
    }
    // What is no more work in either goes where there is less.
    int64_t most = countFlops(groups[0].ops), least = countFlops(groups[1].ops);
    bool isIdle = costs[1] == costs[0] && 0 < least && least < most;
    OutGroup &group = groups[costs[1] < costs[0] || isIdle ? 1 : 0];
    group.outs.push_back(out);
    addSlice(outs[out], group.ops);
  }
  if (groups[1].outs.empty())
    groups.pop_back();
  return groups;
}

bool sched::visitsRuns(delta::ChunkMapOp map) {
  int64_t room = tile::getTarget(map).sharedBytes, bytes = countBytes(map);
  if (2 * bytes <= room || sumsRows(map) || !findFetchedIns(map).empty() ||
      findGainfulRounds(map))
    return false;
  SmallVector<OutGroup> groups = groupOuts(map);
  // Roles store at the same time.
  for (const OutGroup &group : groups)
    bytes += countStoredBytes(map, group.outs);
  return bytes <= room && groups.size() == 2;
}

//===----------------------------------------------------------------------===//
// The kernel
//===----------------------------------------------------------------------===//

/// Returns the number of the in whose tile `value` is, as it is or rounded to
/// what products read; nothing for what is computed.
static std::optional<unsigned> getIn(Value value) {
  if (auto rounded = value.getDefiningOp<arith::TruncFOp>())
    value = rounded.getIn();
  auto arg = dyn_cast<BlockArgument>(value);
  if (!arg || arg.getArgNumber() == 0)
    return std::nullopt;
  return arg.getArgNumber() - 1;
}

/// True for what is made where it is first read, so that no role waits for a
/// tile before it has a use for it.
static bool isRounding(Operation &op) {
  return isa<arith::TruncFOp>(op) && getIn(op.getResult(0));
}

namespace {
class MapWriter {
public:
  MapWriter(OpBuilder &builder, delta::ChunkMapOp map, KernelOp kernel)
      : builder(builder), map(map), kernel(kernel), loc(map.getLoc()) {}

  void write();

private:
  /// Orders the ins by when the chunk is done with them: a load waits for its
  /// place, and all that are behind it wait too.
  void orderIns(ArrayRef<OutGroup> groups);
  void addChannels(int64_t spare);
  RoleOp addRole(const OutGroup &group, StringRef name);
  RoleOp addLoadRole();
  /// Gets what `operand` is out of its channel, if that is where it comes from
  /// and the role that is being written does not have it yet.
  void bring(Value operand);

  OpBuilder &builder;
  delta::ChunkMapOp map;
  KernelOp kernel;
  Location loc;
  SmallVector<unsigned> ins;
  llvm::DenseMap<unsigned, Value> channels;
  IRMapping mapping; ///< of the role that is being written
};
} // namespace

void MapWriter::orderIns(ArrayRef<OutGroup> groups) {
  // An operation's place in its role, as a share of what the role does.
  llvm::DenseMap<unsigned, double> lastUse;
  for (const OutGroup &group : groups) {
    double place = 0;
    for (Operation &op : map.getBlock().without_terminator()) {
      if (!group.ops.contains(&op) || isRounding(op))
        continue;
      place += 1;
      for (Value operand : op.getOperands())
        if (std::optional<unsigned> in = getIn(operand))
          lastUse[*in] = std::max(lastUse[*in], place / group.ops.size());
    }
  }
  // A number a head has no place in a channel.
  for (unsigned i = 0; i < map.getIns().size(); ++i)
    if (lastUse.contains(i) && delta::getTileRank(map.getInArg(i)) > 0)
      ins.push_back(i);
  llvm::stable_sort(
      ins, [&](unsigned a, unsigned b) { return lastUse[a] < lastUse[b]; });
}

/// What is in use for longest has a second place, as long as there is `spare`
/// memory: its next tile would come last.
void MapWriter::addChannels(int64_t spare) {
  builder.setInsertionPointToEnd(&kernel.getBlock());
  llvm::SmallDenseSet<unsigned> twice;
  for (unsigned in : llvm::reverse(ins))
    if (int64_t bytes = countBytes(map, in); bytes <= spare) {
      spare -= bytes;
      twice.insert(in);
    }
  for (unsigned in : ins)
    channels[in] = ChannelOp::create(
        builder, loc,
        ChannelType::get(builder.getContext(),
                         {getLoadedType(kernel, kernel.getInArgs()[in])}),
        twice.contains(in) ? 2 : 1, Fill::tma);
}

void MapWriter::bring(Value operand) {
  std::optional<unsigned> in = getIn(operand);
  if (!in || mapping.contains(operand))
    return;
  BlockArgument arg = map.getInArg(*in);
  if (!mapping.contains(arg) && delta::getTileRank(arg) == 0) {
    BlockArgument source = kernel.getInArgs()[*in];
    mapping.map(arg,
                LoadOp::create(builder, loc, kernel.getTileType(source), source)
                    .getTile());
  } else if (!mapping.contains(arg)) {
    auto get = GetOp::create(builder, loc, arg.getType(), channels.lookup(*in));
    mapping.map(arg, get.getTiles()[0]);
  }
  if (Operation *rounding = operand.getDefiningOp())
    builder.clone(*rounding, mapping);
}

RoleOp MapWriter::addRole(const OutGroup &group, StringRef name) {
  RoleOp role = createRole(builder, kernel, name, /*warps=*/4);
  mapping.clear();
  EachChunkOp loop =
      createEachChunk(builder, loc, delta::Direction::forward, {});
  mapping.map(map.getValid(), loop.getValid());
  auto storeOutsOf = [&](Operation *op) {
    for (unsigned out : group.outs) {
      Value tile = map.getYield().getOuts()[out];
      if (tile.getDefiningOp() != op)
        continue;
      bring(tile);
      StoreOp::create(builder, loc, mapping.lookup(tile),
                      kernel.getOutArgs()[out], /*via=*/Value());
    }
  };
  for (Operation &op : map.getBlock().without_terminator()) {
    if (!group.ops.contains(&op) || isRounding(op))
      continue;
    for (Value operand : op.getOperands())
      bring(operand);
    builder.clone(op, mapping);
    storeOutsOf(&op);
  }
  // What comes in and goes out as it is.
  storeOutsOf(/*op=*/nullptr);
  YieldOp::create(builder, loc);
  return role;
}

RoleOp MapWriter::addLoadRole() {
  RoleOp role = createRole(builder, kernel, "load", /*warps=*/1);
  createEachChunk(builder, loc, delta::Direction::forward, {});
  for (unsigned in : ins) {
    BlockArgument arg = kernel.getInArgs()[in];
    Value tile = LoadOp::create(builder, loc, kernel.getTileType(arg), arg);
    PutOp::create(builder, loc, tile, channels.lookup(in));
  }
  YieldOp::create(builder, loc);
  return role;
}

/// Bytes of shared memory for what is not loaded: operands of products that
/// are computed, and what is stored.
static constexpr int64_t kComputedBytes = 64 * 1024;
/// Of these, what operands take beside what is stored.
static constexpr int64_t kOperandBytes = 16 * 1024;

/// Registers of two roles that compute and of the one that loads: 2 x 240 + 24
/// of the 512 that an SM has for one thread of each of its warpgroups.
static constexpr int64_t kComputeRegisters = 240, kLoadRegisters = 24;

void MapWriter::write() {
  SmallVector<OutGroup> groups = groupOuts(map);
  orderIns(groups);
  int64_t stored = kOperandBytes;
  for (const OutGroup &group : groups)
    stored += countStoredBytes(map, group.outs);
  addChannels(tile::getTarget(kernel).sharedBytes - countBytes(map) -
              std::max(kComputedBytes, stored));
  SmallVector<RoleOp> roles;
  for (auto [i, group] : llvm::enumerate(groups))
    roles.push_back(addRole(group, "compute" + (i ? std::to_string(i) : "")));
  RoleOp load = addLoadRole();
  for (RoleOp role : roles)
    role.setRegisters(kComputeRegisters);
  load.setRegisters(kLoadRegisters);
}

void sched::writeMapOfRuns(OpBuilder &builder, delta::ChunkMapOp map,
                           KernelOp kernel) {
  MapWriter(builder, map, kernel).write();
}
