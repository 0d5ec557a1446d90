//===- DeltaRowOps.td - Rows and columns of a chunk's tiles -*- tablegen -*-==//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the operations of a chunk program are, and those that work on rows and
// columns; pairs of tokens are in DeltaDecayOps.td, erasures in
// DeltaEraseOps.td. Each works on the static tiles of one chunk of one head.
// Formulas and their derivatives are those of docs/rationale/chunk-program.md.
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_IR_DELTAROWOPS
#define WYVERN_DIALECT_DELTA_IR_DELTAROWOPS

include "mlir/IR/OpAsmInterface.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "wyvern/Dialect/Delta/IR/DeltaRegionInterface.td"
include "wyvern/Dialect/Delta/IR/DeltaSequenceOps.td"

// `names` are those of the results where IR is printed, one for each, or none.
class Delta_RowOp<string opMnemonic, list<string> names,
                  list<Trait> traits = []>
    : Delta_Op<opMnemonic, !listconcat([
        Pure, OpAsmOpInterface,
        DeclareOpInterfaceMethods<Delta_ChunkRegionOpInterface>], traits)> {
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    void getAsmResultNames(::mlir::OpAsmSetValueNameFn setName) {
      nameTiles(getOperation(), {}] #
      !interleave(!foreach(name, names, "\"" # name # "\""), ", ") # [{}, setName);
    }
  }];
}

def Delta_Tile : StaticShapeTensorOf<[AnyFloat]>;

def Delta_CumsumOp : Delta_RowOp<"cumsum", [], [SameOperandsAndResultType]> {
  let summary = "running sum over the rows of a chunk";
  let description = [{
    ```
    forward:  y_i = sum of x_j, j <= i (j < i if exclusive)
    reverse:  y_i = sum of x_j, j >= i (j > i if exclusive)
    ```

    Suffix factors exp(a_C - a_t) are `exp(cumsum reverse exclusive g)`, never a
    difference of two prefix sums: that cancels after a strong decay.

    Example:

    ```mlir
    %a = delta.cumsum %g : tensor<64xf32>
    %s = delta.cumsum reverse exclusive %G : tensor<64x128xf32>
    ```
  }];
  let arguments = (ins Delta_Tile:$x, UnitAttr:$reverse, UnitAttr:$exclusive);
  let results = (outs Delta_Tile:$y);
  let assemblyFormat = [{
    (`reverse` $reverse^)? (`exclusive` $exclusive^)? $x attr-dict `:` type($x)
  }];
  let hasFolder = 1;
}

def Delta_SumToMiddleOp
    : Delta_RowOp<"sum_to_middle", [], [AllTypesMatch<["g", "y"]>]> {
  let summary = "sums of gates between each token and the middle of its block";
  let description = [{
    In blocks of 2 s tokens with s the `half`, of which the last may be cut short, and
    m the first token of the second half of t's block:

    ```
    y_t = sum of g_u, m <= u <= t     in the second half (u < t with before_decay)
    y_t = sum of g_u, t < u < m       in the first half
    ```

    The decay between a token of the first half and one of the second is the product of
    exp(y) of both, and for g <= 0 neither factor is above 1. `delta-halve-decay` makes
    matrix products of a decay a channel so.

    `signed`, y is a running sum that is 0 at the middle, of gates of which those below
    -64 / s count as that:

    ```
    y_t =   sum of max(g_u, -64 / s), m <= u <= t   in the second half (u < t with before_decay)
    y_t = - sum of max(g_u, -64 / s), t < u < m     in the first half (t <= u with before_decay)
    ```

    Then exp(y_t) exp(-y_u) is the decay between any two tokens u <= t of a block, and
    for g <= 0 both factors are within e^-64 and e^64. A decay below e^(-64 / s) counts
    as that: 1.1e-7 for blocks of 8 tokens.

    Example:

    ```mlir
    %y = delta.sum_to_middle %G half 8 : tensor<64x128xf32>
    ```
  }];
  let arguments = (ins Delta_Tile:$g, I64Attr:$half, UnitAttr:$before_decay,
                       UnitAttr:$is_signed);
  let results = (outs Delta_Tile:$y);
  let assemblyFormat = [{
    $g `half` $half (`signed` $is_signed^)? (`before_decay` $before_decay^)?
    attr-dict `:` type($g)
  }];
  let extraClassDeclaration = [{
    /// The largest |y| of signed sums.
    static constexpr double kMostSum = 64;
    /// What gates below it count as in signed sums.
    double getLeastGate() { return -kMostSum / getHalf(); }
  }];
}

