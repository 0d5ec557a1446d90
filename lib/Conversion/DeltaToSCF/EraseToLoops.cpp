//===- EraseToLoops.cpp - Triangular systems by substitution --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"
#include "TensorLoops.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// Solves (I + stril(L) diag(c)) X = B, or (I + diag(c) stril(L))^T X = B:
///   x_i = b_i - sum of f_ij x_j,  f_ij = l_ij c_j, j < i   (or l_ji c_j, j >
///   i)
/// row by row, so that the rows j that row i needs are there.
static Value createSubstitution(ImplicitLocOpBuilder &b, Value l, Value rate,
                                Value rhs, bool transpose) {
  Value zero = createIndex(b, 0);
  Value rows = createIndex(b, tileType(l).getDimSize(0));
  Value last = createIndex(b, tileType(l).getDimSize(0) - 1);
  auto solveRow = [&](Value step, Value x) {
    Value i = transpose ? createSub(b, last, step) : step;
    Value first = transpose ? createAdd(b, i, createIndex(b, 1)) : zero;
    return createLoop(b, first, transpose ? rows : i, x, [&](Value j, Value x) {
      SmallVector<Value, 2> at = {transpose ? j : i, transpose ? i : j};
      Value factor = arith::MulFOp::create(b, createExtract(b, l, at),
                                           createExtract(b, rate, j));
      return createElementLoops(b, x, i, [&](ValueRange ivs, Value x) {
        Value solved = createExtract(b, x, {j, ivs[1]});
        Value product = arith::MulFOp::create(b, factor, solved);
        return Value(
            arith::SubFOp::create(b, createExtract(b, x, ivs), product));
      });
    });
  };
  return createLoop(b, zero, rows, rhs, solveRow);
}

/// c * X, row by row.
static Value createRowScale(ImplicitLocOpBuilder &b, Value rate, Value x) {
  return createElementLoops(b, x, {}, [&](ValueRange ivs, Value) {
    return Value(arith::MulFOp::create(b, createExtract(b, rate, ivs[0]),
                                       createExtract(b, x, ivs)));
  });
}

static Value createNegation(ImplicitLocOpBuilder &b, Value x) {
  return createElementLoops(b, x, {}, [&](ValueRange ivs, Value) {
    return Value(arith::NegFOp::create(b, createExtract(b, x, ivs)));
  });
}

/// Returns what rounding to `type` takes away.
static Value createRest(ImplicitLocOpBuilder &b, Value x, Type type) {
  return createElementLoops(b, x, {}, [&](ValueRange ivs, Value) {
    Value element = createExtract(b, x, ivs);
    if (element.getType().getIntOrFloatBitWidth() <=
        type.getIntOrFloatBitWidth())
      return Value(arith::SubFOp::create(b, element, element));
    Value rounded = arith::TruncFOp::create(b, type, element);
    return Value(arith::SubFOp::create(
        b, element, arith::ExtFOp::create(b, element.getType(), rounded)));
  });
}

/// Returns Z = (I + stril(L) diag(c))^-1 stril(L): it solves the system of
/// erase_solve with stril(L) on the right.
static Value createFactor(ImplicitLocOpBuilder &b, Value l, Value rate) {
  Value zero = createIndex(b, 0);
  Value rows = createIndex(b, tileType(l).getDimSize(0));
  auto copyRow = [&](Value i, Value tile) {
    return createLoop(b, zero, i, tile, [&](Value j, Value tile) {
      return createInsert(b, createExtract(b, l, {i, j}), tile, {i, j});
    });
  };
  Value lower =
      createLoop(b, zero, rows, createZeroTile(b, tileType(l)), copyRow);
  return createSubstitution(b, l, rate, lower, /*transpose=*/false);
}

/// True for a factor in two parts.
static bool hasTwoParts(Value z) {
  return tileType(z).getDimSize(1) == 2 * tileType(z).getDimSize(0);
}

namespace {
/// Blocks of rows and columns.
struct Blocks {
  Blocks(ImplicitLocOpBuilder &b, int64_t rows, std::optional<int64_t> block)
      : b(b), size(block.value_or(rows)), count(rows / size) {}

  /// Block (i, j) of a matrix.
  Value get(Value matrix, int64_t i, int64_t j) {
    return slice(matrix, {i * size, j * size}, {size, size});
  }
  /// Rows of block i of a vector or matrix.
  Value getRows(Value tile, int64_t i) {
    SmallVector<int64_t> offsets(tileType(tile).getRank(), 0);
    SmallVector<int64_t> sizes(tileType(tile).getShape());
    offsets[0] = i * size;
    sizes[0] = size;
    return slice(tile, offsets, sizes);
  }
  Value insert(Value block, Value matrix, int64_t i, int64_t j) {
    return insertAt(block, matrix, {i * size, j * size});
  }
  Value insertRows(Value rows, Value matrix, int64_t i) {
    return insertAt(rows, matrix, {i * size, 0});
  }

