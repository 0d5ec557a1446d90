// RUN: wyvern-opt %s -tile-release-early | FileCheck %s

// A stage goes back behind the last read of it, by products when they are awaited; what
// happens to the values that were read can wait.
// CHECK-LABEL: tile.kernel @early
tile.kernel @early(%y: !tile.global<tensor<?x?x1x64xf32>>) grid 1 * slots warps 5 min_blocks 1 operands ["y"] {
  %c0 = arith.constant 0 : index
  %a = tile.alloc_ring producers 1 consumers 4 : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  %b = tile.alloc_ring producers 1 consumers 4 : !tile.ring<2, [!tile.smem<64xf32>]>
  tile.sync
  tile.roles warps [4, 1] {
    // CHECK: %[[T:.*]] = tile.wait %[[A:.*]][%[[C:.*]]] : <2, [!tile.smem<64x64xbf16>]>
    %t = tile.wait %a[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>
    // CHECK: %[[V:.*]] = tile.wait %[[B:.*]][%[[C]]] : <2, [!tile.smem<64xf32>]>
    %v = tile.wait %b[%c0] : !tile.ring<2, [!tile.smem<64xf32>]> -> !tile.smem<64xf32>
    // CHECK: tile.mma %[[T]], %[[T]]
    // CHECK-NEXT: %[[X:.*]] = tile.await
    // CHECK-NEXT: tile.release %[[A]][%[[C]]]
    // CHECK-NEXT: tile.read %[[V]]
    // CHECK-NEXT: tile.release %[[B]][%[[C]]]
    // CHECK-NEXT: arith.negf %[[X]]
    %d = tile.mma %t, %t transpose_b : !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16> -> !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
    %x = tile.await %d : !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
    %r = tile.read %v : !tile.smem<64xf32> -> tensor<64xf32, #tile.layout<row>>
    %n = arith.negf %x : tensor<64x64xf32, #tile.layout<acc>>
    tile.release %a[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]>
    tile.release %b[%c0] : !tile.ring<2, [!tile.smem<64xf32>]>
  }, {
    %t = tile.acquire %a[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>
    tile.commit %a[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]>
    %v = tile.acquire %b[%c0] : !tile.ring<2, [!tile.smem<64xf32>]> -> !tile.smem<64xf32>
    tile.commit %b[%c0] : !tile.ring<2, [!tile.smem<64xf32>]>
  }
}

// A factor is made in another tile than L: L's stage goes back before it is complete.

// CHECK-LABEL: tile.kernel @factor
// CHECK: tile.wait %[[A:.*]][%[[C:.*]]] : <1, [!tile.smem<64x64xf32>]>
// CHECK: %[[Z:.*]] = tile.erase_strips
// CHECK-NEXT: tile.release %[[A]][%[[C]]]
// CHECK-NEXT: tile.erase_join %[[Z]]
tile.kernel @factor(%c: tensor<64xf32, #tile.layout<warp>>) grid 1 * slots warps 5 min_blocks 1 operands [""] {
  %c0 = arith.constant 0 : index
  %a = tile.alloc_ring producers 1 consumers 4 : !tile.ring<1, [!tile.smem<64x64xf32>]>
  %s = tile.alloc : !tile.smem<2624xf32>
  %z = tile.alloc : !tile.smem<64x64xbf16>
  tile.sync
  tile.roles warps [4, 1] {
    %l = tile.wait %a[%c0] : !tile.ring<1, [!tile.smem<64x64xf32>]> -> !tile.smem<64x64xf32>
    %b = tile.erase_strips %l, %c via %s to %z barrier 1
        : !tile.smem<64x64xf32>, tensor<64xf32, #tile.layout<warp>>, !tile.smem<2624xf32>, !tile.smem<64x64xbf16>
    %w = tile.erase_join %b via %s barrier 1 : !tile.smem<64x64xbf16>, !tile.smem<2624xf32>
    tile.release %a[%c0] : !tile.ring<1, [!tile.smem<64x64xf32>]>
  }, {
    %l = tile.acquire %a[%c0] : !tile.ring<1, [!tile.smem<64x64xf32>]> -> !tile.smem<64x64xf32>
    tile.commit %a[%c0] : !tile.ring<1, [!tile.smem<64x64xf32>]>
  }
}

// The load that fills the stage again goes with its release.

// CHECK-LABEL: tile.kernel @refilled
// CHECK: %[[X:.*]] = tile.read
// CHECK-NEXT: tile.release
// CHECK-NEXT: scf.if
// CHECK: tile.acquire
// CHECK: {tile.behind_release}
// CHECK-NEXT: arith.negf %[[X]]
tile.kernel @refilled(%more: i1) grid 1 * slots warps 4 min_blocks 1 operands ["more"] {
  %c0 = arith.constant 0 : index
  %a = tile.alloc_ring producers 1 consumers 4 : !tile.ring<1, [!tile.smem<64xf32>]>
  tile.sync
  tile.roles warps [4] {
    %t = tile.wait %a[%c0] : !tile.ring<1, [!tile.smem<64xf32>]> -> !tile.smem<64xf32>
    %x = tile.read %t : !tile.smem<64xf32> -> tensor<64xf32, #tile.layout<row>>
    %n = arith.negf %x : tensor<64xf32, #tile.layout<row>>
    tile.release %a[%c0] : !tile.ring<1, [!tile.smem<64xf32>]>
    scf.if %more {
      tile.one_warp 0 {
        %f = tile.acquire %a[%c0] : !tile.ring<1, [!tile.smem<64xf32>]> -> !tile.smem<64xf32>
        tile.commit %a[%c0] : !tile.ring<1, [!tile.smem<64xf32>]>
      }
    } {tile.behind_release}
  }
}

// A number that it reads, and that something between reads first, comes along.

// CHECK-LABEL: tile.kernel @with_its_numbers
// CHECK: %[[X:.*]] = tile.read
// CHECK-NEXT: %[[HALF:.*]] = arith.divui
// CHECK-NEXT: %[[MORE:.*]] = arith.cmpi ne, %[[HALF]]
// CHECK-NEXT: tile.release
// CHECK-NEXT: scf.if %[[MORE]] {
// CHECK: {tile.behind_release}
// CHECK-NEXT: arith.negf %[[X]]
tile.kernel @with_its_numbers(%count: index) grid 1 * slots warps 4 min_blocks 1 operands ["tokens"] {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %a = tile.alloc_ring producers 1 consumers 4 : !tile.ring<1, [!tile.smem<64xf32>]>
  tile.sync
  tile.roles warps [4] {
    %t = tile.wait %a[%c0] : !tile.ring<1, [!tile.smem<64xf32>]> -> !tile.smem<64xf32>
    %x = tile.read %t : !tile.smem<64xf32> -> tensor<64xf32, #tile.layout<row>>
    %n = arith.negf %x : tensor<64xf32, #tile.layout<row>>
    %half = arith.divui %count, %c2 : index
    %more = arith.cmpi ne, %half, %c0 : index
    tile.release %a[%c0] : !tile.ring<1, [!tile.smem<64xf32>]>
    scf.if %more {
      tile.one_warp 0 {
        %f = tile.acquire %a[%half] : !tile.ring<1, [!tile.smem<64xf32>]> -> !tile.smem<64xf32>
        tile.commit %a[%half] : !tile.ring<1, [!tile.smem<64xf32>]>
      }
    } {tile.behind_release}
  }
}

// The second product adds to the first without having waited for it: the first one's tile
// is read until the second is complete.

// CHECK-LABEL: tile.kernel @added
// CHECK: tile.wait %[[A:.*]][%[[C:.*]]] :
// CHECK: tile.wait %[[B:.*]][%[[C]]] :
// CHECK: tile.await
// CHECK-NEXT: %[[E:.*]] = tile.mma
// CHECK-NEXT: %[[Y:.*]] = tile.await %[[E]]
// CHECK-NEXT: tile.release %[[A]][%[[C]]]
// CHECK-NEXT: tile.release %[[B]][%[[C]]]
// CHECK-NEXT: arith.negf %[[Y]]
tile.kernel @added(%h: tensor<64x64xbf16, #tile.layout<acc>>) grid 1 * slots warps 5 min_blocks 1 operands [""] {
  %c0 = arith.constant 0 : index
  %a = tile.alloc_ring producers 1 consumers 4 : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  %b = tile.alloc_ring producers 1 consumers 4 : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  tile.sync
  tile.roles warps [4, 1] {
    %t = tile.wait %a[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>
    %v = tile.wait %b[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>
    %d = tile.mma %h, %t : tensor<64x64xbf16, #tile.layout<acc>>, !tile.smem<64x64xbf16> -> !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
    %x = tile.await %d pending 1 : !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
    %e = tile.mma %h, %v into %x : tensor<64x64xbf16, #tile.layout<acc>>, !tile.smem<64x64xbf16>, tensor<64x64xf32, #tile.layout<acc>> -> !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
    %y = tile.await %e : !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
    %n = arith.negf %y : tensor<64x64xf32, #tile.layout<acc>>
    tile.release %a[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]>
    tile.release %b[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  }, {
    %t = tile.acquire %a[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>
    tile.commit %a[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]>
    %v = tile.acquire %b[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>
    tile.commit %b[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  }
}
