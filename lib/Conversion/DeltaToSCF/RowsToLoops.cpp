//===- RowsToLoops.cpp - Operations on the rows of a chunk to loops ------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"
#include "TensorLoops.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

namespace {
struct LowerCumsum : OpRewritePattern<CumsumOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CumsumOp op,
                                PatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value rows = createIndex(b, tileType(op.getX()).getDimSize(0));
    Value sums = createSegmentSum(b, op.getX(), rows, op.getReverse());
    if (!op.getExclusive())
      sums = arith::AddFOp::create(b, sums, op.getX());
    rewriter.replaceOp(op, sums);
    return success();
  }
};

struct LowerSumToMiddle : OpRewritePattern<SumToMiddleOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SumToMiddleOp op,
                                PatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    int64_t size = op.getHalf();
    Value half = createIndex(b, size), g = op.getG();
    bool isSigned = op.getIsSigned();
    if (isSigned)
      g = arith::MaximumFOp::create(b, g, createLeast(b, op));
    Value second = createSegmentSum(b, g, half, /*reverse=*/false);
    Value first = createSegmentSum(b, g, half, /*reverse=*/true);
    if (!op.getBeforeDecay())
      second = arith::AddFOp::create(b, second, g);
    else if (isSigned)
      first = arith::AddFOp::create(b, first, g);
    if (isSigned)
      first = arith::NegFOp::create(b, first);
    rewriter.replaceOp(
        op, createElementLoops(b, first, {}, [&](ValueRange ivs, Value sums) {
          Value number = createFloorDiv(b, ivs[0], size);
          Value isSecond = arith::CmpIOp::create(
              b, arith::CmpIPredicate::eq,
              arith::RemUIOp::create(b, number, createIndex(b, 2)),
              createIndex(b, 1));
          return Value(arith::SelectOp::create(b, isSecond,
                                               createExtract(b, second, ivs),
                                               createExtract(b, sums, ivs)));
        }));
    return success();
  }

private:
  /// The least that a gate of signed sums counts as, a tile of it.
  static Value createLeast(ImplicitLocOpBuilder &b, SumToMiddleOp op) {
    RankedTensorType type = tileType(op.getG());
    TypedAttr least = b.getFloatAttr(type.getElementType(), op.getLeastGate());
    return arith::ConstantOp::create(b, DenseElementsAttr::get(type, least));
  }
};

/// The loop ends at the valid rows: what lies past them is not read.
struct LowerMaskRows : OpRewritePattern<MaskRowsOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MaskRowsOp op,
                                PatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value x = op.getX();
    Value rows = createMul(b, op.getValid(), op.getRows());
    auto copyRow = [&](Value i, Value tile) {
      return createElementLoops(b, tile, i, [&](ValueRange ivs, Value) {
        return createExtract(b, x, ivs);
      });
    };
    rewriter.replaceOp(op, createLoop(b, createIndex(b, 0), rows,
                                      createZeroTile(b, tileType(x)), copyRow));
    return success();
  }
};

/// Columns are counted from the first of the half.
struct LowerSplitColumns : OpRewritePattern<SplitColumnsOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SplitColumnsOp op,
                                PatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    RankedTensorType type = tileType(op.getA());
    SmallVector<Value> halves;
    for (int64_t first : {int64_t(0), type.getDimSize(1)})
      halves.push_back(createElementLoops(
          b, createZeroTile(b, type), {}, [&](ValueRange ivs, Value) {
            Value column = createAdd(b, ivs[1], createIndex(b, first));
            return createExtract(b, op.getX(), {ivs[0], column});
          }));
    rewriter.replaceOp(op, halves);
    return success();
  }
};

/// Columns behind both halves are zero.
struct LowerJoinColumns : OpRewritePattern<JoinColumnsOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(JoinColumnsOp op,
                                PatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    RankedTensorType type = tileType(op.getY());
    int64_t width = tileType(op.getA()).getDimSize(1);
    bool isWider = type.getDimSize(1) > 2 * width;
    Value half = createIndex(b, width), first = createIndex(b, 0);
    Value zero =
        arith::ConstantOp::create(b, b.getZeroAttr(type.getElementType()));
    auto isFrom = [&](Value column, int64_t least) -> Value {
      return arith::CmpIOp::create(b, arith::CmpIPredicate::uge, column,
                                   createIndex(b, least));
    };
    auto joined = [&](ValueRange ivs, Value) -> Value {
      Value isSecond = isFrom(ivs[1], width);
      Value column = arith::SelectOp::create(
          b, isSecond, createSub(b, ivs[1], half), ivs[1]);
      Value isBehind = isWider ? isFrom(ivs[1], 2 * width) : Value();
      if (isWider)
        column = arith::SelectOp::create(b, isBehind, first, column);
      SmallVector<Value> at = {ivs[0], column};
      Value element =
          arith::SelectOp::create(b, isSecond, createExtract(b, op.getB(), at),
                                  createExtract(b, op.getA(), at));
      if (!isWider)
        return element;
      return arith::SelectOp::create(b, isBehind, zero, element);
    };
    rewriter.replaceOp(
        op, createElementLoops(b, createZeroTile(b, type), {}, joined));
    return success();
  }
};

