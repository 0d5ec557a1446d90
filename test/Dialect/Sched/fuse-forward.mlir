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
// CHECK: %[[K:.*]]:2 = sched.kernel "both_fused" grid(heads = 2, split = 2 cluster, over = sequences)
// CHECK-DAG: %[[KEYS:.*]] = sched.channel depth 4 fill tma : <tensor<64x64xbf16>>
// CHECK-DAG: %[[VALUES:.*]] = sched.channel depth 2 fill tma : <tensor<64x128xbf16>>
// CHECK-DAG: %[[RATES:.*]] = sched.channel depth 4 fill tma : <tensor<64xf32>>
// CHECK: %[[FACTOR:.*]] = sched.channel depth 2 fill warps across : <tensor<64x64xbf16>>
// CHECK: sched.role "state" warps 4 registers 184 {
// CHECK: sched.each_chunk forward overlap valid(%{{.*}}) carries(
// CHECK-DAG: sched.get %[[VALUES]]
// CHECK-DAG: sched.get %[[KEYS]]
// CHECK-DAG: sched.get %[[FACTOR]]
// Two blocks share a head: they do the map's chunks in turn.
// CHECK: sched.role "map" warps 4 copies 2 registers 152 in_turn {
// CHECK: sched.get %[[KEYS]]
// CHECK: %[[L:.*]] = delta.decay_dot before_row
// CHECK: sched.get %[[RATES]]
// CHECK: %[[Z:.*]] = delta.erase_factor %[[L]],
// Two copies of the map run at once: no staging tile is between them.
// CHECK-DAG: sched.store %[[Z]] to %{{.*}} direct :
// CHECK-DAG: sched.put %[[Z]] to %[[FACTOR]]
// CHECK: sched.role "load" warps 1 registers 24 {
// With two warpgroups a state that makes no rows is faster than a factor: all of the map is
// one role, whose copies take the chunks in turn.
// OPTIONS: sched.kernel "both_fused" grid(heads = 2, split = 1, over = sequences)
// OPTIONS: sched.role "map" warps 4 copies 3 {
// OPTIONS: sched.role "load" warps 1 {
// Two copies and the state have all the registers: each copy loads what its chunks need on
// the side, early enough for the others to be done with the place. What others read of the
// map leaves from registers.
// SIDE-DAG: %[[VALUES:.*]] = sched.channel depth 4 fill tma : <tensor<64x128xbf16>>
// SIDE-DAG: %[[KEYS:.*]] = sched.channel depth 6 fill tma : <tensor<64x64xbf16>>
// SIDE-DAG: %[[RATES:.*]] = sched.channel depth 6 fill tma : <tensor<64xf32>>
// SIDE: sched.channel depth 2 fill warps : <tensor<64x64xbf16>>
// SIDE: sched.role "state" warps 4 split 2 registers 136 {
// SIDE: sched.role "map" warps 4 copies 2 registers 120 {
// SIDE: delta.decay_dot
// SIDE: delta.erase_factor
// SIDE: sched.store %{{.*}} to %{{.*}} direct :
// SIDE: sched.role "load_map" warps 1 within "map" {
// SIDE: sched.put %{{.*}} to %[[VALUES]] :
// SIDE: sched.put %{{.*}} to %[[KEYS]] ahead 2 :
// SIDE: sched.put %{{.*}} to %[[RATES]] ahead 2 :
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

// The first of two scans takes the map's factor along and stores it for the other one. The
// products that the last scan alone reads go with that; its carries start anew every eight
// chunks, so it has a block for each run.
// CHECK-LABEL: func.func @two_readers
// CHECK-NOT: delta.chunk
// CHECK: %[[FIRST:.*]]:2 = sched.kernel "two_readers_fused" grid(heads = 2, split = 1, over = sequences)
// CHECK-SAME: outs(%[[OUT:.*]] = [seq, time, head, _] : tensor<?x?x2x64xbf16>)
// CHECK: sched.role "map"
// CHECK-NOT: delta.decay_dot upto_token
// CHECK: %[[L:.*]] = delta.decay_dot before_row
// CHECK: sched.put %[[L]] to
// CHECK: sched.store %[[L]] to %[[OUT]] direct :
// CHECK: sched.kernel "two_readers_fused1" grid(heads = 2, split = 1, over = slots of 8)
// CHECK-SAME: = %[[FIRST]]#0[seq, time, head, _]
// CHECK: sched.role "map"
// CHECK-NOT: delta.decay_dot before_row
// CHECK: delta.decay_dot upto_token
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

