// RUN: wyvern-opt %s -sched-separate -convert-sched-to-tile -canonicalize -cse | FileCheck %s
// RUN: wyvern-opt %s -sched-separate -convert-sched-to-tile -canonicalize -cse -tile-schedule -tile-plan-smem -convert-tile-to-nvvm | FileCheck %s --check-prefix=NVVM

// Row 1 of each token's two, from memory to registers: no channel, and no warp that loads.

// CHECK-LABEL: tile.kernel @take_map(
// CHECK-SAME: warps 4
// CHECK-NOT: tile.alloc_ring
// CHECK: scf.if
// CHECK: %[[TOKENS:.*]] = arith.minui
// CHECK: %[[FIRST:.*]] = arith.muli %[[T:.*]], %c2
// CHECK: %[[ROW:.*]] = arith.addi %[[FIRST]], %c1
// CHECK: %[[X:.*]] = tile.fetch_rows %{{.*}}[%{{.*}}, %[[ROW]], %{{.*}}, %c0] dim 1 every 2 valid %[[TOKENS]]
// CHECK: tile.store_rows %[[X]] to %{{.*}}[%{{.*}}, %[[T]], %{{.*}}, %c0] dim 1 valid %[[TOKENS]]

// To row 0 of each token's three, with zeros to the others.

// CHECK-LABEL: tile.kernel @spread_map(
// CHECK: %[[ZEROS:.*]] = arith.constant dense<0.000000e+00> : tensor<64x64xbf16, #tile.layout<acc>>
// CHECK: %[[FIRST:.*]] = arith.muli %{{.*}}, %c3
// CHECK: tile.store_rows %{{.*}} to %{{.*}}[%{{.*}}, %[[FIRST]], %{{.*}}, %c0] dim 1 every 3 valid
// CHECK: %[[ONE:.*]] = arith.addi %[[FIRST]], %c1
// CHECK: tile.store_rows %[[ZEROS]] to %{{.*}}[%{{.*}}, %[[ONE]], %{{.*}}, %c0] dim 1 every 3 valid
// CHECK: %[[TWO:.*]] = arith.addi %[[FIRST]], %c2
// CHECK: tile.store_rows %[[ZEROS]] to %{{.*}}[%{{.*}}, %[[TWO]], %{{.*}}, %c0] dim 1 every 3 valid

// Rows are as far apart.

// NVVM-LABEL: llvm.func @take_map
// NVVM: %[[STRIDE:.*]] = llvm.extractvalue %[[X:.*]][2] : !llvm.struct<(ptr<1>
// NVVM: llvm.extractvalue %[[X]][0]
// NVVM: %[[STRIDE:.*]] = llvm.extractvalue %[[X]][2]
// NVVM-NEXT: %[[TWO:.*]] = llvm.mlir.constant(2 : i64)
// NVVM-NEXT: llvm.mul %[[STRIDE]], %[[TWO]]
// NVVM: llvm.load {{.*}} !llvm.ptr<1> -> vector<2xf32>
// NVVM-LABEL: llvm.func @spread_map

func.func @take(%x: tensor<?x?x2x64xf32> {delta.name = "x"}) -> (tensor<?x?x2x64xf32> {delta.name = "y"}) {
  %y = delta.chunk_map chunk = 64 heads = 2 compute = f32
      ins(%X = %x[seq, time * 2 row 1, head, _] : tensor<?x?x2x64xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x64xf32>) valid(%n) {
    delta.yield outs(%X : tensor<64x64xf32>)
  }
  return %y : tensor<?x?x2x64xf32>
}

func.func @spread(%x: tensor<?x?x2x64xbf16> {delta.name = "x"}) -> (tensor<?x?x2x64xbf16> {delta.name = "y"}) {
  %y = delta.chunk_map chunk = 64 heads = 2 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs([seq, time * 3 row 0, head, _] : tensor<?x?x2x64xbf16>) valid(%n) {
    delta.yield outs(%X : tensor<64x64xf32>)
  }
  return %y : tensor<?x?x2x64xbf16>
}
