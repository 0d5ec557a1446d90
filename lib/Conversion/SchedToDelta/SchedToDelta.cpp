//===- SchedToDelta.cpp - convert-sched-to-delta --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Conversion/SchedToDelta/SchedToDelta.h"

#include "KernelMerger.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace mlir::wyvern {
#define GEN_PASS_DEF_CONVERTSCHEDTODELTAPASS
#include "wyvern/Conversion/SchedToDelta/Passes.h.inc"
} // namespace mlir::wyvern

using namespace mlir;
using namespace mlir::wyvern;

namespace {
struct ConvertSchedToDelta
    : wyvern::impl::ConvertSchedToDeltaPassBase<ConvertSchedToDelta> {
  void runOnOperation() override {
    SmallVector<sched::KernelOp> kernels(
        getOperation().getOps<sched::KernelOp>());
    for (sched::KernelOp kernel : kernels) {
      KernelMerger merger(kernel);
      if (failed(merger.merge()))
        return signalPassFailure();
      ++numKernels;
      numRounded += merger.getNumRounded();
    }
  }
};
} // namespace
