// RUN: wyvern-opt %s -sched-separate -convert-sched-to-tile -canonicalize | FileCheck %s

// A state every second chunk, and a scan that starts from these: its blocks are those
// of slots of two chunks, and each runs over the chunks of one.

#mk = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// CHECK-LABEL: tile.kernel @save_scan
// CHECK-SAME: grid 1 * sequences warps 5
// CHECK-SAME: operands ["x", "v", "state", "s0", "sT", "cu_seqlens", "tokens", "sequences"]
// CHECK: scf.for
// CHECK: %[[place:.*]] = arith.remui %{{.*}}, %c2
// CHECK: %[[first:.*]] = arith.cmpi eq, %[[place]], %c0
// CHECK: scf.if %[[first]] {
// CHECK: tile.first_slot {{.*}} chunk %c128
// CHECK: tile.store_matrix
// CHECK: tile.wait
func.func @save(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %v: tensor<?x?x1x64xbf16> {delta.name = "v"},
                %s0: tensor<?x1x64x64xf32> {delta.name = "s0"}, %cu: tensor<?xi64> {delta.name = "cu_seqlens"})
    -> (tensor<?x1x64x64xf32> {delta.name = "state"}, tensor<?x1x64x64xf32> {delta.name = "sT"}) {
  %s, %sT = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %V = %v[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x64x64xf32>) cu_seqlens(%cu : tensor<?xi64>)
      outs([chunk * 2, head, _, _] : tensor<?x1x64x64xf32>) valid(%n) {
    %Xb = arith.truncf %X : tensor<64x64xf32> to tensor<64x64xbf16>
    %Vb = arith.truncf %V : tensor<64x64xf32> to tensor<64x64xbf16>
    %S1 = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%Xb, %Vb : tensor<64x64xbf16>, tensor<64x64xbf16>) outs(%S : tensor<64x64xf32>) -> tensor<64x64xf32>
    delta.yield outs(%S : tensor<64x64xf32>) carry(%S1 : tensor<64x64xf32>)
  }
  return %s, %sT : tensor<?x1x64x64xf32>, tensor<?x1x64x64xf32>
}

// The final states are nobody's here: no operand.

// CHECK-LABEL: tile.kernel @replay_scan
// CHECK-SAME: grid 1 * slots of 2 warps 5
// CHECK-SAME: operands ["x", "v", "o", "state", "cu_seqlens", "tokens", "sequences"]
// CHECK: %[[unit:.*]] = tile.block_id
// CHECK: %[[n:.*]], %[[run:.*]] = tile.find_chunk %[[unit]] {{.*}} chunk %c128
// CHECK: %[[firstChunk:.*]] = arith.muli %[[run]], %c2
// CHECK: arith.minui %{{.*}}, %c2
// CHECK: tile.load_matrix %{{.*}}[%[[unit]], %c0, %c0, %{{.*}}]
// CHECK-NOT: tile.store_matrix
func.func @replay(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %v: tensor<?x?x1x64xbf16> {delta.name = "v"},
                  %s0: tensor<?x1x64x64xf32> {delta.name = "state"}, %cu: tensor<?xi64> {delta.name = "cu_seqlens"})
    -> (tensor<?x?x1x64xbf16> {delta.name = "o"}) {
  %o, %sT = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %V = %v[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      carry(%S = %s0[chunk * 2, head, _, _] : tensor<?x1x64x64xf32>) cu_seqlens(%cu : tensor<?xi64>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    %Xb = arith.truncf %X : tensor<64x64xf32> to tensor<64x64xbf16>
    %Vb = arith.truncf %V : tensor<64x64xf32> to tensor<64x64xbf16>
    %S1 = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%Xb, %Vb : tensor<64x64xbf16>, tensor<64x64xbf16>) outs(%S : tensor<64x64xf32>) -> tensor<64x64xf32>
    delta.yield outs(%V : tensor<64x64xf32>) carry(%S1 : tensor<64x64xf32>)
  }
  return %o : tensor<?x?x1x64xbf16>
}

// Runs that start from the identity and store where they end, in 16 bits: the last chunk of
// the slot, or the sequence's, and only there is it rounded. Of two blocks, the second has
// the rows from 64. No tensor of identities is left. What says how many tokens there are, and
// is not read, is an operand that nobody loads.

