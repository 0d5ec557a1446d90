//===- SplitSolve.cpp - A solve as a factor and a product -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SplitSolve.h"

#include "wyvern/Dialect/Delta/Utils/TileBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// The row vector `rate`, spread over `type`. A constant rate needs no
/// broadcast, and a rate of 1 then folds away.
static Value spreadRate(OpBuilder &builder, Location loc, Value rate,
                        RankedTensorType type) {
  DenseElementsAttr constant;
  if (matchPattern(rate, m_Constant(&constant)) && constant.isSplat())
    return arith::ConstantOp::create(builder, loc, constant.resizeSplat(type));
  Value empty = tensor::EmptyOp::create(builder, loc, type.getShape(),
                                        type.getElementType());
  return linalg::BroadcastOp::create(builder, loc, rate, empty,
                                     ArrayRef<int64_t>{1})
      ->getResult(0);
}

/// x - F (c * x), or with F^T: the product accumulates on x.
static Value applyFactor(RewriterBase &rewriter, Location loc, Value factor,
                         bool transpose, Value rate, Value x) {
  Value scaled = rewriter.createOrFold<arith::MulFOp>(loc, rate, x);
  Value negated = rewriter.createOrFold<arith::NegFOp>(loc, scaled);
  ImplicitLocOpBuilder b(loc, rewriter);
  TileBuilder tile(b, cast<FloatType>(getElementTypeOrSelf(x)));
  return transpose ? tile.transposedMatmul(factor, negated, x)
                   : tile.matmul(factor, negated, x);
}

void delta::replaceSolve(RewriterBase &rewriter, EraseSolveOp op,
                         Value factor) {
  Location loc = op.getLoc();
  rewriter.setInsertionPoint(op);
  Value rate = spreadRate(rewriter, loc, op.getRate(),
                          cast<RankedTensorType>(op.getW().getType()));
  Value r =
      applyFactor(rewriter, loc, factor, /*transpose=*/false, rate, op.getW());
  Value u = rewriter.createOrFold<arith::MulFOp>(loc, rate, r);
  rewriter.replaceOp(op, {r, u});
}

void delta::replaceSolve(RewriterBase &rewriter, EraseSolveAdjointOp op,
                         Value factor) {
  Location loc = op.getLoc();
  rewriter.setInsertionPoint(op);
  Value rate = spreadRate(rewriter, loc, op.getRate(),
                          cast<RankedTensorType>(op.getDu().getType()));
  rewriter.replaceOp(op, applyFactor(rewriter, loc, factor, /*transpose=*/true,
                                     rate, op.getDu()));
}
