//===- SplitStorage.cpp - A matrix in two 16-bit parts --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The gradient of a rate is the sum of a row of X * R, both stored between
// programs: their two roundings would be most of its error.
//
//===----------------------------------------------------------------------===//

#include "SplitStorage.h"

#include "NarrowStorage.h"

#include "wyvern/Dialect/Delta/Utils/ExtendProgram.h"
#include "wyvern/Dialect/Delta/Utils/Training.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

Value delta::createRemainder(OpBuilder &builder, Value tile, Value rounded) {
  Location loc = tile.getLoc();
  Value exact = arith::ExtFOp::create(builder, loc, tile.getType(), rounded);
  return arith::SubFOp::create(builder, loc, tile, exact);
}

/// True for rows that a forward has saved, in one part: they lack as much as
/// the remainder of another factor would add.
static bool isSaved(Value tile) {
  auto argument = dyn_cast_if_present<BlockArgument>(
      ChunkProgramOpInterface::getInOfTile(tile));
  if (!argument || getTileRank(tile) != 2)
    return false;
  auto func = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
  return func && func.getArgAttr(argument.getArgNumber(), kResidualAttr);
}

/// True if elementwise work on `tile` is summed along a dimension, other than
/// its product with what is saved.
static bool isSummed(Value tile) {
  return llvm::any_of(tile.getUsers(), [](Operation *user) {
    if (isa<linalg::ReduceOp>(user))
      return true;
    if (isa<arith::MulFOp>(user) && llvm::any_of(user->getOperands(), isSaved))
      return false;
    return user->hasTrait<OpTrait::Elementwise>() &&
           !isa<arith::TruncFOp>(user) && isSummed(user->getResult(0));
  });
}

/// True for rows of tokens that chunk programs alone read and some of them
/// sums.
static bool shouldSplit(Value out, BindingAttr binding, FloatType type) {
  if (!isNarrowable(out, type, /*mayBeSaved=*/false))
    return false;
  auto tiles = llvm::map_range(out.getUses(), getTileOf);
  return binding.has(DimKind::time) &&
         cast<RankedTensorType>((*tiles.begin()).getType()).getRank() == 2 &&
         llvm::any_of(tiles, isSummed);
}

/// Adds `remainder` to what a program reads by `use`, but for the operands of
/// products, which are rounded again.
static void addRemainder(RewriterBase &rewriter, OpOperand &use,
                         Value remainder) {
  BlockArgument tile = getTileOf(use);
  auto reader = cast<ChunkProgramOpInterface>(use.getOwner());
  BindingAttr binding = reader.getInBinding(use.getOperandNumber());
  Value low = addIn(rewriter, reader, remainder, binding, tile.getType());
  rewriter.setInsertionPointToStart(&reader.getBlock());
  auto sum = arith::AddFOp::create(rewriter, reader.getLoc(), tile, low);
  rewriter.replaceUsesWithIf(tile, sum, [&](OpOperand &use) {
    return use.getOwner() != sum && !isa<arith::TruncFOp>(use.getOwner());
  });
}

unsigned delta::splitOuts(RewriterBase &rewriter,
                          ChunkProgramOpInterface program, FloatType type) {
  unsigned number = 0;
  for (unsigned i = 0, e = program.getOuts().size(); i < e; ++i) {
    Value out = program.getOuts()[i];
    if (!shouldSplit(out, program.getOutBinding(i), type))
      continue;
    Value tile = program.getYield().getOuts()[i];
    rewriter.setInsertionPointAfterValue(tile);
    Value rounded = arith::TruncFOp::create(
        rewriter, tile.getLoc(),
        cast<RankedTensorType>(tile.getType()).clone(type), tile);
    Value rest = createRemainder(rewriter, tile, rounded);
    auto stored = cast<RankedTensorType>(out.getType()).clone(type);
    Value remainder =
        addOut(rewriter, program, rest, {stored, program.getOutBinding(i)});
    program = remainder.getDefiningOp<ChunkProgramOpInterface>();
    // Its uses move as their programs get more operands.
    SmallVector<std::pair<Operation *, unsigned>> summed;
    for (OpOperand &use : program.getOuts()[i].getUses())
      if (isSummed(getTileOf(use)))
        summed.push_back({use.getOwner(), use.getOperandNumber()});
    for (auto [reader, operand] : summed)
      addRemainder(rewriter, reader->getOpOperand(operand), remainder);
    ++number;
  }
  return number;
}
