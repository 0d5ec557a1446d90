//===- TensorLoops.h - Loops that edit tensors element by element ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The chunk ops are written below as one would write them in C: loops whose
// body extracts scalars and inserts one. The tensor that a loop edits is its
// only iteration argument, so bufferization keeps it in place.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_LIB_CONVERSION_DELTATOSCF_TENSORLOOPS_H
#define WYVERN_LIB_CONVERSION_DELTATOSCF_TENSORLOOPS_H

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::wyvern::delta {

/// `tile`'s type; every value these helpers see is a ranked tensor.
inline RankedTensorType tileType(Value tile) {
  return cast<RankedTensorType>(tile.getType());
}

Value createIndex(ImplicitLocOpBuilder &b, int64_t value);
Value createZeroTile(ImplicitLocOpBuilder &b, RankedTensorType type);

// Index arithmetic; a constant result folds.
Value createAdd(ImplicitLocOpBuilder &b, Value x, Value y);
Value createSub(ImplicitLocOpBuilder &b, Value x, Value y);
Value createMul(ImplicitLocOpBuilder &b, Value x, int64_t factor);
Value createFloorDiv(ImplicitLocOpBuilder &b, Value x, int64_t divisor);

/// `for iv in [lower, upper): init = body(iv, init)`; the last `init`.
Value createLoop(ImplicitLocOpBuilder &b, Value lower, Value upper, Value init,
                 function_ref<Value(Value iv, Value current)> body);

/// One loop for each of the dimensions of `init` from `firstDim` on, with the
/// ivs of the outer dimensions in `outer`; `element` gives what is stored
/// there.
Value createElementLoops(
    ImplicitLocOpBuilder &b, Value init, ValueRange outer,
    function_ref<Value(ValueRange ivs, Value current)> element);

Value createExtract(ImplicitLocOpBuilder &b, Value tile, ValueRange ivs);
Value createInsert(ImplicitLocOpBuilder &b, Value scalar, Value tile,
                   ValueRange ivs);

/// `tile` with elements of `type`: extended, truncated, or as it is.
Value createCast(ImplicitLocOpBuilder &b, Value tile, Type type);

/// Sums over the rows before (`reverse`: after) each row of its segment of
/// `length` rows, the row itself left out:
///   y_i = sum of x_j, floor(i / length) * length <= j < i
Value createSegmentSum(ImplicitLocOpBuilder &b, Value x, Value length,
                       bool reverse);

/// y_i = x_floor(i / n), i < rows
Value createRepeatRows(ImplicitLocOpBuilder &b, Value x, int64_t n,
                       int64_t rows);

/// What `linalg.contract` with these maps computes, with operands extended to
/// the type of `init` and loops in the order of memory.
Value createContraction(ImplicitLocOpBuilder &b, Value lhs, Value rhs,
                        Value init, ArrayRef<AffineMap> maps);

} // namespace mlir::wyvern::delta

#endif // WYVERN_LIB_CONVERSION_DELTATOSCF_TENSORLOOPS_H
