//===- ModelConfig.cpp - Delta layers of a Hugging Face config.json -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A model config says sizes, not recurrences: each model type below names its
// recurrence and where its sizes stand. A config is not ours, so unknown keys
// are fine; a size that is missing or odd is not.
//
//===----------------------------------------------------------------------===//

#include "SourceTree.h"
#include "SpecLimits.h"

#include "wyvern/Spec/SpecReader.h"
#include "wyvern/Support/Nesting.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/JSON.h"

#include <cmath>

using namespace mlir;
using namespace mlir::wyvern;

namespace {
/// Reads the sizes of one model; one method a family of model types.
class ModelReader {
public:
  explicit ModelReader(const llvm::SourceMgr &sources) : reader(sources) {}

  FailureOr<std::vector<LayerSpec>> read(const SourceNode &root);

  void readDeltaNet();
  void readGatedDeltaNet();
  void readGatedDeltaProduct();
  void readKimiLinear();
  void readQwen();

private:
  void readDtype(const SourceNode &root);
  /// `key` of `node` as a size; `fallback` if it is missing or null and there
  /// is a fallback.
  int64_t getSize(const SourceNode &node, StringRef key,
                  std::optional<int64_t> fallback = std::nullopt);
  /// `size` times the number under `key` (1 or `fallback` if missing).
  int64_t getExpanded(StringRef key, double fallback, int64_t size);
  /// The share of one of `heads` heads of `total` channels.
  int64_t getHeadDim(StringRef what, int64_t total, int64_t heads);
  bool getFlag(StringRef key, bool fallback);
  /// The step every layer here has: k, v, with rate beta, which reaches 2 where
  /// the config allows negative eigenvalues.
  StepSpec &addDeltaStep();
  void addLayersExcept(const SourceNode *excluded, int64_t base);
  /// The layers whose `layer_types` entry says linear attention.
  void addLinearLayers(const SourceNode &types);

  TreeReader reader;
  const SourceNode *config = nullptr;
  LayerSpec spec;
};

struct ModelType {
  StringLiteral name;
  void (ModelReader::*read)();
};
} // namespace

static constexpr ModelType modelTypes[] = {
    {"delta_net", &ModelReader::readDeltaNet},
    {"gated_deltanet", &ModelReader::readGatedDeltaNet},
    {"gated_deltaproduct", &ModelReader::readGatedDeltaProduct},
    {"kimi_linear", &ModelReader::readKimiLinear},
    {"qwen3_next", &ModelReader::readQwen},
    {"qwen3_5", &ModelReader::readQwen},
    {"qwen3_5_text", &ModelReader::readQwen},
    {"qwen3_5_moe", &ModelReader::readQwen},
    {"qwen3_5_moe_text", &ModelReader::readQwen},
};

ArrayRef<StringRef> mlir::wyvern::getModelTypes() {
  static const SmallVector<StringRef> names = llvm::map_to_vector(
      modelTypes, [](const ModelType &type) -> StringRef { return type.name; });
  return names;
}

//===----------------------------------------------------------------------===//
// Fields
//===----------------------------------------------------------------------===//

int64_t ModelReader::getSize(const SourceNode &node, StringRef key,
                             std::optional<int64_t> fallback) {
  const SourceNode *value = node.find(key);
  if (fallback && (!value || value->kind == SourceNode::Null))
    return *fallback;
  if (!value) {
    reader.error(node, "missing key '" + key +
                           "', which the sizes of the delta layers of a " +
                           spec.name + " model come from");
    return 1;
  }
  return reader.readInteger(*value, key, 1, 1 << 20).value_or(1);
}

int64_t ModelReader::getExpanded(StringRef key, double fallback, int64_t size) {
  const SourceNode *value = config->find(key);
  double factor = fallback;
  if (value && value->kind != SourceNode::Null)
    factor = reader.readNumber(*value, key).value_or(fallback);
  double expanded = factor * size, whole = std::round(expanded);
  // A factor such as 1 / 3 is written with as many digits as a double has.
  bool isWhole = std::abs(expanded - whole) <= 1e-9 * whole;
  if (isWhole && whole >= 1 && whole <= (1 << 20))
    return static_cast<int64_t>(whole);
  reader.error(value ? *value : *config,
               "expected " + key + " such that " + key + " * " + Twine(size) +
                   " is a whole number, at least 1; found " +
                   (value ? value->text : "nothing"));
  return 1;
}