def Delta_MaskRowsOp : Delta_RowOp<"mask_rows", [], [AllTypesMatch<["x", "y"]>]> {
  let summary = "zero rows past the valid tokens of a chunk";
  let description = [{
    ```
    y_i = x_i if i < n * rows, else 0
    ```

    By selection: a NaN in a masked row does not survive. Needed where a value is
    derived nonlinearly from zero-extended ins (softplus(0 + bias) is not 0).

    Example:

    ```mlir
    %y = delta.mask_rows %x, %n : tensor<64xf32>
    ```
  }];
  let arguments = (ins Delta_Tile:$x, Index:$valid,
                       DefaultValuedAttr<I64Attr, "1">:$rows);
  let hasFolder = 1;
  let results = (outs Delta_Tile:$y);
  let assemblyFormat =
      "$x `,` $valid (`rows` $rows^)? attr-dict `:` type($x)";
}

def Delta_LastRowOp : Delta_RowOp<"last_row", []> {
  let summary = "the row of the last valid token of a chunk";
  let description = [{
    ```
    y = x_(n * rows - 1)
    ```

    A chunk has a token, so n is at least 1. Of running sums and products from the
    chunk's start it is the whole chunk's (`delta-share-sums`), whatever lies in the
    rows past the valid ones. It has no adjoint: what makes it comes after
    differentiation.

    Example:

    ```mlir
    %y = delta.last_row %x, %n : tensor<64xf32> -> tensor<f32>
    ```
  }];
  let arguments = (ins Delta_Tile:$x, Index:$valid,
                       DefaultValuedAttr<I64Attr, "1">:$rows);
  let results = (outs Delta_Tile:$y);
  let assemblyFormat =
      "$x `,` $valid (`rows` $rows^)? attr-dict `:` type($x) `->` type($y)";
}

def Delta_RepeatRowsOp : Delta_RowOp<"repeat_rows", []> {
  let summary = "one row a token becomes n rows a token";
  let description = [{
    ```
    y_i = x_floor(i / n)
    ```

    y may end before the copies of the last rows of x do.

    Example:

    ```mlir
    %r = delta.repeat_rows %a by 2 : tensor<32xf32> -> tensor<64xf32>
    ```
  }];
  let arguments = (ins Delta_Tile:$x, I64Attr:$n);
  let results = (outs Delta_Tile:$y);
  let assemblyFormat = "$x `by` $n attr-dict `:` type($x) `->` type($y)";
  let hasCanonicalizer = 1;
  let hasFolder = 1;
}

def Delta_SumRowsOp : Delta_RowOp<"sum_rows", []> {
  let summary = "n rows a token become their sum";
  let description = [{
    The adjoint of `delta.repeat_rows`:

    ```
    y_i = x_(n i) + ... + x_(n i + n - 1)
    ```

    What x has no row for is zero.

    Example:

    ```mlir
    %s = delta.sum_rows %a by 2 : tensor<64xf32> -> tensor<32xf32>
    ```
  }];
  let arguments = (ins Delta_Tile:$x, I64Attr:$n);
  let results = (outs Delta_Tile:$y);
  let assemblyFormat = "$x `by` $n attr-dict `:` type($x) `->` type($y)";
  let hasFolder = 1;
}

def Delta_SplitColumnsOp
    : Delta_RowOp<"split_columns", [], [AllTypesMatch<["a", "b"]>]> {
  let summary = "the two halves of the columns of a matrix";
  let description = [{
    a_ij = x_ij, b_ij = x_i(j + n), of x with 2 n columns. Where x has more, as a row that is
    filled up to whole blocks has, these are in neither.

    Example:

    ```mlir
    %a, %b = delta.split_columns %x : tensor<64x128xf32> -> tensor<64x64xf32>
    ```
  }];
  let arguments = (ins Delta_Tile:$x);
  let results = (outs Delta_Tile:$a, Delta_Tile:$b);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($a)";
}

