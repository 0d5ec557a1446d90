//===- Spelling.h - "did you mean" ------------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_SUPPORT_SPELLING_H
#define WYVERN_SUPPORT_SPELLING_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <algorithm>
#include <string>

namespace mlir::wyvern {

/// " (did you mean 'x'?)" for the candidate closest to `word`; empty if none is
/// close.
inline std::string didYouMean(llvm::StringRef word,
                              llvm::ArrayRef<llvm::StringRef> candidates) {
  llvm::StringRef best;
  // A third of the letters may be wrong; further away it would be guessing.
  unsigned bestDistance = std::max<unsigned>(2, word.size() / 3) + 1;
  for (llvm::StringRef candidate : candidates) {
    unsigned distance = word.edit_distance_insensitive(candidate);
    if (distance < bestDistance && distance < candidate.size()) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best.empty() ? "" : (" (did you mean '" + best + "'?)").str();
}

} // namespace mlir::wyvern

#endif // WYVERN_SUPPORT_SPELLING_H
