//===- Errors.cpp - What goes wrong ---------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Errors.h"

#include "llvm/Support/WithColor.h"

using namespace mlir;
using namespace mlir::wyvern;

/// Where errors go in the place of standard error, if anywhere.
static HeldErrors *holder = nullptr;

HeldErrors::HeldErrors(MLIRContext *context)
    : handler(context,
              [this](Diagnostic &diag) {
                if (diag.getSeverity() != DiagnosticSeverity::Error)
                  return failure();
                add(diag.str());
                return success();
              }),
      outer(holder) {
  holder = this;
}

HeldErrors::~HeldErrors() { holder = outer; }

void HeldErrors::add(const std::string &message) {
  if (first.empty())
    first = StringRef(message).split('\n').first.str();
}

void mlir::wyvern::printError(const Twine &message) {
  if (holder)
    return holder->add(message.str());
  llvm::WithColor::error(llvm::errs(), "wyvernc") << message << '\n';
}
