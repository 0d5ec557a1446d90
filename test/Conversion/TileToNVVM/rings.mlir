// RUN: wyvern-opt %s -convert-tile-to-nvvm | FileCheck %s

// Roles that compute hand tiles to each other: one that makes 64 x 64 factors, one of
// two warpgroups that reads them, each for its half of a tile of 64 x 128 that a
// loading warp brings. test/Target/rings.test assembles it.

// CHECK-LABEL: gpu.module @handover

// In the ring that TMA fills the loading warp arrives once and 12 warps release; in the
// other one 4 warps commit and 8 release.
// CHECK: llvm.mlir.constant(12 : i32)
// CHECK-NEXT: mbarrier.init.shared::cta.b64
// CHECK: llvm.mlir.constant(4 : i32)
// CHECK-NEXT: mbarrier.init.shared::cta.b64
// CHECK-NEXT: llvm.mlir.constant(8 : i32)
// CHECK-NEXT: mbarrier.init.shared::cta.b64

// Two warpgroups: more registers than 16 warps start with, and a number each.
// CHECK: nvvm.setmaxregister increase 192
// CHECK: nvvm.shfl.sync {{ *}}idx
// CHECK: mbarrier.try_wait.parity.shared::cta.b64
// CHECK: ldmatrix.sync.aligned.m8n8.x4.trans
// CHECK: wgmma.mma_async.sync.aligned.m64n64k16
// One lane a warp releases, behind a barrier of the warp.
// CHECK: bar.warp.sync 0xffffffff;
// CHECK-SAME: @elected mbarrier.arrive.shared::cta.b64
// The hardware barrier is computed: 1 or 2.
// CHECK: "bar.sync $0, 128;", "r,~{memory}"

// The role that fills a ring: nothing waits between its writes, which are visible to
// wgmma before the warp arrives.
// CHECK: nvvm.setmaxregister decrease 64
// CHECK: wgmma.mma_async
// CHECK: stmatrix
// CHECK-NOT: bar.sync
// CHECK: st.shared.v2.f32
// CHECK: fence.proxy.async.shared::cta;
// CHECK: bar.warp.sync 0xffffffff;
// CHECK-SAME: @elected mbarrier.arrive.shared::cta.b64

