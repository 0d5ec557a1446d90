// RUN: wyvern-opt %wyvern_src/test/Dialect/Sched/Inputs/pairs.mlir -convert-sched-to-tile -canonicalize -cse | FileCheck %s
// RUN: wyvern-opt %wyvern_src/test/Dialect/Sched/Inputs/pairs.mlir | wyvern-opt | FileCheck %s --check-prefix=SCHED

// SCHED: sched.kernel "pairs_kernel" grid(heads = 4 in pairs, split = 1, over = sequences)

// The blocks of a pair of heads are a cluster. Each sends the other one's half of the columns there,
// rounded as it would be stored, and stores the sum of its own.

// CHECK: tile.kernel @pairs_kernel
// CHECK-SAME: grid 4 * sequences cluster 2
// CHECK: %[[HALVES:.*]] = tile.alloc_ring producers 4 consumers 4 across 2 : <1, [!tile.smem<64x64xbf16>], warps>
// CHECK: %[[ID:.*]] = tile.block_id
// CHECK: tile.sync cluster
// CHECK: scf.for %[[USE:[^ ]*]] =
// CHECK: %[[ROUNDED:.*]] = arith.truncf
// CHECK: %[[OWN:.*]] = arith.remui %[[ID]], %c2
// CHECK: %[[OTHER:.*]] = arith.subi %c1, %[[OWN]]
// CHECK: %[[PLACE:.*]] = tile.acquire %[[HALVES]][%[[USE]]]
// CHECK: tile.send_columns %[[ROUNDED]][%[[OTHER]]] to %[[OTHER]] by %[[PLACE]] of %[[HALVES]][%[[USE]]]
// CHECK: tile.commit %[[HALVES]][%[[USE]]] bytes 8192
// CHECK: %[[SENT:.*]] = tile.wait %[[HALVES]][%[[USE]]]
// CHECK: %[[SUM:.*]] = tile.add_columns %[[ROUNDED]][%[[OWN]]], %[[SENT]]
// CHECK: tile.release fenced %[[HALVES]][%[[USE]]]
// CHECK: %[[START:.*]] = arith.muli %[[OWN]], %c64
// CHECK: tile.store_rows %[[SUM]] to %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}, %[[START]]] dim 1
// CHECK: tile.sync cluster
