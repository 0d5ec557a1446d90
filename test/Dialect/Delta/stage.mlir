// RUN: wyvern-opt %s -delta-stage -split-input-file | FileCheck %s
// RUN: wyvern-opt %s -delta-stage -split-input-file --remarks-filter=delta-stage -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

#mk = affine_map<(m, n, k) -> (m, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// The solve is split: its factor needs no state. Reads of the state stay.

// CHECK-LABEL: func.func @delta_net
// CHECK-SAME: %[[q:.*]]: tensor<?x?x1x32xbf16>, %[[k:.*]]: tensor<?x?x1x32xbf16>, %[[v:.*]]: tensor<?x?x2x16xbf16>, %[[beta:.*]]: tensor<?x?x2xf32>
// CHECK: %[[before:.*]]:2 = delta.chunk_map chunk = 64 heads = 2 compute = f32
// CHECK-SAME: ins(%[[Q:.*]] = %[[q]][seq, time, head, _] : tensor<?x?x1x32xbf16>, %[[K:.*]] = %[[k]][seq, time, head, _] : tensor<?x?x1x32xbf16>, %[[c:.*]] = %[[beta]][seq, time, head] : tensor<?x?x2xf32>)
// CHECK-SAME: cu_seqlens(
// CHECK-SAME: outs([seq, time, head, _] : tensor<?x?x2x64xf32>, [seq, time, head, _] : tensor<?x?x2x64xf32>)
// CHECK-NEXT: %[[L:.*]] = delta.decay_dot before_row %[[K]], %[[K]]
// CHECK-NEXT: %[[Z:.*]] = delta.erase_factor %[[L]], %[[c]] block 32
// CHECK-NEXT: %[[P:.*]] = delta.decay_dot upto_token %[[Q]], %[[K]]
// CHECK-NEXT: delta.yield outs(%[[Z]], %[[P]] : tensor<64x64xf32>, tensor<64x64xf32>)
// CHECK: delta.chunk_scan forward chunk = 64 heads = 2 compute = f32
// CHECK-SAME: ins(%[[Q:.*]] = %[[q]][{{.*}}, %[[K:.*]] = %[[k]][{{.*}}, %[[V:.*]] = %[[v]][{{.*}}, %[[c:.*]] = %[[beta]][{{.*}}, %[[Z:.*]] = %[[before]]#0[seq, time, head, _] : tensor<?x?x2x64xf32>, %[[P:.*]] = %[[before]]#1[seq, time, head, _] : tensor<?x?x2x64xf32>)
// CHECK-SAME: carry(%[[S:.*]] = %{{.*}}[seq, head, _, _] : tensor<?x2x32x16xf32>) cu_seqlens(
// CHECK-SAME: outs([seq, time, head, _] : tensor<?x?x2x16xbf16>)
// CHECK: %[[KS:.*]] = linalg.contract {{.*}} ins(%[[K]], %[[S]]
// CHECK: %[[W:.*]] = arith.subf %[[V]], %[[KS]]
// CHECK: %[[R:.*]] = delta.erase_apply %[[Z]], %[[c]], %[[W]] block 32
// CHECK: %[[C:.*]] = linalg.broadcast ins(%[[c]] : tensor<64xf32>) {{.*}} dimensions = [1]
// CHECK: %[[U:.*]] = arith.mulf %[[C]], %[[R]]
// CHECK: %[[QS:.*]] = linalg.contract {{.*}} ins(%[[Q]], %[[S]]
// CHECK: %[[PU:.*]] = linalg.contract {{.*}} ins(%[[P]], %[[U]] : {{.*}} outs(%[[QS]] :
// CHECK: %[[S1:.*]] = linalg.contract {{.*}} ins(%[[K]], %[[U]] : {{.*}} outs(%[[S]] :
// CHECK: delta.yield outs(%[[PU]] : {{.*}}) carry(%[[S1]] :
// CHECK-NOT: delta.erase_solve
func.func @delta_net(%q: tensor<?x?x1x32xbf16>, %k: tensor<?x?x1x32xbf16>, %v: tensor<?x?x2x16xbf16>, %beta: tensor<?x?x2xf32>,
    %s0: tensor<?x2x32x16xf32>, %cu: tensor<?xi64>) -> (tensor<?x?x2x16xbf16>, tensor<?x2x32x16xf32>) {
  %o, %sT = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x32xbf16>, %K = %k[seq, time, head, _] : tensor<?x?x1x32xbf16>,
          %V = %v[seq, time, head, _] : tensor<?x?x2x16xbf16>, %c = %beta[seq, time, head] : tensor<?x?x2xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x2x32x16xf32>) cu_seqlens(%cu : tensor<?xi64>)
      outs([seq, time, head, _] : tensor<?x?x2x16xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x16xf32>
    %L = delta.decay_dot before_row %K, %K : tensor<64x32xf32>, tensor<64x32xf32> -> tensor<64x64xf32>
    %KS = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%K, %S : tensor<64x32xf32>, tensor<32x16xf32>) outs(%zero : tensor<64x16xf32>) -> tensor<64x16xf32>
    %W = arith.subf %V, %KS : tensor<64x16xf32>
    %R, %U = delta.erase_solve %L, %c, %W : tensor<64x64xf32>, tensor<64xf32>, tensor<64x16xf32> -> tensor<64x16xf32>, tensor<64x16xf32>
    %P = delta.decay_dot upto_token %Q, %K : tensor<64x32xf32>, tensor<64x32xf32> -> tensor<64x64xf32>
    %QS = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%Q, %S : tensor<64x32xf32>, tensor<32x16xf32>) outs(%zero : tensor<64x16xf32>) -> tensor<64x16xf32>
    %PU = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%P, %U : tensor<64x64xf32>, tensor<64x16xf32>) outs(%QS : tensor<64x16xf32>) -> tensor<64x16xf32>
    %S1 = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%K, %U : tensor<64x32xf32>, tensor<64x16xf32>) outs(%S : tensor<32x16xf32>) -> tensor<32x16xf32>
    delta.yield outs(%PU : tensor<64x16xf32>) carry(%S1 : tensor<32x16xf32>)
  }
  return %o, %sT : tensor<?x?x2x16xbf16>, tensor<?x2x32x16xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// No solve. What is computed of ins alone crosses: the decays as vectors, the
