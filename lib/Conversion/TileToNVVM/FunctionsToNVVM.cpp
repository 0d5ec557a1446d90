//===- FunctionsToNVVM.cpp - Functions and quotients of register tiles --===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Angles.h"
#include "Fragments.h"
#include "Patterns.h"

#include "wyvern/Dialect/Tile/IR/Hints.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// Returns a call of an NVVM intrinsic of one f32.
static Value callIntrinsic(Emitter &e, StringRef name, Value value) {
  return LLVM::CallIntrinsicOp::create(e.builder, e.loc, e.f32(),
                                       e.builder.getStringAttr(name), value)
      .getResult(0);
}

/// sqrt.rn: a square root is one of a whole row.
static Value emitSqrt(Emitter &e, Value value) {
  return LLVM::SqrtOp::create(e.builder, e.loc, value);
}

/// rsqrt.approx.ftz: 2^-22.9 of the value (PTX ISA 9.7.3.17).
static Value emitRsqrt(Emitter &e, Value value) {
  return callIntrinsic(e, "llvm.nvvm.rsqrt.approx.ftz.f", value);
}

static Value emitAbs(Emitter &e, Value value) {
  return LLVM::FAbsOp::create(e.builder, e.loc, value);
}

/// Returns fma(x, y, z).
static Value createFma(Emitter &e, Value x, Value y, Value z) {
  return LLVM::FMAOp::create(e.builder, e.loc, x, y, z);
}

/// Returns 1 / b as rcp.rn rounds it, without its branch for the ends of the
/// range: b is between 2^-100 and 2^120. ptxas schedules nothing across that
/// branch, and waits in front of it for all that is loaded.
static Value emitReciprocal(Emitter &e, Value b) {
  Value minus = LLVM::FNegOp::create(e.builder, e.loc, b);
  Value about = callIntrinsic(e, "llvm.nvvm.rcp.approx.ftz.f", b);
  return createFma(e, about, createFma(e, minus, about, e.cf32(1.0)), about);
}

/// Returns a / b as div.rn rounds it, of a b and a quotient in that range.
static Value emitDivision(Emitter &e, Value a, Value b) {
  Value minus = LLVM::FNegOp::create(e.builder, e.loc, b);
  Value reciprocal = emitReciprocal(e, b);
  Value quotient = LLVM::FMulOp::create(e.builder, e.loc, a, reciprocal);
  return createFma(e, reciprocal, createFma(e, minus, quotient, a), quotient);
}

/// log(1 + x) for x from 0 on. u = 1 + x rounds: log(u) x / (u - 1) is exact to
/// a few ulp, since both factors err alike; where u is 1, log(1 + x) is x.
static Value emitLog1p(Emitter &e, Value x) {
  constexpr double kLn2 = 0.6931471805599453;
  auto create = [&](auto op, Value a, Value b) -> Value {
    return decltype(op)::create(e.builder, e.loc, a, b);
  };
  Value one = e.cf32(1.0);
  Value u = create(LLVM::FAddOp(), one, x);
  Value rest = create(LLVM::FSubOp(), u, one);
  Value log =
      create(LLVM::FMulOp(), callIntrinsic(e, "llvm.nvvm.lg2.approx.ftz.f", u),
             e.cf32(kLn2));
  // From 2^30 on both are x.
  Value isLarge = LLVM::FCmpOp::create(
      e.builder, e.loc, LLVM::FCmpPredicate::ogt, x, e.cf32(1073741824.0));
  Value quotient = e.select(isLarge, one, emitDivision(e, x, rest));
  Value isOne = LLVM::FCmpOp::create(e.builder, e.loc, LLVM::FCmpPredicate::oeq,
                                     rest, e.cf32(0.0));
  return e.select(isOne, x, create(LLVM::FMulOp(), log, quotient));
}

/// sin.approx.ftz and cos.approx.ftz: 2^-20.5 between -pi and pi (PTX ISA
/// 9.7.3.19), and less the further the angle is from there.
static Value emitSin(Emitter &e, Value value) {
  return callIntrinsic(e, "llvm.nvvm.sin.approx.ftz.f", wrapAngle(e, value));
}

static Value emitCos(Emitter &e, Value value) {
  return callIntrinsic(e, "llvm.nvvm.cos.approx.ftz.f", wrapAngle(e, value));
}

static Value emitRound(Emitter &e, Value value) {
  return LLVM::RintOp::create(e.builder, e.loc, value);
}

/// A function of one f32, element by element.
template <typename OpT, Value (*emit)(Emitter &, Value)>
struct UnaryPattern : OpConversionPattern<OpT> {
  using OpConversionPattern<OpT>::OpConversionPattern;

  LogicalResult
  matchAndRewrite(OpT op, typename OpT::Adaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (!getSpread(op.getType()) && !getLayout(op.getType()))
      return rewriter.notifyMatchFailure(op, "not a tile in registers");
    Emitter e(rewriter, op.getLoc());
    SmallVector<Value> values;
    for (Value value : e.elements(adaptor.getOperand()))
      values.push_back(emit(e, value));
    rewriter.replaceOp(op, e.vectorOf(values));
    return success();
  }
};

