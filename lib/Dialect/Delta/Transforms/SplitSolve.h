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

/// Replaces (R, U) = solve(L, c, W) by R = W + Zc W, U = c * R, with Zc =
/// -Z diag(c) and the factor Z = (I + stril(L) diag(c))^-1 stril(L) of the
/// system.
void replaceSolve(RewriterBase &rewriter, EraseSolveOp op, Value factor);

/// Replaces X = (I + diag(c) stril(L))^-T dU by X = dU - Z^T (c * dU).
void replaceSolve(RewriterBase &rewriter, EraseSolveAdjointOp op, Value factor);

/// The factor of a solve's system, computed before it.
template <typename OpT> Value createFactor(RewriterBase &rewriter, OpT op) {
  rewriter.setInsertionPoint(op);
  return EraseFactorOp::create(rewriter, op.getLoc(), op.getL().getType(),
                               op.getL(), op.getRate());
}

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SPLITSOLVE_H
