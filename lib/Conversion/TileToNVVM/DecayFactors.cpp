//===- DecayFactors.cpp - What gates make of blocks of rows ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A warp sums the gates of its 16 rows, two blocks of 8, four channels a lane,
// and leaves the sums up to each row. Then a thread has a channel, and makes of
// its eight sums the factors that reach from each block to where rows are
// scaled to.
//
//===----------------------------------------------------------------------===//

#include "DecayFactors.h"
#include "Patterns.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

/// Channels of a lane in 16 bytes of gates, and of a warp.
static constexpr int64_t kLaneColumns = 4, kWarpColumns = 32 * kLaneColumns;

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

namespace {
class FactorWriter {
public:
  FactorWriter(Emitter &e, DecayedProductsOp op,
               DecayedProductsOp::Adaptor adaptor)
      : e(e), op(op), adaptor(adaptor), columns(op.getColumns()),
        sumsByte(getExchangeByte(columns)) {}

  /// Returns whether some of the warp's gates are steep.
  Value write() {
    sync();
    // A warp has as many channels as all threads of the warpgroup, one each.
    static_assert(kWarpColumns == kWarpgroupThreads);
    for (int64_t first = 0; first < columns; first += kWarpColumns)
      sumBlocks(getChannel(first, e.mul(e.laneId(), kLaneColumns)));
    sync();
    for (int64_t first = 0; first < columns; first += kWarpgroupThreads)
      writeChannel(getChannel(first, e.warpgroupThread()));
    sync();
    return isSteep();
  }

private:
  void sync() { emitWarpgroupBarrier(e, op.getBarrierId(), /*proxy=*/false); }
  /// Returns the channel of lane or thread `of`, from `first` on. Where there
  /// are fewer, several do the same: a branch would take registers.
  Value getChannel(int64_t first, Value of) {
    int64_t left = columns - first;
    return e.add(left < kWarpColumns ? e.urem(of, left) : of, first);
  }
  Value address(Value channel, int64_t byte) {
    return e.add(e.add(adaptor.getScratch(), e.mul(channel, 4)), byte);
  }
  /// Sums four channels of the warp's two blocks.
  void sumBlocks(Value channel);
  SmallVector<Value> addRow(ArrayRef<Value> sums, ArrayRef<Value> gates);
  void writeChannel(Value channel);
  Value isSteep();
  void writeReach(Value channel, DecayReach reach, ArrayRef<Value> exponents);

  Emitter &e;
  DecayedProductsOp op;
  DecayedProductsOp::Adaptor adaptor;
  int64_t columns, sumsByte;
  Value least; ///< of the gates that the lane has summed
};
} // namespace

void FactorWriter::sumBlocks(Value channel) {
  Value valid = e.trunc32(adaptor.getValid());
  Value stride = globalStride(e, adaptor.getG(), op.getDim());
  Value base =
      getTensorAddress(e, op, adaptor, /*i=*/0, adaptor.getG(), e.f32());
  std::array<Value, 2> blocks = getDecayBlocks(e, e.warpInGroup());
  // All loads are on their way before the first is waited for.
  SmallVector<SmallVector<Value>> gates;
  for (Value block : blocks) {
    Value row = e.mul(block, kDecayRows);
    Value offset = e.add(e.mul(e.ext64(row), stride), e.ext64(channel));
    Value first = offsetPointer(e, base, offset, e.f32());
    for (int64_t i = 0; i < kDecayRows; ++i) {
      Value isThere = e.cmp(LLVM::ICmpPredicate::ult, e.add(row, i), valid);
      Value pointer = offsetPointer(e, first, e.mul(stride, i), e.f32());
      gates.push_back(loadGlobalIf(e, isThere, pointer, e.f32(), kLaneColumns));
    }
  }
  ArrayRef<SmallVector<Value>> rest = gates;
  for (Value block : blocks) {
    SmallVector<Value> sums;
    for (int64_t i = 0; i < kDecayRows; ++i) {
      sums = addRow(sums, rest.front());
      rest = rest.drop_front();
      Value row = e.add(e.mul(block, kDecayRows), i);
      e.storeSharedVector(
          sums, getSumAddress(e, adaptor.getScratch(), row, channel, columns));
    }
    e.storeSharedVector(
        sums, e.add(address(channel, sumsByte), e.mul(block, columns * 4)));
  }
}

/// Returns `sums`, none at first, and a row of gates: bounded and times log2 e.
SmallVector<Value> FactorWriter::addRow(ArrayRef<Value> sums,
                                        ArrayRef<Value> gates) {
  Value log2e = e.cf32(llvm::numbers::log2e);
  SmallVector<Value> added;
  for (auto [i, gate] : llvm::enumerate(gates)) {
    least =
        least
            ? LLVM::MinNumOp::create(e.builder, e.loc, least, gate).getResult()
            : gate;
    Value bounded =
        LLVM::MaximumOp::create(e.builder, e.loc, gate, e.cf32(kLeastGate));
    if (sums.empty())
      added.push_back(LLVM::FMulOp::create(e.builder, e.loc, bounded, log2e));
    else
      added.push_back(
          LLVM::FMAOp::create(e.builder, e.loc, bounded, log2e, sums[i]));
  }
  return added;
}

/// A branch on it is one that all lanes take. NaNs are not looked for: what is
/// made of them is NaN in any case.
Value FactorWriter::isSteep() {
  Value any = e.ptx("{\n.reg .pred less, any;\nsetp.lt.f32 less, $1, $2;\n"
                    "vote.sync.any.pred any, less, 0xffffffff;\n"
                    "selp.b32 $0, 1, 0, any;\n}",
                    "=r,f,f", {least, e.cf32(kLeastNear)}, e.i32())
                  .front();
  return e.cmp(LLVM::ICmpPredicate::ne, any, e.c32(0));
}

/// Writes two to `exponents`, one a block.
void FactorWriter::writeReach(Value channel, DecayReach reach,
                              ArrayRef<Value> exponents) {
  for (auto [block, exponent] : llvm::enumerate(exponents)) {
    Value factor = exponent ? emitExp2(e, exponent) : e.cf32(1);
    int64_t byte = getFactorByte(reach, columns) +
                   static_cast<int64_t>(block) * columns * 4;
    e.storeShared(factor, address(channel, byte));
  }
}

/// Writes the factors of one channel of all blocks: exp of what lies between
/// the block and where it reaches, nothing where these meet.
void FactorWriter::writeChannel(Value channel) {
  SmallVector<Value> sums;
  for (int64_t block = 0; block < kDecayBlocks; ++block)
    sums.push_back(e.loadShared(
        e.f32(), address(channel, sumsByte + block * columns * 4)));
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
  if (!op.getTotal())
    return;
  unsigned last = 1 + op.getRows().size() + op.getOuts().size();
  Value pointer =
      getTensorAddress(e, op, adaptor, last, adaptor.getTotal(), e.f32());
  int64_t dim = op.getTotal().getType().getTensor().getRank() - 1;
  Value offset =
      e.mul(e.ext64(channel), globalStride(e, adaptor.getTotal(), dim));
  e.storeGlobal(emitExp2(e, sumBetween(0, kDecayBlocks)),
                offsetPointer(e, pointer, offset, e.f32()));
}

Value tile::writeDecayFactors(Emitter &e, DecayedProductsOp op,
                              DecayedProductsOp::Adaptor adaptor) {
  return FactorWriter(e, op, adaptor).write();
}
