//===- RunningSumOp.cpp - The operation running_sum -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/IR/Delta.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

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
  return success();
}
