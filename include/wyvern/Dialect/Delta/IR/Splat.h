//===- Splat.h - Tensors that hold one number everywhere --------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_IR_SPLAT_H
#define WYVERN_DIALECT_DELTA_IR_SPLAT_H

#include "mlir/IR/Value.h"

namespace mlir::wyvern::delta {

/// Returns the one number that every element of `value` is, if that is known:
/// of a constant, also filled in or cast.
std::optional<double> getSplat(Value value);

/// True for zeros: what a sum or a product starts from if nothing is added.
/// Returns what `value` is the larger one of, element by element, and a number:
/// a log decay as it is bounded. Null for other values.
Value getBounded(Value value);
/// Returns the one operation that reads `value`, as it is or bounded; null if
/// there are several, or none.
Operation *getOnlyReader(Value value);

inline bool isZero(Value value) { return getSplat(value) == 0.0; }

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_IR_SPLAT_H
