//===- TileTypes.td - Layouts and types of tiles --------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_TILE_IR_TILETYPES
#define WYVERN_DIALECT_TILE_IR_TILETYPES

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "wyvern/Dialect/Tile/IR/TileDialect.td"

def Tile_LayoutKind : I32EnumAttr<"LayoutKind", "who holds which element", [
    I32EnumAttrCase<"acc", 0>, I32EnumAttrCase<"row", 1>,
    I32EnumAttrCase<"col", 2>, I32EnumAttrCase<"warp", 3>]> {
  let cppNamespace = Tile_Dialect.cppNamespace;
  let genSpecializedAttr = 0;
}

def Tile_LayoutAttr : AttrDef<Tile_Dialect, "Layout"> {
  let mnemonic = "layout";
  let summary = "the distribution of a register tile over a warpgroup";
  let description = [{
    A closed list; there is no other layout and no implicit conversion.

    * `acc`: a 64 x N matrix as wgmma leaves its accumulator (PTX ISA 9.7.15.5.1).
      Thread t = 32 w + l holds, for every j < N / 8, the four elements
      ```
      (16 w + l / 4 + {0, 8},  8 j + 2 (l % 4) + {0, 1})
      ```
      in the order (0,0) (0,1) (8,0) (8,1). Rounded to 16 bits it is also the A
      operand of the next wgmma, register for register.
    * `row`: one value a row of an `acc` tile; a thread holds its 2 rows, the four
      threads of a row hold the same.
    * `col`: one value a column of an `acc` tile; a thread holds its N / 4 columns.
    * `warp`: a vector that every warp holds whole: lane l has elements l, l + 32...
      The layout of running sums.
  }];
  let parameters = (ins EnumParameter<Tile_LayoutKind>:$kind);
  let assemblyFormat = "`<` $kind `>`";
  let extraClassDeclaration = [{
    /// Elements of a tensor of this shape that one thread holds.
    int64_t getElementsPerThread(::llvm::ArrayRef<int64_t> shape) const;
  }];
}

def Tile_SpreadAttr : AttrDef<Tile_Dialect, "Spread"> {
  let mnemonic = "spread";
  let summary = "the distribution of a register tile over the warps of a role";
  let description = [{
    For what the CUDA cores multiply. One entry a dimension: `_`, every thread has all of
    it; or `piece p lanes l step s warps w`, for a dimension cut into pieces of p elements,
    piece n of which is held by the lanes i of a warp with (i / s) mod l = n mod l, of the
    warps j with j mod w = (n / l) mod w. A thread holds its elements row-major, each
    dimension's in their order.

    Lanes that differ in what no dimension asks for hold the same elements.

    Example: rows of 128 over 8 lanes in pieces of 4, four rows a warp, in 4 warps:
    `#tile.spread<[piece 1 lanes 4 step 8 warps 4, piece 4 lanes 8 step 1 warps 1]>`
  }];
  let parameters =
      (ins ArrayRefParameter<"::mlir::wyvern::tile::DimSpread">:$dims);
  let hasCustomAssemblyFormat = 1;
  let extraClassDeclaration = [{
    /// The part of a tensor of this shape that one thread holds.
    ::llvm::SmallVector<int64_t>
    getThreadShape(::llvm::ArrayRef<int64_t> shape) const;
    /// Lanes and warps that hold the same elements, as bits of a lane's and a
    /// warp's number that no dimension asks for.
    int64_t getIdleLaneBits() const;
    /// The highest number of warps that some dimension is spread over.
    int64_t getWarps() const;
  }];
}

class Tile_Type<string name, string typeMnemonic, string typeSummary>
    : TypeDef<Tile_Dialect, name> {
  let mnemonic = typeMnemonic;
  let summary = typeSummary;
}

def Tile_SmemType : Tile_Type<"Smem", "smem", "a tile in shared memory"> {
  let description = [{
    Rank 2, 16-bit: column blocks of 64 elements (128 bytes), each `rows` x 128
    bytes with the 128-byte swizzle of TMA and wgmma: element (r, c) is at byte
    ```
    (c / 64) * rows * 128  +  r * 128  +  ((2 (c % 64)) xor (16 (r % 8)))
    ```
    where `rows` are the tile's own, or with `of n` the n of the tile that it is some
    rows of (`tile.subview`): products, `tile.read` and `tile.write` take such a view.
    Rank 2, f32: row-major, rows padded by 16 bytes. No product reads it.
    Rank 1, f32: plain.

    Example: `!tile.smem<64x128xbf16>`, `!tile.smem<64x128xbf16, of 128>`
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$shape,
                        "::mlir::Type":$elementType,
                        DefaultValuedParameter<"int64_t", "0">:$wholeRows);
  let builders = [
    TypeBuilder<(ins "::llvm::ArrayRef<int64_t>":$shape,
                     "::mlir::Type":$elementType), [{
      return $_get($_ctxt, shape, elementType, /*wholeRows=*/0);
    }]>
  ];
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Bytes the tile occupies.
    int64_t getSizeInBytes() const;
    /// Rows of a column block: its own, or those of the tile it is a view of.
    int64_t getBlockRows() const {
      return getWholeRows() ? getWholeRows() : getShape()[0];
    }
    /// The alignment its swizzle needs.
    int64_t getAlignment() const;
    /// True for the swizzled tiles that TMA fills and wgmma reads.
    bool isSwizzled() const;
    /// Byte distance between consecutive rows of an f32 matrix.
    int64_t getPaddedRowBytes() const;
  }];
}

