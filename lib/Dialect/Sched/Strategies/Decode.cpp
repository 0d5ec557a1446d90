//===- Decode.cpp - sched-decode ----------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelFrame.h"

#include "wyvern/Dialect/Sched/Strategies/Passes.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Remarks.h"

#define DEBUG_TYPE "sched-decode"

namespace mlir::wyvern::sched {
#define GEN_PASS_DEF_DECODEPASS
#include "wyvern/Dialect/Sched/Strategies/Passes.h.inc"
} // namespace mlir::wyvern::sched

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;

/// Registers of a thread: for the state's elements, the keys' and what is
/// multiplied with them. With so many, blocks of an SM have 128 KB of states on
/// their way, several times what its memory bandwidth takes. More than a few
/// rows of keys need more; with the fewer, ptxas loads them one after the
/// other. Where many are shared by the block's threads, each of these has the
/// elements that it brings beside those that it uses.
static constexpr int64_t kThreadRegisters = 128, kManyKeysRegisters = 160,
                         kSharedKeysRegisters = 216;
static constexpr int64_t kFewKeys = 3;
static constexpr int64_t kWarpThreads = 32;
/// Lanes of a warp among which the rows of a state are dealt out.
static constexpr int64_t kRowLanes = 4;

namespace {
/// How a step's blocks divide the state of a head.
struct Division {
  int64_t split = 1, warps = 1, minBlocks = 1;
};
} // namespace

/// Returns the largest parts of the split dimension that `warps` warps hold
/// with so many elements a thread, or the whole dimension, and how many blocks
/// of threads with so many registers fit an SM.
static Division divide(const tile::TargetInfo &target, RankedTensorType state,
                       int64_t splitSize, int64_t warps, int64_t elements,
                       int64_t registers) {
  int64_t row = state.getNumElements() / splitSize;
  Division division;
  division.warps = warps;
  auto fits = [&](int64_t split) {
    return splitSize / split * row <= warps * kWarpThreads * elements;
  };
  while (!fits(division.split) && splitSize % (2 * division.split) == 0 &&
         splitSize / (2 * division.split) % kRowLanes == 0)
    division.split *= 2;
  int64_t rows = splitSize / division.split;
  // No warp without rows.
  while (division.warps > 1 && rows % (division.warps * kRowLanes) != 0)
    division.warps /= 2;
  int64_t threads = division.warps * kWarpThreads;
  division.minBlocks = std::clamp<int64_t>(
      target.smRegisters / (threads * registers), 1, target.smBlocks);
  return division;
}

namespace {
/// What a token's rows need registers for.
struct TokenRows {
  int64_t keys = 0; ///< rows along the dimension that is summed over
  int64_t most = 1; ///< of one step, as a power of two
};
} // namespace

/// Counts the rows a token of the scan's ins. The keys of all rows of a step
/// are in registers at once, in the place of the state's elements.
static TokenRows countRows(delta::ChunkScanOp scan,
                           const delta::DimClasses &classes,
                           delta::TileDim split) {
  delta::TileDim summed = {split.first, 1 - split.second};
  TokenRows rows;
  for (unsigned i = 0; i < scan.getIns().size(); ++i) {
    BlockArgument tile = scan.getInArg(i);
    // A filter is spread as rows are loaded, an element a thread.
    if (llvm::any_of(tile.getUsers(), [&](Operation *user) {
          auto conv = dyn_cast<delta::ConvRowOp>(user);
          return conv && conv.getFilter() == tile;
        }))
      continue;
    int64_t multiple = scan.getInBinding(i).getTimeMultiple();
    rows.most = std::max(rows.most, multiple);
    for (int64_t dim = 0; dim < delta::getTileRank(tile); ++dim)
      if (classes.meets({tile, dim}, summed))
        rows.keys += multiple;
  }
  rows.most = static_cast<int64_t>(llvm::PowerOf2Ceil(rows.most));
  return rows;
}

namespace {
struct DecodePass : wyvern::sched::impl::DecodePassBase<DecodePass> {
  using Base::Base;

  void runOnOperation() override {
    OpBuilder builder(&getContext());
    SmallVector<delta::ChunkScanOp> scans(
        getOperation().getOps<delta::ChunkScanOp>());
    for (delta::ChunkScanOp scan : scans) {
      if (scan.getChunk() != 1 || !scan.hasSlots()) {
        remark::missed(
            scan.getLoc(),
            remark::RemarkOpts::name("delta.chunk_scan").category(DEBUG_TYPE))
            << remark::reason("its chunks are not of one token, or its states "
                              "are in no pool");
        continue;
      }
      if (failed(schedule(builder, scan)))
        return signalPassFailure();
      ++numKernels;
    }
  }

private:
  LogicalResult schedule(OpBuilder &builder, delta::ChunkScanOp scan);
};
} // namespace

