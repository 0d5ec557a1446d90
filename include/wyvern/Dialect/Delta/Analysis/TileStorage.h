//===- TileStorage.h - How a tile lies in memory ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_ANALYSIS_TILESTORAGE_H
#define WYVERN_DIALECT_DELTA_ANALYSIS_TILESTORAGE_H

#include "wyvern/Dialect/Delta/Analysis/TimeDims.h"

namespace mlir::wyvern::delta {

/// A tensor and its binding.
struct TileStorage {
  RankedTensorType type;
  BindingAttr binding;
};

/// The tensor that holds the tile `value` of every (sequence, head, chunk) of a
/// program: `[seq, time, head, _]`, with `time * n` for n rows a token, or
/// `[chunk, head, _]` where the tile has no rows. With `headsApart` it is
/// `[seq, head, time]` for a vector of tokens: those of a chunk lie next to
/// each other, where between heads each would be read for 32 bytes.
TileStorage getStorage(Value value, ChunkProgramOpInterface program,
                       const TimeDims &timeDims, bool headsApart = false);

/// Returns the elements of a tile in shared memory or registers, where head
/// dimensions are whole blocks of columns (delta-pad-dims, by its default).
int64_t countFilledElements(Value tile);

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_ANALYSIS_TILESTORAGE_H
