//===- DecayedProductsToNVVM.cpp - Products with a decay a channel --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A loop over panels of 16 channels, the contracted dimension of one mma.sync
// m16n8k16. A warp has 16 rows, a lane rows lane / 4 and 8 below it, and four
// channels from 4 (lane % 4) on: the first two are the operand's columns 2
// (lane % 4), the others those 8 to the right. The order of channels does not
// matter to their sum, and so a lane loads and stores 8 or 16 bytes.
//
// The rows of a warp are two blocks of 8. Lanes exchange what sums within a
// block need. Each row has a factor p to the begin of its block and one s to
// its end, and for the products of tokens of one block one to the middle of
// that; tables have what reaches further (DecayFactors.cpp). The 16 x 8
// products of a warp w are, by columns:
//
//   own0, own1   those of its two blocks, and in own0 of its second block with
//                its first one: from lanes' own registers
//   part0, part1 those of warp w - 1, of an odd w: to the middle of 32
//   far0 .. far3 those of warps 0 and 1, of w >= 2: to the middle of 64
//
// The last two come from other warps through shared memory, two panels in turn.
//
//===----------------------------------------------------------------------===//

#include "DecayPanels.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// The tiles of 16 x 8 that a warp has of each product.
enum Tiles : int64_t { own0, own1, part0, part1, far0, numTiles = 8 };
/// Elements of such a tile that a lane has: two of each of its rows.
constexpr int64_t kTileElements = 4;

/// The sums of all products as they go through the loop.
class Sums {
public:
  Sums(Emitter &e, size_t products)
      : values(products * numTiles * kTileElements, e.cf32(0)) {}
  explicit Sums(ValueRange values) : values(values) {}

  MutableArrayRef<Value> getTile(size_t product, int64_t tile) {
    return MutableArrayRef(values).slice(
        (product * numTiles + tile) * kTileElements, kTileElements);
  }

  SmallVector<Value> values;
};

class ProductsEmitter {
public:
  ProductsEmitter(Emitter &e, DecayedProductsOp op,
                  DecayedProductsOp::Adaptor adaptor)
      : e(e), op(op), panels(e, op, adaptor), sums(e, op.getLeft().size()),
        diagonals(2 * op.getLeft().size(), e.cf32(0)) {}

  /// Loads what comes first.
  void begin() { panels.loadFirst(); }
  /// Returns the products, when the factors are there; `isSteep` is what these
  /// tell.
  SmallVector<Value> emit(Value isSteep);

private:
  void emitLoop();
  /// Operands of a panel as they are made, row by row.
  struct Operands {
    /// Of each product: to the middle of a block of 8, and to its begin.
    SmallVector<SmallVector<Value>> near, toBegin;
    /// Left ones of all products with rows of other warps.
    SmallVector<Value> part, far;
    /// The right ones: to the middle of a block of 8, and to its end.
    SmallVector<Value> nearRight, toEnd;
  };

  void emitPanel(Value panel);
  void addRow(Operands &operands, const DecayRow &row);
  void multiplyOwn(const Operands &operands);
  /// Makes a row of operands of products with the rows of other warps: the left
  /// ones, added to `left`, which `isLater` warps need, and the right one of
  /// the others, which goes to shared memory.
  void scaleFar(SmallVectorImpl<Value> &left, const DecayRow &row,
                DecayReach reach, Value isLater, Value place);
  /// Adds products of `tiles` tiles from `first` on, where `isLater`.
  void multiplyFar(ArrayRef<Value> left, Value isLater, int64_t first,
                   int64_t tiles, Value place);
  void addDiagonals(const DecayRow &row);
  void maskOwn(size_t product);
  Value joinTiles(size_t product);

  Emitter &e;
  DecayedProductsOp op;
  DecayPanels panels;
  Sums sums;
  /// Of each product the sums of the products of a row with itself.
  SmallVector<Value> diagonals;
};
} // namespace

//===----------------------------------------------------------------------===//
// One panel
//===----------------------------------------------------------------------===//

/// Puts the registers of a row into an operand.
static void insertRow(MutableArrayRef<Value> operand, ArrayRef<Value> row,
                      int64_t half) {
  for (auto [pair, value] : llvm::enumerate(row))
    operand[2 * pair + half] = value;
}