// The loading warp, and the three beside it that do nothing: one lane says how many
// bytes will come.
// CHECK: nvvm.setmaxregister decrease 40
// CHECK: scf.if
// CHECK: cp.async.bulk.tensor
// CHECK: llvm.mlir.constant(24576 : i32)
// CHECK: bar.warp.sync 0xffffffff;
// CHECK-SAME: @elected mbarrier.arrive.expect_tx
!acc = tensor<64x64xf32, #tile.layout<acc>>
!half = tensor<64x64xbf16, #tile.layout<acc>>
!fly = !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
!k = !tile.smem<64x64xbf16>
!v = !tile.smem<64x128xbf16>
!row = !tile.smem<64xf32>
!in = !tile.ring<2, [!k, !v]>
!factors = !tile.ring<2, [!k, !row], warps>
!mapK = !tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 64, 1, 64]>
!mapV = !tile.tensor_map<tensor<?x?x1x128xbf16>, box = [1, 64, 1, 64]>
!out = !tile.global<tensor<?x?x1x128xbf16>>
tile.kernel @handover(%mk: !mapK, %mv: !mapV, %out: !out, %n: index)
    grid 1 * sequences warps 16 min_blocks 1 operands ["k", "v", "o", "tokens"] shared_bytes 98304 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %in = tile.alloc_ring producers 1 consumers 12 offset 0 : !in
  %factors = tile.alloc_ring producers 4 consumers 8 offset 50176 : !factors
  %staging = tile.alloc transient offset 69632 : !v
  tile.sync
  tile.roles warps [8, 4, 1] registers [192, 64, 40] {
    %w = tile.warpgroup_id
    %column = arith.muli %w, %c64 : index
    %mine = tile.subview %staging[%w] : !v -> !k
    scf.for %i = %c0 to %n step %c1 {
      %t:2 = tile.wait %in[%i] : !in -> !k, !v
      %half = tile.subview %t#1[%w] : !v -> !k
      %x = tile.read transpose %half : !k -> !half
      %f:2 = tile.wait %factors[%i] : !factors -> !k, !row
      %d = tile.mma %x, %f#0 : !half, !k -> !fly
      %y = tile.await %d : !fly
      %r = tile.read %f#1 : !row -> tensor<64xf32, #tile.layout<col>>
      tile.release %factors[%i] : !factors
      tile.release %in[%i] : !in
      %b = tile.broadcast %r : tensor<64xf32, #tile.layout<col>> -> !acc
      %z = arith.mulf %y, %b : !acc
      %o = arith.truncf %z : !acc to !half
      %row = arith.muli %i, %c64 : index
      tile.store_rows transpose %o to %out[%c0, %row, %c0, %column] dim 1 valid %c64 via %mine barrier 0 : !half, !out, !k
    }
  }, {
    scf.for %i = %c0 to %n step %c1 {
      %t:2 = tile.wait %in[%i] : !in -> !k, !v
      %d = tile.mma %t#0, %t#0 transpose_b : !k, !k -> !fly
      %y = tile.await %d : !fly
      tile.release %in[%i] : !in
      %h = arith.truncf %y : !acc to !half
      %f:2 = tile.acquire %factors[%i] : !factors -> !k, !row
      %p = tile.write %h to %f#0 : !half, !k
      %s = arith.constant dense<0.5> : tensor<64xf32, #tile.layout<col>>
      %q = tile.write %s to %f#1 : tensor<64xf32, #tile.layout<col>>, !row
      tile.commit %factors[%i] : !factors
    }
  }, {
    scf.for %i = %c0 to %n step %c1 {
      %row = arith.muli %i, %c64 : index
      %t:2 = tile.acquire %in[%i] : !in -> !k, !v
      tile.load %mk[%c0, %row, %c0, %c0] to %t#0 of %in[%i] : !mapK, !k, !in
      tile.load %mv[%c0, %row, %c0, %c0] to %t#1 of %in[%i] : !mapV, !v, !in
      tile.commit %in[%i] : !in
    }
  }
}

// f32 through a ring: pairs of neighbours, and each vector element by one thread. No
// wgmma reads them, so that no proxy fence is needed.

