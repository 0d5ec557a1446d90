//===- RoleLowering.cpp - What some warps of a block do -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RoleLowering.h"

#include "wyvern/Dialect/Delta/IR/Splat.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::wyvern;

RoleLowering::RoleLowering(OpBuilder &builder, KernelContext &context,
                           sched::RoleOp role, int64_t firstWarp)
    : builder(builder), context(context), role(role), firstWarp(firstWarp),
      loc(context.kernel.getLoc()), splitStart(context.location->splitStart) {
  // Hardware barrier 0 is the whole block's, 1 that of its first warpgroup ...
  bool isOneGroup = role.getSplit() * role.getCopies() == 1;
  barrier = isOneGroup ? 1 + firstWarp / tile::kWarpgroupWarps : 0;
}

void RoleLowering::locateGroup() {
  int64_t split = role.getSplit(), copies = role.getCopies();
  if (split * copies == 1)
    return;
  Value warpgroup = tile::WarpgroupIdOp::create(builder, loc);
  group = arith::SubIOp::create(builder, loc, warpgroup,
                                index(firstWarp / tile::kWarpgroupWarps));
  part = copy = group;
  if (copies == 1) {
    copy = {};
  } else if (split == 1) {
    part = {};
  } else {
    part = arith::RemUIOp::create(builder, loc, group, index(split));
    copy = arith::DivUIOp::create(builder, loc, group, index(split));
  }
  if (part)
    splitStart = arith::AddIOp::create(
        builder, loc, splitStart,
        arith::MulIOp::create(builder, loc, part, index(tile::kAccRows)));
}

Value RoleLowering::getPart(Value tile, std::optional<int64_t> splitDim,
                            bool isWhole) {
  auto type = cast<tile::SmemType>(tile.getType());
  if (!(part || isWhole) || !splitDim || type.getShape().size() != 2)
    return tile;
  Value number = part;
  if (isWhole) {
    number = context.location->splitPart;
    if (part)
      number = arith::AddIOp::create(
          builder, loc, part,
          arith::MulIOp::create(builder, loc, number, index(role.getSplit())));
  }
  auto view = tile::SmemType::get(builder.getContext(),
                                  {type.getShape()[0], tile::kBlockColumns},
                                  type.getElementType());
  return tile::SubviewOp::create(builder, loc, view, tile, number);
}

Value RoleLowering::index(int64_t value) {
  return createIndex(builder, loc, value);
}

Value RoleLowering::rows(Value tokens, delta::BindingAttr binding) {
  return createRows(builder, loc, tokens, binding);
}

Value RoleLowering::validRows(BlockArgument arg, const Chunk &chunk) {
  delta::BindingAttr binding = context.kernel.getBinding(arg);
  if (binding.getTimeRow())
    return chunk.valid;
  if (binding.has(delta::DimKind::time))
    return rows(chunk.valid, binding);
  int64_t dim = tensorDim(binding, 0);
  int64_t size = getTensor(arg).getDimSize(dim);
  delta::BoundDim bound = binding.getDims()[dim];
  if (bound.hasEqualParts(size))
    return index(size);
  return arith::SubIOp::create(
      builder, loc, index(size),
      context.location->locatePart(builder, bound, size));
}

SmallVector<Value>
RoleLowering::getCoordinates(BlockArgument arg, const Chunk &chunk,
                             std::optional<int64_t> splitDim) {
  return context.location->getCoordinates(
      builder, context.kernel.getBinding(arg), getTensor(arg), chunk, splitDim,
      splitStart);
}

void RoleLowering::locateSplitAgain() {
  if (context.kernel.getCluster() && context.orientation.isSplit(role))
    splitStart = tile::UniformOp::create(builder, loc, splitStart);
}

