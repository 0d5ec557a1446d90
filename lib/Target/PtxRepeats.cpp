//===- PtxRepeats.cpp - What PTX computes twice ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Target/PtxRepeats.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"

#include <string>

using namespace mlir::wyvern;
using llvm::ArrayRef;
using llvm::SmallVector;
using llvm::StringRef;

/// Calls `each` for the registers in `text`, with their %.
static void forEachRegister(StringRef text,
                            llvm::function_ref<void(StringRef)> each) {
  size_t at = 0;
  while ((at = text.find('%', at)) != StringRef::npos) {
    StringRef name = text.substr(at + 1).take_while(
        [](char c) { return llvm::isAlnum(c) || c == '_'; });
    each(text.substr(at, name.size() + 1));
    at += name.size() + 1;
  }
}

/// Returns what commas outside of braces part.
static SmallVector<StringRef> splitOperands(StringRef text) {
  SmallVector<StringRef> operands;
  size_t begin = 0, depth = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i == text.size() || (text[i] == ',' && depth == 0)) {
      operands.push_back(text.slice(begin, i).trim());
      begin = i + 1;
      continue;
    }
    depth += text[i] == '{';
    depth -= text[i] == '}';
  }
  return operands;
}

/// True if the first two operands may change places.
static bool isSameEitherWay(StringRef opcode) {
  return llvm::any_of(ArrayRef<StringRef>{"add", "mul", "fma", "mad"},
                      [&](StringRef name) { return opcode.starts_with(name); });
}

namespace {
/// What was computed down to a line. Loops are read once: what stands twice in
/// one stands so in its text.
class Computed {
public:
  /// Returns true if the instruction repeats one across a sum.
  bool repeats(StringRef instruction);

private:
  /// Returns words and definitions that say what is computed of `operands`.
  std::string getExpression(StringRef opcode,
                            ArrayRef<StringRef> operands) const;
  /// Returns how often each register of `operands` was added to.
  std::string countSums(ArrayRef<StringRef> operands) const;

  llvm::StringMap<unsigned> definitions, sums;
  llvm::StringMap<std::string> expressions; ///< and the sums of then
};
} // namespace

std::string Computed::getExpression(StringRef opcode,
                                    ArrayRef<StringRef> operands) const {
  SmallVector<std::string> words;
  for (StringRef operand : operands) {
    std::string word = operand.str();
    forEachRegister(operand, [&](StringRef name) {
      word += "#" + std::to_string(definitions.lookup(name));
    });
    words.push_back(word);
  }
  return (opcode + " " + llvm::join(words, ",")).str();
}

std::string Computed::countSums(ArrayRef<StringRef> operands) const {
  std::string counts;
  for (StringRef operand : operands)
    forEachRegister(operand, [&](StringRef name) {
      counts += (name + ":" + llvm::Twine(sums.lookup(name)) + " ").str();
    });
  return counts;
}

bool Computed::repeats(StringRef instruction) {
  if (instruction.starts_with("@"))
    instruction = instruction.drop_until(llvm::isSpace).ltrim();
  size_t end = instruction.find_first_of(" \t");
  StringRef opcode = instruction.take_front(end);
  SmallVector<StringRef> operands =
      splitOperands(instruction.drop_front(opcode.size()));
  if (opcode.starts_with("wgmma.mma_async")) {
    forEachRegister(operands.front(), [&](StringRef name) { ++sums[name]; });
    return false;
  }
  // What reads memory or other threads is not a value of its operands.
  bool isValue = !instruction.contains('[') && !opcode.contains(".sync") &&
                 operands.size() > 1;
  bool found = false;
  if (isValue) {
    SmallVector<StringRef> read(ArrayRef(operands).drop_front());
    if (isSameEitherWay(opcode) && read.size() > 1 && read[1] < read[0])
      std::swap(read[0], read[1]);
    std::string counts = countSums(read);
    auto [it, isNew] =
        expressions.try_emplace(getExpression(opcode, read), counts);
    found = !isNew && it->second != counts;
  }
  if (!operands.front().contains('['))
    forEachRegister(operands.front(),
                    [&](StringRef name) { ++definitions[name]; });
  return found;
}

StringRef mlir::wyvern::findRepeatOfSum(StringRef ptx) {
  Computed computed;
  while (!ptx.empty()) {
    auto [line, rest] = ptx.split('\n');
    ptx = rest;
    StringRef instruction = line.trim(" \t;");
    // Instructions begin with a letter or their predicate.
    bool isInstruction =
        !instruction.empty() && !instruction.ends_with(":") &&
        (llvm::isAlpha(instruction.front()) || instruction.front() == '@');
    if (isInstruction && computed.repeats(instruction))
      return instruction;
  }
  return {};
}
