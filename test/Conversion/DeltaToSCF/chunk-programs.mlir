// RUN: wyvern-opt %s -convert-delta-to-scf -canonicalize | FileCheck %s

// The valid rows of an in are copied into zeros, with the cast; those of an out
// into the result, which starts as zeros.
// CHECK-LABEL: func.func @map
// CHECK-SAME: (%[[X:[a-z0-9_]+]]: tensor<?x?x1x8xbf16>)
// CHECK-DAG: %[[B:[a-z0-9_]+]] = tensor.dim %[[X]], %c0
// CHECK-DAG: %[[T:[a-z0-9_]+]] = tensor.dim %[[X]], %c1
// CHECK: %[[ZEROS:[a-z0-9_]+]] = linalg.fill {{.*}} -> tensor<?x?x2x8xbf16>
// CHECK: scf.for %[[SEQ:[a-z0-9_]+]] = %c0 to %[[B]] {{.*}} iter_args(%{{.*}} = %[[ZEROS]])
// CHECK: scf.for %[[HEAD:[a-z0-9_]+]] = %c0 to %c2
// CHECK: scf.for %[[CHUNK:[a-z0-9_]+]] = %c0 to
// CHECK:   %[[FIRST:[a-z0-9_]+]] = arith.muli %[[CHUNK]], %c4
// CHECK:   %[[LEFT:[a-z0-9_]+]] = arith.subi %[[T]], %[[FIRST]]
// CHECK:   %[[N:[a-z0-9_]+]] = arith.minui %[[LEFT]], %c4
// CHECK:   %[[KHEAD:[a-z0-9_]+]] = arith.divui %[[HEAD]], %c2
// CHECK:   %[[TILE:[a-z0-9_]+]] = linalg.fill {{.*}} -> tensor<4x8xf32>
// CHECK:   %[[ROWS:[a-z0-9_]+]] = tensor.extract_slice %[[X]][%[[SEQ]], %[[FIRST]], %[[KHEAD]], 0] [1, %[[N]], 1, 8]
// CHECK:   %[[VALID:[a-z0-9_]+]] = tensor.extract_slice %[[TILE]][0, 0] [%[[N]], 8]
// CHECK:   linalg.generic {{.*}} ins(%[[ROWS]] : tensor<?x8xbf16>) outs(%[[VALID]] : tensor<?x8xf32>)
// CHECK:     arith.extf
// CHECK:   tensor.insert_slice %{{.*}} into %[[TILE]][0, 0] [%[[N]], 8]
// CHECK:   arith.truncf
// CHECK:   tensor.insert_slice %{{.*}} into %{{.*}}[%[[SEQ]], %[[FIRST]], %[[HEAD]], 0] [1, %[[N]], 1, 8]
// CHECK-NOT: scf.if
func.func @map(%x: tensor<?x?x1x8xbf16>) -> tensor<?x?x2x8xbf16> {
  %o = delta.chunk_map chunk = 4 heads = 2 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x8xbf16>)
      outs([seq, time, head, _] : tensor<?x?x2x8xbf16>) valid(%n) {
    %Y = delta.cumsum %X : tensor<4x8xf32>
    delta.yield outs(%Y : tensor<4x8xf32>)
  }
  return %o : tensor<?x?x2x8xbf16>
}

