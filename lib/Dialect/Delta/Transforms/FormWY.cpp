//===- FormWY.cpp - From a recurrence to its chunk program ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Here: what is refused, the size of a chunk, and the shell of the chunk_scan.
// FormWYChunk.cpp writes its region, RecurrenceTiles.cpp finds its ins.
//
//===----------------------------------------------------------------------===//

#include "FormWY.h"
#include "Prologue.h"
#include "RecurrenceTiles.h"
#include "wyvern/Dialect/Delta/Transforms/Passes.h"
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

/// Tokens a chunk, so that no step has more than `rows` rows in it.
static FailureOr<int64_t> chooseChunk(RecurrenceOp op, int64_t rows) {
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

static ChunkScanOp createShell(ImplicitLocOpBuilder &b, RecurrenceOp op,
                               const ScanIns &ins, Prologue &prologue,
                               int64_t chunk) {
  MLIRContext *context = b.getContext();
  FloatType compute = b.getF32Type();
  if (op.getQuery().getType().getElementType().isF64())
    compute = b.getF64Type();
  auto state = BindingAttr::get(
      context,
      {{DimKind::seq}, {DimKind::head}, {DimKind::whole}, {DimKind::whole}});
  Value init = initialState(b, op);
  SmallVector<Value> operands = ins.getOperands();
  SmallVector<Attribute> bindings = ins.getBindings();
  prologue.addIns(operands, bindings);
  auto scan = ChunkScanOp::create(
      b, TypeRange(op.getOutput().getType()), TypeRange(init.getType()),
      operands, ValueRange(init), op.getCuSeqlens(), Direction::forward, chunk,
      op.getValueHeads(), compute, b.getArrayAttr(bindings),
      b.getArrayAttr({state}), b.getArrayAttr({rowBinding(context, 1, 4)}));

  addTileArguments(b, scan);
  return scan;
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
};
} // namespace

LogicalResult FormWYPass::form(RecurrenceOp op) {
  if (failed(checkErasingSteps(op)) || failed(checkInitialState(op)))
    return failure();
  FailureOr<int64_t> chunk = chooseChunk(op, rows);
  if (failed(chunk))
    return failure();
  Prologue prologue(op, ArrayRef<std::string>(this->prologue));
  if (!prologue.isEmpty()) {
    auto func = op->getParentOfType<func::FuncOp>();
    if (failed(prologue.check(func)))
      return failure();
    prologue.replaceArguments(func);
  }

  ImplicitLocOpBuilder b(op.getLoc(), op);
  ScanIns ins = collectIns(op);
  ChunkScanOp scan = createShell(b, op, ins, prologue, *chunk);
  b.setInsertionPointToStart(&scan.getBlock());
  TileRecurrence tiles = onTiles(op, scan, ins, scan.getCarryArg(0));
  prologue.build(b, scan, tiles);
  TileResults results = buildWYChunk(b, tiles);
  YieldOp::create(b, results.output, results.finalState);

  auto erases = [](const TileStep &step) { return bool(step.erase); };
  if (llvm::any_of(tiles.steps, erases)) {
    ++numSolves;
    numEliminated += llvm::count_if(tiles.steps, std::not_fn(erases));
  }
  ++numFormed;
  op.replaceAllUsesWith(scan);
  op.erase();
  return success();
}
