// RUN: wyvern-opt %wyvern_src/test/Dialect/Sched/Inputs/pairs.mlir -convert-sched-to-tile -canonicalize -cse | FileCheck %s
// RUN: wyvern-opt %wyvern_src/test/Dialect/Sched/Inputs/pairs.mlir | wyvern-opt | FileCheck %s --check-prefix=SCHED

// SCHED: sched.kernel "pairs_kernel" grid(heads = 4 in pairs, split = 1, over = sequences)

// The blocks of a pair of heads are a cluster. Both go to the same rows: the first stores, and passes
// the turns for what it stored in the chunks before; the second waits for this chunk's turn and adds.
// Where a chain paces the role, that passes them: test/Dialect/Sched/fuse-backward.test.

// CHECK: tile.kernel @pairs_kernel
// CHECK-SAME: grid 4 * sequences cluster 2
// CHECK: %[[TURNS:.*]] = tile.alloc : <4xf32>
// CHECK: tile.begin_turns %[[TURNS]]
// CHECK: %[[ID:.*]] = tile.block_id
// CHECK: tile.sync cluster
// CHECK: scf.for %[[USE:.*]] = %c0 to %[[COUNT:.*]] step
// CHECK: %[[PLACE:.*]] = arith.remui %[[ID]], %c2
// CHECK: %[[SECOND:.*]] = arith.cmpi ne, %[[PLACE]], %c0
// CHECK: scf.if %[[SECOND]] {
// CHECK: %[[NEXT:.*]] = arith.addi %[[USE]], %c1
// CHECK: tile.await_turns %[[TURNS]][%[[NEXT]]]
// CHECK: } else {
// CHECK: tile.pass_turns %[[TURNS]][%[[USE]]] to %c1
// CHECK: tile.store_rows {{.*}} added %[[SECOND]]

// Those of the last chunk, behind the loop.

// CHECK: scf.if
// CHECK: tile.pass_turns %[[TURNS]][%[[COUNT]]] to %c1
// CHECK: tile.sync cluster
