//===- TileRowsToNVVM.cpp - Rows of tiles in shared memory --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ColumnBound.h"
#include "Patterns.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// The 16-byte units of a 16-bit tile that fall to this thread of the
/// warpgroup, in steps of all its threads. Where a step is whole groups of
/// eight rows, the column and the swizzle stay: a step then adds a constant to
/// the address, and no address has to be held for each.
class Units {
public:
  Units(Emitter &e, Value base, SmemType tile, bool held = false)
      : e(e), base(base), tile(tile), perRow(tile.getShape()[1] / 8),
        rowsPerStep(kWarpgroupThreads / perRow),
        isRegular(kWarpgroupThreads % perRow == 0 && rowsPerStep % 8 == 0),
        thread(
            e.urem(held ? e.threadId() : e.threadIdAgain(), kWarpgroupThreads)),
        row0(e.udiv(thread, perRow)), col0(columnOf(0)),
        address0(swizzledAddress(e, base, tile, row0, col0)) {}

  int64_t steps() const {
    return llvm::divideCeil(tile.getShape()[0] * perRow, kWarpgroupThreads);
  }
  Value row(int64_t step) {
    return isRegular ? e.add(row0, step * rowsPerStep)
                     : e.udiv(number(step), perRow);
  }
  Value column(int64_t step) { return isRegular ? col0 : columnOf(step); }
  Value address(int64_t step) {
    return isRegular
               ? e.add(address0, step * rowsPerStep * 2 * kBlockColumns)
               : swizzledAddress(e, base, tile, row(step), columnOf(step));
  }
  /// Pointer to the unit in a row-major matrix that begins at `base`, its rows
  /// `stride` elements apart; `last` is that of the step before, null for the
  /// first one.
  Value pointer(int64_t step, Value base, Value stride, Value last) {
    Type element = tile.getElementType();
    if (isRegular && last) {
      // Opaque: one pointer a step, kept and moved on from chunk to chunk,
      // would take two registers each.
      Value bytes =
          e.mul(stride, rowsPerStep * element.getIntOrFloatBitWidth() / 8);
      return e
          .ptx("add.s64 $0, $1, $2;", "=l,l,l", {last, bytes}, last.getType())
          .front();
    }
    Value offset =
        e.add(e.mul(e.ext64(row(step)), stride), e.ext64(columnOf(step)));
    return offsetPointer(e, base, offset, element);
  }

private:
  Value number(int64_t step) { return e.add(thread, step * kWarpgroupThreads); }
  Value columnOf(int64_t step) {
    return e.mul(e.urem(number(step), perRow), 8);
  }

  Emitter &e;
  Value base;
  SmemType tile;
  int64_t perRow, rowsPerStep;
  bool isRegular;
  Value thread, row0, col0, address0;
};

struct ZeroRowsPattern : OpConversionPattern<ZeroRowsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(ZeroRowsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    SmemType tile = op.getTile().getType();
    if (!tile.isSwizzled())
      return rewriter.notifyMatchFailure(
          op, "vectors are zero-extended by tile.load_vector");
    Emitter e(rewriter, op.getLoc());
    Value from = e.trunc32(adaptor.getFrom());
    SmallVector<Value> zeros(4, e.c32(0));
    Units units(e, adaptor.getTile(), tile);
    for (int64_t step = 0; step < units.steps(); ++step) {
      Value behind = e.cmp(LLVM::ICmpPredicate::uge, units.row(step), from);
      e.ifThen(behind,
               [&] { e.storeSharedVector(zeros, units.address(step)); });
    }
    rewriter.eraseOp(op);
    return success();
  }
};

/// Returns how far a row is from the next one in memory.
Value rowStride(Emitter &e, StoreRowsOp op, Value global) {
  Value stride = globalStride(e, global, op.getDim());
  return op.getEvery() > 1 ? e.mul(stride, op.getEvery()) : stride;
}
Value rowStride(Emitter &e, CopyRowsOp op, Value global) {
  return globalStride(e, global, op.getDim());
}

