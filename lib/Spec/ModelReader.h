//===- ModelReader.h - The delta layers of one model ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A model config says sizes, not recurrences: a model type names its recurrence
// and where its sizes stand (ModelTypes.cpp). A config is not ours, so unknown
// keys are fine; a size that is missing or odd is not.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_SPEC_MODELREADER_H
#define WYVERN_LIB_SPEC_MODELREADER_H

#include "SourceTree.h"

#include "wyvern/Spec/LayerSpec.h"

#include "llvm/ADT/STLFunctionalExtras.h"

namespace mlir::wyvern {

/// Reads the sizes of one model into a spec. Errors are printed; after one,
/// what is read goes on with a size that is none.
class ModelReader {
public:
  /// `name` is the model's type, found at `loc`.
  ModelReader(TreeReader &reader, const SourceNode &root, StringRef name,
              SMLoc loc);

  const SourceNode &getConfig() const { return config; }

  /// Whether `node` has `key`, and not as null.
  bool has(const SourceNode &node, StringRef key) const;

  /// `key` of `node` (without one: of the config) as a size; `fallback` if it
  /// is missing or null and there is a fallback.
  int64_t getSize(const SourceNode &node, StringRef key,
                  std::optional<int64_t> fallback = std::nullopt);
  int64_t getSize(StringRef key,
                  std::optional<int64_t> fallback = std::nullopt);

  /// A size that is one for all layers, or a list with one a layer, which have
  /// to be the same.
  int64_t getSameSize(StringRef key, int64_t fallback);

  /// `size` times the number under `key` of `node` (`fallback` if missing).
  int64_t getExpanded(const SourceNode &node, StringRef key, double fallback,
                      int64_t size);

  /// The share of one of `heads` heads of `total` channels, which are `what`.
  int64_t getHeadDim(StringRef what, int64_t total, int64_t heads);

  bool getFlag(StringRef key, bool fallback);

  /// The mapping under `key`; an error, and null, if there is none.
  const SourceNode *getMapping(const SourceNode &node, StringRef key);

  /// Prints an error: `key` asks for `what`, which no spec has.
  void refuse(StringRef key, StringRef what);

  void setHeads(int64_t key, int64_t value);

  /// Sets head dims, and the scale of queries, key ** -0.5.
  void setDims(int64_t key, int64_t value);

  /// Adds a step of named operands, "" for none, that writes a product.
  StepSpec &addStep(ArrayRef<StringRef> write, StringRef erase, StringRef value,
                    StringRef rate);

  /// Adds the step S <- S + k (beta (v - k^T S))^T, whose rate reaches 2 if
  /// `allowsNegative` eigenvalues.
  StepSpec &addDeltaStep(bool allowsNegative);

  /// Adds the layers but those that the list `excluded` has, which counts from
  /// `base`.
  void addLayersExcept(const SourceNode *excluded, int64_t base);

  /// Adds the layers whose type is the first of `kinds`, in the list under
  /// layer_types; without one those that `isDelta` says.
  void
  addLayersOfType(ArrayRef<StringRef> kinds,
                  function_ref<bool(int64_t index, int64_t count)> isDelta);

  LayerSpec spec;

private:
  void readDtype(const SourceNode &root);
  void addListedLayers(const SourceNode &types, ArrayRef<StringRef> kinds);

  TreeReader &reader;
  const SourceNode &config; ///< Of the language model.
};

/// A model type, and what reads the sizes of its delta layers.
struct ModelType {
  StringLiteral name;
  void (*read)(ModelReader &model);
};

ArrayRef<ModelType> getModelReaders();

} // namespace mlir::wyvern

#endif // WYVERN_LIB_SPEC_MODELREADER_H
