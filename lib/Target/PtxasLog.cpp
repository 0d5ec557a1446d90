//===- PtxasLog.cpp - What ptxas -v says ----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Target/PtxasLog.h"

#include "llvm/ADT/SmallVector.h"

using namespace mlir::wyvern;
using llvm::StringRef;

/// The number before `unit` in "34 registers, used 0 barriers, 64 bytes smem".
static int64_t readCount(StringRef text, StringRef unit) {
  size_t end = text.find(unit);
  if (end == StringRef::npos)
    return 0;
  StringRef before = text.take_front(end).rtrim();
  StringRef digits = before.take_back(
      before.size() - (before.find_last_not_of("0123456789") + 1));
  int64_t value = 0;
  digits.getAsInteger(10, value);
  return value;
}

/// The text in single quotes after `prefix`.
static StringRef readQuoted(StringRef line, StringRef prefix) {
  return line.split(prefix).second.split('\'').second.split('\'').first;
}

/// The code of a "(C7517) ..." message, if it is one of the 75xx.
static StringRef readCode(StringRef line) {
  size_t at = line.find("(C75");
  if (at == StringRef::npos)
    return StringRef();
  StringRef code = line.drop_front(at + 1).split(')').first;
  bool closed = line.size() > at + 1 + code.size();
  return closed && code.size() == 5 ? code : StringRef();
}

const KernelResources *PtxasLog::find(StringRef symbol) const {
  for (const Kernel &kernel : kernels)
    if (kernel.symbol == symbol)
      return &kernel.resources;
  return nullptr;
}

PtxasLog PtxasLog::parse(StringRef text) {
  PtxasLog log;
  llvm::SmallVector<StringRef> lines;
  text.split(lines, '\n');
  for (StringRef line : lines) {
    line = line.rtrim();
    if (StringRef code = readCode(line); !code.empty())
      log.advisories.push_back(
          {code.str(), line.split(") ").second.trim().str()});
    else if (line.contains("fatal   :") || line.contains("error   :"))
      log.errors.push_back(line.str());
    else if (line.contains("Compiling entry function"))
      log.kernels.push_back({readQuoted(line, "entry function").str(), {}});
    if (log.kernels.empty())
      continue;
    KernelResources &resources = log.kernels.back().resources;
    if (line.contains("bytes stack frame")) {
      resources.stack = readCount(line, " bytes stack frame");
      resources.spillStores = readCount(line, " bytes spill stores");
      resources.spillLoads = readCount(line, " bytes spill loads");
    } else if (line.contains("Used ") && line.contains(" registers")) {
      resources.registers = readCount(line, " registers");
      resources.barriers = readCount(line, " barriers");
      resources.staticShared = readCount(line, " bytes smem");
    }
  }
  return log;
}
