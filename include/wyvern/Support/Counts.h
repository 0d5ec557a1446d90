//===- Counts.h - Numbers of an operation that count ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_SUPPORT_COUNTS_H
#define WYVERN_SUPPORT_COUNTS_H

#include <cstdint>

namespace mlir::wyvern {

/// The most heads, chunks, tokens of a chunk, ... that an operation may name:
/// more than any machine has a use for, and so few that sizes made of them stay
/// within 64 bits.
constexpr int64_t kMaxCount = 1 << 20;
/// The most warps, parts or copies of them in a block.
constexpr int64_t kMaxBlockCount = 1 << 10;

/// Returns whether an integer attribute is from 1 to `most`. MLIR reads it as
/// unsigned, so a negative one is a very large one.
constexpr bool isCount(uint64_t value, int64_t most = kMaxCount) {
  return 1 <= value && value <= static_cast<uint64_t>(most);
}

} // namespace mlir::wyvern

#endif // WYVERN_SUPPORT_COUNTS_H
