//===- YAMLCompute.cpp - What a spec computes in front of its steps -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SpecParser.h"

using namespace mlir;
using namespace mlir::wyvern;

static bool isFunction(StringRef text) {
  return llvm::is_contained(getExpressionFunctions(), text);
}

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
      value.text, value.range.Start.getPointer() + quoted, leavesLeft, error);
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
