//===- StepPrologue.h - Norms and gates in front of a step ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_STEPPROLOGUE_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_STEPPROLOGUE_H

#include "RecurrenceTiles.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::wyvern::delta {

/// What a step computes of its operands, which an engine has as they leave its
/// projections:
///
///   norm     q and the keys x are          x / sqrt(sum of x^2 + 1e-6)
///   gates    the log decay g is            -e^A_log softplus(a + dt_bias)
///            a rate b is                   1 / (1 + e^-b)
class StepPrologue {
public:
  StepPrologue(RecurrenceOp op, bool norm, bool gates)
      : op(op), norm(norm), gates(gates) {}

  /// Diagnoses operands that are no arguments of the function alone.
  LogicalResult check(func::FuncOp func);
  /// Gives the function arguments that come raw in the place of a decay and
  /// rates, under names of their own, and adds A_log and dt_bias.
  void replaceArguments(func::FuncOp func);
  /// Adds what is an in of the chunk program besides the recurrence's operands.
  void addIns(SmallVectorImpl<Value> &ins,
              SmallVectorImpl<Attribute> &bindings);
  /// Computes operands of `chunk`, whose tiles are raw, in the region of
  /// `scan`.
  void build(ImplicitLocOpBuilder &b, ChunkScanOp scan, TileRecurrence &chunk);

private:
  Value replaceArgument(func::FuncOp func, Value value, StringRef name);

  RecurrenceOp op;
  bool norm, gates;
  Value logA, bias; ///< arguments; null without a decay
};

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_STEPPROLOGUE_H
