// RUN: wyvern-opt %s -tile-schedule | FileCheck %s
// RUN: wyvern-opt %s -tile-schedule=registers=110 | FileCheck %s --check-prefix=FEW
// RUN: wyvern-opt %s -tile-schedule=registers-shared=40 | FileCheck %s --check-prefix=ALONE

!acc = tensor<64x64xf32, #tile.layout<acc>>
!half = tensor<64x64xbf16, #tile.layout<acc>>
!fly = !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
!tile = !tile.smem<64x64xbf16>
!ring = !tile.ring<2, [!tile.smem<64x64xbf16>]>

// The second product needs nothing of the first: both are issued, then awaited in
// order, each just before its first use.

// CHECK-LABEL: tile.kernel @overlap
tile.kernel @overlap(%n: index, %a: !half, %v: !acc, %s: !acc)
    grid 1 * slots warps 4 min_blocks 1 operands ["", "", "", ""] {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %ring = tile.alloc_ring producers 1 consumers 4 : !ring
  // CHECK: scf.for
  // CHECK-NEXT: tile.wait
  // CHECK-NEXT: %[[D:.*]] = tile.mma %{{.*}}
  // CHECK-NEXT: %[[E:.*]] = tile.mma
  // CHECK-NEXT: %[[X:.*]] = tile.await %[[D]] pending 1
  // CHECK-NEXT: arith.subf %{{.*}}, %[[X]]
  // CHECK-NEXT: %[[Y:.*]] = tile.await %[[E]] :
  // CHECK-NEXT: arith.mulf %[[Y]]
  scf.for %i = %c0 to %n step %c1 {
    %k = tile.wait %ring[%i] : !ring -> !tile
    %d = tile.mma %a, %k : !half, !tile -> !fly
    %x = tile.await %d : !fly
    %w = arith.subf %v, %x : !acc
    %e = tile.mma %a, %k : !half, !tile -> !fly
    %y = tile.await %e : !fly
    %o = arith.mulf %y, %s : !acc
  }
}

// A product that reads another's result waits for it; what it needs that is pure
// (the rounding) goes with it, ahead of what it does not need.

// CHECK-LABEL: tile.kernel @dependent
tile.kernel @dependent(%n: index, %a: !half, %v: !acc)
    grid 1 * slots warps 4 min_blocks 1 operands ["", "", ""] {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %ring = tile.alloc_ring producers 1 consumers 4 : !ring
  // CHECK: scf.for
  // CHECK-NEXT: tile.wait
  // CHECK-NEXT: %[[D:.*]] = tile.mma
  // CHECK-NEXT: %[[X:.*]] = tile.await %[[D]] :
  // CHECK-NEXT: %[[H:.*]] = arith.truncf %[[X]]
  // CHECK-NEXT: %[[E:.*]] = tile.mma %[[H]]
  // CHECK-NEXT: %[[W:.*]] = arith.subf %{{.*}}, %[[X]]
  // CHECK-NEXT: %[[Y:.*]] = tile.await %[[E]] :
  // CHECK-NEXT: arith.addf %[[Y]], %[[W]]
  scf.for %i = %c0 to %n step %c1 {
    %k = tile.wait %ring[%i] : !ring -> !tile
    %d = tile.mma %a, %k : !half, !tile -> !fly
    %x = tile.await %d : !fly
    %w = arith.subf %v, %x : !acc
    %h = arith.truncf %x : !acc to !half
    %e = tile.mma %h, %k : !half, !tile -> !fly
    %y = tile.await %e : !fly
    %o = arith.addf %y, %w : !acc
  }
}

// Nothing moves over what decides the contents of shared memory. An await that has
// its use behind the release stays in front of it.

