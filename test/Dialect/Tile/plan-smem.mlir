// RUN: wyvern-opt %s -tile-plan-smem -split-input-file | FileCheck %s
// RUN: not wyvern-opt %s -tile-plan-smem=limit=60000 -split-input-file 2>&1 | FileCheck %s --check-prefix=LIMIT

// Swizzled tiles need 1024 bytes of alignment and come first, whatever the program's
// order; transient tiles share one place, as large as the largest.

// CHECK-LABEL: tile.kernel @place
// CHECK-SAME: shared_bytes 70160
// CHECK: tile.alloc offset 69904 : <64xf32>
// CHECK: tile.alloc_ring producers 1 consumers 4 offset 0 :
// CHECK: tile.alloc transient offset 52224 : <64x64xbf16>
// CHECK: tile.alloc transient offset 52224 : <65x64xf32>

// LIMIT: error: kernel place needs 70160 bytes of shared memory, a block has 60000; use smaller head dimensions
tile.kernel @place(%T: index) grid 1 * slots warps 5 min_blocks 1 operands ["tokens"] {
  %v = tile.alloc : !tile.smem<64xf32>
  %r = tile.alloc_ring producers 1 consumers 4 : !tile.ring<2, [!tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>]>
  %s = tile.alloc transient : !tile.smem<64x64xbf16>
  %t = tile.alloc transient : !tile.smem<65x64xf32>
}

// -----

// Nothing to place.

// CHECK-LABEL: tile.kernel @empty
// CHECK-SAME: shared_bytes 0
tile.kernel @empty(%T: index) grid 1 * slots warps 1 min_blocks 1 operands ["tokens"] {
}
