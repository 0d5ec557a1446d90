// RUN: wyvern-opt %s -delta-differentiate -delta-simplify -split-input-file | FileCheck %s

#mk = affine_map<(m, n, k) -> (m, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// The backward of a scan runs the other way and carries the gradient of the
// carry. The carry itself is brought once a chunk by a replay. Gradients have the
// types of what they belong to, and cu_seqlens is passed on.

// CHECK-LABEL: func.func @carry_fwd(
// CHECK-SAME: attributes {delta.backward = @carry_bwd}
// CHECK: delta.chunk_scan forward
// CHECK-NOT: delta.chunk_scan
// CHECK-LABEL: func.func @carry_bwd(
// CHECK-SAME: %[[q:[a-zA-Z0-9_]+]]: tensor<?x?x2x4xf32> {delta.name = "q"}, %[[v:[a-zA-Z0-9_]+]]: tensor<?x?x2x8xbf16> {delta.name = "v"}, %[[s0:[a-zA-Z0-9_]+]]: tensor<?x2x4x8xf32> {delta.name = "s0"}, %[[cu:[a-zA-Z0-9_]+]]: tensor<?xi64> {delta.name = "cu_seqlens"}, %[[do:[a-zA-Z0-9_]+]]: tensor<?x?x2x8xbf16> {delta.name = "d_o"}, %[[dsT:[a-zA-Z0-9_]+]]: tensor<?x2x4x8xf32> {delta.name = "d_sT"})
// CHECK-SAME: -> (tensor<?x?x2x4xf32> {delta.name = "d_q"}, tensor<?x?x2x8xbf16> {delta.name = "d_v"}, tensor<?x2x4x8xf32> {delta.name = "d_s0"})
// CHECK: %[[s:.*]], %{{.*}} = delta.chunk_scan forward
// CHECK-SAME: carry(%[[S:[a-zA-Z0-9_]+]] = %[[s0]][seq, head, _, _]{{.*}}cu_seqlens(%[[cu]]
// CHECK-SAME: outs([chunk, head, _, _] : tensor<?x2x4x8xf32>)
// CHECK: %[[S1:.*]] = linalg.contract {{.*}} outs(%[[S]] :
// CHECK: delta.yield outs(%[[S]] : {{.*}}) carry(%[[S1]] :
// CHECK: %[[dq:.*]], %[[dv:.*]], %[[ds0:.*]] = delta.chunk_scan reverse chunk = 16 heads = 2 compute = f32
// CHECK-SAME: ins(%[[dO:[a-zA-Z0-9_]+]] = %[[do]][seq, time, head, _] : tensor<?x?x2x8xbf16>, %[[V:[a-zA-Z0-9_]+]] = %[[v]][{{.*}}, %[[Q:[a-zA-Z0-9_]+]] = %[[q]][{{.*}}, %[[S:[a-zA-Z0-9_]+]] = %[[s]][chunk, head, _, _]
// CHECK-SAME: carry(%[[dS:[a-zA-Z0-9_]+]] = %[[dsT]][seq, head, _, _] : tensor<?x2x4x8xf32>) cu_seqlens(%[[cu]]
// CHECK-SAME: outs([seq, time, head, _] : tensor<?x?x2x4xf32>, [seq, time, head, _] : tensor<?x?x2x8xbf16>)
// CHECK: %[[dQ0:.*]] = linalg.contract {{.*}} ins(%[[dS]], %[[V]] :
// CHECK: %[[dV:.*]] = linalg.contract {{.*}} ins(%[[Q]], %[[dS]] :
// CHECK: %[[dQ:.*]] = linalg.contract {{.*}} ins(%[[dO]], %[[S]] : {{.*}} outs(%[[dQ0]] :
// CHECK: %[[dS1:.*]] = linalg.contract {{.*}} ins(%[[Q]], %[[dO]] : {{.*}} outs(%[[dS]] :
// CHECK: delta.yield outs(%[[dQ]], %[[dV]] : {{.*}}) carry(%[[dS1]] :
// CHECK: return %[[dq]], %[[dv]], %[[ds0]]
func.func @carry(%q: tensor<?x?x2x4xf32> {delta.name = "q"}, %v: tensor<?x?x2x8xbf16> {delta.name = "v"}, %s0: tensor<?x2x4x8xf32> {delta.name = "s0"}, %cu: tensor<?xi64> {delta.name = "cu_seqlens"})
    -> (tensor<?x?x2x8xbf16> {delta.name = "o"}, tensor<?x2x4x8xf32> {delta.name = "sT"}) {
  %o, %sT = delta.chunk_scan forward chunk = 16 heads = 2 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x2x4xf32>, %V = %v[seq, time, head, _] : tensor<?x?x2x8xbf16>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x2x4x8xf32>) cu_seqlens(%cu : tensor<?xi64>)
      outs([seq, time, head, _] : tensor<?x?x2x8xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<16x8xf32>
    %O = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%Q, %S : tensor<16x4xf32>, tensor<4x8xf32>) outs(%zero : tensor<16x8xf32>) -> tensor<16x8xf32>
    %S1 = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%Q, %V : tensor<16x4xf32>, tensor<16x8xf32>) outs(%S : tensor<4x8xf32>) -> tensor<4x8xf32>
    delta.yield outs(%O : tensor<16x8xf32>) carry(%S1 : tensor<4x8xf32>)
  }
  return %o, %sT : tensor<?x?x2x8xbf16>, tensor<?x2x4x8xf32>
}

