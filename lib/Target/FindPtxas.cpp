//===- FindPtxas.cpp - Where ptxas is -------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Subprocess.h"

#include "wyvern/Target/Ptxas.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/VersionTuple.h"

using namespace mlir;
using namespace mlir::wyvern;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

// The PTX that LLVM writes for the first target is version 8.8.
static const llvm::VersionTuple oldest(12, 9);

static constexpr StringLiteral advice =
    "Install a CUDA toolkit (12.9 or newer), or type\n"
    "  python3 -m pip install nvidia-cuda-nvcc\n"
    "inside a virtual environment, or name a ptxas with --ptxas=<path> or "
    "WYVERN_PTXAS=<path>";

static llvm::Error makeError(const Twine &message) {
  return llvm::createStringError(message + "\n" + advice);
}

/// The version of a ptxas, "" if it does not run.
static std::string readVersion(StringRef program) {
  llvm::Expected<std::string> output = runCaptured(program, {"--version"});
  if (!output) {
    llvm::consumeError(output.takeError());
    return "";
  }
  StringRef version = StringRef(*output).split(", V").second;
  return version.take_while([](char c) { return llvm::isDigit(c) || c == '.'; })
      .str();
}

static bool isNewEnough(StringRef version) {
  llvm::VersionTuple found;
  return !version.empty() && !found.tryParse(version) && found >= oldest;
}

/// Adds the ptxas of the nvidia-cuda-nvcc wheels below `prefix`.
static void addWheels(StringRef prefix, SmallVectorImpl<std::string> &found) {
  for (StringRef package : {"cu13", "cuda_nvcc"}) {
    SmallString<128> file(prefix);
    path::append(file, "nvidia", package, "bin", "ptxas");
    found.push_back(file.str().str());
  }
}

/// The same for every Python of a virtual environment.
static void addVirtualEnvironment(StringRef root,
                                  SmallVectorImpl<std::string> &found) {
  SmallString<128> libraries(root);
  path::append(libraries, "lib");
  std::error_code ec;
  for (fs::directory_iterator it(libraries, ec), end; it != end && !ec;
       it.increment(ec))
    if (path::filename(it->path()).starts_with("python3"))
      addWheels((it->path() + "/site-packages"), found);
}

static SmallVector<std::string> listCandidates(StringRef executable) {
  SmallVector<std::string> candidates;
  auto getenv = llvm::sys::Process::GetEnv;
  for (StringRef variable : {"CUDA_HOME", "CUDA_PATH"})
    if (auto root = getenv(variable))
      candidates.push_back(*root + "/bin/ptxas");
  candidates.push_back("/usr/local/cuda/bin/ptxas");
  SmallVector<StringRef> directories;
  std::string pathVariable = getenv("PATH").value_or("");
  StringRef(pathVariable).split(directories, ':', -1, /*KeepEmpty=*/false);
  for (StringRef directory : directories)
    candidates.push_back((directory + "/ptxas").str());
  if (auto environment = getenv("VIRTUAL_ENV"))
    addVirtualEnvironment(*environment, candidates);
  // <build>/bin/wyvernc and <build>/venv, <site-packages>/wyvern/bin/wyvernc.
  StringRef bin = path::parent_path(executable);
  if (!bin.empty()) {
    addVirtualEnvironment((path::parent_path(bin) + "/venv").str(), candidates);
    addWheels(path::parent_path(path::parent_path(bin)), candidates);
  }
  return candidates;
}

llvm::Expected<Ptxas> mlir::wyvern::findPtxas(StringRef path,
                                              StringRef executable) {
  std::string named = path.str();
  StringRef how = "--ptxas";
  if (named.empty()) {
    named = llvm::sys::Process::GetEnv("WYVERN_PTXAS").value_or("");
    how = "WYVERN_PTXAS";
  }
  if (!named.empty()) {
    std::string version = readVersion(named);
    if (isNewEnough(version))
      return Ptxas{named, version};
    return makeError(
        how + "=" + named + " is no ptxas of CUDA 12.9 or newer (" +
        (version.empty() ? "it does not run" : "it is " + version) + ")");
  }
  std::string seen;
  for (const std::string &candidate : listCandidates(executable)) {
    if (!fs::can_execute(candidate))
      continue;
    std::string version = readVersion(candidate);
    if (isNewEnough(version))
      return Ptxas{candidate, version};
    seen += "\n  " + candidate + " is " +
            (version.empty() ? "no ptxas that runs" : version + ", too old");
  }
  return makeError("ptxas not found in $CUDA_HOME, $CUDA_PATH, "
                   "/usr/local/cuda, $PATH or a Python environment" +
                   seen);
}
