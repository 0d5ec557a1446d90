//===- TrainingPair.h - A function and its backward -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A forward and its backward as a whole, and the tensors that they have in
// common: made by delta-differentiate, or written by hand.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_UTILS_TRAININGPAIR_H
#define WYVERN_DIALECT_DELTA_UTILS_TRAININGPAIR_H

#include "wyvern/Dialect/Delta/Utils/Training.h"

#include "mlir/IR/BuiltinOps.h"

namespace mlir::wyvern::delta {

/// Before the name of a tensor: its gradient.
inline constexpr StringLiteral kGradientPrefix = "d_";

/// After the name of a function that is differentiated: its two successors.
inline constexpr StringLiteral kForwardSuffix = "_fwd";
inline constexpr StringLiteral kBackwardSuffix = "_bwd";

StringRef getArgName(func::FuncOp func, unsigned index);
StringRef getResultName(func::FuncOp func, unsigned index);

/// Both null in a module without a backward.
struct TrainingPair {
  func::FuncOp forward, backward;

  explicit operator bool() { return forward != nullptr; }
};

/// The name of the layer that a function computes: a forward's without `_fwd`.
StringRef getLayerName(func::FuncOp func);

/// Finds the forward of a module and its backward. Fails, with a diagnostic, if
/// there are several, or if the two do not fit: each argument of the backward
/// is an argument of the forward, a residual, or the gradient `d_<name>` of one
/// of its other results, and each result is the gradient of an argument.
FailureOr<TrainingPair> findTrainingPair(ModuleOp module);

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_UTILS_TRAININGPAIR_H
