//===- Version.h - Which Wyvern this is -------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_SUPPORT_VERSION_H
#define WYVERN_SUPPORT_VERSION_H

#include "llvm/ADT/StringRef.h"

namespace mlir::wyvern {

/// The version of this compiler, as CMakeLists.txt says it.
llvm::StringRef getVersion();

/// The version of the LLVM it is built with.
llvm::StringRef getLLVMVersion();

} // namespace mlir::wyvern

#endif // WYVERN_SUPPORT_VERSION_H
