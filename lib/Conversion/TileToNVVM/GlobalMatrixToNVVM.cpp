//===- GlobalMatrixToNVVM.cpp - Matrices in device memory ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ColumnBound.h"
#include "Patterns.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// Pointers to the elements of an acc tile that this thread holds.
class ElementPointers {
public:
  ElementPointers(Emitter &e, GlobalType type, Value global, ValueRange coords,
                  ArrayRef<int64_t> dims, int64_t columns)
      : e(e), element(type.getTensor().getElementType()),
        rowStride(globalStride(e, global, dims[0])),
        colStride(globalStride(e, global, dims[1])) {
    AccPosition at = AccPosition::get(e);
    auto bound = [&](int64_t dim, int64_t tileSize, Value first) {
      int64_t size = type.getTensor().getDimSize(dim);
      Value left;
      if (size % tileSize != 0)
        left = e.sub(e.sub(e.c32(size), e.trunc32(coords[dim])), first);
      return left;
    };
    rowsLeft = bound(dims[0], kAccRows, at.row0);
    colsLeft = bound(dims[1], columns, at.col0);
    Value offset = e.add(e.mul(e.ext64(at.row0), rowStride),
                         e.mul(e.ext64(at.col0), colStride));
    start = globalPointer(e, global);
    for (size_t i = 0; i < coords.size(); ++i)
      if (static_cast<int64_t>(i) != dims[1])
        otherStrides.push_back(globalStride(e, global, i));
    base = offsetPointer(e, globalAddress(e, global, coords, element), offset,
                         element);
  }

  /// Returns whether the tensor has element i; null if it has all that the
  /// tile has (delta-pad-dims).
  Value isInside(int64_t i) {
    auto isBefore = [&](int64_t offset, Value left) {
      return e.cmp(LLVM::ICmpPredicate::slt, e.c32(offset), left);
    };
    Value inside;
    if (rowsLeft)
      inside = isBefore(AccPosition::rowOffset(i), rowsLeft);
    if (colsLeft) {
      Value column = isBefore(AccPosition::colOffset(i), colsLeft);
      inside = inside ? e.band(inside, column) : column;
    }
    return inside;
  }

  /// Returns whether elements 2 i and 2 i + 1 lie side by side, at a multiple
  /// of their size; null where the tensor may not have all elements of the
  /// tile.
  Value arePairs() {
    if (rowsLeft || colsLeft)
      return {};
    Value odd = e.bxor(colStride, e.c64(1));
    for (Value stride : otherStrides)
      odd = LLVM::OrOp::create(e.builder, e.loc, odd, e.band(stride, e.c64(1)));
    return e.cmp(LLVM::ICmpPredicate::eq, odd, e.c64(0));
  }

  /// Pointer to element i; to the first one where the tensor has none there,
  /// which `inside` says (isInside).
  Value clamped(int64_t i, Value inside) {
    return inside ? e.select(inside, (*this)(i), start) : (*this)(i);
  }

  Value operator()(int64_t i) {
    Value offset = e.add(e.mul(rowStride, AccPosition::rowOffset(i)),
                         e.mul(colStride, AccPosition::colOffset(i)));
    return offsetPointer(e, base, offset, element);
  }

private:
  Emitter &e;
  Type element;
  Value rowStride, colStride, start, base;
  SmallVector<Value> otherStrides;
  /// Rows and columns of the tensor from the thread's first element on; null
  /// where the tile has no more.
  Value rowsLeft, colsLeft;
};

Value loadElements(Emitter &e, ElementPointers &pointers, VectorType type) {
  Value zero = e.zero(type.getElementType());
  SmallVector<Value> values;
  for (int64_t i = 0; i < type.getDimSize(0); ++i) {
    Value inside = pointers.isInside(i);
    Value loaded =
        e.loadGlobal(type.getElementType(), pointers.clamped(i, inside));
    values.push_back(inside ? e.select(inside, loaded, zero) : loaded);
  }
  return e.vectorOf(values);
}

