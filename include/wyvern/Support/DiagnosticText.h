//===- DiagnosticText.h - Diagnostics as text -------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_SUPPORT_DIAGNOSTICTEXT_H
#define WYVERN_SUPPORT_DIAGNOSTICTEXT_H

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "llvm/Support/Error.h"

#include <string>

namespace mlir::wyvern {

/// Collects what a context reports, as `file:line:column: error: text` lines,
/// for callers that hand errors on instead of printing them.
class DiagnosticText {
public:
  explicit DiagnosticText(MLIRContext *context)
      : os(text), handler(context, [this](Diagnostic &diagnostic) {
          append(diagnostic);
          return success();
        }) {
    // Whole operations are for compiler writers.
    context->printOpOnDiagnostic(false);
  }

  /// What was reported, or `fallback` if nothing was.
  llvm::Error getError(llvm::StringRef fallback) const {
    llvm::StringRef reported = llvm::StringRef(text).rtrim();
    return llvm::createStringError(reported.empty() ? fallback : reported);
  }

private:
  void append(Diagnostic &diagnostic) {
    bool isError = diagnostic.getSeverity() == DiagnosticSeverity::Error;
    if (auto loc = dyn_cast<FileLineColLoc>(diagnostic.getLocation()))
      // MLIR calls a source that is no file `-`.
      os << (loc.getFilename() == "-" ? "<mlir>" : loc.getFilename().strref())
         << ':' << loc.getLine() << ':' << loc.getColumn() << ": ";
    os << (isError ? "error: " : "note: ") << diagnostic << '\n';
    for (Diagnostic &note : diagnostic.getNotes())
      append(note);
  }

  std::string text;
  llvm::raw_string_ostream os;
  ScopedDiagnosticHandler handler;
};

} // namespace mlir::wyvern

#endif // WYVERN_SUPPORT_DIAGNOSTICTEXT_H