// CHECK-LABEL: tile.kernel @hand_over
tile.kernel @hand_over(%n: index, %a: !half, %v: !acc)
    grid 1 * slots warps 4 min_blocks 1 operands ["", "", ""] {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %ring = tile.alloc_ring producers 1 consumers 4 : !ring
  // CHECK: scf.for
  // CHECK-NEXT: %[[T:.*]] = tile.wait
  // CHECK-NEXT: %[[D:.*]] = tile.mma %{{.*}}, %[[T]] :
  // CHECK-NEXT: tile.zero_rows %[[T]]
  // CHECK-NEXT: tile.barrier proxy id 1
  // CHECK-NEXT: %[[E:.*]] = tile.mma %{{.*}}, %[[T]] :
  // CHECK-NEXT: %[[X:.*]] = tile.await %[[D]] pending 1
  // CHECK-NEXT: %[[Y:.*]] = tile.await %[[E]] :
  // CHECK-NEXT: tile.release
  // CHECK-NEXT: arith.addf %[[X]], %[[Y]]
  scf.for %i = %c0 to %n step %c1 {
    %t = tile.wait %ring[%i] : !ring -> !tile
    %d = tile.mma %a, %t : !half, !tile -> !fly
    %x = tile.await %d : !fly
    tile.zero_rows %t from %i : !tile
    tile.barrier proxy id 1
    %e = tile.mma %a, %t : !half, !tile -> !fly
    %y = tile.await %e : !fly
    tile.release %ring[%i] : !ring
    %o = arith.addf %x, %y : !acc
  }
}

// The older product is used last, but the await of the younger one completes it:
// its own await comes first, so that no register of it is touched in between.

// CHECK-LABEL: tile.kernel @in_order
tile.kernel @in_order(%n: index, %a: !half, %v: !acc)
    grid 1 * slots warps 4 min_blocks 1 operands ["", "", ""] {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %ring = tile.alloc_ring producers 1 consumers 4 : !ring
  // CHECK: scf.for
  // CHECK-NEXT: tile.wait
  // CHECK-NEXT: %[[D:.*]] = tile.mma
  // CHECK-NEXT: %[[E:.*]] = tile.mma
  // CHECK-NEXT: %[[X:.*]] = tile.await %[[D]] pending 1
  // CHECK-NEXT: %[[Y:.*]] = tile.await %[[E]] :
  // CHECK-NEXT: %[[Z:.*]] = arith.mulf %[[Y]]
  // CHECK-NEXT: arith.addf %[[X]], %[[Z]]
  scf.for %i = %c0 to %n step %c1 {
    %k = tile.wait %ring[%i] : !ring -> !tile
    %d = tile.mma %a, %k : !half, !tile -> !fly
    %x = tile.await %d : !fly
    %e = tile.mma %a, %k : !half, !tile -> !fly
    %y = tile.await %e : !fly
    %z = arith.mulf %y, %v : !acc
    %o = arith.addf %x, %z : !acc
  }
}

// No accumulator beside the columns of a factor.

// CHECK-LABEL: tile.kernel @factor
tile.kernel @factor(%n: index, %a: !half, %k: !tile, %l: !acc,
                    %c: tensor<64xf32, #tile.layout<warp>>)
    grid 1 * slots warps 4 min_blocks 1 operands ["", "", "", "", ""] {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %s = tile.alloc transient : !tile.smem<2624xf32>
  %z = tile.alloc transient : !tile.smem<64x64xbf16>
  // CHECK: scf.for
  // CHECK-NEXT: tile.erase_strips
  // CHECK-NEXT: tile.erase_join
  // CHECK-NEXT: tile.mma
  // CHECK-NEXT: %[[X:.*]] = tile.await
  // CHECK-NEXT: arith.addf %[[X]], %[[X]]
  scf.for %i = %c0 to %n step %c1 {
    %wb = tile.erase_strips %l, %c via %s to %z barrier 1
        : !acc, tensor<64xf32, #tile.layout<warp>>, !tile.smem<2624xf32>, !tile.smem<64x64xbf16>
    %w = tile.erase_join %wb via %s barrier 1 : !tile.smem<64x64xbf16>, !tile.smem<2624xf32>
    %d = tile.mma %a, %k : !half, !tile -> !fly
    %x = tile.await %d : !fly
    %o = arith.addf %x, %x : !acc
  }
}

// A product of another block: whatever is in flight, all of it is awaited.

// CHECK-LABEL: tile.kernel @other_block
tile.kernel @other_block(%n: index, %a: !half, %k: !tile, %p: i1)
    grid 1 * slots warps 4 min_blocks 1 operands ["", "", "", ""] {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    %d = tile.mma %a, %k : !half, !tile -> !fly
    %e = tile.mma %a, %k : !half, !tile -> !fly
    // CHECK: scf.if
    scf.if %p {
      // CHECK-NEXT: tile.await %{{.*}} : <tensor
      %x = tile.await %d pending 1 : !fly
      %o = arith.addf %x, %x : !acc
    }
  }
}

