// RUN: wyvern-opt %s -convert-tile-to-nvvm -split-input-file | FileCheck %s

// Tiles of more rows than a chunk, and three rows a token.

// All threads zero row 63 of both stages, 8 units of 16 bytes each, and fence; the
// stage waits for the bytes of 63 rows.
// CHECK-LABEL: gpu.module @stages
// CHECK: %[[threads:.*]] = nvvm.read.ptx.sreg.ntid.x
// CHECK: %[[units:.*]] = llvm.mlir.constant(16 : i32)
// CHECK: scf.for %[[unit:.*]] = %{{.*}} to %[[units]] step %[[threads]]
// CHECK: llvm.urem %[[unit]], %{{.*}} : i32
// CHECK: st.shared.v4.b32
// CHECK: fence.proxy.async
// CHECK: bar.sync 0;
// CHECK: llvm.mlir.constant(8064 : i32)
// CHECK: mbarrier.arrive.expect_tx
tile.kernel @stages(%map: !tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 63, 1, 64]>)
    grid 1 * sequences warps 5 min_blocks 1 operands ["x"] shared_bytes 16640 {
  %c0 = arith.constant 0 : index
  %ring = tile.alloc_ring producers 1 consumers 4 offset 0 barriers 16384
      : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  tile.clear_stages %ring tile 0 from 63 : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  tile.sync
  tile.roles warps [4, 1] {
    %t = tile.wait %ring[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>
    tile.release %ring[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  }, {
    %t = tile.acquire %ring[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>
    tile.load %map[%c0, %c0, %c0, %c0] to %t of %ring[%c0]
        : !tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 63, 1, 64]>,
          !tile.smem<64x64xbf16>, !tile.ring<2, [!tile.smem<64x64xbf16>]>
    tile.commit %ring[%c0] bytes 8064 : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  }
}

// -----

// 64 elements are copies of 22, by a division that is no shift; their sums by threes
// end with one element in the second register: what is behind it counts as zero.
// CHECK-LABEL: gpu.module @threes
// CHECK: llvm.mlir.constant(3 : i32)
// CHECK: llvm.udiv
// CHECK-COUNT-2: nvvm.shfl.sync {{ *}}idx
// CHECK-COUNT-2: nvvm.shfl.sync {{ *}}idx
// CHECK: %[[end:.*]] = llvm.mlir.constant(64 : i32)
// CHECK: %[[inside:.*]] = llvm.icmp "ult" %{{.*}}, %[[end]]
// CHECK: llvm.select %[[inside]]
tile.kernel @threes(%out: !tile.global<tensor<?x?x1xf32>>, %n: index) grid 1 * slots warps 4 min_blocks 1 operands ["o", "tokens"] shared_bytes 512 {
  %c0 = arith.constant 0 : index
  %t = tile.alloc offset 0 : !tile.smem<32xf32>
  %g = tile.read %t : !tile.smem<32xf32> -> tensor<32xf32, #tile.layout<warp>>
  %r = tile.relayout %g repeat 3 : tensor<32xf32, #tile.layout<warp>> -> tensor<64xf32, #tile.layout<warp>>
  %s = tile.sum_groups %r by 3 : tensor<64xf32, #tile.layout<warp>> -> tensor<32xf32, #tile.layout<warp>>
  tile.store_vector %s to %out[%c0, %c0, %c0] dim 1 valid %n : tensor<32xf32, #tile.layout<warp>>, !tile.global<tensor<?x?x1xf32>>
}
