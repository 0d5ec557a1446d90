//===- KernelCost.cpp - What a kernel is estimated to take ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Three things take time in a chunk: warps, which do their operations one after
// the other; triangular systems, whose rows wait for each other; and products,
// which run on the tensor cores beside the warps, so that only the longest
// chain of them counts. docs/rationale/variants.md has the formulas and how far
// they are from measurements.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Sched/Analysis/KernelCost.h"

#include "wyvern/Dialect/Delta/IR/Delta.h"
#include "wyvern/Dialect/Sched/Analysis/DividedWork.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;

/// Of the lanes' cycles, those in which other warps cannot issue; of a system's
/// cycles, the same.
static constexpr int64_t kLaneShare = 2, kSolveShare = 10;
static constexpr int64_t kWarpThreads = 32;

static int64_t countElements(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type ? type.getNumElements() : 1;
}

namespace {
/// Goes through the chunk of one role.
class RoleEstimator {
public:
  explicit RoleEstimator(RoleOp role)
      : role(role), kernel(role->getParentOfType<KernelOp>()),
        target(tile::getTarget(role)) {
    for (Block *block : {&kernel.getBlock(), &role.getBlock(),
                         &role.getEachChunk().getBlock()})
      classes.addBlock(*block);
    divided = findDividedDim(role, classes);
  }

  RoleCost estimate();

private:
  void visit(Operation &op);
  void addProduct(delta::ChunkRegionOpInterface op);
  void addLanes(Value tile, int64_t ops);
  void addStore(StoreOp store);
  /// True if the split dimension runs through a tile: it is the state, or made
  /// from it. What is not is the same for all parts of the state.
  bool isSplit(Value value) const { return split.contains(value); }
  bool readsSplit(Operation &op) const {
    return llvm::any_of(op.getOperands(), [&](Value v) { return isSplit(v); });
  }

  /// Returns how many blocks make a part of a tile each.
  int64_t countBlocks(Value value);

  RoleOp role;
  KernelOp kernel;
  tile::TargetInfo target;
  llvm::DenseSet<Value> split;
  delta::DimClasses classes;
  /// A dimension of the class that the role is divided along.
  std::optional<delta::TileDim> divided;
  /// The longest chain of products up to a tile.
  llvm::DenseMap<Value, int64_t> chains;
  RoleCost cost;
};
} // namespace

/// True if an operation solves a triangular system: it mixes rows as a product
/// does, and rounds nothing.
static bool isSolve(delta::ChunkRegionOpInterface op) {
  return op.getMatmulFlops() > 0 && op.getRoundedOperands().empty();
}

/// True if an operation forms a matrix of decays between rows.
static bool formsDecays(Operation &op) {
  if (auto dot = dyn_cast<delta::DecayDotOp>(op))
    return dot.getG() != nullptr;
  if (auto apply = dyn_cast<delta::DecayApplyOp>(op))
    return apply.getG() != nullptr;
  return isa<delta::DecayMaskOp>(op);
}

/// True if no warp does anything for an operation: what reads it reads its
/// operand, or finds it in shared memory as it was loaded.
static bool isFree(Operation &op) {
  if (isa<linalg::BroadcastOp>(op) || op.getNumOperands() == 0)
    return true;
  return isa<arith::TruncFOp>(op) && op.getOperand(0).getDefiningOp<GetOp>();
}

/// Returns the bytes that a block moves in a chunk for a tensor. Blocks of one
/// head share what they load without a split dimension, and heads of a group
/// share a head's tensor: each counts its part of it, but what it has of a
/// split dimension is its own.
static int64_t countBytes(KernelOp kernel, BlockArgument tensor) {
  RankedTensorType type = cast<GlobalType>(tensor.getType()).getTensor();
  delta::BindingAttr binding = kernel.getBinding(tensor);
  int64_t bytes = kernel.getTileType(tensor).getNumElements() *
                  type.getElementTypeBitWidth() / 8;
  int64_t heads = static_cast<int64_t>(kernel.getHeads());
  for (auto [dim, size] : llvm::zip_equal(binding.getDims(), type.getShape()))
    if (dim.kind == delta::DimKind::head)
      bytes = bytes * size * binding.getParts() / heads;
  return bytes /
         (static_cast<int64_t>(kernel.getSplit()) * binding.getChunkMultiple());
}

