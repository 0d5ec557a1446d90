//===- SpreadPlan.cpp - Who holds what of a role on the cores -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SpreadPlan.h"

#include "../Kernel/KernelOrientation.h"
#include "../Kernel/Operands.h"

#include "wyvern/Dialect/Delta/Analysis/SplitDim.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

#include <numeric>

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// Lanes of a warp that share the summed dimension, where it is long enough: a
/// sum is exchanged over them in three steps, and a row of 16-byte pieces of
/// theirs is a line of device memory.
static constexpr int64_t kSummedLanes = 8;
static constexpr int64_t kWarpLanes = 32;
/// The widest access, in bits.
static constexpr int64_t kAccessBits = 128;

SpreadPlan::SpreadPlan(sched::RoleOp role) { addRole(classes, role); }

bool SpreadPlan::isWindow(BlockArgument carry) {
  return llvm::all_of(carry.getUsers(), llvm::IsaPred<ConvRowOp>);
}

bool SpreadPlan::isMadeWhereUsed(Value tile) {
  return isSplat(tile) || tile.getDefiningOp<linalg::BroadcastOp>();
}

/// Returns the bits of an element of the pool that a carry starts from.
static int64_t getPoolBits(Value init) {
  auto load = init.getDefiningOp<sched::LoadOp>();
  if (!load)
    return 0;
  return cast<sched::GlobalType>(load.getSource().getType())
      .getTensor()
      .getElementTypeBitWidth();
}

LogicalResult SpreadPlan::spreadState(sched::KernelOp kernel, Value state) {
  sched::RoleOp role = *kernel.getRoles().begin();
  auto type = cast<RankedTensorType>(state.getType());
  int64_t bits = getPoolBits(role.getEachChunk().getInits().front());
  bool isSummedLast = summed.second == 1;
  int64_t piece = bits == 0 ? 1 : kAccessBits / bits;
  summedSpread.piece = isSummedLast ? piece : 1;
  splitSpread.piece = isSummedLast ? 1 : piece;
  int64_t splitSize = type.getDimSize(split.second);
  part = splitSize / static_cast<int64_t>(kernel.getSplit());
  splitSpread.warps = role.getWarps();
  // More lanes along the summed dimension where the block's part of the split
  // one is too short for the others.
  auto getUnit = [&] {
    return splitSpread.piece * splitSpread.lanes * splitSpread.warps;
  };
  auto isWhole = [&] {
    // Each thread has as much of both halves.
    int64_t size = haveRowsHalves ? type.getDimSize(summed.second) : fewest;
    return size % (summedSpread.piece * summedSpread.lanes) == 0;
  };
  summedSpread.lanes = kSummedLanes;
  while (summedSpread.lanes > 1 && !isWhole())
    summedSpread.lanes /= 2;
  splitSpread.lanes = kWarpLanes / summedSpread.lanes;
  while (splitSpread.lanes > 1 && part % getUnit() != 0) {
    splitSpread.lanes /= 2;
    summedSpread.lanes *= 2;
    // Halves of rows may be too short: then two lanes hold the same.
    if (!alike.empty() && !haveRowsHalves && !isWhole())
      summedSpread.lanes /= 2;
  }
  // Neighbouring lanes have neighbouring pieces.
  summedSpread.step = isSummedLast ? 1 : splitSpread.lanes;
  splitSpread.step = isSummedLast ? summedSpread.lanes : 1;
  if (isWhole() && splitSize % static_cast<int64_t>(kernel.getSplit()) == 0 &&
      part % getUnit() == 0)
    return success();
  return kernel.emitError()
         << "expected a state that " << role.getWarps()
         << " warps can share: rows in pieces of 16 bytes (" << piece
         << " elements) along its last dimension, and along the dimension "
            "that is not summed over a multiple of "
         << getUnit() << " for each of " << kernel.getSplit()
         << " blocks; found a state of " << type
         << "; use head dimensions that are multiples of 32";
}

/// Returns the operations that the next state is made of.
static SmallVector<Operation *> findRecurrence(sched::EachChunkOp loop) {
  SetVector<Operation *> ops;
  SmallVector<Value> worklist(loop.getYield().getCarries());
  while (!worklist.empty())
    if (Operation *def = worklist.pop_back_val().getDefiningOp();
        def && def->getBlock() == &loop.getBlock() && ops.insert(def))
      worklist.append(def->operand_begin(), def->operand_end());
  return ops.takeVector();
}

