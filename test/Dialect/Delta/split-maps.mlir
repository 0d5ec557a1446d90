// RUN: wyvern-opt %s -delta-split-maps -split-input-file | FileCheck %s
// RUN: wyvern-opt %s -delta-split-maps -split-input-file --remarks-filter=delta-split-maps -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: wyvern-opt %s -delta-split-maps=most-summed=64 -split-input-file | FileCheck %s --check-prefix=SUMS
// RUN: wyvern-opt %s -delta-split-maps=columns=32 -split-input-file | FileCheck %s --check-prefix=NARROW

#mn = affine_map<(m, n, k) -> (m, n)>
#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#kn = affine_map<(m, n, k) -> (k, n)>

// What has no channels, a product and its sum of rows, is made once. The rest has 64 channels a block:
// of a state's rows, of constants and of what is broadcast too. Heads of a group are shared by twice as many.

// CHECK-LABEL: func.func @gradient
// CHECK: %[[WHOLE:.*]]:2 = delta.chunk_map chunk = 64 heads = 2
// CHECK-SAME: outs([seq, time, head] : tensor<?x?x2xf32>, [seq, time, head, _] : tensor<?x?x2x64xf32>)
// CHECK: %[[M:.*]] = linalg.contract
// CHECK: %[[SUM:.*]] = linalg.reduce
// CHECK: delta.yield outs(%[[SUM]], %[[M]] :
// CHECK: %[[PARTS:.*]] = delta.chunk_map chunk = 64 heads = 4
// CHECK-SAME: %[[X:[A-Za-z0-9_]+]] = %{{[a-z0-9#]+}}[seq, time, head, _ split 2] : tensor<?x?x1x128xbf16>
// CHECK-SAME: %[[DO:[A-Za-z0-9_]+]] = %{{[a-z0-9#]+}}[seq, time, head, _] : tensor<?x?x2x64xbf16>
// CHECK-SAME: %[[G:[A-Za-z0-9_]+]] = %{{[a-z0-9#]+}}[seq, time, head, _ split 2] : tensor<?x?x2x128xf32>
// CHECK-SAME: %[[S:[A-Za-z0-9_]+]] = %{{[a-z0-9#]+}}[chunk, head, _ split 2, _] : tensor<?x2x128x64xbf16>
// CHECK-SAME: %[[m:[A-Za-z0-9_]+]] = %[[WHOLE]]#1[seq, time, head, _] : tensor<?x?x2x64xf32>
// CHECK-SAME: outs([seq, time, head, _ split 2] : tensor<?x?x2x128xf32>)
// CHECK-DAG: %[[ZERO:.*]] = arith.constant dense<0.000000e+00> : tensor<64x64xf32>
// CHECK-DAG: %[[A:.*]] = delta.decay_apply {{.*}}upto_token %[[m]], %[[X]] decay(%[[G]] : tensor<64x64xf32>)
// CHECK-DAG: %[[B:.*]] = linalg.contract {{.*}} ins(%[[DO]], %[[S]] : tensor<64x64xf32>, tensor<64x64xf32>) outs(%[[ZERO]] : tensor<64x64xf32>)
// CHECK: %[[AB:.*]] = arith.addf %[[A]], %[[B]] : tensor<64x64xf32>
// CHECK: delta.yield outs(%[[AB]] : tensor<64x64xf32>)
// CHECK: return %[[PARTS]], %[[WHOLE]]#0
// REMARK: remark: [Passed] Split | Category:delta-split-maps{{.*}}Parts=2
// NARROW-LABEL: func.func @gradient
// NARROW: heads = 8
// NARROW-SAME: _ split 4
func.func @gradient(%x: tensor<?x?x1x128xbf16>, %do: tensor<?x?x2x64xbf16>, %g: tensor<?x?x2x128xf32>, %s: tensor<?x2x128x64xbf16>) -> (tensor<?x?x2x128xf32>, tensor<?x?x2xf32>) {
  %dx, %db = delta.chunk_map chunk = 64 heads = 2 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x128xbf16>, %dO = %do[seq, time, head, _] : tensor<?x?x2x64xbf16>, %G = %g[seq, time, head, _] : tensor<?x?x2x128xf32>, %S = %s[chunk, head, _, _] : tensor<?x2x128x64xbf16>)
      outs([seq, time, head, _] : tensor<?x?x2x128xf32>, [seq, time, head] : tensor<?x?x2xf32>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    %wide = arith.constant dense<0.0> : tensor<64x128xf32>
    %none = arith.constant dense<0.0> : tensor<64xf32>
    %M = linalg.contract indexing_maps = [#mk, #nk, #mn] ins(%dO, %dO : tensor<64x64xf32>, tensor<64x64xf32>) outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
    %b = linalg.reduce { arith.addf } ins(%M : tensor<64x64xf32>) outs(%none : tensor<64xf32>) dimensions = [1]
    %A = delta.decay_apply upto_token %M, %X decay(%G : tensor<64x128xf32>) : tensor<64x64xf32>, tensor<64x128xf32> -> tensor<64x128xf32>
    %B = linalg.contract indexing_maps = [#mk, #nk, #mn] ins(%dO, %S : tensor<64x64xf32>, tensor<128x64xf32>) outs(%wide : tensor<64x128xf32>) -> tensor<64x128xf32>
    %AB = arith.addf %A, %B : tensor<64x128xf32>
    delta.yield outs(%AB, %b : tensor<64x128xf32>, tensor<64xf32>)
  }
  return %dx, %db : tensor<?x?x2x128xf32>, tensor<?x?x2xf32>
}

// -----

// A sum over the channels that no product with a decay leads to is made before.

#mn = affine_map<(m, n, k) -> (m, n)>
#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>

// CHECK-LABEL: func.func @factor
// CHECK: delta.chunk_map chunk = 64 heads = 1
// CHECK: delta.decay_dot
// CHECK: delta.chunk_map chunk = 64 heads = 2
// CHECK-NOT: decay_dot
// CHECK: delta.decay_apply
func.func @factor(%x: tensor<?x?x1x128xbf16>, %g: tensor<?x?x1x128xf32>) -> tensor<?x?x1x128xf32> {
  %y = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x128xbf16>, %G = %g[seq, time, head, _] : tensor<?x?x1x128xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x128xf32>) valid(%n) {
    %P = delta.decay_dot upto_token %X, %X decay(%G : tensor<64x128xf32>) : tensor<64x128xf32>, tensor<64x128xf32> -> tensor<64x64xf32>
    %A = delta.decay_apply upto_token %P, %X decay(%G : tensor<64x128xf32>) : tensor<64x64xf32>, tensor<64x128xf32> -> tensor<64x128xf32>
    delta.yield outs(%A : tensor<64x128xf32>)
  }
  return %y : tensor<?x?x1x128xf32>
}

