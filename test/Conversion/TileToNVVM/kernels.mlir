// RUN: wyvern-opt %s -convert-tile-to-nvvm -split-input-file | FileCheck %s

// One kernel with a little of everything. Nothing of the tile dialect is left, and a
// tile of 64 x 64 is 32 values a thread.

// CHECK-NOT: tile.
// CHECK-LABEL: gpu.module @k
// CHECK: llvm.func @k(%{{.*}}: !llvm.ptr {llvm.align = 64 : i64, llvm.byval = !llvm.array<128 x i8>, nvvm.grid_constant}
// CHECK-SAME: nvvm.kernel
// CHECK-SAME: nvvm.maxntid = array<i32: 160, 1, 1>, nvvm.minctasm = 1

// Two barriers a stage, made by one thread and made visible before anybody waits.
// CHECK-COUNT-4: mbarrier.init.shared::cta.b64
// It waits for the kernels before it behind its barriers; nothing is moved across.
// CHECK: "griddepcontrol.wait;", "~{memory}"
// CHECK: "griddepcontrol.launch_dependents;", "~{memory}"
// CHECK: fence.mbarrier_init.release.cluster
// CHECK: bar.sync 0;

// The consumer: initial state (zeros if there is none), then chunk after chunk.
// CHECK: scf.if %{{.*}} -> (vector<32xf32>)
// CHECK: scf.for {{.*}} -> (vector<32xf32>)
// CHECK: mbarrier.try_wait.parity.shared::cta.b64
// CHECK: st.shared.v4.b32
// CHECK: fence.proxy.async.shared::cta;
// CHECK: bar.sync 1, 128;

// A in registers: 32 accumulators, 16 registers of A (four a k of 16), one
// descriptor. The first product of a tile that starts from zero ignores D.
// CHECK: wgmma.fence.sync.aligned;
// CHECK-SAME: wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {$0, {{.*}} $31}, {$32, $33, $34, $35}, b, never, 1, 1, 0;
// CHECK-SAME: {$36, $37, $38, $39}, b, always, 1, 1, 0;
// CHECK-SAME: wgmma.commit_group.sync.aligned;
// A in shared memory, transposed, adding to C: D is the same registers as C.
// CHECK: wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {$0, {{.*}} $31}, a, b, always, 1, 1, 1, 1;
// CHECK-SAME: "=f,

// The first product while the second is in flight. Its registers go through the
// wait, so that no one reads them before.
// CHECK: wgmma.wait_group.sync.aligned 1;", "=f,{{.*}},0,1,{{.*}}~{memory}"
// CHECK: wgmma.wait_group.sync.aligned 0;
// CHECK: ld.shared.v2.f32
// CHECK: llvm.nvvm.ex2.approx.ftz.f

// A transposed store passes through shared memory, in whole lines.
// CHECK: bar.sync 1, 128;
// CHECK: stmatrix.sync.aligned.m8n8.x4.trans.shared.b16
// CHECK: bar.sync 1, 128;
// CHECK: ld.shared.v4.b32
// CHECK: mbarrier.arrive.shared::cta.b64

