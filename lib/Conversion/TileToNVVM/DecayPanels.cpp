//===- DecayPanels.cpp - Rows of a chunk, some channels at a time ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DecayPanels.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

/// Channels of a lane in a panel, and in a pair of them.
static constexpr int64_t kLaneColumns = 4, kPairLaneColumns = 8;
/// Bytes of a warp's part of the right operands of a level, of all of a level,
/// and of a panel's three levels.
static constexpr int64_t kPartBytes = 256, kLevelBytes = 4 * kPartBytes,
                         kPanelBytes = 3 * kLevelBytes;

static Value fsub(Emitter &e, Value a, Value b) {
  return LLVM::FSubOp::create(e.builder, e.loc, a, b);
}
static Value fmul(Emitter &e, Value a, Value b) {
  return LLVM::FMulOp::create(e.builder, e.loc, a, b);
}
static Value fneg(Emitter &e, Value a) {
  return LLVM::FNegOp::create(e.builder, e.loc, a);
}
static Value fma(Emitter &e, Value a, Value b, Value c) {
  return LLVM::FMAOp::create(e.builder, e.loc, a, b, c);
}

/// Returns a times b, element by element.
static SmallVector<Value> multiply(Emitter &e, ArrayRef<Value> a,
                                   ArrayRef<Value> b) {
  SmallVector<Value> products;
  for (auto [x, y] : llvm::zip_equal(a, b))
    products.push_back(fmul(e, x, y));
  return products;
}

static SmallVector<Value> exponentiate(Emitter &e, ArrayRef<Value> exponents,
                                       bool isNegated = false) {
  SmallVector<Value> factors;
  for (Value x : exponents) {
    factors.push_back(emitExp2(e, isNegated ? fneg(e, x) : x));
  }
  return factors;
}

void tile::multiplyBF16(Emitter &e, MutableArrayRef<Value> acc,
                        ArrayRef<Value> a, ArrayRef<Value> b) {
  Type result = LLVM::LLVMStructType::getLiteral(e.builder.getContext(),
                                                 SmallVector<Type>(4, e.f32()));
  SmallVector<int64_t> shape = {16, 8, 16};
  std::array<NVVM::MMALayout, 2> layouts = {NVVM::MMALayout::row,
                                            NVVM::MMALayout::col};
  std::array<NVVM::MMATypes, 2> types = {NVVM::MMATypes::bf16,
                                         NVVM::MMATypes::bf16};
  Value product =
      NVVM::MmaOp::create(e.builder, e.loc, result, ValueRange(a),
                          ValueRange(b), ValueRange(acc), shape,
                          /*b1Op=*/std::nullopt, /*intOverflow=*/std::nullopt,
                          /*multiplicandPtxTypes=*/types, layouts);
  for (auto [i, value] : llvm::enumerate(acc))
    value = LLVM::ExtractValueOp::create(e.builder, e.loc, product, i);
}

//===----------------------------------------------------------------------===//
// Where things are
//===----------------------------------------------------------------------===//

DecayPanels::DecayPanels(Emitter &e, DecayedProductsOp op,
                         DecayedProductsOp::Adaptor adaptor)
    : e(e), op(op), adaptor(adaptor), columns(op.getColumns()),
      scratch(adaptor.getScratch()), lane(e.laneId()),
      warp(e.urem(e.warpNumber(), kWarpgroupWarps)) {
  Value valid = e.trunc32(adaptor.getValid());
  blocks = getDecayBlocks(e, warp);
  for (int64_t half : {0, 1}) {
    Value left = e.sub(valid, e.mul(blocks[half], kDecayRows));
    isThere[half] = e.cmp(LLVM::ICmpPredicate::slt, e.udiv(lane, 4), left);
  }
  unsigned tensor = 1; // behind the gates
  for (auto [global, converted] :
       llvm::zip_equal(op.getRows(), adaptor.getRows()))
    rows.push_back(
        locate(tensor++, converted, cast<GlobalType>(global.getType())));
  for (auto [global, converted] :
       llvm::zip_equal(op.getOuts(), adaptor.getOuts()))
    outs.push_back(
        locate(tensor++, converted, cast<GlobalType>(global.getType())));
}

