// RUN: wyvern-opt %s -sched-fuse-backward -canonicalize | FileCheck %s
// RUN: wyvern-opt %s -sched-fuse-backward -remark-format=emitRemark -remarks-filter=sched-fuse-backward 2>&1 | FileCheck %s --check-prefix=REMARK

// What the compiler's own programs become is in fuse-backward.test.

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

module attributes {tile.target = #tile.target<sm_90a>} {

// The map reads the carry as it was before the chunk, rounded as the scan would store it.
// Others than the map do not read it, so it is no out of the kernel. Two products of the
// map that share nothing are two roles' work.

// CHECK-LABEL: func.func @behind
// CHECK: %[[R:.*]]:3 = sched.kernel "behind_fused" grid(heads = 2, split = 1, over = sequences)
// CHECK-SAME: outs(%[[Y:.*]] = [seq, time, head, _] : tensor<?x?x2x64xbf16>, %[[Z:.*]] = [seq, time, head, _] : tensor<?x?x2x64xbf16>) finals(
// CHECK: %[[K:.*]] = sched.channel depth 2 fill tma : <tensor<64x64xbf16>>
// CHECK: %[[S:.*]] = sched.channel depth 2 fill warps : <tensor<64x64xbf16>>
// CHECK: sched.role "chain" warps 4 registers 168 {
// CHECK: sched.each_chunk reverse valid(%{{.*}}) carries(%[[CARRY:.*]] =
// CHECK: sched.put %[[CARRY]] to %[[S]]
// CHECK: linalg.contract
// CHECK: sched.role "map" warps 4 registers 168 {
// CHECK: sched.get %[[S]]
// CHECK: sched.store %{{.*}} to %[[Y]] :
// CHECK: sched.role "map1" warps 4 registers 168 {
// CHECK: sched.store %{{.*}} to %[[Z]] :
// CHECK: sched.role "load_map
// CHECK: sched.put %{{.*}} to %[[K]] ahead 2
// CHECK: return %[[R]]#0, %[[R]]#1, %[[R]]#2

func.func @behind(%k: tensor<?x?x2x64xbf16>, %v: tensor<?x?x2x64xbf16>, %s: tensor<?x2x64x64xf32>)
    -> (tensor<?x?x2x64xbf16>, tensor<?x?x2x64xbf16>, tensor<?x2x64x64xf32>) {
  %before, %sT = delta.chunk_scan reverse chunk = 64 heads = 2 compute = f32 ins(%K = %k[seq, time, head, _] : tensor<?x?x2x64xbf16>, %V = %v[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      carry(%S = %s[seq, head, _, _] : tensor<?x2x64x64xf32>) outs([chunk, head, _, _] : tensor<?x2x64x64xbf16>) valid(%n) {
    %Kb = arith.truncf %K : tensor<64x64xf32> to tensor<64x64xbf16>
    %Vb = arith.truncf %V : tensor<64x64xf32> to tensor<64x64xbf16>
    %S1 = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%Kb, %Vb : tensor<64x64xbf16>, tensor<64x64xbf16>) outs(%S : tensor<64x64xf32>) -> tensor<64x64xf32>
    delta.yield outs(%S : tensor<64x64xf32>) carry(%S1 : tensor<64x64xf32>)
  }
  %y:2 = delta.chunk_map chunk = 64 heads = 2 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x2x64xbf16>, %S = %before[chunk, head, _, _] : tensor<?x2x64x64xbf16>)
      outs([seq, time, head, _] : tensor<?x?x2x64xbf16>, [seq, time, head, _] : tensor<?x?x2x64xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    %Kb = arith.truncf %K : tensor<64x64xf32> to tensor<64x64xbf16>
    %Sb = arith.truncf %S : tensor<64x64xf32> to tensor<64x64xbf16>
    %Y = linalg.contract indexing_maps = [#mk, #nk, #mn] ins(%Kb, %Sb : tensor<64x64xbf16>, tensor<64x64xbf16>) outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
    %Z = linalg.contract indexing_maps = [#mk, #nk, #mn] ins(%Kb, %Kb : tensor<64x64xbf16>, tensor<64x64xbf16>) outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
    delta.yield outs(%Y, %Z : tensor<64x64xf32>, tensor<64x64xf32>)
  }
  return %y#0, %y#1, %sT : tensor<?x?x2x64xbf16>, tensor<?x?x2x64xbf16>, tensor<?x2x64x64xf32>
}

// Nothing reads what this scan stores.

// CHECK-LABEL: func.func @alone
// CHECK: delta.chunk_scan
// REMARK: NotFused{{.*}}the scan keeps a kernel of its own: no map reads an out of it
func.func @alone(%k: tensor<?x?x2x64xbf16>, %v: tensor<?x?x2x64xbf16>, %s: tensor<?x2x64x64xf32>) -> tensor<?x2x64x64xf32> {
  %sT = delta.chunk_scan reverse chunk = 64 heads = 2 compute = f32 ins(%K = %k[seq, time, head, _] : tensor<?x?x2x64xbf16>, %V = %v[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      carry(%S = %s[seq, head, _, _] : tensor<?x2x64x64xf32>) outs() valid(%n) {
    %Kb = arith.truncf %K : tensor<64x64xf32> to tensor<64x64xbf16>
    %Vb = arith.truncf %V : tensor<64x64xf32> to tensor<64x64xbf16>
    %S1 = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%Kb, %Vb : tensor<64x64xbf16>, tensor<64x64xbf16>) outs(%S : tensor<64x64xf32>) -> tensor<64x64xf32>
    delta.yield carry(%S1 : tensor<64x64xf32>)
  }
  return %sT : tensor<?x2x64x64xf32>
}

}
