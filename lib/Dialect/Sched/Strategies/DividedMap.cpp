//===- DividedMap.cpp - What blocks of a cluster do of a map --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DividedMap.h"

#include "wyvern/Dialect/Sched/Analysis/DividedWork.h"
#include "wyvern/Dialect/Tile/IR/Tile.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;

DividedMap::DividedMap(const RolePlan &plan, int64_t blocks)
    : plan(plan), blocks(blocks),
      classes(cast<delta::ChunkProgramOpInterface>(
          plan.getProgram().getMap().getOperation())) {
  dims.resize(plan.getRoles().size());
  for (unsigned role = 1; role < dims.size(); ++role)
    dims[role] = findDim(role);
}

bool DividedMap::storesMatrix(unsigned role) const {
  return llvm::any_of(plan.getProgram().getOuts(),
                      [&](const FusedProgram::Out &out) {
                        return delta::getTileRank(out.tile) == 2 &&
                               plan.computes(role, out.tile);
                      });
}

std::optional<delta::TileDim> DividedMap::findDim(unsigned role) const {
  SmallVector<Value> put;
  for (const PlannedChannel &channel : plan.getChannels())
    if (channel.filler == role)
      llvm::append_range(put, channel.values);
  for (const FusedProgram::Out &out : plan.getProgram().getOuts())
    if (plan.computes(role, out.tile) &&
        canDivideColumns(out.tile, plan.getRoles()[role].ops, put, blocks,
                         classes))
      return delta::TileDim{out.tile, 1};
  return std::nullopt;
}

const PlannedRole *DividedMap::findUndivided() const {
  for (unsigned role = 1; role < dims.size(); ++role)
    if (!dims[role] && storesMatrix(role))
      return &plan.getRoles()[role];
  return nullptr;
}

Operation *DividedMap::findMisusedSum() const {
  PartialSums sums;
  auto map = plan.getProgram().getMap();
  for (Operation &op : map.getBlock().without_terminator()) {
    // What several roles make is made of loaded vectors alone.
    bool isOverParts =
        llvm::any_of(llvm::seq<unsigned>(1, dims.size()), [&](unsigned role) {
          return dims[role] && classes.mixes(&op, *dims[role]) &&
                 llvm::is_contained(plan.getRoles()[role].ops, &op);
        });
    if (!sums.follow(&op, isOverParts))
      return &op;
  }
  for (const FusedProgram::Out &out : plan.getProgram().getOuts())
    if (sums.contains(out.tile) && delta::getTileRank(out.tile) != 1)
      return out.tile.getDefiningOp();
  return nullptr;
}

std::optional<int64_t> DividedMap::getReadDim(unsigned role,
                                              unsigned in) const {
  if (!dims[role])
    return std::nullopt;
  for (BlockArgument arg : plan.getProgram().getMap().getBlock().getArguments())
    if (plan.getProgram().resolve(arg).in == in)
      for (int64_t i = 0; i < delta::getTileRank(arg); ++i)
        if (classes.meets({arg, i}, *dims[role]))
          return i;
  return std::nullopt;
}

int64_t DividedMap::countParts(const PlannedChannel &channel,
                               unsigned in) const {
  std::optional<int64_t> first = getReadDim(channel.readers.front(), in);
  bool areSame = llvm::all_of(channel.readers, [&](unsigned role) {
    return getReadDim(role, in) == first;
  });
  return first && areSame ? blocks : 1;
}

std::string DividedMap::divide(RolePlan &plan) const {
  for (PlannedChannel &channel : plan.getChannels()) {
    if (channel.filler != 0u)
      continue;
    if (!llvm::all_of(channel.types, [](Type type) {
          auto tile = cast<RankedTensorType>(type);
          return tile.getRank() == 2 && tile::isHalf(tile.getElementType());
        }))
      return "its map reads of it what is no matrix of 16 bits, which the "
             "blocks of a cluster would hand each other";
    channel.across = true;
  }
  if (const PlannedRole *role = findUndivided())
    return "role " + role->name +
           " of its map sums over the columns of all that it stores, or these "
           "are no multiple of " +
           std::to_string(blocks * tile::kBlockColumns) +
           ": blocks of a cluster cannot each do a part";
  if (Operation *op = findMisusedSum())
    return ("its map makes by " + op->getName().getStringRef() +
            " of a sum over columns, of which blocks of a cluster have parts, "
            "what is no sum of theirs")
        .str();
  for (unsigned role = 1; role < plan.getRoles().size(); ++role)
    if (dims[role])
      plan.setDivided(role);
  return {};
}
