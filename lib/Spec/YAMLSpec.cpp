//===- YAMLSpec.cpp - Reading a layer spec in YAML ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SpecParser.h"

#include "wyvern/Dialect/Delta/Utils/Prologue.h"
#include "wyvern/Spec/SpecReader.h"

#include "llvm/ADT/StringExtras.h"

#include <cmath>

using namespace mlir;
using namespace mlir::wyvern;

static constexpr StringLiteral specExample =
    "name: delta_net, heads: {key: 16, value: 16}, dims: {key: 128, value: "
    "128}, steps: [{write: k, value: v, rate: beta}]";

FailureOr<LayerSpec> SpecParser::parse(const SourceNode &root) {
  if (root.kind != SourceNode::Mapping) {
    reader.error(root, "expected a layer spec, found " + root.describe() +
                           "; a spec is a mapping such as " + specExample);
    return failure();
  }
  reader.checkKeys(root, "the spec",
                   {"name", "heads", "dims", "dtype", "decay", "scale", "steps",
                    "prologue", "lower_bound", "compute", "inputs",
                    "parameters", "levels", "max_tokens", "resume",
                    "variants"});
  spec.loc = root.range.Start;
  parseName(root);
  parsePair(root, "heads", "{key: 16, value: 16}", limits::maxHeads,
            spec.keyHeads, spec.valueHeads);
  parsePair(root, "dims", "{key: 128, value: 128}", limits::maxDim, spec.keyDim,
            spec.valueDim);
  if (const SourceNode *dtype = root.find("dtype"))
    if (auto choice =
            reader.readChoice(*dtype, "dtype", {"bf16", "f16", "f32", "f64"}))
      spec.dtype = static_cast<ElementKind>(*choice);
  parseDecay(root);
  parseScale(root);
  parseSteps(root);
  parseLevels(root);
  parseCompute(root);
  parseResume(root);
  parseDeclared(root, "inputs", /*isParameter=*/false);
  parseDeclared(root, "parameters", /*isParameter=*/true);
  parsePrologue(root);
  parseLowerBound(root);
  parseVariants(root);
  if (reader.failed())
    return failure();
  return spec;
}

static bool isIdentifier(StringRef text) {
  return !text.empty() && !llvm::isDigit(text.front()) &&
         llvm::all_of(text,
                      [](char c) { return llvm::isAlnum(c) || c == '_'; });
}

bool mlir::wyvern::isTensorName(StringRef text) {
  static constexpr StringLiteral words[] = {"none",     "null", "nan",  "inf",
                                            "infinity", "true", "false"};
  return isIdentifier(text) && llvm::none_of(words, [&](StringRef word) {
           return text.equals_insensitive(word);
         });
}

void SpecParser::parseName(const SourceNode &root) {
  const SourceNode *name = reader.require(root, "name", "delta_net");
  if (!name)
    return;
  if (name->kind != SourceNode::Scalar || !isIdentifier(name->text))
    return reader.error(
        *name, "expected name as a C identifier (letters, digits and _, not "
               "starting with a digit), for it names functions and kernels; "
               "found " +
                   name->describe());
  spec.name = name->text;
  spec.loc = name->range.Start;
}

void SpecParser::parsePair(const SourceNode &root, StringRef key,
                           StringRef example, int64_t max, int64_t &keySize,
                           int64_t &valueSize) {
  const SourceNode *pair = reader.require(root, key, example);
  if (!pair || !reader.checkKeys(*pair, key, {"key", "value"}))
    return;
  for (auto [side, size] : {std::pair<StringRef, int64_t *>("key", &keySize),
                            {"value", &valueSize}})
    if (const SourceNode *node = reader.require(*pair, side, "16"))
      if (auto n = reader.readInteger(*node, (key + "." + side).str(), 1, max))
        *size = *n;
}

void SpecParser::parseDecay(const SourceNode &root) {
  const SourceNode *decay = root.find("decay");
  if (!decay)
    return;
  if (auto choice =
          reader.readChoice(*decay, "decay", {"none", "head", "channel"}))
    spec.decay = static_cast<DecayKind>(*choice);
}

void SpecParser::parseScale(const SourceNode &root) {
  if (const SourceNode *scale = root.find("scale"))
    spec.scale = readConstant(*scale, "scale as a finite number").value_or(1.0);
  else if (spec.keyDim > 0)
    spec.scale = 1.0 / std::sqrt(static_cast<double>(spec.keyDim));
}

