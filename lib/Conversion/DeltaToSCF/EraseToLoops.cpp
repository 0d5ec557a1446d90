//===- EraseToLoops.cpp - Triangular systems by substitution --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"
#include "TensorLoops.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// Solves (I + stril(L) diag(c)) X = B, or (I + diag(c) stril(L))^T X = B:
///   x_i = b_i - sum of f_ij x_j,  f_ij = l_ij c_j, j < i   (or l_ji c_j, j >
///   i)
/// row by row, so that the rows j that row i needs are there.
static Value createSubstitution(ImplicitLocOpBuilder &b, Value l, Value rate,
                                Value rhs, bool transpose) {
  Value zero = createIndex(b, 0);
  Value rows = createIndex(b, tileType(l).getDimSize(0));
  Value last = createIndex(b, tileType(l).getDimSize(0) - 1);
  auto solveRow = [&](Value step, Value x) {
    Value i = transpose ? createSub(b, last, step) : step;
    Value first = transpose ? createAdd(b, i, createIndex(b, 1)) : zero;
    return createLoop(b, first, transpose ? rows : i, x, [&](Value j, Value x) {
      SmallVector<Value, 2> at = {transpose ? j : i, transpose ? i : j};
      Value factor = arith::MulFOp::create(b, createExtract(b, l, at),
                                           createExtract(b, rate, j));
      return createElementLoops(b, x, i, [&](ValueRange ivs, Value x) {
        Value solved = createExtract(b, x, {j, ivs[1]});
        Value product = arith::MulFOp::create(b, factor, solved);
        return Value(
            arith::SubFOp::create(b, createExtract(b, x, ivs), product));
      });
    });
  };
  return createLoop(b, zero, rows, rhs, solveRow);
}

/// c * X, row by row.
static Value createRowScale(ImplicitLocOpBuilder &b, Value rate, Value x) {
  return createElementLoops(b, x, {}, [&](ValueRange ivs, Value) {
    return Value(arith::MulFOp::create(b, createExtract(b, rate, ivs[0]),
                                       createExtract(b, x, ivs)));
  });
}

namespace {
struct LowerEraseSolve : OpRewritePattern<EraseSolveOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(EraseSolveOp op,
                                PatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value r = createSubstitution(b, op.getL(), op.getRate(), op.getW(),
                                 /*transpose=*/false);
    rewriter.replaceOp(op, {r, createRowScale(b, op.getRate(), r)});
    return success();
  }
};

struct LowerEraseSolveAdjoint : OpRewritePattern<EraseSolveAdjointOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(EraseSolveAdjointOp op,
                                PatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    rewriter.replaceOp(op, createSubstitution(b, op.getL(), op.getRate(),
                                              op.getDu(), /*transpose=*/true));
    return success();
  }
};

/// Z solves the system of erase_solve with stril(L) on the right.
struct LowerEraseFactor : OpRewritePattern<EraseFactorOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(EraseFactorOp op,
                                PatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value l = op.getL(), zero = createIndex(b, 0);
    Value rows = createIndex(b, tileType(l).getDimSize(0));
    auto copyRow = [&](Value i, Value tile) {
      return createLoop(b, zero, i, tile, [&](Value j, Value tile) {
        return createInsert(b, createExtract(b, l, {i, j}), tile, {i, j});
      });
    };
    Value lower =
        createLoop(b, zero, rows, createZeroTile(b, tileType(l)), copyRow);
    rewriter.replaceOp(op, createSubstitution(b, l, op.getRate(), lower,
                                              /*transpose=*/false));
    return success();
  }
};
} // namespace

void delta::populateErasePatterns(RewritePatternSet &patterns) {
  patterns.add<LowerEraseSolve, LowerEraseSolveAdjoint, LowerEraseFactor>(
      patterns.getContext());
}
