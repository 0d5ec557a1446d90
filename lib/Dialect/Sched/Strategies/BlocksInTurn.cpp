//===- BlocksInTurn.cpp - A map whose chunks blocks do in turn ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BlocksInTurn.h"

#include "wyvern/Dialect/Tile/IR/Tile.h"

#include "mlir/IR/Remarks.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;

/// True for a value of `type` that blocks send each other whole: vectors, and
/// matrices of 16 bits of pairs of tokens. A wider one could have the dimension
/// of which each block has a part, but for a factor, which may have two parts.
static bool canSend(Value value, Type type) {
  auto tile = cast<RankedTensorType>(type);
  return tile.getRank() == 1 || (tile::isHalf(tile.getElementType()) &&
                                 (tile.getDimSize(1) == tile::kBlockColumns ||
                                  value.getDefiningOp<delta::EraseFactorOp>()));
}

/// True if blocks can send each other all tiles of `channel`.
static bool canSend(const PlannedChannel &channel) {
  return llvm::all_of(
      llvm::zip_equal(channel.values, channel.types),
      [](auto tile) { return canSend(std::get<0>(tile), std::get<1>(tile)); });
}

/// Returns why the blocks of a head in `grid` cannot do roles of `plan` in
/// turn; empty if they can.
static std::string checkTurns(const RolePlan &plan, const Grid &grid) {
  const FusedProgram &program = plan.getProgram();
  int64_t most = tile::getTarget(program.getScan()).clusterBlocks;
  if (grid.split > most)
    return "a head has " + std::to_string(grid.split) +
           " blocks, and a cluster at most " + std::to_string(most);
  for (const PlannedChannel &channel : plan.getChannels()) {
    // It would have to load in every chunk.
    if (channel.host.value_or(0) > 0)
      return "role " + plan.getRoles()[*channel.host].name +
             " loads on the side";
    if (channel.filler.value_or(0) > 0 && !canSend(channel))
      return "role " + plan.getRoles()[*channel.filler].name +
             " makes a tile that is no vector and no matrix of " +
             std::to_string(tile::kBlockColumns) + " columns of 16 bits";
  }
  // A wider one could have the dimension of which each block has a part.
  for (const FusedProgram::Out &out : program.getOuts())
    if (auto type = cast<RankedTensorType>(out.tile.getType());
        out.tensor.getOwner() == program.getMap().getOperation() &&
        type.getRank() == 2 && type.getDimSize(1) > tile::kBlockColumns)
      return "its map stores rows of more than " +
             std::to_string(tile::kBlockColumns) + " columns";
  return {};
}

bool sched::takeTurns(RolePlan &plan, Grid &grid, StringRef pass) {
  if (std::string why = checkTurns(plan, grid); !why.empty()) {
    delta::ChunkScanOp scan = plan.getProgram().getScan();
    remark::missed(scan.getLoc(),
                   remark::RemarkOpts::name("NotInTurn").category(pass))
        << "each block of a head makes all of its map: " + why;
    return false;
  }
  grid.cluster = true;
  for (unsigned role = 1; role < plan.getRoles().size(); ++role)
    plan.setInTurn(role, grid.split);
  return true;
}

/// True if blocks of a cluster can send each other all that role `number` of
/// `plan` makes, and whose turn it is gets what each of them has a summand of.
static bool canTurn(const RolePlan &plan, unsigned number) {
  return llvm::all_of(plan.getChannels(), [&](const PlannedChannel &channel) {
    if (channel.filler == number)
      return canSend(channel);
    bool isOfParts = channel.filler &&
                     plan.getRoles()[*channel.filler].divided &&
                     llvm::is_contained(channel.readers, number);
    return !isOfParts || (channel.isVector && channel.isReadBy(number));
  });
}

unsigned sched::takeTurnsBeside(RolePlan &plan, int64_t blocks) {
  unsigned turned = 0;
  for (unsigned role = 1; role < plan.getRoles().size(); ++role) {
    if (plan.getRoles()[role].divided || !canTurn(plan, role))
      continue;
    plan.setInTurn(role, blocks);
    ++turned;
  }
  return turned;
}