/// True for a tile of exp of sums of rows.
static bool isExpOfSums(Value value) {
  if (auto read = value.getDefiningOp<ReadOp>())
    value = read.getTile();
  auto scan = value.getDefiningOp<ScanRowsOp>();
  return scan && scan.getExp();
}

/// Returns one over each element of a factor of decays. These are powers of e
/// that rcp.approx.ftz takes, right to an ulp.
static SmallVector<Value> getReciprocals(Emitter &e, Value factor) {
  return llvm::map_to_vector(e.elements(factor), [&](Value divisor) {
    return callIntrinsic(e, "llvm.nvvm.rcp.approx.ftz.f", divisor);
  });
}

/// A tile over a factor of decays.
struct DivFactorPattern : OpConversionPattern<arith::DivFOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(arith::DivFOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (getLayout(op.getType()) != LayoutKind::acc || !isExpOfSums(op.getRhs()))
      return rewriter.notifyMatchFailure(op, "not over a factor of decays");
    Emitter e(rewriter, op.getLoc());
    rewriter.replaceOpWithNewOp<LLVM::FMulOp>(
        op, adaptor.getLhs(), e.vectorOf(getReciprocals(e, adaptor.getRhs())));
    return success();
  }
};

/// Returns the number that all of a tile is, if it is a constant.
static std::optional<float> getSplat(Value tile) {
  DenseFPElementsAttr constant;
  if (!matchPattern(tile, m_Constant(&constant)) || !constant.isSplat())
    return std::nullopt;
  return constant.getSplatValue<APFloat>().convertToFloat();
}

/// True for e^-x, x at least -80.
static bool isBoundedExp(Value value) {
  auto exp = value.getDefiningOp<math::ExpOp>();
  auto minus =
      exp ? exp.getOperand().getDefiningOp<arith::NegFOp>() : arith::NegFOp();
  auto most = minus ? minus.getOperand().getDefiningOp<arith::MaximumFOp>()
                    : arith::MaximumFOp();
  return most && getSplat(most.getRhs()).value_or(-INFINITY) >= -80;
}

/// A number over 1 + e^-x, x at least -80, that is not to branch: a rate of a
/// logit. A constant operand comes second.
struct DivBoundedPattern : OpConversionPattern<arith::DivFOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(arith::DivFOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    auto sum = op.getRhs().getDefiningOp<arith::AddFOp>();
    std::optional<float> most = getSplat(op.getLhs());
    if (!op->hasAttr(kWithoutBranchAttr) || !most || !sum ||
        !isBoundedExp(sum.getLhs()) || getSplat(sum.getRhs()) != 1.0f)
      return rewriter.notifyMatchFailure(op, "may branch, or is not over a "
                                             "bounded sum");
    Emitter e(rewriter, op.getLoc());
    SmallVector<Value> values;
    for (auto [a, b] : llvm::zip_equal(e.elements(adaptor.getLhs()),
                                       e.elements(adaptor.getRhs())))
      values.push_back(*most == 1 ? emitReciprocal(e, b)
                                  : emitDivision(e, a, b));
    rewriter.replaceOp(op, e.vectorOf(values));
    return success();
  }
};

/// A sum and a product that a factor of decays multiplies or divides, as one
/// operation an element.
struct AddDecayedPattern : OpConversionPattern<arith::AddFOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(arith::AddFOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Operation *decayed = op.getRhs().getDefiningOp();
    if (getLayout(op.getType()) != LayoutKind::acc ||
        !isa_and_nonnull<arith::MulFOp, arith::DivFOp>(decayed) ||
        !decayed->hasOneUse() || !isExpOfSums(decayed->getOperand(1)))
      return rewriter.notifyMatchFailure(op, "adds no decayed product");
    Emitter e(rewriter, op.getLoc());
    Value factor = rewriter.getRemappedValue(decayed->getOperand(1));
    if (isa<arith::DivFOp>(decayed))
      factor = e.vectorOf(getReciprocals(e, factor));
    rewriter.replaceOpWithNewOp<LLVM::FMAOp>(
        op, rewriter.getRemappedValue(decayed->getOperand(0)), factor,
        adaptor.getLhs());
    return success();
  }
};
} // namespace

void tile::populateFunctionPatterns(LLVMTypeConverter &converter,
                                    RewritePatternSet &patterns) {
  patterns.add<AddDecayedPattern, UnaryPattern<math::SqrtOp, emitSqrt>,
               UnaryPattern<math::RsqrtOp, emitRsqrt>,
               UnaryPattern<math::AbsFOp, emitAbs>,
               UnaryPattern<math::Log1pOp, emitLog1p>, DivBoundedPattern,
               UnaryPattern<math::SinOp, emitSin>,
               UnaryPattern<math::CosOp, emitCos>,
               UnaryPattern<math::RoundEvenOp, emitRound>, DivFactorPattern>(
      converter, patterns.getContext(), /*benefit=*/2);
}
