// RUN: wyvern-opt %s -convert-tile-to-nvvm | FileCheck %s

// Half of a tile of 64 x 128 goes to the other block, 16 registers of a thread in four stores, which
// its barrier counts. Which half is known at run time.

// CHECK-LABEL: llvm.func @halves
// CHECK-COUNT-16: llvm.select
// CHECK: mapa.shared::cluster.u32
// CHECK: mapa.shared::cluster.u32
// CHECK-COUNT-4: st.async.shared::cluster.mbarrier::complete_tx::bytes.v4.b32
// CHECK-NOT: st.async
// CHECK: mbarrier.arrive.expect_tx.shared::cta.b64
// CHECK: mbarrier.try_wait.parity
// CHECK-COUNT-16: add.rn.bf16x2
// CHECK-NOT: add.rn
// CHECK: llvm.bitcast %{{.*}} : vector<16xi32> to vector<32xbf16>

!ring = !tile.ring<1, [!tile.smem<64x64xbf16>], warps>
!out = !tile.global<tensor<?x?x1x128xbf16>>
tile.kernel @halves(%out: !out, %n: index) grid 2 * sequences cluster 2 warps 4 min_blocks 1 operands ["y", "tokens"] shared_bytes 8208 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %ring = tile.alloc_ring producers 4 consumers 4 offset 0 across 2 : !ring
  %id = tile.block_id
  %own = arith.remui %id, %c2 : index
  %other = arith.subi %c1, %own : index
  tile.sync cluster
  tile.roles warps [4] {
    %x = arith.constant dense<1.0> : tensor<64x128xbf16, #tile.layout<acc>>
    %t = tile.acquire %ring[%c0] : !ring -> !tile.smem<64x64xbf16>
    tile.send_columns %x[%other] to %other by %t of %ring[%c0] : tensor<64x128xbf16, #tile.layout<acc>>, !tile.smem<64x64xbf16>, !ring
    tile.commit %ring[%c0] bytes 8192 : !ring
    %u = tile.wait %ring[%c0] : !ring -> !tile.smem<64x64xbf16>
    %z = tile.add_columns %x[%own], %u : tensor<64x128xbf16, #tile.layout<acc>>, !tile.smem<64x64xbf16> -> tensor<64x64xbf16, #tile.layout<acc>>
    tile.release fenced %ring[%c0] : !ring
    tile.store_rows %z to %out[%c0, %c0, %c0, %c0] dim 1 valid %n barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>, !out
  }
  tile.sync cluster
}
