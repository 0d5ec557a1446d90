//===- Subprocess.cpp - Running a program ---------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Subprocess.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::wyvern;

llvm::Expected<TemporaryFile> TemporaryFile::create(StringRef suffix) {
  SmallString<128> path;
  if (std::error_code ec =
          llvm::sys::fs::createTemporaryFile("wyvern", suffix, path))
    return llvm::createStringError(ec, "cannot create a temporary file: " +
                                           ec.message());
  llvm::sys::RemoveFileOnSignal(path);
  return TemporaryFile(path.str().str());
}

TemporaryFile::~TemporaryFile() {
  if (path.empty())
    return;
  llvm::sys::fs::remove(path);
  llvm::sys::DontRemoveFileOnSignal(path);
}

llvm::Error TemporaryFile::write(StringRef text) const {
  std::error_code ec;
  llvm::raw_fd_ostream os(path, ec);
  if (!ec) {
    os << text;
    os.close();
    ec = os.error();
    os.clear_error();
  }
  if (ec)
    return llvm::createStringError(ec, "cannot write " + path + ": " +
                                           ec.message());
  return llvm::Error::success();
}

llvm::Expected<std::string> TemporaryFile::read() const {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer)
    return llvm::createStringError(buffer.getError(),
                                   "cannot read " + path + ": " +
                                       buffer.getError().message());
  return (*buffer)->getBuffer().str();
}

llvm::Expected<std::string>
mlir::wyvern::runCaptured(StringRef program, ArrayRef<StringRef> arguments,
                          int *exitCode) {
  llvm::Expected<TemporaryFile> output = TemporaryFile::create("log");
  if (!output)
    return output.takeError();
  SmallVector<StringRef> command = {program};
  command.append(arguments.begin(), arguments.end());
  std::string message;
  int rc = llvm::sys::ExecuteAndWait(
      program, command, /*Env=*/std::nullopt,
      {StringRef(), output->getPath(), output->getPath()},
      /*SecondsToWait=*/0, /*MemoryLimit=*/0, &message);
  if (exitCode && rc >= 0)
    *exitCode = rc;
  else if (rc != 0)
    return llvm::createStringError(
        program + ": " +
        (message.empty() ? "exit status " + std::to_string(rc) : message));
  return output->read();
}
