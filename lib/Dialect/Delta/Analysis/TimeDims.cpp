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

int64_t TimeDims::getRows(Value tile, int64_t dim) const {
  auto it = dims.find(tile);
  return it == dims.end() ? 0 : it->second[dim];
}

SmallBitVector TimeDims::get(Value tile) const {
  SmallBitVector bits(getTileRank(tile));
  for (int64_t dim = 0; dim < getTileRank(tile); ++dim)
    bits[dim] = getRows(tile, dim) != 0;
  return bits;
}

void TimeDims::set(Value tile, SmallVector<int64_t> rows) {
  dims[tile] = std::move(rows);
}

/// The tile of a bound operand keeps `time` and `_`, in their order.
static SmallVector<int64_t> ofBinding(BindingAttr binding) {
  SmallVector<int64_t> rows;
  for (BoundDim dim : binding.getDims())
    if (dim.kind == DimKind::time || dim.kind == DimKind::whole)
      rows.push_back(dim.kind == DimKind::time ? dim.getRowsOfToken() : 0);
  return rows;
}

/// Returns the rows a token of what `op` makes of a tile with `rows`.
static int64_t changeRows(Operation *op, int64_t rows) {
  if (rows == TimeDims::kUnknown)
    return rows;
  if (auto repeat = dyn_cast<RepeatRowsOp>(op))
    return rows * static_cast<int64_t>(repeat.getN());
  if (auto sum = dyn_cast<SumRowsOp>(op))
    return rows / static_cast<int64_t>(sum.getN());
  return rows;
}

/// A loop runs over rows by definition, or if it does over those of an operand.
void TimeDims::addOp(ChunkRegionOpInterface op) {
  for (Value result : op->getResults())
    set(result, SmallVector<int64_t>(getTileRank(result), 0));
  for (const TileLoop &loop : op.getLoops()) {
    int64_t rows = loop.isTime ? kUnknown : 0;
    for (auto [tile, dim] : loop.dims)
      if (int64_t known = getRows(tile, dim); known != 0 && rows <= 0)
        rows = known;
    if (rows == 0)
      continue;
    for (auto [tile, dim] : loop.dims)
      if (tile.getDefiningOp() == op)
        dims[tile][dim] = changeRows(op, rows);
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