// -----

// A decay stays inside the product, whose pairs have one decay each: their gradient times
// what they are, summed to the rows of a token and over later tokens, without the token
// itself on the side that reads before the decay.

// CHECK-LABEL: func.func @decay_bwd(
// CHECK: delta.chunk_map
// CHECK-SAME: ins(%[[dM:[a-zA-Z0-9_]+]] = {{.*}}, %[[B:[a-zA-Z0-9_]+]] = {{.*}}[seq, time * 2, head, _]{{.*}}, %[[G:[a-zA-Z0-9_]+]] = %{{.*}}, %[[A:[a-zA-Z0-9_]+]] = %arg0[seq, time, head, _] : tensor<?x?x1x4xf32>)
// CHECK-SAME: outs([seq, time, head, _] : tensor<?x?x1x4xf32>, [seq, time * 2, head, _] : tensor<?x?x1x4xf32>, [seq, time, head] : tensor<?x?x1xf32>)
// CHECK: %[[D:.*]] = delta.decay_mask{{ +}}before_token %[[dM]] decay(%[[G]] : tensor<8xf32>) before_decay rows [1, 2]
// CHECK: %[[dA:.*]] = linalg.contract {{.*}} ins(%[[D]], %[[B]] :
// CHECK: %[[dB:.*]] = linalg.contract {{.*}} ins(%[[D]], %[[A]] :
// CHECK: %[[AB:.*]] = linalg.contract {{.*}} ins(%[[A]], %[[B]] : {{.*}} -> tensor<8x16xf32>
// CHECK: %[[N:.*]] = arith.mulf %[[AB]], %[[D]]
// CHECK: %[[dh:.*]] = linalg.reduce { arith.addf } ins(%[[N]] : {{.*}} dimensions = [1]
// CHECK: %[[rows:.*]] = linalg.reduce { arith.addf } ins(%[[N]] : {{.*}} dimensions = [0]
// CHECK: %[[dp:.*]] = delta.sum_rows %[[rows]] by 2
// CHECK: %[[h:.*]] = delta.cumsum reverse exclusive %[[dh]]
// CHECK: %[[p:.*]] = delta.cumsum reverse %[[dp]]
// CHECK: %[[dG:.*]] = arith.subf %[[h]], %[[p]]
// CHECK: delta.yield outs(%[[dA]], %[[dB]], %[[dG]] :
func.func @decay(%a: tensor<?x?x1x4xf32> {delta.name = "a"}, %b: tensor<?x?x1x4xf32> {delta.name = "b"}, %g: tensor<?x?x1xf32> {delta.name = "g"}) -> (tensor<?x?x1x16xf32> {delta.name = "m"}) {
  %m = delta.chunk_map chunk = 8 heads = 1 compute = f32
      ins(%A = %a[seq, time, head, _] : tensor<?x?x1x4xf32>, %B = %b[seq, time * 2, head, _] : tensor<?x?x1x4xf32>, %G = %g[seq, time, head] : tensor<?x?x1xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x16xf32>) valid(%n) {
    %M = delta.decay_dot before_token %A, %B decay(%G : tensor<8xf32>) before_decay rows [1, 2] : tensor<8x4xf32>, tensor<16x4xf32> -> tensor<8x16xf32>
    delta.yield outs(%M : tensor<8x16xf32>)
  }
  return %m : tensor<?x?x1x16xf32>
}

// -----

// The solve: one transposed solve, nothing divided by the rate. U is R times the
// rate, not a second solve.

