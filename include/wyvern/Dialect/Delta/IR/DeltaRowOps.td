//===- DeltaRowOps.td - The operations of a chunk program --*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each works on the static tiles of one chunk of one head. Formulas and their
// derivatives are those of docs/rationale/chunk-program.md.
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

def Delta_RowMask
    : Delta_Enum<"RowMask", "which columns j of row i a decay product keeps", [
        I32EnumAttrCase<"upto_token", 0>, I32EnumAttrCase<"before_token", 1>,
        I32EnumAttrCase<"before_row", 2>]>;
def Delta_RowMaskAttr : EnumAttr<Delta_Dialect, Delta_RowMask, "row_mask"> {
  let assemblyFormat = "$value";
}

def Delta_DecayDotOp : Delta_RowOp<"decay_dot", ["M"]> {
  let summary = "masked product of two key tiles with the decay inside";
  let description = [{
    ```
    m_ij = sum_d a_id b_jd exp(h_id - p_jd)     where the mask keeps (i, j), else 0
    ```

    Rows map to tokens by t(i) = floor(i / rows[0]), t(j) = floor(j / rows[1])
    (`rows` defaults to [1, 1]). A tile may end within a token, and before the last
    token of another or of g: rows of zeros are behind those of a chunk.
    p_j = sum of g over the tokens up to and with t(j); h_i likewise for t(i), or
    without token t(i) itself with `before_decay`. Without `decay` both are 0. g is
    `[tokens]` (one gate a head) or `[tokens, d]`.

    The mask keeps `upto_token`: t(j) <= t(i); `before_token`: t(j) < t(i);
    `before_row`: j < i. So for g <= 0 no exponent is positive: the decay is never
    split into exp(h) * exp(-p), which overflows, and masked entries are never
    exponentiated, which would give NaN gradients.

    Example:

    ```mlir
    %L = delta.decay_dot before_row %K, %K decay(%g : tensor<64xf32>)
        : tensor<64x128xf32>, tensor<64x128xf32> -> tensor<64x64xf32>
    ```
  }];
  let arguments = (ins Delta_Tile:$a, Delta_Tile:$b, Optional<Delta_Tile>:$g,
      Delta_RowMaskAttr:$mask,
      DefaultValuedAttr<DenseI64ArrayAttr, "{1, 1}">:$rows,
      UnitAttr:$before_decay);
  let hasCanonicalizer = 1;
  let results = (outs Delta_Tile:$m);
  let assemblyFormat = [{
    $mask $a `,` $b (`decay` `(` $g^ `:` type($g) `)`)?
    (`before_decay` $before_decay^)? (`rows` $rows^)? attr-dict
    `:` type($a) `,` type($b) `->` type($m)
  }];
}

def Delta_DecayApplyOp : Delta_RowOp<"decay_apply", ["R"]> {
  let summary = "adjoint of decay_dot in one of its operands";
  let description = [{
    With the exponents and the mask of `delta.decay_dot`:

    ```
    r_id = sum_j m_ij x_jd exp(h_id - p_jd)      x plays b, r is a's gradient
    r_jd = sum_i m_ij x_id exp(h_id - p_jd)      `transpose`: x plays a, r is b's
    ```

    Example:

    ```mlir
    %da = delta.decay_apply upto_token %dm, %b decay(%g : tensor<64xf32>)
        : tensor<64x64xf32>, tensor<64x128xf32> -> tensor<64x128xf32>
    ```
  }];
  let arguments = (ins Delta_Tile:$m, Delta_Tile:$x, Optional<Delta_Tile>:$g,
      Delta_RowMaskAttr:$mask,
      DefaultValuedAttr<DenseI64ArrayAttr, "{1, 1}">:$rows,
      UnitAttr:$before_decay, UnitAttr:$transpose);
  let hasCanonicalizer = 1;
  let results = (outs Delta_Tile:$r);
  let assemblyFormat = [{
    $mask (`transpose` $transpose^)? $m `,` $x
    (`decay` `(` $g^ `:` type($g) `)`)? (`before_decay` $before_decay^)?
    (`rows` $rows^)? attr-dict `:` type($m) `,` type($x) `->` type($r)
  }];
}

