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
  auto view = tile::SmemType::get(
      builder.getContext(), shape, type.getElementType(),
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

int64_t RoleLowering::sendParts(sched::PutOp put, ValueRange parts,
                                const Visit &visit) {
  auto channel = put.getChannel().getDefiningOp<sched::ChannelOp>();
  Value ring = context.rings.lookup(put.getChannel());
  auto blocks = static_cast<int64_t>(context.kernel.getSplit());
  int64_t bytes = 0;
  tile::BarrierOp::create(builder, loc, /*proxy=*/true, barrier);
  OpBuilder::InsertionGuard guard(builder);
  auto oneWarp = tile::OneWarpOp::create(builder, loc, /*warp=*/0);
  builder.createBlock(&oneWarp.getBody());
  for (int64_t distance = 1; distance < blocks; ++distance) {
    Value block = arith::RemUIOp::create(
        builder, loc,
        arith::AddIOp::create(builder, loc, context.location->splitPart,
                              index(distance)),
        index(blocks));
    for (auto [i, part] : llvm::enumerate(parts)) {
      // Another block needs no more of it than its readers take there.
      Value piece = part;
      if (context.orientation.getReadDim(channel, i) == 0)
        piece = createPiece(builder, loc, piece, /*dim=*/0, blocks, block);
      tile::SendOp::create(builder, loc, piece, block, ring, visit.use);
      ArrayRef<int64_t> shape =
          cast<tile::SmemType>(piece.getType()).getShape();
      bytes += shape[0] * shape[1] * 2;
    }
  }
  return bytes * static_cast<int64_t>(role.getSplit());
}

void RoleLowering::enterFirstBlock(sched::StoreOp store) {
  if (!context.kernel.getCluster() || context.orientation.isSplit(role) ||
      context.orientation.getDividedDim(store.getTile()))
    return;
  Value isFirst =
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                            context.location->splitPart, index(0));
  auto ifOp = scf::IfOp::create(builder, loc, isFirst, /*withElse=*/false);
  builder.setInsertionPointToStart(ifOp.thenBlock());
}
