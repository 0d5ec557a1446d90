// RUN: wyvern-opt %s -convert-delta-to-scf | FileCheck %s

// The level is that of the running head; positions count from the sequence's start, so
// cu_seqlens does not enter. Two rows a token.

// CHECK-LABEL: func.func @reads
// CHECK: scf.for %[[N:.*]] = %c0{{.*}} to %
// CHECK:   scf.for %[[HEAD:.*]] = %c0{{.*}} to %c6
// CHECK:     scf.for %[[CHUNK:.*]] = %c0
// CHECK:       %[[LEVEL:.*]] = arith.remui %[[HEAD]], %c3
// CHECK:       %[[BLOCK:.*]] = arith.shli %c1{{.*}}, %[[LEVEL]]
// CHECK:       %[[HALF:.*]] = arith.shrui %[[BLOCK]], %c1
// CHECK:       %[[FIRST:.*]] = arith.muli %{{.*}}, %c4
// CHECK:       scf.for %[[I:.*]] = %c0{{.*}} to %c8
// CHECK:         %[[TOKEN:.*]] = arith.divui %[[I]], %c2
// CHECK:         %[[T:.*]] = arith.addi %[[FIRST]], %[[TOKEN]]
// CHECK:         %[[BITS:.*]] = arith.andi %[[T]], %[[HALF]]
// CHECK:         %[[HOLDS:.*]] = arith.cmpi eq, %[[BITS]], %[[HALF]]
// CHECK:         arith.select %[[HOLDS]], %{{.*}}, %{{.*}} : f32
func.func @reads(%x: tensor<?x?x6xf32>, %cu: tensor<?xi64>) -> tensor<?x?x6xf32> {
  %y = delta.chunk_map chunk = 4 heads = 6 compute = f32 ins(%X = %x[seq, time * 2, head] : tensor<?x?x6xf32>)
      cu_seqlens(%cu : tensor<?xi64>) outs([seq, time * 2, head] : tensor<?x?x6xf32>) valid(%n) {
    %r = delta.level_rows reads of 3 rows 2 : tensor<8xf32>
    %Y = arith.mulf %X, %r : tensor<8xf32>
    delta.yield outs(%Y : tensor<8xf32>)
  }
  return %y : tensor<?x?x6xf32>
}

// CHECK-LABEL: func.func @writes_and_starts
// CHECK: %[[HALF:.*]] = arith.shrui
// CHECK: arith.andi %{{.*}}, %[[HALF]]
// CHECK: arith.cmpi eq, %{{.*}}, %c0
// CHECK: %[[BLOCK:.*]] = arith.shli
// CHECK: %[[INSIDE:.*]] = arith.subi %[[BLOCK]], %c1
// CHECK: arith.andi %{{.*}}, %[[INSIDE]]
// CHECK: arith.cmpi eq, %{{.*}}, %c0
func.func @writes_and_starts(%x: tensor<?x?x3xf32>) -> tensor<?x?x3xf32> {
  %y = delta.chunk_map chunk = 4 heads = 3 compute = f32 ins(%X = %x[seq, time, head] : tensor<?x?x3xf32>)
      outs([seq, time, head] : tensor<?x?x3xf32>) valid(%n) {
    %w = delta.level_rows writes of 3 : tensor<4xf32>
    %s = delta.level_rows starts of 3 : tensor<4xf32>
    %XW = arith.mulf %X, %w : tensor<4xf32>
    %Y = arith.addf %XW, %s : tensor<4xf32>
    delta.yield outs(%Y : tensor<4xf32>)
  }
  return %y : tensor<?x?x3xf32>
}
