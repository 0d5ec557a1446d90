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
/// stages one after the other, and elsewhere one full barrier a stage, then one
/// empty barrier a stage. Stage and phase follow from the running index, so no
/// phase is carried from use to use.
struct Stage {
  Value slot, full, empty, phase;

  /// `base` is the address of `ring`, which a tile.alloc_ring has made.
  Stage(Emitter &e, Value ring, Value base, Value index) {
    auto alloc = ring.getDefiningOp<AllocRingOp>();
    int64_t depth = alloc.getRing().getType().getDepth();
    Value use = e.trunc32(index);
    slot = e.urem(use, depth);
    phase = e.band(e.udiv(use, depth), e.c32(1));
    Value barriers = e.add(base, alloc.getBarrierDistance());
    full = e.add(barriers, e.mul(slot, 8));
    empty = e.add(full, depth * 8);
  }
};

} // namespace mlir::wyvern::tile

#endif // WYVERN_LIB_CONVERSION_TILETONVVM_STAGE_H
