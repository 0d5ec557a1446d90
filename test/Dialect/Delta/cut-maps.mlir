// RUN: wyvern-opt %s -delta-cut-maps -split-input-file | FileCheck %s
// RUN: wyvern-opt %s -delta-cut-maps -split-input-file --remarks-filter=delta-cut-maps -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: wyvern-opt %s -delta-cut-maps=shared-bytes=8192 -split-input-file --remarks-filter=delta-cut-maps -o /dev/null 2>&1 | FileCheck %s --check-prefix=LARGE

#mn = affine_map<(m, n, k) -> (m, n)>
#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>

// A product that is read for each half of the tokens is made by a map of its own, and so are
// more sums than registers hold. What is summed crosses once, as a sum; the running sums
// of a sum are sums of running sums, one for each map. The difference of two is taken away.

// CHECK-LABEL: func.func @gradient
// CHECK: %[[P:.*]] = delta.chunk_map
// CHECK-SAME: outs([seq, time, head, _] : tensor<?x?x1x64xf32>)
// CHECK: %[[M:.*]] = linalg.contract
// CHECK: delta.yield outs(%[[M]] :
// CHECK: %[[FIRST:.*]]:2 = delta.chunk_map
// CHECK-SAME: %[[m:[a-zA-Z0-9_]+]] = %[[P]][
// CHECK: %[[A:.*]] = delta.decay_apply {{.*}}upto_token %[[m]], %[[X:[a-zA-Z0-9_]+]]
// CHECK: %[[B:.*]] = delta.decay_apply {{.*}}upto_token transpose %[[m]], %[[X]]
// CHECK: %[[AX:.*]] = arith.mulf %[[A]], %[[X]]
// CHECK: %[[BX:.*]] = arith.mulf %[[B]], %[[X]]
// CHECK: %[[AB:.*]] = arith.addf %[[A]], %[[B]]
// CHECK: %[[AXBX:.*]] = arith.subf %[[AX]], %[[BX]]
// CHECK: %[[SUM:.*]] = delta.cumsum reverse %[[AXBX]]
// CHECK: delta.yield outs(%[[SUM]], %[[AB]] :
// CHECK: delta.chunk_map
// CHECK-DAG: %[[G0:[a-zA-Z0-9_]+]] = %[[FIRST]]#0[
// CHECK-DAG: %[[D0:[a-zA-Z0-9_]+]] = %[[FIRST]]#1[
// CHECK: %[[C:.*]] = delta.decay_apply {{.*}}before_token
// CHECK: %[[CX:.*]] = arith.mulf %[[C]],
// CHECK: %[[D:.*]] = arith.addf %[[D0]], %[[C]]
// CHECK: %[[SC:.*]] = delta.cumsum reverse %[[CX]]
// CHECK: %[[G1:.*]] = arith.subf %[[G0]], %[[SC]]
// CHECK: %[[G:.*]] = arith.addf %[[G1]],
// CHECK: delta.yield outs(%[[D]], %[[G]] :
// REMARK: remark: [Passed] Cut | Category:delta-cut-maps{{.*}}Crossing=3, Maps=3
// LARGE: remark: [Passed] Cut
// LARGE: remark: [Missed] TooLarge | Category:delta-cut-maps{{.*}}Reason="a product alone needs more than a block has"
func.func @gradient(%x: tensor<?x?x1x64xbf16>, %do: tensor<?x?x1x64xbf16>, %g: tensor<?x?x1x64xf32>) -> (tensor<?x?x1x64xf32>, tensor<?x?x1x64xf32>) {
  %dx, %dg = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %dO = %do[seq, time, head, _] : tensor<?x?x1x64xbf16>, %G = %g[seq, time, head, _] : tensor<?x?x1x64xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x64xf32>, [seq, time, head, _] : tensor<?x?x1x64xf32>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    %M = linalg.contract indexing_maps = [#mk, #nk, #mn] ins(%dO, %X : tensor<64x64xf32>, tensor<64x64xf32>) outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
    %A = delta.decay_apply upto_token %M, %X decay(%G : tensor<64x64xf32>) : tensor<64x64xf32>, tensor<64x64xf32> -> tensor<64x64xf32>
    %B = delta.decay_apply upto_token transpose %M, %X decay(%G : tensor<64x64xf32>) : tensor<64x64xf32>, tensor<64x64xf32> -> tensor<64x64xf32>
    %C = delta.decay_apply before_token %M, %X decay(%G : tensor<64x64xf32>) : tensor<64x64xf32>, tensor<64x64xf32> -> tensor<64x64xf32>
    %AX = arith.mulf %A, %X : tensor<64x64xf32>
    %BX = arith.mulf %B, %X : tensor<64x64xf32>
    %CX = arith.mulf %C, %X : tensor<64x64xf32>
    %AC = arith.addf %A, %C : tensor<64x64xf32>
    %D = arith.addf %AC, %B : tensor<64x64xf32>
    %d0 = arith.subf %AX, %BX : tensor<64x64xf32>
    %d1 = arith.subf %d0, %CX : tensor<64x64xf32>
    %S = delta.cumsum reverse %d1 : tensor<64x64xf32>
    %E = arith.addf %S, %X : tensor<64x64xf32>
    delta.yield outs(%D, %E : tensor<64x64xf32>, tensor<64x64xf32>)
  }
  return %dx, %dg : tensor<?x?x1x64xf32>, tensor<?x?x1x64xf32>
}

// -----

// Without a decay a channel a map is left alone.

// CHECK-LABEL: func.func @plain
// CHECK-COUNT-1: delta.chunk_map
// CHECK-NOT: delta.chunk_map
#mn = affine_map<(m, n, k) -> (m, n)>
#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
func.func @plain(%x: tensor<?x?x1x64xbf16>, %g: tensor<?x?x1xf32>) -> tensor<?x?x1x64xf32> {
  %d = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %G = %g[seq, time, head] : tensor<?x?x1xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x64xf32>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    %M = linalg.contract indexing_maps = [#mk, #nk, #mn] ins(%X, %X : tensor<64x64xf32>, tensor<64x64xf32>) outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
    %A = delta.decay_apply upto_token %M, %X decay(%G : tensor<64xf32>) : tensor<64x64xf32>, tensor<64x64xf32> -> tensor<64x64xf32>
    delta.yield outs(%A : tensor<64x64xf32>)
  }
  return %d : tensor<?x?x1x64xf32>
}
