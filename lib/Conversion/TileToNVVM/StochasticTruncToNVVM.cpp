//===- StochasticTruncToNVVM.cpp - Rounding by random numbers -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A random number of 32 bits is for two elements. Where a thread holds both,
// and which they are is known here, it is made once.
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

#include "mlir/Dialect/Utils/IndexingUtils.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// The numbers of the elements that a thread holds: `base`, which is even if
/// `isEven`, and an offset for each.
struct ElementNumbers {
  Value base; ///< i32
  bool isEven = true;
  SmallVector<int64_t> offsets;

  /// Adds `multiple` times a number of the thread's.
  void add(Emitter &e, Value number, int64_t multiple) {
    base = e.add(base, e.mul(number, multiple));
    isEven &= multiple % 2 == 0;
  }
};
} // namespace

static Value shiftRight(Emitter &e, Value x, Value bits) {
  return LLVM::LShrOp::create(e.builder, e.loc, x, bits);
}

/// mix(x) of the operation's description.
static Value mix(Emitter &e, Value x) {
  auto fold = [&](Value x, int64_t bits) {
    return e.bxor(x, shiftRight(e, x, e.c32(bits)));
  };
  auto multiply = [&](Value x, uint32_t factor) {
    return e.mul(x, e.c32(static_cast<int32_t>(factor)));
  };
  x = multiply(fold(x, 16), 0x7feb352d);
  x = multiply(fold(x, 15), 0x846ca68b);
  return fold(x, 16);
}

static Value createKey(Emitter &e, Value seed) {
  Value high = e.trunc32(shiftRight(e, seed, e.c64(32)));
  high = e.add(high, e.c32(static_cast<int32_t>(0x9e3779b9u)));
  return mix(e, e.bxor(e.trunc32(seed), mix(e, high)));
}

static ElementNumbers findNumbers(Emitter &e, RankedTensorType type, Value pair,
                                  ArrayRef<int64_t> steps) {
  ElementNumbers numbers;
  numbers.base = e.mul(e.trunc32(pair), e.c32(2));
  auto spread = dyn_cast<SpreadAttr>(type.getEncoding());
  if (!spread) {
    AccPosition at = AccPosition::get(e);
    numbers.add(e, at.row0, steps[0]);
    // The first column is even.
    numbers.base = e.add(numbers.base, e.mul(at.col0, steps[1]));
    int64_t count = type.getNumElements() / kWarpgroupThreads;
    for (int64_t i = 0; i < count; ++i)
      numbers.offsets.push_back(AccPosition::rowOffset(i) * steps[0] +
                                AccPosition::colOffset(i) * steps[1]);
    return numbers;
  }
  Value lane = e.laneId(), warp = e.udiv(e.threadId(), 32);
  for (auto [dim, step] : llvm::zip_equal(spread.getDims(), steps)) {
    if (dim.isWhole())
      continue;
    Value first = e.urem(e.udiv(lane, dim.step), dim.lanes);
    if (dim.warps > 1)
      first = e.add(first, e.mul(e.urem(warp, dim.warps), dim.lanes));
    numbers.add(e, first, dim.piece * step);
  }
  SmallVector<int64_t> shape = spread.getThreadShape(type.getShape());
  for (int64_t n = 0; n < ShapedType::getNumElements(shape); ++n) {
    int64_t offset = 0;
    for (auto [dim, place, step] : llvm::zip_equal(
             spread.getDims(), delinearize(n, computeStrides(shape)), steps)) {
      int64_t round = dim.lanes * dim.warps * dim.piece;
      offset += (place / dim.piece * round + place % dim.piece) * step;
    }
    numbers.offsets.push_back(offset);
  }
  return numbers;
}

namespace {
/// Makes the 16 random bits of each element.
class RandomBits {
public:
  RandomBits(Emitter &e, Value key, const ElementNumbers &numbers)
      : e(e), key(key), numbers(numbers) {
    if (numbers.isEven)
      firstPair = shiftRight(e, numbers.base, e.c32(1));
  }

  Value operator()(int64_t offset) {
    if (!numbers.isEven) {
      Value number = e.add(numbers.base, offset);
      Value both = mix(e, e.bxor(shiftRight(e, number, e.c32(1)), key));
      Value shift = e.mul(e.band(number, e.c32(1)), 16);
      return e.band(shiftRight(e, both, shift), e.c32(0xffff));
    }
    Value &both = pairs[offset / 2];
    if (!both)
      both = mix(e, e.bxor(e.add(firstPair, offset / 2), key));
    return offset % 2 ? shiftRight(e, both, e.c32(16))
                      : e.band(both, e.c32(0xffff));
  }

private:
  Emitter &e;
  Value key;
  const ElementNumbers &numbers;
  Value firstPair;
  llvm::DenseMap<int64_t, Value> pairs;
};

struct StochasticTruncPattern : OpConversionPattern<StochasticTruncOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(StochasticTruncOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    auto type = cast<RankedTensorType>(op.getSource().getType());
    ElementNumbers numbers =
        findNumbers(e, type, adaptor.getPair(), op.getSteps());
    RandomBits random(e, createKey(e, adaptor.getSeed()), numbers);
    Type narrow = rewriter.getBF16Type(), half = rewriter.getI16Type();
    Value nan = LLVM::ConstantOp::create(rewriter, op.getLoc(), half,
                                         rewriter.getI16IntegerAttr(0x7fc0));
    SmallVector<Value> rounded;
    for (auto [value, offset] :
         llvm::zip_equal(e.elements(adaptor.getSource()), numbers.offsets)) {
      Value bits =
          LLVM::BitcastOp::create(rewriter, op.getLoc(), e.i32(), value);
      Value sum = shiftRight(e, e.add(bits, random(offset)), e.c32(16));
      Value word = LLVM::TruncOp::create(rewriter, op.getLoc(), half, sum);
      Value isNan = LLVM::FCmpOp::create(
          rewriter, op.getLoc(), LLVM::FCmpPredicate::uno, value, value);
      rounded.push_back(LLVM::BitcastOp::create(rewriter, op.getLoc(), narrow,
                                                e.select(isNan, nan, word)));
    }
    rewriter.replaceOp(op, e.vectorOf(rounded));
    return success();
  }
};
} // namespace

void tile::populateStochasticTruncPatterns(LLVMTypeConverter &converter,
                                           RewritePatternSet &patterns) {
  patterns.add<StochasticTruncPattern>(converter, patterns.getContext());
}
