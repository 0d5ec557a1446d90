//===- SplitDim.cpp - The dimension that a recurrence splits along --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Analysis/SplitDim.h"

#include "wyvern/Dialect/Delta/Analysis/CarryDependence.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// Returns the operations that lie between a carry and the next one.
static llvm::SmallPtrSet<Operation *, 32> findRecurrence(ChunkScanOp scan) {
  auto program = cast<ChunkProgramOpInterface>(scan.getOperation());
  CarryDependence dependence(program);
  llvm::SmallPtrSet<Operation *, 32> recurrence;
  SmallVector<Value> worklist(scan.getYield().getCarries());
  while (!worklist.empty()) {
    Operation *def = worklist.pop_back_val().getDefiningOp();
    if (def && dependence.reaches(def) && recurrence.insert(def).second)
      worklist.append(def->operand_begin(), def->operand_end());
  }
  return recurrence;
}

/// Returns the region's tile of the first carry that is a matrix.
static Value findMatrixCarry(ChunkScanOp scan) {
  for (unsigned i = 0; i < scan.getInits().size(); ++i)
    if (getTileRank(scan.getCarryArg(i)) == 2)
      return scan.getCarryArg(i);
  return {};
}

std::optional<TileDim> delta::findUnmixedDim(Value tile,
                                             ArrayRef<Operation *> ops,
                                             const DimClasses &classes) {
  for (int64_t dim = getTileRank(tile) - 1; dim >= 0; --dim)
    if (llvm::none_of(
            ops, [&](Operation *op) { return classes.mixes(op, {tile, dim}); }))
      return TileDim{tile, dim};
  return std::nullopt;
}

std::optional<TileDim> delta::findSplitDim(ChunkScanOp scan,
                                           const DimClasses &classes) {
  Value carry = findMatrixCarry(scan);
  if (!carry)
    return std::nullopt;
  auto all = llvm::to_vector(llvm::make_pointer_range(scan.getBlock()));
  if (std::optional<TileDim> dim = findUnmixedDim(carry, all, classes))
    return dim;
  auto recurrence = llvm::to_vector(findRecurrence(scan));
  return findUnmixedDim(carry, recurrence, classes);
}