// The producer: one thread asks TMA for the tile and says how many bytes will come.
// Vectors come by copies of 4 bytes that no lane waits for; lanes arrive when they have
// ended.
// CHECK: mbarrier.try_wait.parity.shared::cta.b64
// CHECK: nvvm.elect.sync
// CHECK: cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes
// CHECK-COUNT-2: cp.async.ca.shared::cta.global [$0], [$1], 4, $2;
// CHECK: cp.async.mbarrier.arrive.shared::cta.b64
// CHECK: mbarrier.arrive.expect_tx.shared::cta.b64
// CHECK-NOT: tile.
!acc = tensor<64x64xf32, #tile.layout<acc>>
!half = tensor<64x64xbf16, #tile.layout<acc>>
!smem = !tile.smem<64x64xbf16>
!ring = !tile.ring<2, [!smem, !tile.smem<64xf32>]>
tile.kernel @k(%map: !tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 64, 1, 64]>, %g: !tile.global<tensor<?x?x1xf32>>, %s0: !tile.global<tensor<?x1x64x64xf32>, optional = true>, %out: !tile.global<tensor<?x?x1x64xbf16>>, %cu: !tile.cu_seqlens, %T: index, %N: index)
    grid 1 * sequences warps 5 min_blocks 1 operands ["x", "g", "initial_state", "o", "cu_seqlens", "tokens", "sequences"] shared_bytes 40960 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %ring = tile.alloc_ring producers 1 consumers 4 offset 0 : !ring
  %st = tile.alloc transient offset 32768 : !smem
  tile.await_kernels
  tile.release_kernels
  %b = tile.block_id
  %batch, %start, %length, %end = tile.sequence %b of %cu tokens %T sequences %N
  tile.sync
  tile.roles warps [4, 1] {
    %s = tile.load_matrix %s0[%b, %c0, %c0, %c0] dims [3, 2] : !tile.global<tensor<?x1x64x64xf32>, optional = true> -> !acc
    %r = scf.for %i = %c0 to %length step %c1 iter_args(%a = %s) -> (!acc) {
      %t:2 = tile.wait %ring[%i] : !ring -> !smem, !tile.smem<64xf32>
      tile.zero_rows %t#0 from %length : !smem
      tile.barrier proxy id 1
      %h = arith.truncf %a : !acc to !half
      %d = tile.mma %h, %t#0 transpose_b : !half, !smem -> !tile.inflight<!acc>
      %e = tile.mma %t#0 transpose_a, %t#0 into %a : !smem, !smem, !acc -> !tile.inflight<!acc>
      %x = tile.await %d pending 1 : !tile.inflight<!acc>
      %y = tile.await %e : !tile.inflight<!acc>
      %v = tile.read %t#1 : !tile.smem<64xf32> -> tensor<64xf32, #tile.layout<col>>
      %w = tile.broadcast %v : tensor<64xf32, #tile.layout<col>> -> !acc
      %z = arith.mulf %x, %w : !acc
      %zz = math.exp %z : !acc
      %zb = arith.truncf %zz : !acc to !half
      tile.store_rows transpose %zb to %out[%batch, %start, %c0, %c0] dim 1 valid %length via %st barrier 1 : !half, !tile.global<tensor<?x?x1x64xbf16>>, !smem
      tile.release %ring[%i] : !ring
      scf.yield %y : !acc
    }
    tile.store_matrix %r to %s0[%b, %c0, %c0, %c0] dims [3, 2] : !acc, !tile.global<tensor<?x1x64x64xf32>, optional = true>
  }, {
    scf.for %i = %c0 to %length step %c1 {
      %t:2 = tile.acquire %ring[%i] : !ring -> !smem, !tile.smem<64xf32>
      tile.load %map[%batch, %start, %c0, %c0] to %t#0 of %ring[%i] : !tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 64, 1, 64]>, !smem, !ring
      tile.load_vector %g[%batch, %start, %c0] dim 1 valid %length to %t#1 of %ring[%i] : !tile.global<tensor<?x?x1xf32>>, !tile.smem<64xf32>, !ring
      tile.commit %ring[%i] : !ring
    }
  }
}

// -----

// fp16, and an accumulator 128 wide.

// CHECK-LABEL: gpu.module @wide
// CHECK: wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16
// CHECK: scf.yield %{{.*}} : vector<64xf32>
tile.kernel @wide(%n: index) grid 1 * sequences warps 4 min_blocks 1 operands ["tokens"] shared_bytes 32768 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a = tile.alloc offset 0 : !tile.smem<64x64xf16>
  %b = tile.alloc offset 8192 : !tile.smem<128x64xf16>
  %zero = arith.constant dense<0.0> : tensor<64x128xf32, #tile.layout<acc>>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%s = %zero) -> (tensor<64x128xf32, #tile.layout<acc>>) {
    %d = tile.mma %a, %b transpose_b into %s : !tile.smem<64x64xf16>, !tile.smem<128x64xf16>, tensor<64x128xf32, #tile.layout<acc>> -> !tile.inflight<tensor<64x128xf32, #tile.layout<acc>>>
    %x = tile.await %d : !tile.inflight<tensor<64x128xf32, #tile.layout<acc>>>
    scf.yield %x : tensor<64x128xf32, #tile.layout<acc>>
  }
}

// -----

// Vectors: running sums by shuffles, in both directions; a sum in every thread, and an
// element of one in shared memory.

// CHECK-LABEL: gpu.module @vectors
// CHECK: nvvm.shfl.sync up
// CHECK: nvvm.shfl.sync down
// CHECK: nvvm.shfl.sync {{ *}}idx
// CHECK: nvvm.shfl.sync bfly
// CHECK: %[[offset:.*]] = llvm.mul %{{.*}}, %{{.*}} : i32
// CHECK: ld.shared.f32
tile.kernel @vectors(%out: !tile.global<tensor<?x?x1xf32>>, %n: index) grid 1 * slots warps 4 min_blocks 1 operands ["o", "tokens"] shared_bytes 512 {
  %c0 = arith.constant 0 : index
  %t = tile.alloc offset 0 : !tile.smem<64xf32>
  %g = tile.read %t : !tile.smem<64xf32> -> tensor<64xf32, #tile.layout<warp>>
  %a = tile.cumsum %g : tensor<64xf32, #tile.layout<warp>>
  %b = tile.cumsum reverse exclusive %a : tensor<64xf32, #tile.layout<warp>>
  %c = tile.relayout %b repeat 1 : tensor<64xf32, #tile.layout<warp>> -> tensor<64xf32, #tile.layout<col>>
  %s = tile.sum %c : tensor<64xf32, #tile.layout<col>>
  %e = tile.read_element %t[%n] : !tile.smem<64xf32>
  %p = arith.mulf %s, %e : f32
  %w = tile.broadcast %p : f32 -> tensor<64xf32, #tile.layout<warp>>
  tile.store_vector %w to %out[%c0, %c0, %c0] dim 1 valid %n : tensor<64xf32, #tile.layout<warp>>, !tile.global<tensor<?x?x1xf32>>
}

