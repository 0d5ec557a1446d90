//===- RunningSumToLoops.cpp - running_sum to loops -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"
#include "TensorLoops.h"

#include "wyvern/Dialect/Delta/Utils/RunningSum.h"
#include "wyvern/Dialect/Delta/Utils/Sequences.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

using Tensors = SmallVector<Value>;

namespace {
/// A loop over sequences, heads and channels, and one over tokens in it, which
/// go through the sums and the totals.
class SumLoops {
public:
  SumLoops(RunningSumOp op, PatternRewriter &rewriter)
      : op(op), b(op.getLoc(), rewriter) {}

  Tensors build();

private:
  /// Where the tokens of a sequence are, and the rows of init and total that
  /// are its own: of a pool none where one is below the first slot.
  struct Sequence {
    Value start, length, batch;
    Value read, write;
    Value entry; ///< of its first run of `every` tokens
  };

  Tensors createFor(Value upper, ValueRange inits,
                    function_ref<Tensors(Value, ValueRange)> body);
  Value createZeros();
  Value createTotals(Value count);
  Value createIf(Value condition, function_ref<Value()> body, Value otherwise);
  Value isSlot(Value slot);
  Value getEntry(Value vector, Value at);
  Sequence locate(Value n);
  Value getStart(const Sequence &at, Value total, ValueRange row);
  Value keep(const Sequence &at, Value token, Value sum, Value total,
             Value head, Value channel);
  Tensors sumChannel(const Sequence &at, Value head, Value channel,
                     ValueRange tensors);

  RunningSumOp op;
  ImplicitLocOpBuilder b;
};
} // namespace

Tensors SumLoops::createFor(Value upper, ValueRange inits,
                            function_ref<Tensors(Value, ValueRange)> body) {
  auto loop =
      scf::ForOp::create(b, createIndex(b, 0), upper, createIndex(b, 1), inits);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  scf::YieldOp::create(b,
                       body(loop.getInductionVar(), loop.getRegionIterArgs()));
  return loop.getResults();
}

Value SumLoops::createZeros() {
  Type element = op.getX().getType().getElementType();
  Value empty = tensor::EmptyOp::create(
      b, tensor::getMixedSizes(b, b.getLoc(), op.getX()), element);
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(element));
  Value zeros = linalg::FillOp::create(b, zero, empty).getResult(0);
  return b.createOrFold<tensor::CastOp>(op.getX().getType(), zeros);
}

Value SumLoops::createTotals(Value count) {
  RankedTensorType type = op.getTotal().getType();
  if (Value init = op.getInit())
    return b.createOrFold<tensor::CastOp>(type, init);
  return createZeroStates(b, type, [&]() { return count; });
}

Value SumLoops::createIf(Value condition, function_ref<Value()> body,
                         Value otherwise) {
  auto ifOp = scf::IfOp::create(
      b, condition,
      [&](OpBuilder &, Location) { scf::YieldOp::create(b, body()); },
      [&](OpBuilder &, Location) { scf::YieldOp::create(b, otherwise); });
  return ifOp.getResult(0);
}

Value SumLoops::isSlot(Value slot) {
  return arith::CmpIOp::create(
      b, arith::CmpIPredicate::sge, slot,
      createIndex(b, static_cast<int64_t>(op.getFirstSlot())));
}

/// Entry `at` of `vector`; -1 where that is empty.
Value SumLoops::getEntry(Value vector, Value at) {
  Value entries = b.createOrFold<tensor::DimOp>(vector, 0);
  Value isThere = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, entries,
                                        createIndex(b, 0));
  auto load = [&]() -> Value {
    return arith::IndexCastOp::create(b, b.getIndexType(),
                                      createExtract(b, vector, at));
  };
  return createIf(isThere, load, createIndex(b, -1));
}

SumLoops::Sequence SumLoops::locate(Value n) {
  Value zero = createIndex(b, 0), cu = op.getCuSeqlens();
  Value tokens = b.createOrFold<tensor::DimOp>(op.getX(), 1);
  auto every = static_cast<int64_t>(op.getEvery());
  Sequence at = {zero, tokens, n, n, n, Value()};
  if (op.getKeepSlots()) {
    Value runs = createFloorDiv(
        b, createAdd(b, tokens, createIndex(b, every - 1)), every);
    at.entry = arith::MulIOp::create(b, n, runs);
  }
  if (op.getReadSlots()) {
    at.read = getEntry(op.getReadSlots(), n);
    at.write = getEntry(op.getWriteSlots(), n);
  }
  if (!cu)
    return at;
  Value entries = b.createOrFold<tensor::DimOp>(cu, 0);
  Value packed =
      arith::CmpIOp::create(b, arith::CmpIPredicate::ne, entries, zero);
  auto offset = [&](int64_t i, Value otherwise) {
    Value number = createAdd(b, n, createIndex(b, i));
    return createIf(packed, [&] { return getEntry(cu, number); }, otherwise);
  };
  at.start = offset(0, zero);
  at.length = createSub(b, offset(1, tokens), at.start);
  at.batch = arith::SelectOp::create(b, packed, zero, n);
  if (at.entry)
    at.entry = arith::SelectOp::create(
        b, packed, createAdd(b, createFloorDiv(b, at.start, every), n),
        at.entry);
  return at;
}