DecayPanels::Rows DecayPanels::locate(unsigned tensor, Value global,
                                      GlobalType type) {
  Type element = type.getTensor().getElementType();
  int64_t bytes = element.getIntOrFloatBitWidth() / 8;
  Value base = getTensorAddress(e, op, adaptor, tensor, global, element);
  Value column = getColumn(e.c32(0));
  if (std::optional<int64_t> stride = type.getStaticStride(op.getDim())) {
    Rows known = {base, {}, Value(), Value()};
    for (int64_t half : {0, 1})
      known.offsets[half] = e.mul(blocks[half], kDecayRows * *stride * bytes);
    Value row = e.udiv(lane, 4);
    known.ofLane = e.mul(e.add(e.mul(row, *stride), column), bytes);
    return known;
  }
  Value stride = globalStride(e, global, op.getDim());
  Value offset = e.add(e.mul(e.ext64(getRow(0)), stride), e.ext64(column));
  Value apart = e.mul(e.sub(blocks[1], blocks[0]), kDecayRows * bytes);
  return {offsetPointer(e, base, offset, element),
          {},
          Value(),
          e.mul(e.ext64(apart), stride)};
}

Value DecayPanels::getRow(int64_t half) {
  return e.add(e.mul(blocks[half], kDecayRows), e.udiv(lane, 4));
}

Value DecayPanels::getColumn(Value number) {
  return e.add(e.mul(number, kPairColumns),
               e.mul(e.urem(lane, 4), kPairLaneColumns));
}

/// Opaque: LLVM would keep what does not change from panel to panel.
Value DecayPanels::getAddress(const Rows &rows, int64_t half, Value number) {
  constexpr int64_t bytes = 2;
  auto add = [&](Value pointer, Value offset) -> Value {
    return e
        .ptx("add.s64 $0, $1, $2;", "=l,l,l", {pointer, offset},
             rows.pointer.getType())
        .front();
  };
  Value pair = e.mul(number, kPairColumns * bytes);
  if (Value offset = rows.offsets[half])
    return add(add(rows.pointer, e.ext64(e.add(pair, offset))),
               e.ext64(rows.ofLane));
  Value pointer = add(rows.pointer, e.ext64(pair));
  return half == 0 ? pointer : add(pointer, rows.step);
}

/// What differs between levels and panels is in the instructions: addresses
/// would be as many registers.
Value DecayPanels::getPlace(Value of) {
  Value first = e.add(scratch, e.mul(lane, 8));
  return e.add(first, e.mul(of, kPartBytes));
}

int64_t DecayPanels::getPlaceByte(DecayLevel level) {
  return getExchangeByte(columns) + panel * kPanelBytes +
         static_cast<int64_t>(level) * kLevelBytes;
}

void DecayPanels::storeRight(ArrayRef<Value> operand, DecayLevel level,
                             Value of) {
  e.storeSharedVector(operand, getPlace(of), getPlaceByte(level));
}

SmallVector<Value> DecayPanels::loadRight(DecayLevel level, Value of) {
  return e.loadSharedVector(e.i32(), kRowRegisters, getPlace(of),
                            getPlaceByte(level));
}

SmallVector<Value> DecayPanels::loadKnownRight(DecayLevel level, int64_t of) {
  return e.loadSharedVector(e.i32(), kRowRegisters, getPlace(e.c32(0)),
                            getPlaceByte(level) + of * kPartBytes);
}

/// A warp has blocks i and 7 - i: a bit of their numbers is set in one of them.
Value DecayPanels::isLater(DecayLevel level, int64_t half) const {
  Value bit = e.c32(1 << static_cast<int64_t>(level));
  return e.cmp(LLVM::ICmpPredicate::ne, e.band(blocks[half], bit), e.c32(0));
}

/// Blocks in front of 2 and 3, or of 6 and 7, come from warps 0 and 1, or 3 and
/// 2.
Value DecayPanels::getMaker(DecayLevel level, int64_t i) {
  if (level == DecayLevel::next)
    return e.bxor(warp, e.c32(1));
  // Not selected: an address for each would be as many registers.
  Value isFirst = e.sub(e.c32(1), e.udiv(warp, 2));
  return e.bxor(e.mul(isFirst, 3), e.c32(i));
}

//===----------------------------------------------------------------------===//
// Loads and stores
//===----------------------------------------------------------------------===//

void DecayPanels::load(Value number, const Conditions &conditions) {
  loaded.clear();
  for (const Rows &from : rows)
    for (int64_t half : {0, 1})
      llvm::append_range(loaded, loadGlobalIf(e, conditions[half],
                                              getAddress(from, half, number),
                                              e.i32(), kPairRegisters));
}

void DecayPanels::loadNext(Value number) {
  Value next = e.add(number, 1);
  Value isPanel = e.cmp(LLVM::ICmpPredicate::ult, next, e.c32(count()));
  load(next, {e.band(isThere[0], isPanel), e.band(isThere[1], isPanel)});
}

void DecayPanels::loadFirst() { load(e.c32(0), isThere); }

