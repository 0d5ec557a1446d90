//===- TimeDims.cpp - Which tile dimensions are rows of a chunk -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One forward walk: bindings say it for the block arguments, and the loops of
// operations carry it from operands to results.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Analysis/TimeDims.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;
using llvm::SmallBitVector;

SmallBitVector TimeDims::get(Value tile) const {
  auto it = dims.find(tile);
  return it == dims.end() ? SmallBitVector(getTileRank(tile)) : it->second;
}

void TimeDims::set(Value tile, SmallBitVector bits) {
  dims[tile] = std::move(bits);
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

/// A loop runs over rows by definition, or if it does over those of an operand.
void TimeDims::addOp(ChunkRegionOpInterface op) {
  for (Value result : op->getResults())
    set(result, SmallBitVector(getTileRank(result)));
  for (const TileLoop &loop : op.getLoops()) {
    if (!loop.isTime && llvm::none_of(loop.dims, [&](TileDim dim) {
          return get(dim.first).test(dim.second);
        }))
      continue;
    for (auto [tile, dim] : loop.dims)
      if (tile.getDefiningOp() == op)
        dims[tile].set(dim);
  }
}

void TimeDims::addBlock(Block &block) {
  for (Operation &op : block)
    if (auto tileOp = dyn_cast<ChunkRegionOpInterface>(op))
      addOp(tileOp);
}

TimeDims::TimeDims(ChunkProgramOpInterface program) {
  for (unsigned i = 0; i < program.getIns().size(); ++i)
    set(program.getInArg(i), ofBinding(program.getInBinding(i)));
  addBlock(program.getBlock());
}
