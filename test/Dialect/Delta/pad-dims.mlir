// RUN: wyvern-opt %s -delta-pad-dims -split-input-file | FileCheck %s
// RUN: wyvern-opt %s -delta-pad-dims=columns=32 -split-input-file | FileCheck %s --check-prefix=LESS

#mk = affine_map<(m, n, k) -> (m, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// Keys of 96 get tiles of 128, values of 64 stay. What has neither in common with the keys'
// channels stays too, and constants of one shape become two.

// CHECK-LABEL: func.func @scan
// CHECK: ins(%[[K:.*]] = %{{.*}}[seq, time, head, _ * 64] : tensor<?x?x2x96xbf16>, %[[V:.*]] = %{{.*}}[seq, time, head, _] : tensor<?x?x2x64xbf16>)
// CHECK-SAME: carry(%[[S:.*]] = %{{.*}}[seq, head, _ * 64, _] : tensor<?x2x96x64xf32>)
// CHECK-SAME: outs([seq, time, head, _] : tensor<?x?x2x64xbf16>, [seq, time, head, _ * 64] : tensor<?x?x2x96xbf16>)
// CHECK-DAG: %[[zero:.*]] = arith.constant dense<0.000000e+00> : tensor<64x64xf32>
// CHECK-DAG: %[[two:.*]] = arith.constant dense<2.000000e+00> : tensor<64x128xf32>
// CHECK: %[[O:.*]] = linalg.contract {{.*}} ins(%[[K]], %[[S]] : tensor<64x128xf32>, tensor<128x64xf32>) outs(%[[zero]] : tensor<64x64xf32>)
// CHECK: %[[KK:.*]] = arith.mulf %[[K]], %[[two]] : tensor<64x128xf32>
// CHECK: %[[S1:.*]] = linalg.contract {{.*}} outs(%[[S]] : tensor<128x64xf32>)
// CHECK: delta.yield outs(%[[O]], %[[KK]] : tensor<64x64xf32>, tensor<64x128xf32>) carry(%[[S1]] : tensor<128x64xf32>)
// LESS-LABEL: func.func @scan
// LESS-NOT: _ *
// LESS: return
func.func @scan(%k: tensor<?x?x2x96xbf16>, %v: tensor<?x?x2x64xbf16>, %s: tensor<?x2x96x64xf32>)
    -> (tensor<?x?x2x64xbf16>, tensor<?x?x2x96xbf16>, tensor<?x2x96x64xf32>) {
  %o:2, %f = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x2x96xbf16>, %V = %v[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      carry(%S = %s[seq, head, _, _] : tensor<?x2x96x64xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x64xbf16>, [seq, time, head, _] : tensor<?x?x2x96xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    %two = arith.constant dense<2.0> : tensor<64x96xf32>
    %O = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%K, %S : tensor<64x96xf32>, tensor<96x64xf32>) outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
    %KK = arith.mulf %K, %two : tensor<64x96xf32>
    %S1 = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%K, %V : tensor<64x96xf32>, tensor<64x64xf32>) outs(%S : tensor<96x64xf32>) -> tensor<96x64xf32>
    delta.yield outs(%O, %KK : tensor<64x64xf32>, tensor<64x96xf32>) carry(%S1 : tensor<96x64xf32>)
  }
  return %o#0, %o#1, %f : tensor<?x?x2x64xbf16>, tensor<?x?x2x96xbf16>, tensor<?x2x96x64xf32>
}

// -----

// What a broadcast spreads over is only in the shape of its result. 32 rows of a chunk are no
// 32 channels.

// CHECK-LABEL: func.func @rows
// CHECK: ins(%[[X:.*]] = %{{.*}}[seq, time, head, _ * 64] : tensor<?x?x1x32xf32>, %[[c:.*]] = %{{.*}}[seq, time, head] : tensor<?x?x1xf32>)
// CHECK: %[[E:.*]] = tensor.empty() : tensor<32x64xf32>
// CHECK: %[[C:.*]] = linalg.broadcast ins(%[[c]] : tensor<32xf32>) outs(%[[E]] : tensor<32x64xf32>) dimensions = [1]
// CHECK: arith.mulf %[[X]], %[[C]] : tensor<32x64xf32>
func.func @rows(%x: tensor<?x?x1x32xf32>, %c: tensor<?x?x1xf32>) -> tensor<?x?x1x32xf32> {
  %o = delta.chunk_map chunk = 32 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x32xf32>, %C = %c[seq, time, head] : tensor<?x?x1xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x32xf32>) valid(%n) {
    %e = tensor.empty() : tensor<32x32xf32>
    %B = linalg.broadcast ins(%C : tensor<32xf32>) outs(%e : tensor<32x32xf32>) dimensions = [1]
    %Y = arith.mulf %X, %B : tensor<32x32xf32>
    delta.yield outs(%Y : tensor<32x32xf32>)
  }
  return %o : tensor<?x?x1x32xf32>
}

