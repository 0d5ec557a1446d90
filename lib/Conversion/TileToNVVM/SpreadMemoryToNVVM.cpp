//===- SpreadMemoryToNVVM.cpp - Spread tiles in device memory -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GlobalAgain.h"
#include "Patterns.h"

#include "wyvern/Dialect/Tile/IR/Hints.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// The pieces of a spread tile that this thread holds, in memory.
class SpreadPieces {
public:
  /// `ahead`, if there is one: a branch that this stands in, in front of which
  /// all but the outermost coordinate is known.
  SpreadPieces(Emitter &e, RankedTensorType type, Value global,
               ValueRange coords, ArrayRef<int64_t> dims,
               Operation *ahead = nullptr);

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
                           ValueRange coords, ArrayRef<int64_t> dims,
                           Operation *ahead)
    : e(e), spread(getSpread(type).getDims()), element(type.getElementType()),
      shape(getSpread(type).getThreadShape(type.getShape())),
      piece(spread.empty() ? 1 : spread.back().piece) {
  OpBuilder::InsertPoint here = e.builder.saveInsertionPoint();
  if (ahead)
    e.builder.setInsertionPoint(ahead);
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
  if (!ahead) {
    base = offsetPointer(e, globalAddress(e, global, coords, element), offset,
                         element);
    return;
  }
  SmallVector<Value> known(coords);
  known.front() = e.c64(0);
  base = offsetPointer(e, globalAddress(e, global, known, element), offset,
                       element);
  // Else LLVM moves it to where it is used.
  base = e.ptx("mov.b64 $0, $1;", "=l,l", base, base.getType()).front();
  e.builder.restoreInsertionPoint(here);
  base = offsetPointer(
      e, base, e.mul(coords.front(), globalStride(e, global, 0)), element);
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

Value tile::isFirstLane(Emitter &e, SpreadAttr spread) {
  Value idle = e.band(e.laneId(), e.c32(spread.getIdleLaneBits()));
  return e.cmp(LLVM::ICmpPredicate::eq, idle, e.c32(0));
}

Value tile::isFirstHolder(Emitter &e, SpreadAttr spread) {
  Value isLane = isFirstLane(e, spread);
  // The block may have more warps than the tile is spread over.
  Value isWarp = e.cmp(LLVM::ICmpPredicate::ult, e.threadId(),
                       e.c32(32 * spread.getWarps()));
  return e.band(isLane, isWarp);
}

/// Loads from device memory; with `kAskedFirstAttr` where it stands. An atomic
/// load of the block's scope stays there as a volatile one does, and unlike
/// that may be answered by the SM's own cache, as rows and filters are that the
/// warps of an SM share. There is none of several elements.
static Value loadGlobal(Emitter &e, Operation *op, Type type, Value pointer) {
  auto load = [&](Type type, bool isVolatile) -> LLVM::LoadOp {
    return LLVM::LoadOp::create(e.builder, e.loc, type, pointer,
                                /*alignment=*/0, isVolatile);
  };
  if (!op->hasAttr(kAskedFirstAttr))
    return load(type, /*isVolatile=*/false);
  if (!op->hasAttr(kAskedCachedAttr) || !type.isIntOrFloat())
    return load(type, /*isVolatile=*/true);
  unsigned bits = type.getIntOrFloatBitWidth();
  LLVM::LoadOp loaded =
      load(e.builder.getIntegerType(bits), /*isVolatile=*/false);
  loaded.setOrdering(LLVM::AtomicOrdering::monotonic);
  loaded.setSyncscope("block");
  loaded.setAlignment(bits / 8);
  if (loaded.getType() == type)
    return loaded;
  return LLVM::BitcastOp::create(e.builder, e.loc, type, loaded);
}

/// Returns the operation behind those loads of a block that are asked for where
/// they stand.
static Operation *findBehindLoads(Block &block) {
  Operation *found = &block.front();
  for (auto load : block.getOps<LLVM::LoadOp>())
    if (load.getVolatile_())
      found = load->getNextNode();
  return found;
}

/// Returns the outermost branch around `op` in front of which all but its
/// outermost coordinate is known, if it has `kAddressedFirstAttr`.
template <typename OpT> static Operation *findBranch(OpT op) {
  Operation *found = nullptr;
  if (!op->hasAttr(kAddressedFirstAttr))
    return found;
  for (Operation *parent = op->getParentOp(); isa<scf::IfOp>(parent);
       parent = parent->getParentOp()) {
    auto isKnown = [&](Value coord) {
      return coord.getParentRegion()->isAncestor(parent->getParentRegion());
    };
    if (!llvm::all_of(op.getCoords().drop_front(), isKnown))
      break;
    if (std::is_same_v<OpT, StoreSpreadOp> &&
        parent->hasAttr(kAddressedWithinAttr))
      return findBehindLoads(*cast<scf::IfOp>(parent).thenBlock());
    found = parent;
  }
  return found;
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
      Value entry = loadGlobal(
          e, op, element,
          globalAddress(e, adaptor.getGlobal(), adaptor.getAt(), element));
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
    SpreadPieces pieces(e, type, global, adaptor.getCoords(), op.getDims(),
                        findBranch(op));
    Type access = getAccessType(e, element, pieces.getPiece());
    auto held = VectorType::get({pieces.getPiece()}, element);
    SmallVector<Value> values;
    for (int64_t n = 0; n < pieces.getCount(); ++n) {
      Value loaded = loadGlobal(e, op, access, pieces(n));
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
    Operation *ahead = findBranch(op);
    auto place = [&] {
      return SpreadPieces(e, type, adaptor.getGlobal(), adaptor.getCoords(),
                          op.getDims(), ahead);
    };
    auto store = [&](SpreadPieces pieces) {
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
    std::optional<SpreadPieces> pieces;
    if (ahead)
      pieces.emplace(place());
    e.ifThen(isFirstHolder(e, getSpread(type)),
             [&] { store(pieces ? *pieces : place()); });
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
