//===- RunningSum.h - The tensors of delta.running_sum ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_UTILS_RUNNINGSUM_H
#define WYVERN_DIALECT_DELTA_UTILS_RUNNINGSUM_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

namespace mlir::wyvern::delta {

/// Returns how a chunk program would bind what a running sum is of, and the
/// sums; of its init and total without `ofTokens`.
inline BindingAttr bindRunningSum(MLIRContext *context, bool ofTokens) {
  SmallVector<BoundDim> dims = {{DimKind::seq}};
  if (ofTokens)
    dims.push_back({DimKind::time});
  dims.push_back({DimKind::head});
  dims.push_back({DimKind::whole});
  return BindingAttr::get(context, dims);
}

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_UTILS_RUNNINGSUM_H
