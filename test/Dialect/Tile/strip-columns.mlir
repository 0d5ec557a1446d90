// RUN: wyvern-opt %s -tile-strip-columns="registers=40 columns=64" | FileCheck %s
// RUN: wyvern-opt %s -tile-strip-columns | FileCheck %s --check-prefix=KEEP

// Sums add strips up, and what leaves is made of strips, each from memory on.

// CHECK-LABEL: tile.kernel @softmax
// CHECK: %[[T:.*]] = tile.wait
// CHECK-NEXT: %[[X0:.*]] = tile.read %[[T]]
// CHECK-NEXT: %[[H0:.*]] = tile.half_columns %[[X0]]
// CHECK-NEXT: %[[E0:.*]] = arith.extf %[[H0]]
// CHECK-NEXT: %[[P0:.*]] = math.exp %[[E0]] : tensor<64x64xf32
// CHECK-NEXT: %[[S0:.*]] = tile.hold %[[P0]]
// CHECK-NEXT: %[[X1:.*]] = tile.read %[[T]]
// CHECK-NEXT: %[[H1:.*]] = tile.half_columns second %[[X1]]
// CHECK-NEXT: %[[E1:.*]] = arith.extf %[[H1]]
// CHECK-NEXT: %[[P1:.*]] = math.exp %[[E1]]
// CHECK-NEXT: %[[A:.*]] = arith.addf %[[S0]], %[[P1]]
// CHECK-NEXT: %[[S1:.*]] = tile.hold %[[A]]
// CHECK-NEXT: tile.reduce %[[S1]] dim 1
// CHECK-SAME: tensor<64x64xf32
// CHECK-NEXT: %[[R:.*]] = tile.relayout
// CHECK-NEXT: tile.read %[[T]]
// CHECK-NEXT: tile.half_columns
// CHECK-NEXT: arith.extf
// CHECK-NEXT: math.exp
// CHECK-NEXT: tile.broadcast %[[R]] : {{.*}} -> tensor<64x64xf32
// CHECK-NEXT: %[[Q0:.*]] = arith.divf
// CHECK-NEXT: %[[B0:.*]] = tile.hold %[[Q0]]
// CHECK-NEXT: %[[Y0:.*]] = arith.truncf %[[B0]]
// CHECK: arith.divf
// CHECK-NEXT: %[[B1:.*]] = tile.hold
// CHECK-NEXT: %[[Y1:.*]] = arith.truncf %[[B1]]
// CHECK-NEXT: %[[Y:.*]] = tile.join_columns %[[Y0]], %[[Y1]]
// CHECK-NEXT: tile.store_rows %[[Y]]
// CHECK-NEXT: tile.release