// A map in front of the scan reads the factor: it has to be in memory by then.
// CHECK-LABEL: func.func @read_before
// CHECK: %[[Z:.*]] = delta.chunk_map
// CHECK: delta.chunk_map
// CHECK: delta.chunk_scan {{.*}} = %[[Z]][seq, time, head, _]
// REMARK: NotFused {{.*}}the scan keeps a kernel of its own: programs in front of it read what its map computes too
func.func @read_before(%k: tensor<?x?x2x64xbf16>, %s: tensor<?x2x64x64xf32>) -> (tensor<?x2x64x64xf32>, tensor<?x?x2x64xbf16>) {
  %z = delta.chunk_map chunk = 64 heads = 2 compute = f32 ins(%K = %k[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs([seq, time, head, _] : tensor<?x?x2x64xbf16>) valid(%n) {
    %L = arith.addf %K, %K : tensor<64x64xf32>
    delta.yield outs(%L : tensor<64x64xf32>)
  }
  %y = delta.chunk_map chunk = 64 heads = 2 compute = f32 ins(%Z = %z[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs([seq, time, head, _] : tensor<?x?x2x64xbf16>) valid(%n) {
    %L = arith.negf %Z : tensor<64x64xf32>
    delta.yield outs(%L : tensor<64x64xf32>)
  }
  %t = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32
      ins(%Z = %z[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      carry(%S = %s[seq, head, _, _] : tensor<?x2x64x64xf32>) outs() valid(%n) {
    %T = arith.addf %S, %Z : tensor<64x64xf32>
    delta.yield carry(%T : tensor<64x64xf32>)
  }
  return %t, %y : tensor<?x2x64x64xf32>, tensor<?x?x2x64xbf16>
}

// The carry starts from zeros everywhere: the role makes them, and no tensor holds them.
// Rows leave no role in each chunk, so the state needs fewer registers.
// CHECK-LABEL: func.func @starts
// CHECK-NOT: delta.chunk_map
// CHECK: sched.kernel "starts_fused" grid(heads = 2, split = 1, over = slots of 2)
// CHECK-NOT: inits(
// CHECK: %[[ZEROS:.*]] = arith.constant dense<0.000000e+00> : tensor<64x64xf32>
// CHECK: sched.role "state" warps 4 registers 184 {
// CHECK-NEXT: sched.each_chunk forward valid(%{{.*}}) carries(%{{.*}} = %[[ZEROS]] :
// CHECK-NOT: sched.store {{.*}} to %final
// CHECK: return
func.func @starts(%k: tensor<?x?x2x64xbf16>) -> tensor<?x2x64x64xbf16> {
  %zeros = delta.chunk_map chunk = 128 heads = 2 compute = f32 ins(%K = %k[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs([chunk, head, _, _] : tensor<?x2x64x64xf32>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    delta.yield outs(%zero : tensor<64x64xf32>)
  }
  %z = delta.chunk_map chunk = 64 heads = 2 compute = f32 ins(%K = %k[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs([seq, time, head, _] : tensor<?x?x2x64xbf16>) valid(%n) {
    %L = arith.addf %K, %K : tensor<64x64xf32>
    delta.yield outs(%L : tensor<64x64xf32>)
  }
  %e, %t = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32 ins(%Z = %z[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      carry(%S = %zeros[chunk * 2, head, _, _] : tensor<?x2x64x64xf32>)
      outs([chunk * 2 + 1, head, _, _] : tensor<?x2x64x64xbf16>) valid(%n) {
    %T = arith.addf %S, %Z : tensor<64x64xf32>
    delta.yield outs(%T : tensor<64x64xf32>) carry(%T : tensor<64x64xf32>)
  }
  return %e : tensor<?x2x64x64xbf16>
}

// A state that makes rows is slower than the products of its map and than the factor, each in
// a role of its own: these load on the side, as many chunks ahead as the roles between them
// and the state leave. What goes from one role of the map to the other has one place.
// OPTIONS-LABEL: func.func @rows
// OPTIONS-DAG: sched.channel depth 5 fill tma : <tensor<64x64xbf16>>
// OPTIONS-DAG: sched.channel depth 3 fill tma : <tensor<64x128xbf16>>
// OPTIONS-DAG: sched.channel depth 6 fill warps : <tensor<64x64xbf16>>
// OPTIONS-DAG: sched.channel depth 3 fill warps : <tensor<64x64xf32>>
// OPTIONS: sched.role "state" warps 4 split 2 {
// OPTIONS: sched.each_chunk forward valid(%{{.*}}) carries(
// OPTIONS: sched.role "dots" warps 4 {
// OPTIONS: %[[L:.*]] = delta.decay_dot before_row
// OPTIONS: sched.put %[[L]] to
// OPTIONS: sched.role "factor" warps 4 copies 3 {
// OPTIONS: delta.erase_factor
// SIDE-LABEL: func.func @rows
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
func.func @rows(%k: tensor<?x?x2x64xbf16>, %v: tensor<?x?x2x128xbf16>, %b: tensor<?x?x2xf32>, %s: tensor<?x2x64x128xf32>)
    -> (tensor<?x2x64x128xf32>, tensor<?x?x2x128xbf16>) {
  %z = delta.chunk_map chunk = 64 heads = 2 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x2x64xbf16>, %B = %b[seq, time, head] : tensor<?x?x2xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x64xbf16>) valid(%n) {
    %Kb = arith.truncf %K : tensor<64x64xf32> to tensor<64x64xbf16>
    %L = delta.decay_dot before_row %Kb, %Kb : tensor<64x64xbf16>, tensor<64x64xbf16> -> tensor<64x64xf32>
    %Z = delta.erase_factor %L, %B block 32 to bf16 : tensor<64x64xf32>, tensor<64xf32> -> tensor<64x64xf32>
    delta.yield outs(%Z : tensor<64x64xf32>)
  }
  %o, %t = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x2x64xbf16>, %Z = %z[seq, time, head, _] : tensor<?x?x2x64xbf16>,
          %V = %v[seq, time, head, _] : tensor<?x?x2x128xbf16>)
      carry(%S = %s[seq, head, _, _] : tensor<?x2x64x128xf32>) outs([seq, time, head, _] : tensor<?x?x2x128xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x128xf32>
    %Vb = arith.truncf %V : tensor<64x128xf32> to tensor<64x128xbf16>
    %Zb = arith.truncf %Z : tensor<64x64xf32> to tensor<64x64xbf16>
    %Kb = arith.truncf %K : tensor<64x64xf32> to tensor<64x64xbf16>
    %U = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%Zb, %Vb : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%zero : tensor<64x128xf32>) -> tensor<64x128xf32>
    %Ub = arith.truncf %U : tensor<64x128xf32> to tensor<64x128xbf16>
    %T = linalg.contract indexing_maps = [#km, #kn, #mn]
        ins(%Kb, %Ub : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%S : tensor<64x128xf32>) -> tensor<64x128xf32>
    delta.yield outs(%U : tensor<64x128xf32>) carry(%T : tensor<64x128xf32>)
  }
  return %t, %o : tensor<?x2x64x128xf32>, tensor<?x?x2x128xbf16>
}

// Decays make the products as long as the factor: each has a role. Without rows there are no
// products for them, so the vectors are made with the others.
// SIDE-LABEL: func.func @decay
// SIDE: sched.role "state" warps 4 split 2 registers 144 {
// SIDE: sched.role "dots" warps 4 registers 120 {
// SIDE: math.exp
// SIDE: delta.decay_dot
// SIDE: sched.role "factor" warps 4 registers 104 {
// SIDE-NOT: math.exp
// SIDE: delta.erase_factor
func.func @decay(%k: tensor<?x?x2x64xbf16>, %v: tensor<?x?x2x128xbf16>, %b: tensor<?x?x2xf32>, %g: tensor<?x?x2xf32>, %s: tensor<?x2x64x128xf32>)
    -> (tensor<?x2x64x128xf32>, tensor<?x?x2x64xbf16>) {
  %z, %e = delta.chunk_map chunk = 64 heads = 2 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x2x64xbf16>, %B = %b[seq, time, head] : tensor<?x?x2xf32>,
          %G = %g[seq, time, head] : tensor<?x?x2xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x64xbf16>, [seq, time, head] : tensor<?x?x2xf32>) valid(%n) {
    %Kb = arith.truncf %K : tensor<64x64xf32> to tensor<64x64xbf16>
    %L = delta.decay_dot before_row %Kb, %Kb decay(%G : tensor<64xf32>) : tensor<64x64xbf16>, tensor<64x64xbf16> -> tensor<64x64xf32>
    %Z = delta.erase_factor %L, %B block 32 to bf16 : tensor<64x64xf32>, tensor<64xf32> -> tensor<64x64xf32>
    %A = delta.cumsum %G : tensor<64xf32>
    %E = math.exp %A : tensor<64xf32>
    delta.yield outs(%Z, %E : tensor<64x64xf32>, tensor<64xf32>)
  }
  %t = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x2x64xbf16>, %Z = %z[seq, time, head, _] : tensor<?x?x2x64xbf16>,
          %E = %e[seq, time, head] : tensor<?x?x2xf32>, %V = %v[seq, time, head, _] : tensor<?x?x2x128xbf16>)
      carry(%S = %s[seq, head, _, _] : tensor<?x2x64x128xf32>) outs() valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x128xf32>
    %Vb = arith.truncf %V : tensor<64x128xf32> to tensor<64x128xbf16>
    %Zb = arith.truncf %Z : tensor<64x64xf32> to tensor<64x64xbf16>
    %Kb = arith.truncf %K : tensor<64x64xf32> to tensor<64x64xbf16>
    %U = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%Zb, %Vb : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%zero : tensor<64x128xf32>) -> tensor<64x128xf32>
    %wide = tensor.empty() : tensor<64x128xf32>
    %Ew = linalg.broadcast ins(%E : tensor<64xf32>) outs(%wide : tensor<64x128xf32>) dimensions = [1]
    %UE = arith.mulf %U, %Ew : tensor<64x128xf32>
    %Ub = arith.truncf %UE : tensor<64x128xf32> to tensor<64x128xbf16>
    %T = linalg.contract indexing_maps = [#km, #kn, #mn]
        ins(%Kb, %Ub : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%S : tensor<64x128xf32>) -> tensor<64x128xf32>
    delta.yield carry(%T : tensor<64x128xf32>)
  }
  return %t, %z : tensor<?x2x64x128xf32>, tensor<?x?x2x64xbf16>
}
