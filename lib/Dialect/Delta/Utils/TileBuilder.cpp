//===- TileBuilder.cpp - Building the region of a chunk program -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Utils/TileBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

Value TileBuilder::splat(double value, ArrayRef<int64_t> shape) {
  TypedAttr element = b.getFloatAttr(compute, value);
  return arith::ConstantOp::create(
      b, DenseElementsAttr::get(type(shape), element));
}

Value TileBuilder::broadcast(Value x, ArrayRef<int64_t> shape,
                             ArrayRef<int64_t> added) {
  Value init = tensor::EmptyOp::create(b, shape, compute);
  return linalg::BroadcastOp::create(b, x, init, added)->getResult(0);
}

Value TileBuilder::alongRows(Value vector, Value like) {
  return broadcast(vector, shapeOf(like), {1});
}

Value TileBuilder::sum(Value x, int64_t dim) {
  SmallVector<int64_t> shape(shapeOf(x));
  shape.erase(shape.begin() + dim);
  Value zero = splat(0.0, shape);
  auto add = [](OpBuilder &b, Location loc, ValueRange args) {
    Value sum = arith::AddFOp::create(b, loc, args[1], args[0]);
    linalg::YieldOp::create(b, loc, sum);
  };
  return linalg::ReduceOp::create(b, x, zero, ArrayRef<int64_t>{dim}, add)
      ->getResult(0);
}

Value TileBuilder::add(Value x, Value y) {
  return arith::AddFOp::create(b, x, y);
}
Value TileBuilder::mul(Value x, Value y) {
  return arith::MulFOp::create(b, x, y);
}
Value TileBuilder::sub(Value x, Value y) {
  return arith::SubFOp::create(b, x, y);
}
Value TileBuilder::neg(Value x) { return arith::NegFOp::create(b, x); }
Value TileBuilder::exp(Value x) { return math::ExpOp::create(b, x); }

Value TileBuilder::contract(Value a, Value b, Value acc,
                            ArrayRef<AffineMap> maps) {
  return linalg::ContractOp::create(this->b, acc.getType(), ValueRange{a, b},
                                    acc, this->b.getAffineMapArrayAttr(maps))
      ->getResult(0);
}

Value TileBuilder::matmul(Value lhs, Value rhs, Value acc, bool transposeA,
                          bool transposeB) {
  int64_t rows = shapeOf(lhs)[transposeA ? 1 : 0];
  int64_t columns = shapeOf(rhs)[transposeB ? 0 : 1];
  if (!acc)
    acc = splat(0.0, {rows, columns});
  AffineExpr m, n, k;
  bindDims(b.getContext(), m, n, k);
  auto map = [&](AffineExpr row, AffineExpr column) {
    return AffineMap::get(3, 0, {row, column}, b.getContext());
  };
  return contract(lhs, rhs, acc,
                  {transposeA ? map(k, m) : map(m, k),
                   transposeB ? map(n, k) : map(k, n), map(m, n)});
}
