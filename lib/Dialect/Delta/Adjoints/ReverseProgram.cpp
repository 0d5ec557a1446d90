//===- ReverseProgram.cpp - The backward of one chunk program -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ReverseProgram.h"

#include "wyvern/Dialect/Delta/Utils/Prologue.h"
#include "wyvern/Dialect/Delta/Utils/Sequences.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

ReverseProgram::ReverseProgram(ChunkProgramOpInterface program, Adjoint &outer)
    : program(program), outer(outer), b(outer.getBuilder()),
      dependence(program), timeDims(program),
      compute(cast<FloatType>(program.getCompute())),
      block(&region.emplaceBlock()), inside(program.getLoc(), b.getContext()),
      inner(inside, [this](Value value) { return getGiven(value); }) {
  block->addArgument(b.getIndexType(), program.getLoc());
  inside.setInsertionPointToEnd(block);
}

//===----------------------------------------------------------------------===//
// What the region reads
//===----------------------------------------------------------------------===//

/// Ins stand before carries, also those that are added later.
BlockArgument ReverseProgram::addIn(Value tensor, BindingAttr binding,
                                    Type tile) {
  ins.push_back({tensor, binding});
  return block->insertArgument(ins.size(), tile, program.getLoc());
}

BlockArgument ReverseProgram::addCarry(Type tile) {
  return block->addArgument(tile, program.getLoc());
}

Value ReverseProgram::getGiven(Value value) {
  if (value == program.getValid())
    return block->getArgument(0);
  for (unsigned i = 0; i < program.getIns().size(); ++i)
    if (value == program.getInArg(i))
      return addIn(outer.getPrimal(program.getIns()[i]),
                   program.getInBinding(i), value.getType());
  Operation *def = value.getDefiningOp();
  bool isBrought = dependence.reaches(value) &&
                   !(def && cast<ChunkRegionOpInterface>(def).isCheap());
  return isBrought ? replay(value) : Value();
}

Value ReverseProgram::replay(Value value) {
  TileStorage storage = getStorage(value, program, timeDims);
  replayed.push_back({value, storage, static_cast<unsigned>(ins.size())});
  return addIn(/*tensor=*/{}, storage.binding, value.getType());
}

Value ReverseProgram::getCuSeqlens() {
  Value cuSeqlens = program.getCuSeqlens();
  return cuSeqlens ? outer.getPrimal(cuSeqlens) : Value();
}

//===----------------------------------------------------------------------===//
// The sweep
//===----------------------------------------------------------------------===//

void ReverseProgram::seedGradients() {
  YieldOp yield = program.getYield();
  unsigned numOuts = program.getOuts().size();
  for (auto [i, tile] : llvm::enumerate(yield.getOuts()))
    inner.setActive(tile);
  for (auto [i, out] : llvm::enumerate(program.getOuts()))
    if (Value gradient = outer.getGradient(out))
      inner.addGradient(yield.getOperand(i),
                        addIn(gradient, program.getOutBinding(i),
                              yield.getOperand(i).getType()));
  for (unsigned i = 0; i < program.getInits().size(); ++i) {
    Value carried = yield.getOperand(numOuts + i);
    inner.setActive(carried);
    inner.addGradient(carried, addCarry(carried.getType()));
  }
}

LogicalResult ReverseProgram::sweep() {
  for (auto [i, in] : llvm::enumerate(program.getIns()))
    if (outer.isActive(in))
      inner.setActive(program.getInArg(i));
  for (unsigned i = 0; i < program.getInits().size(); ++i)
    inner.setActive(program.getCarryArg(i));
  return inner.sweep(program.getBlock());
}

Value ReverseProgram::getGradientOrZero(Value value) {
  if (Value gradient = inner.getGradient(value))
    return gradient;
  return inner.tiles(value).splat(0.0, shapeOf(value));
}

//===----------------------------------------------------------------------===//
// The replay
//===----------------------------------------------------------------------===//

/// The forward program again, with the values that the region reads as outs.
/// What they do not need is dead in it, for delta-simplify to drop.
void ReverseProgram::buildReplay() {
  if (replayed.empty())
    return;
  auto scan = cast<ChunkScanOp>(program.getOperation());
  SmallVector<Type> types;
  SmallVector<Attribute> bindings;
  for (const Replayed &brought : replayed) {
    types.push_back(brought.storage.type);
    bindings.push_back(brought.storage.binding);
  }
  auto primals = [&](ValueRange values) {
    return llvm::map_to_vector(
        values, [&](Value value) { return outer.getPrimal(value); });
  };
  auto replay = ChunkScanOp::create(
      b, types, scan.getFinals().getTypes(), primals(scan.getIns()),
      primals(scan.getInits()), getCuSeqlens(), scan.getDirectionAttr(),
      scan.getChunkAttr(), scan.getHeadsAttr(), scan.getComputeAttr(),
      scan.getInBindings(), scan.getCarryBindings(), b.getArrayAttr(bindings));
  IRMapping mapping;
  scan.getBody().cloneInto(&replay.getBody(), mapping);
  // Names the scan that is replayed.
  replay->setDiscardableAttrs(scan->getDiscardableAttrDictionary());
  YieldOp yield = replay.getYield();
  yield.getOutsMutable().assign(
      llvm::map_to_vector(replayed, [&](const Replayed &brought) {
        return mapping.lookup(brought.value);
      }));
  for (auto [brought, out] : llvm::zip_equal(replayed, replay.getOuts()))
    ins[brought.in].tensor = out;
}

