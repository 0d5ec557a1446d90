//===- KernelFrame.cpp - A kernel with nothing in it yet
//--------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelFrame.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;

/// Returns the bindings that `get` tells of `count` operands.
static ArrayAttr
collectBindings(Builder &builder, size_t count,
                function_ref<delta::BindingAttr(unsigned)> get) {
  SmallVector<Attribute> bindings;
  for (unsigned i = 0; i < count; ++i)
    bindings.push_back(get(i));
  return builder.getArrayAttr(bindings);
}

KernelOp sched::createKernel(OpBuilder &builder,
                             delta::ChunkProgramOpInterface program,
                             StringRef name, const Grid &grid) {
  Location loc = program.getLoc();
  builder.setInsertionPoint(program);
  auto kernel = KernelOp::create(
      builder, loc, program.getOuts().getTypes(), program.getInits().getTypes(),
      program.getIns(), program.getInits(), program.getCuSeqlens(), name,
      program.getHeads(), grid.split, grid.over, grid.run, program.getChunk(),
      program.getCompute(), grid.minBlocks,
      collectBindings(builder, program.getIns().size(),
                      [&](unsigned i) { return program.getInBinding(i); }),
      collectBindings(builder, program.getInits().size(),
                      [&](unsigned i) { return program.getCarryBinding(i); }),
      collectBindings(builder, program.getOuts().size(),
                      [&](unsigned i) { return program.getOutBinding(i); }));
  Block &block = kernel.getBody().emplaceBlock();
  for (ValueRange tensors : {program.getIns(), program.getOuts(),
                             program.getInits(), program.getFinals()})
    for (Value tensor : tensors)
      block.addArgument(
          GlobalType::get(builder.getContext(),
                          cast<RankedTensorType>(tensor.getType())),
          tensor.getLoc());
  return kernel;
}

RoleOp sched::createRole(OpBuilder &builder, KernelOp kernel, StringRef name,
                         int64_t warps) {
  builder.setInsertionPointToEnd(&kernel.getBlock());
  auto role = RoleOp::create(builder, kernel.getLoc(), name, warps, /*split=*/1,
                             /*copies=*/1, /*registers=*/IntegerAttr());
  builder.setInsertionPointToStart(&role.getBody().emplaceBlock());
  return role;
}

EachChunkOp sched::createEachChunk(OpBuilder &builder, Location loc,
                                   delta::Direction direction,
                                   ValueRange inits) {
  auto loop =
      EachChunkOp::create(builder, loc, inits.getTypes(), direction, inits);
  Block &block = loop.getBody().emplaceBlock();
  block.addArgument(builder.getIndexType(), loc);
  for (Value init : inits)
    block.addArgument(init.getType(), init.getLoc());
  builder.setInsertionPointToEnd(&block);
  return loop;
}

delta::Direction sched::getDirection(delta::ChunkProgramOpInterface program) {
  auto scan = dyn_cast<delta::ChunkScanOp>(program.getOperation());
  return scan ? scan.getDirection() : delta::Direction::forward;
}

RankedTensorType sched::getLoadedType(KernelOp kernel, BlockArgument in) {
  RankedTensorType tile = kernel.getTileType(in);
  auto stored = cast<GlobalType>(in.getType()).getTensor();
  bool isVector = tile.getRank() < 2;
  return tile.clone(isVector ? Builder(kernel.getContext()).getF32Type()
                             : stored.getElementType());
}