// -----

// One that such a product leads to, as in the gradient of a norm, is made behind, with what else only that reads.

// CHECK-LABEL: func.func @norm
// CHECK: %[[PARTS:.*]] = delta.chunk_map chunk = 64 heads = 2
// CHECK-SAME: outs([seq, time, head, _ split 2] : tensor<?x?x1x128xf32>)
// CHECK: %[[A:.*]] = delta.decay_apply
// CHECK-NEXT: delta.yield outs(%[[A]] : tensor<64x64xf32>)
// CHECK: delta.chunk_map chunk = 64 heads = 1
// CHECK-SAME: %[[a:[A-Za-z0-9_]+]] = %[[PARTS]][seq, time, head, _] : tensor<?x?x1x128xf32>
// CHECK: arith.mulf %[[a]],
// CHECK: linalg.reduce
// CHECK: arith.subf %[[a]],
func.func @norm(%m: tensor<?x?x1x64xbf16>, %x: tensor<?x?x1x128xbf16>, %g: tensor<?x?x1x128xf32>) -> tensor<?x?x1x128xf32> {
  %y = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%M = %m[seq, time, head, _] : tensor<?x?x1x64xbf16>, %X = %x[seq, time, head, _] : tensor<?x?x1x128xbf16>, %G = %g[seq, time, head, _] : tensor<?x?x1x128xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x128xf32>) valid(%n) {
    %none = arith.constant dense<0.0> : tensor<64xf32>
    %empty = tensor.empty() : tensor<64x128xf32>
    %A = delta.decay_apply upto_token %M, %X decay(%G : tensor<64x128xf32>) : tensor<64x64xf32>, tensor<64x128xf32> -> tensor<64x128xf32>
    %AX = arith.mulf %A, %X : tensor<64x128xf32>
    %s = linalg.reduce { arith.addf } ins(%AX : tensor<64x128xf32>) outs(%none : tensor<64xf32>) dimensions = [1]
    %S = linalg.broadcast ins(%s : tensor<64xf32>) outs(%empty : tensor<64x128xf32>) dimensions = [1]
    %Y = arith.subf %A, %S : tensor<64x128xf32>
    delta.yield outs(%Y : tensor<64x128xf32>)
  }
  return %y : tensor<?x?x1x128xf32>
}

