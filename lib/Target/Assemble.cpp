//===- Assemble.cpp - From PTX to cubins ----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Subprocess.h"

#include "wyvern/Target/Ptxas.h"
#include "wyvern/Target/PtxasLog.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::wyvern;

/// The lines that say the same in every run: no times, no temporary names.
static std::string makeReproducible(StringRef log, StringRef temporary,
                                    StringRef name) {
  std::string result;
  SmallVector<StringRef> lines;
  log.split(lines, '\n', -1, /*KeepEmpty=*/false);
  for (StringRef line : lines) {
    if (line.contains("Compile time ="))
      continue;
    auto [before, after] = line.split(temporary);
    bool named = before.size() != line.size();
    result += (before + (named ? name : "") + after + "\n").str();
  }
  return result;
}

/// What is wrong with an assembled kernel, empty if nothing.
static SmallVector<std::string> findFaults(StringRef symbol,
                                           const KernelResources &resources,
                                           const PtxasLog &log) {
  SmallVector<std::string> faults;
  if (resources.spillStores || resources.spillLoads)
    faults.push_back(("kernel " + symbol + " spills registers: " +
                      Twine(resources.spillStores) + " bytes stored, " +
                      Twine(resources.spillLoads) + " loaded")
                         .str());
  for (const PtxasLog::Advisory &advisory : log.advisories)
    faults.push_back(
        ("kernel " + symbol + ": ptxas " + advisory.code + ": " + advisory.text)
            .str());
  return faults;
}

/// One ptxas run; fills in the kernel's cubin and gives the log.
static llvm::Expected<std::string> runPtxas(const Ptxas &ptxas, StringRef arch,
                                            KernelInfo &kernel) {
  llvm::Expected<TemporaryFile> input = TemporaryFile::create("ptx");
  if (!input)
    return input.takeError();
  llvm::Expected<TemporaryFile> output = TemporaryFile::create("cubin");
  if (!output)
    return output.takeError();
  if (llvm::Error error = input->write(kernel.ptx))
    return std::move(error);
  int exitCode = 0;
  std::string archFlag = ("-arch=" + arch).str();
  llvm::Expected<std::string> log = runCaptured(
      ptxas.path,
      {archFlag, "-O3", "-v", input->getPath(), "-o", output->getPath()},
      &exitCode);
  if (!log)
    return log.takeError();
  std::string text =
      makeReproducible(*log, input->getPath(), kernel.symbol + ".ptx");
  if (exitCode != 0)
    return llvm::createStringError("ptxas rejects kernel " + kernel.symbol +
                                   ":\n" + StringRef(text).rtrim());
  llvm::Expected<std::string> cubin = output->read();
  if (!cubin)
    return cubin.takeError();
  kernel.cubin = std::move(*cubin);
  return text;
}

llvm::Error
mlir::wyvern::assemble(const Ptxas &ptxas, const AssembleOptions &options,
                       BundleInfo &bundle, std::string &log,
                       llvm::function_ref<void(const Twine &)> warn) {
  SmallVector<std::string> faults;
  for (KernelInfo *kernel : bundle.getKernels()) {
    llvm::Expected<std::string> text = runPtxas(ptxas, options.arch, *kernel);
    if (!text)
      return text.takeError();
    log += *text;
    PtxasLog parsed = PtxasLog::parse(*text);
    const KernelResources *resources = parsed.find(kernel->symbol);
    if (!resources)
      return llvm::createStringError("ptxas " + ptxas.version +
                                     " says nothing about kernel " +
                                     kernel->symbol + "; its log is\n" + *text);
    kernel->resources = *resources;
    llvm::append_range(faults, findFaults(kernel->symbol, *resources, parsed));
  }
  if (!options.strict) {
    for (const std::string &fault : faults)
      warn(fault);
  } else if (!faults.empty()) {
    return llvm::createStringError(
        llvm::join(faults, "\n") +
        "\nsuch a kernel runs at a fraction of its speed; --strict=false makes "
        "this a warning");
  }
  return llvm::Error::success();
}
