//===- SpreadMemoryToNVVM.cpp - Spread tiles in device memory -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GlobalAgain.h"
#include "Patterns.h"

#include "wyvern/Dialect/Tile/IR/Hints.h"

#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// The pieces of a spread tile that this thread holds, in memory.
class SpreadPieces {
public:
  SpreadPieces(Emitter &e, RankedTensorType type, Value global,
               ValueRange coords, ArrayRef<int64_t> dims);

  /// Elements of a piece, and how many pieces there are.
  int64_t getPiece() const { return piece; }
  int64_t getCount() const { return ShapedType::getNumElements(shape) / piece; }
  /// Returns where piece number `n` lies.
  Value operator()(int64_t n);

private:
  Emitter &e;
  ArrayRef<DimSpread> spread;
  Type element;
  SmallVector<int64_t> shape; ///< that the thread holds
  int64_t piece;
  SmallVector<Value> strides;
  Value base;
};
} // namespace

SpreadPieces::SpreadPieces(Emitter &e, RankedTensorType type, Value global,
                           ValueRange coords, ArrayRef<int64_t> dims)
    : e(e), spread(getSpread(type).getDims()), element(type.getElementType()),
      shape(getSpread(type).getThreadShape(type.getShape())),
      piece(spread.empty() ? 1 : spread.back().piece) {
  Value lane = e.laneId(), warp = e.udiv(e.threadId(), 32);
  Value offset = e.c64(0);
  for (auto [dim, place] : llvm::zip_equal(spread, dims)) {
    strides.push_back(globalStride(e, global, place));
    if (dim.isWhole())
      continue;
    Value first = e.urem(e.udiv(lane, dim.step), dim.lanes);
    if (dim.warps > 1)
      first = e.add(first, e.mul(e.urem(warp, dim.warps), dim.lanes));
    offset =
        e.add(offset, e.mul(e.ext64(e.mul(first, dim.piece)), strides.back()));
  }
  base = offsetPointer(e, globalAddress(e, global, coords, element), offset,
                       element);
}

Value SpreadPieces::operator()(int64_t n) {
  SmallVector<int64_t> at = delinearize(n * piece, computeStrides(shape));
  Value offset = e.c64(0);
  for (auto [dim, place, stride] : llvm::zip_equal(spread, at, strides)) {
    int64_t step = dim.lanes * dim.warps * dim.piece;
    int64_t element = place / dim.piece * step + place % dim.piece;
    if (element != 0)
      offset = e.add(offset, e.mul(stride, element));
  }
  return offsetPointer(e, base, offset, element);
}

/// Returns the type in which a piece is moved at once: words of 32 bits where
/// it has several elements.
static Type getAccessType(Emitter &e, Type element, int64_t piece) {
  if (piece == 1)
    return element;
  int64_t words = piece * element.getIntOrFloatBitWidth() / 32;
  return words == 1 ? e.i32() : Type(VectorType::get({words}, e.i32()));
}

Value tile::globalAgain(Emitter &e, Value global) {
  auto type = cast<LLVM::LLVMStructType>(global.getType());
  for (auto [i, field] : llvm::enumerate(type.getBody())) {
    auto place = static_cast<int64_t>(i);
    Value value =
        e.builder.createOrFold<LLVM::ExtractValueOp>(e.loc, global, place);
    if (!field.isInteger() || matchPattern(value, m_Constant()))
      continue;
    Value again = e.ptx("mov.b64 $0, $1;", "=l,l", {value}, e.i64()).front();
    global =
        LLVM::InsertValueOp::create(e.builder, e.loc, global, again, place);
  }
  return global;
}

Value tile::isFirstHolder(Emitter &e, SpreadAttr spread) {
  Value idle = e.band(e.laneId(), e.c32(spread.getIdleLaneBits()));
  Value isLane = e.cmp(LLVM::ICmpPredicate::eq, idle, e.c32(0));
  // The block may have more warps than the tile is spread over.
  Value isWarp = e.cmp(LLVM::ICmpPredicate::ult, e.threadId(),
                       e.c32(32 * spread.getWarps()));
  return e.band(isLane, isWarp);
}

namespace {
struct LoadIndexPattern : OpConversionPattern<LoadIndexOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(LoadIndexOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    GlobalType type = op.getGlobal().getType();
    Type element = type.getTensor().getElementType();
    auto load = [&]() -> Value {
      Value entry =
          e.loadGlobal(element, globalAddress(e, adaptor.getGlobal(),
                                              adaptor.getAt(), element));
      return element.isInteger(64)
                 ? entry
                 : LLVM::SExtOp::create(rewriter, op.getLoc(), e.i64(), entry);
    };
    if (!type.getOptional()) {
      rewriter.replaceOp(op, load());
      return success();
    }
    Value pointer = globalPointer(e, adaptor.getGlobal());
    rewriter.replaceOp(op, e.ifElse(isPresent(e, pointer), e.i64(), load,
                                    [&] { return adaptor.getAbsent(); }));
    return success();
  }
};

struct LoadSpreadPattern : OpConversionPattern<LoadSpreadOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(LoadSpreadOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    auto type = cast<RankedTensorType>(op.getValue().getType());
    Type element = type.getElementType();
    Value global = adaptor.getGlobal();
    if (op->hasAttr(kAddressedAgainAttr))
      global = globalAgain(e, global);
    SpreadPieces pieces(e, type, global, adaptor.getCoords(), op.getDims());
    Type access = getAccessType(e, element, pieces.getPiece());
    auto held = VectorType::get({pieces.getPiece()}, element);
    SmallVector<Value> values;
    for (int64_t n = 0; n < pieces.getCount(); ++n) {
      Value loaded = e.loadGlobal(access, pieces(n));
      if (pieces.getPiece() == 1)
        values.push_back(loaded);
      else
        llvm::append_range(values, e.elements(LLVM::BitcastOp::create(
                                       rewriter, op.getLoc(), held, loaded)));
    }
    rewriter.replaceOp(op, e.vectorOf(values));
    return success();
  }
};

struct StoreSpreadPattern : OpConversionPattern<StoreSpreadOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(StoreSpreadOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    auto type = cast<RankedTensorType>(op.getValue().getType());
    SmallVector<Value> values = e.elements(adaptor.getValue());
    auto store = [&] {
      SpreadPieces pieces(e, type, adaptor.getGlobal(), adaptor.getCoords(),
                          op.getDims());
      int64_t piece = pieces.getPiece();
      Type access = getAccessType(e, type.getElementType(), piece);
      for (int64_t n = 0; n < pieces.getCount(); ++n) {
        Value value = values[n];
        if (piece > 1)
          value = LLVM::BitcastOp::create(
              rewriter, op.getLoc(), access,
              e.vectorOf(ArrayRef(values).slice(n * piece, piece)));
        e.storeGlobal(value, pieces(n));
      }
    };
    e.ifThen(isFirstHolder(e, getSpread(type)), store);
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void tile::populateSpreadMemoryPatterns(LLVMTypeConverter &converter,
                                        RewritePatternSet &patterns) {
  patterns.add<LoadIndexPattern, LoadSpreadPattern, StoreSpreadPattern>(
      converter, patterns.getContext());
}
