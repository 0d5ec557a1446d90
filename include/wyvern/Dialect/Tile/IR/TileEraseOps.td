//===- TileEraseOps.td - The factor of a chunk's erasures --*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_TILE_IR_TILEERASEOPS
#define WYVERN_DIALECT_TILE_IR_TILEERASEOPS

include "wyvern/Dialect/Tile/IR/TileKernelOps.td"

def Tile_EraseStripsOp : Tile_Op<"erase_strips",
                                 [AllTypesMatch<["z", "written"]>]> {
  let summary = "the factor of L and c in blocks of 32 rows, begun";
  let description = [{
    ```
    Z_ii = (I + L_ii diag(c_i))^-1 L_ii, i = 1, 2
    Z_21 = L_21,  Z_12 = L_21 - round(L_21)
    Z_13 = Z_11 - round(Z_11),  Z_24 = Z_22 - round(Z_22),  Z_14 = Z_23 = 0
    ```

    the last line for a Z in two parts, of 64 x 128. With `for_apply`, where
    `tile.erase_apply` alone reads Z, Z_14 and Z_23 are left as they are. With `scaled`
    rows of Z, and L_21 in it, are multiplied by c: for one that solves without rates. L
    is 64 x 64 and strictly lower triangular, zeros included, in registers or in shared
    memory, as the rates are. Z goes to shared memory, in 16 bits; the result is the tile with
    what is there of it: Z_21 and Z_12. Of the blocks on the diagonal `scratch` has the
    strips of 16 rows, solved for by substitution in fp32. `tile.erase_join` makes Z_ii
    of these. L is no longer read then, and its place can be filled again.

    `scratch` is where warps meet: rates, strips, copies of blocks for other warps. It
    is in use from the first barrier of the warpgroup, with which the operation begins,
    or which stands behind the substitution where L and the rates are in shared memory,
    to the next one behind `tile.erase_join`. Called by a warpgroup that has hardware
    barrier `barrier_id` to itself.

    Example:

    ```mlir
    %b = tile.erase_strips %l, %c via %s to %z barrier 1
        : !tile.smem<64x64xf32>, tensor<64xf32, #tile.layout<warp>>,
          !tile.smem<2624xf32>, !tile.smem<64x64xbf16>
    %w = tile.erase_join %b via %s barrier 1
        : !tile.smem<64x64xbf16>, !tile.smem<2624xf32>
    ```
  }];
  let arguments = (ins AnyTypeOf<[Tile_AnyTensor, Tile_SmemType]>:$l,
                       AnyTypeOf<[Tile_AnyTensor, Tile_SmemType]>:$rate,
                       Tile_SmemType:$scratch, Tile_SmemType:$z,
                       I64Attr:$barrier_id, UnitAttr:$for_apply,
                       UnitAttr:$scaled);
  let results = (outs Tile_SmemType:$written);
  let assemblyFormat = [{
    $l `,` $rate `via` $scratch `to` $z `barrier` $barrier_id
    (`for_apply` $for_apply^)? (`scaled` $scaled^)? attr-dict
    `:` type($l) `,` type($rate) `,` type($scratch) `,` type($z)
  }];
  let hasVerifier = 1;
}

def Tile_EraseJoinOp : Tile_Op<"erase_join",
                               [AllTypesMatch<["z", "written"]>]> {
  let summary = "the factor of L and c in blocks of 32 rows, complete";
  let description = [{
    Writes the blocks on the diagonal of a factor that `tile.erase_strips` has begun in
    `z`, with what is in `scratch`. What is left of the lower strip's diagonal in a
    block needs a product, which is on the tensor cores. For bf16 its operands are f16,
    and its error is below that of rounding Z, but for nearly equal keys at rates near
    2; for f16 they are two f16, and it is that of fp32; for a Z in two parts the
    left one is. (A Neumann series on 16 x 16 blocks fails for such keys: docs/numerics.md.) |Z| must stay below 65504, as it does
    for keys of norm 1 and rates from 0 to 2.

    It begins with barrier `barrier_id`. Z is there for other warps behind the next one,
    or a `commit` where the tile is a ring's stage.

    Example: see `tile.erase_strips`.
  }];
  let arguments = (ins Tile_SmemType:$z, Tile_SmemType:$scratch,
                       I64Attr:$barrier_id);
  let results = (outs Tile_SmemType:$written);
  let assemblyFormat = [{
    $z `via` $scratch `barrier` $barrier_id attr-dict
    `:` type($z) `,` type($scratch)
  }];
  let hasVerifier = 1;
}

def Tile_EraseApplyOp : Tile_Op<"erase_apply",
                                [AllTypesMatch<["w", "r"]>]> {
  let summary = "solve by a factor in blocks of 32 rows, on the tensor cores";
  let description = [{
    W and R are 64 x 64 and held transposed: what erases are solved for are their
    columns. Z is in shared memory, of 16 bits, as `tile.erase_join` leaves it.

    ```
    R_1 = W_1 - (c_1 * W_1) Z_11^T
    V   = W_2 - (c_1 * R_1) (Z_21 + Z_12)^T
    R_2 = V - (c_2 * V) Z_22^T
    ```

    with columns 1 to 32 and 33 to 64 as 1 and 2; with `adjoint` the system whose
    matrix is transposed:

    ```
    R_2 = W_2 - (c_2 * W_2) Z_22
    V   = W_1 - (c_2 * R_2) (Z_21 + Z_12)
    R_1 = V - (c_1 * V) Z_11
    ```

    Without rates Z is `scaled`, and so are W and R: c * R is solved for, of c * W, and
    nothing is multiplied between the products.

    ```
    R_1 = W_1 - W_1 Z_11^T
    V   = W_2 - R_1 (Z_21 + Z_12)^T
    R_2 = V - V Z_22^T
    ```

    Of a Z in two parts, Z_11 stands for Z_11 + Z_13, and Z_22 for Z_22 + Z_24. Left
    operands are rounded to the type of Z; sums are in fp32. R is complete, and
    so is every product that the warpgroup has issued before.

    Example:

    ```mlir
    %r = tile.erase_apply %w, %z, %c
        : tensor<64x64xf32, #tile.layout<acc>>, !tile.smem<64x64xbf16>,
          tensor<64xf32, #tile.layout<col>>
    ```
  }];
  let arguments = (ins Tile_AnyTensor:$w, Tile_SmemType:$z,
                       Optional<Tile_AnyTensor>:$rate, UnitAttr:$adjoint);
  let results = (outs Tile_AnyTensor:$r);
  let assemblyFormat = [{
    (`adjoint` $adjoint^)? $w `,` $z (`,` $rate^)? attr-dict
    `:` type($w) `,` type($z) (`,` type($rate)^)?
  }];
  let hasVerifier = 1;
}

#endif // WYVERN_DIALECT_TILE_IR_TILEERASEOPS
