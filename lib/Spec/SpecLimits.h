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

#include <cstdint>

namespace mlir::wyvern::limits {

inline constexpr int64_t maxHeads = 65535;
inline constexpr int64_t maxDim = 1024;
/// A chunk holds at most 64 rows, and a token's rows never straddle chunks.
inline constexpr int64_t maxRepeat = 64;

/// Of a layer with levels; 31 of them.
inline constexpr int64_t maxTokens = int64_t(1) << 30;

} // namespace mlir::wyvern::limits

#endif // WYVERN_LIB_SPEC_SPECLIMITS_H