// -----

// A product behind such a sum leaves the map whole.

// CHECK-LABEL: func.func @twice
// CHECK: delta.chunk_map chunk = 64 heads = 1
// CHECK-NOT: split
// REMARK: remark: [Missed] Whole | Category:delta-split-maps{{.*}}Reason="a sum over the channels leads to products with a decay that others lead to"
func.func @twice(%m: tensor<?x?x1x64xbf16>, %x: tensor<?x?x1x128xbf16>, %g: tensor<?x?x1x128xf32>) -> tensor<?x?x1x128xf32> {
  %y = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%M = %m[seq, time, head, _] : tensor<?x?x1x64xbf16>, %X = %x[seq, time, head, _] : tensor<?x?x1x128xbf16>, %G = %g[seq, time, head, _] : tensor<?x?x1x128xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x128xf32>) valid(%n) {
    %A = delta.decay_apply upto_token %M, %X decay(%G : tensor<64x128xf32>) : tensor<64x64xf32>, tensor<64x128xf32> -> tensor<64x128xf32>
    %P = delta.decay_dot upto_token %A, %X decay(%G : tensor<64x128xf32>) : tensor<64x128xf32>, tensor<64x128xf32> -> tensor<64x64xf32>
    %B = delta.decay_apply upto_token %P, %X decay(%G : tensor<64x128xf32>) : tensor<64x64xf32>, tensor<64x128xf32> -> tensor<64x128xf32>
    delta.yield outs(%B : tensor<64x128xf32>)
  }
  return %y : tensor<?x?x1x128xf32>
}

// -----

// Behind the channels that the last part has are zeros.

// CHECK-LABEL: func.func @uneven
// CHECK: delta.chunk_map chunk = 64 heads = 2
// CHECK-SAME: [seq, time, head, _ split 2 * 64] : tensor<?x?x1x96xbf16>
// CHECK: delta.decay_apply {{.*}} -> tensor<64x64xf32>
func.func @uneven(%m: tensor<?x?x1x64xbf16>, %x: tensor<?x?x1x96xbf16>, %g: tensor<?x?x1x96xf32>) -> tensor<?x?x1x96xf32> {
  %y = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%M = %m[seq, time, head, _] : tensor<?x?x1x64xbf16>, %X = %x[seq, time, head, _] : tensor<?x?x1x96xbf16>, %G = %g[seq, time, head, _] : tensor<?x?x1x96xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x96xf32>) valid(%n) {
    %A = delta.decay_apply upto_token %M, %X decay(%G : tensor<64x96xf32>) : tensor<64x64xf32>, tensor<64x96xf32> -> tensor<64x96xf32>
    delta.yield outs(%A : tensor<64x96xf32>)
  }
  return %y : tensor<?x?x1x96xf32>
}

// -----

// Without such products, the columns of rows that leave are channels where a block has no room for a product of all: keys of 256 and values
// of 512 here. (A constant that nothing reads is of no size.) What sums over them and leads to vectors alone, each part makes its summand of, as a number of heads of its own.

#mn = affine_map<(m, n, k) -> (m, n)>
#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>

