//===- Passes.td - Passes on the delta dialect -------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_TRANSFORMS_PASSES
#define WYVERN_DIALECT_DELTA_TRANSFORMS_PASSES

include "mlir/Pass/PassBase.td"

def FormWYPass : Pass<"delta-form-wy"> {
  let summary = "turn each recurrence into one chunk program";
  let description = [{
    Replaces every `delta.recurrence` by one `delta.chunk_scan` in WY form: the
    steps of a chunk's tokens become the rows of a few matrices, and what one step
    erases of another becomes a triangular solve. Nothing is rounded, staged or
    laid out; the region computes in f32, or in f64 if the query is f64.

    With g the log decay of a token, a its running sum in the chunk, E, X, Y the
    erase keys, write keys and written rows, and c the rates:

    ```
    L = decay_dot before_row E, X decay(g)       P = decay_dot upto_token Q, X decay(g)
    W = Y - (E * e^a) S                          (R, U) = erase_solve(L, c, W)
    O = scale * ((Q * e^a) S + P U)              S+ = e^(a_C) * S + (X * e^(a_C - a))^T U
    ```

    * A step with `repeat n` has n rows a token; the chunk then has 64 / n tokens.
    * A step that reads before the decay takes the exclusive running sum, and
      pairs with earlier tokens only.
    * Steps that erase nothing leave the system: what they add to W is subtracted
      beforehand, so RWKV-7 solves one row a token and linear attention nothing.
    * At most one step may erase. Equal steps are one step with `repeat n`.

    Before:

    ```mlir
    %o, %sT = delta.recurrence query(%q) step(write %k erase %k value %v rate %b)
        initial_state(%s0) scale 0.5 : ...
    ```

    After (types left out):

    ```mlir
    %o, %sT = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32
        ins(%Q = %q[seq, time, head, _], %K = %k[seq, time, head, _],
            %V = %v[seq, time, head, _], %c = %b[seq, time, head])
        carry(%S = %s0[seq, head, _, _])
        outs([seq, time, head, _]) valid(%n) {
      %L = delta.decay_dot before_row %K, %K
      %KS = linalg.contract ins(%K, %S) outs(%zero)
      %W = arith.subf %V, %KS
      %R, %U = delta.erase_solve %L, %c, %W
      %P = delta.decay_dot upto_token %Q, %K
      %QS = linalg.contract ins(%Q, %S) outs(%zero)
      %PU = linalg.contract ins(%P, %U) outs(%QS)
      %O = arith.mulf %half, %PU
      %S1 = linalg.contract ins(%K, %U) outs(%S)
      delta.yield outs(%O) carry(%S1)
    }
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
    Statistic<"numFormed", "num-formed", "recurrences turned into chunk scans">,
    Statistic<"numSolves", "num-solves", "chunk scans with a triangular solve">,
    Statistic<"numEliminated", "num-eliminated",
              "write-only steps taken out of a triangular system">,
  ];
}

#endif // WYVERN_DIALECT_DELTA_TRANSFORMS_PASSES
