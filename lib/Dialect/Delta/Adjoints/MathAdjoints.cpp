//===- MathAdjoints.cpp - Derivatives of elementwise functions ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Rules.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

namespace {
/// y = f(x):  dx += dy f'(x), with `slope` building f'(x) from x and y.
template <typename OpT, Value (*slope)(ImplicitLocOpBuilder &, Value, Value)>
struct FunctionRule : AdjointRule<FunctionRule<OpT, slope>, OpT> {
  static LogicalResult derive(OpT op, Adjoint &adjoint) {
    ImplicitLocOpBuilder &b = adjoint.getBuilder();
    Value x = adjoint.getPrimal(op.getOperand());
    Value y = adjoint.getPrimal(op.getResult());
    Value dx = arith::MulFOp::create(b, adjoint.getGradient(op.getResult()),
                                     slope(b, x, y));
    adjoint.addGradient(op.getOperand(), dx);
    return success();
  }
};
} // namespace

static Value slopeOfExp(ImplicitLocOpBuilder &, Value, Value y) { return y; }

static Value slopeOfExp2(ImplicitLocOpBuilder &b, Value, Value y) {
  return arith::MulFOp::create(b, createConstant(b, y, llvm::numbers::ln2), y);
}

static Value slopeOfExpM1(ImplicitLocOpBuilder &b, Value, Value y) {
  return arith::AddFOp::create(b, y, createConstant(b, y, 1));
}

static Value slopeOfLog(ImplicitLocOpBuilder &b, Value x, Value) {
  return arith::DivFOp::create(b, createConstant(b, x, 1), x);
}

static Value slopeOfLog1p(ImplicitLocOpBuilder &b, Value x, Value) {
  Value one = createConstant(b, x, 1);
  return arith::DivFOp::create(b, one, arith::AddFOp::create(b, one, x));
}

static Value slopeOfSqrt(ImplicitLocOpBuilder &b, Value, Value y) {
  return arith::DivFOp::create(b, createConstant(b, y, 0.5), y);
}

// y = x^-1/2: y' = -1/2 y^3
static Value slopeOfRsqrt(ImplicitLocOpBuilder &b, Value, Value y) {
  Value cube = arith::MulFOp::create(b, arith::MulFOp::create(b, y, y), y);
  return arith::MulFOp::create(b, createConstant(b, y, -0.5), cube);
}

static Value slopeOfTanh(ImplicitLocOpBuilder &b, Value, Value y) {
  Value square = arith::MulFOp::create(b, y, y);
  return arith::SubFOp::create(b, createConstant(b, y, 1), square);
}

static Value slopeOfSin(ImplicitLocOpBuilder &b, Value x, Value) {
  return math::CosOp::create(b, x);
}

static Value slopeOfCos(ImplicitLocOpBuilder &b, Value x, Value) {
  return arith::NegFOp::create(b, math::SinOp::create(b, x));
}

// The sign of x; 0 at 0, the mean of the slopes on both sides.
static Value slopeOfAbs(ImplicitLocOpBuilder &b, Value x, Value) {
  Value zero = createConstant(b, x, 0);
  Value positive = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, x, zero);
  Value negative = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, x, zero);
  Value rest =
      arith::SelectOp::create(b, negative, createConstant(b, x, -1), zero);
  return arith::SelectOp::create(b, positive, createConstant(b, x, 1), rest);
}

void delta::registerMathAdjoints(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, math::MathDialect *) {
    math::ExpOp::attachInterface<FunctionRule<math::ExpOp, slopeOfExp>>(
        *context);
    math::Exp2Op::attachInterface<FunctionRule<math::Exp2Op, slopeOfExp2>>(
        *context);
    math::ExpM1Op::attachInterface<FunctionRule<math::ExpM1Op, slopeOfExpM1>>(
        *context);
    math::LogOp::attachInterface<FunctionRule<math::LogOp, slopeOfLog>>(
        *context);
    math::Log1pOp::attachInterface<FunctionRule<math::Log1pOp, slopeOfLog1p>>(
        *context);
    math::SqrtOp::attachInterface<FunctionRule<math::SqrtOp, slopeOfSqrt>>(
        *context);
    math::RsqrtOp::attachInterface<FunctionRule<math::RsqrtOp, slopeOfRsqrt>>(
        *context);
    math::SinOp::attachInterface<FunctionRule<math::SinOp, slopeOfSin>>(
        *context);
    math::CosOp::attachInterface<FunctionRule<math::CosOp, slopeOfCos>>(
        *context);
    math::TanhOp::attachInterface<FunctionRule<math::TanhOp, slopeOfTanh>>(
        *context);
    math::AbsFOp::attachInterface<FunctionRule<math::AbsFOp, slopeOfAbs>>(
        *context);
  });
}
