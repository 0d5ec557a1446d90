// RUN: wyvern-opt %s -wyvern-lower-to-cpu | FileCheck %s

// Nothing but the LLVM dialect is left; copies are loops and 16-bit floats are
// integer arithmetic, so that no runtime library is called but malloc and free.
// CHECK-NOT: memrefCopy
// CHECK-NOT: builtin.unrealized_conversion_cast
// CHECK-DAG: llvm.func @malloc
// CHECK-DAG: llvm.func @free
// CHECK-LABEL: llvm.func @sums(
// CHECK-NOT: fpext {{.*}} : bf16
// CHECK-NOT: fptrunc {{.*}} to bf16
// CHECK: llvm.return
// CHECK: llvm.func @_mlir_ciface_sums(
func.func @sums(%x: tensor<?x?x1x8xbf16> {delta.name = "x"}, %cu: tensor<?xi64> {delta.name = "cu_seqlens"})
    -> (tensor<?x?x1x8xbf16> {delta.name = "y"}) {
  %y = delta.chunk_map chunk = 4 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x8xbf16>) cu_seqlens(%cu : tensor<?xi64>)
      outs([seq, time, head, _] : tensor<?x?x1x8xbf16>) valid(%n) {
    %Y = delta.cumsum %X : tensor<4x8xf32>
    delta.yield outs(%Y : tensor<4x8xf32>)
  }
  return %y : tensor<?x?x1x8xbf16>
}
