// RUN: wyvern-opt %s -test-print-carry-dependence -o /dev/null | FileCheck %s

// What a carry enters has to wait for the chunk before; a map waits for nothing.

// CHECK-LABEL: @scan delta.chunk_scan
// CHECK-NEXT: depend on a carry: %S %1 %2{{$}}
func.func @scan(%v: tensor<?x?x1x4xf32> {delta.name = "v"}, %s0: tensor<?x1x4x4xf32> {delta.name = "s0"}) -> tensor<?x1x4x4xf32> {
  %sT = delta.chunk_scan forward chunk = 4 heads = 1 compute = f32
      ins(%V = %v[seq, time, head, _] : tensor<?x?x1x4xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x1x4x4xf32>) outs() valid(%n) {
    %0 = math.exp %V : tensor<4x4xf32>
    %1 = arith.mulf %S, %0 : tensor<4x4xf32>
    %2 = arith.addf %1, %V : tensor<4x4xf32>
    delta.yield carry(%2 : tensor<4x4xf32>)
  }
  return %sT : tensor<?x1x4x4xf32>
}

// CHECK-LABEL: @map delta.chunk_map
// CHECK-NEXT: depend on a carry:{{$}}
func.func @map(%v: tensor<?x?x1x4xf32> {delta.name = "v"}) -> tensor<?x?x1x4xf32> {
  %o = delta.chunk_map chunk = 4 heads = 1 compute = f32
      ins(%V = %v[seq, time, head, _] : tensor<?x?x1x4xf32>) outs([seq, time, head, _] : tensor<?x?x1x4xf32>) valid(%n) {
    %0 = math.exp %V : tensor<4x4xf32>
    delta.yield outs(%0 : tensor<4x4xf32>)
  }
  return %o : tensor<?x?x1x4xf32>
}
