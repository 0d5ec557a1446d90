//===- Nesting.cpp - How deep text nests ----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Support/Nesting.h"

using namespace mlir;
using namespace mlir::wyvern;

std::optional<size_t> mlir::wyvern::findTooDeep(StringRef text, unsigned most,
                                                StringRef open,
                                                StringRef close) {
  unsigned depth = 0;
  bool inString = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (inString && c == '\\')
      ++i;
    else if (c == '"')
      inString = !inString;
    else if (!inString && open.contains(c) && ++depth > most)
      return i;
    else if (!inString && close.contains(c) && depth > 0)
      --depth;
  }
  return std::nullopt;
}