/// What the sums of one channel start from.
Value SumLoops::getStart(const Sequence &at, Value total, ValueRange row) {
  if (!op.getReadSlots())
    return createExtract(b, total, {at.read, row[0], row[1]});
  Value zero = arith::ConstantOp::create(
      b, b.getZeroAttr(op.getX().getType().getElementType()));
  return createIf(
      isSlot(at.read),
      [&] { return createExtract(b, op.getInit(), {at.read, row[0], row[1]}); },
      zero);
}

/// Stores the sum behind `token` in a pool, if a run of tokens ends there that
/// has a slot.
Value SumLoops::keep(const Sequence &at, Value token, Value sum, Value total,
                     Value head, Value channel) {
  auto every = static_cast<int64_t>(op.getEvery());
  Value next = createAdd(b, token, createIndex(b, 1));
  Value isEnd = arith::CmpIOp::create(
      b, arith::CmpIPredicate::eq, next,
      createMul(b, createFloorDiv(b, next, every), every));
  Value isLast =
      arith::CmpIOp::create(b, arith::CmpIPredicate::eq, next, at.length);
  return createIf(
      arith::OrIOp::create(b, isEnd, isLast),
      [&] {
        Value slot =
            getEntry(op.getKeepSlots(),
                     createAdd(b, at.entry, createFloorDiv(b, token, every)));
        return createIf(
            isSlot(slot),
            [&] { return createInsert(b, sum, total, {slot, head, channel}); },
            total);
      },
      total);
}

Tensors SumLoops::sumChannel(const Sequence &at, Value head, Value channel,
                             ValueRange tensors) {
  Value first = getStart(at, tensors[1], {head, channel});
  auto addToken = [&](Value i, ValueRange state) -> Tensors {
    Value token = i;
    if (op.getReverse())
      token = createSub(b, createSub(b, at.length, createIndex(b, 1)), token);
    SmallVector<Value> place = {at.batch, createAdd(b, at.start, token), head,
                                channel};
    Value sum =
        arith::AddFOp::create(b, state[2], createExtract(b, op.getX(), place));
    if (op.getWrapped())
      sum = createWrapped(b, sum);
    Value total = state[1];
    if (op.getKeepSlots())
      total = keep(at, token, sum, total, head, channel);
    return {createInsert(b, sum, state[0], place), total, sum};
  };
  Tensors summed =
      createFor(at.length, {tensors[0], tensors[1], first}, addToken);
  auto insert = [&] {
    return createInsert(b, summed[2], summed[1], {at.write, head, channel});
  };
  if (!op.getReadSlots())
    return {summed[0], insert()};
  return {summed[0], createIf(isSlot(at.write), insert, summed[1])};
}

Tensors SumLoops::build() {
  RankedTensorType type = op.getX().getType();
  Value batch = b.createOrFold<tensor::DimOp>(op.getX(), 0);
  Value count = countSequences(b, batch, op.getCuSeqlens());
  auto ofSequence = [&](Value n, ValueRange tensors) {
    Sequence at = locate(n);
    auto ofHead = [&](Value head, ValueRange tensors) {
      auto ofChannel = [&](Value channel, ValueRange tensors) {
        return sumChannel(at, head, channel, tensors);
      };
      return createFor(createIndex(b, type.getDimSize(3)), tensors, ofChannel);
    };
    return createFor(createIndex(b, type.getDimSize(2)), tensors, ofHead);
  };
  return createFor(count, {createZeros(), createTotals(count)}, ofSequence);
}

namespace {
struct LowerRunningSum : OpRewritePattern<RunningSumOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(RunningSumOp op,
                                PatternRewriter &rewriter) const override {
    rewriter.replaceOp(op, SumLoops(op, rewriter).build());
    return success();
  }
};
} // namespace

void delta::populateRunningSumPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerRunningSum>(patterns.getContext());
}
