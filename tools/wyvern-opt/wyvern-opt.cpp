//===- wyvern-opt.cpp - The optimizer driver ------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Conversion/Passes.h"
#include "wyvern/Conversion/SchedToDelta/SchedToDelta.h"
#include "wyvern/Conversion/SchedToTile/SchedToTile.h"
#include "wyvern/Conversion/TileToNVVM/TileToNVVM.h"
#include "wyvern/Dialect/Delta/Transforms/Passes.h"
#include "wyvern/Dialect/Sched/Strategies/Passes.h"
#include "wyvern/Dialect/Tile/Transforms/Passes.h"
#include "wyvern/Execution/CpuProgram.h"
#include "wyvern/Pipelines/Pipelines.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

#ifdef WYVERN_ENABLE_TESTS
// Defined in test/lib, which has no headers to include.
namespace mlir::wyvern::test {
void registerTestPrintCarryDependencePass();
void registerTestPrintCutPass();
void registerTestPrintDimClassesPass();
void registerTestPrintKernelCostPass();
void registerTestPrintTimeDimsPass();
} // namespace mlir::wyvern::test

static void registerTestPasses() {
  mlir::wyvern::test::registerTestPrintCarryDependencePass();
  mlir::wyvern::test::registerTestPrintCutPass();
  mlir::wyvern::test::registerTestPrintDimClassesPass();
  mlir::wyvern::test::registerTestPrintKernelCostPass();
  mlir::wyvern::test::registerTestPrintTimeDimsPass();
}
#endif

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::wyvern::registerDialects(registry);
  mlir::wyvern::registerCpuDialects(registry);
  mlir::registerTransformsPasses();
  mlir::wyvern::delta::registerDeltaTransformsPasses();
  mlir::wyvern::registerWyvernConversionPasses();
  mlir::wyvern::sched::registerSchedStrategiesPasses();
  mlir::wyvern::registerSchedToDeltaPasses();
  mlir::wyvern::registerSchedToTilePasses();
  mlir::wyvern::tile::registerTileTransformsPasses();
  mlir::wyvern::registerTileToNVVMPasses();
  mlir::registerArithToLLVMConversionPass();
  mlir::registerConvertControlFlowToLLVMPass();
  mlir::registerReconcileUnrealizedCastsPass();
  mlir::registerSCFToControlFlowPass();
  mlir::wyvern::registerPipelines();
  mlir::wyvern::registerCpuPipeline();
#ifdef WYVERN_ENABLE_TESTS
  registerTestPasses();
#endif
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Wyvern optimizer\n", registry));
}
