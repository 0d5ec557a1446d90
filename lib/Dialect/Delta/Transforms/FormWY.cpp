//===- FormWY.cpp - From a recurrence to its chunk program ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Here: what is refused, and the initial state. FormWYChunk.cpp writes the
// region, RecurrenceTiles.cpp finds the ins and makes the shell around it.
//
//===----------------------------------------------------------------------===//

#include "FormWY.h"
#include "Prologue.h"
#include "RecurrenceTiles.h"
#include "TokenMaps.h"
#include "TokenRows.h"
#include "wyvern/Dialect/Delta/Transforms/Passes.h"
#include "wyvern/Dialect/Delta/Utils/PrologueTiles.h"
#include "wyvern/Dialect/Delta/Utils/Sequences.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace mlir::wyvern::delta {
#define GEN_PASS_DEF_FORMWYPASS
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::delta

using namespace mlir;
using namespace mlir::wyvern::delta;

//===----------------------------------------------------------------------===//
// What is refused
//===----------------------------------------------------------------------===//

static LogicalResult checkInitialState(RecurrenceOp op) {
  Value init = op.getInitialState();
  Type final = op.getFinalState().getType();
  if (init && getElementTypeOrSelf(init) != getElementTypeOrSelf(final))
    return op.emitOpError()
           << "expected initial and final state of one element "
              "type, found "
           << init.getType() << " and " << final
           << "; convert the initial state first";
  return success();
}

//===----------------------------------------------------------------------===//
// The shell
//===----------------------------------------------------------------------===//

/// The initial state, in the final state's type; zeros if there is none.
static Value initialState(ImplicitLocOpBuilder &b, RecurrenceOp op) {
  RankedTensorType type = op.getFinalState().getType();
  if (Value init = op.getInitialState())
    return init.getType() == type
               ? init
               : tensor::CastOp::create(b, type, init).getResult();
  return createZeroStates(b, type, [&]() {
    Value batch = tensor::DimOp::create(b, op.getQuery(), 0);
    return countSequences(b, batch, op.getCuSeqlens());
  });
}

namespace {
struct FormWYPass : wyvern::delta::impl::FormWYPassBase<FormWYPass> {
  using Base::Base;

  void runOnOperation() override {
    if (failed(Prologue::checkParts(getOperation(), "delta-form-wy", prologue)))
      return signalPassFailure();
    WalkResult result = getOperation()->walk([&](RecurrenceOp op) {
      return failed(form(op)) ? WalkResult::interrupt() : WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }

private:
  LogicalResult form(RecurrenceOp op);
  int64_t getTileRows(RecurrenceOp op, int64_t chunk, int64_t repeat);
};
} // namespace

/// True if steps have different numbers of rows a token, one of them one. The
/// pairs of that step's rows are matrices then of which a chunk of fewer tokens
/// has too few columns to store. (A decay a channel is summed over 64 rows.)
static bool hasStepOfFewRows(RecurrenceOp op) {
  auto hasOne = [](const RecurrenceOp::Step &step) { return step.repeat == 1; };
  SmallVector<RecurrenceOp::Step> steps = op.getStepList();
  return !op.hasChannelDecay() && llvm::any_of(steps, hasOne) &&
         !llvm::all_of(steps, hasOne);
}

/// Returns the rows of tiles with `repeat` rows a token: what tensor cores and
/// warps take whole. 0 where a chunk has these.
int64_t FormWYPass::getTileRows(RecurrenceOp op, int64_t chunk,
                                int64_t repeat) {
  int64_t own = chunk * repeat;
  bool isWhole = repeat > 1 || hasStepOfFewRows(op);
  int64_t whole =
      isWhole ? rows
              : llvm::alignTo(chunk, op.getDecay() ? gateMultiple : multiple);
  whole = std::min<int64_t>(whole, rows);
  return whole > own ? whole : 0;
}

/// Bounds decays a channel that come from outside, where exp of them is zero:
/// the sums of a chunk stay numbers, and keep the digits of what follows.
static void boundDecay(ImplicitLocOpBuilder &b, ChunkScanOp scan,
                       TileRecurrence &tiles) {
  Value in = tiles.decay && getTileRank(tiles.decay) == 2
                 ? ChunkProgramOpInterface::getInOfTile(tiles.decay)
                 : Value();
  bool isBounded = in && in.getDefiningOp<ChunkProgramOpInterface>();
  if (in && !isBounded)
    tiles.decay = PrologueTiles(b, cast<FloatType>(scan.getCompute()),
                                /*isOneToken=*/false)
                      .boundDecay(tiles.decay);
}

LogicalResult FormWYPass::form(RecurrenceOp op) {
  if (op.getLevelScales())
    return op.emitOpError() << "expected no level scales; run "
                               "delta-form-levels first";
  if (failed(checkErasingSteps(op)) || failed(checkInitialState(op)))
    return failure();
  FailureOr<int64_t> chunk = chooseChunk(op, rows);
  if (failed(chunk))
    return failure();
  Prologue prologue(op, ArrayRef<std::string>(this->prologue));
  if (prologue.hasConvolution())
    return op.emitOpError()
           << "has the prologue 'conv', which only a step of decoding "
              "computes; "
              "add --serving, or convolve q, k and v in front of the layer";
  if (!prologue.isEmpty()) {
    auto func = op->getParentOfType<func::FuncOp>();
    if (failed(prologue.check(func)))
      return failure();
    prologue.replaceArguments(func);
  }

  ImplicitLocOpBuilder b(op.getLoc(), op);
  auto ofTile = [&](int64_t repeat) { return getTileRows(op, *chunk, repeat); };
  if (failed(widenTokenMaps(op, *chunk, ofTile)))
    return failure();
  prologue.makeChannelDecay(b, *chunk, ofTile(1));
  RankedTensorType output = op.getOutput().getType();
  int64_t outputRows = 1;
  if (hasGatesOfRows(op)) {
    outputRows = op.getStepList().front().repeat;
    output = spreadOverRows(b, op, rows);
    numSpread += 1;
  }
  ScanIns ins = collectIns(op, outputRows);
  SmallVector<Value> operands = ins.getOperands();
  SmallVector<Attribute> bindings = ins.getBindings(ofTile);
  prologue.addIns(operands, bindings);
  ScanShape shape = {output, outputRows, ofTile(outputRows), *chunk,
                     static_cast<int64_t>(op.getValueHeads())};
  ChunkScanOp scan =
      createScan(b, op, operands, bindings, initialState(b, op), shape);
  b.setInsertionPointToStart(&scan.getBlock());
  TileRecurrence tiles =
      onTiles(op, scan, ins, scan.getCarryArg(0), outputRows);
  tiles.replace(fuseTokenMaps(b, scan, op.getDecay()));
  prologue.build(b, scan, tiles);
  boundDecay(b, scan, tiles);
  TileResults results = buildWYChunk(b, tiles);
  YieldOp::create(b, results.output, results.finalState);

  auto erases = [](const TileStep &step) { return bool(step.erase); };
  if (llvm::any_of(tiles.steps, erases)) {
    ++numSolves;
    numEliminated += llvm::count_if(tiles.steps, std::not_fn(erases));
  }
  ++numFormed;
  if (outputRows > 1) {
    b.setInsertionPointAfter(scan);
    Value last = takeLastRows(b, op, scan.getOuts().front(), outputRows, rows);
    op.getOutput().replaceAllUsesWith(last);
    op.getFinalState().replaceAllUsesWith(scan.getFinals().front());
  } else {
    op.replaceAllUsesWith(scan);
  }
  op.erase();
  return success();
}
