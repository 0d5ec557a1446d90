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

/// Returns the sums of `x`, one a row, in the shape of `g`, a gate a token.
static Value sumToTokens(Adjoint &adjoint, Value x, int64_t rows, Value g) {
  if (rows == 1 && shapeOf(x) == shapeOf(g))
    return x;
  TileBuilder tile = adjoint.tiles(x);
  return SumRowsOp::create(adjoint.getBuilder(), tile.type(shapeOf(g)), x,
                           rows);
}

/// Returns `m` where the row is later than the column, else 0.
static Value strictlyLower(Adjoint &adjoint, Value m) {
  return DecayMaskOp::create(
      adjoint.getBuilder(), m.getType(), m,
      /*g=*/Value(), RowMask::before_row, ArrayRef<int64_t>{1, 1},
      /*before_decay=*/false, /*half=*/IntegerAttr(), /*near=*/IntegerAttr());
}

namespace {
/// m_ij = sum_d a_id b_jd e^(h_id - p_jd):
///   da = decay_apply dm, b      db = decay_apply transpose dm, a
/// With a decay a channel, whose sum over d has no tile of its own,
///   dh_i += a_i da_i            dp_j -= b_j db_j
/// With one decay a head, where all of a pair (i, j) is one number,
///   n_ij = dm_ij m_ij           dh_i += sum_j n_ij     dp_j -= sum_i n_ij
/// and pairs of one row, which no gate stands between, are left out: both sums
/// would have them, and what is left of the two is far less where gates are
/// strong. h and p are running sums of the gates, so dg is the sum of dh and dp
/// over later tokens.
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
    if (!gates)
      return success();
    bool isOfChannel = shapeOf(g).size() == 2;
    auto [dh, dp] = isOfChannel ? std::pair(adjoint.tiles(da).mul(a, da),
                                            adjoint.tiles(db).mul(b, db))
                                : sumPairs(op, adjoint, dm, a, b);
    addGates(op, adjoint, sumToTokens(adjoint, dh, op.getRows()[0], g),
             sumToTokens(adjoint, dp, op.getRows()[1], g));
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

  /// Returns the sums of n over columns and over rows.
  static std::pair<Value, Value> sumPairs(DecayDotOp op, Adjoint &adjoint,
                                          Value dm, Value a, Value b) {
    TileBuilder tile = adjoint.tiles(dm);
    Value decayed = DecayMaskOp::create(
        adjoint.getBuilder(), dm.getType(), dm, adjoint.getPrimal(op.getG()),
        op.getMask(), op.getRows(), op.getBeforeDecay(),
        /*half=*/IntegerAttr(), /*near=*/IntegerAttr());
    Value n = tile.mul(tile.matmulTransposed(a, b), decayed);
    bool isOneRow = llvm::all_equal(op.getRows()) && op.getRows()[0] == 1;
    if (isOneRow && op.getMask() == RowMask::upto_token)
      n = strictlyLower(adjoint, n);
    return {tile.sum(n, 1), tile.sum(n, 0)};
  }

  static void addGates(DecayDotOp op, Adjoint &adjoint, Value dh, Value dp) {
    ImplicitLocOpBuilder &builder = adjoint.getBuilder();
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
      Value product =
          tile.matmulTransposed(tile.neg(dw), adjoint.getPrimal(op.getU()));
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

/// a, b = halves of x:  dx += da and db side by side
struct SplitColumnsRule : AdjointRule<SplitColumnsRule, SplitColumnsOp> {
  static LogicalResult derive(SplitColumnsOp op, Adjoint &adjoint) {
    auto get = [&](Value half) {
      Value gradient = adjoint.getGradient(half);
      return gradient ? gradient
                      : adjoint.tiles(half).splat(0.0, shapeOf(half));
    };
    adjoint.addGradient(op.getX(),
                        JoinColumnsOp::create(adjoint.getBuilder(),
                                              op.getX().getType(),
                                              get(op.getA()), get(op.getB())));
    return success();
  }
};

/// y = a and b side by side:  da and db += the halves of dy
struct JoinColumnsRule : AdjointRule<JoinColumnsRule, JoinColumnsOp> {
  static LogicalResult derive(JoinColumnsOp op, Adjoint &adjoint) {
    Type half = op.getA().getType();
    auto halves = SplitColumnsOp::create(adjoint.getBuilder(), half, half,
                                         adjoint.getGradient(op.getY()));
    adjoint.addGradient(op.getA(), halves.getA());
    adjoint.addGradient(op.getB(), halves.getB());
    return success();
  }
};

/// y_t = init + the sum of x up to t, total = y of the last token:
///   dx_t += dtotal + the sum of dy from t on       dinit += the sum of all
/// which are the sums and the total in the other direction. A multiple of 2 pi
/// less has the same slope.
struct RunningSumRule : AdjointRule<RunningSumRule, RunningSumOp> {
  static LogicalResult derive(RunningSumOp op, Adjoint &adjoint) {
    ImplicitLocOpBuilder &b = adjoint.getBuilder();
    Value dy = adjoint.getGradient(op.getSums());
    if (op.getReadSlots())
      return op.emitOpError() << "goes on in a pool, which has no gradient; "
                                 "leave out --serving";
    if (!dy)
      return op.emitOpError() << "has a total that is read and sums that are "
                                 "not; read both, or sum without an order "
                                 "(delta.sum_tokens)";
    Value cu =
        op.getCuSeqlens() ? adjoint.getPrimal(op.getCuSeqlens()) : Value();
    auto back = RunningSumOp::create(
        b, TypeRange{dy.getType(), op.getTotal().getType()}, dy,
        adjoint.getGradient(op.getTotal()), cu, /*read_slots=*/Value(),
        /*write_slots=*/Value(), /*keep_slots=*/Value(), !op.getReverse(),
        /*wrapped=*/false);
    adjoint.addGradient(op.getX(), back.getSums());
    if (op.getInit())
      adjoint.addGradient(op.getInit(), back.getTotal());
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
    SplitColumnsOp::attachInterface<SplitColumnsRule>(*context);
    JoinColumnsOp::attachInterface<JoinColumnsRule>(*context);
    RunningSumOp::attachInterface<RunningSumRule>(*context);
  });
}
