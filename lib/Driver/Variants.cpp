//===- Variants.cpp - Several ways to compute one program -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Variants differ from phase `staged` on. Each goes through the phases on a
// copy of the input; kernels that come out the same have one file.
//
//===----------------------------------------------------------------------===//

#include "Variants.h"
#include "Lowering.h"

#include "wyvern/Pipelines/Pipelines.h"
#include "wyvern/Target/Choice.h"
#include "wyvern/Target/Manifest.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace mlir::wyvern;

/// Variants that `auto` compiles at most: each takes about half a second.
static constexpr size_t kMostVariants = 5;

namespace {
/// A variant on its way.
struct Candidate {
  Variant variant;
  OwningOpRef<ModuleOp> module;
  std::unique_ptr<Lowering> lowering;
  BundleInfo bundle; ///< As described at phase `tile`.
};

/// Takes the variants of one module through the phases.
class VariantLowering {
public:
  VariantLowering(const DriverOptions &options, ModuleOp module, Report *report)
      : options(options), module(module), report(report) {}

  FailureOr<BundleInfo> lower();

private:
  /// Adds a variant, described. Fails if it does not compile.
  LogicalResult describe(const Variant &variant);
  /// The same for one that may be left out.
  void tryToDescribe(const Variant &variant);
  /// Leaves out what is not worth having.
  void pick();
  FailureOr<BundleInfo> finish();
  /// Says whose times follow, where there are several.
  void announce(const Variant &variant) {
    if (options.verbose && options.variants.size() > 1)
      llvm::errs() << "variant " << variant.getName() << '\n';
  }
  void leaveOut(const Variant &variant, const Twine &why) {
    if (options.verbose)
      llvm::errs() << "variant " << variant.getName() << " is left out: " << why
                   << '\n';
  }

  const DriverOptions &options;
  ModuleOp module;
  Report *report;
  std::vector<Candidate> candidates;
  KernelCache cache;
};
} // namespace

LogicalResult mlir::wyvern::takeSpecVariants(ArrayRef<LayerSpec> specs,
                                             llvm::SourceMgr &sources,
                                             DriverOptions &options) {
  for (const LayerSpec &spec : specs) {
    SmallVector<StringRef> names(spec.variants.begin(), spec.variants.end());
    if (names.empty() || names == ArrayRef<StringRef>("auto"))
      continue;
    std::string problem;
    auto variants = parseVariants(names, problem);
    if (!variants) {
      sources.PrintMessage(spec.variantsLoc, llvm::SourceMgr::DK_Error,
                           problem);
      return failure();
    }
    if (options.specVariants) {
      options.variants = std::move(*variants);
      options.autoVariants = false;
    }
  }
  return success();
}

/// The program that the candidates are variants of, by their estimates alone.
static ProgramInfo gather(std::vector<Candidate> &candidates) {
  ProgramInfo program = candidates.front().bundle.getVaried();
  for (Candidate &other : llvm::drop_begin(candidates))
    program.variants.push_back(other.bundle.getVaried().variants.front());
  return program;
}

LogicalResult VariantLowering::describe(const Variant &variant) {
  announce(variant);
  Candidate candidate;
  candidate.variant = variant;
  candidate.module = module.clone();
  candidate.lowering =
      std::make_unique<Lowering>(options, variant, *candidate.module,
                                 /*isFirst=*/candidates.empty(), report);
  FailureOr<BundleInfo> bundle = candidate.lowering->runToKernels();
  if (failed(bundle))
    return failure();
  candidate.bundle = std::move(*bundle);
  candidates.push_back(std::move(candidate));
  return success();
}

void VariantLowering::tryToDescribe(const Variant &variant) {
  std::string why = "it does not compile";
  ScopedDiagnosticHandler handler(module.getContext(), [&](Diagnostic &diag) {
    if (diag.getSeverity() == DiagnosticSeverity::Error)
      why = diag.str();
    return success();
  });
  if (failed(describe(variant)))
    return leaveOut(variant, why);
  const VariantInfo &made =
      candidates.back().bundle.getVaried().variants.front();
  for (Candidate &other : llvm::drop_end(candidates)) {
    const VariantInfo &before = other.bundle.getVaried().variants.front();
    bool isSame = llvm::equal(before.kernels, made.kernels,
                              [](const KernelInfo &a, const KernelInfo &b) {
                                return a.symbol == b.symbol &&
                                       a.block == b.block &&
                                       a.gridFactor == b.gridFactor &&
                                       a.dynamicShared == b.dynamicShared;
                              });
    if (!isSame || variant.segmentTokens != other.variant.segmentTokens)
      continue;
    leaveOut(variant, "its strategy leaves the kernels of " +
                          other.variant.getName() + " as they are");
    candidates.pop_back();
    return;
  }
}