// KEEP-LABEL: tile.kernel @softmax
// KEEP: math.exp {{.*}} : tensor<64x128xf32
// KEEP-NOT: half_columns
// KEEP: tile.kernel @rotation
tile.kernel @softmax(%out: !tile.global<tensor<?x?x1x128xbf16>>) grid 1 * slots warps 5 min_blocks 1 operands ["y"] {
  %c0 = arith.constant 0 : index
  %a = tile.alloc_ring producers 1 consumers 4 : !tile.ring<1, [!tile.smem<64x128xbf16>]>
  %scratch = tile.alloc transient : !tile.smem<64xf32>
  %s = tile.alloc transient : !tile.smem<64x128xbf16>
  tile.sync
  tile.roles warps [4, 1] {
    %t = tile.wait %a[%c0] : !tile.ring<1, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
    %x = tile.read %t : !tile.smem<64x128xbf16> -> tensor<64x128xbf16, #tile.layout<acc>>
    %w = arith.extf %x : tensor<64x128xbf16, #tile.layout<acc>> to tensor<64x128xf32, #tile.layout<acc>>
    %e = math.exp %w : tensor<64x128xf32, #tile.layout<acc>>
    %sum = tile.reduce %e dim 1 via %scratch barrier 1 : !tile.smem<64xf32>, tensor<64x128xf32, #tile.layout<acc>> -> tensor<64xf32, #tile.layout<warp>>
    %r = tile.relayout %sum repeat 1 : tensor<64xf32, #tile.layout<warp>> -> tensor<64xf32, #tile.layout<row>>
    %b = tile.broadcast %r : tensor<64xf32, #tile.layout<row>> -> tensor<64x128xf32, #tile.layout<acc>>
    %q = arith.divf %e, %b : tensor<64x128xf32, #tile.layout<acc>>
    %h = tile.hold %q : tensor<64x128xf32, #tile.layout<acc>>
    %y = arith.truncf %h : tensor<64x128xf32, #tile.layout<acc>> to tensor<64x128xbf16, #tile.layout<acc>>
    tile.store_rows %y to %out[%c0, %c0, %c0, %c0] dim 1 valid %c0 via %s barrier 1 : tensor<64x128xbf16, #tile.layout<acc>>, !tile.global<tensor<?x?x1x128xbf16>>, !tile.smem<64x128xbf16>
    tile.release %a[%c0] : !tile.ring<1, [!tile.smem<64x128xbf16>]>
  }, {
    %t = tile.acquire %a[%c0] : !tile.ring<1, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
    tile.commit %a[%c0] : !tile.ring<1, [!tile.smem<64x128xbf16>]>
  }
}

// A strip of a rotation is found in the halves: columns 96 to 143 of 192 are the first of the second half, and so the sum
// of what is 96 to the left and of themselves. Behind two halves of 48 there are zeros.

// CHECK-LABEL: tile.kernel @rotation
// CHECK: %[[T:.*]]:2 = tile.wait
// CHECK-NEXT: %[[X:.*]] = tile.read %[[T]]#0
// CHECK-NEXT: %[[L:.*]] = tile.half_columns %[[X]] : {{.*}} -> tensor<64x48xf32
// CHECK-NEXT: tile.hold %[[L]]
// CHECK-NEXT: %[[X:.*]] = tile.read %[[T]]#0
// CHECK-NEXT: %[[L:.*]] = tile.half_columns second %[[X]] : {{.*}} -> tensor<64x48xf32
// CHECK-NEXT: tile.hold %[[L]]
// CHECK-NEXT: %[[X:.*]] = tile.read %[[T]]#0
// CHECK-NEXT: %[[L:.*]] = tile.half_columns %[[X]] : {{.*}} -> tensor<64x48xf32
// CHECK-NEXT: %[[X:.*]] = tile.read %[[T]]#0
// CHECK-NEXT: %[[W:.*]] = tile.half_columns second %[[X]] : {{.*}} -> tensor<64x96xf32
// CHECK-NEXT: %[[H:.*]] = tile.half_columns %[[W]] : {{.*}} -> tensor<64x48xf32
// CHECK-NEXT: %[[D:.*]] = arith.addf %[[L]], %[[H]]
// CHECK-NEXT: tile.hold %[[D]]
// CHECK: tile.store_rows
// CHECK-NEXT: tile.read %[[T]]#1
// CHECK-NEXT: tile.half_columns
// CHECK-NEXT: math.sin
// CHECK-NEXT: %[[P:.*]] = tile.hold
// CHECK-NEXT: tile.read %[[T]]#1
// CHECK-NEXT: tile.half_columns second
// CHECK-NEXT: math.cos
// CHECK-NEXT: %[[Q:.*]] = tile.hold
// CHECK-NEXT: tile.join_columns %[[P]], %[[Q]] : tensor<64x48xf32, {{.*}} -> tensor<64x128xf32
// CHECK-NEXT: tile.store_rows
!wide = tensor<64x192xf32, #tile.layout<acc>>
!half = tensor<64x96xf32, #tile.layout<acc>>
!angles = tensor<64x128xf32, #tile.layout<acc>>
!part = tensor<64x48xf32, #tile.layout<acc>>
!ring = !tile.ring<1, [!tile.smem<64x192xf32>, !tile.smem<64x128xf32>]>
tile.kernel @rotation(%out: !tile.global<tensor<?x?x1x192xf32>>, %more: !tile.global<tensor<?x?x1x96xf32>>) grid 1 * slots warps 5 min_blocks 1 operands ["y", "z"] {
  %c0 = arith.constant 0 : index
  %a = tile.alloc_ring producers 1 consumers 4 : !ring
  %s = tile.alloc transient : !tile.smem<64x192xf32>
  %m = tile.alloc transient : !tile.smem<64x128xf32>
  tile.sync
  tile.roles warps [4, 1] {
    %t:2 = tile.wait %a[%c0] : !ring -> !tile.smem<64x192xf32>, !tile.smem<64x128xf32>
    %x = tile.read %t#0 : !tile.smem<64x192xf32> -> !wide
    %l = tile.half_columns %x : !wide -> !half
    %h = tile.half_columns second %x : !wide -> !half
    %d = arith.addf %l, %h : !half
    %y = tile.join_columns %l, %d : !half -> !wide
    tile.store_rows %y to %out[%c0, %c0, %c0, %c0] dim 1 valid %c0 via %s barrier 1 : !wide, !tile.global<tensor<?x?x1x192xf32>>, !tile.smem<64x192xf32>
    %p = tile.read %t#1 : !tile.smem<64x128xf32> -> !angles
    %p0 = tile.half_columns %p : !angles -> !part
    %p1 = tile.half_columns second %p : !angles -> !part
    %i = math.sin %p0 : !part
    %k = math.cos %p1 : !part
    %z = tile.join_columns %i, %k : !part -> !angles
    tile.store_rows %z to %more[%c0, %c0, %c0, %c0] dim 1 valid %c0 via %m barrier 1 : !angles, !tile.global<tensor<?x?x1x96xf32>>, !tile.smem<64x128xf32>
    tile.release %a[%c0] : !ring
  }, {
    %t:2 = tile.acquire %a[%c0] : !ring -> !tile.smem<64x192xf32>, !tile.smem<64x128xf32>
    tile.commit %a[%c0] : !ring
  }
}