/// Rows of f32 through padded rows, a unit of 16 bytes a thread and step.
void storePlainRows(Emitter &e, StoreRowsOp op, StoreRowsOp::Adaptor adaptor) {
  SmemType tile = op.getStaging().getType();
  Type element = tile.getElementType();
  // The last use of the staging tile may still be read.
  emitWarpgroupBarrier(e, op.getBarrierId(), /*proxy=*/false);
  writePlainMatrix(e, e.elements(adaptor.getValue()), adaptor.getStaging(),
                   tile, op.getTranspose(), /*firstRow=*/0);
  emitWarpgroupBarrier(e, op.getBarrierId(), /*proxy=*/false);
  Value base =
      globalAddress(e, adaptor.getGlobal(), adaptor.getCoords(), element);
  Value stride = rowStride(e, op, adaptor.getGlobal());
  Value valid = e.trunc32(adaptor.getValid());
  int64_t rows = tile.getShape()[0], perRow = tile.getShape()[1] / 4;
  ColumnBound bound(e, op.getGlobal().getType(), adaptor.getCoords().back(),
                    tile.getShape()[1]);
  for (int64_t first = 0; first < rows * perRow; first += kWarpgroupThreads) {
    Value number = e.add(e.warpgroupThread(), first);
    Value row = e.udiv(number, perRow);
    Value column = e.mul(e.urem(number, perRow), 4);
    Value isValid = e.cmp(LLVM::ICmpPredicate::ult, row, valid);
    e.ifThen(bound.andInside(isValid, column), [&] {
      Value from =
          e.add(adaptor.getStaging(),
                e.add(e.mul(row, tile.getPaddedRowBytes()), e.mul(column, 4)));
      Value offset = e.add(e.mul(e.ext64(row), stride), e.ext64(column));
      e.storeGlobal(e.vectorOf(e.loadSharedVector(e.f32(), 4, from)),
                    offsetPointer(e, base, offset, element));
    });
  }
}

/// True if all of so many rows are known to be stored.
bool storesAll(Value valid, int64_t rows) {
  std::optional<int64_t> known = getConstantIntValue(valid);
  return known && *known >= rows;
}

/// True for a stage of a ring or a part of it: what was not allocated, and may
/// have come from the round before.
bool isStage(Value tile) {
  if (auto view = tile.getDefiningOp<SubviewOp>())
    tile = view.getTile();
  return !tile.getDefiningOp<AllocOp>();
}

/// The 16-bit rows of a tile in shared memory, a unit of 16 bytes a thread and
/// step, on their way to consecutive rows.
class RowsFromTile {
public:
  /// The first row goes to `base`.
  template <typename OpT>
  RowsFromTile(Emitter &e, OpT op, typename OpT::Adaptor adaptor, SmemType tile,
               int64_t rows, Value base)
      : e(e), tile(tile), base(base),
        stride(rowStride(e, op, adaptor.getGlobal())),
        valid(e.trunc32(adaptor.getValid())),
        isWhole(storesAll(op.getValid(), rows)),
        bound(e, op.getGlobal().getType(), adaptor.getCoords().back(),
              tile.getShape()[1]) {}

  /// Stores what the tile at `address` holds, rows from `first` on of those
  /// that are stored in all. The addresses are `held` with those of reads.
  void store(Value address, int64_t first, bool held) {
    Units units(e, address, tile, held);
    for (int64_t step = 0; step < units.steps(); ++step) {
      pointer = units.pointer(step, base, stride, pointer);
      auto store = [&] {
        SmallVector<Value> unit =
            e.loadSharedVector(e.i32(), 4, units.address(step));
        e.storeGlobal(e.vectorOf(unit), pointer);
      };
      if (Value inside = isInside(e.add(units.row(step), first), units, step))
        e.ifThen(inside, store);
      else
        store();
    }
  }

private:
  /// Returns whether the tensor has a unit; null if it has all.
  Value isInside(Value row, Units &units, int64_t step) {
    if (!isWhole)
      return bound.andInside(e.cmp(LLVM::ICmpPredicate::ult, row, valid),
                             units.column(step));
    return bound.holdsAlways() ? Value() : bound.isInside(units.column(step));
  }

