// RUN: wyvern-opt %s -delta-form-step=prologue=conv -canonicalize -cse -sched-decode -convert-sched-to-tile -canonicalize -cse | FileCheck %s
// RUN: wyvern-opt %s "-delta-form-step=prologue=conv,norm,rates" -canonicalize -cse -sched-decode=few -convert-sched-to-tile -canonicalize -cse | FileCheck %s --check-prefix=FEW

// Rows, windows and filters lie an element a thread; what is shared is what products read. Rows and filters are loaded before the slot is waited for,
// those of a draft's first four tokens too, which are kept as they came. A step of one token has windows and filters in registers. A draft has them in
// shared memory, and convolves the rows of four tokens at once, later of two; a window stays behind the last token. Two value heads of two blocks each
// read one window of a key head: they are a cluster, whose first block writes the next one when all have used theirs. A block has the window of its
// own values alone.

// CHECK-LABEL: tile.kernel @delta_step_decode(
// CHECK-SAME: grid 4 * sequences cluster 4 warps 4 min_blocks 4
// CHECK-DAG: %[[rows:.*]] = tile.alloc : <4x324xf32>
// CHECK-DAG: tile.alloc : <384xf32>
// CHECK-DAG: %[[c4:.*]] = arith.constant 4 : index
// CHECK: %[[slot:.*]] = tile.load_index {{.*}} {tile.asked_first}
// CHECK: scf.if
// CHECK-DAG: tile.load_spread {{.*}} -> tensor<128x4xbf16, #tile.spread<[piece 1 lanes 32 step 1 warps 4, _]>>
// CHECK-DAG: tile.load_spread {{.*}} -> tensor<64x4xbf16, #tile.spread<[piece 1 lanes 32 step 1 warps 2, _]>>
// CHECK-DAG: tile.load_spread {{.*}} {tile.asked_first} : {{.*}} -> tensor<1x128xbf16, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>
// CHECK: arith.cmpi ugt
// CHECK: scf.if
// CHECK-COUNT-16: tile.load_spread
// CHECK-COUNT-16: tile.keep
// CHECK: arith.cmpi sge, %[[slot]]
// CHECK: scf.if
// CHECK-DAG: tile.load_spread {{.*}} dims [1, 3] {tile.addressed_first} : {{.*}} -> tensor<3x128xbf16, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>
// CHECK: %[[S:.*]] = tile.load_spread {{.*}} -> tensor<64x128xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4, piece 4 lanes 8 step 1 warps 1]>>
// CHECK: scf.if
// CHECK-COUNT-3: tile.conv_row
// CHECK: tile.put_rows {{.*}} at %c0 in %[[rows]]
// CHECK-NEXT: tile.meet
// CHECK-NEXT: tile.cluster_arrive of_reads
// CHECK-NEXT: %[[first:.*]]:4 = tile.get_rows at %c0 in %[[rows]]
// CHECK: tile.contract %[[first]]#
// CHECK: tile.store_spread {{.*}} dims [2, 3]
// CHECK: tile.store_spread {{.*}} : tensor<3x64xbf16, #tile.spread<[_, piece 1 lanes 32 step 1 warps 2]>>
// CHECK: tile.cluster_wait
// CHECK: arith.remui %{{.*}}, %[[c4]]
// CHECK: scf.if
// CHECK: tile.store_spread {{.*}} : tensor<3x128xbf16, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>
// CHECK: } else {
// CHECK-COUNT-6: tile.keep
// CHECK-NEXT: tile.cluster_arrive of_reads
// CHECK-COUNT-16: tile.kept
// CHECK: %[[window:.*]] = tile.kept %{{.*}} : <384xf32>
// CHECK: %{{.*}}, %[[next:.*]] = tile.conv_row %{{.*}} behind %[[window]] filter
// CHECK: %[[counts:.*]] = arith.cmpi ugt, %[[count:[^ ]+]], %c0
// CHECK: %[[behind:.*]] = arith.select %[[counts]], %[[next]], %[[window]]
// CHECK: tile.conv_row %{{.*}} behind %[[behind]] filter
// CHECK-COUNT-10: tile.conv_row
// CHECK-COUNT-4: tile.put_rows
// CHECK-NEXT: tile.meet
// CHECK: scf.for %[[t:.*]] = %c0 to %[[count]] step
// CHECK: scf.if
// CHECK-COUNT-8: tile.load_spread
// CHECK: tile.meet
// CHECK-COUNT-6: tile.conv_row
// CHECK-COUNT-2: tile.put_rows
// CHECK-NEXT: tile.meet
// CHECK: tile.get_rows
// CHECK: tile.cluster_wait

