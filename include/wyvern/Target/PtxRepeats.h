//===- PtxRepeats.h - What PTX computes twice -------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_TARGET_PTXREPEATS_H
#define WYVERN_TARGET_PTXREPEATS_H

#include "llvm/ADT/StringRef.h"

namespace mlir::wyvern {

/// Returns the first instruction of `ptx` that computes, by its words, what one
/// before it has computed, but of registers that a wgmma between the two has
/// added to; empty if there is none. Where it is asked for less reuse of
/// registers (--register-usage-level below 4), ptxas 13.0 uses the earlier value
/// in the place of the later one.
llvm::StringRef findRepeatOfSum(llvm::StringRef ptx);

} // namespace mlir::wyvern

#endif // WYVERN_TARGET_PTXREPEATS_H
