//===- AssignPrecision.cpp - Round the operands of matmuls ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

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
    SmallVector<Operation *> programs;
    getOperation()->walk([&](Operation *op) {
      if (isa<ChunkScanOp, ChunkMapOp>(op))
        programs.push_back(op);
      if (isa_and_nonnull<ChunkScanOp, ChunkMapOp>(op->getParentOp()))
        rounder.roundOperands(op);
    });
    numRounded += rounder.getNumRounded();
    for (Operation *program : programs)
      narrowOuts(program, type);
  }

private:
  void narrowOuts(Operation *program, FloatType type);
};
} // namespace

/// The tile that a chunk program sees of one of its ins; null for other
/// operands.
static BlockArgument getTileOf(OpOperand &use) {
  Operation *program = use.getOwner();
  unsigned i = use.getOperandNumber();
  if (auto scan = dyn_cast<ChunkScanOp>(program))
    return i < scan.getIns().size() ? scan.getInArg(i) : BlockArgument();
  if (auto map = dyn_cast<ChunkMapOp>(program))
    return i < map.getIns().size() ? map.getInArg(i) : BlockArgument();
  return {};
}

/// True if all that is ever read of `tensor` are its elements rounded to
/// `type`.
static bool isReadRoundedOnly(Value tensor, FloatType type) {
  return !tensor.use_empty() &&
         llvm::all_of(tensor.getUses(), [&](OpOperand &use) {
           BlockArgument tile = getTileOf(use);
           return tile && llvm::all_of(tile.getUsers(), [&](Operation *user) {
                    return isa<arith::TruncFOp>(user) &&
                           getElementTypeOrSelf(user->getResult(0)) == type;
                  });
         });
}

/// Stores what is read rounded as rounded: the conversion at the program's exit
/// then rounds, and the reader's truncf is exact.
void AssignPrecisionPass::narrowOuts(Operation *program, FloatType type) {
  ResultRange outs = isa<ChunkMapOp>(program)
                         ? cast<ChunkMapOp>(program).getOuts()
                         : cast<ChunkScanOp>(program).getOuts();
  for (Value out : outs) {
    auto tensor = cast<RankedTensorType>(out.getType());
    if (tensor.getElementTypeBitWidth() <= type.getWidth() ||
        !isReadRoundedOnly(out, type))
      continue;
    out.setType(tensor.clone(type));
    ++numNarrowed;
  }
}
