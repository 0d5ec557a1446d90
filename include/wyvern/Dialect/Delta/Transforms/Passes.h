//===- Passes.h - Passes on the delta dialect -------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_TRANSFORMS_PASSES_H
#define WYVERN_DIALECT_DELTA_TRANSFORMS_PASSES_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/Pass/Pass.h"

namespace mlir::arith {
class ArithDialect;
} // namespace mlir::arith
namespace mlir::linalg {
class LinalgDialect;
} // namespace mlir::linalg
namespace mlir::math {
class MathDialect;
} // namespace mlir::math
namespace mlir::tensor {
class TensorDialect;
} // namespace mlir::tensor

namespace mlir::wyvern::delta {

#define GEN_PASS_DECL
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_TRANSFORMS_PASSES_H
