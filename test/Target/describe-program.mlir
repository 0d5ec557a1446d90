// REQUIRES: ptxas
// RUN: wyvernc %s --emit=manifest | FileCheck %s

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
// CHECK-NOT: "workspace"
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
