//===- RunningSumToLoops.cpp - running_sum to loops -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"
#include "TensorLoops.h"

#include "wyvern/Dialect/Delta/Utils/Sequences.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// `angle` less a multiple of 2 pi, between -pi and pi.
static Value wrap(ImplicitLocOpBuilder &b, Value angle) {
  auto number = [&](double value) -> Value {
    return arith::ConstantOp::create(b, b.getFloatAttr(angle.getType(), value));
  };
  Value turns = math::RoundEvenOp::create(
      b, arith::MulFOp::create(b, angle, number(0.5 * llvm::numbers::inv_pi)));
  Value whole = arith::MulFOp::create(b, turns, number(2 * llvm::numbers::pi));
  return arith::SubFOp::create(b, angle, whole);
}

namespace {
/// A loop over sequences, heads and channels, and one over tokens in it, which
/// go through the sums and the totals.
struct LowerRunningSum : OpRewritePattern<RunningSumOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(RunningSumOp op,
                                PatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value batch = b.createOrFold<tensor::DimOp>(op.getX(), 0);
    Value count = countSequences(b, batch, op.getCuSeqlens());
    auto all = createFor(
        b, count, {createZeros(b, op), createTotals(b, op, count)},
        [&](Value n, ValueRange tensors) { return sumOne(b, op, n, tensors); });
    rewriter.replaceOp(op, all);
    return success();
  }

private:
  using Tensors = SmallVector<Value>;

  static Tensors createFor(ImplicitLocOpBuilder &b, Value upper,
                           ValueRange inits,
                           function_ref<Tensors(Value, ValueRange)> body) {
    auto loop = scf::ForOp::create(b, createIndex(b, 0), upper,
                                   createIndex(b, 1), inits);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    scf::YieldOp::create(
        b, body(loop.getInductionVar(), loop.getRegionIterArgs()));
    return loop.getResults();
  }

  static Value createZeros(ImplicitLocOpBuilder &b, RunningSumOp op) {
    Type element = op.getX().getType().getElementType();
    Value empty = tensor::EmptyOp::create(
        b, tensor::getMixedSizes(b, b.getLoc(), op.getX()), element);
    Value zero = arith::ConstantOp::create(b, b.getZeroAttr(element));
    Value zeros = linalg::FillOp::create(b, zero, empty).getResult(0);
    return b.createOrFold<tensor::CastOp>(op.getX().getType(), zeros);
  }

  static Value createTotals(ImplicitLocOpBuilder &b, RunningSumOp op,
                            Value count) {
    RankedTensorType type = op.getTotal().getType();
    if (Value init = op.getInit())
      return b.createOrFold<tensor::CastOp>(type, init);
    return createZeroStates(b, type, [&]() { return count; });
  }

  /// First token, length and batch row of sequence `n`.
  static std::tuple<Value, Value, Value> locate(ImplicitLocOpBuilder &b,
                                                RunningSumOp op, Value n) {
    Value zero = createIndex(b, 0), cu = op.getCuSeqlens();
    Value tokens = b.createOrFold<tensor::DimOp>(op.getX(), 1);
    if (!cu)
      return {zero, tokens, n};
    Value entries = b.createOrFold<tensor::DimOp>(cu, 0);
    Value packed =
        arith::CmpIOp::create(b, arith::CmpIPredicate::ne, entries, zero);
    auto extract = [&](Value at) -> Value {
      return arith::IndexCastOp::create(b, b.getIndexType(),
                                        createExtract(b, cu, at));
    };
    auto range = scf::IfOp::create(
        b, packed,
        [&](OpBuilder &, Location) {
          Value start = extract(n);
          Value end = extract(createAdd(b, n, createIndex(b, 1)));
          scf::YieldOp::create(b, {start, createSub(b, end, start)});
        },
        [&](OpBuilder &, Location) {
          scf::YieldOp::create(b, {zero, tokens});
        });
    Value row = arith::SelectOp::create(b, packed, zero, n);
    return {range.getResult(0), range.getResult(1), row};
  }

  static Tensors sumOne(ImplicitLocOpBuilder &b, RunningSumOp op, Value n,
                        ValueRange tensors) {
    auto [start, length, row] = locate(b, op, n);
    RankedTensorType type = op.getX().getType();
    auto ofHead = [&, start = start, length = length,
                   row = row](Value h, ValueRange tensors) {
      return createFor(
          b, createIndex(b, type.getDimSize(3)), tensors,
          [&](Value d, ValueRange tensors) -> Tensors {
            Value first = createExtract(b, tensors[1], {n, h, d});
            Tensors summed = createFor(
                b, length, {tensors[0], first},
                [&](Value i, ValueRange state) -> Tensors {
                  if (op.getReverse())
                    i = createSub(b, createSub(b, length, createIndex(b, 1)),
                                  i);
                  SmallVector<Value> at = {row, createAdd(b, start, i), h, d};
                  Value sum = arith::AddFOp::create(
                      b, state[1], createExtract(b, op.getX(), at));
                  if (op.getWrapped())
                    sum = wrap(b, sum);
                  return {createInsert(b, sum, state[0], at), sum};
                });
            return {summed[0],
                    createInsert(b, summed[1], tensors[1], {n, h, d})};
          });
    };
    return createFor(b, createIndex(b, type.getDimSize(2)), tensors, ofHead);
  }
};
} // namespace

void delta::populateRunningSumPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerRunningSum>(patterns.getContext());
}
