//===- wyvern-reduce.cpp - Makes failing .mlir files small ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Transforms/Passes.h"
#include "wyvern/Pipelines/Pipelines.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Tools/mlir-reduce/MlirReduceMain.h"
#include "mlir/Transforms/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::wyvern::registerDialects(registry);
  // What -opt-reduction-pass may try in order to shrink the input.
  mlir::registerTransformsPasses();
  mlir::wyvern::delta::registerDeltaTransformsPasses();
  mlir::MLIRContext context(registry);
  return mlir::failed(mlir::mlirReduceMain(argc, argv, context));
}