void SpecParser::parseLevels(const SourceNode &root) {
  const SourceNode *levels = root.find("levels");
  const SourceNode *most = root.find("max_tokens");
  if (levels) {
    spec.levelsLoc = levels->range.Start;
    if (auto choice = reader.readChoice(*levels, "levels", {"none", "log"}))
      spec.levels = static_cast<LevelKind>(*choice);
  }
  bool isLog = spec.levels == LevelKind::Log;
  if (isLog && !most)
    return reader.error(*levels,
                        "levels: log needs max_tokens, for a layer of T tokens "
                        "has 1 + log2(T) levels and a scale for each; add for "
                        "instance `max_tokens: 8192`");
  if (most && !isLog)
    return reader.error(*most, "max_tokens says how many levels there are, and "
                               "this layer has none; add `levels: log`, or "
                               "remove it");
  if (isLog)
    spec.maxTokens =
        reader.readInteger(*most, "max_tokens", 1, limits::maxTokens)
            .value_or(1);
}

void SpecParser::parsePrologue(const SourceNode &root) {
  const SourceNode *prologue = root.find("prologue");
  if (!prologue)
    return;
  if (prologue->kind != SourceNode::Sequence)
    return reader.error(*prologue, "expected prologue as a list such as [norm, "
                                   "gates], found " +
                                       prologue->describe());
  ArrayRef<StringRef> parts = delta::getPrologueParts();
  for (const SourceNode &part : prologue->items)
    if (auto choice = reader.readChoice(part, "a part of the prologue", parts))
      spec.prologue.push_back(parts[*choice].str());
  if (spec.levels != LevelKind::None && !spec.prologue.empty())
    reader.error(*prologue, "a layer with levels: log has no prologue; write "
                            "what it computes under compute");
}

//===----------------------------------------------------------------------===//
// What is computed
//===----------------------------------------------------------------------===//

void SpecParser::parseResume(const SourceNode &root) {
  const SourceNode *resume = root.find("resume");
  if (!resume)
    return;
  auto choice = reader.readChoice(*resume, "resume", {"false", "true"});
  spec.resumes = choice == 1u;
  if (spec.resumes && spec.levels == LevelKind::None &&
      spec.getRunningSums().empty())
    reader.error(*resume, "resume is for layers that need more than a state to "
                          "go on from where a call ended: levels: log, or a "
                          "running_sum; remove it, for this layer has its "
                          "states anyway");
}

void SpecParser::parseLowerBound(const SourceNode &root) {
  const SourceNode *bound = root.find("lower_bound");
  if (!bound)
    return;
  constexpr StringLiteral expected =
      "lower_bound as a number below 0, which log decays are at least";
  spec.lowerBound = readConstant(*bound, expected);
  if (spec.lowerBound && *spec.lowerBound >= 0)
    reader.error(*bound, "expected " + expected + ", found " + bound->text);
  if (spec.decay == DecayKind::None)
    reader.error(*bound, "lower_bound says how log decays are made, and this "
                         "layer has none; add `decay: head` or `decay: "
                         "channel`, or remove it");
}

void SpecParser::parseVariants(const SourceNode &root) {
  const SourceNode *variants = root.find("variants");
  if (!variants)
    return;
  spec.variantsLoc = variants->range.Start;
  bool isList = variants->kind == SourceNode::Sequence;
  ArrayRef<SourceNode> names =
      isList ? ArrayRef(variants->items) : ArrayRef(*variants);
  for (const SourceNode &name : names) {
    if (name.kind != SourceNode::Scalar)
      return reader.error(name, "expected variants as a name or a list of "
                                "names, such as [separate, fused-blocks], "
                                "found " +
                                    name.describe());
    spec.variants.push_back(name.text);
  }
  if (names.empty())
    reader.error(*variants, "expected at least one variant, found an empty "
                            "list; leave variants out to have the compiler "
                            "choose");
}

std::optional<double> SpecParser::readConstant(const SourceNode &node,
                                               StringRef expected) {
  double value;
  if (node.kind != SourceNode::Scalar ||
      StringRef(node.text).getAsDouble(value, /*AllowInexact=*/true) ||
      !std::isfinite(value)) {
    reader.error(node, "expected " + expected + ", found " + node.describe());
    return std::nullopt;
  }
  // Programs compute in f32, but for those of f64.
  float narrow = static_cast<float>(value);
  if (spec.dtype == ElementKind::F64 ||
      (std::isfinite(narrow) && (narrow != 0) == (value != 0)))
    return value;
  reader.error(node, "expected a number that f32 can hold, for a layer of " +
                         stringify(spec.dtype) + " computes in f32, found " +
                         node.describe());
  return std::nullopt;
}

FailureOr<LayerSpec> mlir::wyvern::readYAMLSpec(llvm::SourceMgr &sources) {
  FailureOr<SourceNode> root = readSourceTree(sources);
  if (failed(root))
    return failure();
  FailureOr<LayerSpec> spec = SpecParser(sources).parse(*root);
  if (failed(spec) || failed(validateSpec(*spec, sources)))
    return failure();
  return spec;
}