  Emitter &e;
  SmemType tile;
  Value base, stride, valid;
  bool isWhole;
  ColumnBound bound;
  Value pointer; ///< of the last step
};

/// The 16-bit rows of a register tile, through a staging tile. What is larger
/// than that goes through it piece by piece.
class PiecesOfRows {
public:
  PiecesOfRows(Emitter &e, StoreRowsOp op, StoreRowsOp::Adaptor adaptor)
      : e(e), op(op), adaptor(adaptor), tile(op.getStaging().getType()),
        rows(e, op, adaptor, tile,
             cast<RankedTensorType>(op.getValue().getType())
                 .getDimSize(op.getTranspose() ? 1 : 0),
             globalAddress(e, adaptor.getGlobal(), adaptor.getCoords(),
                           tile.getElementType())) {}

  void store() {
    int64_t pieces =
        cast<RankedTensorType>(op.getValue().getType()).getNumElements() /
        (tile.getShape()[0] * tile.getShape()[1]);
    for (int64_t piece = 0; piece < pieces; ++piece) {
      // The last use of the staging tile may still be read.
      if (!op.getOwn())
        emitWarpgroupBarrier(e, op.getBarrierId(), /*proxy=*/false);
      writeMatrix(e, getPiece(piece, pieces), adaptor.getStaging(), tile,
                  op.getTranspose(), /*firstRow=*/0, /*asRead=*/op.getOwn());
      // What was written to a stage is complete before that is filled again.
      emitWarpgroupBarrier(e, op.getBarrierId(),
                           /*proxy=*/isStage(op.getStaging()));
      rows.store(adaptor.getStaging(), piece * tile.getShape()[0],
                 /*held=*/op.getOwn());
    }
  }

private:
  /// Returns the registers of so many columns: those of one piece.
  Value getPiece(int64_t piece, int64_t pieces) {
    if (pieces == 1)
      return adaptor.getValue();
    SmallVector<Value> values = e.elements(adaptor.getValue());
    size_t size = values.size() / pieces;
    return e.vectorOf(ArrayRef(values).slice(piece * size, size));
  }

  Emitter &e;
  StoreRowsOp op;
  StoreRowsOp::Adaptor adaptor;
  SmemType tile;
  RowsFromTile rows;
};

struct CopyRowsPattern : OpConversionPattern<CopyRowsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(CopyRowsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    SmemType tile = op.getTile().getType();
    Value base = globalAddress(e, adaptor.getGlobal(), adaptor.getCoords(),
                               tile.getElementType());
    // Opaque: found again in every chunk. Moved on from one to the next it
    // would take registers of roles that have few.
    base = e.ptx("mov.b64 $0, $1;", "=l,l", {base}, base.getType()).front();
    RowsFromTile(e, op, adaptor, tile, tile.getShape()[0], base)
        .store(adaptor.getTile(), /*first=*/0, /*held=*/false);
    rewriter.eraseOp(op);
    return success();
  }
};

struct StoreRowsPattern : OpConversionPattern<StoreRowsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(StoreRowsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (!op.getStaging())
      return rewriter.notifyMatchFailure(op, "it leaves from registers");
    Emitter e(rewriter, op.getLoc());
    SmemType tile = op.getStaging().getType();
    if (tile.isSwizzled())
      PiecesOfRows(e, op, adaptor).store();
    else
      storePlainRows(e, op, adaptor);
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void tile::populateTileRowsPatterns(LLVMTypeConverter &converter,
                                    RewritePatternSet &patterns) {
  patterns.add<ZeroRowsPattern, CopyRowsPattern, StoreRowsPattern>(
      converter, patterns.getContext());
}
