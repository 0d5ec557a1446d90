// RUN: wyvern-opt %s -tile-schedule -split-input-file | FileCheck %s

!acc = tensor<64x64xf32, #tile.layout<acc>>
!half = tensor<64x64xbf16, #tile.layout<acc>>
!smem = !tile.smem<64x64xbf16>
!ring = !tile.ring<1, [!smem, !smem]>

// Both products need only %a: they are issued together, in the program's order. The
// first is awaited where it is read, with the second still in flight.

// CHECK-LABEL: tile.kernel @early_and_late
// CHECK: %[[a:.*]] = arith.truncf
// CHECK-NEXT: %[[d:.*]] = tile.mma %[[a]], %{{.*}}#0
// CHECK-NEXT: %[[e:.*]] = tile.mma %[[a]], %{{.*}}#1
// CHECK: %[[x:.*]] = tile.await %[[d]] pending 1
// CHECK-NEXT: %[[w:.*]] = arith.mulf %[[x]], %[[x]]
// CHECK: %[[y:.*]] = tile.await %[[e]] :
// CHECK-NEXT: %[[o:.*]] = arith.addf %[[w]], %[[y]]
// CHECK: scf.yield %[[o]]
tile.kernel @early_and_late(%n: index) grid 1 * sequences warps 4 min_blocks 1 operands ["tokens"] {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %s0 = arith.constant dense<0.0> : !acc
  %ring = tile.alloc_ring producers 1 consumers 4 : !ring
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%s = %s0) -> (!acc) {
    %t:2 = tile.wait %ring[%i] : !ring -> !smem, !smem
    %a = arith.truncf %s : !acc to !half
    %d = tile.mma %a, %t#0 transpose_b : !half, !smem -> !tile.inflight<!acc>
    %x = tile.await %d : !tile.inflight<!acc>
    %w = arith.mulf %x, %x : !acc
    %e = tile.mma %a, %t#1 transpose_b : !half, !smem -> !tile.inflight<!acc>
    %y = tile.await %e : !tile.inflight<!acc>
    %o = arith.addf %w, %y : !acc
    tile.release %ring[%i] : !ring
    scf.yield %o : !acc
  }
}

// -----

!acc = tensor<64x64xf32, #tile.layout<acc>>
!half = tensor<64x64xbf16, #tile.layout<acc>>
!smem = !tile.smem<64x64xbf16>
!ring = !tile.ring<1, [!smem, !smem]>

// A product of the next stage's tiles stays behind the wait for them, and an await
// goes no further than the release of its stage.

// CHECK-LABEL: tile.kernel @hand_overs
// CHECK: tile.mma
// CHECK: tile.await %{{.*}} :
// CHECK: tile.release
// CHECK: tile.wait
// CHECK: tile.mma
// CHECK: tile.await %{{.*}} :
// CHECK: tile.release
tile.kernel @hand_overs(%n: index) grid 1 * sequences warps 4 min_blocks 1 operands ["tokens"] {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %s0 = arith.constant dense<0.0> : !acc
  %ring = tile.alloc_ring producers 1 consumers 4 : !ring
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%s = %s0) -> (!acc) {
    %j = arith.addi %i, %c1 : index
    %a = arith.truncf %s : !acc to !half
    %t:2 = tile.wait %ring[%i] : !ring -> !smem, !smem
    %d = tile.mma %a, %t#0 transpose_b : !half, !smem -> !tile.inflight<!acc>
    %x = tile.await %d : !tile.inflight<!acc>
    tile.release %ring[%i] : !ring
    %u:2 = tile.wait %ring[%j] : !ring -> !smem, !smem
    %e = tile.mma %a, %u#1 transpose_b : !half, !smem -> !tile.inflight<!acc>
    %y = tile.await %e : !tile.inflight<!acc>
    tile.release %ring[%j] : !ring
    %o = arith.addf %x, %y : !acc
    scf.yield %o : !acc
  }
}

// -----

!acc = tensor<64x64xf32, #tile.layout<acc>>
!half = tensor<64x64xbf16, #tile.layout<acc>>
!smem = !tile.smem<64x64xbf16>
!ring = !tile.ring<1, [!smem, !smem]>

// A dependent product cannot be issued before what it reads.

// CHECK-LABEL: tile.kernel @dependent
// CHECK: %[[d:.*]] = tile.mma
// CHECK: %[[x:.*]] = tile.await %[[d]] :
// CHECK: %[[b:.*]] = arith.truncf %[[x]]
// CHECK: %[[e:.*]] = tile.mma %[[b]], {{.*}} into %[[x]]
// CHECK: tile.await %[[e]] :
tile.kernel @dependent(%n: index) grid 1 * sequences warps 4 min_blocks 1 operands ["tokens"] {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %s0 = arith.constant dense<0.0> : !acc
  %ring = tile.alloc_ring producers 1 consumers 4 : !ring
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%s = %s0) -> (!acc) {
    %t:2 = tile.wait %ring[%i] : !ring -> !smem, !smem
    %a = arith.truncf %s : !acc to !half
    %d = tile.mma %a, %t#0 transpose_b : !half, !smem -> !tile.inflight<!acc>
    %x = tile.await %d : !tile.inflight<!acc>
    %b = arith.truncf %x : !acc to !half
    %e = tile.mma %b, %t#1 transpose_b into %x : !half, !smem, !acc -> !tile.inflight<!acc>
    %y = tile.await %e : !tile.inflight<!acc>
    tile.release %ring[%i] : !ring
    scf.yield %y : !acc
  }
}
