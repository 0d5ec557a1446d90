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

static RankedTensorType tensorOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

static bool isHalf(Type type) { return type.isBF16() || type.isF16(); }

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
  TypedAttr attr = isa<FloatType>(element)
                       ? TypedAttr(FloatAttr::get(element, value))
                       : TypedAttr(IntegerAttr::get(
                             element, static_cast<int64_t>(value)));
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
  Value lowered =
      tile::ReadOp::create(builder, loc, stored, tile, transpose);
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
// Products
//===----------------------------------------------------------------------===//

Value RegionLowering::emitMma(Location loc, Value a, bool transposeA, Value b,
                              bool transposeB, Value c,
                              RankedTensorType type) {
  ++numProducts;
  auto inflight = tile::InflightType::get(builder.getContext(), type);
  Value d = tile::MmaOp::create(builder, loc, inflight, a, b, c, transposeA,
                                transposeB);
  return tile::AwaitOp::create(builder, loc, type, d);
}

/// What a wgmma takes besides its 64 rows.
static LogicalResult checkProduct(Operation *op, int64_t k, int64_t n) {
  if (k % 16 == 0 && n % 8 == 0 && n <= 256)
    return success();
  return op->emitOpError()
         << "sums over " << k << " elements into " << n
         << " columns; the tensor cores take a multiple of 16 and a multiple "
            "of 8 up to 256: use other head dimensions or fewer rows a token";
}

/// Position of iteration dimension `dim` among the results of `map`.
static std::optional<int64_t> findDim(AffineMap map, unsigned dim) {
  for (auto [i, expr] : llvm::enumerate(map.getResults()))
    if (cast<AffineDimExpr>(expr).getPosition() == dim)
      return i;
  return std::nullopt;
}

LogicalResult RegionLowering::lowerContract(linalg::ContractOp op) {
  Value result = op.getResult(0);
  std::optional<int64_t> m = orientation.getM(result);
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  if (!m || maps[0].getNumDims() != 3 || tensorOf(result).getRank() != 2)
    return op.emitError() << "expected a product of two matrices whose result "
                             "has a dimension to be the rows of an accumulator, "
                             "found "
                          << result.getType();
  unsigned mDim = cast<AffineDimExpr>(maps[2].getResult(*m)).getPosition();
  unsigned nDim = cast<AffineDimExpr>(maps[2].getResult(1 - *m)).getPosition();
  bool firstIsA = findDim(maps[0], mDim).has_value();
  AffineMap aMap = maps[firstIsA ? 0 : 1], bMap = maps[firstIsA ? 1 : 0];
  Value a = op.getInputs()[firstIsA ? 0 : 1];
  Value b = op.getInputs()[firstIsA ? 1 : 0];
  for (Value operand : {a, b})
    if (!isHalf(tensorOf(operand).getElementType()))
      return op.emitError() << "expected bf16 or f16 operands, found "
                            << operand.getType()
                            << "; run delta-assign-precision";

  Value sharedB = getShared(b);
  if (!sharedB)
    return op.emitOpError()
           << "multiplies by " << b.getType()
           << " computed in the kernel; the GPU path takes only plain ins as "
              "the operand without the state's value dimension (compute it in a "
              "map before, or scale the other side: delta-simplify)";
  bool transposeB = findDim(bMap, nDim) == 0;
  Value loweredA = getShared(a);
  std::optional<int64_t> aM = findDim(aMap, mDim);
  bool transposeA = loweredA && aM == 1;
  if (!loweredA) {
    // Registers hold one orientation; only shared memory can be read across.
    std::optional<int64_t> held = isSplat(a) ? aM : orientation.getM(a);
    if (held != aM)
      return op.emitOpError()
             << "multiplies by the transpose of " << a.getType()
             << " computed in the kernel; the GPU path transposes plain ins "
                "only";
    loweredA = getRegister(a, op, aM);
  }
  if (!loweredA || failed(checkProduct(op, tensorOf(a).getDimSize(1 - *aM),
                                       tensorOf(result).getDimSize(1 - *m))))
    return failure();

  Value c = op.getOutputs().front(), loweredC;
  auto zero = dyn_cast_or_null<FloatAttr>(isSplat(c) ? getSplatValue(c)
                                                     : TypedAttr());
  if (!zero || !zero.getValue().isZero()) {
    loweredC = getRegister(c, op, m);
    if (!loweredC)
      return failure();
  }
  registers[result] =
      emitMma(op.getLoc(), loweredA, transposeA, sharedB, transposeB, loweredC,
              getRegisterType(result, m));
  return success();
}

//===----------------------------------------------------------------------===//
// Decay products
//===----------------------------------------------------------------------===//

Value RegionLowering::tokenIndex(Location loc, RankedTensorType type,
                                 int64_t dim, int64_t rows) {
  auto indexType =
      tile::getTileType(type.getShape(), builder.getI32Type(), LayoutKind::acc);
  Value index = tile::IndexOp::create(builder, loc, indexType, dim);
  if (rows == 1)
    return index;
  return arith::DivUIOp::create(builder, loc, index,
                                constant(loc, indexType, rows));
}

