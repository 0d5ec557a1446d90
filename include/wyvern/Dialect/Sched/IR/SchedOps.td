//===- SchedOps.td - Operations of the sched dialect ----*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_SCHED_IR_SCHEDOPS
#define WYVERN_DIALECT_SCHED_IR_SCHEDOPS

include "mlir/IR/OpAsmInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "wyvern/Dialect/Delta/IR/DeltaAttrs.td"
include "wyvern/Dialect/Sched/IR/SchedTypes.td"

class Sched_Op<string opMnemonic, list<Trait> traits = []>
    : Op<Sched_Dialect, opMnemonic, traits>;

def Sched_KernelOp : Sched_Op<"kernel", [
    IsolatedFromAbove, AttrSizedOperandSegments, AttrSizedResultSegments,
    SingleBlock, NoTerminator, RecursiveMemoryEffects,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmBlockArgumentNames"]>]> {
  let summary = "one launch: a grid of blocks, each of a few roles";
  let description = [{
    A block is for one head, one of `split` parts of the dimension that the
    recurrence does not mix, and one sequence (`over = sequences`) or one slot of
    `run` chunks (`over = slots`). Its roles visit the block's chunks with
    `sched.each_chunk`. `min_blocks` is how many blocks an SM should hold. A kernel that
    `overlaps` is launched beside the end of the one before, which it waits for at its
    beginning, and lets the next one do so (programmatic dependent launch).

    Operands and results are those of `delta.chunk_scan`, bound in the same way:
    `ins`, `inits` of carries and `finals` beside `outs`. The region's arguments are
    ins, outs, inits and finals in memory, in this order. Rows of an out that no
    sequence owns are zero.

    `slots`, `keep`, `round` and `lengths` are those of `delta.chunk_scan`: carries are pools of states.
    A kernel over slots that keeps its carry has the pool as last init, which no role loads, and as
    last final: what is stored there behind the loop is what the carry is behind each chunk, if
    `keep` has a slot for that.

    With `cluster` the `split` blocks of a head and a sequence or slot are one cluster:
    they run at once, and hand each other tiles through channels `across` blocks. Roles
    that sum over the split dimension, which otherwise no role of a kernel with several
    parts can do, then have all of it in each block. Such a role does the same in each
    block, and the first one stores what it makes; one that is `divided` does a part.

    With heads `in pairs` the blocks of two neighbouring heads are one cluster. An out of
    half as many heads has the sum of a pair's tiles: those of the first head, rounded to
    the tensor's type, plus those of the second, rounded too, and the sum rounded. Each
    block sends the other one half of its columns, so no head has a copy of its own.

    The region holds channels, then roles, and constants. Constraints (numbered K..):
    docs/sched.md.

    Example:

    ```mlir
    %y = sched.kernel "copy" grid(heads = 2, split = 1, over = slots of 1)
        chunk = 64 compute = f32 min_blocks 1
        ins(%x = %0[seq, time, head, _] : tensor<?x?x2x64xbf16>)
        outs(%z = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
      %in = sched.channel depth 1 fill tma : <tensor<64x64xbf16>>
      sched.role "compute" warps 4 {
        sched.each_chunk forward valid(%n) {
          %X = sched.get %in : <tensor<64x64xbf16>> -> tensor<64x64xf32>
          sched.store %X to %z : tensor<64x64xf32>, <tensor<?x?x2x64xbf16>>
          sched.yield
        }
      }
      sched.role "load" warps 1 {
        sched.each_chunk forward valid(%n) {
          %X = sched.load %x : <tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
          sched.put %X to %in
              : <tensor<64x64xbf16>>, tensor<64x64xf32>
          sched.yield
        }
      }
    }
    ```
  }];
  let arguments = (ins Variadic<Delta_FloatTensor>:$ins,
                       Variadic<Delta_FloatTensor>:$inits,
                       Optional<Delta_CuSeqlens>:$cu_seqlens,
                       Optional<Delta_Indices>:$read_slots,
                       Optional<Delta_Indices>:$write_slots,
                       Optional<Delta_Indices>:$lengths,
                       Optional<Delta_Indices>:$keep_slots,
                       Optional<Delta_Indices>:$seeds,
                       StrAttr:$kernel_name, I64Attr:$heads, I64Attr:$split,
                       Sched_GridOverAttr:$over, I64Attr:$run, I64Attr:$chunk,
                       TypeAttr:$compute, I64Attr:$min_blocks,
                       Delta_BindingArrayAttr:$in_bindings,
                       Delta_BindingArrayAttr:$init_bindings,
                       Delta_BindingArrayAttr:$out_bindings,
                       DefaultValuedAttr<I64Attr, "0">:$first_slot,
                       UnitAttr:$else_zeros, UnitAttr:$cluster,
                       UnitAttr:$pairs, UnitAttr:$overlaps);
  let results = (outs Variadic<Delta_FloatTensor>:$outs,
                      Variadic<Delta_FloatTensor>:$finals);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::Block &getBlock() { return getBody().front(); }
    /// What the region sees of each in, out, init and final.
    ::mlir::Block::BlockArgListType getInArgs();
    ::mlir::Block::BlockArgListType getOutArgs();
    ::mlir::Block::BlockArgListType getInitArgs();
    ::mlir::Block::BlockArgListType getFinalArgs();
    /// The binding of a region argument.
    ::mlir::wyvern::delta::BindingAttr getBinding(::mlir::BlockArgument arg);
    /// The tile that a chunk sees of a region argument, in the compute type.
    ::mlir::RankedTensorType getTileType(::mlir::BlockArgument arg);
    /// The kernel's channels and roles, in their order.
    auto getChannels() { return getBlock().getOps<ChannelOp>(); }
    auto getRoles() { return getBlock().getOps<RoleOp>(); }
    /// The role of that name, or null.
    RoleOp findRole(::llvm::StringRef name);
    /// Blocks that run at once and reach each other: 1 where they share nothing.
    int64_t getClusterBlocks() {
      return getCluster() ? static_cast<int64_t>(getSplit()) : getPairs() ? 2 : 1;
    }
    /// True if its carry is no pool and is kept in one: the last init and final.
    bool keepsIntoPool() { return getKeepSlots() && !getReadSlots(); }
    /// True for an out of half as many heads as the grid has.
    bool isPairSum(::mlir::BlockArgument out);
  }];
}

