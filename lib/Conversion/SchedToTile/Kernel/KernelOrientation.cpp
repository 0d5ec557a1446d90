//===- KernelOrientation.cpp - Which dimension of a value is M ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelOrientation.h"

#include "wyvern/Dialect/Delta/Analysis/SplitDim.h"
#include "wyvern/Dialect/Sched/Analysis/DividedWork.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

bool wyvern::isSplat(Value value) {
  Operation *op = value.getDefiningOp();
  if (auto fill = dyn_cast_or_null<linalg::FillOp>(op))
    return matchPattern(fill.getInputs().front(), m_Constant());
  return isa_and_nonnull<arith::ConstantOp, tensor::EmptyOp>(op);
}

TypedAttr wyvern::getSplatValue(Value value) {
  if (auto fill = value.getDefiningOp<linalg::FillOp>())
    value = fill.getInputs().front();
  auto constant = value.getDefiningOp<arith::ConstantOp>();
  if (!constant)
    return {};
  if (auto splat = dyn_cast<SplatElementsAttr>(constant.getValue()))
    return splat.getSplatValue<TypedAttr>();
  return dyn_cast<FloatAttr>(constant.getValue());
}

//===----------------------------------------------------------------------===//
// The tiles of a kernel
//===----------------------------------------------------------------------===//

void wyvern::addRole(delta::DimClasses &classes, sched::RoleOp role) {
  sched::EachChunkOp loop = role.getEachChunk();
  classes.addBlock(role.getBlock());
  classes.addBlock(loop.getBlock());
  for (auto [init, arg, next, final] :
       llvm::zip_equal(loop.getInits(), loop.getCarryArgs(),
                       loop.getYield().getCarries(), loop.getFinals()))
    for (Value other : {Value(init), Value(next), Value(final)})
      classes.join(arg, other);
}

/// Joins what is put with what every reader gets. All are joined with the first
/// that is got: what is put may be uniform, and then joins nothing.
void KernelOrientation::addChannel(sched::ChannelOp channel) {
  ValueRange first;
  for (Operation *user : channel->getUsers())
    if (isa<sched::GetOp>(user))
      first = user->getResults();
  for (Operation *user : channel->getUsers()) {
    auto put = dyn_cast<sched::PutOp>(user);
    ValueRange tiles =
        put ? ValueRange(put.getTiles()) : ValueRange(user->getResults());
    for (auto [a, b] : llvm::zip(first, tiles))
      classes.join(a, b);
  }
}

//===----------------------------------------------------------------------===//
// The split dimension
//===----------------------------------------------------------------------===//

LogicalResult KernelOrientation::findSplit(sched::KernelOp kernel,
                                           Value carry) {
  auto role = carry.getParentRegion()->getParentOfType<sched::RoleOp>();
  auto ops =
      llvm::to_vector(llvm::make_pointer_range(role.getEachChunk().getBlock()));
  split = findUnmixedDim(carry, ops, classes);
  if (!split)
    return kernel.emitError()
           << "every dimension of the carried state is summed over by some "
              "product of the chunk, so no dimension can be split over blocks; "
              "the GPU lowering needs one that is not";
  if (failed(findSplitRoles(kernel)))
    return failure();
  int64_t size = tensorOf(carry).getDimSize(split->second);
  int64_t parts = kernel.getSplit() * role.getSplit();
  if (size != parts * tile::kAccRows)
    return kernel.emitError()
           << "expected a split dimension of " << parts * tile::kAccRows
           << " elements (" << tile::kAccRows
           << " rows of an accumulator for each of " << kernel.getSplit()
           << " blocks and " << role.getSplit() << " parts of a role), found "
           << size;
  return success();
}

