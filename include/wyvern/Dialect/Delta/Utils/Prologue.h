//===- Prologue.h - What a layer computes in front of itself ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_UTILS_PROLOGUE_H
#define WYVERN_DIALECT_DELTA_UTILS_PROLOGUE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace mlir::wyvern::delta {

/// On a function with a recurrence: the parts of its prologue, a list of
/// strings, as delta-form-wy has them.
inline constexpr llvm::StringLiteral kPrologueAttr = "delta.prologue";

/// On the same function, a number: what log decays are at least where gates are
/// made with a bound.
inline constexpr llvm::StringLiteral kLowerBoundAttr = "delta.lower_bound";

/// On a map of gates and its derivative: what it takes and makes of f32 is
/// stored as that. Gates of a chunk are added up before they are rounded.
inline constexpr llvm::StringLiteral kExactAttr = "delta.exact";

/// On an argument that has no gradient.
inline constexpr llvm::StringLiteral kConstantAttr = "delta.constant";

/// Returns the parts of an epilogue that there are, as delta-form-step has
/// them.
inline llvm::ArrayRef<llvm::StringRef> getEpilogueParts() {
  static constexpr llvm::StringRef parts[] = {"norm", "gate"};
  return parts;
}

/// Returns the parts that there are; gates are decay and rates. Only a step has
/// a conv.
inline llvm::ArrayRef<llvm::StringRef> getPrologueParts() {
  static constexpr llvm::StringRef parts[] = {"conv",  "norm",  "gates",
                                              "decay", "rates", "scale"};
  return parts;
}

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_UTILS_PROLOGUE_H
