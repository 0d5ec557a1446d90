//===- Channels.cpp - What a role gets out of and puts into channels ----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RoleLowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::wyvern;

static ArrayRef<Type> getStageTiles(Value ring) {
  return cast<tile::RingType>(ring.getType()).getTiles();
}

//===----------------------------------------------------------------------===//
// Out of a channel
//===----------------------------------------------------------------------===//

namespace {
/// A tile out of a get, by number, and the in that it is loaded from.
struct Timed {
  unsigned number;
  BlockArgument source;
};
} // namespace

/// Returns the tiles out of `get` that a partial chunk brings rows of others
/// in. What has a slot a chunk is all the chunk's; vectors and f32 are filled
/// with zeros as they are loaded.
static SmallVector<Timed> findTimed(sched::GetOp get) {
  auto channel = get.getChannel().getDefiningOp<sched::ChannelOp>();
  SmallVector<Timed> timed;
  if (channel.getFill() != sched::Fill::tma)
    return timed;
  for (auto [i, loaded] : llvm::enumerate(findPut(channel).getTiles())) {
    auto source =
        cast<BlockArgument>(loaded.getDefiningOp<sched::LoadOp>().getSource());
    auto kernel = get->getParentOfType<sched::KernelOp>();
    delta::BindingAttr binding = kernel.getBinding(source);
    auto held =
        cast<RankedTensorType>(channel.getChannel().getType().getTiles()[i]);
    if (held.getRank() == 2 && tile::isHalf(held.getElementType()) &&
        binding.has(delta::DimKind::time) && !get.getTiles()[i].use_empty())
      timed.push_back({static_cast<unsigned>(i), source});
  }
  return timed;
}

/// True if every chunk brings rows of others in tiles out of `get`: these have
/// more rows than a chunk, and loads fill them all.
static bool isOverfilled(sched::GetOp get) {
  auto kernel = get->getParentOfType<sched::KernelOp>();
  int64_t chunk = kernel.getChunk();
  return llvm::any_of(findTimed(get), [&](const Timed &timed) {
    return getLoadedRows(kernel, timed.source) >
           chunk * kernel.getBinding(timed.source).getTimeMultiple();
  });
}

bool RoleLowering::zeroesAtOnce() {
  constexpr int64_t kFew = 2;
  auto gets = role.getEachChunk().getBlock().getOps<sched::GetOp>();
  // What every chunk needs zeros in is waited for where it is read.
  return takesInPlace() && llvm::none_of(gets, isOverfilled) &&
         llvm::count_if(gets, [](sched::GetOp get) {
           return !findTimed(get).empty();
         }) > kFew;
}

/// Overwrites what a partial chunk brought from behind its sequence's end, and
/// every chunk from behind its own where tiles have more rows than it. Other
/// readers of the tiles do the same, with the same zeros.
void RoleLowering::zeroTails(
    const Visit &visit,
    ArrayRef<std::pair<sched::GetOp, SmallVector<Value>>> gets) {
  if (llvm::all_of(
          gets, [](const auto &get) { return findTimed(get.first).empty(); }))
    return;
  OpBuilder::InsertionGuard guard(builder);
  if (llvm::none_of(gets,
                    [](const auto &get) { return isOverfilled(get.first); })) {
    Value partial = arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::ult, visit.chunk.valid,
        index(context.kernel.getChunk()));
    auto ifOp = scf::IfOp::create(builder, loc, partial, /*withElse=*/false);
    builder.setInsertionPointToStart(ifOp.thenBlock());
  }
  for (auto [get, tiles] : gets) {
    auto timed = findTimed(get);
    // What is taken later in the chunk is waited for here too.
    if (!timed.empty() && tiles.empty())
      tiles = waitForTiles(get, visit);
    for (auto [i, source] : timed)
      tile::ZeroRowsOp::create(builder, loc, tiles[i],
                               validRows(source, visit.chunk));
  }
  tile::BarrierOp::create(builder, loc, /*proxy=*/true, barrier);
}

SmallVector<Value> RoleLowering::waitForTiles(sched::GetOp get,
                                              const Visit &visit) {
  auto channel = get.getChannel().getDefiningOp<sched::ChannelOp>();
  Value ring = context.rings.lookup(get.getChannel());
  auto full =
      tile::WaitOp::create(builder, loc, getStageTiles(ring), ring, visit.use);
  SmallVector<Value> parts;
  bool isSplit = context.orientation.isSplit(role);
  for (auto [i, shared] : llvm::enumerate(full.getTiles())) {
    Value own = getDividedPart(get, i, shared);
    if (isSplit)
      own = getPart(own, context.orientation.getSplitDim(channel, i),
                    context.orientation.isWhole(channel));
    parts.push_back(own);
  }
  return parts;
}

