//===- Costs.h - What kernels are estimated to cost -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DRIVER_COSTS_H
#define WYVERN_LIB_DRIVER_COSTS_H

#include "wyvern/Dialect/Tile/Targets/TargetInfo.h"
#include "wyvern/Target/ProgramInfo.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"

namespace mlir::wyvern {

/// What kernels cost, by their names.
using KernelCosts = llvm::StringMap<CostInfo>;

/// Estimates the kernels of a module at phase `scheduled`. `residents` is what
/// each was scheduled for.
KernelCosts estimateCosts(ModuleOp module);

/// Says in `bundle` what its kernels cost, and the GPU that it is estimated
/// for. Kernels that `costs` does not have keep none.
void addCosts(const KernelCosts &costs, const tile::TargetInfo &target,
              BundleInfo &bundle);

/// Counts how many blocks of each kernel an SM holds, by shared memory, warps,
/// and, once ptxas has said how many there are, registers.
void countResidents(const tile::TargetInfo &target, BundleInfo &bundle);

} // namespace mlir::wyvern

#endif // WYVERN_LIB_DRIVER_COSTS_H
