//===- SplitStates.h - States that meet a state, in two parts ---*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SPLITSTATES_H
#define WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SPLITSTATES_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::wyvern::delta {

/// Splits the operands of products of a carry and a state that another program
/// stores, and what the product is added to if that is stored too: each becomes
/// two parts of `type`. Returns the number of products.
unsigned splitStates(RewriterBase &rewriter, Operation *root, FloatType type);

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_DIALECT_DELTA_TRANSFORMS_SPLITSTATES_H