LogicalResult RoleLowering::lower() {
  if (role.getSplit() * role.getCopies() > 1 &&
      role.getWarps() != tile::kWarpgroupWarps)
    return role.emitOpError()
           << "has " << role.getSplit() * role.getCopies() << " groups of "
           << role.getWarps()
           << " warps; the GPU path tells groups apart by their warpgroup: use "
           << tile::kWarpgroupWarps << " warps a group";
  locateGroup();
  for (Operation &op : role.getBlock()) {
    LogicalResult lowered = success();
    if (auto load = dyn_cast<sched::LoadOp>(op))
      lowered = loadCarry(load);
    else if (auto store = dyn_cast<sched::StoreOp>(op))
      lowered = storeCarry(store);
    else if (auto loop = dyn_cast<sched::EachChunkOp>(op)) {
      lowered = lowerLoop(loop);
      locateSplitAgain();
    } else if (!op.hasTrait<OpTrait::ConstantLike>() &&
               !isa<delta::IdentityOp>(op))
      lowered = op.emitOpError() << "is not allowed in a role outside of "
                                    "sched.each_chunk";
    if (failed(lowered))
      return failure();
  }
  zeroUnownedRows();
  return success();
}

//===----------------------------------------------------------------------===//
// Chunks
//===----------------------------------------------------------------------===//

