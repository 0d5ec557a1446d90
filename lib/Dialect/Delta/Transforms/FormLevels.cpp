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
  LevelBuilder(ImplicitLocOpBuilder &b, int64_t levels, TileRecurrence &tiles)
      : b(b), levels(levels), tiles(tiles),
        tile(b, cast<FloatType>(getElementTypeOrSelf(tiles.query))),
        tokens(shapeOf(tiles.query)[0]) {}

  TileResults build(Value scales, FloatType compute);

private:
  /// What the level does at each of the rows of a step.
  Value getRows(LevelRole role, int64_t repeat = 1) {
    return LevelRowsOp::create(b, tile.type({tokens * repeat}), role, levels,
                               repeat);
  }
  void maskWrites(TileStep &step);
  void addStarts(double gate);

  ImplicitLocOpBuilder &b;
  int64_t levels;
  TileRecurrence &tiles;
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

/// The state is emptied by the gate of the token that it starts at.
void LevelBuilder::addStarts(double gate) {
  Value starts =
      tile.mul(getRows(LevelRole::starts), tile.splat(gate, {tokens}));
  if (!tiles.decay) {
    tiles.decay = starts;
    return;
  }
  if (shapeOf(tiles.decay).size() == 2)
    starts = tile.alongRows(starts, tiles.decay);
  tiles.decay = tile.add(tiles.decay, starts);
}

TileResults LevelBuilder::build(Value scales, FloatType compute) {
  for (TileStep &step : tiles.steps)
    maskWrites(step);
  addStarts(getEmptyingGate(compute));
  tiles.readScale = tile.mul(scales, getRows(LevelRole::reads));
  return buildWYChunk(b, tiles);
}

/// A state for each sequence and head, all zeros.
static Value createStates(ImplicitLocOpBuilder &b, RecurrenceOp op,
                          int64_t heads) {
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
  if (!op.getFinalState().use_empty())
    return op.emitOpError()
           << "expected nothing to read the final state of a recurrence with "
              "levels: it is the sum of its levels, which the heads of the "
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
  RankedTensorType output = op.getOutput().getType();
  SmallVector<int64_t> shape(output.getShape());
  shape[2] = heads;
  ChunkScanOp scan = createScan(
      b, op, ins.getOperands(), ins.getBindings(ofChunk),
      createStates(b, op, heads), {output.clone(shape), 0, *chunk, heads});
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&scan.getBlock());
    TileRecurrence tiles = onTiles(op, scan, ins, scan.getCarryArg(0));
    Value scales = ins.lookup(scan, op.getLevelScales());
    TileResults results =
        LevelBuilder(b, levels, tiles).build(scales, getComputeType(op));
    YieldOp::create(b, results.output, results.finalState);
  }
  BindingAttr binding = rowBinding(b.getContext(), 1, 4, /*tileRows=*/0);
  auto tile =
      RankedTensorType::get({*chunk, op.getValueDim()}, getComputeType(op));
  PerHead summands = {scan.getOuts().front(), binding, tile,
                      op.getCuSeqlens(),      *chunk,  heads};
  op.getOutput().replaceAllUsesWith(
      createHeadSum(b, summands, {output, binding}));
  limitTokens(op);
  op.erase();
  ++numFormed;
  numHeads += heads;
  return success();
}