// -----

// 63 rows of a chunk stay, where they are the columns of a factor too.

// CHECK-LABEL: func.func @factor
// CHECK: ins(%[[Z:.*]] = %{{.*}}[seq, time * 3, head, _] : tensor<?x?x1x63xbf16>, {{.*}}%[[V:.*]] = %{{.*}}[seq, time * 3, head, _ * 64] : tensor<?x?x1x32xbf16>)
// CHECK: delta.erase_apply {{.*}} : tensor<63x63xf32>, tensor<63xf32>, tensor<63x64xf32>
func.func @factor(%z: tensor<?x?x1x63xbf16>, %b: tensor<?x?x1xf32>, %v: tensor<?x?x1x32xbf16>) -> tensor<?x?x1x32xbf16> {
  %o = delta.chunk_map chunk = 21 heads = 1 compute = f32
      ins(%Z = %z[seq, time * 3, head, _] : tensor<?x?x1x63xbf16>, %B = %b[seq, time * 3, head] : tensor<?x?x1xf32>,
          %V = %v[seq, time * 3, head, _] : tensor<?x?x1x32xbf16>)
      outs([seq, time * 3, head, _] : tensor<?x?x1x32xbf16>) valid(%n) {
    %R = delta.erase_apply %Z, %B, %V : tensor<63x63xf32>, tensor<63xf32>, tensor<63x32xf32>
    delta.yield outs(%R : tensor<63x32xf32>)
  }
  return %o : tensor<?x?x1x32xbf16>
}

// -----

// The last part of a dimension gets whole columns, those before have them.

// CHECK-LABEL: func.func @parts
// CHECK: _ from 0 to 64] : tensor<?x?x1x96xf32>
// CHECK-SAME: _ from 64 to 96 * 64] : tensor<?x?x1x96xf32>
// CHECK: arith.addf %{{.*}} : tensor<64x64xf32>
func.func @parts(%x: tensor<?x?x1x96xf32>) -> tensor<?x?x1xf32> {
  %o = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _ from 0 to 64] : tensor<?x?x1x96xf32>, %Y = %x[seq, time, head, _ from 64 to 96] : tensor<?x?x1x96xf32>)
      outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %none = arith.constant dense<0.0> : tensor<64xf32>
    %YY = arith.addf %Y, %Y : tensor<64x32xf32>
    %a = linalg.reduce {arith.addf} ins(%X : tensor<64x64xf32>) outs(%none : tensor<64xf32>) dimensions = [1]
    %b = linalg.reduce {arith.addf} ins(%YY : tensor<64x32xf32>) outs(%none : tensor<64xf32>) dimensions = [1]
    %c = arith.addf %a, %b : tensor<64xf32>
    delta.yield outs(%c : tensor<64xf32>)
  }
  return %o : tensor<?x?x1xf32>
}

// -----

// Halves stay, of a row that grows: they are its first columns, and behind them is zero.

// CHECK-LABEL: func.func @halves
// CHECK: ins(%[[X:.*]] = %{{.*}}[seq, time, head, _ * 64] : tensor<?x?x1x96xbf16>, %[[P:.*]] = %{{.*}}[seq, time, head, _] : tensor<?x?x1x48xf32>)
// CHECK-SAME: outs([seq, time, head, _ * 64] : tensor<?x?x1x96xbf16>)
// CHECK: %[[H:.*]]:2 = delta.split_columns %[[X]] : tensor<64x128xf32> -> tensor<64x48xf32>
// CHECK: %[[M:.*]] = arith.mulf %[[H]]#0, %[[P]] : tensor<64x48xf32>
// CHECK: delta.join_columns %[[H]]#1, %[[M]] : tensor<64x48xf32> -> tensor<64x128xf32>
func.func @halves(%x: tensor<?x?x1x96xbf16>, %p: tensor<?x?x1x48xf32>) -> tensor<?x?x1x96xbf16> {
  %o = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x96xbf16>, %P = %p[seq, time, head, _] : tensor<?x?x1x48xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x96xbf16>) valid(%n) {
    %A, %B = delta.split_columns %X : tensor<64x96xf32> -> tensor<64x48xf32>
    %M = arith.mulf %A, %P : tensor<64x48xf32>
    %Y = delta.join_columns %B, %M : tensor<64x48xf32> -> tensor<64x96xf32>
    delta.yield outs(%Y : tensor<64x96xf32>)
  }
  return %o : tensor<?x?x1x96xbf16>
}
