//===- TileRegisterOps.td - Tiles in registers ----------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_TILE_IR_TILEREGISTEROPS
#define WYVERN_DIALECT_TILE_IR_TILEREGISTEROPS

include "mlir/Interfaces/InferTypeOpInterface.td"
include "wyvern/Dialect/Tile/IR/TileMemoryOps.td"

def Tile_MmaOp : Tile_Op<"mma"> {
  let summary = "D = A B (+ C) on the tensor cores, asynchronously";
  let description = [{
    A is 64 x K, in registers (`acc` layout, 16 bits) or in shared memory; B is
    K x N in shared memory; C and D are 64 x N in registers, f32. A tile in shared
    memory is given as it lies: A as [64, K], or [K, 64] with `transpose_a`; B as
    [K, N], or [N, K] with `transpose_b`. Of an A with more than 64 rows it takes the 64
    of `block`. With `negate_a` the product is taken off: D = C - A B. The product joins the group of wgmmas committed by this op; D is
    readable after `tile.await`, and registers of A and C are the tensor cores' until then.

    Example:

    ```mlir
    %d = tile.mma %a, %b transpose_b
        : tensor<64x128xbf16, #tile.layout<acc>>, !tile.smem<64x128xbf16>
        -> !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
    ```
  }];
  let arguments = (ins AnyTypeOf<[Tile_AnyTensor, Tile_SmemType]>:$a,
                       Tile_SmemType:$b, Optional<Tile_AnyTensor>:$c,
                       UnitAttr:$transpose_a, UnitAttr:$transpose_b,
                       DefaultValuedAttr<I64Attr, "0">:$block,
                       UnitAttr:$negate_a);
  let results = (outs Tile_InflightType:$d);
  let assemblyFormat = [{
    $a (`block` $block^)? (`transpose_a` $transpose_a^)? (`negate_a` $negate_a^)? `,` $b (`transpose_b` $transpose_b^)?
    (`into` $c^)? attr-dict
    `:` type($a) `,` type($b) (`,` type($c)^)? `->` type($d)
  }];
  let hasVerifier = 1;
}

def Tile_AwaitOp : Tile_Op<"await", [
    TypesMatchWith<"result is the tile that was in flight", "value", "tile",
                   "::llvm::cast<InflightType>($_self).getTile()">]> {
  let summary = "wait until an accumulator is complete";
  let description = [{
    `pending` is how many younger products may still be in flight; `tile-schedule`
    derives it, nobody writes it by hand.

    Example: `%x = tile.await %d : !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>`
  }];
  let arguments = (ins Tile_InflightType:$value,
                       DefaultValuedAttr<I64Attr, "0">:$pending);
  let results = (outs Tile_AnyTensor:$tile);
  let assemblyFormat =
      "$value (`pending` $pending^)? attr-dict `:` type($value)";
}

