//===- FormWY.cpp - From a recurrence to its chunk program ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Here: what is refused, the size of a chunk, and the shell of the chunk_scan.
// FormWYChunk.cpp writes its region.
//
//===----------------------------------------------------------------------===//

#include "FormWY.h"
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

static LogicalResult checkErasingSteps(RecurrenceOp op) {
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

namespace {
/// The ins of the scan: each distinct operand once.
class ScanIns {
public:
  void add(Value operand, int64_t repeat = 1) {
    if (operand && !llvm::is_contained(keys, std::pair(operand, repeat)))
      keys.emplace_back(operand, repeat);
  }
  SmallVector<Value> getOperands() const {
    return llvm::to_vector(llvm::make_first_range(keys));
  }
  /// [seq, time * repeat, head] or [seq, time * repeat, head, _] for each.
  SmallVector<Attribute> getBindings() const;
  /// The block argument of an operand; null for null.
  Value lookup(ChunkScanOp scan, Value operand, int64_t repeat = 1) const {
    if (!operand)
      return {};
    auto *it = llvm::find(keys, std::pair(operand, repeat));
    return scan.getInArg(it - keys.begin());
  }

private:
  SmallVector<std::pair<Value, int64_t>> keys;
};
} // namespace

static BindingAttr rowBinding(MLIRContext *context, int64_t repeat,
                              int64_t rank) {
  SmallVector<BoundDim> dims = {
      {DimKind::seq}, {DimKind::time, repeat}, {DimKind::head}};
  dims.resize(rank, {DimKind::whole});
  return BindingAttr::get(context, dims);
}

SmallVector<Attribute> ScanIns::getBindings() const {
  return llvm::map_to_vector(keys, [](auto key) -> Attribute {
    auto [operand, repeat] = key;
    int64_t rank = cast<RankedTensorType>(operand.getType()).getRank();
    return rowBinding(operand.getContext(), repeat, rank);
  });
}

static ScanIns collectIns(RecurrenceOp op) {
  ScanIns ins;
  ins.add(op.getQuery());
  ins.add(op.getDecay());
  for (const RecurrenceOp::Step &step : op.getStepList())
    for (Value operand :
         {step.write, step.erase, step.value, step.written, step.rate})
      ins.add(operand, step.repeat);
  return ins;
}

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
                               const ScanIns &ins, int64_t chunk) {
  MLIRContext *context = b.getContext();
  FloatType compute = b.getF32Type();
  if (op.getQuery().getType().getElementType().isF64())
    compute = b.getF64Type();
  auto state = BindingAttr::get(
      context,
      {{DimKind::seq}, {DimKind::head}, {DimKind::whole}, {DimKind::whole}});
  Value init = initialState(b, op);
  auto scan = ChunkScanOp::create(
      b, TypeRange(op.getOutput().getType()), TypeRange(init.getType()),
      ins.getOperands(), ValueRange(init), op.getCuSeqlens(),
      Direction::forward, chunk, op.getValueHeads(), compute,
      b.getArrayAttr(ins.getBindings()), b.getArrayAttr({state}),
      b.getArrayAttr({rowBinding(context, 1, 4)}));

  Block &block = scan.getBody().emplaceBlock();
  block.addArgument(b.getIndexType(), b.getLoc());
  auto addTile = [&](Value operand, Attribute binding) {
    auto type = cast<RankedTensorType>(operand.getType());
    block.addArgument(
        cast<BindingAttr>(binding).getTileType(type, chunk, compute),
        operand.getLoc());
  };
  for (auto [operand, binding] :
       llvm::zip_equal(scan.getIns(), scan.getInBindings()))
    addTile(operand, binding);
  addTile(init, state);
  return scan;
}

/// The recurrence with every operand replaced by its tile.
static TileRecurrence onTiles(RecurrenceOp op, ChunkScanOp scan,
                              const ScanIns &ins) {
  TileRecurrence chunk;
  chunk.query = ins.lookup(scan, op.getQuery());
  chunk.decay = ins.lookup(scan, op.getDecay());
  chunk.state = scan.getCarryArg(0);
  chunk.scale = op.getScale().convertToDouble();
  chunk.steps = op.getStepList();
  for (TileStep &step : chunk.steps)
    for (Value *operand :
         {&step.write, &step.erase, &step.value, &step.written, &step.rate})
      *operand = ins.lookup(scan, *operand, step.repeat);
  return chunk;
}

namespace {
struct FormWYPass : wyvern::delta::impl::FormWYPassBase<FormWYPass> {
  using Base::Base;

  void runOnOperation() override {
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

  ImplicitLocOpBuilder b(op.getLoc(), op);
  ScanIns ins = collectIns(op);
  ChunkScanOp scan = createShell(b, op, ins, *chunk);
  b.setInsertionPointToStart(&scan.getBlock());
  TileRecurrence tiles = onTiles(op, scan, ins);
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
