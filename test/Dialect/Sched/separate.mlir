// RUN: wyvern-opt %s -sched-separate -canonicalize | FileCheck %s
// RUN: wyvern-opt %s -sched-separate=stages=3 | FileCheck %s --check-prefix=STAGES
// RUN: wyvern-opt %s -sched-separate=share-runs | FileCheck %s --check-prefix=SHARE
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

// What a map writes alike for every run, and nothing but carries starts from, is made by
// the role; a carry whose end somebody reads has its init and final, and the map stays. The
// channel has no tile of an in that is there for its tokens, and one stage where two do not
// fit into shared memory.
// CHECK-LABEL: func.func @starts
// CHECK-NOT: "starts_map"
// CHECK: sched.kernel "starts_scan" grid(heads = 1, split = 1, over = slots of 2)
// CHECK-NOT: inits
// CHECK: sched.channel depth 2 fill tma : <tensor<64x64xbf16>>
// CHECK: sched.role "compute" warps 4 {
// CHECK-NEXT: %[[I:.*]] = delta.identity
// CHECK-NEXT: sched.each_chunk forward valid(%{{.*}}) carries(%{{.*}} = %[[I]] :
// CHECK: sched.kernel "starts_scan1" grid(heads = 1, split = 1, over = sequences)
// CHECK: sched.channel depth 1 fill tma : <tensor<1024x64xbf16>>
func.func @starts(%t: tensor<?x?x1xf32>, %x: tensor<?x?x1x64xbf16>, %s0: tensor<?x1x64x64xf32>) -> (tensor<?x1x64x64xf32>, tensor<?x1x64x64xf32>) {
  %i = delta.chunk_map chunk = 128 heads = 1 compute = f32 ins(%T = %t[seq, time, head] : tensor<?x?x1xf32>)
      outs([chunk, head, _, _] : tensor<?x1x64x64xf32>) valid(%n) {
    %I = delta.identity : tensor<64x64xf32>
    delta.yield outs(%I : tensor<64x64xf32>)
  }
  %end, %last = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%T = %t[seq, time, head] : tensor<?x?x1xf32>, %X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      carry(%S = %i[chunk * 2, head, _, _] : tensor<?x1x64x64xf32>)
      outs([chunk * 2 + 1, head, _, _] : tensor<?x1x64x64xf32>) valid(%n) {
    %S1 = arith.addf %S, %X : tensor<64x64xf32>
    delta.yield outs(%S1 : tensor<64x64xf32>) carry(%S1 : tensor<64x64xf32>)
  }
  %sN = delta.chunk_scan forward chunk = 1024 heads = 1 compute = f32
      ins(%T = %t[seq, time, head] : tensor<?x?x1xf32>, %X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x64x64xf32>) outs() valid(%n) {
    %Xb = arith.truncf %X : tensor<1024x64xf32> to tensor<1024x64xbf16>
    %S1 = linalg.contract indexing_maps = [#km, #kn, #mn]
        ins(%Xb, %Xb : tensor<1024x64xbf16>, tensor<1024x64xbf16>) outs(%S : tensor<64x64xf32>) -> tensor<64x64xf32>
    delta.yield carry(%S1 : tensor<64x64xf32>)
  }
  return %end, %sN : tensor<?x1x64x64xf32>, tensor<?x1x64x64xf32>
}

// CHECK-LABEL: func.func @read_starts
// CHECK: sched.kernel "read_starts_map"
// CHECK: sched.kernel "read_starts_scan"
// CHECK: sched.load %init
func.func @read_starts(%x: tensor<?x?x1x64xbf16>) -> tensor<?x1x64x64xf32> {
  %i = delta.chunk_map chunk = 128 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      outs([chunk, head, _, _] : tensor<?x1x64x64xf32>) valid(%n) {
    %I = delta.identity : tensor<64x64xf32>
    delta.yield outs(%I : tensor<64x64xf32>)
  }
  %last = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      carry(%S = %i[chunk * 2, head, _, _] : tensor<?x1x64x64xf32>) outs() valid(%n) {
    %S1 = arith.addf %S, %X : tensor<64x64xf32>
    delta.yield carry(%S1 : tensor<64x64xf32>)
  }
  return %last : tensor<?x1x64x64xf32>
}

// Two warpgroups of a block share what one warp loads, where the blocks are runs.
// SHARE-LABEL: func.func @starts
// SHARE-NOT: registers
// SHARE-LABEL: func.func @shared_runs
// SHARE: sched.kernel "shared_runs_scan" grid(heads = 1, split = 1, over = slots of 2)
// SHARE: sched.role "compute" warps 4 split 2 registers 232 {
// SHARE: sched.role "load" warps 1 registers 32 {
// CHECK-LABEL: func.func @shared_runs
// CHECK: sched.kernel "shared_runs_scan" grid(heads = 1, split = 2, over = slots of 2)
// CHECK: sched.role "compute" warps 4 {
func.func @shared_runs(%v: tensor<?x?x1x128xbf16>, %s0: tensor<?x1x64x128xf32>) -> tensor<?x1x64x128xf32> {
  %sN = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%V = %v[seq, time, head, _] : tensor<?x?x1x128xbf16>)
      carry(%S = %s0[chunk * 2, head, _, _] : tensor<?x1x64x128xf32>) outs() valid(%n) {
    %S1 = arith.addf %S, %V : tensor<64x128xf32>
    delta.yield carry(%S1 : tensor<64x128xf32>)
  }
  return %sN : tensor<?x1x64x128xf32>
}

