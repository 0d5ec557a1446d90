//===- TileMemoryOps.td - Shared and global memory ------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_TILE_IR_TILEMEMORYOPS
#define WYVERN_DIALECT_TILE_IR_TILEMEMORYOPS

include "wyvern/Dialect/Tile/IR/TileKernelOps.td"

def Tile_AllocOp : Tile_Op<"alloc"> {
  let summary = "a tile of shared memory for the whole kernel";
  let description = [{
    `offset`, in bytes from the block's dynamic shared memory, is set by
    `tile-plan-smem`. A `transient` tile holds nothing between the operations that
    use it, each of which starts with a barrier of its warpgroup; so all transient
    tiles may lie in one place.

    Example: `%t = tile.alloc transient : !tile.smem<64x64xf32>`
  }];
  let arguments = (ins UnitAttr:$transient, OptionalAttr<I64Attr>:$offset);
  let results = (outs Tile_SmemType:$tile);
  let assemblyFormat = [{
    (`transient` $transient^)? (`offset` $offset^)? attr-dict `:` type($tile)
  }];
}

def Tile_LoadOp : Tile_Op<"load"> {
  let summary = "TMA brings a tile into a stage";
  let description = [{
    Rows and columns outside the tensor arrive as zero. One load a column block of
    64 elements; `coords` are the outermost dimension first, the last one in
    elements. Issued by one thread.

    Example: see `tile.roles`.
  }];
  let arguments = (ins Tile_TensorMapType:$map, Variadic<Index>:$coords,
                       Tile_SmemType:$tile, Tile_RingType:$ring, Index:$index);
  let assemblyFormat = [{
    $map `[` $coords `]` `to` $tile `of` $ring `[` $index `]` attr-dict
    `:` type($map) `,` type($tile) `,` type($ring)
  }];
  let hasVerifier = 1;
}

def Tile_LoadVectorOp : Tile_Op<"load_vector"> {
  let summary = "the calling warp copies a strided vector into shared memory";
  let description = [{
    Element i < `valid` is `global[coords]` with i added to coordinate `dim`; the
    others are zero (never read). Converted to f32. The tile is one of stage `index`
    of `ring`, which is full no sooner than the elements are there; of f32 the warp
    does not wait for them.

    Example:

    ```mlir
    tile.load_vector %g[%b, %t, %h] dim 1 valid %n to %v of %ring[%i]
        : !tile.global<tensor<?x?x4xf32>>, !tile.smem<64xf32>,
          !tile.ring<2, [!tile.smem<64xf32>]>
    ```
  }];
  let arguments = (ins Tile_GlobalType:$global, Variadic<Index>:$coords,
                       I64Attr:$dim, Index:$valid, Tile_SmemType:$tile,
                       Tile_RingType:$ring, Index:$index);
  let assemblyFormat = [{
    $global `[` $coords `]` `dim` $dim `valid` $valid `to` $tile
    `of` $ring `[` $index `]` attr-dict
    `:` type($global) `,` type($tile) `,` type($ring)
  }];
  let hasVerifier = 1;
}

def Tile_LoadRowsOp : Tile_Op<"load_rows"> {
  let summary = "the calling warp copies rows of f32 into shared memory";
  let description = [{
    Row i < `valid` of the tile is `global[coords]` with i added to coordinate `dim`;
    columns run along the last dimension. The others are zero (never read). The tile is
    one of stage `index` of `ring`, which is full no sooner than the elements are
    there; the warp does not wait for them. For matrices of f32, whose padded rows TMA
    does not write.

    Example:

    ```mlir
    tile.load_rows %g[%b, %t, %h, %c0] dim 1 valid %n to %v of %ring[%i]
        : !tile.global<tensor<?x?x4x128xf32>>, !tile.smem<64x128xf32>,
          !tile.ring<2, [!tile.smem<64x128xf32>]>
    ```
  }];
  let arguments = (ins Tile_GlobalType:$global, Variadic<Index>:$coords,
                       I64Attr:$dim, Index:$valid, Tile_SmemType:$tile,
                       Tile_RingType:$ring, Index:$index);
  let assemblyFormat = [{
    $global `[` $coords `]` `dim` $dim `valid` $valid `to` $tile
    `of` $ring `[` $index `]` attr-dict
    `:` type($global) `,` type($tile) `,` type($ring)
  }];
  let hasVerifier = 1;
}

