//===- PrologueTiles.cpp - Norms and gates of a chunk ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Utils/PrologueTiles.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

/// Added to the sum of squares of a norm.
static constexpr double kNormEpsilon = 1e-6;

/// The sums of the squares of rows: for a step as the product that roles on the
/// CUDA cores have sums in, else as a sum, which has a derivative.
Value PrologueTiles::sumOfSquares(Value rows) {
  if (!isOneToken)
    return tile.sum(tile.mul(rows, rows), /*dim=*/1);
  AffineExpr m, k;
  bindDims(b.getContext(), m, k);
  auto map = [&](ArrayRef<AffineExpr> results) {
    return AffineMap::get(2, 0, results, b.getContext());
  };
  return tile.contract(rows, rows, tile.splat(0.0, {shapeOf(rows)[0]}),
                       {map({m, k}), map({m, k}), map({m})});
}

Value PrologueTiles::squares(Value rows) {
  Value sums = sumOfSquares(rows);
  return tile.add(sums, splat(kNormEpsilon, sums));
}

Value PrologueTiles::factors(Value squares) {
  return math::RsqrtOp::create(b, squares);
}

Value PrologueTiles::lengths(Value squares) {
  return math::SqrtOp::create(b, squares);
}

/// Rows past a sequence's end are zero, and stay so.
Value PrologueTiles::normalize(Value rows) {
  return timesRows(rows, factors(squares(rows)));
}

Value PrologueTiles::timesRows(Value x, Value vector) {
  return tile.mul(x, tile.alongRows(vector, x));
}

/// Past a sequence's end keys are zero, whatever the rate is there. Below the
/// bound the rate is 0 to any digit; what is infinite would have no gradient.
Value PrologueTiles::rate(Value logits, double most) {
  constexpr double kBound = -80;
  Value one = splat(1.0, logits);
  Value bounded = arith::MaximumFOp::create(b, logits, splat(kBound, logits));
  return arith::DivFOp::create(b, splat(most, logits),
                               tile.add(one, tile.exp(tile.neg(bounded))));
}

/// log(1 + e^x), without overflow and exact for every x: from 80 on it is x.
/// Its derivative holds two tiles. At a bound there is none, so the bounds of
/// the two parts are not one number, but neighbours in f32.
Value PrologueTiles::softplus(Value x) {
  constexpr double kBound = 80, kNext = 80.00000762939453125;
  Value low = arith::MinimumFOp::create(b, x, splat(kNext, x));
  Value high = arith::MaximumFOp::create(b, x, splat(kBound, x));
  return tile.add(math::Log1pOp::create(b, tile.exp(low)),
                  tile.sub(high, splat(kBound, x)));
}

/// The trailing dimensions of `x`, along those in front of it in `like`.
Value PrologueTiles::along(Value x, Value like) {
  int64_t rank = static_cast<int64_t>(shapeOf(like).size());
  int64_t added = rank - static_cast<int64_t>(shapeOf(x).size());
  return tile.broadcast(x, shapeOf(like),
                        llvm::to_vector(llvm::seq<int64_t>(0, added)));
}

/// Below -104 (in f64 -746) e^g is 0, which is as far as sums over a chunk go
/// without losing digits, or being no numbers.
static double getLeastDecay(FloatType compute) {
  return compute.isF64() ? -746 : -104;
}

Value PrologueTiles::boundDecay(Value gates) {
  Value least = splat(getLeastDecay(compute), gates);
  return arith::MaximumFOp::create(b, gates, least);
}

Value PrologueTiles::decay(Value raw, Value logA, Value bias,
                           std::optional<double> bound) {
  Value speed = tile.exp(logA);
  Value x = tile.add(raw, along(bias, raw));
  Value gates = bound ? rate(tile.mul(along(speed, raw), x), *bound)
                      : tile.mul(along(tile.neg(speed), raw), softplus(x));
  if (isOneToken || (bound && *bound >= getLeastDecay(compute)))
    return gates;
  return boundDecay(gates);
}
