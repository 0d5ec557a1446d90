//===- ModelReader.cpp - Sizes out of a model's config.json -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ModelReader.h"

#include <cmath>

using namespace mlir;
using namespace mlir::wyvern;

static constexpr int64_t maxSize = 1 << 20;

/// The value of `key`, null where it is missing or says null.
static const SourceNode *findGiven(const SourceNode &node, StringRef key) {
  const SourceNode *value = node.find(key);
  return value && value->kind != SourceNode::Null ? value : nullptr;
}

/// Multimodal models keep the language model's sizes apart.
static const SourceNode &getLanguageModel(const SourceNode &root) {
  const SourceNode *text = root.find("text_config");
  return text ? *text : root;
}

ModelReader::ModelReader(TreeReader &reader, const SourceNode &root,
                         StringRef name, SMLoc loc)
    : reader(reader), config(getLanguageModel(root)) {
  spec.name = name;
  spec.loc = loc;
  readDtype(root);
}

void ModelReader::readDtype(const SourceNode &root) {
  for (const SourceNode *node : {&config, &root})
    for (StringRef key : {"dtype", "torch_dtype"})
      if (const SourceNode *value = findGiven(*node, key)) {
        // In the order of ElementKind.
        if (auto choice = reader.readChoice(
                *value, key, {"bfloat16", "float16", "float32", "float64"}))
          spec.dtype = static_cast<ElementKind>(*choice);
        return;
      }
}

//===----------------------------------------------------------------------===//
// Fields
//===----------------------------------------------------------------------===//

bool ModelReader::has(const SourceNode &node, StringRef key) const {
  return findGiven(node, key);
}

int64_t ModelReader::getSize(const SourceNode &node, StringRef key,
                             std::optional<int64_t> fallback) {
  if (fallback && !findGiven(node, key))
    return *fallback;
  const SourceNode *value = node.find(key);
  if (!value) {
    reader.error(node, "missing key '" + key +
                           "', which the sizes of the delta layers of a " +
                           spec.name + " model come from");
    return 1;
  }
  return reader.readInteger(*value, key, 1, maxSize).value_or(1);
}

int64_t ModelReader::getSize(StringRef key, std::optional<int64_t> fallback) {
  return getSize(config, key, fallback);
}

int64_t ModelReader::getExpanded(const SourceNode &node, StringRef key,
                                 double fallback, int64_t size) {
  const SourceNode *value = findGiven(node, key);
  double factor = fallback;
  if (value)
    factor = reader.readNumber(*value, key).value_or(fallback);
  double expanded = factor * size, whole = std::round(expanded);
  // A factor such as 1 / 3 is written with as many digits as a double has.
  bool isWhole = std::abs(expanded - whole) <= 1e-9 * whole;
  if (isWhole && whole >= 1 && whole <= maxSize)
    return static_cast<int64_t>(whole);
  reader.error(value ? *value : node,
               "expected " + key + " such that " + key + " * " + Twine(size) +
                   " is a whole number, at least 1; found " +
                   (value ? value->text : "nothing"));
  return 1;
}

int64_t ModelReader::getHeadDim(StringRef what, int64_t total, int64_t heads) {
  if (total % heads != 0)
    reader.error(config,
                 "expected " + what + " = " + Twine(total) +
                     " to be a multiple of num_heads = " + Twine(heads));
  return total / heads;
}

bool ModelReader::getFlag(StringRef key, bool fallback) {
  const SourceNode *value = findGiven(config, key);
  if (!value)
    return fallback;
  return reader.readChoice(*value, key, {"false", "true"}).value_or(fallback);
}

const SourceNode *ModelReader::getMapping(const SourceNode &node,
                                          StringRef key) {
  const SourceNode *value = reader.require(node, key, "{...}");
  if (value && value->kind != SourceNode::Mapping) {
    reader.error(*value,
                 "expected " + key + " as {...}, found " + value->describe());
    return nullptr;
  }
  return value;
}

