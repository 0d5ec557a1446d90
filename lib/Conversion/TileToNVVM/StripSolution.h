//===- StripSolution.h - Substitution in a strip of L -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_TILETONVVM_STRIPSOLUTION_H
#define WYVERN_LIB_CONVERSION_TILETONVVM_STRIPSOLUTION_H

#include "FactorScratch.h"

namespace mlir::wyvern::tile {

/// Columns of L that are one load.
constexpr int64_t kPanel = 4;

/// Where a strip of L lies in shared memory: its 32 columns on the diagonal.
struct StripOfL {
  Value origin;
  int64_t rowBytes;
};

/// A column of a solution P, of C P, and of -C P in f16, two a register.
struct StripSolution {
  SmallVector<Value> p, scaled, halves;
};

/// Returns column `lane` of (I + L_ss C_s)^-1 L of the strip `l`. Columns of
/// L_ss are eliminated four at a time: rows below them do not wait for each
/// other. With `isSplit` operands have two parts: loads of the second half then
/// do not come ahead of the first half's work, which leaves no registers.
StripSolution solveStrip(FactorScratch &scratch, StripOfL l, bool isSplit);

/// Returns what the rounding of `column` has lost. C P is made again for it:
/// held, it would be registers beside those of the substitution.
SmallVector<Value> findLost(FactorScratch &scratch,
                            const StripSolution &column);

} // namespace mlir::wyvern::tile

#endif // WYVERN_LIB_CONVERSION_TILETONVVM_STRIPSOLUTION_H
