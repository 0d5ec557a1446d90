//===- RunningSumToNVVM.cpp - Sums over the tokens so far -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A lane has a column, and each warp a run of rows in registers, which it sums
// up twice: what all runs sum up to is known before any warp goes through its
// own. So the block goes from round to round, of a run a warp. Tokens are
// counted from the last one in a sum that goes backward.
//
//===----------------------------------------------------------------------===//

#include "Angles.h"
#include "Patterns.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

/// Lanes of a warp.
static constexpr int64_t kLanes = 32;
Value tile::wrapAngle(Emitter &e, Value angle) {
  constexpr double kTurn = 6.283185307179586, kFirst = 6.28125;
  Value turns = LLVM::RintOp::create(
      e.builder, e.loc,
      LLVM::FMulOp::create(e.builder, e.loc, angle, e.cf32(1 / kTurn))
          .getResult());
  for (double part : {kFirst, kTurn - kFirst})
    angle = LLVM::FMAOp::create(e.builder, e.loc, turns, e.cf32(-part), angle);
  return angle;
}

namespace {
/// Writes one operation: the block's columns, this thread's column and run.
class RunningSum {
public:
  RunningSum(Emitter &e, ScanTokenColumnsOp op,
             ScanTokenColumnsOp::Adaptor adaptor);

  void build();

private:
  /// A row's element of the thread's column.
  struct Element {
    Value isRow;  ///< and not one past the run's end
    Value isLast; ///< of the run
    Value x;      ///< zero for what is no row
  };
  /// Sums the runs of one round from `base` on, whose first row is `from`;
  /// returns what stands behind them.
  Value buildRound(Value from, Value base);
  /// Returns the thread's elements of the run, all of which are on their way at
  /// once.
  SmallVector<Element> loadRun();
  /// Where the thread's element of the run's first row is, and how many
  /// elements the next row is behind it.
  Value getFirstRow(Value tensor);
  int64_t getStep() { return (op.getReverse() ? -1 : 1) * heads * channels; }
  Value getBase(Value tensor);
  Value addTo(Value sum, Value x);
  Value getInit();
  Value isSlot(Value slot);
  std::pair<Value, Value> sumParts(Value from, Value base);
  void storeTotal(Value sum, Value row);
  void keep(Value sum);
  void clearUnowned();
  Value least(Value a, Value b) {
    return e.select(e.cmp(LLVM::ICmpPredicate::slt, a, b), a, b);
  }

  Emitter &e;
  ScanTokenColumnsOp op;
  ScanTokenColumnsOp::Adaptor adaptor;
  int64_t heads, channels;
  Value warp, warps, column, isColumn, first, last, row, x, y;
};
} // namespace

RunningSum::RunningSum(Emitter &e, ScanTokenColumnsOp op,
                       ScanTokenColumnsOp::Adaptor adaptor)
    : e(e), op(op), adaptor(adaptor) {
  RankedTensorType type = op.getX().getType().getTensor();
  heads = type.getDimSize(2);
  channels = type.getDimSize(3);
  Value threads = NVVM::BlockDimXOp::create(e.builder, e.loc, e.i32());
  warps = e.ext64(e.udiv(threads, kLanes));
  warp = e.ext64(e.udiv(e.threadId(), kLanes));
  // Lanes past the last column go along with it, and store nothing.
  Value number = e.add(e.mul(adaptor.getBlock(), kLanes), e.ext64(e.laneId()));
  Value most = e.c64(heads * channels - 1);
  isColumn = e.cmp(LLVM::ICmpPredicate::sle, number, most);
  column = e.select(isColumn, number, most);
  row =
      e.add(e.mul(adaptor.getBatch(), adaptor.getTokens()), adaptor.getStart());
  x = getBase(adaptor.getX());
  y = getBase(adaptor.getY());
}

/// Where a tensor's rows would begin if its batch rows followed each other: a
/// tensor of the caller may have others in between.
Value RunningSum::getBase(Value tensor) {
  Value dense = e.mul(adaptor.getTokens(), heads * channels);
  Value gap = e.sub(globalStride(e, tensor, 0), dense);
  return offsetPointer(e, globalPointer(e, tensor),
                       e.mul(adaptor.getBatch(), gap), e.f32());
}

Value RunningSum::addTo(Value sum, Value x) {
  sum = LLVM::FAddOp::create(e.builder, e.loc, sum, x);
  return op.getWrapped() ? wrapAngle(e, sum) : sum;
}

