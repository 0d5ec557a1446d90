//===- Carries.cpp - What a role's loop starts from and ends in ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RoleLowering.h"

#include "wyvern/Dialect/Tile/IR/Hints.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// The parts that a sequence begins with, that begin with what another has
/// handed on, that hand on themselves, and that it ends with: wyvern_part of
/// wyvern_rt.h.
static constexpr int64_t kFirstPart = 1, kSecondPart = 2, kMiddlePart = 3,
                         kLastPart = 4;

/// Returns the place of a carry that starts with the block's first chunk, or in
/// slot `slot` of its pool.
static Chunk getCarryPlace(const BlockLocation &location, Value zero,
                           Value slot) {
  Chunk start;
  start.row = zero;
  start.slot = slot ? slot : location.runSlot;
  return start;
}

Value RoleLowering::loadMatrix(BlockArgument source, Value tile, Value slot) {
  int64_t m = *context.orientation.getM(tile);
  RankedTensorType type = getRegisterType(tile, m, /*isSplit=*/true);
  RankedTensorType held = type.clone(getTensor(source).getElementType());
  Value loaded = tile::LoadMatrixOp::create(
      builder, loc, held, context.arguments.lookup(source),
      getCoordinates(source, getCarryPlace(*context.location, index(0), slot),
                     m),
      matrixDims(context.kernel.getBinding(source), m),
      /*pairs=*/static_cast<bool>(slot));
  return held == type ? loaded
                      : arith::ExtFOp::create(builder, loc, type, loaded);
}

void RoleLowering::storeMatrix(BlockArgument target, Value tile, Value value,
                               Value slot) {
  int64_t m = *context.orientation.getM(tile);
  SmallVector<Value> coords = getCoordinates(
      target, getCarryPlace(*context.location, index(0), slot), m);
  SmallVector<int64_t> dims = matrixDims(context.kernel.getBinding(target), m);
  auto type = cast<RankedTensorType>(value.getType());
  RankedTensorType held = type.clone(getTensor(target).getElementType());
  if (held != type && context.seeds)
    value = createStochasticTrunc(
        builder, loc, value,
        tile::LoadIndexOp::create(builder, loc, context.seeds,
                                  context.location->sequence, index(0)),
        getTensor(target), coords, dims);
  else if (held != type)
    value = arith::TruncFOp::create(builder, loc, held, value);
  tile::StoreMatrixOp::create(builder, loc, value,
                              context.arguments.lookup(target), coords, dims,
                              /*pairs=*/static_cast<bool>(slot));
}

//===----------------------------------------------------------------------===//
// Pools of states
//===----------------------------------------------------------------------===//

/// Returns an entry of `slots`; none where that is null.
Value RoleLowering::loadSlot(Value slots, Value at) {
  return tile::LoadIndexOp::create(builder, loc, slots, at, index(-1));
}

/// Returns whether `slot` is one.
Value RoleLowering::isSlot(Value slot) {
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sge, slot,
                               index(context.kernel.getFirstSlot()));
}

/// Returns where the sequence's state is: in its slot, which may be none, or,
/// where the parts from `firstPart` to `lastPart` hand it on, in its row.
RoleLowering::Place RoleLowering::locateState(Value slots, int64_t firstPart,
                                              int64_t lastPart) {
  Value sequence = context.location->sequence;
  Value slot = loadSlot(slots, sequence), isThere = isSlot(slot);
  if (!context.launch.part)
    return {slot, isThere};
  auto is = [&](arith::CmpIPredicate predicate, int64_t part) -> Value {
    return arith::CmpIOp::create(builder, loc, predicate, context.launch.part,
                                 index(part));
  };
  Value isFrom = is(arith::CmpIPredicate::uge, firstPart);
  Value isTo = is(arith::CmpIPredicate::ule, lastPart);
  Value isHandedOn = arith::AndIOp::create(builder, loc, isFrom, isTo);
  return {arith::SelectOp::create(builder, loc, isHandedOn, sequence, slot),
          arith::OrIOp::create(builder, loc, isHandedOn, isThere)};
}