// -----

// Sums of rows: the four lanes of a row by shuffles, one of them writes; all lanes read.
// Of columns: eight lanes, of which each keeps half of what it has at each step, so that 14
// shuffles sum 16 columns; then four warps, whose sums are added when they are read.

// CHECK-LABEL: gpu.module @sums
// CHECK: "bar.sync 1, 128;"
// CHECK-COUNT-4: nvvm.shfl.sync bfly
// CHECK: "st.shared.f32
// CHECK: "bar.sync 1, 128;"
// CHECK-COUNT-2: "ld.shared.f32
// CHECK: "bar.sync 1, 128;"
// CHECK-COUNT-14: nvvm.shfl.sync bfly
// CHECK-NOT: nvvm.shfl.sync
// CHECK: "st.shared.v2.f32
// CHECK: "bar.sync 1, 128;"
// CHECK-COUNT-8: "ld.shared.f32
// CHECK-NOT: "ld.shared.f32
tile.kernel @sums(%x: tensor<64x64xf32, #tile.layout<acc>>) grid 1 * slots warps 4 min_blocks 1 operands [""] shared_bytes 1024 {
  %t = tile.alloc offset 0 : !tile.smem<64xf32>
  %w = tile.alloc offset 0 : !tile.smem<256xf32>
  %r = tile.reduce %x dim 1 via %t barrier 1 : !tile.smem<64xf32>, tensor<64x64xf32, #tile.layout<acc>> -> tensor<64xf32, #tile.layout<warp>>
  %c = tile.reduce %x dim 0 via %w barrier 1 : !tile.smem<256xf32>, tensor<64x64xf32, #tile.layout<acc>> -> tensor<64xf32, #tile.layout<warp>>
}

// -----

// Running sums of rows: of 64 columns a thread takes two and a quarter of the rows; four lanes,
// eight apart, hand each other what theirs add up to. To the middle of blocks of 64 rows: two
// threads, one down from it without its own row, one up from it with it, eight rows loaded
// at a time in a loop whose end nobody can know.

// CHECK-LABEL: gpu.module @running_sums
// CHECK: "bar.sync 1, 128;"
// CHECK-COUNT-16: "ld.shared.v2.f32
// CHECK-COUNT-6: nvvm.shfl.sync up
// CHECK-COUNT-16: "st.shared.v2.f32
// CHECK-NOT: shared.v2.f32
// CHECK: "bar.sync 1, 128;"
// CHECK-COUNT-16: "ld.shared.v2.f32
// CHECK: "bar.sync 1, 128;"
// CHECK: %[[END:.*]] = llvm.inline_asm {{.*}}%nctaid.y{{.*}}mul.lo.u32 $0, n, 4;
// CHECK: scf.for {{.*}} to %[[END]] step
// CHECK-COUNT-8: "ld.shared.v2.f32
// CHECK: llvm.nvvm.ex2.approx.ftz.f
// CHECK: "bar.sync 1, 128;"
// CHECK-NOT: ld.shared
tile.kernel @running_sums() grid 1 * slots warps 4 min_blocks 1 operands [] shared_bytes 65536 {
  %x = tile.alloc offset 0 : !tile.smem<64x64xf32>
  %s = tile.alloc offset 17408 : !tile.smem<64x64xf32>
  %a = tile.scan_rows %x via %s barrier 1 : !tile.smem<64x64xf32>, !tile.smem<64x64xf32> -> tensor<64x64xf32, #tile.layout<acc>>
  %m = tile.scan_rows exp %a half 32 via %s barrier 1 : tensor<64x64xf32, #tile.layout<acc>>, !tile.smem<64x64xf32> -> !tile.smem<64x64xf32>
}

// -----

// Of fewer columns, or more, a thread takes two and all rows, eight loaded at a time.

// CHECK-LABEL: gpu.module @few_columns
// CHECK: "bar.sync 1, 128;"
// CHECK: scf.if
// CHECK: %[[END:.*]] = llvm.inline_asm {{.*}}%nctaid.y{{.*}}mul.lo.u32 $0, n, 8;
// CHECK: scf.for {{.*}} to %[[END]] step
// CHECK-COUNT-8: "ld.shared.v2.f32
// CHECK-COUNT-8: "st.shared.v2.f32
// CHECK-NOT: shared.v2.f32
// CHECK: "bar.sync 1, 128;"
tile.kernel @few_columns() grid 1 * slots warps 4 min_blocks 1 operands [] shared_bytes 65536 {
  %x = tile.alloc offset 0 : !tile.smem<64x32xf32>
  %s = tile.alloc offset 17408 : !tile.smem<64x32xf32>
  %a = tile.scan_rows %x via %s barrier 1 : !tile.smem<64x32xf32>, !tile.smem<64x32xf32> -> tensor<64x32xf32, #tile.layout<acc>>
}

