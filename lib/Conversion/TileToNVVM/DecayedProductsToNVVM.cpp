//===- DecayedProductsToNVVM.cpp - Products with a decay a channel --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A loop over pairs of panels of 16 channels, the contracted dimension of one
// mma.sync m16n8k16. A warp w of four has blocks w and 7 - w of 8 rows, a lane
// a row of each, lane / 4, and eight channels from 8 (lane % 4) on, which it
// loads and stores at once: the order of channels does not matter to their sum.
// Four of them are of the first panel, two in the operand's columns 2 (lane %
// 4) and two in those 8 to the right. The 16 rows of a left operand are a
// block's 8 of the first product's rows and 8 of the second one's, and so both
// are one mma.sync.
//
// Lanes read what sums within a block make. Each row has a factor p to the
// begin of its block and one s to its end, and for the products of tokens of
// one block one to the middle of that; tables have what reaches further
// (DecayFactors.cpp). The 16 x 8 products of a warp are, by columns:
//
//   near0, near1 each of its blocks with itself: from lanes' own registers
//   next         the odd one of its blocks with that in front of it
//   middle32     blocks 2 and 3, or 6 and 7, of which it has one, with the two
//                in front of these
//   middle64     the last one of its blocks with blocks 0 to 3
//
// so that all warps have as many. Right operands of the last three come from
// other warps through shared memory, two panels in turn. A lane has two
// elements of each product's row, and these go through shared memory, too, to
// where the results have them.
//
//===----------------------------------------------------------------------===//

#include "DecayPanels.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// The tiles of 16 x 8 that a warp has.
enum Tiles : int64_t {
  near0,
  near1,
  next,
  middle32,
  middle64 = 5,
  numTiles = 9
};
/// Elements of such a tile that a lane has: two of each product's row.
constexpr int64_t kTileElements = 4, kRowElements = 2;
/// Bytes of the rows of a product, and of all of it, in the scratch tile.
constexpr int64_t kRowBytes = DecayedProductsOp::kProductPitch * 4,
                  kProductBytes = kAccRows * kRowBytes;
constexpr int64_t kProducts = 2;
/// Registers of a left operand: register 2 j + n has pair j of product n's row.
constexpr int64_t kLeftRegisters = 4;

/// The sums of all products as they go through the loop.
class Sums {
public:
  explicit Sums(Emitter &e) : values(numTiles * kTileElements, e.cf32(0)) {}
  explicit Sums(ValueRange values) : values(values) {}

  MutableArrayRef<Value> getTile(int64_t tile) {
    return MutableArrayRef(values).slice(tile * kTileElements, kTileElements);
  }

  SmallVector<Value> values;
};

class ProductsEmitter {
public:
  ProductsEmitter(Emitter &e, DecayedProductsOp op,
                  DecayedProductsOp::Adaptor adaptor)
      : e(e), op(op), scratch(adaptor.getScratch()), panels(e, op, adaptor),
        sums(e), diagonals(2 * op.getLeft().size(), e.cf32(0)) {}

  /// Loads what comes first.
  void begin() { panels.loadFirst(); }
  /// Returns the products, when the factors are there; `isSteep` is what these
  /// tell.
  SmallVector<Value> emit(Value isSteep);

private:
  void emitLoop();
  void emitPanel(Value pair, int64_t panel);
  /// Returns a left operand of both products' rows.
  SmallVector<Value> join(ArrayRef<SmallVector<Value>> rows);
  /// Returns the rows of the left operand of a level.
  SmallVector<Value> scaleLeft(const DecayRow &row, DecayLevel level);
  void storeRight(const DecayRow &row, DecayLevel level);
  /// Makes the left operand of a level out of `row` where its block is a later
  /// one, else a right one, for other warps. Returns that, or `left`.
  SmallVector<Value> scaleEither(const DecayRow &row, DecayLevel level,
                                 ArrayRef<Value> left);
  /// Adds the products of `count` tiles from `first` on.
  void multiplyLevel(ArrayRef<Value> left, DecayLevel level, int64_t first,
                     int64_t count);
  void addDiagonals(const DecayRow &row);

