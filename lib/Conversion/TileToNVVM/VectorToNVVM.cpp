//===- VectorToNVVM.cpp - Vectors in registers --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

/// Returns how many rows a thread's elements of a tile are, one after the
/// other: of one in the acc layout they go through the columns eight at a time,
/// so that those of a half are one run of them.
static size_t countOwnRows(RankedTensorType type) {
  return getLayout(type) ? 1 : type.getDimSize(0);
}

namespace {
Value fadd(Emitter &e, Value a, Value b) {
  return LLVM::FAddOp::create(e.builder, e.loc, a, b);
}

RankedTensorType tensorType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// Lanes of a warp whose data a thread of it can ask for.
constexpr int64_t kLanes = 32;

//===----------------------------------------------------------------------===//
// Between device memory, shared memory and warps
//===----------------------------------------------------------------------===//

struct StoreVectorPattern : OpConversionPattern<StoreVectorOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(StoreVectorOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    Type element = tensorType(op.getValue()).getElementType();
    Value varying = adaptor.getCoords()[op.getDim()];
    Value base = globalAddressAgain(e, adaptor.getGlobal(), adaptor.getCoords(),
                                    element, varying);
    Value stride =
        globalFieldAgain(e, adaptor.getGlobal(), op.getDim() + 1, varying);
    Value valid = e.trunc32(adaptor.getValid());
    // Every warp holds the vector; the first one of the warpgroup stores it.
    Value first =
        e.cmp(LLVM::ICmpPredicate::ult, e.warpgroupThread(), e.c32(kLanes));
    for (auto [i, value] : llvm::enumerate(e.elements(adaptor.getValue()))) {
      Value index = e.add(e.laneId(), i * kLanes);
      Value inside = e.cmp(LLVM::ICmpPredicate::ult, index, valid);
      e.ifThen(e.band(first, inside), [&, value = value] {
        Value offset = e.mul(e.ext64(index), stride);
        e.storeGlobal(value, offsetPointer(e, base, offset, element));
      });
    }
    rewriter.eraseOp(op);
    return success();
  }
};

struct ReadElementPattern : OpConversionPattern<ReadElementOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(ReadElementOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    Value offset = e.mul(e.trunc32(adaptor.getIndex()), 4);
    rewriter.replaceOp(op,
                       e.loadShared(e.f32(), e.add(adaptor.getTile(), offset)));
    return success();
  }
};

/// Element i is value i / 32 of lane i % 32.
struct MaskVectorPattern : OpConversionPattern<MaskVectorOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(MaskVectorOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    Value valid = e.trunc32(adaptor.getValid());
    SmallVector<Value> values = e.elements(adaptor.getX());
    for (auto [i, value] : llvm::enumerate(values)) {
      Value index = e.add(e.laneId(), i * kLanes);
      value = e.select(e.cmp(LLVM::ICmpPredicate::ult, index, valid), value,
                       e.cf32(0));
    }
    rewriter.replaceOp(op, e.vectorOf(values));
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Between layouts
//===----------------------------------------------------------------------===//

struct BroadcastPattern : OpConversionPattern<BroadcastOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(BroadcastOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    auto type = cast<VectorType>(
        getTypeConverter()->convertType(op.getResult().getType()));
    std::optional<LayoutKind> layout = getLayout(op.getSource().getType());
    SmallVector<Value> values;
    for (int64_t i = 0; i < type.getDimSize(0); ++i) {
      if (!layout)
        values.push_back(adaptor.getSource());
      else if (*layout == LayoutKind::row)
        values.push_back(
            e.element(adaptor.getSource(), AccPosition::rowOffset(i) / 8));
      else
        values.push_back(e.element(adaptor.getSource(), 2 * (i / 4) + i % 2));
    }
    rewriter.replaceOp(op, e.vectorOf(values));
    return success();
  }
};

