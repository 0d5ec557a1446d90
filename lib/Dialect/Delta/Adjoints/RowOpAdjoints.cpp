//===- RowOpAdjoints.cpp - Derivatives of the chunk ops -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The formulas are those of docs/rationale/differentiation.md.
//
//===----------------------------------------------------------------------===//

#include "Rules.h"

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// What one side of a decay product adds to the gradient of the gates: x dx,
/// summed to the shape of a gate a token.
static Value perToken(Adjoint &adjoint, Value x, Value dx, int64_t rows,
                      bool channel) {
  ImplicitLocOpBuilder &b = adjoint.getBuilder();
  TileBuilder tile = adjoint.tiles(dx);
  Value sum = tile.mul(x, dx);
  if (!channel)
    sum = tile.sum(sum, 1);
  if (rows == 1)
    return sum;
  SmallVector<int64_t> shape(shapeOf(sum));
  shape[0] /= rows;
  return SumRowsOp::create(b, tile.type(shape), sum, rows);
}

namespace {
/// m_ij = sum_d a_id b_jd e^(h_id - p_jd):
///   da = decay_apply dm, b      db = decay_apply transpose dm, a
///   dh_i += a_i da_i            dp_j -= b_j db_j
/// h and p are running sums of the gates, so dg is the sum of dh and dp over
/// later tokens.
struct DecayDotRule : AdjointRule<DecayDotRule, DecayDotOp> {
  static LogicalResult derive(DecayDotOp op, Adjoint &adjoint) {
    Value dm = adjoint.getGradient(op.getM()), g = op.getG();
    bool gates = g && adjoint.isActive(g);
    Value a, b, da, db;
    if (gates || adjoint.isActive(op.getA())) {
      b = adjoint.getPrimal(op.getB());
      da = apply(op, adjoint, dm, b, /*transpose=*/false);
      adjoint.addGradient(op.getA(), da);
    }
    if (gates || adjoint.isActive(op.getB())) {
      a = adjoint.getPrimal(op.getA());
      db = apply(op, adjoint, dm, a, /*transpose=*/true);
      adjoint.addGradient(op.getB(), db);
    }
    if (gates)
      deriveGates(op, adjoint, {a, da}, {b, db});
    return success();
  }

private:
  static Value apply(DecayDotOp op, Adjoint &adjoint, Value dm, Value x,
                     bool transpose) {
    Value g = op.getG() ? adjoint.getPrimal(op.getG()) : Value();
    Type type = (transpose ? op.getB() : op.getA()).getType();
    return DecayApplyOp::create(adjoint.getBuilder(), type, dm, x, g,
                                op.getMask(), op.getRows(), op.getBeforeDecay(),
                                transpose);
  }

