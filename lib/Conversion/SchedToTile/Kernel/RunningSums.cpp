//===- RunningSums.cpp - From delta.running_sum to tile.kernel ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block has a sequence, and 32 of all heads' channels: its warps have runs of
// tokens.
//
//===----------------------------------------------------------------------===//

#include "RunningSums.h"

#include "BlockLocation.h"

#include "wyvern/Dialect/Delta/Utils/RunningSum.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::wyvern;

/// Warps of a block, and channels, one a lane.
static constexpr int64_t kWarps = 16, kLanes = 32;
/// Numbers that a block's threads hand to one another.
static constexpr int64_t kThreads = 1024;

static LogicalResult checkSum(delta::RunningSumOp op) {
  if (op.getX().getType().getElementType().isF32())
    return success();
  return op.emitOpError() << "sums a tensor of type " << op.getX().getType()
                          << "; the GPU path takes f32 (target \"cpu\" takes "
                             "all)";
}

namespace {
/// Builds the kernel of one operation.
class RunningSumKernel {
public:
  RunningSumKernel(OpBuilder &builder, delta::RunningSumOp op, StringRef name,
                   const TensorNames &names)
      : builder(builder), op(op), loc(op.getLoc()), name(name), names(names) {}

  void lower();

private:
  int64_t countBlocks() {
    RankedTensorType type = op.getX().getType();
    return llvm::divideCeil(type.getDimSize(2) * type.getDimSize(3), kLanes);
  }
  Value addArgument(Type type, StringRef tensor) {
    operandNames.push_back(builder.getStringAttr(tensor));
    return kernel.getBody().front().addArgument(type, loc);
  }
  Value addTensor(Value tensor, bool dense) {
    return addArgument(tile::GlobalType::get(builder.getContext(),
                                             tensorOf(tensor),
                                             /*optional=*/false, dense),
                       names.get(tensor));
  }
  void createShell();

  OpBuilder &builder;
  delta::RunningSumOp op;
  Location loc;
  StringRef name;
  const TensorNames &names;
  tile::KernelOp kernel;
  SmallVector<Attribute> operandNames;
  Value x, init, sums, total;
  LaunchArguments launch;
};
} // namespace

void RunningSumKernel::createShell() {
  kernel = tile::KernelOp::create(
      builder, loc, name, countBlocks(), "sequences", /*grid_chunks=*/1, kWarps,
      /*min_blocks=*/1, builder.getArrayAttr({}), IntegerAttr());
  builder.createBlock(&kernel.getBody());
  x = addTensor(op.getX(), /*dense=*/true);
  if (op.getInit())
    init = addTensor(op.getInit(), /*dense=*/false);
  sums = addTensor(op.getSums(), /*dense=*/true);
  total = addTensor(op.getTotal(), /*dense=*/false);
  launch.cu =
      addArgument(tile::CuSeqlensType::get(builder.getContext()), "cu_seqlens");
  launch.tokens = addArgument(builder.getIndexType(), "tokens");
  launch.sequences = addArgument(builder.getIndexType(), "sequences");
  kernel.setOperandsAttr(builder.getArrayAttr(operandNames));
}

void RunningSumKernel::lower() {
  OpBuilder::InsertionGuard guard(builder);
  createShell();
  tile::AwaitKernelsOp::create(builder, loc);
  Value id = tile::BlockIdOp::create(builder, loc);
  Value blocks = createIndex(builder, loc, countBlocks());
  Value sequence = arith::DivUIOp::create(builder, loc, id, blocks);
  Value block = arith::RemUIOp::create(builder, loc, id, blocks);
  auto at = tile::SequenceOp::create(builder, loc, sequence, launch.cu,
                                     launch.tokens, launch.sequences);
  auto scratchType = tile::SmemType::get(builder.getContext(), {kThreads},
                                         builder.getF32Type());
  Value scratch = tile::AllocOp::create(builder, loc, scratchType,
                                        /*transient=*/false, IntegerAttr());
  tile::ScanTokenColumnsOp::create(
      builder, loc, x, sums, total, init, block, at.getBatch(), at.getStart(),
      at.getLength(), at.getEnd(), launch.tokens, sequence, launch.sequences,
      scratch, op.getReverse(), op.getWrapped());
}

LogicalResult wyvern::lowerRunningSum(OpBuilder &builder,
                                      delta::RunningSumOp op, StringRef name,
                                      const TensorNames &names) {
  if (failed(checkSum(op)))
    return failure();
  RunningSumKernel(builder, op, name, names).lower();
  return success();
}

void wyvern::replaceByLaunch(delta::RunningSumOp op, StringRef name,
                             int64_t chunk) {
  OpBuilder builder(op);
  auto rows = delta::bindRunningSum(builder.getContext(), /*ofTokens=*/true);
  auto state = delta::bindRunningSum(builder.getContext(), /*ofTokens=*/false);
  SmallVector<Value> ins = {op.getX()};
  SmallVector<Attribute> bindings = {rows};
  if (op.getInit()) {
    ins.push_back(op.getInit());
    bindings.push_back(state);
  }
  auto launch = tile::LaunchOp::create(
      builder, op.getLoc(), op->getResultTypes(), TypeRange(), ins,
      ValueRange(), op.getCuSeqlens(), ValueRange(), name, chunk,
      builder.getArrayAttr(bindings), builder.getArrayAttr({}),
      builder.getArrayAttr({rows, state}));
  op->replaceAllUsesWith(launch->getResults());
  op->erase();
}
