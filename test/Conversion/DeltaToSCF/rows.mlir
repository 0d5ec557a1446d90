// RUN: wyvern-opt %s -convert-delta-to-scf -canonicalize | FileCheck %s

// Row 3 is left at zero; row i continues the sum of row i + 1; the inclusive sum
// adds x itself.
// CHECK-LABEL: func.func @cumsum_reverse
// CHECK-SAME: (%[[X:[a-z0-9_]+]]: tensor<4x8xf32>)
// CHECK: %[[ZERO:[a-z0-9_]+]] = linalg.fill
// CHECK: %[[SUMS:[a-z0-9_]+]] = scf.for %[[I:[a-z0-9_]+]] = %c1 to %c4 {{.*}} iter_args(%{{.*}} = %[[ZERO]])
// CHECK:   %[[AT:[a-z0-9_]+]] = arith.subi %c3, %[[I]]
// CHECK:   scf.for %[[D:[a-z0-9_]+]] = %c0 to %c8
// CHECK:     tensor.extract %[[X]][%[[FROM:[a-z0-9_]+]], %[[D]]]
// CHECK:     arith.addf
// CHECK:     tensor.insert %{{.*}} into %{{.*}}[%[[AT]], %[[D]]]
// CHECK: arith.addf %[[SUMS]], %[[X]]
func.func @cumsum_reverse(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %y = delta.cumsum reverse %x : tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// CHECK-LABEL: func.func @cumsum_exclusive
// CHECK: %[[SUMS:[a-z0-9_]+]] = scf.for
// CHECK: return %[[SUMS]]
func.func @cumsum_exclusive(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = delta.cumsum exclusive %x : tensor<4xf32>
  return %y : tensor<4xf32>
}

// Rows past n are zero and are never read: nothing multiplies.
// CHECK-LABEL: func.func @mask_rows
// CHECK-SAME: %[[N:[a-z0-9_]+]]: index
// CHECK: %[[ROWS:[a-z0-9_]+]] = arith.muli %[[N]], %c2
// CHECK: %[[ZERO:[a-z0-9_]+]] = linalg.fill
// CHECK: scf.for %{{.*}} = %c0 to %[[ROWS]] {{.*}} iter_args(%{{.*}} = %[[ZERO]])
// CHECK-NOT: mulf
// CHECK: return
func.func @mask_rows(%x: tensor<8xf32>, %n: index) -> tensor<8xf32> {
  %y = delta.mask_rows %x, %n rows 2 : tensor<8xf32>
  return %y : tensor<8xf32>
}

// CHECK-LABEL: func.func @last_row
// CHECK-SAME: %[[X:[a-z0-9_]+]]: tensor<8x4xf32>, %[[N:[a-z0-9_]+]]: index
// CHECK: %[[ROWS:[a-z0-9_]+]] = arith.muli %[[N]], %c2
// CHECK: %[[LAST:[a-z0-9_]+]] = arith.subi %[[ROWS]], %c1
// CHECK: scf.for %[[J:[a-z0-9_]+]] = %c0 to %c4
// CHECK:   tensor.extract %[[X]][%[[LAST]], %[[J]]]
func.func @last_row(%x: tensor<8x4xf32>, %n: index) -> tensor<4xf32> {
  %y = delta.last_row %x, %n rows 2 : tensor<8x4xf32> -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// CHECK-LABEL: func.func @repeat_rows
// CHECK: scf.for %[[I:[a-z0-9_]+]] = %c0 to %c8
// CHECK:   %[[FROM:[a-z0-9_]+]] = arith.divui %[[I]], %c2
// CHECK:   %[[ROW:[a-z0-9_]+]] = tensor.extract %{{.*}}[%[[FROM]]]
// CHECK:   tensor.insert %[[ROW]] into %{{.*}}[%[[I]]]
func.func @repeat_rows(%x: tensor<4xf32>) -> tensor<8xf32> {
  %y = delta.repeat_rows %x by 2 : tensor<4xf32> -> tensor<8xf32>
  return %y : tensor<8xf32>
}

// CHECK-LABEL: func.func @sum_rows
// CHECK-SAME: (%[[X:[a-z0-9_]+]]: tensor<8x2xf32>)
// CHECK: %[[ZERO:[a-z0-9_]+]] = linalg.fill {{.*}} -> tensor<4x2xf32>
// CHECK: scf.for %[[I:[a-z0-9_]+]] = %c0 to %c8 {{.*}} iter_args(%{{.*}} = %[[ZERO]])
// CHECK:   %[[TO:[a-z0-9_]+]] = arith.divui %[[I]], %c2
// CHECK:   scf.for %[[D:[a-z0-9_]+]] = %c0 to %c2
// CHECK:     %[[SUM:[a-z0-9_]+]] = tensor.extract %{{.*}}[%[[TO]], %[[D]]]
// CHECK:     %[[ROW:[a-z0-9_]+]] = tensor.extract %[[X]][%[[I]], %[[D]]]
// CHECK:     %[[NEXT:[a-z0-9_]+]] = arith.addf %[[SUM]], %[[ROW]]
// CHECK:     tensor.insert %[[NEXT]] into %{{.*}}[%[[TO]], %[[D]]]
func.func @sum_rows(%x: tensor<8x2xf32>) -> tensor<4x2xf32> {
  %y = delta.sum_rows %x by 2 : tensor<8x2xf32> -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// CHECK-LABEL: func.func @identity
// CHECK: %[[ZERO:[a-z0-9_]+]] = linalg.fill
// CHECK: scf.for %[[I:[a-z0-9_]+]] = %c0 to %c8 {{.*}} iter_args(%[[TILE:[a-z0-9_]+]] = %[[ZERO]])
// CHECK:   tensor.insert %cst{{.*}} into %[[TILE]][%[[I]], %[[I]]]
func.func @identity() -> tensor<8x8xf32> {
  %I = delta.identity : tensor<8x8xf32>
  return %I : tensor<8x8xf32>
}

// As far as sequences own tokens: all of them, or packed ones up to the last bound.
// CHECK-LABEL: func.func @sum_tokens
// CHECK-SAME: (%[[X:[a-z0-9_]+]]: tensor<?x?x4xf32>, %[[CU:[a-z0-9_]+]]: tensor<?xi32>)
// CHECK-DAG: %[[TOKENS:[a-z0-9_]+]] = tensor.dim %[[X]], %c1
// CHECK-DAG: %[[ENTRIES:[a-z0-9_]+]] = tensor.dim %[[CU]], %c0
// CHECK: %[[END:[a-z0-9_]+]] = scf.if
// CHECK:   %[[LAST:[a-z0-9_]+]] = arith.subi %[[ENTRIES]], %c1
// CHECK:   tensor.extract %[[CU]][%[[LAST]]]
// CHECK:   scf.yield %[[TOKENS]]
// CHECK: %[[OWNED:.*]] = tensor.extract_slice %[[X]][0, 0, 0] [%{{.*}}, %[[END]], 4] [1, 1, 1]
// CHECK: linalg.reduce { arith.addf } ins(%[[OWNED]] : tensor<?x?x4xf32>) {{.*}} dimensions = [0, 1]
func.func @sum_tokens(%x: tensor<?x?x4xf32>, %cu: tensor<?xi32>) -> tensor<4xf32> {
  %y = delta.sum_tokens %x cu_seqlens(%cu : tensor<?xi32>) : tensor<?x?x4xf32> -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// Of three rows a token, three times as many.

// CHECK-LABEL: func.func @sum_token_rows
// CHECK: %[[END:[a-z0-9_]+]] = scf.if
// CHECK:   %[[TOKENS:.*]] = arith.index_cast
// CHECK:   %[[ROWS:.*]] = arith.muli %[[TOKENS]], %c3
// CHECK:   scf.yield %[[ROWS]]
// CHECK: tensor.extract_slice %{{.*}}[0, 0, 0] [%{{.*}}, %[[END]], 4] [1, 1, 1]
func.func @sum_token_rows(%x: tensor<?x?x4xf32>, %cu: tensor<?xi32>) -> tensor<4xf32> {
  %y = delta.sum_tokens %x rows 3 cu_seqlens(%cu : tensor<?xi32>) : tensor<?x?x4xf32> -> tensor<4xf32>
  return %y : tensor<4xf32>
}
