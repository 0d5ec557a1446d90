//===- DecayFactors.cpp - What gates make of blocks of rows ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A warp has a quarter of the rows, a lane four channels. A chunk whose gates
// are bounded goes by halves of 32 rows: a lane leaves the sums from the middle
// of its half to each of its rows. Then a thread has a channel, and makes of
// its four quarters' sums the factors that reach from the middle of each half
// to where rows are scaled to.
//
// Another chunk goes by blocks of 8 rows, of which a quarter has two: a lane
// leaves the sums up to each row, and a thread makes factors of the eight sums
// of its channel.
//
//===----------------------------------------------------------------------===//

#include "DecayFactors.h"
#include "Patterns.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

/// Channels of a lane in 16 bytes of gates, and of a warp, or a thread each.
static constexpr int64_t kLaneColumns = 4, kRoundColumns = 32 * kLaneColumns;
static_assert(kRoundColumns == kWarpgroupThreads);
/// Rows of a warp, between the middle of a half of a chunk and its begin or
/// end.
static constexpr int64_t kQuarterRows = kAccRows / 4;

Value tile::getTensorAddress(Emitter &e, DecayedProductsOp op,
                             DecayedProductsOp::Adaptor adaptor, unsigned i,
                             Value tensor, Type element) {
  OperandRange coords = op.getCoordsOf(i);
  unsigned first =
      coords.getBeginOperandIndex() - op.getCoords().getBeginOperandIndex();
  return globalAddress(
      e, tensor, adaptor.getCoords().slice(first, coords.size()), element);
}

std::array<Value, 2> tile::getDecayBlocks(Emitter &e, Value warp) {
  return {warp, e.sub(e.c32(kDecayBlocks - 1), warp)};
}

Value tile::getSumAddress(Emitter &e, Value scratch, Value row, Value column,
                          int64_t columns) {
  constexpr int64_t turnedBytes = 16;
  Value turn = e.mul(e.band(row, e.c32(1)), turnedBytes);
  Value byte = e.bxor(e.mul(column, 4), turn);
  return e.add(e.add(scratch, e.mul(row, columns * 4)), byte);
}

SmallVector<Value> tile::loadGlobalIf(Emitter &e, Value condition,
                                      Value pointer, Type element,
                                      unsigned count) {
  std::string zeros, registers, constraints;
  for (unsigned i = 0; i < count; ++i) {
    std::string name = "$" + std::to_string(i);
    zeros += "mov.b32 " + name + ", 0;\n";
    registers += (i ? ", " : "") + name;
    // Written before the pointer is read.
    constraints += element.isF32() ? "=&f," : "=&r,";
  }
  std::string flag = "$" + std::to_string(count + 1);
  Value holds = LLVM::ZExtOp::create(e.builder, e.loc, e.i32(), condition);
  return e.ptx(
      "{\n.reg .pred there;\nsetp.ne.b32 there, " + flag + ", 0;\n" + zeros +
          "@there ld.global.v" + std::to_string(count) + ".b32 {" + registers +
          "}, [$" + std::to_string(count) + "];\n}",
      constraints + "l,r", {pointer, holds}, SmallVector<Type>(count, element));
}

int64_t tile::getFactorByte(DecayReach reach, int64_t columns) {
  return getFactorsByte(columns) +
         static_cast<int64_t>(reach) * kDecayBlocks * columns * 4;
}

DecayFactors::DecayFactors(Emitter &e, DecayedProductsOp op,
                           DecayedProductsOp::Adaptor adaptor)
    : e(e), op(op), adaptor(adaptor), columns(op.getColumns()),
      sumsByte(getExchangeByte(columns)) {}

void DecayFactors::sync() {
  emitWarpgroupBarrier(e, op.getBarrierId(), /*proxy=*/false);
}

/// A barrier that tells all threads whether `own` holds in each, or in any.
Value DecayFactors::syncAll(StringRef how, Value own) {
  Value holds = LLVM::ZExtOp::create(e.builder, e.loc, e.i32(), own);
  Value all =
      e.ptx("{\n.reg .pred own, all;\nsetp.ne.b32 own, $1, 0;\nbar.red." +
                how.str() + ".pred all, " + std::to_string(op.getBarrierId()) +
                ", " + std::to_string(kWarpgroupThreads) +
                ", own;\nselp.b32 $0, 1, 0, all;\n}",
            "=r,r,~{memory}", holds, e.i32())
          .front();
  // A shuffle from one lane makes it uniform for the compiler.
  return e.cmp(LLVM::ICmpPredicate::ne, e.shuffle(all, e.c32(0)), e.c32(0));
}

Value DecayFactors::getChannel(int64_t first, Value of) {
  int64_t left = columns - first;
  return e.add(left < kRoundColumns ? e.urem(of, left) : of, first);
}

Value DecayFactors::address(Value channel, int64_t byte) {
  return e.add(e.add(adaptor.getScratch(), e.mul(channel, 4)), byte);
}

//===----------------------------------------------------------------------===//
// Gates
//===----------------------------------------------------------------------===//

