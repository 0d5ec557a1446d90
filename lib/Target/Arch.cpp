//===- Arch.cpp - The GPUs that there is code for -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Target/Arch.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir::wyvern;

static constexpr Arch archs[] = {
    {"sm_90a", "+ptx88", "Hopper: H100, H200, GH200 (wgmma, TMA)"},
};

llvm::ArrayRef<Arch> mlir::wyvern::getArchs() { return archs; }

const Arch *mlir::wyvern::findArch(llvm::StringRef name) {
  const Arch *arch = llvm::find_if(
      archs, [&](const Arch &candidate) { return candidate.name == name; });
  return arch == std::end(archs) ? nullptr : arch;
}
