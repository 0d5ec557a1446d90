//===- Separate.cpp - sched-separate
//----------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelFrame.h"

#include "wyvern/Dialect/Sched/Strategies/Passes.h"

#include "mlir/IR/IRMapping.h"

namespace mlir::wyvern::sched {
#define GEN_PASS_DEF_SEPARATEPASS
#include "wyvern/Dialect/Sched/Strategies/Passes.h.inc"
} // namespace mlir::wyvern::sched

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;
using delta::ChunkProgramOpInterface;

/// Warps: one warpgroup that computes, then one warp that loads.
static constexpr int64_t kComputeWarps = 4, kLoadWarps = 1;
/// Blocks an SM should hold. A scan's channel fills most of the shared memory;
/// maps load nothing ahead, so several blocks hide their latency.
static constexpr int64_t kMapBlocks = 3;
/// Maps that multiply by what they have computed hold more at a time: as many
/// registers as two blocks an SM leave.
static constexpr int64_t kStagingMapBlocks = 2;

//===----------------------------------------------------------------------===//
// The grid
//===----------------------------------------------------------------------===//

/// True if `value` is an in, or an in rounded to what it is stored as: products
/// read it where it was loaded to.
static bool isLoaded(Value value) {
  if (auto rounded = value.getDefiningOp<arith::TruncFOp>()) {
    Value in = ChunkProgramOpInterface::getInOfTile(rounded.getIn());
    return in && getElementTypeOrSelf(in) == getElementTypeOrSelf(value);
  }
  return ChunkProgramOpInterface::getInOfTile(value) != nullptr;
}

/// True if some product of `map` reads what the map computes.
static bool multipliesComputed(delta::ChunkMapOp map) {
  for (Operation &op : map.getBlock()) {
    SmallVector<Value, 2> factors;
    if (auto contract = dyn_cast<linalg::ContractOp>(op))
      factors.assign(contract.getInputs().begin(), contract.getInputs().end());
    else if (auto dot = dyn_cast<delta::DecayDotOp>(op))
      factors = {dot.getA(), dot.getB()};
    if (!llvm::all_of(factors, isLoaded))
      return true;
  }
  return false;
}

/// Returns how the blocks of `program` divide its work.
static FailureOr<Grid> chooseGrid(ChunkProgramOpInterface program) {
  Grid grid;
  if (auto map = dyn_cast<delta::ChunkMapOp>(program.getOperation())) {
    grid.over = GridOver::slots;
    grid.minBlocks = multipliesComputed(map) ? kStagingMapBlocks : kMapBlocks;
    return grid;
  }
  FailureOr<int64_t> split =
      countSplitParts(cast<delta::ChunkScanOp>(program.getOperation()));
  if (failed(split))
    return failure();
  grid.split = *split;
  // Carries that start anew every few chunks: a block for each such run.
  delta::BindingAttr first = program.getCarryBinding(0);
  if (first.has(delta::DimKind::chunk)) {
    grid.over = GridOver::slots;
    grid.run = first.getChunkMultiple();
  }
  return grid;
}

//===----------------------------------------------------------------------===//
// The roles
//===----------------------------------------------------------------------===//

namespace {
/// One program's kernel, as it is built.
class SeparateKernel {
public:
  SeparateKernel(OpBuilder &builder, ChunkProgramOpInterface program,
                 KernelOp kernel)
      : builder(builder), program(program), kernel(kernel),
        loc(program.getLoc()) {}

  /// Adds the channel of all ins, the role that computes and the one that
  /// loads.
  void addRoles(int64_t depth) {
    SmallVector<Type> tiles;
    for (BlockArgument in : kernel.getInArgs())
      tiles.push_back(getLoadedType(kernel, in));
    builder.setInsertionPointToEnd(&kernel.getBlock());
    channel = ChannelOp::create(builder, loc,
                                ChannelType::get(builder.getContext(), tiles),
                                depth, Fill::tma);
    addCompute();
    addLoad();
  }

private:
  void addCompute();
  void addLoad();
  /// Clones the chunk's operations; each out is stored where it is made, since
  /// its registers are then free for what follows.
  void cloneChunk(IRMapping &mapping);
  void storeOutsOf(Operation *op, const IRMapping &mapping);

