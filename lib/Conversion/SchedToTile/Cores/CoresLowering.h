//===- CoresLowering.h - Kernels whose role is on the cores -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_SCHEDTOTILE_CORES_CORESLOWERING_H
#define WYVERN_LIB_CONVERSION_SCHEDTOTILE_CORES_CORESLOWERING_H

#include "../Kernel/Operands.h"

#include "mlir/IR/Builders.h"

namespace mlir::wyvern {

/// True for a kernel of one role that multiplies on the CUDA cores.
bool isOnCores(sched::KernelOp kernel);

/// Translates such a kernel into a tile.kernel at the builder's place;
/// diagnoses what the GPU path does not take.
LogicalResult lowerOnCores(OpBuilder &builder, sched::KernelOp kernel,
                           const TensorNames &names);

} // namespace mlir::wyvern

#endif // WYVERN_LIB_CONVERSION_SCHEDTOTILE_CORES_CORESLOWERING_H