// CHECK-LABEL: func.func @solve_fwd(
// CHECK: delta.erase_solve {{.*}} {delta.system = 0 : i64}
// CHECK-LABEL: func.func @solve_bwd(
// CHECK: delta.chunk_map
// CHECK-SAME: ins(%[[dR:[a-zA-Z0-9_]+]] = {{.*}}, %[[dU:[a-zA-Z0-9_]+]] = {{.*}}, %[[c:[a-zA-Z0-9_]+]] = {{.*}}[seq, time, head] : tensor<?x?x1xf32>, %[[L:[a-zA-Z0-9_]+]] = {{.*}}, %[[W:[a-zA-Z0-9_]+]] = %arg2[
// CHECK: %[[Ls:.*]] = delta.decay_mask{{ +}}before_row %[[L]] :
// CHECK: %[[LdR:.*]] = linalg.contract {{.*}} ins(%[[Ls]], %[[dR]] :
// CHECK: %[[rhs:.*]] = arith.subf %[[dU]], %[[LdR]]
// CHECK: %[[X:.*]] = delta.erase_solve_adjoint %[[L]], %[[c]], %[[rhs]] {delta.system = 0 : i64}
// CHECK: %[[C:.*]] = linalg.broadcast ins(%[[c]]
// CHECK: %[[cX:.*]] = arith.mulf %[[X]], %[[C]]
// CHECK: %[[dW:.*]] = arith.addf %[[dR]], %[[cX]]
// CHECK: %[[ndW:.*]] = arith.negf %[[dW]]
// CHECK: %[[R:.*]], %{{.*}} = delta.erase_solve %[[L]], %[[c]], %[[W]] {delta.system = 0 : i64}
// CHECK: %[[U:.*]] = arith.mulf %[[R]], %[[C]]
// CHECK: %[[outer:.*]] = linalg.contract {{.*}} ins(%[[ndW]], %[[U]] :
// CHECK: %[[dL:.*]] = delta.decay_mask{{ +}}before_row %[[outer]] :
// CHECK: %[[XR:.*]] = arith.mulf %[[X]], %[[R]]
// CHECK: %[[dc:.*]] = linalg.reduce { arith.addf } ins(%[[XR]] : {{.*}} dimensions = [1]
// CHECK-NOT: arith.divf
// CHECK: delta.yield outs(%[[dL]], %[[dc]], %[[dW]] :
func.func @solve(%l: tensor<?x?x1x8xf32> {delta.name = "l"}, %c: tensor<?x?x1xf32> {delta.name = "c"}, %w: tensor<?x?x1x4xf32> {delta.name = "w"})
    -> (tensor<?x?x1x4xf32> {delta.name = "r"}, tensor<?x?x1x4xf32> {delta.name = "u"}) {
  %r, %u = delta.chunk_map chunk = 8 heads = 1 compute = f32
      ins(%L = %l[seq, time, head, _] : tensor<?x?x1x8xf32>, %C = %c[seq, time, head] : tensor<?x?x1xf32>, %W = %w[seq, time, head, _] : tensor<?x?x1x4xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x4xf32>, [seq, time, head, _] : tensor<?x?x1x4xf32>) valid(%n) {
    %R, %U = delta.erase_solve %L, %C, %W : tensor<8x8xf32>, tensor<8xf32>, tensor<8x4xf32> -> tensor<8x4xf32>, tensor<8x4xf32>
    delta.yield outs(%R, %U : tensor<8x4xf32>, tensor<8x4xf32>)
  }
  return %r, %u : tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>
}

// -----

// Heads that share an in get a gradient each, in the compute type; the sum over the
// group, or over all heads, and the rounding are a map of their own.

// CHECK-LABEL: func.func @groups_bwd(
// CHECK-SAME: -> (tensor<?x?x2xbf16> {delta.name = "d_x"}, tensor<?x?xf32> {delta.name = "d_y"})
// CHECK: %[[d:.*]]:2 = delta.chunk_map
// CHECK-SAME: outs([seq, time, head] : tensor<?x?x4xf32>, [head, seq, time] : tensor<4x?x?xf32>)
// CHECK: %[[dx:.*]] = delta.chunk_map chunk = 8 heads = 2 compute = f32 ins(%[[X0:.*]] = %[[d]]#0[seq, time, head * 2] : {{.*}}, %[[X1:.*]] = %[[d]]#0[seq, time, head * 2 + 1] : tensor<?x?x4xf32>)
// CHECK-SAME: outs([seq, time, head] : tensor<?x?x2xbf16>)
// CHECK-NEXT: %[[sum:.*]] = arith.addf %[[X0]], %[[X1]]
// CHECK-NEXT: delta.yield outs(%[[sum]] :
// CHECK: %[[dy:.*]] = delta.chunk_map chunk = 8 heads = 1 compute = f32
// CHECK-SAME: %[[d]]#1[head * 4, seq, time] : {{.*}} %[[d]]#1[head * 4 + 3, seq, time] : tensor<4x?x?xf32>)
// CHECK-SAME: outs([seq, time] : tensor<?x?xf32>)
// CHECK: return %[[dx]], %[[dy]]
func.func @groups(%x: tensor<?x?x2xbf16> {delta.name = "x"}, %y: tensor<?x?xf32> {delta.name = "y"}) -> (tensor<?x?x4xf32> {delta.name = "o"}) {
  %o = delta.chunk_map chunk = 8 heads = 4 compute = f32 ins(%X = %x[seq, time, head] : tensor<?x?x2xbf16>, %Y = %y[seq, time] : tensor<?x?xf32>)
      outs([seq, time, head] : tensor<?x?x4xf32>) valid(%n) {
    %P = arith.mulf %X, %Y : tensor<8xf32>
    delta.yield outs(%P : tensor<8xf32>)
  }
  return %o : tensor<?x?x4xf32>
}

// -----

// Each member of a group has the gradient of the group's sum, which the backward of
// what made them reads as an in that its heads share: no program is made for it.

// CHECK-LABEL: func.func @sum_of_heads_bwd(
// CHECK-SAME: %[[x:.*]]: tensor<?x?x4xf32> {delta.name = "x"}, %[[do:.*]]: tensor<?x?x2xf32> {delta.name = "d_o"}
// CHECK: %[[dx:.*]] = delta.chunk_map chunk = 8 heads = 4
// CHECK-SAME: = %[[do]][seq, time, head] : tensor<?x?x2xf32>
// CHECK-SAME: outs([seq, time, head] : tensor<?x?x4xf32>)
// CHECK-NOT: delta.chunk_map
// CHECK: return %[[dx]]
func.func @sum_of_heads(%x: tensor<?x?x4xf32> {delta.name = "x"}) -> (tensor<?x?x2xf32> {delta.name = "o"}) {
  %y = delta.chunk_map chunk = 8 heads = 4 compute = f32 ins(%X = %x[seq, time, head] : tensor<?x?x4xf32>)
      outs([seq, time, head] : tensor<?x?x4xf32>) valid(%n) {
    %Y = arith.mulf %X, %X : tensor<8xf32>
    delta.yield outs(%Y : tensor<8xf32>)
  }
  %o = delta.chunk_map chunk = 8 heads = 2 compute = f32
      ins(%A = %y[seq, time, head * 2] : tensor<?x?x4xf32>, %B = %y[seq, time, head * 2 + 1] : tensor<?x?x4xf32>)
      outs([seq, time, head] : tensor<?x?x2xf32>) valid(%n) {
    %S = arith.addf %A, %B : tensor<8xf32>
    delta.yield outs(%S : tensor<8xf32>)
  }
  return %o : tensor<?x?x2xf32>
}

