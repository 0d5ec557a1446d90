// RUN: wyvern-opt %s -split-input-file -verify-diagnostics -tile-plan-smem | FileCheck %s
// RUN: not wyvern-opt %s -split-input-file -tile-plan-smem=limit=35000 2>&1 | FileCheck %s --check-prefix=LIMIT

// Largest alignment first: the ring, then the swizzled tile, then scratch.

// LIMIT: error: kernel order needs 35072 bytes of shared memory, a block has 35000; use smaller head dimensions
// CHECK-LABEL: tile.kernel @order
// CHECK-SAME: shared_bytes 35072
tile.kernel @order() grid 1 * slots warps 5 min_blocks 1 operands [] {
  // 64 rows of 64 f32, each padded by 16 bytes.
  // CHECK: tile.alloc offset 17408 : <64x64xf32>
  %m = tile.alloc : !tile.smem<64x64xf32>
  // CHECK: tile.alloc offset 34816 : <64xf32>
  %v = tile.alloc : !tile.smem<64xf32>
  // Two stages of 4096 bytes and 32 bytes of barriers; the swizzled tile starts at the next 1024.
  // CHECK: tile.alloc_ring producers 1 consumers 4 offset 0 : <2, [!tile.smem<32x64xbf16>]>
  %r = tile.alloc_ring producers 1 consumers 4 : !tile.ring<2, [!tile.smem<32x64xbf16>]>
  // CHECK: tile.alloc offset 9216 : <64x64xbf16>
  %t = tile.alloc : !tile.smem<64x64xbf16>
}

// -----

// Transient tiles share one place, as large and as aligned as each needs.

// CHECK-LABEL: tile.kernel @transient
// CHECK-SAME: shared_bytes 17936
tile.kernel @transient() grid 1 * slots warps 5 min_blocks 1 operands [] {
  // CHECK: tile.alloc transient offset 0 : <64x64xbf16>
  %t = tile.alloc transient : !tile.smem<64x64xbf16>
  // CHECK: tile.alloc offset 17680 : <64xf32>
  %v = tile.alloc : !tile.smem<64xf32>
  // CHECK: tile.alloc transient offset 0 : <65x64xf32>
  %m = tile.alloc transient : !tile.smem<65x64xf32>
}

// -----

// Exactly what a block may have.

// CHECK-LABEL: tile.kernel @full
// CHECK-SAME: shared_bytes 232448
tile.kernel @full() grid 1 * slots warps 5 min_blocks 1 operands [] {
  %t = tile.alloc : !tile.smem<58112xf32>
}

// -----

// expected-error @+1 {{kernel too_much needs 232452 bytes of shared memory, a block has 232448; use smaller head dimensions}}
tile.kernel @too_much() grid 1 * slots warps 5 min_blocks 1 operands [] {
  %t = tile.alloc : !tile.smem<58113xf32>
}

// -----

// Nothing to place.

// CHECK-LABEL: tile.kernel @empty
// CHECK-SAME: shared_bytes 0
tile.kernel @empty() grid 1 * slots warps 1 min_blocks 1 operands [] {
}
