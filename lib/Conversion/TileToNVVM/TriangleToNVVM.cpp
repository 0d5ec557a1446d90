//===- TriangleToNVVM.cpp - The lower triangle of pairs of tokens ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rows 16 w to 16 w + 15 are warp w's. Each warp has code of its own, for the
// blocks of 16 columns that it needs: all of those below the diagonal, some
// elements of the one on it, and none above.
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// Elements that a thread has of a block of 16 columns, and of its 8 left ones.
constexpr int64_t kBlock = 8, kHalf = 4;

Value sub(Emitter &e, Value a, Value b) {
  return LLVM::FSubOp::create(e.builder, e.loc, a, b);
}
Value mul(Emitter &e, Value a, Value b) {
  return LLVM::FMulOp::create(e.builder, e.loc, a, b);
}

class TriangleEmitter {
public:
  TriangleEmitter(TriangleOp op, TriangleOp::Adaptor adaptor, Emitter &e)
      : e(e), m(e.elements(adaptor.getM())) {
    if (op.getH()) {
      h = e.elements(adaptor.getH());
      p = e.elements(adaptor.getP());
    }
    // Within a block 8 x 8 on the diagonal: column 2 (lane % 4) + odd, row
    // lane / 4.
    Value column = e.mul(e.urem(e.laneId(), 4), 2), row = e.udiv(e.laneId(), 4);
    auto upTo =
        op.getStrict() ? LLVM::ICmpPredicate::ult : LLVM::ICmpPredicate::ule;
    for (int64_t odd : {0, 1})
      isKept.push_back(e.cmp(upTo, e.add(column, odd), row));
  }

  Value build() {
    Value warp = e.urem(e.warpNumber(), kWarpgroupWarps);
    return e.vectorOf(buildFrom(warp, 0));
  }

private:
  /// Returns the elements of warps from `first` on: those of this one, or what
  /// the next ones have.
  SmallVector<Value> buildFrom(Value warp, int64_t first) {
    if (first == kWarpgroupWarps - 1)
      return rowsOf(first);
    Value isFirst = e.cmp(LLVM::ICmpPredicate::eq, warp, e.c32(first));
    SmallVector<Type> types(m.size(), e.f32());
    auto ifOp =
        scf::IfOp::create(e.builder, e.loc, types, isFirst, /*withElse=*/true);
    OpBuilder::InsertionGuard guard(e.builder);
    e.builder.setInsertionPointToStart(ifOp.thenBlock());
    scf::YieldOp::create(e.builder, e.loc, rowsOf(first));
    e.builder.setInsertionPointToStart(ifOp.elseBlock());
    scf::YieldOp::create(e.builder, e.loc, buildFrom(warp, first + 1));
    return ifOp.getResults();
  }

  /// Returns the elements of warp `w`.
  SmallVector<Value> rowsOf(int64_t w) {
    SmallVector<Value> values;
    Value later = h.empty() || w == 0 ? Value() : exp2(sub(e, h[1], h[0]));
    for (int64_t block = 0; block < kWarpgroupWarps; ++block) {
      if (block < w)
        addBelow(block, later, values);
      else if (block == w)
        addDiagonal(block, values);
      else
        values.append(kBlock, e.cf32(0));
    }
    return values;
  }

  /// Appends a block of columns that all come before the warp's rows. Rows that
  /// are 8 further down have `later` times the decays.
  void addBelow(int64_t block, Value later, SmallVectorImpl<Value> &values) {
    for (int64_t first : {kBlock * block, kBlock * block + kHalf}) {
      if (h.empty()) {
        values.append(m.begin() + first, m.begin() + first + kHalf);
        continue;
      }
      SmallVector<Value> decays{decay(first), decay(first + 1)};
      for (int64_t odd : {0, 1})
        values.push_back(mul(e, m[first + odd], decays[odd]));
      for (int64_t odd : {0, 1})
        values.push_back(
            mul(e, m[first + 2 + odd], mul(e, decays[odd], later)));
    }
  }

  /// Appends the block on the diagonal: of its four of 8 x 8 one is below it,
  /// one above.
  void addDiagonal(int64_t block, SmallVectorImpl<Value> &values) {
    Value zero = e.cf32(0);
    for (int64_t i = kBlock * block; i < kBlock * (block + 1); ++i) {
      bool isLeft = i % kBlock < kHalf,
           isUpper = AccPosition::rowOffset(i) == 0;
      if (isUpper && !isLeft) {
        values.push_back(zero);
        continue;
      }
      // The exponent of a pair that is dropped may be huge: it is selected
      // from, not multiplied by zero.
      Value value = h.empty() ? m[i] : mul(e, m[i], decay(i));
      values.push_back(isUpper == isLeft ? e.select(isKept[i % 2], value, zero)
                                         : value);
    }
  }

  /// Returns the decay of the pair that element `i` is of.
  Value decay(int64_t i) {
    return exp2(
        sub(e, h[AccPosition::rowOffset(i) / 8], p[2 * (i / 4) + i % 2]));
  }
  Value exp2(Value x) { return emitExp2(e, x); }

  Emitter &e;
  SmallVector<Value> m, h, p, isKept;
};

struct TrianglePattern : OpConversionPattern<TriangleOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(TriangleOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    rewriter.replaceOp(op, TriangleEmitter(op, adaptor, e).build());
    return success();
  }
};
} // namespace

void tile::populateTrianglePatterns(LLVMTypeConverter &converter,
                                    RewritePatternSet &patterns) {
  patterns.add<TrianglePattern>(converter, patterns.getContext());
}