struct HalfColumnsPattern : OpConversionPattern<HalfColumnsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(HalfColumnsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    SmallVector<Value> values = e.elements(adaptor.getSource());
    size_t rows = countOwnRows(tensorType(op.getSource()));
    size_t row = values.size() / rows;
    size_t half = row * tensorType(op.getResult()).getDimSize(1) /
                  tensorType(op.getSource()).getDimSize(1);
    SmallVector<Value> halves;
    for (size_t i = 0; i < rows; ++i)
      llvm::append_range(
          halves,
          ArrayRef(values).slice(i * row + (op.getSecond() ? half : 0), half));
    rewriter.replaceOp(op, e.vectorOf(halves));
    return success();
  }
};

struct JoinColumnsPattern : OpConversionPattern<JoinColumnsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(JoinColumnsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    SmallVector<Value> a = e.elements(adaptor.getA()),
                       b = e.elements(adaptor.getB()), values;
    size_t rows = countOwnRows(tensorType(op.getA())), half = a.size() / rows;
    for (size_t i = 0; i < rows; ++i) {
      llvm::append_range(values, ArrayRef(a).slice(i * half, half));
      llvm::append_range(values, ArrayRef(b).slice(i * half, half));
    }
    size_t count = values.size() * tensorType(op.getResult()).getDimSize(1) /
                   (2 * tensorType(op.getA()).getDimSize(1));
    if (values.size() < count)
      values.resize(count, e.zero(values.front().getType()));
    rewriter.replaceOp(op, e.vectorOf(values));
    return success();
  }
};

struct CopyToWarpsPattern : OpConversionPattern<CopyToWarpsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(CopyToWarpsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    Value place = adaptor.getScratch();
    if (op.getScratch().getType() != op.getCopy().getType()) {
      int64_t bytes = tensorType(op.getX()).getDimSize(0) * 4;
      Value warp = e.urem(e.warpNumber(), kWarpgroupWarps);
      place = e.add(place, e.mul(warp, bytes));
    }
    emitCopyToWarp(e, e.elements(adaptor.getX()), place);
    rewriter.replaceOp(op, place);
    return success();
  }
};

/// A warp-held vector: element i is value i / 32 of lane i % 32.
struct RelayoutPattern : OpConversionPattern<RelayoutOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(RelayoutOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    int64_t repeat = op.getRepeat();
    SmallVector<Value> source = e.elements(adaptor.getSource());
    AccPosition at = AccPosition::get(e);
    RankedTensorType type = tensorType(op.getResult());
    int64_t size = type.getDimSize(0);
    SmallVector<Value> values;
    switch (*getLayout(type)) {
    case LayoutKind::warp:
      for (int64_t i = 0; i < size; i += kLanes)
        values.push_back(fetch(e, source, e.add(e.laneId(), i), i, repeat));
      break;
    case LayoutKind::col:
      for (int64_t i = 0; i < size; i += 8)
        for (int64_t odd : {0, 1})
          values.push_back(
              fetch(e, source, e.add(at.col0, i + odd), i, repeat));
      break;
    case LayoutKind::row:
      for (int64_t half : {0, 8})
        values.push_back(fetchAny(e, source, e.add(at.row0, half), repeat));
      break;
    case LayoutKind::acc:
      return rewriter.notifyMatchFailure(op, "a vector has no acc layout");
    }
    rewriter.replaceOp(op, e.vectorOf(values));
    return success();
  }