// -----

// Rows from memory: two a thread, of which one that is not there is the last one, and then
// zero; pairs of columns at once.

// CHECK-LABEL: gpu.module @fetched
// CHECK: %[[LAST:.*]] = llvm.sub
// CHECK: %[[IS:.*]] = llvm.icmp "sle" %[[ROW:.*]], %[[LAST]]
// CHECK: llvm.select %[[IS]], %[[ROW]], %[[LAST]]
// CHECK: %[[X:.*]] = llvm.load {{.*}} -> vector<2xf32>
// CHECK: llvm.select %[[IS]], %[[X]], %
// CHECK-COUNT-15: llvm.load {{.*}} -> vector<2xf32>
// CHECK-NOT: llvm.load
tile.kernel @fetched(%g: !tile.global<tensor<?x?x1x64xf32>>, %i: index) grid 1 * slots warps 4 min_blocks 1 operands ["", ""] shared_bytes 0 {
  %c0 = arith.constant 0 : index
  %x = tile.fetch_rows %g[%c0, %i, %c0, %c0] dim 1 valid %i : !tile.global<tensor<?x?x1x64xf32>> -> tensor<64x64xf32, #tile.layout<acc>>
}

// -----

// A tile for products: a barrier before, since its place may be in use, and one behind
// a proxy fence, since wgmma reads it. The second 64 rows of 128 start 64 * 128 bytes on.

// CHECK-LABEL: gpu.module @computed
// CHECK: "bar.sync 1, 128;"
// CHECK-COUNT-4: stmatrix.sync.aligned.m8n8.x4.shared.b16
// CHECK: "fence.proxy.async.shared::cta;"
// CHECK-NEXT: "bar.sync 1, 128;"
// CHECK: "bar.sync 1, 128;"
// CHECK: llvm.mlir.constant(64 : i32)
// CHECK: stmatrix
// CHECK: add.s64 b, ${{[0-9]+}}, 0;\0Aadd.s64 a, ${{[0-9]+}}, 512;\0Awgmma
// CHECK-SAME: add.s64 a, ${{[0-9]+}}, 514;
tile.kernel @computed(%x: tensor<64x64xbf16, #tile.layout<acc>>) grid 1 * slots warps 4 min_blocks 1 operands [""] shared_bytes 16384 {
  %t = tile.alloc offset 0 : !tile.smem<128x64xbf16>
  %a = tile.write %x to %t barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>, !tile.smem<128x64xbf16>
  %b = tile.write %x to %a block 1 barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>, !tile.smem<128x64xbf16>
  %d = tile.mma %b block 1, %b transpose_b : !tile.smem<128x64xbf16>, !tile.smem<128x64xbf16> -> !tile.inflight<tensor<64x128xf32, #tile.layout<acc>>>
  %y = tile.await %d : !tile.inflight<tensor<64x128xf32, #tile.layout<acc>>>
}

// -----

// The factor of L in registers: a barrier before the scratch tile is written; what is
// left of the blocks, and what rounding takes away of it, by the warps that have it; the
// strips; the columns of a strip, 120 steps a lane; the copy for the strip below; a
// barrier; the last product; the diagonal.

// CHECK-LABEL: gpu.module @factor
// CHECK: "bar.sync 1, 128;"
// CHECK-COUNT-4: @stored stmatrix
// CHECK-COUNT-8: "st.shared.v2.f32
// CHECK: @stored st.shared.f32
// CHECK: nvvm.bar.warp.sync
// CHECK-COUNT-120: llvm.intr.fma
// CHECK-NOT: llvm.intr.fma
// CHECK: nvvm.bar.warp.sync
// CHECK-COUNT-2: @stored st.shared.v4.b32
// CHECK-NOT: @stored
// CHECK: "bar.sync 1, 128;"
// CHECK-COUNT-2: nvvm.mma.sync {{.*}}shape = #nvvm.shape<m = 16, n = 8, k = 16>
// CHECK-NOT: nvvm.mma.sync
// CHECK-COUNT-2: "stmatrix
// CHECK-NOT: bar.sync
// CHECK: llvm.return
// CHECK-LABEL: gpu.module @two_parts
// CHECK-COUNT-6: nvvm.mma.sync
// CHECK-NOT: nvvm.mma.sync
tile.kernel @factor(%l: tensor<64x64xf32, #tile.layout<acc>>, %c: tensor<64xf32, #tile.layout<warp>>) grid 1 * slots warps 4 min_blocks 1 operands ["", ""] shared_bytes 19456 {
  %z = tile.alloc offset 0 : !tile.smem<64x64xbf16>
  %s = tile.alloc offset 8192 : !tile.smem<2624xf32>
  %wb = tile.erase_strips %l, %c via %s to %z barrier 1
      : tensor<64x64xf32, #tile.layout<acc>>, tensor<64xf32, #tile.layout<warp>>, !tile.smem<2624xf32>, !tile.smem<64x64xbf16>
  %w = tile.erase_join %wb via %s barrier 1 : !tile.smem<64x64xbf16>, !tile.smem<2624xf32>
}
tile.kernel @two_parts(%l: tensor<64x64xf32, #tile.layout<acc>>, %c: tensor<64xf32, #tile.layout<warp>>) grid 1 * slots warps 4 min_blocks 1 operands ["", ""] shared_bytes 19456 {
  %z = tile.alloc offset 0 : !tile.smem<64x64xf16>
  %s = tile.alloc offset 8192 : !tile.smem<2624xf32>
  %wb = tile.erase_strips %l, %c via %s to %z barrier 1
      : tensor<64x64xf32, #tile.layout<acc>>, tensor<64xf32, #tile.layout<warp>>, !tile.smem<2624xf32>, !tile.smem<64x64xf16>
  %w = tile.erase_join %wb via %s barrier 1 : !tile.smem<64x64xf16>, !tile.smem<2624xf32>
}

