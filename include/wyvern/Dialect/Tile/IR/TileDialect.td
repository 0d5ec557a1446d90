//===- TileDialect.td - The tile dialect ----------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_TILE_IR_TILEDIALECT
#define WYVERN_DIALECT_TILE_IR_TILEDIALECT

include "mlir/IR/OpBase.td"

def Tile_Dialect : Dialect {
  let name = "tile";
  let cppNamespace = "::mlir::wyvern::tile";
  let summary = "How a chunk program runs on one GPU's thread blocks";
  let description = [{
    A `tile.kernel` is what one thread block runs. Its values live in one of two
    places, and the type says which:

    * **registers**: builtin tensors with a layout encoding (`#tile.layout<acc>`
      and its companions for vectors), so `arith` and `math` apply as they are;
    * **shared memory**: `!tile.smem`, an own type because a swizzled layout is not
      an affine memref layout.

    Asynchrony is in the types too: a `tile.mma` gives a `!tile.inflight`, which
    only `tile.await` turns into a readable tile; data from other warps comes out
    of a `!tile.ring`, filled between `acquire` and `commit`, read between `wait`
    and `release`. mbarriers, phases, descriptors and PTX exist only below this
    dialect; recurrences, sequences of layers and their names only above it.
  }];
  let hasOperationAttrVerify = 1;
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
}

#endif // WYVERN_DIALECT_TILE_IR_TILEDIALECT
