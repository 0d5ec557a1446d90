// RUN: wyvern-opt %s | wyvern-opt | FileCheck %s

// CHECK: tile.kernel @copy
tile.kernel @copy(%map: !tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 64, 1, 64]>)
    grid 1 * sequences warps 5 min_blocks 1 operands ["x"] {
  %c0 = arith.constant 0 : index
  // CHECK: tile.alloc_ring producers 1 consumers 4 : <2, [!tile.smem<64x64xbf16>]>
  %ring = tile.alloc_ring producers 1 consumers 4
      : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  tile.sync
  // CHECK: tile.roles warps [4, 1]
  tile.roles warps [4, 1] {
    %t = tile.wait %ring[%c0]
        : !tile.ring<2, [!tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>
    tile.release %ring[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  }, {
    %t = tile.acquire %ring[%c0]
        : !tile.ring<2, [!tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>
    tile.load %map[%c0, %c0, %c0, %c0] to %t of %ring[%c0]
        : !tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 64, 1, 64]>,
          !tile.smem<64x64xbf16>, !tile.ring<2, [!tile.smem<64x64xbf16>]>
    tile.commit %ring[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  }
}