//===----------------------------------------------------------------------===//
// The program
//===----------------------------------------------------------------------===//

/// What the gradient of a carry is after the last chunk.
Value ReverseProgram::getInitialGradient(unsigned carry) {
  if (Value gradient = outer.getGradient(program.getFinals()[carry]))
    return gradient;
  Value init = program.getInits()[carry];
  auto type = cast<RankedTensorType>(init.getType());
  return createZeroStates(b, type, [&]() -> Value {
    const int64_t *dynamic =
        llvm::find_if(type.getShape(), ShapedType::isDynamic);
    return tensor::DimOp::create(b, outer.getPrimal(init),
                                 dynamic - type.getShape().begin());
  });
}

Value ReverseProgram::createZeros(RankedTensorType type) {
  return createZeroStates(b, type, [&]() -> Value {
    Value cuSeqlens = getCuSeqlens();
    for (const In &in : ins)
      for (auto [i, dim] : llvm::enumerate(in.binding.getDims()))
        if (dim.kind == DimKind::seq && in.binding.has(DimKind::time))
          return countSequences(b, tensor::DimOp::create(b, in.tensor, i),
                                cuSeqlens);
    return countSequences(b, arith::ConstantIndexOp::create(b, 1), cuSeqlens);
  });
}

/// The tokens are counted on an in, so there is one even if nothing reads it.
void ReverseProgram::addLength() {
  auto isTimed = [](const In &in) { return in.binding.has(DimKind::time); };
  for (unsigned i = 0; llvm::none_of(ins, isTimed); ++i)
    if (program.getInBinding(i).has(DimKind::time))
      addIn(outer.getPrimal(program.getIns()[i]), program.getInBinding(i),
            program.getInArg(i).getType());
}

Operation *ReverseProgram::createProgram() {
  SmallVector<Value> inTensors, inits, outTiles, carryTiles;
  SmallVector<Attribute> inBindings, carryBindings, outBindings;
  SmallVector<Type> outTypes;
  for (const In &in : ins) {
    inTensors.push_back(in.tensor);
    inBindings.push_back(in.binding);
  }
  for (unsigned i = 0; i < program.getInits().size(); ++i) {
    inits.push_back(getInitialGradient(i));
    carryBindings.push_back(program.getCarryBinding(i));
    carryTiles.push_back(getGradientOrZero(program.getCarryArg(i)));
  }
  for (const Result &result : sums) {
    inits.push_back(createZeros(result.storage.type));
    carryBindings.push_back(result.storage.binding);
    carryTiles.push_back(result.tile);
  }
  for (const Result &result : outs) {
    outTypes.push_back(result.storage.type);
    outBindings.push_back(result.storage.binding);
    outTiles.push_back(result.tile);
  }
  YieldOp::create(inside, outTiles, carryTiles);

  Value cuSeqlens = getCuSeqlens();
  auto compute = TypeAttr::get(this->compute);
  auto chunk = b.getI64IntegerAttr(program.getChunk());
  auto heads = b.getI64IntegerAttr(program.getHeads());
  Operation *op;
  if (inits.empty()) {
    op = ChunkMapOp::create(b, outTypes, inTensors, cuSeqlens, chunk, heads,
                            compute, b.getArrayAttr(inBindings),
                            b.getArrayAttr(outBindings));
  } else {
    auto scan = dyn_cast<ChunkScanOp>(program.getOperation());
    bool turns = !scan || scan.getDirection() == Direction::forward;
    auto direction = DirectionAttr::get(
        b.getContext(), turns ? Direction::reverse : Direction::forward);
    op = ChunkScanOp::create(
        b, outTypes, ValueRange(inits).getTypes(), inTensors, inits, cuSeqlens,
        direction, chunk, heads, compute, b.getArrayAttr(inBindings),
        b.getArrayAttr(carryBindings), b.getArrayAttr(outBindings));
  }
  op->getRegion(0).takeBody(region);
  if (program->hasAttr(kExactAttr))
    op->setAttr(kExactAttr, b.getUnitAttr());
  return op;
}

LogicalResult ReverseProgram::build() {
  seedGradients();
  if (failed(sweep()))
    return failure();
  collectResults();
  if (outs.empty() && sums.empty() && program.getInits().empty())
    return success();
  addLength();
  buildReplay();
  addGradients(createProgram());
  return success();
}
