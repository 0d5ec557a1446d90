//===- CoresLowering.cpp - Kernels whose role is on the cores -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block loads its part of the state of one head of one sequence, goes through
// the sequence's tokens with it in registers, and stores it:
//
//     read = read_slots[n], count = lengths[n], none where read < first
//     S = state[read];   for t < count: o[t] = ...;   state[write_slots[n]] = S
//     for t >= count: o[t] = 0
//
//===----------------------------------------------------------------------===//

#include "CoresLowering.h"

#include "../Kernel/BlockLocation.h"
#include "CoresRegion.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

namespace {
class CoresLowering {
public:
  CoresLowering(OpBuilder &builder, sched::KernelOp kernel,
                const TensorNames &names, const SpreadPlan &plan)
      : builder(builder), loc(kernel.getLoc()), kernel(kernel),
        role(*kernel.getRoles().begin()), names(names), plan(plan) {}

  LogicalResult lower();

private:
  tile::KernelOp createShell();
  void addArguments(tile::KernelOp shell);
  /// A tensor of the kernel as an argument of `shell`.
  Value addGlobal(tile::KernelOp shell, Value tensor, Value named,
                  bool optional, bool contiguous);
  bool isLoadedInPieces(BlockArgument arg);
  void locate();

  LogicalResult lowerSequence();
  LogicalResult lowerToken(CoresRegion &region, Value token);
  void zeroRows(Value from);
  Value load(sched::LoadOp op, const Chunk &at);
  void store(sched::StoreOp op, Value tile, const Chunk &at);
  /// Where the tile of `arg` lies, and which dimensions of the tensor it has.
  std::pair<SmallVector<Value>, SmallVector<int64_t>>
  getPlace(BlockArgument arg, Value tile, const Chunk &at);

  Value index(int64_t value) { return createIndex(builder, loc, value); }
  Value isValid(Value slot) {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sge, slot,
                                 index(kernel.getFirstSlot()));
  }
  RankedTensorType getTensor(BlockArgument arg) {
    return cast<sched::GlobalType>(arg.getType()).getTensor();
  }

  OpBuilder &builder;
  Location loc;
  sched::KernelOp kernel;
  sched::RoleOp role;
  const TensorNames &names;
  const SpreadPlan &plan;
  DenseMap<Value, Value> arguments;
  SmallVector<Attribute> operandNames;
  LaunchArguments launch;
  Value readSlots, writeSlots, lengths;
  std::optional<BlockLocation> location;
  Value slot, writeSlot, count; ///< of the block's sequence
};
} // namespace

//===----------------------------------------------------------------------===//
// The kernel
//===----------------------------------------------------------------------===//

tile::KernelOp CoresLowering::createShell() {
  auto shell = tile::KernelOp::create(builder, loc, kernel.getKernelName(),
                                      kernel.getHeads() * kernel.getSplit(),
                                      "sequences", /*grid_chunks=*/1,
                                      role.getWarps(), kernel.getMinBlocks(),
                                      builder.getArrayAttr({}), IntegerAttr());
  builder.createBlock(&shell.getBody());
  return shell;
}

/// True if a tile of `arg` has pieces of several elements: the tensor's last
/// dimension must then have no gaps.
bool CoresLowering::isLoadedInPieces(BlockArgument arg) {
  return llvm::any_of(arg.getUsers(), [&](Operation *user) {
    auto load = dyn_cast<sched::LoadOp>(user);
    Value tile =
        load ? Value(load.getTile()) : cast<sched::StoreOp>(user).getTile();
    return llvm::any_of(
        tile::getSpread(plan.getType(tile)).getDims(),
        [](const tile::DimSpread &dim) { return dim.piece > 1; });
  });
}

Value CoresLowering::addGlobal(tile::KernelOp shell, Value tensor, Value named,
                               bool optional, bool contiguous) {
  operandNames.push_back(builder.getStringAttr(names.get(named)));
  return shell.getBody().front().addArgument(
      tile::GlobalType::get(builder.getContext(),
                            cast<RankedTensorType>(tensor.getType()), optional,
                            /*dense=*/false, contiguous),
      loc);
}