// CHECK-LABEL: tile.kernel @ends_scan
// CHECK-SAME: %{{[^ ]*}}: !tile.global<tensor<?x?x1x64xbf16>>
// CHECK-SAME: grid 2 * slots of 2 warps 5
// CHECK-SAME: operands ["t", "x", "v", "end", "cu_seqlens", "tokens", "sequences"]
// CHECK: %[[start:.*]] = arith.muli %{{.*}}, %c64
// CHECK: %[[firstChunk:.*]] = arith.muli %{{.*}}, %c2
// CHECK: %[[rounded:.*]] = arith.addi %{{.*}}, %c63
// CHECK: arith.divui %[[rounded]], %c64
// CHECK: %[[visited:.*]] = arith.minui %{{.*}}, %c2
// CHECK: %[[count:.*]] = tile.uniform %[[visited]]
// CHECK: %[[start32:.*]] = arith.index_cast %[[start]] : index to i32
// CHECK: %[[first:.*]] = tile.broadcast %[[start32]]
// CHECK: %[[i:.*]] = tile.index 0
// CHECK: %[[row:.*]] = arith.addi %[[i]], %[[first]]
// CHECK: %[[column:.*]] = tile.index 1
// CHECK: %[[eq:.*]] = arith.cmpi eq, %[[row]], %[[column]]
// CHECK: %[[I:.*]] = arith.select %[[eq]]
// CHECK: scf.for {{.*}} iter_args(%{{.*}} = %[[I]])
// CHECK: %[[number:.*]] = arith.addi
// CHECK: %[[S1:.*]] = tile.await
// CHECK-NOT: arith.truncf %[[S1]]
// CHECK: %[[next:.*]] = arith.addi %[[number]], %c1
// CHECK: %[[behind:.*]] = arith.addi %[[firstChunk]], %[[count]]
// CHECK: %[[stores:.*]] = arith.cmpi eq, %[[next]], %[[behind]]
// CHECK: scf.if %[[stores]] {
// CHECK: %[[end:.*]] = arith.truncf %[[S1]]
// CHECK: tile.store_matrix %[[end]]
// CHECK-NOT: tile.kernel
func.func @ends(%t: tensor<?x?x1x64xbf16> {delta.name = "t"}, %x: tensor<?x?x1x128xbf16> {delta.name = "x"},
                %v: tensor<?x?x1x128xbf16> {delta.name = "v"}, %cu: tensor<?xi64> {delta.name = "cu_seqlens"})
    -> (tensor<?x1x128x128xbf16> {delta.name = "end"}) {
  %starts = delta.chunk_map chunk = 128 heads = 1 compute = f32
      ins(%T = %t[seq, time, head, _] : tensor<?x?x1x64xbf16>) cu_seqlens(%cu : tensor<?xi64>)
      outs([chunk, head, _, _] : tensor<?x1x128x128xf32>) valid(%n) {
    %I = delta.identity : tensor<128x128xf32>
    delta.yield outs(%I : tensor<128x128xf32>)
  }
  %end, %last = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%T = %t[seq, time, head, _] : tensor<?x?x1x64xbf16>, %X = %x[seq, time, head, _] : tensor<?x?x1x128xbf16>,
          %V = %v[seq, time, head, _] : tensor<?x?x1x128xbf16>)
      carry(%S = %starts[chunk * 2, head, _, _] : tensor<?x1x128x128xf32>) cu_seqlens(%cu : tensor<?xi64>)
      outs([chunk * 2 + 1, head, _, _] : tensor<?x1x128x128xbf16>) valid(%n) {
    %Xb = arith.truncf %X : tensor<64x128xf32> to tensor<64x128xbf16>
    %Vb = arith.truncf %V : tensor<64x128xf32> to tensor<64x128xbf16>
    %S1 = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%Xb, %Vb : tensor<64x128xbf16>, tensor<64x128xbf16>) outs(%S : tensor<128x128xf32>) -> tensor<128x128xf32>
    delta.yield outs(%S1 : tensor<128x128xf32>) carry(%S1 : tensor<128x128xf32>)
  }
  return %end : tensor<?x1x128x128xbf16>
}