def Sched_ChannelOp : Sched_Op<"channel", [HasParent<"KernelOp">]> {
  let summary = "tiles from one role to others, a few chunks ahead";
  let description = [{
    One role puts into it once a chunk; one or more roles get from it once a chunk.
    It holds the tiles of `depth` chunks: the putting role waits until all readers
    have done with the chunk `depth` before.

    A channel that `tma` fills takes what `sched.load` brings and nothing else:
    matrices by bulk copies, vectors by the role's warps. One that `warps` fill takes
    what its role has computed.

    One `across` the blocks of a cluster takes what the role of each block has computed,
    its part of the split dimension, and holds all parts in every block: its readers get
    the whole tile. That of an `in_turn` role takes the whole tile of one block.

    Example: see `sched.kernel`; across blocks:

    ```mlir
    %x = sched.channel depth 1 fill warps across : <tensor<64x128xbf16>>
    ```
  }];
  let arguments = (ins I64Attr:$depth, Sched_FillAttr:$fill, UnitAttr:$across);
  let results = (outs Sched_ChannelType:$channel);
  let assemblyFormat = [{
    `depth` $depth `fill` $fill (`across` $across^)? attr-dict
    `:` type($channel)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The `sched.role` that puts; null before the kernel is verified.
    ::mlir::Operation *getFiller();
    /// The `sched.role`s that get, each once, in the kernel's order.
    ::mlir::SmallVector<::mlir::Operation *> getReaders();
  }];
}

