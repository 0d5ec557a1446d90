//===- Stage.h - A use of a ring of tiles --------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_TILETONVVM_STAGE_H
#define WYVERN_LIB_CONVERSION_TILETONVVM_STAGE_H

#include "Patterns.h"

namespace mlir::wyvern::tile {

/// A use of a ring: where its barriers lie. A ring is its tiles, for each the
/// stages one after the other, then one full barrier a stage, then one empty
/// barrier a stage. Stage and phase follow from the running index, so no phase
/// is carried from use to use.
struct Stage {
  Value slot, full, empty, phase;

  Stage(Emitter &e, RingType ring, Value base, Value index) {
    int64_t depth = ring.getDepth();
    Value use = e.trunc32(index);
    slot = e.urem(use, depth);
    phase = e.band(e.udiv(use, depth), e.c32(1));
    Value barriers = e.add(base, ring.getTileBytes());
    full = e.add(barriers, e.mul(slot, 8));
    empty = e.add(full, depth * 8);
  }
};

} // namespace mlir::wyvern::tile

#endif // WYVERN_LIB_CONVERSION_TILETONVVM_STAGE_H
