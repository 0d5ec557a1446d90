//===- DividedWork.cpp - What blocks of a cluster can divide --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Sched/Analysis/DividedWork.h"

#include "wyvern/Dialect/Sched/Analysis/PartialSums.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;

bool sched::canDivideColumns(Value stored, ArrayRef<Operation *> ops,
                             ValueRange put, int64_t blocks,
                             const delta::DimClasses &classes) {
  if (delta::getTileRank(stored) != 2)
    return false;
  delta::TileDim columns{stored, 1};
  auto has = [&](Value tile) {
    return llvm::any_of(
        llvm::seq<int64_t>(delta::getTileRank(tile)),
        [&](int64_t dim) { return classes.meets({tile, dim}, columns); });
  };
  auto mixes = [&](Operation *op) {
    return classes.mixes(op, columns) && !isSum(op);
  };
  int64_t size = cast<RankedTensorType>(stored.getType()).getDimSize(1);
  return size % (blocks * tile::kBlockColumns) == 0 &&
         !classes.isUniform(columns) && llvm::none_of(ops, mixes) &&
         llvm::none_of(put, has);
}

std::optional<delta::TileDim>
sched::findDividedDim(RoleOp role, const delta::DimClasses &classes) {
  if (!role.getDivided())
    return std::nullopt;
  auto blocks =
      static_cast<int64_t>(role->getParentOfType<KernelOp>().getSplit());
  Block &block = role.getEachChunk().getBlock();
  auto ops = llvm::to_vector(llvm::make_pointer_range(block));
  SmallVector<Value> put;
  for (auto op : block.getOps<PutOp>())
    llvm::append_range(put, op.getTiles());
  for (auto store : block.getOps<StoreOp>())
    if (canDivideColumns(store.getTile(), ops, put, blocks, classes))
      return delta::TileDim{store.getTile(), 1};
  return std::nullopt;
}
