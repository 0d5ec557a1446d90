//===- DividedRoles.h - What one block of a cluster does of a role ------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_SCHEDTOTILE_KERNEL_DIVIDEDROLES_H
#define WYVERN_LIB_CONVERSION_SCHEDTOTILE_KERNEL_DIVIDEDROLES_H

#include "KernelOrientation.h"

namespace mlir::wyvern {

/// Gives each tile of the divided roles of `kernel` the shape that one block
/// has: a part of the dimension that the role is divided along. What follows
/// then lowers them as any role. What every block has of a sum of blocks' parts
/// is added to it in equal shares. Diagnoses a tile that is used both as a part
/// and as a whole.
LogicalResult divideTiles(sched::KernelOp kernel,
                          const KernelOrientation &orientation);

} // namespace mlir::wyvern

#endif // WYVERN_LIB_CONVERSION_SCHEDTOTILE_KERNEL_DIVIDEDROLES_H
