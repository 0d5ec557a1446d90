//===- AnalysisTest.cpp - Analyses of operations in several blocks --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What test/Dialect/Delta/Analysis cannot show: tiles that go from one block to
// another by a way that the caller knows.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Analysis/DimClasses.h"
#include "wyvern/Dialect/Delta/Analysis/TimeDims.h"
#include "wyvern/Pipelines/Pipelines.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

namespace {

class AnalysisTest : public ::testing::Test {
protected:
  AnalysisTest() {
    DialectRegistry registry;
    registerDialects(registry);
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
    module = parseSourceString<ModuleOp>(R"mlir(
func.func @make(%k: tensor<4x8xf32>) -> tensor<4x4xf32> {
  %m = delta.decay_dot upto_token %k, %k : tensor<4x8xf32>, tensor<4x8xf32> -> tensor<4x4xf32>
  return %m : tensor<4x4xf32>
}
func.func @use(%m: tensor<4x4xf32>, %x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %y = linalg.contract
      indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%m, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%x : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}
)mlir",
                                         &context);
    make = &module->lookupSymbol<func::FuncOp>("make").front();
    use = &module->lookupSymbol<func::FuncOp>("use").front();
    made = make->getTerminator()->getOperand(0);
    result = use->getTerminator()->getOperand(0);
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  Block *make, *use;
  Value made, result;
};

TEST_F(AnalysisTest, ClassesGoWhereTilesAreJoined) {
  Value k = make->getArgument(0), m = use->getArgument(0);
  DimClasses apart, joined;
  for (DimClasses *classes : {&apart, &joined}) {
    classes->addBlock(*make);
    classes->addBlock(*use);
  }
  joined.join(made, m);
  EXPECT_FALSE(apart.areSame({k, 0}, {result, 0}));
  EXPECT_TRUE(joined.areSame({k, 0}, {result, 0}));
  EXPECT_FALSE(joined.areSame({k, 1}, {result, 0}));
  // The product sums over rows, which are the rows of keys once it is known.
  EXPECT_FALSE(apart.mixes(result.getDefiningOp(), {k, 0}));
  EXPECT_TRUE(joined.mixes(result.getDefiningOp(), {k, 0}));
}

TEST_F(AnalysisTest, TimeGoesWhereItIsSet) {
  TimeDims dims;
  dims.addBlock(*make);
  // A decay product has rows on both sides, whatever is known of its operands.
  EXPECT_EQ(dims.get(made).count(), 2u);
  dims.addBlock(*use);
  EXPECT_TRUE(dims.get(result).none());
  dims.set(use->getArgument(0), {dims.getRows(made, 0), dims.getRows(made, 1)});
  dims.addBlock(*use);
  EXPECT_TRUE(dims.get(result).test(0));
  EXPECT_FALSE(dims.get(result).test(1));
}

} // namespace