  // Behind the loop.
  void maskNear();
  Value getProductAddress(int64_t product, Value row, Value tile);
  void storeTile(int64_t tile, Value block, Value column);
  void storeTiles();
  void storeZeros();
  Value loadProduct(int64_t product);

  int64_t countProducts() { return static_cast<int64_t>(op.getLeft().size()); }
  void sync() { emitWarpgroupBarrier(e, op.getBarrierId(), /*proxy=*/false); }

  Emitter &e;
  DecayedProductsOp op;
  Value scratch;
  DecayPanels panels;
  Sums sums;
  /// Of each product the sums of the products of a row with itself.
  SmallVector<Value> diagonals;
};
} // namespace

//===----------------------------------------------------------------------===//
// One panel
//===----------------------------------------------------------------------===//

SmallVector<Value> ProductsEmitter::join(ArrayRef<SmallVector<Value>> rows) {
  SmallVector<Value> operand(kLeftRegisters, e.c32(0));
  for (auto [n, row] : llvm::enumerate(rows))
    for (auto [pair, value] : llvm::enumerate(row))
      operand[2 * pair + n] = value;
  return operand;
}

/// Returns how far a level's operands reach beyond their blocks; nothing where
/// these lie side by side.
static std::optional<DecayReach> getReach(DecayLevel level) {
  if (level == DecayLevel::next)
    return std::nullopt;
  return level == DecayLevel::middle32 ? DecayReach::middle32
                                       : DecayReach::middle64;
}

SmallVector<Value> ProductsEmitter::scaleLeft(const DecayRow &row,
                                              DecayLevel level) {
  SmallVector<SmallVector<Value>> rows;
  SmallVector<Value> factors;
  if (std::optional<DecayReach> reach = getReach(level))
    factors = panels.loadFactors(row, *reach);
  for (int64_t left : op.getLeft())
    rows.push_back(panels.scale(row.begins[left], factors));
  return join(rows);
}

void ProductsEmitter::storeRight(const DecayRow &row, DecayLevel level) {
  SmallVector<Value> factors;
  if (std::optional<DecayReach> reach = getReach(level))
    factors = panels.loadFactors(row, *reach);
  e.storeSharedVector(panels.scale(row.ends[op.getRight()], factors),
                      panels.getPlace(level, panels.getWarp()));
}

SmallVector<Value> ProductsEmitter::scaleEither(const DecayRow &row,
                                                DecayLevel level,
                                                ArrayRef<Value> left) {
  SmallVector<Type> types(kLeftRegisters, e.i32());
  auto ifOp = scf::IfOp::create(e.builder, e.loc, types,
                                panels.isLater(level, row.half),
                                /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(e.builder);
  e.builder.setInsertionPointToStart(ifOp.thenBlock());
  scf::YieldOp::create(e.builder, e.loc, scaleLeft(row, level));
  e.builder.setInsertionPointToStart(ifOp.elseBlock());
  storeRight(row, level);
  scf::YieldOp::create(e.builder, e.loc, left);
  return llvm::to_vector_of<Value>(ifOp.getResults());
}

void ProductsEmitter::multiplyLevel(ArrayRef<Value> left, DecayLevel level,
                                    int64_t first, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    Value place = panels.getPlace(level, panels.getMaker(level, i));
    multiplyBF16(e, sums.getTile(first + i), left,
                 e.loadSharedVector(e.i32(), kRowRegisters, place));
  }
}

void ProductsEmitter::addDiagonals(const DecayRow &row) {
  for (size_t n = 0; n < op.getLeft().size(); ++n) {
    if (!op.getDiagonal()[n])
      continue;
    Value &sum = diagonals[2 * n + row.half];
    for (auto [x, y] :
         llvm::zip_equal(row.rows[op.getLeft()[n]], row.rows[op.getRight()]))
      sum = LLVM::FMAOp::create(e.builder, e.loc, x, y, sum);
  }
}

