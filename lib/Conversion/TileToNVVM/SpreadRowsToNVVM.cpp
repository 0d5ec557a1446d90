//===- SpreadRowsToNVVM.cpp - Rows of a token on the CUDA cores ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What rows pass through in front of a step: a convolution, an element a
// thread, and shared memory, where they become what every thread reads of them.
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

#include "wyvern/Dialect/Tile/IR/Hints.h"

#include "mlir/Dialect/Utils/IndexingUtils.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

static constexpr int64_t kBytes = 4; // of an f32
/// Elements that one access moves at most.
static constexpr int64_t kMostInOne = 4;

void tile::emitClusterArrive(Emitter &e) {
  e.ptx("barrier.cluster.arrive.release.aligned;", "~{memory}", {}, {});
}

void tile::emitClusterWait(Emitter &e) {
  e.ptx("barrier.cluster.wait.acquire.aligned;", "~{memory}", {}, {});
}

namespace {
/// Where this thread's pieces of a spread tile lie in shared memory that holds
/// the tile row-major.
class SharedPieces {
public:
  /// `op`, if it has `kAddressedAgainAttr`, is seldom come by.
  SharedPieces(Emitter &e, Operation *op, RankedTensorType type, Value start)
      : e(e), spread(getSpread(type).getDims()),
        shape(getSpread(type).getThreadShape(type.getShape())),
        strides(computeStrides(type.getShape())) {
    Value lane = e.laneId(), warp = e.udiv(e.threadId(), 32);
    // Else LLVM makes it in front of the loop that this is in.
    if (op->hasAttr(kAddressedAgainAttr))
      lane = e.ptx("mov.b32 $0, $1;", "=r,r", lane, e.i32()).front();
    base = start;
    for (auto [dim, stride] : llvm::zip_equal(spread, strides)) {
      if (dim.isWhole())
        continue;
      Value first = e.urem(e.udiv(lane, dim.step), dim.lanes);
      if (dim.warps > 1)
        first = e.add(first, e.mul(e.urem(warp, dim.warps), dim.lanes));
      base = e.add(base, e.mul(first, dim.piece * stride * kBytes));
    }
  }

  int64_t getPiece() const { return spread.empty() ? 1 : spread.back().piece; }
  int64_t getCount() const {
    return ShapedType::getNumElements(shape) / getPiece();
  }
  /// Returns the address of piece number `n`.
  Value operator()(int64_t n) {
    SmallVector<int64_t> at =
        delinearize(n * getPiece(), computeStrides(shape));
    int64_t offset = 0;
    for (auto [dim, place, stride] : llvm::zip_equal(spread, at, strides)) {
      int64_t step = dim.lanes * dim.warps * dim.piece;
      offset += (place / dim.piece * step + place % dim.piece) * stride;
    }
    return e.add(base, offset * kBytes);
  }

private:
  Emitter &e;
  ArrayRef<DimSpread> spread;
  SmallVector<int64_t> shape; ///< that the thread holds
  SmallVector<int64_t> strides;
  Value base;
};

/// Returns where each tile of an entry of `place` lies.
SmallVector<Value> getRowPlaces(Emitter &e, TypeRange tiles, Value n,
                                SmemType type, Value place) {
  Value next = e.add(place, e.mul(e.trunc32(n), type.getPaddedRowBytes()));
  SmallVector<Value> places;
  for (Type tile : tiles) {
    places.push_back(next);
    next = e.add(next, getRowsElements(tile) * kBytes);
  }
  return places;
}

struct PutRowsPattern : OpConversionPattern<PutRowsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(PutRowsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    SmallVector<Value> places =
        getRowPlaces(e, op.getTiles().getTypes(), adaptor.getN(),
                     op.getPlace().getType(), adaptor.getPlace());
    for (auto [tile, held, at] :
         llvm::zip_equal(op.getTiles(), adaptor.getTiles(), places))
      store(e, op, cast<RankedTensorType>(tile.getType()), held, at);
    rewriter.eraseOp(op);
    return success();
  }

private:
  static void store(Emitter &e, PutRowsOp op, RankedTensorType type, Value held,
                    Value at) {
    SmallVector<Value> values = e.elements(held);
    SpreadAttr spread = getSpread(type);
    Value holds =
        op.getOfWarp() ? isFirstLane(e, spread) : isFirstHolder(e, spread);
    if (op->hasAttr(kWithoutBranchAttr) && values.size() == 1)
      return storeIf(e, holds, values.front(),
                     SharedPieces(e, op, type, at)(0));
    e.ifThen(holds, [&] {
      SharedPieces pieces(e, op, type, at);
      int64_t piece = pieces.getPiece();
      for (int64_t n = 0; n < pieces.getCount(); ++n)
        for (int64_t i = 0; i < piece; i += kMostInOne)
          storeOne(e,
                   ArrayRef(values).slice(n * piece + i,
                                          std::min(piece - i, kMostInOne)),
                   e.add(pieces(n), i * kBytes));
    });
  }

  /// Stores a number where `holds` is true.
  static void storeIf(Emitter &e, Value holds, Value value, Value at) {
    Value flag = LLVM::ZExtOp::create(e.builder, e.loc, e.i32(), holds);
    e.ptx("{\n.reg .pred holds;\nsetp.ne.b32 holds, $2, 0;\n"
          "@holds st.shared.f32 [$0], $1;\n}",
          "r,f,r", {at, value, flag}, {});
  }

  static void storeOne(Emitter &e, ArrayRef<Value> values, Value at) {
    if (values.size() == 1)
      e.storeShared(values.front(), at);
    else
      e.storeSharedVector(values, at);
  }
};

