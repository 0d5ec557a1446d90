//===- RecurrenceCanonicalize.cpp - Simpler forms of a recurrence ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a spec spells out and a recurrence does not need: zeros, constant rates,
// steps that do nothing, sequences without tokens.
//
//===----------------------------------------------------------------------===//

#include "DropEmptyCuSeqlens.h"
#include "wyvern/Dialect/Delta/IR/Delta.h"
#include "wyvern/Dialect/Delta/IR/Splat.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

/// True for an operand that is there and zero.
static bool isGivenZero(Value value) { return value && isZero(value); }

/// True if a static size says that there are no tokens at all.
static bool hasNoTokens(RecurrenceOp op) {
  ArrayRef<int64_t> shape = op.getQuery().getType().getShape();
  return shape[0] == 0 || shape[1] == 0;
}

//===----------------------------------------------------------------------===//
// Operands that mean what their absence means
//===----------------------------------------------------------------------===//

namespace {
/// exp(0) = 1: no decay. A step that reads before the decay may then read the
/// current state only if no step of its token comes before it.
struct DropZeroDecay : OpRewritePattern<RecurrenceOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(RecurrenceOp op,
                                PatternRewriter &rewriter) const override {
    if (!isGivenZero(op.getDecay()))
      return rewriter.notifyMatchFailure(op, "no decay that is known to be 0");
    SmallVector<Attribute> steps;
    for (auto [i, step] : llvm::enumerate(op.getStepList())) {
      if (step.beforeDecay && (i > 0 || step.repeat > 1))
        return rewriter.notifyMatchFailure(
            op, "a step reads the state from before an earlier step");
      step.beforeDecay = false;
      steps.push_back(step.getAttr(op.getContext()));
    }
    rewriter.modifyOpInPlace(op, [&] {
      op.getDecayMutable().clear();
      op.setStepsAttr(rewriter.getArrayAttr(steps));
    });
    return success();
  }
};

struct DropZeroInitialState : OpRewritePattern<RecurrenceOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(RecurrenceOp op,
                                PatternRewriter &rewriter) const override {
    if (!isGivenZero(op.getInitialState()))
      return rewriter.notifyMatchFailure(op, "no initial state known to be 0");
    rewriter.modifyOpInPlace(op, [&] { op.getInitialStateMutable().clear(); });
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

/// Constant rates become attributes; terms that are zero go, and steps of which
/// nothing is left.
struct SimplifySteps : OpRewritePattern<RecurrenceOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(RecurrenceOp op,
                                PatternRewriter &rewriter) const override {
    SmallVector<Value> operands;
    SmallVector<Attribute> steps;
    for (RecurrenceOp::Step step : op.getStepList()) {
      simplify(step);
      if (!step.erase && !step.value && !step.written)
        continue;
      for (Value operand :
           {step.write, step.erase, step.value, step.written, step.rate})
        if (operand)
          operands.push_back(operand);
      steps.push_back(step.getAttr(op.getContext()));
    }
    if (steps == op.getSteps().getValue())
      return rewriter.notifyMatchFailure(op,
                                         "every step is as simple as can be");
    rewriter.modifyOpInPlace(op, [&] {
      op.getStepOperandsMutable().assign(operands);
      op.setStepsAttr(rewriter.getArrayAttr(steps));
    });
    return success();
  }

private:
  static void simplify(RecurrenceOp::Step &step) {
    if (step.rate)
      if (std::optional<double> rate = getSplat(step.rate)) {
        step.constantRate = *rate;
        step.rate = {};
      }
    bool noRate = !step.rate && step.constantRate == 0.0;
    bool noWrite = isGivenZero(step.write);
    if (noRate || noWrite || isGivenZero(step.erase))
      step.erase = {};
    if (noRate || noWrite || isGivenZero(step.value))
      step.value = {};
    if (noWrite || isGivenZero(step.written))
      step.written = {};
    if (!step.erase)
      step.beforeDecay = false;
    if (!step.erase && !step.value) { // the rate multiplies nothing
      step.rate = {};
      step.constantRate = 1.0;
    }
  }
};

//===----------------------------------------------------------------------===//
// Results that are known
//===----------------------------------------------------------------------===//

/// Zeros of `type`, whose dynamic sizes are those of `like`.
static Value createZeros(PatternRewriter &rewriter, Location loc,
                         RankedTensorType type, Value like) {
  SmallVector<Value> sizes;
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (type.isDynamicDim(i))
      sizes.push_back(tensor::DimOp::create(rewriter, loc, like, i));
  Value zero = arith::ConstantOp::create(
      rewriter, loc, rewriter.getZeroAttr(type.getElementType()));
  Value empty = tensor::EmptyOp::create(rewriter, loc, type, sizes);
  return linalg::FillOp::create(rewriter, loc, zero, empty)->getResult(0);
}

/// The state never changes where nothing decays it and nothing writes to it.
struct ForwardUnchangedState : OpRewritePattern<RecurrenceOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(RecurrenceOp op,
                                PatternRewriter &rewriter) const override {
    if (!hasNoTokens(op) && (op.getDecay() || !op.getSteps().empty()))
      return rewriter.notifyMatchFailure(op, "a token may change the state");
    if (op.getFinalState().use_empty())
      return rewriter.notifyMatchFailure(op, "nothing reads the final state");
    Value initial = op.getInitialState();
    if (initial && initial.getType() != op.getFinalState().getType())
      return rewriter.notifyMatchFailure(op, "initial and final state differ "
                                             "in type");
    if (!initial && op.getCuSeqlens())
      return rewriter.notifyMatchFailure(
          op, "cu_seqlens alone tells how many zero states there are");
    if (!initial)
      initial = createZeros(rewriter, op.getLoc(), op.getFinalState().getType(),
                            op.getQuery());
    rewriter.replaceAllUsesWith(op.getFinalState(), initial);
    return success();
  }
};

/// The output is zero (or has no elements) without a token, a scale, or a state
/// that is ever anything but zero.
struct ForwardZeroOutput : OpRewritePattern<RecurrenceOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(RecurrenceOp op,
                                PatternRewriter &rewriter) const override {
    bool stateIsZero = op.getSteps().empty() && !op.getInitialState();
    if (!hasNoTokens(op) && !stateIsZero)
      return rewriter.notifyMatchFailure(op, "the output may not be zero");
    if (op.getOutput().use_empty())
      return rewriter.notifyMatchFailure(op, "nothing reads the output");
    rewriter.replaceAllUsesWith(
        op.getOutput(), createZeros(rewriter, op.getLoc(),
                                    op.getOutput().getType(), op.getQuery()));
    return success();
  }
};
} // namespace

void RecurrenceOp::getCanonicalizationPatterns(RewritePatternSet &results,
                                               MLIRContext *context) {
  results.add<DropZeroDecay, DropZeroInitialState,
              DropEmptyCuSeqlens<RecurrenceOp>, SimplifySteps,
              ForwardUnchangedState, ForwardZeroOutput>(context);
}
