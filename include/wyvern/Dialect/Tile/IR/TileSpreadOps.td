//===- TileSpreadOps.td - Tiles of the CUDA cores -------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_TILE_IR_TILESPREADOPS
#define WYVERN_DIALECT_TILE_IR_TILESPREADOPS

include "wyvern/Dialect/Tile/IR/TileMemoryOps.td"

def Tile_LoadIndexOp : Tile_Op<"load_index"> {
  let summary = "one integer of a vector in device memory";
  let description = [{
    Entry `at`, extended with its sign; `absent` where the tensor is optional and null.

    Example: `%slot = tile.load_index %read[%n] else %minus1
        : !tile.global<tensor<?xi32>, optional = true>`
  }];
  let arguments = (ins Arg<Tile_GlobalType, "", [MemRead]>:$global, Index:$at,
                       Index:$absent);
  let results = (outs Index:$entry);
  let assemblyFormat = [{
    $global `[` $at `]` `else` $absent attr-dict `:` type($global)
  }];
  let hasVerifier = 1;
}

def Tile_LoadSpreadOp : Tile_Op<"load_spread"> {
  let summary = "device memory into a spread tile";
  let description = [{
    Element (i, j) of the tile is at `coords` with i and j added to the dimensions
    `dims`. A thread loads each piece of the last dimension at once; the pieces of a
    tensor's last dimension lie side by side.

    Example:

    ```mlir
    %s = tile.load_spread %pool[%slot, %head, %v, %c0] dims [2, 3]
        : !tile.global<tensor<?x32x128x128xf32>, contiguous = true>
        -> tensor<64x128xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4,
                                            piece 4 lanes 8 step 1 warps 1]>>
    ```
  }];
  let arguments = (ins Arg<Tile_GlobalType, "", [MemRead]>:$global,
                       Variadic<Index>:$coords, DenseI64ArrayAttr:$dims);
  let results = (outs Tile_AnyTensor:$value);
  let assemblyFormat = [{
    $global `[` $coords `]` `dims` $dims attr-dict
    `:` type($global) `->` type($value)
  }];
  let hasVerifier = 1;
}

def Tile_StoreSpreadOp : Tile_Op<"store_spread"> {
  let summary = "a spread tile into device memory";
  let description = [{
    The inverse of `tile.load_spread`. Of the lanes that hold the same elements one stores
    them.

    Example:

    ```mlir
    tile.store_spread %s to %pool[%slot, %head, %v, %c0] dims [2, 3]
        : tensor<64x128xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4,
                                           piece 4 lanes 8 step 1 warps 1]>>,
          !tile.global<tensor<?x32x128x128xf32>, contiguous = true>
    ```
  }];
  let arguments = (ins Tile_AnyTensor:$value,
                       Arg<Tile_GlobalType, "", [MemWrite]>:$global,
                       Variadic<Index>:$coords, DenseI64ArrayAttr:$dims);
  let assemblyFormat = [{
    $value `to` $global `[` $coords `]` `dims` $dims attr-dict
    `:` type($value) `,` type($global)
  }];
  let hasVerifier = 1;
}

def Tile_StochasticTruncOp : Tile_Op<"stochastic_trunc", [Pure]> {
  let summary = "a tile of f32 rounded to bf16 at random, by a seed";
  let description = [{
    Element (i, j) has number 2 `pair` + i `steps[0]` + j `steps[1]`. It is rounded up to the
    next bf16 where its last 16 bits and 16 random ones, added, carry; else down: its
    expectation is the f32. The random bits of number n are the low half of h(n / 2), or
    its high half where n is odd, with

    ```
    h(m)   = mix(m xor key)        key = mix(low word of seed xor mix(high word + 0x9e3779b9))
    mix(x): x ^= x >> 16; x *= 0x7feb352d; x ^= x >> 15; x *= 0x846ca68b; x ^= x >> 16
    ```

    on words of 32 bits. What is infinite stays so, and a NaN is a NaN.

    Example:

    ```mlir
    %b = tile.stochastic_trunc %s seed %seed pair %first steps [128, 1]
        : tensor<64x128xf32, #tile.layout<acc>> -> tensor<64x128xbf16, #tile.layout<acc>>
    ```
  }];
  let arguments = (ins Tile_AnyTensor:$source, Index:$seed, Index:$pair,
                       DenseI64ArrayAttr:$steps);
  let results = (outs Tile_AnyTensor:$rounded);
  let assemblyFormat = [{
    $source `seed` $seed `pair` $pair `steps` $steps attr-dict
    `:` type($source) `->` type($rounded)
  }];
  let hasVerifier = 1;
}

