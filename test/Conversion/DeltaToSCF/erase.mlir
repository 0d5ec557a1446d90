// RUN: wyvern-opt %s -convert-delta-to-scf -canonicalize | FileCheck %s

// x_i = w_i - sum over j < i of l_ij c_j x_j, from the first row to the last.
// CHECK-LABEL: func.func @erase_solve
// CHECK-SAME: (%[[L:[a-z0-9_]+]]: tensor<4x4xf32>, %[[C:[a-z0-9_]+]]: tensor<4xf32>, %[[W:[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: %[[R:[a-z0-9_]+]] = scf.for %[[I:[a-z0-9_]+]] = %c0 to %c4 {{.*}} iter_args(%{{.*}} = %[[W]])
// CHECK:   scf.for %[[J:[a-z0-9_]+]] = %c0 to %[[I]]
// CHECK:     %[[LIJ:[a-z0-9_]+]] = tensor.extract %[[L]][%[[I]], %[[J]]]
// CHECK:     %[[CJ:[a-z0-9_]+]] = tensor.extract %[[C]][%[[J]]]
// CHECK:     arith.mulf %[[LIJ]], %[[CJ]]
// CHECK:     arith.subf
// CHECK: %[[U:[a-z0-9_]+]] = scf.for {{.*}} iter_args(%{{.*}} = %[[R]])
// CHECK: return %[[R]], %[[U]]
func.func @erase_solve(%l: tensor<4x4xf32>, %c: tensor<4xf32>, %w: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  %r, %u = delta.erase_solve %l, %c, %w : tensor<4x4xf32>, tensor<4xf32>, tensor<4x8xf32> -> tensor<4x8xf32>, tensor<4x8xf32>
  return %r, %u : tensor<4x8xf32>, tensor<4x8xf32>
}

// The transposed system: from the last row, with l_ji c_j for j > i.
// CHECK-LABEL: func.func @erase_solve_adjoint
// CHECK-SAME: (%[[L:[a-z0-9_]+]]: tensor<4x4xf32>, %[[C:[a-z0-9_]+]]: tensor<4xf32>
// CHECK: scf.for %[[STEP:[a-z0-9_]+]] = %c0 to %c4
// CHECK:   %[[I:[a-z0-9_]+]] = arith.subi %c3, %[[STEP]]
// CHECK:   %[[FIRST:[a-z0-9_]+]] = arith.subi %c4, %[[STEP]]
// CHECK:   scf.for %[[J:[a-z0-9_]+]] = %[[FIRST]] to %c4
// CHECK:     tensor.extract %[[L]][%[[J]], %[[I]]]
// CHECK:     tensor.extract %[[C]][%[[J]]]
func.func @erase_solve_adjoint(%l: tensor<4x4xf32>, %c: tensor<4xf32>, %du: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %x = delta.erase_solve_adjoint %l, %c, %du : tensor<4x4xf32>, tensor<4xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
  return %x : tensor<4x8xf32>
}

// The right-hand side is the strictly lower triangle of L, the rest zero.
// CHECK-LABEL: func.func @erase_factor
// CHECK-SAME: (%[[L:[a-z0-9_]+]]: tensor<4x4xf32>
// CHECK: %[[ZERO:[a-z0-9_]+]] = linalg.fill
// CHECK: %[[LOWER:[a-z0-9_]+]] = scf.for %[[I:[a-z0-9_]+]] = %c0 to %c4 {{.*}} iter_args(%{{.*}} = %[[ZERO]])
// CHECK:   scf.for %{{.*}} = %c0 to %[[I]]
// CHECK: scf.for {{.*}} iter_args(%{{.*}} = %[[LOWER]])
func.func @erase_factor(%l: tensor<4x4xf32>, %c: tensor<4xf32>) -> tensor<4x4xf32> {
  %z = delta.erase_factor %l, %c : tensor<4x4xf32>, tensor<4xf32> -> tensor<4x4xf32>
  return %z : tensor<4x4xf32>
}

