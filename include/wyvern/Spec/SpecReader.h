//===- SpecReader.h - Reading spec files ------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_SPEC_SPECREADER_H
#define WYVERN_SPEC_SPECREADER_H

#include "wyvern/Spec/LayerSpec.h"

#include "mlir/Support/LLVM.h"
#include "llvm/Support/SourceMgr.h"

namespace mlir::wyvern {

/// Reads the main file of `sources` as a YAML layer spec. Errors are printed
/// through `sources` (set a diagnostic handler to capture them), each at the
/// line and column it is about.
FailureOr<LayerSpec> readYAMLSpec(llvm::SourceMgr &sources);

/// Reads the main file of `sources` as a Hugging Face config.json and gives one
/// spec for each distinct shape among the model's delta layers.
FailureOr<std::vector<LayerSpec>> readModelConfig(llvm::SourceMgr &sources);

/// The model types that `readModelConfig` knows.
ArrayRef<StringRef> getModelTypes();

/// Checks what no single key of a spec can: sizes against each other, names
/// used in one way only, steps that do something. Errors go to `sources`.
LogicalResult validateSpec(const LayerSpec &spec,
                           const llvm::SourceMgr &sources);

} // namespace mlir::wyvern

#endif // WYVERN_SPEC_SPECREADER_H
