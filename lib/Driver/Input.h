//===- Input.h - From a file to a module ------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DRIVER_INPUT_H
#define WYVERN_LIB_DRIVER_INPUT_H

#include "Options.h"

#include "wyvern/Spec/LayerSpec.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/SourceMgr.h"

namespace mlir::wyvern {

/// Opens the input file, or standard input for `-`.
LogicalResult openInput(const DriverOptions &options, llvm::SourceMgr &sources);

/// Reads the specs of a YAML or JSON input.
FailureOr<std::vector<LayerSpec>> readSpecs(const DriverOptions &options,
                                            llvm::SourceMgr &sources);

/// The module of the input: parsed, or built from `specs`.
OwningOpRef<ModuleOp> loadModule(const DriverOptions &options,
                                 ArrayRef<LayerSpec> specs,
                                 llvm::SourceMgr &sources,
                                 MLIRContext *context);

} // namespace mlir::wyvern

#endif // WYVERN_LIB_DRIVER_INPUT_H