// Where sequences are few, a call of one token has its own way from the slot on. Windows are asked for in front of a branch and the state behind it, and a rate,
// which waits for neither, is made in front of the rows. What does not count is copied apart from it. Another call asks for the slot otherwise. No division branches.

// FEW-LABEL: tile.kernel @delta_step_decode(
// FEW-NOT: tile.load_index
// FEW: tile.await_kernels
// FEW-NEXT: tile.release_kernels
// FEW: %[[isOne:.*]] = arith.cmpi eq, %{{.*}}, %c1
// FEW: scf.if %[[isOne]] {
// FEW: %[[slot:.*]] = tile.load_index {{.*}} {tile.asked_cached, tile.asked_first}
// FEW-COUNT-7: tile.load_spread {{.*}} {tile.asked_cached, tile.asked_first}
// FEW: %[[counts:.*]] = arith.cmpi ne
// FEW: %[[valid:.*]] = arith.cmpi sge, %[[slot]]
// FEW-NEXT: scf.if %[[valid]] {
// FEW-COUNT-3: tile.load_spread %{{.*}}[%[[slot]], {{.*}} {tile.addressed_first, tile.asked_cached, tile.asked_first} {{.*}} -> tensor<3x
// FEW-NEXT: scf.if %[[counts]] {
// FEW-NEXT: tile.load_spread %{{.*}}[%[[slot]], {{.*}} {tile.addressed_first, tile.asked_first} {{.*}} -> tensor<32x128xf32
// FEW: %[[rate:.*]] = arith.divf {{.*}} {tile.without_branch}
// FEW-COUNT-3: tile.conv_row
// FEW: tile.put_rows {{.*}} {tile.without_branch}
// FEW: tile.rearrange %[[rate]]
// FEW: tile.store_spread {{.*}} {tile.addressed_first}
// FEW: tile.cluster_wait
// FEW: } {tile.addressed_within}
// FEW-NEXT: }
// FEW: %[[padding:.*]] = arith.cmpi slt, %[[slot]]
// FEW: %[[left:.*]] = arith.ori %[[padding]]
// FEW-NEXT: scf.if %[[left]] {
// FEW-NEXT: scf.for
// FEW-NEXT: tile.store_spread
// FEW: scf.if %[[valid]] {
// FEW-COUNT-4: tile.load_spread
// FEW-NEXT: tile.cluster_arrive of_reads
// FEW: tile.cluster_wait
// FEW: } else {
// FEW: tile.load_index {{.*}} {tile.asked_first}
// FEW: tile.keep
// FEW: tile.put_rows {{.*}} in %{{[0-9]+}} :
// FEW: arith.divf {{.*}} {tile.without_branch}

func.func @delta(%q: tensor<?x?x1x128xbf16> {delta.name = "q"}, %k: tensor<?x?x1x128xbf16> {delta.name = "k"}, %v: tensor<?x?x2x128xbf16> {delta.name = "v"},
    %b: tensor<?x?x2xf32> {delta.name = "beta"}) -> (tensor<?x?x2x128xbf16> {delta.name = "o"}, tensor<?x2x128x128xf32> {delta.name = "final_state"}) {
  %o, %sT = delta.recurrence query(%q) step(write %k erase %k value %v rate %b) scale 1.0
    : tensor<?x?x1x128xbf16>, tensor<?x?x1x128xbf16>, tensor<?x?x1x128xbf16>, tensor<?x?x2x128xbf16>, tensor<?x?x2xf32>
    -> (tensor<?x?x2x128xbf16>, tensor<?x2x128x128xf32>)
  return %o, %sT : tensor<?x?x2x128xbf16>, tensor<?x2x128x128xf32>
}
