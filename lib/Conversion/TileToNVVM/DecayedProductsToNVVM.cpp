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
// There are two such loops, of which a chunk takes one. Where its gates are
// bounded it goes by halves of 32 rows: a row has one factor from the middle of
// its half and one to it, which scale the operands of tokens of one half, and
// those of tokens of two with a factor more. Else it goes by blocks of 8 rows:
// a row has a factor to the begin of its block, one to its end, and for the
// products of tokens of one block one to the middle of that. Tables have what
// reaches further (DecayFactors.cpp). What a warp has of the products:
// DecayTiles.h. Right operands of blocks that are not its own come from other
// warps through shared memory, two panels in turn.
//
//===----------------------------------------------------------------------===//

#include "DecayTiles.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// Registers of a left operand: register 2 j + n has pair j of product n's row.
constexpr int64_t kLeftRegisters = 4;

class ProductsEmitter {
public:
  ProductsEmitter(Emitter &e, DecayedProductsOp op,
                  DecayedProductsOp::Adaptor adaptor)
      : e(e), op(op), panels(e, op, adaptor), factors(e, op, adaptor), sums(e),
        diagonals(2 * op.getLeft().size(), e.cf32(0)) {}

  /// Loads what comes first.
  void begin() {
    factors.load();
    panels.loadFirst();
  }
  /// Returns the products; makes the factors first.
  SmallVector<Value> emit();

private:
  /// Goes through all panels of a chunk whose gates are bounded, or not.
  void emitHalves();
  void emitBlocks();
  void emitLoop(function_ref<void(Value pair, int64_t panel)> emitPanel);
  void emitHalvesPanel(Value pair, int64_t panel);
  void emitBlocksPanel(Value pair, int64_t panel);
  void beginPanel(int64_t panel);
  /// Makes the row of a half of the lane's rows in a panel of pair `number`,
  /// and adds its products with itself.
  DecayRow makeRow(Value number, int64_t panel, int64_t half);
  /// Returns what a loop makes, and takes it from the results of one.
  SmallVector<Value> getMade();
  void takeMade(ValueRange made);
  /// Returns a left operand of both products' rows.
  SmallVector<Value> join(ArrayRef<SmallVector<Value>> rows);
  /// Returns the left operand of rows times `factors`, if there are some.
  SmallVector<Value> joinScaled(const DecayRow &row, ArrayRef<Value> factors);
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
  /// Adds those of the second half by the first one.
  void multiplyFar(ArrayRef<Value> left);
  void addDiagonals(const DecayRow &row);

  /// Adds the products of the warp by other blocks of the same half.
  void multiplyNear(ArrayRef<SmallVector<Value>> left);
  /// The same of warp `warp`; returns what these tiles are then.
  SmallVector<Value> multiplyNearOf(int64_t warp,
                                    ArrayRef<SmallVector<Value>> left);

  void sync() { emitWarpgroupBarrier(e, op.getBarrierId(), /*proxy=*/false); }

  Emitter &e;
  DecayedProductsOp op;
  DecayPanels panels;
  DecayFactors factors;
  DecaySums sums;
  /// Of each product the sums of the products of a row with itself.
  SmallVector<Value> diagonals;
};
} // namespace

/// Emits what `then` or `otherwise` returns.
static SmallVector<Value>
emitEither(Emitter &e, Value condition, function_ref<SmallVector<Value>()> then,
           function_ref<SmallVector<Value>()> otherwise) {
  auto ifOp = scf::IfOp::create(
      e.builder, e.loc, condition,
      [&](OpBuilder &builder, Location loc) {
        scf::YieldOp::create(builder, loc, then());
      },
      [&](OpBuilder &builder, Location loc) {
        scf::YieldOp::create(builder, loc, otherwise());
      });
  return llvm::to_vector_of<Value>(ifOp.getResults());
}

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
  SmallVector<Value> factors;
  if (std::optional<DecayReach> reach = getReach(level))
    factors = panels.loadFactors(row, *reach);
  return joinScaled(row, factors);
}

SmallVector<Value> ProductsEmitter::joinScaled(const DecayRow &row,
                                               ArrayRef<Value> factors) {
  SmallVector<SmallVector<Value>> rows;
  for (int64_t left : op.getLeft())
    rows.push_back(panels.scale(row.begins[left], factors));
  return join(rows);
}

void ProductsEmitter::storeRight(const DecayRow &row, DecayLevel level) {
  SmallVector<Value> factors;
  if (std::optional<DecayReach> reach = getReach(level))
    factors = panels.loadFactors(row, *reach);
  panels.storeRight(panels.scale(row.ends[op.getRight()], factors), level,
                    panels.getWarp());
}

SmallVector<Value> ProductsEmitter::scaleEither(const DecayRow &row,
                                                DecayLevel level,
                                                ArrayRef<Value> left) {
  return emitEither(
      e, panels.isLater(level, row.half), [&] { return scaleLeft(row, level); },
      [&] {
        storeRight(row, level);
        return llvm::to_vector(left);
      });
}

void ProductsEmitter::multiplyLevel(ArrayRef<Value> left, DecayLevel level,
                                    int64_t first, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    multiplyBF16(e, sums.getTile(first + i), left,
                 panels.loadRight(level, panels.getMaker(level, i)));
}