def Tile_Fill : I32EnumAttr<"Fill", "what writes the tiles of a ring", [
    I32EnumAttrCase<"tma", 0>, I32EnumAttrCase<"warps", 1>]> {
  let cppNamespace = Tile_Dialect.cppNamespace;
  let genSpecializedAttr = 0;
}

def Tile_RingType : Tile_Type<"Ring", "ring", "stages of tiles between warps"> {
  let description = [{
    `depth` stages, each one of every tile listed. A stage is filled by its
    producers between `tile.acquire` and `tile.commit` and read by its consumers
    between `tile.wait` and `tile.release`.

    `fill` says what writes a stage, and with it when the stage is full: of one that
    `tma` fills when the bytes of its swizzled tiles have arrived and the producers'
    own writes (vectors) are done; of one that `warps` fill when all producers have
    committed, each behind a fence where the stage has a tile that wgmma and TMA can
    read. One thread a warp arrives, after the warp has met.

    Example: `!tile.ring<2, [!tile.smem<64x64xbf16>, !tile.smem<64xf32>], warps>`
  }];
  let parameters = (ins "int64_t":$depth,
                        ArrayRefParameter<"::mlir::Type">:$tiles,
                        DefaultValuedParameter<"::mlir::wyvern::tile::Fill",
                                               "::mlir::wyvern::tile::Fill::tma">:$fill);
  let assemblyFormat = "`<` $depth `,` `[` $tiles `]` (`,` $fill^)? `>`";
  let extraClassDeclaration = [{
    /// Byte offset of tile `i` of the first stage. The stages of one tile follow
    /// each other, so that a small one beside a large one pads nothing.
    int64_t getTileOffset(unsigned i) const;
    /// Bytes from tile `i` of one stage to that of the next.
    int64_t getTileStride(unsigned i) const;
    /// True if a tile of a stage is one that wgmma and TMA can read.
    bool hasSwizzledTile() const;
    /// Bytes of all tiles of all stages.
    int64_t getTileBytes() const;
    /// Bytes of their barriers.
    int64_t getBarrierBytes() const;
    /// Bytes of the tiles that TMA fills.
    int64_t getTransactionBytes() const;
    /// The alignment that its tiles need.
    int64_t getAlignment() const;
  }];
}

def Tile_InflightType
    : Tile_Type<"Inflight", "inflight", "an accumulator still being computed"> {
  let description = [{ Readable only after `tile.await`. }];
  let parameters = (ins "::mlir::RankedTensorType":$tile);
  let assemblyFormat = "`<` $tile `>`";
}

def Tile_GlobalType
    : Tile_Type<"Global", "global", "a tensor in device memory"> {
  let description = [{
    A pointer and one run-time stride (in elements) a dimension, so that views and
    either state layout need no kernel of their own. `optional` ones may be null.
    One that is `dense` has no gaps, as what passes from kernel to kernel: strides
    that its static dimensions tell are constants, which take no registers. Of one that is
    `contiguous` the elements of the last dimension lie side by side, so that several are
    loaded at once.
  }];
  let parameters = (ins "::mlir::RankedTensorType":$tensor,
                        DefaultValuedParameter<"bool", "false">:$optional,
                        DefaultValuedParameter<"bool", "false">:$dense,
                        DefaultValuedParameter<"bool", "false">:$contiguous);
  let builders = [
    TypeBuilder<(ins "::mlir::RankedTensorType":$tensor, "bool":$optional,
                     "bool":$dense), [{
      return $_get($_ctxt, tensor, optional, dense, /*contiguous=*/false);
    }]>
  ];
  let assemblyFormat = [{
    `<` $tensor (`,` struct($optional, $dense, $contiguous)^)? `>`
  }];
  let extraClassDeclaration = [{
    /// The stride of a dimension where the type tells it.
    std::optional<int64_t> getStaticStride(unsigned dim) const;
  }];
}

def Tile_TensorMapType
    : Tile_Type<"TensorMap", "tensor_map", "a TMA descriptor passed by value"> {
  let description = [{
    Describes `tensor` (outermost dimension first) and the box that one load
    brings; the innermost box dimension is one 128-byte swizzled column block.
  }];
  let parameters = (ins "::mlir::RankedTensorType":$tensor,
                        ArrayRefParameter<"int64_t">:$box);
  let assemblyFormat = "`<` $tensor `,` `box` `=` `[` $box `]` `>`";
}

def Tile_CuSeqlensType
    : Tile_Type<"CuSeqlens", "cu_seqlens", "sequence bounds in device memory"> {
  let description = [{
    N + 1 entries of 4 or 8 bytes, or null where every batch row is one sequence.
    The host never reads them.
  }];
}

// A tile in registers; its encoding says who holds what.
def Tile_AnyTensor : RankedTensorOf<[AnyType]>;

#endif // WYVERN_DIALECT_TILE_IR_TILETYPES
