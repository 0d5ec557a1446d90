//===- MatmulWorkTest.cpp - Matmul work of derived backwards --------------===//
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

class MatmulWorkTest : public ::testing::Test {
protected:
  MatmulWorkTest() {
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
          flops += cast<MatmulWorkOpInterface>(program.getOperation())
                       .getMatmulFlops();
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
TEST_F(MatmulWorkTest, DeltaNetBackward) {
  OwningOpRef<ModuleOp> module = differentiate(/*gated=*/false);
  ASSERT_TRUE(module);
  EXPECT_LE(count(*module, "f_bwd"), 27.3);
  EXPECT_GT(count(*module, "f_bwd"), 20.0);
}

TEST_F(MatmulWorkTest, GatedDeltaNetBackward) {
  OwningOpRef<ModuleOp> module = differentiate(/*gated=*/true);
  ASSERT_TRUE(module);
  EXPECT_LE(count(*module, "f_bwd"), 27.3);
  EXPECT_GT(count(*module, "f_bwd"), 20.0);
}

// Of the closed set of a chunk program's region (constraint 8 of chunk programs
// in docs/spec.md): what multiplies tiles says how much, and nothing else does.
// An operation that is added to the dialect has to be put into one list.
TEST_F(MatmulWorkTest, EveryOpSaysItsWork) {
  const llvm::StringSet<> products = {
      "linalg.contract",           "delta.decay_dot",    "delta.decay_apply",
      "delta.erase_solve",         "delta.erase_factor", "delta.chunk_scan",
      "delta.erase_solve_adjoint", "delta.chunk_map"};
  const llvm::StringSet<> others = {
      "linalg.elementwise", "linalg.broadcast", "linalg.reduce",
      "linalg.transpose",   "linalg.fill",      "tensor.empty",
      "delta.cumsum",       "delta.mask_rows",  "delta.repeat_rows",
      "delta.sum_rows",     "delta.decay_mask", "delta.yield",
      "delta.recurrence"};
  for (RegisteredOperationName op : context.getRegisteredOperations()) {
    StringRef name = op.getStringRef();
    bool isProduct = products.contains(name);
    EXPECT_EQ(op.hasInterface<MatmulWorkOpInterface>(), isProduct)
        << name.str();
    if (op.getDialectNamespace() == "delta")
      EXPECT_TRUE(isProduct || others.contains(name)) << name.str();
  }
}

TEST_F(MatmulWorkTest, CountsMultiplicationsAndAdditions) {
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
  module->walk([](MatmulWorkOpInterface work) {
    EXPECT_EQ(work.getMatmulFlops(), 2 * 8 * 8 * 4)
        << work->getName().getStringRef().str();
  });
}

} // namespace
