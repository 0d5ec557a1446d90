//===- FormLevels.cpp - Levels of states as heads of a chunk program ------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Level l of a Fenwick tree is one ordinary state: emptied every 2^l tokens,
// written by the first half of these and read by the second. So a recurrence
// with L levels is one without, of L heads for each value head, that differ in
// their gates, values and reads by numbers of the place in the sequence
// (docs/rationale/levels.md).
//
//===----------------------------------------------------------------------===//

#include "FormWY.h"
#include "RecurrenceTiles.h"
#include "TokenMaps.h"
#include "wyvern/Dialect/Delta/Transforms/Passes.h"
#include "wyvern/Dialect/Delta/Utils/HeadSums.h"
#include "wyvern/Dialect/Delta/Utils/Prologue.h"
#include "wyvern/Dialect/Delta/Utils/Sequences.h"
#include "wyvern/Dialect/Delta/Utils/TileBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace mlir::wyvern::delta {
#define GEN_PASS_DEF_FORMLEVELSPASS
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::delta

using namespace mlir;
using namespace mlir::wyvern::delta;

/// The log gate that empties a state: what is left of it is far below the
/// rounding of the type, and sums over a chunk lose few digits.
static double getEmptyingGate(FloatType compute) {
  return compute.isF64() ? -64.0 : -32.0;
}

namespace {
/// Writes the region of the scan: the recurrence of one head, which is one
/// level of a value head.
class LevelBuilder {
public:
  /// The sequence's first token is at position `start`, 0 without one.
  LevelBuilder(ImplicitLocOpBuilder &b, int64_t levels, TileRecurrence &tiles,
               Value start)
      : b(b), levels(levels), tiles(tiles), start(start),
        tile(b, cast<FloatType>(getElementTypeOrSelf(tiles.query))),
        tokens(shapeOf(tiles.query)[0]) {}

  TileResults build(Value scales, FloatType compute, Value valid);

private:
  /// What the level does at each of the rows of a step.
  Value getRows(LevelRole role, int64_t repeat = 1) {
    return LevelRowsOp::create(b, tile.type({tokens * repeat}), start, role,
                               levels, repeat);
  }
  void maskWrites(TileStep &step);
  void addStarts(double gate, Value valid);

  ImplicitLocOpBuilder &b;
  int64_t levels;
  TileRecurrence &tiles;
  Value start;
  TileBuilder tile;
  int64_t tokens;
};
} // namespace

/// Only tokens of the first half write; all decay and erase.
void LevelBuilder::maskWrites(TileStep &step) {
  for (Value *row : {&step.value, &step.written})
    if (*row)
      *row = tile.mul(
          *row, tile.alongRows(getRows(LevelRole::writes, step.repeat), *row));
}

/// The state is emptied by the gate of the token that it starts at. One that
/// goes on is not by rows past the sequence's end.
void LevelBuilder::addStarts(double gate, Value valid) {
  Value starts =
      tile.mul(getRows(LevelRole::starts), tile.splat(gate, {tokens}));
  if (start)
    starts = MaskRowsOp::create(b, starts.getType(), starts, valid, /*rows=*/1);
  if (!tiles.decay) {
    tiles.decay = starts;
    return;
  }
  if (shapeOf(tiles.decay).size() == 2)
    starts = tile.alongRows(starts, tiles.decay);
  tiles.decay = tile.add(tiles.decay, starts);
}

TileResults LevelBuilder::build(Value scales, FloatType compute, Value valid) {
  for (TileStep &step : tiles.steps)
    maskWrites(step);
  addStarts(getEmptyingGate(compute), valid);
  tiles.readScale = tile.mul(scales, getRows(LevelRole::reads));
  return buildWYChunk(b, tiles);
}

/// A state for each sequence and head: those that the sequences go on from, or
/// zeros.
static Value createStates(ImplicitLocOpBuilder &b, RecurrenceOp op,
                          int64_t heads) {
  if (Value init = op.getInitialState())
    return b.createOrFold<tensor::CastOp>(op.getFinalState().getType(), init);
  auto type = RankedTensorType::get(
      {ShapedType::kDynamic, heads, op.getKeyDim(), op.getValueDim()},
      getComputeType(op));
  return createZeroStates(b, type, [&]() {
    Value batch = tensor::DimOp::create(b, op.getQuery(), 0);
    return countSequences(b, batch, op.getCuSeqlens());
  });
}