void RoleLowering::lowerGet(sched::GetOp get, RegionLowering &lowering,
                            const Visit &visit) {
  if (sched::PutOp put = findLatePut(get); put && !put.getEarly())
    lowerLatePut(get, put, lowering);
  if (sched::PutOp next = findEarlyPut(get))
    lowerEarlyPut(get, next, lowering, visit);
  SmallVector<Value> tiles = waitForTiles(get, visit);
  if (!zeroesAtOnce())
    zeroTails(visit, {{get, tiles}});
  if (context.orientation.sumsBlocks(
          get.getChannel().getDefiningOp<sched::ChannelOp>())) {
    for (auto [tile, shared] : llvm::zip_equal(get.getTiles(), tiles))
      lowering.setRegister(tile, addSummands(tensorOf(tile), shared));
    return;
  }
  for (auto [tile, shared] : llvm::zip_equal(get.getTiles(), tiles))
    lowering.setShared(tile, shared);
}

void RoleLowering::lowerRelease(sched::GetOp get, RegionLowering &lowering,
                                const Visit &visit) {
  Value ring = context.rings.lookup(get.getChannel());
  // Vectors and f32 are written by the load role's own warps, through the same
  // proxy. Rows that leave through a tile are fenced as they are written there;
  // then it is only read.
  bool isCopiedTo =
      cast<tile::RingType>(ring.getType()).getFill() == tile::Fill::tma ||
      get.getChannel().getDefiningOp<sched::ChannelOp>().getAcross();
  bool isFenced =
      isCopiedTo && llvm::any_of(get.getTiles(), [&](Value tile) {
        Value shared = lowering.getSharedTile(tile);
        return shared && cast<tile::SmemType>(shared.getType()).isSwizzled() &&
               llvm::any_of(shared.getUsers(),
                            llvm::IsaPred<tile::ReadOp, tile::DotOp>) &&
               llvm::none_of(shared.getUsers(),
                             llvm::IsaPred<tile::StoreRowsOp>);
      });
  // Summands are read by threads too, and written by copies of other blocks.
  isFenced |= context.orientation.sumsBlocks(
      get.getChannel().getDefiningOp<sched::ChannelOp>());
  tile::ReleaseOp::create(builder, loc, ring, visit.use, isFenced);
}

//===----------------------------------------------------------------------===//
// Into a channel
//===----------------------------------------------------------------------===//

/// Issues the loads of a channel that TMA fills: matrices of 16 bits by bulk
/// copies, vectors and f32 by the role's own warps.
void RoleLowering::fillByTMA(sched::PutOp put, const Visit &visit) {
  Value ring = context.rings.lookup(put.getChannel());
  int64_t bytes = 0;
  auto channel = put.getChannel().getDefiningOp<sched::ChannelOp>();
  for (auto [i, value, tile] :
       llvm::enumerate(put.getTiles(), acquire(ring, visit))) {
    auto source =
        cast<BlockArgument>(value.getDefiningOp<sched::LoadOp>().getSource());
    auto smem = cast<tile::SmemType>(tile.getType());
    int64_t dim = tensorDim(context.kernel.getBinding(source), 0);
    Value argument = context.arguments.lookup(source);
    std::optional<int64_t> partDim;
    Value partStart = splitStart;
    if (auto divided = context.orientation.getDividedDim(channel, i)) {
      partDim = divided;
      partStart = getDividedStart(smem.getShape()[*divided]);
    } else if (!context.orientation.isWhole(channel)) {
      partDim = context.orientation.getSplitDim(value);
    }
    SmallVector<Value> at = context.location->getCoordinates(
        builder, context.kernel.getBinding(source), getTensor(source),
        visit.chunk, partDim, partStart);
    if (smem.isSwizzled()) {
      tile::LoadOp::create(builder, loc, argument, at, tile, ring, visit.use);
      bytes +=
          smem.getSizeInBytes() / smem.getShape()[0] *
          std::min(smem.getShape()[0], getLoadedRows(context.kernel, source));
    } else if (tensorOf(value).getRank() == 2) {
      tile::LoadRowsOp::create(builder, loc, argument, at, dim,
                               validRows(source, visit.chunk), tile, ring,
                               visit.use);
    } else {
      tile::LoadVectorOp::create(builder, loc, argument, at, dim,
                                 validRows(source, visit.chunk), tile, ring,
                                 visit.use);
    }
  }
  bool isPart =
      bytes < cast<tile::RingType>(ring.getType()).getTransactionBytes();
  tile::CommitOp::create(builder, loc, ring, visit.use,
                         isPart ? builder.getI64IntegerAttr(bytes)
                                : IntegerAttr());
}

LogicalResult RoleLowering::lowerPut(sched::PutOp put, RegionLowering &lowering,
                                     const Visit &visit) {
  auto channel = put.getChannel().getDefiningOp<sched::ChannelOp>();
  if (channel.getFill() == sched::Fill::tma) {
    fillByTMA(put, visit);
    return success();
  }
  return fillByWarps(put, lowering, visit);
}

void RoleLowering::acquireFor(delta::EraseFactorOp op, RegionLowering &lowering,
                              const Visit &visit) {
  for (Operation *user : op.getZ().getUsers()) {
    auto put = dyn_cast<sched::PutOp>(user);
    if (!put)
      continue;
    Value ring = context.rings.lookup(put.getChannel());
    auto position = llvm::find(put.getTiles(), op.getZ()).getIndex();
    auto held = cast<tile::SmemType>(getStageTiles(ring)[position]);
    if (held.getElementType() != op.getTo())
      continue;
    SmallVector<Value> &stage = begun[put];
    if (stage.empty())
      llvm::append_range(stage, acquire(ring, visit));
    return lowering.setShared(op.getZ(), stage[position]);
  }
}

