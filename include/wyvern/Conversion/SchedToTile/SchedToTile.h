//===- SchedToTile.h - The conversion's pass ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_CONVERSION_SCHEDTOTILE_SCHEDTOTILE_H
#define WYVERN_CONVERSION_SCHEDTOTILE_SCHEDTOTILE_H

#include "mlir/Pass/Pass.h"

namespace mlir::wyvern {

#define GEN_PASS_DECL
#include "wyvern/Conversion/SchedToTile/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "wyvern/Conversion/SchedToTile/Passes.h.inc"

} // namespace mlir::wyvern

#endif // WYVERN_CONVERSION_SCHEDTOTILE_SCHEDTOTILE_H
