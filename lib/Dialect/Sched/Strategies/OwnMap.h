//===- OwnMap.h - A map of what one scan alone reads ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_SCHED_STRATEGIES_OWNMAP_H
#define WYVERN_LIB_DIALECT_SCHED_STRATEGIES_OWNMAP_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/IR/PatternMatch.h"

namespace mlir::wyvern::sched {

/// True if something in front of `scan` reads an out of `map`, which has to be
/// in memory by then. What reads it behind `scan` finds it there in any case.
bool isReadBefore(delta::ChunkMapOp map, delta::ChunkScanOp scan);

/// Cuts each map that is read in front of `scan` too in two: what `scan` alone
/// reads becomes a map of its own in front of `scan`. A map stays whole where
/// both halves would compute the same product.
void cutOwnMaps(RewriterBase &rewriter, delta::ChunkScanOp scan);

} // namespace mlir::wyvern::sched

#endif // WYVERN_LIB_DIALECT_SCHED_STRATEGIES_OWNMAP_H