// With cu_seqlens: an empty one is not read; sequence n has the tokens from
// cu[n] to cu[n + 1], two rows a token; slot n holds its final state.
// CHECK-LABEL: func.func @packed_reverse
// CHECK-SAME: (%[[X:[a-z0-9_]+]]: tensor<?x?x1x8xf32>, %[[S0:[a-z0-9_]+]]: tensor<?x1x8x8xf32>, %[[CU:[a-z0-9_]+]]: tensor<?xi64>)
// CHECK: %[[ENTRIES:[a-z0-9_]+]] = tensor.dim %[[CU]], %c0
// CHECK: %[[PACKED:[a-z0-9_]+]] = arith.cmpi ne, %[[ENTRIES]], %c0
// CHECK: scf.for %[[SEQ:[a-z0-9_]+]] = %c0 to
// CHECK:   %[[RANGE:[a-z0-9_]+]]:2 = scf.if %[[PACKED]]
// CHECK:     tensor.extract %[[CU]][%[[SEQ]]]
// CHECK:     arith.subi
// CHECK:   %[[BATCH:[a-z0-9_]+]] = arith.select %[[PACKED]], %c0, %[[SEQ]]
// CHECK:   tensor.extract_slice %[[S0]][%[[SEQ]], 0, 0, 0] [1, 1, 8, 8]
// CHECK:   scf.for %[[STEP:[a-z0-9_]+]] = %c0 to %[[CHUNKS:[a-z0-9_]+]] step
// CHECK:     %[[LAST:[a-z0-9_]+]] = arith.subi %[[CHUNKS]], %c1
// CHECK:     %[[CHUNK:[a-z0-9_]+]] = arith.subi %[[LAST]], %[[STEP]]
// CHECK:     %[[FIRST:[a-z0-9_]+]] = arith.muli %[[CHUNK]], %c4
// CHECK:     %[[TOKEN:[a-z0-9_]+]] = arith.addi %[[RANGE]]#0, %[[FIRST]]
// CHECK:     %[[ROW:[a-z0-9_]+]] = arith.muli %[[TOKEN]], %c2
// CHECK:     tensor.extract_slice %[[X]][%[[BATCH]], %[[ROW]], 0, 0]
func.func @packed_reverse(%x: tensor<?x?x1x8xf32>, %s0: tensor<?x1x8x8xf32>, %cu: tensor<?xi64>) -> tensor<?x1x8x8xf32> {
  %s = delta.chunk_scan reverse chunk = 4 heads = 1 compute = f32
      ins(%X = %x[seq, time * 2, head, _] : tensor<?x?x1x8xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x8x8xf32>)
      cu_seqlens(%cu : tensor<?xi64>) outs() valid(%n) {
    %S1 = linalg.contract
        indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
        ins(%X, %X : tensor<8x8xf32>, tensor<8x8xf32>) outs(%S : tensor<8x8xf32>) -> tensor<8x8xf32>
    delta.yield carry(%S1 : tensor<8x8xf32>)
  }
  return %s : tensor<?x1x8x8xf32>
}

// A chunk dimension: slot floor(cu[n] / 4) + n + c when packed, n * ceil(T / 4) + c
// when not, out of floor(T / 4) + N or B * ceil(T / 4) slots.
// CHECK-LABEL: func.func @chunk_states
// CHECK: %[[DENSE_PER:.*]] = arith.divui %{{.*}}, %c4
// CHECK: %[[DENSE:[a-z0-9_]+]] = arith.muli %{{.*}}, %[[DENSE_PER]]
// CHECK: %[[PER:[a-z0-9_]+]] = arith.divui %{{.*}}, %c4
// CHECK: %[[PACKED:[a-z0-9_]+]] = arith.addi %[[PER]], %{{.*}}
// CHECK: %[[SLOTS:[a-z0-9_]+]] = arith.select %{{.*}}, %[[PACKED]], %[[DENSE]]
// CHECK: tensor.empty(%[[SLOTS]]) : tensor<?x1x8xf32>
// CHECK: scf.for %[[SEQ:[a-z0-9_]+]] = %c0 to
// CHECK: %[[RANGE:[a-z0-9_]+]]:2 = scf.if
// CHECK: %[[START:[a-z0-9_]+]] = arith.divui %[[RANGE]]#0, %c4
// CHECK: %[[AT:[a-z0-9_]+]] = arith.addi %[[START]], %[[SEQ]] : index
// CHECK: %[[FIRST:[a-z0-9_]+]] = arith.select %{{.*}}, %[[AT]], %{{.*}}
// CHECK: %[[SLOT:[a-z0-9_]+]] = arith.addi %[[FIRST]], %{{.*}}
// CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[%[[SLOT]], 0, 0] [1, 1, 8]
func.func @chunk_states(%x: tensor<?x?x1x8xf32>, %cu: tensor<?xi64>) -> tensor<?x1x8xf32> {
  %s = delta.chunk_map chunk = 4 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x8xf32>)
      cu_seqlens(%cu : tensor<?xi64>) outs([chunk, head, _] : tensor<?x1x8xf32>) valid(%n) {
    %z = arith.constant dense<0.0> : tensor<8xf32>
    %sum = linalg.reduce {arith.addf} ins(%X : tensor<4x8xf32>) outs(%z : tensor<8xf32>) dimensions = [0]
    delta.yield outs(%sum : tensor<8xf32>)
  }
  return %s : tensor<?x1x8xf32>
}

