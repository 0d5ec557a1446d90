//===- Costs.cpp - What kernels are estimated to cost ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Costs.h"

#include "wyvern/Dialect/Sched/Analysis/KernelCost.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::wyvern;

KernelCosts mlir::wyvern::estimateCosts(ModuleOp module) {
  KernelCosts costs;
  module.walk([&](sched::KernelOp kernel) {
    sched::KernelCost estimate = sched::estimateKernel(kernel);
    CostInfo &cost = costs[kernel.getKernelName()];
    cost.residents = static_cast<int64_t>(kernel.getMinBlocks());
    cost.stepCycles = estimate.stepCycles;
    cost.stepWork = estimate.stepWork;
    cost.stepBytes = estimate.stepBytes;
    cost.blockCycles = estimate.blockCycles;
  });
  return costs;
}

void mlir::wyvern::addCosts(const KernelCosts &costs,
                            const tile::TargetInfo &target,
                            BundleInfo &bundle) {
  for (ProgramInfo *program : bundle.getPrograms())
    program->machine = {target.sms, target.memoryBytesPerCycle,
                        target.launchCycles, target.codeBytes};
  for (KernelInfo *kernel : bundle.getKernels()) {
    auto found = costs.find(kernel->symbol);
    if (found == costs.end())
      continue;
    int64_t stepChunks = kernel->cost.stepChunks;
    kernel->cost = found->second;
    kernel->cost.stepChunks = stepChunks;
    kernel->cost.blockCycles += target.blockCycles;
  }
}

void mlir::wyvern::countResidents(const tile::TargetInfo &target,
                                  BundleInfo &bundle) {
  // As the hardware hands out registers: to a warp, 8 a thread at a time.
  constexpr int64_t registerUnit = 8, warpThreads = 32;
  for (KernelInfo *kernel : bundle.getKernels()) {
    if (kernel->cost.residents == 0)
      continue;
    int64_t shared = kernel->dynamicShared + kernel->resources.staticShared +
                     target.sharedBytesReserved;
    int64_t fit =
        std::min(target.smBlocks,
                 (target.sharedBytes + target.sharedBytesReserved) / shared);
    if (kernel->resources.registers > 0) {
      auto registers = static_cast<int64_t>(
          llvm::alignTo(kernel->resources.registers, registerUnit) *
          llvm::alignTo(kernel->block, warpThreads));
      fit = std::min(fit, target.smRegisters / registers);
    } else {
      // Registers are not known yet: ptxas is asked for room for so many.
      fit = std::min(fit, kernel->cost.residents);
    }
    kernel->cost.residents = std::max<int64_t>(fit, 1);
  }
}
