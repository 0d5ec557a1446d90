// RUN: wyvern-opt %s -convert-delta-to-scf -canonicalize | FileCheck %s

// One matmul, then exp of segment sums: sums_tu = sums_(t-1)u + g_t, no difference.
// CHECK-LABEL: func.func @head
// CHECK-SAME: %[[G:[a-z0-9_]+]]: tensor<4xf32>
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction", "parallel"]
// CHECK: %[[SUMS:[a-z0-9_]+]] = scf.for %[[T:[a-z0-9_]+]] = %c1 to %c4
// CHECK:   %[[GATE:[a-z0-9_]+]] = tensor.extract %[[G]][%[[T]]]
// CHECK:   %[[BEFORE:[a-z0-9_]+]] = arith.subi %[[T]], %c1
// CHECK:   scf.for %[[U:[a-z0-9_]+]] = %c0 to %[[T]]
// CHECK:     %[[SUM:[a-z0-9_]+]] = tensor.extract %{{.*}}[%[[BEFORE]], %[[U]]]
// CHECK:     arith.addf %[[SUM]], %[[GATE]]
// CHECK: math.exp %[[SUMS]]
// The mask is the bound of the column loop: row i keeps columns j < i.
// CHECK: scf.for %[[I:[a-z0-9_]+]] = %c0 to %c4
// CHECK:   scf.for %{{.*}} = %c0 to %[[I]]
// CHECK-NOT: arith.subf
func.func @head(%a: tensor<4x16xf32>, %g: tensor<4xf32>) -> tensor<4x4xf32> {
  %m = delta.decay_dot before_row %a, %a decay(%g : tensor<4xf32>)
      : tensor<4x16xf32>, tensor<4x16xf32> -> tensor<4x4xf32>
  return %m : tensor<4x4xf32>
}

// Two rows a token; before_decay reads the sum up to the token before.
// CHECK-LABEL: func.func @head_before_decay
// CHECK: math.exp
// CHECK: scf.for %[[I:[a-z0-9_]+]] = %c0 to %c8
// CHECK:   %[[T:[a-z0-9_]+]] = arith.divui %[[I]], %c2
// CHECK:   %[[END:[a-z0-9_]+]] = arith.muli %[[T]], %c2
// CHECK:   scf.for %[[J:[a-z0-9_]+]] = %c0 to %[[END]]
// CHECK:     %[[T1:[a-z0-9_]+]] = arith.divui %[[I]], %c2
// CHECK:     %[[BEFORE:[a-z0-9_]+]] = arith.subi %[[T1]], %c1
// CHECK:     %[[U:[a-z0-9_]+]] = arith.divui %[[J]], %c2
// CHECK:     tensor.extract %{{.*}}[%[[BEFORE]], %[[U]]]
func.func @head_before_decay(%a: tensor<8x16xf32>, %g: tensor<4xf32>) -> tensor<8x8xf32> {
  %m = delta.decay_dot before_token %a, %a decay(%g : tensor<4xf32>) before_decay rows [2, 2]
      : tensor<8x16xf32>, tensor<8x16xf32> -> tensor<8x8xf32>
  return %m : tensor<8x8xf32>
}

