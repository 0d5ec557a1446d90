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

/// y = a b:  da += dy b, db += dy a
struct MulFRule : AdjointRule<MulFRule, arith::MulFOp> {
  static LogicalResult derive(arith::MulFOp op, Adjoint &adjoint) {
    Value dy = adjoint.getGradient(op.getResult());
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
    Value da = arith::DivFOp::create(b, adjoint.getGradient(op.getResult()),
                                     divisor);
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
    adjoint.addGradient(op.getTrueValue(), arith::SelectOp::create(
                                               b, condition, dy, zero));
    adjoint.addGradient(op.getFalseValue(), arith::SelectOp::create(
                                                b, condition, zero, dy));
    return success();
  }
};

/// y = max(a, b) or min(a, b): dy goes to the operand that was taken, the first
/// of two equal ones.
template <typename OpT, arith::CmpFPredicate takesFirst>
struct ExtremumRule
    : AdjointRule<ExtremumRule<OpT, takesFirst>, OpT> {
  static LogicalResult derive(OpT op, Adjoint &adjoint) {
    ImplicitLocOpBuilder &b = adjoint.getBuilder();
    Value dy = adjoint.getGradient(op.getResult());
    Value first = arith::CmpFOp::create(b, takesFirst,
                                        adjoint.getPrimal(op.getLhs()),
                                        adjoint.getPrimal(op.getRhs()));
    Value zero = arith::ConstantOp::create(
        b, cast<TypedAttr>(b.getZeroAttr(dy.getType())));
    adjoint.addGradient(op.getLhs(),
                        arith::SelectOp::create(b, first, dy, zero));
    adjoint.addGradient(op.getRhs(),
                        arith::SelectOp::create(b, first, zero, dy));
    return success();
  }
};

/// A conversion: the gradient is converted back.
template <typename OpT, typename BackT>
struct ConversionRule : AdjointRule<ConversionRule<OpT, BackT>, OpT> {
  static LogicalResult derive(OpT op, Adjoint &adjoint) {
    Value dy = adjoint.getGradient(op.getResult());
    adjoint.addGradient(op.getIn(),
                        BackT::create(adjoint.getBuilder(),
                                      op.getIn().getType(), dy));
    return success();
  }
};

using MaximumRule =
    ExtremumRule<arith::MaximumFOp, arith::CmpFPredicate::OGE>;
using MinimumRule =
    ExtremumRule<arith::MinimumFOp, arith::CmpFPredicate::OLE>;
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