// CHECK-LABEL: func.func @wide
// CHECK: %[[PARTS:.*]]:2 = delta.chunk_map chunk = 64 heads = 8
// CHECK-SAME: %[[Q:[A-Za-z0-9_]+]] = %{{[a-z0-9#]+}}[seq, time, head, _ split 4] : tensor<?x?x1x256xbf16>
// CHECK-SAME: = %{{[a-z0-9#]+}}[seq, time, head, _] : tensor<?x?x2x512xbf16>
// CHECK-SAME: = %{{[a-z0-9#]+}}[chunk, head, _ split 4, _] : tensor<?x2x256x512xbf16>
// CHECK-SAME: outs([seq, time, head, _ split 4] : tensor<?x?x2x256xbf16>, [seq, head, time] : tensor<?x8x?xf32>)
// CHECK: %[[A:.*]] = linalg.contract
// CHECK: %[[AQ:.*]] = arith.mulf %[[A]], %[[Q]] : tensor<64x64xf32>
// CHECK: %[[SUM:.*]] = linalg.reduce { arith.addf } ins(%[[AQ]] : tensor<64x64xf32>)
// CHECK: delta.yield outs(%[[A]], %[[SUM]] : tensor<64x64xf32>, tensor<64xf32>)
// CHECK: delta.chunk_map chunk = 64 heads = 2
// CHECK-SAME: %[[S0:[A-Za-z0-9_]+]] = %[[PARTS]]#1[seq, head * 4, time] : tensor<?x8x?xf32>
// CHECK-SAME: %[[S1:[A-Za-z0-9_]+]] = %[[PARTS]]#1[seq, head * 4 + 1, time] : tensor<?x8x?xf32>
// CHECK-SAME: = %[[PARTS]]#1[seq, head * 4 + 2, time] : tensor<?x8x?xf32>
// CHECK-SAME: %[[S3:[A-Za-z0-9_]+]] = %[[PARTS]]#1[seq, head * 4 + 3, time] : tensor<?x8x?xf32>
// CHECK: %[[S01:.*]] = arith.addf %[[S0]], %[[S1]]
// CHECK: %[[ALL:.*]] = arith.addf %{{.*}}, %[[S3]]
// CHECK: delta.cumsum reverse %[[ALL]]
// REMARK: remark: [Passed] Split | Category:delta-split-maps{{.*}}Parts=4
func.func @wide(%q: tensor<?x?x1x256xbf16>, %do: tensor<?x?x2x512xbf16>, %s: tensor<?x2x256x512xbf16>) -> (tensor<?x?x2x256xbf16>, tensor<?x?x2xf32>) {
  %dq, %dg = delta.chunk_map chunk = 64 heads = 2 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x256xbf16>, %dO = %do[seq, time, head, _] : tensor<?x?x2x512xbf16>, %S = %s[chunk, head, _, _] : tensor<?x2x256x512xbf16>)
      outs([seq, time, head, _] : tensor<?x?x2x256xbf16>, [seq, time, head] : tensor<?x?x2xf32>) valid(%n) {
    %unread = arith.constant dense<1.0> : tensor<64x256xf32>
    %zero = arith.constant dense<0.0> : tensor<64x256xf32>
    %none = arith.constant dense<0.0> : tensor<64xf32>
    %A = linalg.contract indexing_maps = [#mk, #nk, #mn] ins(%dO, %S : tensor<64x512xf32>, tensor<256x512xf32>) outs(%zero : tensor<64x256xf32>) -> tensor<64x256xf32>
    %AQ = arith.mulf %A, %Q : tensor<64x256xf32>
    %s0 = linalg.reduce { arith.addf } ins(%AQ : tensor<64x256xf32>) outs(%none : tensor<64xf32>) dimensions = [1]
    %g = delta.cumsum reverse %s0 : tensor<64xf32>
    delta.yield outs(%A, %g : tensor<64x256xf32>, tensor<64xf32>)
  }
  return %dq, %dg : tensor<?x?x2x256xbf16>, tensor<?x?x2xf32>
}

// -----

// Of keys of 128 a block has room for all.

#mn = affine_map<(m, n, k) -> (m, n)>
#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>

