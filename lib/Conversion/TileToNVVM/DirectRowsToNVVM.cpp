//===- DirectRowsToNVVM.cpp - Rows stored out of registers --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A thread of the acc layout has two neighbouring elements of a row in each 8
// columns: 4 bytes. Of two such blocks, the lanes of a pair exchange one each,
// so that a lane stores 8 bytes and four lanes a sector of 32.
//
//===----------------------------------------------------------------------===//

#include "ColumnBound.h"
#include "Patterns.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// Stores one register tile, 16 elements of a row by a quad at a time.
class DirectRows {
public:
  DirectRows(StoreRowsOp op, StoreRowsOp::Adaptor adaptor, Emitter &e)
      : e(e), values(e.elements(adaptor.getValue())),
        element(op.getGlobal().getType().getTensor().getElementType()),
        valid(e.trunc32(adaptor.getValid())) {
    Value varying = adaptor.getCoords()[op.getDim()];
    stride = globalFieldAgain(e, adaptor.getGlobal(), op.getDim() + 1, varying);
    Value thread = e.threadIdAgain(), lane = e.urem(thread, 32);
    warpRow = e.mul(e.urem(e.udiv(thread, 32), kWarpgroupWarps), 16);
    row = e.udiv(lane, 4);
    isOdd = e.cmp(LLVM::ICmpPredicate::ne, e.urem(lane, 2), e.c32(0));
    column =
        e.add(e.mul(e.urem(lane, 4), 2), e.select(isOdd, e.c32(6), e.c32(0)));
    base = globalAddressAgain(e, adaptor.getGlobal(), adaptor.getCoords(),
                              element, varying);
    auto tile = cast<RankedTensorType>(op.getValue().getType());
    bound.emplace(e, op.getGlobal().getType(), adaptor.getCoords().back(),
                  tile.getDimSize(op.getTranspose() ? 0 : 1));
  }

  /// Rows in memory are the tile's rows.
  void store();
  /// Rows in memory are the tile's columns.
  void storeTransposed();

private:
  Value pack(size_t i) { return e.pack(values[i], values[i + 1]); }
  /// The same, of 8 x 8 elements that the warp turns.
  Value packTurned(size_t i) {
    return e
        .ptx("movmatrix.sync.aligned.m8n8.trans.b16 $0, $1;", "=r,r", {pack(i)},
             e.i32())
        .front();
  }
  /// Stores two blocks of 8 columns of the lane's row.
  void storePair(Value left, Value right, Value isInside, Value pointer);
  /// Returns the pointer to an element. Added to the base opaquely: its
  /// distance from there is the same in every chunk, and would be kept.
  Value locate(Value row, Value column) {
    int64_t bytes = element.getIntOrFloatBitWidth() / 8;
    Value start =
        e.ptx("mad.lo.s64 $0, $1, $2, $3;", "=l,l,l,l",
              {e.ext64(row), e.mul(stride, bytes), base}, base.getType())
            .front();
    return offsetPointer(e, start, e.ext64(column), element);
  }
  /// `pointer`, `rows` rows further. Opaque: pointers that are known to be a
  /// constant apart would each be kept from chunk to chunk.
  Value step(Value pointer, int64_t rows) {
    int64_t bytes = element.getIntOrFloatBitWidth() / 8;
    return e
        .ptx("add.s64 $0, $1, $2;", "=l,l,l",
             {pointer, e.mul(stride, rows * bytes)}, pointer.getType())
        .front();
  }

  Emitter &e;
  SmallVector<Value> values;
  Type element;
  Value valid, stride, warpRow, row, isOdd, column, base;
  std::optional<ColumnBound> bound;
};
} // namespace

void DirectRows::storePair(Value left, Value right, Value isInside,
                           Value pointer) {
  Value other = e.shuffleXor(e.select(isOdd, left, right), 1);
  Value first = e.select(isOdd, other, left);
  Value second = e.select(isOdd, right, other);
  e.ifThen(isInside,
           [&] { e.storeGlobal(e.vectorOf({first, second}), pointer); });
}

void DirectRows::store() {
  Value at = e.add(warpRow, row);
  Value pointer = locate(at, column);
  for (size_t half : {0, 1}) {
    Value isInside = e.cmp(LLVM::ICmpPredicate::ult, at, valid);
    for (size_t i = 0; i < values.size(); i += 8)
      storePair(pack(i + 2 * half), pack(i + 4 + 2 * half),
                bound->andInside(isInside, e.add(column, 2 * i)),
                offsetPointer(e, pointer, e.c64(2 * i), element));
    if (half)
      break;
    at = e.add(at, 8);
    pointer = step(pointer, 8);
  }
}

void DirectRows::storeTransposed() {
  Value at = row;
  Value pointer = locate(row, e.add(column, warpRow));
  for (size_t i = 0; i < values.size(); i += 4) {
    if (i > 0) {
      at = e.add(at, 8);
      pointer = step(pointer, 8);
    }
    Value isInside = e.cmp(LLVM::ICmpPredicate::ult, at, valid);
    storePair(packTurned(i), packTurned(i + 2),
              bound->andInside(isInside, e.add(column, warpRow)), pointer);
  }
}

namespace {
struct DirectRowsPattern : OpConversionPattern<StoreRowsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(StoreRowsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (op.getStaging())
      return rewriter.notifyMatchFailure(op, "it has a staging tile");
    Emitter e(rewriter, op.getLoc());
    DirectRows rows(op, adaptor, e);
    if (op.getTranspose())
      rows.storeTransposed();
    else
      rows.store();
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void tile::populateDirectRowsPatterns(LLVMTypeConverter &converter,
                                      RewritePatternSet &patterns) {
  patterns.add<DirectRowsPattern>(converter, patterns.getContext());
}