/// h_i - p_j: the decay between token t(j) and token t(i).
Value RegionLowering::decayExponent(DecayDotOp op, RankedTensorType type,
                                    int64_t m) {
  Location loc = op.getLoc();
  Value g = getRegister(op.getG(), op);
  if (!g)
    return {};
  Value sum = tile::CumsumOp::create(builder, loc, g.getType(), g,
                                     /*reverse=*/false, /*exclusive=*/false);
  Value read = sum;
  if (op.getBeforeDecay())
    read = tile::CumsumOp::create(builder, loc, g.getType(), g,
                                  /*reverse=*/false, /*exclusive=*/true);
  LayoutKind aLayout = m == 0 ? LayoutKind::row : LayoutKind::col;
  LayoutKind bLayout = m == 0 ? LayoutKind::col : LayoutKind::row;
  Value h = spread(loc, alongTile(loc, read, aLayout, op.getRows()[0]), type);
  Value p = spread(loc, alongTile(loc, sum, bLayout, op.getRows()[1]), type);
  return arith::SubFOp::create(builder, loc, h, p);
}

Value RegionLowering::maskDecayProduct(DecayDotOp op, Value product,
                                       int64_t m) {
  Location loc = op.getLoc();
  auto type = tensorOf(product);
  bool byRow = op.getMask() == RowMask::before_row;
  Value i = tokenIndex(loc, type, m, byRow ? 1 : op.getRows()[0]);
  Value j = tokenIndex(loc, type, 1 - m, byRow ? 1 : op.getRows()[1]);
  auto predicate = op.getMask() == RowMask::upto_token
                       ? arith::CmpIPredicate::ule
                       : arith::CmpIPredicate::ult;
  Value keep = arith::CmpIOp::create(builder, loc, predicate, j, i);
  Value zero = constant(loc, type, 0);
  if (op.getG()) {
    Value exponent = decayExponent(op, type, m);
    if (!exponent)
      return {};
    // The mask comes before the exp: what it drops may have a huge exponent.
    exponent = arith::SelectOp::create(builder, loc, keep, exponent, zero);
    product = arith::MulFOp::create(
        builder, loc, product, math::ExpOp::create(builder, loc, exponent));
  }
  return arith::SelectOp::create(builder, loc, keep, product, zero);
}

LogicalResult RegionLowering::lowerDecayDot(DecayDotOp op) {
  if (op.getG() && tensorOf(op.getG()).getRank() != 1)
    return op.emitOpError()
           << "has a decay per key channel; the GPU path takes no decay or one "
              "gate a head so far (target \"cpu\" takes all)";
  std::optional<int64_t> m = orientation.getM(op.getM());
  Value a = getShared(op.getA()), b = getShared(op.getB());
  if (!isMap || !m || !a || !b)
    return op.emitError()
           << "expected a product of two plain 16-bit ins in a chunk_map, with "
              "64 rows on one side; run delta-stage and delta-assign-precision";
  RankedTensorType type = getRegisterType(op.getM(), m);
  if (failed(checkProduct(op, tensorOf(op.getA()).getDimSize(1),
                          type.getDimSize(1))))
    return failure();
  // Of result^T = b a^T the same holds with the operands swapped.
  Value product = *m == 0 ? emitMma(op.getLoc(), a, false, b, true, {}, type)
                          : emitMma(op.getLoc(), b, false, a, true, {}, type);
  Value masked = maskDecayProduct(op, product, *m);
  registers[op.getM()] = masked;
  return success(masked != nullptr);
}

LogicalResult RegionLowering::lowerEraseFactor(EraseFactorOp op) {
  Value l = getRegister(op.getL(), op), rate = getRegister(op.getRate(), op);
  if (!l || !rate)
    return failure();
  if (!isMap || tensorOf(op.getL()).getDimSize(0) != tile::kAccRows)
    return op.emitError() << "expected a system of 64 rows in a chunk_map, found "
                          << op.getL().getType();
  registers[op.getZ()] = tile::EraseFactorOp::create(
      builder, op.getLoc(), l, rate, scratch, /*barrier_id=*/1);
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
  registers[op.getResult(0)] = tile::SumOp::create(
      builder, op.getLoc(), builder.getF32Type(), vector);
  return success();
}

LogicalResult RegionLowering::lowerCumsum(CumsumOp op) {
  if (!isMap || tensorOf(op.getX()).getRank() != 1)
    return op.emitError() << "expected a running sum of a vector in a chunk_map; "
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
    return op.emitError() << "expected a vector in a chunk_map; run delta-stage";
  Value x = getRegister(op.getX(), op);
  if (!x)
    return failure();
  registers[op.getY()] =
      alongTile(op.getLoc(), x, LayoutKind::warp, op.getN());
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