Value RunningSum::getFirstRow(Value tensor) {
  Value number = first;
  if (op.getReverse())
    number = e.sub(e.sub(adaptor.getLength(), e.c64(1)), number);
  Value offset = e.add(e.mul(e.add(row, number), heads * channels), column);
  return offsetPointer(e, tensor, offset, e.f32());
}

SmallVector<RunningSum::Element> RunningSum::loadRun() {
  SmallVector<Element> elements;
  Value end = e.sub(e.sub(last, first), e.c64(1)), start = getFirstRow(x);
  for (int64_t i = 0; i < static_cast<int64_t>(op.getRun()); ++i) {
    Value number = e.c64(i);
    Value isRow = e.cmp(LLVM::ICmpPredicate::sle, number, end);
    Value isLast = e.cmp(LLVM::ICmpPredicate::eq, number, end);
    // What is no row is that of the last one, which is there.
    Value offset = e.mul(least(number, end), getStep());
    elements.push_back(
        {isRow, isLast,
         e.loadGlobal(e.f32(), offsetPointer(e, start, offset, e.f32()))});
  }
  for (Element &element : elements)
    element.x = e.select(element.isRow, element.x, e.cf32(0));
  return elements;
}

Value RunningSum::isSlot(Value slot) {
  return e.cmp(LLVM::ICmpPredicate::sge, slot,
               e.c64(static_cast<int64_t>(op.getFirstSlot())));
}

/// What the sequence starts from: of a pool zero, where it reads no row.
Value RunningSum::getInit() {
  Value init = adaptor.getInit(), zero = e.cf32(0);
  if (!init)
    return zero;
  auto load = [&](Value row) -> Value {
    return e.loadGlobal(e.f32(), globalAddress(e, init,
                                               {row, e.udiv(column, channels),
                                                e.urem(column, channels)},
                                               e.f32()));
  };
  Value read = adaptor.getRead();
  if (!read)
    return load(adaptor.getSequence());
  return e.ifElse(
      isSlot(read), e.f32(), [&] { return load(read); }, [&] { return zero; });
}

/// Adds to `base` what the runs of a round from row `from` on have summed, but
/// not past the last that has rows: adding nothing to an angle of pi may wrap
/// it. Returns what is in front of the warp's own run, and what is behind all.
std::pair<Value, Value> RunningSum::sumParts(Value from, Value base) {
  auto run = static_cast<int64_t>(op.getRun());
  Value rows = e.sub(adaptor.getLength(), from);
  Value runs = e.udiv(e.add(rows, run - 1), run);
  auto loop = scf::ForOp::create(e.builder, e.loc, e.c64(0), least(warps, runs),
                                 e.c64(1), {base, base});
  OpBuilder::InsertionGuard guard(e.builder);
  e.builder.setInsertionPointToStart(loop.getBody());
  Value i = loop.getInductionVar(), sum = loop.getRegionIterArg(1);
  Value number = e.add(e.mul(e.trunc32(i), kLanes), e.laneId());
  Value part =
      e.loadShared(e.f32(), e.add(adaptor.getScratch(), e.mul(number, 4)));
  Value front = e.select(e.cmp(LLVM::ICmpPredicate::eq, i, warp), sum,
                         loop.getRegionIterArg(0));
  scf::YieldOp::create(e.builder, e.loc, {front, addTo(sum, part)});
  return {loop.getResult(0), loop.getResult(1)};
}

void RunningSum::storeTotal(Value sum, Value row) {
  e.storeGlobal(sum, globalAddress(e, adaptor.getTotal(),
                                   {row, e.udiv(column, channels),
                                    e.urem(column, channels)},
                                   e.f32()));
}

