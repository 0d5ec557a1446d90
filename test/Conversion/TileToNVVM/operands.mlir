// RUN: wyvern-opt %s -convert-tile-to-nvvm -split-input-file | FileCheck %s
//
// What is told to the hardware in numbers: descriptors of swizzled tiles, barriers,
// register budgets.

!half = tensor<64x64xbf16, #tile.layout<acc>>
!fly = !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>

// A descriptor is the address / 16 (18 bits) with the distances: eight rows are 1024
// bytes apart (64 << 32), swizzle 128 (1 << 62). The leading distance is not used
// where the contracted dimension is contiguous (1 << 16) ...

// CHECK-LABEL: llvm.func @contracted_inner
// CHECK: %[[ADDRESS:.*]] = llvm.and %{{.*}}, %{{.*}} : i32
// CHECK: %[[UNITS:.*]] = llvm.udiv %[[ADDRESS]], %{{.*}} : i32
// CHECK: %[[BITS:.*]] = llvm.zext %[[UNITS]]
// CHECK: %[[CONSTANT:.*]] = llvm.mlir.constant(4611686293305360384 : i64)
// CHECK: llvm.or %[[BITS]], %[[CONSTANT]]
// 64 elements are four steps of 32 bytes. A's fragments are in registers 32 to 47,
// the descriptor of B in 48.
// CHECK: add.s64 b, $48, 0;\0Awgmma
// CHECK-SAME: {$32, $33, $34, $35}, b, never, 1, 1, 0;\0Aadd.s64 b, $48, 2;\0Awgmma
// CHECK-SAME: {$36, $37, $38, $39}, b, always, 1, 1, 0;\0Aadd.s64 b, $48, 4;\0Awgmma
// CHECK-SAME: {$40, $41, $42, $43}, b, always, 1, 1, 0;\0Aadd.s64 b, $48, 6;\0Awgmma
// CHECK-SAME: {$44, $45, $46, $47}, b, always, 1, 1, 0;\0Awgmma.commit_group
tile.kernel @contracted_inner(%a: !half) grid 1 * slots warps 4 min_blocks 1 operands [""] shared_bytes 8192 {
  %b = tile.alloc offset 0 : !tile.smem<64x64xbf16>
  %d = tile.mma %a, %b transpose_b : !half, !tile.smem<64x64xbf16> -> !fly
  %x = tile.await %d : !fly
}

// -----

!half = tensor<64x32xbf16, #tile.layout<acc>>
!fly = !tile.inflight<tensor<64x128xf32, #tile.layout<acc>>>

// ... and is from one block of 64 columns to the next where the other one is: here
// 32 rows of 128 bytes, 256 units (<< 16). A step of 16 is 16 rows, 128 units.

// CHECK-LABEL: llvm.func @contracted_outer
// CHECK: llvm.mlir.constant(4611686293322072064 : i64)
// CHECK: m64n128k16.f32.bf16.bf16
// CHECK-SAME: b, never, 1, 1, 1;
// CHECK-SAME: 128;\0Awgmma
// CHECK-SAME: b, always, 1, 1, 1;
tile.kernel @contracted_outer(%a: !half) grid 1 * slots warps 4 min_blocks 1 operands [""] shared_bytes 8192 {
  %b = tile.alloc offset 0 : !tile.smem<32x128xbf16>
  %d = tile.mma %a, %b : !half, !tile.smem<32x128xbf16> -> !fly
  %x = tile.await %d : !fly
}

// -----

// Hardware barriers are constants, of the 128 threads of a warpgroup; with `proxy`
// the writer's fence comes first.

// CHECK-LABEL: llvm.func @barriers
// CHECK-NOT: fence
// CHECK: "bar.sync 15, 128;"
// CHECK: "fence.proxy.async.shared::cta;"
// CHECK-NEXT: "bar.sync 2, 128;"
tile.kernel @barriers() grid 1 * slots warps 4 min_blocks 1 operands [] shared_bytes 0 {
  tile.barrier id 15
  tile.barrier proxy id 2
}

// -----

// 384 threads start with 168 registers each; a budget of 0 leaves a role alone. Where registers
// are few each role is in the branch that those before it do not take: what it alone reads is
// not held in them.

// CHECK-LABEL: llvm.func @budgets
// CHECK: scf.if
// CHECK-NEXT: nvvm.setmaxregister decrease 40
// CHECK-NEXT: "bar.sync 1, 128;"
// CHECK-NEXT: } else {
// CHECK: scf.if
// CHECK-NEXT: nvvm.setmaxregister increase 232
// CHECK-NEXT: "bar.sync 2, 128;"
// CHECK-NEXT: } else {
// CHECK: scf.if
// CHECK-NEXT: "bar.sync 3, 128;"
// CHECK-COUNT-3: }
// CHECK-NOT: nvvm.setmaxregister
// CHECK: llvm.return
tile.kernel @budgets() grid 1 * slots warps 12 min_blocks 1 operands [] shared_bytes 0 {
  tile.roles warps [4, 4, 4] registers [40, 232, 0] {
    tile.barrier id 1
  }, {
    tile.barrier id 2
  }, {
    tile.barrier id 3
  }
} {tile.few_registers}

// -----

// 256 threads in two blocks start with 128.

// CHECK-LABEL: llvm.func @two_blocks
// CHECK: nvvm.setmaxregister increase 152
// CHECK-NOT: else
// CHECK: nvvm.setmaxregister decrease 104
tile.kernel @two_blocks() grid 1 * slots warps 8 min_blocks 2 operands [] shared_bytes 0 {
  tile.roles warps [4, 4] registers [152, 104] {
    tile.barrier id 1
  }, {
    tile.barrier id 2
  }
}

// -----

