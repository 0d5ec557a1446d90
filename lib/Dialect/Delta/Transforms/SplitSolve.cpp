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

/// Returns the rates of rows, or with `dim` 1 of columns, spread over `type`. A
/// constant rate needs no broadcast, and a rate of 1 then folds away.
static Value spreadRate(OpBuilder &builder, Location loc, Value rate,
                        int64_t dim, RankedTensorType type) {
  DenseElementsAttr constant;
  if (matchPattern(rate, m_Constant(&constant)) && constant.isSplat())
    return arith::ConstantOp::create(builder, loc, constant.resizeSplat(type));
  Value empty = tensor::EmptyOp::create(builder, loc, type.getShape(),
                                        type.getElementType());
  return linalg::BroadcastOp::create(builder, loc, rate, empty,
                                     ArrayRef<int64_t>{1 - dim})
      ->getResult(0);
}

/// Returns -(c * x), with the rates along dimension `dim`.
static Value scaleNegated(RewriterBase &rewriter, Location loc, Value rate,
                          int64_t dim, Value x) {
  Value spread =
      spreadRate(rewriter, loc, rate, dim, cast<RankedTensorType>(x.getType()));
  Value scaled = rewriter.createOrFold<arith::MulFOp>(loc, spread, x);
  return rewriter.createOrFold<arith::NegFOp>(loc, scaled);
}

void delta::replaceSolve(RewriterBase &rewriter, EraseSolveOp op,
                         Value factor) {
  Location loc = op.getLoc();
  rewriter.setInsertionPoint(op);
  ImplicitLocOpBuilder b(loc, rewriter);
  Value w = op.getW();
  TileBuilder tile(b, cast<FloatType>(getElementTypeOrSelf(w)));
  // The factor takes the rates: it is made beside the chain, and W is in it.
  Value scaled = scaleNegated(rewriter, loc, op.getRate(), /*dim=*/1, factor);
  Value r = tile.matmul(scaled, w, w);
  Value rate = spreadRate(rewriter, loc, op.getRate(), /*dim=*/0,
                          cast<RankedTensorType>(w.getType()));
  Value u = rewriter.createOrFold<arith::MulFOp>(loc, rate, r);
  rewriter.replaceOp(op, {r, u});
}

void delta::replaceSolve(RewriterBase &rewriter, EraseSolveAdjointOp op,
                         Value factor) {
  Location loc = op.getLoc();
  rewriter.setInsertionPoint(op);
  ImplicitLocOpBuilder b(loc, rewriter);
  Value du = op.getDu();
  TileBuilder tile(b, cast<FloatType>(getElementTypeOrSelf(du)));
  Value scaled = scaleNegated(rewriter, loc, op.getRate(), /*dim=*/0, du);
  rewriter.replaceOp(op, tile.transposedMatmul(factor, scaled, du));
}
