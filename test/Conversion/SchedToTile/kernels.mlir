// RUN: wyvern-opt %s -wyvern-to-rounded -sched-separate -convert-sched-to-tile -split-input-file | FileCheck %s
// RUN: wyvern-opt %s -wyvern-to-rounded -sched-separate=stages=3 -convert-sched-to-tile -split-input-file | FileCheck %s --check-prefix=STAGES

// The map: a block a chunk and head. Keys are loaded by TMA, rates by the producer
// warp; rows past the end are overwritten; masks come after the product.

// CHECK-LABEL: tile.kernel @delta_net_map
// CHECK-SAME: %[[q:[a-z0-9]+]]: !tile.tensor_map<tensor<?x?x2x128xbf16>, box = [1, 64, 1, 64]>, %[[k:[a-z0-9]+]]: !tile.tensor_map<tensor<?x?x2x128xbf16>, box = [1, 64, 1, 64]>, %[[beta:[a-z0-9]+]]: !tile.global<tensor<?x?x4xf32>>
// CHECK-SAME: grid 4 * slots warps 5
// CHECK-SAME: operands ["q", "k", "beta", "workspace_0", "workspace_1", "cu_seqlens", "tokens", "sequences"]
// CHECK: %[[ring:.*]] = tile.alloc_ring producers 1 consumers 4 : <1, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64xf32>]>
// CHECK: tile.find_chunk
// CHECK: tile.sequence
// CHECK: tile.sync
// CHECK: tile.roles warps [4, 1] {
// CHECK: %[[t:.*]]:3 = tile.wait %[[ring]]
// CHECK: scf.if
// CHECK: tile.zero_rows %[[t]]#0
// CHECK: tile.zero_rows %[[t]]#1
// CHECK: tile.barrier proxy id 1
// CHECK: tile.mma %[[t]]#0, %[[t]]#1 transpose_b
// CHECK: arith.cmpi ule,
// CHECK: tile.store_rows
// CHECK: %[[KKf:.*]] = tile.mma %[[t]]#1, %[[t]]#1 transpose_b
// CHECK: %[[KK:.*]] = tile.await %[[KKf]]
// CHECK: %[[before:.*]] = arith.cmpi ult,
// CHECK: %[[L:.*]] = arith.select %[[before]], %[[KK]], %{{.*}}
// CHECK: %[[c:.*]] = tile.read %[[t]]#2 : <64xf32> -> tensor<64xf32, #tile.layout<warp>>
// CHECK: %[[B:.*]] = tile.erase_strips %[[L]], %[[c]]
// CHECK: %[[Z:.*]] = tile.erase_join %[[B]]
// CHECK: tile.barrier proxy
// CHECK: %[[Zb:.*]] = tile.read %[[Z]]
// CHECK: %[[Zf:.*]] = arith.extf %[[Zb]]
// CHECK: %[[Zr:.*]] = arith.truncf %[[Zf]]
// CHECK: tile.store_rows %[[Zr]] to
// CHECK: tile.release %[[ring]]
// CHECK: }, {
// CHECK: %[[t:.*]]:3 = tile.acquire %[[ring]]
// CHECK: tile.load %[[q]][{{.*}}] to %[[t]]#0
// CHECK: tile.load %[[k]][{{.*}}] to %[[t]]#1
// CHECK: tile.load_vector %[[beta]][{{.*}}] dim 1 valid %{{.*}} to %[[t]]#2
// CHECK: tile.commit %[[ring]]

// The chain: the transposed state in registers, 64 of its 128 value rows a block,
// so two blocks for each of four heads. Every product has values as its rows: an
// accumulator is the next product's A, and B is always an in.

