// RUN: wyvern-opt %wyvern_src/test/Dialect/Sched/Inputs/cluster.mlir -convert-sched-to-tile -canonicalize -cse | FileCheck %s
// RUN: wyvern-opt %wyvern_src/test/Dialect/Sched/Inputs/cluster.mlir | wyvern-opt | FileCheck %s --check-prefix=SCHED

// SCHED: sched.kernel "cluster_kernel" grid(heads = 2, split = 2 cluster, over = sequences)
// SCHED: sched.channel depth 1 fill warps across : <tensor<128x128xbf16>>
// SCHED: sched.role "sum" warps 4 registers 136 divided {

// Two blocks a head, each with half of the values. Rings that both fill hold all of them.

// CHECK: tile.kernel @cluster_kernel
// CHECK-SAME: grid 4 * sequences cluster 2 warps 16
// CHECK: %[[HALF_OF:.*]] = arith.constant dense<5.000000e-01> : tensor<64xf32, #tile.layout<warp>>
// CHECK: %[[KEYS:.*]] = tile.alloc_ring producers 1 consumers 8 : <2, [!tile.smem<64x128xbf16>, !tile.smem<64xf32>]>
// CHECK: %[[STATES:.*]] = tile.alloc_ring producers 4 consumers 4 across 2 : <1, [!tile.smem<128x128xbf16>], warps>
// CHECK: %[[ROWS:.*]] = tile.alloc_ring producers 4 consumers 8 across 2 : <2, [!tile.smem<64x128xbf16>], warps>
// CHECK: %[[PAIRS:.*]] = tile.alloc_ring producers 4 consumers 4 : <1, [!tile.smem<64x64xbf16>], warps>
// CHECK: %[[SUMS:.*]] = tile.alloc_ring producers 4 consumers 4 across 2 : <1, [!tile.smem<128xf32>], warps>
// CHECK: %[[RANK:.*]] = arith.remui %{{.*}}, %c2
// CHECK: tile.sync cluster

// The chain writes its part where it is in the whole tile, and sends it to the same place of the
// other block: of the state only what the divided role reads there, half of the key channels.

// CHECK: %[[S:.*]] = tile.acquire %[[STATES]]
// CHECK: %[[MINE:.*]] = tile.subview %[[S]][%[[RANK]]] : <128x128xbf16> -> <128x64xbf16>
// CHECK: tile.write transpose %{{.*}} to %[[MINE]]
// CHECK: tile.barrier proxy id 1
// CHECK-NEXT: tile.one_warp 0 {
// CHECK: %[[OTHER:.*]] = arith.remui %{{.*}}, %c2
// CHECK: %[[THEIRS:.*]] = tile.subview %[[MINE]][%[[OTHER]]] : <128x64xbf16> -> <64x64xbf16, of 128>
// CHECK: tile.send %[[THEIRS]] to %[[OTHER]] of %[[STATES]]
// CHECK: tile.commit %[[STATES]]{{.*}} bytes 8192
// CHECK: %[[X:.*]] = tile.acquire %[[ROWS]]
// CHECK: %[[PART:.*]] = tile.subview %[[X]][%[[RANK]]] : <64x128xbf16> -> <64x64xbf16>
// CHECK: tile.send %[[PART]]
// CHECK: tile.commit %[[ROWS]]{{.*}} bytes 8192

// Half of the key channels: rows of the state, columns of the keys and of what is stored.

// CHECK: %[[ALL:.*]] = tile.wait %[[STATES]]
// CHECK: %[[HALF:.*]] = tile.subview %[[ALL]][%[[RANK]]] : <128x128xbf16> -> <64x128xbf16, of 128>
// CHECK: tile.mma %{{.*}}, %[[HALF]] transpose_b : !tile.smem<64x128xbf16>, <64x128xbf16, of 128> -> <tensor<64x64xf32, #tile.layout<acc>>>
// CHECK: %[[K:.*]]:2 = tile.wait %[[KEYS]]
// CHECK: %[[COLUMNS:.*]] = tile.subview %[[K]]#0[%[[RANK]]] : <64x128xbf16> -> <64x64xbf16>
// CHECK: tile.mma %{{.*}}, %[[COLUMNS]] into
// CHECK: tile.store_rows %{{.*}} : tensor<64x64xbf16, #tile.layout<acc>>, <tensor<?x?x2x128xbf16>>

// A sum over these: each block sends the other its summand, with half of what both add, and adds
// up what there is in the blocks' order.

// CHECK: %[[SUM:.*]] = tile.reduce %{{.*}} dim 1
// CHECK: %[[SHARE:.*]] = arith.mulf %{{.*}}, %[[HALF_OF]]
// CHECK: %[[SUMMAND:.*]] = arith.addf %[[SUM]], %[[SHARE]]
// CHECK: tile.acquire %[[SUMS]]
// CHECK: %[[OWN:.*]] = tile.subview %{{.*}}[%[[RANK]]] : <128xf32> -> <64xf32>
// CHECK: tile.write %[[SUMMAND]] to %[[OWN]]
// CHECK: tile.send %[[OWN]] to %{{.*}} of %[[SUMS]]
// CHECK: tile.commit %[[SUMS]]{{.*}} bytes 256
// CHECK: %[[BOTH:.*]] = tile.wait %[[SUMS]]
// CHECK: %[[ONE:.*]] = tile.read
// CHECK: %[[TWO:.*]] = tile.read
// CHECK: %[[DOTS:.*]] = arith.addf %[[ONE]], %[[TWO]]
// CHECK: tile.release fenced %[[SUMS]]
// CHECK: arith.cmpi eq, %[[RANK]]
// CHECK-NEXT: scf.if
// CHECK-NEXT: tile.store_vector %[[DOTS]]

// What both make, the first one stores.

// CHECK: %[[FIRST:.*]] = arith.cmpi eq, %[[RANK]], %c0
// CHECK-NEXT: scf.if %[[FIRST]] {
// CHECK-NEXT: tile.store_rows

// No block ends before the others have written to it.

// CHECK: tile.sync cluster
// CHECK-NEXT: tile.await_kernels
// CHECK-NEXT: }
