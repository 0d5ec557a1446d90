// RUN: wyvern-opt %s -delta-form-step -canonicalize -cse -sched-decode=rows=0 -convert-sched-to-tile -canonicalize -cse -split-input-file | FileCheck %s
// RUN: wyvern-opt %s -delta-form-step -canonicalize -cse -sched-decode -convert-sched-to-tile -canonicalize -cse -split-input-file | FileCheck %s --check-prefix=DRAFT
// RUN: wyvern-opt %s -delta-form-step -canonicalize -cse -sched-decode=few -convert-sched-to-tile -canonicalize -cse -split-input-file | FileCheck %s --check-prefix=FEW
// RUN: wyvern-opt %s -delta-form-step -canonicalize -cse -sched-decode=rows=3 -convert-sched-to-tile -canonicalize -cse -split-input-file | FileCheck %s --check-prefix=ODD
// RUN: wyvern-opt %s -delta-form-step=layout=kv -canonicalize -cse -sched-decode -convert-sched-to-tile -canonicalize -cse -split-input-file | FileCheck %s --check-prefix=KV
// RUN: wyvern-opt %s "-delta-form-step=layout=kv state-type=bf16" -canonicalize -cse -sched-decode -convert-sched-to-tile -canonicalize -cse -split-input-file | FileCheck %s --check-prefix=BF

// Eight lanes share the rows of 128 that are summed over, in pieces of 16 bytes; padding
// and what no slot is there for are told by numbers; the tail of o is zeroed.

// CHECK: #[[mk:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-LABEL: func.func @delta_step
// CHECK: tile.launch @delta_step_decode chunk 1 {{.*}} indices(%{{.*}}, %{{.*}}, %{{.*}} : tensor<?xi32>, tensor<?xi32>, tensor<?xi32>)
// CHECK: tile.kernel @delta_step_decode(%[[q:[^:]*]]: !tile.global<tensor<?x?x2x128xbf16>, contiguous = true>
// CHECK-SAME: grid 4 * sequences warps 4 min_blocks 4
// CHECK-SAME: "state", "state", "read_slots", "write_slots", "lengths", "cu_seqlens", "tokens", "sequences"
// CHECK-DAG: %[[zeros:.*]] = arith.constant dense<0.000000e+00> : tensor<1x64xbf16, #tile.spread<[_, piece 1 lanes 4 step 8 warps 4]>>
// CHECK-DAG: %[[slot:.*]] = tile.load_index %{{.*}}[%[[n:.*]]] else %c-1 {tile.asked_first} : <tensor<?xi32>, contiguous = true>
// CHECK-DAG: %[[write:.*]] = tile.load_index %{{.*}}[%[[n]]] else %c-1 : <tensor<?xi32>, optional = true, contiguous = true>
// CHECK: %[[valid:.*]] = arith.cmpi sge, %[[slot]], %c0
// CHECK: scf.if %[[valid]] {
// CHECK-NEXT: %[[S:.*]] = tile.load_spread %[[pool:.*]][%[[slot]], %[[head:.*]], %{{.*}}, %c0] dims [2, 3]
// CHECK-SAME: -> tensor<64x128xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4, piece 4 lanes 8 step 1 warps 1]>>
// CHECK-NEXT: %[[last:.*]] = scf.for {{.*}} iter_args(%{{.*}} = %[[S]])
// CHECK: %[[Q:.*]] = tile.load_spread %[[q]]
// CHECK: tile.contract {{.*}} maps [#[[mk]]
// CHECK: tile.store_spread
// CHECK: scf.yield
// CHECK: arith.cmpi sge, %[[write]], %c0
// CHECK: tile.store_spread %[[last]] to %{{.*}}[%[[write]], %[[head]],
// CHECK: scf.for
// CHECK-NEXT: tile.store_spread %[[zeros]]

// A step of one token has each thread load its own rows. The rows of a draft's first four tokens come through shared memory in front of the slot
// and the state, behind the last token its own again; later those of two at once, of one where the place has an odd number. Only what the slot is multiplied with comes behind the branch.
// DRAFT-LABEL: tile.kernel @delta_step_decode
// DRAFT: %[[place:.*]] = tile.alloc : <4x324xf32>
// DRAFT: %[[slot:.*]] = tile.load_index %{{.*}} {tile.asked_first}
// DRAFT: %[[isDraft:.*]] = arith.cmpi ugt, %[[tokens:[^ ]+]], %c1
// DRAFT: scf.if %[[isDraft]]
// DRAFT: %[[most:.*]] = arith.subi %[[tokens]], %c1
// DRAFT-COUNT-8: tile.load_spread
// DRAFT: arith.minui %[[most]], %c2
// DRAFT-COUNT-8: tile.load_spread
// DRAFT-NOT: tile.meet
// DRAFT-COUNT-4: tile.put_rows
// DRAFT-NEXT: tile.meet
// DRAFT: %[[valid:.*]] = arith.cmpi sge, %[[slot]], %c0
// DRAFT: scf.if %[[valid]]
// DRAFT-NEXT: %[[S:.*]] = tile.load_spread {{.*}} dims [2, 3] {tile.addressed_first} : {{.*}} -> tensor<64x128xf32
// DRAFT: %[[one:.*]] = arith.cmpi eq, %[[tokens]], %c1
// DRAFT: %[[counts:.*]] = arith.cmpi eq, %[[count:[^ ]+]], %c1
// DRAFT: %[[isStep:.*]] = arith.andi %[[one]], %[[counts]]
// DRAFT: scf.if %[[isStep]]
// DRAFT-NOT: scf.for
// DRAFT: tile.load_spread {{.*}} -> tensor<1x128xbf16, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>>
// DRAFT: tile.store_spread {{.*}} dims [2, 3] : tensor
// DRAFT: } else {
// DRAFT: scf.for %[[t:.*]] = %c0 to %[[count]] step %c1 iter_args(%{{.*}} = %[[S]])
// DRAFT: %[[odd:.*]] = arith.remui %[[t]], %c2
// DRAFT: %[[begins:.*]] = arith.cmpi eq, %[[odd]], %c0
// DRAFT: %[[isLater:.*]] = arith.cmpi uge, %[[t]], %c4
// DRAFT: %[[isFirst:.*]] = arith.andi %[[begins]], %[[isLater]]
// DRAFT: scf.if %[[isFirst]]
// DRAFT: %[[last:.*]] = arith.subi %[[count]], %c1
// DRAFT: arith.minui %[[t]], %[[last]]
// DRAFT-COUNT-8: tile.load_spread
// DRAFT: tile.meet
// DRAFT-COUNT-2: tile.put_rows
// DRAFT: tile.meet
// DRAFT: %[[entry:.*]] = arith.remui %[[t]], %c4
// DRAFT: %[[rows:.*]]:4 = tile.get_rows at %[[entry]] in %[[place]] : <4x324xf32> -> tensor<1x128xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>>
// DRAFT: tile.contract
// DRAFT: tile.store_spread {{.*}} dims [2, 3]