/// All loads are on their way before the first is waited for.
DecayFactors::Part DecayFactors::loadPart(Value channel) {
  Part part;
  part.channel = channel;
  Value valid = e.trunc32(adaptor.getValid());
  std::optional<int64_t> known =
      cast<GlobalType>(op.getG().getType()).getStaticStride(op.getDim());
  Value stride =
      known ? e.c64(*known) : globalStride(e, adaptor.getG(), op.getDim());
  Value base =
      getTensorAddress(e, op, adaptor, /*i=*/0, adaptor.getG(), e.f32());
  Value row = e.mul(quarter, kQuarterRows);
  Value offset = e.add(e.mul(e.ext64(row), stride), e.ext64(channel));
  Value first = offsetPointer(e, base, offset, e.f32());
  for (int64_t i = 0; i < kQuarterRows; ++i) {
    Value isThere = e.cmp(LLVM::ICmpPredicate::ult, e.add(row, i), valid);
    Value pointer = offsetPointer(e, first, e.mul(stride, i), e.f32());
    part.gates.push_back(
        loadGlobalIf(e, isThere, pointer, e.f32(), kLaneColumns));
  }
  return part;
}

Value DecayFactors::addPart(Part &part) {
  Value log2e = e.cf32(llvm::numbers::log2e), all;
  for (int64_t c = 0; c < kLaneColumns; ++c) {
    Value sum = part.gates.front()[c];
    for (ArrayRef<Value> row : ArrayRef(part.gates).drop_front())
      sum = LLVM::FAddOp::create(e.builder, e.loc, sum, row[c]);
    sum = LLVM::FMulOp::create(e.builder, e.loc, sum, log2e);
    part.total.push_back(sum);
    Value isBounded =
        LLVM::FCmpOp::create(e.builder, e.loc, LLVM::FCmpPredicate::oge, sum,
                             e.cf32(-kMostExponent));
    all = all ? e.band(all, isBounded) : isBounded;
  }
  e.storeSharedVector(part.total, e.add(address(part.channel, sumsByte),
                                        e.mul(quarter, columns * 4)));
  return all;
}

void DecayFactors::load() {
  quarter = e.urem(e.warpNumber(), kWarpgroupWarps);
  Value column = e.mul(e.laneId(), kLaneColumns);
  for (int64_t first = 0; first < columns; first += kRoundColumns)
    parts.push_back(loadPart(getChannel(first, column)));
}

Value DecayFactors::areBounded() {
  sync();
  Value all;
  for (Part &part : parts) {
    Value areMore = addPart(part);
    all = all ? e.band(all, areMore) : areMore;
  }
  return syncAll("and", all);
}

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

SmallVector<Value> DecayFactors::loadSums(Value channel, int64_t count) {
  SmallVector<Value> sums;
  for (int64_t i = 0; i < count; ++i)
    sums.push_back(
        e.loadShared(e.f32(), address(channel, sumsByte + i * columns * 4)));
  return sums;
}

/// Writes what the exponents make of the first rows of a table.
void DecayFactors::writeReach(Value channel, DecayReach reach,
                              ArrayRef<Value> exponents) {
  for (auto [row, exponent] : llvm::enumerate(exponents)) {
    Value factor = exponent ? emitExp2(e, exponent) : e.cf32(1);
    int64_t byte =
        getFactorByte(reach, columns) + static_cast<int64_t>(row) * columns * 4;
    e.storeShared(factor, address(channel, byte));
  }
}

void DecayFactors::storeTotal(Value channel, Value exponent) {
  if (!op.getTotal())
    return;
  unsigned last = 1 + op.getRows().size() + op.getOuts().size();
  Value pointer =
      getTensorAddress(e, op, adaptor, last, adaptor.getTotal(), e.f32());
  int64_t dim = op.getTotal().getType().getTensor().getRank() - 1;
  Value offset =
      e.mul(e.ext64(channel), globalStride(e, adaptor.getTotal(), dim));
  e.storeGlobal(emitExp2(e, exponent),
                offsetPointer(e, pointer, offset, e.f32()));
}

//===----------------------------------------------------------------------===//
// By halves
//===----------------------------------------------------------------------===//

/// In front of the middle of a half it is what is left that counts, negative.
void DecayFactors::sumFromMiddle(const Part &part) {
  Value isInFront =
      e.cmp(LLVM::ICmpPredicate::eq, e.band(quarter, e.c32(1)), e.c32(0));
  Value log2e = e.cf32(llvm::numbers::log2e);
  SmallVector<Value> sums;
  for (Value total : part.total)
    sums.push_back(e.select(
        isInFront, LLVM::FNegOp::create(e.builder, e.loc, total), e.cf32(0)));
  for (auto [i, gates] : llvm::enumerate(part.gates)) {
    for (auto [sum, gate] : llvm::zip_equal(sums, gates))
      sum = LLVM::FMAOp::create(e.builder, e.loc, gate, log2e, sum);
    Value row = e.add(e.mul(quarter, kQuarterRows), i);
    e.storeSharedVector(sums, getSumAddress(e, adaptor.getScratch(), row,
                                            part.channel, columns));
  }
}

