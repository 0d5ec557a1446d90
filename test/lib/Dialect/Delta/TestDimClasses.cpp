//===- TestDimClasses.cpp - Prints classes of dimensions ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TestAnalysis.h"

#include "wyvern/Dialect/Delta/Analysis/SplitDim.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

namespace {
/// Prints a line for each class with its dimensions, one for the uniform
/// dimensions, one for each operation that mixes a class, and the split
/// dimension of a scan.
struct TestPrintDimClasses : wyvern::test::PrintPass<TestPrintDimClasses> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(TestPrintDimClasses)

  StringRef getArgument() const final { return "test-print-dim-classes"; }
  StringRef getDescription() const final {
    return "Prints the classes of dimensions of each chunk program.";
  }

  void print(ChunkProgramOpInterface program) {
    DimClasses classes(program);
    SmallVector<TileDim> uniform;
    SmallVector<SmallVector<TileDim>> members;
    forEachValue(program, [&](Value value) {
      for (int64_t i = 0; i < getTileRank(value); ++i) {
        TileDim dim{value, i};
        if (classes.isUniform(dim)) {
          uniform.push_back(dim);
          continue;
        }
        auto found = llvm::find_if(members, [&](ArrayRef<TileDim> known) {
          return classes.areSame(known.front(), dim);
        });
        if (found == members.end())
          found = &members.emplace_back();
        found->push_back(dim);
      }
    });
    for (auto [i, dims] : llvm::enumerate(members)) {
      llvm::outs() << "  class " << i << ":";
      printDims(dims);
    }
    llvm::outs() << "  uniform:";
    printDims(uniform);
    for (Operation &op : program.getBlock())
      for (auto [i, dims] : llvm::enumerate(members))
        if (classes.mixes(&op, dims.front())) {
          llvm::outs() << "  mixes class " << i << ":";
          printOp(&op);
          llvm::outs() << "\n";
        }
    if (auto scan = dyn_cast<ChunkScanOp>(program.getOperation()))
      printSplit(scan, classes);
  }

  void printDims(ArrayRef<TileDim> dims) {
    for (TileDim dim : dims)
      printDim(dim);
    llvm::outs() << "\n";
  }

  void printSplit(ChunkScanOp scan, const DimClasses &classes) {
    std::optional<TileDim> split = findSplitDim(scan, classes);
    llvm::outs() << "  split:";
    if (!split) {
      llvm::outs() << " none\n";
      return;
    }
    printDim(*split);
    llvm::outs() << "\n  meets it:";
    forEachValue(cast<ChunkProgramOpInterface>(scan.getOperation()),
                 [&](Value value) {
                   for (int64_t i = 0; i < getTileRank(value); ++i)
                     if (classes.isUniform({value, i}) &&
                         classes.meets({value, i}, *split))
                       printDim({value, i});
                 });
    llvm::outs() << "\n";
  }
};
} // namespace

namespace mlir::wyvern::test {
void registerTestPrintDimClassesPass() {
  PassRegistration<TestPrintDimClasses>();
}
} // namespace mlir::wyvern::test
