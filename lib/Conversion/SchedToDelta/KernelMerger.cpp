//===- KernelMerger.cpp - The roles of a kernel, as one region ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelMerger.h"

#include "wyvern/Dialect/Delta/IR/Splat.h"
#include "wyvern/Dialect/Delta/Utils/HeadSums.h"
#include "wyvern/Dialect/Delta/Utils/Sequences.h"
#include "wyvern/Dialect/Sched/IR/ChunkOrder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;

LogicalResult KernelMerger::merge() {
  if (failed(findCarries()) || failed(findFinals()))
    return failure();
  Operation *program = createProgram();
  addRegion(program);
  replaceKernel(program);
  return success();
}

//===----------------------------------------------------------------------===//
// Carries
//===----------------------------------------------------------------------===//

LogicalResult KernelMerger::findCarries() {
  for (RoleOp role : kernel.getRoles()) {
    EachChunkOp loop = role.getEachChunk();
    for (auto [i, init] : llvm::enumerate(loop.getInits())) {
      auto load = init.getDefiningOp<LoadOp>();
      if (!load && kernel.getOver() == GridOver::sequences &&
          !delta::isZero(init))
        return loop.emitOpError()
               << "carry #" << i
               << " starts from what the role makes and is not zero, in a "
                  "kernel over sequences; a chunk program has such a carry for "
                  "runs of chunks only: load an init of it";
      carries.push_back(
          {load ? cast<BlockArgument>(load.getSource()) : BlockArgument(),
           load ? nullptr : init.getDefiningOp(), loop.getCarryArgs()[i],
           cast<OpResult>(loop.getFinals()[i]),
           loop.getYield().getCarries()[i]});
    }
  }
  return success();
}

/// True for the store into the pool that a carry is kept in, which it is not.
bool KernelMerger::isOfPool(StoreOp store) {
  return kernel.keepsIntoPool() &&
         store.getTarget() == kernel.getFinalArgs().back();
}

FailureOr<unsigned> KernelMerger::findFinal(StoreOp store) {
  auto final = cast<BlockArgument>(store.getTarget());
  for (auto [i, carry] : llvm::enumerate(carries))
    if (carry.init && carry.last == store.getTile() &&
        carry.init.getType() == final.getType() &&
        kernel.getBinding(carry.init) == kernel.getBinding(final))
      return static_cast<unsigned>(i);
  return store.emitOpError()
         << "expected the last value of a carry that starts at an init of the "
            "final's type and binding; a chunk program has no other finals";
}

LogicalResult KernelMerger::findFinals() {
  for (RoleOp role : kernel.getRoles())
    for (auto store : role.getBlock().getOps<StoreOp>()) {
      if (isOfPool(store) && carries.size() == 1 &&
          carries.front().last == store.getTile())
        continue;
      FailureOr<unsigned> carry = findFinal(store);
      if (failed(carry))
        return failure();
      finals.push_back({cast<BlockArgument>(store.getTarget()), *carry});
    }
  return success();
}

//===----------------------------------------------------------------------===//
// The program
//===----------------------------------------------------------------------===//

std::pair<Value, delta::BindingAttr>
KernelMerger::createStart(Operation *made) {
  using delta::BoundDim, delta::DimKind;
  auto tile = cast<RankedTensorType>(made->getResult(0).getType());
  auto bind = [&](int64_t chunks) {
    SmallVector<BoundDim> dims = {{DimKind::chunk, chunks, 0},
                                  {DimKind::head, 1, 0}};
    dims.append(tile.getRank(), {DimKind::whole, 1, 0});
    return delta::BindingAttr::get(kernel.getContext(), dims);
  };
  SmallVector<int64_t> shape = {ShapedType::kDynamic,
                                static_cast<int64_t>(kernel.getHeads())};
  llvm::append_range(shape, tile.getShape());
  // Some in is timed (K29): it says how many slots there are.
  BlockArgument timed = *llvm::find_if(kernel.getInArgs(), [&](auto in) {
    return kernel.getBinding(in).has(DimKind::time);
  });
  int64_t tokens = static_cast<int64_t>(kernel.getChunk()) *
                   static_cast<int64_t>(kernel.getRun());
  Value tensor = kernel.getIns()[timed.getArgNumber()];
  delta::BindingAttr binding = kernel.getBinding(timed).withOwnRows();
  auto map = delta::ChunkMapOp::create(
      builder, loc,
      TypeRange(RankedTensorType::get(shape, tile.getElementType())),
      ValueRange(tensor), kernel.getCuSeqlens(), tokens, kernel.getHeads(),
      kernel.getCompute(), builder.getArrayAttr({binding}),
      builder.getArrayAttr({bind(1)}));
  OpBuilder::InsertionGuard guard(builder);
  Block *block = builder.createBlock(&map.getBody());
  block->addArgument(builder.getIndexType(), loc);
  block->addArgument(
      binding.getTileType(cast<RankedTensorType>(tensor.getType()), tokens,
                          kernel.getCompute()),
      timed.getLoc());
  delta::YieldOp::create(builder, loc, builder.clone(*made)->getResults(),
                         ValueRange());
  return {map.getOuts().front(), bind(kernel.getRun())};
}