def Tile_LoadScalarOp : Tile_Op<"load_scalar"> {
  let summary = "one element of device memory, in every thread";
  let description = [{
    For what all tokens of a head share. Converted to f32.

    Example: `%a = tile.load_scalar %log[%h] : !tile.global<tensor<4xf32>>`
  }];
  let arguments = (ins Tile_GlobalType:$global, Variadic<Index>:$coords);
  let results = (outs F32:$value);
  let assemblyFormat = "$global `[` $coords `]` attr-dict `:` type($global)";
  let hasVerifier = 1;
}

def Tile_ZeroRowsOp : Tile_Op<"zero_rows"> {
  let summary = "zero the rows of a tile from `from` on";
  let description = [{
    What a partial chunk reads past its sequence's end may be another sequence's
    rows, NaN included, so they are overwritten, not multiplied by zero. Called by
    a warpgroup; a `tile.barrier proxy` must follow.

    Example: `tile.zero_rows %t from %n : !tile.smem<64x128xbf16>`
  }];
  let arguments = (ins Tile_SmemType:$tile, Index:$from);
  let assemblyFormat = "$tile `from` $from attr-dict `:` type($tile)";
}

def Tile_ReadOp : Tile_Op<"read"> {
  let summary = "a tile of shared memory into registers";
  let description = [{
    With `transpose` the register tile is the transpose of the one in memory. Of more
    than 64 rows (columns, with `transpose`) it is the 64 of `block`.

    Example: `%x = tile.read transpose %t : !tile.smem<64x64xbf16>
        -> tensor<64x64xbf16, #tile.layout<acc>>`
  }];
  let arguments = (ins Tile_SmemType:$tile, UnitAttr:$transpose,
                       DefaultValuedAttr<I64Attr, "0">:$block);
  let results = (outs Tile_AnyTensor:$value);
  let assemblyFormat = [{
    (`transpose` $transpose^)? $tile (`block` $block^)? attr-dict
    `:` type($tile) `->` type($value)
  }];
  let hasVerifier = 1;
}

def Tile_ReadElementOp : Tile_Op<"read_element"> {
  let summary = "an element of a vector in shared memory, in every thread";
  let description = [{
    Example: `%x = tile.read_element %t[%i] : !tile.smem<64xf32>`
  }];
  let arguments = (ins Tile_SmemType:$tile, Index:$index);
  let results = (outs F32:$value);
  let assemblyFormat = "$tile `[` $index `]` attr-dict `:` type($tile)";
  let hasVerifier = 1;
}

def Tile_SubviewOp : Tile_Op<"subview", [Pure]> {
  let summary = "one of several equal pieces of a tile in shared memory";
  let description = [{
    The piece of this number: of a 16-bit matrix its columns C `block` to
    C `block` + C - 1, for a view of C columns, a multiple of 64; of any other tile as
    many rows. Either lies in one piece. A view of R rows of a 16-bit matrix, a multiple
    of 8 in all its columns, does not, where these are several column blocks: its type
    says how many rows the matrix has.

    Example: `%v = tile.subview %t[%w] : !tile.smem<64x128xbf16> -> !tile.smem<64x64xbf16>`,
    `%r = tile.subview %t[%w] : !tile.smem<128x128xbf16> -> !tile.smem<64x128xbf16, of 128>`
  }];
  let arguments = (ins Tile_SmemType:$tile, Index:$block);
  let results = (outs Tile_SmemType:$view);
  let assemblyFormat =
      "$tile `[` $block `]` attr-dict `:` type($tile) `->` type($view)";
  let hasVerifier = 1;
}

def Tile_WriteOp : Tile_Op<"write", [AllTypesMatch<["tile", "written"]>]> {
  let summary = "a register tile into shared memory, where others read it";
  let description = [{
    The inverse of `tile.read`; the result is the tile with the value in it. With
    `barrier_id` it begins with that barrier of the warpgroup, so that what lay in
    its place is no longer read, and ends with one behind a proxy fence: the whole
    value is there for every warp and for wgmma. Without, it writes into a ring's
    stage, whose `acquire` and `commit` do the same. Of a vector that several threads
    hold, one writes each element; one that every warp holds is written by the first
    warp of the warpgroup.

    Example:

    ```mlir
    %w = tile.write %x to %t barrier 1
        : tensor<64x128xbf16, #tile.layout<acc>>, !tile.smem<64x128xbf16>
    ```
  }];
  let arguments = (ins Tile_AnyTensor:$value, Tile_SmemType:$tile,
                       UnitAttr:$transpose,
                       DefaultValuedAttr<I64Attr, "0">:$block,
                       OptionalAttr<I64Attr>:$barrier_id);
  let results = (outs Tile_SmemType:$written);
  let assemblyFormat = [{
    (`transpose` $transpose^)? $value `to` $tile (`block` $block^)?
    (`barrier` $barrier_id^)? attr-dict `:` type($value) `,` type($tile)
  }];
  let hasVerifier = 1;
}

