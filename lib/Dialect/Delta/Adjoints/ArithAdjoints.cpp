//===- ArithAdjoints.cpp - Derivatives of elementwise arithmetic ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Rules.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

Value delta::createConstant(ImplicitLocOpBuilder &b, Value like, double value) {
  TypedAttr attr = b.getFloatAttr(getElementTypeOrSelf(like), value);
  if (auto shaped = dyn_cast<ShapedType>(like.getType()))
    attr = DenseElementsAttr::get(shaped, Attribute(attr));
  return arith::ConstantOp::create(b, attr);
}

namespace {
/// y = a + b:  da += dy, db += dy
struct AddFRule : AdjointRule<AddFRule, arith::AddFOp> {
  static LogicalResult derive(arith::AddFOp op, Adjoint &adjoint) {
    Value dy = adjoint.getGradient(op.getResult());
    adjoint.addGradient(op.getLhs(), dy);
    adjoint.addGradient(op.getRhs(), dy);
    return success();
  }
};

/// y = a - b:  da += dy, db -= dy
struct SubFRule : AdjointRule<SubFRule, arith::SubFOp> {
  static LogicalResult derive(arith::SubFOp op, Adjoint &adjoint) {
    Value dy = adjoint.getGradient(op.getResult());
    adjoint.addGradient(op.getLhs(), dy);
    if (adjoint.isActive(op.getRhs()))
      adjoint.addGradient(op.getRhs(),
                          arith::NegFOp::create(adjoint.getBuilder(), dy));
    return success();
  }
};

/// y = -a:  da -= dy
struct NegFRule : AdjointRule<NegFRule, arith::NegFOp> {
  static LogicalResult derive(arith::NegFOp op, Adjoint &adjoint) {
    Value dy = adjoint.getGradient(op.getResult());
    adjoint.addGradient(op.getOperand(),
                        arith::NegFOp::create(adjoint.getBuilder(), dy));
    return success();
  }
};

/// y = a b:  da += dy b, db += dy a;  of y = a a:  da += dy 2 a
struct MulFRule : AdjointRule<MulFRule, arith::MulFOp> {
  static LogicalResult derive(arith::MulFOp op, Adjoint &adjoint) {
    Value dy = adjoint.getGradient(op.getResult());
    if (op.getLhs() == op.getRhs()) {
      ImplicitLocOpBuilder &b = adjoint.getBuilder();
      Value twice = arith::MulFOp::create(b, dy, createConstant(b, dy, 2.0));
      Value a = adjoint.getPrimal(op.getLhs());
      adjoint.addGradient(op.getLhs(), arith::MulFOp::create(b, twice, a));
      return success();
    }
    for (auto [operand, other] : {std::pair(op.getLhs(), op.getRhs()),
                                  std::pair(op.getRhs(), op.getLhs())})
      if (adjoint.isActive(operand)) {
        Value factor = adjoint.getPrimal(other);
        adjoint.addGradient(
            operand, arith::MulFOp::create(adjoint.getBuilder(), dy, factor));
      }
    return success();
  }
};

/// y = a / b:  da += dy / b, db -= dy y / b
struct DivFRule : AdjointRule<DivFRule, arith::DivFOp> {
  static LogicalResult derive(arith::DivFOp op, Adjoint &adjoint) {
    ImplicitLocOpBuilder &b = adjoint.getBuilder();
    Value divisor = adjoint.getPrimal(op.getRhs());
    Value da =
        arith::DivFOp::create(b, adjoint.getGradient(op.getResult()), divisor);
    adjoint.addGradient(op.getLhs(), da);
    if (!adjoint.isActive(op.getRhs()))
      return success();
    Value db = arith::MulFOp::create(b, da, adjoint.getPrimal(op.getResult()));
    adjoint.addGradient(op.getRhs(), arith::NegFOp::create(b, db));
    return success();
  }
};

/// y = c ? t : f:  dt += c ? dy : 0, df += c ? 0 : dy
struct SelectRule : AdjointRule<SelectRule, arith::SelectOp> {
  static LogicalResult derive(arith::SelectOp op, Adjoint &adjoint) {
    ImplicitLocOpBuilder &b = adjoint.getBuilder();
    Value dy = adjoint.getGradient(op.getResult());
    Value condition = adjoint.getPrimal(op.getCondition());
    Value zero = arith::ConstantOp::create(
        b, cast<TypedAttr>(b.getZeroAttr(dy.getType())));
    adjoint.addGradient(op.getTrueValue(),
                        arith::SelectOp::create(b, condition, dy, zero));
    adjoint.addGradient(op.getFalseValue(),
                        arith::SelectOp::create(b, condition, zero, dy));
    return success();
  }
};

/// y = max(a, b) or min(a, b): dy goes to the operand that was taken, and half
/// of it to each of two equal ones. With the slope 0 of |x| at 0, what is
/// smooth but written with kinks, such as softplus, then has its derivative
/// there too. What is at a bound, a constant other than 0, has no slope.
template <typename OpT, arith::CmpFPredicate takesFirst>
struct ExtremumRule : AdjointRule<ExtremumRule<OpT, takesFirst>, OpT> {
  static LogicalResult derive(OpT op, Adjoint &adjoint) {
    ImplicitLocOpBuilder &b = adjoint.getBuilder();
    Value dy = adjoint.getGradient(op.getResult());
    Value zero = arith::ConstantOp::create(
        b, cast<TypedAttr>(b.getZeroAttr(dy.getType())));
    if (std::optional<double> bound = getSplat(op.getRhs()); bound && *bound) {
      // Others read the result: the operand alone would be one tile more.
      Value isFree = arith::CmpFOp::create(b, takesFirst,
                                           adjoint.getPrimal(op.getResult()),
                                           adjoint.getPrimal(op.getRhs()));
      adjoint.addGradient(op.getLhs(),
                          arith::SelectOp::create(b, isFree, dy, zero));
      return success();
    }
    Value lhs = adjoint.getPrimal(op.getLhs());
    Value rhs = adjoint.getPrimal(op.getRhs());
    Value first = arith::CmpFOp::create(b, takesFirst, lhs, rhs);
    Value equal = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, lhs, rhs);
    Value half = arith::MulFOp::create(b, dy, createConstant(b, dy, 0.5));
    auto add = [&](Value operand, Value ifFirst, Value ifSecond) {
      Value taken = arith::SelectOp::create(b, first, ifFirst, ifSecond);
      adjoint.addGradient(operand,
                          arith::SelectOp::create(b, equal, half, taken));
    };
    add(op.getLhs(), dy, zero);
    add(op.getRhs(), zero, dy);
    return success();
  }
};