int64_t ModelReader::getHeadDim(StringRef what, int64_t total, int64_t heads) {
  if (total % heads != 0)
    reader.error(*config,
                 "expected hidden_size * " + what + " = " + Twine(total) +
                     " to be a multiple of num_heads = " + Twine(heads));
  return total / heads;
}

bool ModelReader::getFlag(StringRef key, bool fallback) {
  const SourceNode *value = config->find(key);
  if (!value || value->kind == SourceNode::Null)
    return fallback;
  return reader.readChoice(*value, key, {"false", "true"}).value_or(fallback);
}

void ModelReader::readDtype(const SourceNode &root) {
  for (const SourceNode *node : {config, &root})
    for (StringRef key : {"dtype", "torch_dtype"})
      if (const SourceNode *value = node->find(key);
          value && value->kind != SourceNode::Null) {
        // In the order of ElementKind.
        if (auto choice = reader.readChoice(
                *value, key, {"bfloat16", "float16", "float32", "float64"}))
          spec.dtype = static_cast<ElementKind>(*choice);
        return;
      }
}

StepSpec &ModelReader::addDeltaStep() {
  StepSpec &step = spec.steps.emplace_back();
  step.write.factors.push_back({"k", spec.loc});
  step.erase = step.write;
  step.value.factors.push_back({"v", spec.loc});
  step.rate.factors.push_back({"beta", spec.loc});
  for (StringRef key : {"allow_neg_eigval", "linear_allow_neg_eigval"})
    if (getFlag(key, false))
      step.maxRate = 2.0;
  step.loc = spec.loc;
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
      if (auto index = reader.readInteger(item, "a layer", 0, 1 << 20))
        others.push_back(*index - base);
  for (int64_t i = 0, e = getSize(*config, "num_hidden_layers"); i < e; ++i)
    if (!llvm::is_contained(others, i))
      spec.modelLayers.push_back(i);
}

//===----------------------------------------------------------------------===//
// Model types
//===----------------------------------------------------------------------===//

/// The layers that an `attn: {layers: [...]}` of a hybrid FLA model takes.
static const SourceNode *findAttentionLayers(const SourceNode &config) {
  const SourceNode *attention = config.find("attn");
  return attention ? attention->find("layers") : nullptr;
}

void ModelReader::addLinearLayers(const SourceNode &types) {
  if (types.kind != SourceNode::Sequence)
    return reader.error(types, "expected layer_types as a list with a name a "
                               "layer, found " +
                                   types.describe());
  for (auto [i, type] : llvm::enumerate(types.items))
    if (reader.readChoice(type, "a layer type",
                          {"full_attention", "linear_attention"}) == 1u)
      spec.modelLayers.push_back(i);
  int64_t layers = types.items.size();
  if (getSize(*config, "num_hidden_layers", layers) != layers)
    reader.error(types, "expected a layer type for each of num_hidden_layers, "
                        "found " +
                            Twine(layers));
}

void ModelReader::readDeltaNet() {
  int64_t hidden = getSize(*config, "hidden_size");
  spec.keyHeads = spec.valueHeads = getSize(*config, "num_heads");
  spec.keyDim =
      getHeadDim("expand_k", getExpanded("expand_k", 1, hidden), spec.keyHeads);
  spec.valueDim = getHeadDim("expand_v", getExpanded("expand_v", 1, hidden),
                             spec.valueHeads);
  StepSpec &step = addDeltaStep();
  if (!getFlag("use_beta", true))
    step.rate.factors.clear();
  addLayersExcept(findAttentionLayers(*config), 0);
}

void ModelReader::readGatedDeltaNet() {
  spec.decay = DecayKind::Head;
  spec.keyHeads = getSize(*config, "num_heads");
  spec.valueHeads = getSize(*config, "num_v_heads", spec.keyHeads);
  spec.keyDim = getSize(*config, "head_dim");
  spec.valueDim = getExpanded("expand_v", 2, spec.keyDim);
  addDeltaStep();
  addLayersExcept(findAttentionLayers(*config), 0);
}

void ModelReader::readGatedDeltaProduct() {
  readGatedDeltaNet();
  // The defaults are those of FLA's GatedDeltaProductConfig.
  if (!getFlag("use_forget_gate", false))
    spec.decay = DecayKind::None;
  spec.steps.front().repeat = getSize(*config, "num_householder", 1);
}

