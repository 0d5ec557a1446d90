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

/// Returns the parts of an epilogue that there are, as delta-form-step has
/// them.
inline llvm::ArrayRef<llvm::StringRef> getEpilogueParts() {
  static constexpr llvm::StringRef parts[] = {"norm", "gate"};
  return parts;
}

/// Returns the parts that there are.
inline llvm::ArrayRef<llvm::StringRef> getPrologueParts() {
  static constexpr llvm::StringRef parts[] = {"norm", "gates"};
  return parts;
}

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_UTILS_PROLOGUE_H