void DecayFactors::writeHalvesOf(Value channel) {
  SmallVector<Value> sums = loadSums(channel, /*count=*/4);
  auto add = [&](Value a, Value b) -> Value {
    return LLVM::FAddOp::create(e.builder, e.loc, a, b);
  };
  Value front = add(sums[0], sums[1]), back = add(sums[2], sums[3]);
  // Rows go to the middle of the chunk, and from there on.
  writeReach(channel, DecayReach::middle64, {sums[1], sums[2]});
  writeReach(channel, DecayReach::begin, {sums[0], front});
  writeReach(channel, DecayReach::end, {back, sums[3]});
  storeTotal(channel, add(front, back));
}

void DecayFactors::writeByHalves() {
  for (const Part &part : parts)
    sumFromMiddle(part);
  for (int64_t first = 0; first < columns; first += kRoundColumns)
    writeHalvesOf(getChannel(first, e.warpgroupThread()));
  sync();
}

//===----------------------------------------------------------------------===//
// By blocks
//===----------------------------------------------------------------------===//

/// Leaves the sums up to each row of the two blocks of a quarter, and those of
/// the blocks.
void DecayFactors::sumBlocks(const Part &part) {
  for (auto [i, gates] : llvm::enumerate(part.gates)) {
    if (i % kDecayRows == 0)
      blockSums.clear();
    addRow(gates);
    Value row = e.add(e.mul(quarter, kQuarterRows), i);
    e.storeSharedVector(blockSums, getSumAddress(e, adaptor.getScratch(), row,
                                                 part.channel, columns));
    if (i % kDecayRows == kDecayRows - 1) {
      Value block = e.add(e.mul(quarter, 2), i / kDecayRows);
      e.storeSharedVector(blockSums, e.add(address(part.channel, sumsByte),
                                           e.mul(block, columns * 4)));
    }
  }
}

/// Adds a row of gates, bounded and times log2 e, to the block's sums.
void DecayFactors::addRow(ArrayRef<Value> gates) {
  Value log2e = e.cf32(llvm::numbers::log2e);
  SmallVector<Value> before = std::move(blockSums);
  blockSums.clear();
  for (auto [i, gate] : llvm::enumerate(gates)) {
    least =
        least
            ? LLVM::MinNumOp::create(e.builder, e.loc, least, gate).getResult()
            : gate;
    Value bounded =
        LLVM::MaximumOp::create(e.builder, e.loc, gate, e.cf32(kLeastGate));
    if (before.empty())
      blockSums.push_back(
          LLVM::FMulOp::create(e.builder, e.loc, bounded, log2e));
    else
      blockSums.push_back(
          LLVM::FMAOp::create(e.builder, e.loc, bounded, log2e, before[i]));
  }
}

/// Writes the factors of one channel of all blocks: exp of what lies between
/// the block and where it reaches, nothing where these meet.
void DecayFactors::writeBlocksOf(Value channel) {
  SmallVector<Value> sums = loadSums(channel, kDecayBlocks);
  auto sumBetween = [&](int64_t from, int64_t to) {
    Value sum;
    for (int64_t block = from; block < to; ++block)
      sum = sum ? LLVM::FAddOp::create(e.builder, e.loc, sum, sums[block])
                      .getResult()
                : sums[block];
    return sum;
  };
  // Of a block before the middle what lies behind it, of another one in front.
  auto sumToMiddle = [&](int64_t block, int64_t half) {
    int64_t middle = block / (2 * half) * (2 * half) + half;
    return block < middle ? sumBetween(block + 1, middle)
                          : sumBetween(middle, block);
  };
  SmallVector<Value> begin, end, middle32, middle64;
  for (int64_t block = 0; block < kDecayBlocks; ++block) {
    begin.push_back(sumBetween(0, block));
    end.push_back(sumBetween(block + 1, kDecayBlocks));
    middle32.push_back(sumToMiddle(block, 2));
    middle64.push_back(sumToMiddle(block, 4));
  }
  writeReach(channel, DecayReach::begin, begin);
  writeReach(channel, DecayReach::end, end);
  writeReach(channel, DecayReach::middle32, middle32);
  writeReach(channel, DecayReach::middle64, middle64);
  storeTotal(channel, sumBetween(0, kDecayBlocks));
}

/// NaNs are not looked for: what is made of them is NaN in any case.
Value DecayFactors::writeByBlocks() {
  for (const Part &part : parts)
    sumBlocks(part);
  Value isSteep = syncAll(
      "or", LLVM::FCmpOp::create(e.builder, e.loc, LLVM::FCmpPredicate::olt,
                                 least, e.cf32(kLeastNear)));
  for (int64_t first = 0; first < columns; first += kRoundColumns)
    writeBlocksOf(getChannel(first, e.warpgroupThread()));
  sync();
  return isSteep;
}
