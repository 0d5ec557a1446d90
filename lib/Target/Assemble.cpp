//===- Assemble.cpp - From PTX to cubins ----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Subprocess.h"

#include "wyvern/Target/PtxRepeats.h"
#include "wyvern/Target/Ptxas.h"
#include "wyvern/Target/PtxasLog.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"

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
static std::vector<std::string> findFaults(StringRef symbol,
                                           const KernelResources &resources,
                                           const PtxasLog &log) {
  std::vector<std::string> faults;
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

/// What is asked of ptxas where it spills: 5 is its default, and with less it
/// makes fewer values again that it could hold. A kernel that is just full is
/// one that it then finds registers for.
static constexpr StringLiteral kLessReuse = "--register-usage-level=3";

/// The directive of how many blocks an SM is to hold.
static constexpr StringLiteral kBlocks = ".minnctapersm ";

/// One ptxas run; fills in the kernel's cubin and gives the log.
static llvm::Expected<std::string> runPtxas(const Ptxas &ptxas, StringRef arch,
                                            StringRef option,
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
  SmallVector<StringRef> arguments = {
      archFlag, "-O3", "-v", input->getPath(), "-o", output->getPath()};
  if (!option.empty())
    arguments.push_back(option);
  llvm::Expected<std::string> log =
      runCaptured(ptxas.path, arguments, &exitCode);
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

/// Runs ptxas on one kernel, with `option` if it is not empty, and reads what
/// it says.
static llvm::Error assembleOnce(const Ptxas &ptxas, StringRef arch,
                                StringRef option, KernelInfo &kernel,
                                std::string &log) {
  llvm::Expected<std::string> text = runPtxas(ptxas, arch, option, kernel);
  if (!text)
    return text.takeError();
  log = *text;
  PtxasLog parsed = PtxasLog::parse(*text);
  const KernelResources *resources = parsed.find(kernel.symbol);
  if (!resources)
    return llvm::createStringError("ptxas " + ptxas.version +
                                   " says nothing about kernel " +
                                   kernel.symbol + "; its log is\n" + *text);
  kernel.resources = *resources;
  kernel.faults = findFaults(kernel.symbol, *resources, parsed);
  return llvm::Error::success();
}

/// Asks for one block an SM less in the PTX of a kernel that asks for more than
/// two. Returns false for another.
static bool askForLess(std::string &ptx) {
  StringRef before = StringRef(ptx).split(kBlocks).first;
  if (before.size() == ptx.size())
    return false;
  size_t start = before.size() + kBlocks.size();
  int64_t blocks = 0;
  StringRef rest = StringRef(ptx).drop_front(start);
  if (rest.consumeInteger(10, blocks) || blocks <= 2)
    return false;
  ptx.replace(start, ptx.size() - start - rest.size(),
              std::to_string(blocks - 1));
  return true;
}

/// The same again in the place of a kernel that spills, if what `again` is is
/// without.
static llvm::Error retry(const Ptxas &ptxas, StringRef arch, StringRef option,
                         KernelInfo again, KernelInfo &kernel,
                         std::string &log) {
  std::string text;
  if (llvm::Error error = assembleOnce(ptxas, arch, option, again, text))
    return error;
  if (again.faults.empty()) {
    kernel = std::move(again);
    log = std::move(text);
  }
  return llvm::Error::success();
}

static bool spills(const KernelInfo &kernel) {
  return kernel.resources.spillStores || kernel.resources.spillLoads;
}

/// Assembles a kernel, and again where registers are spilled: with less reuse,
/// but not one in which ptxas 13.0 would then take what it has made of a sum
/// for what it makes of it when a product has been added; then with a block an
/// SM less, whose registers it has.
static llvm::Error assembleKernel(const Ptxas &ptxas, StringRef arch,
                                  KernelInfo &kernel, std::string &log) {
  std::string text;
  if (llvm::Error error = assembleOnce(ptxas, arch, "", kernel, text))
    return error;
  if (spills(kernel) && findRepeatOfSum(kernel.ptx).empty())
    if (llvm::Error error =
            retry(ptxas, arch, kLessReuse, kernel, kernel, text))
      return error;
  KernelInfo less = kernel;
  if (spills(kernel) && askForLess(less.ptx))
    if (llvm::Error error = retry(ptxas, arch, "", less, kernel, text))
      return error;
  log += text;
  return llvm::Error::success();
}

llvm::Error mlir::wyvern::assemble(const Ptxas &ptxas, StringRef arch,
                                   BundleInfo &bundle, std::string &log) {
  llvm::StringMap<const KernelInfo *> done;
  for (KernelInfo *kernel : bundle.getKernels()) {
    auto [entry, isNew] = done.try_emplace(kernel->file, kernel);
    if (isNew) {
      if (llvm::Error error = assembleKernel(ptxas, arch, *kernel, log))
        return error;
      continue;
    }
    kernel->cubin = entry->second->cubin;
    kernel->resources = entry->second->resources;
    kernel->faults = entry->second->faults;
  }
  return llvm::Error::success();
}

std::string mlir::wyvern::describeFaults(const VariantInfo &variant) {
  std::vector<std::string> faults;
  for (const KernelInfo &kernel : variant.kernels)
    llvm::append_range(faults, kernel.faults);
  return llvm::join(faults, "\n");
}
