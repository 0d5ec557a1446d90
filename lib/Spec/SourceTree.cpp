//===- SourceTree.cpp - A file as a tree with positions -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SourceTree.h"

#include "wyvern/Support/Nesting.h"
#include "wyvern/Support/Spelling.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/YAMLParser.h"

#include <cmath>

using namespace mlir;
using namespace mlir::wyvern;
namespace yaml = llvm::yaml;

const SourceNode *SourceNode::find(StringRef key) const {
  for (const SourceEntry &entry : entries)
    if (entry.key.text == key)
      return &entry.value;
  return nullptr;
}

std::string SourceNode::describe() const {
  switch (kind) {
  case Null:
    return "nothing";
  case Scalar:
    return "'" + text + "'";
  case Mapping:
    return "a mapping";
  case Sequence:
    return "a list";
  }
  llvm_unreachable("unknown kind of node");
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

namespace {
/// Copies streamed YAML nodes into a SourceNode. Deep nesting is refused: no
/// spec or config needs it, and the copy recurses.
class TreeBuilder {
public:
  TreeBuilder(yaml::Stream &stream, const char *begin)
      : stream(stream), begin(begin) {}

  SourceNode build(yaml::Node *node, unsigned depth = 0);
  bool failed() { return sawError || stream.failed(); }
  void error(SMRange range, const Twine &message) {
    stream.printError(range, message);
    sawError = true;
  }

private:
  void buildMapping(yaml::MappingNode &mapping, SourceNode &tree,
                    unsigned depth);
  void buildSequence(yaml::SequenceNode &sequence, SourceNode &tree,
                     unsigned depth);
  SMRange getRange(yaml::Node *node);

  yaml::Stream &stream;
  const char *begin;
  bool sawError = false;
};
} // namespace

/// YAML's collections in brackets start behind their bracket.
SMRange TreeBuilder::getRange(yaml::Node *node) {
  SMRange range = node->getSourceRange();
  const char *start = range.Start.getPointer();
  if (isa<yaml::MappingNode, yaml::SequenceNode>(node) && start > begin &&
      (start[-1] == '{' || start[-1] == '['))
    return SMRange(SMLoc::getFromPointer(start - 1), range.End);
  return range;
}

void TreeBuilder::buildMapping(yaml::MappingNode &mapping, SourceNode &tree,
                               unsigned depth) {
  tree.kind = SourceNode::Mapping;
  for (yaml::KeyValueNode &entry : mapping) {
    SourceNode key = build(entry.getKey(), depth + 1);
    SourceNode value = build(entry.getValue(), depth + 1);
    if (failed())
      return;
    tree.entries.push_back({std::move(key), std::move(value)});
  }
}

void TreeBuilder::buildSequence(yaml::SequenceNode &sequence, SourceNode &tree,
                                unsigned depth) {
  tree.kind = SourceNode::Sequence;
  for (yaml::Node &item : sequence) {
    tree.items.push_back(build(&item, depth + 1));
    if (failed())
      return;
  }
}

SourceNode TreeBuilder::build(yaml::Node *node, unsigned depth) {
  SourceNode tree;
  if (!node || failed())
    return tree;
  tree.range = getRange(node);
  if (depth == maxDataDepth) {
    error(tree.range, "nested deeper than " + Twine(maxDataDepth) +
                          " levels; a spec needs at most 4");
    return tree;
  }
  if (auto *scalar = dyn_cast<yaml::ScalarNode>(node)) {
    SmallString<64> storage;
    tree.text = scalar->getValue(storage).str();
    StringRef raw = scalar->getRawValue();
    tree.kind =
        raw == "null" || raw == "~" ? SourceNode::Null : SourceNode::Scalar;
  } else if (auto *block = dyn_cast<yaml::BlockScalarNode>(node)) {
    tree.kind = SourceNode::Scalar;
    tree.text = block->getValue().str();
  } else if (auto *mapping = dyn_cast<yaml::MappingNode>(node)) {
    buildMapping(*mapping, tree, depth);
  } else if (auto *sequence = dyn_cast<yaml::SequenceNode>(node)) {
    buildSequence(*sequence, tree, depth);
  } else if (auto *alias = dyn_cast<yaml::AliasNode>(node)) {
    StringRef name = alias->getName();
    error(SMRange(SMLoc::getFromPointer(name.begin() - 1),
                  SMLoc::getFromPointer(name.end())),
          "YAML aliases (*name) are not supported; write the value out");
  }
  return tree;
}

FailureOr<SourceNode> mlir::wyvern::readSourceTree(llvm::SourceMgr &sources) {
  const llvm::MemoryBuffer *buffer =
      sources.getMemoryBuffer(sources.getMainFileID());
  yaml::Stream stream(buffer->getMemBufferRef(), sources, /*ShowColors=*/false);
  yaml::document_iterator document = stream.begin();
  if (document == stream.end())
    return failure();
  TreeBuilder builder(stream, buffer->getBufferStart());
  SourceNode tree = builder.build(document->getRoot());
  if (!builder.failed() && ++document != stream.end() && !stream.failed())
    // What does not parse has no root, and its error is out.
    if (yaml::Node *second = document->getRoot())
      builder.error(second->getSourceRange(),
                    "expected one document, found a second one; write one "
                    "layer a file");
  if (builder.failed())
    return failure();
  return tree;
}

//===----------------------------------------------------------------------===//
// Diagnostics and scalars
//===----------------------------------------------------------------------===//

void TreeReader::error(SMRange range, const Twine &message) {
  ++numErrors;
  ArrayRef<SMRange> ranges;
  if (range.isValid() && range.Start != range.End)
    ranges = range;
  sources.PrintMessage(range.Start, llvm::SourceMgr::DK_Error, message, ranges,
                       {}, /*ShowColors=*/false);
}

void TreeReader::error(const SourceNode &node, const Twine &message) {
  error(node.range, message);
}

bool TreeReader::checkKeys(const SourceNode &node, StringRef what,
                           ArrayRef<StringRef> known) {
  std::string list = llvm::join(known, ", ");
  if (node.kind != SourceNode::Mapping) {
    error(node, "expected " + what + " as a mapping with the keys " + list +
                    ", found " + node.describe());
    return false;
  }
  bool ok = true;
  SmallVector<StringRef> seen;
  for (const SourceEntry &entry : node.entries) {
    StringRef key = entry.key.text;
    if (!llvm::is_contained(known, key)) {
      error(entry.key, "unknown key '" + key + "' in " + what +
                           didYouMean(key, known) + "; expected one of " +
                           list);
      ok = false;
    } else if (llvm::is_contained(seen, key)) {
      error(entry.key,
            "key '" + key + "' is given twice in " + what + "; remove one");
      ok = false;
    }
    seen.push_back(key);
  }
  return ok;
}

const SourceNode *TreeReader::require(const SourceNode &node, StringRef key,
                                      StringRef example) {
  const SourceNode *value = node.find(key);
  if (!value)
    error(node, "missing key '" + key + "'; add for example `" + key + ": " +
                    example + "`");
  return value;
}

std::optional<int64_t> TreeReader::readInteger(const SourceNode &node,
                                               StringRef what, int64_t min,
                                               int64_t max) {
  int64_t value = 0;
  if (node.kind == SourceNode::Scalar &&
      !StringRef(node.text).getAsInteger(10, value) && value >= min &&
      value <= max)
    return value;
  error(node, "expected " + what + " as a whole number from " + Twine(min) +
                  " to " + Twine(max) + ", found " + node.describe());
  return std::nullopt;
}

std::optional<double> TreeReader::readNumber(const SourceNode &node,
                                             StringRef what) {
  double value = 0;
  if (node.kind == SourceNode::Scalar &&
      !StringRef(node.text).getAsDouble(value, /*AllowInexact=*/true) &&
      std::isfinite(value))
    return value;
  error(node,
        "expected " + what + " as a finite number, found " + node.describe());
  return std::nullopt;
}

std::optional<unsigned> TreeReader::readChoice(const SourceNode &node,
                                               StringRef what,
                                               ArrayRef<StringRef> choices) {
  if (node.kind == SourceNode::Scalar)
    for (auto [i, choice] : llvm::enumerate(choices))
      if (node.text == choice)
        return i;
  std::string hint = node.kind == SourceNode::Scalar
                         ? didYouMean(node.text, choices)
                         : std::string();
  error(node, "expected " + what + " to be one of " +
                  llvm::join(choices, ", ") + ", found " + node.describe() +
                  hint);
  return std::nullopt;
}
