// RUN: wyvern-opt %s -delta-take-diagonals | FileCheck %s

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>

// The sum over columns of X * R is the diagonal of X R^T: both are stored as the product
// reads them. The rows of W are in f32, and rounding them for the product loses what the
// sum has; so it stays.

// CHECK-LABEL: func.func @dots
// CHECK: %[[XR:.*]] = linalg.contract
// CHECK: %[[WR:.*]] = linalg.contract
// CHECK: %[[DOTS:.*]] = arith.mulf %[[W:.*]], %[[R:.*]] :
// CHECK: %[[D:.*]] = delta.decay_mask upto_token %[[XR]] near 1
// CHECK: %[[SUM:.*]] = linalg.reduce {{.*}} ins(%[[D]] : tensor<16x16xf32>)
// CHECK: %[[OTHER:.*]] = linalg.reduce {{.*}} ins(%[[DOTS]] : tensor<16x32xf32>)
// CHECK: delta.yield outs(%[[XR]], %[[WR]], %[[SUM]], %[[OTHER]] :
func.func @dots(%x: tensor<?x?x1x32xbf16>, %r: tensor<?x?x1x32xbf16>, %w: tensor<?x?x1x32xf32>)
    -> (tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1xf32>, tensor<?x?x1xf32>) {
  %d:4 = delta.chunk_map chunk = 16 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x32xbf16>, %R = %r[seq, time, head, _] : tensor<?x?x1x32xbf16>, %W = %w[seq, time, head, _] : tensor<?x?x1x32xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x16xf32>, [seq, time, head, _] : tensor<?x?x1x16xf32>, [seq, time, head] : tensor<?x?x1xf32>, [seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<16x16xf32>
    %none = arith.constant dense<0.0> : tensor<16xf32>
    %Xb = arith.truncf %X : tensor<16x32xf32> to tensor<16x32xbf16>
    %Rb = arith.truncf %R : tensor<16x32xf32> to tensor<16x32xbf16>
    %Wb = arith.truncf %W : tensor<16x32xf32> to tensor<16x32xbf16>
    %XR = linalg.contract indexing_maps = [#mk, #nk, #mn] ins(%Xb, %Rb : tensor<16x32xbf16>, tensor<16x32xbf16>) outs(%zero : tensor<16x16xf32>) -> tensor<16x16xf32>
    %WR = linalg.contract indexing_maps = [#mk, #nk, #mn] ins(%Wb, %Rb : tensor<16x32xbf16>, tensor<16x32xbf16>) outs(%zero : tensor<16x16xf32>) -> tensor<16x16xf32>
    %xr = arith.mulf %X, %R : tensor<16x32xf32>
    %wr = arith.mulf %W, %R : tensor<16x32xf32>
    %s = linalg.reduce { arith.addf } ins(%xr : tensor<16x32xf32>) outs(%none : tensor<16xf32>) dimensions = [1]
    %t = linalg.reduce { arith.addf } ins(%wr : tensor<16x32xf32>) outs(%none : tensor<16xf32>) dimensions = [1]
    delta.yield outs(%XR, %WR, %s, %t : tensor<16x16xf32>, tensor<16x16xf32>, tensor<16xf32>, tensor<16xf32>)
  }
  return %d#0, %d#1, %d#2, %d#3 : tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1xf32>, tensor<?x?x1xf32>
}
