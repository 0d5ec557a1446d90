//===- TileTarget.td - The architecture of a module -----*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_TILE_IR_TILETARGET
#define WYVERN_DIALECT_TILE_IR_TILETARGET

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributes.td"
include "wyvern/Dialect/Tile/IR/TileDialect.td"

def Tile_TargetAttr : AttrDef<Tile_Dialect, "Target"> {
  let mnemonic = "target";
  let summary = "the architecture that a module is compiled for";
  let description = [{
    Names an architecture of lib/Dialect/Tile/Targets, which says how many registers,
    how much shared memory and so on it has. Numbers behind the name stand in the
    place of the architecture's own: for a test, or to leave room for another kernel
    on the same SM.

    A module has one as its attribute `tile.target`; without, it is for the default
    architecture. `tile-attach-target` puts it there.

    Example:

    ```mlir
    module attributes {tile.target = #tile.target<sm_90a>} {}
    module attributes {tile.target = #tile.target<sm_90a, shared_bytes = 101376>} {}
    ```
  }];
  let parameters = (ins StringRefParameter<>:$arch, "DictionaryAttr":$numbers);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Returns what the architecture has, with this attribute's numbers.
    TargetInfo getInfo() const;
  }];
}

#endif // WYVERN_DIALECT_TILE_IR_TILETARGET
