// RUN: wyvern-opt %s -convert-tile-to-nvvm | FileCheck %s

// A lane asks for four channels of the gates of a quarter of the rows, 16 loads that wait for
// nothing, and for its rows of the first two panels, and leaves what the gates add up to. All
// threads know whether that is bounded everywhere, and ask for the lines of the other panels.

// CHECK-LABEL: llvm.func @products
// CHECK-COUNT-16: "{{.*}}@there ld.global.v4.b32 {{.*}}-> !llvm.struct<(f32
// CHECK-COUNT-4: "{{.*}}@there ld.global.v4.b32 {$0, $1, $2, $3}{{.*}}-> !llvm.struct<(i32
// CHECK-NOT: ld.global.v4
// CHECK-NOT: prefetch
// CHECK: bar.sync
// CHECK: llvm.mlir.constant(-1.160000e+02 : f32)
// CHECK: llvm.fcmp "oge"
// CHECK-COUNT-1: st.shared.v4
// CHECK-NOT: st.shared
// CHECK: bar.red.and.pred all, 1, 128, own;
// CHECK: prefetch.global.L2
// CHECK: scf.if

// Such a chunk goes by halves: a lane leaves the sums from the middle to each row, and a thread
// makes six factors of a channel, and its total, of which there is none here. A row reads one
// sum and has one factor each way.

// CHECK-COUNT-16: st.shared.v4
// CHECK-NOT: st.shared.v4
// CHECK-COUNT-6: llvm.nvvm.ex2.approx.ftz.f
// CHECK-NOT: ex2
// CHECK: bar.sync
// CHECK: mul.lo.u32 $0, n, 4;
// CHECK: scf.for
// CHECK-COUNT-1: ld.shared.v4
// CHECK-NOT: ld.shared
// CHECK-COUNT-8: ex2
// CHECK-NOT: ex2
// CHECK: nvvm.mma.sync {{.*}}multiplicandAPtxType = #nvvm.mma_type<bf16>
// CHECK: st.shared.v2.b32 [$0+49152]
// CHECK-COUNT-1: ld.shared.v4
// CHECK: st.shared.v2.b32 [$0+51200]
// CHECK-COUNT-1: ld.shared.v4

// The other half of the warp's rows is the left operand of products with the first one. Each
// warp has code of its own for the three other blocks of its blocks' halves.

// CHECK: nvvm.mma.sync
// CHECK-COUNT-1: st.shared.v2
// CHECK-NOT: st.shared
// CHECK: bar.sync
// CHECK: scf.if
// CHECK: scf.if
// CHECK: ld.shared.v2.b32 {{.*}}+50176]
// CHECK-COUNT-3: nvvm.mma.sync
// CHECK: } else {
// CHECK: ld.shared.v2.b32 {{.*}}+49152]
// CHECK-COUNT-3: nvvm.mma.sync
// CHECK: } else {
// CHECK: scf.if
// CHECK-COUNT-3: nvvm.mma.sync
// CHECK: } else {
// CHECK-COUNT-3: nvvm.mma.sync
// CHECK-COUNT-4: ld.shared.v2.b32 {{.*}}+51
// CHECK: ld.global.v4.b32
// CHECK: st.global.v4.b32
// CHECK: st.global.v4.b32
// CHECK: bar.sync
// CHECK-COUNT-16: nvvm.mma.sync
// CHECK-NOT: nvvm.mma.sync

// Another chunk goes by blocks of 8: a lane leaves the sums up to each row and of both blocks of
// its quarter, and a thread makes the factors of a channel. All know whether a gate is steep.

// CHECK: } else {
// CHECK-NOT: ld.global
// CHECK-COUNT-18: st.shared.v4
// CHECK: bar.red.or.pred all, 1, 128, own;
// CHECK: llvm.nvvm.ex2.approx.ftz.f
// CHECK: bar.sync

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
