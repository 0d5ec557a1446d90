//===- ExtendProgram.cpp - One more in or out of a chunk program ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/Utils/ExtendProgram.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

static ArrayAttr append(ArrayAttr array, Attribute attr) {
  SmallVector<Attribute> attrs(array.getValue());
  attrs.push_back(attr);
  return ArrayAttr::get(array.getContext(), attrs);
}

BlockArgument delta::addIn(RewriterBase &rewriter,
                           ChunkProgramOpInterface program, Value tensor,
                           BindingAttr binding, Type tile) {
  unsigned position = program.getIns().size();
  auto add = [&](auto op) {
    rewriter.modifyOpInPlace(op, [&] {
      op.getInsMutable().append(tensor);
      op.setInBindingsAttr(append(op.getInBindings(), binding));
    });
  };
  if (auto scan = dyn_cast<ChunkScanOp>(program.getOperation()))
    add(scan);
  else
    add(cast<ChunkMapOp>(program.getOperation()));
  return program.getBlock().insertArgument(1 + position, tile, tensor.getLoc());
}

Value delta::findOrAddIn(RewriterBase &rewriter,
                         ChunkProgramOpInterface program, Value tensor,
                         BindingAttr binding, Type tile) {
  for (auto [i, in] : llvm::enumerate(program.getIns()))
    if (in == tensor && program.getInBinding(i) == binding)
      return program.getInArg(i);
  return addIn(rewriter, program, tensor, binding, tile);
}

/// The number of results is part of an operation: it is made anew.
static Operation *createExtended(RewriterBase &rewriter, Operation *program,
                                 Type type, BindingAttr binding) {
  rewriter.setInsertionPoint(program);
  if (auto map = dyn_cast<ChunkMapOp>(program)) {
    SmallVector<Type> types(map.getOuts().getTypes());
    types.push_back(type);
    return ChunkMapOp::create(
        rewriter, map.getLoc(), types, map.getIns(), map.getCuSeqlens(),
        map.getChunkAttr(), map.getHeadsAttr(), map.getComputeAttr(),
        map.getInBindings(), append(map.getOutBindings(), binding));
  }
  auto scan = cast<ChunkScanOp>(program);
  SmallVector<Type> types(scan.getOuts().getTypes());
  types.push_back(type);
  return ChunkScanOp::create(
      rewriter, scan.getLoc(), types, scan.getFinals().getTypes(),
      scan.getPool() ? scan.getPool().getType() : Type(), scan.getIns(),
      scan.getInits(), scan.getCuSeqlens(), scan.getReadSlots(),
      scan.getWriteSlots(), scan.getLengths(), scan.getKeepSlots(),
      scan.getSeeds(), scan.getPool(), scan.getDirectionAttr(),
      scan.getChunkAttr(), scan.getHeadsAttr(), scan.getComputeAttr(),
      scan.getInBindings(), scan.getCarryBindings(),
      append(scan.getOutBindings(), binding), scan.getFirstSlotAttr(),
      scan.getElseZerosAttr());
}

Value delta::addOut(RewriterBase &rewriter, ChunkProgramOpInterface program,
                    Value tile, TileStorage storage) {
  unsigned position = program.getOuts().size();
  YieldOp yield = program.getYield();
  rewriter.modifyOpInPlace(yield, [&] { yield.getOutsMutable().append(tile); });
  Operation *extended =
      createExtended(rewriter, program, storage.type, storage.binding);
  extended->setDiscardableAttrs(program->getDiscardableAttrDictionary());
  extended->getRegion(0).takeBody(program->getRegion(0));
  // Outs come before finals.
  for (auto [i, result] : llvm::enumerate(program->getResults()))
    rewriter.replaceAllUsesWith(result,
                                extended->getResult(i < position ? i : i + 1));
  rewriter.eraseOp(program);
  return extended->getResult(position);
}
