// RUN: wyvern-opt %s -sched-separate -canonicalize | FileCheck %s
// RUN: wyvern-opt %s -sched-separate=stages=3 | FileCheck %s --check-prefix=STAGES
// What it refuses: test/Conversion/SchedToTile/invalid.mlir.

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// A map has a block a chunk; what it stores is stored where it is made. A scan has
// blocks of 64 values of the dimension that it never sums over. Nobody reads the
// final, so nobody stores it.
// CHECK-LABEL: func.func @both
// CHECK: %0:2 = sched.kernel "both_map" grid(heads = 2, split = 1, over = slots of 1) chunk = 64 compute = f32 min_blocks 3
// CHECK: %[[MAP:.*]] = sched.channel depth 1 fill tma : <tensor<64x64xbf16>, tensor<64xf32>>
// CHECK: sched.role "compute" warps 4 {
// CHECK-NEXT: sched.each_chunk forward
// CHECK-NEXT: %[[IN:.*]]:2 = sched.get %[[MAP]]
// CHECK: %[[DOT:.*]] = linalg.contract
// CHECK-NEXT: sched.store %[[DOT]] to %out
// CHECK-NEXT: math.exp %[[IN]]#1
// CHECK: sched.role "load" warps 1 {
// CHECK-NEXT: sched.each_chunk forward
// CHECK-NEXT: %[[A:.*]] = sched.load %in :
// CHECK-NEXT: %[[B:.*]] = sched.load %in_0 :
// CHECK-NEXT: sched.put %[[A]], %[[B]] to %[[MAP]]
// CHECK: sched.kernel "both_scan" grid(heads = 2, split = 2, over = sequences)
// CHECK-SAME: min_blocks 1
// CHECK-SAME: ins(%{{[^ ]*}} = %{{[^ ]*}}[seq, time, head, _] : tensor<?x?x2x64xbf16>, %{{[^ ]*}} = %0#0
// CHECK: sched.channel depth 2 fill tma
// STAGES: sched.kernel "both_map"
// STAGES: sched.channel depth 1
// STAGES: sched.kernel "both_scan"
// STAGES: sched.channel depth 3
// CHECK: %[[S0:.*]] = sched.load %init
// CHECK: sched.each_chunk reverse valid(%{{.*}}) carries(%[[S:.*]] = %[[S0]]
// A state that an out keeps is stored before the chunk's products overwrite it.
// CHECK: sched.store %[[S]] to %
// CHECK: linalg.contract
// CHECK: sched.yield
// CHECK-NOT: sched.store
// CHECK: sched.role "load"
func.func @both(%k: tensor<?x?x2x64xbf16>, %v: tensor<?x?x2x128xbf16>, %g: tensor<?x?x2xf32>, %s: tensor<?x2x64x128xf32>)
    -> (tensor<?x2x64x128xbf16>, tensor<?x?x2xf32>) {
  %p, %e = delta.chunk_map chunk = 64 heads = 2 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x2x64xbf16>, %G = %g[seq, time, head] : tensor<?x?x2xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x64xbf16>, [seq, time, head] : tensor<?x?x2xf32>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    %Kb = arith.truncf %K : tensor<64x64xf32> to tensor<64x64xbf16>
    %P = linalg.contract indexing_maps = [#mk, #nk, #mn]
        ins(%Kb, %Kb : tensor<64x64xbf16>, tensor<64x64xbf16>) outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
    %E = math.exp %G : tensor<64xf32>
    delta.yield outs(%P, %E : tensor<64x64xf32>, tensor<64xf32>)
  }
  %kept, %t = delta.chunk_scan reverse chunk = 64 heads = 2 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x2x64xbf16>, %P = %p[seq, time, head, _] : tensor<?x?x2x64xbf16>,
          %V = %v[seq, time, head, _] : tensor<?x?x2x128xbf16>)
      carry(%S = %s[seq, head, _, _] : tensor<?x2x64x128xf32>)
      outs([chunk, head, _, _] : tensor<?x2x64x128xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x128xf32>
    %Vb = arith.truncf %V : tensor<64x128xf32> to tensor<64x128xbf16>
    %Pb = arith.truncf %P : tensor<64x64xf32> to tensor<64x64xbf16>
    %Kb = arith.truncf %K : tensor<64x64xf32> to tensor<64x64xbf16>
    %U = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%Pb, %Vb : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%zero : tensor<64x128xf32>) -> tensor<64x128xf32>
    %Ub = arith.truncf %U : tensor<64x128xf32> to tensor<64x128xbf16>
    %T = linalg.contract indexing_maps = [#km, #kn, #mn]
        ins(%Kb, %Ub : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%S : tensor<64x128xf32>) -> tensor<64x128xf32>
    delta.yield outs(%S : tensor<64x128xf32>) carry(%T : tensor<64x128xf32>)
  }
  return %kept, %e : tensor<?x2x64x128xbf16>, tensor<?x?x2xf32>
}
