// RUN: wyvern-opt %s -split-input-file -verify-diagnostics -tile-plan-smem | FileCheck %s
// RUN: not wyvern-opt %s -split-input-file -tile-plan-smem=limit=34000 2>&1 | FileCheck %s --check-prefix=LIMIT
// RUN: not wyvern-opt %s -split-input-file -tile-plan-smem=limit=34080 2>/dev/null | FileCheck %s --check-prefix=APART

// Where it would not fit otherwise, barriers lie apart from the tiles of their ring.

// APART-LABEL: tile.kernel @order
// APART-SAME: shared_bytes 34080
// APART: tile.alloc_ring producers 1 consumers 4 offset 0 barriers 34048

// Largest alignment first: the ring, then the swizzled tile, then scratch; what is
// small fills gaps.

// LIMIT: error: kernel order needs 34080 bytes of shared memory, a block has 34000; use another schedule
// CHECK-LABEL: tile.kernel @order
// CHECK-SAME: shared_bytes 34816
tile.kernel @order() grid 1 * slots warps 5 min_blocks 1 operands [] {
  // 64 rows of 64 f32, each padded by 16 bytes.
  // CHECK: tile.alloc offset 17408 : <64x64xf32>
  %m = tile.alloc : !tile.smem<64x64xf32>
  // CHECK: tile.alloc offset 8224 : <64xf32>
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

// From its write to the await of the last product that reads it a tile has its place;
// then another may have it, and a transient tile between the two.

!a = !tile.smem<64x64xbf16>
!acc = tensor<64x64xf32, #tile.layout<acc>>
!half = tensor<64x64xbf16, #tile.layout<acc>>
!fly = !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>

// CHECK-LABEL: tile.kernel @lifetimes
// CHECK-SAME: shared_bytes 16384
tile.kernel @lifetimes(%x: !half, %out: !tile.global<tensor<?x?x1x64xbf16>>, %n: index)
    grid 1 * slots warps 4 min_blocks 1 operands ["", "", ""] {
  %c0 = arith.constant 0 : index
  // CHECK: %[[P:.*]] = tile.alloc offset 0 : <64x64xbf16>
  %p = tile.alloc : !a
  // Written while the first product may still read %p.
  // CHECK: %[[Q:.*]] = tile.alloc offset 8192 : <64x64xbf16>
  %q = tile.alloc : !a
  // CHECK: %[[R:.*]] = tile.alloc offset 0 : <64x64xbf16>
  %r = tile.alloc : !a
  // CHECK: %[[T:.*]] = tile.alloc transient offset 0 : <64x64xbf16>
  %t = tile.alloc transient : !a
  %p1 = tile.write %x to %p barrier 1 : !half, !a
  %d = tile.mma %p1, %p1 : !a, !a -> !fly
  %q1 = tile.write %x to %q barrier 1 : !half, !a
  %e = tile.await %d : !fly
  tile.store_rows %x to %out[%c0, %c0, %c0, %c0] dim 1 valid %n via %t barrier 1 : !half, !tile.global<tensor<?x?x1x64xbf16>>, !a
  %r1 = tile.write %x to %r barrier 1 : !half, !a
  %f = tile.mma %q1, %r1 : !a, !a -> !fly
  %g = tile.await %f : !fly
}

// -----

// A tile that is written in a loop and read behind it, or used in two roles, shares
// its place with nothing.

!a = !tile.smem<64x64xbf16>
!half = tensor<64x64xbf16, #tile.layout<acc>>

// CHECK-LABEL: tile.kernel @two_blocks
// CHECK-SAME: shared_bytes 24576
tile.kernel @two_blocks(%x: !half, %n: index) grid 1 * slots warps 8 min_blocks 1 operands ["", ""] {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: tile.alloc offset 0 : <64x64xbf16>
  %p = tile.alloc : !a
  // CHECK: tile.alloc offset 8192 : <64x64xbf16>
  %q = tile.alloc : !a
  // CHECK: tile.alloc offset 16384 : <64x64xbf16>
  %r = tile.alloc : !a
  tile.roles warps [4, 4] {
    scf.for %i = %c0 to %n step %c1 {
      %p1 = tile.write %x to %p barrier 1 : !half, !a
    }
    %y = tile.read %p : !a -> !half
    %q1 = tile.write %x to %q barrier 1 : !half, !a
  }, {
    %r1 = tile.write %x to %r barrier 2 : !half, !a
  }
}

// -----

// Two blocks of 100 KB fit an SM, three do not.

// CHECK-LABEL: tile.kernel @blocks
// CHECK-SAME: min_blocks 2 operands [] shared_bytes 102400
tile.kernel @blocks() grid 1 * slots warps 5 min_blocks 3 operands [] {
  %t = tile.alloc : !tile.smem<25600xf32>
}

// -----

// Exactly what a block may have.

// CHECK-LABEL: tile.kernel @full
// CHECK-SAME: shared_bytes 232448
tile.kernel @full() grid 1 * slots warps 5 min_blocks 1 operands [] {
  %t = tile.alloc : !tile.smem<58112xf32>
}

// -----

// expected-error @+1 {{kernel too_much needs 232452 bytes of shared memory, a block has 232448; use another schedule (with less in a block), smaller head dimensions, or fewer value heads a key head}}
tile.kernel @too_much() grid 1 * slots warps 5 min_blocks 1 operands [] {
  %t = tile.alloc : !tile.smem<58113xf32>
}

// -----

// Nothing to place.

// CHECK-LABEL: tile.kernel @empty
// CHECK-SAME: shared_bytes 0
tile.kernel @empty() grid 1 * slots warps 1 min_blocks 1 operands [] {
}

// -----

// In a role of two warpgroups one may be ahead: its tile and the other's scratch do not
// share a place, as they would in a role of one.

!v = !tile.smem<64x128xbf16>
!k = !tile.smem<64x64xbf16>
!half = tensor<64x64xbf16, #tile.layout<acc>>
!out = !tile.global<tensor<?x?x1x128xbf16>>

// CHECK-LABEL: tile.kernel @warpgroups
// CHECK-SAME: shared_bytes 32768
tile.kernel @warpgroups(%x: !half, %out: !out, %n: index) grid 1 * slots warps 8 min_blocks 1 operands ["", "", ""] {
  %c0 = arith.constant 0 : index
  // CHECK: tile.alloc transient offset 0 : <64x128xbf16>
  %a = tile.alloc transient : !v
  // CHECK: tile.alloc transient offset 16384 : <64x128xbf16>
  %b = tile.alloc transient : !v
  tile.roles warps [8] {
    %w = tile.warpgroup_id
    %s = tile.subview %a[%w] : !v -> !k
    tile.store_rows %x to %out[%c0, %c0, %c0, %c0] dim 1 valid %n via %s barrier 0 : !half, !out, !k
    %t = tile.subview %b[%w] : !v -> !k
    tile.store_rows %x to %out[%c0, %n, %c0, %c0] dim 1 valid %n via %t barrier 0 : !half, !out, !k
  }
}

// -----

!v = !tile.smem<64x128xbf16>
!k = !tile.smem<64x64xbf16>
!half = tensor<64x64xbf16, #tile.layout<acc>>
!out = !tile.global<tensor<?x?x1x128xbf16>>

// CHECK-LABEL: tile.kernel @warpgroup
// CHECK-SAME: shared_bytes 16384
tile.kernel @warpgroup(%x: !half, %out: !out, %n: index) grid 1 * slots warps 4 min_blocks 1 operands ["", "", ""] {
  %c0 = arith.constant 0 : index
  // CHECK: tile.alloc transient offset 0 : <64x128xbf16>
  %a = tile.alloc transient : !v
  // CHECK: tile.alloc transient offset 0 : <64x128xbf16>
  %b = tile.alloc transient : !v
  tile.roles warps [4] {
    %s = tile.subview %a[%c0] : !v -> !k
    tile.store_rows %x to %out[%c0, %c0, %c0, %c0] dim 1 valid %n via %s barrier 1 : !half, !out, !k
    %t = tile.subview %b[%c0] : !v -> !k
    tile.store_rows %x to %out[%c0, %n, %c0, %c0] dim 1 valid %n via %t barrier 1 : !half, !out, !k
  }
}

// -----

// What a block may have is the target's.

module attributes {tile.target = #tile.target<sm_90a, shared_bytes = 4096>} {
  // expected-error @+1 {{kernel too_much needs 4100 bytes of shared memory, a block has 4096}}
  tile.kernel @too_much() grid 1 * slots warps 5 min_blocks 1 operands [] {
    %t = tile.alloc : !tile.smem<1025xf32>
  }
}

// -----

// Sums that stay in shared memory hold their place from the scan to the last read: what
// is written meanwhile lies elsewhere, what comes later does not.

// CHECK-LABEL: tile.kernel @factor
// CHECK: tile.alloc offset 8192 : <64x64xf32>
// CHECK: tile.alloc offset 0 : <64x64xbf16>
// CHECK: tile.alloc offset 0 : <64x64xf32>
tile.kernel @factor(%x: tensor<64x64xbf16, #tile.layout<acc>>, %g: tensor<64x64xf32, #tile.layout<acc>>) grid 1 * slots warps 4 min_blocks 1 operands ["", ""] {
  %s = tile.alloc : !tile.smem<64x64xf32>
  %t = tile.alloc : !tile.smem<64x64xbf16>
  %u = tile.alloc : !tile.smem<64x64xf32>
  %f = tile.scan_rows exp %g half 1 via %s barrier 1 : tensor<64x64xf32, #tile.layout<acc>>, !tile.smem<64x64xf32> -> !tile.smem<64x64xf32>
  %w = tile.write %x to %t barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>, !tile.smem<64x64xbf16>
  %y = tile.read %f : !tile.smem<64x64xf32> -> tensor<64x64xf32, #tile.layout<acc>>
  %z = tile.read %w : !tile.smem<64x64xbf16> -> tensor<64x64xbf16, #tile.layout<acc>>
  %h = tile.scan_rows exp %g half 2 via %u barrier 1 : tensor<64x64xf32, #tile.layout<acc>>, !tile.smem<64x64xf32> -> !tile.smem<64x64xf32>
  %v = tile.read %h : !tile.smem<64x64xf32> -> tensor<64x64xf32, #tile.layout<acc>>
}

// -----

// Where memory is short, what a role sums in lies in the place of a tile that it has
// acquired and not written; what is used before it is acquired, or behind the first
// write, does not.

!x = tensor<64x64xbf16, #tile.layout<acc>>
!sum = tensor<64x64xf32, #tile.layout<acc>>
!ring = !tile.ring<1, [!tile.smem<64x64xbf16>], warps>

// CHECK-LABEL: tile.kernel @acquired
// CHECK-SAME: shared_bytes 8464
// CHECK: tile.alloc_ring {{.*}} offset 0
// CHECK: tile.alloc transient offset 8192 : <64xf32>
// CHECK: tile.alloc transient offset 0 : <256xf32>
// CHECK: tile.alloc transient offset 8192 : <64xf32>
module attributes {tile.target = #tile.target<sm_90a, shared_bytes = 8704>} {
  tile.kernel @acquired(%x: !x, %y: !sum) grid 1 * slots warps 8 min_blocks 1 operands ["", ""] {
    %c0 = arith.constant 0 : index
    %ring = tile.alloc_ring producers 4 consumers 4 : !ring
    %a = tile.alloc transient : !tile.smem<64xf32>
    %b = tile.alloc transient : !tile.smem<256xf32>
    %c = tile.alloc transient : !tile.smem<64xf32>
    tile.roles warps [4, 4] {
      %0 = tile.reduce %y dim 1 via %a barrier 1 : !tile.smem<64xf32>, !sum -> tensor<64xf32, #tile.layout<warp>>
      %t = tile.acquire %ring[%c0] : !ring -> !tile.smem<64x64xbf16>
      %1 = tile.reduce %y dim 0 via %b barrier 1 : !tile.smem<256xf32>, !sum -> tensor<64xf32, #tile.layout<warp>>
      %w = tile.write %x to %t : !x, !tile.smem<64x64xbf16>
      %2 = tile.reduce %y dim 1 via %c barrier 1 : !tile.smem<64xf32>, !sum -> tensor<64xf32, #tile.layout<warp>>
      tile.commit %ring[%c0] : !ring
    }, {
      %t = tile.wait %ring[%c0] : !ring -> !tile.smem<64x64xbf16>
      tile.release %ring[%c0] : !ring
    }
  }
}

// -----

// A block of one chunk has a second ring behind the first one: its stage lies where that did,
// and so does what is written when the first one's tiles have been read. Barriers lie apart,
// as they are initialized once. What is summed while the first ring's tiles are read lies
// elsewhere.

!tile = !tile.smem<64x64xbf16>
!x = tensor<64x64xbf16, #tile.layout<acc>>
!sum = tensor<64x64xf32, #tile.layout<acc>>
!ring = !tile.ring<1, [!tile.smem<64x64xbf16>]>
!wide = !tile.ring<1, [!tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>

// CHECK-LABEL: tile.kernel @in_turn
// CHECK-SAME: shared_bytes 16672
// CHECK: tile.alloc_ring {{.*}} offset 0 barriers 16640
// CHECK: tile.alloc_ring {{.*}} offset 0 barriers 16656
// CHECK: tile.alloc transient offset 16384 : <64xf32>
// CHECK: tile.alloc offset 8192 : <64x64xbf16>
module attributes {tile.target = #tile.target<sm_90a>} {
  tile.kernel @in_turn(%y: !sum) grid 1 * slots warps 4 min_blocks 1 operands [""] {
    %c0 = arith.constant 0 : index
    %first = tile.alloc_ring producers 1 consumers 4 : !wide
    %second = tile.alloc_ring producers 1 consumers 4 : !ring
    %a = tile.alloc transient : !tile.smem<64xf32>
    %w = tile.alloc : !tile
    tile.roles warps [4] {
      tile.one_warp 0 {
        %t:2 = tile.acquire %first[%c0] : !wide -> !tile, !tile
        tile.commit %first[%c0] : !wide
      }
      %s:2 = tile.wait %first[%c0] : !wide -> !tile, !tile
      %0 = tile.reduce %y dim 1 via %a barrier 1 : !tile.smem<64xf32>, !sum -> tensor<64xf32, #tile.layout<warp>>
      %x = tile.read %s#0 : !tile -> !x
      tile.barrier proxy id 1
      tile.one_warp 1 {
        %t = tile.acquire %second[%c0] : !ring -> !tile
        tile.commit %second[%c0] : !ring
      }
      %u = tile.wait %second[%c0] : !ring -> !tile
      %v = tile.write %x to %w barrier 1 : !x, !tile
      %1 = tile.read %u : !tile -> !x
      %2 = tile.read %v : !tile -> !x
      tile.release %first[%c0] : !wide
      tile.release %second[%c0] : !ring
    }
  }
}