// -----

// No program holds a large group: 24 heads are summed 8 at a time, then 3.

// CHECK-LABEL: func.func @large_group_bwd(
// CHECK: %[[d:.*]] = delta.chunk_map chunk = 8 heads = 24
// CHECK: %[[part:.*]] = delta.chunk_map chunk = 8 heads = 3 compute = f32 ins(%{{.*}} = %[[d]][seq, time, head * 8] : {{.*}} %[[d]][seq, time, head * 8 + 7] : tensor<?x?x24xf32>)
// CHECK-SAME: outs([seq, time, head] : tensor<?x?x3xf32>)
// CHECK: %[[dx:.*]] = delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%{{.*}} = %[[part]][seq, time, head * 3] : {{.*}} %[[part]][seq, time, head * 3 + 2] : tensor<?x?x3xf32>)
// CHECK-SAME: outs([seq, time, head] : tensor<?x?x1xbf16>)
// CHECK: return %[[dx]]
func.func @large_group(%x: tensor<?x?x1xbf16> {delta.name = "x"}) -> (tensor<?x?x24xf32> {delta.name = "o"}) {
  %o = delta.chunk_map chunk = 8 heads = 24 compute = f32 ins(%X = %x[seq, time, head] : tensor<?x?x1xbf16>)
      outs([seq, time, head] : tensor<?x?x24xf32>) valid(%n) {
    %P = math.exp %X : tensor<8xf32>
    delta.yield outs(%P : tensor<8xf32>)
  }
  return %o : tensor<?x?x24xf32>
}

// -----

// An in without time is read by every chunk. Where its gradient is a sum over tokens, what each has of it leaves
// the program and is summed behind it; factors that all have go into each.

// CHECK-LABEL: func.func @of_tokens_bwd(
// CHECK-SAME: %[[cu:[a-zA-Z0-9_]+]]: tensor<?xi64> {delta.name = "cu_seqlens"}
// CHECK-SAME: -> (tensor<?x?x2xf32> {delta.name = "d_x"}, tensor<2xf32> {delta.name = "d_A_log"})
// CHECK: %[[dx:.*]], %[[rows:.*]] = delta.chunk_map {{.*}} outs([seq, time, head] : tensor<?x?x2xf32>, [seq, time, head] : tensor<?x?x2xf32>)
// CHECK: %[[dY:.*]] = delta.mask_rows
// CHECK: %[[e:.*]] = math.exp
// CHECK: %[[E:.*]] = linalg.broadcast ins(%[[e]] : tensor<f32>)
// CHECK: arith.mulf %[[dY]], %[[E]]
// CHECK: %[[dP:.*]] = arith.mulf %[[dY]], %{{.*}} : tensor<8xf32>
// CHECK: %[[dA:.*]] = arith.mulf %[[dP]], %[[E]]
// CHECK: delta.yield outs(%{{.*}}, %[[dA]] :
// CHECK: %[[sum:.*]] = delta.sum_tokens %[[rows]] cu_seqlens(%[[cu]] : tensor<?xi64>) : tensor<?x?x2xf32> -> tensor<2xf32>
// CHECK: return %[[dx]], %[[sum]]
func.func @of_tokens(%x: tensor<?x?x2xf32> {delta.name = "x"}, %A: tensor<2xf32> {delta.name = "A_log"}, %cu: tensor<?xi64> {delta.name = "cu_seqlens"}) -> (tensor<?x?x2xf32> {delta.name = "o"}) {
  %o = delta.chunk_map chunk = 8 heads = 2 compute = f32 ins(%X = %x[seq, time, head] : tensor<?x?x2xf32>, %a = %A[head] : tensor<2xf32>)
      cu_seqlens(%cu : tensor<?xi64>) outs([seq, time, head] : tensor<?x?x2xf32>) valid(%n) {
    %e = tensor.empty() : tensor<8xf32>
    %E = math.exp %a : tensor<f32>
    %B = linalg.broadcast ins(%E : tensor<f32>) outs(%e : tensor<8xf32>) dimensions = [0]
    %P = arith.mulf %X, %B : tensor<8xf32>
    %Y = delta.mask_rows %P, %n : tensor<8xf32>
    delta.yield outs(%Y : tensor<8xf32>)
  }
  return %o : tensor<?x?x2xf32>
}

// -----

// What is not known to be zero past a sequence's end is no such sum: it is carried, from zeros for each sequence,
// and then summed over these. So the backward of a map is a scan. (Of a product with an in it would be known: ins are.)

