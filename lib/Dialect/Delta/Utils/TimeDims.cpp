//===- TimeDims.cpp - Which tile dimensions are rows of a chunk -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One forward walk: bindings say it for the block arguments, indexing maps
// carry it through linalg, and the chunk ops of the dialect have rows by
// definition.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Utils/TimeDims.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;
using llvm::SmallBitVector;

static SmallBitVector noDims(Value tile) {
  auto type = dyn_cast<RankedTensorType>(tile.getType());
  return SmallBitVector(type ? type.getRank() : 0);
}

SmallBitVector TimeDims::get(Value tile) const {
  auto it = dims.find(tile);
  return it == dims.end() ? noDims(tile) : it->second;
}

/// The tile of a bound operand keeps `time` and `_`, in their order.
static SmallBitVector ofBinding(BindingAttr binding) {
  SmallBitVector bits;
  for (BoundDim dim : binding.getDims()) {
    if (dim.kind != DimKind::time && dim.kind != DimKind::whole)
      continue;
    bits.resize(bits.size() + 1);
    bits[bits.size() - 1] = dim.kind == DimKind::time;
  }
  return bits;
}

/// A loop of `op` runs over rows if a row dimension of some operand is mapped
/// to it.
static SmallBitVector ofLinalg(linalg::LinalgOp op, OpResult result,
                               const TimeDims &dims) {
  SmallBitVector loops(op.getNumLoops());
  for (OpOperand &operand : op->getOpOperands()) {
    SmallBitVector bits = dims.get(operand.get());
    AffineMap map = op.getMatchingIndexingMap(&operand);
    for (unsigned i : bits.set_bits())
      if (auto loop = dyn_cast<AffineDimExpr>(map.getResult(i)))
        loops.set(loop.getPosition());
  }
  SmallBitVector bits = noDims(result);
  AffineMap map = op.getIndexingMapMatchingResult(result);
  for (unsigned i = 0; i < bits.size(); ++i)
    if (auto loop = dyn_cast<AffineDimExpr>(map.getResult(i)))
      bits[i] = loops[loop.getPosition()];
  return bits;
}

/// Rows in dimension 0, and in dimension 1 too for a square factor of a chunk.
static SmallBitVector rows(Value tile, bool square) {
  SmallBitVector bits = noDims(tile);
  bits.set(0);
  if (square)
    bits.set(1);
  return bits;
}

static SmallBitVector ofResult(OpResult result, const TimeDims &dims) {
  Operation *op = result.getOwner();
  return llvm::TypeSwitch<Operation *, SmallBitVector>(op)
      .Case([&](linalg::LinalgOp linalg) {
        return ofLinalg(linalg, result, dims);
      })
      .Case<DecayDotOp, DecayMaskOp, EraseFactorOp>(
          [&](auto) { return rows(result, /*square=*/true); })
      .Case<DecayApplyOp, EraseSolveOp, EraseSolveAdjointOp>(
          [&](auto) { return rows(result, /*square=*/false); })
      .Case<CumsumOp, MaskRowsOp, RepeatRowsOp, SumRowsOp>(
          [&](auto) { return rows(result, /*square=*/false); })
      .Default([&](Operation *other) {
        // Same-shape arithmetic: a dimension of any operand. Constants and the
        // like have no operands and no rows of their own.
        SmallBitVector bits = noDims(result);
        if (other->hasTrait<OpTrait::Elementwise>())
          for (Value operand : other->getOperands())
            bits |= dims.get(operand);
        return bits;
      });
}

TimeDims::TimeDims(ChunkProgramOpInterface program) {
  for (unsigned i = 0; i < program.getIns().size(); ++i)
    dims[program.getInArg(i)] = ofBinding(program.getInBinding(i));
  for (Operation &op : program.getBlock().without_terminator())
    for (OpResult result : op.getResults()) {
      SmallBitVector bits = ofResult(result, *this);
      dims[result] = std::move(bits);
    }
}