void ProductsEmitter::multiplyOwn(const Operands &operands) {
  Value zero = e.c32(0);
  ArrayRef<Value> y = operands.nearRight, last = operands.toEnd;
  for (size_t n = 0; n < op.getLeft().size(); ++n) {
    ArrayRef<Value> near = operands.near[n], begin = operands.toBegin[n];
    // Each row takes its own block's tile by the near operands; rows of the
    // second block take the first one's by those that reach between the two.
    multiplyBF16(e, sums.getTile(n, own0), {near[0], zero, near[2], zero},
                 {y[0], y[2]});
    multiplyBF16(e, sums.getTile(n, own1), near, {y[1], y[3]});
    multiplyBF16(e, sums.getTile(n, own0), {zero, begin[1], zero, begin[3]},
                 {last[0], last[2]});
  }
}

void ProductsEmitter::scaleFar(SmallVectorImpl<Value> &left,
                               const DecayRow &row, DecayReach reach,
                               Value isLater, Value place) {
  SmallVector<Type> types(op.getLeft().size() * kRowRegisters, e.i32());
  auto ifOp = scf::IfOp::create(e.builder, e.loc, types, isLater,
                                /*withElseRegion=*/true);
  {
    OpBuilder::InsertionGuard guard(e.builder);
    e.builder.setInsertionPointToStart(ifOp.thenBlock());
    SmallVector<Value> scaled, factors = panels.loadFactors(row, reach);
    for (const DecayRow::Left &x : row.lefts)
      llvm::append_range(scaled, panels.scale(x.begins, factors));
    scf::YieldOp::create(e.builder, e.loc, scaled);
    e.builder.setInsertionPointToStart(ifOp.elseBlock());
    e.storeSharedVector(
        panels.scale(row.ends[op.getRight()], panels.loadFactors(row, reach)),
        panels.getPlace(place, row.half));
    Value none = LLVM::PoisonOp::create(e.builder, e.loc, e.i32());
    scf::YieldOp::create(e.builder, e.loc,
                         SmallVector<Value>(types.size(), none));
  }
  for (size_t n = 0; n < op.getLeft().size(); ++n)
    insertRow(MutableArrayRef(left).slice(n * kPanelRegisters, kPanelRegisters),
              llvm::to_vector_of<Value>(
                  ifOp.getResults().slice(n * kRowRegisters, kRowRegisters)),
              row.half);
}

