//===- TimeDims.h - Which tile dimensions are rows of a chunk ---*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_ANALYSIS_TIMEDIMS_H
#define WYVERN_DIALECT_DELTA_ANALYSIS_TIMEDIMS_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "llvm/ADT/SmallBitVector.h"

namespace mlir::wyvern::delta {

/// For every tile of some blocks, the dimensions that run over the rows of the
/// chunk, and how many a token these are. Sizes cannot tell: 64 may be tokens
/// as well as channels.
class TimeDims {
public:
  TimeDims() = default;
  /// The time dimensions of a chunk program: its bindings say those of its ins.
  explicit TimeDims(ChunkProgramOpInterface program);

  /// Adds the operations of `block`, after those of all blocks that it reads.
  /// What an operation without ChunkRegionOpInterface brings has no rows but
  /// for those that `set` says.
  void addBlock(Block &block);
  /// Says how many rows a token each dimension of `tile` has; 0 for one that
  /// does not run over rows.
  void set(Value tile, SmallVector<int64_t> rows);

  /// One bit a dimension of `tile`.
  llvm::SmallBitVector get(Value tile) const;
  /// Rows a token of dimension `dim` of `tile`; 0 if it does not run over rows,
  /// and kUnknown of one that nothing with a binding leads to.
  int64_t getRows(Value tile, int64_t dim) const;
  static constexpr int64_t kUnknown = -1;

private:
  void addOp(ChunkRegionOpInterface op);

  llvm::DenseMap<Value, SmallVector<int64_t>> dims;
};

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_ANALYSIS_TIMEDIMS_H
