//===- YAMLSteps.cpp - The steps of a spec --------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SpecParser.h"

using namespace mlir;
using namespace mlir::wyvern;

void SpecParser::parseSteps(const SourceNode &root) {
  StringRef example = "[{write: k, value: v, rate: beta}]";
  const SourceNode *steps = reader.require(root, "steps", example);
  if (!steps)
    return;
  if (steps->kind != SourceNode::Sequence)
    return reader.error(*steps, "expected steps as a list such as " + example +
                                    ", found " + steps->describe());
  if (steps->items.size() > limits::maxSteps)
    return reader.error(*steps, "expected at most " + Twine(limits::maxSteps) +
                                    " steps, found " +
                                    Twine(steps->items.size()) +
                                    "; equal steps are one with `repeat: n`");
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
               *rate, "rate as a name (one number a token and head), which "
                      "compute may make, or a finite number; without `rate` "
                      "it is 1"))
    step.constantRate = *constant;
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
  if (parts.size() > limits::maxFactors) {
    reader.error(node, "expected at most " + Twine(limits::maxFactors) +
                           " names in a product, found " + Twine(parts.size()) +
                           "; multiply some in front of the layer");
    return product;
  }
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
