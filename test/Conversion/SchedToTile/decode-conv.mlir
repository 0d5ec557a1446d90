// RUN: wyvern-opt %s -delta-form-step=prologue=conv -canonicalize -cse -sched-decode -convert-sched-to-tile -canonicalize -cse | FileCheck %s

// Rows, windows and filters lie an element a thread, the latter two in shared memory; what is shared is what products read. The rows of the next token are
// loaded in front of the token. Two value heads of two blocks each read one window of a key head: they are a cluster, whose first block writes the
// next one when all have read. A block has the window of its own values alone.

// CHECK-LABEL: tile.kernel @delta_step_decode(
// CHECK-SAME: grid 4 * sequences cluster 4 warps 4 min_blocks 4
// CHECK-DAG: %[[scratch:.*]] = tile.alloc : <640xf32>
// CHECK-DAG: %[[place:.*]] = tile.alloc : <384xf32>
// CHECK-DAG: %[[c4:.*]] = arith.constant 4 : index
// CHECK: scf.if
// CHECK-DAG: tile.load_spread {{.*}} -> tensor<128x4xbf16, #tile.spread<[piece 1 lanes 32 step 1 warps 4, _]>>
// CHECK-DAG: tile.load_spread {{.*}} -> tensor<64x4xbf16, #tile.spread<[piece 1 lanes 32 step 1 warps 2, _]>>
// CHECK-DAG: tile.load_spread {{.*}} dims [1, 3] : {{.*}} -> tensor<3x128xbf16, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>
// CHECK: tile.load_spread {{.*}} -> tensor<64x128xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4, piece 4 lanes 8 step 1 warps 1]>>
// CHECK-COUNT-6: tile.keep
// CHECK: %[[last:.*]]:5 = scf.for %[[t:.*]] = %c0
// CHECK: %[[row:.*]] = arith.minui
// CHECK: tile.load_spread %{{.*}}[%{{.*}}, %[[row]], {{.*}} -> tensor<1x128xbf16, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>
// CHECK: %[[window:.*]] = tile.kept %[[w:.*]] : <384xf32>
// CHECK: %{{.*}}, %[[next:.*]] = tile.conv_row %{{.*}} behind %[[window]] filter
// CHECK: tile.keep %[[next]] in %[[w]]
// CHECK-COUNT-2: tile.conv_row
// CHECK: %[[half:.*]] = arith.remui %[[t]], %c2
// CHECK: %[[shared:.*]]:3 = tile.share_rows %{{.*}}, %{{.*}}, %{{.*}} half %[[half]] through %[[scratch]]
// CHECK: tile.contract %[[shared]]#
// CHECK: tile.cluster_arrive
// CHECK: tile.store_spread %[[last]]#0
// CHECK: tile.store_spread {{.*}} : tensor<3x64xbf16, #tile.spread<[_, piece 1 lanes 32 step 1 warps 2]>>
// CHECK: tile.cluster_wait
// CHECK: arith.remui %{{.*}}, %[[c4]]
// CHECK: scf.if
// CHECK: tile.store_spread {{.*}} : tensor<3x128xbf16, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>
func.func @delta(%q: tensor<?x?x1x128xbf16> {delta.name = "q"}, %k: tensor<?x?x1x128xbf16> {delta.name = "k"}, %v: tensor<?x?x2x128xbf16> {delta.name = "v"},
    %b: tensor<?x?x2xf32> {delta.name = "beta"}) -> (tensor<?x?x2x128xbf16> {delta.name = "o"}, tensor<?x2x128x128xf32> {delta.name = "final_state"}) {
  %o, %sT = delta.recurrence query(%q) step(write %k erase %k value %v rate %b) scale 1.0
    : tensor<?x?x1x128xbf16>, tensor<?x?x1x128xbf16>, tensor<?x?x1x128xbf16>, tensor<?x?x2x128xbf16>, tensor<?x?x2xf32>
    -> (tensor<?x?x2x128xbf16>, tensor<?x2x128x128xf32>)
  return %o, %sT : tensor<?x?x2x128xbf16>, tensor<?x2x128x128xf32>
}
