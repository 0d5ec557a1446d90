//===- RegionLowering.cpp - The region of a chunk program, op by op -----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RegionLowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;
using tile::LayoutKind;

//===----------------------------------------------------------------------===//
// Where values are
//===----------------------------------------------------------------------===//

RankedTensorType RegionLowering::getRegisterType(Value value,
                                                 std::optional<int64_t> m) {
  RankedTensorType type = tensorOf(value);
  if (type.getRank() == 1) {
    LayoutKind layout = isMap ? LayoutKind::warp
                        : m   ? LayoutKind::row
                              : LayoutKind::col;
    int64_t size = !isMap && m ? tile::kAccRows : type.getDimSize(0);
    return tile::getTileType({size}, type.getElementType(), layout);
  }
  return tile::getTileType({tile::kAccRows, type.getDimSize(1 - *m)},
                           type.getElementType(), LayoutKind::acc);
}

Value RegionLowering::getShared(Value value) {
  if (Value tile = shared.lookup(value))
    return tile;
  auto rounded = value.getDefiningOp<arith::TruncFOp>();
  if (!rounded)
    return {};
  Value tile = shared.lookup(rounded.getIn());
  if (!tile)
    return {};
  auto type = cast<tile::SmemType>(tile.getType());
  return type.getElementType() == tensorOf(value).getElementType() ? tile
                                                                   : Value();
}

Value RegionLowering::constant(Location loc, Type type, double value) {
  Type element = getElementTypeOrSelf(type);
  TypedAttr attr =
      isa<FloatType>(element)
          ? TypedAttr(FloatAttr::get(element, value))
          : TypedAttr(IntegerAttr::get(element, static_cast<int64_t>(value)));
  if (auto shaped = dyn_cast<ShapedType>(type))
    attr = DenseElementsAttr::get(shaped, Attribute(attr));
  return arith::ConstantOp::create(builder, loc, attr);
}

Value RegionLowering::getRegister(Value value, Operation *user,
                                  std::optional<int64_t> m) {
  if (Value lowered = registers.lookup(value))
    return lowered;
  Location loc = user->getLoc();
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (isSplat(value)) {
    auto splat = dyn_cast_or_null<FloatAttr>(getSplatValue(value));
    if (!splat || (type && type.getRank() == 2 && !m)) {
      user->emitOpError()
          << "reads a constant that is not one number throughout; "
             "the GPU path takes splat constants only";
      return {};
    }
    Type target = !type || type.getRank() == 0
                      ? splat.getType()
                      : Type(getRegisterType(value, m));
    return constant(loc, target, splat.getValueAsDouble());
  }
  Value tile = shared.lookup(value);
  if (!m)
    m = orientation.getM(value);
  if (!tile || (type.getRank() == 2 && !m)) {
    user->emitOpError()
        << "needs " << value.getType()
        << " in registers, but it has no dimension to be the 64 rows of an "
           "accumulator; the GPU path can only multiply by it (as a plain in)";
    return {};
  }

  // An in that is read elementwise: brought to registers once, widened.
  RankedTensorType target = getRegisterType(value, m);
  auto smem = cast<tile::SmemType>(tile.getType());
  RankedTensorType stored = tile::getTileType(
      target.getShape(), smem.getElementType(), *tile::getLayout(target));
  bool transpose = type.getRank() == 2 && *m == 1;
  Value lowered = tile::ReadOp::create(builder, loc, stored, tile, transpose);
  if (stored != target)
    lowered = arith::ExtFOp::create(builder, loc, target, lowered);
  registers[value] = lowered;
  return lowered;
}

//===----------------------------------------------------------------------===//
// Elementwise operations
//===----------------------------------------------------------------------===//

LogicalResult RegionLowering::lowerElementwise(Operation *op) {
  Value result = op->getResult(0);
  if (isa<math::MathDialect>(op->getDialect()) &&
      !isa<math::ExpOp, math::Exp2Op>(op))
    return op->emitOpError() << "has no lowering to the GPU so far: of math, "
                                "only exp and exp2 (target \"cpu\" takes it)";
  if (getShared(result))
    return success(); // an in rounded to what it is stored as: still the in
  std::optional<int64_t> m = orientation.getM(result);
  auto type = tensorOf(result);
  if (type.getRank() == 2 && !m)
    return op->emitOpError()
           << "computes " << type
           << ", which has no dimension to be the 64 rows of an accumulator: "
              "in a scan, compute it in a map before (delta-stage)";
  IRMapping mapping;
  for (Value operand : op->getOperands()) {
    Value lowered = getRegister(operand, op, m);
    if (!lowered)
      return failure();
    mapping.map(operand, lowered);
  }
  Operation *clone = builder.clone(*op, mapping);
  clone->getResult(0).setType(type.getRank() == 0
                                  ? type.getElementType()
                                  : Type(getRegisterType(result, m)));
  registers[result] = clone->getResult(0);
  return success();
}

