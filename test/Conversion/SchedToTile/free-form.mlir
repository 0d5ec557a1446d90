// RUN: wyvern-opt %s -sched-separate -convert-sched-to-tile -canonicalize -cse | FileCheck %s
// RUN: wyvern-opt %s -sched-separate=stages=3 -convert-sched-to-tile | FileCheck %s --check-prefix=DEPTH
// RUN: wyvern-opt %s -sched-separate -convert-sched-to-tile -canonicalize -cse -tile-schedule -tile-plan-smem -convert-tile-to-nvvm | FileCheck %s --check-prefix=NVVM
//
// Programs that no spec makes. The lowering knows dimensions, not layers.

// DEPTH: tile.kernel @two_reads_scan
// DEPTH: tile.alloc_ring producers 1 consumers 4 : <3, [
// DEPTH: tile.kernel @two_carries_scan

// NVVM: gpu.module @two_reads_scan
// NVVM: gpu.module @two_carries_scan
// NVVM: gpu.module @square_map

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#km = affine_map<(m, n, k) -> (k, m)>
#mn = affine_map<(m, n, k) -> (m, n)>

// Two different reads of one state, one of them with a gate a token on the output;
// the state is written to without any decay. From the last chunk to the first. Two key
// heads for four value heads.

// CHECK-LABEL: tile.kernel @two_reads_scan(
// CHECK-SAME: grid 8 * sequences
// CHECK-SAME: operands ["p", "r", "x", "v", "gate", "o1", "o2", "s0", "sT", "cu_seqlens", "tokens", "sequences"]
// CHECK: tile.alloc_ring producers 1 consumers 4 : <2, [!tile.smem<64x64xf16>, !tile.smem<64x64xf16>, !tile.smem<64x64xf16>, !tile.smem<64x64xf16>, !tile.smem<64xf32>]>
// CHECK: tile.alloc transient : <64x64xf16>
// CHECK: tile.alloc transient : <64x64xf16>
// CHECK: %[[BLOCK:.*]] = tile.block_id
// CHECK: %[[PART:.*]] = arith.remui %[[BLOCK]], %c2
// CHECK: %[[LANE:.*]] = arith.muli %[[PART]], %c64
// CHECK: %[[HEAD:.*]] = arith.remui %{{.*}}, %c4
// CHECK: tile.roles
// CHECK: %[[S0:.*]] = tile.load_matrix %{{.*}}[%{{.*}}, %[[HEAD]], %c0, %[[LANE]]] dims [3, 2]
// CHECK: scf.for %[[USE:.*]] = %c0 to %[[COUNT:.*]] step %c1 iter_args(%[[S:.*]] = %[[S0]])
// Uses of the ring count up, chunks down.
// CHECK: %[[LAST:.*]] = arith.subi %[[COUNT]], %c1
// CHECK: %[[CHUNK:.*]] = arith.subi %[[LAST]], %[[USE]]
// CHECK: arith.muli %[[CHUNK]], %c64
// CHECK: %[[T:.*]]:5 = tile.wait %{{.*}}[%[[USE]]]
// CHECK: %[[SH:.*]] = arith.truncf %[[S]]
// CHECK: tile.mma %[[SH]], %[[T]]#0 transpose_b
// CHECK: tile.store_rows transpose %{{.*}} to %{{.*}}[%{{.*}}, %{{.*}}, %[[HEAD]], %[[LANE]]] dim 1
// CHECK: tile.mma %[[SH]], %[[T]]#1 transpose_b
// CHECK: tile.read %[[T]]#4 : <64xf32> -> tensor<64xf32, #tile.layout<col>>
// CHECK: tile.store_rows transpose
// CHECK: tile.mma %[[T]]#3 transpose_a, %[[T]]#2 into %[[S]]
// CHECK: tile.zero_fill
// CHECK: tile.zero_fill
// CHECK: }, {
// CHECK: tile.acquire %{{.*}}[%{{.*}}]
// CHECK: %[[KEYHEAD:.*]] = arith.divui %[[HEAD]], %c2
// CHECK: tile.load %{{.*}}[%{{.*}}, %{{.*}}, %[[KEYHEAD]], %c0]
// CHECK: tile.load %{{.*}}[%{{.*}}, %{{.*}}, %[[HEAD]], %[[LANE]]]
func.func @two_reads(
    %p: tensor<?x?x2x64xf16> {delta.name = "p"}, %r: tensor<?x?x2x64xf16> {delta.name = "r"},
    %x: tensor<?x?x2x64xf16> {delta.name = "x"}, %v: tensor<?x?x4x128xf16> {delta.name = "v"},
    %gate: tensor<?x?x4xf16> {delta.name = "gate"}, %s0: tensor<?x4x64x128xf32> {delta.name = "s0"})
    -> (tensor<?x?x4x128xf16> {delta.name = "o1"}, tensor<?x?x4x128xf16> {delta.name = "o2"},
        tensor<?x4x64x128xf32> {delta.name = "sT"}) {
  %o1, %o2, %sT = delta.chunk_scan reverse chunk = 64 heads = 4 compute = f32
      ins(%P = %p[seq, time, head, _] : tensor<?x?x2x64xf16>,
          %R = %r[seq, time, head, _] : tensor<?x?x2x64xf16>,
          %X = %x[seq, time, head, _] : tensor<?x?x2x64xf16>,
          %V = %v[seq, time, head, _] : tensor<?x?x4x128xf16>,
          %G = %gate[seq, time, head] : tensor<?x?x4xf16>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x4x64x128xf32>)
      outs([seq, time, head, _] : tensor<?x?x4x128xf16>,
           [seq, time, head, _] : tensor<?x?x4x128xf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x128xf32>
    %Ph = arith.truncf %P : tensor<64x64xf32> to tensor<64x64xf16>
    %Rh = arith.truncf %R : tensor<64x64xf32> to tensor<64x64xf16>
    %Xh = arith.truncf %X : tensor<64x64xf32> to tensor<64x64xf16>
    %Vh = arith.truncf %V : tensor<64x128xf32> to tensor<64x128xf16>
    %Sh = arith.truncf %S : tensor<64x128xf32> to tensor<64x128xf16>
    %A = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%Ph, %Sh : tensor<64x64xf16>, tensor<64x128xf16>)
        outs(%zero : tensor<64x128xf32>) -> tensor<64x128xf32>
    %B = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%Rh, %Sh : tensor<64x64xf16>, tensor<64x128xf16>)
        outs(%zero : tensor<64x128xf32>) -> tensor<64x128xf32>
    %e = tensor.empty() : tensor<64x128xf32>
    %Gt = linalg.broadcast ins(%G : tensor<64xf32>) outs(%e : tensor<64x128xf32>) dimensions = [1]
    %BG = arith.mulf %Gt, %B : tensor<64x128xf32>
    %T = linalg.contract indexing_maps = [#km, #kn, #mn]
        ins(%Xh, %Vh : tensor<64x64xf16>, tensor<64x128xf16>)
        outs(%S : tensor<64x128xf32>) -> tensor<64x128xf32>
    delta.yield outs(%A, %BG : tensor<64x128xf32>, tensor<64x128xf32>) carry(%T : tensor<64x128xf32>)
  }
  return %o1, %o2, %sT : tensor<?x?x4x128xf16>, tensor<?x?x4x128xf16>, tensor<?x4x64x128xf32>
}

