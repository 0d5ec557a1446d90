// RUN: wyvern-opt %s -delta-form-wy | FileCheck %s

// A map of chunks of one token makes a rate, a key that is normalized and a value with a
// function of its own. The program computes the first two itself; the map of the third
// has chunks as long as the program's.

// CHECK-LABEL: func.func @fused
// CHECK-SAME: (%[[k:.*]]: tensor<?x?x1x16xbf16>, %[[v:.*]]: tensor<?x?x1x8xbf16>, %[[b:.*]]: tensor<?x?x1xbf16>, %[[w:.*]]: tensor<1x8xf32>)
// CHECK: %[[made:.*]]:3 = delta.chunk_map chunk = 64 heads = 1 compute = f32
// CHECK-SAME: %[[V:[^ ]*]] = %[[v]][seq, time, head, _]
// CHECK-SAME: %[[W:[^ ]*]] = %[[w]][head, _]
// CHECK: linalg.broadcast ins(%[[W]] : tensor<8xf32>) outs(%{{.*}} : tensor<64x8xf32>) dimensions = [0]
// CHECK: delta.chunk_scan forward chunk = 64
// CHECK-SAME: %[[K:[^ ]*]] = %[[k]][seq, time, head, _]
// CHECK-SAME: %[[V1:[^ ]*]] = %[[made]]#2[seq, time, head, _]
// CHECK-SAME: %[[B:[^ ]*]] = %[[b]][seq, time, head]
// CHECK: %[[sum:.*]] = linalg.reduce { arith.addf } ins(%{{.*}} : tensor<64x16xf32>)
// CHECK: %[[n:.*]] = math.rsqrt %[[sum]] : tensor<64xf32>
// CHECK: %[[N:.*]] = linalg.broadcast ins(%[[n]] : tensor<64xf32>) outs(%{{.*}} : tensor<64x16xf32>) dimensions = [1]
// CHECK: %[[K1:.*]] = arith.mulf %[[K]], %[[N]] : tensor<64x16xf32>
// CHECK: %[[rate:.*]] = math.exp %[[B]] : tensor<64xf32>
// CHECK: delta.decay_dot before_row %[[K1]], %[[K1]]
// CHECK: arith.subf %[[V1]], %{{.*}} : tensor<64x8xf32>
// CHECK: delta.erase_solve %{{.*}}, %[[rate]],
func.func @fused(%k: tensor<?x?x1x16xbf16>, %v: tensor<?x?x1x8xbf16>, %b: tensor<?x?x1xbf16>, %w: tensor<1x8xf32>)
    -> (tensor<?x?x1x8xbf16>, tensor<?x1x16x8xf32>) {
  %made:3 = delta.chunk_map chunk = 1 heads = 1 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x1x16xbf16>, %V = %v[seq, time, head, _] : tensor<?x?x1x8xbf16>,
          %B = %b[seq, time, head] : tensor<?x?x1xbf16>, %W = %w[head, _] : tensor<1x8xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x16xbf16>, [seq, time, head] : tensor<?x?x1xf32>,
           [seq, time, head, _] : tensor<?x?x1x8xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<1xf32>
    %square = arith.mulf %K, %K : tensor<1x16xf32>
    %sum = linalg.reduce {arith.addf} ins(%square : tensor<1x16xf32>) outs(%zero : tensor<1xf32>) dimensions = [1]
    %norm = math.rsqrt %sum : tensor<1xf32>
    %e = tensor.empty() : tensor<1x16xf32>
    %N = linalg.broadcast ins(%norm : tensor<1xf32>) outs(%e : tensor<1x16xf32>) dimensions = [1]
    %K1 = arith.mulf %K, %N : tensor<1x16xf32>
    %rate = math.exp %B : tensor<1xf32>
    %f = tensor.empty() : tensor<1x8xf32>
    %W1 = linalg.broadcast ins(%W : tensor<8xf32>) outs(%f : tensor<1x8xf32>) dimensions = [0]
    %V1 = arith.mulf %V, %W1 : tensor<1x8xf32>
    delta.yield outs(%K1, %rate, %V1 : tensor<1x16xf32>, tensor<1xf32>, tensor<1x8xf32>)
  }
  %o, %sT = delta.recurrence query(%k) step(write %made#0 erase %made#0 value %made#2 rate %made#1) scale 1.0
      : tensor<?x?x1x16xbf16>, tensor<?x?x1x16xbf16>, tensor<?x?x1x16xbf16>, tensor<?x?x1x8xbf16>, tensor<?x?x1xf32>
      -> (tensor<?x?x1x8xbf16>, tensor<?x1x16x8xf32>)
  return %o, %sT : tensor<?x?x1x8xbf16>, tensor<?x1x16x8xf32>
}

// A chunk has 21 tokens where a step takes three rows of each. A map of rows of one a token
// has chunks of three times as many, which fill a tile of 64 rows but for one.

// CHECK-LABEL: func.func @few_tokens
// CHECK: delta.chunk_map chunk = 63 heads = 1 compute = f32 ins(%{{[^ ]*}} = %{{[^ ]*}}[seq, time in 64, head, _] : tensor<?x?x1x16xbf16>
// CHECK-SAME: outs([seq, time in 64, head, _] : tensor<?x?x1x16xbf16>)
// CHECK: math.exp %{{.*}} : tensor<64x16xf32>
// CHECK: delta.chunk_map chunk = 21 heads = 1 compute = f32 ins(%{{[^ ]*}} = %{{[^ ]*}}[seq, time * 3 in 64, head, _] : tensor<?x?x1x16xbf16>
// CHECK: math.exp %{{.*}} : tensor<64x16xf32>
// CHECK: delta.chunk_scan forward chunk = 21
func.func @few_tokens(%q: tensor<?x?x1x16xbf16>, %k: tensor<?x?x1x16xbf16>, %v: tensor<?x?x1x8xbf16>)
    -> (tensor<?x?x1x8xbf16>, tensor<?x1x16x8xf32>) {
  %q1 = delta.chunk_map chunk = 1 heads = 1 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x16xbf16>)
      outs([seq, time, head, _] : tensor<?x?x1x16xbf16>) valid(%n) {
    %x = math.exp %Q : tensor<1x16xf32>
    delta.yield outs(%x : tensor<1x16xf32>)
  }
  %k1 = delta.chunk_map chunk = 1 heads = 1 compute = f32
      ins(%K = %k[seq, time * 3, head, _] : tensor<?x?x1x16xbf16>)
      outs([seq, time * 3, head, _] : tensor<?x?x1x16xbf16>) valid(%n) {
    %x = math.exp %K : tensor<3x16xf32>
    delta.yield outs(%x : tensor<3x16xf32>)
  }
  %o, %sT = delta.recurrence query(%q1) step(write %k1 erase %k1 value %v repeat 3) scale 1.0
      : tensor<?x?x1x16xbf16>, tensor<?x?x1x16xbf16>, tensor<?x?x1x16xbf16>, tensor<?x?x1x8xbf16>
      -> (tensor<?x?x1x8xbf16>, tensor<?x1x16x8xf32>)
  return %o, %sT : tensor<?x?x1x8xbf16>, tensor<?x1x16x8xf32>
}
