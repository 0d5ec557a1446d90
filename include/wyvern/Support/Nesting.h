//===- Nesting.h - How deep text nests --------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// LLVM's parsers of JSON and MLIR recurse without a bound, and a stack that
// overflows is the end of the process, which may be Python. So depth is looked
// at before.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_SUPPORT_NESTING_H
#define WYVERN_SUPPORT_NESTING_H

#include "mlir/Support/LLVM.h"

#include <optional>

namespace mlir::wyvern {

/// More than any spec, config or manifest needs.
inline constexpr unsigned maxDataDepth = 64;
/// More than any MLIR needs.
inline constexpr unsigned maxIRDepth = 256;

/// Returns the offset of the first bracket of `open` that is nested deeper than
/// `most`. Brackets in quotes do not count.
std::optional<size_t> findTooDeep(StringRef text, unsigned most,
                                  StringRef open = "[{",
                                  StringRef close = "]}");

} // namespace mlir::wyvern

#endif // WYVERN_SUPPORT_NESTING_H
