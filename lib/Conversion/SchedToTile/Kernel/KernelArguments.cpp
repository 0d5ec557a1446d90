//===- KernelArguments.cpp - What a kernel is launched with -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelContext.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace mlir::wyvern;

/// True for what kernels alone see: it lies in the workspace, without gaps.
static bool isBetweenKernels(Value tensor) {
  return tensor.getDefiningOp<sched::KernelOp>() &&
         llvm::none_of(tensor.getUsers(), llvm::IsaPred<func::ReturnOp>);
}

/// True if a role that computes takes the in from memory itself.
static bool isFetched(BlockArgument in) {
  return llvm::any_of(in.getUsers(), [](Operation *user) {
    auto load = dyn_cast<sched::LoadOp>(user);
    return load && isFetched(load);
  });
}

/// Returns the parts that the rows of `in` are loaded in, by blocks of a
/// cluster.
static int64_t countRowParts(const KernelContext &context, BlockArgument in) {
  for (sched::ChannelOp channel : context.kernel.getChannels())
    for (auto [i, tile] : llvm::enumerate(findPut(channel).getTiles()))
      if (auto load = tile.getDefiningOp<sched::LoadOp>();
          load && load.getSource() == in &&
          context.orientation.getDividedDim(channel, i) == 0)
        return context.kernel.getSplit();
  return 1;
}

/// Returns how a kernel sees an in: matrices of 16 bits through a TMA
/// descriptor; vectors, f32 and what a role takes from memory itself through a
/// pointer. Rows have no gaps then: several elements are loaded at a time.
static Type getInType(const KernelContext &context, unsigned i) {
  sched::KernelOp kernel = context.kernel;
  Value in = kernel.getIns()[i];
  BlockArgument arg = kernel.getInArgs()[i];
  RankedTensorType type = tensorOf(in), tile = kernel.getTileType(arg);
  // What no role loads says how many tokens there are, and nothing else.
  bool isRows = tile.getRank() == 2 && !arg.use_empty();
  if (!isRows || type.getElementType().isF32() || isFetched(arg))
    return tile::GlobalType::get(kernel.getContext(), type, /*optional=*/false,
                                 isBetweenKernels(in), /*contiguous=*/isRows);
  // One box is one column block of the tile's rows.
  SmallVector<int64_t> box(type.getRank(), 1);
  box[tensorDim(kernel.getBinding(arg), 0)] =
      getLoadedRows(kernel, arg) / countRowParts(context, arg);
  box.back() = tile::kBlockColumns;
  return tile::TensorMapType::get(kernel.getContext(), type, box);
}

/// True if a launch may have the kernel hand on states that begin or end in a
/// pool, between two parts of a sequence: as they are, and nothing is kept on
/// the way.
static bool handsOn(const KernelContext &context) {
  sched::KernelOp kernel = context.kernel;
  if (!kernel.getReadSlots() || kernel.getKeepSlots() ||
      !(context.order.isAlone || context.order.isOfParts))
    return false;
  return llvm::all_of(kernel.getInits(), [&](Value pool) {
    return tensorOf(pool).getElementType() == kernel.getCompute();
  });
}

SmallVector<Attribute> wyvern::addKernelArguments(OpBuilder &builder,
                                                  KernelContext &context,
                                                  tile::KernelOp tileKernel) {
  sched::KernelOp kernel = context.kernel;
  SmallVector<Attribute> operandNames;
  auto add = [&](Type type, StringRef name) -> Value {
    operandNames.push_back(builder.getStringAttr(name));
    return tileKernel.getBody().front().addArgument(type, kernel.getLoc());
  };
  auto addIndices = [&](Value vector, bool optional) {
    return vector ? add(tile::GlobalType::get(builder.getContext(),
                                              tensorOf(vector), optional,
                                              /*dense=*/false,
                                              /*contiguous=*/true),
                        context.names.get(vector))
                  : Value();
  };
  auto addGlobals = [&](ValueRange tensors, Block::BlockArgListType args,
                        bool areStates) {
    for (auto [tensor, arg] : llvm::zip_equal(tensors, args)) {
      // A pool is the caller's and always there; a state that a sequence begins
      // with may not be.
      bool isPool = kernel.getBinding(arg).has(delta::DimKind::slot);
      context.arguments[arg] =
          add(tile::GlobalType::get(builder.getContext(), tensorOf(tensor),
                                    /*optional=*/areStates && !isPool,
                                    !isPool && isBetweenKernels(tensor)),
              context.names.get(tensor));
    }
  };
  for (auto [i, in] : llvm::enumerate(kernel.getIns()))
    context.arguments[kernel.getInArgs()[i]] =
        add(getInType(context, i), context.names.get(in));
  context.keepSlots = addIndices(kernel.getKeepSlots(), /*optional=*/true);
  addGlobals(kernel.getOuts(), kernel.getOutArgs(), /*areStates=*/false);
  addGlobals(kernel.getInits(), kernel.getInitArgs(), /*areStates=*/true);
  for (auto [i, final] : llvm::enumerate(kernel.getFinals()))
    if (!final.use_empty())
      addGlobals(final, kernel.getFinalArgs().slice(i, 1), /*areStates=*/true);
  context.readSlots = addIndices(kernel.getReadSlots(), /*optional=*/false);
  context.writeSlots = addIndices(kernel.getWriteSlots(), /*optional=*/true);
  context.seeds = addIndices(kernel.getSeeds(), /*optional=*/true);
  context.launch.cu =
      add(tile::CuSeqlensType::get(builder.getContext()), "cu_seqlens");
  context.launch.tokens = add(builder.getIndexType(), "tokens");
  context.launch.sequences = add(builder.getIndexType(), "sequences");
  // What a launch may give a part of sequences.
  if ((context.order.isAlone || context.order.hasGuest) &&
      hasChunkSlots(kernel))
    context.launch.slotTokens = add(builder.getIndexType(), "slot_tokens");
  if (handsOn(context))
    context.launch.part = add(builder.getIndexType(), "part");
  if (hasSegments(kernel))
    context.launch.segment = add(builder.getIndexType(), "segment");
  return operandNames;
}
