//===- ParseMLIR.h - Text that may be the end of a parser -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_SUPPORT_PARSEMLIR_H
#define WYVERN_SUPPORT_PARSEMLIR_H

#include "mlir/Support/LLVM.h"

#include <optional>
#include <string>

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace mlir::wyvern {

/// Parses MLIR text once, in a context of its own, and says why parsing it
/// again would be the end of the process: the text nests too deep for a parser
/// that recurses, or the parser (LLVM's own, of some half-typed operations)
/// crashes. Text with mere errors is fine: whoever parses it reports them.
std::optional<std::string>
findParserCrash(StringRef text, const DialectRegistry &registry,
                bool allowUnregisteredDialects = false);

} // namespace mlir::wyvern

#endif // WYVERN_SUPPORT_PARSEMLIR_H