private:
  /// Source element index / repeat, where `index` and the constant `near` lie
  /// in one aligned group of 8 or 32: so the value that a lane gives is known,
  /// but for groups that a number of repetitions does not divide.
  static Value fetch(Emitter &e, ArrayRef<Value> source, Value index,
                     int64_t near, int64_t repeat) {
    if (!llvm::isPowerOf2_64(repeat))
      return fetchAny(e, source, index, repeat);
    return e.shuffle(source[near / repeat / kLanes],
                     e.urem(e.udiv(index, repeat), kLanes));
  }

  /// The same for an index of which nothing is known.
  static Value fetchAny(Emitter &e, ArrayRef<Value> source, Value index,
                        int64_t repeat) {
    Value from = e.udiv(index, repeat), lane = e.urem(from, kLanes);
    Value result = e.shuffle(source.front(), lane);
    for (size_t i = 1; i < source.size(); ++i) {
      Value here = e.cmp(LLVM::ICmpPredicate::uge, from, e.c32(i * kLanes));
      result = e.select(here, e.shuffle(source[i], lane), result);
    }
    return result;
  }
};

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

struct CumsumPattern : OpConversionPattern<CumsumOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(CumsumOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (getLayout(op.getX().getType()) != LayoutKind::warp ||
        tensorType(op.getX()).getDimSize(0) % kLanes != 0)
      return rewriter.notifyMatchFailure(
          op, "expected a warp-held vector of a multiple of 32 elements");
    Emitter e(rewriter, op.getLoc());
    SmallVector<Value> values = e.elements(adaptor.getX());
    bool forward = !op.getReverse();
    if (!forward)
      std::reverse(values.begin(), values.end());
    Value before = e.cf32(0);
    for (Value &value : values) {
      Value sum = scanWarp(e, value, forward);
      Value inclusive = fadd(e, sum, before);
      // The neighbour's inclusive sum is this lane's exclusive one: no
      // subtraction, which would cancel.
      Value last = e.shuffle(inclusive, e.c32(forward ? kLanes - 1 : 0));
      value =
          op.getExclusive() ? shift(e, inclusive, before, forward) : inclusive;
      before = last;
    }
    if (!forward)
      std::reverse(values.begin(), values.end());
    rewriter.replaceOp(op, e.vectorOf(values));
    return success();
  }

private:
  /// Hillis and Steele's scan over the lanes, to the base of four: an exchange
  /// takes a hundred cycles where shared memory is busy, three at once no more.
  static Value scanWarp(Emitter &e, Value value, bool forward) {
    constexpr int64_t kBase = 4;
    for (int64_t step = 1; step < kLanes; step *= kBase) {
      Value sum = value;
      for (int64_t distance = step; distance < std::min(kBase * step, kLanes);
           distance += step) {
        Value other = e.shuffleShift(value, distance, forward);
        sum = e.select(hasNeighbour(e, distance, forward), fadd(e, sum, other),
                       sum);
      }
      value = sum;
    }
    return value;
  }

  static Value hasNeighbour(Emitter &e, int64_t distance, bool forward) {
    return forward
               ? e.cmp(LLVM::ICmpPredicate::uge, e.laneId(), e.c32(distance))
               : e.cmp(LLVM::ICmpPredicate::ult, e.laneId(),
                       e.c32(kLanes - distance));
  }

  static Value shift(Emitter &e, Value value, Value edge, bool forward) {
    return e.select(hasNeighbour(e, 1, forward),
                    e.shuffleShift(value, 1, forward), edge);
  }
};

struct LastPattern : OpConversionPattern<LastOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(LastOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    rewriter.replaceOp(
        op, e.shuffle(e.elements(adaptor.getX()).back(), e.c32(kLanes - 1)));
    return success();
  }
};

struct SumGroupsPattern : OpConversionPattern<SumGroupsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(SumGroupsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    int64_t size = tensorType(op.getResult()).getDimSize(0), n = op.getN();
    if (size % kLanes != 0)
      return rewriter.notifyMatchFailure(
          op, "expected a multiple of 32 sums: each lane has some");
    Emitter e(rewriter, op.getLoc());
    SmallVector<Value> source = e.elements(adaptor.getSource()), sums;
    for (int64_t i = 0; i < size; i += kLanes) {
      // This lane's group begins at n (i + lane), in one of n values.
      ArrayRef<Value> near = ArrayRef(source).drop_front(
          std::min<size_t>(i / kLanes * n, source.size()));
      near = near.take_front(n);
      Value first = e.mul(e.laneId(), n), sum = e.cf32(0);
      for (int64_t k = 0; k < n && !near.empty(); ++k) {
        Value element = fetch(e, near, e.add(first, k), n);
        sum = k > 0 ? fadd(e, sum, element) : element;
      }
      sums.push_back(sum);
    }
    rewriter.replaceOp(op, e.vectorOf(sums));
    return success();
  }

