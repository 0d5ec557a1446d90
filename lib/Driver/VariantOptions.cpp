//===- VariantOptions.cpp - How the work is divided into kernels ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OptionGroups.h"

#include "wyvern/Pipelines/Pipelines.h"

using namespace mlir;
using namespace mlir::wyvern;
namespace cl = llvm::cl;

static cl::opt<std::string>
    scheduleFlag("schedule",
                 cl::desc("Compile one variant: how the work is divided into "
                          "kernels, separate, fused-blocks, fused-warps, "
                          "fused-backward or clustered-backward"),
                 cl::value_desc("strategy"), cl::init("separate"),
                 cl::cat(getOptionCategory()));
static cl::opt<std::string> variantsFlag(
    "variants",
    cl::desc(
        "Which variants a bundle holds, of which a launch "
        "takes one by its shapes: auto (what is estimated to "
        "be worth it, of the forward and of the backward "
        "with --training --save=states; the default where "
        "there may be several), or a list of separate, "
        "fused-blocks, fused-warps, fused-backward, "
        "clustered-backward, segments (of a length that the launch chooses), "
        "segments-<tokens>"),
    cl::value_desc("list"), cl::cat(getOptionCategory()));
static cl::opt<int64_t>
    segmentTokensFlag("segment-tokens",
                      cl::desc("Compile one variant, with sequences cut into "
                               "segments of so many tokens that run at once, "
                               "exactly: for few long sequences with few heads "
                               "(0: none)"),
                      cl::value_desc("tokens"), cl::init(0),
                      cl::cat(getOptionCategory()));

/// Reads --schedule and --segment-tokens: one variant.
static std::optional<ExitCode> setVariant(DriverOptions &options) {
  Variant variant;
  variant.schedule = scheduleFlag;
  variant.segmentTokens = segmentTokensFlag;
  options.variants = {variant};
  if (auto code = checkChoice("schedule", variant.schedule, getSchedules()))
    return code;
  if (variant.segmentTokens < 0)
    return usageError("expected --segment-tokens of at least 0, found " +
                      Twine(variant.segmentTokens));
  return std::nullopt;
}

/// Reads a list of variants.
static std::optional<ExitCode> setVariantList(DriverOptions &options,
                                              StringRef list) {
  SmallVector<StringRef> names;
  list.split(names, ',');
  std::string problem;
  auto variants = parseVariants(names, problem);
  if (!variants)
    return usageError("--variants: " + problem);
  options.variants = std::move(*variants);
  return std::nullopt;
}

/// True for what can hold several variants. Those for training are measured
/// where the backward runs nothing of the forward again; whether that is so
/// with --save=auto, `setSave` will say.
static bool holdsVariants(const DriverOptions &options) {
  return llvm::is_contained({"bundle", "manifest", "tvm-ffi"}, options.emit) &&
         (!options.training || options.save == "states" ||
          options.save == "auto");
}

void DriverOptions::setSave(StringRef what) {
  save = what.str();
  if (!training || !autoVariants || holdsVariants(*this))
    return;
  variants = {Variant()};
  autoVariants = false;
}

std::optional<ExitCode> mlir::wyvern::setVariants(DriverOptions &options) {
  bool isOne = scheduleFlag.getNumOccurrences() > 0 ||
               segmentTokensFlag.getNumOccurrences() > 0;
  if (options.isStep()) {
    if (isOne || variantsFlag.getNumOccurrences() > 0)
      return usageError("a step has variants of its own, for few sequences and "
                        "for many; leave --schedule, --segment-tokens and "
                        "--variants out");
    options.variants = getStepVariants();
    options.autoVariants = holdsVariants(options);
    if (!options.autoVariants)
      options.variants.resize(1);
    return std::nullopt;
  }
  if (isOne && variantsFlag.getNumOccurrences() > 0)
    return usageError("--schedule and --segment-tokens are one variant, and "
                      "--variants says which there are; leave one of them out");
  if (isOne)
    return setVariant(options);
  options.anyVariant = variantsFlag.empty() || variantsFlag == "auto";
  options.autoVariants = holdsVariants(options) && options.anyVariant;
  // A spec names those of a forward.
  options.specVariants =
      options.autoVariants && variantsFlag.empty() && !options.training;
  if (options.autoVariants)
    options.variants = getCandidateVariants(options.training);
  else if (options.anyVariant)
    options.variants = {Variant()};
  else if (auto code = setVariantList(options, variantsFlag))
    return code;
  if (options.variants.size() > 1 && !options.autoVariants && options.training)
    return usageError(
        "a bundle for training holds one variant, or those of its forward "
        "and of its backward that auto finds; give --variants one, or leave "
        "--training out");
  if (options.variants.size() > 1 && !holdsVariants(options))
    return usageError(
        "only a bundle, a manifest or a module of tvm-ffi holds several "
        "variants; give --variants one, or leave --emit out");
  return std::nullopt;
}