Value loadPairs(Emitter &e, ElementPointers &pointers, VectorType type) {
  auto pair = VectorType::get({2}, type.getElementType());
  SmallVector<Value> values;
  for (int64_t i = 0; i < type.getDimSize(0); i += 2)
    llvm::append_range(values, e.elements(e.loadGlobal(pair, pointers(i))));
  return e.vectorOf(values);
}

void storeElements(Emitter &e, ElementPointers &pointers,
                   ArrayRef<Value> values) {
  for (auto [i, value] : llvm::enumerate(values)) {
    Value inside = pointers.isInside(i);
    auto store = [&, i = i, value = value] {
      e.storeGlobal(value, pointers(i));
    };
    if (inside)
      e.ifThen(inside, store);
    else
      store();
  }
}

void storePairs(Emitter &e, ElementPointers &pointers, ArrayRef<Value> values) {
  for (size_t i = 0; i < values.size(); i += 2)
    e.storeGlobal(e.vectorOf(values.slice(i, 2)), pointers(i));
}

struct LoadMatrixPattern : OpConversionPattern<LoadMatrixOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(LoadMatrixOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    auto type = cast<VectorType>(
        getTypeConverter()->convertType(op.getValue().getType()));
    Value global = adaptor.getGlobal();
    auto load = [&]() -> Value {
      ElementPointers pointers(
          e, op.getGlobal().getType(), global, adaptor.getCoords(),
          op.getDims(), cast<RankedTensorType>(op.getType()).getDimSize(1));
      auto loadEach = [&] { return loadElements(e, pointers, type); };
      Value arePairs = op.getPairs() ? pointers.arePairs() : Value();
      if (!arePairs)
        return loadEach();
      return e.ifElse(
          arePairs, type, [&] { return loadPairs(e, pointers, type); },
          loadEach);
    };
    rewriter.replaceOp(op, e.ifElse(isPresent(e, globalPointer(e, global)),
                                    type, load, [&] { return e.zero(type); }));
    return success();
  }
};

struct FetchRowsPattern : OpConversionPattern<FetchRowsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(FetchRowsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    auto type = cast<VectorType>(
        getTypeConverter()->convertType(op.getValue().getType()));
    Type element = type.getElementType();
    AccPosition at = AccPosition::get(e);
    Value base =
        globalAddress(e, adaptor.getGlobal(), adaptor.getCoords(), element);
    Value stride = globalStride(e, adaptor.getGlobal(), op.getDim());
    if (op.getEvery() > 1)
      stride = e.mul(stride, op.getEvery());
    Value last = e.sub(adaptor.getValid(), e.c64(1));
    Value zeros = e.zero(VectorType::get({2}, element));
    ColumnBound bound(e, op.getGlobal().getType(), adaptor.getCoords().back(),
                      cast<RankedTensorType>(op.getType()).getDimSize(1));
    // Two rows a thread, and of each pairs of columns. A row that is not there
    // is not read: the last one is, in its place.
    Value rows[2], isThere[2];
    for (int64_t half : {0, 1}) {
      Value row = e.ext64(e.add(at.row0, 8 * half));
      isThere[half] = e.cmp(LLVM::ICmpPredicate::sle, row, last);
      row = e.select(isThere[half], row, last);
      rows[half] = offsetPointer(
          e, base, e.add(e.mul(row, stride), e.ext64(at.col0)), element);
    }
    SmallVector<Value> values;
    for (int64_t i = 0; i < type.getDimSize(0); i += 2) {
      int64_t half = AccPosition::rowOffset(i) / 8;
      int64_t offset = AccPosition::colOffset(i);
      Value from = offsetPointer(e, rows[half], e.c64(offset), element);
      Value isInside = isThere[half];
      if (!bound.holdsAlways()) {
        // What is not there is not read: the row's first pair is.
        Value column = bound.isInside(e.add(at.col0, offset));
        from = e.select(column, from, rows[half]);
        isInside = e.band(isInside, column);
      }
      Value pair = e.loadGlobal(zeros.getType(), from);
      pair = e.select(isInside, pair, zeros);
      for (int64_t k : {0, 1})
        values.push_back(e.element(pair, k));
    }
    rewriter.replaceOp(op, e.vectorOf(values));
    return success();
  }
};

