// RUN: wyvern-opt %s -tile-rematerialize | FileCheck %s

!acc = tensor<64x64xf32, #tile.layout<acc>>
!row = tensor<64xf32, #tile.layout<row>>
!col = tensor<64xf32, #tile.layout<col>>
!warp = tensor<64xf32, #tile.layout<warp>>

// A tile made of a vector is made for each of its users, from the vector on.

// CHECK-LABEL: tile.kernel @exponents
// CHECK-SAME: (%[[A:.*]]: tensor<64xf32, #tile.layout<warp>>, %[[X:.*]]: tensor<64x64xf32
// CHECK-NEXT: %[[R0:.*]] = tile.relayout %[[A]] repeat 1 : {{.*}} #tile.layout<row>>
// CHECK-NEXT: %[[C0:.*]] = tile.relayout %[[A]] repeat 1 : {{.*}} #tile.layout<col>>
// CHECK-NEXT: %[[R1:.*]] = tile.relayout %[[A]]
// CHECK-NEXT: %[[H1:.*]] = tile.broadcast %[[R1]]
// CHECK-NEXT: %[[C1:.*]] = tile.relayout %[[A]]
// CHECK-NEXT: %[[P1:.*]] = tile.broadcast %[[C1]]
// CHECK-NEXT: %[[E1:.*]] = arith.subf %[[H1]], %[[P1]]
// CHECK-NEXT: arith.mulf %[[E1]], %[[X]]
// CHECK-NEXT: %[[R2:.*]] = tile.relayout %[[A]]
// CHECK-NEXT: %[[H2:.*]] = tile.broadcast %[[R2]]
// CHECK-NEXT: %[[C2:.*]] = tile.relayout %[[A]]
// CHECK-NEXT: %[[P2:.*]] = tile.broadcast %[[C2]]
// CHECK-NEXT: %[[E2:.*]] = arith.subf %[[H2]], %[[P2]]
// CHECK-NEXT: arith.addf %[[E2]], %[[X]]
// CHECK-NEXT: }
tile.kernel @exponents(%a: !warp, %x: !acc) grid 1 * slots warps 4 min_blocks 1 operands ["", ""] {
  %r = tile.relayout %a repeat 1 : !warp -> !row
  %c = tile.relayout %a repeat 1 : !warp -> !col
  %h = tile.broadcast %r : !row -> !acc
  %p = tile.broadcast %c : !col -> !acc
  %e = arith.subf %h, %p : !acc
  %y = arith.mulf %e, %x : !acc
  %z = arith.addf %e, %x : !acc
}

// So is a mask; what another tile went into, and a constant, are not.

// CHECK-LABEL: tile.kernel @masks
// CHECK: %[[ZERO:.*]] = arith.constant
// CHECK: %[[T:.*]] = arith.mulf %{{.*}}, %{{.*}} : tensor<64x64xf32
// CHECK-NEXT: tile.index 1
// CHECK-NEXT: tile.index 0
// CHECK-NEXT: %[[K1:.*]] = arith.cmpi
// CHECK-NEXT: arith.select %[[K1]], %[[T]], %[[ZERO]]
// CHECK-NEXT: tile.index 1
// CHECK-NEXT: tile.index 0
// CHECK-NEXT: %[[K2:.*]] = arith.cmpi
// CHECK-NEXT: arith.select %[[K2]], %[[ZERO]], %[[T]]
tile.kernel @masks(%x: !acc) grid 1 * slots warps 4 min_blocks 1 operands [""] {
  %zero = arith.constant dense<0.0> : !acc
  %i = tile.index 0 : tensor<64x64xi32, #tile.layout<acc>>
  %j = tile.index 1 : tensor<64x64xi32, #tile.layout<acc>>
  %keep = arith.cmpi ult, %j, %i : tensor<64x64xi32, #tile.layout<acc>>
  %t = arith.mulf %x, %x : !acc
  %y = arith.select %keep, %t, %zero : tensor<64x64xi1, #tile.layout<acc>>, !acc
  %z = arith.select %keep, %zero, %t : tensor<64x64xi1, #tile.layout<acc>>, !acc
}

// What finds a slot stands where the one role is that reads it.

// CHECK-LABEL: tile.kernel @slot
// CHECK-NOT: tile.first_slot
// CHECK: tile.roles warps [4, 4] {
// CHECK-NOT: tile.first_slot
// CHECK: }, {
// CHECK-NEXT: tile.first_slot
tile.kernel @slot(%cu: !tile.cu_seqlens, %tokens: index, %n: index) grid 1 * slots warps 8 min_blocks 1 operands ["cu_seqlens", "tokens", "sequences"] {
  %id = tile.block_id
  %first = tile.first_slot %id of %cu tokens %tokens chunk %tokens
  tile.roles warps [4, 4] {
    %c0 = arith.constant 0 : index
  }, {
    %next = arith.addi %first, %id : index
  }
}

// Rates that a system is solved with are read again for what stands behind its rows as they
// leave, in a role of few registers; in another one they are held.

!smem = !tile.smem<64xf32>
!out = !tile.global<tensor<?x?x1x64xbf16>>
!z = !tile.smem<64x64xbf16>

// CHECK-LABEL: tile.kernel @rates
// CHECK: tile.roles warps [4, 4] registers [192, 216] {
// CHECK: %[[R:.*]] = tile.read
// CHECK: tile.erase_apply %{{.*}}, %{{.*}}, %[[R]]
// CHECK: tile.store_rows
// CHECK: %[[AGAIN:.*]] = tile.read
// CHECK: tile.broadcast %[[AGAIN]]
// CHECK: }, {
// CHECK: %[[H:.*]] = tile.read
// CHECK: tile.erase_apply %{{.*}}, %{{.*}}, %[[H]]
// CHECK-NOT: tile.read
// CHECK: tile.broadcast %[[H]]
tile.kernel @rates(%w: !acc, %o: !out) grid 1 * slots warps 8 min_blocks 1 operands ["", "o"] {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c = tile.alloc : !smem
  %z = tile.alloc : !z
  %via = tile.alloc : !z
  tile.sync
  tile.roles warps [4, 4] registers [192, 216] {
    %r = tile.read %c : !smem -> !col
    %s = tile.erase_apply %w, %z, %r : !acc, !z, !col
    %h = arith.truncf %s : !acc to tensor<64x64xbf16, #tile.layout<acc>>
    tile.store_rows transpose %h to %o[%c0, %c0, %c0, %c0] dim 1 valid %c64 via %via barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>, !out, !z
    %b = tile.broadcast %r : !col -> !acc
    %y = arith.mulf %b, %s : !acc
  }, {
    %r = tile.read %c : !smem -> !col
    %s = tile.erase_apply %w, %z, %r : !acc, !z, !col
    %h = arith.truncf %s : !acc to tensor<64x64xbf16, #tile.layout<acc>>
    tile.store_rows transpose %h to %o[%c0, %c0, %c0, %c0] dim 1 valid %c64 via %via barrier 2 : tensor<64x64xbf16, #tile.layout<acc>>, !out, !z
    %b = tile.broadcast %r : !col -> !acc
    %y = arith.mulf %b, %s : !acc
  }
}