LogicalResult
RoleLowering::visitChunk(function_ref<LogicalResult(const Visit &)> body) {
  Value exists = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne,
                                       context.location->count, index(0));
  auto ifOp = scf::IfOp::create(builder, loc, exists, /*withElse=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  Value use = index(0);
  return body({context.location->locateChunk(builder, index(0)), use});
}

RoleLowering::Visit RoleLowering::getVisit(sched::EachChunkOp loop, Value use) {
  Value number = use;
  if (loop.getDirection() == delta::Direction::reverse) {
    Value last =
        arith::SubIOp::create(builder, loc, context.location->count, index(1));
    number = arith::SubIOp::create(builder, loc, last, use);
  }
  return {context.location->locateChunk(builder, number), use};
}

FailureOr<SmallVector<Value>>
RoleLowering::visitChunks(sched::EachChunkOp loop, ValueRange carries,
                          function_ref<LogicalResult(const Visit &, ValueRange,
                                                     SmallVectorImpl<Value> &)>
                              body) {
  beginGuests(loop);
  Value count = context.location->count;
  auto forOp = scf::ForOp::create(builder, loc, copy ? copy : index(0), count,
                                  index(role.getCopies()), carries);
  if (loop.getOverlap())
    forOp->setAttr(tile::kOverlapRoundsAttr, builder.getUnitAttr());
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(forOp.getBody());
  SmallVector<Value> next;
  if (failed(body(getVisit(loop, forOp.getInductionVar()),
                  forOp.getRegionIterArgs(), next)))
    return failure();
  if (!carries.empty())
    scf::YieldOp::create(builder, loc, next);
  return llvm::to_vector_of<Value>(forOp.getResults());
}

LogicalResult RoleLowering::lowerLoop(sched::EachChunkOp loop) {
  bool isOneChunk = context.kernel.getOver() == sched::GridOver::slots &&
                    context.kernel.getRun() == 1 && loop.getInits().empty();
  if (isOneChunk)
    return visitChunk([&](const Visit &visit) {
      beginGuests(loop);
      SmallVector<Value> none;
      return lowerChunk(loop, visit, {}, none);
    });
  SmallVector<Value> inits;
  for (auto [init, arg] :
       llvm::zip_equal(loop.getInits(), loop.getCarryArgs())) {
    inits.push_back(startCarry(init, arg));
    if (!inits.back())
      return failure();
  }
  FailureOr<SmallVector<Value>> finals =
      visitChunks(loop, inits,
                  [&](const Visit &visit, ValueRange carries,
                      SmallVectorImpl<Value> &next) {
                    return lowerChunk(loop, visit, carries, next);
                  });
  if (failed(finals))
    return failure();
  for (auto [final, lowered] : llvm::zip_equal(loop.getFinals(), *finals))
    carried[final] = lowered;
  return success();
}

//===----------------------------------------------------------------------===//
// One chunk
//===----------------------------------------------------------------------===//

LogicalResult RoleLowering::lowerSink(Operation *sink, RegionLowering &lowering,
                                      const Visit &visit) {
  if (auto put = dyn_cast<sched::PutOp>(sink))
    return lowerPut(put, lowering, visit);
  return storeOut(cast<sched::StoreOp>(sink), lowering, visit);
}

/// True for a sum of the rows or columns of a matrix.
static bool isSumOfMatrix(Operation *op) {
  return isa<linalg::ReduceOp>(op) &&
         cast<RankedTensorType>(op->getOperand(0).getType()).getRank() == 2;
}

/// True if `sink` stores a carry and stands behind a product that is still to
/// be lowered: it leaves beside that. Or if it is put behind sums, which are
/// made in its place first.
static bool isHeldBack(Operation *sink,
                       const llvm::SmallPtrSetImpl<Operation *> &waiting) {
  if (isa<sched::PutOp>(sink) && llvm::any_of(waiting, [&](Operation *op) {
        return isSumOfMatrix(op) && op->isBeforeInBlock(sink);
      }))
    return true;
  auto store = dyn_cast<sched::StoreOp>(sink);
  return store && isa<BlockArgument>(store.getTile()) &&
         llvm::any_of(waiting, [&](Operation *op) {
           auto chunkOp = dyn_cast<delta::ChunkRegionOpInterface>(op);
           return chunkOp && chunkOp.getMatmulFlops() > 0 &&
                  op->isBeforeInBlock(sink);
         });
}

bool RoleLowering::sumsColumns() {
  auto isSumOfColumns = [](linalg::ReduceOp sum) {
    return isSumOfMatrix(sum) && sum.getDimensions() == ArrayRef<int64_t>(0);
  };
  return llvm::any_of(context.kernel.getRoles(), [&](sched::RoleOp other) {
    return !context.orientation.isSplit(other) &&
           llvm::any_of(
               other.getEachChunk().getBlock().getOps<linalg::ReduceOp>(),
               isSumOfColumns);
  });
}

bool RoleLowering::hasPlenty() {
  constexpr int64_t kPlenty = 144;
  return context.kernel.getCluster() && sumsColumns() &&
         llvm::all_of(context.kernel.getRoles(), [](sched::RoleOp other) {
           auto warps = static_cast<int64_t>(other.getWarps());
           return warps < tile::kWarpgroupWarps ||
                  other.getRegisters().value_or(0) >= kPlenty;
         });
}

/// Says that the kernel that is being built has a role which is short of
/// registers, or of those for addresses alone: it sums the rows and the columns
/// of products beside the products, or stores in turn with other blocks what it
/// hands these.
static void markFew(OpBuilder &builder, StringRef name) {
  Operation *parent = builder.getInsertionBlock()->getParentOp();
  parent->getParentOfType<tile::KernelOp>()->setAttr(name,
                                                     builder.getUnitAttr());
}

/// A tile leaves as soon as it is made: its registers are free for what
/// follows, and other roles wait for it.
LogicalResult RoleLowering::lowerOps(Block &block, RegionLowering &lowering,
                                     const Visit &visit) {
  std::optional<delta::DecayedProducts> products = findDecayedProducts(block);
  if (products)
    lowering.setDone(products->ops);
  SmallVector<Operation *> ops =
      lowering.plan(block, takesInPlace(), getsLate());
  if (sumsColumns())
    markFew(builder,
            hasPlenty() ? tile::kFewAddressesAttr : tile::kFewRegistersAttr);
  else if (role.getInTurn() && !block.getOps<sched::StoreOp>().empty())
    markFew(builder, tile::kFewRegistersAttr);
  llvm::SmallPtrSet<Operation *, 16> waiting(ops.begin(), ops.end());
  SmallVector<Operation *> sinks;
  for (Operation &op : block)
    if (isSink(&op) && !isa<sched::YieldOp>(op) &&
        !(products && products->stores(&op)))
      sinks.push_back(&op);
  auto lowerReadySinks = [&]() -> LogicalResult {
    for (Operation *&sink : sinks) {
      auto isWaiting = [&](Value operand) {
        return waiting.contains(operand.getDefiningOp());
      };
      if (!sink || llvm::any_of(sink->getOperands(), isWaiting) ||
          isHeldBack(sink, waiting))
        continue;
      if (failed(lowerSink(std::exchange(sink, nullptr), lowering, visit)))
        return failure();
    }
    return success();
  };
  if (products)
    lowerDecayedProducts(*products, lowering, visit);
  if (failed(lowerReadySinks()))
    return failure();
  // What is summed several times before other tiles are there is loaded once.
  if (getsLate())
    for (auto load : block.getOps<sched::LoadOp>())
      if (!delta::getOnlyReader(load.getTile()) && failed(lowering.hold(load)))
        return failure();
  for (Operation *op : ops) {
    waiting.erase(op);
    if (auto factor = dyn_cast<delta::EraseFactorOp>(op))
      acquireFor(factor, lowering, visit);
    if (takesInPlace() && !hasPlenty() && isSumOfMatrix(op))
      acquireForSums(op, visit);
    if (auto get = dyn_cast<sched::GetOp>(op))
      lowerGet(get, lowering, visit);
    else if (failed(lowering.lower(op)))
      return failure();
    if (failed(lowerReadySinks()))
      return failure();
  }
  return success();
}

bool RoleLowering::getsLate() {
  return llvm::any_of(
      role.getEachChunk().getBlock().getOps<sched::GetOp>(),
      [](sched::GetOp get) { return findLatePut(get) != nullptr; });
}

bool RoleLowering::takesInPlace() {
  Block &block = role.getEachChunk().getBlock();
  bool hasPut = false;
  for (Operation &op : block) {
    auto get = dyn_cast<sched::GetOp>(op);
    bool isComputed =
        get && get.getChannel().getDefiningOp<sched::ChannelOp>().getFill() ==
                   sched::Fill::warps;
    if (get && (hasPut || (isComputed && block.getOps<sched::PutOp>().empty())))
      return true;
    hasPut |= isa<sched::PutOp>(op);
  }
  return context.orientation.isSplit(role);
}

LogicalResult RoleLowering::lowerChunk(sched::EachChunkOp loop,
                                       const Visit &visit, ValueRange carries,
                                       SmallVectorImpl<Value> &next) {
  if (!role.getInTurn())
    return lowerOwnChunk(loop, visit, carries, next);
  auto ifOp = scf::IfOp::create(builder, loc, isTurn(visit), /*withElse=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  if (failed(lowerOwnChunk(loop, visit, carries, next)))
    return failure();
  builder.setInsertionPointToStart(ifOp.elseBlock());
  passTurn(loop, visit);
  return success();
}

LogicalResult RoleLowering::lowerOwnChunk(sched::EachChunkOp loop,
                                          const Visit &visit,
                                          ValueRange carries,
                                          SmallVectorImpl<Value> &next) {
  lowerGuests(loop, visit.use);
  Block &block = loop.getBlock();
  RegionLowering lowering(builder, context.orientation,
                          context.orientation.isSplit(role), context.roles,
                          {static_cast<int64_t>(role.getSplit()) *
                               static_cast<int64_t>(role.getCopies()),
                           group, barrier});
  SmallVector<sched::GetOp> gets(block.getOps<sched::GetOp>());
  lowering.setPlenty(hasPlenty());
  lowering.setFull(sumsColumns());
  lowering.setRegister(loop.getValid(), visit.chunk.valid);
  lowering.setPlace(visit.chunk.position, context.location->head);
  if (!context.orientation.isSplit(role))
    lowering.setFetch([&](sched::LoadOp load, RankedTensorType type) {
      return fetchIn(load, type, visit);
    });
  if (zeroesAtOnce())
    zeroTails(visit, llvm::map_to_vector(gets, [](sched::GetOp get) {
                return std::pair(get, SmallVector<Value>());
              }));
  if (!takesInPlace() && !getsLate())
    for (sched::GetOp get : gets)
      lowerGet(get, lowering, visit);
  for (auto [arg, carry] : llvm::zip_equal(loop.getCarryArgs(), carries))
    lowering.setRegister(arg, carry);
  if (failed(lowerOps(block, lowering, visit)))
    return failure();
  context.numProducts += lowering.getNumProducts();
  context.numStaged += lowering.getNumStaged();
  for (Value carry : loop.getYield().getCarries()) {
    next.push_back(lowering.getRegister(carry, loop.getYield()));
    if (!next.back())
      return failure();
  }
  keepCarries(loop, next, visit);
  for (sched::GetOp get : gets) {
    if (!released.contains(get))
      lowerRelease(get, lowering, visit);
    lowerGuestsBehind(get, loop);
  }
  endGuests(loop);
  sinkIntoRareStores();
  return success();
}