/// Returns the tile of a sequence's state, or zeros where it reads none.
Value RoleLowering::loadFromPool(BlockArgument source, Value tile) {
  Place place = locateState(context.readSlots, kSecondPart, kLastPart);
  RankedTensorType type =
      getRegisterType(tile, *context.orientation.getM(tile), /*isSplit=*/true);
  auto ifOp = scf::IfOp::create(builder, loc, type, place.isThere,
                                /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  scf::YieldOp::create(builder, loc, loadMatrix(source, tile, place.row));
  builder.setInsertionPointToStart(ifOp.elseBlock());
  Value zeros =
      arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
  scf::YieldOp::create(builder, loc, zeros);
  return ifOp.getResult(0);
}

scf::IfOp RoleLowering::storeIntoPool(BlockArgument target, Value tile,
                                      Value value, Place place) {
  auto ifOp =
      scf::IfOp::create(builder, loc, place.isThere, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(ifOp.thenBlock());
  storeMatrix(target, tile, value, place.row);
  return ifOp;
}

/// Returns the operation that waits for the first products of a chunk; null if
/// there is none.
static Operation *findFirstAwait(Block &chunk) {
  auto awaits = chunk.getOps<tile::AwaitOp>();
  auto found = llvm::find_if(
      awaits, [](tile::AwaitOp await) { return await.getPending() == 0; });
  return found == awaits.end() ? nullptr : (*found).getOperation();
}

/// Returns the slot that carries are kept in behind the chunk. It is asked for
/// behind the first products: at the chunk's end a warp would wait for it, at
/// its beginning for registers that the stores of the last one still read.
Value RoleLowering::loadKeepSlot(const Visit &visit) {
  OpBuilder::InsertionGuard guard(builder);
  if (Operation *await = findFirstAwait(*builder.getInsertionBlock()))
    builder.setInsertionPointAfter(await);
  Value slot = loadSlot(context.keepSlots, visit.chunk.slot);
  slot.getDefiningOp()->setAttr(tile::kAskedFirstAttr, builder.getUnitAttr());
  return slot;
}

/// What is stored into pools behind the loop is kept in it.
void RoleLowering::keepCarries(sched::EachChunkOp loop, ValueRange next,
                               const Visit &visit) {
  if (!context.keepSlots || next.empty())
    return;
  Value slot = loadKeepSlot(visit);
  for (auto store : role.getBlock().getOps<sched::StoreOp>()) {
    auto target = cast<BlockArgument>(store.getTarget());
    auto result = cast<OpResult>(store.getTile());
    if (!context.kernel.getBinding(target).has(DimKind::slot) ||
        !context.arguments.lookup(target))
      continue;
    auto ifOp =
        storeIntoPool(target, store.getTile(), next[result.getResultNumber()],
                      {slot, isSlot(slot)});
    ifOp->setAttr(tile::kSettlesAttr, builder.getUnitAttr());
  }
}

//===----------------------------------------------------------------------===//
// Before and behind the loop
//===----------------------------------------------------------------------===//

LogicalResult RoleLowering::loadCarry(sched::LoadOp load) {
  auto source = cast<BlockArgument>(load.getSource());
  carried[load.getTile()] = context.readSlots
                                ? loadFromPool(source, load.getTile())
                                : loadMatrix(source, load.getTile());
  return success();
}

LogicalResult RoleLowering::storeCarry(sched::StoreOp store) {
  auto target = cast<BlockArgument>(store.getTarget());
  Value tile = store.getTile(), value = carried.lookup(tile);
  // A final that nobody reads has no argument. A pool that is no carry has all
  // that belongs there.
  if (!context.arguments.lookup(target) ||
      (!context.writeSlots &&
       context.kernel.getBinding(target).has(DimKind::slot)))
    return success();
  if (context.writeSlots)
    storeIntoPool(target, tile, value,
                  locateState(context.writeSlots, kFirstPart, kMiddlePart));
  else
    storeMatrix(target, tile, value);
  return success();
}

//===----------------------------------------------------------------------===//
// Carries that start from what the role makes
//===----------------------------------------------------------------------===//

/// Returns this group's rows of the identity: 1 where the number of a row, in
/// the whole matrix, is that of the column.
static Value createIdentity(OpBuilder &builder, Location loc,
                            RankedTensorType type, Value firstRow) {
  auto indexType = tile::getTileType(type.getShape(), builder.getI32Type(),
                                     tile::LayoutKind::acc);
  Value first = tile::BroadcastOp::create(
      builder, loc, indexType,
      arith::IndexCastOp::create(builder, loc, builder.getI32Type(), firstRow));
  Value row = arith::AddIOp::create(
      builder, loc, tile::IndexOp::create(builder, loc, indexType, 0), first);
  Value column = tile::IndexOp::create(builder, loc, indexType, 1);
  Value isOne = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                      row, column);
  auto splat = [&](double value) -> Value {
    return arith::ConstantOp::create(
        builder, loc,
        DenseElementsAttr::get(
            type, builder.getFloatAttr(type.getElementType(), value)));
  };
  return arith::SelectOp::create(builder, loc, isOne, splat(1), splat(0));
}

Value RoleLowering::startCarry(Value init, Value carry) {
  if (Value loaded = carried.lookup(init))
    return loaded;
  RankedTensorType type =
      getRegisterType(carry, context.orientation.getM(carry), /*isSplit=*/true);
  if (init.getDefiningOp<IdentityOp>())
    return createIdentity(builder, loc, type, splitStart);
  auto splat = dyn_cast_or_null<FloatAttr>(getSplatValue(init));
  if (!splat) {
    init.getDefiningOp()->emitOpError()
        << "starts a carry and is not one number throughout; the GPU path "
           "takes splat constants and delta.identity";
    return {};
  }
  return arith::ConstantOp::create(builder, loc,
                                   DenseElementsAttr::get(type, splat));
}