// CHECK-LABEL: tile.kernel @delta_net_scan
// CHECK-SAME: grid 8 * sequences warps 5
// CHECK-SAME: operands ["q", "k", "v", "beta", "workspace_0", "workspace_1", "o", "initial_state", "final_state", "cu_seqlens", "tokens", "sequences"]
// CHECK: tile.alloc_ring producers 1 consumers 4 : <2, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
// CHECK: tile.roles warps [4, 1] {
// CHECK: %[[s0:.*]] = tile.load_matrix %{{.*}} dims [3, 2] : <tensor<?x4x128x128xf32>, optional = true> -> tensor<64x128xf32, #tile.layout<acc>>
// CHECK: %[[sT:.*]] = scf.for {{.*}} iter_args(%[[S:.*]] = %[[s0]])
// CHECK: %[[t:.*]]:6 = tile.wait
// CHECK: %[[Sb:.*]] = arith.truncf %[[S]]
// CHECK: %[[KS:.*]] = tile.mma %[[Sb]], %[[t]]#1 transpose_b : tensor<64x128xbf16, #tile.layout<acc>>
// CHECK: %[[V:.*]] = tile.read transpose %[[t]]#2
// CHECK: %[[W:.*]] = arith.subf
// CHECK: %[[c:.*]] = tile.read %[[t]]#3 : <64xf32> -> tensor<64xf32, #tile.layout<col>>
// CHECK: %[[R:.*]] = tile.erase_apply %[[W]], %[[t]]#4, %[[c]]
// CHECK: %[[C:.*]] = tile.broadcast %[[c]]
// CHECK: tile.mma %[[Sb]], %[[t]]#0 transpose_b
// CHECK: tile.mma %[[Ub:.*]], %[[t]]#5 transpose_b into
// CHECK: tile.store_rows transpose
// CHECK: %[[Sn:.*]] = tile.mma %[[Ub]], %[[t]]#1 into %[[S]]
// CHECK: %[[Sx:.*]] = tile.await %[[Sn]]
// CHECK: scf.yield %[[Sx]]
// CHECK: tile.store_matrix %[[sT]] to %{{.*}} dims [3, 2]
// CHECK: tile.zero_fill
// CHECK: }, {
// CHECK: tile.acquire

// STAGES-LABEL: tile.kernel @delta_net_map
// STAGES: tile.alloc_ring producers 1 consumers 4 : <1,
// STAGES-LABEL: tile.kernel @delta_net_scan
// STAGES: tile.alloc_ring producers 1 consumers 4 : <3,
func.func @delta_net(%q: tensor<?x?x2x128xbf16> {delta.name = "q"}, %k: tensor<?x?x2x128xbf16> {delta.name = "k"}, %v: tensor<?x?x4x128xbf16> {delta.name = "v"},
    %beta: tensor<?x?x4xf32> {delta.name = "beta"}, %s0: tensor<?x4x128x128xf32> {delta.name = "initial_state"}, %cu: tensor<?xi64> {delta.name = "cu_seqlens"})
    -> (tensor<?x?x4x128xbf16> {delta.name = "o"}, tensor<?x4x128x128xf32> {delta.name = "final_state"}) {
  %o, %sT = delta.recurrence query(%q) step(write %k erase %k value %v rate %beta) initial_state(%s0) cu_seqlens(%cu) scale 0.5
    : tensor<?x?x2x128xbf16>, tensor<?x?x2x128xbf16>, tensor<?x?x2x128xbf16>, tensor<?x?x4x128xbf16>, tensor<?x?x4xf32>, tensor<?x4x128x128xf32>, tensor<?xi64>
    -> (tensor<?x?x4x128xbf16>, tensor<?x4x128x128xf32>)
  return %o, %sT : tensor<?x?x4x128xbf16>, tensor<?x4x128x128xf32>
}

// -----

// One gate a head. Sums are in units of log 2, which pairs of tokens then are too; the
// mask selects behind the product, which may be no number where it drops it. e^a crosses
// as a vector, whose last valid row is the decay of a whole chunk.