/// Stores what stands behind the run, if rows are kept that end there and it
/// has a slot for them.
void RunningSum::keep(Value sum) {
  if (!op.getKeep())
    return;
  auto every = static_cast<int64_t>(op.getEvery());
  Value isEnd = e.cmp(LLVM::ICmpPredicate::eq, e.urem(last, every), e.c64(0));
  Value isLast = e.cmp(LLVM::ICmpPredicate::eq, last, adaptor.getLength());
  Value isRunEnd = LLVM::OrOp::create(e.builder, e.loc, isEnd, isLast);
  Value hasRows = e.cmp(LLVM::ICmpPredicate::slt, first, last);
  Value isThere = isPresent(e, globalPointer(e, adaptor.getKeep()));
  Value isKept = e.band(e.band(hasRows, isColumn), e.band(isThere, isRunEnd));
  e.ifThen(isKept, [&] {
    Type element = op.getKeep().getType().getTensor().getElementType();
    Value entry =
        e.add(adaptor.getEntry(), e.udiv(e.sub(last, e.c64(1)), every));
    Value slot = e.loadGlobal(
        element, globalAddress(e, adaptor.getKeep(), entry, element));
    if (!element.isInteger(64))
      slot = LLVM::SExtOp::create(e.builder, e.loc, e.i64(), slot);
    e.ifThen(isSlot(slot), [&] { storeTotal(sum, slot); });
  });
}

/// The last sequence's blocks have the rows of nobody.
void RunningSum::clearUnowned() {
  Value isLast = e.cmp(LLVM::ICmpPredicate::eq, e.add(adaptor.getSequence(), 1),
                       adaptor.getOf());
  e.ifThen(e.band(isLast, isColumn), [&] {
    auto loop =
        scf::ForOp::create(e.builder, e.loc, e.add(adaptor.getEnd(), warp),
                           adaptor.getTokens(), warps);
    OpBuilder::InsertionGuard guard(e.builder);
    e.builder.setInsertionPointToStart(loop.getBody());
    Value at = e.add(e.mul(adaptor.getBatch(), adaptor.getTokens()),
                     loop.getInductionVar());
    e.storeGlobal(e.cf32(0),
                  offsetPointer(e, y,
                                e.add(e.mul(at, heads * channels), column),
                                e.f32()));
  });
}

Value RunningSum::buildRound(Value from, Value base) {
  auto run = static_cast<int64_t>(op.getRun());
  first = least(e.add(from, e.mul(warp, run)), adaptor.getLength());
  last = least(e.add(first, e.c64(run)), adaptor.getLength());
  SmallVector<Element> elements = loadRun();
  Value own = e.cf32(0);
  for (const Element &element : elements)
    own = addTo(own, element.x);
  e.storeShared(own, e.add(adaptor.getScratch(), e.mul(e.threadId(), 4)));
  e.ptx("bar.sync 0;", "~{memory}", {}, {});
  auto [front, next] = sumParts(from, base);
  Value behind = addTo(front, own), sum = front;
  Value start = getFirstRow(y);
  for (auto [i, element] : llvm::enumerate(elements)) {
    sum = addTo(sum, element.x);
    Value made = e.select(element.isLast, behind, sum);
    Value offset = e.c64(static_cast<int64_t>(i) * getStep());
    e.ifThen(e.band(element.isRow, isColumn), [&] {
      e.storeGlobal(made, offsetPointer(e, start, offset, e.f32()));
    });
  }
  keep(behind);
  // The next round's sums take the place of these.
  e.ptx("bar.sync 0;", "~{memory}", {}, {});
  return next;
}

void RunningSum::build() {
  Value rows = e.mul(warps, static_cast<int64_t>(op.getRun()));
  auto rounds = scf::ForOp::create(e.builder, e.loc, e.c64(0),
                                   adaptor.getLength(), rows, {getInit()});
  {
    OpBuilder::InsertionGuard guard(e.builder);
    e.builder.setInsertionPointToStart(rounds.getBody());
    scf::YieldOp::create(
        e.builder, e.loc,
        buildRound(rounds.getInductionVar(), rounds.getRegionIterArg(0)));
  }
  Value write = adaptor.getWrite(), total = rounds.getResult(0);
  Value isFirst = e.cmp(LLVM::ICmpPredicate::eq, warp, e.c64(0));
  Value isStored = e.band(isFirst, isColumn);
  if (write)
    isStored = e.band(isStored, isSlot(write));
  e.ifThen(isStored,
           [&] { storeTotal(total, write ? write : adaptor.getSequence()); });
  clearUnowned();
}

namespace {
struct ScanTokenColumnsPattern : OpConversionPattern<ScanTokenColumnsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(ScanTokenColumnsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    RunningSum(e, op, adaptor).build();
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void tile::populateRunningSumPatterns(LLVMTypeConverter &converter,
                                      RewritePatternSet &patterns) {
  patterns.add<ScanTokenColumnsPattern>(converter, patterns.getContext());
}
