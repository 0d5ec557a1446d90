//===- ProloguePasses.td - Work in front of a recurrence ---*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_TRANSFORMS_PROLOGUEPASSES
#define WYVERN_DIALECT_DELTA_TRANSFORMS_PROLOGUEPASSES

include "mlir/Pass/PassBase.td"

def FuseProloguePass : Pass<"delta-fuse-prologue"> {
  let summary = "compute what a token needs inside of the chunk programs that read it";
  let description = [{
    An elementwise operation on whole tensors whose result is an in of a chunk program
    (an erase key `b * k`, a written row `w * v`) moves into the region of the program,
    which then reads the operands. Nothing is written to memory for it, and its
    gradient comes with that of the region. Each program that reads the result computes
    it; where nothing else does, the operation outside goes.

    * The operation computes in the type of the region: in f32 for bf16 tensors.
    * Past the end of a sequence ins are zero. What an operation makes of zeros goes
      through `delta.mask_rows`, unless it is zero.
    * Operands have the shape of the result, and so its binding. Others stay outside,
      with a remark of the category `delta-fuse-prologue`.

    Before (types left out):

    ```mlir
    %e = arith.mulf %b, %k
    %o, %sT = delta.chunk_scan ... ins(%E = %e[seq, time, head, _], ...) ... {
      %L = delta.decay_dot before_row %E, %K
    ```

    After:

    ```mlir
    %o, %sT = delta.chunk_scan ...
        ins(..., %B = %b[seq, time, head, _], %K = %k[seq, time, head, _]) ... {
      %E = arith.mulf %B, %K
      %L = delta.decay_dot before_row %E, %K
    ```
  }];
  let statistics = [
    Statistic<"numFused", "num-fused", "operations computed in a chunk program">,
  ];
}

#endif // WYVERN_DIALECT_DELTA_TRANSFORMS_PROLOGUEPASSES
