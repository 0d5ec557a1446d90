//===- SumTokensOp.cpp - The operation sum_tokens -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/IR/Delta.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

LogicalResult SumTokensOp::verify() {
  if (getTensors().empty() || getTensors().size() != getSums().size())
    return emitOpError() << "(C1) expected a result for each of one or more "
                            "tensors, found "
                         << getTensors().size() << " tensors and "
                         << getSums().size() << " results";
  if (static_cast<int64_t>(getRows()) < 1)
    return emitOpError() << "(C4) expected at least one row a token, found "
                         << static_cast<int64_t>(getRows());
  for (auto [tensor, sum] : llvm::zip_equal(getTensors(), getSums())) {
    auto type = cast<RankedTensorType>(tensor.getType());
    if (type.getRank() < 3)
      return emitOpError() << "(C2) expected tensors [batch, time, heads, ...]"
                           << ", found " << type;
    auto expected = RankedTensorType::get(type.getShape().drop_front(2),
                                          type.getElementType());
    if (sum.getType() != expected)
      return emitOpError() << "(C3) expected a sum of type " << expected
                           << " for " << type << ", found " << sum.getType();
  }
  return success();
}