// CHECK-LABEL: func.func @no_time_bwd(
// CHECK-SAME: %[[cu:[a-zA-Z0-9_]+]]: tensor<?xi64> {delta.name = "cu_seqlens"}
// CHECK-SAME: -> (tensor<?x?x2xf32> {delta.name = "d_x"}, tensor<2xf32> {delta.name = "d_A_log"})
// CHECK-DAG: %[[entries:.*]] = tensor.dim %[[cu]], %c0
// CHECK-DAG: %[[packed:.*]] = arith.cmpi ne, %[[entries]], %c0
// CHECK-DAG: %[[less:.*]] = arith.subi %[[entries]], %c1
// CHECK: %[[sequences:.*]] = arith.select %[[packed]], %[[less]], %{{.*}} : index
// CHECK: %[[empty:.*]] = tensor.empty(%[[sequences]]) : tensor<?x2xf32>
// CHECK: %[[zeros:.*]] = linalg.fill {{.*}} outs(%[[empty]]
// CHECK: %[[dx:.*]], %[[sums:.*]] = delta.chunk_scan reverse
// CHECK-SAME: carry(%[[sum:[a-zA-Z0-9_]+]] = %[[zeros]][seq, head] : tensor<?x2xf32>)
// CHECK: %[[dP:.*]] = delta.cumsum reverse
// CHECK: %[[da:.*]] = linalg.reduce { arith.addf } ins(%[[dP]] :
// CHECK: %[[next:.*]] = arith.addf %[[sum]], %[[da]]
// CHECK: delta.yield outs(%[[dP]] : {{.*}}) carry(%[[next]] :
// CHECK: %[[dA:.*]] = linalg.reduce { arith.addf } ins(%[[sums]] : tensor<?x2xf32>) {{.*}} dimensions = [0]
// CHECK: return %[[dx]], %[[dA]]
func.func @no_time(%x: tensor<?x?x2xf32> {delta.name = "x"}, %A: tensor<2xf32> {delta.name = "A_log"}, %cu: tensor<?xi64> {delta.name = "cu_seqlens"}) -> (tensor<?x?x2xf32> {delta.name = "o"}) {
  %o = delta.chunk_map chunk = 8 heads = 2 compute = f32 ins(%X = %x[seq, time, head] : tensor<?x?x2xf32>, %a = %A[head] : tensor<2xf32>)
      cu_seqlens(%cu : tensor<?xi64>) outs([seq, time, head] : tensor<?x?x2xf32>) valid(%n) {
    %e = tensor.empty() : tensor<8xf32>
    %B = linalg.broadcast ins(%a : tensor<f32>) outs(%e : tensor<8xf32>) dimensions = [0]
    %P = arith.addf %X, %B : tensor<8xf32>
    %Y = delta.cumsum %P : tensor<8xf32>
    delta.yield outs(%Y : tensor<8xf32>)
  }
  return %o : tensor<?x?x2xf32>
}

// -----

// Ins are zero there, and sums along rows of zeros. A constant has no gradient: nothing is returned for it. What a
// map that is exact makes is stored as it is, in its derivative too.

// CHECK-LABEL: func.func @of_channels_bwd(
// CHECK-SAME: -> (tensor<?x?x2x4xf32> {delta.name = "d_x"}, tensor<2xf32> {delta.name = "d_A_log"}, tensor<2x4xf32> {delta.name = "d_bias"})
// CHECK: %[[dx:.*]], %[[rows:.*]]:2 = delta.chunk_map
// CHECK-SAME: outs([seq, time, head, _] : tensor<?x?x2x4xf32>, [seq, time, head] : tensor<?x?x2xf32>, [seq, time, head, _] : tensor<?x?x2x4xf32>)
// CHECK: %[[sum:.*]] = linalg.reduce { arith.addf } {{.*}} dimensions = [1]
// CHECK: delta.yield outs(%{{.*}}, %[[sum]], %{{.*}} :
// CHECK: } {delta.exact}
// CHECK: %[[sums:.*]]:2 = delta.sum_tokens %[[rows]]#0, %[[rows]]#1
// CHECK: return %[[dx]], %[[sums]]#0, %[[sums]]#1
func.func @of_channels(%x: tensor<?x?x2x4xf32> {delta.name = "x"}, %A: tensor<2xf32> {delta.name = "A_log"}, %b: tensor<2x4xf32> {delta.name = "bias"},
    %c: tensor<2xf32> {delta.name = "c", delta.constant}) -> (tensor<?x?x2x4xf32> {delta.name = "o"}) {
  %o = delta.chunk_map chunk = 8 heads = 2 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x2x4xf32>, %a = %A[head] : tensor<2xf32>, %B = %b[head, _] : tensor<2x4xf32>, %C = %c[head] : tensor<2xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x4xf32>) valid(%n) {
    %e = tensor.empty() : tensor<8x4xf32>
    %XB = linalg.broadcast ins(%B : tensor<4xf32>) outs(%e : tensor<8x4xf32>) dimensions = [0]
    %XA = linalg.broadcast ins(%a : tensor<f32>) outs(%e : tensor<8x4xf32>) dimensions = [0, 1]
    %XC = linalg.broadcast ins(%C : tensor<f32>) outs(%e : tensor<8x4xf32>) dimensions = [0, 1]
    %P = arith.addf %X, %XB : tensor<8x4xf32>
    %Q = arith.mulf %P, %XA : tensor<8x4xf32>
    %Y = arith.mulf %Q, %XC : tensor<8x4xf32>
    delta.yield outs(%Y : tensor<8x4xf32>)
  } {delta.exact}
  return %o : tensor<?x?x2x4xf32>
}

