//===- AssignPrecision.cpp - Round the operands of matmuls ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "NarrowStorage.h"
#include "OperandType.h"
#include "SplitStates.h"
#include "SplitStorage.h"

#include "wyvern/Dialect/Delta/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace mlir::wyvern::delta {
#define GEN_PASS_DEF_ASSIGNPRECISIONPASS
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::delta

using namespace mlir;
using namespace mlir::wyvern::delta;

/// True if `sum` leads to a carry by additions alone. What is rounded in its
/// summands stays in all chunks that follow.
static bool addsToCarry(Value sum) {
  return llvm::any_of(sum.getUses(), [&](OpOperand &use) {
    Operation *user = use.getOwner();
    if (auto yield = dyn_cast<YieldOp>(user))
      return use.getOperandNumber() >= yield.getOuts().size();
    auto next = dyn_cast<linalg::ContractOp>(user);
    return (isa<arith::AddFOp>(user) || (next && next.isDpsInit(&use))) &&
           addsToCarry(user->getResult(0));
  });
}

/// True for what would be exact in `type` but for the vectors and constants
/// that it was multiplied by.
static bool isScaledIn(Value value, FloatType type) {
  if (Value in = ChunkProgramOpInterface::getInOfTile(value))
    return getElementTypeOrSelf(in) == type;
  auto isSpread = [](Value factor) {
    Operation *def = factor.getDefiningOp();
    return isa_and_nonnull<linalg::BroadcastOp, arith::ConstantOp>(def);
  };
  if (auto mul = value.getDefiningOp<arith::MulFOp>())
    return (isSpread(mul.getLhs()) && isScaledIn(mul.getRhs(), type)) ||
           (isSpread(mul.getRhs()) && isScaledIn(mul.getLhs(), type));
  auto neg = value.getDefiningOp<arith::NegFOp>();
  return neg && isScaledIn(neg.getOperand(), type);
}

namespace {
/// Rounds the operands of matmuls, each value once.
class OperandRounder {
public:
  OperandRounder(OpBuilder &builder, FloatType type)
      : builder(builder), type(type) {}

  void roundOperands(ChunkRegionOpInterface op) {
    SmallVector<OpOperand *> operands = op.getRoundedOperands();
    auto narrow = llvm::map_to_vector(
        operands, [&](OpOperand *operand) { return round(operand->get()); });
    if (auto contract = dyn_cast<linalg::ContractOp>(op.getOperation()))
      return roundContract(contract, narrow);
    for (auto [operand, value] : llvm::zip_equal(operands, narrow))
      operand->set(value);
  }

  unsigned getNumRounded() const { return rounded.size(); }
  unsigned getNumSplit() const { return numSplit; }

private:
  /// The scalar body of a contraction knows its operand types: build it anew.
  void roundContract(linalg::ContractOp op, ArrayRef<Value> inputs) {
    Value sum = op.getOutputs().front();
    auto create = [&](ValueRange inputs) {
      builder.setInsertionPoint(op);
      sum =
          linalg::ContractOp::create(builder, op.getLoc(), op->getResultTypes(),
                                     inputs, sum, op.getIndexingMaps())
              .getResult(0);
    };
    if (addsToCarry(op->getResult(0)))
      for (auto [i, input] : llvm::enumerate(op.getInputs()))
        if (input.getDefiningOp() && isScaledIn(input, type)) {
          SmallVector<Value> rest(inputs);
          rest[i] = roundRemainder(input);
          create(rest);
        }
    create(inputs);
    op->getResult(0).replaceAllUsesWith(sum);
    op->erase();
  }

  /// What `round` takes away, rounded: 16 significant bits between the two.
  Value roundRemainder(Value value) {
    Value rounded = round(value);
    builder.setInsertionPointAfterValue(rounded);
    ++numSplit;
    return round(createRemainder(builder, value, rounded));
  }

  Value round(Value value) {
    auto tile = cast<RankedTensorType>(value.getType());
    if (tile.getElementTypeBitWidth() <= type.getWidth())
      return value;
    Value &narrow = rounded[value];
    if (!narrow)
      narrow = findRounded(value, tile.clone(type));
    if (!narrow) {
      builder.setInsertionPointAfterValue(value);
      narrow = arith::TruncFOp::create(builder, value.getLoc(),
                                       tile.clone(type), value);
    }
    return narrow;
  }

  /// Returns `value` in `narrow` where something else reads that already, which
  /// is moved to its place; null if nothing does.
  static Value findRounded(Value value, Type narrow) {
    for (Operation *user : value.getUsers())
      if (isa<arith::TruncFOp>(user) &&
          user->getResult(0).getType() == narrow && value.getDefiningOp()) {
        user->moveAfter(value.getDefiningOp());
        return user->getResult(0);
      }
    return {};
  }

  OpBuilder &builder;
  FloatType type;
  llvm::DenseMap<Value, Value> rounded;
  unsigned numSplit = 0;
};

struct AssignPrecisionPass
    : wyvern::delta::impl::AssignPrecisionPassBase<AssignPrecisionPass> {
  using Base::Base;

  void runOnOperation() override {
    FloatType type = readOperandType(&getContext(), operandType);
    if (!type) {
      getOperation()->emitError()
          << "expected operand-type bf16 or f16, found '" << operandType
          << "': matmul operands have 16 bits";
      return signalPassFailure();
    }
    IRRewriter rewriter(&getContext());
    // First: what it rounds needs no rounding any more.
    numSplit += splitStates(rewriter, getOperation(), type);
    OpBuilder builder(&getContext());
    OperandRounder rounder(builder, type);
    getOperation()->walk([&](ChunkRegionOpInterface op) {
      if (isa<ChunkProgramOpInterface>(op->getParentOp()))
        rounder.roundOperands(op);
    });
    numRounded += rounder.getNumRounded();
    numSplit += rounder.getNumSplit();
    getOperation()->walk([&](EraseFactorOp op) {
      numSplit += op.getBlock().has_value();
      op.setTo(type);
    });
    SmallVector<ChunkProgramOpInterface> programs;
    getOperation()->walk(
        [&](ChunkProgramOpInterface program) { programs.push_back(program); });
    for (ChunkProgramOpInterface program : programs)
      numSplit += splitOuts(rewriter, program, type);
    getOperation()->walk([&](ChunkProgramOpInterface program) {
      numNarrowed += narrowOuts(program, type);
    });
    getOperation()->walk(
        [&](func::FuncOp func) { numNarrowed += narrowResiduals(func, type); });
  }
};
} // namespace