//===----------------------------------------------------------------------===//
// Vectors
//===----------------------------------------------------------------------===//

Value RegionLowering::alongTile(Location loc, Value vector, LayoutKind layout,
                                int64_t repeat) {
  RankedTensorType type = tensorOf(vector);
  if (tile::getLayout(type) == layout && repeat == 1)
    return vector;
  auto target = tile::getTileType({type.getDimSize(0) * repeat},
                                  type.getElementType(), layout);
  return tile::RelayoutOp::create(builder, loc, target, vector, repeat);
}

Value RegionLowering::spread(Location loc, Value source,
                             RankedTensorType type) {
  return tile::BroadcastOp::create(builder, loc, type, source);
}

LogicalResult RegionLowering::lowerBroadcast(linalg::BroadcastOp op) {
  Value result = op->getResult(0);
  std::optional<int64_t> m = orientation.getM(result);
  Value source = getRegister(op.getInput(), op);
  if (!source)
    return failure();
  if (tensorOf(result).getRank() == 2 && !m)
    return op.emitOpError()
           << "computes " << result.getType()
           << ", which has no dimension to be the 64 rows of an accumulator: "
              "in a scan, compute it in a map before (delta-stage)";
  RankedTensorType type = getRegisterType(result, m);
  if (tensorOf(op.getInput()).getRank() == 1) {
    int64_t kept = op.getDimensions().front() == 0 ? 1 : 0;
    source = alongTile(op.getLoc(), source,
                       kept == *m ? LayoutKind::row : LayoutKind::col, 1);
  }
  registers[result] = spread(op.getLoc(), source, type);
  return success();
}

LogicalResult RegionLowering::lowerReduce(linalg::ReduceOp op) {
  Block *body = op.getBlock();
  auto init = dyn_cast_or_null<FloatAttr>(
      isSplat(op.getInits().front()) ? getSplatValue(op.getInits().front())
                                     : TypedAttr());
  bool isSum = body->getOperations().size() == 2 &&
               isa<arith::AddFOp>(body->front()) && init &&
               init.getValue().isZero();
  Value source = op.getInputs().front();
  if (!isSum || tensorOf(source).getRank() != 1)
    return op.emitError() << "expected the sum of a vector, from zero; the GPU "
                             "path takes no other reduction so far";
  Value vector = getRegister(source, op);
  if (!vector)
    return failure();
  registers[op.getResult(0)] =
      tile::SumOp::create(builder, op.getLoc(), builder.getF32Type(), vector);
  return success();
}

LogicalResult RegionLowering::lowerCumsum(CumsumOp op) {
  if (!isMap || tensorOf(op.getX()).getRank() != 1)
    return op.emitError()
           << "expected a running sum of a vector in a chunk_map; "
              "run delta-stage";
  Value x = getRegister(op.getX(), op);
  if (!x)
    return failure();
  registers[op.getY()] = tile::CumsumOp::create(
      builder, op.getLoc(), x.getType(), x, op.getReverse(), op.getExclusive());
  return success();
}

LogicalResult RegionLowering::lowerRepeatRows(RepeatRowsOp op) {
  if (!isMap || tensorOf(op.getX()).getRank() != 1)
    return op.emitError()
           << "expected a vector in a chunk_map; run delta-stage";
  Value x = getRegister(op.getX(), op);
  if (!x)
    return failure();
  registers[op.getY()] = alongTile(op.getLoc(), x, LayoutKind::warp, op.getN());
  return success();
}

LogicalResult RegionLowering::lower(Operation *op) {
  // Splats are made where they are used.
  if (op->getNumResults() == 1 && isSplat(op->getResult(0)))
    return success();
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](linalg::ContractOp o) { return lowerContract(o); })
      .Case([&](linalg::BroadcastOp o) { return lowerBroadcast(o); })
      .Case([&](linalg::ReduceOp o) { return lowerReduce(o); })
      .Case([&](DecayDotOp o) { return lowerDecayDot(o); })
      .Case([&](EraseFactorOp o) { return lowerEraseFactor(o); })
      .Case([&](CumsumOp o) { return lowerCumsum(o); })
      .Case([&](RepeatRowsOp o) { return lowerRepeatRows(o); })
      .Default([&](Operation *o) -> LogicalResult {
        if (o->hasTrait<OpTrait::Elementwise>() && o->getNumResults() == 1)
          return lowerElementwise(o);
        return o->emitOpError() << "has no lowering to the GPU so far (target "
                                   "\"cpu\" takes it)";
      });
}
