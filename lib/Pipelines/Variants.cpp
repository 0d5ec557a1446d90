//===- Variants.cpp - The ways to make kernels of a program ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Pipelines/Variants.h"

#include "wyvern/Pipelines/Pipelines.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::wyvern;

static constexpr StringLiteral kSegments = "segments";

std::string Variant::getName() const {
  if (segmentTokens == 0)
    return schedule;
  std::string segments = kSegments.str();
  if (!segmentsAtLaunch)
    segments += "-" + std::to_string(segmentTokens);
  return schedule == "separate" ? segments : schedule + "-" + segments;
}

std::optional<Variant> mlir::wyvern::parseVariant(StringRef name) {
  Variant variant;
  for (StringRef schedule : getSchedules()) {
    StringRef rest = name;
    if (!rest.consume_front(schedule))
      continue;
    variant.schedule = schedule.str();
    if (rest.empty())
      return variant;
    if (rest.consume_front("-"))
      name = rest;
  }
  if (!name.consume_front(kSegments))
    return std::nullopt;
  variant.segmentsAtLaunch = name.empty();
  variant.segmentTokens = Variant::typicalSegment;
  if (!name.empty() && (!name.consume_front("-") ||
                        name.getAsInteger(10, variant.segmentTokens) ||
                        variant.segmentTokens < 1))
    return std::nullopt;
  return variant;
}

std::optional<std::vector<Variant>>
mlir::wyvern::parseVariants(ArrayRef<StringRef> names, std::string &problem) {
  std::vector<Variant> variants;
  for (StringRef name : names) {
    std::optional<Variant> variant = parseVariant(name);
    if (!variant) {
      problem =
          ("unknown variant '" + name + "'; expected auto, or a list of " +
           llvm::join(getSchedules(), ", ") + ", " + kSegments + ", " +
           kSegments + "-<tokens>")
              .str();
      return std::nullopt;
    }
    if (llvm::is_contained(variants, *variant)) {
      problem = ("variant '" + name + "' is there twice").str();
      return std::nullopt;
    }
    variants.push_back(*variant);
  }
  return variants;
}

std::vector<Variant> mlir::wyvern::getCandidateVariants(bool training) {
  auto inSegments = [](StringRef schedule) {
    return Variant{schedule.str(), Variant::typicalSegment,
                   /*segmentsAtLaunch=*/true};
  };
  // What a schedule leaves to kernels of their own is found to be the same as
  // with "separate", which comes before it.
  if (training)
    return {{"separate"},
            {"fused-blocks"},
            {"fused-warps"},
            {"fused-backward"},
            {"clustered-backward"},
            inSegments("separate"),
            inSegments("fused-warps"),
            inSegments("fused-backward")};
  return {{"separate"},
          {"fused-blocks"},
          {"fused-warps"},
          inSegments("fused-warps"),
          inSegments("separate")};
}

std::vector<Variant> mlir::wyvern::getStepVariants() {
  return {{"decode"}, {"decode-few"}};
}
