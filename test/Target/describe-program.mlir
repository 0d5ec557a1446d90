// REQUIRES: ptxas
// RUN: wyvernc %s --emit=manifest | FileCheck %s

// A grid and a tensor that count slots of two chunks. Nobody asked for the final, and the
// kernel is not given it: it needs no workspace.

// CHECK: "name": "x"
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
  %kept, %end = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xf32>)
      carry(%S = %s0[chunk * 2, head, _, _] : tensor<?x1x64x64xf32>)
      outs([chunk * 2, head, _, _] : tensor<?x1x64x64xf32>) valid(%n) {
    delta.yield outs(%S : tensor<64x64xf32>) carry(%S : tensor<64x64xf32>)
  }
  return %kept : tensor<?x1x64x64xf32>
}

tile.kernel @kept_scan(%x: !tile.global<tensor<?x?x1x64xf32>>, %kept: !tile.global<tensor<?x1x64x64xf32>>)
    grid 1 * slots of 2 warps 4 min_blocks 1 operands ["x", "kept"] shared_bytes 0 {
}
