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
// CHECK: %[[SUM:.*]] = arith.addf %[[AB]]#0, %[[AB]]#0
// CHECK: return %[[SUM]], %[[AB]]#1
func.func @both(%q: tensor<?x?x1x8xf32>, %k: tensor<?x?x1x8xf32>, %g: tensor<?x?x1x8xf32>)
    -> (tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>) {
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
  %sum = arith.addf %a, %b#0 : tensor<?x?x1x8xf32>
  return %sum, %b#1 : tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>
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

// -----

// What the function returns twice, as the gradients of two operands that are added up, are
// two tensors, and make no reason to join maps that share nothing. What joined maps
// both return stays two, too.

// CHECK-LABEL: func.func @twins(
// CHECK: delta.chunk_map
// CHECK: %[[A:.*]]:2 = delta.chunk_map
// CHECK: return %{{.*}}, %[[A]]#0, %[[A]]#1
func.func @twins(%q: tensor<?x?x1x8xf32>, %k: tensor<?x?x1x8xf32>)
    -> (tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>) {
  %a = delta.chunk_map chunk = 4 heads = 1 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x8xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x8xf32>) valid(%n) {
    %x = math.exp %Q : tensor<4x8xf32>
    delta.yield outs(%x : tensor<4x8xf32>)
  }
  %b:2 = delta.chunk_map chunk = 4 heads = 1 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x1x8xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x8xf32>, [seq, time, head, _] : tensor<?x?x1x8xf32>) valid(%n) {
    %x = math.exp %K : tensor<4x8xf32>
    delta.yield outs(%x, %x : tensor<4x8xf32>, tensor<4x8xf32>)
  }
  return %a, %b#0, %b#1 : tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>
}

// -----

// CHECK-LABEL: func.func @joined_twins(
// CHECK: %[[A:.*]]:3 = delta.chunk_map
// CHECK-NOT: delta.chunk_map
// CHECK: %[[SUM:.*]] = arith.addf %[[A]]#1, %[[A]]#1
// CHECK: return %[[A]]#0, %[[A]]#2, %[[SUM]]
func.func @joined_twins(%k: tensor<?x?x1x8xf32>)
    -> (tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>) {
  %a:2 = delta.chunk_map chunk = 4 heads = 1 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x1x8xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x8xf32>, [seq, time, head, _] : tensor<?x?x1x8xf32>) valid(%n) {
    %x = math.exp %K : tensor<4x8xf32>
    %y = math.exp %x : tensor<4x8xf32>
    delta.yield outs(%x, %y : tensor<4x8xf32>, tensor<4x8xf32>)
  }
  %b:2 = delta.chunk_map chunk = 4 heads = 1 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x1x8xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x8xf32>, [seq, time, head, _] : tensor<?x?x1x8xf32>) valid(%n) {
    %x = math.exp %K : tensor<4x8xf32>
    %y = math.exp %x : tensor<4x8xf32>
    delta.yield outs(%x, %y : tensor<4x8xf32>, tensor<4x8xf32>)
  }
  %sum = arith.addf %a#1, %b#1 : tensor<?x?x1x8xf32>
  return %a#0, %b#0, %sum : tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>
}
