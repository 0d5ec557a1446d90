//===- JoinPairSums.cpp - Sums of several tiles of pairs at once ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "JoinPairSums.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::sched;

/// Returns the tile that `sum`, which nothing else reads, sums along dimension
/// `dim`; null if it does not.
static Value getSummed(Value sum, int64_t dim) {
  auto reduce = sum.getDefiningOp<linalg::ReduceOp>();
  if (!reduce || !sum.hasOneUse() || reduce.getInputs().size() != 1 ||
      delta::getTileRank(reduce.getInputs()[0]) != 2 ||
      reduce.getDimensions() != ArrayRef<int64_t>(dim) ||
      !isa<arith::AddFOp>(reduce.getCombiner().front().front()))
    return {};
  return reduce.getInputs()[0];
}

/// Returns the tile whose rows less columns `difference` is; null if it is
/// another one.
static Value getTile(arith::SubFOp difference) {
  Value tile = getSummed(difference.getLhs(), /*dim=*/1);
  return tile && tile == getSummed(difference.getRhs(), /*dim=*/0) ? tile
                                                                   : Value();
}

/// Appends what is added up to `value`, from left to right, to `terms`.
static void addTerms(Value value, SmallVectorImpl<OpOperand *> &terms) {
  for (OpOperand &operand : value.getDefiningOp()->getOpOperands()) {
    if (operand.get().getDefiningOp<arith::AddFOp>() &&
        operand.get().hasOneUse())
      addTerms(operand.get(), terms);
    else
      terms.push_back(&operand);
  }
}

/// Adds the tile of `first` to that of `second`, the later one.
static void join(arith::SubFOp first, arith::SubFOp second) {
  OpBuilder builder(second.getLhs().getDefiningOp());
  if (second.getRhs().getDefiningOp()->isBeforeInBlock(
          second.getLhs().getDefiningOp()))
    builder.setInsertionPoint(second.getRhs().getDefiningOp());
  Value both = arith::AddFOp::create(builder, second.getLoc(), getTile(first),
                                     getTile(second));
  for (Value sum : second->getOperands())
    cast<linalg::ReduceOp>(sum.getDefiningOp()).getInputsMutable().assign(both);
}

/// Takes `term` out of the sum that it is a term of.
static void dropTerm(OpOperand *term) {
  Operation *sum = term->getOwner();
  Operation *difference = term->get().getDefiningOp();
  sum->replaceAllUsesWith(
      ValueRange(sum->getOperand(1 - term->getOperandNumber())));
  sum->erase();
  SmallVector<Value> sums(difference->getOperands());
  difference->erase();
  for (Value value : sums)
    value.getDefiningOp()->erase();
}

/// Joins two of the differences that `sum` adds. Returns false if there are no
/// two of one type.
static bool joinTwo(arith::AddFOp sum) {
  SmallVector<OpOperand *> terms;
  addTerms(sum, terms);
  OpOperand *first = nullptr;
  for (OpOperand *term : terms) {
    auto second = term->get().getDefiningOp<arith::SubFOp>();
    Value tile = second && second->hasOneUse() ? getTile(second) : Value();
    if (!tile)
      continue;
    if (!first) {
      first = term;
      continue;
    }
    auto other = cast<arith::SubFOp>(first->get().getDefiningOp());
    if (getTile(other).getType() != tile.getType())
      continue;
    bool isBefore =
        getTile(other).getDefiningOp()->isBeforeInBlock(tile.getDefiningOp());
    join(isBefore ? other : second, isBefore ? second : other);
    dropTerm(isBefore ? first : term);
    return true;
  }
  return false;
}

unsigned sched::joinPairSums(delta::ChunkMapOp map) {
  unsigned joined = 0;
  for (bool isChanged = true; isChanged;) {
    isChanged = false;
    for (auto sum : map.getBlock().getOps<arith::AddFOp>())
      if (delta::getTileRank(sum.getResult()) == 1 && joinTwo(sum)) {
        isChanged = true;
        ++joined;
        break;
      }
  }
  return joined;
}
