//===- OutputFiles.h - Files that are whole or absent -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_SUPPORT_OUTPUTFILES_H
#define WYVERN_SUPPORT_OUTPUTFILES_H

#include "mlir/Support/LLVM.h"
#include "llvm/Support/Error.h"

#include <string>

namespace mlir::wyvern {

struct OutputFile {
  std::string name;
  std::string contents;
};

/// Writes one file through a temporary one beside it; "-" is standard output.
/// Of a symbolic link, the file that it points to is replaced; to a device or a
/// pipe it is written.
llvm::Error writeFile(StringRef path, StringRef contents);

/// Writes a folder of files through a temporary folder beside it. A folder that
/// is there already is replaced only if all it holds are files of the names in
/// `replaceable`, those of an earlier output: nothing else is ever removed. Of
/// a symbolic link, the folder that it points to is replaced.
llvm::Error writeFolder(StringRef path, ArrayRef<OutputFile> files,
                        ArrayRef<std::string> replaceable);

} // namespace mlir::wyvern

#endif // WYVERN_SUPPORT_OUTPUTFILES_H
