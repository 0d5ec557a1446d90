//===- StochasticStore.cpp - States that are rounded at random ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The same bits as tile.stochastic_trunc, which says what they are.
//
//===----------------------------------------------------------------------===//

#include "ChunkLoopBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::delta;

namespace {
/// Arithmetic on words of 32 bits.
class Words {
public:
  explicit Words(ImplicitLocOpBuilder &b) : b(b) {}

  Value constant(uint32_t value) {
    return arith::ConstantOp::create(
        b, b.getI32IntegerAttr(static_cast<int32_t>(value)));
  }
  Value add(Value x, Value y) { return arith::AddIOp::create(b, x, y); }
  Value exclusiveOr(Value x, Value y) { return arith::XOrIOp::create(b, x, y); }
  Value shift(Value x, uint32_t bits) {
    return arith::ShRUIOp::create(b, x, constant(bits));
  }
  Value mix(Value x) {
    auto fold = [&](Value x, uint32_t bits) {
      return exclusiveOr(x, shift(x, bits));
    };
    x = arith::MulIOp::create(b, fold(x, 16), constant(0x7feb352d));
    x = arith::MulIOp::create(b, fold(x, 15), constant(0x846ca68b));
    return fold(x, 16);
  }
  /// The last word of an index, of 64 bits.
  Value last(Value index) {
    return arith::TruncIOp::create(b, b.getI32Type(), wide(index));
  }
  Value createKey(Value seed) {
    Value bits = arith::ConstantOp::create(b, b.getI64IntegerAttr(32));
    Value high = arith::TruncIOp::create(
        b, b.getI32Type(), arith::ShRUIOp::create(b, wide(seed), bits));
    return mix(exclusiveOr(last(seed), mix(add(high, constant(0x9e3779b9)))));
  }
  /// Returns `value` as a bf16.
  Value round(Value value, Value number, Value key) {
    Value both = mix(exclusiveOr(shift(number, 1), key));
    Value isOdd = arith::AndIOp::create(b, number, constant(1));
    Value half = arith::ShRUIOp::create(
        b, both, arith::MulIOp::create(b, isOdd, constant(16)));
    half = arith::AndIOp::create(b, half, constant(0xffff));
    Value bits = arith::BitcastOp::create(b, b.getI32Type(), value);
    Value word =
        arith::TruncIOp::create(b, b.getI16Type(), shift(add(bits, half), 16));
    Value isNan =
        arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, value, value);
    Value nan = arith::ConstantOp::create(b, b.getI16IntegerAttr(0x7fc0));
    return arith::BitcastOp::create(
        b, b.getBF16Type(), arith::SelectOp::create(b, isNan, nan, word));
  }

private:
  Value wide(Value index) {
    return arith::IndexCastOp::create(b, b.getI64Type(), index);
  }
  ImplicitLocOpBuilder &b;
};
} // namespace

/// The number of the tile's first element in its slot, and what each of the
/// tile's dimensions adds to it.
static std::pair<Value, SmallVector<int64_t>>
findNumbers(ImplicitLocOpBuilder &b, const Bound &bound, const Slice &slice) {
  SmallVector<int64_t> steps;
  Value first = createIndex(b, 0);
  int64_t step = 1;
  for (size_t i = bound.binding.getDims().size(); i-- > 0;) {
    DimKind kind = bound.binding.getDims()[i].kind;
    if (kind == DimKind::slot)
      continue; // pools begin with it
    if (kind == DimKind::whole)
      steps.insert(steps.begin(), step);
    Value offset =
        getValueOrCreateConstantIndexOp(b, b.getLoc(), slice.offsets[i]);
    first = createAdd(b, first, createMul(b, offset, step));
    step *= bound.type.getDimSize(i);
  }
  return {first, steps};
}

Value ChunkLoopBuilder::createRoundedCopy(Value from, Value to,
                                          const Bound &bound,
                                          const Slice &slice,
                                          const Position &at) {
  Words outer(b);
  auto [first, steps] = findNumbers(b, bound, slice);
  Value base = outer.last(first);
  Value key =
      outer.createKey(createEntryOr(program.seeds, at.sequence, index(0)));
  int64_t rank = tileType(from).getRank();
  SmallVector<AffineMap> maps(2, b.getMultiDimIdentityMap(rank));
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  auto body = [&, steps = steps](OpBuilder &builder, Location loc,
                                 ValueRange args) {
    ImplicitLocOpBuilder inner(loc, builder);
    Words words(inner);
    Value number = base;
    for (auto [dim, step] : llvm::enumerate(steps)) {
      Value place = words.last(linalg::IndexOp::create(inner, dim));
      number = words.add(
          number, arith::MulIOp::create(inner, place, words.constant(step)));
    }
    linalg::YieldOp::create(inner, words.round(args[0], number, key));
  };
  return linalg::GenericOp::create(b, to.getType(), from, to, maps, iterators,
                                   body)
      .getResult(0);
}