LogicalResult KernelOrientation::findSplitRoles(sched::KernelOp kernel) {
  for (sched::RoleOp role : kernel.getRoles()) {
    Block &block = role.getEachChunk().getBlock();
    auto isSplitTile = [&](Value tile) {
      return getSplitDim(tile).has_value();
    };
    auto makesSplitTile = [&](Operation &op) {
      return llvm::any_of(op.getResults(), isSplitTile);
    };
    auto sumsOver = [&](Operation &op) { return classes.mixes(&op, *split); };
    Operation *sum = nullptr;
    if (auto found = llvm::find_if(block, sumsOver); found != block.end())
      sum = &*found;
    // What sums over it needs all of it, and has it as any other dimension.
    if (sum && kernel.getSplit() > 1 && !kernel.getCluster())
      return sum->emitError()
             << "sums over the dimension that is split over "
             << kernel.getSplit()
             << " blocks, which share nothing; split it over warpgroups of a "
                "role, or make the blocks a cluster";
    if (!sum && (llvm::any_of(block.getArguments(), isSplitTile) ||
                 llvm::any_of(block, makesSplitTile)))
      splitRoles.insert(role);
  }
  return success();
}

/// Diagnoses a tile whose dimensions both are the split one: a block has a part
/// of the one, and cannot have all of the other.
LogicalResult KernelOrientation::checkTiles(sched::RoleOp role) const {
  for (Operation &op : role.getEachChunk().getBlock())
    for (Value tile : op.getResults())
      if (!isSplat(tile) && getTileRank(tile) == 2 &&
          classes.meets({tile, 0}, *split) && classes.meets({tile, 1}, *split))
        return op.emitError()
               << "makes a tile with the dimension that is split over blocks "
                  "as its rows and as its columns; the GPU path takes tiles "
                  "that have it once (target \"cpu\" takes all)";
  return success();
}

//===----------------------------------------------------------------------===//
// Clusters
//===----------------------------------------------------------------------===//

bool KernelOrientation::isWhole(sched::ChannelOp channel) const {
  return cast<sched::KernelOp>(channel->getParentOp()).getCluster() &&
         llvm::any_of(channel.getReaders(), [&](Operation *reader) {
           return !splitRoles.contains(reader);
         });
}

/// Checks that what one block computes for all of them can be sent: it has no
/// part of the split dimension, and lies side by side.
LogicalResult KernelOrientation::checkInTurn(sched::ChannelOp channel) const {
  auto tiles = channel.getChannel().getType().getTiles();
  for (auto [i, type] : llvm::enumerate(tiles)) {
    auto held = cast<RankedTensorType>(type);
    bool isSent =
        held.getRank() == 1 || (tile::isHalf(held.getElementType()) &&
                                held.getDimSize(1) % tile::kBlockColumns == 0);
    if (isSent && !getSplitDim(channel, i))
      continue;
    return channel.emitOpError()
           << "is filled by a role that blocks do in turn, which send each "
              "other its tiles: expected vectors, and matrices of 16 bits of a "
              "multiple of "
           << tile::kBlockColumns
           << " columns, without the split dimension, found " << held;
  }
  return success();
}

/// Checks that parts of the split dimension that blocks compute and a role
/// needs together cross, and no others.
LogicalResult KernelOrientation::checkChannel(sched::ChannelOp channel) const {
  if (cast<sched::RoleOp>(channel.getFiller()).getInTurn())
    return checkInTurn(channel);
  if (sumsBlocks(channel))
    return success();
  bool crosses = channel.getFill() == sched::Fill::warps && isWhole(channel) &&
                 splitRoles.contains(channel.getFiller());
  bool isPartOfColumns = true;
  unsigned tiles = channel.getChannel().getType().getTiles().size();
  for (unsigned i = 0; i < tiles; ++i) {
    auto held =
        cast<RankedTensorType>(channel.getChannel().getType().getTiles()[i]);
    isPartOfColumns &= held.getRank() == 2 &&
                       tile::isHalf(held.getElementType()) &&
                       getSplitDim(channel, i) == 1;
  }
  if (crosses && !channel.getAcross())
    return channel.emitOpError()
           << "is filled by a role that has a part of the split dimension in "
              "each block, and read by one that sums over it: expected a "
              "channel across blocks";
  if (channel.getAcross() && !(crosses && isPartOfColumns))
    return channel.emitOpError()
           << "is across blocks: expected matrices of 16 bits, with the split "
              "dimension as their columns, that a role which has a part of it "
              "computes and one that sums over it reads, or vectors of which "
              "blocks have summands";
  return success();
}