int64_t RoleEstimator::countBlocks(Value value) {
  auto isDivided = [&](int64_t dim) {
    return divided && classes.meets({value, dim}, *divided);
  };
  bool isPart = isSplit(value) ||
                llvm::any_of(llvm::seq(delta::getTileRank(value)), isDivided);
  return isPart ? static_cast<int64_t>(kernel.getSplit()) : 1;
}

void RoleEstimator::addLanes(Value tile, int64_t ops) {
  int64_t parts = countBlocks(tile) *
                  (isSplit(tile) ? static_cast<int64_t>(role.getSplit()) : 1);
  int64_t threads = static_cast<int64_t>(role.getWarps()) * kWarpThreads;
  cost.laneCycles +=
      countElements(tile) * ops * target.laneCycles / (parts * threads);
}

void RoleEstimator::addProduct(delta::ChunkRegionOpInterface op) {
  int64_t groups = static_cast<int64_t>(role.getSplit());
  bool parts = readsSplit(*op);
  Value result = op->getResult(0);
  int64_t blockFlops = op.getMatmulFlops() / countBlocks(result);
  int64_t groupFlops = blockFlops / (parts ? groups : 1);
  cost.tensorCycles += groupFlops * groups / target.mmaFlopsPerCycle;
  chains[result] += target.mmaCycles + groupFlops / target.mmaFlopsPerCycle;
  cost.productCycles = std::max(cost.productCycles, chains[result]);
}

void RoleEstimator::addStore(StoreOp store) {
  addLanes(store.getTile(), /*ops=*/1);
  auto to = cast<BlockArgument>(store.getTarget());
  delta::BindingAttr binding = kernel.getBinding(to);
  int64_t bytes = countBytes(kernel, to);
  // In 16 bits: the chain that joins segments stores f32, a state a segment.
  bool isHalf =
      tile::isHalf(cast<GlobalType>(to.getType()).getTensor().getElementType());
  if (isHalf && binding.has(delta::DimKind::chunk) &&
      binding.getChunkMultiple() == 1)
    cost.storeCycles += bytes * target.sms / target.memoryBytesPerCycle;
  if (countBlocks(store.getTile()) == 1 && !role.getInTurn())
    cost.repeatedBytes += bytes * static_cast<int64_t>(kernel.getSplit() - 1);
}

void RoleEstimator::visit(Operation &op) {
  int64_t chain = 0;
  for (Value operand : op.getOperands())
    chain = std::max(chain, chains.lookup(operand));
  bool parts = readsSplit(op);
  for (Value result : op.getResults()) {
    chains[result] = chain;
    if (parts)
      split.insert(result);
  }
  if (auto put = dyn_cast<PutOp>(op)) {
    if (cast<ChannelOp>(put.getChannel().getDefiningOp()).getFill() ==
        Fill::warps)
      for (Value tile : put.getTiles())
        addLanes(tile, /*ops=*/1);
  } else if (auto store = dyn_cast<StoreOp>(op)) {
    addStore(store);
  }
  auto inChunk = dyn_cast<delta::ChunkRegionOpInterface>(op);
  if (!inChunk || isFree(op))
    return;
  if (isSolve(inChunk))
    cost.solveCycles +=
        cast<RankedTensorType>(op.getResult(0).getType()).getDimSize(0) *
        target.solveRowCycles;
  else if (inChunk.getMatmulFlops() > 0)
    addProduct(inChunk);
  else
    addLanes(op.getResult(0), formsDecays(op) ? target.decayOps : 1);
  if (inChunk.getMatmulFlops() > 0 && formsDecays(op))
    addLanes(op.getResult(0), target.decayOps);
}

RoleCost RoleEstimator::estimate() {
  EachChunkOp loop = role.getEachChunk();
  split.insert(loop.getCarryArgs().begin(), loop.getCarryArgs().end());
  for (Operation &op : loop.getBlock().without_terminator())
    visit(op);
  return cost;
}

