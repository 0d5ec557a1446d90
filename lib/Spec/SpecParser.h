//===- SpecParser.h - From the tree of a spec to the spec -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_SPEC_SPECPARSER_H
#define WYVERN_LIB_SPEC_SPECPARSER_H

#include "SourceTree.h"
#include "SpecLimits.h"

#include "wyvern/Spec/LayerSpec.h"

#include <optional>

namespace mlir::wyvern {

/// True for an identifier that is not another language's word for a number, for
/// nothing or for a truth: whoever writes `rate: nan` or `value: None` means no
/// tensor.
bool isTensorName(StringRef text);

/// Reads one spec from its tree, reporting every problem it can see.
class SpecParser {
public:
  explicit SpecParser(const llvm::SourceMgr &sources) : reader(sources) {}

  FailureOr<LayerSpec> parse(const SourceNode &root);

private:
  void parseName(const SourceNode &root);
  /// `key: {key: <n>, value: <n>}`.
  void parsePair(const SourceNode &root, StringRef key, StringRef example,
                 int64_t max, int64_t &keySize, int64_t &valueSize);
  void parseDecay(const SourceNode &root);
  void parseScale(const SourceNode &root);
  void parseSteps(const SourceNode &root);
  void parseLevels(const SourceNode &root);
  void parseCompute(const SourceNode &root);
  void parseDefinition(const SourceNode &node);
  void parseResume(const SourceNode &root);
  /// A running sum is all of an assignment, and of an argument.
  void checkSums(const Expression &value, bool isWhole);
  /// Says of each name which of the definitions so far it reads.
  void resolveNames(Expression &value);
  /// `inputs` and `parameters`: {name: kind, ...}.
  void parseDeclared(const SourceNode &root, StringRef key, bool isParameter);
  void parsePrologue(const SourceNode &root);
  void parseLowerBound(const SourceNode &root);
  void parseVariants(const SourceNode &root);
  StepSpec parseStep(const SourceNode &node);
  void parseRate(const SourceNode &node, StepSpec &step);
  /// A finite number that is neither infinite nor zero in the compute type.
  std::optional<double> readConstant(const SourceNode &node,
                                     StringRef expected);
  SpecProduct parseProduct(const SourceNode &node, StringRef what);
  /// The product under `key` of `step`; absent if there is none or it is
  /// `none`.
  SpecProduct parseOptionalProduct(const SourceNode &step, StringRef key);

  TreeReader reader;
  LayerSpec spec;
  /// Names and numbers that expressions may still have.
  int leavesLeft = limits::maxLeaves;
};

} // namespace mlir::wyvern

#endif // WYVERN_LIB_SPEC_SPECPARSER_H