// Head i of each m: m * head + i.
// CHECK-LABEL: func.func @members
// CHECK-SAME: (%[[X:[a-z0-9_]+]]: tensor<?x?x6x4xbf16>)
// CHECK: scf.for %[[HEAD:[a-z0-9_]+]] = %c0 to %c2
// CHECK: %[[GROUP:[a-z0-9_]+]] = arith.muli %[[HEAD]], %c3
// CHECK: %[[MEMBER:[a-z0-9_]+]] = arith.addi %[[GROUP]], %c2
// CHECK: tensor.extract_slice %[[X]][%{{.*}}, %{{.*}}, %[[MEMBER]], 0]
func.func @members(%x: tensor<?x?x6x4xbf16>) -> tensor<?x?x2x4xbf16> {
  %o = delta.chunk_map chunk = 8 heads = 2 compute = f32
      ins(%X = %x[seq, time, head * 3 + 2, _] : tensor<?x?x6x4xbf16>)
      outs([seq, time, head, _] : tensor<?x?x2x4xbf16>) valid(%n) {
    delta.yield outs(%X : tensor<8x4xf32>)
  }
  return %o : tensor<?x?x2x4xbf16>
}

// A part of what is kept whole is a slice of it.
// CHECK-LABEL: func.func @part
// CHECK: tensor.extract_slice %{{.*}}[%{{.*}}, %{{.*}}, 2] [1, %{{.*}}, 4]
// CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[%{{.*}}, %{{.*}}, 0] [1, %{{.*}}, 4]
func.func @part(%x: tensor<?x?x8xf32>) -> tensor<?x?x4xf32> {
  %o = delta.chunk_map chunk = 4 heads = 1 compute = f32
      ins(%X = %x[seq, time, _ from 2 to 6] : tensor<?x?x8xf32>)
      outs([seq, time, _] : tensor<?x?x4xf32>) valid(%n) {
    delta.yield outs(%X : tensor<4x4xf32>)
  }
  return %o : tensor<?x?x4xf32>
}

// One row of each token's two: what an out has besides is zero, as it starts.
// CHECK-LABEL: func.func @row_of_token
// CHECK-SAME: (%[[X:[a-z0-9_]+]]: tensor<?x?x1x8xf32>)
// CHECK: %[[ROWS:[a-z0-9_]+]] = tensor.dim %[[X]], %c1
// CHECK: %[[T:[a-z0-9_]+]] = arith.divui %[[ROWS]], %c2
// CHECK: linalg.fill
// CHECK: %[[N:[a-z0-9_]+]] = arith.minui %{{.*}}, %c4
// CHECK: %[[FIRST:[a-z0-9_]+]] = arith.muli %{{.*}}, %c8
// CHECK: %[[ROW:[a-z0-9_]+]] = arith.addi %[[FIRST]], %c1
// CHECK: tensor.extract_slice %[[X]][%{{.*}}, %[[ROW]], 0, 0] [1, %[[N]], 1, 8] [1, 2, 1, 1]
// CHECK: %[[OTHER:[a-z0-9_]+]] = arith.muli %{{.*}}, %c12
// CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[%{{.*}}, %[[OTHER]], 0, 0] [1, %[[N]], 1, 8] [1, 3, 1, 1]
func.func @row_of_token(%x: tensor<?x?x1x8xf32>) -> tensor<?x?x1x8xf32> {
  %o = delta.chunk_map chunk = 4 heads = 1 compute = f32
      ins(%X = %x[seq, time * 2 row 1, head, _] : tensor<?x?x1x8xf32>)
      outs([seq, time * 3 row 0, head, _] : tensor<?x?x1x8xf32>) valid(%n) {
    delta.yield outs(%X : tensor<4x8xf32>)
  }
  return %o : tensor<?x?x1x8xf32>
}