void ProductsEmitter::emitPanel(Value number, int64_t panel) {
  Value none = LLVM::PoisonOp::create(e.builder, e.loc, e.i32());
  SmallVector<Value> nextLeft(kLeftRegisters, none), left32 = nextLeft, left64;
  panels.begin(panel);
  if (panel == 0)
    panels.take();
  for (int64_t half : {0, 1}) {
    DecayRow row = panels.make(number, half);
    // What comes behind is on its way as soon as registers are free.
    if (panel == 1 && half == 0)
      panels.loadNext(number);
    addDiagonals(row);
    panels.storeOuts(row);
    multiplyBF16(e, sums.getTile(near0 + half), join(row.near), row.nearRight);
    nextLeft = scaleEither(row, DecayLevel::next, nextLeft);
    left32 = scaleEither(row, DecayLevel::middle32, left32);
    if (half == 0)
      storeRight(row, DecayLevel::middle64);
    else
      left64 = scaleLeft(row, DecayLevel::middle64);
  }
  sync();
  multiplyLevel(nextLeft, DecayLevel::next, next, 1);
  multiplyLevel(left32, DecayLevel::middle32, middle32, 2);
  multiplyLevel(left64, DecayLevel::middle64, middle64, 4);
}

//===----------------------------------------------------------------------===//
// All panels
//===----------------------------------------------------------------------===//

void ProductsEmitter::emitLoop() {
  SmallVector<Value> inits = sums.values;
  llvm::append_range(inits, diagonals);
  llvm::append_range(inits, panels.getLoaded());
  // Neither LLVM nor ptxas knows how many rounds there are
  // (ScanRowsToNVVM.cpp).
  Value rounds = e.ptx("{\n.reg .b32 n;\nmov.u32 n, %nctaid.y;\n"
                       "mul.lo.u32 $0, n, " +
                           std::to_string(panels.count()) + ";\n}",
                       "=r", {}, e.i32())[0];
  auto loop =
      scf::ForOp::create(e.builder, e.loc, e.c32(0), rounds, e.c32(1), inits);
  OpBuilder::InsertionGuard guard(e.builder);
  e.builder.setInsertionPointToStart(loop.getBody());
  size_t numSums = sums.values.size(), numDiagonals = diagonals.size();
  auto take = [&](ValueRange values) {
    sums = Sums(values.take_front(numSums));
    diagonals.assign(values.begin() + numSums,
                     values.begin() + numSums + numDiagonals);
    panels.setLoaded(values.drop_front(numSums + numDiagonals));
  };
  take(loop.getRegionIterArgs());
  for (int64_t panel : {0, 1})
    emitPanel(loop.getInductionVar(), panel);
  SmallVector<Value> next = sums.values;
  llvm::append_range(next, diagonals);
  llvm::append_range(next, panels.getLoaded());
  scf::YieldOp::create(e.builder, e.loc, next);
  take(loop.getResults());
}

//===----------------------------------------------------------------------===//
// From warps' tiles to products
//===----------------------------------------------------------------------===//

/// Drops what blocks with themselves have above the diagonal, and sets this.
void ProductsEmitter::maskNear() {
  Value row = e.udiv(e.laneId(), 4), zero = e.cf32(0);
  for (int64_t product = 0; product < countProducts(); ++product)
    for (int64_t half : {0, 1}) {
      Value diagonal = zero;
      if (op.getDiagonal()[product]) {
        diagonal = diagonals[2 * product + half];
        for (int64_t mask : {1, 2})
          diagonal = LLVM::FAddOp::create(e.builder, e.loc, diagonal,
                                          e.shuffleXor(diagonal, mask));
      }
      for (int64_t i : {0, 1}) {
        Value column = e.add(e.mul(e.urem(e.laneId(), 4), kRowElements), i);
        Value isBelow = e.cmp(LLVM::ICmpPredicate::ult, column, row);
        Value isOn = e.cmp(LLVM::ICmpPredicate::eq, column, row);
        Value &value = sums.getTile(near0 + half)[product * kRowElements + i];
        value = e.select(isBelow, value, e.select(isOn, diagonal, zero));
      }
    }
}

