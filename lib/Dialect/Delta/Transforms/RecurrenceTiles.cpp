//===- RecurrenceTiles.cpp - What a chunk sees of a recurrence ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RecurrenceTiles.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

LogicalResult delta::checkErasingSteps(RecurrenceOp op) {
  std::optional<unsigned> first;
  for (auto [i, step] : llvm::enumerate(op.getStepList())) {
    if (!step.erase)
      continue;
    if (first)
      return op.emitOpError()
             << "expected at most one step with an erase key, found steps #"
             << *first << " and #" << i
             << ": their rows would interleave in one triangular system; give "
                "equal steps as one step with 'repeat n' and n rows a token";
    first = i;
  }
  return success();
}

BindingAttr delta::rowBinding(MLIRContext *context, int64_t repeat,
                              int64_t rank, int64_t tileRows) {
  SmallVector<BoundDim> dims = {
      {DimKind::seq}, {DimKind::time, repeat}, {DimKind::head}};
  dims[1].rows = tileRows;
  dims.resize(rank, {DimKind::whole});
  return BindingAttr::get(context, dims);
}

SmallVector<Attribute>
ScanIns::getBindings(function_ref<int64_t(int64_t)> getTileRows) const {
  return llvm::map_to_vector(keys, [&](auto key) -> Attribute {
    auto [operand, repeat] = key;
    int64_t rank = cast<RankedTensorType>(operand.getType()).getRank();
    return rowBinding(operand.getContext(), repeat, rank, getTileRows(repeat));
  });
}

ScanIns delta::collectIns(RecurrenceOp op, int64_t rows) {
  ScanIns ins;
  ins.add(op.getQuery(), rows);
  ins.add(op.getDecay(), rows);
  for (const RecurrenceOp::Step &step : op.getStepList())
    for (Value operand :
         {step.write, step.erase, step.value, step.written, step.rate})
      ins.add(operand, step.repeat);
  return ins;
}

void delta::addTileArguments(OpBuilder &builder, ChunkScanOp scan) {
  Block &block = scan.getBody().emplaceBlock();
  block.addArgument(builder.getIndexType(), scan.getLoc());
  auto add = [&](ValueRange operands, ArrayAttr bindings) {
    for (auto [operand, binding] :
         llvm::zip_equal(operands, bindings.getAsRange<BindingAttr>()))
      block.addArgument(
          binding.getTileType(cast<RankedTensorType>(operand.getType()),
                              scan.getChunk(), scan.getCompute()),
          operand.getLoc());
  };
  add(scan.getIns(), scan.getInBindings());
  add(scan.getInits(), scan.getCarryBindings());
}

TileRecurrence delta::onTiles(RecurrenceOp op, ChunkScanOp scan,
                              const ScanIns &ins, Value state, int64_t rows) {
  TileRecurrence chunk;
  chunk.query = ins.lookup(scan, op.getQuery(), rows);
  chunk.decay = ins.lookup(scan, op.getDecay(), rows);
  chunk.state = state;
  chunk.scale = op.getScale().convertToDouble();
  chunk.steps = op.getStepList();
  for (TileStep &step : chunk.steps) {
    for (Value *operand :
         {&step.write, &step.erase, &step.value, &step.written, &step.rate})
      *operand = ins.lookup(scan, *operand, step.repeat);
    step.repeat /= rows;
  }
  return chunk;
}

void TileRecurrence::replace(const llvm::SmallDenseMap<Value, Value> &by) {
  auto replaceOne = [&](Value &tile) {
    if (auto found = by.find(tile); found != by.end())
      tile = found->second;
  };
  replaceOne(query);
  replaceOne(decay);
  for (TileStep &step : steps)
    for (Value *operand :
         {&step.write, &step.erase, &step.value, &step.written, &step.rate})
      replaceOne(*operand);
}

FailureOr<int64_t> delta::chooseChunk(RecurrenceOp op, int64_t rows) {
  int64_t repeat = 1;
  for (const RecurrenceOp::Step &step : op.getStepList())
    repeat = std::max(repeat, step.repeat);
  if (repeat > rows)
    return op.emitOpError()
           << "expected at most " << rows
           << " rows a token, found a step that repeats " << repeat
           << " times: one token must fit a chunk; raise the "
              "option 'rows' of delta-form-wy";
  return rows / repeat;
}

FloatType delta::getComputeType(RecurrenceOp op) {
  Builder builder(op.getContext());
  if (op.getQuery().getType().getElementType().isF64())
    return builder.getF64Type();
  return builder.getF32Type();
}

ChunkScanOp delta::createScan(ImplicitLocOpBuilder &b, RecurrenceOp op,
                              ValueRange ins, ArrayRef<Attribute> bindings,
                              Value init, const ScanShape &shape) {
  MLIRContext *context = b.getContext();
  auto state = BindingAttr::get(
      context,
      {{DimKind::seq}, {DimKind::head}, {DimKind::whole}, {DimKind::whole}});
  BindingAttr output =
      rowBinding(context, shape.rowsOfToken, 4, shape.tileRows);
  auto scan = ChunkScanOp::create(
      b, TypeRange(shape.output), TypeRange(init.getType()), ins,
      ValueRange(init), op.getCuSeqlens(), Direction::forward, shape.chunk,
      shape.heads, getComputeType(op), b.getArrayAttr(bindings),
      b.getArrayAttr({state}), b.getArrayAttr({output}));
  addTileArguments(b, scan);
  return scan;
}
