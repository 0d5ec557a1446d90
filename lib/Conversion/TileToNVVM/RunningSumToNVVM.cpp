//===- RunningSumToNVVM.cpp - Sums over the tokens so far -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A lane has a column, and each warp a run of rows, twice: what a run sums up
// to is known before any warp goes through its own. Tokens are counted from the
// last one in a sum that goes backward.
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
/// Loads of a thread that are under way together.
static constexpr int64_t kRowsAtOnce = 8;

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
  /// Calls `body` with several elements of the run at once, and the sum so far,
  /// which it returns anew.
  Value
  forRun(Value sum,
         function_ref<Value(ArrayRef<std::pair<Value, Value>>, Value)> body);
  Value getBase(Value tensor);
  Value addTo(Value sum, Value x);
  Value getFirst();
  void storeTotal(Value sum);
  void clearUnowned();

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
  Value length = adaptor.getLength();
  auto least = [&](Value a, Value b) {
    return e.select(e.cmp(LLVM::ICmpPredicate::slt, a, b), a, b);
  };
  Value run = e.udiv(e.add(length, e.sub(warps, e.c64(1))), warps);
  first = least(e.mul(warp, run), length);
  last = least(e.add(first, run), length);
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

Value RunningSum::forRun(
    Value sum,
    function_ref<Value(ArrayRef<std::pair<Value, Value>>, Value)> body) {
  auto loop = scf::ForOp::create(e.builder, e.loc, first, last,
                                 e.c64(kRowsAtOnce), {sum});
  OpBuilder::InsertionGuard guard(e.builder);
  e.builder.setInsertionPointToStart(loop.getBody());
  Value end = e.sub(last, e.c64(1)), token = loop.getInductionVar();
  SmallVector<std::pair<Value, Value>> elements;
  for (int64_t i = 0; i < kRowsAtOnce; ++i) {
    Value isRow = e.cmp(LLVM::ICmpPredicate::sle, token, end);
    Value number = e.select(isRow, token, end);
    if (op.getReverse())
      number = e.sub(e.sub(adaptor.getLength(), e.c64(1)), number);
    Value element = e.add(e.mul(e.add(row, number), heads * channels), column);
    elements.emplace_back(isRow, element);
    token = e.add(token, 1);
  }
  scf::YieldOp::create(e.builder, e.loc,
                       body(elements, loop.getRegionIterArg(0)));
  return loop.getResult(0);
}

/// What stands in front of the run: the init, and the runs before it.
Value RunningSum::getFirst() {
  Value sum = e.cf32(0);
  if (Value init = adaptor.getInit())
    sum = e.loadGlobal(
        e.f32(), globalAddress(e, init,
                               {adaptor.getSequence(), e.udiv(column, channels),
                                e.urem(column, channels)},
                               e.f32()));
  auto loop =
      scf::ForOp::create(e.builder, e.loc, e.c64(0), warp, e.c64(1), {sum});
  OpBuilder::InsertionGuard guard(e.builder);
  e.builder.setInsertionPointToStart(loop.getBody());
  Value number =
      e.add(e.mul(e.trunc32(loop.getInductionVar()), kLanes), e.laneId());
  Value part =
      e.loadShared(e.f32(), e.add(adaptor.getScratch(), e.mul(number, 4)));
  scf::YieldOp::create(e.builder, e.loc, addTo(loop.getRegionIterArg(0), part));
  return loop.getResult(0);
}

void RunningSum::storeTotal(Value sum) {
  Value isLast = e.cmp(LLVM::ICmpPredicate::eq, e.add(warp, 1), warps);
  e.ifThen(e.band(isLast, isColumn), [&] {
    e.storeGlobal(
        sum, globalAddress(e, adaptor.getTotal(),
                           {adaptor.getSequence(), e.udiv(column, channels),
                            e.urem(column, channels)},
                           e.f32()));
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

void RunningSum::build() {
  auto load = [&](Value element) {
    return e.loadGlobal(e.f32(), offsetPointer(e, x, element, e.f32()));
  };
  auto loadAll = [&](ArrayRef<std::pair<Value, Value>> elements) {
    return llvm::map_to_vector(elements, [&](auto element) {
      return e.select(element.first, load(element.second), e.cf32(0));
    });
  };
  Value own = forRun(e.cf32(0), [&](auto elements, Value sum) {
    for (Value x : loadAll(elements))
      sum = addTo(sum, x);
    return sum;
  });
  e.storeShared(own, e.add(adaptor.getScratch(), e.mul(e.threadId(), 4)));
  e.ptx("bar.sync 0;", "~{memory}", {}, {});
  Value total = forRun(getFirst(), [&](auto elements, Value sum) {
    for (auto [element, x] : llvm::zip_equal(elements, loadAll(elements))) {
      sum = addTo(sum, x);
      e.ifThen(e.band(element.first, isColumn), [&, at = element.second] {
        e.storeGlobal(sum, offsetPointer(e, y, at, e.f32()));
      });
    }
    return sum;
  });
  storeTotal(total);
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
