//===- Errors.h - What goes wrong -------------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DRIVER_ERRORS_H
#define WYVERN_LIB_DRIVER_ERRORS_H

#include "mlir/IR/Diagnostics.h"
#include "mlir/Support/LLVM.h"

#include <string>

namespace mlir::wyvern {

/// "wyvernc: error: <message>" on standard error.
void printError(const Twine &message);

/// While it lives, errors of the compiler are kept and not printed: of
/// something that is tried.
class HeldErrors {
public:
  explicit HeldErrors(MLIRContext *context);
  ~HeldErrors();

  void add(const std::string &message);
  /// Returns the first line of the first error.
  StringRef getFirst() const { return first; }

private:
  ScopedDiagnosticHandler handler;
  HeldErrors *outer; ///< Errors go there again when this one is gone.
  std::string first;
};

} // namespace mlir::wyvern

#endif // WYVERN_LIB_DRIVER_ERRORS_H
