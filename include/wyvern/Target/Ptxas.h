//===- Ptxas.h - Running NVIDIA's assembler ---------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_TARGET_PTXAS_H
#define WYVERN_TARGET_PTXAS_H

#include "wyvern/Target/ProgramInfo.h"

#include "mlir/Support/LLVM.h"
#include "llvm/Support/Error.h"

namespace mlir::wyvern {

/// A ptxas that was found and runs.
struct Ptxas {
  std::string path;
  std::string version; ///< 13.0.88
};

/// Finds ptxas: `path` if given, else $WYVERN_PTXAS, else the first one of CUDA
/// 12.9 or newer in $CUDA_HOME, $CUDA_PATH, /usr/local/cuda, $PATH, and the
/// nvidia-cuda-nvcc wheels of $VIRTUAL_ENV, of the Python that holds
/// `executable`, and of the build tree. The error says where it looked and what
/// to type.
llvm::Expected<Ptxas> findPtxas(StringRef path, StringRef executable);

struct AssembleOptions {
  std::string arch; ///< For ptxas -arch.
  /// A spill or a C75xx message is an error, not a warning.
  bool strict = true;
};

/// Assembles every kernel of `bundle`: fills in its cubin and resources, and
/// appends ptxas's words to `log`. Warnings go to `warn`.
llvm::Error assemble(const Ptxas &ptxas, const AssembleOptions &options,
                     BundleInfo &bundle, std::string &log,
                     llvm::function_ref<void(const Twine &)> warn);

} // namespace mlir::wyvern

#endif // WYVERN_TARGET_PTXAS_H