// -----

// The backward of a reverse scan runs forward.

// CHECK-LABEL: func.func @reverse_bwd(
// CHECK-SAME: %[[dsT:[a-zA-Z0-9_]+]]: tensor<?x1x8x4xf32> {delta.name = "d_sT"}
// CHECK: delta.chunk_scan forward
// CHECK-SAME: carry(%[[dS:[a-zA-Z0-9_]+]] = %[[dsT]][
// CHECK-NEXT: delta.yield outs(%[[dS]] : {{.*}}) carry(%[[dS]] :
func.func @reverse(%x: tensor<?x?x1x4xf32> {delta.name = "x"}, %s0: tensor<?x1x8x4xf32> {delta.name = "s0"}) -> (tensor<?x1x8x4xf32> {delta.name = "sT"}) {
  %sT = delta.chunk_scan reverse chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x8x4xf32>) outs() valid(%n) {
    %S1 = arith.addf %S, %X : tensor<8x4xf32>
    delta.yield carry(%S1 : tensor<8x4xf32>)
  }
  return %sT : tensor<?x1x8x4xf32>
}

// -----

// Programs are differentiated from the last to the first; what is both read and
// returned has the sum of both gradients. Nothing reads %unread: zeros of its
// shape. Integers have no gradient.

// CHECK-LABEL: func.func @two_bwd(
// CHECK-SAME: %[[x:[a-zA-Z0-9_]+]]: tensor<?x?x1xf32> {delta.name = "x"}, %[[unread:[a-zA-Z0-9_]+]]: tensor<?x3xf32> {delta.name = "unread"}, %{{.*}}: tensor<4xi32> {delta.name = "n"}, %[[dy:[a-zA-Z0-9_]+]]: tensor<?x?x1xf32> {delta.name = "d_y"}, %[[dz:[a-zA-Z0-9_]+]]: tensor<?x?x1xf32> {delta.name = "d_z"})
// CHECK-SAME: -> (tensor<?x?x1xf32> {delta.name = "d_x"}, tensor<?x3xf32> {delta.name = "d_unread"})
// CHECK: %[[fromZ:.*]] = delta.chunk_map {{.*}} = %[[dz]][seq, time, head]
// CHECK: delta.cumsum reverse
// CHECK: %[[sum:.*]] = arith.addf %[[dy]], %[[fromZ]]
// CHECK: %[[dx:.*]] = delta.chunk_map {{.*}}(%[[dY:[a-zA-Z0-9_]+]] = %[[sum]][{{.*}}, %[[X:[a-zA-Z0-9_]+]] = %[[x]][
// CHECK: %[[exp:.*]] = math.exp %[[X]]
// CHECK: arith.mulf %[[dY]], %[[exp]]
// CHECK: %[[size:.*]] = tensor.dim %[[unread]], %c0
// CHECK: %[[empty:.*]] = tensor.empty(%[[size]]) : tensor<?x3xf32>
// CHECK: %[[zeros:.*]] = linalg.fill {{.*}} outs(%[[empty]]
// CHECK: return %[[dx]], %[[zeros]]
func.func @two(%x: tensor<?x?x1xf32> {delta.name = "x"}, %unread: tensor<?x3xf32> {delta.name = "unread"}, %n: tensor<4xi32> {delta.name = "n"}) -> (tensor<?x?x1xf32> {delta.name = "y"}, tensor<?x?x1xf32> {delta.name = "z"}) {
  %y = delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head] : tensor<?x?x1xf32>) outs([seq, time, head] : tensor<?x?x1xf32>) valid(%m) {
    %Y = math.exp %X : tensor<8xf32>
    delta.yield outs(%Y : tensor<8xf32>)
  }
  %z = delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%X = %y[seq, time, head] : tensor<?x?x1xf32>) outs([seq, time, head] : tensor<?x?x1xf32>) valid(%m) {
    %Y = delta.cumsum %X : tensor<8xf32>
    delta.yield outs(%Y : tensor<8xf32>)
  }
  return %y, %z : tensor<?x?x1xf32>, tensor<?x?x1xf32>
}

// -----

// No gradient goes through a value that no argument enters, and what is returned
// as it came has the gradient of the result.

// CHECK-LABEL: func.func @constants_bwd(
// CHECK-SAME: %[[dy:[a-zA-Z0-9_]+]]: tensor<?x?x1xf32> {delta.name = "d_y"}
// CHECK-NOT: delta.chunk_
// CHECK: return %[[dy]]
func.func @constants(%x: tensor<?x?x1xf32> {delta.name = "x"}) -> (tensor<?x?x1xf32> {delta.name = "y"}, tensor<?x?x1xf32> {delta.name = "z"}, tensor<4xf32> {delta.name = "c"}) {
  %c = arith.constant dense<1.0> : tensor<4xf32>
  %z = delta.chunk_map chunk = 4 heads = 1 compute = f32 ins(%X = %x[seq, time, head] : tensor<?x?x1xf32>) outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %Z = arith.constant dense<1.0> : tensor<4xf32>
    delta.yield outs(%Z : tensor<4xf32>)
  }
  return %x, %z, %c : tensor<?x?x1xf32>, tensor<?x?x1xf32>, tensor<4xf32>
}