/// Notes on the function of `op` how many tokens there are levels for.
static void limitTokens(RecurrenceOp op) {
  auto func = op->getParentOfType<func::FuncOp>();
  if (!func)
    return;
  int64_t most = op.getMostTokens();
  if (auto known = func->getAttrOfType<IntegerAttr>(kMaxTokensAttr))
    most = std::min(most, known.getInt());
  func->setAttr(kMaxTokensAttr, Builder(func).getI64IntegerAttr(most));
}

namespace {
struct FormLevelsPass
    : wyvern::delta::impl::FormLevelsPassBase<FormLevelsPass> {
  using Base::Base;

  void runOnOperation() override {
    WalkResult result = getOperation()->walk([&](RecurrenceOp op) {
      bool hasFailed = op.getLevelScales() && failed(form(op));
      return hasFailed ? WalkResult::interrupt() : WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }

private:
  LogicalResult form(RecurrenceOp op);
};
} // namespace

LogicalResult FormLevelsPass::form(RecurrenceOp op) {
  if (!op.getFinalState().use_empty() && !op.getPositions())
    return op.emitOpError()
           << "expected nothing to read the final state of a recurrence with "
              "levels and without positions: it is the sum of its levels, "
              "which the heads of the "
              "chunk program do not have at a sequence's end";
  if (op->getParentOfType<func::FuncOp>()->hasAttr(kPrologueAttr))
    return op.emitOpError()
           << "expected no prologue beside level scales, which have none yet; "
              "compute norms and gates in front of the layer";
  if (failed(checkErasingSteps(op)))
    return failure();
  FailureOr<int64_t> chunk = chooseChunk(op, rows);
  if (failed(chunk))
    return failure();

  // The rows of a level are those of a chunk.
  auto ofChunk = [](int64_t) -> int64_t { return 0; };
  if (failed(widenTokenMaps(op, *chunk, ofChunk)))
    return failure();

  ImplicitLocOpBuilder b(op.getLoc(), op);
  int64_t levels = op.getNumLevels(), heads = op.getValueHeads() * levels;
  ScanIns ins = collectIns(op);
  ins.add(op.getLevelScales());
  SmallVector<Value> operands = ins.getOperands();
  RankedTensorType output = op.getOutput().getType();
  SmallVector<int64_t> shape(output.getShape());
  shape[2] = heads;
  SmallVector<Attribute> bindings = ins.getBindings(ofChunk);
  if (Value positions = op.getPositions()) {
    operands.push_back(positions);
    bindings.push_back(BindingAttr::get(b.getContext(), {{DimKind::seq}}));
  }
  ChunkScanOp scan =
      createScan(b, op, operands, bindings, createStates(b, op, heads),
                 {output.clone(shape), 1, 0, *chunk, heads});
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&scan.getBlock());
    TileRecurrence tiles = onTiles(op, scan, ins, scan.getCarryArg(0));
    Value scales = ins.lookup(scan, op.getLevelScales());
    Value start;
    if (op.getPositions())
      start = scan.getInArg(operands.size() - 1);
    TileResults results =
        LevelBuilder(b, levels, tiles, start)
            .build(scales, getComputeType(op), scan.getValid());
    YieldOp::create(b, results.output, results.finalState);
  }
  BindingAttr binding = rowBinding(b.getContext(), 1, 4, /*tileRows=*/0);
  auto tile =
      RankedTensorType::get({*chunk, op.getValueDim()}, getComputeType(op));
  PerHead summands = {scan.getOuts().front(), binding, tile,
                      op.getCuSeqlens(),      *chunk,  heads};
  op.getOutput().replaceAllUsesWith(
      createHeadSum(b, summands, {output, binding}));
  if (op.getPositions())
    op.getFinalState().replaceAllUsesWith(scan.getFinals().front());
  limitTokens(op);
  op.erase();
  ++numFormed;
  numHeads += heads;
  return success();
}
