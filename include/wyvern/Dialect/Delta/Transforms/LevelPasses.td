//===- LevelPasses.td - Passes on levels of states ---------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_TRANSFORMS_LEVELPASSES
#define WYVERN_DIALECT_DELTA_TRANSFORMS_LEVELPASSES

include "mlir/Pass/PassBase.td"

def FormLevelsPass : Pass<"delta-form-levels"> {
  let summary = "turn each recurrence with levels into one chunk program";
  let description = [{
    Replaces every `delta.recurrence` with level scales by a `delta.chunk_scan` in WY
    form and the sum of its outs; others are `delta-form-wy`'s. With L levels the scan
    has L heads for each value head: head j L + l is the state of level l of value head
    j. `delta.level_rows` says what it does at a token:

    ```
    g' = g + gate * starts      the state is emptied every 2^l tokens (gate = -32; -64 in f64)
    v' = writes * v             tokens of the first half of these are written to it
    o' = lam * reads * o        those of the second half read it, with the level's scale
    o  = sum of o' over the levels
    ```

    So a level costs what a value head costs. A sequence has at most 2^(L-1) tokens: the
    function gets that number as `delta.max_tokens`, for the runtime to check. The final
    state must not be read, for the heads do not hold it; of a recurrence with positions
    it is the scan's, a state for each level, tokens are counted from the positions, and
    rows past a sequence's end empty nothing.

    Before:

    ```mlir
    %o, %sT = delta.recurrence query(%q) decay(%g) step(write %k value %v)
        level_scales(%lam) scale 1.0 : ...
    return %o
    ```

    After (types left out; 4 levels, 2 value heads):

    ```mlir
    %os, %sT = delta.chunk_scan forward chunk = 64 heads = 8 compute = f32
        ins(%Q = %q[seq, time, head, _], %g0 = %g[seq, time, head],
            %K = %k[seq, time, head, _], %V = %v[seq, time, head, _],
            %l = %lam[seq, time, head])
        carry(%S = %zeros[seq, head, _, _]) outs([seq, time, head, _]) valid(%n) {
      %w = delta.level_rows writes of 4
      %V1 = arith.mulf %V, %w_rows
      %s = delta.level_rows starts of 4
      %e = arith.mulf %s, %minus_32
      %g1 = arith.addf %g0, %e
      %r = delta.level_rows reads of 4
      %lr = arith.mulf %l, %r
      ... // delta-form-wy's region of %Q, %g1, %K, %V1, with rows of its P and of
          // (Q * e^a) multiplied by %lr
    }
    %o = delta.chunk_map chunk = 64 heads = 2 compute = f32
        ins(%O0 = %os[seq, time, head * 4, _], %O1 = %os[seq, time, head * 4 + 1, _],
            %O2 = %os[seq, time, head * 4 + 2, _], %O3 = %os[seq, time, head * 4 + 3, _])
        outs([seq, time, head, _]) valid(%n) { ... delta.yield outs(%O0 + ... + %O3) }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::math::MathDialect",
                           "::mlir::tensor::TensorDialect"];
  let options = [
    Option<"rows", "rows", "int64_t", /*default=*/"64",
           "most rows (tokens times repeat) of a chunk">,
  ];
  let statistics = [
    Statistic<"numFormed", "num-formed", "recurrences with levels turned into chunk scans">,
    Statistic<"numHeads", "num-heads", "heads of these scans">,
  ];
}

#endif // WYVERN_DIALECT_DELTA_TRANSFORMS_LEVELPASSES