  ImplicitLocOpBuilder &b;
  int64_t size, count;

private:
  Value slice(Value tile, ArrayRef<int64_t> offsets, ArrayRef<int64_t> sizes) {
    SmallVector<OpFoldResult> ones(sizes.size(), b.getIndexAttr(1));
    return tensor::ExtractSliceOp::create(
        b, tile, getAsIndexOpFoldResult(b.getContext(), offsets),
        getAsIndexOpFoldResult(b.getContext(), sizes), ones);
  }
  Value insertAt(Value part, Value tile, ArrayRef<int64_t> offsets) {
    SmallVector<OpFoldResult> ones(offsets.size(), b.getIndexAttr(1));
    return tensor::InsertSliceOp::create(
        b, part, tile, getAsIndexOpFoldResult(b.getContext(), offsets),
        getAsIndexOpFoldResult(b.getContext(), tileType(part).getShape()),
        ones);
  }
};

struct LowerEraseSolve : OpRewritePattern<EraseSolveOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(EraseSolveOp op,
                                PatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value r = createSubstitution(b, op.getL(), op.getRate(), op.getW(),
                                 /*transpose=*/false);
    rewriter.replaceOp(op, {r, createRowScale(b, op.getRate(), r)});
    return success();
  }
};

struct LowerEraseSolveAdjoint : OpRewritePattern<EraseSolveAdjointOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(EraseSolveAdjointOp op,
                                PatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    rewriter.replaceOp(op, createSubstitution(b, op.getL(), op.getRate(),
                                              op.getDu(), /*transpose=*/true));
    return success();
  }
};

struct LowerEraseFactor : OpRewritePattern<EraseFactorOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(EraseFactorOp op,
                                PatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value l = op.getL();
    Blocks blocks(b, tileType(l).getDimSize(0), op.getBlock());
    bool isSplit = hasTwoParts(op.getZ());
    Value z = createZeroTile(b, tileType(op.getZ()));
    for (int64_t i = 0; i < blocks.count; ++i) {
      for (int64_t j = 0; j < i; ++j) {
        Value block = blocks.get(l, i, j);
        z = blocks.insert(block, z, i, j);
        if (op.getTo())
          z = blocks.insert(createRest(b, block, *op.getTo()), z, j, i);
      }
      Value factor =
          createFactor(b, blocks.get(l, i, i), blocks.getRows(op.getRate(), i));
      z = blocks.insert(factor, z, i, i);
      if (isSplit && op.getTo())
        z = blocks.insert(createRest(b, factor, *op.getTo()), z, i,
                          blocks.count + i);
    }
    rewriter.replaceOp(op, z);
    return success();
  }
};

struct LowerEraseApply : OpRewritePattern<EraseApplyOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(EraseApplyOp op,
                                PatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value z = op.getZ(), r = op.getW();
    bool adjoint = op.getAdjoint();
    Blocks blocks(b, tileType(z).getDimSize(0), op.getBlock());
    AffineExpr i = b.getAffineDimExpr(0), j = b.getAffineDimExpr(1),
               k = b.getAffineDimExpr(2);
    SmallVector<AffineMap> maps = AffineMap::inferFromExprList(
        {adjoint ? ArrayRef<AffineExpr>{k, i} : ArrayRef<AffineExpr>{i, k},
         {k, j},
         {i, j}},
        b.getContext());
    bool isSplit = hasTwoParts(z);
    // Takes (Z_ij + Z_ji) (c_j * R_j) from block i; of the adjoint, with these
    // transposed. On the diagonal it is the sum of the parts.
    auto subtract = [&](Value rows, int64_t i, int64_t j, Value other) {
      Value scaled = createRowScale(b, blocks.getRows(op.getRate(), j), other);
      Value operand = createCast(b, createNegation(b, scaled),
                                 tileType(z).getElementType());
      if (i != j)
        rows =
            createContraction(b, blocks.get(z, std::min(i, j), std::max(i, j)),
                              operand, rows, maps);
      else if (isSplit)
        rows = createContraction(b, blocks.get(z, i, blocks.count + i), operand,
                                 rows, maps);
      return createContraction(b, blocks.get(z, std::max(i, j), std::min(i, j)),
                               operand, rows, maps);
    };
    for (int64_t step = 0; step < blocks.count; ++step) {
      auto at = [&](int64_t n) { return adjoint ? blocks.count - 1 - n : n; };
      Value rows = blocks.getRows(r, at(step));
      for (int64_t before = 0; before < step; ++before)
        rows =
            subtract(rows, at(step), at(before), blocks.getRows(r, at(before)));
      rows = subtract(rows, at(step), at(step), rows);
      r = blocks.insertRows(rows, r, at(step));
    }
    rewriter.replaceOp(op, r);
    return success();
  }
};
} // namespace

void delta::populateErasePatterns(RewritePatternSet &patterns) {
  patterns.add<LowerEraseSolve, LowerEraseSolveAdjoint, LowerEraseFactor,
               LowerEraseApply>(patterns.getContext());
}
