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
#include "llvm/Support/ThreadPool.h"

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

namespace {
/// A kernel on its way, and what ptxas has said of it.
struct Job {
  KernelInfo *kernel;
  std::string log = {};
};
} // namespace

static bool isSpilled(const KernelInfo &kernel) {
  return kernel.resources.spillStores || kernel.resources.spillLoads;
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

/// Makes divisions of f32 in a kernel's PTX one instruction or two, 2 units in
/// the last place off, where each is a branch to a call that holds registers
/// for its odd cases. Returns false if there are none. What a spec divides by
/// is 1 + e^x of x <= 80; by more than 2^126 these give 0.
static bool divideInFewRegisters(std::string &ptx) {
  bool found = false;
  for (StringRef exact : {"div.rn.f32", "rcp.rn.f32"})
    for (size_t at = 0; (at = ptx.find(exact, at)) != std::string::npos;) {
      ptx.replace(at, exact.size(),
                  (exact.take_front(3) + ".approx.f32").str());
      found = true;
    }
  return found;
}

/// Runs ptxas on `again`, a form of the job's kernel, and takes what it makes
/// if that has no fault.
static llvm::Error tryAgain(const Ptxas &ptxas, StringRef arch,
                            StringRef option, KernelInfo again, Job &job) {
  std::string log;
  if (llvm::Error error = assembleOnce(ptxas, arch, option, again, log))
    return error;
  if (again.faults.empty()) {
    *job.kernel = std::move(again);
    job.log = std::move(log);
  }
  return llvm::Error::success();
}

/// Runs ptxas, and once more with less reuse where registers are spilled: what
/// is without is taken. Not of a kernel in which ptxas 13.0 would then take
/// what it has made of a sum for what it makes of it when a product has been
/// added. A kernel that spills all the same has a block an SM less, and its
/// registers; if that is not enough, its divisions take fewer, and then both.
static llvm::Error assembleKernel(const Ptxas &ptxas, StringRef arch,
                                  Job &job) {
  if (llvm::Error error = assembleOnce(ptxas, arch, "", *job.kernel, job.log))
    return error;
  if (isSpilled(*job.kernel) && findRepeatOfSum(job.kernel->ptx).empty())
    if (llvm::Error error = tryAgain(ptxas, arch, kLessReuse, *job.kernel, job))
      return error;
  KernelInfo less = *job.kernel;
  if (isSpilled(less) && askForLess(less.ptx))
    if (llvm::Error error = tryAgain(ptxas, arch, "", less, job))
      return error;
  KernelInfo fast = *job.kernel;
  if (!isSpilled(fast) || !divideInFewRegisters(fast.ptx))
    return llvm::Error::success();
  if (llvm::Error error = tryAgain(ptxas, arch, "", fast, job))
    return error;
  if (isSpilled(*job.kernel) && askForLess(fast.ptx))
    return tryAgain(ptxas, arch, "", fast, job);
  return llvm::Error::success();
}

/// Assembles each of `jobs`, on as many threads as there are processors.
static llvm::Error assembleAll(const Ptxas &ptxas, StringRef arch,
                               std::vector<Job> &jobs) {
  std::vector<std::string> problems(jobs.size());
  llvm::DefaultThreadPool pool(llvm::hardware_concurrency());
  for (auto [job, problem] : llvm::zip_equal(jobs, problems))
    pool.async([&ptxas, arch, &job = job, &problem = problem] {
      if (llvm::Error error = assembleKernel(ptxas, arch, job))
        problem = llvm::toString(std::move(error));
    });
  pool.wait();
  for (const std::string &problem : problems)
    if (!problem.empty())
      return llvm::createStringError(problem);
  return llvm::Error::success();
}

llvm::Error mlir::wyvern::assemble(const Ptxas &ptxas, StringRef arch,
                                   BundleInfo &bundle, std::string &log) {
  llvm::StringMap<const KernelInfo *> done;
  std::vector<Job> jobs;
  for (KernelInfo *kernel : bundle.getKernels())
    if (done.try_emplace(kernel->file, kernel).second)
      jobs.push_back({kernel});
  if (llvm::Error error = assembleAll(ptxas, arch, jobs))
    return error;
  for (const Job &job : jobs)
    log += job.log;
  for (KernelInfo *kernel : bundle.getKernels()) {
    const KernelInfo *assembled = done.lookup(kernel->file);
    if (assembled == kernel)
      continue;
    kernel->cubin = assembled->cubin;
    kernel->resources = assembled->resources;
    kernel->faults = assembled->faults;
  }
  return llvm::Error::success();
}

std::string mlir::wyvern::describeFaults(const VariantInfo &variant) {
  std::vector<std::string> faults;
  for (const KernelInfo &kernel : variant.kernels)
    llvm::append_range(faults, kernel.faults);
  return llvm::join(faults, "\n");
}
