// RUN: wyvern-opt %s -tile-rotate | FileCheck %s
// RUN: wyvern-opt %s -tile-rotate -remark-format=emitRemark -remarks-filter=tile-rotate 2>&1 | FileCheck %s --check-prefix=REMARK

!acc = tensor<64x64xf32, #tile.layout<acc>>
!half = tensor<64x64xbf16, #tile.layout<acc>>
!tile = !tile.smem<64x64xbf16>
!ring = !tile.ring<2, [!tile]>
!fly = !tile.inflight<!acc>

// A round waits for a product in its middle, adds to the carry, and stores a second
// product. Rounds are turned there: the first product of the next round is issued when the
// carry is known, and the store comes beside it. Its await then leaves that product in
// flight. The stage waited for goes from round to round, the index does not.

// CHECK-LABEL: tile.kernel @rotated
// CHECK: %[[some:.*]] = arith.cmpi ne, %[[c0:.*]], %[[n:.*]] : index
// CHECK: scf.if %[[some]] -> (tensor<64x64xf32
// CHECK: %[[last:.*]] = arith.subi %[[n]], %[[c1:.*]] : index
// CHECK: %[[t0:.*]] = tile.wait %[[ring:.*]][%[[c0]]]
// CHECK: tile.mma %{{.*}}, %[[t0]]
// CHECK: %[[x0:.*]] = tile.await
// CHECK: scf.for %[[i:.*]] = %[[c0]] to %[[last]] step %[[c1]] iter_args(%[[S:.*]] = %{{.*}}, %[[x:.*]] = %[[x0]], %[[t:.*]] = %[[t0]])
// CHECK: %[[j:.*]] = arith.addi %[[i]], %[[c1]]
// CHECK: %[[t1:.*]] = tile.wait %[[ring]][%[[j]]]
// CHECK: %[[xb:.*]] = arith.truncf %[[x]]
// CHECK: %[[d:.*]] = tile.mma %[[xb]], %[[t]] into %[[S]]
// CHECK: %[[e:.*]] = tile.mma %[[xb]], %[[t]] :
// CHECK: %[[S1:.*]] = tile.await %[[d]] pending 1
// CHECK: %[[Sb:.*]] = arith.truncf %[[S1]]
// CHECK: %[[d1:.*]] = tile.mma %[[Sb]], %[[t1]]
// CHECK: %[[y:.*]] = tile.await %[[e]] pending 1
// CHECK: tile.release %[[ring]][%[[i]]]
// CHECK: %[[row:.*]] = arith.muli %[[i]], %{{.*}}
// CHECK: tile.store_matrix %[[y]] to %{{.*}}[%[[row]],
// CHECK: %[[x1:.*]] = tile.await %[[d1]]
// CHECK: scf.yield %[[S1]], %[[x1]], %[[t1]]
// CHECK: tile.mma
// CHECK: tile.release %[[ring]][%[[last]]]
// CHECK: tile.store_matrix
// CHECK: else
tile.kernel @rotated(%n: index, %s: !acc, %out: !tile.global<tensor<?x64xf32>>) grid 1 * slots warps 8 min_blocks 1 operands ["", "", "out"] {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %ring = tile.alloc_ring producers 1 consumers 4 : !ring
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%S = %s) -> (!acc) {
    %Sb = arith.truncf %S : !acc to !half
    %t = tile.wait %ring[%i] : !ring -> !tile
    %d = tile.mma %Sb, %t : !half, !tile -> !fly
    %x = tile.await %d : !fly
    %xb = arith.truncf %x : !acc to !half
    %u = tile.mma %xb, %t into %S : !half, !tile, !acc -> !fly
    %e = tile.mma %xb, %t : !half, !tile -> !fly
    %S1 = tile.await %u pending 1 : !fly
    %y = tile.await %e : !fly
    tile.release %ring[%i] : !ring
    %row = arith.muli %i, %c64 : index
    tile.store_matrix %y to %out[%row, %c0] dims [0, 1] : !acc, !tile.global<tensor<?x64xf32>>
    scf.yield %S1 : !acc
  } {tile.overlap_rounds}
}

// Nothing waits in the middle of a round: there is no place to turn it at.

// CHECK-LABEL: tile.kernel @straight
// CHECK-NOT: scf.if
// CHECK: scf.for
// REMARK: NotRotated {{.*}}the rounds of this loop cannot overlap: no product adds to a carry behind a place where none is in flight
tile.kernel @straight(%n: index, %s: !acc, %x: !half, %t: !tile) grid 1 * slots warps 4 min_blocks 1 operands ["", "", "", ""] {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%S = %s) -> (!acc) {
    %d = tile.mma %x, %t into %S : !half, !tile, !acc -> !fly
    %S1 = tile.await %d : !fly
    scf.yield %S1 : !acc
  } {tile.overlap_rounds}
}
