//===- Arch.h - The GPUs that there is code for -----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_TARGET_ARCH_H
#define WYVERN_TARGET_ARCH_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace mlir::wyvern {

struct Arch {
  llvm::StringLiteral name;        ///< As in `ptxas -arch`.
  llvm::StringLiteral features;    ///< For LLVM's NVPTX backend.
  llvm::StringLiteral description; ///< For --list-archs.
};

llvm::ArrayRef<Arch> getArchs();

/// The arch of this name, or null.
const Arch *findArch(llvm::StringRef name);

} // namespace mlir::wyvern

#endif // WYVERN_TARGET_ARCH_H
