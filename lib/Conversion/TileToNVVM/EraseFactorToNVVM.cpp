//===- EraseFactorToNVVM.cpp - The triangular factor by substitution ----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Z = (I + L C)^-1 L with C = diag(c), in fp32, by halves of 32 rows:
//
//   Z11, Z22   each by substitution, one warp a half, one lane a column: a
//   column
//              z starts as L's, and once z_k is final every later z_i takes
//              away L_ik c_k z_k
//   Z21        X - Z22 C2 X with X = L21 - L21 C1 Z11: two 32^3 products by all
//              128 threads, 2 x 4 results each
//
// The scratch matrix (64 rows and one of rates) is used by quarters:
//
//              columns 0-31              columns 32-63
//   rows 0-31  L11^T, then -C1 Z11       L21^T
//   rows 32-63 X                         L22^T, then (-Z22 C2)^T
//   row 64     c
//
// and holds Z at the end. L lies transposed so that the multipliers of one k
// are neighbours, and every lane reads the same ones.
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// Rows of one half: one warp's lanes.
constexpr int64_t kHalf = 32;

class EraseFactorEmitter {
public:
  EraseFactorEmitter(EraseFactorOp op, EraseFactorOp::Adaptor adaptor,
                     Emitter &e)
      : e(e), rowBytes(op.getScratch().getType().getPaddedRowBytes()),
        l(adaptor.getL()), rate(adaptor.getRate()),
        scratch(adaptor.getScratch()), barrier(op.getBarrierId()),
        thread(e.warpgroupThread()), lane(e.laneId()) {}

  Value emit() {
    sync();
    writeInputs();
    sync();
    Value solves = e.cmp(LLVM::ICmpPredicate::ult, thread, e.c32(2 * kHalf));
    Type column = VectorType::get({kHalf}, e.f32());
    Value z = e.ifElse(
        solves, column, [&] { return solveHalf(); },
        [&] { return e.zero(column); });
    sync();
    e.ifThen(solves, [&] { writeScaled(z); });
    sync();
    SmallVector<Value> z21 = mergeHalves();
    sync();
    writeResult(solves, z, z21);
    sync();
    return readResult();
  }

private:
  void sync() { emitWarpgroupBarrier(e, barrier, /*proxy=*/false); }

  /// Address of scratch element (row, column).
  Value at(Value row, Value column) {
    return e.add(e.add(scratch, e.mul(row, rowBytes)), e.mul(column, 4));
  }
  Value at(int64_t row, Value column) { return at(e.c32(row), column); }
  Value rateAt(Value index) {
    return e.loadShared(e.f32(), at(2 * kHalf, index));
  }

  Value fma(Value a, Value b, Value c) {
    return LLVM::FMAOp::create(e.builder, e.loc, a, b, c);
  }
  Value negatedProduct(Value a, Value b) {
    Value product = LLVM::FMulOp::create(e.builder, e.loc, a, b);
    return LLVM::FNegOp::create(e.builder, e.loc, product);
  }

  /// L transposed by everyone, the rates by the first warp.
  void writeInputs() {
    AccPosition position = AccPosition::get(e);
    for (auto [i, value] : llvm::enumerate(e.elements(l)))
      e.storeShared(value, at(e.add(position.col0, AccPosition::colOffset(i)),
                              e.add(position.row0, AccPosition::rowOffset(i))));
    e.ifThen(e.cmp(LLVM::ICmpPredicate::ult, thread, e.c32(kHalf)), [&] {
      for (auto [i, value] : llvm::enumerate(e.elements(rate)))
        e.storeShared(value, at(2 * kHalf, e.add(lane, kHalf * i)));
    });
  }

  /// First row and column of this warp's half.
  Value half() { return e.mul(e.udiv(thread, kHalf), kHalf); }

  /// Entries `from` & ~3 ... of scratch row `row`, from this half's column on.
  SmallVector<Value> loadRow(Value row, int64_t from) {
    SmallVector<Value> values(from / 4 * 4);
    for (int64_t i = from / 4 * 4; i < kHalf; i += 4)
      values.append(e.loadSharedVector(e.f32(), 4, at(row, e.add(half(), i))));
    return values;
  }

