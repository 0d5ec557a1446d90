// RUN: wyvern-opt %s -convert-tile-to-nvvm | FileCheck %s

// Two blocks write the same rows in turn, each warp behind the same warp of the other block.

// CHECK-LABEL: llvm.func @turns
// CHECK-COUNT-4: st.shared.b32 [$0], $1;
// CHECK-NOT: st.shared.b32
// CHECK: barrier.cluster.arrive.release

// The warp's stores are there before its number says so.
// CHECK: fence.acq_rel.cluster;
// CHECK-SAME: bar.warp.sync 0xffffffff;
// CHECK-SAME: mapa.shared::cluster.u32
// CHECK-SAME: @elected st.relaxed.cluster.shared::cluster.b32

// CHECK: ld.acquire.cluster.shared::cta.b32
// CHECK-SAME: setp.lt.u32

// Four elements a lane are added where they lie, 16 rows of a warp by four lanes each.
// CHECK-COUNT-8: @added red.relaxed.gpu.global.add.noftz.v2.bf16x2 [$0], {$1, $2};{{.*}}@!added st.global.v2.b32
// CHECK-NOT: red.relaxed
// CHECK: llvm.return

!half = tensor<64x64xbf16, #tile.layout<acc>>
!out = !tile.global<tensor<?x?x1x64xbf16>>
tile.kernel @turns(%out: !out, %n: index) grid 2 * sequences cluster 2 warps 4 min_blocks 1 operands ["y", "tokens"] shared_bytes 16 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %turns = tile.alloc offset 0 : !tile.smem<4xf32>
  tile.begin_turns %turns : !tile.smem<4xf32>
  tile.sync cluster
  %x = arith.constant dense<1.0> : !half
  %second = arith.cmpi ne, %n, %c1 : index
  tile.pass_turns %turns[%n] to %c1 : !tile.smem<4xf32>
  tile.await_turns %turns[%n] : !tile.smem<4xf32>
  tile.store_rows %x to %out[%c0, %c0, %c0, %c0] dim 1 valid %n added %second barrier 1 : !half, !out
  tile.sync cluster
}

// CHECK-LABEL: llvm.func @of_f16
// CHECK: red.relaxed.gpu.global.add.noftz.v2.f16x2

!f16 = tensor<64x64xf16, #tile.layout<acc>>
tile.kernel @of_f16(%out: !tile.global<tensor<?x?x1x64xf16>>, %n: index) grid 2 * sequences cluster 2 warps 4 min_blocks 1 operands ["y", "tokens"] shared_bytes 0 {
  %c0 = arith.constant 0 : index
  %second = arith.cmpi ne, %n, %c0 : index
  %x = arith.constant dense<1.0> : !f16
  tile.store_rows %x to %out[%c0, %c0, %c0, %c0] dim 1 valid %n added %second barrier 1 : !f16, !tile.global<tensor<?x?x1x64xf16>>
}