// -----

// A factor in two parts: beside what is left of the blocks, in both places, zeros, but where
// nobody reads them; right of the blocks what rounding takes away of them, and the left
// operand of the last product in two parts.

// CHECK-LABEL: gpu.module @factor_in_two
// CHECK-COUNT-8: @stored stmatrix
// CHECK-COUNT-2: @stored st.shared.v4.b32
// CHECK-NOT: @stored
// CHECK-COUNT-4: nvvm.mma.sync
// CHECK-NOT: nvvm.mma.sync
// CHECK-COUNT-4: "stmatrix
// CHECK-NOT: stmatrix
// CHECK: llvm.return
// CHECK-LABEL: gpu.module @for_apply
// CHECK-COUNT-4: @stored stmatrix
// CHECK-NOT: @stored stmatrix
// CHECK: llvm.return
tile.kernel @factor_in_two(%l: tensor<64x64xf32, #tile.layout<acc>>, %c: tensor<64xf32, #tile.layout<warp>>) grid 1 * slots warps 4 min_blocks 1 operands ["", ""] shared_bytes 27648 {
  %z = tile.alloc offset 0 : !tile.smem<64x128xbf16>
  %s = tile.alloc offset 16384 : !tile.smem<2624xf32>
  %wb = tile.erase_strips %l, %c via %s to %z barrier 1
      : tensor<64x64xf32, #tile.layout<acc>>, tensor<64xf32, #tile.layout<warp>>, !tile.smem<2624xf32>, !tile.smem<64x128xbf16>
  %w = tile.erase_join %wb via %s barrier 1 : !tile.smem<64x128xbf16>, !tile.smem<2624xf32>
}
tile.kernel @for_apply(%l: tensor<64x64xf32, #tile.layout<acc>>, %c: tensor<64xf32, #tile.layout<warp>>) grid 1 * slots warps 4 min_blocks 1 operands ["", ""] shared_bytes 27648 {
  %z = tile.alloc offset 0 : !tile.smem<64x128xbf16>
  %s = tile.alloc offset 16384 : !tile.smem<2624xf32>
  %wb = tile.erase_strips %l, %c via %s to %z barrier 1 for_apply
      : tensor<64x64xf32, #tile.layout<acc>>, tensor<64xf32, #tile.layout<warp>>, !tile.smem<2624xf32>, !tile.smem<64x128xbf16>
  %w = tile.erase_join %wb via %s barrier 1 : !tile.smem<64x128xbf16>, !tile.smem<2624xf32>
}

// -----

// L in shared memory is read where it is needed: by the lanes that solve for a column,
// and a block of what is left of the diagonal by each warp.
// CHECK-LABEL: gpu.module @of_shared
// CHECK-NOT: st.shared.v2.f32
// CHECK: ld.shared.v4.f32
// CHECK: llvm.intr.fma
// CHECK-COUNT-4: "ld.shared.v2.f32
// CHECK-COUNT-2: "stmatrix
// CHECK: "bar.sync 1, 128;"
// CHECK-COUNT-8: "ld.shared.v2.f32
// CHECK-NOT: "ld.shared.v2.f32
// CHECK-COUNT-2: nvvm.mma.sync
// CHECK-COUNT-2: "stmatrix
// CHECK-NOT: stmatrix
tile.kernel @of_shared(%c: tensor<64xf32, #tile.layout<warp>>) grid 1 * slots warps 4 min_blocks 1 operands [""] shared_bytes 36864 {
  %z = tile.alloc offset 0 : !tile.smem<64x64xbf16>
  %l = tile.alloc offset 8192 : !tile.smem<64x64xf32>
  %s = tile.alloc offset 25600 : !tile.smem<2624xf32>
  %wb = tile.erase_strips %l, %c via %s to %z barrier 1
      : !tile.smem<64x64xf32>, tensor<64xf32, #tile.layout<warp>>, !tile.smem<2624xf32>, !tile.smem<64x64xbf16>
  %w = tile.erase_join %wb via %s barrier 1 : !tile.smem<64x64xbf16>, !tile.smem<2624xf32>
}

