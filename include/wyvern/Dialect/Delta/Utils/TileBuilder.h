//===- TileBuilder.h - Building the region of a chunk program ---*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The upstream operations of a chunk region in the words of the formulas. Every
// value is a static tile of one float type.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_UTILS_TILEBUILDER_H
#define WYVERN_DIALECT_DELTA_UTILS_TILEBUILDER_H

#include "wyvern/Dialect/Delta/IR/Splat.h"

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::wyvern::delta {

class TileBuilder {
public:
  TileBuilder(ImplicitLocOpBuilder &b, FloatType compute)
      : b(b), compute(compute) {}

  RankedTensorType type(ArrayRef<int64_t> shape) const {
    return RankedTensorType::get(shape, compute);
  }
  /// A tile whose every element is `value`.
  Value splat(double value, ArrayRef<int64_t> shape);
  /// `x` along the dimensions of `shape` that are not in `added`.
  Value broadcast(Value x, ArrayRef<int64_t> shape, ArrayRef<int64_t> added);
  /// A vector, one entry a row, spread over the columns of `like`.
  Value alongRows(Value vector, Value like);
  /// The sum over one dimension.
  Value sum(Value x, int64_t dim);
  /// The sum over the first dimension.
  Value sumRows(Value x) { return sum(x, 0); }

  Value add(Value x, Value y);
  Value mul(Value x, Value y);
  Value sub(Value x, Value y);
  Value neg(Value x);
  Value exp(Value x);

  /// a b, added to `acc` if there is one.
  Value matmul(Value a, Value b, Value acc = {}) {
    return matmul(a, b, acc, /*transposeA=*/false);
  }
  /// a^T b, added to `acc` if there is one.
  Value transposedMatmul(Value a, Value b, Value acc = {}) {
    return matmul(a, b, acc, /*transposeA=*/true);
  }
  /// a b^T.
  Value matmulTransposed(Value a, Value b) {
    return matmul(a, b, /*acc=*/{}, /*transposeA=*/false, /*transposeB=*/true);
  }
  /// A contraction with one map for each of `a`, `b` and `acc`.
  Value contract(Value a, Value b, Value acc, ArrayRef<AffineMap> maps);

private:
  Value matmul(Value a, Value b, Value acc, bool transposeA,
               bool transposeB = false);

  ImplicitLocOpBuilder &b;
  FloatType compute;
};

/// The shape of a tile.
inline ArrayRef<int64_t> shapeOf(Value tile) {
  return cast<RankedTensorType>(tile.getType()).getShape();
}

} // namespace mlir::wyvern::delta

#endif // WYVERN_DIALECT_DELTA_UTILS_TILEBUILDER_H