  Value solveHalf() {
    SmallVector<Value> z = loadRow(thread, 0);
    for (int64_t k = 0; k + 1 < kHalf; ++k) {
      Value row = e.add(half(), k);
      Value y = negatedProduct(rateAt(row), z[k]);
      SmallVector<Value> multipliers = loadRow(row, k + 1);
      for (int64_t i = k + 1; i < kHalf; ++i)
        z[i] = fma(multipliers[i], y, z[i]);
    }
    return e.vectorOf(z);
  }

  /// -C1 Z11 row by row; -Z22 C2 column by column, each a scratch row.
  void writeScaled(Value z) {
    SmallVector<Value> values = e.elements(z);
    Value first = e.cmp(LLVM::ICmpPredicate::ult, thread, e.c32(kHalf));
    auto firstHalf = [&] {
      for (auto [k, value] : llvm::enumerate(values))
        e.storeShared(negatedProduct(rateAt(e.c32(k)), value), at(k, lane));
    };
    e.ifThen(first, firstHalf);
    Value second =
        e.bxor(first, LLVM::ConstantOp::create(e.builder, e.loc, e.i1(),
                                               e.builder.getBoolAttr(true)));
    e.ifThen(second, [&] {
      Value c = rateAt(thread);
      for (int64_t i = 0; i < kHalf; i += 4) {
        SmallVector<Value> four;
        for (int64_t j = i; j < i + 4; ++j)
          four.push_back(negatedProduct(c, values[j]));
        e.storeSharedVector(four, at(thread, e.c32(kHalf + i)));
      }
    });
  }

  /// This thread's 2 rows and 4 columns of a 32 x 32 product.
  Value row0() { return e.mul(e.udiv(thread, 8), 2); }
  Value col0() { return e.mul(e.urem(thread, 8), 4); }

  /// acc += A B, where A^T starts at scratch row `aRow`, column 32, and B at
  /// row `bRow`, column 0.
  void multiply(SmallVector<Value> &acc, int64_t aRow, int64_t bRow) {
    for (int64_t k = 0; k < kHalf; ++k) {
      SmallVector<Value> a =
          e.loadSharedVector(e.f32(), 2, at(aRow + k, e.add(row0(), kHalf)));
      SmallVector<Value> b =
          e.loadSharedVector(e.f32(), 4, at(bRow + k, col0()));
      for (int64_t i = 0; i < 8; ++i)
        acc[i] = fma(a[i / 4], b[i % 4], acc[i]);
    }
  }

  void storeBlock(ArrayRef<Value> acc) {
    for (int64_t i = 0; i < 2; ++i)
      e.storeSharedVector(acc.slice(4 * i, 4),
                          at(e.add(row0(), kHalf + i), col0()));
  }

  SmallVector<Value> mergeHalves() {
    SmallVector<Value> acc(8);
    for (int64_t j = 0; j < 4; ++j) {
      SmallVector<Value> pair = e.loadSharedVector(
          e.f32(), 2, at(e.add(col0(), j), e.add(row0(), kHalf)));
      acc[j] = pair[0];
      acc[4 + j] = pair[1];
    }
    multiply(acc, 0, 0);
    storeBlock(acc);
    sync();
    multiply(acc, kHalf, kHalf);
    return acc;
  }

  /// Z over the scratch matrix; its upper right quarter is zero.
  void writeResult(Value solves, Value z, ArrayRef<Value> z21) {
    storeBlock(z21);
    e.ifThen(solves, [&] {
      for (auto [i, value] : llvm::enumerate(e.elements(z)))
        e.storeShared(value, at(e.add(half(), i), thread));
    });
    SmallVector<Value> zeros(4, e.cf32(0));
    for (int64_t i = 0; i < 2; ++i)
      e.storeSharedVector(zeros, at(e.add(row0(), i), e.add(col0(), kHalf)));
  }

  Value readResult() {
    AccPosition position = AccPosition::get(e);
    SmallVector<Value> values;
    for (int64_t i = 0; i < kAccRows * kAccRows / kWarpgroupThreads; i += 2)
      values.append(e.loadSharedVector(
          e.f32(), 2,
          at(e.add(position.row0, AccPosition::rowOffset(i)),
             e.add(position.col0, AccPosition::colOffset(i)))));
    return e.vectorOf(values);
  }

  Emitter &e;
  int64_t rowBytes;
  Value l, rate, scratch;
  int64_t barrier;
  Value thread, lane;
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
