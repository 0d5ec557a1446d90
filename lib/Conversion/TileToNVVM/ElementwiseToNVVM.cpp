//===- ElementwiseToNVVM.cpp - arith and math on register tiles ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// arith on tiles goes through upstream's patterns: the type converter makes a
// tile one vector. What upstream would send to libdevice or cannot convert is
// here, and in FunctionsToNVVM.cpp.
//
//===----------------------------------------------------------------------===//

#include "Fragments.h"
#include "Patterns.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

Value tile::emitExp2(Emitter &e, Value x) {
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

/// True for tiles of f32 that are rounded to 16 bits, or extended from them,
/// two elements a register.
static bool isOfPairs(Type wide, Type narrow) {
  auto tile = dyn_cast<RankedTensorType>(narrow);
  return tile && getLayout(narrow) == LayoutKind::acc &&
         isHalf(tile.getElementType()) &&
         cast<RankedTensorType>(wide).getElementType().isF32();
}

/// True for a product, or one times decays, that a mask selects of.
static bool isMaskedProduct(Value value) {
  auto select = value.getDefiningOp<arith::SelectOp>();
  Value product = select ? select.getTrueValue() : Value();
  if (auto decayed =
          product ? product.getDefiningOp<arith::MulFOp>() : arith::MulFOp();
      decayed && decayed.getRhs().getDefiningOp<math::Exp2Op>())
    product = decayed.getLhs();
  return product && product.getDefiningOp<AwaitOp>();
}

/// Rounds two elements of a masked product by one conversion. Of a vector's
/// LLVM makes two there, and moves the selection behind them. (Where more is
/// done to the product first that is a register less, which a backward needs.)
struct TruncFPattern : OpConversionPattern<arith::TruncFOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(arith::TruncFOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (!isOfPairs(op.getIn().getType(), op.getType()) ||
        !isMaskedProduct(op.getIn()))
      return rewriter.notifyMatchFailure(op, "not a masked product of f32");
    Emitter e(rewriter, op.getLoc());
    Type half = getElementTypeOrSelf(op.getType());
    SmallVector<Value> values = e.elements(adaptor.getIn()), halves;
    for (size_t i = 0; i < values.size(); i += 2) {
      auto [low, high] =
          e.unpack(packHalves(e, values[i], values[i + 1], half), half);
      halves.append({low, high});
    }
    rewriter.replaceOp(op, e.vectorOf(halves));
    return success();
  }
};

/// A mask of what has 16 bits, two elements at once: it is neither extended nor
/// rounded. Maps that mask many operands are as long as what a GPC holds of
/// their instructions.
struct MaskHalvesPattern : OpConversionPattern<arith::TruncFOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(arith::TruncFOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    auto select = op.getIn().getDefiningOp<arith::SelectOp>();
    auto wide = select ? select.getTrueValue().getDefiningOp<arith::ExtFOp>()
                       : arith::ExtFOp();
    if (!wide || wide.getIn().getType() != op.getType() ||
        !isOfPairs(op.getIn().getType(), op.getType()) ||
        !matchPattern(select.getFalseValue(), m_AnyZeroFloat()))
      return rewriter.notifyMatchFailure(op, "not a mask of 16 bits");
    Emitter e(rewriter, op.getLoc());
    Type half = getElementTypeOrSelf(op.getType());
    SmallVector<Value> kept =
        e.elements(rewriter.getRemappedValue(select.getCondition()));
    SmallVector<Value> values =
        e.elements(rewriter.getRemappedValue(wide.getIn()));
    Value none = e.c32(0);
    SmallVector<Value> halves;
    for (size_t i = 0; i < values.size(); i += 2) {
      Value lower = e.select(kept[i], e.c32(0xffff), none);
      Value upper = e.select(kept[i + 1], e.c32(~0xffff), none);
      Value mask = LLVM::OrOp::create(rewriter, op.getLoc(), lower, upper);
      Value masked = e.band(e.pack(values[i], values[i + 1]), mask);
      auto [low, high] = e.unpack(masked, half);
      halves.append({low, high});
    }
    rewriter.replaceOp(op, e.vectorOf(halves));
    return success();
  }
};

struct ExtFPattern : OpConversionPattern<arith::ExtFOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(arith::ExtFOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (!isOfPairs(op.getType(), op.getIn().getType()))
      return rewriter.notifyMatchFailure(op, "not a tile of pairs to f32");
    Emitter e(rewriter, op.getLoc());
    Type half = getElementTypeOrSelf(op.getIn().getType());
    SmallVector<Value> halves = e.elements(adaptor.getIn()), values;
    for (size_t i = 0; i < halves.size(); i += 2) {
      auto [low, high] =
          extendHalves(e, e.pack(halves[i], halves[i + 1]), half);
      values.append({low, high});
    }
    rewriter.replaceOp(op, e.vectorOf(values));
    return success();
  }
};

/// a - b c of tiles as one operation an element, rounded once.
struct SubProductPattern : OpConversionPattern<arith::SubFOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(arith::SubFOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    auto product = op.getRhs().getDefiningOp<arith::MulFOp>();
    if (getLayout(op.getType()) != LayoutKind::acc || !product ||
        !product->hasOneUse())
      return rewriter.notifyMatchFailure(op, "takes no product of tiles off");
    Value b = rewriter.getRemappedValue(product.getLhs());
    Value c = rewriter.getRemappedValue(product.getRhs());
    Value negated = LLVM::FNegOp::create(rewriter, op.getLoc(), b);
    rewriter.replaceOpWithNewOp<LLVM::FMAOp>(op, negated, c, adaptor.getLhs());
    return success();
  }
};

