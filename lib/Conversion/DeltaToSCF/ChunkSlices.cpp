//===- ChunkSlices.cpp - Tiles in and out of whole tensors ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ChunkLoopBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// Slots of `multiple` chunks each that the whole batch has.
Value ChunkLoopBuilder::createSlotCount(int64_t multiple) {
  int64_t length = program.chunk * multiple;
  Value dense =
      b.createOrFold<arith::MulIOp>(batchRows, ceilDiv(tokens, length));
  if (!packed)
    return dense;
  Value sparse = createAdd(b, createFloorDiv(b, tokens, length), sequences);
  return arith::SelectOp::create(b, packed, sparse, dense);
}

/// The slot of the chunk that `at` is at.
Value ChunkLoopBuilder::createSlot(const Position &at, int64_t multiple) {
  int64_t length = program.chunk * multiple;
  Value first =
      b.createOrFold<arith::MulIOp>(at.sequence, ceilDiv(tokens, length));
  if (packed) {
    Value sparse =
        createAdd(b, createFloorDiv(b, at.start, length), at.sequence);
    first = arith::SelectOp::create(b, packed, sparse, first);
  }
  return createAdd(b, first, createFloorDiv(b, at.chunk, multiple));
}

Slice ChunkLoopBuilder::getSlice(const Bound &bound, const Position &at) {
  Slice slice;
  SmallVector<int64_t> shape;
  bool isTimed = bound.binding.has(DimKind::time);
  auto keep = [&](OpFoldResult size) {
    slice.tileOffsets.push_back(b.getIndexAttr(0));
    slice.tileSizes.push_back(size);
    slice.tileStrides.push_back(b.getIndexAttr(1));
    shape.push_back(getConstantIntValue(size).value_or(ShapedType::kDynamic));
  };
  for (auto [dim, size] :
       llvm::zip_equal(bound.binding.getDims(), bound.type.getShape())) {
    OpFoldResult offset = b.getIndexAttr(0), extent = b.getIndexAttr(1);
    int64_t stride = 1;
    switch (dim.kind) {
    case DimKind::seq:
      offset = isTimed ? at.batch : at.sequence;
      break;
    case DimKind::chunk:
      offset = createSlot(at, dim.multiple);
      break;
    case DimKind::slot:
      offset = at.poolSlot;
      break;
    case DimKind::head:
      offset = dim.multiple == 1
                   ? createFloorDiv(b, at.head, program.heads / size)
                   : createAdd(b, createMul(b, at.head, dim.multiple),
                               index(dim.offset));
      break;
    case DimKind::time:
      offset = createMul(b, at.token, dim.multiple);
      extent = createMul(b, at.valid, dim.getRowsOfToken());
      if (dim.isRow) {
        offset = createAdd(b, cast<Value>(offset), index(dim.offset));
        stride = dim.multiple;
      }
      keep(extent);
      break;
    case DimKind::whole:
      offset = b.getIndexAttr(dim.offset);
      extent = b.getIndexAttr(dim.getExtent(size));
      if (dim.parts > 1)
        offset = createMul(
            b, b.createOrFold<arith::RemUIOp>(at.head, index(dim.parts)),
            dim.getExtent(size));
      if (!dim.hasEqualParts(size))
        extent = b.createOrFold<arith::MinUIOp>(
            index(dim.getExtent(size)),
            b.createOrFold<arith::SubIOp>(index(size), cast<Value>(offset)));
      keep(extent);
      break;
    }
    slice.offsets.push_back(offset);
    slice.sizes.push_back(extent);
    slice.strides.push_back(b.getIndexAttr(stride));
  }
  slice.type = RankedTensorType::get(shape, bound.type.getElementType());
  return slice;
}

