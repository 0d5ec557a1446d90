//===- RegionProducts.cpp - Products of a chunk program on the tensor cores
//===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RegionLowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;
using tile::LayoutKind;

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

Value RegionLowering::emitMma(Location loc, Value a, bool transposeA, Value b,
                              bool transposeB, Value c, RankedTensorType type) {
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
    return op.emitError()
           << "expected a product of two matrices whose result "
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
      return op.emitError()
             << "expected bf16 or f16 operands, found " << operand.getType()
             << "; run delta-assign-precision";

  Value sharedB = getShared(b);
  if (!sharedB)
    return op.emitOpError()
           << "multiplies by " << b.getType()
           << " computed in the kernel; the GPU path takes only plain ins as "
              "the operand without the state's value dimension (compute it in "
              "a "
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
  auto zero =
      dyn_cast_or_null<FloatAttr>(isSplat(c) ? getSplatValue(c) : TypedAttr());
  if (!zero || !zero.getValue().isZero()) {
    loweredC = getRegister(c, op, m);
    if (!loweredC)
      return failure();
  }
  registers[result] = emitMma(op.getLoc(), loweredA, transposeA, sharedB,
                              transposeB, loweredC, getRegisterType(result, m));
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
    return op.emitError()
           << "expected a system of 64 rows in a chunk_map, found "
           << op.getL().getType();
  registers[op.getZ()] = tile::EraseFactorOp::create(
      builder, op.getLoc(), l, rate, scratch, /*barrier_id=*/1);
  return success();
}
