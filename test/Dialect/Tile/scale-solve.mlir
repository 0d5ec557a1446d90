// RUN: wyvern-opt %s -tile-scale-solve | FileCheck %s
// RUN: wyvern-opt %s -tile-scale-solve -remark-format=emitRemark -remarks-filter=tile-scale-solve 2>&1 | FileCheck %s --check-prefix=REMARK

!acc = tensor<64x64xf32, #tile.layout<acc>>
!col = tensor<64xf32, #tile.layout<col>>
!l = !tile.smem<64x64xf32>
!z = !tile.smem<64x64xbf16>
!c = !tile.smem<64xf32>
!ls = !tile.ring<1, [!l]>
!zs = !tile.ring<2, [!z], warps>
!cs = !tile.ring<4, [!c]>

// What is solved for is multiplied by the rates of the factor: rows of W are, before, and
// rows of the factor where it is made.

// CHECK-LABEL: tile.kernel @scaled
// CHECK: %[[c:.*]] = tile.read %{{.*}} -> tensor<64xf32, #tile.layout<col>>
// CHECK: %[[d:.*]] = tile.broadcast %[[c]]
// CHECK: %[[cw:.*]] = arith.mulf %[[d]], %[[w:.*]] :
// CHECK: %[[u:.*]] = tile.erase_apply %[[cw]], %{{[^,]*}} :
// CHECK-NOT: arith.mulf
// CHECK: tile.hold %[[u]]
// CHECK: tile.erase_strips {{.*}} for_apply scaled
// CHECK-LABEL: tile.kernel @used
// CHECK: tile.erase_apply %{{[^,]*}}, %{{[^,]*}}, %
// CHECK: tile.erase_strips {{.*}} for_apply :
// REMARK: NotScaled {{.*}}the rows of this factor are not scaled: its result is not multiplied by the rates, and by nothing before
tile.kernel @scaled(%w: !acc, %n: index) grid 1 * slots warps 9 min_blocks 1 operands ["", ""] {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %ls = tile.alloc_ring producers 1 consumers 4 : !ls
  %zs = tile.alloc_ring producers 4 consumers 4 : !zs
  %cs = tile.alloc_ring producers 1 consumers 8 : !cs
  %s = tile.alloc : !tile.smem<2624xf32>
  tile.roles warps [4, 4, 1] {
    scf.for %i = %c0 to %n step %c1 {
      %z = tile.wait %zs[%i] : !zs -> !z
      %t = tile.wait %cs[%i] : !cs -> !c
      %c = tile.read %t : !c -> !col
      %r = tile.erase_apply %w, %z, %c : !acc, !z, !col
      %d = tile.broadcast %c : !col -> !acc
      %u = arith.mulf %d, %r : !acc
      %h = tile.hold %u : !acc
      tile.release %zs[%i] : !zs
      tile.release %cs[%i] : !cs
    }
  }, {
    scf.for %i = %c0 to %n step %c1 {
      %l = tile.wait %ls[%i] : !ls -> !l
      %c = tile.wait %cs[%i] : !cs -> !c
      %z = tile.acquire %zs[%i] : !zs -> !z
      %b = tile.erase_strips %l, %c via %s to %z barrier 1 for_apply : !l, !c, !tile.smem<2624xf32>, !z
      %j = tile.erase_join %b via %s barrier 1 : !z, !tile.smem<2624xf32>
      tile.commit %zs[%i] : !zs
      tile.release %ls[%i] : !ls
      tile.release %cs[%i] : !cs
    }
  }, {
    scf.for %i = %c0 to %n step %c1 {
      %l = tile.acquire %ls[%i] : !ls -> !l
      tile.commit %ls[%i] : !ls
      %c = tile.acquire %cs[%i] : !cs -> !c
      tile.commit %cs[%i] : !cs
    }
  }
}

// Here the solution itself is wanted too.

tile.kernel @used(%w: !acc, %n: index) grid 1 * slots warps 9 min_blocks 1 operands ["", ""] {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %ls = tile.alloc_ring producers 1 consumers 4 : !ls
  %zs = tile.alloc_ring producers 4 consumers 4 : !zs
  %cs = tile.alloc_ring producers 1 consumers 8 : !cs
  %s = tile.alloc : !tile.smem<2624xf32>
  tile.roles warps [4, 4, 1] {
    scf.for %i = %c0 to %n step %c1 {
      %z = tile.wait %zs[%i] : !zs -> !z
      %t = tile.wait %cs[%i] : !cs -> !c
      %c = tile.read %t : !c -> !col
      %r = tile.erase_apply %w, %z, %c : !acc, !z, !col
      %d = tile.broadcast %c : !col -> !acc
      %u = arith.mulf %d, %r : !acc
      %h = tile.hold %u : !acc
      %k = tile.hold %r : !acc
      tile.release %zs[%i] : !zs
      tile.release %cs[%i] : !cs
    }
  }, {
    scf.for %i = %c0 to %n step %c1 {
      %l = tile.wait %ls[%i] : !ls -> !l
      %c = tile.wait %cs[%i] : !cs -> !c
      %z = tile.acquire %zs[%i] : !zs -> !z
      %b = tile.erase_strips %l, %c via %s to %z barrier 1 for_apply : !l, !c, !tile.smem<2624xf32>, !z
      %j = tile.erase_join %b via %s barrier 1 : !z, !tile.smem<2624xf32>
      tile.commit %zs[%i] : !zs
      tile.release %ls[%i] : !ls
      tile.release %cs[%i] : !cs
    }
  }, {
    scf.for %i = %c0 to %n step %c1 {
      %l = tile.acquire %ls[%i] : !ls -> !l
      tile.commit %ls[%i] : !ls
      %c = tile.acquire %cs[%i] : !cs -> !c
      tile.commit %cs[%i] : !cs
    }
  }
}
