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
/// chunk. Sizes cannot tell: 64 may be tokens as well as channels.
class TimeDims {
public:
  TimeDims() = default;
  /// The time dimensions of a chunk program: its bindings say those of its ins.
  explicit TimeDims(ChunkProgramOpInterface program);

  /// Adds the operations of `block`, after those of all blocks that it reads.
  /// What an operation without ChunkRegionOpInterface brings has no rows but
  /// for those that `set` says.
  void addBlock(Block &block);
  /// Says that `tile` has rows in the dimensions `bits`.
  void set(Value tile, llvm::SmallBitVector bits);

  /// One bit a dimension of `tile`.
  llvm::SmallBitVector get(Value tile) const;

private:
  void addOp(ChunkRegionOpInterface op);

  llvm::DenseMap<Value, llvm::SmallBitVector> dims;
};

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_ANALYSIS_TIMEDIMS_H
