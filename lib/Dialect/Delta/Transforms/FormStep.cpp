//===- FormStep.cpp - From a layer to the step of its decoding ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Here: what is refused, the function's new tensors, and the shell of the
// chunk_scan. FormWYChunk.cpp writes its region, as for delta-form-wy.
//
//===----------------------------------------------------------------------===//

#include "Convolution.h"
#include "Epilogue.h"
#include "FormWY.h"
#include "NewArguments.h"
#include "PooledSums.h"
#include "Prologue.h"
#include "RecurrenceTiles.h"
#include "TokenMaps.h"

#include "wyvern/Dialect/Delta/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/Pass.h"

namespace mlir::wyvern::delta {
#define GEN_PASS_DEF_FORMSTEPPASS
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::delta

using namespace mlir;
using namespace mlir::wyvern::delta;

//===----------------------------------------------------------------------===//
// What is refused
//===----------------------------------------------------------------------===//

/// Returns true for an argument of `func` that `op` alone reads, or null.
static bool isOwnArgument(func::FuncOp func, Value value) {
  auto arg = dyn_cast_or_null<BlockArgument>(value);
  return !value ||
         (arg && arg.getOwner() == &func.getBody().front() && arg.hasOneUse());
}

/// Checks that the state goes from the function to its recurrence and back, so
/// that a pool can take its place.
static LogicalResult checkState(func::FuncOp func, RecurrenceOp op) {
  bool isReturned = op.getFinalState().hasOneUse() &&
                    isa<func::ReturnOp>(*op.getFinalState().user_begin());
  if (isOwnArgument(func, op.getInitialState()) &&
      isOwnArgument(func, op.getCuSeqlens()) && isReturned)
    return success();
  return op.emitOpError()
         << "expected initial_state and cu_seqlens, if given, to be arguments "
            "of the function that nothing else reads, and final_state to be "
            "returned once and read by nothing else: a step has a pool of "
            "states in their place";
}

namespace {
/// Turns one function into the step of its layer.
class StepFormer {
public:
  struct Settings {
    bool keysFirst = false; // [slots, HV, K, V]
    FloatType stateType;
    Type slotType;
    int64_t firstSlot = 0;
    bool isStochastic = false;
  };

  StepFormer(func::FuncOp func, RecurrenceOp op, const Settings &settings,
             Convolution &convolution, PooledSums &sums, Prologue &prologue,
             Epilogue &epilogue)
      : func(func), op(op), settings(settings), convolution(convolution),
        sums(sums), prologue(prologue), epilogue(epilogue), b(op.getLoc(), op) {
  }

  /// Returns the number of triangular systems that are left.
  unsigned form();

private:
  RankedTensorType getPoolType();
  Value addArgument(StringRef name, Type type);
  ChunkScanOp createShell(const ScanIns &ins);
  /// The state as the recurrence has it, of the pool's or back.
  Value transposeState(Value state);
  void replaceResults(ChunkScanOp scan);
  void dropArguments(ArrayRef<Value> values);