private:
  /// Element `index` of `source`, of which n registers would be all; zero
  /// behind its end.
  static Value fetch(Emitter &e, ArrayRef<Value> source, Value index,
                     int64_t n) {
    Value lane = e.urem(index, kLanes);
    Value result = e.shuffle(source.front(), lane);
    for (size_t i = 1; i < source.size(); ++i) {
      Value here = e.cmp(LLVM::ICmpPredicate::uge, index, e.c32(i * kLanes));
      result = e.select(here, e.shuffle(source[i], lane), result);
    }
    if (static_cast<int64_t>(source.size()) == n)
      return result;
    Value inside =
        e.cmp(LLVM::ICmpPredicate::ult, index, e.c32(source.size() * kLanes));
    return e.select(inside, result, e.cf32(0));
  }
};

struct SumPattern : OpConversionPattern<SumOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(SumOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    std::optional<LayoutKind> layout = getLayout(op.getX().getType());
    if (layout != LayoutKind::col && layout != LayoutKind::warp)
      return rewriter.notifyMatchFailure(
          op, "rows of one warp are another's: expected col or warp layout");
    Emitter e(rewriter, op.getLoc());
    SmallVector<Value> values = e.elements(adaptor.getX());
    Value sum = values.front();
    for (Value value : ArrayRef(values).drop_front())
      sum = fadd(e, sum, value);
    // Four lanes share the columns, all 32 a warp-held vector.
    for (int64_t mask = layout == LayoutKind::col ? 2 : 16; mask; mask /= 2)
      sum = fadd(e, sum, e.shuffleXor(sum, mask));
    rewriter.replaceOp(op, sum);
    return success();
  }
};

struct IndexPattern : OpConversionPattern<IndexOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(IndexOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    auto type = cast<VectorType>(
        getTypeConverter()->convertType(op.getResult().getType()));
    LayoutKind layout = *getLayout(op.getResult().getType());
    AccPosition at = AccPosition::get(e);
    SmallVector<Value> values;
    for (int64_t i = 0; i < type.getDimSize(0); ++i)
      values.push_back(getPlace(e, at, layout, op.getDim(), i));
    rewriter.replaceOp(op, e.vectorOf(values));
    return success();
  }

private:
  /// Where element i of those that a thread holds is.
  static Value getPlace(Emitter &e, const AccPosition &at, LayoutKind layout,
                        int64_t dim, int64_t i) {
    switch (layout) {
    case LayoutKind::acc:
      return dim == 0 ? e.add(at.row0, AccPosition::rowOffset(i))
                      : e.add(at.col0, AccPosition::colOffset(i));
    case LayoutKind::warp:
      return e.add(e.laneId(), i * kLanes);
    case LayoutKind::row:
      return e.add(at.row0, 8 * i);
    case LayoutKind::col:
      return e.add(at.col0, 8 * (i / 2) + i % 2);
    }
    llvm_unreachable("unknown layout");
  }
};
} // namespace

void tile::populateVectorPatterns(LLVMTypeConverter &converter,
                                  RewritePatternSet &patterns) {
  patterns.add<StoreVectorPattern, ReadElementPattern, MaskVectorPattern,
               BroadcastPattern, HalfColumnsPattern, JoinColumnsPattern,
               CopyToWarpsPattern, RelayoutPattern, CumsumPattern, LastPattern,
               SumGroupsPattern, SumPattern, IndexPattern>(
      converter, patterns.getContext());
}