// CHECK-LABEL: gpu.module @plain
// CHECK-NOT: fence.proxy
!plain = !tile.ring<1, [!tile.smem<64x64xf32>, !tile.smem<64xf32>, !tile.smem<64xf32>], warps>
!rates = !tile.ring<1, [!tile.smem<64xf32>], warps>
tile.kernel @plain(%out: !tile.global<tensor<?x64x64xf32>>, %v: !tile.global<tensor<?x64xf32>>, %n: index)
    grid 1 * slots warps 9 min_blocks 1 operands ["o", "v", "tokens"] shared_bytes 20992 {
  %c0 = arith.constant 0 : index
  %ring = tile.alloc_ring producers 4 consumers 4 offset 0 : !plain
  %rates = tile.alloc_ring producers 1 consumers 4 offset 19456 : !rates
  tile.sync
  tile.roles warps [4, 4, 1] {
    // CHECK: "bar.sync 3, 128;"
    tile.barrier id 3
    // CHECK: mbarrier.try_wait
    %r = tile.wait %rates[%c0] : !rates -> !tile.smem<64xf32>
    // CHECK-COUNT-2: "ld.shared.f32
    %w = tile.read %r : !tile.smem<64xf32> -> tensor<64xf32, #tile.layout<warp>>
    tile.release %rates[%c0] : !rates
    %t:3 = tile.acquire %ring[%c0] : !plain -> !tile.smem<64x64xf32>, !tile.smem<64xf32>, !tile.smem<64xf32>
    %x = arith.constant dense<1.0> : !acc
    // Of 32 elements a thread 16 pairs; across, 32 alone.
    // CHECK-COUNT-16: "st.shared.v2.f32
    %a = tile.write %x to %t#0 : !acc, !tile.smem<64x64xf32>
    // CHECK-COUNT-32: "st.shared.f32
    %b = tile.write transpose %x to %t#0 : !acc, !tile.smem<64x64xf32>
    // CHECK: scf.if
    // CHECK-COUNT-2: "st.shared.f32
    %c = tile.write %w to %t#1 : tensor<64xf32, #tile.layout<warp>>, !tile.smem<64xf32>
    // CHECK: scf.if
    // CHECK-COUNT-2: "st.shared.f32
    %y = arith.constant dense<1.0> : tensor<64xf32, #tile.layout<row>>
    %d = tile.write %y to %t#2 : tensor<64xf32, #tile.layout<row>>, !tile.smem<64xf32>
    tile.commit %ring[%c0] : !plain
  }, {
    %t:3 = tile.wait %ring[%c0] : !plain -> !tile.smem<64x64xf32>, !tile.smem<64xf32>, !tile.smem<64xf32>
    // CHECK-COUNT-16: "ld.shared.v2.f32
    %x = tile.read %t#0 : !tile.smem<64x64xf32> -> !acc
    // CHECK-COUNT-32: "ld.shared.f32
    %y = tile.read transpose %t#0 : !tile.smem<64x64xf32> -> !acc
    // CHECK-COUNT-8: "ld.shared.v2.f32
    %c = tile.read %t#1 : !tile.smem<64xf32> -> tensor<64xf32, #tile.layout<col>>
    tile.release %ring[%c0] : !plain
    %s = arith.addf %x, %y : !acc
    tile.store_matrix %s to %out[%c0, %c0, %c0] dims [1, 2] : !acc, !tile.global<tensor<?x64x64xf32>>
  }, {
    %t = tile.acquire %rates[%c0] : !rates -> !tile.smem<64xf32>
    %g = arith.constant dense<2.0> : tensor<64xf32, #tile.layout<warp>>
    %x = tile.write %g to %t : tensor<64xf32, #tile.layout<warp>>, !tile.smem<64xf32>
    tile.commit %rates[%c0] : !rates
  }
}

// -----

// Rows that leave through a stage are fenced between their writes and the barrier behind
// them, since TMA fills the stage again; those that leave through a tile of the block's
// own are not. Where each warp writes what it alone has read, none waits before that.

