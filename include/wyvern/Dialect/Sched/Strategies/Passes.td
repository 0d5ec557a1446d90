//===- Passes.td - Passes that choose a schedule -----------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_SCHED_STRATEGIES_PASSES
#define WYVERN_DIALECT_SCHED_STRATEGIES_PASSES

include "mlir/Pass/PassBase.td"

def SeparatePass : Pass<"sched-separate", "::mlir::func::FuncOp"> {
  let summary = "one kernel a chunk program";
  let description = [{
    Every `delta.chunk_scan` and `delta.chunk_map` of the function becomes a
    `sched.kernel` of two roles: one warpgroup that computes and one warp that loads,
    joined by a channel that holds the program's ins.

    * A scan's blocks are for a sequence, a head and 64 elements of the split
      dimension: the one that the recurrence does not mix, so blocks share nothing.
      Its channel is `stages` chunks deep.
    * A map's blocks are for one chunk each. Nothing is loaded ahead in a block, so
      several share an SM: three, or two where the map multiplies by what it has
      computed and so needs more registers.

    It is the schedule of every program that no other strategy takes.

    Before:

    ```mlir
    %o, %sT = delta.chunk_scan forward chunk = 64 heads = 16 compute = f32
        ins(%Q = %q[seq, time, head, _] : tensor<?x?x16x128xbf16>, ...)
        carry(%S = %s0[seq, head, _, _] : tensor<?x16x128x128xf32>) ... { ... }
    ```

    After:

    ```mlir
    %o, %sT = sched.kernel "layer_scan" grid(heads = 16, split = 2, over = sequences)
        chunk = 64 compute = f32 min_blocks 1 ins(%in = %q[...] ...) ... {
      %channel = sched.channel depth 2 fill tma tail reader : ...
      sched.role "compute" warps 4 {
        %S0 = sched.load %init
        %SN = sched.each_chunk forward valid(%n) carries(%S = %S0 : ...) {
          %Q, %K = sched.get %channel ...
      sched.role "load" warps 1 { ... }
    ```
  }];
  let options = [
    Option<"stages", "stages", "int64_t", /*default=*/"2",
           "chunks that a scan's loads are ahead">
  ];
  let statistics = [
    Statistic<"numKernels", "kernels", "kernels made">
  ];
  let dependentDialects = ["::mlir::wyvern::sched::SchedDialect"];
}

#endif // WYVERN_DIALECT_SCHED_STRATEGIES_PASSES
