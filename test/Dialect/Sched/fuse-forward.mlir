// RUN: wyvern-opt %s -sched-fuse-forward -canonicalize | FileCheck %s
// RUN: wyvern-opt %s -sched-fuse-forward="split-warps=2 split-map stages=5 depth=6 copies=3" | FileCheck %s --check-prefix=OPTIONS
// RUN: wyvern-opt %s -sched-fuse-forward="split-warps=2 split-map copies=1" | FileCheck %s --check-prefix=SIDE
// RUN: wyvern-opt %s -sched-fuse-forward -remark-format=emitRemark -remarks-filter=sched-fuse-forward 2>&1 | FileCheck %s --check-prefix=REMARK

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// The map makes a factor, which the scan reads, and what somebody else asks for. Each
// value that crosses is the tile of a channel, in the type in which it went through
// memory; what the map keeps for others is stored by the role that makes it.
// CHECK-LABEL: func.func @both
// CHECK-NOT: delta.chunk
// CHECK: %[[K:.*]]:2 = sched.kernel "both_fused" grid(heads = 2, split = 2, over = sequences)
// OPTIONS: sched.kernel "both_fused" grid(heads = 2, split = 1, over = sequences)
// CHECK-DAG: %[[KEYS:.*]] = sched.channel depth 4 fill tma : <tensor<64x64xbf16>>
// CHECK-DAG: %[[VALUES:.*]] = sched.channel depth 2 fill tma : <tensor<64x128xbf16>>
// CHECK-DAG: %[[RATES:.*]] = sched.channel depth 4 fill tma : <tensor<64xf32>>
// CHECK: %[[FACTOR:.*]] = sched.channel depth 2 fill warps : <tensor<64x64xbf16>>
// OPTIONS-DAG: sched.channel depth 5 fill tma
// OPTIONS-DAG: sched.channel depth 3 fill tma : <tensor<64x128xbf16>>
// OPTIONS-DAG: sched.channel depth 6 fill warps : <tensor<64x64xbf16>>
// OPTIONS-DAG: sched.channel depth 3 fill warps : <tensor<64x64xf32>>
// CHECK: sched.role "state" warps 4 registers 200 {
// OPTIONS: sched.role "state" warps 4 split 2 {
// CHECK: sched.each_chunk forward overlap valid(%{{.*}}) carries(
// OPTIONS: sched.each_chunk forward valid(%{{.*}}) carries(
// CHECK-DAG: sched.get %[[VALUES]]
// CHECK-DAG: sched.get %[[KEYS]]
// CHECK-DAG: sched.get %[[FACTOR]]
// CHECK: sched.role "map" warps 4 copies 2 registers 144 {
// CHECK: sched.get %[[KEYS]]
// CHECK: %[[L:.*]] = delta.decay_dot before_row
// CHECK: sched.get %[[RATES]]
// CHECK: %[[Z:.*]] = delta.erase_factor %[[L]],
// CHECK-DAG: sched.store %[[Z]] to %
// CHECK-DAG: sched.put %[[Z]] to %[[FACTOR]]
// OPTIONS: sched.role "dots" warps 4 {
// OPTIONS: %[[L:.*]] = delta.decay_dot before_row
// OPTIONS: sched.put %[[L]] to
// OPTIONS: sched.role "factor" warps 4 copies 3 {
// OPTIONS: delta.erase_factor
// CHECK: sched.role "load" warps 1 registers 24 {
// Two warpgroups of the state and two of the map have all the registers: the map's warps
// load on the side, as many chunks ahead as the roles between them and the state leave.
// What goes from one role of the map to the other has one place.
// SIDE-DAG: %[[KEYS:.*]] = sched.channel depth 4 fill tma : <tensor<64x64xbf16>>
// SIDE-DAG: %[[VALUES:.*]] = sched.channel depth 2 fill tma : <tensor<64x128xbf16>>
// SIDE-DAG: %[[RATES:.*]] = sched.channel depth 4 fill tma : <tensor<64xf32>>
// SIDE: sched.channel depth 1 fill warps : <tensor<64x64xf32>>
// SIDE: sched.role "state" warps 4 split 2 registers 160 {
// SIDE: sched.role "dots" warps 4 registers 96 {
// SIDE: sched.role "factor" warps 4 registers 96 {
// SIDE: sched.role "load_dots" warps 1 within "dots" {
// SIDE: sched.put %{{.*}} to %[[KEYS]] ahead 1 :
// SIDE: sched.put %{{.*}} to %[[RATES]] ahead 1 :
// SIDE: sched.role "load_factor" warps 1 within "factor" {
// SIDE: sched.put %{{.*}} to %[[VALUES]] :
// CHECK: return %[[K]]#1, %[[K]]#0
func.func @both(%k: tensor<?x?x2x64xbf16>, %v: tensor<?x?x2x128xbf16>, %b: tensor<?x?x2xf32>, %s: tensor<?x2x64x128xf32>)
    -> (tensor<?x2x64x128xf32>, tensor<?x?x2x64xbf16>) {
  %z = delta.chunk_map chunk = 64 heads = 2 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x2x64xbf16>, %B = %b[seq, time, head] : tensor<?x?x2xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x64xbf16>) valid(%n) {
    %Kb = arith.truncf %K : tensor<64x64xf32> to tensor<64x64xbf16>
    %L = delta.decay_dot before_row %Kb, %Kb : tensor<64x64xbf16>, tensor<64x64xbf16> -> tensor<64x64xf32>
    %Z = delta.erase_factor %L, %B block 32 to bf16 : tensor<64x64xf32>, tensor<64xf32> -> tensor<64x64xf32>
    delta.yield outs(%Z : tensor<64x64xf32>)
  }
  %t = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x2x64xbf16>, %Z = %z[seq, time, head, _] : tensor<?x?x2x64xbf16>,
          %V = %v[seq, time, head, _] : tensor<?x?x2x128xbf16>)
      carry(%S = %s[seq, head, _, _] : tensor<?x2x64x128xf32>) outs() valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x128xf32>
    %Vb = arith.truncf %V : tensor<64x128xf32> to tensor<64x128xbf16>
    %Zb = arith.truncf %Z : tensor<64x64xf32> to tensor<64x64xbf16>
    %Kb = arith.truncf %K : tensor<64x64xf32> to tensor<64x64xbf16>
    %U = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%Zb, %Vb : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%zero : tensor<64x128xf32>) -> tensor<64x128xf32>
    %Ub = arith.truncf %U : tensor<64x128xf32> to tensor<64x128xbf16>
    %T = linalg.contract indexing_maps = [#km, #kn, #mn]
        ins(%Kb, %Ub : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%S : tensor<64x128xf32>) -> tensor<64x128xf32>
    delta.yield carry(%T : tensor<64x128xf32>)
  }
  return %t, %z : tensor<?x2x64x128xf32>, tensor<?x?x2x64xbf16>
}

