//===- FetchedIns.cpp - Ins without a place in shared memory --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a map reads once, element by element, can come from memory when it is
// read. It waits for that, and another block on the SM computes meanwhile, if
// shared memory has room for two. Maps with a decay a channel are long: two of
// them side by side are worth the wait. Others have it so where their tiles
// find no room in a block otherwise.
//
//===----------------------------------------------------------------------===//

#include "FetchedIns.h"

#include "wyvern/Dialect/Delta/IR/ChunkRegion.h"
#include "wyvern/Dialect/Delta/IR/Splat.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;

/// Bytes that lie between the tiles of a block.
static constexpr int64_t kGaps = 12 * 1024;
/// Bytes that barriers take, and what lies between them and tiles.
static constexpr int64_t kBarrierGap = 2 * 1024;
/// Bytes behind a row of f32 (`!tile.smem`).
static constexpr int64_t kRowGap = 16;

/// Returns the bytes of `tile` in shared memory, where rows of f32 have gaps.
static int64_t countTileBytes(Value tile, Type element) {
  auto type = cast<RankedTensorType>(tile.getType());
  int64_t bytes = type.getNumElements() * element.getIntOrFloatBitWidth() / 8;
  bool hasGaps = type.getRank() == 2 && element.isF32();
  return hasGaps ? bytes + kRowGap * type.getDimSize(0) : bytes;
}

static bool isRowSum(Operation &op) {
  return isa<delta::CumsumOp, delta::SumToMiddleOp>(op) &&
         delta::getTileRank(op.getResult(0)) == 2;
}

bool sched::sumsRows(delta::ChunkMapOp map) {
  return llvm::any_of(map.getBlock(), isRowSum);
}

/// True for rows of tokens that one operation reads, and no product.
static bool isReadOnce(delta::ChunkMapOp map, unsigned in) {
  BlockArgument tile = map.getInArg(in);
  auto program = cast<delta::ChunkProgramOpInterface>(map.getOperation());
  Operation *user = delta::getOnlyReader(tile);
  if (delta::getTileRank(tile) != 2 || !user ||
      cast<RankedTensorType>(tile.getType()).getDimSize(0) != tile::kAccRows ||
      !program.getInBinding(in).has(delta::DimKind::time))
    return false;
  return isa<delta::CumsumOp>(user) ||
         (user->hasTrait<OpTrait::Elementwise>() &&
          !isa<arith::TruncFOp>(user));
}

/// True for a map of elementwise operations alone, such as a sum of heads.
static bool isElementwise(delta::ChunkMapOp map) {
  return llvm::all_of(map.getBlock().without_terminator(), [](Operation &op) {
    return op.hasTrait<OpTrait::Elementwise>();
  });
}

/// Returns the most bytes that computed operands of one product take.
static int64_t countStagedBytes(delta::ChunkMapOp map) {
  int64_t staged = 0;
  for (auto product : map.getBlock().getOps<linalg::ContractOp>()) {
    int64_t bytes = 0;
    for (Value input : product.getInputs())
      if (auto rounded = input.getDefiningOp<arith::TruncFOp>();
          rounded && rounded.getIn().getDefiningOp())
        bytes += countTileBytes(input, getElementTypeOrSelf(input));
    staged = std::max(staged, bytes);
  }
  return staged;
}

/// Returns the most bytes that rows take as they are summed.
static int64_t countScannedBytes(delta::ChunkMapOp map) {
  int64_t scanned = 0;
  for (Operation &op : map.getBlock())
    if (isRowSum(op))
      scanned =
          std::max(scanned, countTileBytes(op.getResult(0), map.getCompute()));
  return scanned;
}

/// Returns the bytes of shared memory that leave room for another block.
static int64_t getHalfOfShared(delta::ChunkMapOp map) {
  tile::TargetInfo target = tile::getTarget(map);
  return (target.sharedBytes + target.sharedBytesReserved) / 2 -
         target.sharedBytesReserved;
}

int64_t sched::countStoredBytes(delta::ChunkMapOp map,
                                ArrayRef<unsigned> outs) {
  int64_t most = 0;
  for (unsigned i : outs) {
    Value tile = map.getYield().getOuts()[i];
    if (delta::getTileRank(tile) == 2)
      most = std::max(
          most, countTileBytes(tile, getElementTypeOrSelf(map.getOuts()[i])));
  }
  return most;
}

/// Returns the bytes of the tile of in `i` in shared memory.
static int64_t countInBytes(delta::ChunkMapOp map, unsigned i) {
  bool isVector = delta::getTileRank(map.getInArg(i)) < 2;
  return countTileBytes(map.getInArg(i),
                        isVector ? map.getCompute()
                                 : getElementTypeOrSelf(map.getIns()[i]));
}