// CHECK-LABEL: gpu.module @through_stage
// CHECK: "stmatrix
// CHECK: "fence.proxy.async.shared::cta;"
// CHECK-NEXT: bar.sync 1, 128;
// CHECK: ld.shared.v4
// CHECK-NOT: fence.proxy
// CHECK-LABEL: gpu.module @through_own
// CHECK-NOT: bar.sync
// CHECK: "stmatrix
// CHECK: "fence.proxy.async.shared::cta;"
// CHECK-NEXT: bar.sync 1, 128;
// CHECK: ld.shared.v4
// CHECK-LABEL: gpu.module @copied
// CHECK-NOT: bar.sync
// CHECK-COUNT-4: ld.shared.v4
// CHECK-NOT: ld.shared.v4
// CHECK-LABEL: gpu.module @through_tile
// CHECK: "stmatrix
// CHECK-NOT: fence.proxy
// CHECK: ld.shared.v4
tile.kernel @through_stage(%x: tensor<64x64xbf16, #tile.layout<acc>>, %out: !tile.global<tensor<?x?x1x64xbf16>>, %n: index) grid 1 * slots warps 4 min_blocks 1 operands ["", "o", "tokens"] shared_bytes 8448 {
  %c0 = arith.constant 0 : index
  %ring = tile.alloc_ring producers 1 consumers 4 offset 0 : !tile.ring<1, [!tile.smem<64x64xbf16>]>
  %t = tile.wait %ring[%c0] : !tile.ring<1, [!tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>
  tile.store_rows %x to %out[%c0, %c0, %c0, %c0] dim 1 valid %n via %t barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>, !tile.global<tensor<?x?x1x64xbf16>>, !tile.smem<64x64xbf16>
}
tile.kernel @through_own(%out: !tile.global<tensor<?x?x1x64xbf16>>, %n: index) grid 1 * slots warps 4 min_blocks 1 operands ["o", "tokens"] shared_bytes 8448 {
  %c0 = arith.constant 0 : index
  %ring = tile.alloc_ring producers 1 consumers 4 offset 0 : !tile.ring<1, [!tile.smem<64x64xbf16>]>
  %t = tile.wait %ring[%c0] : !tile.ring<1, [!tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>
  %x = tile.read %t : !tile.smem<64x64xbf16> -> tensor<64x64xbf16, #tile.layout<acc>>
  tile.store_rows %x to %out[%c0, %c0, %c0, %c0] dim 1 valid %n via %t own barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>, !tile.global<tensor<?x?x1x64xbf16>>, !tile.smem<64x64xbf16>
}
tile.kernel @copied(%out: !tile.global<tensor<?x?x1x64xbf16>>, %n: index) grid 1 * slots warps 4 min_blocks 1 operands ["o", "tokens"] shared_bytes 8448 {
  %c0 = arith.constant 0 : index
  %t = tile.alloc offset 0 : !tile.smem<64x64xbf16>
  tile.copy_rows %t to %out[%c0, %c0, %c0, %c0] dim 1 valid %n : !tile.smem<64x64xbf16>, !tile.global<tensor<?x?x1x64xbf16>>
}
tile.kernel @through_tile(%x: tensor<64x64xbf16, #tile.layout<acc>>, %out: !tile.global<tensor<?x?x1x64xbf16>>, %n: index) grid 1 * slots warps 4 min_blocks 1 operands ["", "o", "tokens"] shared_bytes 8448 {
  %c0 = arith.constant 0 : index
  %t = tile.alloc offset 0 : !tile.smem<64x64xbf16>
  tile.store_rows %x to %out[%c0, %c0, %c0, %c0] dim 1 valid %n via %t barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>, !tile.global<tensor<?x?x1x64xbf16>>, !tile.smem<64x64xbf16>
}

// Rows of f32 without gaps by 32 lanes, in units of 16 bytes: two rows of 48 units in three steps.

// CHECK-LABEL: gpu.module @uneven
// CHECK: scf.for {{.*}} : i32 {
// CHECK-COUNT-3: "cp.async.cg.shared::cta.global
// CHECK-NOT: "cp.async.cg.shared::cta.global
// CHECK: "cp.async.mbarrier.arrive
!wide = !tile.smem<64x192xf32>
!rows = !tile.ring<1, [!wide]>
tile.kernel @uneven(%in: !tile.global<tensor<?x?x1x192xf32>, contiguous = true>, %out: !tile.global<tensor<?x?x1x192xf32>>, %n: index)
    grid 1 * slots warps 5 min_blocks 1 operands ["x", "y", "tokens"] shared_bytes 102400 {
  %c0 = arith.constant 0 : index
  %ring = tile.alloc_ring producers 1 consumers 4 offset 0 : !rows
  %staging = tile.alloc transient offset 51200 : !wide
  tile.sync
  tile.roles warps [4, 1] {
    %t = tile.wait %ring[%c0] : !rows -> !wide
    %x = tile.read %t : !wide -> tensor<64x192xf32, #tile.layout<acc>>
    tile.release %ring[%c0] : !rows
    tile.store_rows %x to %out[%c0, %c0, %c0, %c0] dim 1 valid %n via %staging barrier 1 : tensor<64x192xf32, #tile.layout<acc>>, !tile.global<tensor<?x?x1x192xf32>>, !wide
  }, {
    %t = tile.acquire %ring[%c0] : !rows -> !wide
    tile.load_rows %in[%c0, %c0, %c0, %c0] dim 1 valid %n to %t of %ring[%c0] : !tile.global<tensor<?x?x1x192xf32>, contiguous = true>, !wide, !rows
    tile.commit %ring[%c0] : !rows
  }
}