LogicalResult KernelOrientation::checkInTurn(sched::RoleOp role) const {
  if (!splitRoles.contains(role))
    return success();
  return role.emitOpError()
         << "is done by blocks in turn, and has tiles of the split dimension: "
            "expected what every block needs alike, of this each has a part";
}

LogicalResult KernelOrientation::findDivided(sched::RoleOp role) {
  if (std::optional<TileDim> dim = sched::findDividedDim(role, classes)) {
    divided[role] = *dim;
    return success();
  }
  auto parts =
      static_cast<int64_t>(role->getParentOfType<sched::KernelOp>().getSplit());
  return role.emitOpError()
         << "is divided: expected it to store a matrix whose columns, a "
            "multiple of "
         << parts * tile::kBlockColumns
         << ", no product of it sums over and it does not put; found none that "
         << parts << " blocks could each make a part of";
}

LogicalResult KernelOrientation::findSummands(sched::KernelOp kernel) {
  auto isOverParts = [&](Operation *op) {
    auto it = divided.find(op->getParentOfType<sched::RoleOp>());
    return it != divided.end() && classes.mixes(op, it->second);
  };
  if (Operation *op = summands.follow(kernel, isOverParts))
    return op->emitOpError()
           << "makes something of a sum over what blocks have parts of; "
              "expected what keeps sums, and ends in a vector that is stored, "
              "or put into a channel across blocks: the blocks sum that up";
  for (sched::RoleOp role : kernel.getRoles())
    if (role.getInTurn() && failed(checkSummands(role)))
      return failure();
  return success();
}

/// Checks that a role that one block does of a chunk has no summands: of these
/// each block has its own.
LogicalResult KernelOrientation::checkSummands(sched::RoleOp role) const {
  for (auto get : role.getEachChunk().getBlock().getOps<sched::GetOp>())
    if (llvm::any_of(get.getTiles(),
                     [&](Value tile) { return isSummand(tile); }))
      return get.emitOpError()
             << "is of a role that blocks do in turn, and of what it gets each "
                "block has a summand: expected a channel across blocks, out of "
                "which their sum comes";
  return success();
}

bool KernelOrientation::sumsBlocks(sched::ChannelOp channel) const {
  auto isSummandHere = [&](Value tile) { return isSummand(tile); };
  return channel.getAcross() &&
         llvm::any_of(channel->getUsers(), [&](Operation *user) {
           auto put = dyn_cast<sched::PutOp>(user);
           return put && llvm::all_of(put.getTiles(), isSummandHere);
         });
}

std::optional<int64_t> KernelOrientation::getDividedDim(Value value) const {
  if (divided.empty() || isSplat(value))
    return std::nullopt;
  auto it =
      divided.find(value.getParentRegion()->getParentOfType<sched::RoleOp>());
  if (it == divided.end())
    return std::nullopt;
  for (int64_t dim = 0; dim < getTileRank(value); ++dim)
    if (classes.meets({value, dim}, it->second))
      return dim;
  return std::nullopt;
}

std::optional<int64_t> KernelOrientation::getReadDim(sched::ChannelOp channel,
                                                     unsigned tile) const {
  std::optional<int64_t> first;
  bool isFirst = true;
  for (Operation *user : channel->getUsers()) {
    auto get = dyn_cast<sched::GetOp>(user);
    if (!get)
      continue;
    std::optional<int64_t> dim = getDividedDim(get.getTiles()[tile]);
    if (!dim || (!isFirst && dim != first))
      return std::nullopt;
    first = dim;
    isFirst = false;
  }
  return first;
}

