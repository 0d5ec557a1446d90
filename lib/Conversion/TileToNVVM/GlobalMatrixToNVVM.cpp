//===- GlobalMatrixToNVVM.cpp - Matrices in device memory ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// Pointers to the elements of an acc tile that this thread holds.
class ElementPointers {
public:
  ElementPointers(Emitter &e, Value global, ValueRange coords,
                  ArrayRef<int64_t> dims, Type element)
      : e(e), element(element), rowStride(globalStride(e, global, dims[0])),
        colStride(globalStride(e, global, dims[1])) {
    AccPosition at = AccPosition::get(e);
    Value offset = e.add(e.mul(e.ext64(at.row0), rowStride),
                         e.mul(e.ext64(at.col0), colStride));
    base = offsetPointer(e, globalAddress(e, global, coords, element), offset,
                         element);
  }

  Value operator()(int64_t i) {
    Value offset = e.add(e.mul(rowStride, AccPosition::rowOffset(i)),
                         e.mul(colStride, AccPosition::colOffset(i)));
    return offsetPointer(e, base, offset, element);
  }

private:
  Emitter &e;
  Type element;
  Value rowStride, colStride, base;
};

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
      ElementPointers pointers(e, global, adaptor.getCoords(), op.getDims(),
                               type.getElementType());
      SmallVector<Value> values;
      for (int64_t i = 0; i < type.getDimSize(0); ++i)
        values.push_back(e.loadGlobal(type.getElementType(), pointers(i)));
      return e.vectorOf(values);
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
    Value last = e.sub(adaptor.getValid(), e.c64(1));
    Value zeros = e.zero(VectorType::get({2}, element));
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
      Value pair = e.loadGlobal(zeros.getType(),
                                offsetPointer(e, rows[half],
                                              e.c64(AccPosition::colOffset(i)),
                                              element));
      pair = e.select(isThere[half], pair, zeros);
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
    Type element = op.getGlobal().getType().getTensor().getElementType();
    e.ifThen(isPresent(e, globalPointer(e, global)), [&] {
      ElementPointers pointers(e, global, adaptor.getCoords(), op.getDims(),
                               element);
      for (auto [i, value] : llvm::enumerate(e.elements(adaptor.getValue())))
        e.storeGlobal(value, pointers(i));
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
    scf::WhileOp::create(
        rewriter, op.getLoc(), TypeRange{e.i64()}, ValueRange{first},
        [&](OpBuilder &, Location, ValueRange row) {
          Value more = e.cmp(LLVM::ICmpPredicate::slt, row[0], adaptor.getTo());
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
