//===- ModelTypes.cpp - The recurrences of model types ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a model type's layers compute, and where its config has their sizes. A
// size has no default unless the model's own config derives it from others, for
// one that is saved has all of them. Sources: the configuration classes of
// transformers 5.24, of flash-linear-attention 0.6.0 and of the models' own
// repositories.
//
//===----------------------------------------------------------------------===//

#include "ModelReader.h"

using namespace mlir;
using namespace mlir::wyvern;

//===----------------------------------------------------------------------===//
// flash-linear-attention's own models
//===----------------------------------------------------------------------===//

/// Adds the layers that an `attn: {layers: [...]}` of a hybrid leaves.
static void addLayersWithoutAttention(ModelReader &model) {
  const SourceNode *attention = model.getConfig().find("attn");
  model.addLayersExcept(attention ? attention->find("layers") : nullptr, 0);
}

/// Reads heads of their own for values, and dims of a key and an expanded
/// value.
static void readHeads(ModelReader &model, double expandV) {
  int64_t heads = model.getSize("num_heads"), dim = model.getSize("head_dim");
  model.setHeads(heads, model.getSize("num_v_heads", heads));
  model.setDims(dim,
                model.getExpanded(model.getConfig(), "expand_v", expandV, dim));
  addLayersWithoutAttention(model);
}

/// Reads heads that share the channels of a layer.
static void readSharedChannels(ModelReader &model, double expandK) {
  const SourceNode &config = model.getConfig();
  int64_t hidden = model.getSize("hidden_size");
  int64_t heads = model.getSize("num_heads");
  auto share = [&](StringRef key, double fallback) {
    return model.getHeadDim(("hidden_size * " + key).str(),
                            model.getExpanded(config, key, fallback, hidden),
                            heads);
  };
  model.setHeads(heads, heads);
  model.setDims(share("expand_k", expandK), share("expand_v", 1));
  addLayersWithoutAttention(model);
}

static void readDeltaNet(ModelReader &model) {
  readSharedChannels(model, 1);
  StepSpec &step = model.addDeltaStep(model.getFlag("allow_neg_eigval", false));
  if (!model.getFlag("use_beta", true))
    step.rate.factors.clear();
}

static void readGatedDeltaNet(ModelReader &model) {
  model.spec.decay = DecayKind::Head;
  readHeads(model, 2);
  model.addDeltaStep(model.getFlag("allow_neg_eigval", false));
}

static void readGatedDeltaProduct(ModelReader &model) {
  readGatedDeltaNet(model);
  if (!model.getFlag("use_forget_gate", false))
    model.spec.decay = DecayKind::None;
  model.spec.steps.front().repeat = model.getSize("num_householder", 1);
}

static void readKimiDeltaAttention(ModelReader &model) {
  model.spec.decay = DecayKind::Channel;
  readHeads(model, 1);
  model.addDeltaStep(model.getFlag("allow_neg_eigval", false));
}

static void addPreconditionedStep(ModelReader &model) {
  StepSpec &step = model.addStep({"m", "k"}, "k", "v", "beta");
  if (model.getFlag("allow_neg_eigval", false))
    step.maxRate = 2.0;
}

static void readPreconditionedGatedDeltaNet(ModelReader &model) {
  model.spec.decay = DecayKind::Head;
  readHeads(model, 2);
  addPreconditionedStep(model);
}

static void readPreconditionedKimi(ModelReader &model) {
  model.spec.decay = DecayKind::Channel;
  readHeads(model, 1);
  addPreconditionedStep(model);
}

/// What corrects the outputs is subtracted from the queries before.
static void readComba(ModelReader &model) {
  model.spec.decay = DecayKind::Head;
  readHeads(model, 2);
  model.addStep({"k"}, "p", "v", "beta").readsBeforeDecay = true;
}

/// Fewer heads of keys and values are repeated before, for each has its
/// queries.
static void readGatedLinearAttention(ModelReader &model) {
  if (model.getFlag("use_gk", true))
    model.spec.decay = DecayKind::Channel;
  if (model.getFlag("use_gv", false))
    model.refuse("use_gv", "a gate a value channel");
  readSharedChannels(model, 0.5);
  model.addStep({"k"}, "", "v", "");
}