// An accumulator of 32 registers needs room for as long as it is held. In a loop two
// more beside the 32 of %v and the 16 of %a, which the first product holds until it is
// complete, are too many for 110; outside of a loop other blocks fill the time.

// CHECK-LABEL: tile.kernel @budget
// CHECK: scf.for
// CHECK-NEXT: tile.wait
// CHECK-NEXT: tile.mma
// CHECK-NEXT: tile.mma
// CHECK: scf.if
// CHECK-NEXT: tile.wait
// CHECK-NEXT: tile.mma
// CHECK-NEXT: tile.await
// CHECK: arith.subf
// CHECK: tile.mma
// FEW-LABEL: tile.kernel @budget
// FEW: scf.for
// FEW-NEXT: tile.wait
// FEW-NEXT: tile.mma
// FEW-NEXT: tile.await
// FEW: arith.subf
// FEW: tile.mma
tile.kernel @budget(%n: index, %a: !half, %v: !acc, %p: i1)
    grid 1 * slots warps 4 min_blocks 1 operands ["", "", "", ""] {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %ring = tile.alloc_ring producers 1 consumers 4 : !ring
  scf.for %i = %c0 to %n step %c1 {
    %k = tile.wait %ring[%i] : !ring -> !tile
    %d = tile.mma %a, %k : !half, !tile -> !fly
    %x = tile.await %d : !fly
    %w = arith.subf %v, %x : !acc
    %e = tile.mma %a, %k : !half, !tile -> !fly
    %y = tile.await %e : !fly
    %z = arith.mulf %y, %w : !acc
    %o = arith.addf %z, %v : !acc
  }
  scf.if %p {
    %k = tile.wait %ring[%c0] : !ring -> !tile
    %d = tile.mma %a, %k : !half, !tile -> !fly
    %x = tile.await %d : !fly
    %w = arith.subf %v, %x : !acc
    %e = tile.mma %a, %k : !half, !tile -> !fly
    %y = tile.await %e : !fly
    %z = arith.mulf %y, %w : !acc
    %o = arith.addf %z, %v : !acc
  }
}

// Two accumulators are 64 registers: a kernel that holds more than a block with others
// beside it may gets an SM for itself. Two blocks of four warps leave each other all
// registers that a thread can have: three become two.

// CHECK-LABEL: tile.kernel @shared
// CHECK-SAME: min_blocks 2
// ALONE-LABEL: tile.kernel @shared
// ALONE-SAME: min_blocks 1
tile.kernel @shared(%a: !half, %k: !tile, %p: i1) grid 1 * slots warps 5 min_blocks 2 operands ["", "", ""] {
  scf.if %p {
    %d = tile.mma %a, %k : !half, !tile -> !fly
    %e = tile.mma %a, %k : !half, !tile -> !fly
    %x = tile.await %d : !fly
    %y = tile.await %e : !fly
    %z = arith.mulf %y, %x : !acc
    %o = arith.addf %z, %x : !acc
  }
}

// CHECK-LABEL: tile.kernel @narrow
// CHECK-SAME: min_blocks 3
// ALONE-LABEL: tile.kernel @narrow
// ALONE-SAME: min_blocks 2
tile.kernel @narrow(%a: !half, %k: !tile, %p: i1) grid 1 * slots warps 4 min_blocks 3 operands ["", "", ""] {
  scf.if %p {
    %d = tile.mma %a, %k : !half, !tile -> !fly
    %e = tile.mma %a, %k : !half, !tile -> !fly
    %x = tile.await %d : !fly
    %y = tile.await %e : !fly
    %z = arith.mulf %y, %x : !acc
    %o = arith.addf %z, %x : !acc
  }
}

// A role has a budget of 144 registers, of which 120 are left for tiles. In front of the
// read the carry, A, and two products in flight hold 112, and V would be 16 more: both
// are awaited there, and A is free. Without a budget only what is used is awaited.