/// Copies elementwise into `to`, with the cast between the two types. A generic
/// op and not arith.extf, so that the destination is known to bufferization.
Value ChunkLoopBuilder::createCopy(Value from, Value to) {
  int64_t rank = tileType(from).getRank();
  SmallVector<AffineMap> maps(2, b.getMultiDimIdentityMap(rank));
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  auto body = [](OpBuilder &builder, Location loc, ValueRange args) {
    Type from = args[0].getType(), to = args[1].getType();
    Value value = args[0];
    if (from.getIntOrFloatBitWidth() < to.getIntOrFloatBitWidth())
      value = arith::ExtFOp::create(builder, loc, to, value);
    else if (from != to)
      value = arith::TruncFOp::create(builder, loc, to, value);
    linalg::YieldOp::create(builder, loc, value);
  };
  return linalg::GenericOp::create(b, to.getType(), from, to, maps, iterators,
                                   body)
      .getResult(0);
}

Value ChunkLoopBuilder::createLoad(const Bound &bound, const Position &at) {
  Slice slice = getSlice(bound, at);
  Value tile = createZeroTile(
      b, bound.binding.getTileType(bound.type, program.chunk, program.compute));
  Value rows = tensor::ExtractSliceOp::create(
      b, slice.type, bound.operand, slice.offsets, slice.sizes, slice.strides);
  Value valid = tensor::ExtractSliceOp::create(
      b, slice.type.clone(program.compute), tile, slice.tileOffsets,
      slice.tileSizes, slice.tileStrides);
  return tensor::InsertSliceOp::create(b, createCopy(rows, valid), tile,
                                       slice.tileOffsets, slice.tileSizes,
                                       slice.tileStrides);
}

/// True at the chunk whose out is the slot's: chunk i of the m that share it,
/// or the sequence's last chunk where they are fewer.
Value ChunkLoopBuilder::createIsStored(const Position &at,
                                       BindingAttr binding) {
  int64_t multiple = binding.getChunkMultiple();
  Value place = arith::RemUIOp::create(b, at.chunk, index(multiple));
  auto equals = [&](Value x, Value y) -> Value {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, x, y);
  };
  Value isPlace = equals(place, index(binding.getChunkOffset()));
  if (binding.getChunkOffset() == 0)
    return isPlace;
  Value isBefore = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, place,
                                         index(binding.getChunkOffset()));
  Value last = createSub(b, ceilDiv(at.length, program.chunk), index(1));
  return arith::OrIOp::create(
      b, isPlace, arith::AndIOp::create(b, isBefore, equals(at.chunk, last)));
}

/// What several chunks share a slot for is that of one of them.
Value ChunkLoopBuilder::createOut(Value tile, Value whole, const Bound &bound,
                                  const Position &at) {
  int64_t multiple = bound.binding.getChunkMultiple();
  if (multiple == 1)
    return createStore(tile, whole, bound, at);
  auto ifOp =
      scf::IfOp::create(b, whole.getType(), createIsStored(at, bound.binding),
                        /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(ifOp.thenBlock());
  scf::YieldOp::create(b, createStore(tile, whole, bound, at));
  b.setInsertionPointToStart(ifOp.elseBlock());
  scf::YieldOp::create(b, whole);
  return ifOp.getResult(0);
}

Value ChunkLoopBuilder::createStore(Value tile, Value whole, const Bound &bound,
                                    const Position &at) {
  Slice slice = getSlice(bound, at);
  Value valid = tensor::ExtractSliceOp::create(
      b, slice.type.clone(program.compute), tile, slice.tileOffsets,
      slice.tileSizes, slice.tileStrides);
  Value rows = tensor::ExtractSliceOp::create(
      b, slice.type, whole, slice.offsets, slice.sizes, slice.strides);
  bool isRounded = program.seeds && bound.binding.has(DimKind::slot) &&
                   bound.type.getElementType().isBF16();
  Value copied = isRounded ? createRoundedCopy(valid, rows, bound, slice, at)
                           : createCopy(valid, rows);
  return tensor::InsertSliceOp::create(b, copied, whole, slice.offsets,
                                       slice.sizes, slice.strides);
}
