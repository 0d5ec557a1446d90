//===- FormWYChunk.cpp - The WY form of one chunk -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The formulas of docs/rationale/chunk-program.md, section 1. Decays stand on
// the key-side operand of a matmul, (Q * e^a) S and not e^a * (Q S): there the
// gate's gradient is a row dot. delta-simplify moves them after
// differentiation.
//
//===----------------------------------------------------------------------===//

#include "FormWY.h"
#include "wyvern/Dialect/Delta/Utils/TileBuilder.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

namespace {
/// Which decays of a chunk's tokens a factor multiplies together.
enum class Span { upTo, before, after };

class ChunkBuilder {
public:
  ChunkBuilder(ImplicitLocOpBuilder &b, const TileRecurrence &chunk)
      : b(b), chunk(chunk),
        tile(b, cast<FloatType>(getElementTypeOrSelf(chunk.query))),
        tokens(shapeOf(chunk.query)[0]) {}

  TileResults build();

private:
  /// What a step adds to the state: the outer products of rows of X and U.
  struct Update {
    Value x, u;
    int64_t repeat;
  };

  /// True for a chunk of one token, as steps of decoding are.
  bool isOneToken() const { return tokens == 1; }
  Value decayed(Value keys, Span span, int64_t repeat = 1);
  Value readState(Value keys, Span span, int64_t repeat = 1);
  Value readOutput();
  Value pairsOfQuery(const Update &update);
  Value decayedState();
  Value updateOfWriteOnly(const TileStep &step);
  Value updateOfErasing(unsigned index);
  Value addWriteOnly(Value read, Value erase, unsigned index);
  Value decayDot(Value a, Value b, RowMask mask, int64_t aRows, int64_t bRows,
                 bool beforeDecay = false);
  Value rateTile(const TileStep &step);
  Value timesRate(Value rows, const TileStep &step);

  ImplicitLocOpBuilder &b;
  const TileRecurrence &chunk;
  TileBuilder tile;
  int64_t tokens;
  SmallVector<Update> updates; // one a step, in the order of the steps
  Value factors[3];            // exp of a sum of decays, by Span
};
} // namespace

/// `keys` with each token's row scaled by the decays of `span`. Before and
/// after the only token there is none.
Value ChunkBuilder::decayed(Value keys, Span span, int64_t repeat) {
  if (!chunk.decay || (isOneToken() && span != Span::upTo))
    return keys;
  Value &factor = factors[static_cast<int>(span)];
  if (!factor) {
    // A suffix is summed from its end: the difference of two prefix sums
    // cancels after a strong decay.
    Value sum = chunk.decay;
    if (!isOneToken())
      sum = CumsumOp::create(b, chunk.decay, /*reverse=*/span == Span::after,
                             /*exclusive=*/span != Span::upTo);
    factor = tile.exp(sum);
  }
  Value rows = factor;
  if (repeat != 1) {
    SmallVector<int64_t> shape(shapeOf(factor));
    shape[0] = shapeOf(keys)[0];
    rows = RepeatRowsOp::create(b, tile.type(shape), factor, repeat);
  }
  if (shapeOf(rows).size() == 1)
    rows = tile.alongRows(rows, keys);
  return tile.mul(keys, rows);
}

/// What `keys` read of the state that enters the chunk, after the decays of
/// `span`. The gate of a head scales what one token's keys read: there are
/// fewer of these, and the keys stay as they came.
Value ChunkBuilder::readState(Value keys, Span span, int64_t repeat) {
  if (isOneToken() && chunk.decay && shapeOf(chunk.decay).size() == 1)
    return decayed(tile.matmul(keys, chunk.state), span, repeat);
  return tile.matmul(decayed(keys, span, repeat), chunk.state);
}

/// What the queries read of the state that enters the chunk. A scale of the
/// reads is on their side, as decays are.
Value ChunkBuilder::readOutput() {
  if (!chunk.readScale)
    return readState(chunk.query, Span::upTo);
  Value keys = decayed(chunk.query, Span::upTo);
  bool isOfHead = chunk.decay && shapeOf(chunk.decay).size() == 1;
  if (isOfHead) {
    Value rows =
        tile.mul(factors[static_cast<int>(Span::upTo)], chunk.readScale);
    keys = tile.mul(chunk.query, tile.alongRows(rows, chunk.query));
  } else {
    keys = tile.mul(keys, tile.alongRows(chunk.readScale, keys));
  }
  return tile.matmul(keys, chunk.state);
}

/// The products of queries and a step's write keys. Their scale stands behind
/// them, so that the product is of the queries as they came.
Value ChunkBuilder::pairsOfQuery(const Update &update) {
  Value p =
      decayDot(chunk.query, update.x, RowMask::upto_token, 1, update.repeat);
  return chunk.readScale ? tile.mul(p, tile.alongRows(chunk.readScale, p)) : p;
}

