//===- ChunkRegion.h - What may stand in a chunk's region -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_IR_CHUNKREGION_H
#define WYVERN_DIALECT_DELTA_IR_CHUNKREGION_H

#include "mlir/IR/Operation.h"

namespace mlir::wyvern::delta {

/// Returns true for the operations that compute a chunk. It is a closed set:
/// differentiation, splitting, fusion and scheduling have one rule for each of
/// these and for nothing else.
bool isChunkRegionOp(Operation *op);

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_IR_CHUNKREGION_H