static void readRWKV7(ModelReader &model) {
  int64_t hidden = model.getSize("hidden_size");
  int64_t heads =
      model.has(model.getConfig(), "num_heads")
          ? model.getSize("num_heads")
          : model.getHeadDim("hidden_size", hidden, model.getSize("head_dim"));
  model.spec.decay = DecayKind::Channel;
  model.setHeads(heads, heads);
  model.setDims(model.getHeadDim("hidden_size", hidden, heads),
                model.getHeadDim("value_dim",
                                 model.getSameSize("value_dim", hidden),
                                 heads));
  model.spec.scale = 1.0;
  StepSpec &erasing = model.addStep({"p"}, "r", "", "");
  erasing.constantRate = -1.0;
  erasing.readsBeforeDecay = true;
  model.addStep({"k"}, "", "v", "");
  addLayersWithoutAttention(model);
}

//===----------------------------------------------------------------------===//
// Gated DeltaNet in hybrids
//===----------------------------------------------------------------------===//

static void readLinearHeads(ModelReader &model) {
  model.spec.decay = DecayKind::Head;
  model.setHeads(model.getSize("linear_num_key_heads"),
                 model.getSize("linear_num_value_heads"));
  model.setDims(model.getSize("linear_key_head_dim"),
                model.getSize("linear_value_head_dim"));
  model.addDeltaStep(model.getFlag("linear_allow_neg_eigval", false));
}

/// Qwen3-Next and Qwen3.5, and Qwen4-Exp, whose other layers have an index.
static void readQwen(ModelReader &model) {
  readLinearHeads(model);
  int64_t interval = model.getSize("full_attention_interval", 4);
  model.addLayersOfType(
      {"linear_attention", "full_attention", "indexed_attention"},
      [&](int64_t i, int64_t) { return (i + 1) % interval != 0; });
}

/// Two of five, as released.
static void readLaraMini(ModelReader &model) {
  readLinearHeads(model);
  model.addLayersOfType(
      {"linear_attention", "full_attention", "sliding_attention"},
      [](int64_t i, int64_t) { return i % 5 == 0 || i % 5 == 2; });
}

static void readGigaChat(ModelReader &model) {
  readLinearHeads(model);
  const SourceNode &config = model.getConfig();
  if (!model.has(config, "full_attention_layers") &&
      model.has(config, "layer_types"))
    return model.addLayersOfType({"linear_attention", "full_attention"},
                                 [](int64_t, int64_t) { return false; });
  model.addLayersExcept(config.find("full_attention_layers"), 0);
}

static void readOlmoHybrid(ModelReader &model) {
  int64_t attentionHeads = model.getSize("num_attention_heads");
  int64_t heads = model.getSize("linear_num_key_heads", attentionHeads);
  int64_t dim = model.getSize("linear_key_head_dim",
                              model.getSize("hidden_size") * 3 / 4 / heads);
  model.spec.decay = DecayKind::Head;
  model.setHeads(heads,
                 model.getSize("linear_num_value_heads", attentionHeads));
  model.setDims(dim, model.getSize("linear_value_head_dim", 2 * dim));
  model.addDeltaStep(model.getFlag("linear_allow_neg_eigval", true));
  model.addLayersOfType({"linear_attention", "full_attention"},
                        [](int64_t i, int64_t count) {
                          return i % 4 != 3 && (count > 3 || i + 1 < count);
                        });
}

/// JetBlock: its convolution depends on the tokens, its recurrence is this.
static void readJetNemotron(ModelReader &model) {
  const SourceNode *blocks =
      model.getMapping(model.getConfig(), "efficient_attention_config");
  const SourceNode *jet = blocks ? model.getMapping(*blocks, "jet") : nullptr;
  if (!jet)
    return;
  int64_t heads = model.getSize(*jet, "num_heads");
  int64_t dim = model.getSize(*jet, "head_dim");
  model.spec.decay = DecayKind::Head;
  model.setHeads(heads, heads);
  model.setDims(dim, model.getExpanded(*jet, "expand_v", 1, dim));
  model.addDeltaStep(false);
  model.addLayersOfType({"jet", "attn", "swa"},
                        [](int64_t, int64_t) { return true; });
}