// CHECK-LABEL: tile.kernel @relieved
tile.kernel @relieved(%n: index, %k: !tile, %v: !tile, %s: !acc)
    grid 1 * slots warps 4 min_blocks 1 operands ["", "", "", ""] {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  tile.roles warps [4] registers [144] {
    // CHECK: scf.for
    // CHECK-NEXT: arith.truncf
    // CHECK-NEXT: %[[D:.*]] = tile.mma
    // CHECK-NEXT: %[[E:.*]] = tile.mma
    // CHECK-NEXT: %[[X:.*]] = tile.await %[[D]] pending 1
    // CHECK-NEXT: %[[Y:.*]] = tile.await %[[E]] :
    // CHECK-NEXT: tile.read
    %r = scf.for %i = %c0 to %n step %c1 iter_args(%S = %s) -> (!acc) {
      %a = arith.truncf %S : !acc to !half
      %d = tile.mma %a, %k : !half, !tile -> !fly
      %e = tile.mma %a, %v : !half, !tile -> !fly
      %V = tile.read %v : !tile -> !half
      %W = arith.extf %V : !half to !acc
      %x = tile.await %d : !fly
      %w = arith.subf %W, %x : !acc
      %T = arith.addf %S, %w : !acc
      %y = tile.await %e : !fly
      %U = arith.addf %T, %y : !acc
      scf.yield %U : !acc
    }
  }
}

// What a rounding leaves out of a tile is multiplied first, then the rounded tile: the wait
// for what both are multiplied by comes in front of what makes them, and no branch stands
// between that and the products.

