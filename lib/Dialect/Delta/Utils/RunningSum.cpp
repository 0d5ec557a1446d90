//===- RunningSum.cpp - Tensors and angles of delta.running_sum -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Utils/RunningSum.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::wyvern;

delta::BindingAttr delta::bindRunningSum(RunningSumOp op, bool ofTokens) {
  SmallVector<BoundDim> dims = {
      {ofTokens || !op.getReadSlots() ? DimKind::seq : DimKind::slot}};
  if (ofTokens)
    dims.push_back({DimKind::time});
  dims.push_back({DimKind::head});
  dims.push_back({DimKind::whole});
  return BindingAttr::get(op.getContext(), dims);
}

/// A turn in two parts. The first has few digits, so that a few turns of it are
/// exact: one part in f32 would be 1.7e-7 off in each turn, always the same
/// way.
Value delta::createWrapped(ImplicitLocOpBuilder &b, Value angle) {
  constexpr double kTurn = 6.283185307179586, kFirst = 6.28125;
  auto number = [&](double value) -> Value {
    TypedAttr attr =
        b.getFloatAttr(getElementTypeOrSelf(angle.getType()), value);
    if (auto tile = dyn_cast<RankedTensorType>(angle.getType()))
      attr = DenseElementsAttr::get(tile, attr);
    return arith::ConstantOp::create(b, attr);
  };
  Value turns = math::RoundEvenOp::create(
      b, arith::MulFOp::create(b, angle, number(1 / kTurn)));
  for (double part : {kFirst, kTurn - kFirst})
    angle = arith::SubFOp::create(
        b, angle, arith::MulFOp::create(b, turns, number(part)));
  return angle;
}
