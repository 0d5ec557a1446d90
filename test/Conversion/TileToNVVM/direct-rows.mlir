// RUN: wyvern-opt %s -convert-tile-to-nvvm | FileCheck %s

// Without a staging tile rows leave from registers: of two blocks of 8 columns the lanes
// of a pair exchange one each, and a lane stores 8 bytes. No thread waits for another.

// CHECK-LABEL: llvm.func @rows
// CHECK-NOT: bar.sync
// CHECK-COUNT-8: nvvm.shfl.sync bfly
// CHECK-NOT: movmatrix

// Rows that are the tile's columns are turned on the way.

// CHECK-LABEL: llvm.func @columns
// CHECK-NOT: bar.sync
// CHECK-COUNT-16: movmatrix.sync.aligned.m8n8.trans.b16
// CHECK-NOT: movmatrix

// A product that is taken off.

// CHECK: wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {{.*}}, always, -1, 1, 0, 0;

// Columns that are rows in memory go through a staging tile of fewer rows piece by piece,
// each behind the reads of the one before. All rows are there: no branch.

// CHECK-LABEL: llvm.func @pieces
// CHECK: bar.sync 1, 128
// CHECK-COUNT-4: stmatrix.sync.aligned.m8n8.x4.trans
// CHECK-NOT: stmatrix
// CHECK: bar.sync 1, 128
// CHECK-NOT: scf.if
// CHECK-COUNT-4: llvm.store {{.*}} !llvm.ptr<1>
// CHECK: bar.sync 1, 128
// CHECK-COUNT-4: stmatrix.sync.aligned.m8n8.x4.trans
// CHECK: bar.sync 1, 128
// CHECK-COUNT-4: llvm.store {{.*}} !llvm.ptr<1>

!half = tensor<64x64xbf16, #tile.layout<acc>>
!wide = tensor<64x128xbf16, #tile.layout<acc>>
!acc = tensor<64x64xf32, #tile.layout<acc>>
tile.kernel @rows(%out: !tile.global<tensor<?x?x1x64xbf16>>, %n: index) grid 1 * slots warps 4 min_blocks 1 operands ["y", "tokens"] shared_bytes 0 {
  %c0 = arith.constant 0 : index
  %x = arith.constant dense<1.0> : !half
  tile.store_rows %x to %out[%c0, %c0, %c0, %c0] dim 1 valid %n barrier 1 : !half, !tile.global<tensor<?x?x1x64xbf16>>
}

tile.kernel @columns(%out: !tile.global<tensor<?x?x1x64xbf16>>, %n: index) grid 1 * slots warps 4 min_blocks 1 operands ["y", "tokens"] shared_bytes 8192 {
  %c0 = arith.constant 0 : index
  %s = tile.alloc offset 0 : !tile.smem<64x64xbf16>
  %one = arith.constant dense<1.0> : !half
  %c = arith.constant dense<1.0> : !acc
  tile.store_rows transpose %one to %out[%c0, %c0, %c0, %c0] dim 1 valid %n barrier 1 : !half, !tile.global<tensor<?x?x1x64xbf16>>
  %f = tile.mma %s negate_a, %s transpose_b into %c : !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>, !acc -> !tile.inflight<!acc>
  %d = tile.await %f : !tile.inflight<!acc>
  %h = arith.truncf %d : !acc to !half
  tile.store_rows %h to %out[%c0, %c0, %c0, %c0] dim 1 valid %n via %s barrier 1 : !half, !tile.global<tensor<?x?x1x64xbf16>>, !tile.smem<64x64xbf16>
}

tile.kernel @pieces(%out: !tile.global<tensor<?x1x128x64xbf16>>) grid 1 * slots warps 4 min_blocks 1 operands ["y"] shared_bytes 8192 {
  %c0 = arith.constant 0 : index
  %c128 = arith.constant 128 : index
  %s = tile.alloc offset 0 : !tile.smem<64x64xbf16>
  %x = arith.constant dense<1.0> : !wide
  tile.store_rows transpose %x to %out[%c0, %c0, %c0, %c0] dim 2 valid %c128 via %s barrier 1 : !wide, !tile.global<tensor<?x1x128x64xbf16>>, !tile.smem<64x64xbf16>
}
