//===- KernelFrame.cpp - A kernel with nothing in it yet
//--------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelFrame.h"

#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;

Grid sched::getScanGrid(delta::ChunkScanOp scan) {
  Grid grid;
  delta::BindingAttr first = scan.getCarryBinding(0);
  if (first.has(delta::DimKind::chunk)) {
    grid.over = GridOver::slots;
    grid.run = first.getChunkMultiple();
  }
  return grid;
}

void sched::addPool(KernelTensors &tensors,
                    delta::ChunkProgramOpInterface program) {
  auto scan = dyn_cast<delta::ChunkScanOp>(program.getOperation());
  if (!scan || !scan.getPool())
    return;
  tensors.inits.push_back(scan.getPool());
  tensors.finals.push_back(scan.getKept());
  tensors.initBindings.push_back(scan.getPoolBinding());
}

KernelTensors sched::getTensors(delta::ChunkProgramOpInterface program) {
  KernelTensors tensors;
  tensors.ins.assign(program.getIns().begin(), program.getIns().end());
  tensors.outs.assign(program.getOuts().begin(), program.getOuts().end());
  tensors.inits.assign(program.getInits().begin(), program.getInits().end());
  tensors.finals.assign(program.getFinals().begin(), program.getFinals().end());
  for (unsigned i = 0; i < tensors.ins.size(); ++i)
    tensors.inBindings.push_back(program.getInBinding(i));
  for (unsigned i = 0; i < tensors.outs.size(); ++i)
    tensors.outBindings.push_back(program.getOutBinding(i));
  for (unsigned i = 0; i < tensors.inits.size(); ++i)
    tensors.initBindings.push_back(program.getCarryBinding(i));
  addPool(tensors, program);
  return tensors;
}

/// Has `kernel` find and keep its carries where `scan` does: in slots of pools.
static void setSlots(KernelOp kernel, delta::ChunkScanOp scan) {
  if (scan.hasSlots()) {
    kernel.getReadSlotsMutable().assign(scan.getReadSlots());
    kernel.getWriteSlotsMutable().assign(scan.getWriteSlots());
  }
  if (scan.getLengths())
    kernel.getLengthsMutable().assign(scan.getLengths());
  if (scan.getKeepSlots())
    kernel.getKeepSlotsMutable().assign(scan.getKeepSlots());
  if (scan.getSeeds())
    kernel.getSeedsMutable().assign(scan.getSeeds());
  kernel.setFirstSlot(scan.getFirstSlot());
  kernel.setElseZeros(scan.getElseZeros());
}

KernelOp sched::createKernel(OpBuilder &builder,
                             delta::ChunkProgramOpInterface program,
                             const KernelTensors &tensors, StringRef name,
                             const Grid &grid) {
  Location loc = program.getLoc();
  builder.setInsertionPoint(program);
  auto kernel = KernelOp::create(
      builder, loc, ValueRange(tensors.outs).getTypes(),
      ValueRange(tensors.finals).getTypes(), tensors.ins, tensors.inits,
      program.getCuSeqlens(), /*read_slots=*/Value(), /*write_slots=*/Value(),
      /*lengths=*/Value(), /*keep_slots=*/Value(), /*seeds=*/Value(), name,
      program.getHeads(), grid.split, grid.over, grid.run, program.getChunk(),
      program.getCompute(), grid.minBlocks,
      builder.getArrayAttr(tensors.inBindings),
      builder.getArrayAttr(tensors.initBindings),
      builder.getArrayAttr(tensors.outBindings), /*first_slot=*/0,
      /*else_zeros=*/false, grid.cluster,
      /*pairs=*/false, grid.overlaps);
  if (auto scan = dyn_cast<delta::ChunkScanOp>(program.getOperation()))
    setSlots(kernel, scan);
  Block &block = kernel.getBody().emplaceBlock();
  for (ArrayRef<Value> values :
       {ArrayRef(tensors.ins), ArrayRef(tensors.outs), ArrayRef(tensors.inits),
        ArrayRef(tensors.finals)})
    for (Value tensor : values)
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
                             /*copies=*/1, /*registers=*/IntegerAttr(),
                             /*within=*/StringAttr(), /*on_cores=*/false,
                             /*share_rows=*/IntegerAttr(), /*divided=*/false);
  builder.setInsertionPointToStart(&role.getBody().emplaceBlock());
  return role;
}

EachChunkOp sched::createEachChunk(OpBuilder &builder, Location loc,
                                   delta::Direction direction,
                                   ValueRange inits) {
  auto loop = EachChunkOp::create(builder, loc, inits.getTypes(), direction,
                                  /*overlap=*/false, inits);
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

FailureOr<delta::TileDim>
sched::requireSplitDim(delta::ChunkScanOp scan,
                       const delta::DimClasses &classes, StringRef whole) {
  if (auto dim = delta::findSplitDim(scan, classes))
    return *dim;
  return scan.emitError()
         << "every dimension of the carried state is summed over by some "
            "product of the "
         << whole
         << ", so no dimension can be split over blocks; the GPU lowering "
            "needs one that is not";
}

FailureOr<int64_t> sched::countSplitParts(delta::ChunkScanOp scan) {
  if (scan.getInits().empty())
    return scan.emitError() << "expected a carried state; use delta.chunk_map "
                               "for what is independent of the order of chunks";
  delta::DimClasses classes(
      cast<delta::ChunkProgramOpInterface>(scan.getOperation()));
  auto dim = requireSplitDim(scan, classes, "chunk");
  if (failed(dim))
    return failure();
  int64_t size =
      cast<RankedTensorType>(dim->first.getType()).getDimSize(dim->second);
  if (size % tile::kAccRows != 0)
    return scan.emitError()
           << "expected the state's value dimension to be a multiple of "
           << tile::kAccRows << " (the rows of a wgmma accumulator), found "
           << size << "; run delta-pad-dims first";
  return size / tile::kAccRows;
}

RankedTensorType sched::getLoadedType(KernelOp kernel, BlockArgument in) {
  RankedTensorType tile = kernel.getTileType(in);
  auto stored = cast<GlobalType>(in.getType()).getTensor();
  bool isVector = tile.getRank() < 2;
  return tile.clone(isVector ? Builder(kernel.getContext()).getF32Type()
                             : stored.getElementType());
}
