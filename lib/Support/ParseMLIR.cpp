//===- ParseMLIR.cpp - Text that may be the end of a parser ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Support/ParseMLIR.h"

#include "wyvern/Support/Nesting.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/CrashRecoveryContext.h"

#include <mutex>

using namespace mlir;
using namespace mlir::wyvern;

namespace {
/// What a crash leaves half made, and nobody may touch again.
struct Attempt {
  explicit Attempt(const DialectRegistry &registry)
      : context(registry, MLIRContext::Threading::DISABLED),
        silence(&context, [](Diagnostic &) { return success(); }) {}

  MLIRContext context;
  ScopedDiagnosticHandler silence;
  OwningOpRef<ModuleOp> module;
};
} // namespace

/// Angle brackets are those of types, but also comparisons, which do not close:
/// of them more may be open.
static bool isTooDeep(StringRef text) {
  return findTooDeep(text, maxIRDepth, "[{(", "]})").has_value() ||
         findTooDeep(text, maxIRDepth * 8, "<", ">").has_value();
}

std::optional<std::string>
mlir::wyvern::findParserCrash(StringRef text, const DialectRegistry &registry,
                              bool allowUnregisteredDialects) {
  if (isTooDeep(text))
    return ("nested deeper than " + Twine(maxIRDepth) + " levels").str();
  // Signal handlers are the process's: one attempt at a time has them.
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  auto attempt = std::make_unique<Attempt>(registry);
  attempt->context.allowUnregisteredDialects(allowUnregisteredDialects);
  llvm::CrashRecoveryContext::Enable();
  llvm::CrashRecoveryContext recovery;
  bool survived = recovery.RunSafely([&] {
    attempt->module = parseSourceString<ModuleOp>(text, &attempt->context);
  });
  llvm::CrashRecoveryContext::Disable();
  if (survived)
    return std::nullopt;
  (void)attempt.release();
  return "LLVM's parser crashed on this text, as it does on some operations "
         "that are not finished; complete them, or look for what mlir-opt says";
}
