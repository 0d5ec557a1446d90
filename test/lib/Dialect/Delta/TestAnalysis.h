//===- TestAnalysis.h - What the printing passes share ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_TEST_LIB_DIALECT_DELTA_TESTANALYSIS_H
#define WYVERN_TEST_LIB_DIALECT_DELTA_TESTANALYSIS_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Pass/Pass.h"

namespace mlir::wyvern::test {

/// A pass that prints something of each chunk program of a module, under a line
/// that names function and operation. Derive, and write
///   void print(delta::ChunkProgramOpInterface program);
template <typename PassT>
struct PrintPass : PassWrapper<PassT, OperationPass<ModuleOp>> {
  void runOnOperation() override {
    ModuleOp module = this->getOperation();
    AsmState state(module);
    names = &state;
    module.walk([&](delta::ChunkProgramOpInterface program) {
      auto function = program->getParentOfType<FunctionOpInterface>();
      llvm::outs() << "@" << function.getName() << " " << program->getName()
                   << "\n";
      static_cast<PassT *>(this)->print(program);
    });
  }

protected:
  void printValue(Value value) {
    llvm::outs() << " ";
    value.printAsOperand(llvm::outs(), *names);
  }
  void printDim(delta::TileDim dim) {
    printValue(dim.first);
    llvm::outs() << "[" << dim.second << "]";
  }
  /// Prints the results of an operation.
  void printOp(Operation *op) {
    for (Value result : op->getResults())
      printValue(result);
  }

  /// Calls `visit` with each value of a program's region, in order.
  static void forEachValue(delta::ChunkProgramOpInterface program,
                           function_ref<void(Value)> visit) {
    llvm::for_each(program.getBlock().getArguments(), visit);
    for (Operation &op : program.getBlock())
      llvm::for_each(op.getResults(), visit);
  }

  AsmState *names = nullptr;
};

} // namespace mlir::wyvern::test

#endif // WYVERN_TEST_LIB_DIALECT_DELTA_TESTANALYSIS_H
