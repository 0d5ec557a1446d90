//===- ScanRowsToNVVM.cpp - Running sums over the rows of a matrix ------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The rows of an acc tile lie in the lanes of four warps, so a matrix is summed
// in shared memory. A thread takes two columns, and neighbours lie in
// neighbouring banks. Of rows in halves several threads take some whole halves
// each, as far as there are threads: no sum crosses their ends. All rows of 64
// columns are summed by four lanes of a warp, a quarter each, which then hand
// each other what theirs add up to.
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

/// Parts that rows are divided into, each for a thread of its own: as many as
/// have whole rounds.
static constexpr int64_t kMostParts = 8;
/// Lanes that sum all rows of two columns.
static constexpr int64_t kQuarters = 4;
/// Lanes of a warp.
static constexpr int64_t kWarpLanes = 32;
/// Rows that are loaded before they are added: their latencies overlap.
static constexpr int64_t kRowsAtOnce = 8;

namespace {
/// Rows one after the other: the addresses of the first, and how far it is from
/// each to the next, in bytes.
struct Rows {
  Value from, to, step;
};

/// The sums of two columns.
using Sums = std::array<Value, 2>;

class ScanEmitter {
public:
  ScanEmitter(Emitter &e, ScanRowsOp op, Value source, Value scratch)
      : e(e), op(op), source(source), scratch(scratch),
        rowBytes(op.getScratch().getType().getPaddedRowBytes()) {}

  void sumColumns(int64_t columns) {
    if (!op.getHalf() && columns / 2 * kQuarters == kWarpgroupThreads)
      return sumQuarters();
    // No sum crosses the middle of 64 rows, or the ends of smaller halves.
    int64_t most = op.getHalf()
                       ? std::min<int64_t>(kAccRows / *op.getHalf(), kMostParts)
                       : 1;
    int64_t pairs =
        std::min(columns / 2, kWarpgroupThreads / std::min<int64_t>(most, 2));
    // Each round takes as many columns as the others.
    while (columns / 2 % pairs != 0)
      pairs /= 2;
    parts = std::min<int64_t>(
        most, llvm::bit_floor<uint64_t>(kWarpgroupThreads / pairs));
    for (int64_t first = 0; first < columns / 2; first += pairs) {
      Value thread = e.urem(e.threadIdAgain(), kWarpgroupThreads);
      pairByte = e.mul(e.add(e.urem(thread, pairs), first), 8);
      auto sum = [&] { sumPair(e.udiv(thread, pairs)); };
      if (pairs * parts == kWarpgroupThreads)
        sum();
      else
        e.ifThen(e.cmp(LLVM::ICmpPredicate::ult, thread, e.c32(pairs * parts)),
                 sum);
    }
  }

private:
  /// Sums two columns, of halves the rows of `part`.
  void sumPair(Value part) {
    if (!op.getHalf())
      return sumAll();
    if (static_cast<int64_t>(*op.getHalf()) < kRowsAtOnce)
      return sumSmallHalves(part);
    sumLargeHalves(part);
  }

  /// All rows, by lanes of a quarter each: eight lanes take neighbouring
  /// columns.
  void sumQuarters() {
    constexpr int64_t kRows = kAccRows / kQuarters;
    constexpr int64_t kLanes = kWarpLanes / kQuarters;
    bool isDown = op.getReverse();
    Value thread = e.urem(e.threadIdAgain(), kWarpgroupThreads);
    Value lane = e.urem(thread, kWarpLanes);
    pairByte = e.mul(
        e.add(e.mul(e.udiv(thread, kWarpLanes), kLanes), e.urem(lane, kLanes)),
        8);
    Value quarter = e.udiv(lane, kLanes);
    Value row = e.mul(quarter, kRows);
    Rows rows = at(isDown ? e.add(row, kRows - 1) : row,
                   e.c32(isDown ? -rowBytes : rowBytes));
    SmallVector<SmallVector<Value>> values = loadRows(rows, kRows);
    Sums sums = zero();
    for (ArrayRef<Value> value : values)
      for (auto [sum, x] : llvm::zip_equal(sums, value))
        sum = add(sum, bounded(x));
    // Down, the last quarter comes first.
    Value place = isDown ? e.sub(e.c32(kQuarters - 1), quarter) : quarter;
    for (Value &sum : sums)
      sum = sumBefore(sum, place, kLanes);
    storeSums(rows, values, sums, constant(true));
  }