void ModelReader::readKimiLinear() {
  const SourceNode *linear =
      reader.require(*config, "linear_attn_config", "{...}");
  if (!linear)
    return;
  spec.decay = DecayKind::Channel;
  spec.keyHeads = spec.valueHeads = getSize(*linear, "num_heads");
  spec.keyDim = spec.valueDim = getSize(*linear, "head_dim");
  addDeltaStep();
  // Kimi Linear counts layers from 1.
  addLayersExcept(linear->find("full_attn_layers"), 1);
}

void ModelReader::readQwen() {
  spec.decay = DecayKind::Head;
  spec.keyHeads = getSize(*config, "linear_num_key_heads");
  spec.valueHeads = getSize(*config, "linear_num_value_heads");
  spec.keyDim = getSize(*config, "linear_key_head_dim");
  spec.valueDim = getSize(*config, "linear_value_head_dim");
  addDeltaStep();
  if (const SourceNode *types = config->find("layer_types");
      types && types->kind != SourceNode::Null)
    return addLinearLayers(*types);
  int64_t interval = getSize(*config, "full_attention_interval", 4);
  for (int64_t i = 0, e = getSize(*config, "num_hidden_layers"); i < e; ++i)
    if ((i + 1) % interval != 0)
      spec.modelLayers.push_back(i);
}

FailureOr<std::vector<LayerSpec>> ModelReader::read(const SourceNode &root) {
  if (root.kind != SourceNode::Mapping) {
    reader.error(root, "expected a model's config.json (an object with a "
                       "model_type), found " +
                           root.describe());
    return failure();
  }
  const SourceNode *type = reader.require(root, "model_type", "\"delta_net\"");
  if (!type)
    return failure();
  auto choice = reader.readChoice(*type, "model_type", getModelTypes());
  if (!choice)
    return failure();
  // Multimodal models keep the language model's sizes apart.
  config = root.find("text_config");
  if (!config)
    config = &root;
  spec.name = modelTypes[*choice].name;
  spec.loc = type->range.Start;
  readDtype(root);
  (this->*modelTypes[*choice].read)();
  if (reader.failed())
    return failure();
  if (spec.modelLayers.empty()) {
    reader.error(*type, "this model has no delta layer: each of its layers is "
                        "full attention");
    return failure();
  }
  if (spec.keyDim > limits::maxDim || spec.valueDim > limits::maxDim ||
      spec.keyDim < 1 || spec.valueDim < 1) {
    reader.error(*type, "expected head dims from 1 to " +
                            Twine(limits::maxDim) + ", found key " +
                            Twine(spec.keyDim) + " and value " +
                            Twine(spec.valueDim));
    return failure();
  }
  spec.scale = 1.0 / std::sqrt(static_cast<double>(spec.keyDim));
  return std::vector<LayerSpec>{spec};
}

/// LLVM's JSON parser is stricter than YAML flow style, and its errors say
/// "[line:column, byte=offset]: what".
static LogicalResult checkJSON(const llvm::SourceMgr &sources) {
  StringRef text =
      sources.getMemoryBuffer(sources.getMainFileID())->getBuffer();
  auto report = [&](size_t offset, const Twine &message) {
    sources.PrintMessage(
        SMLoc::getFromPointer(text.data() + std::min(offset, text.size())),
        llvm::SourceMgr::DK_Error, message, {}, {}, false);
    return failure();
  };
  if (std::optional<size_t> offset = findTooDeep(text, maxDataDepth))
    return report(*offset, "nested deeper than " + Twine(maxDataDepth) +
                               " levels; no model's config.json is");
  llvm::Expected<llvm::json::Value> value = llvm::json::parse(text);
  if (value)
    return success();
  std::string message = llvm::toString(value.takeError());
  auto [position, what] = StringRef(message).split("]: ");
  size_t offset = 0;
  if (position.split("byte=").second.getAsInteger(10, offset))
    what = message;
  // The parser has read the character it objects to.
  offset -= offset > 0;
  return report(offset, "malformed JSON: " + what);
}

FailureOr<std::vector<LayerSpec>>
mlir::wyvern::readModelConfig(llvm::SourceMgr &sources) {
  if (failed(checkJSON(sources)))
    return failure();
  FailureOr<SourceNode> root = readSourceTree(sources);
  if (failed(root))
    return failure();
  FailureOr<std::vector<LayerSpec>> specs = ModelReader(sources).read(*root);
  if (failed(specs))
    return failure();
  for (const LayerSpec &spec : *specs)
    if (failed(validateSpec(spec, sources)))
      return failure();
  return specs;
}
