//===- InFlight.h - Products that are not awaited yet ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_TILE_TRANSFORMS_INFLIGHT_H
#define WYVERN_LIB_DIALECT_TILE_TRANSFORMS_INFLIGHT_H

#include "wyvern/Dialect/Tile/IR/Tile.h"

namespace mlir::wyvern::tile {

/// Returns the products issued between the awaited one and the await. wgmma
/// groups complete in order, so these may still be in flight; 0 where the
/// product is not in the await's block.
int64_t countPending(AwaitOp await);

/// True for an await of a product to which the next operation, a product too,
/// adds: accumulators are added to in the order of the products, so none has to
/// wait. What the first one reads lies in registers and in a stage of a ring.
bool isChained(AwaitOp await);

} // namespace mlir::wyvern::tile

#endif // WYVERN_LIB_DIALECT_TILE_TRANSFORMS_INFLIGHT_H