// product of keys and queries as a tile. The scaled values have the lane, the
// dimension that the chain never mixes: they stay in the chain. The decay of the
// whole chunk is a sum of ins, so the chain computes it.

// CHECK-LABEL: func.func @linear_attention
// CHECK-SAME: %[[q:.*]]: tensor<?x?x2x32xbf16>, %[[g:.*]]: tensor<?x?x2xf32>, %{{.*}}: tensor<?x?x2x32xbf16>, %[[v:.*]]: tensor<?x?x2x16xbf16>
// CHECK: %[[before:.*]]:3 = delta.chunk_map
// CHECK-SAME: outs([seq, time, head] : tensor<?x?x2xf32>, [seq, time, head] : tensor<?x?x2xf32>, [seq, time, head, _] : tensor<?x?x2x64xf32>)
// CHECK: %[[a:.*]] = delta.cumsum %[[G:.*]] :
// CHECK-NEXT: %[[ea:.*]] = math.exp %[[a]]
// CHECK-NEXT: %[[s:.*]] = delta.cumsum reverse exclusive %[[G]]
// CHECK-NEXT: %[[es:.*]] = math.exp %[[s]]
// CHECK-NEXT: %[[P:.*]] = delta.decay_dot upto_token {{.*}} decay(%[[G]]
// CHECK-NEXT: delta.yield outs(%[[ea]], %[[es]], %[[P]]
// CHECK: delta.chunk_scan
// CHECK-SAME: %[[G:[a-zA-Z0-9_]+]] = %[[g]][seq, time, head] : tensor<?x?x2xf32>,
// CHECK-SAME: %[[V:[a-zA-Z0-9_]+]] = %[[v]][seq, time, head, _] : tensor<?x?x2x16xbf16>,
// CHECK-SAME: %[[ea:[a-zA-Z0-9_]+]] = %[[before]]#0[seq, time, head]
// CHECK-SAME: %[[es:[a-zA-Z0-9_]+]] = %[[before]]#1[seq, time, head]
// CHECK-SAME: %[[P:[a-zA-Z0-9_]+]] = %[[before]]#2[seq, time, head, _]
// CHECK-NOT: delta.cumsum
// CHECK: linalg.broadcast ins(%[[ea]] :
// CHECK: linalg.contract {{.*}} ins(%[[P]],
// CHECK: %[[aC:.*]] = linalg.reduce { arith.addf } ins(%[[G]] :
// CHECK: %[[eaC:.*]] = math.exp %[[aC]] : tensor<f32>
// CHECK: linalg.broadcast ins(%[[eaC]] :
// CHECK: %[[ES:.*]] = linalg.broadcast ins(%[[es]]
// CHECK: %[[sV:.*]] = arith.mulf %[[ES]], %[[V]]
// CHECK: linalg.contract {{.*}} ins(%{{.*}}, %[[sV]]
func.func @linear_attention(%q: tensor<?x?x2x32xbf16>, %g: tensor<?x?x2xf32>, %k: tensor<?x?x2x32xbf16>, %v: tensor<?x?x2x16xbf16>,
    %s0: tensor<?x2x32x16xf32>) -> (tensor<?x?x2x16xbf16>, tensor<?x2x32x16xf32>) {
  %o, %sT = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x2x32xbf16>, %G = %g[seq, time, head] : tensor<?x?x2xf32>,
          %K = %k[seq, time, head, _] : tensor<?x?x2x32xbf16>, %V = %v[seq, time, head, _] : tensor<?x?x2x16xbf16>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x2x32x16xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x16xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x16xf32>
    %z0 = arith.constant dense<0.0> : tensor<f32>
    %e = tensor.empty() : tensor<64x16xf32>
    %eS = tensor.empty() : tensor<32x16xf32>
    %a = delta.cumsum %G : tensor<64xf32>
    %ea = math.exp %a : tensor<64xf32>
    %EA = linalg.broadcast ins(%ea : tensor<64xf32>) outs(%e : tensor<64x16xf32>) dimensions = [1]
    %s = delta.cumsum reverse exclusive %G : tensor<64xf32>
    %es = math.exp %s : tensor<64xf32>
    %P = delta.decay_dot upto_token %Q, %K decay(%G : tensor<64xf32>) : tensor<64x32xf32>, tensor<64x32xf32> -> tensor<64x64xf32>
    %QS = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%Q, %S : tensor<64x32xf32>, tensor<32x16xf32>) outs(%zero : tensor<64x16xf32>) -> tensor<64x16xf32>
    %EQS = arith.mulf %EA, %QS : tensor<64x16xf32>
    %O = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%P, %V : tensor<64x64xf32>, tensor<64x16xf32>) outs(%EQS : tensor<64x16xf32>) -> tensor<64x16xf32>
    %aC = linalg.reduce {arith.addf} ins(%G : tensor<64xf32>) outs(%z0 : tensor<f32>) dimensions = [0]
    %eaC = math.exp %aC : tensor<f32>
    %EC = linalg.broadcast ins(%eaC : tensor<f32>) outs(%eS : tensor<32x16xf32>) dimensions = [0, 1]
    %dS = arith.mulf %EC, %S : tensor<32x16xf32>
    %ES = linalg.broadcast ins(%es : tensor<64xf32>) outs(%e : tensor<64x16xf32>) dimensions = [1]
    %sV = arith.mulf %ES, %V : tensor<64x16xf32>
    %S1 = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%K, %sV : tensor<64x32xf32>, tensor<64x16xf32>) outs(%dS : tensor<32x16xf32>) -> tensor<32x16xf32>
    delta.yield outs(%O : tensor<64x16xf32>) carry(%S1 : tensor<32x16xf32>)
  }
  return %o, %sT : tensor<?x?x2x16xbf16>, tensor<?x2x32x16xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// Two rows a token: what crosses has them too, or has one row a token and a
