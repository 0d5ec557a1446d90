//===- RowOpRegion.cpp - What passes know of the chunk ops ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// ChunkRegionOpInterface of the dialect's own operations. The letters of the
// loops are those of the formulas in Delta{Row,Decay,Erase}Ops.td: rows i and
// j, channels d.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/IR/Delta.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

using Loops = SmallVector<TileLoop>;

/// A loop over the rows of a chunk.
static TileLoop rows(std::initializer_list<TileDim> dims,
                     bool isMixed = false) {
  return {dims, isMixed, /*isTime=*/true};
}

/// A loop over whatever the second dimension of a tile is.
static TileLoop columns(std::initializer_list<TileDim> dims,
                        bool isMixed = false) {
  return {dims, isMixed, /*isTime=*/false};
}

static int64_t columnsOf(Value tile) {
  return cast<RankedTensorType>(tile.getType()).getShape().back();
}

/// A multiplication and an addition for each element of `tile` and each of
/// `depth` summands.
static int64_t countProduct(Value tile, int64_t depth) {
  return 2 * cast<RankedTensorType>(tile.getType()).getNumElements() * depth;
}

//===----------------------------------------------------------------------===//
// decay_dot, decay_apply, decay_mask
//===----------------------------------------------------------------------===//

/// Adds the channels of a decay of one gate a channel to the loop over these.
static void addChannels(TileLoop &loop, Value g) {
  if (g && getTileRank(g) == 2)
    loop.dims.push_back({g, 1});
}

Loops DecayDotOp::getLoops() {
  TileLoop d = columns({{getA(), 1}, {getB(), 1}}, /*isMixed=*/true);
  addChannels(d, getG());
  return {rows({{getA(), 0}, {getM(), 0}}), rows({{getB(), 0}, {getM(), 1}}),
          d};
}
bool DecayDotOp::isCheap() { return false; }
SmallVector<OpOperand *> DecayDotOp::getRoundedOperands() {
  return {&getAMutable(), &getBMutable()};
}
int64_t DecayDotOp::getMatmulFlops() {
  return countProduct(getM(), columnsOf(getA()));
}

Loops DecayApplyOp::getLoops() {
  int64_t kept = getTranspose() ? 1 : 0;
  TileLoop d = columns({{getX(), 1}, {getR(), 1}});
  addChannels(d, getG());
  return {rows({{getM(), kept}, {getR(), 0}}),
          rows({{getM(), 1 - kept}, {getX(), 0}}, /*isMixed=*/true), d};
}
bool DecayApplyOp::isCheap() { return false; }
SmallVector<OpOperand *> DecayApplyOp::getRoundedOperands() {
  return {&getMMutable(), &getXMutable()};
}
int64_t DecayApplyOp::getMatmulFlops() {
  return countProduct(getM(), columnsOf(getX()));
}

Loops DecayMaskOp::getLoops() {
  return {rows({{getM(), 0}, {getR(), 0}}), rows({{getM(), 1}, {getR(), 1}})};
}
bool DecayMaskOp::isCheap() { return false; }
SmallVector<OpOperand *> DecayMaskOp::getRoundedOperands() { return {}; }
int64_t DecayMaskOp::getMatmulFlops() { return 0; }

//===----------------------------------------------------------------------===//
// erase_solve and its kin
//===----------------------------------------------------------------------===//

// A solve runs along the rows, which are the columns of its system too. It is
// done in the compute type: what rounding its system costs grows with every
// row. delta-stage makes a product of it where that is worth more.

Loops EraseSolveOp::getLoops() {
  return {rows({{getL(), 0},
                {getL(), 1},
                {getRate(), 0},
                {getW(), 0},
                {getR(), 0},
                {getU(), 0}},
               /*isMixed=*/true),
          columns({{getW(), 1}, {getR(), 1}, {getU(), 1}})};
}
bool EraseSolveOp::isCheap() { return false; }
SmallVector<OpOperand *> EraseSolveOp::getRoundedOperands() { return {}; }
// However it is lowered, a solve counts as the product of the factor of its
// system and the right-hand side.
int64_t EraseSolveOp::getMatmulFlops() {
  return countProduct(getL(), columnsOf(getW()));
}

