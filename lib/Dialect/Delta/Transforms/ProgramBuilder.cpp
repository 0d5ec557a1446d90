//===- ProgramBuilder.cpp - A chunk program from parts of another ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProgramBuilder.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

void ProgramBuilder::addIn(Value tile, Value tensor, BindingAttr binding) {
  inTiles.push_back(tile);
  ins.push_back(tensor);
  inBindings.push_back(binding);
}

void ProgramBuilder::addOut(Value tile, TileStorage storage) {
  outTiles.push_back(tile);
  outTypes.push_back(storage.type);
  outBindings.push_back(storage.binding);
}

void ProgramBuilder::addProgramOut(unsigned i) {
  addOut(program.getYield().getOuts()[i],
         {cast<RankedTensorType>(program.getOuts()[i].getType()),
          program.getOutBinding(i)});
}

/// The scan's ins that are read, in front of the others. The tokens are counted
/// on an in, so there is one with a time dimension even if nothing reads it.
void ProgramBuilder::addProgramIns() {
  llvm::SmallDenseSet<Value> read(outTiles.begin(), outTiles.end());
  for (Operation *op : ops)
    read.insert(op->operand_begin(), op->operand_end());
  unsigned numIns = program.getIns().size();
  llvm::SmallBitVector used(numIns);
  bool lengthKnown = false;
  for (unsigned i = 0; i < numIns; ++i) {
    used[i] = read.contains(program.getInArg(i));
    lengthKnown |= used[i] && program.getInBinding(i).has(DimKind::time);
  }
  for (unsigned i = 0; i < numIns && !lengthKnown; ++i)
    if (program.getInBinding(i).has(DimKind::time))
      lengthKnown = used[i] = true;

  SmallVector<Value> tiles, tensors;
  SmallVector<Attribute> bindings;
  for (unsigned i : used.set_bits()) {
    tiles.push_back(program.getInArg(i));
    tensors.push_back(program.getIns()[i]);
    bindings.push_back(program.getInBinding(i));
  }
  inTiles.insert(inTiles.begin(), tiles.begin(), tiles.end());
  ins.insert(ins.begin(), tensors.begin(), tensors.end());
  inBindings.insert(inBindings.begin(), bindings.begin(), bindings.end());
}

void ProgramBuilder::buildBody(RewriterBase &rewriter, Region &body,
                               ValueRange carryArgs, ValueRange carries) {
  OpBuilder::InsertionGuard guard(rewriter);
  Block *block = rewriter.createBlock(&body);
  IRMapping mapping;
  auto addArg = [&](Value old) {
    mapping.map(old, block->addArgument(old.getType(), old.getLoc()));
  };
  addArg(program.getValid());
  llvm::for_each(inTiles, addArg);
  llvm::for_each(carryArgs, addArg);
  for (Operation *op : ops)
    rewriter.clone(*op, mapping);
  auto map = [&](ValueRange tiles) {
    return llvm::map_to_vector(
        tiles, [&](Value tile) { return mapping.lookup(tile); });
  };
  YieldOp::create(rewriter, program.getYield().getLoc(), map(outTiles),
                  map(carries));
}

ChunkMapOp ProgramBuilder::createMap(RewriterBase &rewriter) {
  addProgramIns();
  auto create = [&](auto op) {
    return ChunkMapOp::create(
        rewriter, op.getLoc(), outTypes, ins, op.getCuSeqlens(),
        op.getChunkAttr(), op.getHeadsAttr(), op.getComputeAttr(),
        rewriter.getArrayAttr(inBindings), rewriter.getArrayAttr(outBindings));
  };
  auto scan = dyn_cast<ChunkScanOp>(program.getOperation());
  ChunkMapOp map =
      scan ? create(scan) : create(cast<ChunkMapOp>(program.getOperation()));
  buildBody(rewriter, map.getBody(), {}, {});
  return map;
}

ChunkScanOp ProgramBuilder::createScan(RewriterBase &rewriter) {
  addProgramIns();
  auto scan = cast<ChunkScanOp>(program.getOperation());
  auto chain = ChunkScanOp::create(
      rewriter, scan.getLoc(), outTypes, scan.getFinals().getTypes(), ins,
      scan.getInits(), scan.getCuSeqlens(), scan.getDirectionAttr(),
      scan.getChunkAttr(), scan.getHeadsAttr(), scan.getComputeAttr(),
      rewriter.getArrayAttr(inBindings), scan.getCarryBindings(),
      rewriter.getArrayAttr(outBindings));
  ValueRange carryArgs =
      scan.getBlock().getArguments().drop_front(1 + scan.getIns().size());
  chain.setSlots(scan);
  buildBody(rewriter, chain.getBody(), carryArgs, scan.getYield().getCarries());
  chain->setDiscardableAttrs(scan->getDiscardableAttrDictionary());
  return chain;
}

SmallVector<Operation *>
delta::inOrder(ChunkProgramOpInterface program,
               const llvm::SmallPtrSetImpl<Operation *> &set) {
  SmallVector<Operation *> ops;
  for (Operation &op : program.getBlock().without_terminator())
    if (set.contains(&op))
      ops.push_back(&op);
  return ops;
}

SmallVector<Operation *> delta::sliceOf(ChunkProgramOpInterface program,
                                        ValueRange values) {
  llvm::SmallPtrSet<Operation *, 32> slice;
  SmallVector<Value> worklist(values);
  while (!worklist.empty())
    if (Operation *def = worklist.pop_back_val().getDefiningOp();
        def && slice.insert(def).second)
      worklist.append(def->operand_begin(), def->operand_end());
  return inOrder(program, slice);
}
