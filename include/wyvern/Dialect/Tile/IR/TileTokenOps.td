//===- TileTokenOps.td - Sums over tokens ---------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_TILE_IR_TILETOKENOPS
#define WYVERN_DIALECT_TILE_IR_TILETOKENOPS

include "wyvern/Dialect/Tile/IR/TileMemoryOps.td"

def Tile_SumTokensOp : Tile_Op<"sum_tokens"> {
  let summary = "the block sums what its head has of every token";
  let description = [{
    `result[head]` becomes the sum of `global[b, t, head]` over the first `rows` pairs
    (b, t), of which the batch row changes last: all, or of packed sequences those that
    they own. `global` is dense. In one order, so that every run gives the same bits: a
    thread adds every n-th row, n threads of the block in all, from the first one on, then
    the lanes of a warp and the warps are added in pairs. Called by the whole block.

    Example:

    ```mlir
    tile.sum_tokens %x to %y head %h rows %n via %s
        : !tile.global<tensor<?x?x4xf32>, dense = true>, !tile.global<tensor<4xf32>>,
          !tile.smem<32xf32>
    ```
  }];
  let arguments = (ins Tile_GlobalType:$global, Tile_GlobalType:$result,
                       Index:$head, Index:$rows, Tile_SmemType:$scratch);
  let assemblyFormat = [{
    $global `to` $result `head` $head `rows` $rows `via` $scratch attr-dict
    `:` type($global) `,` type($result) `,` type($scratch)
  }];
  let hasVerifier = 1;
}

def Tile_SumTokenColumnsOp : Tile_Op<"sum_token_columns"> {
  let summary = "the block sums a lane's columns of every token";
  let description = [{
    Of `global[b, t, head, channel]` as a matrix with a row a token and a column for each
    head and channel, `result` gets the sums of 32 columns, from 32 `block` on, over the
    first `rows` rows: as `tile.sum_tokens` counts them. `global` is dense. In one order, so
    that every run gives the same bits: warp i of n adds rows i, i + n, i + 2 n ..., of
    which each lane has a column; then the warps are added from the first on. Called by
    the whole block.

    Example:

    ```mlir
    tile.sum_token_columns %x to %y block %c rows %n via %s
        : !tile.global<tensor<?x?x4x128xf32>, dense = true>,
          !tile.global<tensor<4x128xf32>>, !tile.smem<1024xf32>
    ```
  }];
  let arguments = (ins Tile_GlobalType:$global, Tile_GlobalType:$result,
                       Index:$block, Index:$rows, Tile_SmemType:$scratch);
  let assemblyFormat = [{
    $global `to` $result `block` $block `rows` $rows `via` $scratch attr-dict
    `:` type($global) `,` type($result) `,` type($scratch)
  }];
  let hasVerifier = 1;
}

def Tile_ScanTokenColumnsOp
    : Tile_Op<"scan_token_columns", [AttrSizedOperandSegments]> {
  let summary = "the block sums a lane's columns up to every token";
  let description = [{
    `delta.running_sum` of sequence `sequence` of `of`, for 32 columns of x[b, t, head,
    channel], from 32 `block` on, as `tile.sum_token_columns` counts them. Rows are
    `length` of batch row `batch` from `start` on; the last sequence gives zeros to those
    from `end` to `tokens`. Each warp sums a run of `run` rows, adds those in front in their
    order, and goes through it again; what stands behind a run is what was in front of it and
    the run's sum, so a sequence that is cut at a run has the bits of the whole. With `slots` the
    sums start at row `read` of init and end in row `write` of total, where these are not below
    `first`; with `keep` those behind every `every` rows, and behind the last, go to the rows
    of total that entries from `entry` on name. Example:
    ```mlir
    tile.scan_token_columns %x to %y, %last from %init block %i
        rows %i, %i, %i, %i, %i sequence %i of %i runs 32 via %m reverse wrapped
        : !tile.global<tensor<?x?x4x64xf32>, dense = true>,
          !tile.global<tensor<?x?x4x64xf32>, dense = true>, !tile.global<tensor<?x4x64xf32>>,
          !tile.smem<1024xf32>, !tile.global<tensor<?x4x64xf32>>
    ```
  }];
  let arguments = (ins Tile_GlobalType:$x, Tile_GlobalType:$y,
                       Tile_GlobalType:$total, Optional<Tile_GlobalType>:$init,
                       Index:$block, Index:$batch, Index:$start, Index:$length,
                       Index:$end, Index:$tokens, Index:$sequence, Index:$of,
                       Optional<Index>:$read, Optional<Index>:$write,
                       Optional<Tile_GlobalType>:$keep, Optional<Index>:$entry,
                       Tile_SmemType:$scratch, I64Attr:$run, UnitAttr:$reverse,
                       UnitAttr:$wrapped, DefaultValuedAttr<I64Attr, "0">:$first_slot,
                       DefaultValuedAttr<I64Attr, "0">:$every);
  let assemblyFormat = [{
    $x `to` $y `,` $total (`from` $init^)? `block` $block `rows` $batch `,` $start `,`
    $length `,` $end `,` $tokens `sequence` $sequence `of` $of
    (`slots` $read^ `,` $write `first` $first_slot)?
    (`keep` $keep^ `:` type($keep) `from` $entry `every` $every)? `runs` $run
    `via` $scratch (`reverse` $reverse^)? (`wrapped` $wrapped^)? attr-dict
    `:` type($x) `,` type($y) `,` type($total) `,` type($scratch) (`,` type($init)^)?
  }];
  let hasVerifier = 1;
}

#endif // WYVERN_DIALECT_TILE_IR_TILETOKENOPS
