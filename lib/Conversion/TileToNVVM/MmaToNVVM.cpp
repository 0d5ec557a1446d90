//===- MmaToNVVM.cpp - wgmma --------------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Patterns.h"
#include "SharedOperand.h"

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
/// Writes one asm block: fence, a wgmma a contraction step, commit. One block
/// keeps LLVM from moving anything between the fence and the wgmmas, and the
/// tied accumulators from being copied.
class MmaBuilder {
public:
  MmaBuilder(MmaOp op, MmaOp::Adaptor adaptor, Emitter &e)
      : op(op), adaptor(adaptor), e(e) {}

  Value build();

private:
  std::string reg(size_t i) { return "$" + std::to_string(i); }
  void addAccumulators();
  void addOperandA();
  std::string mainLoop();
  std::string multiply(int64_t step, int64_t first, int64_t columns);

  MmaOp op;
  MmaOp::Adaptor adaptor;
  Emitter &e;
  size_t accCount = 0, firstA = 0, firstB = 0;
  int64_t aUnits = 0, bUnits = 0;
  SmallVector<Value> operands;
  std::string outputs, inputs;
};
} // namespace

void MmaBuilder::addAccumulators() {
  auto type = op.getD().getType().getTile();
  accCount = cast<LayoutAttr>(type.getEncoding())
                 .getElementsPerThread(type.getShape());
  for (size_t i = 0; i < accCount; ++i) {
    outputs += "=f,";
    if (op.getC())
      inputs += std::to_string(i) + ",";
  }
  if (op.getC())
    operands = e.elements(adaptor.getC());
}

void MmaBuilder::addOperandA() {
  firstA = accCount + operands.size();
  if (auto smem = dyn_cast<SmemType>(op.getA().getType())) {
    SharedOperand a(smem, !op.getTransposeA());
    auto [base, units] = a.descriptor(e, adaptor.getA());
    operands.push_back(base);
    aUnits = units;
    inputs += "l,";
    return;
  }
  // The accumulator's order is the A fragment's: pairs of neighbours, four
  // registers a step of 16 columns.
  SmallVector<Value> values = e.elements(adaptor.getA());
  for (size_t i = 0; i < values.size(); i += 2) {
    operands.push_back(e.pack(values[i], values[i + 1]));
    inputs += "r,";
  }
}

/// Returns a step of the product into `columns` columns from `first` on.
std::string MmaBuilder::multiply(int64_t step, int64_t first, int64_t columns) {
  SmemType bType = op.getB().getType();
  auto aSmem = dyn_cast<SmemType>(op.getA().getType());
  int64_t n = op.getD().getType().getTile().getDimSize(1);
  SharedOperand b(bType, op.getTransposeB());
  std::string type = bType.getElementType().isBF16() ? "bf16" : "f16";
  std::string text =
      "add.s64 b, " + reg(firstB) + ", " +
      std::to_string(bUnits + b.rowOffset(first) + b.stepOffset(step)) + ";\n";
  std::string a = "a", transposes;
  if (aSmem) {
    SharedOperand operand(aSmem, !op.getTransposeA());
    text +=
        "add.s64 a, " + reg(firstA) + ", " +
        std::to_string(aUnits + operand.rowOffset(op.getBlock() * kAccRows) +
                       operand.stepOffset(step)) +
        ";\n";
    transposes = std::string(", ") + (op.getTransposeA() ? "1" : "0");
  } else {
    a = writeRegisters(firstA + 4 * step, 4);
  }
  transposes += std::string(", ") + (op.getTransposeB() ? "0" : "1");
  bool overwrite = step == 0 && !op.getC();
  return text + "wgmma.mma_async.sync.aligned.m64n" + std::to_string(columns) +
         "k16.f32." + type + "." + type + " " +
         writeRegisters(accCount * first / n, accCount * columns / n) + ", " +
         a + ", b, " + (overwrite ? "never" : "always") +
         (op.getNegateA() ? ", -1" : ", 1") + ", 1" + transposes + ";\n";
}

std::string MmaBuilder::mainLoop() {
  int64_t steps =
      op.getB().getType().getShape()[op.getTransposeB() ? 1 : 0] / kStep;
  int64_t n = op.getD().getType().getTile().getDimSize(1);
  bool isLower = op->hasAttr(kLowerTriangleAttr);
  std::string text;
  for (int64_t step = 0; step < steps; ++step) {
    if (!isLower) {
      text += multiply(step, 0, n);
      continue;
    }
    // Row i of B has nothing behind column i.
    text += multiply(step, n / 2, n / 2);
    if (step < steps / 2)
      text += multiply(step, 0, n / 2);
  }
  return text;
}

Value MmaBuilder::build() {
  addAccumulators();
  addOperandA();
  firstB = accCount + operands.size();
  SharedOperand b(op.getB().getType(), op.getTransposeB());
  auto [base, units] = b.descriptor(e, adaptor.getB());
  operands.push_back(base);
  bUnits = units;
  inputs += "l";
  std::string text = "{\n.reg .pred always, never;\n.reg .b64 a, b;\n"
                     "setp.eq.u32 always, 0, 0;\n"
                     "setp.ne.u32 never, 0, 0;\n"
                     "wgmma.fence.sync.aligned;\n" +
                     mainLoop() + "wgmma.commit_group.sync.aligned;\n}";
  SmallVector<Value> results =
      e.ptx(text, outputs + inputs + ",~{memory}", operands,
            SmallVector<Type>(accCount, e.f32()));
  return e.vectorOf(results);
}

namespace {
struct MmaPattern : OpConversionPattern<MmaOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(MmaOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    rewriter.replaceOp(op, MmaBuilder(op, adaptor, e).build());
    return success();
  }
};

/// The wait takes the accumulator in and out, so nothing that reads it can move
/// before the wait.
struct AwaitPattern : OpConversionPattern<AwaitOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(AwaitOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Emitter e(rewriter, op.getLoc());
    SmallVector<Value> values = e.elements(adaptor.getValue());
    std::string outputs, inputs;
    for (size_t i = 0; i < values.size(); ++i) {
      outputs += "=f,";
      inputs += std::to_string(i) + ",";
    }
    SmallVector<Value> results =
        e.ptx("wgmma.wait_group.sync.aligned " +
                  std::to_string(op.getPending()) + ";",
              outputs + inputs + "~{memory}", values,
              SmallVector<Type>(values.size(), e.f32()));
    rewriter.replaceOp(op, e.vectorOf(results));
    return success();
  }
};
} // namespace

void tile::populateMmaPatterns(LLVMTypeConverter &converter,
                               RewritePatternSet &patterns) {
  patterns.add<MmaPattern, AwaitPattern>(converter, patterns.getContext());
}
