//===- NarrowStorage.cpp - 16-bit storage between programs ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "NarrowStorage.h"
#include "SumsOfParts.h"

#include "wyvern/Dialect/Delta/Utils/Prologue.h"
#include "wyvern/Dialect/Delta/Utils/Training.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

BlockArgument delta::getTileOf(OpOperand &use) {
  auto program = dyn_cast<ChunkProgramOpInterface>(use.getOwner());
  unsigned i = use.getOperandNumber();
  if (!program || i >= program.getIns().size())
    return {};
  return program.getInArg(i);
}

/// True if all that is ever read of `tile` are its elements rounded to `type`.
static bool isReadRounded(BlockArgument tile, FloatType type) {
  return llvm::all_of(tile.getUsers(), [&](Operation *user) {
    return isa<arith::TruncFOp>(user) &&
           getElementTypeOrSelf(user->getResult(0)) == type;
  });
}

/// True for a sum of matrices of one map that goes on in the one program that
/// reads it (delta-cut-maps, delta-split-maps): a cut does not round. What a
/// scan stores is rounded: a gradient of the state's times keys, which rates
/// have a part of.
static bool isSumThatGoesOn(OpOperand &use) {
  BlockArgument tile = getTileOf(use);
  bool hasOneReader =
      use.get().hasOneUse() || use.getOwner()->hasAttr(kSumOfPartsAttr);
  return use.get().getDefiningOp<ChunkMapOp>() && hasOneReader &&
         !tile.use_empty() &&
         llvm::all_of(tile.getUsers(),
                      llvm::IsaPred<arith::AddFOp, arith::SubFOp>);
}

/// True for a tensor that a map of gates makes or reads.
static bool isExact(Value tensor) {
  auto isMarked = [](Operation *op) { return op && op->hasAttr(kExactAttr); };
  return isMarked(tensor.getDefiningOp()) ||
         llvm::any_of(tensor.getUsers(), isMarked);
}

bool delta::isNarrowable(Value tensor, FloatType type, bool mayBeSaved) {
  auto wide = cast<RankedTensorType>(tensor.getType());
  if (tensor.use_empty() || isExact(tensor) ||
      wide.getElementTypeBitWidth() <= type.getWidth())
    return false;
  return llvm::all_of(tensor.getUses(), [&](OpOperand &use) {
    if (mayBeSaved && isSavedBy(use))
      return true;
    BlockArgument tile = getTileOf(use);
    if (!tile)
      return false;
    return (getTileRank(tile) == 2 && !isSumThatGoesOn(use)) ||
           isReadRounded(tile, type);
  });
}

static void narrow(Value tensor, FloatType type) {
  tensor.setType(cast<RankedTensorType>(tensor.getType()).clone(type));
}

unsigned delta::narrowOuts(ChunkProgramOpInterface program, FloatType type) {
  unsigned number = 0;
  for (Value out : program.getOuts())
    if (isNarrowable(out, type, /*mayBeSaved=*/false)) {
      narrow(out, type);
      ++number;
    }
  return number;
}

/// The argument of `backward` that takes result `i` of its forward, if that is
/// saved for it.
static BlockArgument getSavedArgument(func::FuncOp forward,
                                      func::FuncOp backward, unsigned i) {
  if (!forward.getResultAttr(i, kResidualAttr))
    return {};
  for (BlockArgument argument : backward.getArguments())
    if (backward.getArgAttr(argument.getArgNumber(), kNameAttr) ==
        forward.getResultAttr(i, kNameAttr))
      return argument;
  return {};
}

unsigned delta::narrowResiduals(func::FuncOp forward, FloatType type) {
  func::FuncOp backward = getBackward(forward);
  if (!backward)
    return 0;
  unsigned number = 0;
  Operation *terminator = forward.getBody().front().getTerminator();
  for (auto [i, saved] : llvm::enumerate(terminator->getOperands())) {
    BlockArgument argument = getSavedArgument(forward, backward, i);
    if (!argument || !saved.getDefiningOp<ChunkProgramOpInterface>() ||
        !isNarrowable(saved, type, /*mayBeSaved=*/true) ||
        !isNarrowable(argument, type, /*mayBeSaved=*/false))
      continue;
    narrow(saved, type);
    narrow(argument, type);
    ++number;
  }
  auto setType = [](func::FuncOp func) {
    Block &body = func.getBody().front();
    func.setType(FunctionType::get(func.getContext(), body.getArgumentTypes(),
                                   body.getTerminator()->getOperandTypes()));
  };
  setType(forward);
  setType(backward);
  return number;
}
