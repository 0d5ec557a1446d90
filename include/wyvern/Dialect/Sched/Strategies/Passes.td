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
      Its channel is `stages` chunks deep, or as many as shared memory holds. Runs of
      chunks (`chunk * m`) have blocks of their own. A carry that starts from what a
      map writes alike for all of them (zeros, the identity) starts from that in
      registers; the map goes. With `share-runs` the blocks of runs, of which there
      are many, have two parts of the split dimension each, in two warpgroups that share
      what is loaded.
    * A map's blocks are for one chunk each. Nothing is loaded ahead in a block, so
      several share an SM: three, or two where the map multiplies by what it has
      computed and so needs more registers.
    * Where the ins of one chunk leave no room for a second block, a map's blocks visit
      runs of four chunks instead. Each in has a channel of its own, in the order in
      which the chunk has done with them, so that a tile of the next chunk is loaded as
      soon as nothing reads that of this one; what is in use for longest has two places,
      where they fit. Two roles of a warpgroup compute some of the outs each. A map of which
      one out needs nearly all that the others do (the gradient of a gate) is one role's
      work, whose registers do not suffice for that; its blocks keep to one chunk.

    * A map whose products have a decay a channel (`delta-halve-decay`), of rows and
      gates that come in and that nothing else reads, goes through its channels some at
      a time (`tile.decayed_products`): the role that computes takes these ins
      from memory itself, rows that it scales leave from there (`direct`), and three
      blocks share an SM. Not without `panels`.
    * A map whose ins are in parts of a dimension that it sums over (`delta-cut-maps`) and
      together leave no room for another block visits these in rounds. Each round has a channel of its own,
      whose tiles are put `late` and `early` by a warp of the role that computes: they come
      one round ahead, and lie where those of the round before the last did. Sums stay in
      registers, and two blocks share an SM.

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
      %channel = sched.channel depth 2 fill tma : ...
      sched.role "compute" warps 4 {
        %S0 = sched.load %init
        %SN = sched.each_chunk forward valid(%n) carries(%S = %S0 : ...) {
          %Q, %K = sched.get %channel ...
      sched.role "load" warps 1 { ... }
    ```
  }];
  let options = [
    Option<"stages", "stages", "int64_t", /*default=*/"2",
           "chunks that a scan's loads are ahead">,
    Option<"shareRuns", "share-runs", "bool", /*default=*/"false",
           "blocks of runs of chunks have two parts of the split dimension, a "
           "warpgroup each">,
    Option<"panels", "panels", "bool", /*default=*/"true",
           "maps with a decay a channel go through their channels some at a time">,
    Option<"runs", "runs", "bool", /*default=*/"true",
           "blocks of a map that fills an SM visit several chunks, in two roles that "
           "compute; else one chunk, in one role, which has more registers">
  ];
  let statistics = [
    Statistic<"numKernels", "kernels", "kernels made">,
    Statistic<"numPanelled", "panelled",
              "maps that go through their channels some at a time">,
    Statistic<"numInRounds", "in-rounds", "maps that add some columns at a time">
  ];
  let dependentDialects = ["::mlir::wyvern::sched::SchedDialect"];
}

def DecodePass : Pass<"sched-decode", "::mlir::func::FuncOp"> {
  let summary = "a step of decoding in one kernel on the CUDA cores";
  let description = [{
    A `delta.chunk_scan` with slots and chunks of one token becomes a `sched.kernel` of one
    role `on_cores`. Its blocks are for a sequence, a head and a part of the split dimension.
    What it takes is the time to read and to write the states, so what counts is that many
    reads are in flight: the parts are so large that the role's threads hold `elements`
    elements of the state each, and `min_blocks` is what the registers then leave room
    for. The rows of a draft's first `rows` tokens are loaded in front of the state, an
    element a thread (`share_rows`), so that no token waits for them behind the states of
    other blocks. What follows from them alone is then made by a warp a token. Rows that pass
    through a convolution, or turn by a running sum that is carried, are computed once a block,
    and a step that sums over the split dimension (the norm of an epilogue) has its blocks wait
    for each other in every token, as a cluster: all these share rows in a call of one token,
    too.

    `few` is for so few sequences that SMs are left over: threads hold half of the elements,
    and there are twice as many blocks. Lanes sum as before, so results keep their bits. A
    launch takes a quarter of such a call, so it begins beside the end of the kernel before
    (`overlaps`).
    Where they would not, the pass does what it does without: where the dimension that is
    summed over is not the pool's last one, so that fewer rows are more lanes a sum, and
    where blocks sum together.

    A program of other chunks, or without slots, is left for other strategies, with a
    remark.

    Before:

    ```mlir
    %o, %p1 = delta.chunk_scan forward chunk = 1 heads = 16 compute = f32
        ins(%Q = %q[seq, time, head, _] : tensor<?x?x16x128xbf16>, ...)
        carry(%S = %pool[slot, head, _, _] : tensor<?x16x128x128xf32>)
        slots(%read, %write : tensor<?xi32>, first = 0) ... { ... }
    ```

    After:

    ```mlir
    %o, %p1 = sched.kernel "f_step_decode" grid(heads = 16, split = 2, over = sequences)
        chunk = 1 compute = f32 min_blocks 4 ins(%in = %q[...] ...)
        inits(%init = %pool[slot, head, _, _] ...) slots(%read, %write ...) ... {
      sched.role "step" warps 4 on_cores share_rows 4 {
        %S0 = sched.load %init
        %SN = sched.each_chunk forward valid(%n) carries(%S = %S0 : ...) {
          %Q = sched.load %in
          ...
    ```
  }];
  let options = [
    Option<"warps", "warps", "int64_t", /*default=*/"4",
           "most warps of a block">,
    Option<"elements", "elements", "int64_t", /*default=*/"64",
           "elements of the state that a thread holds">,
    Option<"rows", "rows", "int64_t", /*default=*/"4",
           "tokens whose rows are brought through shared memory in front of the state; later half "
           "as many at once; 0: each thread loads its own, where nothing asks for more">,
    Option<"few", "few", "bool", /*default=*/"false",
           "for few sequences: half of the elements a thread, where results keep their bits">
  ];
  let statistics = [
    Statistic<"numKernels", "kernels", "kernels made">,
    Statistic<"numShared", "shared-rows", "kernels whose rows come through shared memory">,
    Statistic<"numFew", "few", "kernels for few sequences">
  ];
  let dependentDialects = ["::mlir::wyvern::sched::SchedDialect"];
}

def FuseForwardPass : Pass<"sched-fuse-forward", "::mlir::func::FuncOp"> {
  let summary = "a map and the scan that it feeds in one kernel of several roles";
  let description = [{
    A `delta.chunk_scan` and the one `delta.chunk_map` whose outs it reads become a
    `sched.kernel` in which nothing goes through memory between them. Of several scans that
    read a map the first takes it along, and stores for the others what they read. Its roles:

    * `state`: the scan's chain, which holds the carries in registers. Where a chunk
      waits for a product in its middle, chunks overlap;
    * `map`: the map, by `copies` groups that take the chunks in turn. With `split-map`
      `dots`, the products, and `factor`, the triangular factor, what needs it, and what
      no product needs. Where the state makes no rows (the ends of segments) it is faster
      than a factor: then what no product needs is made with the products, and without
      decays a map beside two warpgroups of the state is one role that has two copies;
    * `load`: one warp that fills the channels of ins and does nothing else.

    What is read in front of a scan has to be in memory before. A map that another program
    reads there is cut: what the scan alone reads becomes a map of its own, saved for a
    backward or not, unless both would compute the same product. So of a sequence in segments the chain that finds their ends
    takes the factor along, and the last chain, whose carries start anew every few chunks and
    which has a block for each such run, its products. Carries that a map of zeros or of the
    identity starts begin with that in registers, as in `sched-separate`.

    Values that cross roles become tiles of channels, one for each pair of a role that
    computes and the roles that read, so that each waits for what it needs and for
    nothing else. The chain's operations are put in the order in which their
    operands come; of those that could go at one time, what the next carry needs goes
    first. Outs of the map that others read too are stored by the role that makes them.
    What a forward saves for its backward the roles of the map store from registers
    (`direct`); the state, with all that it stores, through one place in shared memory,
    the carry beside the chunk's first products.

    The split dimension is divided over `split-warps` warpgroups of the state role, and
    what is left over blocks. With few heads, blocks are better: there are more of them. They
    are a cluster, and do the map's chunks in turn (`in_turn`): what one makes it sends to
    the others. Not where they are more than a cluster has, and not where a role of the map
    loads on the side or makes what cannot be sent: then, with the remark `NotInTurn`, they all
    compute the map's part. Two warpgroups of the state and two of the map
    leave no registers for warps that only load: the roles of the map then load on the side
    (`within`), each copy for the chunks that it takes, and outputs leave through the place of
    the chunk's values (`via`), those of the map from registers (`direct`).

    A scan without such a map, or of a backward (a function that takes residuals), is
    left for `sched-separate`, with a remark.

    Before:

    ```mlir
    %z, %p = delta.chunk_map ... ins(%Q = %q[...], %K = %k[...], %b = %beta[...]) ...
    %o, %sT = delta.chunk_scan forward ... ins(%K = %k[...], %V = %v[...],
        %Z = %z[...], %P = %p[...], ...) carry(%S = %s0[...]) ...
    ```

    After:

    ```mlir
    %o, %sT = sched.kernel "f_fused" grid(heads = 16, split = 2 cluster, over = sequences) ... {
      %kq = sched.channel depth 4 fill tma : ...
      %v = sched.channel depth 2 fill tma : ...
      %z = sched.channel depth 2 fill warps across : ...
      %p = sched.channel depth 2 fill warps across : ...
      sched.role "state" warps 4 registers 232 { ... }
      sched.role "map" warps 4 copies 2 registers 128 in_turn { ... }
      sched.role "load" warps 1 registers 24 { ... }
    }
    ```
  }];
  let options = [
    Option<"splitMap", "split-map", "bool", /*default=*/"false",
           "the map's products and its factor in roles of their own">,
    Option<"splitWarps", "split-warps", "int64_t", /*default=*/"1",
           "warpgroups of a block that share the split dimension">,
    Option<"stages", "stages", "int64_t", /*default=*/"4",
           "chunks that channels of loaded tiles hold; two less, but at least 2, "
           "where the state alone reads them">,
    Option<"depth", "depth", "int64_t", /*default=*/"2",
           "chunks that a role is ahead of the one that reads it">,
    Option<"copies", "copies", "int64_t", /*default=*/"2",
           "groups of the last role of the map, which take chunks in turn">,
    Option<"turns", "turns", "bool", /*default=*/"true",
           "blocks of a head do the map's chunks in turn, as a cluster">,
    ListOption<"depths", "depths", "int64_t",
               "chunks that each channel holds, in the order of channels, in the "
               "place of stages and depth">,
    ListOption<"registers", "registers", "int64_t",
               "registers a thread of each role, in their order; without, those that "
               "suit a state of one warpgroup">
  ];
  let statistics = [
    Statistic<"numFused", "fused", "scans fused with their map">,
    Statistic<"numInTurn", "in-turn", "of these, whose blocks do the map in turn">
  ];
  let dependentDialects = ["::mlir::wyvern::sched::SchedDialect"];
}

def FuseBackwardPass : Pass<"sched-fuse-backward", "::mlir::func::FuncOp"> {
  let summary = "a scan and the map that reads its outs in one kernel of several roles";
  let description = [{
    The gradients of a chunk need what the chain of the state's gradient writes for it.
    As two kernels, that goes through memory, and all other operands are read twice. This
    makes one kernel of a scan and the map that alone reads some of its outs: a chain of
    as many warpgroups as the state has parts of 64 rows, and two roles for the outs of
    the map, which take the carry and the rows of the chain out of channels. A product
    of the map that both need, or whose result goes to products of one of them alone, is
    made by the role that has less to do. One role loads on the side. Of a sequence in
    segments the last chain, whose carry starts anew every few chunks, has a block for each
    such run.

    With `cluster` a head and sequence has two blocks, which are a cluster: the chain of
    each has half of the state, hands what it makes to both, and the roles of the map are
    divided. With few heads and sequences twice as many SMs then have work. What the blocks
    can only do twice, pairs of tokens and their sums over columns that they divide, has a
    role of its own, and rows less columns of two tiles of pairs are those of their sum:

    ```mlir
    %rows = linalg.reduce ... ins(%P) ... dimensions = [1]     // and of %L
    %columns = linalg.reduce ... ins(%P) ... dimensions = [0]
    %d = arith.subf %rows, %columns : tensor<64xf32>
    %sum = arith.addf %d, %ofL : tensor<64xf32>
    // becomes
    %t = arith.addf %P, %L : tensor<64x64xf32>
    %rows = linalg.reduce ... ins(%t) ... dimensions = [1]
    %columns = linalg.reduce ... ins(%t) ... dimensions = [0]
    %sum = arith.subf %rows, %columns : tensor<64xf32>
    ```

    The blocks do the chunks of that role in turn (`in-turn`), and send each other the tiles.
    What they have summands of, the rows' sums of a gradient of a gate, goes to whose turn it
    is:

    ```mlir
    %sums = sched.channel depth 2 fill warps across : <tensor<64xf32>, tensor<64xf32>>
    %pairs = sched.channel depth 2 fill warps across : <tensor<64x64xbf16>>
    sched.role "map" warps 4 registers 144 divided { ... }
    sched.role "map1" warps 4 registers 144 in_turn { ... }
    ```

    The divided role makes these vectors before all else that it does. All vectors of a chunk
    are loaded into one channel, and what the first tile of pairs is made of is loaded first.

    A map behind these that sums an out over pairs of heads, as for two value heads that
    share a key head, is done with: the blocks of such a pair are a cluster, and hand each
    other half of what they store, if there is room for that. Of what the chain reads
    before the map, what it reads last then has one place in the place of two.

    Scans that no map follows, those of a map that another program reads from too, and
    kernels that have no room for it are left for `sched-separate`, with a remark.

    Before:

    ```mlir
    %dv, %X, %dS, %dS0 = delta.chunk_scan reverse ... ins(%dO = %do[...], ...) carry(%S = %dsT[...]) ...
    %dq, %dk, %db = delta.chunk_map ... ins(%X, %dS, %R = %rows[...], ...) ...
    ```

    After:

    ```mlir
    %dv, %dq, %dk, %db, %dS0 = sched.kernel "f_bwd_fused" grid(heads = 16, split = 1, over = sequences) ... {
      %kq = sched.channel depth 2 fill tma : ...
      %r = sched.channel depth 1 fill tma : ...
      %x = sched.channel depth 1 fill warps : ...
      sched.role "chain" warps 4 split 2 registers 160 { ... }
      sched.role "map" warps 4 registers 96 { ... }
      sched.role "map1" warps 4 registers 96 { ... }
      sched.role "load" warps 1 within "map1" { ... }
    }
    ```
  }];
  let options = [
    Option<"cluster", "cluster", "bool", "false",
           "two blocks a head and sequence, which are a cluster: for few of them">,
    Option<"inTurn", "in-turn", "bool", "true",
           "blocks of a cluster do the chunks of the role of pairs in turn">,
    Option<"sumPairs", "sum-pairs", "bool", "true",
           "sums over pairs of heads in the kernel, where there is room">
  ];
  let statistics = [
    Statistic<"numFused", "fused", "scans fused with the map behind them">,
    Statistic<"numPairSums", "pair-sums",
              "outs that blocks of a pair of heads sum in the place of a map">,
    Statistic<"numJoined", "joined-sums",
              "tiles of pairs added to others before their rows and columns are summed">,
    Statistic<"numInTurn", "in-turn", "roles that the blocks of a cluster do in turn">
  ];
  let dependentDialects = ["::mlir::wyvern::sched::SchedDialect"];
}

#endif // WYVERN_DIALECT_SCHED_STRATEGIES_PASSES
