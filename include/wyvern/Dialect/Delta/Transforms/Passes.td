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
      Tiles have 64 of such a step nevertheless, and a multiple of 16 tokens (of 32 with
      gates): `time * 3 in 64`, with zeros behind a chunk's as behind a sequence's end.
      Where another step has one row a token, these are 64 too: its pairs are a matrix.
    * A step with `repeat n` and a decay a channel has n rows a token of all that is read:
      maps in front of the scan give the first row of a token its decay, the last one its
      query, and zeros to the others (`time * n row i`); one behind it takes the last row
      of the output. A chunk sums such decays over its rows, which are then 64 tokens of a
      recurrence with one row each.
    * A step that reads before the decay takes the exclusive running sum, and
      pairs with earlier tokens only.
    * Steps that erase nothing leave the system: what they add to W is subtracted
      beforehand, so RWKV-7 solves one row a token and linear attention nothing.
    * At most one step may erase. Equal steps are one step with `repeat n`.
    * Decays a channel are bounded where exp of them is 0, at -104 (of f64 at -746):
      `arith.maximumf %G, %least`. Sums of them are numbers then, and what is below has no
      gradient. (Those that a map in front makes are bounded there.)

    What a layer computes of each token in front of its recurrence can be part of the
    region: a *prologue*. The function then takes what it is computed of, under names of
    its own and in the type of the query.

    ```
    norm     q and the keys x become       x / sqrt(sum of x^2 + 1e-6)
    decay    the log decay g becomes       -e^A_log log(1 + e^(a + dt_bias))
             with delta.lower_bound on     bound / (1 + e^-(e^A_log (a + dt_bias)))
             the function
    rates    a rate becomes                max_rate / (1 + e^-b)
    gates    decay and rates
    scale    o is multiplied by scale [heads] of the call; no gradient
    ```

    A decay a channel is read many times, in f32, by all maps of a layer: a `chunk_map` in
    front of the scan makes it.
    What a spec computes comes as maps of chunks of one token, which get chunks as long as
    the scan's. It computes numbers a row, and sums and products of rows, itself.

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
    Option<"multiple", "multiple", "int64_t", "16", "rows that a tile of tokens has a multiple of">,
    Option<"gateMultiple", "gate-multiple", "int64_t", "32", "the same where tokens have gates">,
    ListOption<"prologue", "prologue", "std::string",
               "what the region computes of its operands: norm, gates, decay, rates, scale">,
  ];
  let statistics = [
    Statistic<"numFormed", "num-formed", "recurrences turned into chunk scans">,
    Statistic<"numSolves", "num-solves", "chunk scans with a triangular solve">,
    Statistic<"numEliminated", "num-eliminated",
              "write-only steps taken out of a triangular system">,
    Statistic<"numSpread", "num-spread",
              "recurrences whose decays a channel are those of rows, of several a token">,
  ];
}