  func::FuncOp func;
  RecurrenceOp op;
  const Settings &settings;
  Convolution &convolution;
  PooledSums &sums;
  Prologue &prologue;
  Epilogue &epilogue;
  ImplicitLocOpBuilder b;
};
} // namespace

RankedTensorType StepFormer::getPoolType() {
  int64_t rows = op.getValueDim(), columns = op.getKeyDim();
  if (settings.keysFirst)
    std::swap(rows, columns);
  return RankedTensorType::get(
      {ShapedType::kDynamic, op.getValueHeads(), rows, columns},
      settings.stateType);
}

Value StepFormer::addArgument(StringRef name, Type type) {
  return addLastArgument(func, name, type, op.getLoc());
}

ChunkScanOp StepFormer::createShell(const ScanIns &ins) {
  MLIRContext *context = b.getContext();
  FloatType compute = b.getF32Type();
  if (op.getQuery().getType().getElementType().isF64())
    compute = b.getF64Type();
  auto pooled = BindingAttr::get(
      context,
      {{DimKind::slot}, {DimKind::head}, {DimKind::whole}, {DimKind::whole}});
  auto vector =
      RankedTensorType::get({ShapedType::kDynamic}, settings.slotType);
  SmallVector<Value> operands = ins.getOperands();
  SmallVector<Attribute> bindings = ins.getBindings([](int64_t) { return 0; });
  convolution.addIns(operands, bindings);
  epilogue.addIns(operands, bindings);
  prologue.addIns(operands, bindings);
  sums.addIns(operands, bindings);
  SmallVector<Value> pools = {addArgument("state", getPoolType())};
  SmallVector<Attribute> carries = {pooled};
  convolution.addWindows(func, pools, carries);
  sums.addPools(func);
  sums.addCarries(pools, carries);
  Value read = addArgument("read_slots", vector);
  Value write = addArgument("write_slots", vector);
  Value lengths = addArgument("lengths", vector);
  Value seeds = settings.isStochastic ? addArgument("seeds", vector) : Value();
  auto scan = ChunkScanOp::create(
      b, TypeRange(op.getOutput().getType()), TypeRange(pools), operands,
      ValueRange(pools), /*cu_seqlens=*/Value(), read, write, lengths,
      /*keep_slots=*/Value(), seeds, Direction::forward, /*chunk=*/1,
      op.getValueHeads(), compute, b.getArrayAttr(bindings),
      b.getArrayAttr(carries),
      b.getArrayAttr({rowBinding(context, 1, 4, /*tileRows=*/0)}),
      settings.firstSlot);
  addTileArguments(b, scan);
  return scan;
}

Value StepFormer::transposeState(Value state) {
  if (settings.keysFirst)
    return state;
  auto type = cast<RankedTensorType>(state.getType());
  Value init = tensor::EmptyOp::create(
      b, {type.getDimSize(1), type.getDimSize(0)}, type.getElementType());
  return linalg::TransposeOp::create(b, state, init, ArrayRef<int64_t>{1, 0})
      ->getResult(0);
}

/// The pool takes the place of the final state, under the name of the argument
/// that it is; so do pools of windows, as results that there were not.
void StepFormer::replaceResults(ChunkScanOp scan) {
  auto terminator =
      cast<func::ReturnOp>(func.getBody().front().getTerminator());
  for (OpOperand &returned : terminator->getOpOperands())
    if (returned.get() == op.getFinalState())
      func.setResultAttr(returned.getOperandNumber(), kNameAttr,
                         b.getStringAttr("state"));
  op.replaceAllUsesWith(scan->getResults().take_front(op->getNumResults()));
  auto windows = scan.getFinals().drop_front().drop_back(sums.size());
  for (auto [i, final] : llvm::enumerate(windows)) {
    unsigned number = terminator->getNumOperands();
    terminator->insertOperands(number, final);
    (void)func.insertResult(
        number, final.getType(),
        b.getDictionaryAttr(b.getNamedAttr(
            kNameAttr, b.getStringAttr(convolution.getWindowName(i)))));
  }
  func.setFunctionType(
      b.getFunctionType(func.getArgumentTypes(), terminator.getOperandTypes()));
}

void StepFormer::dropArguments(ArrayRef<Value> values) {
  llvm::BitVector dropped(func.getNumArguments());
  for (Value value : values)
    if (auto arg = dyn_cast_or_null<BlockArgument>(value))
      dropped.set(arg.getArgNumber());
  LogicalResult erased = func.eraseArguments(dropped);
  assert(succeeded(erased) && "nothing reads these arguments");
  (void)erased;
}

unsigned StepFormer::form() {
  SmallVector<Value> replaced = {op.getInitialState(), op.getCuSeqlens()};
  llvm::append_range(replaced, sums.getInits());
  prologue.replaceArguments(func);
  convolution.addFilters(func);
  epilogue.addArguments(func);
  ScanIns ins = collectIns(op);
  ChunkScanOp scan = createShell(ins);
  b.setInsertionPointToStart(&scan.getBlock());
  TileRecurrence tiles =
      onTiles(op, scan, ins, transposeState(scan.getCarryArg(0)));
  convolution.build(b, scan, tiles);
  sums.build(b, scan);
  tiles.replace(fuseTokenMaps(b, scan, op.getDecay()));
  prologue.build(b, scan, tiles);
  TileResults results = buildWYChunk(b, tiles);
  Value output = epilogue.build(b, scan, results.output);
  SmallVector<Value> carries = {transposeState(results.finalState)};
  llvm::append_range(carries, convolution.getNext());
  llvm::append_range(carries, sums.getNext());
  YieldOp::create(b, output, carries);
  sums.replace(scan);
  replaceResults(scan);
  op.erase();
  dropArguments(replaced);
  func.setName((func.getName() + "_step").str());
  return llvm::range_size(scan.getBlock().getOps<EraseSolveOp>());
}

namespace {
struct FormStepPass : wyvern::delta::impl::FormStepPassBase<FormStepPass> {
  using Base::Base;

