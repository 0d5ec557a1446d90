// REQUIRES: ptxas
// RUN: split-file %s %t
// RUN: wyvernc %t/slots.mlir --emit=manifest | FileCheck %t/slots.mlir
// RUN: wyvernc %t/chunks.mlir --emit=manifest | FileCheck %t/chunks.mlir

//--- slots.mlir

// A grid and a tensor that count slots of two chunks. Nobody asked for the final, and the
// kernel is not given it: it needs no workspace.

// CHECK: "name": "x"
// CHECK-NOT: "name": "workspace
// CHECK: "name": "s"
// CHECK-NOT: "name": "workspace
// CHECK: "name": "kept"
// CHECK: "dims": [
// CHECK-NEXT: {
// CHECK-NEXT: "kind": "chunk",
// CHECK-NEXT: "multiple": 2
// CHECK-NOT: "role": "workspace"
// CHECK: "kernels": [
// CHECK: "grid": {
// CHECK-NEXT: "factor": 1,
// CHECK-NEXT: "count": "slots",
// CHECK-NEXT: "chunks": 2
// CHECK-NEXT: }

func.func @kept(%x: tensor<?x?x1x64xf32> {delta.name = "x"}, %s0: tensor<?x1x64x64xf32> {delta.name = "s"})
    -> (tensor<?x1x64x64xf32> {delta.name = "kept"}) {
  %kept, %end = tile.launch @kept_scan chunk 64 ins(%x : tensor<?x?x1x64xf32>) inits(%s0 : tensor<?x1x64x64xf32>)
      bindings [#delta.binding<[seq, time, head, _]>], [#delta.binding<[chunk * 2, head, _, _]>],
               [#delta.binding<[chunk * 2, head, _, _]>]
      outs(tensor<?x1x64x64xf32>) finals(tensor<?x1x64x64xf32>)
  return %kept : tensor<?x1x64x64xf32>
}

tile.kernel @kept_scan(%x: !tile.global<tensor<?x?x1x64xf32>>, %kept: !tile.global<tensor<?x1x64x64xf32>>,
                       %s: !tile.global<tensor<?x1x64x64xf32>, optional = true>, %cu: !tile.cu_seqlens, %T: index, %N: index)
    grid 1 * slots of 2 warps 4 min_blocks 1 operands ["x", "kept", "s", "cu_seqlens", "tokens", "sequences"] shared_bytes 0 {
}

//--- chunks.mlir

// Two launches with chunks of other sizes: the manifest counts those of 64 tokens.

// CHECK: "chunk": 64,
// CHECK: "name": "workspace_0"
// CHECK: "kind": "chunk",
// CHECK-NEXT: "multiple": 4
// CHECK: "name": "workspace_1"
// CHECK: "kind": "chunk",
// CHECK-NEXT: "multiple": 8
// CHECK: "symbol": "first"
// CHECK: "chunks": 4
// CHECK: "symbol": "second"
// CHECK: "chunks": 8
// CHECK: "symbol": "third"

func.func @f(%x: tensor<?x?x1x64xf32> {delta.name = "x"}) -> (tensor<?x?x1x64xf32> {delta.name = "y"}) {
  %a = tile.launch @first chunk 64 ins(%x : tensor<?x?x1x64xf32>)
      bindings [#delta.binding<[seq, time, head, _]>], [], [#delta.binding<[chunk * 4 + 3, head, _, _]>]
      outs(tensor<?x1x64x64xf32>)
  %b = tile.launch @second chunk 256 ins(%a : tensor<?x1x64x64xf32>)
      bindings [#delta.binding<[chunk, head, _, _]>], [], [#delta.binding<[chunk * 2, head, _, _]>]
      outs(tensor<?x1x64x64xf32>)
  %c = tile.launch @third chunk 256 ins(%b : tensor<?x1x64x64xf32>)
      bindings [#delta.binding<[chunk * 2, head, _, _]>], [], [#delta.binding<[seq, time, head, _]>]
      outs(tensor<?x?x1x64xf32>)
  return %c : tensor<?x?x1x64xf32>
}

tile.kernel @first(%x: !tile.global<tensor<?x?x1x64xf32>>, %a: !tile.global<tensor<?x1x64x64xf32>>, %cu: !tile.cu_seqlens, %T: index, %N: index)
    grid 1 * slots of 4 warps 4 min_blocks 1 operands ["x", "workspace_0", "cu_seqlens", "tokens", "sequences"] shared_bytes 0 {
}
tile.kernel @second(%a: !tile.global<tensor<?x1x64x64xf32>>, %b: !tile.global<tensor<?x1x64x64xf32>>, %cu: !tile.cu_seqlens, %T: index, %N: index)
    grid 1 * slots of 2 warps 4 min_blocks 1 operands ["workspace_0", "workspace_1", "cu_seqlens", "tokens", "sequences"] shared_bytes 0 {
}
tile.kernel @third(%b: !tile.global<tensor<?x1x64x64xf32>>, %y: !tile.global<tensor<?x?x1x64xf32>>, %cu: !tile.cu_seqlens, %T: index, %N: index)
    grid 1 * sequences warps 4 min_blocks 1 operands ["workspace_1", "y", "cu_seqlens", "tokens", "sequences"] shared_bytes 0 {
}