// CHECK-LABEL: func.func @narrow
// CHECK: delta.chunk_map chunk = 64 heads = 2
// CHECK-NOT: split
func.func @narrow(%do: tensor<?x?x2x128xbf16>, %s: tensor<?x2x128x128xbf16>) -> tensor<?x?x2x128xbf16> {
  %dq = delta.chunk_map chunk = 64 heads = 2 compute = f32
      ins(%dO = %do[seq, time, head, _] : tensor<?x?x2x128xbf16>, %S = %s[chunk, head, _, _] : tensor<?x2x128x128xbf16>)
      outs([seq, time, head, _] : tensor<?x?x2x128xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x128xf32>
    %A = linalg.contract indexing_maps = [#mk, #nk, #mn] ins(%dO, %S : tensor<64x128xf32>, tensor<128x128xf32>) outs(%zero : tensor<64x128xf32>) -> tensor<64x128xf32>
    delta.yield outs(%A : tensor<64x128xf32>)
  }
  return %dq : tensor<?x?x2x128xbf16>
}

// -----

// Pairs of tokens of three operands: each of two parts of the channels makes a part of the
// sums, which one map adds up in front of what follows from them.

// CHECK-LABEL: func.func @summed
// CHECK-NOT: split
// SUMS-LABEL: func.func @summed
// SUMS: %[[PARTS:.*]]:3 = delta.chunk_map chunk = 64 heads = 4
// SUMS-SAME: %[[Q:[A-Za-z0-9_]+]] = %arg0[seq, time, head, _ split 2]
// SUMS-SAME: outs([seq, time, head, _ split 2] : tensor<?x?x2x128xf32>, [seq, time, head, _] : tensor<?x?x4x64xf32>, [seq, time, head, _] : tensor<?x?x4x64xf32>)
// SUMS-DAG: %[[L:.*]] = delta.decay_dot{{ +}}before_row %{{.*}}, %{{.*}} decay(%{{.*}} : tensor<64x64xf32>) : tensor<64x64xf32>, tensor<64x64xf32> -> tensor<64x64xf32>
// SUMS-DAG: %[[P:.*]] = delta.decay_dot{{ +}}upto_token %[[Q]], %{{.*}} decay(
// SUMS-NOT: delta.decay_dot
// SUMS: %[[ALL:.*]]:2 = delta.chunk_map chunk = 64 heads = 2
// SUMS-SAME: %[[A:[A-Za-z0-9_]+]] = %[[PARTS]]#2[seq, time, head * 2, _] : tensor<?x?x4x64xf32>
// SUMS-SAME: %[[B:[A-Za-z0-9_]+]] = %[[PARTS]]#2[seq, time, head * 2 + 1, _] : tensor<?x?x4x64xf32>
// SUMS: %[[AB:.*]] = arith.addf %[[A]], %[[B]]
// SUMS: delta.erase_factor %[[AB]]
// SUMS: delta.yield
// SUMS: {delta.sum_of_parts}
// SUMS: return %[[ALL]]#0, %[[ALL]]#1, %[[PARTS]]#0
func.func @summed(%q: tensor<?x?x2x128xbf16>, %k: tensor<?x?x2x128xbf16>, %e: tensor<?x?x2x128xbf16>, %g: tensor<?x?x2x128xf32>, %b: tensor<?x?x2xf32>)
    -> (tensor<?x?x2x64xf32>, tensor<?x?x2x64xf32>, tensor<?x?x2x128xf32>) {
  %z, %p, %d = delta.chunk_map chunk = 64 heads = 2 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x2x128xbf16>, %K = %k[seq, time, head, _] : tensor<?x?x2x128xbf16>, %E = %e[seq, time, head, _] : tensor<?x?x2x128xbf16>, %G = %g[seq, time, head, _] : tensor<?x?x2x128xf32>, %c = %b[seq, time, head] : tensor<?x?x2xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x64xf32>, [seq, time, head, _] : tensor<?x?x2x64xf32>, [seq, time, head, _] : tensor<?x?x2x128xf32>) valid(%n) {
    %L = delta.decay_dot before_row %E, %K decay(%G : tensor<64x128xf32>) : tensor<64x128xf32>, tensor<64x128xf32> -> tensor<64x64xf32>
    %Z = delta.erase_factor %L, %c block 32 : tensor<64x64xf32>, tensor<64xf32> -> tensor<64x64xf32>
    %P = delta.decay_dot upto_token %Q, %K decay(%G : tensor<64x128xf32>) : tensor<64x128xf32>, tensor<64x128xf32> -> tensor<64x64xf32>
    %D = arith.mulf %Q, %G : tensor<64x128xf32>
    delta.yield outs(%Z, %P, %D : tensor<64x64xf32>, tensor<64x64xf32>, tensor<64x128xf32>)
  }
  return %z, %p, %d : tensor<?x?x2x64xf32>, tensor<?x?x2x64xf32>, tensor<?x?x2x128xf32>
}