void ProductsEmitter::multiplyFar(ArrayRef<Value> left) {
  for (int64_t i = 0; i < kDecayBlocks / 2; ++i)
    multiplyBF16(e, sums.getTile(middle64 + i), left,
                 panels.loadKnownRight(DecayLevel::middle64, i));
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

SmallVector<Value>
ProductsEmitter::multiplyNearOf(int64_t warp,
                                ArrayRef<SmallVector<Value>> left) {
  DecaySums added(sums.values);
  for (int64_t i = 0; i < kNearOthers; ++i) {
    auto [half, other] = getNearOther(warp, i);
    multiplyBF16(e, added.getTile(nearOthers + i), left[half],
                 panels.loadKnownRight(DecayLevel::next, other));
  }
  return llvm::to_vector(added.getTiles(nearOthers, kNearOthers));
}

/// Each warp has code of its own: to choose operands and addresses would be an
/// instruction for each register of them.
void ProductsEmitter::multiplyNear(ArrayRef<SmallVector<Value>> left) {
  auto isBelow = [&](int64_t n) {
    return e.cmp(LLVM::ICmpPredicate::ult, panels.getWarp(), e.c32(n));
  };
  SmallVector<Value> added = emitEither(
      e, isBelow(2),
      [&] {
        return emitEither(
            e, isBelow(1), [&] { return multiplyNearOf(0, left); },
            [&] { return multiplyNearOf(1, left); });
      },
      [&] {
        return emitEither(
            e, isBelow(3), [&] { return multiplyNearOf(2, left); },
            [&] { return multiplyNearOf(3, left); });
      });
  llvm::copy(added, sums.getTiles(nearOthers, kNearOthers).begin());
}

void ProductsEmitter::beginPanel(int64_t panel) {
  panels.begin(panel);
  if (panel == 0)
    panels.take();
}

DecayRow ProductsEmitter::makeRow(Value number, int64_t panel, int64_t half) {
  DecayRow row = panels.make(number, half);
  // What comes behind is on its way as soon as registers are free.
  if (panel == 1 && half == 0)
    panels.loadNext(number);
  addDiagonals(row);
  return row;
}

void ProductsEmitter::emitHalvesPanel(Value number, int64_t panel) {
  std::array<SmallVector<Value>, 2> near;
  SmallVector<Value> far;
  beginPanel(panel);
  for (int64_t half : {0, 1}) {
    DecayRow row = makeRow(number, panel, half);
    near[half] = join(row.near);
    multiplyBF16(e, sums.getTile(near0 + half), near[half], row.nearRight);
    panels.storeRight(row.nearRight, DecayLevel::next, panels.getBlock(half));
    panels.reachMiddle(row);
    if (half == 0)
      panels.storeRight(panels.scale(row.ends[op.getRight()], {}),
                        DecayLevel::middle64, panels.getWarp());
    else
      far = joinScaled(row, {});
    panels.storeOuts(row);
  }
  sync();
  multiplyNear(near);
  multiplyFar(far);
}

void ProductsEmitter::emitBlocksPanel(Value number, int64_t panel) {
  Value none = LLVM::PoisonOp::create(e.builder, e.loc, e.i32());
  SmallVector<Value> nextLeft(kLeftRegisters, none), left32 = nextLeft, left64;
  beginPanel(panel);
  for (int64_t half : {0, 1}) {
    DecayRow row = makeRow(number, panel, half);
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
  multiplyFar(left64);
}

//===----------------------------------------------------------------------===//
// All panels
//===----------------------------------------------------------------------===//

SmallVector<Value> ProductsEmitter::getMade() {
  SmallVector<Value> made = sums.values;
  llvm::append_range(made, diagonals);
  return made;
}

void ProductsEmitter::takeMade(ValueRange made) {
  size_t numSums = sums.values.size();
  sums = DecaySums(made.take_front(numSums));
  diagonals = llvm::to_vector(made.drop_front(numSums));
}

void ProductsEmitter::emitLoop(
    function_ref<void(Value pair, int64_t panel)> emitPanel) {
  SmallVector<Value> inits = getMade();
  size_t numMade = inits.size();
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
  auto take = [&](ValueRange values) {
    takeMade(values.take_front(numMade));
    panels.setLoaded(values.drop_front(numMade));
  };
  take(loop.getRegionIterArgs());
  for (int64_t panel : {0, 1})
    emitPanel(loop.getInductionVar(), panel);
  SmallVector<Value> next = getMade();
  llvm::append_range(next, panels.getLoaded());
  scf::YieldOp::create(e.builder, e.loc, next);
  take(loop.getResults());
}

void ProductsEmitter::emitHalves() {
  factors.writeByHalves();
  panels.goByHalves(true);
  emitLoop([&](Value pair, int64_t panel) { emitHalvesPanel(pair, panel); });
}

void ProductsEmitter::emitBlocks() {
  panels.boundNearIf(factors.writeByBlocks());
  panels.goByHalves(false);
  emitLoop([&](Value pair, int64_t panel) { emitBlocksPanel(pair, panel); });
}

SmallVector<Value> ProductsEmitter::emit() {
  Value isByHalves = factors.areBounded();
  // The gates are there, which would wait for what is asked for before them.
  panels.askForOthers();
  SmallVector<Value> none = getMade(), loaded = to_vector(panels.getLoaded());
  takeMade(emitEither(
      e, isByHalves,
      [&] {
        emitHalves();
        SmallVector<Value> made = getMade();
        takeMade(none);
        panels.setLoaded(loaded);
        return made;
      },
      [&] {
        emitBlocks();
        return getMade();
      }));
  return spreadProducts(e, op, panels, {sums, diagonals, isByHalves});
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
    rewriter.replaceOp(op, products.emit());
    return success();
  }
};
} // namespace

void tile::populateDecayedProductsPatterns(LLVMTypeConverter &converter,
                                           RewritePatternSet &patterns) {
  patterns.add<DecayedProductsPattern>(converter, patterns.getContext());
}