// What was released, and what is made of rows elsewhere, is not made again: strips are of the tile that is there.

// CHECK-LABEL: tile.kernel @released
// CHECK: %[[X:.*]] = tile.read
// CHECK-NEXT: tile.release
// CHECK-NEXT: tile.half_columns %[[X]]
// CHECK: tile.half_columns second %[[X]]
// CHECK: tile.store_rows
tile.kernel @released(%out: !tile.global<tensor<?x?x1x128xf32>>) grid 1 * slots warps 5 min_blocks 1 operands ["y"] {
  %c0 = arith.constant 0 : index
  %a = tile.alloc_ring producers 1 consumers 4 : !tile.ring<1, [!tile.smem<64x128xf32>]>
  %s = tile.alloc transient : !tile.smem<64x128xf32>
  tile.sync
  tile.roles warps [4, 1] {
    %t = tile.wait %a[%c0] : !tile.ring<1, [!tile.smem<64x128xf32>]> -> !tile.smem<64x128xf32>
    %x = tile.read %t : !tile.smem<64x128xf32> -> !angles
    tile.release %a[%c0] : !tile.ring<1, [!tile.smem<64x128xf32>]>
    %y = math.exp %x : !angles
    tile.store_rows %y to %out[%c0, %c0, %c0, %c0] dim 1 valid %c0 via %s barrier 1 : !angles, !tile.global<tensor<?x?x1x128xf32>>, !tile.smem<64x128xf32>
  }, {
    %t = tile.acquire %a[%c0] : !tile.ring<1, [!tile.smem<64x128xf32>]> -> !tile.smem<64x128xf32>
    tile.commit %a[%c0] : !tile.ring<1, [!tile.smem<64x128xf32>]>
  }
}