// Two states, the second kept as [values, keys]: both are held values first. Nothing
// comes out but states.

// CHECK-LABEL: tile.kernel @two_carries_scan(
// CHECK: %[[A:.*]] = tile.load_matrix {{.*}} dims [3, 2]
// CHECK: %[[B:.*]] = tile.load_matrix {{.*}} dims [2, 3]
// CHECK: scf.for {{.*}} iter_args(%[[S:.*]] = %[[A]], %[[R:.*]] = %[[B]])
// CHECK: %[[T:.*]]:2 = tile.wait
// CHECK: tile.mma %[[T]]#1 transpose_a, %[[T]]#0 into %[[S]]
// CHECK: tile.mma %[[T]]#1 transpose_a, %[[T]]#0 into %[[R]]
// CHECK: tile.store_matrix {{.*}} dims [3, 2]
// CHECK: tile.store_matrix {{.*}} dims [2, 3]
func.func @two_carries(
    %x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %v: tensor<?x?x1x64xbf16> {delta.name = "v"},
    %s0: tensor<?x1x64x64xf32> {delta.name = "s0"}, %r0: tensor<?x1x64x64xf32> {delta.name = "r0"})
    -> (tensor<?x1x64x64xf32> {delta.name = "sT"}, tensor<?x1x64x64xf32> {delta.name = "rT"}) {
  %sT, %rT = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>,
          %V = %v[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x64x64xf32>,
            %R = %r0[seq, head, _, _] : tensor<?x1x64x64xf32>)
      outs() valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    %Xh = arith.truncf %X : tensor<64x64xf32> to tensor<64x64xbf16>
    %Vh = arith.truncf %V : tensor<64x64xf32> to tensor<64x64xbf16>
    %T = linalg.contract indexing_maps = [#km, #kn, #mn]
        ins(%Xh, %Vh : tensor<64x64xbf16>, tensor<64x64xbf16>)
        outs(%S : tensor<64x64xf32>) -> tensor<64x64xf32>
    %VX = linalg.contract indexing_maps = [#km, #kn, #mn]
        ins(%Vh, %Xh : tensor<64x64xbf16>, tensor<64x64xbf16>)
        outs(%R : tensor<64x64xf32>) -> tensor<64x64xf32>
    delta.yield carry(%T, %VX : tensor<64x64xf32>, tensor<64x64xf32>)
  }
  return %sT, %rT : tensor<?x1x64x64xf32>, tensor<?x1x64x64xf32>
}

// A map of its own: elementwise work in registers, a product with it as A from shared
// memory, a vector out in 16 bits.

// CHECK-LABEL: tile.kernel @square_map(
// CHECK: %[[T:.*]]:2 = tile.wait
// CHECK: %[[X:.*]] = tile.read %[[T]]#0 : <64x64xbf16> -> tensor<64x64xbf16, #tile.layout<acc>>
// CHECK: %[[XF:.*]] = arith.extf %[[X]]
// CHECK: %[[E:.*]] = math.exp %[[XF]]
// CHECK: %[[EB:.*]] = arith.truncf %[[E]]
// CHECK: %[[A:.*]] = tile.write %[[EB]] to %{{.*}} barrier 1
// CHECK: tile.mma %[[A]], %[[T]]#0 :
// CHECK: tile.store_rows %
// CHECK: %[[V:.*]] = arith.truncf %{{.*}} : tensor<64xf32, #tile.layout<warp>> to tensor<64xbf16, #tile.layout<warp>>
// CHECK: tile.store_vector %[[V]] {{.*}} <tensor<?x?x1xbf16>>
func.func @square(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %g: tensor<?x?x1xf32> {delta.name = "g"})
    -> (tensor<?x?x1x64xbf16> {delta.name = "y"}, tensor<?x?x1xbf16> {delta.name = "w"}) {
  %y, %w = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %G = %g[seq, time, head] : tensor<?x?x1xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>, [seq, time, head] : tensor<?x?x1xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    %Xb = arith.truncf %X : tensor<64x64xf32> to tensor<64x64xbf16>
    %E = math.exp %X : tensor<64x64xf32>
    %Eb = arith.truncf %E : tensor<64x64xf32> to tensor<64x64xbf16>
    %Y = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%Eb, %Xb : tensor<64x64xbf16>, tensor<64x64xbf16>) outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
    %A = delta.cumsum %G : tensor<64xf32>
    delta.yield outs(%Y, %A : tensor<64x64xf32>, tensor<64xf32>)
  }
  return %y, %w : tensor<?x?x1x64xbf16>, tensor<?x?x1xbf16>
}