// Halving of three tokens: first the pairs within one token, without a factor;
// then levels 0 and 1 of half blocks 1 and 2. Block p pairs the rows of [middle,
// end) with the columns of [begin, middle); both factors are exp of segment sums.
// CHECK-LABEL: func.func @channel
// CHECK-SAME: (%[[A:[a-z0-9_]+]]: tensor<3x16xf32>
// CHECK: tensor.extract %[[A]][
// CHECK: tensor.extract %[[A]][
// CHECK: scf.for %[[LEVEL:[a-z0-9_]+]] = %c0 to %c2
// CHECK:   %[[HALF:[a-z0-9_]+]] = arith.shli %c1, %[[LEVEL]]
// CHECK:   arith.remui %{{.*}}, %[[HALF]]
// CHECK:   %[[LEFT:[a-z0-9_]+]] = math.exp
// CHECK:   arith.mulf %[[A]], %[[LEFT]]
// CHECK:   arith.remui %{{.*}}, %[[HALF]]
// CHECK:   %[[RIGHT:[a-z0-9_]+]] = math.exp
// CHECK:   arith.mulf %[[A]], %[[RIGHT]]
// CHECK:   %[[BLOCK:[a-z0-9_]+]] = arith.muli %[[HALF]], %c2
// CHECK:   scf.for %[[P:[a-z0-9_]+]] =
// CHECK:     %[[BEGIN:[a-z0-9_]+]] = arith.muli %[[P]], %[[BLOCK]]
// CHECK:     %[[MIDDLE:[a-z0-9_]+]] = arith.addi %[[BEGIN]], %[[HALF]]
// CHECK:     %[[NEXT:[a-z0-9_]+]] = arith.addi %[[BEGIN]], %[[BLOCK]]
// CHECK:     %[[END:[a-z0-9_]+]] = arith.minui %[[NEXT]], %c3
// CHECK:     scf.for %{{.*}} = %[[MIDDLE]] to %[[END]]
// CHECK:       scf.for %{{.*}} = %[[BEGIN]] to %[[MIDDLE]]
// CHECK-NOT: arith.subf
func.func @channel(%a: tensor<3x16xf32>, %g: tensor<3x16xf32>) -> tensor<3x3xf32> {
  %m = delta.decay_dot upto_token %a, %a decay(%g : tensor<3x16xf32>)
      : tensor<3x16xf32>, tensor<3x16xf32> -> tensor<3x3xf32>
  return %m : tensor<3x3xf32>
}

// Without a decay the mask alone is left.
// CHECK-LABEL: func.func @none
// CHECK: linalg.generic
// CHECK-NOT: math.exp
// CHECK: %[[M:[a-z0-9_]+]] = scf.for
// CHECK: return %[[M]]
func.func @none(%a: tensor<4x16xbf16>) -> tensor<4x4xf32> {
  %m = delta.decay_dot upto_token %a, %a : tensor<4x16xbf16>, tensor<4x16xbf16> -> tensor<4x4xf32>
  return %m : tensor<4x4xf32>
}

// The same of a matrix that is there; rows [1, 2] keep the columns of its tokens.
// CHECK-LABEL: func.func @mask
// CHECK-SAME: (%[[M:[a-z0-9_]+]]: tensor<4x8xf32>
// CHECK: %[[FACTORS:[a-z0-9_]+]] = math.exp
// CHECK: scf.for %[[I:[a-z0-9_]+]] = %c0 to %c4
// CHECK:   %[[NEXT:[a-z0-9_]+]] = arith.addi %[[I]], %c1
// CHECK:   %[[END:[a-z0-9_]+]] = arith.muli %[[NEXT]], %c2
// CHECK:   scf.for %[[J:[a-z0-9_]+]] = %c0 to %[[END]]
// CHECK:     %[[ENTRY:[a-z0-9_]+]] = tensor.extract %[[M]][%[[I]], %[[J]]]
// CHECK:     %[[U:[a-z0-9_]+]] = arith.divui %[[J]], %c2
// CHECK:     %[[FACTOR:[a-z0-9_]+]] = tensor.extract %[[FACTORS]][%[[I]], %[[U]]]
// CHECK:     arith.mulf %[[ENTRY]], %[[FACTOR]]
func.func @mask(%m: tensor<4x8xf32>, %g: tensor<4xf32>) -> tensor<4x8xf32> {
  %r = delta.decay_mask upto_token %m decay(%g : tensor<4xf32>) rows [1, 2] : tensor<4x8xf32>
  return %r : tensor<4x8xf32>
}

// The adjoint masks and decays m before the product, so that masked entries of m
// are not read.
// CHECK-LABEL: func.func @apply
// CHECK-SAME: (%[[M:[a-z0-9_]+]]: tensor<4x4xf32>
// CHECK: math.exp
// CHECK: %[[KEPT:[a-z0-9_]+]] = scf.for
// CHECK:   tensor.extract %[[M]][
// CHECK: linalg.generic {{.*}} ins(%[[KEPT]]
func.func @apply(%m: tensor<4x4xf32>, %x: tensor<4x16xf32>, %g: tensor<4xf32>) -> tensor<4x16xf32> {
  %r = delta.decay_apply upto_token transpose %m, %x decay(%g : tensor<4xf32>)
      : tensor<4x4xf32>, tensor<4x16xf32> -> tensor<4x16xf32>
  return %r : tensor<4x16xf32>
}
