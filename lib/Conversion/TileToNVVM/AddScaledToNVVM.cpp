//===- AddScaledToNVVM.cpp - A product times a vector, added ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A product of 32 columns at a time, each awaited, so that beside the sum no
// more registers are taken than a part has.
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"
#include "SharedOperand.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// Columns of a part, and the elements of it that a thread holds.
constexpr int64_t kPartColumns = 32;
constexpr int64_t kPartElements = kAccRows * kPartColumns / kWarpgroupThreads;

class PartsEmitter {
public:
  PartsEmitter(AddScaledOp op, AddScaledOp::Adaptor adaptor, Emitter &e)
      : op(op), e(e), a(op.getA().getType(), !op.getTransposeA()),
        b(op.getB().getType(), op.getTransposeB()),
        aDescriptor(a.descriptor(e, adaptor.getA())),
        bDescriptor(b.descriptor(e, adaptor.getB())),
        scales(e.elements(adaptor.getScale())),
        sum(e.elements(adaptor.getC())) {}

  Value build() {
    int64_t parts = sum.size() / kPartElements;
    for (int64_t part = 0; part < parts; ++part)
      addPart(part);
    return e.vectorOf(sum);
  }

private:
  /// Adds the product's columns from 32 `part` on.
  void addPart(int64_t part) {
    SmallVector<Value> product = multiply(part);
    for (auto [i, value] : llvm::enumerate(product)) {
      Value &element = sum[part * kPartElements + i];
      Value scale = scales[AccPosition::rowOffset(i) / 8];
      element = LLVM::FMAOp::create(e.builder, e.loc, scale, value, element);
    }
  }

  SmallVector<Value> multiply(int64_t part) {
    std::string outputs, inputs;
    for (int64_t i = 0; i < kPartElements; ++i) {
      outputs += "=f,";
      if (part)
        inputs += std::to_string(i) + ",";
    }
    SmallVector<Value> operands(last);
    size_t first = kPartElements + operands.size();
    operands.append({aDescriptor.base, bDescriptor.base});
    inputs += "l,l,";
    if (part) {
      operands.push_back(sum[part * kPartElements - 1]);
      inputs += "f,";
    }
    last = e.ptx(write(part, first), outputs + inputs + "~{memory}", operands,
                 SmallVector<Type>(kPartElements, e.f32()));
    return last;
  }

  /// The wgmmas of a part, one a contraction step, with descriptors from
  /// operand `first` on. A part takes the registers of the one before, which
  /// its first wgmma overwrites: that is said by a predicate which ptxas does
  /// not know, and which needs what was added last. Else it issues all parts
  /// first, and holds the registers of all.
  std::string write(int64_t part, size_t first) {
    std::string type =
        op.getB().getType().getElementType().isBF16() ? "bf16" : "f16";
    int64_t depth = op.getB().getType().getShape()[op.getTransposeB() ? 1 : 0];
    std::string text = "{\n.reg .pred always, never;\n.reg .b64 a, b;\n"
                       ".reg .b32 ones;\n"
                       "setp.eq.u32 always, 0, 0;\n";
    if (part)
      text += "mov.b32 ones, $" + std::to_string(first + 2) +
              ";\npopc.b32 ones, ones;\nsetp.gt.u32 never, ones, 32;\n";
    else
      text += "setp.ne.u32 never, 0, 0;\n";
    text += "wgmma.fence.sync.aligned;\n";
    auto advance = [&](StringRef to, size_t from, int64_t by) {
      text += ("add.s64 " + to + ", $" + Twine(from) + ", " + Twine(by) + ";\n")
                  .str();
    };
    for (int64_t step = 0; step < depth / kStep; ++step) {
      advance("a", first, aDescriptor.units + a.stepOffset(step));
      advance("b", first + 1,
              bDescriptor.units + b.rowOffset(part * kPartColumns) +
                  b.stepOffset(step));
      text += "wgmma.mma_async.sync.aligned.m64n" +
              std::to_string(kPartColumns) + "k16.f32." + type + "." + type +
              " " + writeRegisters(0, kPartElements) + ", a, b, " +
              (step ? "always" : "never") + ", 1, 1, " +
              (op.getTransposeA() ? "1" : "0") + ", " +
              (op.getTransposeB() ? "0" : "1") + ";\n";
    }
    return text + "wgmma.commit_group.sync.aligned;\n"
                  "wgmma.wait_group.sync.aligned 0;\n}";
  }

  AddScaledOp op;
  Emitter &e;
  SharedOperand a, b;
  SharedOperand::Descriptor aDescriptor, bDescriptor;
  SmallVector<Value> scales, sum, last;
};

struct AddScaledPattern : OpConversionPattern<AddScaledOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(AddScaledOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    rewriter.replaceOp(op, PartsEmitter(op, adaptor, e).build());
    return success();
  }
};
} // namespace

void tile::populateAddScaledPatterns(LLVMTypeConverter &converter,
                                     RewritePatternSet &patterns) {
  patterns.add<AddScaledPattern>(converter, patterns.getContext());
}