// CHECK-LABEL: func.func @alone
// CHECK: delta.chunk_scan
// REMARK: NotFused {{.*}}the scan keeps a kernel of its own: {{.*}}no map computes an in of it
func.func @alone(%v: tensor<?x?x2x64xbf16>, %s: tensor<?x2x64x64xf32>) -> tensor<?x2x64x64xf32> {
  %t = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32
      ins(%V = %v[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      carry(%S = %s[seq, head, _, _] : tensor<?x2x64x64xf32>) outs() valid(%n) {
    %T = arith.addf %S, %V : tensor<64x64xf32>
    delta.yield carry(%T : tensor<64x64xf32>)
  }
  return %t : tensor<?x2x64x64xf32>
}

// Another scan, which comes first, reads the map's factor: what it reads stays in a map.
// The products that the last scan alone reads go with it; its carries start anew every
// eight chunks, so it has a block for each run. The first scan has no map of its own.
// CHECK-LABEL: func.func @two_readers
// CHECK: %[[Z:.*]] = delta.chunk_map
// CHECK-SAME: outs([seq, time, head, _] : tensor<?x?x2x64xbf16>)
// CHECK: delta.decay_dot before_row
// CHECK-NOT: delta.decay_dot
// CHECK: delta.chunk_scan forward
// CHECK: sched.kernel "two_readers_fused" grid(heads = 2, split = 1, over = slots of 8)
// CHECK-SAME: = %[[Z]][seq, time, head, _]
// CHECK: sched.role "map"
// CHECK: delta.decay_dot upto_token
// REMARK: NotFused {{.*}}the scan keeps a kernel of its own: other programs read what its map computes too
func.func @two_readers(%q: tensor<?x?x2x64xbf16>, %k: tensor<?x?x2x64xbf16>, %v: tensor<?x?x2x64xbf16>,
    %s: tensor<?x2x64x64xf32>, %r: tensor<?x2x64x64xf32>) -> (tensor<?x2x64x64xf32>, tensor<?x?x2x64xbf16>) {
  %z, %p = delta.chunk_map chunk = 64 heads = 2 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x2x64xbf16>, %K = %k[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs([seq, time, head, _] : tensor<?x?x2x64xbf16>, [seq, time, head, _] : tensor<?x?x2x64xbf16>) valid(%n) {
    %Qb = arith.truncf %Q : tensor<64x64xf32> to tensor<64x64xbf16>
    %Kb = arith.truncf %K : tensor<64x64xf32> to tensor<64x64xbf16>
    %L = delta.decay_dot before_row %Kb, %Kb : tensor<64x64xbf16>, tensor<64x64xbf16> -> tensor<64x64xf32>
    %P = delta.decay_dot upto_token %Qb, %Kb : tensor<64x64xbf16>, tensor<64x64xbf16> -> tensor<64x64xf32>
    delta.yield outs(%L, %P : tensor<64x64xf32>, tensor<64x64xf32>)
  }
  %t = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32
      ins(%Z = %z[seq, time, head, _] : tensor<?x?x2x64xbf16>, %V = %v[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      carry(%S = %s[seq, head, _, _] : tensor<?x2x64x64xf32>) outs() valid(%n) {
    %Vb = arith.truncf %V : tensor<64x64xf32> to tensor<64x64xbf16>
    %Zb = arith.truncf %Z : tensor<64x64xf32> to tensor<64x64xbf16>
    %T = linalg.contract indexing_maps = [#km, #kn, #mn]
        ins(%Zb, %Vb : tensor<64x64xbf16>, tensor<64x64xbf16>) outs(%S : tensor<64x64xf32>) -> tensor<64x64xf32>
    delta.yield carry(%T : tensor<64x64xf32>)
  }
  %o, %u = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32
      ins(%Z = %z[seq, time, head, _] : tensor<?x?x2x64xbf16>, %P = %p[seq, time, head, _] : tensor<?x?x2x64xbf16>,
          %V = %v[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      carry(%S = %r[chunk * 8, head, _, _] : tensor<?x2x64x64xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x64xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    %Vb = arith.truncf %V : tensor<64x64xf32> to tensor<64x64xbf16>
    %Zb = arith.truncf %Z : tensor<64x64xf32> to tensor<64x64xbf16>
    %Pb = arith.truncf %P : tensor<64x64xf32> to tensor<64x64xbf16>
    %O = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%Pb, %Vb : tensor<64x64xbf16>, tensor<64x64xbf16>) outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
    %T = linalg.contract indexing_maps = [#km, #kn, #mn]
        ins(%Zb, %Vb : tensor<64x64xbf16>, tensor<64x64xbf16>) outs(%S : tensor<64x64xf32>) -> tensor<64x64xf32>
    delta.yield outs(%O : tensor<64x64xf32>) carry(%T : tensor<64x64xf32>)
  }
  return %t, %o : tensor<?x2x64x64xf32>, tensor<?x?x2x64xbf16>
}