void VariantLowering::pick() {
  ProgramInfo program = gather(candidates);
  std::vector<size_t> picked = pickVariants(program, kMostVariants);
  std::vector<Candidate> kept;
  for (auto [i, candidate] : llvm::enumerate(candidates)) {
    if (llvm::is_contained(picked, i))
      kept.push_back(std::move(candidate));
    else
      leaveOut(candidate.variant,
               "by estimate it saves next to nothing beside the others");
  }
  candidates = std::move(kept);
}

FailureOr<BundleInfo> VariantLowering::finish() {
  BundleInfo all;
  for (auto [i, candidate] : llvm::enumerate(candidates)) {
    announce(candidate.variant);
    FailureOr<BundleInfo> bundle = candidate.lowering->runToBundle(cache);
    if (failed(bundle))
      return failure();
    for (ProgramInfo *program : bundle->getPrograms())
      program->variants.front().name = candidate.variant.getName();
    if (i == 0)
      all = std::move(*bundle);
    else if (failed(
                 addVariant(all.getVaried(), std::move(bundle->getVaried()),
                            [](const Twine &message) { printError(message); })))
      return failure();
  }
  if (options.serving)
    all.serving = ServingInfo{options.stateLayout, options.firstSlot};
  return all;
}

FailureOr<BundleInfo> VariantLowering::lower() {
  const Phase &reached = getReachedPhase(module);
  bool isDivided = &reached != &getPhases().front();
  if (isDivided && !options.autoVariants && options.variants.size() > 1)
    return module.emitError()
           << "expected an input that is not rounded yet, found one at phase '"
           << reached.name
           << "', of which there is one variant; leave --variants out, or "
              "start "
              "from the spec or an earlier phase";
  for (const Variant &variant : options.variants) {
    if (candidates.empty() || !options.autoVariants) {
      if (failed(describe(variant)))
        return failure();
    } else if (!isDivided &&
               (options.training || !candidates.front().bundle.backward)) {
      tryToDescribe(variant);
    }
  }
  if (options.autoVariants)
    pick();
  return finish();
}

FailureOr<BundleInfo> mlir::wyvern::lowerVariants(const DriverOptions &options,
                                                  ModuleOp module,
                                                  Report *report) {
  return VariantLowering(options, module, report).lower();
}

void mlir::wyvern::printChoices(const ProgramInfo &program,
                                llvm::raw_ostream &os) {
  if (program.variants.size() < 2)
    return;
  static constexpr LaunchShape shapes[] = {{1, 2048},   {1, 8192}, {1, 32768},
                                           {1, 131072}, {4, 4096}, {8, 2048},
                                           {4, 8192},   {32, 2048}};
  os << "estimates, in 1000 cycles of " << program.target
     << "; * is what a launch of these shapes runs\n";
  os << llvm::formatv("{0,12}", "");
  SmallVector<size_t> widths;
  for (const VariantInfo &variant : program.variants) {
    widths.push_back(std::max<size_t>(variant.name.size() + 2, 16));
    os << llvm::right_justify(variant.name, widths.back());
  }
  os << '\n';
  for (LaunchShape shape : shapes) {
    std::vector<double> cycles = estimateVariants(program, shape);
    os << llvm::formatv("{0,3} x {1,6}", shape.sequences, shape.tokens);
    const auto *best = &*llvm::min_element(cycles);
    for (const auto &[estimate, width] : llvm::zip_equal(cycles, widths))
      os << llvm::right_justify(llvm::formatv("{0:F0}{1}", estimate / 1000,
                                              &estimate == best ? "*" : " ")
                                    .str(),
                                width);
    os << '\n';
  }
}