struct LowerLastRow : OpRewritePattern<LastRowOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(LastRowOp op,
                                PatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value rows = createMul(b, op.getValid(), op.getRows());
    Value last = createSub(b, rows, createIndex(b, 1));
    rewriter.replaceOp(
        op, createElementLoops(b, createZeroTile(b, tileType(op.getY())), {},
                               [&](ValueRange ivs, Value) {
                                 SmallVector<Value> at = {last};
                                 llvm::append_range(at, ivs);
                                 return createExtract(b, op.getX(), at);
                               }));
    return success();
  }
};

/// Sums of products go from the oldest row to the token's own.
struct LowerConvRow : OpRewritePattern<ConvRowOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConvRowOp op,
                                PatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    int64_t before = tileType(op.getWindow()).getDimSize(0);
    auto getRow = [&](int64_t j, Value channel) {
      return j < before
                 ? createExtract(b, op.getWindow(),
                                 {createIndex(b, j), channel})
                 : createExtract(b, op.getX(), {createIndex(b, 0), channel});
    };
    Value y = createElementLoops(
        b, createZeroTile(b, tileType(op.getX())), {},
        [&](ValueRange ivs, Value) -> Value {
          Value sum;
          for (int64_t j = 0; j <= before; ++j) {
            Value product = arith::MulFOp::create(
                b,
                createExtract(b, op.getFilter(), {ivs[1], createIndex(b, j)}),
                getRow(j, ivs[1]));
            sum = sum ? arith::AddFOp::create(b, sum, product) : product;
          }
          return createSilu(b, sum);
        });
    Value next = createZeroTile(b, tileType(op.getWindow()));
    for (int64_t j = 0; j < before; ++j)
      next = createLoop(b, createIndex(b, 0),
                        createIndex(b, tileType(op.getX()).getDimSize(1)), next,
                        [&](Value channel, Value tile) {
                          return createInsert(b, getRow(j + 1, channel), tile,
                                              {createIndex(b, j), channel});
                        });
    rewriter.replaceOp(op, {y, next});
    return success();
  }

private:
  /// x / (1 + e^-x)
  static Value createSilu(ImplicitLocOpBuilder &b, Value x) {
    Value one = arith::ConstantOp::create(b, b.getFloatAttr(x.getType(), 1.0));
    Value power = math::ExpOp::create(b, arith::NegFOp::create(b, x));
    return arith::DivFOp::create(b, x, arith::AddFOp::create(b, one, power));
  }
};

struct LowerRepeatRows : OpRewritePattern<RepeatRowsOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(RepeatRowsOp op,
                                PatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    rewriter.replaceOp(op, createRepeatRows(b, op.getX(), op.getN(),
                                            tileType(op.getY()).getDimSize(0)));
    return success();
  }
};

/// Rows of a token are added one after another.
struct LowerSumRows : OpRewritePattern<SumRowsOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SumRowsOp op,
                                PatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value rows = createIndex(b, tileType(op.getX()).getDimSize(0));
    auto addRow = [&](Value i, Value sums) {
      Value token = createFloorDiv(b, i, op.getN());
      return createElementLoops(
          b, sums, token, [&](ValueRange ivs, Value sums) {
            SmallVector<Value> at(ivs);
            at[0] = i;
            return Value(
                arith::AddFOp::create(b, createExtract(b, sums, ivs),
                                      createExtract(b, op.getX(), at)));
          });
    };
    rewriter.replaceOp(op, createLoop(b, createIndex(b, 0), rows,
                                      createZeroTile(b, tileType(op.getY())),
                                      addRow));
    return success();
  }
};

struct LowerIdentity : OpRewritePattern<IdentityOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(IdentityOp op,
                                PatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    RankedTensorType type = tileType(op.getY());
    Value one = arith::ConstantOp::create(
        b, b.getFloatAttr(type.getElementType(), 1.0));
    Value rows = createIndex(b, type.getDimSize(0));
    rewriter.replaceOp(
        op, createLoop(b, createIndex(b, 0), rows, createZeroTile(b, type),
                       [&](Value i, Value tile) {
                         return createInsert(b, one, tile, {i, i});
                       }));
    return success();
  }
};
} // namespace

void delta::populateRowPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerConvRow, LowerCumsum, LowerIdentity, LowerJoinColumns,
               LowerLastRow, LowerMaskRows, LowerRepeatRows, LowerSplitColumns,
               LowerSumRows, LowerSumToMiddle>(patterns.getContext());
}