/// Returns the address of the lane's two elements of `row` of a product in
/// column tile `tile`. Rows have a gap, so that those of 8 lie in banks of
/// their own.
Value ProductsEmitter::getProductAddress(int64_t product, Value row,
                                         Value tile) {
  Value column = e.add(e.mul(tile, kDecayRows),
                       e.mul(e.urem(e.laneId(), 4), kRowElements));
  Value byte = e.add(e.mul(row, kRowBytes), e.mul(column, 4));
  return e.add(e.add(scratch, byte), product * kProductBytes);
}

void ProductsEmitter::storeTile(int64_t tile, Value block, Value column) {
  Value row = e.add(e.mul(block, kDecayRows), e.udiv(e.laneId(), 4));
  for (int64_t n = 0; n < countProducts(); ++n)
    e.storeSharedVector(ArrayRef<Value>(sums.getTile(tile))
                            .slice(n * kRowElements, kRowElements),
                        getProductAddress(n, row, column));
}

void ProductsEmitter::storeTiles() {
  auto getLater = [&](DecayLevel level) {
    return e.select(panels.isLater(level, 0), panels.getBlock(0),
                    panels.getBlock(1));
  };
  for (int64_t half : {0, 1})
    storeTile(near0 + half, panels.getBlock(half), panels.getBlock(half));
  Value later = getLater(DecayLevel::next);
  storeTile(next, later, e.bxor(later, e.c32(1)));
  later = getLater(DecayLevel::middle32);
  for (int64_t i : {0, 1})
    storeTile(middle32 + i, later, e.add(e.band(later, e.c32(~int64_t{3})), i));
  for (int64_t i = 0; i < kDecayBlocks / 2; ++i)
    storeTile(middle64 + i, panels.getBlock(1), e.c32(i));
}

/// Stores what lies above the diagonal: 7 - w tiles of the first block's rows,
/// and w of the other one's.
void ProductsEmitter::storeZeros() {
  SmallVector<Value> zeros(kRowElements, e.cf32(0));
  for (int64_t i = 0; i < kDecayBlocks - 1; ++i) {
    // Tile w + 1 + i of block w, or tile i + 1 of block 7 - w.
    Value first = e.add(panels.getBlock(0), i + 1);
    Value isFirst = e.cmp(LLVM::ICmpPredicate::ult, first, e.c32(kDecayBlocks));
    Value block = e.select(isFirst, panels.getBlock(0), panels.getBlock(1));
    Value tile = e.select(isFirst, first, e.c32(i + 1));
    Value row = e.add(e.mul(block, kDecayRows), e.udiv(e.laneId(), 4));
    for (int64_t n = 0; n < countProducts(); ++n)
      e.storeSharedVector(zeros, getProductAddress(n, row, tile));
  }
}

/// Returns a product as results have it.
Value ProductsEmitter::loadProduct(int64_t product) {
  SmallVector<Value> values;
  Value row = AccPosition::get(e).row0;
  for (int64_t tile = 0; tile < kDecayBlocks; ++tile)
    for (int64_t half : {0, 1})
      llvm::append_range(
          values,
          e.loadSharedVector(
              e.f32(), kRowElements,
              getProductAddress(product, e.add(row, 8 * half), e.c32(tile))));
  return e.vectorOf(values);
}

SmallVector<Value> ProductsEmitter::emit(Value isSteep) {
  panels.boundNearIf(isSteep);
  emitLoop();
  maskNear();
  // The last panel's operands may lie there; all else has been read.
  if (getExchangeByte(op.getColumns()) < kProducts * kProductBytes)
    sync();
  storeTiles();
  storeZeros();
  sync();
  SmallVector<Value> products;
  for (int64_t n = 0; n < countProducts(); ++n)
    products.push_back(loadProduct(n));
  return products;
}

namespace {
struct DecayedProductsPattern : OpConversionPattern<DecayedProductsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(DecayedProductsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    ProductsEmitter products(e, op, adaptor);
    products.begin();
    Value isSteep = writeDecayFactors(e, op, adaptor);
    rewriter.replaceOp(op, products.emit(isSteep));
    return success();
  }
};
} // namespace

void tile::populateDecayedProductsPatterns(LLVMTypeConverter &converter,
                                           RewritePatternSet &patterns) {
  patterns.add<DecayedProductsPattern>(converter, patterns.getContext());
}
