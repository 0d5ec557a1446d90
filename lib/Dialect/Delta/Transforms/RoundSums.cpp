//===- RoundSums.cpp - Sums that go on in registers -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RoundSums.h"

#include "CutSums.h"
#include "TileBytes.h"

#include "wyvern/Dialect/Delta/Analysis/MapRounds.h"
#include "wyvern/Dialect/Delta/Analysis/TileStorage.h"
#include "wyvern/Dialect/Delta/IR/Splat.h"
#include "wyvern/Dialect/Delta/Utils/ChannelDecay.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

/// Makes a product from zero that `sum` alone reads start from its other term,
/// which is there by then.
static void startFromSum(RewriterBase &rewriter, arith::AddFOp sum) {
  Value so = sum.getLhs();
  auto product = sum.getRhs().getDefiningOp<linalg::ContractOp>();
  Operation *def = so.getDefiningOp();
  if (!product || !product->hasOneUse() ||
      !isZero(product.getOutputs().front()) ||
      (def && !def->isBeforeInBlock(product)))
    return;
  product.getOutputsMutable().assign(so);
  rewriter.replaceOp(sum, product->getResult(0));
}

/// Returns the bytes of what `map` computes and multiplies, each tile once, and
/// of the largest tile that leaves: what its block has beside what is loaded.
static int64_t countBytesBeside(ChunkMapOp map) {
  auto countTile = [](Value tile) {
    return getTileRank(tile) == 2 ? kOperandBytes * countFilledElements(tile)
                                  : 0;
  };
  llvm::SmallSetVector<Value, 8> operands;
  for (auto product : map.getBlock().getOps<linalg::ContractOp>())
    for (Value operand : product.getInputs())
      if (operand.getDefiningOp())
        operands.insert(operand);
  int64_t bytes = 0;
  for (Value operand : operands)
    bytes += countTile(operand);
  int64_t leaving = 0;
  for (Value out : map.getYield().getOuts())
    leaving = std::max(leaving, countTile(out));
  return bytes + leaving;
}

/// True if a block has room for what `map` adds in rounds.
static bool fitsInRounds(ChunkMapOp map, MapRoom room) {
  std::optional<MapRounds> rounds = findRounds(map);
  if (!rounds || kHeldBytes * rounds->heldElements > room.registers ||
      hasProductsOfOtherRows(map))
    return false;
  int64_t bytes =
      rounds->countBytes([&](unsigned in) { return countInBytes(map, in); });
  return bytes + countBytesBeside(map) <= room.shared;
}

ChunkMapOp delta::cutInRounds(RewriterBase &rewriter, ChunkMapOp map,
                              MapRoom room) {
  if (hasHalvedProducts(map) || findCuttableSum(map) <= kRoundColumns)
    return {};
  ChunkMapOp cut = cutSums(rewriter, map, kRoundColumns);
  SmallVector<arith::AddFOp> sums(cut.getBlock().getOps<arith::AddFOp>());
  for (arith::AddFOp sum : sums)
    startFromSum(rewriter, sum);
  if (fitsInRounds(cut, room))
    return cut;
  rewriter.eraseOp(cut);
  return {};
}