// -----

// Scaled rows are those of C P, which the substitution has; rows of L_21 are multiplied by
// two rates a lane. What is solved with them needs no rates.

// CHECK-LABEL: gpu.module @scaled
// CHECK: %[[c:.*]] = llvm.fmul %[[rate:.*]], %[[p:.*]] : f32
// CHECK: llvm.fneg %[[c]]
// CHECK: "bar.sync 1, 128;"
// CHECK: "st.shared.f32 [$0], $1;", {{.*}}, %[[c]]
// CHECK-COUNT-2: "ld.shared.f32
// CHECK-COUNT-8: llvm.fmul
// CHECK-NOT: llvm.fmul
// CHECK: "stmatrix
// CHECK: wgmma
// CHECK-NOT: llvm.fmul
// CHECK: llvm.return
tile.kernel @scaled(%w: tensor<64x64xf32, #tile.layout<acc>>) grid 1 * slots warps 4 min_blocks 1 operands [""] shared_bytes 37120 {
  %z = tile.alloc offset 0 : !tile.smem<64x64xbf16>
  %l = tile.alloc offset 8192 : !tile.smem<64x64xf32>
  %s = tile.alloc offset 25600 : !tile.smem<2624xf32>
  %c = tile.alloc offset 36864 : !tile.smem<64xf32>
  %wb = tile.erase_strips %l, %c via %s to %z barrier 1 for_apply scaled
      : !tile.smem<64x64xf32>, !tile.smem<64xf32>, !tile.smem<2624xf32>, !tile.smem<64x64xbf16>
  %j = tile.erase_join %wb via %s barrier 1 : !tile.smem<64x64xbf16>, !tile.smem<2624xf32>
  %r = tile.erase_apply %w, %j : tensor<64x64xf32, #tile.layout<acc>>, !tile.smem<64x64xbf16>
}

// -----

// With a lower triangle the left half of the columns takes the first half of the steps, the
// right half, 32 rows of B further (4096 bytes), all of them.

// CHECK-LABEL: gpu.module @lower
// CHECK: add.s64 b, $80, [[#RIGHT:]];\0Awgmma{{[^;]*}}m64n32k16{{[^;]*}}{$16, {{[^;]*}}$31}, {$64, $65, $66, $67}, b, always
// CHECK-SAME: add.s64 b, $80, [[#RIGHT-256]];\0Awgmma{{[^;]*}}m64n32k16{{[^;]*}}{$0, {{[^;]*}}$15}, {$64, $65, $66, $67}, b, always
// CHECK-SAME: add.s64 b, $80, [[#RIGHT+2]];\0Awgmma{{[^;]*}}{$16, {{[^;]*}}$31}, {$68, $69, $70, $71}
// CHECK-SAME: add.s64 b, $80, [[#RIGHT-254]];\0Awgmma{{[^;]*}}{$0, {{[^;]*}}$15}, {$68, $69, $70, $71}
// CHECK-SAME: add.s64 b, $80, [[#RIGHT+4]];\0Awgmma{{[^;]*}}{$16, {{[^;]*}}$31}, {$72, $73, $74, $75}
// CHECK-SAME: add.s64 b, $80, [[#RIGHT+6]];\0Awgmma{{[^;]*}}{$16, {{[^;]*}}$31}
// CHECK-NOT: wgmma.mma_async
tile.kernel @lower(%a: tensor<64x64xbf16, #tile.layout<acc>>, %c: tensor<64x64xf32, #tile.layout<acc>>) grid 1 * slots warps 4 min_blocks 1 operands ["", ""] shared_bytes 8448 {
  %b = tile.alloc offset 0 : !tile.smem<64x64xbf16>
  %d = tile.mma %a, %b transpose_b into %c {tile.lower_triangle} : tensor<64x64xbf16, #tile.layout<acc>>, !tile.smem<64x64xbf16>, tensor<64x64xf32, #tile.layout<acc>> -> !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
  %x = tile.await %d : !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
}

// -----

// Each warp has code for its own rows: a block on the diagonal takes 6 decays, one below
// it 4, whose later rows are 8 further down by one factor, and one above it none. What is
// selected are the 4 elements on the diagonal of the block.

