//===- Variants.h - The ways to make kernels of a program -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_PIPELINES_VARIANTS_H
#define WYVERN_PIPELINES_VARIANTS_H

#include "mlir/Support/LLVM.h"

#include <optional>
#include <string>
#include <vector>

namespace mlir::wyvern {

/// How a program is divided: a strategy for its kernels, and segments of its
/// sequences.
struct Variant {
  /// Tokens of the segments in the IR of a variant whose launches choose.
  static constexpr int64_t typicalSegment = 4096;

  /// One of getSchedules(), or of a step `decode` or `decode-few`.
  std::string schedule = "separate";
  int64_t segmentTokens = 0;     ///< 0: whole sequences.
  bool segmentsAtLaunch = false; ///< A launch chooses other tokens.

  /// The strategy's name, `segments` or `segments-<tokens>` where it is
  /// `separate` and there are segments, or both.
  std::string getName() const;
  bool operator==(const Variant &other) const {
    return schedule == other.schedule && segmentTokens == other.segmentTokens &&
           segmentsAtLaunch == other.segmentsAtLaunch;
  }
};

/// Returns the variant of a name that `getName` gives, or nothing.
std::optional<Variant> parseVariant(StringRef name);

/// Returns the variants of a list of names, or nothing and in `problem` what is
/// wrong with it.
std::optional<std::vector<Variant>> parseVariants(ArrayRef<StringRef> names,
                                                  std::string &problem);

/// Returns those that `--variants=auto` chooses from, the fallback first; for
/// training, those of a forward and of its backward.
std::vector<Variant> getCandidateVariants(bool training);

/// Returns those of a step of decoding, the one for many sequences first.
std::vector<Variant> getStepVariants();

} // namespace mlir::wyvern

#endif // WYVERN_PIPELINES_VARIANTS_H