std::pair<Value, delta::BindingAttr>
KernelMerger::createZeros(RankedTensorType tile) {
  using delta::BoundDim, delta::DimKind;
  SmallVector<BoundDim> dims = {{DimKind::seq}, {DimKind::head}};
  dims.append(tile.getRank(), {DimKind::whole});
  SmallVector<int64_t> shape = {ShapedType::kDynamic,
                                static_cast<int64_t>(kernel.getHeads())};
  llvm::append_range(shape, tile.getShape());
  ImplicitLocOpBuilder b(loc, builder);
  auto countSequences = [&]() -> Value {
    for (BlockArgument in : kernel.getInArgs())
      for (auto [i, dim] : llvm::enumerate(kernel.getBinding(in).getDims()))
        if (dim.kind == DimKind::seq &&
            kernel.getBinding(in).has(DimKind::time))
          return delta::countSequences(
              b,
              tensor::DimOp::create(b, kernel.getIns()[in.getArgNumber()], i),
              kernel.getCuSeqlens());
    return delta::countSequences(b, arith::ConstantIndexOp::create(b, 1),
                                 kernel.getCuSeqlens());
  };
  auto type = RankedTensorType::get(shape, tile.getElementType());
  return {delta::createZeroStates(b, type, countSequences),
          delta::BindingAttr::get(kernel.getContext(), dims)};
}

std::pair<Value, delta::BindingAttr> KernelMerger::getInit(const Carry &carry) {
  if (carry.made && kernel.getOver() == GridOver::sequences)
    return createZeros(cast<RankedTensorType>(carry.arg.getType()));
  if (carry.made)
    return createStart(carry.made);
  unsigned number =
      carry.init.getArgNumber() - kernel.getInitArgs().front().getArgNumber();
  return {kernel.getInits()[number], kernel.getBinding(carry.init)};
}

SmallVector<Type> KernelMerger::getOutTypes() {
  SmallVector<Type> types;
  for (BlockArgument out : kernel.getOutArgs()) {
    RankedTensorType type = cast<GlobalType>(out.getType()).getTensor();
    SmallVector<int64_t> shape(type.getShape());
    if (kernel.isPairSum(out))
      for (auto [dim, size] :
           llvm::zip_equal(kernel.getBinding(out).getDims(), shape))
        size *= dim.kind == delta::DimKind::head ? 2 : 1;
    types.push_back(type.clone(shape));
  }
  return types;
}

Operation *KernelMerger::createProgram() {
  if (kernel.getOver() == GridOver::slots && carries.empty())
    return delta::ChunkMapOp::create(
        builder, loc, getOutTypes(), kernel.getIns(), kernel.getCuSeqlens(),
        kernel.getChunk(), kernel.getHeads(), kernel.getCompute(),
        kernel.getInBindings(), kernel.getOutBindings());
  SmallVector<Value> inits;
  SmallVector<Attribute> bindings;
  for (const Carry &carry : carries) {
    auto [init, binding] = getInit(carry);
    inits.push_back(init);
    bindings.push_back(binding);
  }
  delta::Direction direction = delta::Direction::forward;
  for (RoleOp role : kernel.getRoles())
    direction = role.getEachChunk().getDirection();
  Value pool = kernel.keepsIntoPool() ? kernel.getInits().back() : Value();
  return delta::ChunkScanOp::create(
      builder, loc, getOutTypes(), ValueRange(inits).getTypes(),
      pool ? pool.getType() : Type(), kernel.getIns(), inits,
      kernel.getCuSeqlens(), kernel.getReadSlots(), kernel.getWriteSlots(),
      kernel.getLengths(), kernel.getKeepSlots(), kernel.getSeeds(), pool,
      direction, kernel.getChunk(), kernel.getHeads(), kernel.getCompute(),
      kernel.getInBindings(), builder.getArrayAttr(bindings),
      kernel.getOutBindings(), kernel.getFirstSlot(), kernel.getElseZeros());
}

