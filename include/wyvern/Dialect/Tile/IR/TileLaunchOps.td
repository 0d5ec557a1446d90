//===- TileLaunchOps.td - Launches of kernels -------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_TILE_IR_TILELAUNCHOPS
#define WYVERN_DIALECT_TILE_IR_TILELAUNCHOPS

include "mlir/IR/SymbolInterfaces.td"
include "wyvern/Dialect/Tile/IR/TileKernelOps.td"

def Tile_LaunchOp : Tile_Op<"launch", [
    AttrSizedOperandSegments, AttrSizedResultSegments,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a kernel is launched on these tensors";
  let description = [{
    What a function says of its kernels: in which order they run, and on what. The
    kernel's arguments are, in this order, the ins, the outs, the inits, the finals
    that somebody reads, the `indices` (one integer a sequence: its slots, its length),
    then cu_seqlens, tokens and sequences, the tokens that slots of chunks are numbered by
    where the kernel has an operand "slot_tokens", the part of its sequences where it has an
    operand "part", and the tokens of a segment where it has an operand "segment". The
    bindings say what the tensors' dimensions range over; `chunk` is the tokens of a chunk. It is not
    lowered: the runtime launches, from the manifest that is written of it.

    Example:

    ```mlir
    %o, %sT = tile.launch @f_scan chunk 64 ins(%q : tensor<?x?x2x64xbf16>)
        inits(%s0 : tensor<?x2x64x64xf32>)
        bindings [#delta.binding<[seq, time, head, _]>],
                 [#delta.binding<[seq, head, _, _]>],
                 [#delta.binding<[seq, time, head, _]>]
        outs(tensor<?x?x2x64xbf16>) finals(tensor<?x2x64x64xf32>)
    ```
  }];
  let arguments = (ins Variadic<AnyRankedTensor>:$ins,
                       Variadic<AnyRankedTensor>:$inits,
                       Optional<AnyRankedTensor>:$cu_seqlens,
                       Variadic<AnyRankedTensor>:$indices,
                       FlatSymbolRefAttr:$kernel, I64Attr:$chunk,
                       ArrayAttr:$in_bindings, ArrayAttr:$init_bindings,
                       ArrayAttr:$out_bindings);
  let results = (outs Variadic<AnyRankedTensor>:$outs,
                      Variadic<AnyRankedTensor>:$finals);
  let assemblyFormat = [{
    $kernel `chunk` $chunk `ins` `(` $ins `:` type($ins) `)`
    (`inits` `(` $inits^ `:` type($inits) `)`)?
    (`cu_seqlens` `(` $cu_seqlens^ `:` type($cu_seqlens) `)`)?
    (`indices` `(` $indices^ `:` type($indices) `)`)?
    `bindings` $in_bindings `,` $init_bindings `,` $out_bindings
    (`outs` `(` type($outs)^ `)`)? (`finals` `(` type($finals)^ `)`)? attr-dict
  }];
  let extraClassDeclaration = [{
    /// The tensors behind the kernel's arguments, in their order.
    ::mlir::SmallVector<::mlir::Value> getKernelTensors();
  }];
}

#endif // WYVERN_DIALECT_TILE_IR_TILELAUNCHOPS