void CoresLowering::addArguments(tile::KernelOp shell) {
  auto addAll = [&](ValueRange tensors, Block::BlockArgListType args) {
    for (auto [tensor, arg] : llvm::zip_equal(tensors, args))
      arguments[arg] = addGlobal(shell, tensor, tensor, /*optional=*/false,
                                 isLoadedInPieces(arg));
  };
  addAll(kernel.getIns(), kernel.getInArgs());
  addAll(kernel.getOuts(), kernel.getOutArgs());
  addAll(kernel.getInits(), kernel.getInitArgs());
  for (auto [final, arg] :
       llvm::zip_equal(kernel.getFinals(), kernel.getFinalArgs()))
    if (!final.use_empty())
      arguments[arg] = addGlobal(shell, final, final, /*optional=*/false,
                                 isLoadedInPieces(arg));
  auto addIndices = [&](Value vector, bool optional) {
    return vector ? addGlobal(shell, vector, vector, optional,
                              /*contiguous=*/true)
                  : Value();
  };
  readSlots = addIndices(kernel.getReadSlots(), /*optional=*/false);
  writeSlots = addIndices(kernel.getWriteSlots(), /*optional=*/true);
  lengths = addIndices(kernel.getLengths(), /*optional=*/true);
  auto add = [&](Type type, StringRef name) -> Value {
    operandNames.push_back(builder.getStringAttr(name));
    return shell.getBody().front().addArgument(type, loc);
  };
  launch.cu = add(tile::CuSeqlensType::get(builder.getContext()), "cu_seqlens");
  launch.tokens = add(builder.getIndexType(), "tokens");
  launch.sequences = add(builder.getIndexType(), "sequences");
  shell.setOperandsAttr(builder.getArrayAttr(operandNames));
}

/// Finds the block's head, sequence and part of the split dimension, the
/// sequence's slots and how many of its tokens count.
void CoresLowering::locate() {
  location.emplace(builder, kernel, launch);
  location->batch = location->sequence;
  location->start = index(0);
  Value part = arith::RemUIOp::create(builder, loc,
                                      tile::BlockIdOp::create(builder, loc),
                                      index(kernel.getSplit()));
  location->splitStart =
      arith::MulIOp::create(builder, loc, part, index(plan.getPart()));
  auto entry = [&](Value vector, Value absent) -> Value {
    return tile::LoadIndexOp::create(builder, loc, vector, location->sequence,
                                     absent);
  };
  slot = entry(readSlots, index(-1));
  writeSlot = entry(writeSlots, index(-1));
  count = launch.tokens;
  if (lengths) {
    Value length = arith::MaxSIOp::create(
        builder, loc, entry(lengths, launch.tokens), index(0));
    count = arith::MinSIOp::create(builder, loc, length, launch.tokens);
  }
}

LogicalResult CoresLowering::lower() {
  OpBuilder::InsertionGuard guard(builder);
  addArguments(createShell());
  locate();
  Value valid = isValid(slot);
  auto ifOp = scf::IfOp::create(builder, loc, valid, /*withElse=*/false);
  {
    OpBuilder::InsertionGuard inside(builder);
    builder.setInsertionPointToStart(ifOp.thenBlock());
    if (failed(lowerSequence()))
      return failure();
  }
  zeroRows(arith::SelectOp::create(builder, loc, valid, count, index(0)));
  return success();
}

//===----------------------------------------------------------------------===//
// A sequence
//===----------------------------------------------------------------------===//

std::pair<SmallVector<Value>, SmallVector<int64_t>>
CoresLowering::getPlace(BlockArgument arg, Value tile, const Chunk &at) {
  BindingAttr binding = kernel.getBinding(arg);
  SmallVector<int64_t> dims;
  for (int64_t dim = 0; dim < getTileRank(tile); ++dim)
    dims.push_back(tensorDim(binding, dim));
  return {location->getCoordinates(builder, binding, getTensor(arg), at,
                                   plan.getSplitDim(tile),
                                   location->splitStart),
          dims};
}

Value CoresLowering::load(sched::LoadOp op, const Chunk &at) {
  auto source = cast<BlockArgument>(op.getSource());
  RankedTensorType type = plan.getType(op.getTile());
  RankedTensorType held = type.clone(getTensor(source).getElementType());
  auto [coords, dims] = getPlace(source, op.getTile(), at);
  Value loaded = tile::LoadSpreadOp::create(
      builder, loc, held, arguments.lookup(source), coords, dims);
  return held == type ? loaded
                      : arith::ExtFOp::create(builder, loc, type, loaded);
}

void CoresLowering::store(sched::StoreOp op, Value tile, const Chunk &at) {
  auto target = cast<BlockArgument>(op.getTarget());
  auto type = cast<RankedTensorType>(tile.getType());
  RankedTensorType held = type.clone(getTensor(target).getElementType());
  if (held != type)
    tile = arith::TruncFOp::create(builder, loc, held, tile);
  auto [coords, dims] = getPlace(target, op.getTile(), at);
  tile::StoreSpreadOp::create(builder, loc, tile, arguments.lookup(target),
                              coords, dims);
}