def Sched_RoleOp : Sched_Op<"role", [
    HasParent<"KernelOp">, SingleBlock, NoTerminator, NoRegionArguments,
    RecursiveMemoryEffects]> {
  let summary = "what some warps of a block do";
  let description = [{
    `warps` warps run the region together. With `split n` there are n such groups,
    each with its n-th part of the block's split dimension; what has no such
    dimension they all compute. With `copies n` there are n groups that take the
    block's chunks in turn. `registers` is the budget a thread (`setmaxnreg`) of
    a role of whole warpgroups; a role without one keeps what it was launched with.

    A role `within` another has no warp of its own: what it puts for a chunk, the first
    warp of the other role puts when that role comes to the chunk, before all else.
    Budgets are set by whole warpgroups, so that a loading warp costs the registers of
    four; where the roles that compute leave none, one of them loads on the side. Such
    a role loads and puts, and does nothing else (K41); the role that takes it in has no
    copies and is within no other (K40).

    A role `on_cores` multiplies on the CUDA cores: its tiles lie in registers, spread over
    its threads so that a row of the state is summed by a few lanes, and it loads and
    stores them itself. It suits chunks of one token, for which a tensor core's tile is
    nearly empty. It is alone in its kernel, which has no channels (K46). With
    `share_rows n` rows are loaded by one thread an element, and reach the others through
    shared memory: those of the first n tokens in front of the state, then those of n / 2 at
    once, so that the tokens between wait for none. What a row passes through in front of all
    else (`delta.conv_row`) is computed once a block, and what follows from rows alone (norms,
    gates, rotations) is made by a warp a token, behind the loads of the state. In a call of
    one token each thread loads and makes its own rows where nothing asks for that. Besides its
    state such a role carries windows of convolutions, and vectors, which threads hold as rows
    of tokens; with `share_rows` those that follow from rows alone go where these are made.

    A `divided` role of a kernel with `cluster` does a part in each block: an equal part
    of the dimension that matrices which it stores have, and that it neither sums over
    nor puts. Its tiles have that part of the dimension and all of every other.

    The blocks of a kernel with `cluster` take the chunks of an `in_turn` role in turn:
    one block does all of a chunk, stores what it makes, and puts it into channels
    `across` blocks, whose readers have it in every block.

    The region holds what carries start from, `sched.each_chunk`, and stores of final
    carries. A carry starts from a load of an init, or, where every block starts alike,
    from a constant or `delta.identity`.

    Example: see `sched.kernel`.
  }];
  let arguments = (ins StrAttr:$role_name, I64Attr:$warps,
                       DefaultValuedAttr<I64Attr, "1">:$split,
                       DefaultValuedAttr<I64Attr, "1">:$copies,
                       OptionalAttr<I64Attr>:$registers,
                       OptionalAttr<StrAttr>:$within, UnitAttr:$on_cores,
                       OptionalAttr<I64Attr>:$share_rows,
                       UnitAttr:$divided, UnitAttr:$in_turn);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $role_name `warps` $warps (`split` $split^)? (`copies` $copies^)?
    (`registers` $registers^)? (`within` $within^)? (`on_cores` $on_cores^)?
    (`share_rows` $share_rows^)? (`divided` $divided^)? (`in_turn` $in_turn^)?
    attr-dict-with-keyword $body
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::Block &getBlock() { return getBody().front(); }
    /// Warps of the block that are its own: those of all its groups, none of a
    /// role within another.
    int64_t getTotalWarps() {
      return getWithin() ? 0 : getWarps() * getSplit() * getCopies();
    }
    /// The role's loop over chunks.
    EachChunkOp getEachChunk();
  }];
}

def Sched_EachChunkOp : Sched_Op<"each_chunk", [
    HasParent<"RoleOp">, SingleBlockImplicitTerminator<"YieldOp">,
    RecursiveMemoryEffects]> {
  let summary = "the block's chunks, one after the other";
  let description = [{
    Runs the region for every chunk of the block, first to last or back. `valid` is
    the number of tokens of the chunk that are the sequence's. Carries go from chunk
    to chunk; the results are the last ones (the inits, if the block has no chunk).
    It holds chunk operations of `delta`, and `sched.get`, `put`, `load` and `store`.

    With `overlap` the role begins a chunk while it ends the one before: it issues the
    first product of the next chunk as soon as the carries are known, and brings out
    what no carry needs beside it. That is a matter of time, not of values, and needs
    carries (K38), and a chunk more in the channels that the role reads (K39).

    Example:

    ```mlir
    %sN = sched.each_chunk forward valid(%n) carries(%S = %s0 : tensor<64x64xf32>) {
      %S1 = arith.addf %S, %S : tensor<64x64xf32>
      sched.yield %S1 : tensor<64x64xf32>
    }
    ```
  }];
  let arguments = (ins Delta_DirectionAttr:$direction,
                       UnitAttr:$overlap,
                       Variadic<Delta_FloatTensor>:$inits);
  let results = (outs Variadic<Delta_FloatTensor>:$finals);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::Block &getBlock() { return getBody().front(); }
    ::mlir::BlockArgument getValid() { return getBlock().getArgument(0); }
    ::mlir::Block::BlockArgListType getCarryArgs() {
      return getBlock().getArguments().drop_front(1);
    }
    YieldOp getYield();
  }];
}

