//===- ServingPasses.td - The step of decoding -------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_TRANSFORMS_SERVINGPASSES
#define WYVERN_DIALECT_DELTA_TRANSFORMS_SERVINGPASSES

include "mlir/Pass/PassBase.td"

def FormStepPass : Pass<"delta-form-step"> {
  let summary = "turn a layer into the step of its decoding, on a pool of states";
  let description = [{
    A function of one recurrence, @f, becomes @f_step: the same recurrence as a
    `delta.chunk_scan` with chunks of one token, whose state lies in a pool. With one row a
    token the triangular solve is gone, and so are the running sums of decays.

    * `initial_state` becomes `state`, the pool: [slots, HV, V, K] with `layout=vk`, [slots,
      HV, K, V] with `layout=kv`, of `state-type`. The result `state`, which has its name,
      is the pool with the states after the last tokens: a kernel writes it in place.
    * `cu_seqlens` goes. All sequences have as many tokens, 1 to a few.
    * `read_slots` and `write_slots` say where the state of each sequence is read and
      written; a slot below `first-slot` is none. A sequence that reads none is padding, and its
      rows of `o` are zero. Of one that writes none, or with an empty `write_slots`, the
      state stays as it was: the verification of a draft.
    * `lengths`, if not empty, is how many tokens of each sequence count: the commit of what
      was accepted. Rows of `o` behind them are zero.

    A running sum (`delta.running_sum`) in front of the recurrence is one row a head that
    goes on from token to token, as the state does: its init, an argument `initial_x` whose
    total is returned, becomes a pool `x` [slots, heads, channels], which is read and written
    at the slots of the states, in place. Its angles are kept between -pi and pi.

    With `prologue` the step takes what an engine has after its projections: what
    `delta-form-wy` takes with the same option. The part `conv`, which only a step has, is a
    short causal convolution of width 4 and a SiLU in front of all else: of q, the keys and the
    values, each channel for itself. For each of these, x, there is a filter, `x_filter` [heads,
    dim, 4], and a pool of windows, `x_window` [slots, 3, heads, dim], of the layer's type: the
    last rows of x, oldest first. Windows go with the states: they are read and written at the
    same slots, by the same lengths, in place.

    With `epilogue` the step computes what a layer has behind its recurrence: a norm of each
    row of `o` (with a `norm_weight` [V]), and a gate of the logits `z` [B, T, HV, V]:

    ```
    norm    norm_weight o / sqrt(mean of o^2 + norm-epsilon)
    gate    o z / (1 + e^-z)
    ```

    A state is carried in the compute type from token to token, so T tokens at once give the
    bits of T steps where the pool has that type. A pool of bf16 is rounded to nearest, or with
    `state-rounding=stochastic` by `seeds`, a number a sequence.

    Before:

    ```mlir
    func.func @f(%q, %k, %v, %beta, %initial_state, %cu_seqlens) -> (o, final_state) {
      %o, %sT = delta.recurrence query(%q) step(write %k erase %k value %v rate %beta)
          initial_state(%initial_state) cu_seqlens(%cu_seqlens) scale 0.5 : ...
    ```

    After (types left out):

    ```mlir
    func.func @f_step(%q, %k, %v, %beta, %state, %read_slots, %write_slots, %lengths)
        -> (o, state) {
      %o, %state_1 = delta.chunk_scan forward chunk = 1 heads = 2 compute = f32
          ins(%Q = %q[seq, time, head, _], %K = %k[seq, time, head, _],
              %V = %v[seq, time, head, _], %c = %beta[seq, time, head])
          carry(%S_VK = %state[slot, head, _, _]) slots(%read_slots, %write_slots, first = 0)
          lengths(%lengths) outs([seq, time, head, _]) valid(%n) {
        %S = linalg.transpose %S_VK
        %KS = linalg.contract ins(%K, %S)
        %W = arith.subf %V, %KS
        %U = arith.mulf %W, %cW
        %P = linalg.contract ins(%Q, %K)
        %QS = linalg.contract ins(%Q, %S)
        %PU = linalg.contract ins(%P, %U) outs(%QS)
        ...
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::math::MathDialect",
                           "::mlir::tensor::TensorDialect"];
  let options = [
    Option<"layout", "layout", "std::string", /*default=*/"\"vk\"",
           "order of a state's dimensions in the pool: vk or kv">,
    Option<"stateType", "state-type", "std::string", /*default=*/"\"f32\"",
           "element type of the pool: f32 or bf16; an f64 layer's is f64">,
    Option<"slotType", "slot-type", "std::string", /*default=*/"\"i32\"",
           "element type of read_slots, write_slots and lengths: i32 or i64">,
    Option<"firstSlot", "first-slot", "int64_t", /*default=*/"0",
           "the first slot that is one: what is below means padding">,
    Option<"stateRounding", "state-rounding", "std::string", /*default=*/"\"nearest\"",
           "of a pool of bf16: nearest or stochastic">,
    ListOption<"prologue", "prologue", "std::string",
               "what the step computes of its operands: conv, norm, gates, decay, rates, scale">,
    ListOption<"epilogue", "epilogue", "std::string",
               "what the step computes of its output: norm, gate">,
    Option<"normEpsilon", "norm-epsilon", "double", /*default=*/"1e-6",
           "added to the mean of squares in the norm of the epilogue">,
  ];
  let statistics = [
    Statistic<"numFormed", "num-formed", "functions turned into steps">,
    Statistic<"numSums", "num-sums", "running sums that go on in a pool">,
    Statistic<"numSolves", "num-solves", "steps with a triangular solve">,
  ];
}

def PoolStatesPass : Pass<"delta-pool-states"> {
  let summary = "have sequences begin and end in slots of a pool of states";
  let description = [{
    A function of one chunk program, @f, becomes @f_prefill: that of prompts, whose states lie in
    the pool that steps of decoding advance (`delta-form-step`).

    * `initial_state` becomes `state`, the pool: [slots, HV, K, V], of `state-type`. Its
      strides are the caller's, so a pool [slots, HV, V, K] is another view of that. The result
      `state`, which has its name, is the pool with the states after the last tokens: a kernel
      writes it in place.
    * `read_slots` and `write_slots` say where the state of each sequence is read and
      written; a slot below `first-slot` is none. A sequence that reads none begins with
      zeros. Of one that writes none, or with an empty `write_slots`, the state is nowhere.
    * With `keep` the function is @f_prefill_keep, and takes `keep_slots`, an entry for each
      chunk as a `chunk` dimension has: a slot that the state behind that chunk goes to as
      well, or none.
    * With `state-rounding=stochastic` it takes `seeds`, a number a sequence, as a step does.
    * A `delta.running_sum` goes on from a pool as well, at the same slots: its init, an
      argument `initial_x` whose total is returned, becomes the pool `x` of a step.

    A function whose chunk programs carry something else, or whose state is not its own
    argument and result, is an error: it has no state that a pool could hold.

    Before:

    ```mlir
    func.func @f(%q, %k, %v, %beta, %initial_state, %cu_seqlens) -> (o, final_state) {
      %o, %sT = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32 ins(...)
          carry(%S = %initial_state[seq, head, _, _] : tensor<?x2x64x64xf32>)
          cu_seqlens(%cu_seqlens) ...
    ```

    After:

    ```mlir
    func.func @f_prefill(%q, %k, %v, %beta, %cu_seqlens, %state, %read_slots, %write_slots)
        -> (o, state) {
      %o, %state_1 = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32 ins(...)
          carry(%S = %state[slot, head, _, _] : tensor<?x2x64x64xf32>)
          slots(%read_slots, %write_slots : tensor<?xi32>, first = 0, else zeros)
          cu_seqlens(%cu_seqlens) ...
    ```
  }];
  let options = [
    Option<"stateType", "state-type", "std::string", /*default=*/"\"f32\"",
           "element type of the pool: f32 or bf16; an f64 layer's is f64">,
    Option<"slotType", "slot-type", "std::string", /*default=*/"\"i32\"",
           "element type of read_slots, write_slots and keep_slots: i32 or i64">,
    Option<"firstSlot", "first-slot", "int64_t", /*default=*/"0",
           "the first slot that is one: what is below means none">,
    Option<"stateRounding", "state-rounding", "std::string", /*default=*/"\"nearest\"",
           "of a pool of bf16: nearest or stochastic">,
    Option<"keep", "keep", "bool", /*default=*/"false",
           "take slots for the states behind chunks, too">,
  ];
  let statistics = [
    Statistic<"numPooled", "num-pooled", "chunk programs whose states lie in a pool">,
    Statistic<"numSums", "num-sums", "running sums that go on in a pool">,
  ];
}

#endif // WYVERN_DIALECT_DELTA_TRANSFORMS_SERVINGPASSES