def SimplifyPass : Pass<"delta-simplify"> {
  let summary = "drop dead parts of chunk programs, keep matmul operands plain";
  let description = [{
    * Ins and outs that nothing reads, repeated ins, and carries that reach no
      result leave the program; a scan without carries becomes a map. (These are
      the canonicalizations of the two ops.)
    * A scale on the tile of an in that is an operand of a contraction moves off
      it: a scale over dimensions that the result keeps moves to the result, one
      over summed dimensions moves to the other operand, if that is computed
      anyway. Between two ins the second operand takes it. So the in can be read
      by the matmul as it was loaded, and the decays of a head cost a product on
      an accumulator. A scale that varies over kept and summed dimensions at once
      (a decay for each channel) stays. A scale of the rows of an in that `decay_dot`
      multiplies moves to rows or columns of the result, whatever the decay.
    * A scale of the rows of a sum of products moves into its terms, where it joins
      scales that are there; row dots of the sum are taken of the scaled one. So the
      gradient of rows that were scaled holds one sum, and both sides of a matrix of
      pairs share it.
    * `delta.decay_apply` without a decay a channel becomes `delta.decay_mask` and a
      contraction: its two sides share the masked matrix.
    * Common subexpressions are then merged.

    Before (types left out):

    ```mlir
    %KE = arith.mulf %K, %ea_rows
    %KS = linalg.contract ins(%KE, %S) outs(%zero)       // (K * e^a) S
    ...
    %KX = arith.mulf %K, %es_rows
    %S1 = linalg.contract ins(%KX, %U) outs(%dS)         // (K * e^(aC - a))^T U
    ```

    After:

    ```mlir
    %KS = linalg.contract ins(%K, %S) outs(%zero)
    %KSe = arith.mulf %ea_rows, %KS                      // e^a * (K S)
    ...
    %UX = arith.mulf %es_rows, %U
    %S1 = linalg.contract ins(%K, %UX) outs(%dS)         // K^T (e^(aC - a) * U)
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [
    Statistic<"numScalesMoved", "num-scales-moved",
              "scales moved off an in that a matmul reads">,
    Statistic<"numScalesPushed", "num-scales-pushed",
              "scales of rows moved into a sum of products">,
    Statistic<"numDecaysExpanded", "num-decays-expanded",
              "decay_apply turned into a mask and a contraction">,
  ];
}

def SumProductsPass : Pass<"delta-sum-products"> {
  let summary = "add the products of a sum to one tile";
  let description = [{
    In each `delta.chunk_map`, a sum of matrices is written anew: first what is no
    product, then products that have a scale in common (a vector that is spread over
    rows or columns, or a number), added up and scaled once, then all other products,
    each added to the tile of the sum before it. A scale that differs in its sign alone
    is the same one: those products come first, with their sign changed.

    The sum of the rows that differentiation leaves holds as many tiles as it has
    products; this one holds one, or two where scales differ. What a chain does is
    left in the order in which its operands come, but for a product that is added times
    a number: it goes to the tile of the other term, which is divided by the number
    before and multiplied by it behind.

    Before (types left out):

    ```mlir
    %A = linalg.contract ins(%R, %dS) outs(%zero)
    %bA = arith.mulf %beta_rows, %A
    %B = linalg.contract ins(%dP, %Q) outs(%zero)
    %s = arith.addf %bA, %B
    %C = linalg.contract ins(%X, %S) outs(%zero)
    %bC = arith.mulf %minus_beta_rows, %C
    %t = arith.addf %s, %bC
    ```

    After:

    ```mlir
    %C = linalg.contract ins(%X, %S) outs(%zero)
    %minus_C = arith.negf %C
    %d = linalg.contract ins(%R, %dS) outs(%minus_C)
    %bd = arith.mulf %beta_rows, %d
    %t = linalg.contract ins(%dP, %Q) outs(%bd)
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect"];
  let statistics = [
    Statistic<"numSums", "num-sums", "sums written anew">,
  ];
}

def SumRowsPass : Pass<"delta-sum-rows"> {
  let summary = "row dots of products with few registers and instructions";
  let description = [{
    In each `delta.chunk_map` that sums rows of products of tiles, for gradients of gates:

    * a scale of rows, or a number, comes out of the sum, sum_j s_i x_ij y_ij = s_i sum_j
      x_ij y_ij, and two scales of a tile are one, so that a tile is scaled once;
    * of z = s x + t y, x and y products, the row dot of t y is that of z less that of s x:
      a product need not be there beside the sum that it is added to;
    * running sums that are added are one running sum, of what they run over, added; what
      waits for most products is added last.

    Before (types left out):

    ```mlir
    %sx = arith.mulf %s_rows, %x
    %sxk = arith.mulf %sx, %k
    %a = linalg.reduce { arith.addf } ins(%sxk) dimensions = [1]
    %ty = arith.mulf %t_rows, %y
    %tyk = arith.mulf %ty, %k
    %b = linalg.reduce { arith.addf } ins(%tyk) dimensions = [1]
    %z = arith.addf %sx, %ty
    ```

    After:

    ```mlir
    %sx = arith.mulf %s_rows, %x
    %xk = arith.mulf %x, %k
    %a0 = linalg.reduce { arith.addf } ins(%xk) dimensions = [1]
    %a = arith.mulf %s, %a0
    %ty = arith.mulf %t_rows, %y
    %z = arith.addf %sx, %ty
    %zk = arith.mulf %z, %k
    %ab = linalg.reduce { arith.addf } ins(%zk) dimensions = [1]
    %b = arith.subf %ab, %a
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect"];
  let statistics = [
    Statistic<"numDifferences", "num-differences",
              "row dots that are differences of two">,
    Statistic<"numRunning", "num-running", "running sums joined">,
  ];
}

def ShareSumsPass : Pass<"delta-share-sums"> {
  let summary = "the decay of a chunk is the last of its running decays";
  let description = [{
    In each `delta.chunk_scan`, the exponential of the sum of a vector becomes the last
    valid row of the exponential of its running sum, where the scan reads one that a
    `delta.chunk_map` has made of the same tensor. Sums over a chunk's tokens are then
    made once, in the map, and not in the middle of the chain. Rows past the valid ones
    are zero in the sum and not there in memory, hence the last valid row.

    Before:

    ```mlir
    %ea = delta.chunk_map ... ins(%G = %g[seq, time, head] : ...) ... {
      %a = delta.cumsum %G
      %e = math.exp %a
      delta.yield outs(%e)
    }
    %t = delta.chunk_scan ... ins(%G = %g[seq, time, head], %E = %ea[seq, time, head]) ... valid(%n) {
      %sum = linalg.reduce { arith.addf } ins(%G) ...
      %all = math.exp %sum
    ```

    After:

    ```mlir
    %t = delta.chunk_scan ... ins(%E = %ea[seq, time, head]) ... valid(%n) {
      %all = delta.last_row %E, %n
    ```
  }];
  let statistics = [
    Statistic<"numShared", "num-shared", "sums that a map has made">,
  ];
}

def StagePass : Pass<"delta-stage"> {
  let summary = "cut each scan into a map, the chain that needs an order, a map";
  let description = [{
    What no carry enters can be computed for all chunks at once. Each
    `delta.chunk_scan` becomes a `delta.chunk_map` of that part, followed by a
    `delta.chunk_scan` of the rest, the *chain*.

    The *split dimension* is the last dimension of the carried state that nothing on
    the way from carry to carry sums over (in a delta rule V): along it the chain is
    independent. Outs that sum over it feed nothing back, so a `delta.chunk_map`
    after the chain computes them. It takes the carry of every
    chunk, and what else it needs of the chain and is worth a load, as outs of the
    chain. Other reads of the state stay in the chain, where the state is at hand.

    First, a solve whose system depends on no carry is split into its factor, in
    blocks of 32 rows where there are more, which goes to the map, and products:

    ```
    (R, U) = erase_solve(L, c, W)       ->   R = erase_apply(Z, c, W),  U = c * R,  Z = erase_factor(L, c)
    X = erase_solve_adjoint(L, c, dU)   ->   X = erase_apply adjoint(Z, c, dU)
    ```

    A value that the chain needs and the map has crosses as a result of the map:
    bound `[seq, time, head, _]`, with `time * n` where it has n rows a token, or
    `[chunk, head, _]` if it has no rows. Its rows past the end of a sequence come
    back as zeros, like those of every in. These never cross, they are computed
    again in the chain: constants, broadcasts, tensors of rank 0, vectors that
    elementwise ops and reductions make of ins alone (so a running sum crosses, at
    the last vector before it is broadcast), values with the split dimension, and what is not of
    the compute type (comparisons, rounded tiles). An out that no carry enters is
    computed by the map before, or by the one after if there is one.

    Before (types and most bindings left out):

    ```mlir
    %o, %sT = delta.chunk_scan forward chunk = 64 heads = 16 compute = f32
        ins(%K = %k[...], %V = %v[...], %c = %beta[...]) carry(%S = %s0[...])
        outs([...]) valid(%n) {
      %L = delta.decay_dot before_row %K, %K
      %KS = linalg.contract ins(%K, %S) outs(%zero)
      %W = arith.subf %V, %KS
      %R, %U = delta.erase_solve %L, %c, %W
      %S1 = linalg.contract ins(%K, %U) outs(%S)
      delta.yield outs(%R) carry(%S1)
    }
    ```

    After:

    ```mlir
    %z = delta.chunk_map chunk = 64 heads = 16 compute = f32
        ins(%K = %k[...], %c = %beta[...])
        outs([seq, time, head, _] : tensor<?x?x16x64xf32>) valid(%n) {
      %L = delta.decay_dot before_row %K, %K
      %Z = delta.erase_factor %L, %c block 32
      delta.yield outs(%Z)
    }
    %o, %sT = delta.chunk_scan forward chunk = 64 heads = 16 compute = f32
        ins(%K = %k[...], %V = %v[...], %c = %beta[...],
            %Z = %z[seq, time, head, _]) carry(%S = %s0[...])
        outs([...]) valid(%n) {
      %KS = linalg.contract ins(%K, %S) outs(%zero)
      %W = arith.subf %V, %KS
      %R = delta.erase_apply %Z, %c, %W block 32
      %C = linalg.broadcast ins(%c)
      %U = arith.mulf %C, %R
      %S1 = linalg.contract ins(%K, %U) outs(%S)
      delta.yield outs(%R) carry(%S1)
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [
    Statistic<"numStaged", "num-staged", "scans cut into maps and a chain">,
    Statistic<"numSolvesSplit", "num-solves-split",
              "solves split into a factor and a matmul">,
    Statistic<"numCrossing", "num-crossing",
              "values handed from one part to another">,
    Statistic<"numRecomputed", "num-recomputed",
              "ops computed again in the chain instead">,
  ];
}

def SegmentPass : Pass<"delta-segment"> {
  let summary = "cut long sequences into segments that run at once, exactly";
  let description = [{
    A chain is sequential over chunks, so one head of one long sequence keeps one
    part of a GPU busy. But what a segment of chunks does to the state S that enters
    it is A S + B with one matrix A, its *transition*, for all columns of S that the
    chain keeps apart (the split dimension of `delta-stage`, here its *lanes*).

    Each `delta.chunk_scan` with one carry that is a matrix, and whose next carry is
    affine in it, becomes

    * the chain from zero on every segment, without outs: B, where it ends,
    * its linear part from the identity on every segment: A, where that ends,
    * a scan over segments, S+ = A S + B, from the initial to the final state: it
      stores the state that enters each segment,
    * the chain again, with its outs, a run for each segment from that state. Where states are kept
      on the way, it keeps them, in the pool that the scan over segments has written.

    Segments are runs of chunks of one sequence, with slots as in `chunk * m`: no
    segment crosses from a sequence to the next, and how many there can be follows from
    the number of tokens and sequences alone. With `at-launch` the function gets their tokens as
    `delta.segment_tokens`: kernels take that number from the launch then, which
    chooses it by the shapes of its tensors; all other programs (the CPU's among them) have
    it as it stands. Where the function is one scan from an argument to a result, beside maps, and nothing knows where in its sequence a chunk
    is, it also gets `delta.in_parts`, the direction of the scan: a launch may hand parts of a sequence to it one after the other. What has a slot a chunk (states that training saves) keeps the slots of the whole sequence; of a pool, which has to be of the carry's type, the first part reads a slot and the last one writes one. Other scans stay as they are, with a remark of the category `delta-segment`. Run `delta-simplify` afterwards: it drops
    ins that the transition does not read.

    Before (types and most bindings left out):

    ```mlir
    %o, %sT = delta.chunk_scan forward chunk = 64 heads = 16 compute = f32
        ins(%Q = %q[...], %K = %k[...], %V = %v[...]) carry(%S = %s0[seq, head, _, _])
        outs([seq, time, head, _]) valid(%n) {
      %KS = linalg.contract ins(%K, %S) outs(%zero)
      %U = arith.subf %V, %KS
      %O = linalg.contract ins(%Q, %S) outs(%zero)
      %S1 = linalg.contract ins(%K, %U) outs(%S)
      delta.yield outs(%O) carry(%S1)
    }
    ```

    After `delta-segment{tokens=4096}`:

    ```mlir
    %zeros, %ones = delta.chunk_map chunk = 4096 heads = 16 compute = f32
        ins(%Q = %q[...]) outs([chunk, head, _, _], [chunk, head, _, _]) valid(%n) {
      %0 = arith.constant dense<0.0>
      %I = delta.identity
      delta.yield outs(%0, %I)
    }
    %b, %0 = delta.chunk_scan forward chunk = 64 heads = 16 compute = f32
        ins(%K = %k[...], %V = %v[...]) carry(%S = %zeros[chunk * 64, head, _, _])
        outs([chunk * 64 + 63, head, _, _]) valid(%n) {
      %KS = linalg.contract ins(%K, %S) outs(%zero)
      %U = arith.subf %V, %KS
      %S1 = linalg.contract ins(%K, %U) outs(%S)
      delta.yield outs(%S1) carry(%S1)
    }
    %a, %1 = delta.chunk_scan forward chunk = 64 heads = 16 compute = f32
        ins(%K = %k[...]) carry(%S = %ones[chunk * 64, head, _, _])
        outs([chunk * 64 + 63, head, _, _]) valid(%n) {
      %KS = linalg.contract ins(%K, %S) outs(%zero)
      %U = arith.negf %KS
      %S1 = linalg.contract ins(%K, %U) outs(%S)
      delta.yield outs(%S1) carry(%S1)
    }
    %s, %sT = delta.chunk_scan forward chunk = 4096 heads = 16 compute = f32
        ins(%Q = %q[...], %A = %a[chunk, head, _, _], %B = %b[chunk, head, _, _])
        carry(%S = %s0[seq, head, _, _]) outs([chunk, head, _, _]) valid(%n) {
      %S1 = linalg.contract ins(%A, %S) outs(%B)
      delta.yield outs(%S) carry(%S1)
    }
    %o, %2 = delta.chunk_scan forward chunk = 64 heads = 16 compute = f32
        ins(%Q = %q[...], %K = %k[...], %V = %v[...])
        carry(%S = %s[chunk * 64, head, _, _]) outs([seq, time, head, _]) valid(%n) {
      ... as before
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
  let options = [
    Option<"tokens", "tokens", "int64_t", /*default=*/"4096",
           "tokens of a segment, rounded up to whole chunks">,
    Option<"atLaunch", "at-launch", "bool", /*default=*/"false",
           "let a launch choose another number of chunks">,
  ];
  let statistics = [
    Statistic<"numSegmented", "num-segmented", "scans cut into segments">,
  ];
}

include "wyvern/Dialect/Delta/Transforms/LevelPasses.td"
include "wyvern/Dialect/Delta/Transforms/MapPasses.td"
include "wyvern/Dialect/Delta/Transforms/ProloguePasses.td"
include "wyvern/Dialect/Delta/Transforms/RoundingPasses.td"
include "wyvern/Dialect/Delta/Transforms/ServingPasses.td"
include "wyvern/Dialect/Delta/Transforms/TrainingPasses.td"

#endif // WYVERN_DIALECT_DELTA_TRANSFORMS_PASSES
