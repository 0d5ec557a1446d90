//===- TimeDims.h - Which tile dimensions are rows of a chunk ---*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_UTILS_TIMEDIMS_H
#define WYVERN_DIALECT_DELTA_UTILS_TIMEDIMS_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "llvm/ADT/SmallBitVector.h"

namespace mlir::wyvern::delta {

/// For every tile of a chunk program's region, the dimensions that run over the
/// rows of the chunk. Sizes cannot tell: 64 may be tokens as well as channels.
class TimeDims {
public:
  explicit TimeDims(ChunkProgramOpInterface program);

  /// One bit a dimension of `tile`.
  llvm::SmallBitVector get(Value tile) const;

private:
  llvm::DenseMap<Value, llvm::SmallBitVector> dims;
};

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_UTILS_TIMEDIMS_H