struct GetRowsPattern : OpConversionPattern<GetRowsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(GetRowsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    SmallVector<Value> results;
    SmallVector<Value> places =
        getRowPlaces(e, op.getTiles().getTypes(), adaptor.getN(),
                     op.getPlace().getType(), adaptor.getPlace());
    for (auto [tile, at] : llvm::zip_equal(op.getTiles(), places)) {
      if (tile.use_empty())
        results.push_back(LLVM::PoisonOp::create(
            rewriter, op.getLoc(),
            getTypeConverter()->convertType(tile.getType())));
      else
        results.push_back(
            load(e, op, cast<RankedTensorType>(tile.getType()), at));
    }
    rewriter.replaceOp(op, results);
    return success();
  }

private:
  static Value load(Emitter &e, GetRowsOp op, RankedTensorType type, Value at) {
    SharedPieces pieces(e, op, type, at);
    SmallVector<Value> values;
    for (int64_t n = 0; n < pieces.getCount(); ++n) {
      int64_t piece = pieces.getPiece();
      for (int64_t i = 0; i < piece; i += kMostInOne) {
        Value from = e.add(pieces(n), i * kBytes);
        if (piece == 1)
          values.push_back(e.loadShared(e.f32(), from));
        else
          llvm::append_range(
              values, e.loadSharedVector(
                          e.f32(), std::min(piece - i, kMostInOne), from));
      }
    }
    return e.vectorOf(values);
  }
};

struct MeetPattern : OpConversionPattern<MeetOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(MeetOp op, OpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter(rewriter, op.getLoc()).ptx("bar.sync 0;", "~{memory}", {}, {});
    rewriter.eraseOp(op);
    return success();
  }
};

struct ConvRowPattern : OpConversionPattern<ConvRowOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(ConvRowOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    auto type = cast<RankedTensorType>(op.getWindow().getType());
    int64_t before = type.getDimSize(0), width = before + 1;
    SmallVector<Value> rows = e.elements(adaptor.getWindow()),
                       filter = e.elements(adaptor.getFilter());
    llvm::append_range(rows, e.elements(adaptor.getX()));
    auto channels = static_cast<int64_t>(rows.size()) / width;
    SmallVector<Value> sums;
    for (int64_t d = 0; d < channels; ++d) {
      Value sum = LLVM::FMulOp::create(rewriter, op.getLoc(), filter[d * width],
                                       rows[d]);
      for (int64_t j = 1; j < width; ++j)
        sum = LLVM::FMAOp::create(rewriter, op.getLoc(), filter[d * width + j],
                                  rows[j * channels + d], sum);
      sums.push_back(sum);
    }
    rewriter.replaceOp(op, {e.vectorOf(sums),
                            e.vectorOf(ArrayRef(rows).drop_front(channels))});
    return success();
  }
};

/// Where this thread's first element lies in a place of its own: those of all
/// threads side by side, so that no two lanes meet in a bank.
Value getOwnPlace(Emitter &e, Value place) {
  return e.add(place, e.mul(e.threadId(), kBytes));
}

struct KeepPattern : OpConversionPattern<KeepOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(KeepOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    SmallVector<Value> values = e.elements(adaptor.getTile());
    int64_t bytes = op.getPlace().getType().getShape().front() * kBytes;
    int64_t step = bytes / static_cast<int64_t>(values.size());
    // What is loaded in front is asked for before this waits for its values;
    // else LLVM moves loads to where their values are read.
    e.ptx("", "~{memory}", {}, {});
    Value own = getOwnPlace(e, adaptor.getPlace());
    for (auto [i, value] : llvm::enumerate(values))
      e.storeShared(value, e.add(own, static_cast<int64_t>(i) * step));
    rewriter.eraseOp(op);
    return success();
  }
};

struct KeptPattern : OpConversionPattern<KeptOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(KeptOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    auto type = cast<RankedTensorType>(op.getTile().getType());
    int64_t count = ShapedType::getNumElements(
        getSpread(type).getThreadShape(type.getShape()));
    int64_t step = op.getPlace().getType().getShape().front() * kBytes / count;
    Value own = getOwnPlace(e, adaptor.getPlace());
    SmallVector<Value> values;
    for (int64_t i = 0; i < count; ++i)
      values.push_back(e.loadShared(e.f32(), e.add(own, i * step)));
    rewriter.replaceOp(op, e.vectorOf(values));
    return success();
  }
};

template <typename OpT> struct ClusterPattern : OpConversionPattern<OpT> {
  using OpConversionPattern<OpT>::OpConversionPattern;

  LogicalResult
  matchAndRewrite(OpT op, typename OpT::Adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    if constexpr (std::is_same_v<OpT, ClusterArriveOp>) {
      // A release waits for all that is on its way. A value that has been used
      // has been loaded, so no order is wanted of memory.
      if (op.getOfReads())
        e.ptx("barrier.cluster.arrive.relaxed.aligned;", "~{memory}", {}, {});
      else
        emitClusterArrive(e);
    } else {
      emitClusterWait(e);
    }
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void tile::populateSpreadRowsPatterns(LLVMTypeConverter &converter,
                                      RewritePatternSet &patterns) {
  patterns.add<PutRowsPattern, GetRowsPattern, MeetPattern, ConvRowPattern,
               KeepPattern, KeptPattern, ClusterPattern<ClusterArriveOp>,
               ClusterPattern<ClusterWaitOp>>(converter, patterns.getContext());
}
