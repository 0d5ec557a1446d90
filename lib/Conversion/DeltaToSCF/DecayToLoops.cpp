//===- DecayToLoops.cpp - decay_dot and decay_apply to loops --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The exponent of an entry is a sum of gates between two tokens. It is never
// the difference of two prefix sums (that cancels after a strong decay) and
// never positive (that overflows):
//
//   * head decay: a matrix of segment sums, one addition an entry;
//   * channel decay: halving. At level s = 1, 2, 4, ... the tokens fall into
//   blocks
//     of 2 s; an entry whose row is in the second half of a block and whose
//     column is in the first splits at the block's middle into exp(sum from the
//     middle) and exp(sum to the middle), both <= 1. Each pair of tokens has
//     one level.
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"
#include "TensorLoops.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

namespace {
/// What decay_dot and decay_apply share: which entries are kept and how they
/// decay.
class DecayProduct {
public:
  template <typename OpT>
  DecayProduct(OpT op, int64_t leftRows, ImplicitLocOpBuilder &b)
      : b(b), decay(op.getG()), mask(op.getMask()), rows(op.getRows()),
        beforeDecay(op.getBeforeDecay()), tokens(leftRows / rows[0]) {}

  bool hasChannelDecay() { return decay && tileType(decay).getRank() == 2; }

  /// m with masked entries zero and, for a head decay, the others decayed.
  Value createMaskedDecay(Value m);

  /// The levels of a channel decay: 0 is the pairs within one token.
  SmallVector<int64_t> getLevels();
  /// One factor of a level: the decay from the middle (`left`) or to it, times
  /// x.
  Value createFactor(Value x, int64_t level, bool left);
  /// Runs over the kept pairs of rows (i, j) of one level.
  Value createPairLoops(int64_t level, Value init,
                        function_ref<Value(Value i, Value j, Value)> body);

private:
  /// One past the last column that the mask keeps of row i.
  Value createColumnEnd(Value i);
  /// s_tu = sum of g over the tokens after u, up to and with t.
  Value createSegmentSums();

  ImplicitLocOpBuilder &b;
  Value decay;
  RowMask mask;
  ArrayRef<int64_t> rows;
  bool beforeDecay;
  int64_t tokens;
};
} // namespace

Value DecayProduct::createColumnEnd(Value i) {
  Value token = createFloorDiv(b, i, rows[0]);
  switch (mask) {
  case RowMask::before_row:
    return i;
  case RowMask::before_token:
    return createMul(b, token, rows[1]);
  case RowMask::upto_token:
    return createMul(b, createAdd(b, token, createIndex(b, 1)), rows[1]);
  }
  llvm_unreachable("a row mask that is not listed");
}

Value DecayProduct::createSegmentSums() {
  Value one = createIndex(b, 1);
  Type type = tileType(decay).getElementType();
  Value zeros =
      createZeroTile(b, RankedTensorType::get({tokens, tokens}, type));
  return createLoop(
      b, one, createIndex(b, tokens), zeros, [&](Value t, Value sums) {
        Value gate = createExtract(b, decay, t);
        Value before = createSub(b, t, one);
        return createLoop(b, createIndex(b, 0), t, sums,
                          [&](Value u, Value sums) {
                            Value sum = arith::AddFOp::create(
                                b, createExtract(b, sums, {before, u}), gate);
                            return createInsert(b, sum, sums, {t, u});
                          });
      });
}

Value DecayProduct::createMaskedDecay(Value m) {
  Value factors;
  if (decay) {
    Value sums = createSegmentSums();
    factors = math::ExpOp::create(b, sums);
  }
  auto element = [&](Value i, Value j) -> Value {
    Value entry = createExtract(b, m, {i, j});
    if (!factors)
      return entry;
    Value t = createFloorDiv(b, i, rows[0]);
    if (beforeDecay)
      t = createSub(b, t, createIndex(b, 1));
    Value factor =
        createExtract(b, factors, {t, createFloorDiv(b, j, rows[1])});
    return arith::MulFOp::create(b, entry, factor);
  };
  Value zero = createIndex(b, 0);
  Value end = createIndex(b, tileType(m).getDimSize(0));
  return createLoop(
      b, zero, end, createZeroTile(b, tileType(m)), [&](Value i, Value result) {
        return createLoop(
            b, zero, createColumnEnd(i), result, [&](Value j, Value result) {
              return createInsert(b, element(i, j), result, {i, j});
            });
      });
}

SmallVector<int64_t> DecayProduct::getLevels() {
  SmallVector<int64_t> levels;
  if (mask == RowMask::upto_token ||
      (mask == RowMask::before_row && rows[0] > 1))
    levels.push_back(0);
  for (int64_t level = 1; level < tokens; level *= 2)
    levels.push_back(level);
  return levels;
}

Value DecayProduct::createFactor(Value x, int64_t level, bool left) {
  if (level == 0)
    return x;
  Value sums = createSegmentSum(b, decay, level, /*reverse=*/!left);
  if (left && !beforeDecay)
    sums = arith::AddFOp::create(b, sums, decay);
  Value factor =
      createRepeatRows(b, math::ExpOp::create(b, sums), rows[left ? 0 : 1]);
  return arith::MulFOp::create(b, x, factor);
}