struct StoreMatrixPattern : OpConversionPattern<StoreMatrixOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(StoreMatrixOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    Value global = adaptor.getGlobal();
    auto tile = cast<RankedTensorType>(op.getValue().getType());
    e.ifThen(isPresent(e, globalPointer(e, global)), [&] {
      ElementPointers pointers(e, op.getGlobal().getType(), global,
                               adaptor.getCoords(), op.getDims(),
                               tile.getDimSize(1));
      SmallVector<Value> values = e.elements(adaptor.getValue());
      Value arePairs = op.getPairs() ? pointers.arePairs() : Value();
      if (!arePairs)
        return storeElements(e, pointers, values);
      auto ifOp = scf::IfOp::create(e.builder, e.loc, arePairs,
                                    /*withElseRegion=*/true);
      OpBuilder::InsertionGuard guard(e.builder);
      e.builder.setInsertionPointToStart(ifOp.thenBlock());
      storePairs(e, pointers, values);
      e.builder.setInsertionPointToStart(ifOp.elseBlock());
      storeElements(e, pointers, values);
    });
    rewriter.eraseOp(op);
    return success();
  }
};

/// Threads of the warpgroup take 16-byte units in turn, row by row; where there
/// is one column, its elements.
struct ZeroFillPattern : OpConversionPattern<ZeroFillOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(ZeroFillOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    Type element = op.getGlobal().getType().getTensor().getElementType();
    int64_t perUnit =
        op.getColumns() == 1 ? 1 : 128 / element.getIntOrFloatBitWidth();
    int64_t units = op.getColumns() / perUnit;
    if (op.getColumns() % perUnit != 0 || kWarpgroupThreads % units != 0)
      return rewriter.notifyMatchFailure(
          op, "expected one column, or 16-byte units whose number divides 128");
    Value thread = e.warpgroupThread();
    Value first = e.add(adaptor.getFrom(), e.ext64(e.udiv(thread, units)));
    Value col = e.ext64(e.mul(e.urem(thread, units), perUnit));
    Value base =
        globalAddress(e, adaptor.getGlobal(), adaptor.getCoords(), element);
    Value stride = globalStride(e, adaptor.getGlobal(), op.getDim());
    Value zeros =
        perUnit == 1 ? e.zero(element) : e.zero(VectorType::get({4}, e.i32()));
    Value step = e.c64(kWarpgroupThreads / units);
    // No round for a lane behind the last column.
    Value to = adaptor.getTo();
    if (op.getColumns() > 1) {
      ColumnBound bound(e, op.getGlobal().getType(), adaptor.getCoords().back(),
                        op.getColumns());
      if (!bound.holdsAlways())
        to = e.select(bound.isInside(e.trunc32(col)), to, first);
    }
    scf::WhileOp::create(
        rewriter, op.getLoc(), TypeRange{e.i64()}, ValueRange{first},
        [&](OpBuilder &, Location, ValueRange row) {
          Value more = e.cmp(LLVM::ICmpPredicate::slt, row[0], to);
          scf::ConditionOp::create(e.builder, e.loc, more, row);
        },
        [&](OpBuilder &, Location, ValueRange row) {
          Value offset = e.add(e.mul(row[0], stride), col);
          e.storeGlobal(zeros, offsetPointer(e, base, offset, element));
          scf::YieldOp::create(e.builder, e.loc,
                               ValueRange{e.add(row[0], step)});
        });
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void tile::populateGlobalMatrixPatterns(LLVMTypeConverter &converter,
                                        RewritePatternSet &patterns) {
  patterns.add<LoadMatrixPattern, FetchRowsPattern, StoreMatrixPattern,
               ZeroFillPattern>(converter, patterns.getContext());
}