// A map whose ins take more than half of an SM's shared memory visits runs of chunks. Each
// in has a channel: what is read last is loaded last and, where there is room, has a second
// place. The outs are two roles' work; %D, a sum of rows, goes where there is less to do, and what both need
// (%P) both compute.
// CHECK-LABEL: func.func @map_of_runs
// CHECK: sched.kernel "map_of_runs_map" grid(heads = 1, split = 1, over = slots of 4) chunk = 64 compute = f32 min_blocks 1
// CHECK: %[[S:.*]] = sched.channel depth 1 fill tma : <tensor<128x256xbf16>>
// CHECK: %[[T:.*]] = sched.channel depth 1 fill tma : <tensor<64x256xbf16>>
// CHECK: %[[A:.*]] = sched.channel depth 2 fill tma : <tensor<64x128xbf16>>
// CHECK: %[[B:.*]] = sched.channel depth 2 fill tma : <tensor<64x128xbf16>>
// CHECK: sched.role "compute" warps 4 registers 240 {
// CHECK-NEXT: sched.each_chunk
// CHECK-NEXT: %[[a:.*]] = sched.get %[[A]]
// CHECK-NEXT: %[[ab:.*]] = arith.truncf %[[a]]
// CHECK-NEXT: linalg.contract {{.*}} ins(%[[ab]], %[[ab]] :
// CHECK: sched.get %[[S]]
// CHECK: sched.get %[[T]]
// CHECK-NEXT: linalg.contract
// CHECK: %[[Y:.*]] = linalg.contract
// CHECK-NEXT: sched.store %[[Y]] to %out :
// CHECK-NOT: sched.store
// CHECK: sched.role "compute1" warps 4 registers 240 {
// CHECK-NOT: sched.get %[[S]]
// CHECK: linalg.contract {{.*}} -> tensor<64x64xf32>
// CHECK-NOT: sched.get %[[T]]
// CHECK: sched.get %[[B]]
// CHECK: sched.store %{{.*}} to %[[Z:.*]] : tensor<64x128xf32>
// CHECK: linalg.reduce
// CHECK-NEXT: sched.store
// CHECK: sched.role "load" warps 1 registers 24 {
// CHECK: sched.put %{{.*}} to %[[S]]
// CHECK: sched.put %{{.*}} to %[[T]]
// CHECK: sched.put %{{.*}} to %[[A]]
// CHECK: sched.put %{{.*}} to %[[B]]
func.func @map_of_runs(%a: tensor<?x?x1x128xbf16>, %b: tensor<?x?x1x128xbf16>, %s: tensor<?x1x128x256xbf16>, %t: tensor<?x?x1x256xbf16>)
    -> (tensor<?x?x1x256xbf16>, tensor<?x?x1x128xbf16>, tensor<?x?x1xf32>) {
  %y, %z, %d = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%A = %a[seq, time, head, _] : tensor<?x?x1x128xbf16>, %B = %b[seq, time, head, _] : tensor<?x?x1x128xbf16>,
          %S = %s[chunk, head, _, _] : tensor<?x1x128x256xbf16>, %T = %t[seq, time, head, _] : tensor<?x?x1x256xbf16>)
      outs([seq, time, head, _] : tensor<?x?x1x256xbf16>, [seq, time, head, _] : tensor<?x?x1x128xbf16>, [seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %Ab = arith.truncf %A : tensor<64x128xf32> to tensor<64x128xbf16>
    %Bb = arith.truncf %B : tensor<64x128xf32> to tensor<64x128xbf16>
    %Sb = arith.truncf %S : tensor<128x256xf32> to tensor<128x256xbf16>
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    %P = linalg.contract indexing_maps = [#mk, #nk, #mn]
        ins(%Ab, %Ab : tensor<64x128xbf16>, tensor<64x128xbf16>) outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
    %Pb = arith.truncf %P : tensor<64x64xf32> to tensor<64x64xbf16>
    %AS = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%Ab, %Sb : tensor<64x128xbf16>, tensor<128x256xbf16>) outs(%T : tensor<64x256xf32>) -> tensor<64x256xf32>
    %ASb = arith.truncf %AS : tensor<64x256xf32> to tensor<64x256xbf16>
    %Y = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%Pb, %ASb : tensor<64x64xbf16>, tensor<64x256xbf16>) outs(%AS : tensor<64x256xf32>) -> tensor<64x256xf32>
    %Z = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%Pb, %Bb : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%B : tensor<64x128xf32>) -> tensor<64x128xf32>
    %none = arith.constant dense<0.0> : tensor<64xf32>
    %AB = arith.mulf %A, %B : tensor<64x128xf32>
    %D = linalg.reduce {arith.addf} ins(%AB : tensor<64x128xf32>) outs(%none : tensor<64xf32>) dimensions = [1]
    delta.yield outs(%Y, %Z, %D : tensor<64x256xf32>, tensor<64x128xf32>, tensor<64xf32>)
  }
  return %y, %z, %d : tensor<?x?x1x256xbf16>, tensor<?x?x1x128xbf16>, tensor<?x?x1xf32>
}