def Delta_JoinColumnsOp
    : Delta_RowOp<"join_columns", [], [AllTypesMatch<["a", "b"]>]> {
  let summary = "two matrices side by side";
  let description = [{
    y_ij = a_ij, y_i(j + n) = b_ij: the inverse of `delta.split_columns`, and its adjoint.
    Where y has more than 2 n columns, the last ones are zero.

    Example:

    ```mlir
    %y = delta.join_columns %a, %b : tensor<64x64xf32> -> tensor<64x128xf32>
    ```
  }];
  let arguments = (ins Delta_Tile:$a, Delta_Tile:$b);
  let results = (outs Delta_Tile:$y);
  let assemblyFormat = "$a `,` $b attr-dict `:` type($a) `->` type($y)";
}

def Delta_ConvRowOp
    : Delta_RowOp<"conv_row", ["Y", "next"],
                  [AllTypesMatch<["x", "y"]>, AllTypesMatch<["window", "next"]>]> {
  let summary = "one row of a short causal convolution";
  let description = [{
    Of a token's row x and the w - 1 rows in front of it, the window, oldest first:

    ```
    z_d = sum_j filter_dj window_jd + filter_d(w-1) x_d        y = z / (1 + e^-z)
    next = the window without its oldest row, and x behind it
    ```

    A channel is summed over tokens, from the oldest to x, and no channel meets another.

    Example:

    ```mlir
    %y, %next = delta.conv_row %x behind %window filter %f
        : tensor<1x64xf32>, tensor<3x64xf32>, tensor<64x4xf32>
    ```
  }];
  let arguments = (ins Delta_Tile:$x, Delta_Tile:$window, Delta_Tile:$filter);
  let results = (outs Delta_Tile:$y, Delta_Tile:$next);
  let assemblyFormat = [{
    $x `behind` $window `filter` $filter attr-dict
    `:` type($x) `,` type($window) `,` type($filter)
  }];
}

def Delta_IdentityOp : Delta_RowOp<"identity", ["I"]> {
  let summary = "the identity matrix";
  let description = [{
    ```
    y_ij = 1 if i = j, else 0
    ```

    What the transition of a part of a sequence starts from (`delta-segment`).

    Example:

    ```mlir
    %I = delta.identity : tensor<64x64xf32>
    ```
  }];
  let results = (outs Delta_Tile:$y);
  let assemblyFormat = "attr-dict `:` type($y)";
}

def Delta_LevelRole
    : Delta_Enum<"LevelRole", "what a level does in the rows of a chunk", [
        I32EnumAttrCase<"writes", 0>, I32EnumAttrCase<"reads", 1>,
        I32EnumAttrCase<"starts", 2>]>;
def Delta_LevelRoleAttr
    : EnumAttr<Delta_Dialect, Delta_LevelRole, "level_role"> {
  let assemblyFormat = "$value";
}

def Delta_LevelRowsOp : Delta_RowOp<"level_rows", []> {
  let summary = "the rows of a chunk that a level writes, reads or starts at";
  let description = [{
    Of a program whose heads are `levels` for each value head. With l the running
    head's level, its number modulo `levels`, and t the position in its sequence of the
    token of row i, of which a token has `rows`, `start` more where the sequence goes on
    from there:

    ```
    writes:  y_i = 1 if l = 0 or bit l - 1 of t is clear, else 0
    reads:   y_i = 1 if l = 0 or bit l - 1 of t is set, else 0
    starts:  y_i = 1 if t is a multiple of 2^l, else 0
    ```

    A state that is emptied at the tokens where it starts, takes what the first half of
    2^l tokens writes and is read by the second half: level l of a Fenwick tree
    (`delta-form-levels`). The value depends on where the region runs, as `n` does.

    Example:

    ```mlir
    %w = delta.level_rows writes of 14 : tensor<64xf32>
    %r = delta.level_rows reads of 14 from %p : tensor<f32> : tensor<64xf32>
    ```
  }];
  let arguments = (ins Optional<Delta_Tile>:$start, Delta_LevelRoleAttr:$role,
                       I64Attr:$levels,
                       DefaultValuedAttr<I64Attr, "1">:$rows);
  let results = (outs Delta_Tile:$y);
  let assemblyFormat = [{
    $role `of` $levels (`rows` $rows^)? (`from` $start^ `:` type($start))?
    attr-dict `:` type($y)
  }];
}

#endif // WYVERN_DIALECT_DELTA_IR_DELTAROWOPS