// column for each row.

// CHECK-LABEL: func.func @two_rows_a_token
// CHECK: %[[before:.*]]:4 = delta.chunk_map chunk = 32 heads = 2
// CHECK-SAME: outs([seq, time * 2, head] : tensor<?x?x2xf32>, [seq, time * 2, head, _] : tensor<?x?x2x64xf32>, [seq, time, head, _] : tensor<?x?x2x64xf32>, [seq, time * 2, head] : tensor<?x?x2xf32>)
// CHECK: delta.yield outs(%{{.*}} : tensor<64xf32>, tensor<64x64xf32>, tensor<32x64xf32>, tensor<64xf32>)
// CHECK: delta.chunk_scan forward chunk = 32 heads = 2
// CHECK-SAME: = %[[before]]#0[seq, time * 2, head] : tensor<?x?x2xf32>, %{{.*}} = %[[before]]#1[seq, time * 2, head, _] : tensor<?x?x2x64xf32>, %{{.*}} = %[[before]]#2[seq, time, head, _] : tensor<?x?x2x64xf32>, %{{.*}} = %[[before]]#3[seq, time * 2, head] : tensor<?x?x2xf32>)
// CHECK-NOT: delta.repeat_rows
func.func @two_rows_a_token(%q: tensor<?x?x1x32xbf16>, %g: tensor<?x?x2xf32>, %k: tensor<?x?x1x32xbf16>, %v: tensor<?x?x2x16xbf16>, %beta: tensor<?x?x2xf32>,
    %s0: tensor<?x2x32x16xf32>) -> (tensor<?x?x2x16xbf16>, tensor<?x2x32x16xf32>) {
  %o, %sT = delta.chunk_scan forward chunk = 32 heads = 2 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x32xbf16>, %G = %g[seq, time, head] : tensor<?x?x2xf32>, %K = %k[seq, time * 2, head, _] : tensor<?x?x1x32xbf16>,
          %V = %v[seq, time * 2, head, _] : tensor<?x?x2x16xbf16>, %c = %beta[seq, time * 2, head] : tensor<?x?x2xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x2x32x16xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x16xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x16xf32>
    %zq = arith.constant dense<0.0> : tensor<32x16xf32>
    %e = tensor.empty() : tensor<64x16xf32>
    %a = delta.cumsum %G : tensor<32xf32>
    %ea = math.exp %a : tensor<32xf32>
    %ear = delta.repeat_rows %ea by 2 : tensor<32xf32> -> tensor<64xf32>
    %EA = linalg.broadcast ins(%ear : tensor<64xf32>) outs(%e : tensor<64x16xf32>) dimensions = [1]
    %L = delta.decay_dot before_row %K, %K decay(%G : tensor<32xf32>) rows [2, 2] : tensor<64x32xf32>, tensor<64x32xf32> -> tensor<64x64xf32>
    %KS = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%K, %S : tensor<64x32xf32>, tensor<32x16xf32>) outs(%zero : tensor<64x16xf32>) -> tensor<64x16xf32>
    %EKS = arith.mulf %EA, %KS : tensor<64x16xf32>
    %W = arith.subf %V, %EKS : tensor<64x16xf32>
    %R, %U = delta.erase_solve %L, %c, %W : tensor<64x64xf32>, tensor<64xf32>, tensor<64x16xf32> -> tensor<64x16xf32>, tensor<64x16xf32>
    %P = delta.decay_dot upto_token %Q, %K decay(%G : tensor<32xf32>) rows [1, 2] : tensor<32x32xf32>, tensor<64x32xf32> -> tensor<32x64xf32>
    %O = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%P, %U : tensor<32x64xf32>, tensor<64x16xf32>) outs(%zq : tensor<32x16xf32>) -> tensor<32x16xf32>
    %s = delta.cumsum reverse exclusive %G : tensor<32xf32>
    %es = math.exp %s : tensor<32xf32>
    %esr = delta.repeat_rows %es by 2 : tensor<32xf32> -> tensor<64xf32>
    %ES = linalg.broadcast ins(%esr : tensor<64xf32>) outs(%e : tensor<64x16xf32>) dimensions = [1]
    %sU = arith.mulf %ES, %U : tensor<64x16xf32>
    %S1 = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%K, %sU : tensor<64x32xf32>, tensor<64x16xf32>) outs(%S : tensor<32x16xf32>) -> tensor<32x16xf32>
    delta.yield outs(%O : tensor<32x16xf32>) carry(%S1 : tensor<32x16xf32>)
  }
  return %o, %sT : tensor<?x?x2x16xbf16>, tensor<?x2x32x16xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// A program that no recurrence produces. An out without the state comes from the