//===----------------------------------------------------------------------===//
// Kimi Delta Attention in hybrids
//===----------------------------------------------------------------------===//

static void setKimiHeads(ModelReader &model, int64_t heads, int64_t dim) {
  model.spec.decay = DecayKind::Channel;
  model.setHeads(heads, heads);
  model.setDims(dim, dim);
  model.addDeltaStep(false);
}

/// Reads sizes as checkpoints have them, apart, or as transformers saves them.
static void readKimiHeads(ModelReader &model) {
  const SourceNode &config = model.getConfig();
  if (model.has(config, "linear_num_heads") &&
      !model.has(config, "linear_attn_config"))
    return setKimiHeads(model, model.getSize("linear_num_heads"),
                        model.getSize("linear_head_dim"));
  if (const SourceNode *linear = model.getMapping(config, "linear_attn_config"))
    setKimiHeads(model, model.getSize(*linear, "num_heads"),
                 model.getSize(*linear, "head_dim"));
}

/// Kimi Linear, and Kimi K3, of which it is the language model.
static void readKimiLinear(ModelReader &model) {
  readKimiHeads(model);
  const SourceNode *linear = model.getConfig().find("linear_attn_config");
  if (linear && model.has(*linear, "full_attn_layers") &&
      !model.has(model.getConfig(), "layer_types"))
    // These count layers from 1.
    return model.addLayersExcept(linear->find("full_attn_layers"), 1);
  model.addLayersOfType({"linear_attention", "full_attention"},
                        [](int64_t i, int64_t) { return i == 0 || i % 4; });
}

static void readGlm5Next(ModelReader &model) {
  readKimiHeads(model);
  model.addLayersOfType(
      {"linear_attention", "full_attention", "indexed_attention"},
      [](int64_t i, int64_t) { return i % 4 != 3; });
}

/// Ling 3. What transformers saves has the head dim of rotations as head_dim.
static void readBailing(ModelReader &model) {
  bool isSaved = model.has(model.getConfig(), "linear_head_dim");
  setKimiHeads(model, model.getSize("num_attention_heads"),
               model.getSize(isSaved ? "linear_head_dim" : "head_dim"));
  int64_t group = model.getSize("layer_group_size");
  model.addLayersOfType(
      {"linear_attention", "full_attention"},
      [&](int64_t i, int64_t) { return (i + 1) % group != 0; });
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

static constexpr ModelType modelTypes[] = {
    {"bailing_hybrid", readBailing},
    {"bailing_moe_v3", readBailing},
    {"comba", readComba},
    {"delta_net", readDeltaNet},
    {"gated_deltanet", readGatedDeltaNet},
    {"gated_deltaproduct", readGatedDeltaProduct},
    {"gigachat3_5", readGigaChat},
    {"gla", readGatedLinearAttention},
    {"glm5_next", readGlm5Next},
    {"glm5_next_text", readGlm5Next},
    {"jet_nemotron", readJetNemotron},
    {"kda", readKimiDeltaAttention},
    {"kimi_k3", readKimiLinear},
    {"kimi_linear", readKimiLinear},
    {"lara_mini", readLaraMini},
    {"olmo_hybrid", readOlmoHybrid},
    {"precond_gated_deltanet", readPreconditionedGatedDeltaNet},
    {"precond_kda", readPreconditionedKimi},
    {"qwen3_5", readQwen},
    {"qwen3_5_moe", readQwen},
    {"qwen3_5_moe_text", readQwen},
    {"qwen3_5_text", readQwen},
    {"qwen3_next", readQwen},
    {"qwen4_exp", readQwen},
    {"qwen4_exp_text", readQwen},
    {"rwkv7", readRWKV7},
};

ArrayRef<ModelType> mlir::wyvern::getModelReaders() { return modelTypes; }