void DecayPanels::askForOthers() {
  constexpr int64_t lineBytes = 128, lanes = 4;
  Value zero = e.c32(0);
  Value place = e.urem(lane, lanes);
  int64_t lines = columns * 2 / lineBytes;
  for (const Rows &from : rows)
    for (int64_t half : {0, 1})
      for (int64_t line = 0; line < lines; line += lanes) {
        // A lane's pointer is a pair's quarter further than the one before.
        Value bytes = e.add(e.mul(place, lineBytes - 2 * kPairLaneColumns),
                            line * lineBytes);
        Value isLine =
            e.cmp(LLVM::ICmpPredicate::ult, e.add(place, line), e.c32(lines));
        Value holds = LLVM::ZExtOp::create(e.builder, e.loc, e.i32(),
                                           e.band(isThere[half], isLine));
        e.ptx("{\n.reg .pred there;\n.reg .b64 at;\nsetp.ne.b32 there, $2, 0;\n"
              "add.s64 at, $0, $1;\n@there prefetch.global.L2 [at];\n}",
              "l,l,r", {getAddress(from, half, zero), e.ext64(bytes), holds},
              {});
      }
}

void DecayPanels::storeOuts(const DecayRow &row) {
  SmallVector<SmallVector<Value>> scaled;
  for (const auto &[source, isEnd] :
       llvm::zip_equal(op.getSource(), op.getToEnd()))
    scaled.push_back(
        scale(isEnd ? row.ends[source] : row.begins[source],
              loadFactors(row, isEnd ? DecayReach::end : DecayReach::begin)));
  if (panel == 0) {
    kept[row.half] = std::move(scaled);
    return;
  }
  for (const auto &[i, to] : llvm::enumerate(outs)) {
    SmallVector<Value> operands = std::move(kept[row.half][i]);
    llvm::append_range(operands, scaled[i]);
    operands.push_back(getAddress(to, row.half, row.pair));
    operands.push_back(
        LLVM::ZExtOp::create(e.builder, e.loc, e.i32(), isThere[row.half]));
    e.ptx("{\n.reg .pred there;\nsetp.ne.b32 there, $5, 0;\n"
          "@there st.global.v4.b32 [$4], {$0, $1, $2, $3};\n}",
          "r,r,r,r,l,r", operands, {});
  }
}

//===----------------------------------------------------------------------===//
// Factors
//===----------------------------------------------------------------------===//

SmallVector<Value> DecayPanels::pack(ArrayRef<Value> values) {
  Type half = e.builder.getBF16Type();
  return {packHalves(e, values[0], values[1], half),
          packHalves(e, values[2], values[3], half)};
}

SmallVector<Value> DecayPanels::loadFactors(const DecayRow &row,
                                            DecayReach reach) {
  // Of the row's block or half, the lane's channels of the panel.
  Value of = byHalves ? e.c32(row.half) : blocks[row.half];
  Value first = e.add(e.mul(of, columns), getColumn(row.pair));
  return e.loadSharedVector(
      e.f32(), kLaneColumns, e.add(scratch, e.mul(first, 4)),
      getFactorByte(reach, columns) + panel * kLaneColumns * 4);
}

SmallVector<Value> DecayPanels::scale(ArrayRef<Value> values,
                                      ArrayRef<Value> factors) {
  return pack(factors.empty() ? to_vector(values)
                              : multiply(e, values, factors));
}

/// Returns the exponents of a row to the middle of its block, negative in front
/// of it, by gates that count as no less than a bound. They are the differences
/// of `sums`, those up to each row.
SmallVector<Value> DecayPanels::boundNear(ArrayRef<Value> sums) {
  // Lanes 4 i to 4 i + 3 have row i of 8. Where no gate is steep all this would
  // only take registers: the lane's number is asked for again.
  Value lane = e.ptx("mov.u32 $0, %laneid;", "=r", {}, e.i32()).front();
  auto oneIf = [&](int64_t mask) -> Value {
    Value has =
        e.cmp(LLVM::ICmpPredicate::ne, e.band(lane, e.c32(mask)), e.c32(0));
    return e.select(has, e.cf32(1), e.cf32(0));
  };
  Value isNotFirst = oneIf(28), isSecond = oneIf(4), isThird = oneIf(8);
  Value isBefore = fsub(e, e.cf32(1), oneIf(16));
  Value last = LLVM::OrOp::create(e.builder, e.loc, lane, e.c32(12));
  Value second = e.bxor(last, e.c32(8));
  return llvm::map_to_vector(sums, [&](Value sum) {
    Value before = e.shuffleShift(sum, 4, /*up=*/true);
    Value gate = fma(e, fneg(e, before), isNotFirst, sum);
    gate = LLVM::MaximumOp::create(e.builder, e.loc, gate,
                                   e.cf32(kLeastNear * llvm::numbers::log2e));
    // Of each half of the block up to the row: rows 2 and 3 get what 0 and 1
    // add up to.
    Value part = fma(e, e.shuffleShift(gate, 4, /*up=*/true), isSecond, gate);
    part = fma(e, e.shuffle(part, second), isThird, part);
    return fma(e, fneg(e, e.shuffle(part, last)), isBefore, part);
  });
}