// map, in its own type. A matrix without rows crosses once a chunk, a transposed
// one keeps its rows where they are, and so does a per-channel sum: the chain loads no
// matrix for it.

// CHECK-LABEL: func.func @free_form
// CHECK: %[[before:.*]]:4 = delta.chunk_map chunk = 16 heads = 2
// CHECK-SAME: outs([seq, time, head, _] : tensor<?x?x2x8xf16>, [chunk, head, _, _] : tensor<?x2x16x16xf32>, [seq, head, _, time] : tensor<?x2x16x?xf32>, [chunk, head, _] : tensor<?x2x16xf32>)
// CHECK: linalg.reduce { arith.addf }
// CHECK: %[[chain:.*]], %[[final:.*]] = delta.chunk_scan reverse chunk = 16 heads = 2
// CHECK-SAME: %[[G:[a-zA-Z0-9_]+]] = %[[before]]#1[chunk, head, _, _] : tensor<?x2x16x16xf32>, %[[Xt:[a-zA-Z0-9_]+]] = %[[before]]#2[seq, head, _, time] : tensor<?x2x16x?xf32>, %[[sum:[a-zA-Z0-9_]+]] = %[[before]]#3[chunk, head, _] : tensor<?x2x16xf32>)
// CHECK-SAME: outs([seq, time, head, _] : tensor<?x?x2x16xf32>)
// CHECK: linalg.broadcast ins(%[[sum]] : tensor<16xf32>)
// CHECK: return %[[chain]], %[[before]]#0, %[[final]]
func.func @free_form(%x: tensor<?x?x2x16xf32>, %y: tensor<?x?x2x8xf16>, %s0: tensor<?x2x16x16xf32>)
    -> (tensor<?x?x2x16xf32>, tensor<?x?x2x8xf16>, tensor<?x2x16x16xf32>) {
  %o, %p, %sT = delta.chunk_scan reverse chunk = 16 heads = 2 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x2x16xf32>, %Y = %y[seq, time, head, _] : tensor<?x?x2x8xf16>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x2x16x16xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x16xf32>, [seq, time, head, _] : tensor<?x?x2x8xf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<16x16xf32>
    %z1 = arith.constant dense<0.0> : tensor<16xf32>
    %e = tensor.empty() : tensor<16x16xf32>
    %Y2 = math.tanh %Y : tensor<16x8xf32>
    // X^T X: 16 is the number of channels and of tokens.
    %XX = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%X, %X : tensor<16x16xf32>, tensor<16x16xf32>) outs(%zero : tensor<16x16xf32>) -> tensor<16x16xf32>
    %Xt = linalg.transpose ins(%X : tensor<16x16xf32>) outs(%e : tensor<16x16xf32>) permutation = [1, 0]
    %sum = linalg.reduce {arith.addf} ins(%X : tensor<16x16xf32>) outs(%z1 : tensor<16xf32>) dimensions = [0]
    %D = linalg.broadcast ins(%sum : tensor<16xf32>) outs(%e : tensor<16x16xf32>) dimensions = [1]
    %DS = arith.mulf %D, %S : tensor<16x16xf32>
    %S1 = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%XX, %DS : tensor<16x16xf32>, tensor<16x16xf32>) outs(%S : tensor<16x16xf32>) -> tensor<16x16xf32>
    %O = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%Xt, %S1 : tensor<16x16xf32>, tensor<16x16xf32>) outs(%zero : tensor<16x16xf32>) -> tensor<16x16xf32>
    delta.yield outs(%O, %Y2 : tensor<16x16xf32>, tensor<16x8xf32>) carry(%S1 : tensor<16x16xf32>)
  }
  return %o, %p, %sT : tensor<?x?x2x16xf32>, tensor<?x?x2x8xf16>, tensor<?x2x16x16xf32>
}

