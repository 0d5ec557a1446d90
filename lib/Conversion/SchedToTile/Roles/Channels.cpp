//===- Channels.cpp - What a role gets out of and puts into channels ----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RoleLowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace mlir::wyvern;

static ArrayRef<Type> getStageTiles(Value ring) {
  return cast<tile::RingType>(ring.getType()).getTiles();
}

//===----------------------------------------------------------------------===//
// Out of a channel
//===----------------------------------------------------------------------===//

/// Overwrites what a partial chunk brought from behind its sequence's end. What
/// has a slot a chunk is all the chunk's. Other readers of the tiles do the
/// same, with the same zeros.
void RoleLowering::zeroTail(sched::GetOp get, ValueRange tiles,
                            const Visit &visit) {
  auto channel = get.getChannel().getDefiningOp<sched::ChannelOp>();
  SmallVector<std::pair<Value, delta::BindingAttr>> timed;
  for (auto [tile, loaded, got] :
       llvm::zip_equal(tiles, findPut(channel).getTiles(), get.getTiles())) {
    auto source =
        cast<BlockArgument>(loaded.getDefiningOp<sched::LoadOp>().getSource());
    delta::BindingAttr binding = context.kernel.getBinding(source);
    if (cast<tile::SmemType>(tile.getType()).isSwizzled() &&
        binding.has(delta::DimKind::time) && !got.use_empty())
      timed.push_back({tile, binding});
  }
  if (timed.empty())
    return;
  Value partial = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult,
                                        visit.chunk.valid,
                                        index(context.kernel.getChunk()));
  auto ifOp = scf::IfOp::create(builder, loc, partial, /*withElse=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  for (auto [tile, binding] : timed)
    tile::ZeroRowsOp::create(builder, loc, tile,
                             rows(visit.chunk.valid, binding));
  tile::BarrierOp::create(builder, loc, /*proxy=*/true, barrier);
}

void RoleLowering::lowerGet(sched::GetOp get, RegionLowering &lowering,
                            const Visit &visit) {
  auto channel = get.getChannel().getDefiningOp<sched::ChannelOp>();
  Value ring = context.rings.lookup(get.getChannel());
  auto full =
      tile::WaitOp::create(builder, loc, getStageTiles(ring), ring, visit.use);
  SmallVector<Value> parts;
  for (auto [i, shared] : llvm::enumerate(full.getTiles()))
    parts.push_back(
        getPart(shared, context.orientation.getSplitDim(channel, i)));
  if (channel.getFill() == sched::Fill::tma)
    zeroTail(get, parts, visit);
  for (auto [tile, shared] : llvm::zip_equal(get.getTiles(), parts))
    lowering.setShared(tile, shared);
}

void RoleLowering::announceGet(sched::GetOp get, RegionLowering &lowering,
                               const Visit &visit) {
  Block *block = builder.getInsertionBlock();
  Block::iterator end = builder.getInsertionPoint();
  Operation *before = end == block->begin() ? nullptr : &*std::prev(end);
  lowerGet(get, lowering, visit);
  Block::iterator first =
      before ? std::next(before->getIterator()) : block->begin();
  SmallVector<Operation *> &ops = announced[get];
  ops.clear();
  for (Operation &op : llvm::make_range(first, end))
    ops.push_back(&op);
}

void RoleLowering::placeGet(sched::GetOp get) {
  for (Operation *op : announced.lookup(get))
    op->moveBefore(builder.getInsertionBlock(), builder.getInsertionPoint());
}

void RoleLowering::lowerRelease(sched::GetOp get, RegionLowering &lowering,
                                const Visit &visit) {
  Value ring = context.rings.lookup(get.getChannel());
  // Vectors and f32 are written by the load role's own warps, through the same
  // proxy.
  bool isFenced =
      cast<tile::RingType>(ring.getType()).getFill() == tile::Fill::tma &&
      llvm::any_of(get.getTiles(), [&](Value tile) {
        Value shared = lowering.getSharedTile(tile);
        return cast<tile::SmemType>(shared.getType()).isSwizzled() &&
               llvm::any_of(shared.getUsers(),
                            llvm::IsaPred<tile::ReadOp, tile::StoreRowsOp>);
      });
  tile::ReleaseOp::create(builder, loc, ring, visit.use, isFenced);
}