def Tile_StoreRowsOp : Tile_Op<"store_rows", [AttrSizedOperandSegments]> {
  let summary = "a register tile to consecutive rows in device memory";
  let description = [{
    Row i < `valid` of the tile goes to `global[coords]` with i added to
    coordinate `dim`; columns run along the last dimension, which has stride 1.
    With `transpose` the rows in memory are the register tile's columns. The tile
    passes through `staging`, so that whole 128-byte lines are written; if that has fewer
    rows, which divide those in memory, the register tile's columns pass piece by piece.
    Without, it leaves from registers in pieces of 32 bytes, for kernels that have no
    shared memory left. With `every n` rows of the tile are n rows apart in memory.
    With `own` each warp writes to the staging tile where it alone has read, by
    `tile.read` of a tile as the one that is stored: it waits for no other warp first.
    Called by a warpgroup that has hardware barrier `barrier_id` to itself.

    Example:

    ```mlir
    tile.store_rows transpose %o to %out[%b, %t, %h, %v] dim 1 valid %n via %s
        barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>,
        !tile.global<tensor<?x?x4x128xbf16>>, !tile.smem<64x64xbf16>
    ```
  }];
  let arguments = (ins Tile_AnyTensor:$value, Tile_GlobalType:$global,
                       Variadic<Index>:$coords, I64Attr:$dim, Index:$valid,
                       Optional<Tile_SmemType>:$staging, UnitAttr:$transpose,
                       I64Attr:$barrier_id, UnitAttr:$own,
                       DefaultValuedAttr<I64Attr, "1">:$every);
  let assemblyFormat = [{
    (`transpose` $transpose^)? $value `to` $global `[` $coords `]` `dim` $dim
    (`every` $every^)? `valid` $valid (`via` $staging^)? (`own` $own^)? `barrier` $barrier_id attr-dict
    `:` type($value) `,` type($global) (`,` type($staging)^)?
  }];
  let hasVerifier = 1;
}

def Tile_CopyRowsOp : Tile_Op<"copy_rows"> {
  let summary = "a tile in shared memory to consecutive rows in device memory";
  let description = [{
    Row i < `valid` of the tile, of 16 bits an element, goes to `global[coords]` with i
    added to coordinate `dim`; columns run along the last dimension, which has stride 1.
    The threads of a warpgroup take 16 bytes each in turn, rows of other warps too: the
    tile is complete behind a barrier of the warpgroup, and is not written again before
    the next one.

    Example:

    ```mlir
    tile.copy_rows %z to %out[%b, %t, %h, %v] dim 1 valid %n
        : !tile.smem<64x64xbf16>, !tile.global<tensor<?x?x4x64xbf16>>
    ```
  }];
  let arguments = (ins Tile_SmemType:$tile, Tile_GlobalType:$global,
                       Variadic<Index>:$coords, I64Attr:$dim, Index:$valid);
  let assemblyFormat = [{
    $tile `to` $global `[` $coords `]` `dim` $dim `valid` $valid attr-dict
    `:` type($tile) `,` type($global)
  }];
  let hasVerifier = 1;
}

def Tile_StoreVectorOp : Tile_Op<"store_vector"> {
  let summary = "a vector that every warp holds to device memory";
  let description = [{
    Element i < `valid` goes to `global[coords]` with i added to coordinate `dim`.

    Example:

    ```mlir
    tile.store_vector %a to %out[%b, %t, %h] dim 1 valid %n
        : tensor<64xf32, #tile.layout<warp>>, !tile.global<tensor<?x?x4xf32>>
    ```
  }];
  let arguments = (ins Tile_AnyTensor:$value, Tile_GlobalType:$global,
                       Variadic<Index>:$coords, I64Attr:$dim, Index:$valid);
  let assemblyFormat = [{
    $value `to` $global `[` $coords `]` `dim` $dim `valid` $valid attr-dict
    `:` type($value) `,` type($global)
  }];
  let hasVerifier = 1;
}