void ModelReader::refuse(StringRef key, StringRef what) {
  reader.error(*config.find(key),
               key + " asks for " + what + ", which no spec of wyvernc has");
}

int64_t ModelReader::getSameSize(StringRef key, int64_t fallback) {
  const SourceNode *value = findGiven(config, key);
  if (!value || value->kind != SourceNode::Sequence)
    return getSize(key, fallback);
  std::optional<int64_t> found;
  for (const SourceNode &item : value->items) {
    std::optional<int64_t> size = reader.readInteger(item, key, 1, maxSize);
    if (size && found && *size != *found)
      reader.error(item, "expected one " + key + " of all layers, found " +
                             Twine(*found) + " and " + Twine(*size));
    if (!found)
      found = size;
  }
  return found.value_or(fallback);
}

//===----------------------------------------------------------------------===//
// The spec
//===----------------------------------------------------------------------===//

void ModelReader::setHeads(int64_t key, int64_t value) {
  spec.keyHeads = key;
  spec.valueHeads = value;
}

void ModelReader::setDims(int64_t key, int64_t value) {
  spec.keyDim = key;
  spec.valueDim = value;
  spec.scale = 1.0 / std::sqrt(static_cast<double>(key));
}

StepSpec &ModelReader::addStep(ArrayRef<StringRef> write, StringRef erase,
                               StringRef value, StringRef rate) {
  StepSpec &step = spec.steps.emplace_back();
  step.loc = spec.loc;
  auto add = [&](SpecProduct &product, StringRef name) {
    if (!name.empty())
      product.factors.push_back({name.str(), spec.loc});
  };
  for (StringRef name : write)
    add(step.write, name);
  add(step.erase, erase);
  add(step.value, value);
  add(step.rate, rate);
  return step;
}

StepSpec &ModelReader::addDeltaStep(bool allowsNegative) {
  StepSpec &step = addStep({"k"}, "k", "v", "beta");
  if (allowsNegative)
    step.maxRate = 2.0;
  return step;
}

void ModelReader::addLayersExcept(const SourceNode *excluded, int64_t base) {
  SmallVector<int64_t> others;
  if (excluded && excluded->kind != SourceNode::Sequence &&
      excluded->kind != SourceNode::Null)
    reader.error(*excluded, "expected the attention layers as a list of "
                            "numbers, found " +
                                excluded->describe());
  else if (excluded)
    for (const SourceNode &item : excluded->items)
      if (auto index = reader.readInteger(item, "a layer", 0, maxSize))
        others.push_back(*index - base);
  for (int64_t i = 0, e = getSize("num_hidden_layers"); i < e; ++i)
    if (!llvm::is_contained(others, i))
      spec.modelLayers.push_back(i);
}

void ModelReader::addLayersOfType(
    ArrayRef<StringRef> kinds,
    function_ref<bool(int64_t index, int64_t count)> isDelta) {
  if (const SourceNode *types = findGiven(config, "layer_types"))
    return addListedLayers(*types, kinds);
  for (int64_t i = 0, e = getSize("num_hidden_layers"); i < e; ++i)
    if (isDelta(i, e))
      spec.modelLayers.push_back(i);
}

void ModelReader::addListedLayers(const SourceNode &types,
                                  ArrayRef<StringRef> kinds) {
  if (types.kind != SourceNode::Sequence)
    return reader.error(types, "expected layer_types as a list with a name a "
                               "layer, found " +
                                   types.describe());
  for (auto [i, type] : llvm::enumerate(types.items))
    if (reader.readChoice(type, "a layer type", kinds) == 0u)
      spec.modelLayers.push_back(i);
  int64_t layers = types.items.size();
  int64_t expected = getSize("num_hidden_layers", layers);
  if (expected != layers)
    reader.error(types,
                 "expected a layer type for each of the " + Twine(expected) +
                     " layers of num_hidden_layers, found " + Twine(layers));
}
