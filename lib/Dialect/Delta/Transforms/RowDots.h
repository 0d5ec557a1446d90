//===- RowDots.h - Sums of products, row by row -----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_ROWDOTS_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_ROWDOTS_H

#include "wyvern/Dialect/Delta/IR/Splat.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace mlir::wyvern::delta {

/// Returns the product of two tiles that `sum` adds up over columns, if that is
/// all that it does and nothing else reads the product.
inline arith::MulFOp matchRowDot(linalg::ReduceOp sum) {
  Block &body = *sum.getBlock();
  bool isSum = body.getOperations().size() == 2 &&
               isa<arith::AddFOp>(body.front()) &&
               isZero(sum.getInits().front()) &&
               sum.getDimensions() == ArrayRef<int64_t>(1);
  Value source = sum.getInputs().front();
  return isSum && source.hasOneUse() ? source.getDefiningOp<arith::MulFOp>()
                                     : arith::MulFOp();
}

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_ROWDOTS_H
