//===- NVPTX.h - From kernels to PTX ------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_TARGET_NVPTX_H
#define WYVERN_TARGET_NVPTX_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "llvm/Support/Error.h"

namespace mlir::wyvern {

/// Translates one kernel's module (LLVM and NVVM dialects only) to PTX, for the
/// target of the module around it.
llvm::Expected<std::string> translateToPTX(gpu::GPUModuleOp module);

/// Dialect translations that `translateToPTX` needs in its context.
void registerNVPTXTranslations(DialectRegistry &registry);

/// Registers `wyvern-translate --gpu-to-ptx`, for tests.
void registerToPTXTranslation();

} // namespace mlir::wyvern

#endif // WYVERN_TARGET_NVPTX_H