def Tile_LoadMatrixOp : Tile_Op<"load_matrix"> {
  let summary = "a matrix in any strides from device memory into registers";
  let description = [{
    Register element (i, j) is `global[coords]` with i added to coordinate `dims[0]` and j to
    `dims[1]`. A null global reads as zero. Element by element: for states, once a sequence; with
    `pairs` two along j at once, where they lie side by side and all other strides are even.

    Example:

    ```mlir
    %s = tile.load_matrix %s0[%n, %h, %c0, %v] dims [3, 2]
        : !tile.global<tensor<?x4x128x128xf32>, optional = true>
        -> tensor<64x128xf32, #tile.layout<acc>>
    ```
  }];
  let arguments = (ins Tile_GlobalType:$global, Variadic<Index>:$coords,
                       DenseI64ArrayAttr:$dims, UnitAttr:$pairs);
  let results = (outs Tile_AnyTensor:$value);
  let assemblyFormat = [{
    $global `[` $coords `]` `dims` $dims (`pairs` $pairs^)? attr-dict
    `:` type($global) `->` type($value)
  }];
  let hasVerifier = 1;
}

def Tile_FetchRowsOp : Tile_Op<"fetch_rows"> {
  let summary = "rows of tokens from device memory into registers";
  let description = [{
    Register element (i, j) is `global[coords]` with i added to coordinate `dim` and j to
    the last one; rows from `valid` on, of which there is at least one, read as zero.
    Rows are contiguous; with `every n` they are n rows apart. For what is read once: it
    needs no place in shared memory.

    Example:

    ```mlir
    %s = tile.fetch_rows %sum[%n, %t, %h, %c0] dim 1 valid %count
        : !tile.global<tensor<?x?x4x128xf32>> -> tensor<64x128xf32, #tile.layout<acc>>
    ```
  }];
  let arguments = (ins Tile_GlobalType:$global, Variadic<Index>:$coords,
                       I64Attr:$dim, Index:$valid,
                       DefaultValuedAttr<I64Attr, "1">:$every);
  let results = (outs Tile_AnyTensor:$value);
  let assemblyFormat = [{
    $global `[` $coords `]` `dim` $dim (`every` $every^)? `valid` $valid attr-dict
    `:` type($global) `->` type($value)
  }];
  let hasVerifier = 1;
}

def Tile_StoreMatrixOp : Tile_Op<"store_matrix"> {
  let summary = "a register tile to device memory in any strides";
  let description = [{
    The inverse of `tile.load_matrix`; a null global is left alone.

    Example:

    ```mlir
    tile.store_matrix %s to %sT[%n, %h, %c0, %v] dims [3, 2]
        : tensor<64x128xf32, #tile.layout<acc>>,
          !tile.global<tensor<?x4x128x128xf32>, optional = true>
    ```
  }];
  let arguments = (ins Tile_AnyTensor:$value, Tile_GlobalType:$global,
                       Variadic<Index>:$coords, DenseI64ArrayAttr:$dims,
                       UnitAttr:$pairs);
  let assemblyFormat = [{
    $value `to` $global `[` $coords `]` `dims` $dims (`pairs` $pairs^)? attr-dict
    `:` type($value) `,` type($global)
  }];
  let hasVerifier = 1;
}

def Tile_ZeroFillOp : Tile_Op<"zero_fill"> {
  let summary = "zero a range of rows in device memory";
  let description = [{
    Zeroes `columns` elements along the last dimension, for `from` <= coordinate
    `dim` < `to`. For the rows that no sequence owns; a vector's are of one column.

    Example:

    ```mlir
    tile.zero_fill %out[%b, %c0, %h, %v] dim 1 from %end to %T columns 64
        : !tile.global<tensor<?x?x4x128xbf16>>
    ```
  }];
  let arguments = (ins Tile_GlobalType:$global, Variadic<Index>:$coords,
                       I64Attr:$dim, Index:$from, Index:$to, I64Attr:$columns);
  let assemblyFormat = [{
    $global `[` $coords `]` `dim` $dim `from` $from `to` $to `columns` $columns
    attr-dict `:` type($global)
  }];
  let hasVerifier = 1;
}

#endif // WYVERN_DIALECT_TILE_IR_TILEMEMORYOPS
