//===- FormWY.h - The two halves of delta-form-wy ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_FORMWY_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_FORMWY_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::wyvern::delta {

/// A step whose operands are the tiles of one chunk.
using TileStep = RecurrenceOp::Step;

/// A recurrence whose operands are the tiles of one chunk of one head.
struct TileRecurrence {
  Value query;                 // [tokens, K]
  Value decay;                 // [tokens] or [tokens, K]; null if none
  Value state;                 // [K, V], before the chunk
  SmallVector<TileStep> steps; // at most one of them erases
  double scale = 1.0;
  /// What every output is multiplied by in the place of `scale`; null if that.
  Value outputScale;
  Value readScale; // [tokens], what each read is multiplied by; null if nothing

  /// Puts tiles of its operands in the places of others.
  void replace(const llvm::SmallDenseMap<Value, Value> &by);
};

/// What one chunk hands on.
struct TileResults {
  Value output;     // [tokens, V]
  Value finalState; // [K, V]
};

/// Writes the WY form of one chunk at the builder's insertion point.
TileResults buildWYChunk(ImplicitLocOpBuilder &b, const TileRecurrence &chunk);

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_FORMWY_H