def Tile_BroadcastOp : Tile_Op<"broadcast", [Pure]> {
  let summary = "a row or column vector, or a scalar, over a tile";
  let description = [{
    `row` vectors give every element of row i the value i, `col` vectors every
    element of column j the value j, a scalar every element of a tile or vector.

    Example: `%m = tile.broadcast %v : tensor<64xf32, #tile.layout<col>>
        -> tensor<64x64xf32, #tile.layout<acc>>`
  }];
  let arguments = (ins AnyType:$source);
  let results = (outs Tile_AnyTensor:$result);
  let assemblyFormat =
      "$source attr-dict `:` type($source) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_RelayoutOp : Tile_Op<"relayout", [Pure]> {
  let summary = "a warp-held vector as the rows or columns of a tile";
  let description = [{
    Element i of the result is element floor(i / repeat) of the source, by warp
    shuffles. It may end before the copies of the source's last elements do.

    Example: `%c = tile.relayout %v repeat 1 : tensor<64xf32, #tile.layout<warp>>
        -> tensor<64xf32, #tile.layout<col>>`
  }];
  let arguments = (ins Tile_AnyTensor:$source, I64Attr:$repeat);
  let results = (outs Tile_AnyTensor:$result);
  let assemblyFormat = [{
    $source `repeat` $repeat attr-dict `:` type($source) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_HalfColumnsOp : Tile_Op<"half_columns", [Pure]> {
  let summary = "one half of the columns of a tile in registers";
  let description = [{
    The first half, or with `second` the other one. Each thread has columns of both, so
    nothing moves. Where the tile has more columns than two halves, the last ones are in
    neither. Of a spread tile, whose rows are whole in every thread, a thread has as many pieces
    of each half.

    Example: `%b = tile.half_columns second %x
        : tensor<64x128xf32, #tile.layout<acc>> -> tensor<64x64xf32, #tile.layout<acc>>`
  }];
  let arguments = (ins Tile_AnyTensor:$source, UnitAttr:$second);
  let results = (outs Tile_AnyTensor:$result);
  let assemblyFormat = [{
    (`second` $second^)? $source attr-dict `:` type($source) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_JoinColumnsOp
    : Tile_Op<"join_columns", [Pure, AllTypesMatch<["a", "b"]>]> {
  let summary = "two tiles in registers side by side";
  let description = [{
    The halves of the columns of the result, which has zeros behind them if it has more.

    Example: `%y = tile.join_columns %a, %b
        : tensor<64x64xf32, #tile.layout<acc>> -> tensor<64x128xf32, #tile.layout<acc>>`
  }];
  let arguments = (ins Tile_AnyTensor:$a, Tile_AnyTensor:$b);
  let results = (outs Tile_AnyTensor:$result);
  let assemblyFormat = [{
    $a `,` $b attr-dict `:` type($a) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_SumGroupsOp : Tile_Op<"sum_groups", [Pure]> {
  let summary = "sums of neighbours in a warp-held vector";
  let description = [{
    Element i of the result is the sum of the source's elements n i to n i + n - 1, in
    this order: the adjoint of a `tile.relayout` that repeats. Those that the source
    does not have are zero.

    Example:

    ```mlir
    %s = tile.sum_groups %v by 2 : tensor<64xf32, #tile.layout<warp>>
        -> tensor<32xf32, #tile.layout<warp>>
    ```
  }];
  let arguments = (ins Tile_AnyTensor:$source, I64Attr:$n);
  let results = (outs Tile_AnyTensor:$result);
  let assemblyFormat = [{
    $source `by` $n attr-dict `:` type($source) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_CumsumOp : Tile_Op<"cumsum", [Pure, SameOperandsAndResultType]> {
  let summary = "running sum of a warp-held vector";
  let description = [{
    As `delta.cumsum`: inclusive or `exclusive`, forward or `reverse`; a fixed tree
    of shuffles, so every run sums in one order.

    Example: `%a = tile.cumsum %g : tensor<64xf32, #tile.layout<warp>>`
  }];
  let arguments = (ins Tile_AnyTensor:$x, UnitAttr:$reverse,
                       UnitAttr:$exclusive);
  let results = (outs Tile_AnyTensor:$y);
  let assemblyFormat = [{
    (`reverse` $reverse^)? (`exclusive` $exclusive^)? $x attr-dict `:` type($x)
  }];
}

def Tile_LastOp : Tile_Op<"last", [Pure]> {
  let summary = "the last element of a warp-held vector, in every thread";
  let description = [{
    One exchange: what is behind an element is the last running sum less its own.

    Example: `%s = tile.last %a : tensor<64xf32, #tile.layout<warp>>`
  }];
  let arguments = (ins Tile_AnyTensor:$x);
  let results = (outs F32:$y);
  let assemblyFormat = "$x attr-dict `:` type($x)";
  let hasVerifier = 1;
}

def Tile_TriangleOp : Tile_Op<"triangle", [
    Pure, AttrSizedOperandSegments, AllTypesMatch<["m", "r"]>]> {
  let summary = "the lower triangle of a matrix of pairs, with their decays";
  let description = [{
    ```
    r_ij = m_ij 2^(h_i - p_j)    where j <= i; with `strict` j < i
    r_ij = 0                     elsewhere, whatever m_ij and the exponent are
    ```

    of sums h and p that do not grow; without them r_ij = m_ij there. A warp has 16 rows,
    and does what its rows need: nothing is masked in blocks of 16 columns below the
    diagonal, and nothing is computed above it. Below it rows are taken in pairs eight
    apart, the later one's decays those of the earlier one times 2^(h_(i+8) - h_i).

    Example:

    ```mlir
    %l = tile.triangle strict %m decay %h, %p : tensor<64x64xf32, #tile.layout<acc>>,
        tensor<64xf32, #tile.layout<row>>, tensor<64xf32, #tile.layout<col>>
    ```
  }];
  let arguments = (ins Tile_AnyTensor:$m, Optional<Tile_AnyTensor>:$h,
                       Optional<Tile_AnyTensor>:$p, UnitAttr:$strict);
  let results = (outs Tile_AnyTensor:$r);
  let assemblyFormat = [{
    (`strict` $strict^)? $m (`decay` $h^ `,` $p)? attr-dict
    `:` type($m) (`,` type($h)^ `,` type($p))?
  }];
  let hasVerifier = 1;
}

def Tile_MaskVectorOp : Tile_Op<"mask_vector",
                                [Pure, AllTypesMatch<["x", "y"]>]> {
  let summary = "a warp-held vector, zero from an element on";
  let description = [{
    As `delta.mask_rows`: y_i = x_i for i < `valid`, else 0. By selection, so that what was
    no number is zero too.

    Example: `%y = tile.mask_vector %x valid %n : tensor<64xf32, #tile.layout<warp>>`
  }];
  let arguments = (ins Tile_AnyTensor:$x, Index:$valid);
  let results = (outs Tile_AnyTensor:$y);
  let assemblyFormat = "$x `valid` $valid attr-dict `:` type($x)";
  let hasVerifier = 1;
}

def Tile_SumOp : Tile_Op<"sum", [Pure]> {
  let summary = "the sum of a vector, in every thread";
  let description = [{
    Example: `%s = tile.sum %g : tensor<64xf32, #tile.layout<col>>`
  }];
  let arguments = (ins Tile_AnyTensor:$x);
  let results = (outs F32:$y);
  let assemblyFormat = "$x attr-dict `:` type($x)";
}

def Tile_HoldOp : Tile_Op<"hold", [AllTypesMatch<["value", "held"]>]> {
  let summary = "a tile that is computed before anything behind it";
  let description = [{
    The result is the value. ptxas moves arithmetic down to where its result is read:
    of a sum of two accumulators it would keep both in registers until then. Costs a
    comparison and, for 64 rows of 128, 16 instructions that do nothing.

    Example: `%y = tile.hold %x : tensor<64x128xf32, #tile.layout<acc>>`
  }];
  let arguments = (ins Tile_AnyTensor:$value);
  let results = (outs Tile_AnyTensor:$held);
  let assemblyFormat = "$value attr-dict `:` type($value)";
  let hasVerifier = 1;
}

def Tile_ReduceOp : Tile_Op<"reduce"> {
  let summary = "sums of the rows or columns of a matrix, held by every warp";
  let description = [{
    `dim` 1 sums along the rows: element i is the sum of row i; `dim` 0 along the
    columns. The tiles are the 64-row blocks of one matrix, in order. In a fixed
    order: elements of a thread, then lanes by shuffles, then warps through
    `scratch`, 64 a block for rows and 4 N for N columns. Called by a warpgroup that
    has hardware barrier `barrier_id` to itself.

    Example:

    ```mlir
    %s = tile.reduce %x dim 1 via %scratch barrier 1
        : !tile.smem<64xf32>, tensor<64x128xf32, #tile.layout<acc>>
        -> tensor<64xf32, #tile.layout<warp>>
    ```
  }];
  let arguments = (ins Variadic<Tile_AnyTensor>:$tiles, I64Attr:$dim,
                       Tile_SmemType:$scratch, I64Attr:$barrier_id);
  let results = (outs Tile_AnyTensor:$sums);
  let assemblyFormat = [{
    $tiles `dim` $dim `via` $scratch `barrier` $barrier_id attr-dict
    `:` type($scratch) `,` type($tiles) `->` type($sums)
  }];
  let hasVerifier = 1;
}

def Tile_DiagonalOp : Tile_Op<"diagonal"> {
  let summary = "the diagonal of a square matrix, held by every warp";
  let description = [{
    Element i is x_ii. Each is in one thread: it chooses its two by the number of its
    warp, and they go through `scratch`. Called by a warpgroup that has hardware
    barrier `barrier_id` to itself.

    Example:

    ```mlir
    %d = tile.diagonal %x via %scratch barrier 1
        : !tile.smem<64xf32>, tensor<64x64xf32, #tile.layout<acc>>
        -> tensor<64xf32, #tile.layout<warp>>
    ```
  }];
  let arguments = (ins Tile_AnyTensor:$x, Tile_SmemType:$scratch,
                       I64Attr:$barrier_id);
  let results = (outs Tile_AnyTensor:$diagonal);
  let assemblyFormat = [{
    $x `via` $scratch `barrier` $barrier_id attr-dict
    `:` type($scratch) `,` type($x) `->` type($diagonal)
  }];
  let hasVerifier = 1;
}

def Tile_DotOp : Tile_Op<"dot"> {
  let summary = "the sum of all products of two matrices, element by element";
  let description = [{
    ```
    s = sum_ij a_ij b_ij
    ```

    of two matrices of 16 bits and one shape in shared memory, in every thread. The products are the
    diagonals of small ones on the tensor cores, exact and added in f32, so that no
    element is taken apart. The warps' sums are added in their order, through
    `scratch`. Called by a warpgroup that has hardware barrier `barrier_id` to itself.

    Example:

    ```mlir
    %s = tile.dot %a, %b via %scratch barrier 1
        : !tile.smem<128x128xbf16>, !tile.smem<128x128xbf16>, !tile.smem<4xf32>
    ```
  }];
  let arguments = (ins Tile_SmemType:$a, Tile_SmemType:$b,
                       Tile_SmemType:$scratch, I64Attr:$barrier_id);
  let results = (outs F32:$sum);
  let assemblyFormat = [{
    $a `,` $b `via` $scratch `barrier` $barrier_id attr-dict
    `:` type($a) `,` type($b) `,` type($scratch)
  }];
  let hasVerifier = 1;
}

def Tile_ScanRowsOp : Tile_Op<"scan_rows"> {
  let summary = "running sums over the rows of a matrix";
  let description = [{
    As `delta.cumsum` of a matrix: inclusive or `exclusive`, forward or `reverse`. With
    `half s` as `delta.sum_to_middle`: forward and, unless `exclusive`, with the row
    itself in the second half of each block of 2 s rows; in the first half reverse and
    without it. With `signed` these are its signed sums: negated in the first half, and
    there with the row itself if `exclusive`. With `at_least c` a row is c where it is
    less. With `exp` the result is exp of the sums. A thread sums rows one after
    the other, in a loop: unrolled, what a chunk needs does not fit the instruction
    cache. x is in registers or in shared memory, `scratch` is as large; the result is in
    registers, or it is `scratch`. Called by a warpgroup that has hardware barrier
    `barrier_id` to itself.

    Example:

    ```mlir
    %a = tile.scan_rows reverse exclusive %g via %s barrier 1
        : !tile.smem<64x128xf32>, !tile.smem<64x128xf32>
        -> tensor<64x128xf32, #tile.layout<acc>>
    ```
  }];
  let arguments = (ins AnyTypeOf<[Tile_AnyTensor, Tile_SmemType]>:$x,
                       UnitAttr:$reverse, UnitAttr:$exclusive,
                       UnitAttr:$exp,
                       OptionalAttr<I64Attr>:$half, UnitAttr:$is_signed,
                       OptionalAttr<F32Attr>:$least,
                       Tile_SmemType:$scratch, I64Attr:$barrier_id);
  let results = (outs AnyTypeOf<[Tile_AnyTensor, Tile_SmemType]>:$sums);
  let assemblyFormat = [{
    (`exp` $exp^)? (`reverse` $reverse^)? (`exclusive` $exclusive^)? $x
    (`half` $half^)? (`signed` $is_signed^)? (`at_least` $least^)?
    `via` $scratch `barrier` $barrier_id attr-dict
    `:` type($x) `,` type($scratch) `->` type($sums)
  }];
  let hasVerifier = 1;
}

def Tile_CopyToWarpsOp : Tile_Op<"copy_to_warps"> {
  let summary = "a vector that every warp holds, in shared memory";
  let description = [{
    Each warp of a warpgroup writes the vector to a part of `scratch` of its own, and
    the result is that part. So lanes find elements of other lanes by `tile.read` where
    `tile.relayout` would take an exchange for each, and no warp waits for another.
    A scratch of the vector's size is the part of all warps, which write the same to it:
    they have to meet before, behind the last read of what was there.

    Example:

    ```mlir
    %c = tile.copy_to_warps %x via %s
        : tensor<64xf32, #tile.layout<warp>>, !tile.smem<256xf32>
        -> !tile.smem<64xf32>
    ```
  }];
  let arguments = (ins Tile_AnyTensor:$x, Tile_SmemType:$scratch);
  let results = (outs Tile_SmemType:$copy);
  let assemblyFormat = [{
    $x `via` $scratch attr-dict `:` type($x) `,` type($scratch) `->` type($copy)
  }];
  let hasVerifier = 1;
}

def Tile_IndexOp : Tile_Op<"index", [Pure]> {
  let summary = "the row or column number of every element";
  let description = [{
    Of a vector its place. Examples:

    ```mlir
    %i = tile.index 0 : tensor<64x64xi32, #tile.layout<acc>>
    %t = tile.index 0 : tensor<64xi32, #tile.layout<warp>>
    ```
  }];
  let arguments = (ins I64Attr:$dim);
  let results = (outs Tile_AnyTensor:$result);
  let assemblyFormat = "$dim attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Tile_AddScaledOp : Tile_Op<"add_scaled", [AllTypesMatch<["c", "d"]>]> {
  let summary = "D = C + s A B, in parts of few registers";
  let description = [{
    A is 64 x K and B K x N, both in shared memory and given as for `tile.mma`; s has a
    number for each row. As a product of its own, A B would be as many registers again as
    C. Here it is made 32 columns at a time, each part awaited and added:

    ```
    d_ij = c_ij + s_i sum_k a_ik b_kj
    ```

    D is complete, and so is every product that the warpgroup has issued before.

    Example:

    ```mlir
    %d = tile.add_scaled %c, %s, %a, %b transpose_b
        : tensor<64x128xf32, #tile.layout<acc>>, tensor<64xf32, #tile.layout<row>>,
          !tile.smem<64x128xbf16>, !tile.smem<128x128xbf16>
    ```
  }];
  let arguments = (ins Tile_AnyTensor:$c, Tile_AnyTensor:$scale,
                       Tile_SmemType:$a, Tile_SmemType:$b,
                       UnitAttr:$transpose_a, UnitAttr:$transpose_b);
  let results = (outs Tile_AnyTensor:$d);
  let assemblyFormat = [{
    $c `,` $scale `,` $a (`transpose_a` $transpose_a^)? `,` $b
    (`transpose_b` $transpose_b^)? attr-dict
    `:` type($c) `,` type($scale) `,` type($a) `,` type($b)
  }];
  let hasVerifier = 1;
}

#endif // WYVERN_DIALECT_TILE_IR_TILEREGISTEROPS
