//===- Passes.td - convert-sched-to-delta ------------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_CONVERSION_SCHEDTODELTA_PASSES
#define WYVERN_CONVERSION_SCHEDTODELTA_PASSES

include "mlir/Pass/PassBase.td"

def ConvertSchedToDeltaPass
    : Pass<"convert-sched-to-delta", "::mlir::func::FuncOp"> {
  let summary = "what a kernel computes, as one chunk program again";
  let description = [{
    The inverse of a strategy. The roles of a `sched.kernel` become one region, which
    runs a chunk of all of them in the order that the channels allow; what goes through
    a channel is rounded to the type that the channel holds. Warps, depths, copies and
    splits are gone: they do not change what is computed. So a schedule, also one written
    by hand, can be read as a program, and runs on a CPU as one.

    A carry that starts from a constant or `delta.identity` gets a `delta.chunk_map` that
    writes it for every slot.

    A kernel over slots without carries becomes a `delta.chunk_map`, any other a
    `delta.chunk_scan`, whose carries are those of all roles.

    Before:

    ```mlir
    %y = sched.kernel "f" grid(heads = 2, split = 1, over = slots of 1) ...
        ins(%in = %x[seq, time, head, _] : ...) outs(%out = [seq, time, head, _] : ...) {
      %c = sched.channel depth 2 fill warps : <tensor<64x64xbf16>>
      sched.role "exp" warps 4 { sched.each_chunk forward valid(%n) {
        %X = sched.load %in : ...
        %E = math.exp %X : tensor<64x64xf32>
        sched.put %E to %c : ...
      sched.role "double" warps 4 { sched.each_chunk forward valid(%n) {
        %E = sched.get %c : ...
        %Y = arith.addf %E, %E : tensor<64x64xf32>
        sched.store %Y to %out : ...
    ```

    After:

    ```mlir
    %y = delta.chunk_map chunk = 64 heads = 2 compute = f32
        ins(%X = %x[seq, time, head, _] : ...) outs([seq, time, head, _] : ...) valid(%n) {
      %E = math.exp %X : tensor<64x64xf32>
      %r = arith.truncf %E : tensor<64x64xf32> to tensor<64x64xbf16>
      %e = arith.extf %r : tensor<64x64xbf16> to tensor<64x64xf32>
      %Y = arith.addf %e, %e : tensor<64x64xf32>
      delta.yield outs(%Y : tensor<64x64xf32>)
    }
    ```
  }];
  let statistics = [
    Statistic<"numKernels", "kernels", "kernels converted">,
    Statistic<"numRounded", "rounded-tiles", "tiles that a channel rounds">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::tensor::TensorDialect", "::mlir::wyvern::delta::DeltaDialect"
  ];
}

#endif // WYVERN_CONVERSION_SCHEDTODELTA_PASSES
