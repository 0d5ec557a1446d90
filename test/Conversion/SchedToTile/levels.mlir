// RUN: wyvern-opt %s -sched-separate -convert-sched-to-tile -canonicalize -split-input-file | FileCheck %s

// A level's masks: bits of positions, which are the chunk's first one and a place in a
// vector. In a map every warp holds them, in a chain they lie along the columns.

// CHECK-LABEL: tile.kernel @map_map
// CHECK: %[[head:.*]] = arith.remui %{{.*}}, %c6
// CHECK: %[[position:.*]] = arith.muli %{{.*}}, %c64
// CHECK: %[[level:.*]] = arith.remui %[[head]], %c3
// CHECK: %[[block:.*]] = arith.shli %c1, %[[level]]
// CHECK: %[[half:.*]] = arith.shrui %[[block]], %c1
// CHECK: %[[bit:.*]] = arith.index_cast %[[half]] : index to i32
// CHECK: %[[bits:.*]] = tile.broadcast %[[bit]] : i32 -> tensor<64xi32, #tile.layout<warp>>
// CHECK: %[[i:.*]] = tile.index 0 : tensor<64xi32, #tile.layout<warp>>
// CHECK: %[[first:.*]] = arith.index_cast %[[position]] : index to i32
// CHECK: %[[all:.*]] = tile.broadcast %[[first]]
// CHECK: %[[t:.*]] = arith.addi %[[all]], %[[i]]
// CHECK: %[[found:.*]] = arith.andi %[[t]], %[[bits]]
// CHECK: %[[holds:.*]] = arith.cmpi eq, %[[found]], %[[bits]]
// CHECK: arith.select %[[holds]], %{{.*}}, %{{.*}} : tensor<64xi1, #tile.layout<warp>>, tensor<64xf32, #tile.layout<warp>>
func.func @map(%x: tensor<?x?x6xf32> {delta.name = "x"}) -> (tensor<?x?x6xf32> {delta.name = "y"}) {
  %y = delta.chunk_map chunk = 64 heads = 6 compute = f32 ins(%X = %x[seq, time, head] : tensor<?x?x6xf32>)
      outs([seq, time, head] : tensor<?x?x6xf32>) valid(%n) {
    %r = delta.level_rows reads of 3 : tensor<64xf32>
    %Y = arith.mulf %X, %r : tensor<64xf32>
    delta.yield outs(%Y : tensor<64xf32>)
  }
  return %y : tensor<?x?x6xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// The state starts at zeros that the role makes: no operand of it.

// CHECK-LABEL: tile.kernel @chain_scan
// CHECK-SAME: operands ["x", "v", "o", "cu_seqlens", "tokens", "sequences"]
// CHECK-NOT: tile.load_matrix
// CHECK: tile.index 0 : tensor<64xi32, #tile.layout<col>>
// CHECK: arith.select {{.*}} : tensor<64xi1, #tile.layout<col>>, tensor<64xf32, #tile.layout<col>>
// CHECK-NOT: linalg.fill
func.func @chain(%x: tensor<?x?x3x64xbf16> {delta.name = "x"}, %v: tensor<?x?x3x64xbf16> {delta.name = "v"})
    -> (tensor<?x?x3x64xbf16> {delta.name = "o"}) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %batch = tensor.dim %x, %c0 : tensor<?x?x3x64xbf16>
  %empty = tensor.empty(%batch) : tensor<?x3x64x64xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x3x64x64xf32>) -> tensor<?x3x64x64xf32>
  %o, %sT = delta.chunk_scan forward chunk = 64 heads = 3 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x3x64xbf16>, %V = %v[seq, time, head, _] : tensor<?x?x3x64xbf16>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x3x64x64xf32>)
      outs([seq, time, head, _] : tensor<?x?x3x64xbf16>) valid(%n) {
    %w = delta.level_rows writes of 3 : tensor<64xf32>
    %e = tensor.empty() : tensor<64x64xf32>
    %W = linalg.broadcast ins(%w : tensor<64xf32>) outs(%e : tensor<64x64xf32>) dimensions = [1]
    %VW = arith.mulf %V, %W : tensor<64x64xf32>
    %Xb = arith.truncf %X : tensor<64x64xf32> to tensor<64x64xbf16>
    %Vb = arith.truncf %VW : tensor<64x64xf32> to tensor<64x64xbf16>
    %S1 = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%Xb, %Vb : tensor<64x64xbf16>, tensor<64x64xbf16>) outs(%S : tensor<64x64xf32>) -> tensor<64x64xf32>
    delta.yield outs(%VW : tensor<64x64xf32>) carry(%S1 : tensor<64x64xf32>)
  }
  return %o : tensor<?x?x3x64xbf16>
}
