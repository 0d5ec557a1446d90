//===- SchedToDelta.h - The conversion's pass
//---------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_CONVERSION_SCHEDTODELTA_SCHEDTODELTA_H
#define WYVERN_CONVERSION_SCHEDTODELTA_SCHEDTODELTA_H

#include "mlir/Pass/Pass.h"

namespace mlir::wyvern {

#define GEN_PASS_DECL
#include "wyvern/Conversion/SchedToDelta/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "wyvern/Conversion/SchedToDelta/Passes.h.inc"

} // namespace mlir::wyvern

#endif // WYVERN_CONVERSION_SCHEDTODELTA_SCHEDTODELTA_H