/// Moves the region of `scan` into a role, between loads and stores.
static void writeRole(OpBuilder &builder, delta::ChunkScanOp scan,
                      KernelOp kernel, int64_t warps, int64_t rows) {
  Location loc = scan.getLoc();
  RoleOp role = createRole(builder, kernel, "step", warps);
  role.setOnCores(true);
  if (rows > 0)
    role.setShareRows(rows);
  SmallVector<Value> inits;
  for (BlockArgument init : kernel.getInitArgs())
    inits.push_back(
        LoadOp::create(builder, loc, kernel.getTileType(init), init));
  EachChunkOp loop =
      createEachChunk(builder, loc, delta::Direction::forward, inits);
  IRMapping mapping;
  mapping.map(scan.getValid(), loop.getValid());
  for (auto [i, arg] : llvm::enumerate(loop.getCarryArgs()))
    mapping.map(scan.getCarryArg(i), arg);
  for (auto [i, in] : llvm::enumerate(kernel.getInArgs()))
    if (!scan.getInArg(i).use_empty())
      mapping.map(scan.getInArg(i),
                  LoadOp::create(builder, loc, kernel.getTileType(in), in));
  for (Operation &op : scan.getBlock().without_terminator())
    builder.clone(op, mapping);
  delta::YieldOp yield = scan.getYield();
  for (auto [tile, out] : llvm::zip_equal(yield.getOuts(), kernel.getOutArgs()))
    StoreOp::create(builder, loc, mapping.lookup(tile), out, Value());
  SmallVector<Value> carries = llvm::map_to_vector(
      yield.getCarries(), [&](Value tile) { return mapping.lookup(tile); });
  YieldOp::create(builder, loc, carries);
  builder.setInsertionPointAfter(loop);
  for (auto [last, final] :
       llvm::zip_equal(loop.getFinals(), kernel.getFinalArgs()))
    StoreOp::create(builder, loc, last, final, Value());
}

LogicalResult DecodePass::schedule(OpBuilder &builder,
                                   delta::ChunkScanOp scan) {
  auto program = cast<delta::ChunkProgramOpInterface>(scan.getOperation());
  auto func = scan->getParentOfType<func::FuncOp>();
  delta::DimClasses classes(program);
  auto dim = requireSplitDim(scan, classes, "token");
  if (failed(dim))
    return failure();
  auto state = cast<RankedTensorType>(dim->first.getType());
  TokenRows counted = countRows(scan, classes, *dim);
  tile::TargetInfo target = tile::getTarget(scan);
  int64_t held = std::max<int64_t>(elements / counted.most, 1);
  bool isSummed = llvm::any_of(
      scan.getBlock(), [&](Operation &op) { return classes.mixes(&op, *dim); });
  bool isConvolved = !scan.getBlock().getOps<delta::ConvRowOp>().empty();
  // Rows turn by running sums, which are carried as vectors.
  bool isTurned = llvm::any_of(
      llvm::seq<unsigned>(1, scan.getInits().size()),
      [&](unsigned i) { return delta::getTileRank(scan.getCarryArg(i)) == 1; });
  // A block that waits for others in every token has no time to wait for rows.
  bool mustShare = isConvolved || isSummed || isTurned;
  bool areMany = counted.keys > kFewKeys;
  // An epilogue has operands and addresses of its own.
  int64_t registers = areMany && mustShare  ? kSharedKeysRegisters
                      : areMany || isSummed ? kManyKeysRegisters
                                            : kThreadRegisters;
  Division division = divide(target, state, state.getDimSize(dim->second),
                             warps, held, registers);
  // Blocks that sum over the split dimension together are a cluster.
  if (isSummed && division.split > target.clusterBlocks)
    return scan.emitError()
           << "expected a state that the " << target.clusterBlocks
           << " blocks of a cluster can hold, since the step sums over its "
              "value dimension (the norm of an epilogue), found "
           << state << "; leave the norm out";
  Grid grid;
  if (few && !isSummed && dim->second == 0) {
    Division finer = divide(target, state, state.getDimSize(dim->second), warps,
                            std::max<int64_t>(held / 2, 1),
                            std::max(registers, kManyKeysRegisters));
    if (finer.split > division.split) {
      division = finer;
      // Latency counts: a launch takes a quarter of such a call.
      grid.overlaps = true;
      ++numFew;
    }
  }
  grid.split = division.split;
  grid.minBlocks = division.minBlocks;
  KernelTensors tensors = getTensors(program);
  KernelOp kernel = createKernel(builder, program, tensors,
                                 (func.getSymName() + "_decode").str(), grid);
  int64_t shared = mustShare ? std::max<int64_t>(rows, 1) : rows;
  writeRole(builder, scan, kernel, division.warps, shared);
  numShared += shared > 0;
  scan->replaceAllUsesWith(kernel->getResults());
  scan.erase();
  return success();
}