FailureOr<SpreadPlan> SpreadPlan::analyze(sched::KernelOp kernel) {
  sched::RoleOp role = *kernel.getRoles().begin();
  SpreadPlan plan(role);
  sched::EachChunkOp loop = role.getEachChunk();
  auto isTaken = [](BlockArgument carry) {
    return isWindow(carry) || getTileRank(carry) == 1;
  };
  if (loop.getCarryArgs().empty() ||
      getTileRank(loop.getCarryArgs().front()) != 2 ||
      !llvm::all_of(llvm::drop_begin(loop.getCarryArgs()), isTaken))
    return kernel.emitError()
           << "expected a role on the cores to carry one state of two "
              "dimensions, then windows of convolutions and vectors, found "
           << loop.getCarryArgs().size() << " carries";
  Value state = loop.getCarryArgs().front();
  SmallVector<Operation *> ops =
      llvm::to_vector(llvm::make_pointer_range(loop.getBlock()));
  std::optional<TileDim> split = findUnmixedDim(state, ops, plan.classes);
  // A sum that only an out reads is one of all blocks of a head.
  bool isSummed = !split;
  if (isSummed)
    split = findUnmixedDim(state, findRecurrence(loop), plan.classes);
  if (!split)
    return kernel.emitError()
           << "every dimension of the carried state is summed over by some "
              "product of the token, so no dimension can be split over blocks; "
              "the GPU lowering needs one that is not";
  plan.split = *split;
  plan.summed = {state, 1 - split->second};
  plan.findHalves(loop.getBlock());
  plan.warps = static_cast<int64_t>(role.getWarps());
  plan.blocks = static_cast<int64_t>(kernel.getSplit());
  plan.summedBlocks = isSummed && plan.blocks > 1;
  if (isSummed)
    plan.cluster = plan.blocks;
  plan.findRows(role);
  plan.findShared(role);
  if (failed(plan.spreadState(kernel, state)) ||
      failed(plan.findCluster(kernel)))
    return failure();
  plan.dropFewRows(role);
  return plan;
}