// A map that sums rows of matrices loads by a warp of its own role; what it reads once comes
// from memory, where two blocks then find room in shared memory.
// CHECK-LABEL: func.func @fetched
// CHECK: sched.kernel "fetched_map" {{.*}} min_blocks 3
// CHECK: sched.channel depth 1 fill tma : <tensor<64x128xf32>, tensor<64x128xbf16>>
// CHECK: sched.role "compute" warps 4 {
// CHECK: %[[GX:.*]]:2 = sched.get
// CHECK-NEXT: %[[S:.*]] = sched.load %in :
// CHECK-NEXT: sched.load %
// CHECK: %[[SUM:.*]] = arith.addf %[[S]],
// CHECK: sched.role "load" warps 1 within "compute" {
func.func @fetched(%s: tensor<?x?x1x128xf32>, %t: tensor<?x?x1x128xf32>, %g: tensor<?x?x1x128xf32>, %x: tensor<?x?x1x128xbf16>) -> tensor<?x?x1x128xf32> {
  %d = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%S = %s[seq, time, head, _] : tensor<?x?x1x128xf32>, %T = %t[seq, time, head, _] : tensor<?x?x1x128xf32>, %G = %g[seq, time, head, _] : tensor<?x?x1x128xf32>, %X = %x[seq, time, head, _] : tensor<?x?x1x128xbf16>)
      outs([seq, time, head, _] : tensor<?x?x1x128xf32>) valid(%n) {
    %y = delta.sum_to_middle %G half 1 : tensor<64x128xf32>
    %z = delta.sum_to_middle %G half 2 : tensor<64x128xf32>
    %a = arith.mulf %y, %X : tensor<64x128xf32>
    %b = arith.mulf %z, %X : tensor<64x128xf32>
    %c = arith.addf %a, %b : tensor<64x128xf32>
    %e = arith.addf %S, %c : tensor<64x128xf32>
    %f = arith.subf %e, %T : tensor<64x128xf32>
    delta.yield outs(%f : tensor<64x128xf32>)
  }
  return %d : tensor<?x?x1x128xf32>
}
