//===- DecayHalves.cpp - A product with a decay, half by half -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DecayHalves.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

void DecayHalves::prepare(TokenPairs pairs) {
  if (!hasPairs(pairs))
    return;
  b.setLoc(op->getLoc());
  if (auto dot = dyn_cast<DecayDotOp>(op)) {
    lhs = decayed(dot.getA(), pairs, /*isLeft=*/true);
    rhs = decayed(dot.getB(), pairs, /*isLeft=*/false);
    return;
  }
  auto apply = cast<DecayApplyOp>(op);
  lhs = masked(apply.getM(), pairs);
  rhs = decayed(apply.getX(), pairs, /*isLeft=*/apply.getTranspose());
  if (pairs.near == 1)
    takeScaleOfRows();
}

bool DecayHalves::hasPairs(TokenPairs pairs) const {
  int64_t tokens = shapeOf(g)[0];
  if (pairs.half)
    return pairs.half < tokens;
  if (pairs.near > 1)
    return tokens > 1;
  return mask == RowMask::upto_token ||
         (mask == RowMask::before_row && (rows[0] > 1 || rows[1] > 1));
}

bool DecayHalves::isAlone(TokenPairs pairs) const {
  return isa<DecayDotOp>(op) || (pairs.near == 1 && rowScale);
}

Value DecayHalves::multiply(TokenPairs pairs) {
  b.setLoc(op->getLoc());
  if (isa<DecayDotOp>(op))
    return masked(tile.matmulTransposed(lhs, rhs), pairs);
  return tile.mul(contract(/*start=*/{}), rowScale);
}

Value DecayHalves::contract(Value start) {
  b.setLoc(op->getLoc());
  return cast<DecayApplyOp>(op).getTranspose()
             ? tile.transposedMatmul(lhs, rhs, start)
             : tile.matmul(lhs, rhs, start);
}

Value DecayHalves::scaled(Value product, TokenPairs pairs) {
  bool isLeft = !cast<DecayApplyOp>(op).getTranspose();
  return decayed(product, pairs, isLeft);
}

Value DecayHalves::weighed(Value product, Value weight, TokenPairs pairs,
                           FloatType type) {
  if (pairs.near == 1)
    return tile.mul(weight, product);
  Value operand = scaled(weight, pairs);
  auto whole = cast<RankedTensorType>(operand.getType());
  Value rounded = arith::TruncFOp::create(b, whole.clone(type), operand);
  Value read = arith::ExtFOp::create(b, whole, rounded);
  return tile.mul(read, product);
}

bool DecayHalves::canJoin(const DecayHalves &other) const {
  auto mine = dyn_cast<DecayApplyOp>(op);
  auto its = dyn_cast<DecayApplyOp>(other.op);
  return mine && its && mine.getTranspose() == its.getTranspose() &&
         g == other.g && beforeDecay == other.beforeDecay &&
         rows == other.rows && mine.getR().getType() == its.getR().getType();
}

void DecayHalves::takeScaleOfRows() {
  rowScale = {};
  auto scaled = rhs.getDefiningOp<arith::MulFOp>();
  if (!scaled || rows[0] > 1 || rows[1] > 1)
    return;
  for (auto [x, scale] : {std::pair(scaled.getLhs(), scaled.getRhs()),
                          std::pair(scaled.getRhs(), scaled.getLhs())}) {
    auto spread = scale.getDefiningOp<linalg::BroadcastOp>();
    if (!spread || spread.getDimensions() != ArrayRef<int64_t>(1) ||
        !ChunkProgramOpInterface::getInOfTile(x))
      continue;
    rhs = x;
    rowScale = scale;
    return;
  }
}

Value DecayHalves::decayed(Value x, TokenPairs pairs, bool isLeft) {
  if (pairs.near == 1)
    return x;
  bool isNear = pairs.near > 0;
  Value sums = SumToMiddleOp::create(b, g, isNear ? pairs.near / 2 : pairs.half,
                                     isLeft && beforeDecay, isNear);
  Value factor = tile.exp(sums);
  if (int64_t repeat = rows[isLeft ? 0 : 1]; repeat > 1)
    factor = RepeatRowsOp::create(b, tile.type(shapeOf(x)), factor, repeat);
  if (isNear && !isLeft)
    return arith::DivFOp::create(b, x, factor);
  return tile.mul(x, factor);
}

Value DecayHalves::masked(Value m, TokenPairs pairs) {
  auto get = [&](int64_t size) {
    return size ? b.getI64IntegerAttr(size) : IntegerAttr();
  };
  return DecayMaskOp::create(b, m.getType(), m, /*g=*/Value(),
                             pairs.near > 1 ? RowMask::before_token : mask,
                             rows, /*before_decay=*/false, get(pairs.half),
                             get(pairs.near));
}
