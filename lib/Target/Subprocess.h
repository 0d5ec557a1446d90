//===- Subprocess.h - Running a program -------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_TARGET_SUBPROCESS_H
#define WYVERN_LIB_TARGET_SUBPROCESS_H

#include "mlir/Support/LLVM.h"
#include "llvm/Support/Error.h"

#include <string>

namespace mlir::wyvern {

/// A temporary file, removed at the end of its scope or if the process is
/// killed.
class TemporaryFile {
public:
  static llvm::Expected<TemporaryFile> create(StringRef suffix);
  TemporaryFile(TemporaryFile &&other) : path(std::move(other.path)) {
    other.path.clear();
  }
  ~TemporaryFile();

  StringRef getPath() const { return path; }
  llvm::Error write(StringRef text) const;
  llvm::Expected<std::string> read() const;

private:
  explicit TemporaryFile(std::string path) : path(std::move(path)) {}
  std::string path;
};

/// Runs a program; gives what it wrote to both its outputs. `exitCode` null: a
/// failing program is an error.
llvm::Expected<std::string> runCaptured(StringRef program,
                                        ArrayRef<StringRef> arguments,
                                        int *exitCode = nullptr);

} // namespace mlir::wyvern

#endif // WYVERN_LIB_TARGET_SUBPROCESS_H