std::optional<int64_t> SpreadPlan::getSplitDim(Value tile) const {
  for (int64_t dim = 0; dim < getTileRank(tile); ++dim)
    if (classes.meets({tile, dim}, split))
      return dim;
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Halves of rows
//===----------------------------------------------------------------------===//

bool SpreadPlan::isAlike(Value tile, int64_t dim) const {
  auto meets = [&](TileDim other) { return classes.meets({tile, dim}, other); };
  return meets(summed) || llvm::any_of(alike, meets);
}

/// Rows whose halves are rotated with each other are not those that the state
/// is multiplied by, though a thread needs the same of both. What follows from
/// one split or join may be what another needs.
void SpreadPlan::findHalves(Block &block) {
  fewest =
      cast<RankedTensorType>(summed.first.getType()).getDimSize(summed.second);
  bool hasChanged = true;
  auto note = [&](Value whole, Value half) {
    if (isAlike(whole, 1) == isAlike(half, 1))
      return;
    alike.emplace_back(isAlike(whole, 1) ? half : whole, 1);
    fewest =
        std::min(fewest, cast<RankedTensorType>(half.getType()).getDimSize(1));
    hasChanged = true;
  };
  while (std::exchange(hasChanged, false)) {
    for (auto op : block.getOps<SplitColumnsOp>())
      note(op.getX(), op.getA());
    for (auto op : block.getOps<JoinColumnsOp>())
      note(op.getY(), op.getA());
  }
}

/// Rows that a warp makes are in a spread of its own: the threads that read
/// them need not have as much of both halves.
void SpreadPlan::findRows(sched::RoleOp role) {
  rows = RowsPart::find(role, *this);
  haveRowsHalves =
      !rows.getCarries().empty() &&
      llvm::all_of(role.getEachChunk().getBlock(), [&](Operation &op) {
        return !isa<SplitColumnsOp, JoinColumnsOp>(op) || rows.contains(&op);
      });
}

/// Returns the operations on numbers that `op` is to a thread.
int64_t SpreadPlan::countOperations(Operation *op) const {
  auto count = [&](Value tile) {
    RankedTensorType type = getType(tile);
    return ShapedType::getNumElements(
        tile::getSpread(type).getThreadShape(type.getShape()));
  };
  int64_t most = count(op->getResult(0));
  if (auto contract = dyn_cast<linalg::ContractOp>(op))
    for (Value input : contract.getInputs())
      most = std::max(most, count(input));
  return most;
}

/// Leaves rows to all threads where a warp that makes them gains little: a
/// barrier more, and another way through shared memory, cost a draft 1 to 5 %
/// where a product of two rows is all there is to make. Norms of convolved rows
/// are numbers, which take registers beside the rows, and with them a block an
/// SM less: 12.9 us of a step of 8 sequences for 11.6.
void SpreadPlan::dropFewRows(sched::RoleOp role) {
  constexpr int64_t kFewOperations = 32;
  int64_t operations = 0;
  for (Operation *op : rows.getOps())
    operations += countOperations(op);
  bool areConvolved =
      !role.getEachChunk().getBlock().getOps<ConvRowOp>().empty();
  if (rows.getCarries().empty() &&
      (areConvolved || operations < kFewOperations))
    rows = RowsPart();
}

//===----------------------------------------------------------------------===//
// Spreads of tiles
//===----------------------------------------------------------------------===//

RankedTensorType SpreadPlan::getType(Value tile) const {
  auto type = cast<RankedTensorType>(tile.getType());
  SmallVector<int64_t> shape(type.getShape());
  SmallVector<tile::DimSpread> dims(type.getRank());
  for (int64_t dim = 0; dim < type.getRank(); ++dim) {
    if (classes.meets({tile, dim}, split)) {
      dims[dim] = splitSpread;
      shape[dim] = part;
    } else if (haveRowsHalves ? classes.meets({tile, dim}, summed)
                              : isAlike(tile, dim)) {
      dims[dim] = summedSpread;
    }
  }
  return RankedTensorType::get(shape, type.getElementType(),
                               tile::SpreadAttr::get(type.getContext(), dims));
}

//===----------------------------------------------------------------------===//
// Rows that are shared
//===----------------------------------------------------------------------===//

void SpreadPlan::findShared(sched::RoleOp role) {
  if (!role.getShareRows())
    return;
  auto kernel = cast<sched::KernelOp>(role->getParentOp());
  Block &block = role.getEachChunk().getBlock();
  for (auto load : block.getOps<sched::LoadOp>())
    if (getTileRank(load.getTile()) == 2 &&
        kernel.getBinding(cast<BlockArgument>(load.getSource()))
            .has(DimKind::time))
      shared.insert(load.getTile());
  for (auto conv : block.getOps<ConvRowOp>())
    shared.insert(conv.getFilter());
  // Windows, as they are loaded and stored.
  sched::EachChunkOp loop = role.getEachChunk();
  for (auto [init, window, final] : llvm::drop_begin(llvm::zip_equal(
           loop.getInits(), loop.getCarryArgs(), loop.getFinals())))
    if (isWindow(window))
      for (Value tile : {init, Value(window), Value(final)})
        shared.insert(tile);
}

/// Returns an element a thread, or as few as lanes and warps by powers of two
/// have of so many.
static tile::DimSpread spreadOverThreads(int64_t size, int64_t warps) {
  tile::DimSpread spread;
  while (spread.lanes < kWarpLanes && size % (2 * spread.lanes) == 0)
    spread.lanes *= 2;
  while (2 * spread.warps <= warps &&
         size % (2 * spread.warps * spread.lanes) == 0)
    spread.warps *= 2;
  return spread;
}

RankedTensorType SpreadPlan::getHeldType(Value tile) const {
  RankedTensorType type = getType(tile);
  if (!shared.contains(tile))
    return type;
  SmallVector<tile::DimSpread> dims(type.getRank());
  for (int64_t dim = 0; dim < type.getRank(); ++dim)
    if (getSplitDim(tile) == dim || isAlike(tile, dim))
      dims[dim] = spreadOverThreads(type.getDimSize(dim), warps);
  return RankedTensorType::get(type.getShape(), type.getElementType(),
                               tile::SpreadAttr::get(type.getContext(), dims));
}

RankedTensorType SpreadPlan::getMadeType(Value tile) const {
  RankedTensorType type = getType(tile);
  SmallVector<tile::DimSpread> dims(tile::getSpread(type).getDims());
  for (int64_t dim = 0; dim < type.getRank() && !rows.getCarries().empty();
       ++dim)
    if (getSplitDim(tile) != dim && isAlike(tile, dim))
      dims[dim] = spreadOverThreads(fewest, /*warps=*/1);
  return RankedTensorType::get(type.getShape(), type.getElementType(),
                               tile::SpreadAttr::get(type.getContext(), dims));
}

int64_t SpreadPlan::getSharers(sched::KernelOp kernel, BlockArgument pool,
                               Value tile) const {
  auto type = cast<sched::GlobalType>(pool.getType()).getTensor();
  int64_t sharers =
      getSplitDim(tile) ? 1 : static_cast<int64_t>(kernel.getSplit());
  for (auto [dim, size] :
       llvm::zip_equal(kernel.getBinding(pool).getDims(), type.getShape()))
    if (dim.kind == DimKind::head)
      sharers *= static_cast<int64_t>(kernel.getHeads()) / size;
  return sharers;
}

LogicalResult SpreadPlan::findCluster(sched::KernelOp kernel) {
  sched::RoleOp role = *kernel.getRoles().begin();
  sched::EachChunkOp loop = role.getEachChunk();
  int64_t most = tile::getTarget(kernel).clusterBlocks;
  for (Value init : loop.getInits()) {
    auto load = init.getDefiningOp<sched::LoadOp>();
    if (!load)
      continue;
    auto pool = cast<BlockArgument>(load.getSource());
    int64_t sharers = getSharers(kernel, pool, init);
    cluster = std::lcm(cluster, sharers);
    if (cluster > most)
      return kernel.emitError()
             << "has " << cluster
             << " blocks that read one window of a convolution, which one of "
                "them writes when all have read it, or that sum over values "
                "together: expected at most "
             << most
             << ", the blocks of a cluster; use fewer value heads a key head, "
                "or convolve in front of the step";
  }
  return success();
}