// -----

// A system that the state enters is solved in the chain, and nothing is left for
// a map.

// CHECK-LABEL: func.func @system_depends_on_state
// CHECK-NOT: delta.chunk_map
// CHECK: delta.chunk_scan
// CHECK: delta.erase_solve
// REMARK: remark: [Missed] delta.chunk_scan | Category:delta-stage | Reason="everything worth storing depends on a carry"
// CHECK-NOT: delta.erase_factor
func.func @system_depends_on_state(%x: tensor<?x?x2x16xf32>, %s0: tensor<?x2x16x16xf32>) -> tensor<?x2x16x16xf32> {
  %sT = delta.chunk_scan forward chunk = 16 heads = 2 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x2x16xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x2x16x16xf32>)
      outs() valid(%n) {
    %c = arith.constant dense<0.5> : tensor<16xf32>
    %L = delta.decay_dot before_row %X, %S : tensor<16x16xf32>, tensor<16x16xf32> -> tensor<16x16xf32>
    %R, %U = delta.erase_solve %L, %c, %X : tensor<16x16xf32>, tensor<16xf32>, tensor<16x16xf32> -> tensor<16x16xf32>, tensor<16x16xf32>
    delta.yield carry(%U : tensor<16x16xf32>)
  }
  return %sT : tensor<?x2x16x16xf32>
}

// -----

// A constant rate needs no broadcast; a rate of one leaves no product.

