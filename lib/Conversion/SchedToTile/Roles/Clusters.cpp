//===- Clusters.cpp - What a role does in one block of a cluster --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RoleLowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::wyvern;

/// Returns piece `number` of `parts` equal ones along dimension `dim` of a
/// shared tile.
static Value createPiece(OpBuilder &builder, Location loc, Value tile,
                         int64_t dim, int64_t parts, Value number) {
  auto type = cast<tile::SmemType>(tile.getType());
  SmallVector<int64_t> shape(type.getShape());
  shape[dim] /= parts;
  bool isOfRows = dim == 0 && type.isSwizzled();
  auto view =
      tile::SmemType::get(builder.getContext(), shape, type.getElementType(),
                          isOfRows ? type.getBlockRows() : type.getWholeRows());
  return tile::SubviewOp::create(builder, loc, view, tile, number);
}

Value RoleLowering::getDividedPart(sched::GetOp get, unsigned number,
                                   Value shared) {
  std::optional<int64_t> dim =
      context.orientation.getDividedDim(get.getTiles()[number]);
  auto channel = get.getChannel().getDefiningOp<sched::ChannelOp>();
  if (!dim || context.orientation.getDividedDim(channel, number))
    return shared;
  return createPiece(builder, loc, shared, *dim, context.kernel.getSplit(),
                     context.location->splitPart);
}

Value RoleLowering::getDividedStart(int64_t size) {
  return arith::MulIOp::create(builder, loc, context.location->splitPart,
                               index(size));
}

/// The bytes of a piece of a shared tile.
static int64_t countBytes(Value piece) {
  return cast<tile::SmemType>(piece.getType()).getSizeInBytes();
}

Value RoleLowering::isTurn(const Visit &visit) {
  // Copies of the role take chunks that lie side by side, blocks those that
  // one copy visits one behind the other.
  Value round =
      arith::DivUIOp::create(builder, loc, visit.use, index(role.getCopies()));
  Value block = arith::RemUIOp::create(builder, loc, round,
                                       index(context.kernel.getSplit()));
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, block,
                               getPlaceInCluster());
}

void RoleLowering::passTurn(sched::EachChunkOp loop, const Visit &visit) {
  for (Operation &op : loop.getBlock()) {
    if (auto get = dyn_cast<sched::GetOp>(op)) {
      Value ring = context.rings.lookup(get.getChannel());
      tile::WaitOp::create(builder, loc,
                           cast<tile::RingType>(ring.getType()).getTiles(),
                           ring, visit.use);
      tile::ReleaseOp::create(builder, loc, ring, visit.use, /*fenced=*/false);
    } else if (auto put = dyn_cast<sched::PutOp>(op)) {
      Value ring = context.rings.lookup(put.getChannel());
      int64_t bytes = 0;
      for (Value tile : acquire(ring, visit))
        bytes += countBytes(tile);
      tile::CommitOp::create(builder, loc, ring, visit.use,
                             builder.getI64IntegerAttr(bytes));
    }
  }
}

void RoleLowering::forOtherBlocks(function_ref<void(Value)> send) {
  auto blocks = static_cast<int64_t>(context.kernel.getSplit());
  tile::BarrierOp::create(builder, loc, /*proxy=*/true, barrier);
  OpBuilder::InsertionGuard guard(builder);
  auto oneWarp = tile::OneWarpOp::create(builder, loc, /*warp=*/0);
  builder.createBlock(&oneWarp.getBody());
  for (int64_t distance = 1; distance < blocks; ++distance)
    send(arith::RemUIOp::create(
        builder, loc,
        arith::AddIOp::create(builder, loc, context.location->splitPart,
                              index(distance)),
        index(blocks)));
}

/// Calls `take` with each piece of a shared tile that lies side by side: the
/// columns of a swizzle.
static void forSwizzles(OpBuilder &builder, Location loc, Value tile,
                        function_ref<void(Value)> take) {
  auto type = cast<tile::SmemType>(tile.getType());
  int64_t pieces =
      type.isSwizzled() ? type.getShape()[1] / tile::kBlockColumns : 1;
  if (pieces == 1)
    return take(tile);
  for (int64_t piece = 0; piece < pieces; ++piece)
    take(createPiece(builder, loc, tile, /*dim=*/1, pieces,
                     createIndex(builder, loc, piece)));
}

