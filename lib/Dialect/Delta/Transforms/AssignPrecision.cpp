//===- AssignPrecision.cpp - Round the operands of matmuls ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "NarrowStorage.h"

#include "wyvern/Dialect/Delta/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace mlir::wyvern::delta {
#define GEN_PASS_DEF_ASSIGNPRECISIONPASS
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::delta

using namespace mlir;
using namespace mlir::wyvern::delta;

namespace {
/// Rounds the operands of matmuls, each value once.
class OperandRounder {
public:
  OperandRounder(OpBuilder &builder, FloatType type)
      : builder(builder), type(type) {}

  void roundOperands(Operation *op) {
    if (auto contract = dyn_cast<linalg::ContractOp>(op))
      return roundContract(contract);
    if (auto dot = dyn_cast<DecayDotOp>(op)) {
      dot.getAMutable().set(round(dot.getA()));
      dot.getBMutable().set(round(dot.getB()));
    } else if (auto apply = dyn_cast<DecayApplyOp>(op)) {
      apply.getMMutable().set(round(apply.getM()));
      apply.getXMutable().set(round(apply.getX()));
    }
  }

  unsigned getNumRounded() const { return rounded.size(); }

private:
  /// The scalar body of a contraction knows its operand types: build it anew.
  void roundContract(linalg::ContractOp op) {
    auto inputs = llvm::map_to_vector(
        op.getInputs(), [&](Value input) { return round(input); });
    builder.setInsertionPoint(op);
    auto rounded = linalg::ContractOp::create(
        builder, op.getLoc(), op->getResultTypes(), inputs, op.getOutputs(),
        op.getIndexingMaps());
    op->replaceAllUsesWith(rounded);
    op->erase();
  }

  Value round(Value value) {
    auto tile = cast<RankedTensorType>(value.getType());
    if (tile.getElementTypeBitWidth() <= type.getWidth())
      return value;
    Value &narrow = rounded[value];
    if (!narrow) {
      builder.setInsertionPointAfterValue(value);
      narrow = arith::TruncFOp::create(builder, value.getLoc(),
                                       tile.clone(type), value);
    }
    return narrow;
  }

  OpBuilder &builder;
  FloatType type;
  llvm::DenseMap<Value, Value> rounded;
};

struct AssignPrecisionPass
    : wyvern::delta::impl::AssignPrecisionPassBase<AssignPrecisionPass> {
  using Base::Base;

  void runOnOperation() override {
    FloatType type = llvm::StringSwitch<FloatType>(operandType)
                         .Case("bf16", BFloat16Type::get(&getContext()))
                         .Case("f16", Float16Type::get(&getContext()))
                         .Default(nullptr);
    if (!type) {
      getOperation()->emitError()
          << "expected operand-type bf16 or f16, found '" << operandType
          << "': matmul operands have 16 bits";
      return signalPassFailure();
    }
    OpBuilder builder(&getContext());
    OperandRounder rounder(builder, type);
    getOperation()->walk([&](Operation *op) {
      if (isa_and_nonnull<ChunkProgramOpInterface>(op->getParentOp()))
        rounder.roundOperands(op);
    });
    numRounded += rounder.getNumRounded();
    getOperation()->walk([&](ChunkProgramOpInterface program) {
      numNarrowed += narrowOuts(program, type);
    });
    getOperation()->walk(
        [&](func::FuncOp func) { numNarrowed += narrowResiduals(func, type); });
  }
};
} // namespace