def Tile_ContractOp : Tile_Op<"contract", [Pure, AllTypesMatch<["c", "d"]>]> {
  let summary = "D = C + the sum of A B, on the CUDA cores";
  let description = [{
    As `linalg.contract`: `maps` say which loops run over the dimensions of A, B and D.
    What one loop runs over is spread alike. A thread multiplies and adds what it holds to
    C, in the order of the elements. Where lanes share a loop that is summed over, each has
    its sum, these are added up in a tree, and C comes last. So the order of all additions
    follows from the types.

    Where all warps of the kernel share such a loop, sums of warps are added up in their order,
    through `scratch` in shared memory, a number a warp and element of D; then every thread
    has all of D, and all warps come here together. With `blocks` the n blocks of a cluster that
    follow each other share the loop too: each writes the sums of its warps to the scratch of
    all, and all come here together.

    Example:

    ```mlir
    %r = tile.contract %q, %s into %zero
        maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>,
              affine_map<(m, n, k) -> (m, n)>]
        : tensor<1x128xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>>,
          tensor<64x128xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4,
                                           piece 4 lanes 8 step 1 warps 1]>>,
          tensor<1x64xf32, #tile.spread<[_, piece 1 lanes 4 step 8 warps 4]>>
    ```
  }];
  let arguments = (ins Tile_AnyTensor:$a, Tile_AnyTensor:$b, Tile_AnyTensor:$c,
                       Optional<Tile_SmemType>:$scratch,
                       AffineMapArrayAttr:$maps,
                       DefaultValuedAttr<I64Attr, "1">:$blocks);
  let results = (outs Tile_AnyTensor:$d);
  let assemblyFormat = [{
    $a `,` $b `into` $c `maps` $maps (`through` $scratch^ `:` type($scratch) `,`)?
    attr-dict `:` type($a) `,` type($b) `,` type($c)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// A, B and C.
    ::mlir::ValueRange getTiles() { return getOperands().take_front(3); }
    /// The spread and the extent of each loop.
    ::llvm::SmallVector<std::pair<DimSpread, int64_t>> getLoopSpreads();
    /// The loops that are summed over: those of no dimension of D.
    ::llvm::SmallVector<unsigned> getSummedLoops();
    /// The warps that share a loop that is summed over; 1 if each has it whole.
    int64_t getSummedWarps();
  }];
}

