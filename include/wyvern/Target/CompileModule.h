//===- CompileModule.h - Linking a module -----------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_TARGET_COMPILEMODULE_H
#define WYVERN_TARGET_COMPILEMODULE_H

#include "mlir/Support/LLVM.h"
#include "llvm/Support/Error.h"

#include <string>

namespace mlir::wyvern {

/// A C compiler, and the folder with what it links.
struct ModuleCompiler {
  std::string path;
  std::string runtime; ///< <prefix>/lib/wyvern: a library and its headers.
};

/// Finds the compiler that is named, else that of $CC or PATH.
llvm::Expected<ModuleCompiler> findModuleCompiler(StringRef named,
                                                  StringRef executable);

/// Compiles and links the source of writeTvmModule. Returns the bytes of the
/// shared object.
llvm::Expected<std::string> compileModule(const ModuleCompiler &compiler,
                                          StringRef source);

} // namespace mlir::wyvern

#endif // WYVERN_TARGET_COMPILEMODULE_H