std::optional<int64_t>
KernelOrientation::getDividedDim(sched::ChannelOp channel,
                                 unsigned tile) const {
  if (channel.getFill() != sched::Fill::tma)
    return std::nullopt;
  return getReadDim(channel, tile);
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

FailureOr<KernelOrientation>
KernelOrientation::analyze(sched::KernelOp kernel) {
  KernelOrientation orientation;
  orientation.classes.addBlock(kernel.getBlock());
  Value carry;
  for (sched::RoleOp role : kernel.getRoles()) {
    addRole(orientation.classes, role);
    auto carries = role.getEachChunk().getCarryArgs();
    if (!carry && !carries.empty())
      carry = carries.front();
  }
  for (sched::ChannelOp channel : kernel.getChannels())
    orientation.addChannel(channel);
  if (!carry && kernel.getCluster())
    return kernel.emitOpError()
           << "is of clusters and carries nothing; expected a state, whose "
              "dimension is split over the blocks of a cluster";
  if (!carry)
    return orientation;
  if (failed(orientation.findSplit(kernel, carry)))
    return failure();
  for (sched::RoleOp role : kernel.getRoles())
    if (failed(orientation.checkTiles(role)) ||
        (role.getInTurn() && failed(orientation.checkInTurn(role))) ||
        (role.getDivided() && failed(orientation.findDivided(role))))
      return failure();
  if (failed(orientation.findSummands(kernel)))
    return failure();
  for (sched::ChannelOp channel : kernel.getChannels())
    if (failed(orientation.checkChannel(channel)))
      return failure();
  return orientation;
}

std::optional<int64_t> KernelOrientation::getSplitDim(Value value) const {
  if (!split || isSplat(value))
    return std::nullopt;
  for (int64_t dim = 0; dim < getTileRank(value); ++dim)
    if (classes.meets({value, dim}, *split))
      return dim;
  return std::nullopt;
}

std::optional<int64_t> KernelOrientation::getSplitDim(sched::ChannelOp channel,
                                                      unsigned tile) const {
  for (Operation *user : channel->getUsers())
    if (auto put = dyn_cast<sched::PutOp>(user))
      return getSplitDim(put.getTiles()[tile]);
  llvm_unreachable("the verifier asks for a role that puts");
}

bool KernelOrientation::isSplit(Operation *op) const {
  auto role = dyn_cast<sched::RoleOp>(op);
  return splitRoles.contains(role ? role
                                  : op->getParentOfType<sched::RoleOp>());
}

//===----------------------------------------------------------------------===//
// The M dimension
//===----------------------------------------------------------------------===//

/// Returns the M dimension of a value in a role without split dimension: see
/// KernelOrientation.
static std::optional<int64_t> getShapeM(RankedTensorType type) {
  if (type.getRank() != 2)
    return std::nullopt;
  ArrayRef<int64_t> shape = type.getShape();
  auto isBlock = [](int64_t size) { return size == tile::kAccRows; };
  auto isBlocks = [](int64_t size) { return size % tile::kAccRows == 0; };
  const int64_t *found = llvm::find_if(shape, isBlock);
  if (found == shape.end())
    found = llvm::find_if(shape, isBlocks);
  if (found == shape.end())
    return std::nullopt;
  return found - shape.begin();
}

std::optional<int64_t> KernelOrientation::getM(Value value) const {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type)
    return std::nullopt;
  auto role = value.getParentRegion()->getParentOfType<sched::RoleOp>();
  if (!role || splitRoles.contains(role))
    return getSplitDim(value);
  return getShapeM(type);
}

int64_t KernelOrientation::getBlocks(Value value, int64_t m) const {
  auto role = value.getParentRegion()->getParentOfType<sched::RoleOp>();
  if (!role || splitRoles.contains(role))
    return 1;
  return tensorOf(value).getDimSize(m) / tile::kAccRows;
}
