//===- TestAnalysis.cpp - Prints what is known of single values -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TestAnalysis.h"

#include "wyvern/Dialect/Delta/Analysis/CarryDependence.h"
#include "wyvern/Dialect/Delta/Analysis/TileStorage.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

namespace {
/// Prints the values that a carry enters.
struct TestPrintCarryDependence
    : wyvern::test::PrintPass<TestPrintCarryDependence> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(TestPrintCarryDependence)

  StringRef getArgument() const final { return "test-print-carry-dependence"; }
  StringRef getDescription() const final {
    return "Prints the values of each chunk program that a carry enters.";
  }

  void print(ChunkProgramOpInterface program) {
    CarryDependence dependence(program);
    llvm::outs() << "  depend on a carry:";
    forEachValue(program, [&](Value value) {
      if (dependence.reaches(value))
        printValue(value);
    });
    llvm::outs() << "\n";
  }
};

/// Prints, for each tile, the dimensions that run over rows, and the tensor
/// that would hold it.
struct TestPrintTimeDims : wyvern::test::PrintPass<TestPrintTimeDims> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(TestPrintTimeDims)

  StringRef getArgument() const final { return "test-print-time-dims"; }
  StringRef getDescription() const final {
    return "Prints the time dimensions of each tile of each chunk program.";
  }

  void print(ChunkProgramOpInterface program) {
    TimeDims dims(program);
    forEachValue(program, [&](Value value) {
      if (!isa<RankedTensorType>(value.getType()))
        return;
      llvm::outs() << " ";
      printValue(value);
      llvm::outs() << ": time = [";
      llvm::interleaveComma(dims.get(value).set_bits(), llvm::outs());
      TileStorage storage = getStorage(value, program, dims);
      llvm::outs() << "], stored as " << storage.type << " " << storage.binding
                   << "\n";
    });
  }
};
} // namespace

namespace mlir::wyvern::test {
void registerTestPrintCarryDependencePass() {
  PassRegistration<TestPrintCarryDependence>();
}
void registerTestPrintTimeDimsPass() { PassRegistration<TestPrintTimeDims>(); }
} // namespace mlir::wyvern::test