void KernelMerger::addRegion(Operation *program) {
  OpBuilder::InsertionGuard guard(builder);
  Block &block = program->getRegion(0).emplaceBlock();
  builder.setInsertionPointToEnd(&block);
  Value valid = block.addArgument(builder.getIndexType(), loc);
  for (RoleOp role : kernel.getRoles())
    mapping.map(role.getEachChunk().getValid(), valid);
  for (BlockArgument in : kernel.getInArgs())
    mapping.map(in, block.addArgument(kernel.getTileType(in), in.getLoc()));
  for (const Carry &carry : carries)
    mapping.map(carry.arg,
                block.addArgument(carry.arg.getType(), carry.arg.getLoc()));
  cloneConstants();
  for (Operation *op : orderChunk(kernel).ops)
    cloneOp(op);
  SmallVector<Value> tiles, next;
  for (BlockArgument out : kernel.getOutArgs())
    tiles.push_back(outs.lookup(out));
  for (const Carry &carry : carries)
    next.push_back(mapping.lookup(carry.next));
  delta::YieldOp::create(builder, loc, tiles, next);
}

/// Clones what stands in front of the loops, for the chunks that read it.
void KernelMerger::cloneConstants() {
  kernel.walk([&](Operation *op) {
    if (op->hasTrait<OpTrait::ConstantLike>() &&
        !isa<EachChunkOp>(op->getParentOp()))
      builder.clone(*op, mapping);
  });
}

void KernelMerger::cloneOp(Operation *op) {
  if (auto load = dyn_cast<LoadOp>(op)) {
    mapping.map(load.getTile(), mapping.lookup(load.getSource()));
  } else if (auto store = dyn_cast<StoreOp>(op)) {
    outs[store.getTarget()] = mapping.lookup(store.getTile());
  } else if (auto put = dyn_cast<PutOp>(op)) {
    for (auto [tile, held] :
         llvm::zip_equal(put.getTiles(), put.getChannel().getType().getTiles()))
      channels[put.getChannel()].push_back(
          round(tile, cast<RankedTensorType>(held)));
  } else if (auto get = dyn_cast<GetOp>(op)) {
    for (auto [tile, handed] :
         llvm::zip_equal(get.getTiles(), channels[get.getChannel()]))
      mapping.map(tile, handed);
  } else {
    builder.clone(*op, mapping);
  }
}

Value KernelMerger::round(Value tile, RankedTensorType held) {
  Value merged = mapping.lookup(tile);
  unsigned width = held.getElementTypeBitWidth();
  if (width >= kernel.getCompute().getIntOrFloatBitWidth())
    return merged;
  // What is as it lies in memory is rounded already.
  if (auto load = tile.getDefiningOp<LoadOp>())
    if (cast<GlobalType>(load.getSource().getType())
            .getTensor()
            .getElementType() == held.getElementType())
      return merged;
  ++numRounded;
  Value rounded = arith::TruncFOp::create(builder, loc, held, merged);
  return arith::ExtFOp::create(builder, loc, merged.getType(), rounded);
}

Value KernelMerger::sumPairs(Value heads, BlockArgument out) {
  ImplicitLocOpBuilder b(loc, builder);
  delta::BindingAttr binding = kernel.getBinding(out);
  auto sum = cast<GlobalType>(out.getType()).getTensor();
  return delta::createHeadSum(b,
                              {heads, binding, kernel.getTileType(out),
                               kernel.getCuSeqlens(),
                               static_cast<int64_t>(kernel.getChunk()),
                               static_cast<int64_t>(kernel.getHeads())},
                              {sum, binding});
}

void KernelMerger::replaceKernel(Operation *program) {
  for (auto [i, out] : llvm::enumerate(kernel.getOuts())) {
    Value result = program->getResult(i);
    BlockArgument arg = kernel.getOutArgs()[i];
    out.replaceAllUsesWith(kernel.isPairSum(arg) ? sumPairs(result, arg)
                                                 : result);
  }
  for (auto [final, carry] : finals) {
    unsigned number =
        final.getArgNumber() - kernel.getFinalArgs().front().getArgNumber();
    kernel.getFinals()[number].replaceAllUsesWith(
        program->getResult(kernel.getOuts().size() + carry));
  }
  if (kernel.keepsIntoPool())
    kernel.getFinals().back().replaceAllUsesWith(program->getResults().back());
  kernel->erase();
}