  void runOnOperation() override {
    if (failed(checkOptions()))
      return signalPassFailure();
    SmallVector<RecurrenceOp> recurrences;
    getOperation()->walk([&](RecurrenceOp op) { recurrences.push_back(op); });
    for (RecurrenceOp op : recurrences)
      if (failed(form(op)))
        return signalPassFailure();
  }

private:
  LogicalResult checkOptions();
  LogicalResult form(RecurrenceOp op);
};
} // namespace

LogicalResult FormStepPass::checkOptions() {
  auto expect = [&](bool holds, StringRef option, StringRef what,
                    const Twine &found) -> LogicalResult {
    if (holds)
      return success();
    return getOperation()->emitError()
           << "delta-form-step: " << option << ": expected " << what
           << ", found " << found;
  };
  auto isOneOf = [](StringRef text, StringRef a, StringRef b) {
    return text == a || text == b;
  };
  return success(
      succeeded(
          Prologue::checkParts(getOperation(), "delta-form-step", prologue)) &&
      succeeded(
          Epilogue::checkParts(getOperation(), "delta-form-step", epilogue)) &&
      succeeded(
          expect(isOneOf(layout, "vk", "kv"), "layout", "vk or kv", layout)) &&
      succeeded(expect(isOneOf(stateType, "f32", "bf16"), "state-type",
                       "f32 or bf16", stateType)) &&
      succeeded(expect(isOneOf(stateRounding, "nearest", "stochastic") &&
                           (stateRounding == "nearest" || stateType == "bf16"),
                       "state-rounding",
                       "nearest, or stochastic of state-type bf16",
                       stateRounding)) &&
      succeeded(expect(isOneOf(slotType, "i32", "i64"), "slot-type",
                       "i32 or i64", slotType)) &&
      succeeded(expect(firstSlot >= 0, "first-slot", "at least 0",
                       Twine(firstSlot))));
}

LogicalResult FormStepPass::form(RecurrenceOp op) {
  if (op.getLevelScales())
    return op.emitOpError()
           << "has level scales; a step of decoding has one state a head, not "
              "one a level, and does not know a token's position; leave out "
              "--serving";
  auto func = op->getParentOfType<func::FuncOp>();
  // A step has lengths in the place of bounds.
  for (ChunkMapOp map : func.getOps<ChunkMapOp>())
    map.getCuSeqlensMutable().clear();
  for (RunningSumOp sum : func.getOps<RunningSumOp>())
    sum.getCuSeqlensMutable().clear();
  Prologue stepPrologue(op, ArrayRef<std::string>(prologue));
  Convolution convolution(op, stepPrologue.hasConvolution());
  PooledSums sums;
  Epilogue stepEpilogue(op, ArrayRef<std::string>(epilogue), normEpsilon);
  // Callers give these by name, whichever a pool has.
  std::string names[] = {"state", "read_slots", "write_slots", "lengths",
                         "seeds"};
  if (failed(checkErasingSteps(op)) || failed(sums.collect(func, "a step")) ||
      failed(checkState(func, op)) ||
      failed(checkNewNames(op, func, names, "a step")) ||
      failed(stepPrologue.check(func)) || failed(convolution.check(func)) ||
      failed(stepEpilogue.check(func)))
    return failure();
  Builder builder(&getContext());
  StepFormer::Settings settings;
  settings.keysFirst = layout == "kv";
  settings.stateType = builder.getF32Type();
  if (op.getQuery().getType().getElementType().isF64())
    settings.stateType = builder.getF64Type();
  else if (stateType == "bf16")
    settings.stateType = builder.getBF16Type();
  settings.slotType = builder.getIntegerType(slotType == "i64" ? 64 : 32);
  settings.firstSlot = firstSlot;
  settings.isStochastic =
      stateRounding == "stochastic" && settings.stateType.isBF16();
  numSolves += StepFormer(func, op, settings, convolution, sums, stepPrologue,
                          stepEpilogue)
                   .form();
  numSums += sums.size();
  ++numFormed;
  return success();
}
