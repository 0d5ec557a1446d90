//===- wyvern-translate.cpp - Programs in, something else out -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Reference/InterpretTranslation.h"
#include "wyvern/Target/NVPTX.h"

#include "mlir/Tools/mlir-translate/MlirTranslateMain.h"

int main(int argc, char **argv) {
  mlir::wyvern::reference::registerInterpretTranslation();
  mlir::wyvern::registerToPTXTranslation();
  return failed(mlir::mlirTranslateMain(argc, argv, "Wyvern translation tool"));
}
