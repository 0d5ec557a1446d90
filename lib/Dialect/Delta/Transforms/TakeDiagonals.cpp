//===- TakeDiagonals.cpp - Row dots that a product has --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The sum over columns of x * y, row by row, is the diagonal of x y^T. Where
// the tensor cores make that product anyway, of the same numbers, nothing has
// to be read again: a row dot of two tiles of a head's size is more loads from
// shared memory than all else that the warps of its role do.
//
//===----------------------------------------------------------------------===//

#include "RowDots.h"

#include "wyvern/Dialect/Delta/IR/Delta.h"
#include "wyvern/Dialect/Delta/IR/Splat.h"
#include "wyvern/Dialect/Delta/Transforms/Passes.h"

#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Dominance.h"

namespace mlir::wyvern::delta {
#define GEN_PASS_DEF_TAKEDIAGONALSPASS
#include "wyvern/Dialect/Delta/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::delta

using namespace mlir;
using namespace mlir::wyvern::delta;

/// Returns the tile that `factor`, an operand of a product, has the numbers of:
/// an in that was rounded to the type in which it is stored. Null for others.
static Value getExactTile(Value factor) {
  auto rounded = factor.getDefiningOp<arith::TruncFOp>();
  if (!rounded)
    return {};
  Value in = ChunkProgramOpInterface::getInOfTile(rounded.getIn());
  bool isExact = in && getElementTypeOrSelf(in) == getElementTypeOrSelf(factor);
  return isExact ? rounded.getIn() : Value();
}

/// True for x y^T or y x^T: both operands are summed over their columns.
static bool isOfRows(linalg::ContractOp product) {
  SmallVector<AffineMap> maps = product.getIndexingMapsArray();
  if (maps[0].getNumDims() != 3 || maps[0].getNumResults() != 2 ||
      maps[1].getNumResults() != 2)
    return false;
  return maps[0].getResult(1) == maps[1].getResult(1) &&
         maps[0].getResult(0) != maps[1].getResult(0);
}

/// Returns the product of `x` and `y`, by rows, in the block of `op`; null if
/// there is none.
static linalg::ContractOp findProduct(Operation *op, Value x, Value y) {
  for (auto product : op->getBlock()->getOps<linalg::ContractOp>()) {
    Value a = getExactTile(product.getInputs()[0]);
    Value b = getExactTile(product.getInputs()[1]);
    bool isOfBoth = (a == x && b == y) || (a == y && b == x);
    if (a && b && isOfBoth && isOfRows(product) &&
        isZero(product.getOutputs().front()))
      return product;
  }
  return {};
}

namespace {
struct TakeDiagonalsPass
    : wyvern::delta::impl::TakeDiagonalsPassBase<TakeDiagonalsPass> {
  using Base::Base;

  void runOnOperation() override {
    getOperation()->walk([&](ChunkMapOp map) {
      SmallVector<linalg::ReduceOp> sums(
          map.getBlock().getOps<linalg::ReduceOp>());
      for (linalg::ReduceOp sum : sums)
        takeDiagonal(sum);
      // What follows from a sum that has moved comes behind it.
      sortTopologically(&map.getBlock());
    });
  }

private:
  void takeDiagonal(linalg::ReduceOp sum) {
    arith::MulFOp dots = matchRowDot(sum);
    linalg::ContractOp product =
        dots ? findProduct(sum, dots.getLhs(), dots.getRhs())
             : linalg::ContractOp();
    if (!product)
      return;
    OpBuilder builder(sum);
    if (sum->isBeforeInBlock(product))
      builder.setInsertionPointAfter(product);
    Value tile = product.getResult(0);
    // Of a token with itself: what is kept of each row is its own entry.
    auto diagonal = DecayMaskOp::create(
        builder, sum.getLoc(), tile.getType(), tile, /*g=*/Value(),
        RowMask::upto_token, ArrayRef<int64_t>{1, 1}, /*before_decay=*/false,
        /*half=*/IntegerAttr(), /*near=*/builder.getI64IntegerAttr(1));
    sum->setOperand(0, diagonal);
    if (sum->isBeforeInBlock(diagonal))
      sum->moveAfter(diagonal);
    dots.erase();
    ++numTaken;
  }
};
} // namespace
