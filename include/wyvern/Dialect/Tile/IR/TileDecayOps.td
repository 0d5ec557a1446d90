//===- TileDecayOps.td - Products with a decay a channel -*- tablegen -*---===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_TILE_IR_TILEDECAYOPS
#define WYVERN_DIALECT_TILE_IR_TILEDECAYOPS

include "wyvern/Dialect/Tile/IR/TileMemoryOps.td"

def Tile_DecayedProductsOp : Tile_Op<"decayed_products",
                                     [AttrSizedOperandSegments]> {
  let summary = "products of the rows of a chunk with a decay a channel";
  let description = [{
    With s_i the sums of the rows 0 to i of `g`, the gates of 64 tokens, product n is

    ```
    p[i, j] = sum over channels c of x[i, c] exp(s_i[c] - s_j[c]) y[j, c],  j < i
    ```

    of the rows x = `rows[left[n]]` and y = `rows[right]`; p[i, i] is the sum of x y where
    `diagonal[n]` holds, else zero, as what is above. Out m is `rows[source[m]]` times
    exp(s_i), or with `to_end[m]` times exp(s_63 - s_i), in its element type; `total` is
    exp(s_63), a vector. Rows are multiplied by `mma.sync`, 16 channels at a time: a loop with
    little code and few tiles. Where the gates of no quarter of the rows add up to less than
    -80, operands are scaled to the middle of their half of 32 rows, by factors up to exp(80),
    and those of two halves from there to the middle of both. Else no factor is above 1 but of
    tokens of one block of 8: these are scaled to the middle of it, where gates count as no
    less than -16, and those of two blocks to the middle of 16, 32 or 64 rows
    (docs/rationale/chunk-op.md). Rows from `valid` on count as zeros, and are not
    written.

    `coords` are those of `g`, of each of the rows, of the outs and of `total`, one
    after the other; rows go along dimension `dim`, channels along the last one, and have no
    gaps. Called by a warpgroup that has hardware barrier `barrier_id` to itself.

    Example:

    ```mlir
    %l, %p = tile.decayed_products %g of (%k, %q) to (%kd) total %t
        at [%b, %i, %h, %c0, %b, %i, %h, %c0, %b, %i, %h, %c0, %b, %i, %h, %c0, %s, %h, %c0]
        dim 1 valid %n via %m barrier 1 left [0, 1] right 0 diagonal [false, true]
        source [0] to_end [false]
        : !tile.global<tensor<?x?x4x128xf32>, contiguous = true>,
          (!tile.global<tensor<?x?x4x128xbf16>, contiguous = true>,
           !tile.global<tensor<?x?x4x128xbf16>, contiguous = true>),
          (!tile.global<tensor<?x?x4x128xbf16>, dense = true>), !tile.smem<13824xf32>
          total !tile.global<tensor<?x4x128xf32>, dense = true>
        -> tensor<64x64xf32, #tile.layout<acc>>, tensor<64x64xf32, #tile.layout<acc>>
    ```
  }];
  let arguments = (ins Tile_GlobalType:$g, Variadic<Tile_GlobalType>:$rows,
                       Variadic<Tile_GlobalType>:$outs,
                       Optional<Tile_GlobalType>:$total, Variadic<Index>:$coords,
                       I64Attr:$dim, Index:$valid, Tile_SmemType:$scratch,
                       I64Attr:$barrier_id, DenseI64ArrayAttr:$left, I64Attr:$right,
                       DenseBoolArrayAttr:$diagonal, DenseI64ArrayAttr:$source,
                       DenseBoolArrayAttr:$to_end);
  let results = (outs Variadic<Tile_AnyTensor>:$products);
  let assemblyFormat = [{
    $g `of` ` ` `(` $rows `)` `to` ` ` `(` $outs `)` (`total` $total^)?
    `at` ` ` `[` $coords `]` `dim` $dim `valid` $valid `via` $scratch `barrier` $barrier_id
    `left` $left `right` $right `diagonal` $diagonal `source` $source `to_end` $to_end
    attr-dict `:` type($g) `,` `(` type($rows) `)` `,` `(` type($outs) `)`
    `,` type($scratch) (`total` type($total)^)? `->` type($products)
  }];
  let extraClassDeclaration = [{
    /// The coordinates of tensor `i`: `g`, then the rows, the outs and `total`.
    ::mlir::OperandRange getCoordsOf(unsigned i);
    /// The channels.
    int64_t getColumns();
    /// Elements from a row of a product to the next one, in the scratch tile.
    static constexpr int64_t kProductPitch = 72;
    /// Elements of f32 of the scratch tile for `columns` channels.
    static int64_t getScratchSize(int64_t columns);
  }];
  let hasVerifier = 1;
}

#endif // WYVERN_DIALECT_TILE_IR_TILEDECAYOPS