// CHECK-LABEL: tile.kernel @remainder
tile.kernel @remainder(%n: index, %v: tensor<64xf32, #tile.layout<col>>, %s: !acc)
    grid 1 * slots warps 5 min_blocks 1 operands ["", "", ""] {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %ring = tile.alloc_ring producers 1 consumers 4 offset 0 : !tile.ring<1, [!tile]>
  tile.roles warps [4, 1] registers [160, 0] {
    // CHECK: scf.for
    // CHECK-NEXT: %[[K:.*]] = tile.wait
    // CHECK-NEXT: tile.broadcast
    // CHECK-NEXT: arith.mulf
    // CHECK-NEXT: %[[HIGH:.*]] = arith.truncf
    // CHECK-NEXT: arith.extf
    // CHECK-NEXT: arith.subf
    // CHECK-NEXT: %[[LOW:.*]] = arith.truncf
    // CHECK-NEXT: tile.mma %[[LOW]], %[[K]]
    // CHECK: tile.mma %[[HIGH]], %[[K]]
    %r = scf.for %i = %c0 to %n step %c1 iter_args(%S = %s) -> (!acc) {
      %b = tile.broadcast %v : tensor<64xf32, #tile.layout<col>> -> !acc
      %x = arith.mulf %S, %b : !acc
      %h = arith.truncf %x : !acc to !half
      %e = arith.extf %h : !half to !acc
      %d = arith.subf %x, %e : !acc
      %l = arith.truncf %d : !acc to !half
      %k = tile.wait %ring[%i] : !tile.ring<1, [!tile]> -> !tile
      %m = tile.mma %l, %k : !half, !tile -> !fly
      %y = tile.await %m : !fly
      %o = tile.mma %h, %k into %y : !half, !tile, !acc -> !fly
      %z = tile.await %o : !fly
      tile.release %ring[%i] : !tile.ring<1, [!tile]>
      scf.yield %z : !acc
    }
  }, {
    scf.for %i = %c0 to %n step %c1 {
      %k = tile.acquire %ring[%i] : !tile.ring<1, [!tile]> -> !tile
      tile.commit %ring[%i] : !tile.ring<1, [!tile]>
    }
  }
} {tile.few_registers}

// A matrix of f32 that a product is multiplied by is read when that is complete.

// CHECK-LABEL: tile.kernel @multiplied
// CHECK: %[[D:.*]] = tile.mma
// CHECK-NEXT: %[[Y:.*]] = tile.await %[[D]]
// CHECK-NEXT: %[[F:.*]] = tile.read
// CHECK-NEXT: arith.mulf %[[Y]], %[[F]]
tile.kernel @multiplied(%a: !half, %k: !tile, %s: !tile.smem<64x64xf32>, %p: i1) grid 1 * slots warps 4 min_blocks 1 operands ["", "", "", ""] {
  scf.if %p {
    %d = tile.mma %a, %k : !half, !tile -> !fly
    %f = tile.read %s : !tile.smem<64x64xf32> -> !acc
    %y = tile.await %d : !fly
    %z = arith.mulf %y, %f : !acc
  }
}

// A product that adds to the one right before it does not wait for that, but for one whose
// operand lies in shared memory of the block's own, where the next tile may be written.

// CHECK-LABEL: tile.kernel @added
tile.kernel @added(%n: index, %a: !half, %b: !half, %s: !acc)
    grid 1 * slots warps 4 min_blocks 1 operands ["", "", "", ""] {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %ring = tile.alloc_ring producers 1 consumers 4 : !ring
  %own = tile.alloc : !tile
  // CHECK: scf.for
  // CHECK: %[[D:.*]] = tile.mma
  // CHECK-NEXT: %[[X:.*]] = tile.await %[[D]] pending 1
  // CHECK-NEXT: %[[E:.*]] = tile.mma %{{.*}} into %[[X]]
  // CHECK-NEXT: %[[Y:.*]] = tile.await %[[E]] :
  // CHECK-NEXT: arith.mulf %[[Y]]
  // CHECK: %[[F:.*]] = tile.mma
  // CHECK-NEXT: %[[Z:.*]] = tile.await %[[F]] :
  // CHECK-NEXT: tile.mma %{{.*}} into %[[Z]]
  scf.for %i = %c0 to %n step %c1 {
    %k = tile.wait %ring[%i] : !ring -> !tile
    %d = tile.mma %a, %k : !half, !tile -> !fly
    %x = tile.await %d : !fly
    %e = tile.mma %b, %k into %x : !half, !tile, !acc -> !fly
    %y = tile.await %e : !fly
    %o = arith.mulf %y, %s : !acc
    %h = arith.truncf %o : !acc to !half
    %f = tile.mma %h, %own : !half, !tile -> !fly
    %z = tile.await %f : !fly
    %g = tile.mma %h, %own into %z : !half, !tile, !acc -> !fly
    %u = tile.await %g : !fly
    %p = arith.mulf %u, %s : !acc
  }
}

// A vector of 64 registers is read behind the await that stands in front of its use; one of 32 stays, and so does
// one whose stage is handed back before.

// CHECK-LABEL: tile.kernel @wide_vectors
tile.kernel @wide_vectors(%a: !half, %s: tensor<64x256xf32, #tile.layout<acc>>, %p: !acc)
    grid 1 * slots warps 4 min_blocks 1 operands ["", "", ""] {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %ring = tile.alloc_ring producers 1 consumers 4 : !tile.ring<1, [!tile.smem<256xf32>, !tile.smem<64x64xbf16>]>
  %few = tile.alloc : !tile.smem<64xf32>
  scf.for %i = %c0 to %c1 step %c1 {
    %wide, %k = tile.wait %ring[%i] : !tile.ring<1, [!tile.smem<256xf32>, !tile.smem<64x64xbf16>]> -> !tile.smem<256xf32>, !tile
    // CHECK: %[[G1:.*]] = tile.read %{{.*}} : <256xf32>
    // CHECK: %[[H:.*]] = tile.read %{{.*}} : <64xf32>
    // CHECK-NOT: tile.read
    // CHECK: %[[Y:.*]] = tile.await
    // CHECK: tile.broadcast %[[H]]
    // CHECK: %[[G:.*]] = tile.read %{{.*}} : <256xf32>
    // CHECK-NEXT: %[[B:.*]] = tile.broadcast %[[G]]
    // CHECK-NEXT: arith.mulf %[[B]]
    // CHECK: tile.release
    // CHECK: tile.broadcast %[[G1]]
    %g1 = tile.read %wide : !tile.smem<256xf32> -> tensor<256xf32, #tile.layout<col>>
    %g = tile.read %wide : !tile.smem<256xf32> -> tensor<256xf32, #tile.layout<col>>
    %b = tile.broadcast %g : tensor<256xf32, #tile.layout<col>> -> tensor<64x256xf32, #tile.layout<acc>>
    %h = tile.read %few : !tile.smem<64xf32> -> tensor<64xf32, #tile.layout<col>>
    %d = tile.mma %a, %k : !half, !tile -> !fly
    %y = tile.await %d : !fly
    %q = arith.addf %y, %p : !acc
    %c = tile.broadcast %h : tensor<64xf32, #tile.layout<col>> -> !acc
    %m = arith.mulf %q, %c : !acc
    %n = arith.mulf %b, %s : tensor<64x256xf32, #tile.layout<acc>>
    tile.release %ring[%i] : !tile.ring<1, [!tile.smem<256xf32>, !tile.smem<64x64xbf16>]>
    %b1 = tile.broadcast %g1 : tensor<256xf32, #tile.layout<col>> -> tensor<64x256xf32, #tile.layout<acc>>
    %n1 = arith.mulf %b1, %n : tensor<64x256xf32, #tile.layout<acc>>
  }
}
