//===- MatmulWork.h - Floating-point operations of products -----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_IR_MATMULWORK_H
#define WYVERN_DIALECT_DELTA_IR_MATMULWORK_H

#include "mlir/IR/DialectRegistry.h"

namespace mlir::wyvern::delta {

/// Makes linalg.contract a MatmulWorkOpInterface.
void registerMatmulWork(DialectRegistry &registry);

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_IR_MATMULWORK_H