// CHECK-LABEL: func.func @constant_rate
// CHECK: delta.erase_factor %{{.*}}, %{{.*}} : tensor<16x16xf32>
// CHECK: delta.chunk_scan
// CHECK-SAME: %[[Z:[a-zA-Z0-9_]+]] = %{{[a-zA-Z0-9_]+}}[seq, time, head, _] : tensor<?x?x2x16xf32>) carry
// CHECK: %[[W:.*]] = arith.addf
// CHECK-NEXT: %[[R:.*]] = delta.erase_apply %[[Z]], %{{.*}}, %[[W]] : tensor<16x16xf32>
// CHECK-NEXT: delta.yield carry(%[[R]] :
func.func @constant_rate(%x: tensor<?x?x2x16xf32>, %s0: tensor<?x2x16x16xf32>) -> tensor<?x2x16x16xf32> {
  %sT = delta.chunk_scan forward chunk = 16 heads = 2 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x2x16xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x2x16x16xf32>)
      outs() valid(%n) {
    %c = arith.constant dense<1.0> : tensor<16xf32>
    %L = delta.decay_dot before_row %X, %X : tensor<16x16xf32>, tensor<16x16xf32> -> tensor<16x16xf32>
    %W = arith.addf %X, %S : tensor<16x16xf32>
    %R, %U = delta.erase_solve %L, %c, %W : tensor<16x16xf32>, tensor<16xf32>, tensor<16x16xf32> -> tensor<16x16xf32>, tensor<16x16xf32>
    delta.yield carry(%U : tensor<16x16xf32>)
  }
  return %sT : tensor<?x2x16x16xf32>
}

// -----

// Only the compute type crosses: of the comparison its operand does, of the rounded
// tile what was rounded. A running sum crosses though all it is made of are ins.
// (The carry is mixed along both of its dimensions, so that there is no lane.)

// CHECK-LABEL: func.func @compute_type
// CHECK: %[[before:.*]]:2 = delta.chunk_map
// CHECK-SAME: outs([seq, time, head, _] : tensor<?x?x2x8xf32>, [seq, time, head] : tensor<?x?x2xf32>)
// CHECK: math.tanh
// CHECK: delta.cumsum
// CHECK: delta.chunk_scan
// CHECK-SAME: %[[Y:[a-zA-Z0-9_]+]] = %[[before]]#0[
// CHECK-SAME: %[[a:[a-zA-Z0-9_]+]] = %[[before]]#1[
// CHECK: arith.cmpf ogt, %[[Y]],
// CHECK: arith.truncf %[[Y]]
// CHECK: linalg.broadcast ins(%[[a]] :
func.func @compute_type(%x: tensor<?x?x2x8xf32>, %g: tensor<?x?x2xf32>, %s0: tensor<?x2x16x8xf32>) -> tensor<?x2x16x8xf32> {
  %sT = delta.chunk_scan forward chunk = 16 heads = 2 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x2x8xf32>, %G = %g[seq, time, head] : tensor<?x?x2xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x2x16x8xf32>) outs() valid(%n) {
    %mix = arith.constant dense<0.125> : tensor<8x8xf32>
    %e = tensor.empty() : tensor<16x8xf32>
    %zero = arith.constant dense<0.0> : tensor<16x8xf32>
    %Y = math.tanh %X : tensor<16x8xf32>
    %positive = arith.cmpf ogt, %Y, %zero : tensor<16x8xf32>
    %Yb = arith.truncf %Y : tensor<16x8xf32> to tensor<16x8xbf16>
    %Sb = arith.truncf %S : tensor<16x8xf32> to tensor<16x8xbf16>
    %P = arith.mulf %Yb, %Sb : tensor<16x8xbf16>
    %Pf = arith.extf %P : tensor<16x8xbf16> to tensor<16x8xf32>
    %a = delta.cumsum %G : tensor<16xf32>
    %A = linalg.broadcast ins(%a : tensor<16xf32>) outs(%e : tensor<16x8xf32>) dimensions = [1]
    %S1 = arith.select %positive, %Pf, %S : tensor<16x8xi1>, tensor<16x8xf32>
    %S2 = arith.addf %S1, %A : tensor<16x8xf32>
    %S3 = delta.cumsum %S2 : tensor<16x8xf32>
    %S4 = linalg.contract indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
        ins(%S3, %mix : tensor<16x8xf32>, tensor<8x8xf32>) outs(%zero : tensor<16x8xf32>) -> tensor<16x8xf32>
    delta.yield carry(%S4 : tensor<16x8xf32>)
  }
  return %sT : tensor<?x2x16x8xf32>
}

