//===- SumTokensToLoops.cpp - sum_tokens to a reduction -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"
#include "TensorLoops.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// Returns how many rows of a batch row sequences own: all `all`, or of packed
/// ones those of the tokens as far as the last bound, `perToken` each.
static Value countOwned(ImplicitLocOpBuilder &b, Value cuSeqlens, Value all,
                        int64_t perToken) {
  if (!cuSeqlens)
    return all;
  Value entries = b.createOrFold<tensor::DimOp>(cuSeqlens, 0);
  Value packed = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, entries,
                                       createIndex(b, 0));
  auto found = scf::IfOp::create(
      b, packed,
      [&](OpBuilder &, Location) {
        Value last = createSub(b, entries, createIndex(b, 1));
        Value end = arith::IndexCastOp::create(
            b, b.getIndexType(), createExtract(b, cuSeqlens, last));
        scf::YieldOp::create(b, createMul(b, end, perToken));
      },
      [&](OpBuilder &, Location) { scf::YieldOp::create(b, all); });
  return found.getResult(0);
}

namespace {
/// One reduction a tensor, of the rows that sequences own.
struct LowerSumTokens : OpRewritePattern<SumTokensOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SumTokensOp op,
                                PatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    SmallVector<Value> sums;
    for (auto [tensor, sum] : llvm::zip_equal(op.getTensors(), op.getSums())) {
      Value rows = b.createOrFold<tensor::DimOp>(tensor, 1);
      SmallVector<OpFoldResult> sizes =
          tensor::getMixedSizes(b, b.getLoc(), tensor);
      SmallVector<OpFoldResult> offsets(sizes.size(), b.getIndexAttr(0));
      SmallVector<OpFoldResult> strides(sizes.size(), b.getIndexAttr(1));
      sizes[1] = countOwned(b, op.getCuSeqlens(), rows, op.getRows());
      Value owned =
          tensor::ExtractSliceOp::create(b, tensor, offsets, sizes, strides);
      Value zero = createZeroTile(b, cast<RankedTensorType>(sum.getType()));
      auto add = [](OpBuilder &b, Location loc, ValueRange args) {
        Value next = arith::AddFOp::create(b, loc, args[1], args[0]);
        linalg::YieldOp::create(b, loc, next);
      };
      sums.push_back(
          linalg::ReduceOp::create(b, owned, zero, ArrayRef<int64_t>{0, 1}, add)
              ->getResult(0));
    }
    rewriter.replaceOp(op, sums);
    return success();
  }
};
} // namespace

void delta::populateSumTokensPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerSumTokens>(patterns.getContext());
}