// CHECK-LABEL: tile.kernel @gated_map
// CHECK: tile.cumsum %
// CHECK: %[[a:.*]] = tile.cumsum %
// CHECK: %[[log2e:.*]] = arith.constant dense<1.442695
// CHECK: %[[a2:.*]] = arith.mulf %[[a]], %[[log2e]] : tensor<64xf32, #tile.layout<warp>>
// CHECK: tile.relayout %[[a2]]
// CHECK: %[[x:.*]] = arith.subf
// CHECK: %[[decay:.*]] = math.exp2 %[[x]]
// CHECK: %[[product:.*]] = arith.mulf %{{.*}}, %[[decay]]
// CHECK: arith.select %{{.*}}, %[[product]],
// CHECK-NOT: tile.cumsum %
// CHECK: tile.cumsum reverse exclusive
// CHECK-LABEL: tile.kernel @gated_scan
// CHECK: %[[valid:.*]] = arith.minui
// CHECK: %[[t:.*]]:8 = tile.wait
// CHECK: %[[last:.*]] = arith.subi %{{.*}}, %c1
// CHECK: %[[eaC:.*]] = tile.read_element %[[t]]#4[%[[last]]] : <64xf32>
// CHECK: tile.broadcast %[[eaC]] : f32 -> tensor<64x64xf32, #tile.layout<acc>>
func.func @gated(%q: tensor<?x?x1x64xbf16> {delta.name = "q"}, %g: tensor<?x?x1xf32> {delta.name = "g"}, %k: tensor<?x?x1x64xbf16> {delta.name = "k"},
    %v: tensor<?x?x1x64xbf16> {delta.name = "v"}, %beta: tensor<?x?x1xf32> {delta.name = "beta"}, %s0: tensor<?x1x64x64xf32> {delta.name = "initial_state"})
    -> (tensor<?x?x1x64xbf16> {delta.name = "o"}, tensor<?x1x64x64xf32> {delta.name = "final_state"}) {
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %k erase %k value %v rate %beta) initial_state(%s0) scale 1.0
    : tensor<?x?x1x64xbf16>, tensor<?x?x1xf32>, tensor<?x?x1x64xbf16>, tensor<?x?x1x64xbf16>, tensor<?x?x1x64xbf16>, tensor<?x?x1xf32>, tensor<?x1x64x64xf32>
    -> (tensor<?x?x1x64xbf16>, tensor<?x1x64x64xf32>)
  return %o, %sT : tensor<?x?x1x64xbf16>, tensor<?x1x64x64xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// A program that no recurrence gives, with the state the other way around (values
// first) and both operands of its update swapped: the same orientation is found.
// No map, an out that is squared, a carry scaled by a constant.

// CHECK-LABEL: tile.kernel @free_form_scan
// CHECK-SAME: grid 2 * sequences warps 5
// CHECK-NOT: tile.kernel
// CHECK: %[[s0:.*]] = tile.load_matrix %{{.*}} dims [2, 3] : <tensor<?x2x64x128xf32>, optional = true> -> tensor<64x128xf32, #tile.layout<acc>>
// CHECK: scf.for {{.*}} iter_args(%[[S:.*]] = %[[s0]])
// CHECK: %[[t:.*]]:2 = tile.wait
// CHECK: %[[Sb:.*]] = arith.truncf %[[S]]
// CHECK: %[[SX:.*]] = tile.mma %[[Sb]], %[[t]]#0 transpose_b
// CHECK: %[[P:.*]] = tile.await %[[SX]]
// CHECK: %[[PP:.*]] = arith.mulf %[[P]], %[[P]]
// CHECK: tile.store_rows transpose
// CHECK: %[[Y:.*]] = tile.read transpose %[[t]]#1
// CHECK: arith.subf %{{.*}}, %[[P]]
// CHECK: %[[W:.*]] = arith.truncf
// CHECK: %[[half:.*]] = arith.constant dense<5.000000e-01> : tensor<64x128xf32, #tile.layout<acc>>
// CHECK: %[[hS:.*]] = arith.mulf %{{.*}} : tensor<64x128xf32, #tile.layout<acc>>
// CHECK: tile.mma %[[W]], %[[t]]#0 into %[[hS]]
func.func @free_form(%x: tensor<?x?x2x128xbf16> {delta.name = "x"}, %y: tensor<?x?x2x64xbf16> {delta.name = "y"}, %s0: tensor<?x2x64x128xf32> {delta.name = "initial_state"})
    -> (tensor<?x?x2x64xbf16> {delta.name = "o"}, tensor<?x2x64x128xf32> {delta.name = "final_state"}) {
  %o, %sT = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x2x128xbf16>, %Y = %y[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x2x64x128xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x64xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    %half = arith.constant dense<0.5> : tensor<64x128xf32>
    %P = linalg.contract indexing_maps = [#mk, #nk, #mn] ins(%X, %S : tensor<64x128xf32>, tensor<64x128xf32>) outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
    %PP = arith.mulf %P, %P : tensor<64x64xf32>
    %W = arith.subf %Y, %P : tensor<64x64xf32>
    %hS = arith.mulf %S, %half : tensor<64x128xf32>
    %S1 = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%W, %X : tensor<64x64xf32>, tensor<64x128xf32>) outs(%hS : tensor<64x128xf32>) -> tensor<64x128xf32>
    delta.yield outs(%PP : tensor<64x64xf32>) carry(%S1 : tensor<64x128xf32>)
  }
  return %o, %sT : tensor<?x?x2x64xbf16>, tensor<?x2x64x128xf32>
}
