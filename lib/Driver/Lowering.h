//===- Lowering.h - Through the phases --------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DRIVER_LOWERING_H
#define WYVERN_LIB_DRIVER_LOWERING_H

#include "Options.h"

#include "wyvern/Pipelines/Pipelines.h"
#include "wyvern/Target/ProgramInfo.h"

#include "mlir/IR/BuiltinOps.h"

namespace mlir::wyvern {

/// Takes a module through the phases, keeping what --save-temps asks for and
/// saying what -v does.
class Lowering {
public:
  Lowering(const DriverOptions &options, ModuleOp module);

  /// Runs the phases from where the module is up to and with `last`.
  LogicalResult runTo(const Phase &last);
  /// Runs all phases and generates PTX.
  FailureOr<BundleInfo> runToBundle();
  std::string print();

private:
  /// Compiles for `arch`, whatever the input says.
  void setTarget(StringRef arch);
  LogicalResult runPasses(const Phase &phase);
  LogicalResult saveTemps(const Phase &phase, unsigned number);
  LogicalResult generatePTX(BundleInfo &bundle);

  const DriverOptions &options;
  ModuleOp module;
  PipelineOptions pipelineOptions;
  /// Filled in at the phase that describes the kernels.
  FailureOr<BundleInfo> bundle;
};

} // namespace mlir::wyvern

#endif // WYVERN_LIB_DRIVER_LOWERING_H
