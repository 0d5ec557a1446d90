// RUN: wyvern-opt %s -delta-join-maps -split-input-file | FileCheck %s

// Both maps make the decayed keys: one makes them once, and what else the second makes of
// the decays comes right behind these.

// CHECK-LABEL: func.func @both(
// CHECK: %[[AB:.*]]:2 = delta.chunk_map chunk = 4 heads = 1 compute = f32 ins(%[[G:.*]] = %arg2{{.*}}, %[[K:.*]] = %arg1{{.*}}, %[[Q:.*]] = %arg0
// CHECK: %[[E:.*]] = math.exp
// CHECK-NEXT: %[[QE:.*]] = arith.mulf %[[Q]], %[[E]]
// CHECK-NEXT: %[[KE:.*]] = arith.mulf %[[K]], %[[E]]
// CHECK: delta.yield outs(%[[KE]], %[[QE]] :
// CHECK-NOT: delta.chunk_map
// CHECK: return %[[AB]]#0, %[[AB]]#0, %[[AB]]#1
func.func @both(%q: tensor<?x?x1x8xf32>, %k: tensor<?x?x1x8xf32>, %g: tensor<?x?x1x8xf32>)
    -> (tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>) {
  %a = delta.chunk_map chunk = 4 heads = 1 compute = f32
      ins(%G = %g[seq, time, head, _] : tensor<?x?x1x8xf32>, %K = %k[seq, time, head, _] : tensor<?x?x1x8xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x8xf32>) valid(%n) {
    %s = delta.cumsum %G : tensor<4x8xf32>
    %e = math.exp %s : tensor<4x8xf32>
    %x = arith.mulf %K, %e : tensor<4x8xf32>
    delta.yield outs(%x : tensor<4x8xf32>)
  }
  %b:2 = delta.chunk_map chunk = 4 heads = 1 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x8xf32>, %G = %g[seq, time, head, _] : tensor<?x?x1x8xf32>, %K = %k[seq, time, head, _] : tensor<?x?x1x8xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x8xf32>, [seq, time, head, _] : tensor<?x?x1x8xf32>) valid(%n) {
    %s = delta.cumsum %G : tensor<4x8xf32>
    %e = math.exp %s : tensor<4x8xf32>
    %x = arith.mulf %K, %e : tensor<4x8xf32>
    %y = arith.mulf %Q, %e : tensor<4x8xf32>
    delta.yield outs(%x, %y : tensor<4x8xf32>, tensor<4x8xf32>)
  }
  return %a, %b#0, %b#1 : tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>
}

// -----

// Of one in, but nothing that both make; and a second map that reads the first one.

// CHECK-LABEL: func.func @apart(
// CHECK-COUNT-2: delta.chunk_map
func.func @apart(%k: tensor<?x?x1x8xf32>) -> (tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>) {
  %a = delta.chunk_map chunk = 4 heads = 1 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x1x8xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x8xf32>) valid(%n) {
    %x = math.exp %K : tensor<4x8xf32>
    delta.yield outs(%x : tensor<4x8xf32>)
  }
  %b = delta.chunk_map chunk = 4 heads = 1 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x1x8xf32>, %A = %a[seq, time, head, _] : tensor<?x?x1x8xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x8xf32>) valid(%n) {
    %x = math.exp %K : tensor<4x8xf32>
    %y = arith.mulf %x, %A : tensor<4x8xf32>
    delta.yield outs(%y : tensor<4x8xf32>)
  }
  return %a, %b : tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>
}
