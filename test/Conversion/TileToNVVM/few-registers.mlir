// RUN: wyvern-opt %s -convert-tile-to-nvvm -split-input-file | FileCheck %s

// Where registers are few, a bulk copy stands behind comparisons that read all of its
// coordinates: ptxas moves and spills half of one that it thinks nothing else reads.
// Constants need none.

// CHECK-LABEL: gpu.module @load
// CHECK: setp.eq.u32 whole, 0, 0;\0Asetp.ne.and.s32 whole, $5, -2147483648, whole;\0A@whole cp.async.bulk.tensor.4d
// CHECK-NOT: setp.ne
tile.kernel @load(%map: !tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 64, 1, 64]>, %row: index)
    grid 1 * sequences warps 4 min_blocks 1 operands ["x", ""] shared_bytes 16416 {
  %c0 = arith.constant 0 : index
  %ring = tile.alloc_ring producers 1 consumers 4 offset 0 : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  tile.sync
  tile.roles warps [4] {
    tile.one_warp 2 {
      %t = tile.acquire %ring[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>
      tile.load %map[%c0, %row, %c0, %c0] to %t of %ring[%c0]
          : !tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 64, 1, 64]>, !tile.smem<64x64xbf16>, !tile.ring<2, [!tile.smem<64x64xbf16>]>
      tile.commit %ring[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]>
    }
    %t = tile.wait %ring[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>
    tile.release %ring[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  }
} {tile.few_registers}

// -----

// What is made of sums is exchanged by each lane with itself, so that ptxas makes it there
// and does not hold the sums: two sums of a lane less two others.

// CHECK-LABEL: gpu.module @differences
// CHECK: "bar.sync 1, 128;"
// CHECK: "bar.sync 1, 128;"
// CHECK: "bar.sync 1, 128;"
// CHECK-COUNT-14: nvvm.shfl.sync bfly
// CHECK: "bar.sync 1, 128;"
// CHECK-COUNT-2: nvvm.shfl.sync bfly
// CHECK: %[[A:.*]] = llvm.fsub
// CHECK-NEXT: %{{.*}} = llvm.mlir.constant
// CHECK: nvvm.shfl.sync bfly {{.*}}, %[[A]],
// CHECK: %[[B:.*]] = llvm.fsub
// CHECK: nvvm.shfl.sync bfly {{.*}}, %[[B]],
tile.kernel @differences(%x: tensor<64x64xf32, #tile.layout<acc>>) grid 1 * slots warps 4 min_blocks 1 operands [""] shared_bytes 1024 {
  %t = tile.alloc offset 0 : !tile.smem<64xf32>
  %w = tile.alloc offset 0 : !tile.smem<256xf32>
  %r = tile.reduce %x dim 1 via %t barrier 1 : !tile.smem<64xf32>, tensor<64x64xf32, #tile.layout<acc>> -> tensor<64xf32, #tile.layout<warp>>
  %c = tile.reduce %x dim 0 via %w barrier 1 : !tile.smem<256xf32>, tensor<64x64xf32, #tile.layout<acc>> -> tensor<64xf32, #tile.layout<warp>>
  %d = arith.subf %r, %c : tensor<64xf32, #tile.layout<warp>>
} {tile.few_registers}

// -----

// Where addresses alone are few, a tile is held by stores to a number that is there: no
// address is made for them.

// CHECK-LABEL: gpu.module @held
// CHECK: mov.u32 n, %nctaid.y;
// CHECK-SAME: @p st.shared.v4.f32 [n], {
tile.kernel @held(%x: tensor<64x64xf32, #tile.layout<acc>>)
    grid 1 * slots warps 4 min_blocks 1 operands [""] shared_bytes 1024 {
  %t = tile.alloc offset 0 : !tile.smem<64xf32>
  %h = tile.hold %x : tensor<64x64xf32, #tile.layout<acc>>
  %r = tile.reduce %h dim 1 via %t barrier 1 : !tile.smem<64xf32>, tensor<64x64xf32, #tile.layout<acc>> -> tensor<64xf32, #tile.layout<warp>>
} {tile.few_addresses}
