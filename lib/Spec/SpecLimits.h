//===- SpecLimits.h - Sizes a spec may have ---------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the sequence level takes. A target takes less, and says so itself.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_SPEC_SPECLIMITS_H
#define WYVERN_LIB_SPEC_SPECLIMITS_H

#include <cstddef>
#include <cstdint>

namespace mlir::wyvern::limits {

inline constexpr int64_t maxHeads = 65535;
inline constexpr int64_t maxDim = 1024;
/// A chunk holds at most 64 rows, and a token's rows never straddle chunks.
inline constexpr int64_t maxRepeat = 64;

/// Steps of a token, and names that one multiplies: more than any layer has.
inline constexpr size_t maxSteps = 64;
inline constexpr size_t maxFactors = 64;

/// Names and numbers in all expressions of a layer. What goes through them goes
/// as deep as there are leaves: a sum of n terms is n sums inside of one
/// another, and a name leads to the assignment that it reads.
inline constexpr int maxLeaves = 1024;

/// Of a layer with levels; 31 of them.
inline constexpr int64_t maxTokens = int64_t(1) << 30;

} // namespace mlir::wyvern::limits

#endif // WYVERN_LIB_SPEC_SPECLIMITS_H