def Delta_DecayMaskOp
    : Delta_RowOp<"decay_mask", ["R"], [AllTypesMatch<["m", "r"]>]> {
  let summary = "mask and decay of decay_dot, of a matrix that is there";
  let description = [{
    With the exponents and the mask of `delta.decay_dot`:

    ```
    r_ij = m_ij exp(h_i - p_j)     where the mask keeps (i, j), else 0
    ```

    By selection: a NaN in a masked entry does not survive. g is one gate a head; a
    decay a channel stands inside of a contraction only.

    With `half s` and no decay, of what the mask keeps only pairs of rows that
    `delta.sum_to_middle` joins stay: t(i) in the second and t(j) in the first half of
    one block of 2 s tokens. With `near n` it is the pairs of one block of n tokens, of
    one token with `near 1`. Each pair that the mask keeps is so in one of `near n` and
    the halves n, 2 n, 4 n, ...

    `decay_dot a, b` without a channel decay is the mask of a b^T, `decay_apply m, x`
    the mask of m times x.

    Example:

    ```mlir
    %dP = delta.decay_mask upto_token %dM decay(%g : tensor<64xf32>)
        : tensor<64x64xf32>
    ```
  }];
  let arguments = (ins Delta_Tile:$m, Optional<Delta_Tile>:$g,
      Delta_RowMaskAttr:$mask,
      DefaultValuedAttr<DenseI64ArrayAttr, "{1, 1}">:$rows,
      UnitAttr:$before_decay, OptionalAttr<I64Attr>:$half,
      OptionalAttr<I64Attr>:$near);
  let hasCanonicalizer = 1;
  let hasFolder = 1;
  let results = (outs Delta_Tile:$r);
  let assemblyFormat = [{
    $mask $m (`decay` `(` $g^ `:` type($g) `)`)?
    (`before_decay` $before_decay^)? (`rows` $rows^)? (`half` $half^)?
    (`near` $near^)? attr-dict `:` type($m)
  }];
}

def Delta_EraseSolveOp : Delta_RowOp<"erase_solve", ["R", "U"]> {
  let summary = "solves the triangular system of a chunk's erasures";
  let description = [{
    ```
    (I + stril(L) diag(c)) R = W        U = c * R  (row by row)
    ```

    Only the strictly lower triangle of L is read. The rate c stays an operand:
    nothing is divided by it, so c = 0 is no special case. `above_one` says that rates,
    or what is in L in their place, may be above 1: a factor of the system is then kept
    in two parts where it is rounded.

    Example:

    ```mlir
    %R, %U = delta.erase_solve %L, %c, %W : tensor<64x64xf32>, tensor<64xf32>,
        tensor<64x128xf32> -> tensor<64x128xf32>, tensor<64x128xf32>
    ```
  }];
  let arguments = (ins Delta_Tile:$l, Delta_Tile:$rate, Delta_Tile:$w,
                       UnitAttr:$above_one);
  let results = (outs Delta_Tile:$r, Delta_Tile:$u);
  let assemblyFormat = [{
    (`above_one` $above_one^)? $l `,` $rate `,` $w attr-dict
    `:` type($l) `,` type($rate) `,` type($w) `->` type($r) `,` type($u)
  }];
}

def Delta_EraseSolveAdjointOp : Delta_RowOp<"erase_solve_adjoint", ["X"]> {
  let summary = "solves the transposed system, for the gradient of erase_solve";
  let description = [{
    ```
    (I + diag(c) stril(L))^T X = dU
    ```

    The gradients of `erase_solve` are then dW = c * X, dL = -stril(dW U^T) and
    dc = rowdot(X, R). `above_one` is that of the `erase_solve`.

    Example:

    ```mlir
    %X = delta.erase_solve_adjoint %L, %c, %dU : tensor<64x64xf32>,
        tensor<64xf32>, tensor<64x128xf32> -> tensor<64x128xf32>
    ```
  }];
  let arguments = (ins Delta_Tile:$l, Delta_Tile:$rate, Delta_Tile:$du,
                       UnitAttr:$above_one);
  let results = (outs Delta_Tile:$x);
  let assemblyFormat = [{
    (`above_one` $above_one^)? $l `,` $rate `,` $du attr-dict
    `:` type($l) `,` type($rate) `,` type($du) `->` type($x)
  }];
}