// -----

// A scan without a carry is no chain.

// REMARK: remark: [Missed] delta.chunk_scan | Category:delta-stage | Reason="no carry: it is a chunk_map"
// CHECK-LABEL: func.func @left_alone
// CHECK: delta.chunk_scan forward chunk = 16
// CHECK-NOT: delta.chunk_map
func.func @left_alone(%x: tensor<?x?x1x4xf32>) -> tensor<?x?x1x4xf32> {
  %o = delta.chunk_scan forward chunk = 16 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) outs([seq, time, head, _] : tensor<?x?x1x4xf32>) valid(%n) {
    %Y = math.tanh %X : tensor<16x4xf32>
    delta.yield outs(%Y : tensor<16x4xf32>)
  }
  return %o : tensor<?x?x1x4xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>

// A sum over the lane that feeds nothing back waits until after the chain: a map
// of all chunks, which reads the state once a chunk (slots) and rows. Outs that no
// carry enters are its too, then. What is cheap of the state (its negative) is
// made again, and what the map before has is read by both.

// CHECK-LABEL: func.func @after
// CHECK-SAME: %[[q:[a-zA-Z0-9_]+]]: tensor<?x?x1x4xf32>, %[[v:[a-zA-Z0-9_]+]]: tensor<?x?x1x8xf32>
// CHECK: %[[before:.*]] = delta.chunk_map
// CHECK: %[[P:.*]] = delta.decay_dot
// CHECK-NEXT: delta.yield outs(%[[P]] :
// CHECK: %[[chain:.*]]:3, %[[final:.*]] = delta.chunk_scan forward
// CHECK-SAME: carry(%[[S:[a-zA-Z0-9_]+]] =
// CHECK-SAME: outs([seq, time, head, _] : tensor<?x?x1x8xf32>, [seq, time, head, _] : tensor<?x?x1x8xf32>, [chunk, head, _, _] : tensor<?x1x4x8xf32>)
// CHECK: %[[QS:.*]] = linalg.contract {{.*}} -> tensor<16x8xf32>
// CHECK: %[[PQS:.*]] = linalg.contract {{.*}} -> tensor<16x8xf32>
// CHECK-NOT: linalg.contract {{.*}} -> tensor<16x4xf32>
// CHECK: delta.yield outs(%[[PQS]], %[[QS]], %[[S]] :
// CHECK: %[[after:.*]]:2 = delta.chunk_map
// CHECK-SAME: %[[before]][seq, time, head, _]
// CHECK-SAME: %[[QS:[a-zA-Z0-9_]+]] = %[[chain]]#1[seq, time, head, _]
// CHECK-SAME: %[[S:[a-zA-Z0-9_]+]] = %[[chain]]#2[chunk, head, _, _]
// CHECK: %[[nS:.*]] = arith.negf %[[S]]
// CHECK: %[[D:.*]] = linalg.contract {{.*}} ins(%[[QS]], %[[nS]] : {{.*}} -> tensor<16x4xf32>
// CHECK: math.tanh
// CHECK: return %[[chain]]#0, %[[after]]#0, %[[after]]#1, %[[final]]
func.func @after(%q: tensor<?x?x1x4xf32>, %v: tensor<?x?x1x8xf32>, %s0: tensor<?x1x4x8xf32>)
    -> (tensor<?x?x1x8xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x1x4x8xf32>) {
  %o, %d, %t, %sT = delta.chunk_scan forward chunk = 16 heads = 1 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x4xf32>, %V = %v[seq, time, head, _] : tensor<?x?x1x8xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x4x8xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x8xf32>, [seq, time, head, _] : tensor<?x?x1x4xf32>, [seq, time, head, _] : tensor<?x?x1x4xf32>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<16x8xf32>
    %zq = arith.constant dense<0.0> : tensor<16x4xf32>
    %P = delta.decay_dot upto_token %Q, %Q : tensor<16x4xf32>, tensor<16x4xf32> -> tensor<16x16xf32>
    %QS = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%Q, %S : tensor<16x4xf32>, tensor<4x8xf32>) outs(%zero : tensor<16x8xf32>) -> tensor<16x8xf32>
    %PQS = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%P, %QS : tensor<16x16xf32>, tensor<16x8xf32>) outs(%zero : tensor<16x8xf32>) -> tensor<16x8xf32>
    %nS = arith.negf %S : tensor<4x8xf32>
    %D = linalg.contract indexing_maps = [#mk, #nk, #mn] ins(%QS, %nS : tensor<16x8xf32>, tensor<4x8xf32>) outs(%zq : tensor<16x4xf32>) -> tensor<16x4xf32>
    %PD = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%P, %D : tensor<16x16xf32>, tensor<16x4xf32>) outs(%zq : tensor<16x4xf32>) -> tensor<16x4xf32>
    %T = math.tanh %Q : tensor<16x4xf32>
    %S1 = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%Q, %V : tensor<16x4xf32>, tensor<16x8xf32>) outs(%S : tensor<4x8xf32>) -> tensor<4x8xf32>
    delta.yield outs(%PQS, %PD, %T : tensor<16x8xf32>, tensor<16x4xf32>, tensor<16x4xf32>) carry(%S1 : tensor<4x8xf32>)
  }
  return %o, %d, %t, %sT : tensor<?x?x1x8xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x1x4x8xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// The factor that the function saves is the one that the chain reads: one out.

