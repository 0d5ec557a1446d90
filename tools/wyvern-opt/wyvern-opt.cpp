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
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Wyvern optimizer\n", registry));
}
