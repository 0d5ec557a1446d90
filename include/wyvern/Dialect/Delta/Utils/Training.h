//===- Training.h - A forward and its backward ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// How the two functions that delta-differentiate makes of one refer to each
// other. They are discardable attributes, since func.func is not ours.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_UTILS_TRAINING_H
#define WYVERN_DIALECT_DELTA_UTILS_TRAINING_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::wyvern::delta {

/// On a forward function: the symbol of its backward.
inline constexpr llvm::StringLiteral kBackwardAttr = "delta.backward";
/// On a result of a forward and an argument of its backward of one name: what
/// the first saves for the second.
inline constexpr llvm::StringLiteral kResidualAttr = "delta.residual";
/// On a triangular solve: its number among those of the forward.
inline constexpr llvm::StringLiteral kSystemAttr = "delta.system";
/// On a scan of the forward and its replay in the backward: its number.
inline constexpr llvm::StringLiteral kReplayAttr = "delta.replay";

/// The backward of a forward function; null if it has none.
func::FuncOp getBackward(func::FuncOp forward);

/// True where a forward function returns what it saves for its backward, and
/// not what its caller asked for.
bool isSavedBy(OpOperand &use);

/// True for a forward function that has a backward, and for a backward.
bool isTrainingFunction(func::FuncOp func);

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_UTILS_TRAINING_H
