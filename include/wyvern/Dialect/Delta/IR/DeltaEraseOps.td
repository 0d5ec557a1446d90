//===- DeltaEraseOps.td - A chunk's erasures ---------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_IR_DELTAERASEOPS
#define WYVERN_DIALECT_DELTA_IR_DELTAERASEOPS

include "wyvern/Dialect/Delta/IR/DeltaRowOps.td"

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

#endif // WYVERN_DIALECT_DELTA_IR_DELTAERASEOPS
