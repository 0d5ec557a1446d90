//===- TileToNVVM.cpp - convert-tile-to-nvvm ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Conversion/TileToNVVM/TileToNVVM.h"

#include "Patterns.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Patterns.h"

namespace mlir::wyvern {
#define GEN_PASS_DEF_CONVERTTILETONVVMPASS
#include "wyvern/Conversion/TileToNVVM/Passes.h.inc"
} // namespace mlir::wyvern

using namespace mlir;
using namespace mlir::wyvern;
using namespace mlir::wyvern::tile;

namespace {
struct ConvertTileToNVVM
    : wyvern::impl::ConvertTileToNVVMPassBase<ConvertTileToNVVM> {
  void runOnOperation() override {
    MLIRContext *context = &getContext();
    LowerToLLVMOptions options(context);
    options.overrideIndexBitwidth(64);
    LLVMTypeConverter converter(context, options);
    addTileTypeConversions(converter);

    RewritePatternSet patterns(context);
    populateKernelPatterns(converter, patterns);
    populateRolePatterns(converter, patterns);
    populateSequencePatterns(converter, patterns);
    populateRingPatterns(converter, patterns);
    populateCopyPatterns(converter, patterns);
    populateMmaPatterns(converter, patterns);
    populateDirectRowsPatterns(converter, patterns);
    populateColumnsPatterns(converter, patterns);
    populateMatrixMemoryPatterns(converter, patterns);
    populateTileRowsPatterns(converter, patterns);
    populateGlobalMatrixPatterns(converter, patterns);
    populateVectorPatterns(converter, patterns);
    populateTrianglePatterns(converter, patterns);
    populateReducePatterns(converter, patterns);
    populateScanRowsPatterns(converter, patterns);
    populateDecayedProductsPatterns(converter, patterns);
    populateAddScaledPatterns(converter, patterns);
    populateRunningSumPatterns(converter, patterns);
    populateSharedByTokensPatterns(converter, patterns);
    populateDotPatterns(converter, patterns);
    populateEraseApplyPatterns(converter, patterns);
    populateEraseFactorPatterns(converter, patterns);
    populateSpreadMemoryPatterns(converter, patterns);
    populateStochasticTruncPatterns(converter, patterns);
    populateSpreadPatterns(converter, patterns);
    populateSpreadRowsPatterns(converter, patterns);
    populateElementwisePatterns(converter, patterns);
    populateFunctionPatterns(converter, patterns);
    arith::populateArithToLLVMConversionPatterns(converter, patterns);

    ConversionTarget target(*context);
    target.addLegalDialect<LLVM::LLVMDialect, NVVM::NVVMDialect>();
    target.addLegalOp<gpu::GPUModuleOp>();
    target.addIllegalDialect<TileDialect, arith::ArithDialect,
                             math::MathDialect>();
    scf::populateSCFStructuralTypeConversionsAndLegality(converter, patterns,
                                                         target);
    // The kernels are converted; what is around them stays as it is.
    target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
    SmallVector<Operation *> kernels(getOperation().getOps<KernelOp>());
    if (failed(applyPartialConversion(kernels, target, std::move(patterns))))
      return signalPassFailure();
    numKernels += kernels.size();
    // The wall: nothing of the delta level below. Who wants the interface takes
    // it from the tile phase (describeProgram).
    for (auto func :
         llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>()))
      func.erase();
  }
};
} // namespace
