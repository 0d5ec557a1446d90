//===- DescribeProgram.h - From kernels to their description ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_TARGET_DESCRIBEPROGRAM_H
#define WYVERN_TARGET_DESCRIBEPROGRAM_H

#include "wyvern/Target/ProgramInfo.h"

#include "mlir/IR/BuiltinOps.h"

namespace mlir::wyvern {

/// Describes the programs of a module at the `tile` phase: a function says what
/// its tensors are, and the `tile.kernel`s beside it how they are launched.
/// Fills in everything but PTX and what ptxas finds out. Fails, with a
/// diagnostic, if there is not exactly one function, or a forward with its
/// backward.
FailureOr<BundleInfo> describeBundle(ModuleOp module);

} // namespace mlir::wyvern

#endif // WYVERN_TARGET_DESCRIBEPROGRAM_H
