//===- TensorLoops.cpp - Loops that edit tensors element by element -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TensorLoops.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;

Value delta::createIndex(ImplicitLocOpBuilder &b, int64_t value) {
  return arith::ConstantIndexOp::create(b, value);
}

Value delta::createZeroTile(ImplicitLocOpBuilder &b, RankedTensorType type) {
  Value empty =
      tensor::EmptyOp::create(b, type.getShape(), type.getElementType());
  Value zero =
      arith::ConstantOp::create(b, b.getZeroAttr(type.getElementType()));
  return linalg::FillOp::create(b, zero, empty).getResult(0);
}

Value delta::createAdd(ImplicitLocOpBuilder &b, Value x, Value y) {
  return b.createOrFold<arith::AddIOp>(x, y);
}

Value delta::createSub(ImplicitLocOpBuilder &b, Value x, Value y) {
  return b.createOrFold<arith::SubIOp>(x, y);
}

Value delta::createMul(ImplicitLocOpBuilder &b, Value x, int64_t factor) {
  return factor == 1 ? x
                     : b.createOrFold<arith::MulIOp>(x, createIndex(b, factor));
}

Value delta::createFloorDiv(ImplicitLocOpBuilder &b, Value x, int64_t divisor) {
  return divisor == 1
             ? x
             : b.createOrFold<arith::DivUIOp>(x, createIndex(b, divisor));
}

Value delta::createLoop(ImplicitLocOpBuilder &b, Value lower, Value upper,
                        Value init, function_ref<Value(Value, Value)> body) {
  auto loop = scf::ForOp::create(b, lower, upper, createIndex(b, 1), init);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  scf::YieldOp::create(b,
                       body(loop.getInductionVar(), loop.getRegionIterArg(0)));
  return loop.getResult(0);
}

Value delta::createElementLoops(
    ImplicitLocOpBuilder &b, Value init, ValueRange outer,
    function_ref<Value(ValueRange, Value)> element) {
  RankedTensorType type = tileType(init);
  if (static_cast<int64_t>(outer.size()) == type.getRank())
    return createInsert(b, element(outer, init), init, outer);
  Value size = createIndex(b, type.getDimSize(outer.size()));
  return createLoop(b, createIndex(b, 0), size, init,
                    [&](Value iv, Value current) {
                      SmallVector<Value> ivs(outer);
                      ivs.push_back(iv);
                      return createElementLoops(b, current, ivs, element);
                    });
}

Value delta::createExtract(ImplicitLocOpBuilder &b, Value tile,
                           ValueRange ivs) {
  return tensor::ExtractOp::create(b, tile, ivs);
}

Value delta::createInsert(ImplicitLocOpBuilder &b, Value scalar, Value tile,
                          ValueRange ivs) {
  return tensor::InsertOp::create(b, scalar, tile, ivs);
}

Value delta::createCast(ImplicitLocOpBuilder &b, Value tile, Type type) {
  RankedTensorType from = tileType(tile);
  if (from.getElementType() == type)
    return tile;
  if (from.getElementTypeBitWidth() < type.getIntOrFloatBitWidth())
    return arith::ExtFOp::create(b, from.clone(type), tile);
  return arith::TruncFOp::create(b, from.clone(type), tile);
}

Value delta::createSegmentSum(ImplicitLocOpBuilder &b, Value x, Value length,
                              bool reverse) {
  RankedTensorType type = tileType(x);
  int64_t rows = type.getDimSize(0);
  Value zero =
      arith::ConstantOp::create(b, b.getZeroAttr(type.getElementType()));
  // Row `at` of the i-th iteration continues the sum at its neighbour `from`,
  // unless a segment starts there.
  return createLoop(
      b, createIndex(b, 1), createIndex(b, rows), createZeroTile(b, type),
      [&](Value i, Value sums) {
        Value at = reverse ? createSub(b, createIndex(b, rows - 1), i) : i;
        Value from = reverse ? createAdd(b, at, createIndex(b, 1))
                             : createSub(b, at, createIndex(b, 1));
        Value boundary = reverse ? from : at;
        Value isStart = arith::CmpIOp::create(
            b, arith::CmpIPredicate::eq,
            arith::RemUIOp::create(b, boundary, length), createIndex(b, 0));
        return createElementLoops(b, sums, at, [&](ValueRange ivs, Value y) {
          SmallVector<Value> fromIvs(ivs);
          fromIvs[0] = from;
          Value sum = arith::AddFOp::create(b, createExtract(b, y, fromIvs),
                                            createExtract(b, x, fromIvs));
          return Value(arith::SelectOp::create(b, isStart, zero, sum));
        });
      });
}

Value delta::createRepeatRows(ImplicitLocOpBuilder &b, Value x, int64_t n,
                              int64_t rows) {
  RankedTensorType type = tileType(x);
  SmallVector<int64_t> shape(type.getShape());
  if (n == 1 && shape[0] == rows)
    return x;
  shape[0] = rows;
  Value empty = tensor::EmptyOp::create(b, shape, type.getElementType());
  return createElementLoops(b, empty, {}, [&](ValueRange ivs, Value) {
    SmallVector<Value> from(ivs);
    from[0] = createFloorDiv(b, ivs[0], n);
    return createExtract(b, x, from);
  });
}