// -----

// Two equal operands of a maximum share the gradient. What is at a bound, or below it, has none.

// CHECK-LABEL: func.func @maximum_bwd(
// CHECK: ins(%[[dY:[a-zA-Z0-9_]+]] = %arg2{{.*}}, %[[X:[a-zA-Z0-9_]+]] = %arg0{{.*}}, %[[Z:[a-zA-Z0-9_]+]] = %arg1
// CHECK: %[[first:.*]] = arith.cmpf ogt, %[[X]], %[[Z]]
// CHECK: %[[equal:.*]] = arith.cmpf oeq, %[[X]], %[[Z]]
// CHECK: %[[half:.*]] = arith.mulf %[[dY]], %{{.*}}
// CHECK: %[[toX:.*]] = arith.select %[[first]], %[[dY]], %[[zero:.*]] :
// CHECK: %[[dX:.*]] = arith.select %[[equal]], %[[half]], %[[toX]]
// CHECK: %[[toZ:.*]] = arith.select %[[first]], %[[zero]], %[[dY]]
// CHECK: %[[dZ:.*]] = arith.select %[[equal]], %[[half]], %[[toZ]]
// CHECK: delta.yield outs(%[[dX]], %[[dZ]] :
func.func @maximum(%x: tensor<?x?x1xf32> {delta.name = "x"}, %z: tensor<?x?x1xf32> {delta.name = "z"}) -> (tensor<?x?x1xf32> {delta.name = "y"}) {
  %y = delta.chunk_map chunk = 4 heads = 1 compute = f32 ins(%X = %x[seq, time, head] : tensor<?x?x1xf32>, %Z = %z[seq, time, head] : tensor<?x?x1xf32>)
      outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %Y = arith.maximumf %X, %Z : tensor<4xf32>
    delta.yield outs(%Y : tensor<4xf32>)
  }
  return %y : tensor<?x?x1xf32>
}

// -----

// CHECK-LABEL: func.func @bound_bwd(
// CHECK: ins(%[[dY:[a-zA-Z0-9_]+]] = %arg1{{.*}}, %[[X:[a-zA-Z0-9_]+]] = %arg0
// CHECK: %[[LEAST:.*]] = arith.constant dense<-8.000000e+01>
// CHECK: %[[Y:.*]] = arith.maximumf %[[X]], %[[LEAST]]
// CHECK: %[[above:.*]] = arith.cmpf ogt, %[[Y]], %[[LEAST]]
// CHECK: %[[dX:.*]] = arith.select %[[above]], %[[dY]], %{{.*}} :
// CHECK: delta.yield outs(%[[dX]] :
func.func @bound(%x: tensor<?x?x1xf32> {delta.name = "x"}) -> (tensor<?x?x1xf32> {delta.name = "y"}) {
  %y = delta.chunk_map chunk = 4 heads = 1 compute = f32 ins(%X = %x[seq, time, head] : tensor<?x?x1xf32>)
      outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %least = arith.constant dense<-80.0> : tensor<4xf32>
    %Y = arith.maximumf %X, %least : tensor<4xf32>
    delta.yield outs(%Y : tensor<4xf32>)
  }
  return %y : tensor<?x?x1xf32>
}

// -----

// Zeros for a state whose sequences are not its first dimension.

// CHECK-LABEL: func.func @heads_first_bwd(
// CHECK: %[[empty:.*]] = tensor.empty(%{{.*}}) : tensor<1x?x4xf32>
// CHECK: %[[zeros:.*]] = linalg.fill {{.*}} outs(%[[empty]]
// CHECK: delta.chunk_scan reverse {{.*}} carry(%{{.*}} = %[[zeros]][head, seq, _] : tensor<1x?x4xf32>)
func.func @heads_first(%x: tensor<?x?x1x4xf32> {delta.name = "x"}, %s0: tensor<1x?x4xf32> {delta.name = "s0"}) -> (tensor<?x?x1x4xf32> {delta.name = "y"}) {
  %y, %sT = delta.chunk_scan forward chunk = 4 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>)
      carry(%S = %s0[head, seq, _] : tensor<1x?x4xf32>) outs([seq, time, head, _] : tensor<?x?x1x4xf32>) valid(%n) {
    %z = arith.constant dense<0.0> : tensor<4xf32>
    %e = tensor.empty() : tensor<4x4xf32>
    %B = linalg.broadcast ins(%S : tensor<4xf32>) outs(%e : tensor<4x4xf32>) dimensions = [0]
    %sum = linalg.reduce {arith.addf} ins(%X : tensor<4x4xf32>) outs(%S : tensor<4xf32>) dimensions = [0]
    delta.yield outs(%B : tensor<4x4xf32>) carry(%sum : tensor<4xf32>)
  }
  return %y : tensor<?x?x1x4xf32>
}

// -----

// A running sum's derivative is the sum in the other direction, from the gradient of the total on. Halves of columns
// are joined where they were split, and the other way round.

