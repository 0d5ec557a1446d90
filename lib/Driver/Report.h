//===- Report.h - What became of a layer, as a page -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DRIVER_REPORT_H
#define WYVERN_LIB_DRIVER_REPORT_H

#include "wyvern/Spec/LayerSpec.h"
#include "wyvern/Target/Manifest.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/JSON.h"

namespace mlir::wyvern {

/// Collects what --report shows: of each variant its IR after every phase and
/// its kernels, as they are scheduled and as they lie in shared memory.
class Report {
public:
  /// Keeps the IR of a phase, and what the phase alone says of kernels.
  void addPhase(StringRef variant, StringRef phase, ModuleOp module);

  /// Returns a page that needs nothing beside it, of the variants that `bundle`
  /// has; `spec` is null for an input that is not one.
  std::string getPage(const BundleInfo &bundle, const LayerSpec *spec,
                      const CompilerVersions &versions) const;

private:
  void addKernels(StringRef variant, ModuleOp module);
  void addMemory(StringRef variant, ModuleOp module);
  llvm::json::Object describe(const VariantInfo &variant) const;

  struct Collected {
    llvm::json::Array phases;
    llvm::StringMap<llvm::json::Object> kernels; ///< By symbol.
  };
  llvm::StringMap<Collected> variants; ///< By name.
};

} // namespace mlir::wyvern

#endif // WYVERN_LIB_DRIVER_REPORT_H
