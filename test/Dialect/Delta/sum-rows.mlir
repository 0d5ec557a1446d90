// RUN: wyvern-opt %s -delta-sum-rows | FileCheck %s

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>

// Two products, each scaled by rows, are added, and their row dots with one tile are
// taken, times another scale: each tile is scaled once, and the second row dot is that of
// the sum less the first one. So is one of two running sums, and the sum of what is known
// late comes last.

// CHECK-LABEL: func.func @gates
// CHECK: delta.chunk_map
// CHECK-SAME: ins(%[[A:[a-zA-Z0-9_]+]] = %arg0[{{[^,]*}}{{[^=]*}}, %[[B:[a-zA-Z0-9_]+]] = %arg1[{{[^=]*}}, %[[s:[a-zA-Z0-9_]+]] = %arg2[{{[^=]*}}, %[[t:[a-zA-Z0-9_]+]] = %arg3[
// CHECK: %[[X:.*]] = linalg.contract {{.*}} ins(%[[A]], %[[B]] :
// CHECK: %[[Y:.*]] = linalg.contract {{.*}} ins(%[[B]], %[[A]] :
// CHECK: %[[S:.*]] = linalg.broadcast ins(%[[s]] :
// CHECK: %[[SX:.*]] = arith.mulf %[[S]], %[[X]]
// CHECK: %[[XA:.*]] = arith.mulf %[[X]], %[[A]]
// CHECK: %[[R:.*]] = linalg.reduce { arith.addf } ins(%[[XA]] : {{.*}} dimensions = [1]
// CHECK: %[[V:.*]] = arith.mulf %[[s]], %[[R]]
// CHECK: %[[ts:.*]] = arith.mulf %[[t]], %[[s]] : tensor<16xf32>
// CHECK: %[[TS:.*]] = linalg.broadcast ins(%[[ts]] :
// CHECK: %[[TY:.*]] = arith.mulf %[[TS]], %[[Y]]
// CHECK: %[[Z:.*]] = arith.addf %[[SX]], %[[TY]]
// CHECK: %[[ZA:.*]] = arith.mulf %[[Z]], %[[A]]
// CHECK: %[[all:.*]] = linalg.reduce { arith.addf } ins(%[[ZA]] : {{.*}} dimensions = [1]
// CHECK: %[[W:.*]] = arith.subf %[[all]], %[[V]]
// CHECK: %[[first:.*]] = arith.addf %[[V]], %[[s]]
// CHECK: %[[sum:.*]] = arith.addf %[[first]], %[[W]]
// CHECK: %[[run:.*]] = delta.cumsum reverse %[[sum]]
// CHECK-NOT: delta.cumsum
// CHECK: delta.yield outs(%[[Z]], %[[run]] :

func.func @gates(%a: tensor<?x?x1x16xf32>, %b: tensor<?x?x1x16xf32>, %s: tensor<?x?x1xf32>, %t: tensor<?x?x1xf32>) -> (tensor<?x?x1x16xf32>, tensor<?x?x1xf32>) {
  %z, %g = delta.chunk_map chunk = 16 heads = 1 compute = f32
      ins(%A = %a[seq, time, head, _] : tensor<?x?x1x16xf32>, %B = %b[seq, time, head, _] : tensor<?x?x1x16xf32>, %S = %s[seq, time, head] : tensor<?x?x1xf32>, %T = %t[seq, time, head] : tensor<?x?x1xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x16xf32>, [seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<16x16xf32>
    %none = arith.constant dense<0.0> : tensor<16xf32>
    %empty = tensor.empty() : tensor<16x16xf32>
    %X = linalg.contract indexing_maps = [#mk, #nk, #mn] ins(%A, %B : tensor<16x16xf32>, tensor<16x16xf32>) outs(%zero : tensor<16x16xf32>) -> tensor<16x16xf32>
    %Y = linalg.contract indexing_maps = [#mk, #nk, #mn] ins(%B, %A : tensor<16x16xf32>, tensor<16x16xf32>) outs(%zero : tensor<16x16xf32>) -> tensor<16x16xf32>
    %rows = linalg.broadcast ins(%S : tensor<16xf32>) outs(%empty : tensor<16x16xf32>) dimensions = [1]
    %gates = linalg.broadcast ins(%T : tensor<16xf32>) outs(%empty : tensor<16x16xf32>) dimensions = [1]
    %SX = arith.mulf %rows, %X : tensor<16x16xf32>
    %XA = arith.mulf %SX, %A : tensor<16x16xf32>
    %x = linalg.reduce { arith.addf } ins(%XA : tensor<16x16xf32>) outs(%none : tensor<16xf32>) dimensions = [1]
    %SY = arith.mulf %rows, %Y : tensor<16x16xf32>
    %YA = arith.mulf %SY, %A : tensor<16x16xf32>
    %y = linalg.reduce { arith.addf } ins(%YA : tensor<16x16xf32>) outs(%none : tensor<16xf32>) dimensions = [1]
    %TY = arith.mulf %SY, %gates : tensor<16x16xf32>
    %Z = arith.addf %SX, %TY : tensor<16x16xf32>
    %ty = arith.mulf %y, %T : tensor<16xf32>
    %early = delta.cumsum reverse %ty : tensor<16xf32>
    %other = arith.addf %x, %S : tensor<16xf32>
    %late = delta.cumsum reverse %other : tensor<16xf32>
    %G = arith.addf %early, %late : tensor<16xf32>
    delta.yield outs(%Z, %G : tensor<16x16xf32>, tensor<16xf32>)
  }
  return %z, %g : tensor<?x?x1x16xf32>, tensor<?x?x1xf32>
}

// A scale of columns stays in the sum, and a map without row dots is left alone.

// CHECK-LABEL: func.func @columns
// CHECK: %[[C:.*]] = linalg.broadcast
// CHECK: %[[CA:.*]] = arith.mulf %[[C]], %[[A:.*]] :
// CHECK: %[[CAA:.*]] = arith.mulf %[[CA]], %[[A]]
// CHECK: linalg.reduce { arith.addf } ins(%[[CAA]]
func.func @columns(%a: tensor<?x?x1x16xf32>, %s: tensor<?x?x1xf32>) -> tensor<?x?x1xf32> {
  %g = delta.chunk_map chunk = 16 heads = 1 compute = f32
      ins(%A = %a[seq, time, head, _] : tensor<?x?x1x16xf32>, %S = %s[seq, time, head] : tensor<?x?x1xf32>)
      outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %none = arith.constant dense<0.0> : tensor<16xf32>
    %empty = tensor.empty() : tensor<16x16xf32>
    %columns = linalg.broadcast ins(%S : tensor<16xf32>) outs(%empty : tensor<16x16xf32>) dimensions = [0]
    %CA = arith.mulf %columns, %A : tensor<16x16xf32>
    %CAA = arith.mulf %CA, %A : tensor<16x16xf32>
    %x = linalg.reduce { arith.addf } ins(%CAA : tensor<16x16xf32>) outs(%none : tensor<16xf32>) dimensions = [1]
    delta.yield outs(%x : tensor<16xf32>)
  }
  return %g : tensor<?x?x1xf32>
}
