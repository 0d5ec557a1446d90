//===- Variants.h - Several ways to compute one program ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_DRIVER_VARIANTS_H
#define WYVERN_LIB_DRIVER_VARIANTS_H

#include "Options.h"
#include "Report.h"

#include "wyvern/Spec/LayerSpec.h"
#include "wyvern/Target/ProgramInfo.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/SourceMgr.h"

namespace mlir::wyvern {

/// Takes the variants that a spec names, where the command line leaves them to
/// it. Fails, with an error in the user's file, for one that there is not.
LogicalResult takeSpecVariants(ArrayRef<LayerSpec> specs,
                               llvm::SourceMgr &sources,
                               DriverOptions &options);

/// Lowers a module to PTX, as one program of all variants that the options ask
/// for. With `--variants=auto` those that do not compile, and those that the
/// estimates say are not worth having, are left out; with -v it says which and
/// why.
FailureOr<BundleInfo> lowerVariants(const DriverOptions &options,
                                    ModuleOp module, Report *report);

/// Says, for a few shapes, what each variant is estimated to take and which one
/// a launch runs. Nothing for a program of one variant.
void printChoices(const ProgramInfo &program, llvm::raw_ostream &os);

} // namespace mlir::wyvern

#endif // WYVERN_LIB_DRIVER_VARIANTS_H
