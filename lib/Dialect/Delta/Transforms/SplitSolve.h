//===- SplitSolve.h - A solve as a factor and a product ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SPLITSOLVE_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SPLITSOLVE_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/IR/PatternMatch.h"

namespace mlir::wyvern::delta {

/// Returns the factor of the system (L, c), in the blocks that replaceSolve
/// solves by; it is made before `solve`. Where rates may be above 1
/// it has two parts.
Value createFactor(RewriterBase &rewriter, Operation *solve, Value l,
                   Value rate, bool aboveOne);

/// The same of a solve's system.
template <typename OpT> Value createFactor(RewriterBase &rewriter, OpT op) {
  return createFactor(rewriter, op, op.getL(), op.getRate(), op.getAboveOne());
}

/// Replaces (R, U) = solve(L, c, W) by R = erase_apply(Z, c, W), U = c * R,
/// with the factor Z of the system.
void replaceSolve(RewriterBase &rewriter, EraseSolveOp op, Value factor);

/// Replaces X = (I + diag(c) stril(L))^-T dU by the adjoint erase_apply.
void replaceSolve(RewriterBase &rewriter, EraseSolveAdjointOp op, Value factor);

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SPLITSOLVE_H
