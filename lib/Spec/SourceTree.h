//===- SourceTree.h - A file as a tree with positions -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// LLVM's YAML nodes are streamed and can be visited once. This is the same
// tree, kept, so that readers can ask for keys in any order and still say where
// each one stands. JSON is read into it too: JSON text is YAML flow style.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_SPEC_SOURCETREE_H
#define WYVERN_LIB_SPEC_SOURCETREE_H

#include "mlir/Support/LLVM.h"
#include "llvm/Support/SourceMgr.h"

#include <optional>
#include <string>
#include <vector>

namespace mlir::wyvern {

struct SourceEntry;

struct SourceNode {
  enum Kind { Null, Scalar, Mapping, Sequence };

  Kind kind = Null;
  std::string text;                 ///< Of a scalar.
  SMRange range;                    ///< Of a scalar; else its first character.
  std::vector<SourceEntry> entries; ///< Of a mapping, in order.
  std::vector<SourceNode> items;    ///< Of a sequence.

  /// The value of `key`, or null.
  const SourceNode *find(StringRef key) const;
  /// "the mapping {...}", "a list", "'12'": for "found ..." in messages.
  std::string describe() const;
};

struct SourceEntry {
  SourceNode key, value;
};

/// Reads the main file of `sources`; its syntax errors are printed.
FailureOr<SourceNode> readSourceTree(llvm::SourceMgr &sources);

/// Prints errors about nodes and reads scalars, one error a problem; `failed()`
/// tells whether there was any.
class TreeReader {
public:
  explicit TreeReader(const llvm::SourceMgr &sources) : sources(sources) {}

  bool failed() const { return numErrors > 0; }
  void error(SMRange range, const Twine &message);
  void error(const SourceNode &node, const Twine &message);

  /// Checks that `node` is a mapping whose keys are among `known`, each once.
  bool checkKeys(const SourceNode &node, StringRef what,
                 ArrayRef<StringRef> known);
  /// The value of a key that must be there; an error at `node` if it is not.
  const SourceNode *require(const SourceNode &node, StringRef key,
                            StringRef example);
  std::optional<int64_t> readInteger(const SourceNode &node, StringRef what,
                                     int64_t min, int64_t max);
  std::optional<double> readNumber(const SourceNode &node, StringRef what);
  /// Index of the scalar among `choices`.
  std::optional<unsigned> readChoice(const SourceNode &node, StringRef what,
                                     ArrayRef<StringRef> choices);

private:
  const llvm::SourceMgr &sources;
  unsigned numErrors = 0;
};

} // namespace mlir::wyvern

#endif // WYVERN_LIB_SPEC_SOURCETREE_H
