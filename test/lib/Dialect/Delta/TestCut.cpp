//===- TestCut.cpp - Prints the cut of a scan -----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TestAnalysis.h"

#include "wyvern/Dialect/Delta/Analysis/Cut.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

namespace {
/// Prints, for each scan, which operations are in the chain and after it, which
/// values cross, and which outs each part computes.
struct TestPrintCut : wyvern::test::PrintPass<TestPrintCut> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(TestPrintCut)

  StringRef getArgument() const final { return "test-print-cut"; }
  StringRef getDescription() const final {
    return "Prints how each scan is cut by its dependence on its carries.";
  }

  void print(ChunkProgramOpInterface program) {
    auto scan = dyn_cast<ChunkScanOp>(program.getOperation());
    if (!scan)
      return;
    Cut cut(scan);
    printOps("chain", program, cut.chainOps);
    printOps("after", program, cut.afterOps);
    printValues("crosses to the chain", cut.crossing);
    printValues("crosses from the chain", cut.chainCrossing.getArrayRef());
    printOuts("before", cut.beforeOuts);
    printOuts("chain", cut.chainOuts);
    printOuts("after", cut.afterOuts);
    llvm::outs() << "  recomputed: " << cut.numRecomputed << "\n";
  }

  void printOps(StringRef part, ChunkProgramOpInterface program,
                const llvm::SmallPtrSet<Operation *, 32> &ops) {
    llvm::outs() << "  " << part << ":";
    for (Operation &op : program.getBlock())
      if (ops.contains(&op))
        printOp(&op);
    llvm::outs() << "\n";
  }

  void printValues(StringRef what, ArrayRef<Value> values) {
    llvm::outs() << "  " << what << ":";
    for (Value value : values)
      printValue(value);
    llvm::outs() << "\n";
  }

  void printOuts(StringRef part, ArrayRef<unsigned> outs) {
    llvm::outs() << "  outs of " << part << ":";
    for (unsigned out : outs)
      llvm::outs() << " " << out;
    llvm::outs() << "\n";
  }
};
} // namespace

namespace mlir::wyvern::test {
void registerTestPrintCutPass() { PassRegistration<TestPrintCut>(); }
} // namespace mlir::wyvern::test
