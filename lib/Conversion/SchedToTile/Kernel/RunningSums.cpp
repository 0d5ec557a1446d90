//===- RunningSums.cpp - From delta.running_sum to tile.kernel ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block has a sequence, and 32 of all heads' channels: its warps have runs of
// tokens. Chunks are whole runs, so that what stands behind one, which a prompt
// may end with or keep, is the same number however the prompt is cut.
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
/// Blocks of an SM: the rows of one are on their way while another adds.
static constexpr int64_t kBlocks = 2;
/// Numbers that a block's threads hand to one another.
static constexpr int64_t kThreads = 1024;
/// Tokens of a run, at most: the more, the more a thread adds one after the
/// other; the fewer, the more runs it adds up.
static constexpr int64_t kRun = 32;

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
                   const TensorNames &names, int64_t chunk)
      : builder(builder), op(op), loc(op.getLoc()), name(name), names(names),
        chunk(chunk) {}

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
  Value addIndices(Value vector, bool optional) {
    if (!vector)
      return {};
    return addArgument(
        tile::GlobalType::get(builder.getContext(), tensorOf(vector), optional,
                              /*dense=*/false, /*contiguous=*/true),
        names.get(vector));
  }
  void createShell();
  Value loadSlot(Value vector, Value sequence);
  /// Returns the longest run that chunks are whole ones of.
  int64_t getRun() const {
    int64_t run = std::min(kRun, chunk);
    while (chunk % run != 0)
      --run;
    return run;
  }

  OpBuilder &builder;
  delta::RunningSumOp op;
  Location loc;
  StringRef name;
  const TensorNames &names;
  int64_t chunk;
  tile::KernelOp kernel;
  SmallVector<Attribute> operandNames;
  Value x, keep, init, sums, total, read, write;
  LaunchArguments launch;
};
} // namespace

void RunningSumKernel::createShell() {
  kernel = tile::KernelOp::create(
      builder, loc, name, countBlocks(), "sequences", /*grid_chunks=*/1, kWarps,
      kBlocks, builder.getArrayAttr({}), IntegerAttr());
  builder.createBlock(&kernel.getBody());
  x = addTensor(op.getX(), /*dense=*/true);
  keep = addIndices(op.getKeepSlots(), /*optional=*/true);
  if (op.getInit())
    init = addTensor(op.getInit(), /*dense=*/false);
  sums = addTensor(op.getSums(), /*dense=*/true);
  total = addTensor(op.getTotal(), /*dense=*/false);
  read = addIndices(op.getReadSlots(), /*optional=*/false);
  write = addIndices(op.getWriteSlots(), /*optional=*/true);
  launch.cu =
      addArgument(tile::CuSeqlensType::get(builder.getContext()), "cu_seqlens");
  launch.tokens = addArgument(builder.getIndexType(), "tokens");
  launch.sequences = addArgument(builder.getIndexType(), "sequences");
  kernel.setOperandsAttr(builder.getArrayAttr(operandNames));
}

/// Returns the sequence's entry of `vector`, of which it may have none.
Value RunningSumKernel::loadSlot(Value vector, Value sequence) {
  if (!vector)
    return {};
  return tile::LoadIndexOp::create(builder, loc, vector, sequence,
                                   createIndex(builder, loc, -1));
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
  Value entry;
  if (keep)
    entry = tile::FirstSlotOp::create(builder, loc, sequence, launch.cu,
                                      launch.tokens,
                                      createIndex(builder, loc, op.getEvery()));
  tile::ScanTokenColumnsOp::create(
      builder, loc, x, sums, total, init, block, at.getBatch(), at.getStart(),
      at.getLength(), at.getEnd(), launch.tokens, sequence, launch.sequences,
      loadSlot(read, sequence), loadSlot(write, sequence), keep, entry, scratch,
      getRun(), op.getReverse(), op.getWrapped(), op.getFirstSlot(),
      op.getEvery());
}

LogicalResult wyvern::lowerRunningSum(OpBuilder &builder,
                                      delta::RunningSumOp op, StringRef name,
                                      const TensorNames &names, int64_t chunk) {
  if (failed(checkSum(op)))
    return failure();
  RunningSumKernel(builder, op, name, names, chunk).lower();
  return success();
}

void wyvern::replaceByLaunch(delta::RunningSumOp op, StringRef name,
                             int64_t chunk) {
  OpBuilder builder(op);
  auto rows = delta::bindRunningSum(op, /*ofTokens=*/true);
  auto state = delta::bindRunningSum(op, /*ofTokens=*/false);
  SmallVector<Value> ins = {op.getX()};
  SmallVector<Attribute> bindings = {rows};
  if (op.getKeepSlots()) {
    ins.push_back(op.getKeepSlots());
    bindings.push_back(delta::BindingAttr::get(
        builder.getContext(), delta::BoundDim{delta::DimKind::chunk}));
  }
  SmallVector<Value> slots;
  if (op.getReadSlots())
    slots = {op.getReadSlots(), op.getWriteSlots()};
  if (op.getInit()) {
    ins.push_back(op.getInit());
    bindings.push_back(state);
  }
  auto launch = tile::LaunchOp::create(
      builder, op.getLoc(), op->getResultTypes(), TypeRange(), ins,
      ValueRange(), op.getCuSeqlens(), slots, name, chunk,
      builder.getArrayAttr(bindings), builder.getArrayAttr({}),
      builder.getArrayAttr({rows, state}));
  op->replaceAllUsesWith(launch->getResults());
  op->erase();
}