void ProductsEmitter::multiplyFar(ArrayRef<Value> left, Value isLater,
                                  int64_t first, int64_t tiles, Value place) {
  SmallVector<Value> before;
  for (size_t n = 0; n < op.getLeft().size(); ++n)
    for (int64_t j = 0; j < tiles; ++j)
      llvm::append_range(before, sums.getTile(n, first + j));
  auto ifOp = scf::IfOp::create(e.builder, e.loc, ValueRange(before).getTypes(),
                                isLater, /*withElseRegion=*/true);
  {
    OpBuilder::InsertionGuard guard(e.builder);
    e.builder.setInsertionPointToStart(ifOp.elseBlock());
    scf::YieldOp::create(e.builder, e.loc, before);
    e.builder.setInsertionPointToStart(ifOp.thenBlock());
    SmallVector<Value> after = before;
    for (int64_t j = 0; j < tiles; ++j) {
      SmallVector<Value> right =
          e.loadSharedVector(e.i32(), 2, panels.getPlace(place, j));
      for (size_t n = 0; n < op.getLeft().size(); ++n)
        multiplyBF16(e,
                     MutableArrayRef(after).slice(
                         (n * tiles + j) * kTileElements, kTileElements),
                     left.slice(n * kPanelRegisters, kPanelRegisters), right);
    }
    scf::YieldOp::create(e.builder, e.loc, after);
  }
  size_t i = 0;
  for (size_t n = 0; n < op.getLeft().size(); ++n)
    for (int64_t j = 0; j < tiles; ++j)
      for (Value &sum : sums.getTile(n, first + j))
        sum = ifOp.getResult(i++);
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

void ProductsEmitter::addRow(Operands &operands, const DecayRow &row) {
  for (auto [n, x] : llvm::enumerate(row.lefts)) {
    insertRow(operands.near[n], x.near, row.half);
    insertRow(operands.toBegin[n], x.toBegin, row.half);
  }
  insertRow(operands.nearRight, row.nearRight, row.half);
  insertRow(operands.toEnd, row.toEnd, row.half);
}

void ProductsEmitter::emitPanel(Value number) {
  size_t products = op.getLeft().size();
  SmallVector<Value> none(kPanelRegisters);
  Operands operands = {SmallVector<SmallVector<Value>>(products, none),
                       SmallVector<SmallVector<Value>>(products, none),
                       SmallVector<Value>(products * kPanelRegisters),
                       SmallVector<Value>(products * kPanelRegisters),
                       none,
                       none};
  Value part = panels.getPartPlace(number), far = panels.getFarPlace(number);
  panels.take();
  for (int64_t half : {0, 1}) {
    DecayRow row = panels.make(number, half);
    // What comes behind is on its way as soon as registers are free.
    if (half == 0)
      panels.loadNext(number);
    addDiagonals(row);
    panels.storeOuts(row);
    addRow(operands, row);
    scaleFar(operands.part, row, DecayReach::middle32, panels.isOdd(),
             panels.ofPair(part));
    scaleFar(operands.far, row, DecayReach::middle64, panels.isUpper(),
             panels.ofWarp(far));
  }
  multiplyOwn(operands);
  emitWarpgroupBarrier(e, op.getBarrierId(), /*proxy=*/false);
  multiplyFar(operands.part, panels.isOdd(), part0, 2, panels.ofPair(part));
  multiplyFar(operands.far, panels.isUpper(), far0, 4, far);
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
  emitPanel(loop.getInductionVar());
  SmallVector<Value> next = sums.values;
  llvm::append_range(next, diagonals);
  llvm::append_range(next, panels.getLoaded());
  scf::YieldOp::create(e.builder, e.loc, next);
  take(loop.getResults());
}

/// Drops what a warp's own tiles have above the diagonal, and sets this.
void ProductsEmitter::maskOwn(size_t product) {
  MutableArrayRef<Value> first = sums.getTile(product, own0);
  MutableArrayRef<Value> second = sums.getTile(product, own1);
  Value row = e.udiv(e.laneId(), 4), zero = e.cf32(0);
  Value diagonal[2] = {zero, zero};
  if (op.getDiagonal()[product])
    for (int64_t half : {0, 1}) {
      Value sum = diagonals[2 * product + half];
      for (int64_t mask : {1, 2})
        sum = LLVM::FAddOp::create(e.builder, e.loc, sum,
                                   e.shuffleXor(sum, mask));
      diagonal[half] = sum;
    }
  for (int64_t i : {0, 1}) {
    Value column = e.add(e.mul(e.urem(e.laneId(), 4), 2), i);
    Value isBelow = e.cmp(LLVM::ICmpPredicate::ult, column, row);
    Value isOn = e.cmp(LLVM::ICmpPredicate::eq, column, row);
    auto mask = [&](Value &value, Value of) {
      value = e.select(isBelow, value, e.select(isOn, of, zero));
    };
    mask(first[i], diagonal[0]);
    mask(second[2 + i], diagonal[1]);
    second[i] = zero;
  }
}

/// Returns the tile of 64 columns: of each warp the tiles that it has there.
Value ProductsEmitter::joinTiles(size_t product) {
  SmallVector<Value> values;
  for (int64_t column = 0; column < kDecayBlocks; ++column)
    for (int64_t i = 0; i < kTileElements; ++i) {
      auto get = [&](int64_t tile) { return sums.getTile(product, tile)[i]; };
      int64_t warp = column / 2, place = column % 2;
      Value value = e.cf32(0);
      if (warp < 2)
        value = e.select(panels.isUpper(), get(far0 + column), value);
      if (warp % 2 == 0)
        value = e.select(panels.isWarp(warp + 1), get(part0 + place), value);
      values.push_back(e.select(panels.isWarp(warp), get(own0 + place), value));
    }
  return e.vectorOf(values);
}

SmallVector<Value> ProductsEmitter::emit(Value isSteep) {
  panels.boundNearIf(isSteep);
  emitLoop();
  SmallVector<Value> products;
  for (size_t n = 0; n < op.getLeft().size(); ++n) {
    maskOwn(n);
    products.push_back(joinTiles(n));
  }
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
