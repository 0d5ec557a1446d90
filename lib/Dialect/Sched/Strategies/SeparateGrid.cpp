//===- SeparateGrid.cpp - How the blocks of separate kernels divide work --===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SeparateGrid.h"

#include "MapOfRuns.h"

#include "wyvern/Dialect/Delta/Analysis/SplitDim.h"
#include "wyvern/Dialect/Delta/Utils/Prologue.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"
#include "wyvern/Dialect/Tile/Targets/StateRoom.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;
using delta::ChunkProgramOpInterface;

/// Blocks of a map that an SM should hold: maps load nothing ahead, so several
/// blocks hide their latency. A scan's channel fills most of the shared memory.
static constexpr int64_t kMapBlocks = 3;
/// Chunks that the blocks of a map visit where one fills an SM: the first waits
/// for its loads alone. More would leave SMs without a block in small calls.
static constexpr int64_t kMapRun = 4;

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

/// Returns how many blocks of a map that makes gradients of gates an SM should
/// hold: as many as have registers for four tiles at once.
static int64_t countGateBlocks(delta::ChunkMapOp map) {
  constexpr int64_t kFewColumns = 64;
  Type gates = map.getYield().getOuts().front().getType();
  return cast<RankedTensorType>(gates).getShape().back() > kFewColumns
             ? kStagingMapBlocks
             : kMapBlocks;
}

FailureOr<Grid> sched::chooseGrid(ChunkProgramOpInterface program,
                                  bool hasPanels, bool ofRuns) {
  if (auto map = dyn_cast<delta::ChunkMapOp>(program.getOperation())) {
    Grid grid;
    grid.over = GridOver::slots;
    if (ofRuns)
      grid.run = kMapRun;
    else if (map->hasAttr(delta::kExactAttr) && map.getOuts().size() > 1)
      grid.minBlocks = countGateBlocks(map);
    else
      grid.minBlocks = multipliesComputed(map) && !hasPanels ? kStagingMapBlocks
                                                             : kMapBlocks;
    return grid;
  }
  auto scan = cast<delta::ChunkScanOp>(program.getOperation());
  FailureOr<int64_t> split = countSplitParts(scan);
  if (failed(split))
    return failure();
  Grid grid = getScanGrid(scan);
  grid.split = *split;
  return grid;
}

SmallVector<unsigned> sched::findReadIns(ChunkProgramOpInterface program) {
  auto all = llvm::to_vector(
      llvm::seq<unsigned>(0, static_cast<unsigned>(program.getIns().size())));
  auto read = llvm::to_vector(llvm::make_filter_range(
      all, [&](unsigned i) { return !program.getInArg(i).use_empty(); }));
  return read.empty() ? all : read;
}

/// True if a chunk multiplies two ins, element by element: of what is written
/// say, by a gate a channel.
static bool combinesIns(ChunkProgramOpInterface program) {
  return llvm::any_of(
      program.getBlock().getOps<arith::MulFOp>(), [](arith::MulFOp op) {
        return delta::getTileRank(op) == 2 &&
               llvm::all_of(op->getOperands(), [](Value operand) {
                 return ChunkProgramOpInterface::getInOfTile(operand) !=
                        nullptr;
               });
      });
}

/// Returns the bytes of shared memory that a warpgroup's part of the rounded
/// state takes, split along `split`: none where it is in registers.
static int64_t countStagedBytes(const tile::TargetInfo &target,
                                ChunkProgramOpInterface program,
                                delta::TileDim split) {
  constexpr int64_t kBytes = 2;
  auto state = cast<RankedTensorType>(split.first.getType());
  int64_t columns = state.getDimSize(1 - split.second);
  return tile::holdsRoundedState(target, columns, combinesIns(program))
             ? 0
             : columns * tile::kAccRows * kBytes;
}

/// Returns the bytes of the largest tile of 16 bits through which a warpgroup's
/// part of an out leaves: tiles that are there for a time share a place.
static int64_t countLeavingBytes(ChunkProgramOpInterface program,
                                 delta::DimClasses &classes,
                                 delta::TileDim split) {
  int64_t most = 0;
  for (auto [tile, out] :
       llvm::zip_equal(program.getYield().getOuts(), program.getOuts())) {
    unsigned bits = getElementTypeOrSelf(out).getIntOrFloatBitWidth();
    if (delta::getTileRank(tile) != 2 || bits != 16)
      continue;
    int64_t elements = 1;
    for (auto [dim, size] :
         llvm::enumerate(cast<RankedTensorType>(tile.getType()).getShape()))
      elements *= classes.meets({tile, static_cast<int64_t>(dim)}, split)
                      ? tile::kAccRows
                      : size;
    most = std::max(most, elements * bits / 8);
  }
  return most;
}

int64_t sched::fitDepth(ChunkProgramOpInterface program, KernelOp kernel,
                        int64_t most) {
  tile::TargetInfo target = tile::getTarget(kernel);
  delta::DimClasses classes(program);
  std::optional<delta::TileDim> split;
  if (auto scan = dyn_cast<delta::ChunkScanOp>(program.getOperation()))
    split = delta::findSplitDim(scan, classes);
  int64_t bits = 0;
  for (unsigned i : findReadIns(program)) {
    RankedTensorType tile = getLoadedType(kernel, kernel.getInArgs()[i]);
    int64_t size = tile.getNumElements() * tile.getElementTypeBitWidth();
    for (int64_t dim = 0; split && dim < tile.getRank(); ++dim)
      if (classes.meets({program.getInArg(i), dim}, *split))
        size /= static_cast<int64_t>(kernel.getSplit());
    bits += size;
  }
  int64_t room = target.sharedBytes;
  if (split)
    room -= std::max(countStagedBytes(target, program, *split),
                     countLeavingBytes(program, classes, *split));
  int64_t fit = 8 * room / std::max<int64_t>(bits, 1);
  return std::clamp<int64_t>(fit, 1, most);
}