void RoleLowering::acquireForSums(Operation *sum, const Visit &visit) {
  for (auto put : sum->getBlock()->getOps<sched::PutOp>()) {
    if (!sum->isBeforeInBlock(put))
      continue;
    SmallVector<Value> &stage = begun[put];
    if (stage.empty())
      llvm::append_range(
          stage, acquire(context.rings.lookup(put.getChannel()), visit));
    return;
  }
}

/// True for a factor that was made in `tile`.
static bool isMadeIn(Value tile, Value value, const RegionLowering &lowering) {
  Value made = lowering.getSharedTile(value);
  auto join = made ? made.getDefiningOp<tile::EraseJoinOp>() : nullptr;
  return join &&
         join.getZ().getDefiningOp<tile::EraseStripsOp>().getZ() == tile;
}

SmallVector<Value> RoleLowering::acquire(Value ring, const Visit &visit) {
  auto acquired = tile::AcquireOp::create(builder, loc, getStageTiles(ring),
                                          ring, visit.use);
  return llvm::to_vector_of<Value>(acquired.getTiles());
}

/// Returns what `value` is rounded to, as `tile` holds it, where products of
/// the role read that from shared memory; null where none does.
static Value findStagedAs(Value value, Value tile,
                          const RegionLowering &lowering) {
  Type element = cast<tile::SmemType>(tile.getType()).getElementType();
  for (Operation *user : value.getUsers())
    if (auto rounded = dyn_cast<arith::TruncFOp>(user);
        rounded && getElementTypeOrSelf(rounded.getType()) == element &&
        lowering.isStaged(rounded))
      return rounded;
  return {};
}

/// Writes the tiles of `value` to their place in a stage. Where products of
/// this role read them too, it is from there: its warps meet before, when the
/// last chunk's have been read, and behind.
Value RoleLowering::writeIntoStage(Value value, ArrayRef<Value> tiles,
                                   Value shared, bool isWhole,
                                   RegionLowering &lowering) {
  bool isMatrix = tensorOf(value).getRank() == 2;
  std::optional<int64_t> m = context.orientation.getM(value);
  if (isMatrix && context.orientation.isSplit(role))
    shared = getPart(shared, m, isWhole);
  Value staged = findStagedAs(value, shared, lowering);
  for (auto [block, tile] : llvm::enumerate(tiles))
    tile::WriteOp::create(builder, loc, tile, shared,
                          /*transpose=*/isMatrix && m == 1, block,
                          staged ? builder.getI64IntegerAttr(barrier)
                                 : IntegerAttr());
  if (staged)
    lowering.setShared(staged, shared);
  return shared;
}

/// Writes computed tiles into a channel, rounded to what it holds. They are
/// made before the stage is waited for, but for those that are made in it.
LogicalResult RoleLowering::fillByWarps(sched::PutOp put,
                                        RegionLowering &lowering,
                                        const Visit &visit) {
  Value ring = context.rings.lookup(put.getChannel());
  SmallVector<Value> stage = begun.lookup(put);
  SmallVector<RegionLowering::Tiles> made(put.getTiles().size());
  for (auto [i, value] : llvm::enumerate(put.getTiles())) {
    if (!stage.empty() && isMadeIn(stage[i], value, lowering))
      continue;
    made[i] = lowering.getTiles(value, put);
    if (made[i].empty())
      return failure();
    Type element =
        cast<tile::SmemType>(getStageTiles(ring)[i]).getElementType();
    for (Value &tile : made[i]) {
      RankedTensorType from = tensorOf(tile);
      auto to =
          RankedTensorType::get(from.getShape(), element, from.getEncoding());
      if (to != from)
        tile = arith::TruncFOp::create(builder, loc, to, tile);
    }
  }
  if (stage.empty())
    stage = acquire(ring, visit);
  else if (llvm::any_of(made, [](const auto &tiles) { return !tiles.empty(); }))
    // What was in the place meanwhile has been read.
    tile::BarrierOp::create(builder, loc, /*proxy=*/false, barrier);
  auto channel = put.getChannel().getDefiningOp<sched::ChannelOp>();
  bool isAcross = channel.getAcross();
  SmallVector<Value> parts;
  for (auto [value, tiles, shared] :
       llvm::zip_equal(put.getTiles(), made, stage)) {
    Value own = context.orientation.sumsBlocks(channel)
                    ? getSummand(shared, context.location->splitPart)
                    : shared;
    parts.push_back(writeIntoStage(value, tiles, own, isAcross, lowering));
  }
  IntegerAttr bytes;
  if (isAcross) {
    int64_t sent = sendParts(put, parts, visit);
    // In turn the others send nothing of this chunk.
    bytes = builder.getI64IntegerAttr(role.getInTurn() ? 0 : sent);
  }
  tile::CommitOp::create(builder, loc, ring, visit.use, bytes);
  return success();
}
