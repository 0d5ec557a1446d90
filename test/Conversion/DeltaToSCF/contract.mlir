// RUN: wyvern-opt %s -convert-delta-to-scf | FileCheck %s

#mk = affine_map<(m, n, k) -> (m, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>

// The loops are (m, k, n): contiguous in the result and in the second operand.
// CHECK-DAG: #[[LHS:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-DAG: #[[RHS:.*]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK-DAG: #[[OUT:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-DAG: #[[LHST:.*]] = affine_map<(d0, d1, d2) -> (d1, d0)>

// 16-bit operands are extended first: products and sums are f32.
// CHECK-LABEL: func.func @mixed
// CHECK-SAME: (%[[A:[a-z0-9_]+]]: tensor<4x8xbf16>, %[[B:[a-z0-9_]+]]: tensor<6x8xbf16>, %[[C:[a-z0-9_]+]]: tensor<4x6xf32>)
// CHECK: %[[A32:[a-z0-9_]+]] = arith.extf %[[A]]
// CHECK: %[[B32:[a-z0-9_]+]] = arith.extf %[[B]]
// CHECK: %[[BT:[a-z0-9_]+]] = linalg.transpose ins(%[[B32]]
// CHECK: linalg.generic {indexing_maps = [#[[LHS]], #[[RHS]], #[[OUT]]], iterator_types = ["parallel", "reduction", "parallel"]}
// CHECK-SAME: ins(%[[A32]], %[[BT]] : tensor<4x8xf32>, tensor<8x6xf32>) outs(%[[C]]
// CHECK: arith.mulf {{.*}} : f32
// CHECK: arith.addf {{.*}} : f32
func.func @mixed(%a: tensor<4x8xbf16>, %b: tensor<6x8xbf16>, %c: tensor<4x6xf32>) -> tensor<4x6xf32> {
  %r = linalg.contract indexing_maps = [#mk, #nk, #mn]
      ins(%a, %b : tensor<4x8xbf16>, tensor<6x8xbf16>) outs(%c : tensor<4x6xf32>) -> tensor<4x6xf32>
  return %r : tensor<4x6xf32>
}

// CHECK-LABEL: func.func @transposed_lhs
// CHECK-NOT: linalg.transpose
// CHECK: linalg.generic {indexing_maps = [#[[LHST]], #[[RHS]], #[[OUT]]], iterator_types = ["parallel", "reduction", "parallel"]}
func.func @transposed_lhs(%a: tensor<8x4xf32>, %b: tensor<8x6xf32>, %c: tensor<4x6xf32>) -> tensor<4x6xf32> {
  %r = linalg.contract indexing_maps = [#km, #kn, #mn]
      ins(%a, %b : tensor<8x4xf32>, tensor<8x6xf32>) outs(%c : tensor<4x6xf32>) -> tensor<4x6xf32>
  return %r : tensor<4x6xf32>
}

// CHECK-LABEL: func.func @row_dot
// CHECK: linalg.generic {{.*}} iterator_types = ["reduction", "parallel"]
func.func @row_dot(%a: tensor<4x8xf32>, %b: tensor<4x8xf32>, %c: tensor<4xf32>) -> tensor<4xf32> {
  %r = linalg.contract indexing_maps = [affine_map<(m, k) -> (m, k)>, affine_map<(m, k) -> (m, k)>, affine_map<(m, k) -> (m)>]
      ins(%a, %b : tensor<4x8xf32>, tensor<4x8xf32>) outs(%c : tensor<4xf32>) -> tensor<4xf32>
  return %r : tensor<4xf32>
}