  /// Returns what the quarters before one add up to, of which each has `sum`.
  Value sumBefore(Value sum, Value place, int64_t lanes) {
    bool isUp = !op.getReverse();
    for (int64_t distance = 1; distance < kQuarters; distance *= 2) {
      Value other = e.shuffleShift(sum, distance * lanes, isUp);
      Value isThere = e.cmp(LLVM::ICmpPredicate::uge, place, e.c32(distance));
      sum = LLVM::FAddOp::create(e.builder, e.loc, sum,
                                 e.select(isThere, other, e.cf32(0)));
    }
    Value before = e.shuffleShift(sum, lanes, isUp);
    return e.select(e.cmp(LLVM::ICmpPredicate::ne, place, e.c32(0)), before,
                    e.cf32(0));
  }

  /// All rows, up or down.
  void sumAll() {
    bool isDown = op.getReverse();
    Rows rows = at(e.c32(isDown ? kAccRows - 1 : 0),
                   e.c32(isDown ? -rowBytes : rowBytes));
    Value stride = e.mul(rows.step, kRowsAtOnce);
    loop(kAccRows / kRowsAtOnce, [&](Value i, Sums sums) {
      Value offset = e.mul(i, stride);
      Rows round = {e.add(rows.from, offset), e.add(rows.to, offset),
                    rows.step};
      return sumRows(round, kRowsAtOnce, sums, constant(true));
    });
  }

  /// Halves of less rows than are loaded at once, some blocks in each round.
  void sumSmallHalves(Value part) {
    int64_t half = *op.getHalf();
    loop(kAccRows / parts / kRowsAtOnce, [&](Value i, Sums sums) {
      Value row = e.add(e.mul(part, kAccRows / parts), e.mul(i, kRowsAtOnce));
      for (int64_t middle = half; middle < kRowsAtOnce; middle += 2 * half) {
        sumRows(at(e.add(row, middle - 1), e.c32(-rowBytes)), half, zero(),
                constant(false));
        sumRows(at(e.add(row, middle), e.c32(rowBytes)), half, zero(),
                constant(true));
      }
      return sums;
    });
  }

  /// Halves that take one round or more. Those of even number are first
  /// halves, summed towards their beginning; the others second ones.
  void sumLargeHalves(Value part) {
    int64_t half = *op.getHalf(), rounds = half / kRowsAtOnce;
    loop(kAccRows / parts / kRowsAtOnce, [&](Value i, Sums sums) {
      Value unit = e.add(e.mul(part, kAccRows / parts / kRowsAtOnce), i);
      Value number = e.udiv(unit, rounds);
      Value done = e.mul(e.urem(unit, rounds), kRowsAtOnce);
      Value isSecond =
          e.cmp(LLVM::ICmpPredicate::eq, e.urem(number, 2), e.c32(1));
      Value middle = e.add(e.mul(e.udiv(number, 2), 2 * half), half);
      Value row = e.select(isSecond, e.add(middle, done),
                           e.sub(e.add(middle, -1), done));
      Value isNew = e.cmp(LLVM::ICmpPredicate::eq, done, e.c32(0));
      for (Value &sum : sums)
        sum = e.select(isNew, e.cf32(0), sum);
      Value step = e.select(isSecond, e.c32(rowBytes), e.c32(-rowBytes));
      return sumRows(at(row, step), kRowsAtOnce, sums, isSecond);
    });
  }

  /// Adds up `count` rows and stores the sums; `isSecond` holds for rows that
  /// are summed away from the middle, or all. Returns the sums of all.
  Sums sumRows(Rows rows, int64_t count, Sums sums, Value isSecond) {
    return storeSums(rows, loadRows(rows, count), sums, isSecond);
  }

  SmallVector<SmallVector<Value>> loadRows(const Rows &rows, int64_t count) {
    SmallVector<SmallVector<Value>> values;
    Value from = rows.from;
    for (int64_t i = 0; i < count; ++i) {
      values.push_back(e.loadSharedVector(e.f32(), 2, from));
      from = e.add(from, rows.step);
    }
    return values;
  }

