//===- Angles.h - Angles less whole turns -----------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_TILETONVVM_ANGLES_H
#define WYVERN_LIB_CONVERSION_TILETONVVM_ANGLES_H

#include "Emitter.h"

namespace mlir::wyvern::tile {

/// Returns `angle`, an f32, less a multiple of 2 pi, between -pi and pi: right
/// to an ulp of pi for angles up to 2^15 turns, since the turns are taken off
/// in two parts, of which the first is exact.
Value wrapAngle(Emitter &e, Value angle);

} // namespace mlir::wyvern::tile

#endif // WYVERN_LIB_CONVERSION_TILETONVVM_ANGLES_H