// CHECK-LABEL: gpu.module @triangle
// CHECK-COUNT-3: scf.if
// CHECK-NOT: scf.if
// CHECK: llvm.return
// CHECK-LABEL: gpu.module @triangle_decays
// CHECK-COUNT-51: "llvm.nvvm.ex2.approx.ftz.f"
// CHECK-NOT: ex2
// CHECK: llvm.return
// CHECK-LABEL: gpu.module @triangle_selects
// CHECK-COUNT-16: llvm.select
// CHECK-NOT: llvm.select
// CHECK: llvm.return
tile.kernel @triangle(%m: tensor<64x64xf32, #tile.layout<acc>>, %h: tensor<64xf32, #tile.layout<row>>, %p: tensor<64xf32, #tile.layout<col>>) grid 1 * slots warps 4 min_blocks 1 operands ["", "", ""] shared_bytes 1024 {
  %r = tile.triangle strict %m decay %h, %p : tensor<64x64xf32, #tile.layout<acc>>, tensor<64xf32, #tile.layout<row>>, tensor<64xf32, #tile.layout<col>>
}
tile.kernel @triangle_decays(%m: tensor<64x64xf32, #tile.layout<acc>>, %h: tensor<64xf32, #tile.layout<row>>, %p: tensor<64xf32, #tile.layout<col>>) grid 1 * slots warps 4 min_blocks 1 operands ["", "", ""] shared_bytes 1024 {
  %r = tile.triangle %m decay %h, %p : tensor<64x64xf32, #tile.layout<acc>>, tensor<64xf32, #tile.layout<row>>, tensor<64xf32, #tile.layout<col>>
}
tile.kernel @triangle_selects(%m: tensor<64x64xf32, #tile.layout<acc>>, %h: tensor<64xf32, #tile.layout<row>>, %p: tensor<64xf32, #tile.layout<col>>) grid 1 * slots warps 4 min_blocks 1 operands ["", "", ""] shared_bytes 1024 {
  %r = tile.triangle strict %m decay %h, %p : tensor<64x64xf32, #tile.layout<acc>>, tensor<64xf32, #tile.layout<row>>, tensor<64xf32, #tile.layout<col>>
}

// -----

// Three products, each complete before its result is the next one's operand: of the
// adjoint from the last columns on, with Z across. Of a part's product with itself the
// rates are negated, and it is added: ptxas must not find the same values before it and
// behind it.

// CHECK-LABEL: gpu.module @apply
// CHECK: %[[C:.*]] = llvm.extractelement %{{.*}}[%{{.*}} : i32] : vector<16xf32>
// CHECK: %[[NEGATED:.*]] = llvm.fneg %[[C]]
// CHECK: llvm.fmul %[[NEGATED]], %{{.*}} : f32
// CHECK: add.s64 b, $40, 0;\0Awgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 {$0, {{.*}}$15}, {$32, $33, $34, $35}, b, always, 1, 1, 0;\0Aadd.s64 b, $40, 2;
// CHECK-SAME: wgmma.wait_group.sync.aligned 0;
// CHECK: llvm.fmul %[[C]], %{{.*}} : f32
// CHECK: add.s64 b, $40, 4;
// CHECK-SAME: b, always, -1, 1, 0;\0Aadd.s64 b, $40, 6;
// CHECK-SAME: add.s64 b, $40, 256;
// CHECK-SAME: add.s64 b, $40, 258;
// CHECK-SAME: wgmma.wait_group.sync.aligned 0;
// CHECK: add.s64 b, $40, 260;
// CHECK-SAME: b, always, 1, 1, 0;\0Aadd.s64 b, $40, 262;
// CHECK: add.s64 b, $40, 260;
// CHECK-SAME: b, always, 1, 1, 1;\0Aadd.s64 b, $40, 388;
// CHECK: add.s64 b, $40, 256;
// CHECK: add.s64 b, $40, 0;
tile.kernel @apply(%w: tensor<64x64xf32, #tile.layout<acc>>, %c: tensor<64xf32, #tile.layout<col>>) grid 1 * slots warps 4 min_blocks 1 operands ["", ""] shared_bytes 8192 {
  %z = tile.alloc offset 0 : !tile.smem<64x64xbf16>
  %r = tile.erase_apply %w, %z, %c
      : tensor<64x64xf32, #tile.layout<acc>>, !tile.smem<64x64xbf16>, tensor<64xf32, #tile.layout<col>>
  %x = tile.erase_apply adjoint %r, %z, %c
      : tensor<64x64xf32, #tile.layout<acc>>, !tile.smem<64x64xbf16>, tensor<64xf32, #tile.layout<col>>
}

// -----

// By a factor in two parts: the second lies 512 units of 16 bytes on, and counts only on
// the diagonal.