  /// Adds up rows with these values, and stores the sums.
  Sums storeSums(Rows rows, ArrayRef<SmallVector<Value>> values, Sums sums,
                 Value isSecond) {
    Value isInclusive = this->isInclusive(isSecond);
    for (ArrayRef<Value> row : values) {
      SmallVector<Value> stored;
      for (auto [sum, value] : llvm::zip_equal(sums, row)) {
        Value next = add(sum, bounded(value));
        Value result = e.select(isInclusive, next, sum);
        if (op.getIsSigned())
          result = e.select(isSecond, result,
                            LLVM::FNegOp::create(e.builder, e.loc, result));
        stored.push_back(op.getExp() ? emitExp2(e, result) : result);
        sum = next;
      }
      e.storeSharedVector(stored, rows.to);
      rows.to = e.add(rows.to, rows.step);
    }
    return sums;
  }

  /// Runs `body` for 0 to `count` - 1 with the sums so far. The number is
  /// multiplied by the grid's second dimension, which is 1 and which neither
  /// LLVM nor ptxas knows: they would unroll the loop.
  void loop(int64_t count, function_ref<Sums(Value, Sums)> body) {
    Value bound = e.ptx("{\n.reg .b32 n;\nmov.u32 n, %nctaid.y;\n"
                        "mul.lo.u32 $0, n, " +
                            std::to_string(count) + ";\n}",
                        "=r", {}, e.i32())[0];
    Sums start = zero();
    auto forOp = scf::ForOp::create(e.builder, e.loc, e.c32(0), bound, e.c32(1),
                                    ValueRange(start));
    OpBuilder::InsertionGuard guard(e.builder);
    e.builder.setInsertionPointToStart(forOp.getBody());
    ValueRange carried = forOp.getRegionIterArgs();
    Sums sums = body(forOp.getInductionVar(), {carried[0], carried[1]});
    scf::YieldOp::create(e.builder, e.loc, ValueRange(sums));
  }

  Rows at(Value row, Value step) {
    Value offset = e.add(e.mul(row, rowBytes), pairByte);
    return {e.add(source, offset), e.add(scratch, offset), step};
  }

  /// The sums of a second half have the row itself, unless the scan excludes
  /// it; those of a first half do if they are signed and it is excluded.
  Value isInclusive(Value isSecond) {
    if (!op.getExclusive())
      return isSecond;
    return op.getIsSigned()
               ? e.select(isSecond, constant(false), constant(true))
               : constant(false);
  }

  /// Sums whose exp is stored are exponents of two: one operation has the
  /// product and the sum.
  Value add(Value sum, Value value) {
    if (!op.getExp())
      return LLVM::FAddOp::create(e.builder, e.loc, sum, value);
    return LLVM::FMAOp::create(e.builder, e.loc, value,
                               e.cf32(llvm::numbers::log2e), sum);
  }

  /// A row that counts as no less than a bound, if there is one.
  Value bounded(Value row) {
    if (!op.getLeast())
      return row;
    return LLVM::MaximumOp::create(e.builder, e.loc, row,
                                   e.cf32(op.getLeast()->convertToFloat()));
  }

  Value constant(bool value) {
    return LLVM::ConstantOp::create(e.builder, e.loc, e.i1(), value);
  }

  Sums zero() { return {e.cf32(0), e.cf32(0)}; }

  Emitter &e;
  ScanRowsOp op;
  Value source, scratch, pairByte;
  int64_t rowBytes, parts = 1;
};

struct ScanRowsPattern : OpConversionPattern<ScanRowsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(ScanRowsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    SmemType tile = op.getScratch().getType();
    Value scratch = adaptor.getScratch(), source = adaptor.getX();
    auto sync = [&] {
      emitWarpgroupBarrier(e, op.getBarrierId(), /*proxy=*/false);
    };
    sync();
    if (isa<RankedTensorType>(op.getX().getType())) {
      // A thread reads rows before it writes there.
      writePlainMatrix(e, e.elements(source), scratch, tile,
                       /*transposed=*/false, /*firstRow=*/0);
      source = scratch;
      sync();
    }
    ScanEmitter(e, op, source, scratch).sumColumns(tile.getShape()[1]);
    sync();
    auto type = dyn_cast<RankedTensorType>(op.getSums().getType());
    rewriter.replaceOp(op, type ? readPlain(e, scratch, tile, type,
                                            /*transposed=*/false,
                                            /*firstRow=*/0)
                                : scratch);
    return success();
  }
};
} // namespace

void tile::populateScanRowsPatterns(LLVMTypeConverter &converter,
                                    RewritePatternSet &patterns) {
  patterns.add<ScanRowsPattern>(converter, patterns.getContext());
}
