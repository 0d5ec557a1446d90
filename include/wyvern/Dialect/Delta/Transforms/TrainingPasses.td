//===- TrainingPasses.td - Passes that make a backward -----*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_TRANSFORMS_TRAININGPASSES
#define WYVERN_DIALECT_DELTA_TRANSFORMS_TRAININGPASSES

include "mlir/Pass/PassBase.td"

def DifferentiatePass : Pass<"delta-differentiate", "::mlir::ModuleOp"> {
  let summary = "derive the backward of each function of chunk programs";
  let description = [{
    Every function `@f` that holds chunk programs becomes `@f_fwd`, and next to it
    stands `@f_bwd`, its reverse-mode derivative. `@f_bwd` takes the arguments of
    `@f` and a gradient of each of its results, and returns a gradient of each
    argument of floats. A gradient has the type of what it belongs to, and the
    `delta.name` of that behind `d_`.

    The backward of a `chunk_scan` is a `chunk_scan` in the other direction that
    carries the gradients of the carries, from that of the final state to that of
    the initial one. Its region is made by one rule an operation
    (`AdjointOpInterface`). Forward values that it needs and that a carry enters,
    among them the carries themselves, are brought by a *replay*: the forward scan
    again, with these as outs. Nothing is saved by the forward: that is
    `delta-plan-residuals`' decision.

    * An in whose heads are shared by several of the program's heads gets its
      gradient one a head, in the compute type, and then summed over each group.
    * An in without a time dimension gets its gradient as one more carry, from
      zero, and then summed over the sequences; where it is a sum over rows that
      are zero past a sequence's end, each token's row leaves the program instead,
      and `delta.sum_tokens` adds them up.
    * Run `delta-simplify` afterwards: it drops what nothing reads of the replays.

    Before (types left out):

    ```mlir
    func.func @f(%q {delta.name = "q"}, %v {delta.name = "v"}, %s0 {delta.name = "s0"})
        -> ({delta.name = "o"}, {delta.name = "sT"}) {
      %o, %sT = delta.chunk_scan forward ... ins(%Q = %q[...], %V = %v[...])
          carry(%S = %s0[...]) outs([...]) valid(%n) {
        %O = linalg.contract ins(%Q, %S) outs(%zero)
        %S1 = linalg.contract ins(%Q, %V) outs(%S)     // Q^T V
        delta.yield outs(%O) carry(%S1)
      }
      return %o, %sT
    }
    ```

    After:

    ```mlir
    func.func @f_fwd(...) attributes {delta.backward = @f_bwd} { ... }
    func.func @f_bwd(%q, %v, %s0, %d_o {delta.name = "d_o"}, %d_sT {delta.name = "d_sT"})
        -> ({delta.name = "d_q"}, {delta.name = "d_v"}, {delta.name = "d_s0"}) {
      %s, %sT = delta.chunk_scan forward ... carry(%S = %s0[...])
          outs([chunk, head, _, _]) valid(%n) { ... delta.yield outs(%S) carry(%S1) }
      %dq, %dv, %ds0 = delta.chunk_scan reverse ...
          ins(%V = %v[...], %S = %s[chunk, head, _, _], %dO = %d_o[...], %Q = %q[...])
          carry(%dS = %d_sT[...]) outs([...], [...]) valid(%n) {
        %dQ1 = linalg.contract ins(%dS, %V) outs(%zero)  // V dS^T
        %dV = linalg.contract ins(%Q, %dS) outs(%zero)   // Q dS
        %dQ = linalg.contract ins(%dO, %S) outs(%dQ1)    // dO S^T
        %dS1 = linalg.contract ins(%Q, %dO) outs(%dS)    // Q^T dO
        delta.yield outs(%dQ, %dV) carry(%dS1)
      }
      return %dq, %dv, %ds0
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::math::MathDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [
    Statistic<"numDifferentiated", "num-differentiated",
              "functions that got a backward">,
  ];
}

def PlanResidualsPass : Pass<"delta-plan-residuals", "::mlir::ModuleOp"> {
  let summary = "decide what a forward saves for its backward";
  let description = [{
    Works on each pair of functions that `delta-differentiate` has made. A value that
    is saved becomes a result of the forward and an argument of the backward, both
    with the attribute `delta.residual` and one `delta.name`; the backward then does
    not compute it again. Arguments of the backward that nothing reads go.

    | save | what is saved | bytes a token and head, C rows a chunk |
    |---|---|---|
    | `factor` | Z = (I + L diag(c))^-1 L of each triangular system | 2 C (16 bits) |
    | `checkpoints` | that, and the states that enter every `interval`-th chunk | 2 C + 4 K V / (C interval) |
    | `states` | that, and all that the backward would run the chain again for | 2 C + 2 (K V / C + V + C) a delta rule |
    | `none` | nothing: Z is formed again in a map | 0 |
    | `auto` | `states` or `factor` | |

    With `auto` both ways are planned on copies. States are saved if they take at most
    `most-bytes` of a row and head of what the function returns, and if forward and
    backward are estimated not to take longer so: each program the longer of the times of
    its bytes and of its products.

    States are replayed from the initial state, or from checkpoints, all segments at
    once. With `states` nothing is replayed: what a replay makes (the state before each
    chunk, the rows R that it takes) is looked for in the forward, by the operations that
    make it, and saved; and so are vectors and products of rows by rows that the
    backward's scan would take from a map before it. Remarks of the category
    `delta-plan-residuals` say what each value takes to be saved, in bytes, and to be
    made again, in FLOP (`--remarks-filter=delta-plan-residuals`).

    Before (types left out):

    ```mlir
    func.func @f_fwd(%k, ...) -> (...) attributes {delta.backward = @f_bwd} {
      %o, %sT = delta.chunk_scan forward ... {
        %R, %U = delta.erase_solve %L, %c, %W {delta.system = 0}
    ...
    func.func @f_bwd(%k, ..., %d_o, ...) -> (...) {
      ... delta.chunk_scan reverse ... {
        %X = delta.erase_solve_adjoint %L, %c, %dU {delta.system = 0}
    ```

    After, with `save=factor`:

    ```mlir
    func.func @f_fwd(%k, ...) -> (..., {delta.name = "factor", delta.residual}) ... {
      %o, %z, %sT = delta.chunk_scan forward ... outs(..., [seq, time, head, _]) {
        %Z = delta.erase_factor %L, %c
        %R = delta.erase_apply %Z, %c, %W
    ...
    func.func @f_bwd(%k, ..., %z {delta.name = "factor", delta.residual}, %d_o, ...) {
      ... delta.chunk_scan reverse ... ins(..., %Z = %z[seq, time, head, _]) {
        %X = delta.erase_apply adjoint %Z, %c, %dU
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
  let options = [
    Option<"save", "save", "std::string", /*default=*/"\"factor\"",
           "what the forward saves: factor, checkpoints, states, none, or auto for "
           "states or factor">,
    Option<"interval", "interval", "int64_t", /*default=*/"8",
           "chunks from one checkpoint to the next">,
    Option<"mostBytes", "most-bytes", "int64_t", /*default=*/"0",
           "with auto: what states may take of a row and head, in bytes; 0 for any">,
    Option<"bytesPerCycle", "bytes-per-cycle", "int64_t", /*default=*/"0",
           "with auto: bytes of memory that the GPU moves in a cycle; 0 to compare no times">,
    Option<"flopsPerCycle", "flops-per-cycle", "int64_t", /*default=*/"0",
           "with auto: operations of products that the GPU does in a cycle; 0 to compare no times">,
  ];
  let statistics = [
    Statistic<"numSaved", "num-saved", "values that a forward saves">,
    Statistic<"numStates", "num-states", "functions of which states are saved by choice">,
  ];
}

#endif // WYVERN_DIALECT_DELTA_TRANSFORMS_TRAININGPASSES
