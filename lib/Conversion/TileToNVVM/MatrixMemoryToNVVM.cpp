//===- MatrixMemoryToNVVM.cpp - Matrices in shared memory ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

Value tile::swizzledAddress(Emitter &e, Value base, SmemType tile, Value row,
                            Value col) {
  int64_t blockBytes = tile.getBlockRows() * 128;
  Value block = e.mul(e.udiv(col, kBlockColumns), blockBytes);
  Value byte = e.mul(e.urem(col, kBlockColumns), 2);
  Value swizzled = e.bxor(byte, e.mul(e.urem(row, 8), 16));
  return e.add(e.add(base, block), e.add(e.mul(row, 128), swizzled));
}

AccPosition AccPosition::get(Emitter &e) {
  Value lane = e.laneId();
  return {e.add(e.mul(e.warpInGroup(), 16), e.udiv(lane, 4)),
          e.mul(e.urem(lane, 4), 2)};
}

namespace {
/// Where ldmatrix and stmatrix touch a swizzled tile for the acc layout. One x4
/// instruction moves the 8 x 8 blocks (0, j), (8, j), (0, j + 8), (8, j + 8) of
/// a warp's 16 rows; lane l gives the address of row l % 8 of block l / 8. With
/// `transposed` the tile in memory is the transpose, and the instruction's
/// .trans turns each block. `firstRow` is where the register tile's 64 rows
/// begin in a tile of more. With `byRow` the blocks are (0, j), (0, j + 8),
/// (8, j), (8, j + 8): what a right operand of mma.sync has of eight rows is in
/// neighbouring registers then.
class MatrixAccess {
public:
  MatrixAccess(Emitter &e, Value thread, Value base, SmemType tile,
               bool transposed, int64_t firstRow, bool byRow = false)
      : e(e), base(base), tile(tile), transposed(transposed) {
    Value in = e.urem(thread, 8), block = e.udiv(e.urem(thread, 32), 8);
    Value low = e.mul(e.urem(block, 2), 8), high = e.mul(e.udiv(block, 2), 8);
    if (byRow)
      std::swap(low, high);
    Value warp = e.urem(e.udiv(thread, 32), kWarpgroupWarps);
    Value warpRow = e.add(e.mul(warp, 16), firstRow);
    along = e.add(warpRow, transposed ? low : e.add(low, in));
    across = transposed ? e.add(high, in) : high;
  }

  /// Address for the two column blocks from register column `j` on.
  Value address(int64_t j) {
    if (transposed)
      return swizzledAddress(e, base, tile, e.add(across, j), along);
    // Within 128 bytes, where nothing carries, a step to the right is the same
    // bits of every lane's address: one is held, not one a step.
    Value first = swizzledAddress(e, base, tile, along, across);
    int64_t inBlock = j % kBlockColumns;
    int64_t blocks = (j - inBlock) * tile.getBlockRows() * 2;
    return e.add(e.bxor(first, e.c32(inBlock * 2)), blocks);
  }

  /// The four registers of the two column blocks from `j` on.
  SmallVector<Value> read(int64_t j) {
    return e.ptx(
        "ldmatrix.sync.aligned.m8n8" + suffix() + "{$0, $1, $2, $3}, [$4];",
        "=r,=r,=r,=r,r,~{memory}", address(j), SmallVector<Type>(4, e.i32()));
  }

  /// Columns of the register tile.
  int64_t columns() const { return tile.getShape()[transposed ? 0 : 1]; }
  std::string suffix() const {
    return transposed ? ".x4.trans.shared.b16 " : ".x4.shared.b16 ";
  }

private:
  Emitter &e;
  Value base;
  SmemType tile;
  bool transposed;
  Value along, across;
};

Value readMatrix(Emitter &e, Value base, SmemType tile, bool transposed,
                 int64_t firstRow) {
  Value thread = e.hasFewRegisters() ? e.threadIdAgain() : e.threadId();
  MatrixAccess access(e, thread, base, tile, transposed, firstRow);
  SmallVector<Value> values;
  for (int64_t j = 0; j < access.columns(); j += 16) {
    SmallVector<Value> packed = access.read(j);
    for (Value pair : packed) {
      auto [low, high] = e.unpack(pair, tile.getElementType());
      values.append({low, high});
    }
  }
  return e.vectorOf(values);
}

} // namespace

SmallVector<Value> tile::readFragment(Emitter &e, Value thread, Value base,
                                      SmemType tile, int64_t firstRow,
                                      int64_t j, bool byRow) {
  MatrixAccess access(e, thread, base, tile, /*transposed=*/false, firstRow,
                      byRow);
  return access.read(j);
}

void tile::writeMatrix(Emitter &e, Value vector, Value base, SmemType tile,
                       bool transposed, int64_t firstRow, bool asRead) {
  // Most is held where tiles are written: the addresses are made there, unless
  // those of reads are held anyway.
  Value thread = asRead ? e.threadId() : e.threadIdAgain();
  MatrixAccess access(e, thread, base, tile, transposed, firstRow);
  SmallVector<Value> values = e.elements(vector);
  for (int64_t j = 0; j < access.columns(); j += 16) {
    SmallVector<Value> operands = {access.address(j)};
    for (int64_t i = 0; i < 8; i += 2)
      operands.push_back(e.pack(values[j / 2 + i], values[j / 2 + i + 1]));
    e.ptx("stmatrix.sync.aligned.m8n8" + access.suffix() +
              "[$0], {$1, $2, $3, $4};",
          "r,r,r,r,r,~{memory}", operands, {});
  }
}

namespace {
struct ReadPattern : OpConversionPattern<ReadOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(ReadOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    auto type = cast<RankedTensorType>(op.getValue().getType());
    SmemType tile = op.getTile().getType();
    Value base = adaptor.getTile();
    int64_t firstRow = op.getBlock() * kAccRows;
    rewriter.replaceOp(
        op, tile.isSwizzled()
                ? readMatrix(e, base, tile, op.getTranspose(), firstRow)
                : readPlain(e, base, tile, type, op.getTranspose(), firstRow));
    return success();
  }
};

struct WritePattern : OpConversionPattern<WriteOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(WriteOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    SmemType tile = op.getTile().getType();
    std::optional<int64_t> barrier = op.getBarrierId();
    if (barrier)
      emitWarpgroupBarrier(e, *barrier, /*proxy=*/false);
    if (tile.isSwizzled())
      writeMatrix(e, adaptor.getValue(), adaptor.getTile(), tile,
                  op.getTranspose(), op.getBlock() * kAccRows);
    else
      writePlain(e, op, adaptor);
    if (barrier)
      emitWarpgroupBarrier(e, *barrier, /*proxy=*/true);
    rewriter.replaceOp(op, adaptor.getTile());
    return success();
  }
};

} // namespace

void tile::populateMatrixMemoryPatterns(LLVMTypeConverter &converter,
                                        RewritePatternSet &patterns) {
  patterns.add<ReadPattern, WritePattern>(converter, patterns.getContext());
}