// CHECK-LABEL: gpu.module @apply_in_two
// CHECK: add.s64 b, $40, 512;
// CHECK-SAME: add.s64 b, $40, 514;
// CHECK-SAME: add.s64 b, $40, 0;
// CHECK-SAME: add.s64 b, $40, 2;
// CHECK-SAME: wgmma.wait_group.sync.aligned 0;
// CHECK: add.s64 b, $40, 4;
// CHECK-SAME: add.s64 b, $40, 6;
// CHECK-SAME: add.s64 b, $40, 256;
// CHECK: add.s64 b, $40, 772;
// CHECK-SAME: add.s64 b, $40, 774;
// CHECK-SAME: add.s64 b, $40, 260;
// CHECK: add.s64 b, $40, 772;
// CHECK-SAME: b, always, 1, 1, 1;\0Aadd.s64 b, $40, 900;
// CHECK-SAME: add.s64 b, $40, 260;
tile.kernel @apply_in_two(%w: tensor<64x64xf32, #tile.layout<acc>>, %c: tensor<64xf32, #tile.layout<col>>) grid 1 * slots warps 4 min_blocks 1 operands ["", ""] shared_bytes 16384 {
  %z = tile.alloc offset 0 : !tile.smem<64x128xbf16>
  %r = tile.erase_apply %w, %z, %c
      : tensor<64x64xf32, #tile.layout<acc>>, !tile.smem<64x128xbf16>, tensor<64xf32, #tile.layout<col>>
  %x = tile.erase_apply adjoint %r, %z, %c
      : tensor<64x64xf32, #tile.layout<acc>>, !tile.smem<64x128xbf16>, tensor<64xf32, #tile.layout<col>>
}

// -----

// One warp of a warpgroup. The number of a warp is made once, for the roles too.

// CHECK-LABEL: gpu.module @one_warp
// CHECK: %[[W:.*]] = nvvm.shfl.sync
// CHECK-NOT: nvvm.shfl.sync
// CHECK: %[[R:.*]] = llvm.urem %[[W]]
// CHECK: %[[TWO:.*]] = llvm.mlir.constant(2 : i32)
// CHECK: %[[THIS:.*]] = llvm.icmp "eq" %[[R]], %[[TWO]]
// CHECK: scf.if %[[THIS]] {
// CHECK: cp.async.bulk.tensor
tile.kernel @one_warp(%map: !tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 64, 1, 64]>)
    grid 1 * sequences warps 4 min_blocks 1 operands ["x"] shared_bytes 16416 {
  %c0 = arith.constant 0 : index
  %ring = tile.alloc_ring producers 1 consumers 4 offset 0 : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  tile.sync
  tile.roles warps [4] {
    tile.one_warp 2 {
      %t = tile.acquire %ring[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>
      tile.load %map[%c0, %c0, %c0, %c0] to %t of %ring[%c0]
          : !tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 64, 1, 64]>, !tile.smem<64x64xbf16>, !tile.ring<2, [!tile.smem<64x64xbf16>]>
      tile.commit %ring[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]>
    }
    %t = tile.wait %ring[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>
    tile.release %ring[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  }
}

// -----

// A value that is held: stores that no thread does, since the grid has one dimension.

// CHECK-LABEL: gpu.module @held
// CHECK: mov.u32 n, %nctaid.y;\0Asetp.gt.u32 p, n, 1;\0A@p st.shared.v4.f32 [wyvern_shared], {$0, $1, $2, $3};
tile.kernel @held(%x: tensor<64x64xf32, #tile.layout<acc>>) grid 1 * slots warps 4 min_blocks 1 operands [""] shared_bytes 0 {
  %y = tile.hold %x : tensor<64x64xf32, #tile.layout<acc>>
}

// -----

// The first slot of a sequence, and pairs of neighbours: lane l has the sum of elements
// 2 l and 2 l + 1, which lie in two registers.

// CHECK-LABEL: gpu.module @slots
// CHECK: scf.if
// CHECK: llvm.udiv
// CHECK: } else {
// CHECK: llvm.mul
// CHECK-COUNT-4: nvvm.shfl.sync {{ *}}idx
tile.kernel @slots(%n: index, %cu: !tile.cu_seqlens, %T: index, %v: tensor<64xf32, #tile.layout<warp>>) grid 1 * slots warps 4 min_blocks 1 operands ["", "", "", ""] shared_bytes 0 {
  %c64 = arith.constant 64 : index
  %slot = tile.first_slot %n of %cu tokens %T chunk %c64
  %s = tile.sum_groups %v by 2 : tensor<64xf32, #tile.layout<warp>> -> tensor<32xf32, #tile.layout<warp>>
}

// -----

// What lies between kernels is dense: of its strides the first alone, over a dynamic
// number of tokens, is a parameter.

// CHECK-LABEL: gpu.module @between
// CHECK: llvm.func @between(%{{[^:]*}}: !llvm.ptr<1>, %{{[^:]*}}: i64, %[[n:[^:]*]]: i64)
// CHECK: llvm.mlir.constant(2 : i64)
tile.kernel @between(%out: !tile.global<tensor<?x?x2xf32>, dense = true>, %n: index) grid 1 * slots warps 4 min_blocks 1 operands ["o", "tokens"] shared_bytes 256 {
  %c0 = arith.constant 0 : index
  %t = tile.alloc offset 0 : !tile.smem<64xf32>
  %g = tile.read %t : !tile.smem<64xf32> -> tensor<64xf32, #tile.layout<warp>>
  tile.store_vector %g to %out[%c0, %c0, %c0] dim 1 valid %n : tensor<64xf32, #tile.layout<warp>>, !tile.global<tensor<?x?x2xf32>, dense = true>
}