// CHECK-LABEL: func.func @running_bwd(
// CHECK-SAME: %[[cu:[a-zA-Z0-9_]+]]: tensor<?xi64> {delta.name = "cu_seqlens"}, %[[do:.*]]: tensor<?x?x2x16xf32> {delta.name = "d_o"}, %[[dend:.*]]: tensor<?x2x16xf32> {delta.name = "d_end"}
// CHECK: %[[dphi:.*]] = delta.chunk_map {{.*}}%[[do]][seq, time, head, _]
// CHECK: %[[halves:.*]]:2 = delta.split_columns %{{.*}} : tensor<8x16xf32> -> tensor<8x8xf32>
// CHECK: %[[dP:.*]] = delta.join_columns %[[halves]]#1, %[[halves]]#0 : tensor<8x8xf32> -> tensor<8x16xf32>
// CHECK: delta.yield outs(%[[dP]] :
// CHECK: %[[dx:.*]], %[[dp0:.*]] = delta.running_sum %[[dphi]] init(%[[dend]] : tensor<?x2x16xf32>) cu_seqlens(%[[cu]] : tensor<?xi64>) reverse : tensor<?x?x2x16xf32> -> tensor<?x2x16xf32>
// CHECK: return %[[dx]], %[[dp0]]
func.func @running(%x: tensor<?x?x2x16xf32> {delta.name = "x"}, %p0: tensor<?x2x16xf32> {delta.name = "p0"}, %cu: tensor<?xi64> {delta.name = "cu_seqlens"})
    -> (tensor<?x?x2x16xf32> {delta.name = "o"}, tensor<?x2x16xf32> {delta.name = "end"}) {
  %phi, %end = delta.running_sum %x init(%p0 : tensor<?x2x16xf32>) cu_seqlens(%cu : tensor<?xi64>) wrapped : tensor<?x?x2x16xf32> -> tensor<?x2x16xf32>
  %o = delta.chunk_map chunk = 8 heads = 2 compute = f32 ins(%P = %phi[seq, time, head, _] : tensor<?x?x2x16xf32>)
      cu_seqlens(%cu : tensor<?xi64>) outs([seq, time, head, _] : tensor<?x?x2x16xf32>) valid(%n) {
    %a, %b = delta.split_columns %P : tensor<8x16xf32> -> tensor<8x8xf32>
    %y = delta.join_columns %b, %a : tensor<8x8xf32> -> tensor<8x16xf32>
    delta.yield outs(%y : tensor<8x16xf32>)
  }
  return %o, %end : tensor<?x?x2x16xf32>, tensor<?x2x16xf32>
}

// -----

// What two programs have of one argument's gradient is summed by a third.

// CHECK-LABEL: func.func @both_bwd(
// CHECK: %[[a:.*]] = delta.chunk_map
// CHECK: %[[b:.*]] = delta.chunk_map
// CHECK: %[[dx:.*]] = delta.chunk_map chunk = 8 heads = 2 compute = f32
// CHECK-SAME: outs([seq, time, head] : tensor<?x?x2xf32>)
// CHECK-NEXT: arith.addf
// CHECK: return %[[dx]]
func.func @both(%x: tensor<?x?x2xf32> {delta.name = "x"}) -> (tensor<?x?x2xf32> {delta.name = "o"}, tensor<?x?x2xf32> {delta.name = "p"}) {
  %o = delta.chunk_map chunk = 8 heads = 2 compute = f32 ins(%X = %x[seq, time, head] : tensor<?x?x2xf32>)
      outs([seq, time, head] : tensor<?x?x2xf32>) valid(%n) {
    %Y = arith.negf %X : tensor<8xf32>
    delta.yield outs(%Y : tensor<8xf32>)
  }
  %p = delta.chunk_map chunk = 8 heads = 2 compute = f32 ins(%X = %x[seq, time, head] : tensor<?x?x2xf32>)
      outs([seq, time, head] : tensor<?x?x2xf32>) valid(%n) {
    %Y = arith.addf %X, %X : tensor<8xf32>
    delta.yield outs(%Y : tensor<8xf32>)
  }
  return %o, %p : tensor<?x?x2xf32>, tensor<?x?x2xf32>
}

// -----

// A pair that is there already is left alone, and so is a function without a chunk
// program.

// CHECK-LABEL: func.func @done_fwd(
// CHECK-LABEL: func.func @done_bwd(
// CHECK-LABEL: func.func @other(
// CHECK-NOT: func.func
func.func @done_fwd(%x: tensor<?x?x1xf32> {delta.name = "x"}) -> (tensor<?x?x1xf32> {delta.name = "y"}) attributes {delta.backward = @done_bwd} {
  %y = delta.chunk_map chunk = 4 heads = 1 compute = f32 ins(%X = %x[seq, time, head] : tensor<?x?x1xf32>) outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    delta.yield outs(%X : tensor<4xf32>)
  }
  return %y : tensor<?x?x1xf32>
}
func.func @done_bwd(%dy: tensor<?x?x1xf32> {delta.name = "d_y"}) -> (tensor<?x?x1xf32> {delta.name = "d_x"}) {
  %dx = delta.chunk_map chunk = 4 heads = 1 compute = f32 ins(%dY = %dy[seq, time, head] : tensor<?x?x1xf32>) outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    delta.yield outs(%dY : tensor<4xf32>)
  }
  return %dx : tensor<?x?x1xf32>
}
func.func @other(%x: tensor<?xf32>) -> tensor<?xf32> {
  return %x : tensor<?xf32>
}
