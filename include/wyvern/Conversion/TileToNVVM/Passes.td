//===- Passes.td - convert-tile-to-nvvm --------------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_CONVERSION_TILETONVVM_PASSES
#define WYVERN_CONVERSION_TILETONVVM_PASSES

include "mlir/Pass/PassBase.td"

def ConvertTileToNVVMPass
    : Pass<"convert-tile-to-nvvm", "::mlir::ModuleOp"> {
  let summary = "tile kernels to LLVM and NVVM, one gpu.module a kernel";
  let description = [{
    The one place that spells PTX. A thread's part of a register tile becomes one
    LLVM vector, a shared tile its 32-bit shared address, a ring its base address
    (stage and phase follow from the running index), a global its pointer and
    strides. `scf` is left for the upstream conversions; the functions that were
    the program's interface above are erased.

    Before:

    ```mlir
    %x = tile.await %d : !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
    ```

    After (the accumulator's 32 registers go through the wait):

    ```mlir
    %r = llvm.inline_asm has_side_effects "wgmma.wait_group.sync.aligned 0;",
           "=f,...,0,...,~{memory}" %d0, ... : (f32, ...) -> !llvm.struct<(f32, ...)>
    ```
  }];
  let statistics = [
    Statistic<"numKernels", "kernels", "kernels converted">
  ];
  let dependentDialects = [
    "::mlir::gpu::GPUDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::NVVM::NVVMDialect", "::mlir::scf::SCFDialect"
  ];
}

#endif // WYVERN_CONVERSION_TILETONVVM_PASSES
