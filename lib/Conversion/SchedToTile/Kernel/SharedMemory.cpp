//===- SharedMemory.cpp - Rings and staging tiles of a kernel -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelContext.h"

using namespace mlir;
using namespace mlir::wyvern;

/// Returns the shape of a channel's tile in one block: its part of the split
/// dimension, unless a role needs all of it, or of that which the roles that
/// read it are divided along. Of a sum of blocks it has the summands of all.
static SmallVector<int64_t> getBlockShape(const KernelContext &context,
                                          sched::ChannelOp channel,
                                          unsigned tile) {
  auto type =
      cast<RankedTensorType>(channel.getChannel().getType().getTiles()[tile]);
  SmallVector<int64_t> shape(type.getShape());
  if (auto dim = context.orientation.getSplitDim(channel, tile);
      dim && shape.size() == 2 && !context.orientation.isWhole(channel))
    shape[*dim] /= static_cast<int64_t>(context.kernel.getSplit());
  if (auto dim = context.orientation.getDividedDim(channel, tile))
    shape[*dim] /= static_cast<int64_t>(context.kernel.getSplit());
  if (context.orientation.sumsBlocks(channel))
    shape[0] *= static_cast<int64_t>(context.kernel.getSplit());
  return shape;
}

/// Adds the ring of `channel`: its stages between the warps of its roles.
static Value addRing(OpBuilder &builder, const KernelContext &context,
                     sched::ChannelOp channel) {
  SmallVector<Type> tiles;
  for (auto [i, held] :
       llvm::enumerate(channel.getChannel().getType().getTiles()))
    tiles.push_back(tile::SmemType::get(
        builder.getContext(), getBlockShape(context, channel, i),
        cast<RankedTensorType>(held).getElementType()));
  // Of copies, which take the chunks in turn, one uses a stage.
  auto countWarps = [](Operation *role) -> int64_t {
    return cast<sched::RoleOp>(role).getWarps() *
           cast<sched::RoleOp>(role).getSplit();
  };
  int64_t consumers = 0;
  for (Operation *reader : channel.getReaders())
    consumers += countWarps(reader);
  auto fill = channel.getFill() == sched::Fill::tma ? tile::Fill::tma
                                                    : tile::Fill::warps;
  return tile::AllocRingOp::create(
      builder, channel.getLoc(),
      tile::RingType::get(builder.getContext(), channel.getDepth(), tiles,
                          fill),
      countWarps(channel.getFiller()), consumers, /*offset=*/IntegerAttr(),
      /*barriers=*/IntegerAttr(),
      channel.getAcross() ? static_cast<int64_t>(context.kernel.getSplit())
                          : 1);
}

/// Zeroes the rows of the ring of `channel` that its loads leave alone.
static void clearStages(OpBuilder &builder, const KernelContext &context,
                        sched::ChannelOp channel) {
  if (channel.getFill() != sched::Fill::tma)
    return;
  Value ring = context.rings.lookup(channel.getChannel());
  ArrayRef<Type> tiles = cast<tile::RingType>(ring.getType()).getTiles();
  for (auto [i, loaded] : llvm::enumerate(findPut(channel).getTiles())) {
    auto tile = cast<tile::SmemType>(tiles[i]);
    auto source =
        cast<BlockArgument>(loaded.getDefiningOp<sched::LoadOp>().getSource());
    if (!tile.isSwizzled())
      continue;
    if (int64_t rows = getLoadedRows(context.kernel, source);
        rows < tile.getShape()[0])
      tile::ClearStagesOp::create(builder, channel.getLoc(), ring, i, rows);
  }
}

