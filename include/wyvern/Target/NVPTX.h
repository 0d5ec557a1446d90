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

/// The processor and features that LLVM's NVPTX backend generates code for, for
/// instance `sm_90a` and `+ptx88`.
struct NVPTXOptions {
  std::string chip = "sm_90a";
  std::string features = "+ptx88";
};

/// Translates one kernel's module (LLVM and NVVM dialects only) to PTX.
llvm::Expected<std::string> translateToPTX(gpu::GPUModuleOp module,
                                           const NVPTXOptions &options);

/// Dialect translations that `translateToPTX` needs in its context.
void registerNVPTXTranslations(DialectRegistry &registry);

/// Registers `wyvern-translate --gpu-to-ptx`, for tests.
void registerToPTXTranslation();

} // namespace mlir::wyvern

#endif // WYVERN_TARGET_NVPTX_H