/// A conversion: the gradient is converted back.
template <typename OpT, typename BackT>
struct ConversionRule : AdjointRule<ConversionRule<OpT, BackT>, OpT> {
  static LogicalResult derive(OpT op, Adjoint &adjoint) {
    Value dy = adjoint.getGradient(op.getResult());
    adjoint.addGradient(op.getIn(), BackT::create(adjoint.getBuilder(),
                                                  op.getIn().getType(), dy));
    return success();
  }
};

using MaximumRule = ExtremumRule<arith::MaximumFOp, arith::CmpFPredicate::OGT>;
using MinimumRule = ExtremumRule<arith::MinimumFOp, arith::CmpFPredicate::OLT>;
} // namespace

void delta::registerArithAdjoints(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, arith::ArithDialect *) {
    arith::AddFOp::attachInterface<AddFRule>(*context);
    arith::SubFOp::attachInterface<SubFRule>(*context);
    arith::NegFOp::attachInterface<NegFRule>(*context);
    arith::MulFOp::attachInterface<MulFRule>(*context);
    arith::DivFOp::attachInterface<DivFRule>(*context);
    arith::SelectOp::attachInterface<SelectRule>(*context);
    arith::MaximumFOp::attachInterface<MaximumRule>(*context);
    arith::MinimumFOp::attachInterface<MinimumRule>(*context);
    arith::ExtFOp::attachInterface<
        ConversionRule<arith::ExtFOp, arith::TruncFOp>>(*context);
    arith::TruncFOp::attachInterface<
        ConversionRule<arith::TruncFOp, arith::ExtFOp>>(*context);
  });
}
