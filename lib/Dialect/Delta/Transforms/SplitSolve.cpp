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

/// Rows of a block of a factor. Two blocks of a chunk of 64 halve what forming
/// the factor takes, and cost the chain two more products of a quarter each.
static constexpr int64_t kBlockRows = 32;

/// Returns the block attribute of a factor of so many rows: none for one block.
static IntegerAttr getBlock(Builder &builder, int64_t rows) {
  if (rows <= kBlockRows || rows % kBlockRows != 0)
    return {};
  return builder.getI64IntegerAttr(kBlockRows);
}

/// Returns the rates of rows spread over `type`. A constant rate needs no
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

Value delta::createFactor(RewriterBase &rewriter, Operation *solve, Value l,
                          Value rate, bool aboveOne) {
  rewriter.setInsertionPoint(solve);
  auto type = cast<RankedTensorType>(l.getType());
  int64_t rows = type.getDimSize(0);
  if (aboveOne)
    type = type.clone({rows, 2 * rows});
  return EraseFactorOp::create(rewriter, solve->getLoc(), type, l, rate,
                               getBlock(rewriter, rows), TypeAttr());
}

void delta::replaceSolve(RewriterBase &rewriter, EraseSolveOp op,
                         Value factor) {
  Location loc = op.getLoc();
  rewriter.setInsertionPoint(op);
  Value r = EraseApplyOp::create(
      rewriter, loc, op.getR().getType(), factor, op.getRate(), op.getW(),
      getBlock(rewriter, shapeOf(factor)[0]), /*adjoint=*/false);
  Value rate = spreadRate(rewriter, loc, op.getRate(),
                          cast<RankedTensorType>(r.getType()));
  Value u = rewriter.createOrFold<arith::MulFOp>(loc, rate, r);
  rewriter.replaceOp(op, {r, u});
}

void delta::replaceSolve(RewriterBase &rewriter, EraseSolveAdjointOp op,
                         Value factor) {
  rewriter.setInsertionPoint(op);
  rewriter.replaceOpWithNewOp<EraseApplyOp>(
      op, op.getX().getType(), factor, op.getRate(), op.getDu(),
      getBlock(rewriter, shapeOf(factor)[0]), /*adjoint=*/true);
}
