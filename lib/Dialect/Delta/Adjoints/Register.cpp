//===- Register.cpp - All derivative rules --------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Rules.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

void delta::registerAdjoints(DialectRegistry &registry) {
  registerArithAdjoints(registry);
  registerChunkProgramAdjoints(registry);
  registerLinalgAdjoints(registry);
  registerMathAdjoints(registry);
  registerRowOpAdjoints(registry);
  registerTensorAdjoints(registry);
}
