//===- ColumnsToNVVM.cpp - Columns that two blocks sum ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A thread of the acc layout has the same rows and columns of a tile in each
// block, so it sends its elements to the thread of its number: 16 bytes a
// store, and no shared memory of its own. The stores are asynchronous
// (st.async), for which the other block's barrier counts bytes: a fence and a
// remote arrival would wait for all that the warp has written to device memory.
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"
#include "Stage.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

/// Bytes of a piece, its registers, and what the threads of a warpgroup have.
static constexpr int64_t kPieceBytes = 16, kPieceRegisters = 4,
                         kPieces = kPieceBytes * kWarpgroupThreads;

/// Returns the registers of half `part` of the columns of `value`, two elements
/// each.
static SmallVector<Value> getHalf(Emitter &e, Value value, Value part) {
  SmallVector<Value> elements = e.elements(value), half;
  Value isSecond = e.cmp(LLVM::ICmpPredicate::ne, e.trunc32(part), e.c32(0));
  size_t count = elements.size() / 2;
  for (size_t i = 0; i < count; i += 2)
    half.push_back(
        e.select(isSecond, e.pack(elements[count + i], elements[count + i + 1]),
                 e.pack(elements[i], elements[i + 1])));
  return half;
}

/// Returns the address of the calling thread's first piece in `tile`.
static Value locatePieces(Emitter &e, Value tile) {
  Value thread = e.urem(e.threadIdAgain(), kWarpgroupThreads);
  return e.add(tile, e.mul(thread, kPieceBytes));
}

namespace {
struct SendColumnsPattern : OpConversionPattern<SendColumnsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(SendColumnsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    Stage stage(e, op.getRing(), adaptor.getRing(), adaptor.getIndex());
    Value block = e.trunc32(adaptor.getBlock());
    auto map = [&](Value address) {
      return e
          .ptx("mapa.shared::cluster.u32 $0, $1, $2;", "=r,r,r",
               {address, block}, e.i32())
          .front();
    };
    SmallVector<Value> half = getHalf(e, adaptor.getValue(), adaptor.getPart());
    Value to = map(locatePieces(e, adaptor.getTile()));
    Value barrier = map(stage.full);
    for (size_t i = 0; i < half.size(); i += kPieceRegisters)
      // PTX ISA 9.7.9.13.
      e.ptx("st.async.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 "
            "[$0], {$1, $2, $3, $4}, [$5];",
            "r,r,r,r,r,r,~{memory}",
            {e.add(to, static_cast<int64_t>(i / kPieceRegisters) * kPieces),
             half[i], half[i + 1], half[i + 2], half[i + 3], barrier},
            {});
    rewriter.eraseOp(op);
    return success();
  }
};

struct AddColumnsPattern : OpConversionPattern<AddColumnsOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(AddColumnsOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    auto type = cast<RankedTensorType>(op.getSum().getType());
    std::string add = type.getElementType().isBF16()
                          ? "add.rn.bf16x2 $0, $1, $2;"
                          : "add.rn.f16x2 $0, $1, $2;";
    SmallVector<Value> half = getHalf(e, adaptor.getValue(), adaptor.getPart());
    Value from = locatePieces(e, adaptor.getTile());
    SmallVector<Value> sums;
    for (size_t i = 0; i < half.size(); i += kPieceRegisters) {
      SmallVector<Value> piece = e.loadSharedVector(
          e.i32(), kPieceRegisters, from,
          static_cast<int64_t>(i / kPieceRegisters) * kPieces);
      for (auto [own, other] :
           llvm::zip_equal(ArrayRef(half).slice(i, kPieceRegisters), piece))
        sums.push_back(e.ptx(add, "=r,r,r", {own, other}, e.i32()).front());
    }
    rewriter.replaceOpWithNewOp<LLVM::BitcastOp>(
        op, getTypeConverter()->convertType(type), e.vectorOf(sums));
    return success();
  }
};
} // namespace

void tile::populateColumnsPatterns(LLVMTypeConverter &converter,
                                   RewritePatternSet &patterns) {
  patterns.add<SendColumnsPattern, AddColumnsPattern>(converter,
                                                      patterns.getContext());
}
