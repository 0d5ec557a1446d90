//===- StripColumns.cpp - tile-strip-columns ------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What is computed of rows alone is element by element, up to sums along rows
// and to what leaves. So each of these is made of some columns at a time, from
// what is in shared memory on: nothing is held from one to the next but sums.
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Tile/Transforms/Passes.h"

#include "LiveRegisters.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

namespace mlir::wyvern::tile {
#define GEN_PASS_DEF_TILESTRIPCOLUMNSPASS
#include "wyvern/Dialect/Tile/Transforms/Passes.h.inc"
} // namespace mlir::wyvern::tile

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

/// Columns of a thread come in groups of so many.
static constexpr int64_t kGroupColumns = 8;

static RankedTensorType getTile(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && getLayout(type) == LayoutKind::acc ? type : RankedTensorType();
}

/// Returns how many strips tiles of so many columns are cut into: a power of
/// two, of at most `most` columns each where they have whole groups.
static int64_t countStrips(int64_t columns, int64_t most) {
  int64_t strips = 1;
  while (columns / strips > most && columns % (2 * strips * kGroupColumns) == 0)
    strips *= 2;
  return strips;
}

/// True for a read of a stage that is still there at `place`, of its block.
static bool isThereAt(ReadOp read, Operation *place) {
  auto wait = read.getTile().getDefiningOp<WaitOp>();
  if (!wait || wait->getBlock() != place->getBlock())
    return false;
  return llvm::none_of(wait.getRing().getUsers(), [&](Operation *user) {
    Operation *here = place->getBlock()->findAncestorOpInBlock(*user);
    return isa<ReleaseOp>(user) && here && here->isBeforeInBlock(place);
  });
}

namespace {
/// A strip of a tile: its first column, and how many it has.
struct Strip {
  int64_t first, columns;
};

/// Makes strips in front of one operation.
class StripMaker {
public:
  explicit StripMaker(Operation *place) : builder(place), place(place) {}

  /// Returns `strip` of `value`.
  Value make(Value value, Strip strip);

private:
  /// Returns `strip` of what is made otherwise, or elsewhere: of the tile as it
  /// is.
  Value take(Value value, Strip strip);
  /// Returns `strip` of `value`, made of strips of what `def` reads; null where
  /// that cannot be.
  Value makeOf(Operation *def, Value value, Strip strip);

  OpBuilder builder;
  Operation *place;
  DenseMap<std::tuple<Value, int64_t, int64_t>, Value> made;
};
} // namespace

static RankedTensorType withColumns(RankedTensorType type, int64_t columns) {
  return type.clone({type.getDimSize(0), columns});
}

Value StripMaker::make(Value value, Strip strip) {
  RankedTensorType type = getTile(value);
  Value &known = made[{value, strip.first, strip.columns}];
  if (known)
    return known;
  Operation *def = value.getDefiningOp();
  Value strips = def && def->getBlock() == place->getBlock()
                     ? makeOf(def, value, strip)
                     : Value();
  DenseElementsAttr constant;
  if (matchPattern(value, m_Constant(&constant)) &&
      type.getDimSize(1) != strip.columns)
    strips = arith::ConstantOp::create(
        builder, place->getLoc(),
        constant.resizeSplat(withColumns(type, strip.columns)));
  if (!strips)
    strips = take(value, strip);
  return made[{value, strip.first, strip.columns}] = strips;
}

Value StripMaker::take(Value value, Strip strip) {
  RankedTensorType type = getTile(value);
  if (type.getDimSize(1) == strip.columns)
    return value;
  // The narrowest half that ends behind the strip: strips are as many columns
  // as a power of two of them are halves of.
  int64_t half = strip.columns;
  while (2 * half <= strip.first)
    half *= 2;
  bool isSecond = strip.first >= half;
  Value halved = HalfColumnsOp::create(
      builder, place->getLoc(), withColumns(type, half), value, isSecond);
  return take(halved, {strip.first - (isSecond ? half : 0), strip.columns});
}

Value StripMaker::makeOf(Operation *def, Value value, Strip strip) {
  if (auto hold = dyn_cast<HoldOp>(def))
    return make(hold.getValue(), strip);
  if (auto read = dyn_cast<ReadOp>(def))
    return isThereAt(read, place)
               ? take(builder.clone(*read)->getResult(0), strip)
               : Value();
  int64_t columns = getTile(value).getDimSize(1);
  if (auto half = dyn_cast<HalfColumnsOp>(def))
    return make(
        half.getSource(),
        {strip.first + (half.getSecond() ? columns : 0), strip.columns});
  if (auto join = dyn_cast<JoinColumnsOp>(def)) {
    int64_t half = getTile(join.getA()).getDimSize(1);
    if (2 * half != columns || strip.columns > half)
      return {};
    bool isSecond = strip.first >= half;
    return make(isSecond ? join.getB() : join.getA(),
                {strip.first - (isSecond ? half : 0), strip.columns});
  }
  auto spread = dyn_cast<BroadcastOp>(def);
  bool isOfRows =
      spread && getLayout(spread.getSource().getType()) != LayoutKind::col;
  if (!isOfRows &&
      (!def->hasTrait<OpTrait::Elementwise>() || def->getNumResults() != 1))
    return {};
  IRMapping mapping;
  for (Value operand : def->getOperands())
    if (getTile(operand))
      mapping.map(operand, make(operand, strip));
  Operation *clone = builder.clone(*def, mapping);
  clone->getResult(0).setType(withColumns(getTile(value), strip.columns));
  return clone->getResult(0);
}

//===----------------------------------------------------------------------===//
// What is made in strips
//===----------------------------------------------------------------------===//

