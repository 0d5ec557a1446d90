//===- ElementwiseToNVVM.cpp - arith and math on register tiles ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// arith on tiles goes through upstream's patterns: the type converter makes a
// tile one vector. What upstream would send to libdevice or cannot convert is
// here.
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

static Value emitExp2(Emitter &e, Value x) {
  return LLVM::CallIntrinsicOp::create(
             e.builder, e.loc, e.f32(),
             e.builder.getStringAttr("llvm.nvvm.ex2.approx.ftz.f"), x)
      .getResult(0);
}

Value tile::emitExp(Emitter &e, Value x) {
  constexpr double kLog2E = 1.4426950408889634;
  return emitExp2(e, LLVM::FMulOp::create(e.builder, e.loc, x, e.cf32(kLog2E)));
}

namespace {
/// Splat constants of tiles.
struct TileConstantPattern : OpConversionPattern<arith::ConstantOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(arith::ConstantOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (!getLayout(op.getType()) && !getSpread(op.getType()))
      return rewriter.notifyMatchFailure(op, "not a register tile");
    auto splat = dyn_cast<SplatElementsAttr>(op.getValue());
    if (!splat)
      return rewriter.notifyMatchFailure(
          op, "the elements of a tile constant must be equal");
    auto type = cast<VectorType>(getTypeConverter()->convertType(op.getType()));
    rewriter.replaceOpWithNewOp<LLVM::ConstantOp>(
        op, type,
        DenseElementsAttr::get(type, splat.getSplatValue<Attribute>()));
    return success();
  }
};

/// exp or exp2, element by element.
template <typename OpT> struct ExpPattern : OpConversionPattern<OpT> {
  using OpConversionPattern<OpT>::OpConversionPattern;

  LogicalResult
  matchAndRewrite(OpT op, typename OpT::Adaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    Value operand = adaptor.getOperand();
    if (!isa<VectorType>(operand.getType())) {
      rewriter.replaceOp(op, emit(e, operand));
      return success();
    }
    SmallVector<Value> values;
    for (Value value : e.elements(operand))
      values.push_back(emit(e, value));
    rewriter.replaceOp(op, e.vectorOf(values));
    return success();
  }

private:
  static Value emit(Emitter &e, Value value) {
    if constexpr (std::is_same_v<OpT, math::ExpOp>)
      return emitExp(e, value);
    return emitExp2(e, value);
  }
};

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

static Value emitAbs(Emitter &e, Value value) {
  return LLVM::FAbsOp::create(e.builder, e.loc, value);
}

/// log(1 + x) for x of 0 to 1. u = 1 + x rounds: log(u) x / (u - 1) is exact to
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
  Value quotient = create(LLVM::FDivOp(), x, rest);
  Value isOne = LLVM::FCmpOp::create(e.builder, e.loc, LLVM::FCmpPredicate::oeq,
                                     rest, e.cf32(0.0));
  return e.select(isOne, x, create(LLVM::FMulOp(), log, quotient));
}

/// A function of one f32, element by element.
template <typename OpT, Value (*emit)(Emitter &, Value)>
struct UnaryPattern : OpConversionPattern<OpT> {
  using OpConversionPattern<OpT>::OpConversionPattern;

  LogicalResult
  matchAndRewrite(OpT op, typename OpT::Adaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (!getSpread(op.getType()))
      return rewriter.notifyMatchFailure(op, "not a spread tile");
    Emitter e(rewriter, op.getLoc());
    SmallVector<Value> values;
    for (Value value : e.elements(adaptor.getOperand()))
      values.push_back(emit(e, value));
    rewriter.replaceOp(op, e.vectorOf(values));
    return success();
  }
};

/// Stores that are never done: a grid has one dimension, which ptxas does not
/// know.
struct HoldPattern : OpConversionPattern<HoldOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(HoldOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    SmallVector<Value> values = e.elements(adaptor.getValue());
    std::string text = "{\n.reg .pred p;\n.reg .b32 n;\n"
                       "mov.u32 n, %nctaid.y;\nsetp.gt.u32 p, n, 1;\n";
    std::string outputs, inputs;
    for (size_t i = 0; i < values.size(); i += 4) {
      text += "@p st.shared.v4.f32 [" + kSharedName.str() + "], {";
      for (size_t k = i; k < i + 4; ++k) {
        text += (k > i ? ", $" : "$") + std::to_string(k);
        outputs += "=f,";
        inputs += std::to_string(k) + ",";
      }
      text += "};\n";
    }
    SmallVector<Value> held =
        e.ptx(text + "}", outputs + inputs + "~{memory}", values,
              SmallVector<Type>(values.size(), e.f32()));
    rewriter.replaceOp(op, e.vectorOf(held));
    return success();
  }
};
} // namespace

void tile::populateElementwisePatterns(LLVMTypeConverter &converter,
                                       RewritePatternSet &patterns) {
  patterns.add<HoldPattern>(converter, patterns.getContext());
  patterns.add<TileConstantPattern, ExpPattern<math::ExpOp>,
               ExpPattern<math::Exp2Op>, UnaryPattern<math::SqrtOp, emitSqrt>,
               UnaryPattern<math::AbsFOp, emitAbs>,
               UnaryPattern<math::Log1pOp, emitLog1p>>(converter,
                                                       patterns.getContext(),
                                                       /*benefit=*/2);
}
