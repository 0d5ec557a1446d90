// RUN: wyvern-opt %s -delta-form-wy -delta-pool-states | FileCheck %s
// RUN: wyvern-opt %s -delta-form-wy "-delta-pool-states=state-type=bf16 slot-type=i64 first-slot=1 keep" | FileCheck %s --check-prefix=OPTIONS
// RUN: wyvern-opt %s -delta-form-wy "-delta-pool-states=keep" | wyvern-opt | FileCheck %s --check-prefix=KEEP
// RUN: wyvern-opt %s -delta-form-wy -delta-pool-states -delta-stage | FileCheck %s --check-prefix=STAGED
// RUN: wyvern-opt %s -delta-form-wy -delta-pool-states -delta-stage -delta-segment=tokens=256 | FileCheck %s --check-prefix=SEGMENTS
// RUN: wyvern-opt %s -delta-form-wy "-delta-pool-states=keep first-slot=1" -delta-stage -delta-segment=tokens=256 -canonicalize | wyvern-opt | FileCheck %s --check-prefix=KEPT

// The pool takes the place of the states, under one name as argument and as result.

// CHECK-LABEL: func.func @layer_prefill
// CHECK-SAME: %[[cu:[^ ]*]]: tensor<?xi64> {delta.name = "cu_seqlens"}, %[[pool:[^ ]*]]: tensor<?x2x64x64xf32> {delta.name = "state"}
// CHECK-SAME: %[[read:[^ ]*]]: tensor<?xi32> {delta.name = "read_slots"}, %[[write:[^ ]*]]: tensor<?xi32> {delta.name = "write_slots"})
// CHECK-SAME: -> (tensor<?x?x2x64xbf16> {delta.name = "o"}, tensor<?x2x64x64xf32> {delta.name = "state"})
// CHECK: delta.chunk_scan forward chunk = 64 {{.*}} carry(%{{.*}} = %[[pool]][slot, head, _, _] : tensor<?x2x64x64xf32>) slots(%[[read]], %[[write]] : tensor<?xi32>, first = 0, else zeros) cu_seqlens(%[[cu]]

// OPTIONS-LABEL: func.func @layer_prefill_keep
// OPTIONS-SAME: tensor<?x2x64x64xbf16> {delta.name = "state"}
// OPTIONS-SAME: %[[keep:[^ ]*]]: tensor<?xi64> {delta.name = "keep_slots"}
// OPTIONS: carry(%{{.*}} = %{{.*}}[slot, head, _, _] : tensor<?x2x64x64xbf16>) slots(%{{.*}}, %{{.*}} : tensor<?xi64>, first = 1, else zeros) keep(%[[keep]] : tensor<?xi64>)

// KEEP: slots(%{{.*}}, %{{.*}} : tensor<?xi32>, first = 0, else zeros) keep(%{{.*}} : tensor<?xi32>) cu_seqlens(

// The map has no states. The chain has them where the whole program had.

// STAGED: delta.chunk_map
// STAGED-NOT: slots(
// STAGED: delta.chunk_scan {{.*}} slots(%{{.*}}, %{{.*}} : tensor<?xi32>, first = 0, else zeros)

// Of segments the scan over them begins and ends in slots, and no other.

// SEGMENTS-NOT: slots(
// SEGMENTS: delta.chunk_scan forward chunk = 256 {{.*}} carry(%{{.*}} = %{{.*}}[slot, head, _, _] : tensor<?x2x64x64xf32>) slots(%{{.*}}, %{{.*}} : tensor<?xi32>, first = 0, else zeros)
// SEGMENTS: delta.chunk_scan forward chunk = 64 {{.*}}[chunk * 4, head, _, _]
// SEGMENTS-NOT: slots(

// With states that are kept, the last chain keeps them, behind the scan over segments, in the pool that this has written: it is no carry there. Neither of the chains before does.

// KEPT: %[[keep:[^ ]*]]: tensor<?xi32> {delta.name = "keep_slots"}
// KEPT-NOT: keep(
// KEPT: %{{.*}}, %[[pool:.*]] = delta.chunk_scan forward chunk = 256 {{.*}} slots(%{{.*}}, %{{.*}} : tensor<?xi32>, first = 1, else zeros) cu_seqlens(
// KEPT-NOT: keep(
// KEPT: %[[o:.*]], %{{.*}}, %[[state:.*]] = delta.chunk_scan forward chunk = 64 {{.*}}[chunk * 4, head, _, _] : tensor<?x2x64x64xf32>) keep(%[[keep]] : tensor<?xi32>, first = 1) into(%[[pool]] : tensor<?x2x64x64xf32>) cu_seqlens(
// KEPT: return %[[o]], %[[state]]
func.func @layer(%q: tensor<?x?x1x64xbf16> {delta.name = "q"}, %k: tensor<?x?x1x64xbf16> {delta.name = "k"}, %v: tensor<?x?x2x64xbf16> {delta.name = "v"},
                 %b: tensor<?x?x2xf32> {delta.name = "beta"}, %s0: tensor<?x2x64x64xf32> {delta.name = "initial_state"}, %cu: tensor<?xi64> {delta.name = "cu_seqlens"})
    -> (tensor<?x?x2x64xbf16> {delta.name = "o"}, tensor<?x2x64x64xf32> {delta.name = "final_state"}) {
  %o, %sT = delta.recurrence query(%q) step(write %k erase %k value %v rate %b) initial_state(%s0) cu_seqlens(%cu) scale 0.125
    : tensor<?x?x1x64xbf16>, tensor<?x?x1x64xbf16>, tensor<?x?x1x64xbf16>, tensor<?x?x2x64xbf16>, tensor<?x?x2xf32>, tensor<?x2x64x64xf32>, tensor<?xi64>
    -> (tensor<?x?x2x64xbf16>, tensor<?x2x64x64xf32>)
  return %o, %sT : tensor<?x?x2x64xbf16>, tensor<?x2x64x64xf32>
}
