//===- DropEmptyCuSeqlens.h - A pattern of both levels ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_IR_DROPEMPTYCUSEQLENS_H
#define WYVERN_LIB_DIALECT_DELTA_IR_DROPEMPTYCUSEQLENS_H

#include "mlir/IR/PatternMatch.h"

namespace mlir::wyvern::delta {

/// A `cu_seqlens` without entries means what its absence means.
template <typename OpT> struct DropEmptyCuSeqlens : OpRewritePattern<OpT> {
  using OpRewritePattern<OpT>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpT op,
                                PatternRewriter &rewriter) const override {
    Value cu = op.getCuSeqlens();
    if (!cu || cast<RankedTensorType>(cu.getType()).getDimSize(0) != 0)
      return rewriter.notifyMatchFailure(op,
                                         "no cu_seqlens of static length zero");
    rewriter.modifyOpInPlace(op, [&] { op.getCuSeqlensMutable().clear(); });
    return success();
  }
};

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_IR_DROPEMPTYCUSEQLENS_H
