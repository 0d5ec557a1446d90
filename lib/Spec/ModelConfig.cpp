//===- ModelConfig.cpp - Delta layers of a Hugging Face config.json -----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ModelReader.h"
#include "SpecLimits.h"

#include "wyvern/Spec/SpecReader.h"
#include "wyvern/Support/Nesting.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/JSON.h"

using namespace mlir;
using namespace mlir::wyvern;

ArrayRef<StringRef> mlir::wyvern::getModelTypes() {
  static const SmallVector<StringRef> names =
      llvm::map_to_vector(getModelReaders(), [](const ModelType &type) {
        return StringRef(type.name);
      });
  return names;
}

static FailureOr<std::vector<LayerSpec>>
readModel(const SourceNode &root, const llvm::SourceMgr &sources) {
  TreeReader reader(sources);
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
  const ModelType &modelType = getModelReaders()[*choice];
  ModelReader model(reader, root, modelType.name, type->range.Start);
  modelType.read(model);
  if (reader.failed())
    return failure();
  const LayerSpec &spec = model.spec;
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
  // Editors put a byte order mark in front of a file, which JSON has not.
  StringRef json = text;
  json.consume_front("\xEF\xBB\xBF");
  llvm::Expected<llvm::json::Value> value = llvm::json::parse(json);
  if (value)
    return success();
  std::string message = llvm::toString(value.takeError());
  auto [position, what] = StringRef(message).split("]: ");
  size_t offset = 0;
  if (position.split("byte=").second.getAsInteger(10, offset))
    what = message;
  // The parser has read the character it objects to.
  offset -= offset > 0;
  offset += text.size() - json.size();
  return report(offset, "malformed JSON: " + what);
}

FailureOr<std::vector<LayerSpec>>
mlir::wyvern::readModelConfig(llvm::SourceMgr &sources) {
  if (failed(checkJSON(sources)))
    return failure();
  FailureOr<SourceNode> root = readSourceTree(sources);
  if (failed(root))
    return failure();
  FailureOr<std::vector<LayerSpec>> specs = readModel(*root, sources);
  if (failed(specs))
    return failure();
  for (const LayerSpec &spec : *specs)
    if (failed(validateSpec(spec, sources)))
      return failure();
  return specs;
}
