//===- CompileModule.cpp - From a module's C source to a shared object ----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Subprocess.h"

#include "wyvern/Target/CompileModule.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"

using namespace mlir;
using namespace mlir::wyvern;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

static std::string join(StringRef folder, StringRef name) {
  SmallString<128> joined(folder);
  path::append(joined, name);
  return joined.str().str();
}

/// The folder of what a module is made of, beside that of the executable.
static llvm::Expected<std::string> findRuntime(StringRef executable) {
  StringRef root = path::parent_path(path::parent_path(executable));
  std::string folder = join(root, "lib/wyvern");
  if (fs::exists(join(folder, "libwyvern_module.a")))
    return folder;
  return llvm::createStringError("a module needs '" + folder +
                                 "/libwyvern_module.a', which is not there; "
                                 "build the target wyvern_module, or install "
                                 "wyvernc as a whole");
}

static llvm::Expected<std::string> findCompiler(StringRef named) {
  auto find = [](StringRef name) -> std::optional<std::string> {
    auto program = llvm::sys::findProgramByName(name);
    if (!program || !fs::can_execute(*program))
      return std::nullopt;
    return *program;
  };
  std::string chosen = named.str(), how = "--cc";
  if (chosen.empty()) {
    chosen = llvm::sys::Process::GetEnv("CC").value_or("");
    how = "CC";
  }
  if (!chosen.empty()) {
    if (auto program = find(chosen))
      return *program;
    return llvm::createStringError(how + "=" + chosen +
                                   " is no program that can be run");
  }
  for (StringRef name : {"cc", "gcc", "clang", "clang-22"})
    if (auto program = find(name))
      return *program;
  return llvm::createStringError(
      "a module is linked by a C compiler, and there is no cc, gcc or clang in "
      "PATH. Type: apt-get install gcc, or name one with --cc=<path> or "
      "CC=<path>");
}

llvm::Expected<ModuleCompiler>
mlir::wyvern::findModuleCompiler(StringRef named, StringRef executable) {
  llvm::Expected<std::string> compiler = findCompiler(named);
  if (!compiler)
    return compiler.takeError();
  llvm::Expected<std::string> runtime = findRuntime(executable);
  if (!runtime)
    return runtime.takeError();
  return ModuleCompiler{*compiler, *runtime};
}

llvm::Expected<std::string>
mlir::wyvern::compileModule(const ModuleCompiler &compiler, StringRef source) {
  llvm::Expected<TemporaryFile> input = TemporaryFile::create("c");
  if (!input)
    return input.takeError();
  llvm::Expected<TemporaryFile> output = TemporaryFile::create("so");
  if (!output)
    return output.takeError();
  if (llvm::Error error = input->write(source))
    return std::move(error);
  std::string include = "-I" + join(compiler.runtime, "include");
  std::string library = join(compiler.runtime, "libwyvern_module.a");
  int exitCode = 0;
  // The runtime's own symbols stay inside: a process may load several modules.
  // Without a table of symbols, which has the name of the temporary file, the
  // same input gives the same bytes.
  llvm::Expected<std::string> log = runCaptured(
      compiler.path,
      {"-std=c11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-s",
       include, input->getPath(), library, "-Wl,--exclude-libs,ALL",
       "-lpthread", "-ldl", "-o", output->getPath()},
      &exitCode);
  if (!log)
    return log.takeError();
  if (exitCode != 0)
    return llvm::createStringError(compiler.path +
                                   " does not compile the module:\n" +
                                   StringRef(*log).rtrim());
  return output->read();
}
