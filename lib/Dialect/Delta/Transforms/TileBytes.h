//===- TileBytes.h - What tiles of a map take of memory ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_TILEBYTES_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_TILEBYTES_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

namespace mlir::wyvern::delta {

/// Bytes of an element that products read, and of one in registers.
inline constexpr int64_t kOperandBytes = 2, kHeldBytes = 4;
/// Bytes that lie between the tiles of a block: each starts at a multiple of
/// what TMA asks for.
inline constexpr int64_t kTileGap = 1024;
/// Rows of a chunk that registers hold as one tile.
inline constexpr int64_t kTileRows = 64;

/// True if `op` reads `tile` as an operand that is rounded.
bool readsRounded(Operation *op, Value tile);

/// Returns the bytes of an element of what `map` loads, as
/// delta-assign-precision stores it: rows that are not only multiplied may have
/// a second part. `knowsSaved` says that what a forward has saved is stored as
/// what programs hand each other.
int64_t getLoadedBytes(ChunkMapOp map, Value tile, bool isRounded,
                       bool knowsSaved);

/// Returns the bytes of the tile of in `in` of `map` in shared memory, as its
/// readers have it.
int64_t countInBytes(ChunkMapOp map, unsigned in);

/// Returns the bytes in shared memory of what a product multiplies and `map`
/// computes, as rows that are loaded lie there; 0 for an in, and for pairs of
/// tokens, which are fewer: they take what gaps leave.
int64_t countComputedBytes(Value operand);

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_TILEBYTES_H