LogicalResult CoresLowering::lowerToken(CoresRegion &region, Value token) {
  Chunk at;
  at.row = token;
  for (Operation &op : role.getEachChunk().getBlock().without_terminator()) {
    if (auto loadOp = dyn_cast<sched::LoadOp>(op))
      region.set(loadOp.getTile(), load(loadOp, at));
    else if (auto storeOp = dyn_cast<sched::StoreOp>(op))
      store(storeOp, region.get(storeOp.getTile()), at);
    else if (failed(region.lower(&op)))
      return failure();
  }
  return success();
}

LogicalResult CoresLowering::lowerSequence() {
  sched::EachChunkOp loop = role.getEachChunk();
  Chunk start, end;
  start.row = end.row = index(0);
  start.slot = slot;
  end.slot = writeSlot;
  SmallVector<Value> inits;
  for (Value init : loop.getInits()) {
    auto loadOp = init.getDefiningOp<sched::LoadOp>();
    if (!loadOp)
      return role.emitOpError() << "carries something that it does not load; "
                                   "a state lies in a pool";
    inits.push_back(load(loadOp, start));
  }
  auto forOp =
      scf::ForOp::create(builder, loc, index(0), count, index(1), inits);
  {
    OpBuilder::InsertionGuard inside(builder);
    builder.setInsertionPointToStart(forOp.getBody());
    CoresRegion region(builder, plan);
    for (auto [arg, carry] :
         llvm::zip_equal(loop.getCarryArgs(), forOp.getRegionIterArgs()))
      region.set(arg, carry);
    if (failed(lowerToken(region, forOp.getInductionVar())))
      return failure();
    SmallVector<Value> next =
        llvm::map_to_vector(loop.getYield().getCarries(),
                            [&](Value tile) { return region.get(tile); });
    scf::YieldOp::create(builder, loc, next);
  }
  auto ifOp = scf::IfOp::create(builder, loc, isValid(writeSlot),
                                /*withElse=*/false);
  OpBuilder::InsertionGuard inside(builder);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  for (auto storeOp : role.getBlock().getOps<sched::StoreOp>())
    if (arguments.contains(storeOp.getTarget()))
      store(
          storeOp,
          forOp.getResult(cast<OpResult>(storeOp.getTile()).getResultNumber()),
          end);
  return success();
}

/// Zeroes the rows of outs from `from` on, of padding and of what a sequence
/// has no token for.
void CoresLowering::zeroRows(Value from) {
  auto forOp = scf::ForOp::create(builder, loc, from, launch.tokens, index(1));
  OpBuilder::InsertionGuard inside(builder);
  builder.setInsertionPointToStart(forOp.getBody());
  Chunk at;
  at.row = forOp.getInductionVar();
  for (auto storeOp : role.getEachChunk().getBlock().getOps<sched::StoreOp>()) {
    RankedTensorType type = plan.getType(storeOp.getTile());
    Value zeros = arith::ConstantOp::create(
        builder, loc,
        DenseElementsAttr::get(type,
                               builder.getZeroAttr(type.getElementType())));
    store(storeOp, zeros, at);
  }
}

//===----------------------------------------------------------------------===//
// Entry points
//===----------------------------------------------------------------------===//

bool wyvern::isOnCores(sched::KernelOp kernel) {
  return llvm::any_of(kernel.getRoles(),
                      [](sched::RoleOp role) { return role.getOnCores(); });
}

/// Diagnoses what a kernel on the cores cannot be.
static LogicalResult checkKernel(sched::KernelOp kernel) {
  if (kernel.getChunk() == 1 && kernel.getCompute().isF32() &&
      kernel.getReadSlots() && !kernel.getCuSeqlens())
    return success();
  return kernel.emitError()
         << "has a role on the CUDA cores; the GPU path takes it for chunks of "
            "one token, in f32, on a pool of states, without cu_seqlens, found "
            "chunks of "
         << kernel.getChunk() << " in " << kernel.getCompute()
         << " (target \"cpu\" takes all)";
}

LogicalResult wyvern::lowerOnCores(OpBuilder &builder, sched::KernelOp kernel,
                                   const TensorNames &names) {
  if (failed(checkKernel(kernel)))
    return failure();
  FailureOr<SpreadPlan> plan = SpreadPlan::analyze(kernel);
  if (failed(plan))
    return failure();
  return CoresLowering(builder, kernel, names, *plan).lower();
}