def Tile_RearrangeOp : Tile_Op<"rearrange", [Pure]> {
  let summary = "a spread tile with other dimensions";
  let description = [{
    Dimension k of the result is dimension `from[k]` of the source, spread alike, or for -1
    one along which all elements are equal. Dimensions of the source that are not named have
    one element. So it broadcasts, transposes and drops; no lane hands anything to another.

    Example: `%m = tile.rearrange %v from [-1, 0]
        : tensor<64xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4]>>
        -> tensor<1x64xf32, #tile.spread<[_, piece 1 lanes 4 step 8 warps 4]>>`
  }];
  let arguments = (ins Tile_AnyTensor:$source, DenseI64ArrayAttr:$from);
  let results = (outs Tile_AnyTensor:$result);
  let assemblyFormat = [{
    $source `from` $from attr-dict `:` type($source) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_SolveRowsOp
    : Tile_Op<"solve_rows", [Pure, AllTypesMatch<["w", "u"]>]> {
  let summary = "a triangular system of a few rows, by substitution";
  let description = [{
    U = c * R of (I + stril(L) diag(c)) R = W, as `delta.erase_solve`. Every thread has L,
    the rates and all rows of its columns of W, so it solves for these alone.

    Example: `%u = tile.solve_rows %l, %c, %w
        : tensor<2x2xf32, #tile.spread<[_, _]>>, tensor<2xf32, #tile.spread<[_]>>,
          tensor<2x64xf32, #tile.spread<[_, piece 1 lanes 4 step 8 warps 4]>>`
  }];
  let arguments = (ins Tile_AnyTensor:$l, Tile_AnyTensor:$rate,
                       Tile_AnyTensor:$w);
  let results = (outs Tile_AnyTensor:$u);
  let assemblyFormat = [{
    $l `,` $rate `,` $w attr-dict `:` type($l) `,` type($rate) `,` type($w)
  }];
  let hasVerifier = 1;
}

def Tile_ConvRowOp
    : Tile_Op<"conv_row", [Pure, AllTypesMatch<["x", "y"]>,
                           AllTypesMatch<["window", "next"]>]> {
  let summary = "one row of a short causal convolution";
  let description = [{
    y is the sum z of `delta.conv_row`, in front of the SiLU, which is elementwise. Channels are
    spread alike in all tiles: a thread has the window and the filter of its own, so no lane
    hands anything to another.

    Example: `%y, %next = tile.conv_row %x behind %window filter %f
        : tensor<1x128xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>,
          tensor<3x128xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>,
          tensor<128x4xf32, #tile.spread<[piece 1 lanes 32 step 1 warps 4, _]>>`
  }];
  let arguments = (ins Tile_AnyTensor:$x, Tile_AnyTensor:$window,
                       Tile_AnyTensor:$filter);
  let results = (outs Tile_AnyTensor:$y, Tile_AnyTensor:$next);
  let assemblyFormat = [{
    $x `behind` $window `filter` $filter attr-dict
    `:` type($x) `,` type($window) `,` type($filter)
  }];
  let hasVerifier = 1;
}

def Tile_PutRowsOp : Tile_Op<"put_rows"> {
  let summary = "spread tiles into an entry of a place in shared memory";
  let description = [{
    Entry n is row n of `place`; it holds the tiles one behind the other, row-major. Of the
    threads that hold an element one stores it. Nobody waits: between this and a
    `tile.get_rows` of other threads lies a `tile.meet`, and one between that and the next
    tiles that are put there. With `of_warp` it is one warp that comes here, which has all of
    the tiles, and stores them (C3).

    Example:

    ```mlir
    tile.put_rows %q, %v at %n in %place
        : !tile.smem<2x192xf32>, tensor<1x128xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>,
          tensor<1x64xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 2]>>
    ```
  }];
  let arguments = (ins Variadic<Tile_AnyTensor>:$tiles, Index:$n,
                       Arg<Tile_SmemType, "", [MemWrite]>:$place,
                       UnitAttr:$of_warp);
  let assemblyFormat = [{
    $tiles `at` $n `in` $place (`of_warp` $of_warp^)? attr-dict
    `:` type($place) `,` type($tiles)
  }];
  let hasVerifier = 1;
}

def Tile_GetRowsOp : Tile_Op<"get_rows"> {
  let summary = "the tiles of an entry of a place in shared memory";
  let description = [{
    The tiles that the last `tile.put_rows` there has put into entry n, of the same shapes,
    in any spread: each thread loads what it holds of them.

    Example:

    ```mlir
    %q, %v = tile.get_rows at %n in %place
        : !tile.smem<2x192xf32> -> tensor<1x128xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>>,
                                   tensor<1x64xf32, #tile.spread<[_, piece 1 lanes 4 step 8 warps 4]>>
    ```
  }];
  let arguments = (ins Index:$n, Arg<Tile_SmemType, "", [MemRead]>:$place);
  let results = (outs Variadic<Tile_AnyTensor>:$tiles);
  let assemblyFormat = [{
    `at` $n `in` $place attr-dict `:` type($place) `->` type($tiles)
  }];
  let hasVerifier = 1;
}

def Tile_MeetOp : Tile_Op<"meet", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "all warps of the kernel wait for each other";
  let description = [{
    What any of them has written to shared memory in front of it, all find behind it.

    Example: `tile.meet`
  }];
  let assemblyFormat = "attr-dict";
}

def Tile_KeepOp : Tile_Op<"keep"> {
  let summary = "what a thread holds of a spread tile, into a place of its own";
  let description = [{
    In shared memory: a number for each element that a thread holds and thread of the kernel. No
    thread sees another's, so nobody waits. For what is read seldom and would take registers
    meanwhile.

    Example: `tile.keep %x in %s : tensor<1x128xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>, !tile.smem<128xf32>`
  }];
  let arguments = (ins Tile_AnyTensor:$tile,
                       Arg<Tile_SmemType, "", [MemWrite]>:$place);
  let assemblyFormat = "$tile `in` $place attr-dict `:` type($tile) `,` type($place)";
  let hasVerifier = 1;
}

def Tile_KeptOp : Tile_Op<"kept"> {
  let summary = "what a thread has put into a place of its own";
  let description = [{
    The tile that the last `tile.keep` of the same type has put there.

    Example: `%x = tile.kept %s : !tile.smem<128xf32> -> tensor<1x128xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>`
  }];
  let arguments = (ins Arg<Tile_SmemType, "", [MemRead]>:$place);
  let results = (outs Tile_AnyTensor:$tile);
  let assemblyFormat = "$place attr-dict `:` type($place) `->` type($tile)";
  let hasVerifier = 1;
}

def Tile_ClusterArriveOp : Tile_Op<"cluster_arrive", [
    MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "says to the blocks of the cluster that this thread has come so far";
  let description = [{
    What a thread has read and written before it, is read and written before what any
    thread of the cluster does behind its `tile.cluster_wait`. Every thread of the kernel arrives and
    waits in turn. With `of_reads` that holds for what a thread has read and used, and nothing else: it
    waits for no load or store that is on its way.

    Example: `tile.cluster_arrive of_reads`
  }];
  let arguments = (ins UnitAttr:$of_reads);
  let assemblyFormat = "(`of_reads` $of_reads^)? attr-dict";
  let hasVerifier = 1;
}

def Tile_ClusterWaitOp : Tile_Op<"cluster_wait", [
    MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "waits until all threads of the cluster have arrived";
  let description = [{ Example: `tile.cluster_wait` }];
  let assemblyFormat = "attr-dict";
  let hasVerifier = 1;
}

#endif // WYVERN_DIALECT_TILE_IR_TILESPREADOPS
