//===- SizeClasses.cpp - Dimensions that are of one size ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SizeClasses.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

void delta::forEachTileDim(
    BindingAttr binding, function_ref<void(BoundDim, size_t, int64_t)> visit) {
  int64_t inTile = 0;
  for (auto [i, dim] : llvm::enumerate(binding.getDims()))
    if (dim.kind == DimKind::whole || dim.kind == DimKind::time)
      visit(dim, i, inTile++);
}

static void separateUses(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (op.use_empty() || (!op.hasTrait<OpTrait::ConstantLike>() &&
                           !isa<tensor::EmptyOp, linalg::FillOp>(op)))
      continue;
    OpBuilder builder(&op);
    for (OpOperand &use : llvm::make_early_inc_range(
             llvm::drop_begin(op.getResult(0).getUses())))
      use.set(builder.clone(op)->getResult(0));
  }
}

SizeClasses::SizeClasses(ChunkProgramOpInterface program) {
  separateUses(program.getBlock());
  for (Operation &op : program.getBlock()) {
    if (auto tileOp = dyn_cast<ChunkRegionOpInterface>(op))
      for (const TileLoop &loop : tileOp.getLoops())
        for (TileDim dim : loop.dims)
          join(loop.dims.front(), dim);
    // What is not read still has the shape of the result.
    if (auto dest = dyn_cast<DestinationStyleOpInterface>(op))
      for (OpOperand &init : dest.getDpsInitsMutable())
        for (int64_t d = 0; d < getTileRank(init.get()); ++d)
          join({init.get(), d}, {dest.getTiedOpResult(&init), d});
  }
}

std::optional<unsigned> SizeClasses::find(TileDim dim) const {
  auto it = numbers.find(dim);
  if (it == numbers.end())
    return std::nullopt;
  return classes.getLeaderValue(it->second);
}

unsigned SizeClasses::number(TileDim dim) {
  auto [it, isNew] =
      numbers.try_emplace(dim, static_cast<unsigned>(numbers.size()));
  if (isNew)
    classes.insert(it->second);
  return it->second;
}
