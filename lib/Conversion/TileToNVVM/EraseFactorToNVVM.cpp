//===- EraseFactorToNVVM.cpp - The triangular factor by substitution ----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Z = (I + L diag(c))^-1 L, column by column: z starts as a column of L, and once
// z_k is final every later entry takes away L_ik (c_k z_k). One thread a column,
// the column in registers; L lies transposed in shared memory, so that the
// multipliers of one k are consecutive and every lane reads the same ones.
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
class EraseFactorEmitter {
public:
  EraseFactorEmitter(EraseFactorOp op, EraseFactorOp::Adaptor adaptor,
                     Emitter &e)
      : e(e), scratchType(op.getScratch().getType()),
        size(scratchType.getShape()[0]), l(adaptor.getL()),
        rate(adaptor.getRate()), scratch(adaptor.getScratch()),
        rateScratch(adaptor.getRateScratch()), barrier(op.getBarrierId()) {}

  Value emit() {
    sync();
    writeInputs();
    sync();
    Value active = e.cmp(LLVM::ICmpPredicate::ult, e.warpgroupThread(),
                         e.c32(size));
    Type column = VectorType::get({size}, e.f32());
    Value z = e.ifElse(
        active, column, [&] { return solveColumn(); },
        [&] { return e.zero(column); });
    sync();
    e.ifThen(active, [&] { writeColumn(z); });
    sync();
    return readResult();
  }

private:
  void sync() { emitWarpgroupBarrier(e, barrier, /*proxy=*/false); }

  /// Address of row `row`, column `column` of the scratch matrix.
  Value at(Value row, Value column) {
    return e.add(e.add(scratch, e.mul(row, scratchType.getPaddedRowBytes())),
                 e.mul(column, 4));
  }

  /// L transposed, and the rate by the first warp.
  void writeInputs() {
    AccPosition position = AccPosition::get(e);
    for (auto [i, value] : llvm::enumerate(e.elements(l)))
      e.storeShared(value,
                    at(e.add(position.col0, AccPosition::colOffset(i)),
                       e.add(position.row0, AccPosition::rowOffset(i))));
    Value thread = e.warpgroupThread();
    e.ifThen(e.cmp(LLVM::ICmpPredicate::ult, thread, e.c32(32)), [&] {
      for (auto [i, value] : llvm::enumerate(e.elements(rate)))
        e.storeShared(value,
                      e.add(rateScratch, e.mul(e.add(thread, 32 * i), 4)));
    });
  }

  /// Entries `from` & ~3 ... of row k, four a load.
  SmallVector<Value> loadRow(Value row, int64_t from) {
    SmallVector<Value> values(from / 4 * 4);
    for (int64_t i = from / 4 * 4; i < size; i += 4)
      values.append(e.loadSharedVector(e.f32(), 4, at(row, e.c32(i))));
    return values;
  }

  Value solveColumn() {
    SmallVector<Value> z = loadRow(e.warpgroupThread(), 0);
    for (int64_t k = 0; k + 1 < size; ++k) {
      Value c = e.loadShared(e.f32(), e.add(rateScratch, 4 * k));
      Value y = LLVM::FNegOp::create(
          e.builder, e.loc,
          LLVM::FMulOp::create(e.builder, e.loc, c, z[k]).getResult());
      SmallVector<Value> multipliers = loadRow(e.c32(k), k + 1);
      for (int64_t i = k + 1; i < size; ++i)
        z[i] = LLVM::FMAOp::create(e.builder, e.loc, multipliers[i], y, z[i]);
    }
    return e.vectorOf(z);
  }

  void writeColumn(Value z) {
    for (auto [i, value] : llvm::enumerate(e.elements(z)))
      e.storeShared(value, at(e.c32(i), e.warpgroupThread()));
  }

  Value readResult() {
    AccPosition position = AccPosition::get(e);
    SmallVector<Value> values;
    for (int64_t i = 0; i < size * size / kWarpgroupThreads; i += 2)
      values.append(e.loadSharedVector(
          e.f32(), 2,
          at(e.add(position.row0, AccPosition::rowOffset(i)),
             e.add(position.col0, AccPosition::colOffset(i)))));
    return e.vectorOf(values);
  }

  Emitter &e;
  SmemType scratchType;
  int64_t size;
  Value l, rate, scratch, rateScratch;
  int64_t barrier;
};

struct EraseFactorPattern : OpConversionPattern<EraseFactorOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(EraseFactorOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    rewriter.replaceOp(op, EraseFactorEmitter(op, adaptor, e).emit());
    return success();
  }
};
} // namespace

void tile::populateEraseFactorPatterns(LLVMTypeConverter &converter,
                                       RewritePatternSet &patterns) {
  patterns.add<EraseFactorPattern>(converter, patterns.getContext());
}
