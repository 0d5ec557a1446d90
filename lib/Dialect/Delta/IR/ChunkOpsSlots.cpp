//===- ChunkOpsSlots.cpp - Carries that lie in pools of states ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/IR/Delta.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

void ChunkScanOp::setSlots(ChunkScanOp other) {
  auto set = [](MutableOperandRange ours, Value theirs) {
    if (theirs)
      ours.assign(theirs);
    else
      ours.clear();
  };
  set(getReadSlotsMutable(), other.getReadSlots());
  set(getWriteSlotsMutable(), other.getWriteSlots());
  set(getLengthsMutable(), other.getLengths());
  set(getKeepSlotsMutable(), other.getKeepSlots());
  set(getSeedsMutable(), other.getSeeds());
  setFirstSlot(other.getFirstSlot());
  setElseZeros(other.getElseZeros());
}

void ChunkScanOp::removeSlots() {
  getReadSlotsMutable().clear();
  getWriteSlotsMutable().clear();
  getKeepSlotsMutable().clear();
  getSeedsMutable().clear();
  setFirstSlot(0);
  setElseZeros(false);
}

BindingAttr ChunkScanOp::getPoolBinding() {
  SmallVector<BoundDim> dims(getCarryBinding(0).getDims());
  for (BoundDim &dim : dims)
    if (dim.kind == DimKind::chunk)
      dim = {DimKind::slot};
  return BindingAttr::get(getContext(), dims);
}
