//===- Rules.h - What the derivative rules share ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every rule is an external model of AdjointOpInterface. In its formulas dx is
// the gradient of x; `+=` is Adjoint::addGradient.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_ADJOINTS_RULES_H
#define WYVERN_LIB_DIALECT_DELTA_ADJOINTS_RULES_H

#include "wyvern/Dialect/Delta/Adjoints/Adjoint.h"

namespace mlir::wyvern::delta {

/// A rule for `OpT`: derive, and write
///   static LogicalResult derive(OpT op, Adjoint &adjoint);
template <typename RuleT, typename OpT>
struct AdjointRule : AdjointOpInterface::ExternalModel<RuleT, OpT> {
  LogicalResult buildAdjoint(Operation *op, Adjoint &adjoint) const {
    return RuleT::derive(cast<OpT>(op), adjoint);
  }
};

/// `value`, spread over the type of `like`.
Value createConstant(ImplicitLocOpBuilder &b, Value like, double value);

void registerArithAdjoints(DialectRegistry &registry);
void registerChunkProgramAdjoints(DialectRegistry &registry);
void registerLinalgAdjoints(DialectRegistry &registry);
void registerMathAdjoints(DialectRegistry &registry);
void registerRowOpAdjoints(DialectRegistry &registry);
void registerTensorAdjoints(DialectRegistry &registry);

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_ADJOINTS_RULES_H