// Blocks on the diagonal are solved for; what is left of them is copied, and what rounding
// takes away of it put above them.
// CHECK-LABEL: func.func @erase_factor_blocks
// CHECK-SAME: (%[[L:[a-z0-9_]+]]: tensor<4x4xf32>
// CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[0, 0] [2, 2] [1, 1]
// CHECK: %[[LEFT:.*]] = tensor.extract_slice %[[L]][2, 0] [2, 2] [1, 1]
// CHECK: tensor.insert_slice %[[LEFT]] into %{{.*}}[2, 0] [2, 2] [1, 1]
// CHECK: tensor.extract %[[LEFT]]
// CHECK: arith.subf
// CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[0, 2] [2, 2] [1, 1]
// CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[2, 2] [2, 2] [1, 1]
func.func @erase_factor_blocks(%l: tensor<4x4xf32>, %c: tensor<4xf32>) -> tensor<4x4xf32> {
  %z = delta.erase_factor %l, %c block 2 to bf16 : tensor<4x4xf32>, tensor<4xf32> -> tensor<4x4xf32>
  return %z : tensor<4x4xf32>
}

// The adjoint begins with the last rows. Both parts of Z_10 are multiplied by what is known of them.
// CHECK-LABEL: func.func @erase_apply
// CHECK-SAME: (%[[Z:[a-z0-9_]+]]: tensor<4x4xbf16>, %{{.*}}: tensor<4xf32>, %[[W:[a-z0-9_]+]]: tensor<4x8xf32>
// CHECK: tensor.extract_slice %[[W]][2, 0] [2, 8] [1, 1]
// CHECK: tensor.extract_slice %[[Z]][2, 2] [2, 2] [1, 1]
// CHECK: tensor.insert_slice %{{.*}} into %[[W]][2, 0] [2, 8] [1, 1]
// CHECK: tensor.extract_slice %[[Z]][0, 2] [2, 2] [1, 1]
// CHECK: tensor.extract_slice %[[Z]][2, 0] [2, 2] [1, 1]
// CHECK: tensor.extract_slice %[[Z]][0, 0] [2, 2] [1, 1]
func.func @erase_apply(%z: tensor<4x4xbf16>, %c: tensor<4xf32>, %w: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %r = delta.erase_apply adjoint %z, %c, %w block 2 : tensor<4x4xbf16>, tensor<4xf32>, tensor<4x8xf32>
  return %r : tensor<4x8xf32>
}

// Of a factor in two parts the second, for the blocks on the diagonal, is right of them; where
// nothing is rounded it is zero.
// CHECK-LABEL: func.func @two_parts
// CHECK: tensor.insert_slice %[[Z0:.*]] into %{{.*}}[0, 0] [2, 2] [1, 1]
// CHECK: tensor.extract %[[Z0]]
// CHECK: arith.subf
// CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[0, 4] [2, 2] [1, 1]
// CHECK: tensor.insert_slice %[[Z1:.*]] into %{{.*}}[2, 2] [2, 2] [1, 1]
// CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[2, 6] [2, 2] [1, 1]
func.func @two_parts(%l: tensor<4x4xf32>, %c: tensor<4xf32>) -> tensor<4x8xf32> {
  %z = delta.erase_factor %l, %c block 2 to bf16 : tensor<4x4xf32>, tensor<4xf32> -> tensor<4x8xf32>
  return %z : tensor<4x8xf32>
}

// CHECK-LABEL: func.func @not_rounded
// CHECK-NOT: arith.truncf
// CHECK: return
func.func @not_rounded(%l: tensor<4x4xf32>, %c: tensor<4xf32>) -> tensor<4x8xf32> {
  %z = delta.erase_factor %l, %c block 2 : tensor<4x4xf32>, tensor<4xf32> -> tensor<4x8xf32>
  return %z : tensor<4x8xf32>
}

// CHECK-LABEL: func.func @apply_in_two
// CHECK-SAME: (%[[Z:[a-z0-9_]+]]: tensor<4x8xbf16>
// CHECK: tensor.extract_slice %[[Z]][0, 4] [2, 2] [1, 1]
// CHECK: tensor.extract_slice %[[Z]][0, 0] [2, 2] [1, 1]
// CHECK: tensor.extract_slice %[[Z]][0, 2] [2, 2] [1, 1]
// CHECK: tensor.extract_slice %[[Z]][2, 0] [2, 2] [1, 1]
// CHECK: tensor.extract_slice %[[Z]][2, 6] [2, 2] [1, 1]
// CHECK: tensor.extract_slice %[[Z]][2, 2] [2, 2] [1, 1]
func.func @apply_in_two(%z: tensor<4x8xbf16>, %c: tensor<4xf32>, %w: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %r = delta.erase_apply %z, %c, %w block 2 : tensor<4x8xbf16>, tensor<4xf32>, tensor<4x8xf32>
  return %r : tensor<4x8xf32>
}