// Packed and dense are one kernel: a null cu_seqlens is dense, and entries are 4 or 8
// bytes wide. A slot's sequence is found by bisection; what is divided fits 32 bits. A
// number for all threads is that of lane 0.

// CHECK-LABEL: llvm.func @places
// CHECK-SAME: (%[[CU:.*]]: !llvm.ptr<1>, %[[WIDTH:.*]]: i64, %{{.*}}: i64, %{{.*}}: i64)
// CHECK: %[[NULL:.*]] = llvm.mlir.zero : !llvm.ptr<1>
// CHECK: %[[PACKED:.*]] = llvm.icmp "ne" %{{.*}}, %[[NULL]]
// CHECK: %[[N:.*]] = scf.if %[[PACKED]] -> (i64) {
// CHECK: scf.while
// CHECK: llvm.icmp "ule"
// CHECK: scf.yield
// CHECK: } else {
// CHECK: llvm.udiv {{.*}} : i32
// CHECK: llvm.load {{.*}} : !llvm.ptr<1> -> i64
// CHECK: llvm.load {{.*}} : !llvm.ptr<1> -> i32
// CHECK: %[[BATCH:.*]] = llvm.select
// CHECK: %[[LANES:.*]] = llvm.trunc %[[BATCH]] : i64 to i32
// CHECK: %[[FIRST:.*]] = nvvm.shfl.sync idx {{.*}}, %[[LANES]],
// CHECK: llvm.zext %[[FIRST]] : i32 to i64
tile.kernel @places(%cu: !tile.cu_seqlens, %T: index, %N: index)
    grid 1 * slots warps 4 min_blocks 1 operands ["cu_seqlens", "tokens", "sequences"] shared_bytes 0 {
  %slot = tile.block_id
  %c64 = arith.constant 64 : index
  %n, %c = tile.find_chunk %slot of %cu tokens %T sequences %N chunk %c64
  %batch, %start, %length, %end = tile.sequence %n of %cu tokens %T sequences %N
  %same = tile.uniform %batch
}

// -----

// A scaled product in parts of 32 columns. The second part has the registers of the first
// one, and its first product overwrites them by a predicate that needs what was added.

// CHECK-LABEL: llvm.func @parts
// CHECK: add.s64 a, $16, 0;\0Aadd.s64 b, $17, 0;\0Awgmma.mma_async.sync.aligned.m64n32k16
// CHECK-SAME: a, b, never, 1, 1, 0, 0
// CHECK: llvm.intr.fma
// CHECK: popc.b32 ones, ones;\0Asetp.gt.u32 never, ones, 32;
// CHECK-SAME: add.s64 a, $32, 0;\0Aadd.s64 b, $33, 256;
tile.kernel @parts(%c: tensor<64x64xf32, #tile.layout<acc>>, %s: tensor<64xf32, #tile.layout<row>>) grid 1 * slots warps 4 min_blocks 1 operands ["", ""] shared_bytes 16384 {
  %a = tile.alloc offset 0 : !tile.smem<64x64xbf16>
  %b = tile.alloc offset 8192 : !tile.smem<64x64xbf16>
  %d = tile.add_scaled %c, %s, %a, %b transpose_b : tensor<64x64xf32, #tile.layout<acc>>, tensor<64xf32, #tile.layout<row>>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>
}

// -----

// Row i of A with row i of B: two products of eight rows of B for 16 columns, and the
// diagonals of both. Of B a lane has two neighbouring registers of what it reads in each.

// CHECK-LABEL: llvm.func @dot
// CHECK: ldmatrix
// CHECK: %[[B:.*]] = llvm.inline_asm {{.*}}ldmatrix
// CHECK-DAG: %[[B0:.*]] = llvm.extractvalue %[[B]][0]
// CHECK-DAG: %[[B1:.*]] = llvm.extractvalue %[[B]][1]
// CHECK-DAG: %[[B2:.*]] = llvm.extractvalue %[[B]][2]
// CHECK-DAG: %[[B3:.*]] = llvm.extractvalue %[[B]][3]
// CHECK: mma.sync{{.*}}"{{.*}}" {{.*}}, %[[B0]], %[[B1]] :
// CHECK: mma.sync{{.*}}"{{.*}}" {{.*}}, %[[B2]], %[[B3]] :
// CHECK-COUNT-6: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// CHECK-NOT: mma.sync
// CHECK: llvm.select
// CHECK: nvvm.shfl.sync bfly
tile.kernel @dot() grid 1 * slots warps 4 min_blocks 1 operands [] shared_bytes 16400 {
  %a = tile.alloc offset 0 : !tile.smem<64x64xbf16>
  %b = tile.alloc offset 8192 : !tile.smem<64x64xbf16>
  %s = tile.alloc offset 16384 : !tile.smem<4xf32>
  %d = tile.dot %a, %b via %s barrier 1 : !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>, !tile.smem<4xf32>
}

// -----

// A warp chooses by its number, twice of four blocks; a lane writes what lies on the diagonal.

// CHECK-LABEL: llvm.func @diagonal
// CHECK-COUNT-14: llvm.select
// CHECK-NOT: llvm.select
// CHECK: "bar.sync 1, 128;"
// CHECK: scf.if
// CHECK-COUNT-2: "st.shared.f32
// CHECK: "bar.sync 1, 128;"
// CHECK-COUNT-2: "ld.shared.f32
tile.kernel @diagonal(%x: tensor<64x64xf32, #tile.layout<acc>>) grid 1 * slots warps 4 min_blocks 1 operands [""] shared_bytes 256 {
  %s = tile.alloc offset 0 : !tile.smem<64xf32>
  %d = tile.diagonal %x via %s barrier 1 : !tile.smem<64xf32>, tensor<64x64xf32, #tile.layout<acc>> -> tensor<64xf32, #tile.layout<warp>>
}