Loops EraseSolveAdjointOp::getLoops() {
  return {
      rows(
          {{getL(), 0}, {getL(), 1}, {getRate(), 0}, {getDu(), 0}, {getX(), 0}},
          /*isMixed=*/true),
      columns({{getDu(), 1}, {getX(), 1}})};
}
bool EraseSolveAdjointOp::isCheap() { return false; }
SmallVector<OpOperand *> EraseSolveAdjointOp::getRoundedOperands() {
  return {};
}
int64_t EraseSolveAdjointOp::getMatmulFlops() {
  return countProduct(getL(), columnsOf(getX()));
}

/// Adds the columns of a factor to `loops`, the first of which is over the rows
/// of its system: they are these, but for those of a factor in two parts.
static void addFactorColumns(Loops &loops, Value z) {
  auto type = cast<RankedTensorType>(z.getType());
  if (type.getDimSize(0) == type.getDimSize(1)) {
    loops.front().dims.push_back({z, 1});
    return;
  }
  TileLoop parts = columns({{z, 1}}, /*isMixed=*/true);
  parts.isPlaced = true;
  loops.push_back(parts);
}

Loops EraseFactorOp::getLoops() {
  Loops loops = {rows({{getL(), 0}, {getL(), 1}, {getRate(), 0}, {getZ(), 0}},
                      /*isMixed=*/true)};
  addFactorColumns(loops, getZ());
  return loops;
}
bool EraseFactorOp::isCheap() { return false; }
SmallVector<OpOperand *> EraseFactorOp::getRoundedOperands() { return {}; }
// Substitution on a third of a cube.
int64_t EraseFactorOp::getMatmulFlops() {
  return countProduct(getL(), columnsOf(getL())) / 3;
}

Loops EraseApplyOp::getLoops() {
  Loops loops = {rows({{getZ(), 0}, {getRate(), 0}, {getW(), 0}, {getR(), 0}},
                      /*isMixed=*/true),
                 columns({{getW(), 1}, {getR(), 1}})};
  addFactorColumns(loops, getZ());
  return loops;
}
bool EraseApplyOp::isCheap() { return false; }
SmallVector<OpOperand *> EraseApplyOp::getRoundedOperands() {
  return {&getZMutable()};
}
int64_t EraseApplyOp::getMatmulFlops() {
  return countProduct(getZ(), columnsOf(getW()));
}

//===----------------------------------------------------------------------===//
// cumsum, sum_to_middle, mask_rows, last_row, repeat_rows, sum_rows
//===----------------------------------------------------------------------===//

/// The loops of an operation on the rows of a vector or a matrix, whose rows of
/// different number are rows of the same tokens.
static Loops getRowLoops(Value x, Value y, bool isMixed) {
  Loops loops = {rows({{x, 0}, {y, 0}}, isMixed)};
  if (getTileRank(x) == 2)
    loops.push_back(columns({{x, 1}, {y, 1}}));
  return loops;
}

Loops CumsumOp::getLoops() {
  return getRowLoops(getX(), getY(), /*isMixed=*/true);
}
bool CumsumOp::isCheap() { return false; }
SmallVector<OpOperand *> CumsumOp::getRoundedOperands() { return {}; }
int64_t CumsumOp::getMatmulFlops() { return 0; }

Loops SumToMiddleOp::getLoops() {
  return getRowLoops(getG(), getY(), /*isMixed=*/true);
}
bool SumToMiddleOp::isCheap() { return false; }
SmallVector<OpOperand *> SumToMiddleOp::getRoundedOperands() { return {}; }
int64_t SumToMiddleOp::getMatmulFlops() { return 0; }

Loops MaskRowsOp::getLoops() {
  return getRowLoops(getX(), getY(), /*isMixed=*/false);
}
bool MaskRowsOp::isCheap() { return true; }
SmallVector<OpOperand *> MaskRowsOp::getRoundedOperands() { return {}; }
int64_t MaskRowsOp::getMatmulFlops() { return 0; }

Loops LastRowOp::getLoops() {
  Loops loops = {rows({{getX(), 0}}, /*isMixed=*/true)};
  if (getTileRank(getX()) == 2)
    loops.push_back(columns({{getX(), 1}, {getY(), 0}}));
  return loops;
}
bool LastRowOp::isCheap() { return true; }
SmallVector<OpOperand *> LastRowOp::getRoundedOperands() { return {}; }
int64_t LastRowOp::getMatmulFlops() { return 0; }

