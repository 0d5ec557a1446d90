//===- DeltaDecayOps.td - Pairs of tokens and their decays -*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_IR_DELTADECAYOPS
#define WYVERN_DIALECT_DELTA_IR_DELTADECAYOPS

include "wyvern/Dialect/Delta/IR/DeltaRowOps.td"

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

#endif // WYVERN_DIALECT_DELTA_IR_DELTADECAYOPS
