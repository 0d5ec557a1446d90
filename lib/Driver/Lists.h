//===- Lists.h - What wyvernc lists, and stops ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DRIVER_LISTS_H
#define WYVERN_LIB_DRIVER_LISTS_H

#include "mlir/Support/LLVM.h"

#include <utility>

namespace mlir::wyvern {

/// Returns what --emit takes, each with a description: the phases, then the
/// products.
SmallVector<std::pair<StringRef, StringRef>> listEmittable();

/// Prints what `listEmittable` returns, a line each.
void printEmittable();

/// Prints the architectures that there are kernels for, a line each.
void printArchs();

/// Prints the versions of wyvernc, of LLVM, and of the ptxas that runs: `path`,
/// or what is found beside `executable` and elsewhere where that is empty.
void printVersions(StringRef path, StringRef executable);

} // namespace mlir::wyvern

#endif // WYVERN_LIB_DRIVER_LISTS_H
