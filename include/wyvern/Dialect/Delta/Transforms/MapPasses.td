//===- MapPasses.td - Which map makes what -----------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_TRANSFORMS_MAPPASSES
#define WYVERN_DIALECT_DELTA_TRANSFORMS_MAPPASSES

include "mlir/Pass/PassBase.td"

def JoinMapsPass : Pass<"delta-join-maps"> {
  let summary = "maps that make the same matrix, as one";
  let description = [{
    A backward that runs the chain again needs keys times their decays for that, and
    for its own chain, and so has two maps that make them, of the same ins. This pass
    makes one of two maps that both make a matrix of rows, where the first of them
    stands, if all that the second reads is there.

    Before (types and bindings left out):

    ```mlir
    %a = delta.chunk_map ins(%G = %g, %K = %k) outs(...) { ... yield outs(%decayed) }
    %o = delta.chunk_scan ins(... = %a) ...
    %b:2 = delta.chunk_map ins(%Q = %q, %G = %g, %K = %k) outs(...) { ... yield outs(%decayed, %P) }
    ```

    After:

    ```mlir
    %ab:2 = delta.chunk_map ins(%G = %g, %K = %k, %Q = %q) outs(...) { ... yield outs(%decayed, %P) }
    %o = delta.chunk_scan ins(... = %ab#0) ...
    ```
  }];
  let statistics = [
    Statistic<"numJoined", "num-joined", "maps joined to another">,
  ];
}

def SplitMapsPass : Pass<"delta-split-maps"> {
  let summary = "maps of wide channels as one for each part of these";
  let description = [{
    Products with a decay a channel (`delta.decay_apply`) sum over tokens, never over
    channels: of d_q, d_k and d_g, and of what the states add to them, a block can make
    some channels as well as all. This pass finds the channels of such products in a
    `delta.chunk_map` whose key dimension is wide, and makes two maps of it. The first one
    has what the other cannot have in parts: operations that sum over the channels, and
    products without them (the gradients of the factors), which would be made once for
    each part. The second one has as many heads for each as there are parts, whose
    tensors are bound to `_ split n`: head j has part j modulo n. All its tiles are so
    much narrower, so that a block has room for sums that would else go from map to map
    through memory (`delta-cut-maps`).

    Before, with key dimension 128 (types left out):

    ```mlir
    %d = delta.chunk_map heads = 4 ins(%dO[seq, time, head, _], %R[seq, time, head, _],
                                       %K[seq, time, head, _], %G[seq, time, head, _])
        outs([seq, time, head, _]) {
      %m = linalg.contract %dO, %R
      %a = delta.decay_apply upto_token %m, %K decay(%G)
      delta.yield outs(%a)
    }
    ```

    After, with `columns=64`:

    ```mlir
    %M = delta.chunk_map heads = 4 ins(%dO[seq, time, head, _], %R[seq, time, head, _]) {
      %m = linalg.contract %dO, %R
      delta.yield outs(%m)
    }
    %d = delta.chunk_map heads = 8 ins(%m = %M[seq, time, head, _], %K[seq, time, head, _ split 2],
                                       %G[seq, time, head, _ split 2])
        outs([seq, time, head, _ split 2]) {
      %a = delta.decay_apply upto_token %m, %K decay(%G)
      delta.yield outs(%a)
    }
    ```

    Sums over the channels that read what is made in parts, as the gradient of a norm
    does, and what follows from them, are a third map.

    Pairs of tokens with a decay a channel (`delta.decay_dot`) do sum over the channels.
    Those of a map whose channels are more than `most-summed`, and whose products are of
    more than a query and one key, are made in parts too. The map behind adds the parts
    up in f32 (`delta.sum_of_parts`, which keeps `delta-assign-precision` from rounding
    them), and has what follows from the sum, the factor of a triangular system say:

    ```mlir
    %L, %R = delta.chunk_map heads = 8 ins(%E[seq, time, head, _ split 2],
        %X[seq, time, head, _ split 2], %G[seq, time, head, _ split 2]) {
      %l = delta.decay_dot before_row %E, %X decay(%G)
      ...
    }
    %Z = delta.chunk_map heads = 4 ins(%a = %L[seq, time, head * 2, _],
                                       %b = %L[seq, time, head * 2 + 1, _], ...) {
      %l = arith.addf %a, %b
      %z = delta.erase_factor %l, %c
      delta.yield outs(%z)
    }
    ```

    Channels that are no multiple of `columns` are filled up: of 96 one part has 64 and
    the other 32, with zeros behind (`_ split 2 * 64`). A map stays whole where its
    channels are no more than `columns`, or where products with a decay follow from such
    a sum, of which a remark says so.

    Where no product has a decay a channel, the columns of rows that leave are channels
    in the same way, if a block has no room for a product of all (`shared-bytes`), or for
    the map, be it in rounds (`delta-cut-maps`): dq and dk of states of 256 x 512 would
    else be sums over parts of the values that go from map to map through memory, and
    four maps would read each state of 96 x 192 two or three times. Sums over the channels that lead to vectors alone, as those of
    q * dq for the gradient of a gate, each part makes its summand of. Those of a head
    are as many heads of one tensor, and the last map adds them up.

    Before, of 256 x 512:

    ```mlir
    %d:2 = delta.chunk_map heads = 4 ins(%Q[seq, time, head, _], %dO[seq, time, head, _],
                                         %S[chunk, head, _, _]) {
      %a = linalg.contract %dO, %S
      %0 = arith.mulf %a, %Q
      %1 = linalg.reduce { arith.addf } ins(%0) dimensions = [1]
      %g = delta.cumsum reverse %1
      delta.yield outs(%a, %g)
    }
    ```

    After:

    ```mlir
    %d:2 = delta.chunk_map heads = 16 ins(%Q[seq, time, head, _ split 4], %dO[seq, time, head, _],
                                          %S[chunk, head, _ split 4, _])
        outs([seq, time, head, _ split 4], [seq, head, time]) {
      %a = linalg.contract %dO, %S
      %0 = arith.mulf %a, %Q
      %1 = linalg.reduce { arith.addf } ins(%0) dimensions = [1]
      delta.yield outs(%a, %1)
    }
    %dg = delta.chunk_map heads = 4 ins(%x = %d#1[seq, time, head * 4],
                                        %y = %d#1[seq, time, head * 4 + 1], ...) {
      %s = arith.addf %x, %y    // and so on
      %g = delta.cumsum reverse %s
      delta.yield outs(%g)
    }
    ```
  }];
  let options = [
    Option<"columns", "columns", "int64_t", /*default=*/"64",
           "channels of a part">,
    Option<"sharedBytes", "shared-bytes", "int64_t", /*default=*/"227 * 1024",
           "shared memory of a block">,
    Option<"registerBytes", "register-bytes", "int64_t", /*default=*/"106496",
           "registers of a block for sums">,
    Option<"mostSummed", "most-summed", "int64_t", /*default=*/"128",
           "channels that pairs of tokens are summed over in one map">,
  ];
  let statistics = [
    Statistic<"numSplit", "num-split", "maps made for parts of channels">,
    Statistic<"numSums", "num-sums", "sums over channels made in parts">,
  ];
}