/// What is made of a sum, where registers are few: ptxas makes it as late as it
/// can, and would hold all that it is made of until then. It does not put off
/// an exchange between lanes, here of each with itself.
template <typename OpT, typename MadeT>
struct OfSumPattern : OpConversionPattern<OpT> {
  using OpConversionPattern<OpT>::OpConversionPattern;

  LogicalResult
  matchAndRewrite(OpT op, typename OpT::Adaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    auto isSum = [](Value operand) {
      return isa_and_nonnull<ReduceOp, DiagonalOp, DotOp>(
          operand.getDefiningOp());
    };
    if (llvm::none_of(op->getOperands(), isSum) || !e.hasFewRegisters())
      return rewriter.notifyMatchFailure(op, "not made of a sum");
    auto make = [&](Value a, Value b) {
      return e.shuffleXor(MadeT::create(rewriter, op.getLoc(), a, b), 0);
    };
    if (!isa<VectorType>(adaptor.getLhs().getType())) {
      rewriter.replaceOp(op, make(adaptor.getLhs(), adaptor.getRhs()));
      return success();
    }
    SmallVector<Value> values;
    for (auto [a, b] : llvm::zip_equal(e.elements(adaptor.getLhs()),
                                       e.elements(adaptor.getRhs())))
      values.push_back(make(a, b));
    rewriter.replaceOp(op, e.vectorOf(values));
    return success();
  }
};

/// Compares row and column numbers of elements: one difference a thread with a
/// constant an element, where each number would be held in a register.
struct CompareIndicesPattern : OpConversionPattern<arith::CmpIOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(arith::CmpIOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    auto a = op.getLhs().getDefiningOp<IndexOp>();
    auto b = op.getRhs().getDefiningOp<IndexOp>();
    std::optional<LLVM::ICmpPredicate> predicate = getSigned(op.getPredicate());
    if (!a || !b || a.getDim() == b.getDim() || !predicate)
      return rewriter.notifyMatchFailure(op, "not rows with columns, by order");
    Emitter e(rewriter, op.getLoc());
    AccPosition at = AccPosition::get(e);
    bool isRow = a.getDim() == 0;
    Value difference =
        isRow ? e.sub(at.row0, at.col0) : e.sub(at.col0, at.row0);
    auto type = cast<VectorType>(adaptor.getLhs().getType());
    SmallVector<Value> results;
    for (int64_t i = 0; i < type.getDimSize(0); ++i) {
      int64_t right = AccPosition::colOffset(i),
              down = AccPosition::rowOffset(i);
      results.push_back(e.cmp(*predicate, difference,
                              e.c32(isRow ? right - down : down - right)));
    }
    rewriter.replaceOp(op, e.vectorOf(results));
    return success();
  }

private:
  /// Numbers of rows are not negative: their order is that of the differences.
  static std::optional<LLVM::ICmpPredicate>
  getSigned(arith::CmpIPredicate predicate) {
    switch (predicate) {
    case arith::CmpIPredicate::ult:
    case arith::CmpIPredicate::slt:
      return LLVM::ICmpPredicate::slt;
    case arith::CmpIPredicate::ule:
    case arith::CmpIPredicate::sle:
      return LLVM::ICmpPredicate::sle;
    default:
      return std::nullopt;
    }
  }
};

/// bf16 to f32, two of a word at once: one is the word's upper half, the other
/// its lower one moved up.
struct WidenPattern : OpConversionPattern<arith::ExtFOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(arith::ExtFOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    auto narrow = dyn_cast<VectorType>(adaptor.getIn().getType());
    if (!getSpread(op.getType()) || !narrow ||
        !narrow.getElementType().isBF16() || narrow.getNumElements() % 2 != 0)
      return rewriter.notifyMatchFailure(op, "not pairs of a spread tile");
    Emitter e(rewriter, op.getLoc());
    auto bitcast = [&](Type type, Value value) -> Value {
      return LLVM::BitcastOp::create(rewriter, op.getLoc(), type, value);
    };
    auto words = VectorType::get({narrow.getNumElements() / 2}, e.i32());
    SmallVector<Value> values;
    for (Value word : e.elements(bitcast(words, adaptor.getIn()))) {
      Value low = LLVM::ShlOp::create(rewriter, op.getLoc(), word, e.c32(16));
      Value high = e.band(word, e.c32(static_cast<int32_t>(0xffff0000)));
      values.push_back(bitcast(e.f32(), low));
      values.push_back(bitcast(e.f32(), high));
    }
    rewriter.replaceOp(op, e.vectorOf(values));
    return success();
  }
};

/// Stores that are never done: a grid has one dimension, which ptxas does not
/// know. To make the address of each takes five instructions, around which it
/// branches, and moves less over them. Where few instructions count, the
/// address is a number that is there.
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
    std::string address = e.hasFewAddresses() ? "n" : kSharedName.str();
    for (size_t i = 0; i < values.size(); i += 4) {
      text += "@p st.shared.v4.f32 [" + address + "], {";
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
  patterns
      .add<TileConstantPattern, TruncFPattern, MaskHalvesPattern, ExtFPattern,
           SubProductPattern, OfSumPattern<arith::SubFOp, LLVM::FSubOp>,
           OfSumPattern<arith::MulFOp, LLVM::FMulOp>, CompareIndicesPattern,
           ExpPattern<math::ExpOp>, ExpPattern<math::Exp2Op>, WidenPattern>(
          converter, patterns.getContext(), /*benefit=*/2);
}