// CHECK-LABEL: func.func @saved
// CHECK: %[[z:.*]] = delta.chunk_map
// CHECK-SAME: outs([seq, time, head, _] : tensor<?x?x1x16xf32>)
// CHECK: %[[final:.*]] = delta.chunk_scan forward {{.*}} = %[[z]][seq, time, head, _]
// CHECK: return %[[final]], %[[z]]
func.func @saved(%k: tensor<?x?x1x4xf32>, %c: tensor<?x?x1xf32>, %s0: tensor<?x1x16x8xf32>) -> (tensor<?x1x16x8xf32>, tensor<?x?x1x16xf32>) {
  %z, %sT = delta.chunk_scan forward chunk = 16 heads = 1 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x1x4xf32>, %C = %c[seq, time, head] : tensor<?x?x1xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x16x8xf32>) outs([seq, time, head, _] : tensor<?x?x1x16xf32>) valid(%n) {
    %L = delta.decay_dot before_row %K, %K : tensor<16x4xf32>, tensor<16x4xf32> -> tensor<16x16xf32>
    %Z = delta.erase_factor %L, %C : tensor<16x16xf32>, tensor<16xf32> -> tensor<16x16xf32>
    %S1 = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%Z, %S : tensor<16x16xf32>, tensor<16x8xf32>) outs(%S : tensor<16x8xf32>) -> tensor<16x8xf32>
    delta.yield outs(%Z : tensor<16x16xf32>) carry(%S1 : tensor<16x8xf32>)
  }
  return %sT, %z : tensor<?x1x16x8xf32>, tensor<?x?x1x16xf32>
}

// -----

#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>

// No product on the way from state to state sums over either of its dimensions. The
// read of it sums over the keys, so the values are the lane, though they come first:
// nothing waits until after the chain.

// CHECK-LABEL: func.func @values_first
// CHECK-NOT: delta.chunk_map
// CHECK: delta.chunk_scan
// CHECK-SAME: outs([seq, time, head, _] : tensor<?x?x1x16xbf16>)
// CHECK-NOT: delta.chunk_map
// CHECK: return
func.func @values_first(%q: tensor<?x?x1x32xbf16>, %k: tensor<?x?x1x32xbf16>, %v: tensor<?x?x1x16xbf16>, %s0: tensor<?x1x16x32xf32>)
    -> (tensor<?x?x1x16xbf16>, tensor<?x1x16x32xf32>) {
  %o, %sT = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x32xbf16>, %K = %k[seq, time, head, _] : tensor<?x?x1x32xbf16>, %V = %v[seq, time, head, _] : tensor<?x?x1x16xbf16>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x16x32xf32>) outs([seq, time, head, _] : tensor<?x?x1x16xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x16xf32>
    %O = linalg.contract indexing_maps = [#mk, #nk, #mn] ins(%Q, %S : tensor<64x32xf32>, tensor<16x32xf32>) outs(%zero : tensor<64x16xf32>) -> tensor<64x16xf32>
    %S1 = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%V, %K : tensor<64x16xf32>, tensor<64x32xf32>) outs(%S : tensor<16x32xf32>) -> tensor<16x32xf32>
    delta.yield outs(%O : tensor<64x16xf32>) carry(%S1 : tensor<16x32xf32>)
  }
  return %o, %sT : tensor<?x?x1x16xbf16>, tensor<?x1x16x32xf32>
}
