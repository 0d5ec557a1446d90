//===- DotToNVVM.cpp - The sum of products of two matrices --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Of sixteen rows of A and as many of B, the diagonal of A B^T is the sums that
// are asked for, and A B^T is two mma.sync for every 16 columns: an eighth of
// what they compute is used, and it is still a quarter of the instructions that
// extending both operands takes.
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
class DotEmitter {
public:
  DotEmitter(DotOp op, DotOp::Adaptor adaptor, Emitter &e)
      : op(op), adaptor(adaptor), e(e), tile(op.getA().getType()) {}

  Value build() {
    for (Value &sum : upper)
      sum = e.cf32(0);
    lower = upper;
    // Addresses are made here: what they are made of would be held in registers
    // all along.
    thread = e.threadIdAgain();
    int64_t rows = tile.getShape()[0], columns = tile.getShape()[1];
    for (int64_t row = 0; row < rows; row += kAccRows)
      for (int64_t column = 0; column < columns; column += kStepColumns)
        addBlock(row, column);
    return sumWarps(sumLanes(getDiagonal()));
  }

private:
  static constexpr int64_t kStepColumns = 16;
  using Accumulators = std::array<Value, 4>;

  void addBlock(int64_t row, int64_t column) {
    SmallVector<Value> a =
        readFragment(e, thread, adaptor.getA(), tile, row, column);
    // Rows of B as they are read are columns of B^T, eight a right operand.
    SmallVector<Value> b =
        readFragment(e, thread, adaptor.getB(), op.getB().getType(), row,
                     column, /*byRow=*/true);
    multiply(upper, a, {b[0], b[1]});
    multiply(lower, a, {b[2], b[3]});
  }

  /// Adds A B^T of 16 x 8 to `sums`.
  void multiply(Accumulators &sums, ArrayRef<Value> a, ArrayRef<Value> b) {
    std::string type = tile.getElementType().isBF16() ? "bf16" : "f16";
    SmallVector<Value> operands(sums.begin(), sums.end());
    llvm::append_range(operands, a);
    llvm::append_range(operands, b);
    SmallVector<Value> results =
        e.ptx("mma.sync.aligned.m16n8k16.row.col.f32." + type + "." + type +
                  ".f32 {$0, $1, $2, $3}, {$8, $9, $10, $11}, {$12, $13}, "
                  "{$0, $1, $2, $3};",
              "=f,=f,=f,=f,0,1,2,3,r,r,r,r,r,r", operands,
              SmallVector<Type>(4, e.f32()));
    llvm::copy(results, sums.begin());
  }

  /// Lane l has columns 2 (l % 4) and the next one of rows l / 4 and l / 4 + 8:
  /// of the upper rows the diagonal with the first eight rows of B, of the
  /// lower ones that with the last.
  Value getDiagonal() {
    Value lane = e.laneId();
    Value row = e.udiv(lane, 4), column = e.mul(e.urem(lane, 4), 2);
    Value isEven = e.cmp(LLVM::ICmpPredicate::eq, row, column);
    Value isOdd = e.cmp(LLVM::ICmpPredicate::eq, row, e.add(column, 1));
    Value zero = e.cf32(0);
    auto pick = [&](Value even, Value odd) {
      return e.select(isEven, even, e.select(isOdd, odd, zero));
    };
    return LLVM::FAddOp::create(e.builder, e.loc, pick(upper[0], upper[1]),
                                pick(lower[2], lower[3]));
  }

  Value sumLanes(Value sum) {
    for (int64_t mask : {1, 2, 4, 8, 16})
      sum =
          LLVM::FAddOp::create(e.builder, e.loc, sum, e.shuffleXor(sum, mask));
    return sum;
  }

  Value sumWarps(Value sum) {
    auto address = [&](Value index) {
      return e.add(adaptor.getScratch(), e.mul(index, 4));
    };
    int64_t barrier = op.getBarrierId();
    emitWarpgroupBarrier(e, barrier, /*proxy=*/false);
    e.ifThen(e.cmp(LLVM::ICmpPredicate::eq, e.laneId(), e.c32(0)),
             [&] { e.storeShared(sum, address(e.warpInGroup())); });
    emitWarpgroupBarrier(e, barrier, /*proxy=*/false);
    Value all;
    for (int64_t warp = 0; warp < kWarpgroupWarps; ++warp) {
      Value part = e.loadShared(e.f32(), address(e.c32(warp)));
      all = all ? LLVM::FAddOp::create(e.builder, e.loc, all, part).getResult()
                : part;
    }
    // ptxas adds as late as it can, and would hold all parts until then.
    return e.hasFewRegisters() ? e.shuffleXor(all, 0) : all;
  }

  DotOp op;
  DotOp::Adaptor adaptor;
  Emitter &e;
  SmemType tile;
  Value thread;
  Accumulators upper, lower;
};

struct DotPattern : OpConversionPattern<DotOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(DotOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    rewriter.replaceOp(op, DotEmitter(op, adaptor, e).build());
    return success();
  }
};
} // namespace

void tile::populateDotPatterns(LLVMTypeConverter &converter,
                               RewritePatternSet &patterns) {
  patterns.add<DotPattern>(converter, patterns.getContext());
}
