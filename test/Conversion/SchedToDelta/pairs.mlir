// RUN: wyvern-opt %wyvern_src/test/Dialect/Sched/Inputs/pairs.mlir -convert-sched-to-delta | FileCheck %s

// What a kernel sums over pairs of heads is an out of each head, rounded as it is, and a map behind.

// CHECK-LABEL: func.func @pairs
// CHECK: %[[HEADS:.*]] = delta.chunk_scan reverse
// CHECK-SAME: outs([seq, time, head, _] : tensor<?x?x4x128xbf16>)
// CHECK: %[[SUM:.*]] = delta.chunk_map chunk = 64 heads = 2
// CHECK-SAME: ins(%[[ONE:.*]] = %[[HEADS]][seq, time, head * 2, _] : tensor<?x?x4x128xbf16>, %[[TWO:.*]] = %[[HEADS]][seq, time, head * 2 + 1, _] : tensor<?x?x4x128xbf16>)
// CHECK: arith.addf %[[ONE]], %[[TWO]]
// CHECK: return %[[SUM]]