int64_t RoleLowering::sendParts(sched::PutOp put, ValueRange parts,
                                const Visit &visit) {
  auto channel = put.getChannel().getDefiningOp<sched::ChannelOp>();
  Value ring = context.rings.lookup(put.getChannel());
  auto blocks = static_cast<int64_t>(context.kernel.getSplit());
  int64_t bytes = 0;
  forOtherBlocks([&](Value block) {
    for (auto [i, part] : llvm::enumerate(parts)) {
      // Another block needs no more of it than its readers take there.
      Value piece = part;
      if (context.orientation.getReadDim(channel, i) == 0)
        piece = createPiece(builder, loc, piece, /*dim=*/0, blocks, block);
      forSwizzles(builder, loc, piece, [&](Value columns) {
        tile::SendOp::create(builder, loc, columns, block, ring, visit.use);
      });
      bytes += countBytes(piece);
    }
  });
  return bytes * static_cast<int64_t>(role.getSplit());
}

Value RoleLowering::getSummand(Value all, Value block) {
  return createPiece(builder, loc, all, /*dim=*/0,
                     static_cast<int64_t>(context.kernel.getSplit()), block);
}

Value RoleLowering::addSummands(RankedTensorType type, Value all) {
  auto held = RankedTensorType::get(
      type.getShape(), type.getElementType(),
      tile::LayoutAttr::get(builder.getContext(), tile::LayoutKind::warp));
  Value sum;
  auto blocks = static_cast<int64_t>(context.kernel.getSplit());
  for (int64_t block = 0; block < blocks; ++block) {
    Value part =
        tile::ReadOp::create(builder, loc, held, getSummand(all, index(block)),
                             /*transpose=*/false, /*block=*/0);
    sum =
        sum ? arith::AddFOp::create(builder, loc, sum, part).getResult() : part;
  }
  return sum;
}

Value RoleLowering::sumOverBlocks(sched::StoreOp store, Value summand,
                                  const Visit &visit) {
  Value ring = context.exchanges.lookup(store);
  auto blocks = static_cast<int64_t>(context.kernel.getSplit());
  Value own =
      getSummand(acquire(ring, visit).front(), context.location->splitPart);
  tile::WriteOp::create(builder, loc, summand, own, /*transpose=*/false,
                        /*block=*/0, /*barrier_id=*/IntegerAttr());
  forOtherBlocks([&](Value block) {
    tile::SendOp::create(builder, loc, own, block, ring, visit.use);
  });
  tile::CommitOp::create(
      builder, loc, ring, visit.use,
      builder.getI64IntegerAttr((blocks - 1) * countBytes(own)));
  auto full = tile::WaitOp::create(
      builder, loc, cast<tile::RingType>(ring.getType()).getTiles(), ring,
      visit.use);
  Value sum = addSummands(tensorOf(summand), full.getTiles().front());
  // Read by its threads, and written by copies.
  tile::ReleaseOp::create(builder, loc, ring, visit.use, /*fenced=*/true);
  return sum;
}

Value RoleLowering::getPlaceInCluster() {
  // By the block's number, which need not be held as its head would.
  return arith::RemUIOp::create(builder, loc,
                                tile::BlockIdOp::create(builder, loc),
                                index(context.kernel.getClusterBlocks()));
}

Value RoleLowering::sumOverPair(sched::StoreOp store, Value tile,
                                const Visit &visit) {
  Value ring = context.exchanges.lookup(store);
  Value own = getPlaceInCluster();
  Value other = arith::SubIOp::create(builder, loc, index(1), own);
  Value place = acquire(ring, visit).front();
  tile::SendColumnsOp::create(builder, loc, tile, other, other, place, ring,
                              visit.use);
  tile::CommitOp::create(builder, loc, ring, visit.use,
                         builder.getI64IntegerAttr(countBytes(place)));
  auto full = tile::WaitOp::create(
      builder, loc, cast<tile::RingType>(ring.getType()).getTiles(), ring,
      visit.use);
  RankedTensorType type = tensorOf(tile);
  SmallVector<int64_t> shape(type.getShape());
  shape[1] /= context.kernel.getClusterBlocks();
  Value sum = tile::AddColumnsOp::create(
      builder, loc,
      RankedTensorType::get(shape, type.getElementType(), type.getEncoding()),
      tile, own, full.getTiles().front());
  tile::ReleaseOp::create(builder, loc, ring, visit.use, /*fenced=*/true);
  return sum;
}

void RoleLowering::enterFirstBlock(sched::StoreOp store) {
  if (!context.kernel.getCluster() || role.getInTurn() ||
      context.orientation.isSplit(role) ||
      context.orientation.getDividedDim(store.getTile()))
    return;
  Value isFirst = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                        context.location->splitPart, index(0));
  auto ifOp = scf::IfOp::create(builder, loc, isFirst, /*withElse=*/false);
  builder.setInsertionPointToStart(ifOp.thenBlock());
}