Loops RepeatRowsOp::getLoops() {
  return getRowLoops(getX(), getY(), /*isMixed=*/false);
}
bool RepeatRowsOp::isCheap() { return true; }
SmallVector<OpOperand *> RepeatRowsOp::getRoundedOperands() { return {}; }
int64_t RepeatRowsOp::getMatmulFlops() { return 0; }

Loops SumRowsOp::getLoops() {
  return getRowLoops(getX(), getY(), /*isMixed=*/true);
}
bool SumRowsOp::isCheap() { return false; }
SmallVector<OpOperand *> SumRowsOp::getRoundedOperands() { return {}; }
int64_t SumRowsOp::getMatmulFlops() { return 0; }

/// A column of a half depends on which half that is.
static TileLoop placed(std::initializer_list<TileDim> dims) {
  return {dims, /*isMixed=*/false, /*isTime=*/false, /*isPlaced=*/true};
}

/// A loop over rows, whatever these are, each by itself.
static TileLoop eachRow(std::initializer_list<TileDim> dims) { return {dims}; }

Loops SplitColumnsOp::getLoops() {
  return {eachRow({{getX(), 0}, {getA(), 0}, {getB(), 0}}),
          columns({{getX(), 1}}, /*isMixed=*/true),
          placed({{getA(), 1}, {getB(), 1}})};
}
bool SplitColumnsOp::isCheap() { return true; }
SmallVector<OpOperand *> SplitColumnsOp::getRoundedOperands() { return {}; }
int64_t SplitColumnsOp::getMatmulFlops() { return 0; }

Loops JoinColumnsOp::getLoops() {
  return {eachRow({{getA(), 0}, {getB(), 0}, {getY(), 0}}),
          columns({{getA(), 1}, {getB(), 1}}, /*isMixed=*/true),
          placed({{getY(), 1}})};
}
bool JoinColumnsOp::isCheap() { return true; }
SmallVector<OpOperand *> JoinColumnsOp::getRoundedOperands() { return {}; }
int64_t JoinColumnsOp::getMatmulFlops() { return 0; }

// The rows of a window are of tokens before the chunk, and not its own.
Loops ConvRowOp::getLoops() {
  return {rows({{getX(), 0}, {getY(), 0}}),
          columns({{getX(), 1},
                   {getWindow(), 1},
                   {getFilter(), 0},
                   {getY(), 1},
                   {getNext(), 1}}),
          columns({{getWindow(), 0}, {getNext(), 0}}, /*isMixed=*/true),
          columns({{getFilter(), 1}}, /*isMixed=*/true)};
}
bool ConvRowOp::isCheap() { return false; }
SmallVector<OpOperand *> ConvRowOp::getRoundedOperands() { return {}; }
int64_t ConvRowOp::getMatmulFlops() { return 0; }

//===----------------------------------------------------------------------===//
// identity
//===----------------------------------------------------------------------===//

Loops IdentityOp::getLoops() {
  auto place = [&](int64_t dim) {
    return TileLoop{{{getY(), dim}},
                    /*isMixed=*/false,
                    /*isTime=*/false,
                    /*isPlaced=*/true};
  };
  return {place(0), place(1)};
}
bool IdentityOp::isCheap() { return true; }
SmallVector<OpOperand *> IdentityOp::getRoundedOperands() { return {}; }
int64_t IdentityOp::getMatmulFlops() { return 0; }

//===----------------------------------------------------------------------===//
// Chunk programs
//===----------------------------------------------------------------------===//

int64_t ChunkProgramOpInterface::countMatmulFlops() {
  int64_t sum = 0;
  for (Operation &op : getBlock().without_terminator())
    sum += cast<ChunkRegionOpInterface>(op).getMatmulFlops();
  return sum;
}

//===----------------------------------------------------------------------===//
// level_rows
//===----------------------------------------------------------------------===//

Loops LevelRowsOp::getLoops() { return {rows({{getY(), 0}})}; }
// A chain reads no number a sequence: it takes the rows from a map.
bool LevelRowsOp::isCheap() { return !getStart(); }
SmallVector<OpOperand *> LevelRowsOp::getRoundedOperands() { return {}; }
int64_t LevelRowsOp::getMatmulFlops() { return 0; }
