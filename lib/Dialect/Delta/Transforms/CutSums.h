//===- CutSums.h - Sums over a head dimension, in parts ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_CUTSUMS_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_CUTSUMS_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/IR/PatternMatch.h"

namespace mlir::wyvern::delta {

/// Returns the largest head dimension, in elements, that sums of `map` run over
/// and that no out of it has; 0 if there is none that can be cut.
int64_t findCuttableSum(ChunkMapOp map);

/// Writes, before `map`, a map of the same outs whose sums over that dimension
/// are sums of those over its parts of `columns` elements: a product of two ins
/// becomes a sum of products of parts of them.
ChunkMapOp cutSums(RewriterBase &rewriter, ChunkMapOp map, int64_t columns);

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_CUTSUMS_H