/// Drops those of `fetched` without which the others leave as much room as is
/// missing, the largest staying: registers hold what is fetched.
static void keepFewest(SmallVectorImpl<unsigned> &fetched,
                       delta::ChunkMapOp map, int64_t missing) {
  llvm::stable_sort(fetched, [&](unsigned a, unsigned b) {
    return countInBytes(map, a) > countInBytes(map, b);
  });
  size_t number = 0;
  while (number < fetched.size() && missing > 0)
    missing -= countInBytes(map, fetched[number++]);
  fetched.truncate(number);
  llvm::sort(fetched);
}

std::optional<delta::MapPhases>
sched::findGainfulPhases(delta::ChunkMapOp map) {
  std::optional<delta::MapPhases> phases = delta::findPhases(map);
  if (!phases)
    return std::nullopt;
  auto countIns = [&](ArrayRef<unsigned> ins) {
    int64_t bytes = 0;
    for (unsigned in : ins)
      bytes += countInBytes(map, in);
    return bytes;
  };
  int64_t half = getHalfOfShared(map), staged = countStagedBytes(map);
  int64_t first = countIns(phases->firstIns);
  int64_t second = countIns(phases->secondIns);
  for (Operation &op : map.getBlock())
    if (phases->first.contains(&op) && op.getNumResults() == 1 &&
        delta::isReadBehindProducts(op.getResult(0)))
      second += countTileBytes(op.getResult(0), map.getCompute());
  int64_t beside = countScannedBytes(map) + kBarrierGap;
  bool isTooLarge = first + second + staged + beside > half;
  bool fits = std::max(first, second + staged) + beside <= half;
  return isTooLarge && fits ? phases : std::nullopt;
}

std::optional<delta::MapRounds>
sched::findGainfulRounds(delta::ChunkMapOp map) {
  int64_t staged = countStagedBytes(map), bytes = staged;
  for (unsigned i = 0; i < map.getIns().size(); ++i)
    if (!map.getInArg(i).use_empty())
      bytes += countInBytes(map, i);
  int64_t room = tile::getTarget(map).sharedBytes - kGaps;
  std::optional<delta::MapRounds> rounds = delta::findRounds(map);
  auto outs = llvm::to_vector(llvm::seq<unsigned>(0, map.getOuts().size()));
  int64_t beside = countStoredBytes(map, outs) + kBarrierGap;
  if (bytes + beside <= getHalfOfShared(map) || !rounds)
    return std::nullopt;
  bytes = staged + rounds->countBytes(
                       [&](unsigned in) { return countInBytes(map, in); });
  int64_t held = rounds->heldElements / tile::kWarpgroupThreads;
  bool fits = bytes <= room && held <= tile::getTarget(map).tileRegisters;
  return fits ? rounds : std::nullopt;
}

SmallVector<unsigned> sched::findFetchedIns(delta::ChunkMapOp map) {
  tile::TargetInfo target = tile::getTarget(map);
  int64_t half = getHalfOfShared(map);
  int64_t bytes = countStagedBytes(map) + countScannedBytes(map);
  int64_t fetchedBytes = 0;
  SmallVector<unsigned> fetched;
  bool hasOther = false, sums = sumsRows(map), isPlain = isElementwise(map);
  for (unsigned i = 0; i < map.getIns().size(); ++i) {
    if (map.getInArg(i).use_empty())
      continue;
    int64_t size = countInBytes(map, i);
    bytes += size;
    // Beside products, a sum that goes on: these take its registers.
    if (!isReadOnce(map, i) ||
        !(sums || isPlain || getElementTypeOrSelf(map.getIns()[i]).isF32())) {
      hasOther = true;
      continue;
    }
    fetchedBytes += size;
    fetched.push_back(i);
  }
  // A channel holds something.
  if (!hasOther && !sums && !fetched.empty())
    fetched.erase(fetched.begin());
  else if (!hasOther)
    return {};
  if (sums) {
    bool gainsBlock = bytes > half && bytes - fetchedBytes <= half;
    bool isTooWide = bytes + kGaps > target.sharedBytes;
    return gainsBlock || isTooWide ? fetched : SmallVector<unsigned>();
  }
  auto outs = llvm::to_vector(
      llvm::seq<unsigned>(0, static_cast<unsigned>(map.getOuts().size())));
  keepFewest(fetched, map,
             bytes + countStoredBytes(map, outs) + kGaps - target.sharedBytes);
  return fetched;
}
