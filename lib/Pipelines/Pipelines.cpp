//===- Pipelines.cpp - The named phases of a compilation ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Pipelines/Pipelines.h"

#include "wyvern/Dialect/Delta/IR/Delta.h"
#include "wyvern/Dialect/Delta/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace mlir::wyvern;

static void addInput(OpPassManager &, const PipelineOptions &) {}

static void addDelta(OpPassManager &pm, const PipelineOptions &) {
  pm.addPass(createCanonicalizerPass());
}

static void addWY(OpPassManager &pm, const PipelineOptions &options) {
  delta::FormWYPassOptions formWY;
  formWY.rows = options.rows;
  pm.addPass(delta::createFormWYPass(formWY));
}

static void addStaged(OpPassManager &pm, const PipelineOptions &) {
  pm.addPass(delta::createSimplifyPass());
  pm.addPass(delta::createStagePass());
}

static void addRounded(OpPassManager &pm, const PipelineOptions &options) {
  if (options.operandType.getValue() == "none")
    return;
  delta::AssignPrecisionPassOptions precision;
  precision.operandType = options.operandType;
  pm.addPass(delta::createAssignPrecisionPass(precision));
}

static constexpr Phase phases[] = {
    {"input", "the module as the spec says it", addInput},
    {"delta", "sequence level: one delta.recurrence a layer", addDelta},
    {"wy", "chunk program: one delta.chunk_scan a layer, in WY form", addWY},
    {"staged", "a map over all chunks, then the chain over their order",
     addStaged},
    {"rounded", "16-bit operands of matmuls; what the CPU runs too",
     addRounded},
};

ArrayRef<Phase> mlir::wyvern::getPhases() { return phases; }

const Phase *mlir::wyvern::findPhase(StringRef name) {
  const Phase *phase = llvm::find_if(
      phases, [&](const Phase &candidate) { return candidate.name == name; });
  return phase == std::end(phases) ? nullptr : phase;
}

void mlir::wyvern::buildPipeline(OpPassManager &pm, const Phase &last,
                                 const PipelineOptions &options) {
  for (const Phase &phase : phases) {
    phase.addPasses(pm, options);
    if (&phase == &last)
      break;
  }
}

void mlir::wyvern::registerPipelines() {
  for (const Phase &phase : llvm::drop_begin(getPhases())) {
    PassPipelineRegistration<PipelineOptions>(
        ("wyvern-to-" + phase.name).str(), phase.description,
        [&phase](OpPassManager &pm, const PipelineOptions &options) {
          buildPipeline(pm, phase, options);
        });
  }
}

void mlir::wyvern::registerDialects(DialectRegistry &registry) {
  registry.insert<arith::ArithDialect, delta::DeltaDialect, func::FuncDialect,
                  linalg::LinalgDialect, math::MathDialect,
                  tensor::TensorDialect>();
}
