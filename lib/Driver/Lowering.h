//===- Lowering.h - Through the phases --------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DRIVER_LOWERING_H
#define WYVERN_LIB_DRIVER_LOWERING_H

#include "Costs.h"
#include "Options.h"
#include "Report.h"

#include "wyvern/Pipelines/Pipelines.h"
#include "wyvern/Target/ProgramInfo.h"

#include "mlir/IR/BuiltinOps.h"

namespace mlir::wyvern {

/// PTX by the text of the module that it was made from: variants share kernels.
using KernelCache = llvm::StringMap<std::string>;

/// Takes a module through the phases, keeping what --save-temps asks for and
/// saying what -v does.
class Lowering {
public:
  /// `isFirst`: of the variants of a run. What --save-temps writes of the
  /// others goes to a folder in its folder.
  /// What --report asks for is added to `report`, if there is one.
  Lowering(const DriverOptions &options, const Variant &variant,
           ModuleOp module, bool isFirst = true, Report *report = nullptr);

  /// Runs the phases from where the module is up to and with `last`.
  LogicalResult runTo(const Phase &last);
  /// Runs the phases up to where kernels can be described.
  FailureOr<BundleInfo> runToKernels();
  /// Of what has been described keeps the kernels of the programs of these
  /// numbers: nobody launches the others.
  void keepPrograms(ArrayRef<size_t> programs);
  /// Runs all phases and generates PTX, but of what `cache` has.
  FailureOr<BundleInfo> runToBundle(KernelCache &cache);
  std::string print();

private:
  /// Compiles for `arch`, whatever the input says.
  void setTarget(StringRef arch);
  LogicalResult runPasses(const Phase &phase);
  /// Keeps the IR of a phase for --save-temps and --report.
  LogicalResult keepPhase(const Phase &phase, unsigned number);
  LogicalResult generatePTX(BundleInfo &bundle, KernelCache &cache);

  const DriverOptions &options;
  ModuleOp module;
  PipelineOptions pipelineOptions;
  std::string tempsFolder, name;
  Report *report;
  /// Filled in at the phase that schedules the kernels.
  KernelCosts costs;
  /// Filled in at the phase that describes the kernels.
  FailureOr<BundleInfo> bundle;
};

} // namespace mlir::wyvern

#endif // WYVERN_LIB_DRIVER_LOWERING_H