  OpBuilder &builder;
  ChunkProgramOpInterface program;
  KernelOp kernel;
  Location loc;
  Value channel;
};
} // namespace

void SeparateKernel::storeOutsOf(Operation *op, const IRMapping &mapping) {
  for (auto [i, tile] : llvm::enumerate(program.getYield().getOuts()))
    if (tile.getDefiningOp() == op)
      StoreOp::create(builder, loc, mapping.lookup(tile),
                      kernel.getOutArgs()[i], /*via=*/Value());
}

void SeparateKernel::cloneChunk(IRMapping &mapping) {
  // First what was there before: the chunk's products overwrite a carry.
  storeOutsOf(/*op=*/nullptr, mapping);
  for (Operation &op : program.getBlock().without_terminator()) {
    builder.clone(op, mapping);
    storeOutsOf(&op, mapping);
  }
}

void SeparateKernel::addCompute() {
  createRole(builder, kernel, "compute", kComputeWarps);
  SmallVector<Value> inits;
  for (BlockArgument init : kernel.getInitArgs())
    inits.push_back(
        LoadOp::create(builder, loc, kernel.getTileType(init), init));
  EachChunkOp loop =
      createEachChunk(builder, loc, getDirection(program), inits);
  SmallVector<Type> tiles;
  for (unsigned i = 0; i < program.getIns().size(); ++i)
    tiles.push_back(program.getInArg(i).getType());
  auto got = GetOp::create(builder, loc, tiles, channel);
  IRMapping mapping;
  mapping.map(program.getValid(), loop.getValid());
  for (auto [i, tile] : llvm::enumerate(got.getTiles()))
    mapping.map(program.getInArg(i), tile);
  for (auto [i, carry] : llvm::enumerate(loop.getCarryArgs()))
    mapping.map(program.getCarryArg(i), carry);
  cloneChunk(mapping);
  SmallVector<Value> carries;
  for (Value carry : program.getYield().getCarries())
    carries.push_back(mapping.lookup(carry));
  YieldOp::create(builder, loc, carries);
  builder.setInsertionPointAfter(loop);
  for (auto [i, final] : llvm::enumerate(loop.getFinals()))
    if (!program.getFinals()[i].use_empty())
      StoreOp::create(builder, loc, final, kernel.getFinalArgs()[i],
                      /*via=*/Value());
}

void SeparateKernel::addLoad() {
  createRole(builder, kernel, "load", kLoadWarps);
  createEachChunk(builder, loc, getDirection(program), {});
  SmallVector<Value> tiles;
  for (BlockArgument in : kernel.getInArgs())
    tiles.push_back(LoadOp::create(builder, loc, kernel.getTileType(in), in));
  PutOp::create(builder, loc, tiles, channel);
  YieldOp::create(builder, loc);
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct Separate : sched::impl::SeparatePassBase<Separate> {
  using SeparatePassBase::SeparatePassBase;

  void runOnOperation() override {
    SmallVector<ChunkProgramOpInterface> programs(
        getOperation().getOps<ChunkProgramOpInterface>());
    unsigned scans = 0, maps = 0;
    for (ChunkProgramOpInterface program : programs) {
      bool isMap = isa<delta::ChunkMapOp>(program);
      std::string name =
          nameKernel(isMap ? "map" : "scan", isMap ? maps++ : scans++);
      if (failed(schedule(program, name)))
        return signalPassFailure();
    }
  }

private:
  std::string nameKernel(StringRef kind, unsigned number) {
    std::string name = (getOperation().getSymName() + "_" + kind).str();
    return number ? name + std::to_string(number) : name;
  }

  LogicalResult schedule(ChunkProgramOpInterface program, StringRef name) {
    FailureOr<Grid> grid = chooseGrid(program);
    if (failed(grid))
      return failure();
    OpBuilder builder(program);
    KernelOp kernel =
        createKernel(builder, program, getTensors(program), name, *grid);
    bool isMap = isa<delta::ChunkMapOp>(program);
    SeparateKernel(builder, program, kernel).addRoles(isMap ? 1 : stages);
    program->replaceAllUsesWith(kernel->getResults());
    program->erase();
    ++numKernels;
    return success();
  }
};
} // namespace
