//===- DecayToLoops.cpp - decay_dot and its kin to loops ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The exponent of an entry is a sum of gates between two tokens. It is never
// the difference of two prefix sums (that cancels after a strong decay) and
// never positive (that overflows):
//
//  * head decay: a matrix of segment sums, one addition an entry;
//  * channel decay: halving. At level l the tokens fall into blocks of 2 s,
//  with
//    s = 2^l. An entry whose row is in the second half of a block and whose
//    column is in the first splits at the block's middle into exp(sum from the
//    middle) and exp(sum to the middle), both <= 1. Each pair of tokens has one
//    level.
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"
#include "TensorLoops.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

namespace {
/// What decay_dot, decay_apply and decay_mask share: which entries are kept and
/// how they decay.
class DecayProduct {
public:
  template <typename OpT>
  /// `entries` is the matrix with an entry for each pair of rows.
  DecayProduct(OpT op, RankedTensorType entries, ImplicitLocOpBuilder &b)
      : b(b), decay(op.getG()), mask(op.getMask()), rows(op.getRows()),
        sizes(entries.getShape()), beforeDecay(op.getBeforeDecay()),
        tokens(decay ? tileType(decay).getDimSize(0)
                     : std::max<int64_t>(llvm::divideCeil(sizes[0], rows[0]),
                                         llvm::divideCeil(sizes[1], rows[1]))) {
  }

  bool hasChannelDecay() { return decay && tileType(decay).getRank() == 2; }

  /// m with masked entries zero and, for a head decay, the others decayed.
  Value createMaskedDecay(Value m);

  using PairBody = function_ref<Value(Value i, Value j, Value current)>;
  /// Runs over the kept pairs of rows within one block of `near` tokens; of one
  /// token, they do not decay.
  Value createNearLoops(int64_t near, Value init, PairBody body);
  /// Runs over the levels of a channel decay, with the half block s of each.
  Value createLevelLoop(Value init,
                        function_ref<Value(Value half, Value current)> body);
  /// One factor of a level, times x: the decay from the middle (`left`) or to
  /// it.
  Value createFactor(Value x, Value half, bool left);
  /// Runs over the pairs of rows of one level.
  Value createPairLoops(Value half, Value init, PairBody body);

private:
  /// The first row (`side` 0) or column of `token`; one past the last where the
  /// tile ends before it.
  Value createFirst(Value token, int64_t side);
  /// One past the last column that the mask keeps of row i.
  Value createColumnEnd(Value i);
  /// s_tu = sum of g over the tokens after u, up to and with t.
  Value createSegmentSums();

  ImplicitLocOpBuilder &b;
  Value decay;
  RowMask mask;
  ArrayRef<int64_t> rows;
  ArrayRef<int64_t> sizes; ///< of the matrix of pairs
  bool beforeDecay;
  int64_t tokens;
};
} // namespace

Value DecayProduct::createFirst(Value token, int64_t side) {
  Value first = createMul(b, token, rows[side]);
  if (tokens * rows[side] <= sizes[side])
    return first;
  return arith::MinUIOp::create(b, first, createIndex(b, sizes[side]));
}