// ODD-LABEL: tile.kernel @delta_step_decode
// ODD: tile.alloc : <3x324xf32>
// ODD: scf.for %[[t:.*]] = %c0 to
// ODD-NEXT: %[[isLater:.*]] = arith.cmpi uge, %[[t]], %c3
// ODD-NEXT: scf.if %[[isLater]]
// ODD-COUNT-4: tile.load_spread
// ODD: tile.meet
// ODD-COUNT-1: tile.put_rows
// ODD-NEXT: tile.meet

// A kernel for few sequences has half of the elements a thread, and addresses of what it stores in front as well. Its slot may come from the first level of caches.
// It begins beside the end of the kernel before, and the next one beside its own.
// FEW-LABEL: tile.kernel @delta_step_decode
// FEW-SAME: grid 8 * sequences warps 4
// FEW: tile.await_kernels
// FEW-NEXT: tile.release_kernels
// FEW: tile.load_index {{.*}} {tile.asked_cached, tile.asked_first}
// FEW: scf.if %{{.*}} {
// FEW: tile.load_spread {{.*}} {tile.addressed_first} : {{.*}} -> tensor<32x128xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4, piece 4 lanes 8 step 1 warps 1]>>
// FEW: tile.store_spread {{.*}} dims [1, 3] {tile.addressed_first}
// FEW: tile.store_spread {{.*}} dims [2, 3] {tile.addressed_first}
// FEW: } else {
// FEW: scf.for
// FEW: tile.store_spread {{.*}} dims [2, 3] :

// What is summed over lies across lanes, whose pieces are of the other dimension.
// KV: tile.load_spread {{.*}} -> tensor<128x64xf32, #tile.spread<[piece 1 lanes 8 step 4 warps 1, piece 4 lanes 4 step 1 warps 4]>>

// Pieces of eight: more lanes along the sum, so that four warps have 64 columns.
// BF: tile.load_spread {{.*}} -> tensor<128x64xbf16, #tile.spread<[piece 1 lanes 16 step 2 warps 1, piece 8 lanes 2 step 1 warps 4]>>
// BF: arith.extf
func.func @delta(%q: tensor<?x?x2x128xbf16> {delta.name = "q"}, %k: tensor<?x?x2x128xbf16> {delta.name = "k"}, %v: tensor<?x?x2x128xbf16> {delta.name = "v"},
    %b: tensor<?x?x2xf32> {delta.name = "beta"}) -> (tensor<?x?x2x128xbf16> {delta.name = "o"}, tensor<?x2x128x128xf32> {delta.name = "final_state"}) {
  %o, %sT = delta.recurrence query(%q) step(write %k erase %k value %v rate %b) scale 1.0
    : tensor<?x?x2x128xbf16>, tensor<?x?x2x128xbf16>, tensor<?x?x2x128xbf16>, tensor<?x?x2x128xbf16>, tensor<?x?x2xf32>
    -> (tensor<?x?x2x128xbf16>, tensor<?x2x128x128xf32>)
  return %o, %sT : tensor<?x?x2x128xbf16>, tensor<?x2x128x128xf32>
}

// -----

// Two rows a token are solved for by every thread.

// CHECK-LABEL: tile.kernel @product_step_decode
// CHECK: tile.solve_rows %{{.*}}, %{{.*}}, %{{.*}} : tensor<2x2xf32, #tile.spread<[_, _]>>, tensor<2xf32, #tile.spread<[_]>>, tensor<2x32xf32,
func.func @product(%q: tensor<?x?x2x128xbf16> {delta.name = "q"}, %k: tensor<?x?x2x128xbf16> {delta.name = "k"}, %v: tensor<?x?x2x128xbf16> {delta.name = "v"},
    %b: tensor<?x?x2xf32> {delta.name = "beta"}) -> (tensor<?x?x2x128xbf16> {delta.name = "o"}, tensor<?x2x128x128xf32> {delta.name = "final_state"}) {
  %o, %sT = delta.recurrence query(%q) step(write %k erase %k value %v rate %b repeat 2) scale 1.0
    : tensor<?x?x2x128xbf16>, tensor<?x?x2x128xbf16>, tensor<?x?x2x128xbf16>, tensor<?x?x2x128xbf16>, tensor<?x?x2xf32>
    -> (tensor<?x?x2x128xbf16>, tensor<?x2x128x128xf32>)
  return %o, %sT : tensor<?x?x2x128xbf16>, tensor<?x2x128x128xf32>
}