def Sched_YieldOp : Sched_Op<"yield", [
    Pure, Terminator, HasParent<"EachChunkOp">]> {
  let summary = "ends a chunk with the carries for the next one";
  let description = [{ Example: see `sched.each_chunk`. }];
  let arguments = (ins Variadic<Delta_FloatTensor>:$carries);
  let builders = [OpBuilder<(ins), [{ /* no carries */ }]>];
  let assemblyFormat = "($carries^ `:` type($carries))? attr-dict";
}

def Sched_LoadOp : Sched_Op<"load"> {
  let summary = "the chunk's tile of an operand";
  let description = [{
    In `sched.each_chunk` the tile of this chunk, zero past the sequence's end;
    before it the block's slice of an operand without a time dimension. In the
    kernel's compute type.

    Example: see `sched.kernel`.
  }];
  let arguments = (ins Arg<Sched_GlobalType, "", [MemRead]>:$source);
  let results = (outs Delta_FloatTensor:$tile);
  let assemblyFormat = "$source attr-dict `:` type($source) `->` type($tile)";
  let hasVerifier = 1;
}

def Sched_StoreOp : Sched_Op<"store"> {
  let summary = "the chunk's tile of a result";
  let description = [{
    The inverse of `sched.load`: rows up to the sequence's end, rounded to the
    tensor's element type.

    With `via` the tile leaves through the place that a tile out of a channel has in
    shared memory, in that of a staging tile: one of the target's element type that no
    other role reads, behind all that the chunk computes (K44). A `direct` one leaves
    from registers, in pieces of 32 bytes, and needs no shared memory at all; it is a
    tile of the chunk's rows.

    Example: see `sched.kernel`.
  }];
  let arguments = (ins Delta_FloatTensor:$tile,
                       Arg<Sched_GlobalType, "", [MemWrite]>:$target,
                       Optional<Delta_FloatTensor>:$via, UnitAttr:$direct);
  let assemblyFormat = [{
    $tile `to` $target (`via` $via^)? (`direct` $direct^)? attr-dict
    `:` type($tile) `,` type($target) (`,` type($via)^)?
  }];
  let hasVerifier = 1;
}

def Sched_GetOp : Sched_Op<"get"> {
  let summary = "the chunk's tiles out of a channel";
  let description = [{
    Waits until the filling role has put the chunk's tiles, which may be read up to
    the end of the chunk. Rows past a sequence's end are zero, also where TMA brought
    another sequence's: each reader overwrites what it reads, and all with the same
    zeros.

    Example: see `sched.kernel`.
  }];
  let arguments = (ins Arg<Sched_ChannelType, "",
                           [MemRead, MemWrite]>:$channel);
  let results = (outs Variadic<Delta_FloatTensor>:$tiles);
  let assemblyFormat = "$channel attr-dict `:` type($channel) `->` type($tiles)";
  let hasVerifier = 1;
}

def Sched_PutOp : Sched_Op<"put"> {
  let summary = "the chunk's tiles into a channel";
  let description = [{
    Waits until the readers have done with the chunk `depth` before.

    In a role within another, the tiles may be those of a chunk `ahead` of the one that
    the other role begins. Where that is less than `depth`, they are put as it begins
    the chunk. Those of `depth` ahead, the most that there are (K42), take the place of
    the running chunk's: they are put when the other role has done with these.

    A `late` put of such a role is done where the other one gets the tiles, behind all
    that it does before that: the tiles may then lie where others did that it has done
    with. It is for blocks of one chunk, which no put of another chunk delays (K55).
    One that is `early` is done where the other role gets the tiles before these: they
    come while it computes with those, and may lie where the ones before did.

    Example: see `sched.kernel`.
  }];
  let arguments = (ins Variadic<Delta_FloatTensor>:$tiles,
                       Arg<Sched_ChannelType, "",
                           [MemRead, MemWrite]>:$channel,
                       DefaultValuedAttr<I64Attr, "0">:$ahead,
                       UnitAttr:$late, UnitAttr:$early);
  let assemblyFormat = [{
    $tiles `to` $channel (`ahead` $ahead^)? (`late` $late^)? (`early` $early^)?
    attr-dict
    `:` type($channel) `,` type($tiles)
  }];
  let hasVerifier = 1;
}

#endif // WYVERN_DIALECT_SCHED_IR_SCHEDOPS
