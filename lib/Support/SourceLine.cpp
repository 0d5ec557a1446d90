//===- SourceLine.cpp - Diagnostics of long lines -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Support/SourceLine.h"

#include "llvm/Support/WithColor.h"

using namespace mlir;
using namespace mlir::wyvern;

/// Bytes of a line that is printed whole, and those in front of and behind the
/// column of a longer one.
static constexpr size_t kMostBytes = 200, kBefore = 80, kBehind = 80;
static constexpr StringRef kLeftOut = "...";

/// Returns the next position from `at` on where no character of UTF-8 is cut.
static size_t findCharacter(StringRef line, size_t at) {
  while (at < line.size() && (line[at] & 0xC0) == 0x80)
    ++at;
  return at;
}

/// Returns `diagnostic` with the part of its line around the column, where that
/// is moved to.
static llvm::SMDiagnostic cutLine(const llvm::SMDiagnostic &diagnostic) {
  StringRef line = diagnostic.getLineContents();
  auto column = std::min<size_t>(diagnostic.getColumnNo(), line.size());
  size_t begin = findCharacter(line, column - std::min(column, kBefore));
  size_t end = findCharacter(line, std::min(column + kBehind, line.size()));
  std::string part;
  if (begin > 0)
    part += kLeftOut;
  size_t added = part.size();
  part += line.slice(begin, end);
  if (end < line.size())
    part += kLeftOut;
  SmallVector<std::pair<unsigned, unsigned>> ranges;
  for (auto [first, last] : diagnostic.getRanges())
    if (first < end && last > begin)
      ranges.emplace_back(std::max<size_t>(first, begin) - begin + added,
                          std::min<size_t>(last, end) - begin + added);
  return {*diagnostic.getSourceMgr(),
          diagnostic.getLoc(),
          diagnostic.getFilename(),
          diagnostic.getLineNo(),
          static_cast<int>(column - begin + added),
          diagnostic.getKind(),
          diagnostic.getMessage(),
          part,
          ranges};
}

void mlir::wyvern::printDiagnostic(const llvm::SMDiagnostic &diagnostic,
                                   raw_ostream &os) {
  if (diagnostic.getLineContents().size() <= kMostBytes ||
      diagnostic.getColumnNo() < 0 || !diagnostic.getSourceMgr())
    return diagnostic.print(/*ProgName=*/nullptr, os);
  // The place is that in the whole line.
  llvm::WithColor(os, raw_ostream::SAVEDCOLOR, /*Bold=*/true)
      << (diagnostic.getFilename() == "-" ? "<stdin>"
                                          : diagnostic.getFilename())
      << ':' << diagnostic.getLineNo() << ':' << diagnostic.getColumnNo() + 1
      << ": ";
  cutLine(diagnostic)
      .print(/*ProgName=*/nullptr, os, /*ShowColors=*/true,
             /*ShowKindLabel=*/true, /*ShowLocation=*/false);
}