SmallVector<Value> DecayPanels::readSums(Value number, Value row) {
  Value column = e.add(getColumn(number), panel * kLaneColumns);
  return e.loadSharedVector(e.f32(), kLaneColumns,
                            getSumAddress(e, scratch, row, column, columns));
}

/// Returns what the sums up to a row, and those of the block and of its first
/// half, make of it. What is left of the first half is negative behind it.
DecayPanels::Exponents DecayPanels::readExponents(Value number, int64_t half) {
  Exponents exponents;
  exponents.toBegin = readSums(number, getRow(half));
  // Row 3 of the block, and the last one.
  Value first = e.mul(blocks[half], kDecayRows);
  SmallVector<Value> middle =
      readSums(number, e.add(first, kDecayRows / 2 - 1));
  SmallVector<Value> total = readSums(number, e.add(first, kDecayRows - 1));
  SmallVector<Value> near;
  for (auto [sum, half, all] :
       llvm::zip_equal(exponents.toBegin, middle, total)) {
    exponents.toEnd.push_back(fsub(e, all, sum));
    near.push_back(fsub(e, sum, half));
  }
  auto type = VectorType::get(kLaneColumns, e.f32());
  exponents.near = e.elements(e.ifElse(
      isSteep, type, [&] { return e.vectorOf(boundNear(exponents.toBegin)); },
      [&] { return e.vectorOf(near); }));
  return exponents;
}

/// Returns row `half` of each tensor, its part of a panel.
static SmallVector<SmallVector<Value>>
unpackRows(Emitter &e, ArrayRef<Value> loaded, int64_t half, int64_t panel) {
  SmallVector<SmallVector<Value>> rows;
  for (; !loaded.empty(); loaded = loaded.drop_front(2 * kPairRegisters)) {
    SmallVector<Value> values;
    for (Value pair : loaded.slice(
             half * kPairRegisters + panel * kRowRegisters, kRowRegisters)) {
      auto [low, high] = extendHalves(e, pair, e.builder.getBF16Type());
      values.append({low, high});
    }
    rows.push_back(std::move(values));
  }
  return rows;
}

void DecayPanels::scaleByBlock(DecayRow &row) {
  Exponents exponents = readExponents(row.pair, row.half);
  SmallVector<Value> begin = exponentiate(e, exponents.toBegin);
  SmallVector<Value> end = exponentiate(e, exponents.toEnd);
  for (ArrayRef<Value> values : row.rows) {
    row.begins.push_back(multiply(e, values, begin));
    row.ends.push_back(multiply(e, values, end));
  }
  SmallVector<Value> near = exponentiate(e, exponents.near);
  for (int64_t left : op.getLeft())
    row.near.push_back(scale(row.rows[left], near));
  row.nearRight = scale(row.rows[op.getRight()],
                        exponentiate(e, exponents.near, /*isNegated=*/true));
}

/// What is scaled from the middle of a half is an operand as it is.
void DecayPanels::scaleByHalf(DecayRow &row) {
  SmallVector<Value> sums = readSums(row.pair, getRow(row.half));
  SmallVector<Value> from = exponentiate(e, sums);
  SmallVector<Value> to = exponentiate(e, sums, /*isNegated=*/true);
  for (ArrayRef<Value> values : row.rows) {
    row.begins.push_back(multiply(e, values, from));
    row.ends.push_back(multiply(e, values, to));
  }
  for (int64_t left : op.getLeft())
    row.near.push_back(pack(row.begins[left]));
  row.nearRight = pack(row.ends[op.getRight()]);
}

DecayRow DecayPanels::make(Value number, int64_t half) {
  DecayRow row;
  row.pair = number;
  row.half = half;
  row.rows = unpackRows(e, taken, half, panel);
  byHalves ? scaleByHalf(row) : scaleByBlock(row);
  return row;
}

/// A step on the way, so that no factor is less than what it is a part of: one
/// factor from the middle of a half to the chunk's begin may be zero where that
/// of its first row is not.
void DecayPanels::reachMiddle(DecayRow &row) {
  SmallVector<Value> factors = loadFactors(row, DecayReach::middle64);
  for (SmallVector<Value> &values : row.half == 0 ? row.ends : row.begins)
    values = multiply(e, values, factors);
}
