//===- HeadSums.h - Sums over the heads of a group --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A chunk program stores a tile for each of its heads. Where groups of these
// share one, chunk maps of their own sum them.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_UTILS_HEADSUMS_H
#define WYVERN_DIALECT_DELTA_UTILS_HEADSUMS_H

#include "wyvern/Dialect/Delta/Analysis/TileStorage.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::wyvern::delta {

/// What a program with `heads` heads has stored, a tile for each.
struct PerHead {
  Value tensor;
  BindingAttr binding;
  RankedTensorType tile; ///< in the compute type
  Value cuSeqlens;       ///< null if there is none
  int64_t chunk, heads;
};

/// Returns the sum over each group of heads that share one of `result`, the
/// first head of a group first.
Value createHeadSum(ImplicitLocOpBuilder &b, const PerHead &summands,
                    TileStorage result);

/// True for a map that does nothing else: its out is the sum of all members of
/// each group of heads of one tensor.
bool isHeadSum(ChunkProgramOpInterface program);

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_UTILS_HEADSUMS_H
