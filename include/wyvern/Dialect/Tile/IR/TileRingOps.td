//===- TileRingOps.td - Rings of tiles between warps and blocks *- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_TILE_IR_TILERINGOPS
#define WYVERN_DIALECT_TILE_IR_TILERINGOPS

include "wyvern/Dialect/Tile/IR/TileKernelOps.td"

def Tile_AllocRingOp : Tile_Op<"alloc_ring"> {
  let summary = "a ring of tiles between warps";
  let description = [{
    `producers` and `consumers` are the warps that commit and release a stage, each
    the sum over the roles that do so. Arrival counts, bytes to expect and proxy
    fences follow from these and the ring's type. `offset` is where the tiles lie, and
    `barriers` where the hardware barriers of the stages do, by default behind them:
    apart, they leave no gap in front of the next ring's tiles (`tile-plan-smem`).

    A ring `across n` blocks, those of the kernel's cluster, is one in each of them. The
    producers of every block fill their part of each stage in all of these: they write it
    in their own, and `tile.send` it to the others. A stage is full in a block when its own
    producers have committed and the others' parts have arrived, and free when the
    consumers of all blocks have released it: `tile.release` arrives in every block.

    Example: `%r = tile.alloc_ring producers 1 consumers 4
        : !tile.ring<2, [!tile.smem<64x128xbf16>]>`
  }];
  let arguments = (ins I64Attr:$producers, I64Attr:$consumers,
                       OptionalAttr<I64Attr>:$offset,
                       OptionalAttr<I64Attr>:$barriers,
                       DefaultValuedAttr<I64Attr, "1">:$across);
  let results = (outs Tile_RingType:$ring);
  let assemblyFormat = [{
    `producers` $producers `consumers` $consumers (`offset` $offset^)?
    (`barriers` $barriers^)? (`across` $across^)? attr-dict `:` type($ring)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Bytes from the first tile to the first barrier, once both are placed.
    int64_t getBarrierDistance() {
      ::std::optional<uint64_t> barriers = getBarriers();
      return barriers ? static_cast<int64_t>(*barriers - *getOffset())
                      : getRing().getType().getTileBytes();
    }
  }];
}

class Tile_StageOp<string opMnemonic> : Tile_Op<opMnemonic> {
  let arguments = (ins Tile_RingType:$ring, Index:$index);
  let results = (outs Variadic<Tile_SmemType>:$tiles);
  let assemblyFormat =
      "$ring `[` $index `]` attr-dict `:` type($ring) `->` type($tiles)";
  let hasVerifier = 1;
}

def Tile_AcquireOp : Tile_StageOp<"acquire"> {
  let summary = "the producer waits until a stage is free";
  let description = [{
    `index` counts the uses of the ring from 0; its stage is index mod depth.

    Example: see `tile.roles`.
  }];
}

def Tile_WaitOp : Tile_StageOp<"wait"> {
  let summary = "the consumer waits until a stage is full";
  let description = [{ Example: see `tile.roles`. }];
}

def Tile_CommitOp : Tile_Op<"commit"> {
  let summary = "the producer has issued everything of a stage";
  let description = [{
    The stage is full when the producer's own writes are done and TMA has brought
    the bytes of every swizzled tile of the stage, or `bytes` where loads bring fewer
    rows than tiles have. Of a ring across blocks, `bytes` are those that the other blocks
    send into the stage, a multiple of the producers, or 0 where they send nothing.

    Example: see `tile.roles`.
  }];
  let arguments = (ins Tile_RingType:$ring, Index:$index,
                       OptionalAttr<I64Attr>:$bytes);
  let assemblyFormat = [{
    $ring `[` $index `]` (`bytes` $bytes^)? attr-dict `:` type($ring)
  }];
  let hasVerifier = 1;
}

def Tile_SendOp : Tile_Op<"send"> {
  let summary = "copy a piece of a stage to the same place in another block";
  let description = [{
    A bulk copy to block `block` of the cluster, whose stage counts the bytes. The piece
    has been written, behind a barrier with a proxy fence. It is a vector, or its columns
    are one column block, so that it lies in one piece. Issued by one thread of the calling warp, between
    `tile.acquire` and `tile.commit`: the stage is free in all blocks then.

    Example:

    ```mlir
    tile.send %part to %other of %ring[%i]
        : !tile.smem<64x64xbf16>, !tile.ring<1, [!tile.smem<64x128xbf16>], warps>
    ```
  }];
  let arguments = (ins Tile_SmemType:$piece, Index:$block, Tile_RingType:$ring,
                       Index:$index);
  let assemblyFormat = [{
    $piece `to` $block `of` $ring `[` $index `]` attr-dict
    `:` type($piece) `,` type($ring)
  }];
  let hasVerifier = 1;
}