  static void deriveGates(DecayDotOp op, Adjoint &adjoint,
                          std::pair<Value, Value> a,
                          std::pair<Value, Value> b) {
    ImplicitLocOpBuilder &builder = adjoint.getBuilder();
    bool channel = shapeOf(op.getG()).size() == 2;
    Value dh = perToken(adjoint, a.first, a.second, op.getRows()[0], channel);
    Value dp = perToken(adjoint, b.first, b.second, op.getRows()[1], channel);
    auto later = [&](Value x, bool exclusive) -> Value {
      return CumsumOp::create(builder, x, /*reverse=*/true, exclusive);
    };
    Value g = op.getG();
    TileBuilder tile = adjoint.tiles(dh);
    if (!op.getBeforeDecay())
      return adjoint.addGradient(g, later(tile.sub(dh, dp), false));
    adjoint.addGradient(g, tile.sub(later(dh, true), later(dp, false)));
  }
};

/// A = I + stril(L) diag(c), A R = W, U = c * R, for gradients dR and dU:
///   X  = (I + diag(c) stril(L))^-T (dU - stril(L)^T dR)
///   dW = dR + c * X      dL = -stril(dW U^T)      dc = rowdot(X, R)
/// Nothing is divided by c.
struct EraseSolveRule
    : AdjointOpInterface::ExternalModel<EraseSolveRule, EraseSolveOp> {
  LogicalResult buildAdjoint(Operation *solve, Adjoint &adjoint) const {
    auto op = cast<EraseSolveOp>(solve);
    TileBuilder tile = adjoint.tiles(op.getW());
    Value rate = adjoint.getPrimal(op.getRate());
    Value dr = adjoint.getGradient(op.getR());
    Value x = solveTransposed(op, adjoint, dr);
    Value dw = tile.mul(x, tile.alongRows(rate, x));
    if (dr)
      dw = tile.add(dr, dw);
    adjoint.addGradient(op.getW(), dw);
    if (adjoint.isActive(op.getL())) {
      Value product = outer(tile, tile.neg(dw), adjoint.getPrimal(op.getU()));
      adjoint.addGradient(op.getL(), strictlyLower(adjoint, product));
    }
    if (adjoint.isActive(op.getRate()))
      adjoint.addGradient(
          op.getRate(), tile.sum(tile.mul(x, adjoint.getPrimal(op.getR())), 1));
    return success();
  }

  /// U is R times the rate: only R has to be there.
  Value rematerialize(Operation *solve, OpResult result,
                      Adjoint &adjoint) const {
    auto op = cast<EraseSolveOp>(solve);
    if (result != op.getU())
      return {};
    TileBuilder tile = adjoint.tiles(op.getW());
    Value r = adjoint.getPrimal(op.getR());
    return tile.mul(r, tile.alongRows(adjoint.getPrimal(op.getRate()), r));
  }

private:
  /// X of the formulas.
  static Value solveTransposed(EraseSolveOp op, Adjoint &adjoint, Value dr) {
    ImplicitLocOpBuilder &b = adjoint.getBuilder();
    TileBuilder tile = adjoint.tiles(op.getW());
    Value l = adjoint.getPrimal(op.getL());
    Value rate = adjoint.getPrimal(op.getRate());
    Value du = adjoint.getGradient(op.getU());
    if (!du)
      du = tile.splat(0.0, shapeOf(op.getU()));
    if (dr)
      du = tile.sub(du, tile.transposedMatmul(strictlyLower(adjoint, l), dr));
    auto x = EraseSolveAdjointOp::create(b, du.getType(), l, rate, du,
                                         op.getAboveOne());
    x->setDiscardableAttrs(op->getDiscardableAttrDictionary());
    return x;
  }

  static Value strictlyLower(Adjoint &adjoint, Value m) {
    return DecayMaskOp::create(adjoint.getBuilder(), m.getType(), m,
                               /*g=*/Value(), RowMask::before_row,
                               ArrayRef<int64_t>{1, 1},
                               /*before_decay=*/false, /*half=*/IntegerAttr());
  }

  /// x y^T, summed over columns.
  static Value outer(TileBuilder &tile, Value x, Value y) {
    AffineExpr m, n, k;
    bindDims(x.getContext(), m, n, k);
    auto map = [&](AffineExpr row, AffineExpr column) {
      return AffineMap::get(3, 0, {row, column}, x.getContext());
    };
    Value zero = tile.splat(0.0, {shapeOf(x)[0], shapeOf(y)[0]});
    return tile.contract(x, y, zero, {map(m, k), map(n, k), map(m, n)});
  }
};

/// y = running sum of x:  dx += running sum of dy the other way round
struct CumsumRule : AdjointRule<CumsumRule, CumsumOp> {
  static LogicalResult derive(CumsumOp op, Adjoint &adjoint) {
    Value dy = adjoint.getGradient(op.getY());
    adjoint.addGradient(op.getX(),
                        CumsumOp::create(adjoint.getBuilder(), dy,
                                         !op.getReverse(), op.getExclusive()));
    return success();
  }
};

/// y = x or 0:  dx += dy or 0
struct MaskRowsRule : AdjointRule<MaskRowsRule, MaskRowsOp> {
  static LogicalResult derive(MaskRowsOp op, Adjoint &adjoint) {
    Value dy = adjoint.getGradient(op.getY());
    adjoint.addGradient(op.getX(),
                        MaskRowsOp::create(adjoint.getBuilder(), dy.getType(),
                                           dy, adjoint.getPrimal(op.getValid()),
                                           op.getRows()));
    return success();
  }
};

/// y = n copies of each row of x:  dx += their sum
struct RepeatRowsRule : AdjointRule<RepeatRowsRule, RepeatRowsOp> {
  static LogicalResult derive(RepeatRowsOp op, Adjoint &adjoint) {
    Value dy = adjoint.getGradient(op.getY());
    adjoint.addGradient(op.getX(),
                        SumRowsOp::create(adjoint.getBuilder(),
                                          op.getX().getType(), dy, op.getN()));
    return success();
  }
};
} // namespace

void delta::registerRowOpAdjoints(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, DeltaDialect *) {
    DecayDotOp::attachInterface<DecayDotRule>(*context);
    EraseSolveOp::attachInterface<EraseSolveRule>(*context);
    CumsumOp::attachInterface<CumsumRule>(*context);
    MaskRowsOp::attachInterface<MaskRowsRule>(*context);
    RepeatRowsOp::attachInterface<RepeatRowsRule>(*context);
  });
}