def Delta_EraseFactorOp : Delta_RowOp<"erase_factor", ["Z"]> {
  let summary = "the factor Z by which erase_apply solves";
  let description = [{
    ```
    Z_ii = (I + stril(L_ii) diag(c_i))^-1 stril(L_ii)
    Z_ij = L_ij,  Z_ji = L_ij - round(L_ij), j < i
    ```

    L and Z are in blocks of `block` rows and columns; without it they are one
    block, and then R = W - Z (c * W) solves the system of `erase_solve`. Where Z is
    to be rounded, `to` says to what: what L_ij loses is kept in the place above the
    diagonal (not transposed), which is zero without it. Errors of L_ij would be most of the
    error where keys are alike (docs/numerics.md).

    A Z of twice as many columns has two parts. The blocks on the diagonal go on in as
    many columns to the right, and what is left of these is zero:

    ```
    Z_i(n+i) = Z_ii - round(Z_ii), with n blocks
    ```

    That is for rates above 1: where keys repeat, entries of Z that should cancel are
    rounded alike, and a state grows by it from chunk to chunk.

    Unlike the inverse, Z leaves the identity part
    of W untouched by any rounding of Z, and unlike (T - I) / c it divides by
    nothing. Blocks are a choice between the work that the factor is and the
    number of products, one behind the other, that `erase_apply` is.
    `delta-stage` splits an `erase_solve` into the two.

    Example:

    ```mlir
    %Z = delta.erase_factor %L, %c block 32 to bf16
        : tensor<64x64xf32>, tensor<64xf32> -> tensor<64x64xf32>
    %ZZ = delta.erase_factor %L, %c block 32 to bf16
        : tensor<64x64xf32>, tensor<64xf32> -> tensor<64x128xf32>
    ```
  }];
  let arguments = (ins Delta_Tile:$l, Delta_Tile:$rate,
                       OptionalAttr<I64Attr>:$block,
                       OptionalAttr<TypeAttr>:$to);
  let hasFolder = 1;
  let results = (outs Delta_Tile:$z);
  let assemblyFormat = [{
    $l `,` $rate (`block` $block^)? (`to` $to^)? attr-dict
    `:` type($l) `,` type($rate) `->` type($z)
  }];
}

def Delta_EraseApplyOp : Delta_RowOp<"erase_apply", ["R"],
                                     [AllTypesMatch<["w", "r"]>]> {
  let summary = "solves the system of erase_solve, or its adjoint, by its factor";
  let description = [{
    With blocks of `block` rows (without it, one of all rows), in their order:

    ```
    W'_i = W_i - sum of (Z_ij + Z_ji) (c_j * R_j), j < i
    R_i  = W'_i - Z_ii (c_i * W'_i)
    ```

    and with `adjoint`, of the adjoint system, from the last block to the first:

    ```
    W'_i = W_i - sum of (Z_ji + Z_ij)^T (c_j * R_j), j > i
    R_i  = W'_i - Z_ii^T (c_i * W'_i)
    ```

    Products are those of matrices with elements of the type of Z, to which c * R
    and c * W' are rounded; sums have the type of W. Of a Z in two parts, Z_ii stands
    for the sum of its parts.

    Example:

    ```mlir
    %R = delta.erase_apply %Z, %c, %W block 32
        : tensor<64x64xbf16>, tensor<64xf32>, tensor<64x128xf32>
    %X = delta.erase_apply adjoint %Z, %c, %dU block 32
        : tensor<64x64xbf16>, tensor<64xf32>, tensor<64x128xf32>
    ```
  }];
  let arguments = (ins Delta_Tile:$z, Delta_Tile:$rate, Delta_Tile:$w,
                       OptionalAttr<I64Attr>:$block, UnitAttr:$adjoint);
  let results = (outs Delta_Tile:$r);
  let assemblyFormat = [{
    (`adjoint` $adjoint^)? $z `,` $rate `,` $w (`block` $block^)? attr-dict
    `:` type($z) `,` type($rate) `,` type($w)
  }];
}

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