def Tile_SendColumnsOp : Tile_Op<"send_columns"> {
  let summary = "part of a register tile's columns to a stage of another block";
  let description = [{
    Part number `part` of the columns, as many as the stage's tile has, goes to the stage of
    block `block` of the cluster, each thread's elements to a place that the same thread
    of the other block reads (`tile.add_columns`): the stage holds them in no order that
    something else could read. The other block's stage counts the bytes. Called by a
    warpgroup between `tile.acquire` and `tile.commit`: no thread waits for another.

    Example:

    ```mlir
    %t = tile.acquire %ring[%i] : !tile.ring<1, [!tile.smem<64x64xbf16>], warps> -> !tile.smem<64x64xbf16>
    tile.send_columns %y[%other] to %other by %t of %ring[%i]
        : tensor<64x128xbf16, #tile.layout<acc>>, !tile.smem<64x64xbf16>,
          !tile.ring<1, [!tile.smem<64x64xbf16>], warps>
    ```
  }];
  let arguments = (ins Tile_AnyTensor:$value, Index:$part, Index:$block,
                       Tile_SmemType:$tile, Tile_RingType:$ring, Index:$index);
  let assemblyFormat = [{
    $value `[` $part `]` `to` $block `by` $tile `of` $ring `[` $index `]` attr-dict
    `:` type($value) `,` type($tile) `,` type($ring)
  }];
  let hasVerifier = 1;
}

def Tile_AddColumnsOp : Tile_Op<"add_columns"> {
  let summary = "part of a register tile's columns, plus what another block sent";
  let description = [{
    Part number `part` of the columns plus the tile that `tile.send_columns` of another
    block has sent, rounded to the element type.

    Example:

    ```mlir
    %z = tile.add_columns %y[%rank], %t
        : tensor<64x128xbf16, #tile.layout<acc>>, !tile.smem<64x64xbf16>
          -> tensor<64x64xbf16, #tile.layout<acc>>
    ```
  }];
  let arguments = (ins Tile_AnyTensor:$value, Index:$part, Tile_SmemType:$tile);
  let results = (outs Tile_AnyTensor:$sum);
  let assemblyFormat = [{
    $value `[` $part `]` `,` $tile attr-dict
    `:` type($value) `,` type($tile) `->` type($sum)
  }];
  let hasVerifier = 1;
}

def Tile_ClearStagesOp : Tile_Op<"clear_stages"> {
  let summary = "zero the rows of a ring's tile that no load writes";
  let description = [{
    In each stage, rows `from` and later of tile number `tile`, once: loads of fewer
    rows leave them alone. Called by all threads of the block, before the `tile.sync`
    in front of its roles.

    Example: `tile.clear_stages %ring tile 0 from 63
        : !tile.ring<2, [!tile.smem<64x64xbf16>]>`
  }];
  let arguments = (ins Tile_RingType:$ring, I64Attr:$tile, I64Attr:$from);
  let assemblyFormat = [{
    $ring `tile` $tile `from` $from attr-dict `:` type($ring)
  }];
  let hasVerifier = 1;
}

def Tile_ReleaseOp : Tile_Op<"release"> {
  let summary = "the consumer no longer reads a stage";
  let description = [{
    With `fenced` what its threads have read of the stage themselves (`tile.read`) is
    read before TMA writes there again: the two go through different proxies, between
    which an arrival alone orders nothing. Products need no fence, since their await
    comes first.

    Example: see `tile.roles`.
  }];
  let arguments = (ins Tile_RingType:$ring, Index:$index, UnitAttr:$fenced);
  let assemblyFormat =
      "(`fenced` $fenced^)? $ring `[` $index `]` attr-dict `:` type($ring)";
}

#endif // WYVERN_DIALECT_TILE_IR_TILERINGOPS
