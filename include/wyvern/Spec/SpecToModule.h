//===- SpecToModule.h - From a spec to the delta dialect --------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_SPEC_SPECTOMODULE_H
#define WYVERN_SPEC_SPECTOMODULE_H

#include "wyvern/Spec/LayerSpec.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace llvm {
class SourceMgr;
} // namespace llvm

namespace mlir::wyvern {

/// Builds a module with one entry function a spec: `func.func @<name>` around
/// one `delta.recurrence`, operands as `getOperands` lists them, results o and
/// final_state. Every argument and result carries its name as `delta.name`.
/// Locations point into `sources` if given.
OwningOpRef<ModuleOp> buildModule(MLIRContext *context,
                                  ArrayRef<LayerSpec> specs,
                                  const llvm::SourceMgr *sources = nullptr);

} // namespace mlir::wyvern

#endif // WYVERN_SPEC_SPECTOMODULE_H