Value DecayProduct::createColumnEnd(Value i) {
  Value token = createFloorDiv(b, i, rows[0]);
  switch (mask) {
  case RowMask::before_row:
    return i;
  case RowMask::before_token:
    return createFirst(token, 1);
  case RowMask::upto_token:
    return createFirst(createAdd(b, token, createIndex(b, 1)), 1);
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

Value DecayProduct::createNearLoops(int64_t near, Value init, PairBody body) {
  if (near == 1 && mask == RowMask::before_token)
    return init;
  Value end = createIndex(b, sizes[0]);
  return createLoop(
      b, createIndex(b, 0), end, init, [&](Value i, Value current) {
        Value block = createFloorDiv(b, i, rows[0] * near);
        return createLoop(
            b, createFirst(createMul(b, block, near), 1), createColumnEnd(i),
            current,
            [&](Value j, Value current) { return body(i, j, current); });
      });
}

Value DecayProduct::createLevelLoop(Value init,
                                    function_ref<Value(Value, Value)> body) {
  Value levels = createIndex(b, llvm::Log2_64_Ceil(tokens));
  return createLoop(
      b, createIndex(b, 0), levels, init, [&](Value level, Value current) {
        Value half = arith::ShLIOp::create(b, createIndex(b, 1), level);
        return body(half, current);
      });
}

Value DecayProduct::createFactor(Value x, Value half, bool left) {
  Value sums = createSegmentSum(b, decay, half, /*reverse=*/!left);
  if (left && !beforeDecay)
    sums = arith::AddFOp::create(b, sums, decay);
  Value factor =
      createRepeatRows(b, math::ExpOp::create(b, sums), rows[left ? 0 : 1],
                       tileType(x).getDimSize(0));
  return arith::MulFOp::create(b, x, factor);
}

Value DecayProduct::createPairLoops(Value half, Value init, PairBody body) {
  // Block p: rows of the tokens [middle, end), columns of [begin, middle). The
  // last block may have no second half, or part of one.
  Value zero = createIndex(b, 0), last = createIndex(b, tokens);
  Value block = createMul(b, half, 2);
  Value blocks = arith::CeilDivUIOp::create(b, last, block);
  return createLoop(b, zero, blocks, init, [&](Value p, Value current) {
    Value begin = arith::MulIOp::create(b, p, block);
    Value middle = createAdd(b, begin, half);
    Value end = arith::MinUIOp::create(b, createAdd(b, begin, block), last);
    return createLoop(b, createFirst(middle, 0), createFirst(end, 0), current,
                      [&](Value i, Value current) {
                        return createLoop(b, createFirst(begin, 1),
                                          createFirst(middle, 1), current,
                                          [&](Value j, Value current) {
                                            return body(i, j, current);
                                          });
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
    DecayProduct product(op, type, b);
    if (!product.hasChannelDecay()) {
      Value dots = createProduct(b, lhs, rhs, type, {{0, 2}, {1, 2}, {0, 1}});
      rewriter.replaceOp(op, product.createMaskedDecay(dots));
      return success();
    }
    auto createDots = [&](Value left, Value right) {
      return [&b, left, right](Value i, Value j, Value current) {
        return createInsert(b, createRowDot(b, left, i, right, j), current,
                            {i, j});
      };
    };
    Value result = product.createNearLoops(/*near=*/1, createZeroTile(b, type),
                                           createDots(lhs, rhs));
    result = product.createLevelLoop(result, [&](Value half, Value current) {
      Value left = product.createFactor(lhs, half, /*left=*/true);
      Value right = product.createFactor(rhs, half, /*left=*/false);
      return product.createPairLoops(half, current, createDots(left, right));
    });
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
    DecayProduct product(op, tileType(m), b);
    if (!product.hasChannelDecay()) {
      Value kept = product.createMaskedDecay(m);
      rewriter.replaceOp(
          op, transpose
                  ? createProduct(b, kept, x, type, {{2, 0}, {2, 1}, {0, 1}})
                  : createProduct(b, kept, x, type, {{0, 2}, {2, 1}, {0, 1}}));
      return success();
    }
    auto createUpdates = [&](Value factor) {
      return [&b, m, factor, transpose](Value i, Value j, Value current) {
        Value weight = createExtract(b, m, {i, j});
        return createRowUpdate(b, current, transpose ? j : i, weight, factor,
                               transpose ? i : j);
      };
    };
    Value result = product.createNearLoops(/*near=*/1, createZeroTile(b, type),
                                           createUpdates(x));
    result = product.createLevelLoop(result, [&](Value half, Value current) {
      Value factor = product.createFactor(x, half, /*left=*/transpose);
      Value sums = product.createPairLoops(half, createZeroTile(b, type),
                                           createUpdates(factor));
      sums = product.createFactor(sums, half, /*left=*/!transpose);
      return Value(arith::AddFOp::create(b, current, sums));
    });
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

struct LowerDecayMask : OpRewritePattern<DecayMaskOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(DecayMaskOp op,
                                PatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    DecayProduct product(op, tileType(op.getM()), b);
    rewriter.replaceOp(op, op.getHalf() || op.getNear()
                               ? createKept(b, product, op)
                               : product.createMaskedDecay(op.getM()));
    return success();
  }

  /// The entries of m for the pairs of one half, or of near tokens, else zero.
  static Value createKept(ImplicitLocOpBuilder &b, DecayProduct &product,
                          DecayMaskOp op) {
    Value m = op.getM();
    auto keep = [&](Value i, Value j, Value current) {
      return createInsert(b, createExtract(b, m, {i, j}), current, {i, j});
    };
    Value zeros = createZeroTile(b, tileType(m));
    if (std::optional<int64_t> near = op.getNear())
      return product.createNearLoops(*near, zeros, keep);
    return product.createPairLoops(createIndex(b, *op.getHalf()), zeros, keep);
  }
};
} // namespace

void delta::populateDecayPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerDecayDot, LowerDecayApply, LowerDecayMask>(
      patterns.getContext());
}