//===----------------------------------------------------------------------===//
// Into a channel
//===----------------------------------------------------------------------===//

/// Issues the loads of a channel that TMA fills: matrices of 16 bits by bulk
/// copies, vectors and f32 by the role's own warps.
void RoleLowering::fillByTMA(sched::PutOp put, const Visit &visit) {
  Value ring = context.rings.lookup(put.getChannel());
  for (auto [value, tile] :
       llvm::zip_equal(put.getTiles(), acquire(ring, visit))) {
    auto source =
        cast<BlockArgument>(value.getDefiningOp<sched::LoadOp>().getSource());
    int64_t dim = tensorDim(context.kernel.getBinding(source), 0);
    Value argument = context.arguments.lookup(source);
    SmallVector<Value> at = getCoordinates(
        source, visit.chunk, context.orientation.getSplitDim(value));
    if (cast<tile::SmemType>(tile.getType()).isSwizzled())
      tile::LoadOp::create(builder, loc, argument, at, tile, ring, visit.use);
    else if (tensorOf(value).getRank() == 2)
      tile::LoadRowsOp::create(builder, loc, argument, at, dim,
                               validRows(source, visit.chunk), tile, ring,
                               visit.use);
    else
      tile::LoadVectorOp::create(builder, loc, argument, at, dim,
                                 validRows(source, visit.chunk), tile, ring,
                                 visit.use);
  }
  tile::CommitOp::create(builder, loc, ring, visit.use);
}

/// Returns the puts of the roles within `role`.
static SmallVector<sched::PutOp> getGuestPuts(sched::KernelOp kernel,
                                              sched::RoleOp role) {
  SmallVector<sched::PutOp> puts;
  for (sched::RoleOp guest : kernel.getRoles())
    if (guest.getWithin() == role.getRoleName())
      llvm::append_range(
          puts, guest.getEachChunk().getBlock().getOps<sched::PutOp>());
  return puts;
}

/// A warp a channel, of several groups of the first one: loads are a few
/// hundred cycles of one warp, and the role goes on when all are under way.
void RoleLowering::lowerGuestPut(sched::PutOp put, int64_t warp,
                                 sched::EachChunkOp loop, Value use) {
  OpBuilder::InsertionGuard guard(builder);
  Value exists = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult,
                                       use, context.location->count);
  if (part) {
    Value isFirst = arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::eq, part, index(0));
    exists = arith::AndIOp::create(builder, loc, exists, isFirst);
  }
  auto ifOp = scf::IfOp::create(builder, loc, exists, /*withElse=*/false);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  auto oneWarp =
      tile::OneWarpOp::create(builder, loc, warp % tile::kWarpgroupWarps);
  builder.createBlock(&oneWarp.getBody());
  fillByTMA(put, getVisit(loop, use));
}

void RoleLowering::beginGuests(sched::EachChunkOp loop) {
  for (auto [warp, put] : llvm::enumerate(getGuestPuts(context.kernel, role)))
    for (uint64_t use = 0; use < put.getAhead(); ++use)
      lowerGuestPut(put, warp, loop, index(use));
}

void RoleLowering::lowerGuests(sched::EachChunkOp loop, Value use) {
  for (auto [warp, put] : llvm::enumerate(getGuestPuts(context.kernel, role))) {
    Value later = use;
    if (put.getAhead())
      later = arith::AddIOp::create(builder, loc, use, index(put.getAhead()));
    lowerGuestPut(put, warp, loop, later);
  }
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
  for (auto [value, tiles, shared] :
       llvm::zip_equal(put.getTiles(), made, stage))
    for (auto [block, tile] : llvm::enumerate(tiles))
      tile::WriteOp::create(builder, loc, tile, shared,
                            /*transpose=*/tensorOf(value).getRank() == 2 &&
                                context.orientation.getM(value) == 1,
                            block, IntegerAttr());
  tile::CommitOp::create(builder, loc, ring, visit.use);
  return success();
}
