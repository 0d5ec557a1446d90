//===- Starts.cpp - Carries that start from what a role makes -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Starts.h"

#include "wyvern/Dialect/Delta/IR/Splat.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;
using delta::ChunkProgramOpInterface;

/// Returns the constant or identity that `init` is for every slot, or the fill
/// that makes it zero for every sequence; null if it is neither.
static Operation *findMade(Value init) {
  if (auto fill = init.getDefiningOp<linalg::FillOp>())
    return delta::isZero(init) ? fill.getOperation() : nullptr;
  auto map = init.getDefiningOp<delta::ChunkMapOp>();
  if (!map)
    return nullptr;
  unsigned number = cast<OpResult>(init).getResultNumber();
  Operation *def = map.getYield().getOuts()[number].getDefiningOp();
  bool isMade = def && (def->hasTrait<OpTrait::ConstantLike>() ||
                        isa<delta::IdentityOp>(def));
  return isMade ? def : nullptr;
}

Operation *sched::findStart(ChunkProgramOpInterface program, unsigned i) {
  return program.getFinals()[i].use_empty() ? findMade(program.getInits()[i])
                                            : nullptr;
}

bool sched::makesStartsAlone(delta::ChunkMapOp map) {
  return !map->use_empty() && llvm::all_of(map->getUses(), [](OpOperand &use) {
    auto program = dyn_cast<ChunkProgramOpInterface>(use.getOwner());
    for (unsigned i = 0; program && i < program.getInits().size(); ++i)
      if (program.getInits()[i] == use.get() && findStart(program, i))
        return !llvm::is_contained(program.getIns(), use.get());
    return false;
  });
}

KernelTensors sched::getOwnTensors(ChunkProgramOpInterface program) {
  KernelTensors tensors = getTensors(program);
  tensors.inits.clear();
  tensors.finals.clear();
  tensors.initBindings.clear();
  for (unsigned i = 0; i < program.getInits().size(); ++i) {
    if (findStart(program, i))
      continue;
    tensors.inits.push_back(program.getInits()[i]);
    tensors.finals.push_back(program.getFinals()[i]);
    tensors.initBindings.push_back(program.getCarryBinding(i));
  }
  addPool(tensors, program);
  return tensors;
}

/// Creates the tile that `start` makes for every slot or sequence.
static Value createStart(OpBuilder &builder, Operation *start,
                         RankedTensorType tile) {
  if (!isa<linalg::FillOp>(start))
    return builder.clone(*start)->getResult(0);
  return arith::ConstantOp::create(builder, start->getLoc(),
                                   builder.getZeroAttr(tile));
}

SmallVector<Value> sched::createStarts(OpBuilder &builder,
                                       ChunkProgramOpInterface program,
                                       KernelOp kernel) {
  SmallVector<Value> starts;
  unsigned number = 0;
  for (unsigned i = 0; i < program.getInits().size(); ++i) {
    if (Operation *start = findStart(program, i)) {
      auto tile = cast<RankedTensorType>(program.getCarryArg(i).getType());
      starts.push_back(createStart(builder, start, tile));
      continue;
    }
    BlockArgument init = kernel.getInitArgs()[number++];
    starts.push_back(LoadOp::create(builder, program.getLoc(),
                                    kernel.getTileType(init), init));
  }
  return starts;
}

void sched::storeFinals(OpBuilder &builder, ChunkProgramOpInterface program,
                        KernelOp kernel, EachChunkOp loop) {
  builder.setInsertionPointAfter(loop);
  unsigned number = 0;
  for (auto [i, final] : llvm::enumerate(loop.getFinals())) {
    if (findStart(program, i))
      continue;
    BlockArgument target = kernel.getFinalArgs()[number++];
    if (!program.getFinals()[i].use_empty())
      StoreOp::create(builder, program.getLoc(), final, target,
                      /*via=*/Value());
  }
  if (kernel.keepsIntoPool())
    StoreOp::create(builder, program.getLoc(), loop.getFinals().front(),
                    kernel.getFinalArgs().back(), /*via=*/Value());
}

void sched::replaceByKernel(const KernelTensors &tensors, KernelOp kernel) {
  SmallVector<Value> values(tensors.outs);
  llvm::append_range(values, tensors.finals);
  for (auto [value, result] : llvm::zip_equal(values, kernel->getResults()))
    value.replaceAllUsesWith(result);
}