/// Adds the shared tile that out `i` leaves through: rows in memory by columns.
/// Vectors, states, and what leaves through a channel's tile or from registers
/// have none.
static Value addStaging(OpBuilder &builder, const KernelContext &context,
                        unsigned i) {
  sched::KernelOp kernel = context.kernel;
  BlockArgument arg = kernel.getOutArgs()[i];
  RankedTensorType type = tensorOf(kernel.getOuts()[i]);
  Value stored = findStore(arg).getTile();
  if (tensorOf(stored).getRank() != 2 || findStore(arg).getVia() ||
      findStore(arg).getDirect() || isState(type, kernel.getBinding(arg)))
    return {};
  SmallVector<int64_t> shape(tensorOf(stored).getShape());
  // Each warpgroup has its own part.
  auto role = findStore(arg)->getParentOfType<sched::RoleOp>();
  if (std::optional<int64_t> m = context.orientation.getM(stored)) {
    shape[*m] = tile::kAccRows * role.getSplit();
    // Where they share an SM's memory, columns go in pieces of as many rows.
    if (role.getSplit() > 1 && m == 1 && tile::isHalf(type.getElementType()))
      shape[0] = std::min(shape[0], tile::kAccRows);
  }
  auto smem =
      tile::SmemType::get(builder.getContext(), shape, type.getElementType());
  // Warpgroups of a role do not wait for each other, so two tiles with parts of
  // each could not share a place: its outs have one tile in turn.
  if (role.getSplit() > 1)
    for (unsigned other = 0; other < i; ++other) {
      BlockArgument before = kernel.getOutArgs()[other];
      Value tile = context.staging.lookup(before);
      if (tile && tile.getType() == smem &&
          findStore(before)->getParentOfType<sched::RoleOp>() == role)
        return tile;
    }
  return tile::AllocOp::create(builder, kernel.getLoc(), smem,
                               /*transient=*/true, IntegerAttr());
}

/// Adds the ring in which blocks hand each other their summands of out `i`;
/// nothing where they have none.
static void addExchange(OpBuilder &builder, KernelContext &context,
                        unsigned i) {
  sched::StoreOp store = findStore(context.kernel.getOutArgs()[i]);
  if (!context.orientation.isSummand(store.getTile()))
    return;
  auto blocks = static_cast<int64_t>(context.kernel.getSplit());
  auto role = store->getParentOfType<sched::RoleOp>();
  auto warps = static_cast<int64_t>(role.getWarps());
  auto depth = static_cast<int64_t>(role.getCopies()); // which take turns
  int64_t size = blocks * tensorOf(store.getTile()).getDimSize(0);
  auto parts =
      tile::SmemType::get(builder.getContext(), size, builder.getF32Type());
  context.exchanges[store] = tile::AllocRingOp::create(
      builder, store.getLoc(),
      tile::RingType::get(builder.getContext(), depth, Type(parts),
                          tile::Fill::warps),
      warps, warps, /*offset=*/IntegerAttr(), /*barriers=*/IntegerAttr(),
      blocks);
}

/// Adds the ring in which the blocks of a pair of heads hand each other half of
/// the columns of out `i`; nothing for an out of each head.
static void addPairExchange(OpBuilder &builder, KernelContext &context,
                            unsigned i) {
  BlockArgument out = context.kernel.getOutArgs()[i];
  if (!context.kernel.isPairSum(out))
    return;
  sched::StoreOp store = findStore(out);
  auto warps =
      static_cast<int64_t>(store->getParentOfType<sched::RoleOp>().getWarps());
  SmallVector<int64_t> shape(tensorOf(store.getTile()).getShape());
  int64_t blocks = context.kernel.getClusterBlocks();
  shape[1] /= blocks;
  auto half = tile::SmemType::get(
      builder.getContext(), shape,
      tensorOf(context.kernel.getOuts()[i]).getElementType());
  context.exchanges[store] = tile::AllocRingOp::create(
      builder, store.getLoc(),
      tile::RingType::get(builder.getContext(), /*depth=*/1, Type(half),
                          tile::Fill::warps),
      warps, warps, /*offset=*/IntegerAttr(), /*barriers=*/IntegerAttr(),
      blocks);
}

void wyvern::addSharedMemory(OpBuilder &builder, KernelContext &context) {
  for (sched::ChannelOp channel : context.kernel.getChannels())
    context.rings[channel.getChannel()] = addRing(builder, context, channel);
  for (sched::ChannelOp channel : context.kernel.getChannels())
    clearStages(builder, context, channel);
  for (unsigned i = 0; i < context.kernel.getOuts().size(); ++i)
    addExchange(builder, context, i);
  for (unsigned i = 0; i < context.kernel.getOuts().size(); ++i)
    addPairExchange(builder, context, i);
  for (unsigned i = 0; i < context.kernel.getOuts().size(); ++i)
    context.staging[context.kernel.getOutArgs()[i]] =
        addStaging(builder, context, i);
}