Value DecayProduct::createPairLoops(
    int64_t level, Value init, function_ref<Value(Value, Value, Value)> body) {
  // Block p: columns of the tokens [begin, middle), rows of [middle, end). At
  // level 0 a block is one token against itself.
  int64_t blocks =
      level == 0 ? tokens : llvm::divideCeil(tokens - level, 2 * level);
  Value zero = createIndex(b, 0);
  return createLoop(
      b, zero, createIndex(b, blocks), init, [&](Value p, Value current) {
        int64_t length = std::max<int64_t>(level, 1);
        Value begin = level == 0 ? p : createMul(b, p, 2 * level);
        Value middle =
            level == 0 ? p : createAdd(b, begin, createIndex(b, level));
        Value end = b.createOrFold<arith::MinUIOp>(
            createAdd(b, middle, createIndex(b, length)),
            createIndex(b, tokens));
        Value columnBegin = createMul(b, begin, rows[1]);
        Value columnEnd =
            createMul(b, createAdd(b, begin, createIndex(b, length)), rows[1]);
        return createLoop(
            b, createMul(b, middle, rows[0]), createMul(b, end, rows[0]),
            current, [&](Value i, Value current) {
              Value last = level == 0 ? createColumnEnd(i) : columnEnd;
              return createLoop(
                  b, columnBegin, last, current,
                  [&](Value j, Value current) { return body(i, j, current); });
            });
      });
}

/// The matrix product of `maps` over (i, j, d) into zeros.
static Value createProduct(ImplicitLocOpBuilder &b, Value lhs, Value rhs,
                           RankedTensorType type,
                           ArrayRef<SmallVector<unsigned, 2>> dims) {
  SmallVector<AffineMap> maps;
  for (ArrayRef<unsigned> of : dims)
    maps.push_back(AffineMap::get(
        3, 0, {b.getAffineDimExpr(of[0]), b.getAffineDimExpr(of[1])},
        b.getContext()));
  return createContraction(b, lhs, rhs, createZeroTile(b, type), maps);
}

namespace {
struct LowerDecayDot : OpRewritePattern<DecayDotOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(DecayDotOp op,
                                PatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    auto type = cast<RankedTensorType>(op.getM().getType());
    Value lhs = createCast(b, op.getA(), type.getElementType());
    Value rhs = createCast(b, op.getB(), type.getElementType());
    DecayProduct product(op, type.getDimSize(0), b);
    if (!product.hasChannelDecay()) {
      Value dots = createProduct(b, lhs, rhs, type, {{0, 2}, {1, 2}, {0, 1}});
      rewriter.replaceOp(op, product.createMaskedDecay(dots));
      return success();
    }
    Value result = createZeroTile(b, type);
    for (int64_t level : product.getLevels()) {
      Value left = product.createFactor(lhs, level, /*left=*/true);
      Value right = product.createFactor(rhs, level, /*left=*/false);
      result = product.createPairLoops(
          level, result, [&](Value i, Value j, Value current) {
            return createInsert(b, createRowDot(b, left, i, right, j), current,
                                {i, j});
          });
    }
    rewriter.replaceOp(op, result);
    return success();
  }

  /// sum_d left_id right_jd
  static Value createRowDot(ImplicitLocOpBuilder &b, Value left, Value i,
                            Value right, Value j) {
    RankedTensorType type = tileType(left);
    Value zero =
        arith::ConstantOp::create(b, b.getZeroAttr(type.getElementType()));
    return createLoop(b, createIndex(b, 0), createIndex(b, type.getDimSize(1)),
                      zero, [&](Value d, Value sum) {
                        Value term = arith::MulFOp::create(
                            b, createExtract(b, left, {i, d}),
                            createExtract(b, right, {j, d}));
                        return Value(arith::AddFOp::create(b, sum, term));
                      });
  }
};

struct LowerDecayApply : OpRewritePattern<DecayApplyOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(DecayApplyOp op,
                                PatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    auto type = cast<RankedTensorType>(op.getR().getType());
    Value m = createCast(b, op.getM(), type.getElementType());
    Value x = createCast(b, op.getX(), type.getElementType());
    bool transpose = op.getTranspose();
    DecayProduct product(op, tileType(m).getDimSize(0), b);
    if (!product.hasChannelDecay()) {
      Value kept = product.createMaskedDecay(m);
      rewriter.replaceOp(
          op, transpose
                  ? createProduct(b, kept, x, type, {{2, 0}, {2, 1}, {0, 1}})
                  : createProduct(b, kept, x, type, {{0, 2}, {2, 1}, {0, 1}}));
      return success();
    }
    Value result = createZeroTile(b, type);
    for (int64_t level : product.getLevels()) {
      Value factor = product.createFactor(x, level, /*left=*/transpose);
      Value sums = product.createPairLoops(
          level, createZeroTile(b, type), [&](Value i, Value j, Value current) {
            return createRowUpdate(b, current, transpose ? j : i,
                                   createExtract(b, m, {i, j}), factor,
                                   transpose ? i : j);
          });
      sums = product.createFactor(sums, level, /*left=*/!transpose);
      result = arith::AddFOp::create(b, result, sums);
    }
    rewriter.replaceOp(op, result);
    return success();
  }

  /// Row i of `sums` plus `weight` times row j of x.
  static Value createRowUpdate(ImplicitLocOpBuilder &b, Value sums, Value i,
                               Value weight, Value x, Value j) {
    return createElementLoops(b, sums, i, [&](ValueRange ivs, Value current) {
      Value term =
          arith::MulFOp::create(b, weight, createExtract(b, x, {j, ivs[1]}));
      return Value(
          arith::AddFOp::create(b, createExtract(b, current, ivs), term));
    });
  }
};
} // namespace

void delta::populateDecayPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerDecayDot, LowerDecayApply>(patterns.getContext());
}