RoleCost sched::estimateRole(RoleOp role) {
  return RoleEstimator(role).estimate();
}

/// Returns the bytes that a role loads and stores in a chunk.
static int64_t countBytes(KernelOp kernel, RoleOp role) {
  int64_t bytes = 0;
  for (Operation &op : role.getEachChunk().getBlock()) {
    if (auto load = dyn_cast<LoadOp>(op))
      bytes += countBytes(kernel, cast<BlockArgument>(load.getSource()));
    else if (auto store = dyn_cast<StoreOp>(op))
      bytes += countBytes(kernel, cast<BlockArgument>(store.getTarget()));
  }
  return bytes;
}

/// True if what reads `channel` waits for loads: they have one place, which is
/// free only then. Within a role that is ahead of those that read it they come
/// a chunk before.
static bool waitsForLoads(ChannelOp channel) {
  if (channel.getDepth() != 1 || channel.getFill() != Fill::tma)
    return false;
  auto host = cast<RoleOp>(channel.getFiller()).getWithin();
  return !host || llvm::any_of(channel.getReaders(), [&](Operation *reader) {
    return cast<RoleOp>(reader).getRoleName() == *host;
  });
}

/// Returns what a step of a kernel on the cores takes: blocks wait for their
/// part of the state, which is read and written once, and share the memory.
/// Alone, a block takes the longer the more accesses a thread has, one behind
/// another.
static KernelCost estimateOnCores(KernelOp kernel) {
  constexpr int64_t kAccessBytes = 16, kAccessCycles = 10;
  int64_t states = 0, rows = 0;
  for (BlockArgument init : kernel.getInitArgs())
    states += 2 * countBytes(kernel, init);
  // What the blocks of a head share, each loads for itself.
  for (BlockArgument in : kernel.getInArgs())
    rows +=
        kernel.getTileType(in).getNumElements() *
        cast<GlobalType>(in.getType()).getTensor().getElementTypeBitWidth() / 8;
  int64_t bytes = states + rows;
  tile::TargetInfo target = tile::getTarget(kernel);
  auto warps = static_cast<int64_t>((*kernel.getRoles().begin()).getWarps());
  KernelCost cost;
  cost.blockCycles =
      states * kAccessCycles / (warps * kWarpThreads * kAccessBytes);
  if (kernel.getOverlaps())
    cost.blockCycles -= target.overlapCycles;
  cost.stepBytes = bytes;
  cost.stepWork = bytes * target.sms / target.memoryBytesPerCycle;
  cost.stepCycles = cost.stepWork;
  return cost;
}

KernelCost sched::estimateKernel(KernelOp kernel) {
  if ((*kernel.getRoles().begin()).getOnCores())
    return estimateOnCores(kernel);
  KernelCost cost;
  for (RoleOp role : kernel.getRoles()) {
    RoleCost part = estimateRole(role);
    int64_t groups = static_cast<int64_t>(role.getSplit());
    // Of the blocks that do a role's chunks in turn, each does its share.
    int64_t blocks =
        role.getInTurn() ? static_cast<int64_t>(kernel.getSplit()) : 1;
    int64_t turns = static_cast<int64_t>(role.getCopies()) * blocks;
    cost.stepCycles = std::max(cost.stepCycles, part.getCycles() / turns);
    cost.stepWork += (part.tensorCycles + part.storeCycles +
                      groups * (part.laneCycles / kLaneShare +
                                part.solveCycles / kSolveShare)) /
                     blocks;
    cost.stepBytes += countBytes(kernel, role) + part.repeatedBytes;
  }
  // What is not loaded ahead is waited for.
  if (llvm::any_of(kernel.getChannels(), waitsForLoads))
    cost.stepCycles += tile::getTarget(kernel).loadCycles;
  // The roles of one block share its SM too.
  cost.stepCycles = std::max(cost.stepCycles, cost.stepWork);
  // What comes from another block comes later, and no chunk is far ahead.
  auto isInTurn = [](RoleOp role) { return role.getInTurn(); };
  if (llvm::any_of(kernel.getRoles(), isInTurn))
    cost.stepCycles += tile::getTarget(kernel).turnCycles;
  return cost;
}
