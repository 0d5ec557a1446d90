//===- YAMLSpec.cpp - Reading a layer spec in YAML ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SourceTree.h"
#include "SpecLimits.h"

#include "wyvern/Dialect/Delta/Utils/Prologue.h"
#include "wyvern/Spec/SpecReader.h"

#include "llvm/ADT/StringExtras.h"

#include <cmath>

using namespace mlir;
using namespace mlir::wyvern;

static constexpr StringLiteral specExample =
    "name: delta_net, heads: {key: 16, value: 16}, dims: {key: 128, value: "
    "128}, steps: [{write: k, value: v, rate: beta}]";

namespace {
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
};
} // namespace

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

/// An identifier that is not another language's word for a number, for nothing
/// or for a truth: whoever writes `rate: nan` or `value: None` means no tensor.
static bool isTensorName(StringRef text) {
  static constexpr StringLiteral words[] = {"none",     "null", "nan",  "inf",
                                            "infinity", "true", "false"};
  return isIdentifier(text) && llvm::none_of(words, [&](StringRef word) {
           return text.equals_insensitive(word);
         });
}

static bool isFunction(StringRef text) {
  return llvm::is_contained(getExpressionFunctions(), text);
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

void SpecParser::parseCompute(const SourceNode &root) {
  const SourceNode *compute = root.find("compute");
  if (!compute)
    return;
  if (compute->kind != SourceNode::Sequence || compute->items.empty())
    return reader.error(*compute,
                        "expected compute as a list of assignments such as "
                        "`- k: normalize(k)`, found " +
                            compute->describe());
  for (const SourceNode &node : compute->items)
    parseDefinition(node);
}

void SpecParser::parseDefinition(const SourceNode &node) {
  if (node.kind != SourceNode::Mapping || node.entries.size() != 1)
    return reader.error(node, "expected an assignment of an expression to a "
                              "name, such as `k: normalize(k)`, found " +
                                  node.describe());
  const auto &[name, value] = node.entries.front();
  if (!isTensorName(name.text) || isFunction(name.text))
    return reader.error(name, "expected the name of a tensor, which no "
                              "function has, found '" +
                                  name.text + "'");
  if (value.kind != SourceNode::Scalar)
    return reader.error(value, "expected an expression such as "
                               "`normalize(k)`, found " +
                                   value.describe());
  bool quoted = *value.range.Start.getPointer() != value.text.front();
  ExpressionError error;
  FailureOr<Expression> expression = parseExpression(
      value.text, value.range.Start.getPointer() + quoted, error);
  if (failed(expression))
    return reader.error(SMRange(error.loc, error.loc), error.message);
  resolveNames(*expression);
  checkSums(*expression, /*isWhole=*/true);
  spec.definitions.push_back(
      {name.text, std::move(*expression), name.range.Start});
}

void SpecParser::checkSums(const Expression &value, bool isWhole) {
  if (isRunningSum(value)) {
    const Expression &summed = value.operands.front();
    if (!isWhole)
      return reader.error(SMRange(value.loc, value.loc),
                          "a running sum goes over tokens, which what else is "
                          "computed does not; assign it to a name of its own, "
                          "such as `- phi: running_sum(theta)`");
    if (summed.kind != Expression::Name || summed.definition >= 0)
      return reader.error(SMRange(summed.loc, summed.loc),
                          "expected an argument of the layer in a running "
                          "sum; compute it in front of the layer");
  }
  bool turns = value.kind == Expression::Add ||
               value.kind == Expression::Subtract ||
               value.kind == Expression::Negate;
  for (auto [i, operand] : llvm::enumerate(value.operands)) {
    checkSums(operand, /*isWhole=*/false);
    bool isAngle =
        value.kind == Expression::Call && value.text == "rotate" && i == 1;
    bool isSum = operand.kind == Expression::Name && operand.definition >= 0 &&
                 isRunningSum(spec.definitions[operand.definition].value);
    if (isSum && !turns && !isAngle)
      reader.error(SMRange(operand.loc, operand.loc),
                   "'" + operand.text +
                       "' is a running sum of angles, less a multiple of 2 "
                       "pi, so only `rotate` reads it, and sums in there; "
                       "scale the angles that it sums");
  }
}

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

void SpecParser::resolveNames(Expression &value) {
  if (value.kind == Expression::Name) {
    if (!isTensorName(value.text))
      reader.error(SMRange(value.loc, value.loc),
                   "expected the name of a tensor, found '" + value.text + "'");
    const Definition *read = spec.findDefinition(value.text);
    value.definition =
        read ? static_cast<int>(read - spec.definitions.data()) : -1;
  }
  for (Expression &operand : value.operands)
    resolveNames(operand);
}

void SpecParser::parseDeclared(const SourceNode &root, StringRef key,
                               bool isParameter) {
  const SourceNode *names = root.find(key);
  if (!names)
    return;
  if (names->kind != SourceNode::Mapping)
    return reader.error(*names,
                        "expected " + key +
                            " as a mapping such as {eta: head}, found " +
                            names->describe());
  for (const auto &[name, kind] : names->entries) {
    auto choice =
        reader.readChoice(kind, "what '" + name.text + "' has",
                          {"head", "key", "value", "channel", "angle"});
    if (!isTensorName(name.text))
      reader.error(name,
                   "expected the name of a tensor, found '" + name.text + "'");
    else if (spec.findDeclared(name.text))
      reader.error(name, "'" + name.text + "' is declared twice; remove one");
    else if (choice)
      spec.declared.push_back({name.text, static_cast<RowKind>(*choice),
                               isParameter, name.range.Start});
  }
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

void SpecParser::parseSteps(const SourceNode &root) {
  StringRef example = "[{write: k, value: v, rate: beta}]";
  const SourceNode *steps = reader.require(root, "steps", example);
  if (!steps)
    return;
  if (steps->kind != SourceNode::Sequence)
    return reader.error(*steps, "expected steps as a list such as " + example +
                                    ", found " + steps->describe());
  for (const SourceNode &step : steps->items)
    if (reader.checkKeys(step, "a step",
                         {"write", "erase", "value", "written", "rate",
                          "max_rate", "repeat", "reads"}))
      spec.steps.push_back(parseStep(step));
}

StepSpec SpecParser::parseStep(const SourceNode &node) {
  StepSpec step;
  step.loc = node.range.Start;
  if (const SourceNode *write = reader.require(node, "write", "k"))
    step.write = parseProduct(*write, "write");
  step.erase =
      node.find("erase") ? parseOptionalProduct(node, "erase") : step.write;
  step.value = parseOptionalProduct(node, "value");
  step.written = parseOptionalProduct(node, "written");
  parseRate(node, step);
  if (const SourceNode *most = node.find("max_rate"))
    step.maxRate = readConstant(*most, "max_rate as a finite number, which the "
                                       "rates of this step reach at most");
  if (const SourceNode *repeat = node.find("repeat"))
    step.repeat =
        reader.readInteger(*repeat, "repeat", 1, limits::maxRepeat).value_or(1);
  if (const SourceNode *reads = node.find("reads"))
    step.readsBeforeDecay =
        reader.readChoice(*reads, "reads", {"after_decay", "before_decay"}) ==
        1u;
  return step;
}

void SpecParser::parseRate(const SourceNode &node, StepSpec &step) {
  const SourceNode *rate = node.find("rate");
  if (!rate)
    return;
  if (rate->kind == SourceNode::Scalar && isTensorName(rate->text))
    step.rate.factors.push_back({rate->text, rate->range.Start});
  else if (std::optional<double> constant = readConstant(
               *rate, "rate as a name (one number a token and head) or a "
                      "finite number; without `rate` it is 1"))
    step.constantRate = *constant;
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

SpecProduct SpecParser::parseOptionalProduct(const SourceNode &step,
                                             StringRef key) {
  const SourceNode *node = step.find(key);
  if (!node || (node->kind == SourceNode::Scalar && node->text == "none"))
    return SpecProduct();
  return parseProduct(*node, key);
}

SpecProduct SpecParser::parseProduct(const SourceNode &node, StringRef what) {
  SpecProduct product;
  if (node.kind != SourceNode::Scalar) {
    reader.error(node, "expected " + what +
                           " as a name or a product of names such as `b * k`, "
                           "found " +
                           node.describe());
    return product;
  }
  bool quoted = *node.range.Start.getPointer() != node.text.front();
  const char *start = node.range.Start.getPointer() + quoted;
  SmallVector<StringRef> parts;
  StringRef(node.text).split(parts, '*');
  for (StringRef part : parts) {
    StringRef factor = part.trim();
    const char *at = start + (factor.data() - node.text.data());
    if (!isTensorName(factor)) {
      reader.error(SMRange(SMLoc::getFromPointer(at),
                           SMLoc::getFromPointer(at + factor.size())),
                   "expected " + what +
                       " as a name or a product of names such as `b * k`, "
                       "found '" +
                       factor + "'");
      return SpecProduct();
    }
    product.factors.push_back({factor.str(), SMLoc::getFromPointer(at)});
  }
  return product;
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
