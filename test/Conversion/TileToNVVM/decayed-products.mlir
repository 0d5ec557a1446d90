// RUN: wyvern-opt %s -convert-tile-to-nvvm | FileCheck %s

// A lane asks for its rows of the first two panels, and for the lines of the others. Then a
// warp sums the gates of its rows, 16 loads that wait for nothing, leaves the sums up to each,
// and a thread makes the factors of a channel. All lanes know whether a gate of the warp is steep.

// CHECK-LABEL: llvm.func @products
// CHECK-COUNT-4: "{{.*}}@there ld.global.v4.b32 {$0, $1, $2, $3}{{.*}}-> !llvm.struct<(i32
// CHECK: prefetch.global.L2
// CHECK: bar.sync
// CHECK-COUNT-16: "{{.*}}@there ld.global.v4.b32 {{.*}}-> !llvm.struct<(f32
// CHECK-NOT: ld.global.v4
// CHECK-COUNT-18: st.shared.v4
// CHECK: bar.sync
// CHECK: llvm.nvvm.ex2.approx.ftz.f
// CHECK: bar.sync
// CHECK: vote.sync.any.pred

// Pairs of panels are a loop whose rounds nobody knows. Sums up to a row, to the middle of its
// block and of all of it are all that its factors take; near gates are bounded where some are
// steep. Both products with its own block are one.

// CHECK: mul.lo.u32 $0, n, 4;
// CHECK: scf.for
// CHECK-COUNT-3: ld.shared.v4
// CHECK-NOT: shfl
// CHECK: scf.if
// CHECK: nvvm.shfl.sync up
// CHECK: } else {
// CHECK-NOT: shfl
// CHECK: }
// CHECK-NOT: st.global
// CHECK-COUNT-1: nvvm.mma.sync {{.*}}multiplicandAPtxType = #nvvm.mma_type<bf16>

// Of each level a block is a left operand or, for other warps, a right one, in turn.

// CHECK: scf.if
// CHECK: } else {
// CHECK: st.shared.v2
// CHECK: scf.if
// CHECK: } else {
// CHECK: st.shared.v2
// CHECK: st.shared.v2
// CHECK: nvvm.mma.sync

// When the warps have met, each multiplies by seven blocks of other ones.

// CHECK: bar.sync
// CHECK-COUNT-7: nvvm.mma.sync
// CHECK-NOT: nvvm.mma.sync

// With the second panel the next rows are asked for, and scaled rows of both leave.

// CHECK: scf.if
// CHECK-COUNT-4: ld.global.v4.b32
// CHECK: st.global.v4.b32
// CHECK: nvvm.mma.sync
// CHECK: st.global.v4.b32
// CHECK: nvvm.mma.sync
// CHECK: bar.sync
// CHECK-COUNT-7: nvvm.mma.sync
// CHECK-NOT: nvvm.mma.sync
// CHECK: scf.yield

// Tiles go through shared memory to where the results have them, with what is zero.

// CHECK: nvvm.shfl.sync bfly
// CHECK-NOT: bar.sync
// CHECK-COUNT-32: st.shared.v2
// CHECK-NOT: st.shared.v2
// CHECK: bar.sync
// CHECK-COUNT-32: ld.shared.v2
!rows = !tile.global<tensor<?x?x1x128xbf16>, contiguous = true>
!outs = !tile.global<tensor<?x?x1x128xbf16>, dense = true>
!gates = !tile.global<tensor<?x?x1x128xf32>, contiguous = true>
!product = tensor<64x64xf32, #tile.layout<acc>>
tile.kernel @products(%g: !gates, %k: !rows, %q: !rows, %kd: !outs, %l: !tile.global<tensor<?x?x1x64xf32>>, %p: !tile.global<tensor<?x?x1x64xf32>>, %n: index)
    grid 1 * slots warps 4 min_blocks 3 operands ["g", "k", "q", "kd", "l", "p", "tokens"] shared_bytes 55296 {
  %c0 = arith.constant 0 : index
  %s = tile.alloc transient offset 0 : !tile.smem<13824xf32>
  tile.sync
  tile.roles warps [4] {
    %x:2 = tile.decayed_products %g of (%k, %q) to (%kd)
        at [%c0, %c0, %c0, %c0, %c0, %c0, %c0, %c0, %c0, %c0, %c0, %c0, %c0, %c0, %c0, %c0]
        dim 1 valid %n via %s barrier 1 left [0, 1] right 0 diagonal [false, true] source [0] to_end [false]
        : !gates, (!rows, !rows), (!outs), !tile.smem<13824xf32> -> !product, !product
    tile.store_matrix %x#0 to %l[%c0, %c0, %c0, %c0] dims [1, 3] : !product, !tile.global<tensor<?x?x1x64xf32>>
    tile.store_matrix %x#1 to %p[%c0, %c0, %c0, %c0] dims [1, 3] : !product, !tile.global<tensor<?x?x1x64xf32>>
  }
}
