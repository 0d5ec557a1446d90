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
  /// The numbers of the programs that it is a variant of.
  SmallVector<size_t> programs = {};

  bool isOf(size_t program) const {
    return llvm::is_contained(programs, program);
  }
  /// Returns program `number`, of the one variant that this is.
  ProgramInfo &getProgram(size_t number) {
    return *bundle.getPrograms()[number];
  }
  const VariantInfo &getVariant(size_t program) {
    return getProgram(program).variants.front();
  }
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
  /// Returns the first candidate with the same kernels of a program; null if
  /// there is none.
  Candidate *findSame(Candidate &made, size_t program);
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
      options.autoVariants = options.anyVariant = false;
    }
  }
  return success();
}

/// Returns program `number` with those candidates that are variants of it, by
/// their estimates alone.
static ProgramInfo gather(ArrayRef<Candidate *> candidates, size_t number) {
  ProgramInfo program = candidates.front()->getProgram(number);
  for (Candidate *other : llvm::drop_begin(candidates))
    program.variants.push_back(other->getVariant(number));
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
  for (size_t i = 0; i < candidate.bundle.getPrograms().size(); ++i)
    candidate.programs.push_back(i);
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
  Candidate &made = candidates.back();
  Candidate *same = nullptr;
  llvm::erase_if(made.programs, [&](size_t program) {
    Candidate *other = findSame(made, program);
    same = other ? other : same;
    return other != nullptr;
  });
  if (!made.programs.empty())
    return;
  leaveOut(variant, "its strategy leaves the kernels of " +
                        same->variant.getName() + " as they are");
  candidates.pop_back();
}

Candidate *VariantLowering::findSame(Candidate &made, size_t program) {
  auto isSame = [](const KernelInfo &a, const KernelInfo &b) {
    return a.symbol == b.symbol && a.block == b.block &&
           a.gridFactor == b.gridFactor && a.dynamicShared == b.dynamicShared;
  };
  for (Candidate &other : llvm::drop_end(candidates))
    if (other.variant.segmentTokens == made.variant.segmentTokens &&
        other.variant.segmentsAtLaunch == made.variant.segmentsAtLaunch &&
        llvm::equal(other.getVariant(program).kernels,
                    made.getVariant(program).kernels, isSame))
      return &other;
  return nullptr;
}

void VariantLowering::pick() {
  for (size_t program : SmallVector<size_t>(candidates.front().programs)) {
    SmallVector<Candidate *> those;
    for (Candidate &candidate : candidates)
      if (candidate.isOf(program))
        those.push_back(&candidate);
    std::vector<size_t> picked =
        pickVariants(gather(those, program), kMostVariants);
    for (auto [i, candidate] : llvm::enumerate(those))
      if (!llvm::is_contained(picked, i))
        llvm::erase(candidate->programs, program);
  }
  std::vector<Candidate> kept;
  for (Candidate &candidate : candidates) {
    if (!candidate.programs.empty())
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
    candidate.lowering->keepPrograms(candidate.programs);
    FailureOr<BundleInfo> bundle = candidate.lowering->runToBundle(cache);
    if (failed(bundle))
      return failure();
    for (ProgramInfo *program : bundle->getPrograms())
      program->variants.front().name = candidate.variant.getName();
    if (i == 0) {
      all = std::move(*bundle);
      continue;
    }
    for (size_t number : candidate.programs)
      if (failed(addVariant(*all.getPrograms()[number],
                            std::move(*bundle->getPrograms()[number]),
                            [](const Twine &message) { printError(message); })))
        return failure();
  }
  if (options.training)
    all.saved =
        SavedInfo{options.save, options.choosesSave, options.refusedStates};
  if (!options.serving.empty())
    all.serving = ServingInfo{options.isStep() ? "step" : "prefill",
                              options.stateLayout, options.firstSlot};
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
  static constexpr LaunchShape prompts[] = {{1, 2048},   {1, 8192}, {1, 32768},
                                            {1, 131072}, {4, 4096}, {8, 2048},
                                            {4, 8192},   {32, 2048}};
  static constexpr LaunchShape steps[] = {{1, 1}, {2, 1},  {4, 1},
                                          {8, 1}, {64, 1}, {64, 4}};
  ArrayRef<LaunchShape> shapes = prompts;
  if (program.chunk == 1)
    shapes = steps;
  os << "estimates of " << program.name << ", in 1000 cycles of "
     << program.target << "; * is what a launch of these shapes runs\n";
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
