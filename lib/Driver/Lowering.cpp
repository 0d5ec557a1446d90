//===- Lowering.cpp - Through the phases ----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"
#include "Stopwatch.h"

#include "wyvern/Dialect/Tile/IR/Tile.h"
#include "wyvern/Support/OutputFiles.h"
#include "wyvern/Target/DescribeProgram.h"
#include "wyvern/Target/NVPTX.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace mlir::wyvern;

/// The phase after which kernels and their interface stand side by side, and
/// the one before it, whose kernels are estimated.
static constexpr StringLiteral describedPhase = "tile",
                               estimatedPhase = "scheduled";

Lowering::Lowering(const DriverOptions &options, const Variant &variant,
                   ModuleOp module, bool isFirst, Report *report)
    : options(options), module(module), tempsFolder(options.saveTemps),
      name(variant.getName()), report(report), bundle(failure()) {
  if (!isFirst && !tempsFolder.empty())
    tempsFolder += "/" + variant.getName();
  pipelineOptions.operandType = getOperandType(module).str();
  pipelineOptions.set(options);
  pipelineOptions.segmentTokens = variant.segmentTokens;
  pipelineOptions.segmentsAtLaunch = variant.segmentsAtLaunch;
  pipelineOptions.schedule = variant.schedule;
  pipelineOptions.smaller = options.smaller;
  if (!options.arch.empty())
    setTarget(options.arch);
}

void Lowering::setTarget(StringRef arch) {
  MLIRContext *context = module.getContext();
  context->loadDialect<tile::TileDialect>();
  module->setAttr(
      tile::kTargetAttr,
      tile::TargetAttr::get(context, arch, DictionaryAttr::get(context)));
}

LogicalResult Lowering::runTo(const Phase &last) {
  if (options.training && failed(checkTrainable(module)))
    return failure();
  const Phase &reached = getReachedPhase(module);
  if (&last < &reached)
    return module.emitError() << "expected an input before phase '" << last.name
                              << "', found one at phase '" << reached.name
                              << "'; --emit=" << reached.name
                              << " or a later one can be made of it";
  for (auto [number, phase] : llvm::enumerate(getPhases())) {
    if (&phase > &reached && failed(runPasses(phase)))
      return failure();
    // What training adds has names too.
    if (options.training && phase.name == "differentiated" &&
        failed(checkNames(module, /*training=*/false)))
      return failure();
    if (&phase >= &reached && phase.name == estimatedPhase)
      costs = estimateCosts(module);
    if (&phase >= &reached && phase.name == describedPhase)
      bundle = describeBundle(module);
    if (&phase >= &reached && failed(keepPhase(phase, number)))
      return failure();
    if (&phase == &last)
      break;
  }
  return success();
}

LogicalResult Lowering::runPasses(const Phase &phase) {
  Stopwatch stopwatch(options.verbose, phase.name);
  PassManager pm(module.getContext());
  if (failed(applyPassManagerCLOptions(pm)))
    return failure();
  phase.addPasses(pm, pipelineOptions);
  // Once a phase: after each pass it is a tenth of all that is done here.
  pm.enableVerifier(false);
  return failure(failed(pm.run(module)) || failed(verify(module)));
}

LogicalResult Lowering::keepPhase(const Phase &phase, unsigned number) {
  if (report)
    report->addPhase(name, phase.name, module);
  if (tempsFolder.empty())
    return success();
  if (std::error_code ec = llvm::sys::fs::create_directories(tempsFolder)) {
    printError("cannot make the folder '" + tempsFolder + "': " + ec.message());
    return failure();
  }
  SmallString<128> path(tempsFolder);
  llvm::sys::path::append(
      path, llvm::formatv("{0}-{1}.mlir", number, phase.name).str());
  llvm::Error error = writeFile(path, print());
  if (!error)
    return success();
  printError(llvm::toString(std::move(error)));
  return failure();
}

std::string Lowering::print() {
  std::string text;
  llvm::raw_string_ostream os(text);
  module.print(os);
  os << '\n';
  return text;
}

LogicalResult Lowering::generatePTX(BundleInfo &described, KernelCache &cache) {
  Stopwatch stopwatch(options.verbose, "ptx");
  for (KernelInfo *kernel : described.getKernels()) {
    auto gpuModule = module.lookupSymbol<gpu::GPUModuleOp>(kernel->symbol);
    if (!gpuModule)
      return module.emitError() << "kernel " << kernel->symbol
                                << " got lost between the tile phase and PTX";
    std::string text;
    llvm::raw_string_ostream(text) << gpuModule;
    if (auto known = cache.find(text); known != cache.end()) {
      kernel->ptx = known->second;
      continue;
    }
    llvm::Expected<std::string> ptx = translateToPTX(gpuModule);
    if (!ptx)
      return gpuModule.emitError() << llvm::toString(ptx.takeError());
    kernel->ptx = cache[text] = std::move(*ptx);
  }
  return success();
}

FailureOr<BundleInfo> Lowering::runToKernels() {
  if (failed(checkNames(module, options.training)))
    return failure();
  if (&getReachedPhase(module) > findPhase(describedPhase))
    return module.emitError()
           << "expected an input at phase '" << describedPhase
           << "' or before, where kernels have their interface beside them";
  if (failed(runTo(*findPhase(describedPhase))) || failed(bundle))
    return failure();
  tile::TargetInfo target = tile::getTarget(module);
  for (ProgramInfo *program : bundle->getPrograms())
    program->target = target.arch.str();
  addCosts(costs, target, *bundle);
  countResidents(target, *bundle);
  return *bundle;
}

void Lowering::keepPrograms(ArrayRef<size_t> programs) {
  llvm::StringSet<> kept;
  for (auto [number, program] : llvm::enumerate(bundle->getPrograms())) {
    std::vector<KernelInfo> &kernels = program->variants.front().kernels;
    if (!llvm::is_contained(programs, number))
      kernels.clear();
    for (const KernelInfo &kernel : kernels)
      kept.insert(kernel.symbol);
  }
  // What launches them has been described and is of no use any more.
  for (auto func : llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
    func.erase();
  for (auto kernel :
       llvm::make_early_inc_range(module.getOps<tile::KernelOp>()))
    if (!kept.contains(kernel.getSymName()))
      kernel.erase();
}

FailureOr<BundleInfo> Lowering::runToBundle(KernelCache &cache) {
  for (auto [number, phase] : llvm::enumerate(getPhases()))
    if (&phase > findPhase(describedPhase) &&
        (failed(runPasses(phase)) || failed(keepPhase(phase, number))))
      return failure();
  if (failed(generatePTX(*bundle, cache)))
    return failure();
  return std::move(bundle);
}
