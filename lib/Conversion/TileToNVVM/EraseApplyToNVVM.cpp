//===- EraseApplyToNVVM.cpp - Solving by a factor -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Three wgmma products of 32 columns, each awaited: what one computes is
// rounded to be the next one's operand.
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"
#include "SharedOperand.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// Elements that a thread holds of a part of 32 columns, and the registers of
/// two that these are as the left operand of one wgmma.
constexpr int64_t kPartElements = kAccRows * kFactorBlock / kWarpgroupThreads;
constexpr int64_t kStepRegisters = kAccRows * kStep / kWarpgroupThreads / 2;
constexpr int64_t kSteps = kFactorBlock / kStep;

/// A W whose parts become those of R.
class Solve {
public:
  Solve(EraseApplyOp op, EraseApplyOp::Adaptor adaptor, Emitter &e)
      : op(op), e(e), operand(op.getZ().getType(), !op.getAdjoint()),
        half(op.getZ().getType().getElementType()),
        rates(e.elements(adaptor.getRate())) {
    for (Value rate : rates)
      negatedRates.push_back(LLVM::FNegOp::create(e.builder, e.loc, rate));
    SharedOperand::Descriptor z = operand.descriptor(e, adaptor.getZ());
    descriptor = z.base;
    units = z.units;
    SmallVector<Value> w = e.elements(adaptor.getW());
    for (int64_t part : {0, 1})
      parts.push_back(llvm::to_vector(
          ArrayRef(w).slice(part * kPartElements, kPartElements)));
  }

  Value build() {
    int64_t first = op.getAdjoint() ? 1 : 0, second = 1 - first;
    subtract(first, first);
    subtract(second, first);
    subtract(second, second);
    parts[0].append(parts[1]);
    return e.vectorOf(parts[0]);
  }

private:
  /// Rounds c_j * parts[j] to a left operand. Of a product that part j itself
  /// takes it is -c_j * parts[j], and that is added: c_j times the same
  /// registers is asked for again behind the product, and a pass of ptxas 13.0
  /// (with --register-usage-level below 4) does not see that a wgmma changes
  /// the registers that it adds to. It would take the one for the other.
  SmallVector<Value> scale(int64_t j, bool isOfItself) {
    SmallVector<Value> registers;
    ArrayRef<Value> factors = isOfItself ? negatedRates : rates;
    for (int64_t i = 0; i < kPartElements; i += 2) {
      // In the acc layout two neighbours stand twice, in two rows.
      int64_t column = (j * kPartElements + i) / 4 * 2;
      SmallVector<Value, 2> scaled;
      for (int64_t k : {0, 1})
        scaled.push_back(LLVM::FMulOp::create(
            e.builder, e.loc, factors[column + k], parts[j][i + k]));
      auto pair = VectorType::get({2}, half);
      Value rounded =
          LLVM::FPTruncOp::create(e.builder, e.loc, pair, e.vectorOf(scaled));
      registers.push_back(
          LLVM::BitcastOp::create(e.builder, e.loc, e.i32(), rounded));
    }
    return registers;
  }

  /// parts[i] -= (c_j * parts[j]) B, with B = Z_ii, or the sum of its parts, or
  /// Z_21 + Z_12, of the adjoint transposed.
  void subtract(int64_t i, int64_t j) {
    SmallVector<Value> operands(parts[i]);
    std::string outputs, inputs;
    for (int64_t k = 0; k < kPartElements; ++k) {
      outputs += "=f,";
      inputs += std::to_string(k) + ",";
    }
    for (Value value : scale(j, i == j)) {
      operands.push_back(value);
      inputs += "r,";
    }
    operands.push_back(descriptor);
    parts[i] = e.ptx(write(i, j), outputs + inputs + "l,~{memory}", operands,
                     SmallVector<Type>(kPartElements, e.f32()));
  }

  std::string write(int64_t i, int64_t j) {
    std::string type = half.isBF16() ? "bf16" : "f16";
    std::string sign = i == j ? "1" : "-1";
    size_t firstA = 2 * kPartElements;
    size_t last = firstA + kSteps * kStepRegisters;
    std::string text = "{\n.reg .pred always;\n.reg .b64 b;\n"
                       "setp.eq.u32 always, 0, 0;\n"
                       "wgmma.fence.sync.aligned;\n";
    auto add = [&](int64_t row, int64_t column) {
      if (op.getAdjoint())
        std::swap(row, column);
      for (int64_t step = 0; step < kSteps; ++step) {
        int64_t offset = units + operand.rowOffset(row * kFactorBlock) +
                         operand.stepOffset(column * kSteps + step);
        text += "add.s64 b, $" + std::to_string(last) + ", " +
                std::to_string(offset) +
                ";\nwgmma.mma_async.sync.aligned.m64n" +
                std::to_string(kFactorBlock) + "k16.f32." + type + "." + type +
                " " + writeRegisters(0, kPartElements) + ", " +
                writeRegisters(firstA + step * kStepRegisters, kStepRegisters) +
                ", b, always, " + sign + ", 1, " +
                (op.getAdjoint() ? "1" : "0") + ";\n";
      }
    };
    if (i != j)
      add(0, 1);
    else if (hasTwoParts(op.getZ().getType()))
      add(i, i + kAccRows / kFactorBlock);
    add(std::max(i, j), std::min(i, j));
    return text + "wgmma.commit_group.sync.aligned;\n"
                  "wgmma.wait_group.sync.aligned 0;\n}";
  }

  EraseApplyOp op;
  Emitter &e;
  SharedOperand operand;
  Type half;
  SmallVector<Value> rates, negatedRates;
  Value descriptor;
  int64_t units = 0;
  SmallVector<SmallVector<Value>, 2> parts;
};

struct EraseApplyPattern : OpConversionPattern<EraseApplyOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(EraseApplyOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    rewriter.replaceOp(op, Solve(op, adaptor, e).build());
    return success();
  }
};
} // namespace

void tile::populateEraseApplyPatterns(LLVMTypeConverter &converter,
                                      RewritePatternSet &patterns) {
  patterns.add<EraseApplyPattern>(converter, patterns.getContext());
}
