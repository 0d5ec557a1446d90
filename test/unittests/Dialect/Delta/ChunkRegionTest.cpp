//===- ChunkRegionTest.cpp - What the ops of a chunk say of themselves
//-----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/IR/Delta.h"
#include "wyvern/Dialect/Delta/Transforms/Passes.h"
#include "wyvern/Pipelines/Pipelines.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringSet.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

namespace {

class ChunkRegionTest : public ::testing::Test {
protected:
  ChunkRegionTest() {
    DialectRegistry registry;
    registerDialects(registry);
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
  }

  /// MFLOP a chunk and head of all chunk programs of a function.
  double count(ModuleOp module, StringRef function) {
    int64_t flops = 0;
    module.lookupSymbol<func::FuncOp>(function).walk(
        [&](ChunkProgramOpInterface program) {
          flops += program.countMatmulFlops();
        });
    return static_cast<double>(flops) * 1e-6;
  }

  /// The differentiated and simplified module of a layer of 128 channels and,
  /// if `gated`, one gate a head.
  OwningOpRef<ModuleOp> differentiate(bool gated) {
    std::string keys = "tensor<?x?x1x128xbf16>", rates = "tensor<?x?x1xf32>";
    std::string state = "tensor<?x1x128x128xf32>";
    auto argument = [](StringRef name, StringRef type) {
      return ("%" + name + ": " + type + " {delta.name = \"" + name + "\"}")
          .str();
    };
    std::string text =
        "func.func @f(" + argument("q", keys) + ", " + argument("k", keys) +
        ", " + argument("v", keys) + ", " + argument("beta", rates) + ", " +
        argument("g", rates) + ", " + argument("s0", state) + ") -> (" + keys +
        " {delta.name = \"o\"}, " + state + " {delta.name = \"sT\"}) {\n" +
        "%o, %s = delta.recurrence query(%q) " + (gated ? "decay(%g) " : "") +
        "step(write %k erase %k value %v rate %beta) initial_state(%s0) "
        "scale 0.1 : " +
        keys + ", " + (gated ? rates + ", " : "") + keys + ", " + keys + ", " +
        keys + ", " + rates + ", " + state + " -> (" + keys + ", " + state +
        ")\nreturn %o, %s : " + keys + ", " + state + "\n}\n";
    OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, &context);
    if (!module)
      return {};
    PassManager pm(&context);
    PipelineOptions options;
    options.training = true;
    buildPipeline(pm, *findPhase("differentiated"), options);
    pm.addPass(createSimplifyPass());
    if (failed(pm.run(*module)))
      return {};
    return module;
  }

  MLIRContext context;
};

// 27.26: 13 products of 64 x 128 x 128 and of 64 x 64 x 128, as in
// docs/rationale/differentiation.md.
TEST_F(ChunkRegionTest, DeltaNetBackward) {
  OwningOpRef<ModuleOp> module = differentiate(/*gated=*/false);
  ASSERT_TRUE(module);
  EXPECT_LE(count(*module, "f_bwd"), 27.3);
  EXPECT_GT(count(*module, "f_bwd"), 20.0);
}

// Two more of 64 x 64 x 128: the gradient of the gates is summed over pairs of
// tokens, Q K^T and K K^T by their gradients.
TEST_F(ChunkRegionTest, GatedDeltaNetBackward) {
  OwningOpRef<ModuleOp> module = differentiate(/*gated=*/true);
  ASSERT_TRUE(module);
  EXPECT_LE(count(*module, "f_bwd"), 29.4);
  EXPECT_GT(count(*module, "f_bwd"), 20.0);
}

// The closed set (constraint 8 of chunk programs in docs/spec.md). An operation
// that is added to the dialect has to be put on one side.
TEST_F(ChunkRegionTest, TheSetIsClosed) {
  const llvm::StringSet<> outside = {"delta.chunk_map",  "delta.chunk_scan",
                                     "delta.recurrence", "delta.running_sum",
                                     "delta.sum_tokens", "delta.yield"};
  const llvm::StringSet<> upstream = {"arith.constant",   "linalg.broadcast",
                                      "linalg.contract",  "linalg.elementwise",
                                      "linalg.fill",      "linalg.reduce",
                                      "linalg.transpose", "tensor.empty"};
  unsigned numElementwise = 0;
  for (RegisteredOperationName op : context.getRegisteredOperations()) {
    StringRef name = op.getStringRef(), dialect = op.getDialectNamespace();
    bool isElementwise = (dialect == "arith" || dialect == "math") &&
                         op.hasTrait<OpTrait::Elementwise>();
    bool isOwn = dialect == "delta" && !outside.contains(name);
    EXPECT_EQ(op.hasInterface<ChunkRegionOpInterface>(),
              isElementwise || isOwn || upstream.contains(name))
        << name.str();
    numElementwise += isElementwise;
  }
  EXPECT_GT(numElementwise, 50u);
}

TEST_F(ChunkRegionTest, CountsMultiplicationsAndAdditions) {
  const char *const text = R"mlir(
func.func @f(%l: tensor<8x8xf32>, %c: tensor<8xf32>, %x: tensor<8x4xf32>) {
  %m = delta.decay_dot upto_token %x, %x : tensor<8x4xf32>, tensor<8x4xf32> -> tensor<8x8xf32>
  %a = delta.decay_apply upto_token %m, %x : tensor<8x8xf32>, tensor<8x4xf32> -> tensor<8x4xf32>
  %r, %u = delta.erase_solve %l, %c, %x : tensor<8x8xf32>, tensor<8xf32>, tensor<8x4xf32> -> tensor<8x4xf32>, tensor<8x4xf32>
  %y = delta.erase_solve_adjoint %l, %c, %x : tensor<8x8xf32>, tensor<8xf32>, tensor<8x4xf32> -> tensor<8x4xf32>
  %p = linalg.contract
      indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%m, %x : tensor<8x8xf32>, tensor<8x4xf32>) outs(%x : tensor<8x4xf32>) -> tensor<8x4xf32>
  return
}
)mlir";
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, &context);
  ASSERT_TRUE(module);
  unsigned numProducts = 0;
  module->walk([&](ChunkRegionOpInterface op) {
    if (op->getBlock() != &module->lookupSymbol<func::FuncOp>("f").front())
      return; // the scalar body of linalg.contract
    EXPECT_EQ(op.getMatmulFlops(), 2 * 8 * 8 * 4)
        << op->getName().getStringRef().str();
    ++numProducts;
  });
  EXPECT_EQ(numProducts, 5u);
}

} // namespace
