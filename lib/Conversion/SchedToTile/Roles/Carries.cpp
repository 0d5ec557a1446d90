//===- Carries.cpp - What a role's loop starts from and ends in ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RoleLowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// Returns the place of a carry that starts with the block's first chunk.
static Chunk getCarryPlace(const BlockLocation &location, Value zero) {
  Chunk start;
  start.row = zero;
  start.slot = location.runSlot;
  return start;
}

LogicalResult RoleLowering::loadCarry(sched::LoadOp load) {
  auto source = cast<BlockArgument>(load.getSource());
  int64_t m = *context.orientation.getM(load.getTile());
  carried[load.getTile()] = tile::LoadMatrixOp::create(
      builder, loc, getRegisterType(load.getTile(), m, /*isSplit=*/true),
      context.arguments.lookup(source),
      getCoordinates(source, getCarryPlace(*context.location, index(0)), m),
      matrixDims(context.kernel.getBinding(source), m));
  return success();
}

LogicalResult RoleLowering::storeCarry(sched::StoreOp store) {
  auto target = cast<BlockArgument>(store.getTarget());
  // A final that nobody reads has no argument.
  Value argument = context.arguments.lookup(target);
  if (!argument)
    return success();
  int64_t m = *context.orientation.getM(store.getTile());
  tile::StoreMatrixOp::create(
      builder, loc, carried.lookup(store.getTile()), argument,
      getCoordinates(target, getCarryPlace(*context.location, index(0)), m),
      matrixDims(context.kernel.getBinding(target), m));
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
