// RUN: wyvern-opt %s -convert-tile-to-nvvm | FileCheck %s

// Two blocks hand each other half of a tile of 64 x 128: test/Target/cluster.test assembles it.

// The kernel says itself how its blocks are launched.
// CHECK: llvm.func @handover
// CHECK-SAME: nvvm.cluster_dim = array<i32: 2, 1, 1>

// Four warps of this block fill a stage, those of both blocks release it.
// CHECK: llvm.mlir.constant(4 : i32)
// CHECK-NEXT: mbarrier.init.shared::cta.b64
// CHECK: llvm.mlir.constant(8 : i32)
// CHECK-NEXT: mbarrier.init.shared::cta.b64

// CHECK: fence.mbarrier_init.release.cluster;
// CHECK-NEXT: barrier.cluster.arrive.release;{{.*}}barrier.cluster.wait.acquire;

// The other block's barrier counts the bytes; each of this one's warps expects its share of
// what comes from there.
// CHECK: stmatrix
// CHECK: fence.proxy.async.shared::cta;
// CHECK: nvvm.elect.sync
// CHECK: mapa.shared::cluster.u32
// CHECK: mapa.shared::cluster.u32
// CHECK: cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes
// CHECK: llvm.mlir.constant(2048 : i32)
// CHECK-NOT: fence.proxy.async
// CHECK: @elected mbarrier.arrive.expect_tx.shared::cta.b64

// Rows of a tile of more: column blocks lie as far apart as the tile's.
// CHECK: wgmma.mma_async
// CHECK: bar.warp.sync 0xffffffff;
// CHECK: nvvm.elect.sync
// CHECK: mapa.shared::cluster.u32
// CHECK: mbarrier.arrive.shared::cluster.b64
// CHECK: mapa.shared::cluster.u32
// CHECK: mbarrier.arrive.shared::cluster.b64
// CHECK: barrier.cluster.arrive.release;
!half = tensor<64x128xbf16, #tile.layout<acc>>
!ring = !tile.ring<1, [!tile.smem<128x128xbf16>], warps>
!out = !tile.global<tensor<?x?x1x128xbf16>>
tile.kernel @handover(%x: !tile.global<tensor<?x1x128x128xf32>>, %out: !out, %n: index)
    grid 2 * sequences cluster 2 warps 8 min_blocks 1 operands ["x", "out", "tokens"] shared_bytes 65536 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c64 = arith.constant 64 : index
  %ring = tile.alloc_ring producers 4 consumers 4 offset 0 across 2 : !ring
  %id = tile.block_id
  %rank = arith.remui %id, %c2 : index
  %next = arith.addi %rank, %c1 : index
  %other = arith.remui %next, %c2 : index
  %first = arith.muli %rank, %c64 : index
  tile.sync cluster
  tile.roles warps [4, 4] {
    %s = tile.load_matrix %x[%c0, %c0, %c0, %first] dims [3, 2] : !tile.global<tensor<?x1x128x128xf32>> -> tensor<64x128xf32, #tile.layout<acc>>
    scf.for %i = %c0 to %n step %c1 {
      %h = arith.truncf %s : tensor<64x128xf32, #tile.layout<acc>> to !half
      %t = tile.acquire %ring[%i] : !ring -> !tile.smem<128x128xbf16>
      %mine = tile.subview %t[%rank] : !tile.smem<128x128xbf16> -> !tile.smem<128x64xbf16>
      %w = tile.write transpose %h to %mine : !half, !tile.smem<128x64xbf16>
      tile.barrier proxy id 1
      tile.one_warp 0 {
        %theirs = tile.subview %mine[%other] : !tile.smem<128x64xbf16> -> !tile.smem<64x64xbf16, of 128>
        tile.send %theirs to %other of %ring[%i] : !tile.smem<64x64xbf16, of 128>, !ring
      }
      tile.commit %ring[%i] bytes 8192 : !ring
    }
  }, {
    scf.for %i = %c0 to %n step %c1 {
      %t = tile.wait %ring[%i] : !ring -> !tile.smem<128x128xbf16>
      %rows = tile.subview %t[%rank] : !tile.smem<128x128xbf16> -> !tile.smem<64x128xbf16, of 128>
      %d = tile.mma %rows, %rows transpose_b : !tile.smem<64x128xbf16, of 128>, !tile.smem<64x128xbf16, of 128> -> !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
      %y = tile.await %d : !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
      tile.release %ring[%i] : !ring
      %z = arith.truncf %y : tensor<64x64xf32, #tile.layout<acc>> to tensor<64x64xbf16, #tile.layout<acc>>
      tile.store_rows %z to %out[%c0, %i, %c0, %first] dim 1 valid %c64 barrier 2 : tensor<64x64xbf16, #tile.layout<acc>>, !out
    }
  }
  tile.sync cluster
}
