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

/// Assembles every kernel of `bundle`, those with one file once: fills in their
/// cubins and resources, and appends ptxas's words to `log`.
llvm::Error assemble(const Ptxas &ptxas, StringRef arch, BundleInfo &bundle,
                     std::string &log);

/// Returns what is wrong with the kernels of a variant that were assembled, a
/// line for each fault; empty if nothing.
std::string describeFaults(const VariantInfo &variant);

} // namespace mlir::wyvern

#endif // WYVERN_TARGET_PTXAS_H
