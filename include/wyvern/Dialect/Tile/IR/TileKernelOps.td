//===- TileKernelOps.td - Kernels, roles and their work -*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_TILE_IR_TILEKERNELOPS
#define WYVERN_DIALECT_TILE_IR_TILEKERNELOPS

include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "wyvern/Dialect/Tile/IR/TileTypes.td"

class Tile_Op<string opMnemonic, list<Trait> traits = []>
    : Op<Tile_Dialect, opMnemonic, traits>;

def Tile_KernelOp : Tile_Op<"kernel", [
    IsolatedFromAbove, Symbol, SingleBlock, NoTerminator]> {
  let summary = "what one thread block runs";
  let description = [{
    `gridDim.x = grid_factor * grid_count`, where the count is the number of
    `sequences`, of chunk `slots` or of `segments`, all known at launch; with `slots of n` a
    slot is that of n chunks, and how long a segment is the launch chooses. `operands` names
    the program tensor behind each block argument ("tokens", "sequences", "slot_tokens", by
    which slots of chunks are numbered where a launch may give the kernel a part of its
    sequences, "part", which of them that is, and "segment", the tokens of a segment, for what
    is not a tensor). Where it has a "part" a launch may give the kernel another tensor to
    begin with than to end in, also where both are one pool;
    `warps` is the block's size, `min_blocks` the blocks an SM should hold, which
    bounds the registers a thread may use. `cluster n` launches n blocks that follow each
    other as one cluster: they run at once and reach each other's shared memory.

    Example: see `tile.roles`.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, I64Attr:$grid_factor,
                       StrAttr:$grid_count,
                       DefaultValuedAttr<I64Attr, "1">:$grid_chunks,
                       I64Attr:$warps, I64Attr:$min_blocks,
                       StrArrayAttr:$operands,
                       OptionalAttr<I64Attr>:$shared_bytes,
                       DefaultValuedAttr<I64Attr, "1">:$cluster);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
}

def Tile_RolesOp : Tile_Op<"roles", [NoTerminator, NoRegionArguments]> {
  let summary = "different warps of a block do different work";
  let description = [{
    Region i is run by the next `warps[i]` warps of the block. An operation of a
    warpgroup (whatever holds a tile in the `acc`, `row` or `col` layout,
    `tile.barrier`, `tile.zero_rows` ...) needs a role of whole warpgroups, the first
    warp a multiple of four. Each warpgroup of a role of several runs the whole
    region; `tile.warpgroup_id` tells them apart, and hardware barrier 0 stands for
    the warpgroup's own. `registers`, where
    given, is each role's budget a thread, set at its start (`setmaxnreg`): it
    needs roles of whole warpgroups and multiples of 8 from 24 to 240; 0 leaves a
    role alone. The last role may be a part of a warpgroup whose other warps do
    nothing: the kernel's `warps` then count them.

    Example:

    ```mlir
    tile.kernel @copy(%map: !tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 64, 1, 64]>)
        grid 1 * sequences warps 5 min_blocks 1 operands ["x"] {
      %c0 = arith.constant 0 : index
      %ring = tile.alloc_ring producers 1 consumers 4
          : !tile.ring<2, [!tile.smem<64x64xbf16>]>
      tile.sync
      tile.roles warps [4, 1] {
        %t = tile.wait %ring[%c0]
            : !tile.ring<2, [!tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>
        tile.release %ring[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]>
      }, {
        %t = tile.acquire %ring[%c0]
            : !tile.ring<2, [!tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>
        tile.load %map[%c0, %c0, %c0, %c0] to %t of %ring[%c0]
            : !tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 64, 1, 64]>,
              !tile.smem<64x64xbf16>, !tile.ring<2, [!tile.smem<64x64xbf16>]>
        tile.commit %ring[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]>
      }
    }
    ```
  }];
  let arguments = (ins DenseI64ArrayAttr:$warps,
                       OptionalAttr<DenseI64ArrayAttr>:$registers);
  let regions = (region VariadicRegion<SizedRegion<1>>:$roles);
  let assemblyFormat = [{
    `warps` $warps (`registers` $registers^)? $roles attr-dict
  }];
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}

def Tile_BlockIdOp : Tile_Op<"block_id", [Pure]> {
  let summary = "the number of this thread block";
  let description = [{ Example: `%b = tile.block_id` }];
  let results = (outs Index:$id);
  let assemblyFormat = "attr-dict";
}

def Tile_WarpgroupIdOp : Tile_Op<"warpgroup_id", [Pure]> {
  let summary = "the number of the calling warpgroup in its block";
  let description = [{
    What the warpgroups of one role have in place of a role of their own each.

    Example: `%w = tile.warpgroup_id`
  }];
  let results = (outs Index:$id);
  let assemblyFormat = "attr-dict";
}

def Tile_WarpIdOp : Tile_Op<"warp_id", [Pure]> {
  let summary = "the number of the calling warp in its block";
  let description = [{
    What the warps of a role on the CUDA cores deal out tokens by.

    Example: `%w = tile.warp_id`
  }];
  let results = (outs Index:$id);
  let assemblyFormat = "attr-dict";
}

def Tile_OneWarpOp : Tile_Op<"one_warp", [
    NoTerminator, SingleBlock, NoRegionArguments, RecursiveMemoryEffects]> {
  let summary = "what one warp of a warpgroup does while the others go on";
  let description = [{
    The region is run by warp `warp` of the warpgroup that comes here. It may do
    what a role of one warp may: fill rings, and nothing that needs a warpgroup. Where
    a loading warp of its own would take the registers of a warpgroup (budgets are set
    by warpgroups), one that computes loads on the side. Different warps fill different
    rings at once.

    Example:

    ```mlir
    tile.one_warp 1 {
      %t = tile.acquire %ring[%i]
          : !tile.ring<2, [!tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>
      tile.load %map[%c0, %c0, %c0, %c0] to %t of %ring[%i]
          : !tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 64, 1, 64]>,
            !tile.smem<64x64xbf16>, !tile.ring<2, [!tile.smem<64x64xbf16>]>
      tile.commit %ring[%i] : !tile.ring<2, [!tile.smem<64x64xbf16>]>
    }
    ```
  }];
  let arguments = (ins I64Attr:$warp);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$warp $body attr-dict";
  let hasRegionVerifier = 1;
  let hasVerifier = 1;
}

def Tile_SequenceOp : Tile_Op<"sequence", [Pure]> {
  let summary = "where sequence n lies";
  let description = [{
    Without cu_seqlens: batch row n, from token 0, `tokens` long. With it: batch row
    0, from token cu[n], cu[n+1] - cu[n] long. `end` is the number of tokens that
    belong to some sequence: `tokens`, or cu[sequences].

    Example:

    ```mlir
    %batch, %start, %length, %end = tile.sequence %n of %cu tokens %T sequences %N
    ```
  }];
  let arguments = (ins Index:$n, Tile_CuSeqlensType:$cu, Index:$tokens,
                       Index:$sequences);
  let results = (outs Index:$batch, Index:$start, Index:$length, Index:$end);
  let assemblyFormat =
      "$n `of` $cu `tokens` $tokens `sequences` $sequences attr-dict";
}

def Tile_FindChunkOp : Tile_Op<"find_chunk", [Pure]> {
  let summary = "which chunk of which sequence a slot is";
  let description = [{
    Dense: slot = n * ceil(tokens / chunk) + c. Packed: slot = floor(cu[n] / chunk)
    + n + c, inverted by bisection over n; a slot between two sequences has a c at
    or past its sequence's end, so the caller compares c * chunk with the length.

    `chunk` is a constant, or the tokens of a segment that the launch has chosen.

    Example: `%n, %c = tile.find_chunk %slot of %cu tokens %T sequences %N chunk %c64`
  }];
  let arguments = (ins Index:$slot, Tile_CuSeqlensType:$cu, Index:$tokens,
                       Index:$sequences, Index:$chunk);
  let results = (outs Index:$n, Index:$c);
  let assemblyFormat = [{
    $slot `of` $cu `tokens` $tokens `sequences` $sequences `chunk` $chunk attr-dict
  }];
}

def Tile_FirstSlotOp : Tile_Op<"first_slot", [Pure]> {
  let summary = "the slot of a sequence's first chunk";
  let description = [{
    n * ceil(tokens / chunk), or packed floor(cu[n] / chunk) + n. Chunk c of the
    sequence has the c-th slot after it: the inverse of `tile.find_chunk`.

    Example: `%slot = tile.first_slot %n of %cu tokens %T chunk %c64`
  }];
  let arguments = (ins Index:$n, Tile_CuSeqlensType:$cu, Index:$tokens,
                       Index:$chunk);
  let results = (outs Index:$slot);
  let assemblyFormat = "$n `of` $cu `tokens` $tokens `chunk` $chunk attr-dict";
}

def Tile_UniformOp : Tile_Op<"uniform", [Pure]> {
  let summary = "a number that all threads of the block have alike";
  let description = [{
    The operand, which fits 32 bits and is the same in all threads. What it is made of
    is hidden from ptxas: the number takes one register in the loops that read it, and
    nothing is held there to make it again.

    Example: `%row = tile.uniform %start`
  }];
  let arguments = (ins Index:$operand);
  let results = (outs Index:$result);
  let assemblyFormat = "$operand attr-dict";
}

def Tile_SyncOp : Tile_Op<"sync"> {
  let summary = "all warps of the block wait for each other";
  let description = [{
    Also makes the barriers of rings visible to every thread and to TMA. With `cluster`
    it is the warps of all blocks of the cluster: before the first use of another block's
    shared memory, since that must have begun, and behind the last one, since it must not
    have ended.

    Example: `tile.sync cluster`
  }];
  let arguments = (ins UnitAttr:$cluster);
  let assemblyFormat = "(`cluster` $cluster^)? attr-dict";
  let hasVerifier = 1;
}

def Tile_AwaitKernelsOp : Tile_Op<"await_kernels"> {
  let summary = "waits for the kernels that were launched before this one";
  let description = [{
    After it they have ended, and what they wrote is visible. A kernel that has it may
    be launched beside the end of the one before (programmatic dependent launch; the
    manifest's `waits`): its blocks start as SMs become free, and what stands in front
    of it, the initialisation of barriers, is done by the time that the last block
    of the one before has ended. Nothing in front of it may touch device memory. Every
    thread of the block executes it: a block without it could end, and with the
    kernel's last block every later kernel would start, before earlier ones have ended.

    As the last operation of a kernel it says that the kernel needs nothing of the one right
    before it, and may run beside it: a kernel that waits for this one has then waited for
    both. The only kernel of a function, which needs nothing of any, has it there.

    Example: `tile.await_kernels`
  }];
  let assemblyFormat = "attr-dict";
  let extraClassDeclaration = [{
    /// True if nothing of the kernel follows.
    bool isAtEnd() { return !getOperation()->getNextNode(); }
  }];
}

def Tile_ReleaseKernelsOp : Tile_Op<"release_kernels"> {
  let summary = "lets the kernel that is launched behind this one start";
  let description = [{
    Once all blocks have executed it, blocks of the next kernel start where SMs have room, if
    that kernel awaits this one itself (`tile.await_kernels`); else it starts when this one has
    ended. All blocks of this kernel have begun by then, so none of them finds its place
    taken. Behind `tile.await_kernels`, where there is one at the beginning: what starts may
    rely on the kernels before this one to have ended.

    Example: `tile.release_kernels`
  }];
  let assemblyFormat = "attr-dict";
}

def Tile_BarrierOp : Tile_Op<"barrier"> {
  let summary = "the four warps of a warpgroup wait for each other";
  let description = [{
    With `proxy`, writes to shared memory before it are visible to wgmma and TMA
    after it (PTX ISA 9.7.13.4, fence.proxy.async). `id` is a hardware barrier,
    1..15, constant so that ptxas reserves no more than it must. 0 stands for the
    barrier of the calling warpgroup, the one after its number: what warpgroups that
    run one region use.

    Example: `tile.barrier proxy id 1`
  }];
  let arguments = (ins UnitAttr:$proxy, I64Attr:$barrier_id);
  let assemblyFormat = "(`proxy` $proxy^)? `id` $barrier_id attr-dict";
}

#endif // WYVERN_DIALECT_TILE_IR_TILEKERNELOPS
