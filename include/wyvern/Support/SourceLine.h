//===- SourceLine.h - Diagnostics of long lines -----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_SUPPORT_SOURCELINE_H
#define WYVERN_SUPPORT_SOURCELINE_H

#include "mlir/Support/LLVM.h"
#include "llvm/Support/SourceMgr.h"

namespace mlir::wyvern {

/// Prints `diagnostic` with its source line. Of a line that is longer than 200
/// bytes it prints what is around the column, with ... for the rest.
void printDiagnostic(const llvm::SMDiagnostic &diagnostic, raw_ostream &os);

} // namespace mlir::wyvern

#endif // WYVERN_SUPPORT_SOURCELINE_H
