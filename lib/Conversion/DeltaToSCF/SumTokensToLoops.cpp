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

/// Returns how many tokens of a batch row sequences own: all `tokens`, or as
/// far as the last bound of those that are packed.
static Value countOwned(ImplicitLocOpBuilder &b, Value cuSeqlens,
                        Value tokens) {
  if (!cuSeqlens)
    return tokens;
  Value entries = b.createOrFold<tensor::DimOp>(cuSeqlens, 0);
  Value packed = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, entries,
                                       createIndex(b, 0));
  auto found = scf::IfOp::create(
      b, packed,
      [&](OpBuilder &, Location) {
        Value last = createSub(b, entries, createIndex(b, 1));
        Value end = arith::IndexCastOp::create(
            b, b.getIndexType(), createExtract(b, cuSeqlens, last));
        scf::YieldOp::create(b, end);
      },
      [&](OpBuilder &, Location) { scf::YieldOp::create(b, tokens); });
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
      Value tokens = b.createOrFold<tensor::DimOp>(tensor, 1);
      SmallVector<OpFoldResult> sizes =
          tensor::getMixedSizes(b, b.getLoc(), tensor);
      SmallVector<OpFoldResult> offsets(sizes.size(), b.getIndexAttr(0));
      SmallVector<OpFoldResult> strides(sizes.size(), b.getIndexAttr(1));
      sizes[1] = countOwned(b, op.getCuSeqlens(), tokens);
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