/// The state after all decays of the chunk and none of its steps.
Value ChunkBuilder::decayedState() {
  if (!chunk.decay)
    return chunk.state;
  Value total = tile.exp(tile.sumRows(chunk.decay));
  bool channel = shapeOf(total).size() == 1;
  Value factor =
      tile.broadcast(total, shapeOf(chunk.state),
                     channel ? ArrayRef<int64_t>{1} : ArrayRef<int64_t>{0, 1});
  return tile.mul(factor, chunk.state);
}

/// The products of rows of `a` and `b` that `mask` keeps; null if it keeps
/// none. Between rows of one token there is no decay, and of its rows those
/// that a solve does not read need no mask.
Value ChunkBuilder::decayDot(Value a, Value b, RowMask mask, int64_t aRows,
                             int64_t bRows, bool beforeDecay) {
  if (isOneToken())
    return mask == RowMask::before_token ? Value()
                                         : tile.matmulTransposed(a, b);
  Type type = tile.type({shapeOf(a)[0], shapeOf(b)[0]});
  return DecayDotOp::create(this->b, type, a, b, chunk.decay, mask,
                            ArrayRef<int64_t>{aRows, bRows},
                            beforeDecay && chunk.decay);
}

/// The rate of each row of a step.
Value ChunkBuilder::rateTile(const TileStep &step) {
  if (step.rate)
    return step.rate;
  return tile.splat(step.constantRate, {shapeOf(step.write)[0]});
}

Value ChunkBuilder::timesRate(Value rows, const TileStep &step) {
  if (step.rate)
    return tile.mul(rows, tile.alongRows(step.rate, rows));
  if (step.constantRate == 1.0)
    return rows;
  return tile.mul(rows, tile.splat(step.constantRate, shapeOf(rows)));
}

/// A step that erases nothing adds x y^T whatever the state.
Value ChunkBuilder::updateOfWriteOnly(const TileStep &step) {
  return step.written ? step.written : timesRate(step.value, step);
}

/// The normal form u = c * (yh - eh^T S*) of the erasing step, solved for all
/// its rows at once. y = b v: c = b, eh = e, yh = v. Any other y: c = 1, eh = b
/// e.
Value ChunkBuilder::updateOfErasing(unsigned index) {
  const TileStep &step = chunk.steps[index];
  Value erase = step.erase, rate;
  if (step.written) {
    erase = timesRate(erase, step);
    rate = tile.splat(1.0, {shapeOf(erase)[0]});
  } else {
    rate = rateTile(step);
  }
  // A read before the decay precedes the token's other steps, its own
  // repetitions among them.
  Value l;
  if (!isOneToken() || step.repeat > 1)
    l = decayDot(erase, step.write,
                 step.beforeDecay ? RowMask::before_token : RowMask::before_row,
                 step.repeat, step.repeat, step.beforeDecay);
  Value rows = step.written ? step.written : step.value;
  Span span = step.beforeDecay ? Span::before : Span::upTo;
  Value read = readState(erase, span, step.repeat);
  read = addWriteOnly(read, erase, index);
  Value w = rows ? tile.sub(rows, read) : tile.neg(read);
  // No row reads what another of the system adds.
  if (!l)
    return step.written ? w : timesRate(w, step);
  return EraseSolveOp::create(b, w.getType(), w.getType(), l, rate, w,
                              step.mayExceedOne())
      .getU();
}

/// `read` and what the erase keys find of the write-only steps' updates: those
/// rows of the system are known and leave it.
Value ChunkBuilder::addWriteOnly(Value read, Value erase, unsigned index) {
  const TileStep &step = chunk.steps[index];
  for (auto [i, other] : llvm::enumerate(chunk.steps)) {
    if (i == index)
      continue;
    bool seen = i < index && !step.beforeDecay;
    Value m = decayDot(erase, other.write,
                       seen ? RowMask::upto_token : RowMask::before_token,
                       step.repeat, other.repeat, step.beforeDecay);
    if (m)
      read = tile.matmul(m, updates[i].u, read);
  }
  return read;
}

TileResults ChunkBuilder::build() {
  std::optional<unsigned> erasing;
  for (auto [i, step] : llvm::enumerate(chunk.steps)) {
    updates.push_back({step.write, {}, step.repeat});
    if (step.erase)
      erasing = i;
    else
      updates.back().u = updateOfWriteOnly(step);
  }
  if (erasing)
    updates[*erasing].u = updateOfErasing(*erasing);

  Value output = readOutput();
  for (const Update &update : updates)
    output = tile.matmul(pairsOfQuery(update), update.u, output);
  if (chunk.outputScale)
    output = tile.mul(
        output, tile.broadcast(chunk.outputScale, shapeOf(output), {0, 1}));
  else if (chunk.scale != 1.0)
    output = tile.mul(output, tile.splat(chunk.scale, shapeOf(output)));

  Value state = decayedState();
  for (const Update &update : updates)
    state = tile.transposedMatmul(decayed(update.x, Span::after, update.repeat),
                                  update.u, state);
  return {output, state};
}

TileResults mlir::wyvern::delta::buildWYChunk(ImplicitLocOpBuilder &b,
                                              const TileRecurrence &chunk) {
  return ChunkBuilder(b, chunk).build();
}
