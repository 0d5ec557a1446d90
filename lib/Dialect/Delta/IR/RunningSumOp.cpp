//===- RunningSumOp.cpp - The operation running_sum -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/IR/Delta.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

/// A pool has slots to read and to write, and sums that are kept on the way
/// go to it.
static LogicalResult verifyPool(RunningSumOp op) {
  Value read = op.getReadSlots(), write = op.getWriteSlots(),
        keep = op.getKeepSlots();
  if (!read && !keep)
    return success();
  if (read && op.getInit() && read.getType() == write.getType() &&
      static_cast<int64_t>(op.getFirstSlot()) >= 0 && !op.getReverse() &&
      (!keep || (keep.getType() == read.getType() &&
                 static_cast<int64_t>(op.getEvery()) > 0)))
    return success();
  return op.emitOpError()
         << "(C3) expected an init, slots to read and to write of one type, a "
            "first slot of at least 0 and a sum that goes forward where there "
            "are slots, and with keep, of their type, runs of a token or more";
}

LogicalResult RunningSumOp::verify() {
  RankedTensorType x = getX().getType(), total = getTotal().getType();
  if (x.getRank() != 4)
    return emitOpError()
           << "(C1) expected a tensor [batch, time, heads, channels], found "
           << x;
  auto isState = [&](RankedTensorType type) {
    return type.getRank() == 3 &&
           type.getShape().drop_front() == x.getShape().drop_front(2) &&
           type.getElementType() == x.getElementType();
  };
  for (RankedTensorType type : {total, getInit() ? getInit().getType() : total})
    if (!isState(type))
      return emitOpError() << "(C2) expected init and total of shape "
                              "[sequences, heads, channels] with those of "
                           << x << ", found " << type;
  return verifyPool(*this);
}
