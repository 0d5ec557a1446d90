//===- ChannelDecay.h - Products with a decay a channel ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_UTILS_CHANNELDECAY_H
#define WYVERN_DIALECT_DELTA_UTILS_CHANNELDECAY_H

#include "wyvern/Dialect/Delta/IR/ChunkRegion.h"
#include "wyvern/Dialect/Delta/IR/Delta.h"

namespace mlir::wyvern::delta {

/// Returns the gates of a decay product, decay_dot or decay_apply, with one a
/// channel; null for others.
inline Value getChannelDecay(Operation *op) {
  Value g;
  if (auto dot = dyn_cast<DecayDotOp>(op))
    g = dot.getG();
  else if (auto apply = dyn_cast<DecayApplyOp>(op))
    g = apply.getG();
  return g && getTileRank(g) == 2 ? g : Value();
}

/// True for a product of rows with a decay a channel, which is one product for
/// each half of the tokens (delta-halve-decay), added up in registers.
inline bool isHalved(Operation *op) {
  return isa<DecayApplyOp>(op) && getChannelDecay(op);
}

/// True if `map` makes such products.
inline bool hasHalvedProducts(ChunkMapOp map) {
  return llvm::any_of(map.getBlock(),
                      [](Operation &op) { return isHalved(&op); });
}

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_UTILS_CHANNELDECAY_H
