//===- SharedValues.cpp - What a backward makes again ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SharedValues.h"

#include "wyvern/Dialect/Delta/Utils/Training.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

/// True if a chunk of one program is the chunk of the other.
static bool haveSameChunks(ChunkProgramOpInterface a,
                           ChunkProgramOpInterface b) {
  return a.getChunk() == b.getChunk() && a.getHeads() == b.getHeads() &&
         a.getCompute() == b.getCompute();
}

/// The backward's arguments begin with those of the forward, in their order.
/// Carries are equal where one scan is the replay of the other.
bool SharedValues::areEqualArgs(BlockArgument value, Value candidate) {
  auto program = cast<ChunkProgramOpInterface>(value.getOwner()->getParentOp());
  Value in = ChunkProgramOpInterface::getInOfTile(value);
  auto argument = dyn_cast_if_present<BlockArgument>(in);
  if (Value saved = argument ? residuals.lookup(argument) : Value())
    return saved == candidate;
  auto other = dyn_cast<BlockArgument>(candidate);
  if (!other)
    return false;
  auto otherProgram =
      cast<ChunkProgramOpInterface>(other.getOwner()->getParentOp());
  unsigned number = value.getArgNumber(), otherNumber = other.getArgNumber();
  if (number == 0 || otherNumber == 0)
    return number == otherNumber;
  if (argument) {
    auto source = dyn_cast_if_present<BlockArgument>(
        ChunkProgramOpInterface::getInOfTile(other));
    return source && source.getArgNumber() == argument.getArgNumber() &&
           program.getInBinding(number - 1) ==
               otherProgram.getInBinding(otherNumber - 1);
  }
  Attribute replay = program->getAttr(kReplayAttr);
  return !in && replay && replay == otherProgram->getAttr(kReplayAttr) &&
         !ChunkProgramOpInterface::getInOfTile(other) &&
         number - program.getIns().size() ==
             otherNumber - otherProgram.getIns().size();
}

bool SharedValues::areEqual(Value value, Value candidate) {
  if (value.getType() != candidate.getType())
    return false;
  if (auto known = equal.find(value); known != equal.end())
    return known->second == candidate;
  if (auto arg = dyn_cast<BlockArgument>(value)) {
    // Else of a region within an operation: marked when that is entered.
    return isa<ChunkProgramOpInterface>(arg.getOwner()->getParentOp()) &&
           areEqualArgs(arg, candidate);
  }
  Operation *def = value.getDefiningOp(), *other = candidate.getDefiningOp();
  return other &&
         cast<OpResult>(value).getResultNumber() ==
             cast<OpResult>(candidate).getResultNumber() &&
         OperationEquivalence::isEquivalentTo(
             def, other,
             [&](Value a, Value b) { return success(areEqual(a, b)); },
             [&](Value a, Value b) { equal[a] = b; },
             OperationEquivalence::IgnoreLocations |
                 OperationEquivalence::IgnoreDiscardableAttrs);
}

Value SharedValues::find(Value value) {
  auto program =
      cast<ChunkProgramOpInterface>(value.getParentBlock()->getParentOp());
  for (auto other : forward.getOps<ChunkProgramOpInterface>()) {
    if (!haveSameChunks(program, other))
      continue;
    SmallVector<Value> candidates(other.getBlock().getArguments());
    for (Operation &op : other.getBlock())
      llvm::append_range(candidates, op.getResults());
    for (Value candidate : candidates) {
      equal.clear();
      if (areEqual(value, candidate))
        return candidate;
    }
  }
  return {};
}