/// True if there are zeros behind the halves that `op` joins.
static bool isPadded(JoinColumnsOp op) {
  return 2 * getTile(op.getA()).getDimSize(1) !=
         getTile(op.getResult()).getDimSize(1);
}

/// True for sums along the rows of one tile.
static bool isRowSum(Operation *op) {
  auto reduce = dyn_cast<ReduceOp>(op);
  return reduce && reduce.getDim() == 1 && reduce.getTiles().size() == 1;
}

/// True for what is made again, in strips, wherever these are read.
static bool isMadeInStrips(Operation *op) {
  return op->getNumResults() == 1 && getTile(op->getResult(0)) &&
         (isa<HoldOp, ReadOp, HalfColumnsOp, JoinColumnsOp, BroadcastOp>(op) ||
          op->hasTrait<OpTrait::Elementwise>());
}

/// Returns `value`, which is computed, or what it rounds, before anything
/// behind it.
static Value hold(OpBuilder &builder, Value value) {
  auto rounded = value.getDefiningOp<arith::TruncFOp>();
  if (rounded && getTile(rounded.getIn()).getElementType().isF32()) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(rounded);
    rounded->setOperand(
        0, HoldOp::create(builder, value.getLoc(), rounded.getIn()));
  }
  return getTile(value).getElementType().isF32()
             ? HoldOp::create(builder, value.getLoc(), value).getHeld()
             : value;
}

/// Returns the tile of `strips` side by side.
static Value join(OpBuilder &builder, ArrayRef<Value> strips) {
  SmallVector<Value> tiles(strips);
  while (tiles.size() > 1) {
    SmallVector<Value> wider;
    for (size_t i = 0; i < tiles.size(); i += 2) {
      RankedTensorType type = getTile(tiles[i]);
      wider.push_back(JoinColumnsOp::create(
          builder, tiles[i].getLoc(), withColumns(type, 2 * type.getDimSize(1)),
          tiles[i], tiles[i + 1]));
    }
    tiles = std::move(wider);
  }
  return tiles.front();
}

namespace {
struct StripColumns : tile::impl::TileStripColumnsPassBase<StripColumns> {
  using TileStripColumnsPassBase::TileStripColumnsPassBase;

  void runOnOperation() override {
    // What products take and leave is theirs while they run.
    bool multiplies = false;
    SmallVector<Block *> blocks;
    getOperation().walk([&](Operation *op) {
      multiplies |= isa<MmaOp, EraseApplyOp, EraseStripsOp>(op);
      if ((isRowSum(op) || isa<StoreRowsOp>(op)) &&
          !llvm::is_contained(blocks, op->getBlock()))
        blocks.push_back(op->getBlock());
    });
    if (multiplies)
      return;
    for (Block *block : blocks)
      if (isFull(*block))
        strip(*block);
  }

private:
  /// True if threads have no registers for what `block` holds of tiles. Of the
  /// widest ones ptxas takes half as much again in its own order.
  bool isFull(Block &block) {
    constexpr int64_t kWidest = 96; // registers, of 192 columns
    LiveRegisters live(block);
    int64_t held = 0, widest = 0;
    for (Operation &op : block) {
      held = std::max(held, live.after(&op));
      for (Value result : op.getResults())
        widest = std::max(widest, countRegisters(result));
    }
    return held > (widest > kWidest ? registers * 3 / 2 : registers);
  }

  /// Makes what sums along rows and what leaves `block` read in strips.
  void strip(Block &block) {
    SmallVector<Operation *> readers;
    for (Operation &op : block)
      if (!isMadeInStrips(&op))
        readers.push_back(&op);
    for (Operation *reader : readers)
      for (OpOperand &operand : reader->getOpOperands())
        stripOperand(operand);
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (isMadeInStrips(&op) && op.use_empty())
        op.erase();
    // A division that is right to the last bit is a branch and a call for odd
    // cases; of several strips they would be more code than a GPC holds.
    for (auto division : block.getOps<arith::DivFOp>())
      division.setFastmath(arith::FastMathFlags::afn);
    ++numStripped;
  }

  /// Returns `value`, strip by strip, in front of `reader`: their sum, or the
  /// whole tile.
  Value makeInStrips(Operation *reader, Value value, bool isSum) {
    OpBuilder builder(reader);
    // Behind the halves of a rotation there may be zeros.
    if (auto joined = value.getDefiningOp<JoinColumnsOp>();
        joined && !isSum && isPadded(joined))
      return JoinColumnsOp::create(
          builder, value.getLoc(), value.getType(),
          makeInStrips(reader, joined.getA(), /*isSum=*/false),
          makeInStrips(reader, joined.getB(), /*isSum=*/false));
    int64_t whole = getTile(value).getDimSize(1);
    int64_t strips = countStrips(whole, columns), size = whole / strips;
    SmallVector<Value> parts;
    for (int64_t i = 0; i < strips; ++i) {
      Value part = StripMaker(reader).make(value, {i * size, size});
      if (isSum && i > 0)
        part = arith::AddFOp::create(builder, part.getLoc(),
                                     parts.pop_back_val(), part);
      parts.push_back(hold(builder, part));
    }
    numStrips += strips;
    return isSum ? parts.front() : join(builder, parts);
  }

  void stripOperand(OpOperand &operand) {
    Operation *reader = operand.getOwner();
    Operation *def = operand.get().getDefiningOp();
    if (getTile(operand.get()) && def && isMadeInStrips(def) &&
        def->getBlock() == reader->getBlock())
      operand.set(makeInStrips(reader, operand.get(), isRowSum(reader)));
  }
};
} // namespace
