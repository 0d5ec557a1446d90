//===- RowsToLoops.cpp - Operations on the rows of a chunk to loops ------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"
#include "TensorLoops.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
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
  patterns.add<LowerCumsum, LowerIdentity, LowerLastRow, LowerMaskRows,
               LowerRepeatRows, LowerSumRows, LowerSumToMiddle>(
      patterns.getContext());
}
