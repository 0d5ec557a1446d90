//===- TokenRows.cpp - Gates of each row of a token -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TokenRows.h"
#include "RecurrenceTiles.h"

#include "wyvern/Dialect/Delta/Utils/Prologue.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

bool delta::hasGatesOfRows(RecurrenceOp op) {
  SmallVector<RecurrenceOp::Step> steps = op.getStepList();
  return op.hasChannelDecay() && steps.size() == 1 &&
         steps.front().repeat > 1 && !steps.front().beforeDecay;
}

/// Returns `type` with the tokens of its second dimension times `rows`.
static RankedTensorType withRows(RankedTensorType type, int64_t rows) {
  SmallVector<int64_t> shape(type.getShape());
  if (!ShapedType::isDynamic(shape[1]))
    shape[1] *= rows;
  return type.clone(shape);
}

/// Returns the binding of row `row` of each token's `rows`.
static BindingAttr bindRow(MLIRContext *context, int64_t rank, int64_t rows,
                           int64_t row) {
  SmallVector<BoundDim> dims(
      rowBinding(context, rows, rank, /*tileRows=*/0).getDims());
  dims[1].isRow = true;
  dims[1].offset = row;
  return BindingAttr::get(context, dims);
}

/// Copies `from`, bound to `in`, into a tensor of `type`, bound to `out`, by a
/// map of chunks of `chunk` tokens.
static Value createCopy(ImplicitLocOpBuilder &b, RecurrenceOp op, Value from,
                        BindingAttr in, RankedTensorType type, BindingAttr out,
                        int64_t chunk) {
  FloatType compute = getComputeType(op);
  auto given = cast<RankedTensorType>(from.getType());
  auto map = ChunkMapOp::create(
      b, TypeRange(type), from, op.getCuSeqlens(), b.getI64IntegerAttr(chunk),
      b.getI64IntegerAttr(given.getDimSize(2)), TypeAttr::get(compute),
      b.getArrayAttr(in), b.getArrayAttr(out));
  Block &body = map.getBody().emplaceBlock();
  body.addArgument(b.getIndexType(), b.getLoc());
  Value tile =
      body.addArgument(in.getTileType(given, chunk, compute), b.getLoc());
  auto inside = ImplicitLocOpBuilder::atBlockEnd(b.getLoc(), &body);
  YieldOp::create(inside, tile, ValueRange());
  return map.getOuts().front();
}

RankedTensorType delta::spreadOverRows(ImplicitLocOpBuilder &b, RecurrenceOp op,
                                       int64_t chunk) {
  int64_t rows = op.getStepList().front().repeat;
  auto spread = [&](Value tensor, int64_t row) {
    auto type = cast<RankedTensorType>(tensor.getType());
    return createCopy(
        b, op, tensor, rowBinding(b.getContext(), 1, type.getRank(), 0),
        withRows(type, rows),
        bindRow(b.getContext(), type.getRank(), rows, row), chunk);
  };
  op.getQueryMutable().assign(spread(op.getQuery(), rows - 1));
  Value decay = spread(op.getDecay(), 0);
  decay.getDefiningOp()->setAttr(kExactAttr, b.getUnitAttr());
  op.getDecayMutable().assign(decay);
  return withRows(op.getOutput().getType(), rows);
}

Value delta::takeLastRows(ImplicitLocOpBuilder &b, RecurrenceOp op,
                          Value output, int64_t rows, int64_t chunk) {
  RankedTensorType type = op.getOutput().getType();
  MLIRContext *context = b.getContext();
  return createCopy(b, op, output,
                    bindRow(context, type.getRank(), rows, rows - 1), type,
                    rowBinding(context, 1, type.getRank(), 0), chunk);
}