def GroupTermsPass : Pass<"delta-group-terms"> {
  let summary = "the gradient of a decay a channel out of those of its factors";
  let description = [{
    Each gate stands between the rows of a product that come before it and those that
    come behind. Its gradient adds up, over rows and channels, factors times gradients
    that are there: with dq the gradient of the queries, and dk that of keys, of which
    what the rows get as those behind a gate (e) is added and what they get as those
    before it (w) is taken off,

    ```
    d_g = running sum over this and later rows of (q * dq + k * (e - w)) + other terms
    ```

    Derived one rule at a time, every term has a product and a running sum of its own.
    This pass finds which terms of the sums dq and dk those of d_g are of. It groups dk as
    e + w and makes d_g of the groups: one running sum over later rows is left, and
    products that end in one group can be one sum from the beginning
    (`delta-halve-decay`). Terms of a running sum over earlier rows (what the next state
    takes of keys) stay apart. What drops d_g where a gate is at its bound comes behind. Where some term of d_g is of no such sum, the map is left as
    it is.

    Before (types left out):

    ```mlir
    %0 = arith.mulf %Q, %dq
    %1 = arith.mulf %K, %x
    %2 = arith.subf %0, %1
    %a = delta.cumsum reverse %2
    %3 = arith.mulf %K, %y
    %b = delta.cumsum reverse %3
    %dg = arith.subf %a, %b
    %dk = arith.addf %x, %y
    ```

    After:

    ```mlir
    %dk = arith.addf %x, %y
    %0 = arith.mulf %Q, %dq
    %1 = arith.mulf %K, %dk
    %2 = arith.subf %0, %1
    %dg = delta.cumsum reverse %2
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
  let statistics = [
    Statistic<"numGrouped", "num-grouped",
              "gradients of a decay made of those of its factors">,
  ];
}

def CutMapsPass : Pass<"delta-cut-maps"> {
  let summary = "a map too large for a block, in several";
  let description = [{
    A block of a GPU holds the tiles of a `delta.chunk_map` in its shared memory and the
    sums of products with a decay a channel (`delta.decay_apply`), which are one for each
    half of the tokens, in its registers. This pass cuts a map that has no room for all
    of them. Products and reductions are divided: each map takes those that it has room
    for and that let it load the least, products of products behind the others.
    Everything else is done where all that it reads is there, and again wherever it is
    read if no product leads to it.

    A sum of products (a x + b y) F with decays F of a key channel is made of a F and
    b F where the map has these as well: then it holds neither F nor a and b for it.

    A sum whose terms are made by several maps crosses once, as it is so far: sums are
    written anew, in the order of the maps, and a running sum of a sum as a sum of
    running sums. A sum that goes on keeps the compute type (`delta-assign-precision`).
    A map without a product with a decay a channel is cut only where a block's memory is
    too small for it.

    Where one product alone is larger than that memory, its sum is cut first: over the
    parts of a head dimension that no out has. Ins are bound to a part each (`_ from a to
    b`), everything that has the dimension is written once for each part, and the sums
    are added up. Of an `%S` of 256 x 512 (types left out)

    ```mlir
    %d = delta.chunk_map ins(%X[seq, time, head, _], %S[chunk, head, _, _]) {
      %p = linalg.contract %X, %S
      delta.yield outs(%p)
    }
    ```

    becomes, in one map (and then in two, the second with `%p` as an in; types left out):

    ```mlir
    %d = delta.chunk_map ins(%X[seq, time, head, _ from 0 to 256],
                             %X[seq, time, head, _ from 256 to 512],
                             %S[chunk, head, _, _ from 0 to 256],
                             %S[chunk, head, _, _ from 256 to 512]) {
      %p = linalg.contract %X0, %S0
      %q = linalg.contract %X1, %S1
      %s = arith.addf %p, %q
      delta.yield outs(%s)
    }
    ```

    Where a map without a decay a channel has no room, and registers have for all its sums,
    it is not cut: it has the parts of 64 columns as above, and each product starts from the
    sum so far. A block then reads the parts in rounds (`sched-separate`), one after the
    other, with room for two of them, and no sum goes through memory. So does a map that
    would fill a block's memory, if half of it suffices for the rounds and there are three
    or more: one block of an SM then loads while another computes.

    ```mlir
    %d = delta.chunk_map ins(%X[seq, time, head, _ from 0 to 64],
                             %X[seq, time, head, _ from 64 to 128], ...) {
      %p = linalg.contract ins(%X0, %S0) outs(%zero)
      %q = linalg.contract ins(%X1, %S1) outs(%p)        // and so on
      delta.yield outs(%q)
    }
    ```

    Before (types left out; `%d` sums two products that do not fit together):

    ```mlir
    %d = delta.chunk_map ins(%m, %n, %X, %Y, %G) {
      %a = delta.decay_apply upto_token %m, %X decay(%G)
      %b = delta.decay_apply upto_token %n, %Y decay(%G)
      %s = arith.addf %a, %b
      %y = delta.cumsum reverse %s
      delta.yield outs(%y)
    }
    ```

    After:

    ```mlir
    %p = delta.chunk_map ins(%m, %X, %G) {
      %a = delta.decay_apply upto_token %m, %X decay(%G)
      delta.yield outs(%a)
    }
    %d = delta.chunk_map ins(%n, %Y, %G, %p) {
      %b = delta.decay_apply upto_token %n, %Y decay(%G)
      %s = arith.addf %p, %b
      %y = delta.cumsum reverse %s
      delta.yield outs(%y)
    }
    ```

    Remarks say which map was cut in how many, and which product is too large alone.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
  let options = [
    Option<"sharedBytes", "shared-bytes", "int64_t", /*default=*/"227 * 1024",
           "shared memory of a block">,
    Option<"registerBytes", "register-bytes", "int64_t", /*default=*/"106496",
           "registers of a block for sums">,
  ];
  let statistics = [
    Statistic<"numCut", "num-cut", "maps cut in several">,
    Statistic<"numCutSums", "num-cut-sums", "maps whose sums were cut first">,
    Statistic<"numInRounds", "num-in-rounds", "maps that add their sums in rounds">,
    Statistic<"numCrossing", "num-crossing", "values that cross between them">,
    Statistic<"numReused", "num-reused",
              "sums times decays made of terms that have them">,
  ];
}

#endif // WYVERN_DIALECT_DELTA_TRANSFORMS_MAPPASSES
