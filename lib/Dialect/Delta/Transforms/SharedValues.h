//===- SharedValues.h - What a backward makes again -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SHAREDVALUES_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SHAREDVALUES_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::wyvern::delta {

/// Finds tiles of a forward that its backward computes again, by comparing the
/// operations that make them down to the tensors that both functions read.
class SharedValues {
public:
  explicit SharedValues(func::FuncOp forward) : forward(forward) {}

  /// Says that `argument` of the backward holds the tile `saved` of every chunk
  /// of the forward.
  void addResidual(BlockArgument argument, Value saved) {
    residuals[argument] = saved;
  }

  /// Returns the tile of the forward that `value`, a tile of the backward, is
  /// equal to in every chunk; null if there is none.
  Value find(Value value);

private:
  bool areEqual(Value value, Value candidate);
  bool areEqualArgs(BlockArgument value, Value candidate);

  func::FuncOp forward;
  llvm::DenseMap<BlockArgument, Value> residuals;
  /// Of the search that is under way: what has turned out to be equal.
  llvm::DenseMap<Value, Value> equal;
};

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SHAREDVALUES_H
