// RUN: wyvern-opt %s -delta-halve-decay -split-input-file | FileCheck %s
// RUN: wyvern-opt %s -delta-halve-decay=near=2 -split-input-file | FileCheck %s --check-prefix=NEAR
// RUN: wyvern-opt %s -delta-halve-decay=operand-type=bf16 -split-input-file | FileCheck %s --check-prefix=GATES
// RUN: wyvern-opt %s -delta-halve-decay='operand-type=bf16 most-sums=2' -split-input-file --remarks-filter=delta-halve-decay -o /dev/null 2>&1 | FileCheck %s --check-prefix=LEFT
// RUN: wyvern-opt %s -delta-halve-decay='operand-type=bf16 far=2' -split-input-file | FileCheck %s --check-prefix=FAR
// RUN: not wyvern-opt %s -delta-halve-decay=near=3 -split-input-file 2>&1 | FileCheck %s --check-prefix=POWER
// RUN: not wyvern-opt %s -delta-halve-decay=operand-type=f8 -split-input-file 2>&1 | FileCheck %s --check-prefix=TYPE

// POWER: error: expected near to be a power of two, found 3
// TYPE: error: expected operand-type bf16, f16 or nothing, found 'f8': matmul operands have 16 bits

// Four tokens: pairs of one token, then halves of 1 and 2. Both products take the
// same keys; before_row has no pairs of one token. What reads the first product comes
// behind the second.

// CHECK-LABEL: func.func @dots(
// CHECK: ins(%[[Q:.*]] = %arg0[{{.*}}, %[[K:.*]] = %arg1[{{.*}}, %[[G:.*]] = %arg2[
// CHECK-NOT: delta.decay_dot
// CHECK: %[[QK:.*]] = linalg.contract {{.*}} ins(%[[Q]], %[[K]] :
// CHECK: %[[P0:.*]] = delta.decay_mask{{ +}}upto_token %[[QK]] near 1
// CHECK: %[[Y1:.*]] = delta.sum_to_middle %[[G]] half 1
// CHECK: %[[F1:.*]] = math.exp %[[Y1]]
// CHECK: %[[K1:.*]] = arith.mulf %[[K]], %[[F1]]
// CHECK: %[[Q1:.*]] = arith.mulf %[[Q]], %[[F1]]
// CHECK: %[[KK1:.*]] = linalg.contract {{.*}} ins(%[[K1]], %[[K1]] :
// CHECK: %[[L1:.*]] = delta.decay_mask{{ +}}before_row %[[KK1]] half 1
// CHECK: %[[QK1:.*]] = linalg.contract {{.*}} ins(%[[Q1]], %[[K1]] :
// CHECK: %[[M1:.*]] = delta.decay_mask{{ +}}upto_token %[[QK1]] half 1
// CHECK: %[[P1:.*]] = arith.addf %[[P0]], %[[M1]]
// CHECK: %[[Y2:.*]] = delta.sum_to_middle %[[G]] half 2
// CHECK: %[[F2:.*]] = math.exp %[[Y2]]
// CHECK: %[[K2:.*]] = arith.mulf %[[K]], %[[F2]]
// CHECK: %[[Q2:.*]] = arith.mulf %[[Q]], %[[F2]]
// CHECK: %[[KK2:.*]] = linalg.contract {{.*}} ins(%[[K2]], %[[K2]] :
// CHECK: %[[L2:.*]] = delta.decay_mask{{ +}}before_row %[[KK2]] half 2
// CHECK: %[[L:.*]] = arith.addf %[[L1]], %[[L2]]
// CHECK: %[[QK2:.*]] = linalg.contract {{.*}} ins(%[[Q2]], %[[K2]] :
// CHECK: %[[M2:.*]] = delta.decay_mask{{ +}}upto_token %[[QK2]] half 2
// CHECK: %[[P:.*]] = arith.addf %[[P1]], %[[M2]]
// CHECK-NOT: sum_to_middle
// CHECK: %[[N:.*]] = arith.negf %[[L]]
// CHECK: delta.yield outs(%[[N]], %[[P]] :

// Blocks of two tokens: one product of each, whose right operand is divided by what the
// left one is multiplied by. Pairs of one token come first, and have no factor.

// NEAR-LABEL: func.func @dots(
// NEAR: ins(%[[Q:.*]] = %arg0[{{.*}}, %[[K:.*]] = %arg1[{{.*}}, %[[G:.*]] = %arg2[
// NEAR: %[[QK:.*]] = linalg.contract {{.*}} ins(%[[Q]], %[[K]] :
// NEAR: %[[P0:.*]] = delta.decay_mask{{ +}}upto_token %[[QK]] near 1
// NEAR: %[[Y:.*]] = delta.sum_to_middle %[[G]] half 1 signed
// NEAR: %[[F:.*]] = math.exp %[[Y]]
// NEAR: %[[KF:.*]] = arith.mulf %[[K]], %[[F]]
// NEAR: %[[KR:.*]] = arith.divf %[[K]], %[[F]]
// NEAR: %[[KK:.*]] = linalg.contract {{.*}} ins(%[[KF]], %[[KR]] :
// NEAR: %[[L1:.*]] = delta.decay_mask{{ +}}before_token %[[KK]] near 2
// NEAR: %[[QF:.*]] = arith.mulf %[[Q]], %[[F]]
// NEAR: %[[QK2:.*]] = linalg.contract {{.*}} ins(%[[QF]], %[[KR]] :
// NEAR: %[[P1:.*]] = delta.decay_mask{{ +}}before_token %[[QK2]] near 2
// NEAR: arith.addf %[[P0]], %[[P1]]
// NEAR: delta.sum_to_middle %[[G]] half 2 :
// NEAR-NOT: sum_to_middle
func.func @dots(%q: tensor<?x?x1x8xf32>, %k: tensor<?x?x1x8xf32>, %g: tensor<?x?x1x8xf32>) -> (tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>) {
  %l, %p = delta.chunk_map chunk = 4 heads = 1 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x8xf32>, %K = %k[seq, time, head, _] : tensor<?x?x1x8xf32>, %G = %g[seq, time, head, _] : tensor<?x?x1x8xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x4xf32>, [seq, time, head, _] : tensor<?x?x1x4xf32>) valid(%n) {
    %L = delta.decay_dot before_row %K, %K decay(%G : tensor<4x8xf32>) : tensor<4x8xf32>, tensor<4x8xf32> -> tensor<4x4xf32>
    %N = arith.negf %L : tensor<4x4xf32>
    %P = delta.decay_dot upto_token %Q, %K decay(%G : tensor<4x8xf32>) : tensor<4x8xf32>, tensor<4x8xf32> -> tensor<4x4xf32>
    delta.yield outs(%N, %P : tensor<4x4xf32>, tensor<4x4xf32>)
  }
  return %l, %p : tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>
}

// -----

// The adjoint in b, with two rows a token on that side: what is multiplied takes the
// factor of a token's own row before its decay, the result that of both rows.

// CHECK-LABEL: func.func @apply(
// CHECK: ins(%[[M:.*]] = %arg0[{{.*}}, %[[X:.*]] = %arg1[{{.*}}, %[[G:.*]] = %arg2[
// CHECK-NOT: delta.decay_apply
// CHECK: %[[M1:.*]] = delta.decay_mask{{ +}}before_token %[[M]] rows [1, 2] half 1
// CHECK: %[[A:.*]] = delta.sum_to_middle %[[G]] half 1 before_decay
// CHECK: %[[FA:.*]] = math.exp %[[A]]
// CHECK: %[[X1:.*]] = arith.mulf %[[X]], %[[FA]]
// CHECK: %[[R1:.*]] = linalg.contract {{.*}} ins(%[[M1]], %[[X1]] : tensor<2x4xf32>, tensor<2x8xf32>)
// CHECK: %[[B:.*]] = delta.sum_to_middle %[[G]] half 1 :
// CHECK: %[[FB:.*]] = math.exp %[[B]]
// CHECK: %[[FR:.*]] = delta.repeat_rows %[[FB]] by 2
// CHECK: %[[R:.*]] = arith.mulf %[[R1]], %[[FR]]
// CHECK: delta.yield outs(%[[R]] :

// NEAR-LABEL: func.func @apply(
// NEAR: ins(%[[M:.*]] = %arg0[{{.*}}, %[[X:.*]] = %arg1[{{.*}}, %[[G:.*]] = %arg2[
// NEAR: %[[M1:.*]] = delta.decay_mask{{ +}}before_token %[[M]] rows [1, 2] near 2
// NEAR: %[[A:.*]] = delta.sum_to_middle %[[G]] half 1 signed before_decay
// NEAR: %[[FA:.*]] = math.exp %[[A]]
// NEAR: %[[X1:.*]] = arith.mulf %[[X]], %[[FA]]
// NEAR: %[[R1:.*]] = linalg.contract {{.*}} ins(%[[M1]], %[[X1]] :
// NEAR: %[[B:.*]] = delta.sum_to_middle %[[G]] half 1 signed :
// NEAR: %[[FB:.*]] = math.exp %[[B]]
// NEAR: %[[FR:.*]] = delta.repeat_rows %[[FB]] by 2
// NEAR: arith.divf %[[R1]], %[[FR]]
func.func @apply(%m: tensor<?x?x1x4xf32>, %x: tensor<?x?x1x8xf32>, %g: tensor<?x?x1x8xf32>) -> tensor<?x?x1x8xf32> {
  %r = delta.chunk_map chunk = 2 heads = 1 compute = f32
      ins(%M = %m[seq, time, head, _] : tensor<?x?x1x4xf32>, %X = %x[seq, time, head, _] : tensor<?x?x1x8xf32>, %G = %g[seq, time, head, _] : tensor<?x?x1x8xf32>)
      outs([seq, time * 2, head, _] : tensor<?x?x1x8xf32>) valid(%n) {
    %R = delta.decay_apply before_token transpose %M, %X decay(%G : tensor<2x8xf32>) before_decay rows [1, 2] : tensor<2x4xf32>, tensor<2x8xf32> -> tensor<4x8xf32>
    delta.yield outs(%R : tensor<4x8xf32>)
  }
  return %r : tensor<?x?x1x8xf32>
}

// -----

// A product that reads another is made after it; one gate a head stays as it is.

// CHECK-LABEL: func.func @follows(
// CHECK: delta.sum_to_middle %{{.*}} half 1 :
// CHECK: %[[M:.*]] = arith.addf
// CHECK: delta.decay_mask{{ +}}upto_token %[[M]] near 1
// CHECK: delta.decay_dot upto_token %{{.*}}, %{{.*}} decay(%{{.*}} : tensor<2xf32>)
func.func @follows(%x: tensor<?x?x1x8xf32>, %g: tensor<?x?x1x8xf32>, %h: tensor<?x?x1xf32>) -> (tensor<?x?x1x8xf32>, tensor<?x?x1x2xf32>) {
  %r, %p = delta.chunk_map chunk = 2 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x8xf32>, %G = %g[seq, time, head, _] : tensor<?x?x1x8xf32>, %H = %h[seq, time, head] : tensor<?x?x1xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x8xf32>, [seq, time, head, _] : tensor<?x?x1x2xf32>) valid(%n) {
    %M = delta.decay_dot upto_token %X, %X decay(%G : tensor<2x8xf32>) : tensor<2x8xf32>, tensor<2x8xf32> -> tensor<2x2xf32>
    %R = delta.decay_apply upto_token %M, %X decay(%G : tensor<2x8xf32>) : tensor<2x2xf32>, tensor<2x8xf32> -> tensor<2x8xf32>
    %P = delta.decay_dot upto_token %X, %X decay(%H : tensor<2xf32>) : tensor<2x8xf32>, tensor<2x8xf32> -> tensor<2x2xf32>
    delta.yield outs(%R, %P : tensor<2x8xf32>, tensor<2x2xf32>)
  }
  return %r, %p : tensor<?x?x1x8xf32>, tensor<?x?x1x2xf32>
}

// -----

// Two terms of one sum have the factor of their rows once: the second one's products are
// added to the first one's. Pairs of one token, which only the first has, have none. A
// third term is subtracted, and stays apart.

// CHECK-LABEL: func.func @joined(
// CHECK: ins(%[[M:.*]] = %arg0[{{.*}}, %[[L:.*]] = %arg0[{{.*}}, %[[X:.*]] = %arg1[{{.*}}, %[[Y:.*]] = %arg1[{{.*}}, %[[G:.*]] = %arg2[
// CHECK: %[[M0:.*]] = delta.decay_mask{{ +}}upto_token %[[M]] near 1
// CHECK: %[[T0:.*]] = linalg.contract {{.*}} ins(%[[M0]], %[[X]] :
// CHECK: %[[F:.*]] = math.exp
// CHECK: %[[A:.*]] = linalg.contract {{.*}} outs(%[[ZERO:.*]] :
// CHECK: %[[B:.*]] = linalg.contract {{.*}} outs(%[[A]] :
// CHECK: %[[S:.*]] = arith.mulf %[[B]], %[[F]]
// CHECK: %[[T1:.*]] = arith.addf %[[T0]], %[[S]]
// CHECK: %[[C:.*]] = linalg.contract {{.*}} outs(%[[ZERO]] :
// CHECK: %[[CF:.*]] = arith.mulf %[[C]], %[[F]]
// CHECK-NOT: linalg.contract
// CHECK: %[[R:.*]] = arith.subf %[[T1]], %[[CF]]
// CHECK: delta.yield outs(%[[R]] :
func.func @joined(%m: tensor<?x?x1x2xf32>, %x: tensor<?x?x1x8xf32>, %g: tensor<?x?x1x8xf32>) -> tensor<?x?x1x8xf32> {
  %o = delta.chunk_map chunk = 2 heads = 1 compute = f32
      ins(%M = %m[seq, time, head, _] : tensor<?x?x1x2xf32>, %L = %m[seq, time, head, _] : tensor<?x?x1x2xf32>, %X = %x[seq, time, head, _] : tensor<?x?x1x8xf32>, %Y = %x[seq, time, head, _] : tensor<?x?x1x8xf32>, %G = %g[seq, time, head, _] : tensor<?x?x1x8xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x8xf32>) valid(%n) {
    %a = delta.decay_apply upto_token transpose %M, %X decay(%G : tensor<2x8xf32>) : tensor<2x2xf32>, tensor<2x8xf32> -> tensor<2x8xf32>
    %b = delta.decay_apply before_row transpose %L, %Y decay(%G : tensor<2x8xf32>) : tensor<2x2xf32>, tensor<2x8xf32> -> tensor<2x8xf32>
    %c = delta.decay_apply before_row transpose %M, %Y decay(%G : tensor<2x8xf32>) : tensor<2x2xf32>, tensor<2x8xf32> -> tensor<2x8xf32>
    %ab = arith.addf %a, %b : tensor<2x8xf32>
    %abc = arith.subf %ab, %c : tensor<2x8xf32>
    delta.yield outs(%abc : tensor<2x8xf32>)
  }
  return %o : tensor<?x?x1x8xf32>
}

// -----

// The gradient of a gate, q * dq - k * dk and what a state adds, which comes first:
// products are multiplied by the other side's rounded operand, and pairs of one token
// leave nothing.

// GATES-LABEL: func.func @gate(
// GATES: ins(%[[M:.*]] = %arg0[{{.*}}, %[[Q:.*]] = %arg1[{{.*}}, %[[K:.*]] = %arg2[{{.*}}, %[[S:.*]] = %arg3[{{.*}}, %[[G:.*]] = %arg4[
// GATES-DAG: %[[KS:.*]] = arith.mulf %[[K]], %[[S]]
// GATES-DAG: %[[M0:.*]] = delta.decay_mask{{ +}}upto_token %[[M]] near 1
// GATES: %[[A0:.*]] = linalg.contract {{.*}} ins(%[[M0]], %[[K]] :
// GATES: %[[B0:.*]] = linalg.contract {{.*}} ins(%[[M0]], %[[Q]] :
// GATES: %[[M1:.*]] = delta.decay_mask{{ +}}upto_token %[[M]] half 1
// GATES: %[[F:.*]] = math.exp
// GATES: %[[K1:.*]] = arith.mulf %[[K]], %[[F]]
// GATES: %[[Q1:.*]] = arith.mulf %[[Q]], %[[F]]
// GATES: %[[A1:.*]] = linalg.contract {{.*}} ins(%[[M1]], %[[K1]] :
// GATES: arith.mulf %[[A1]], %[[F]]
// GATES: %[[QT:.*]] = arith.truncf %[[Q1]] : tensor<2x8xf32> to tensor<2x8xbf16>
// GATES: %[[QR:.*]] = arith.extf %[[QT]]
// GATES: %[[QA1:.*]] = arith.mulf %[[QR]], %[[A1]]
// GATES: %[[D1:.*]] = arith.addf %[[KS]], %[[QA1]]
// GATES: %[[B1:.*]] = linalg.contract {{.*}} ins(%[[M1]], %[[Q1]] :
// GATES: arith.mulf %[[B1]], %[[F]]
// GATES: %[[KT:.*]] = arith.truncf %[[K1]]
// GATES: %[[KR:.*]] = arith.extf %[[KT]]
// GATES: %[[KB1:.*]] = arith.mulf %[[KR]], %[[B1]]
// GATES: %[[D:.*]] = arith.subf %[[D1]], %[[KB1]]
// GATES: delta.cumsum reverse %[[D]]

// LEFT: remark: [Missed] {{.*}}Category:delta-halve-decay{{.*}}Reason="the gradient of a gate is made beside more sums than registers hold: pairs of later tokens leave what rounding makes of them"

// CHECK-LABEL: func.func @gate(
// CHECK-NOT: arith.truncf
// CHECK: return
func.func @gate(%m: tensor<?x?x1x2xf32>, %q: tensor<?x?x1x8xf32>, %k: tensor<?x?x1x8xf32>, %s: tensor<?x?x1x8xf32>, %g: tensor<?x?x1x8xf32>) -> (tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>) {
  %dq, %dk, %dg = delta.chunk_map chunk = 2 heads = 1 compute = f32
      ins(%M = %m[seq, time, head, _] : tensor<?x?x1x2xf32>, %Q = %q[seq, time, head, _] : tensor<?x?x1x8xf32>, %K = %k[seq, time, head, _] : tensor<?x?x1x8xf32>, %S = %s[seq, time, head, _] : tensor<?x?x1x8xf32>, %G = %g[seq, time, head, _] : tensor<?x?x1x8xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x8xf32>, [seq, time, head, _] : tensor<?x?x1x8xf32>, [seq, time, head, _] : tensor<?x?x1x8xf32>) valid(%n) {
    %a = delta.decay_apply upto_token %M, %K decay(%G : tensor<2x8xf32>) : tensor<2x2xf32>, tensor<2x8xf32> -> tensor<2x8xf32>
    %b = delta.decay_apply upto_token transpose %M, %Q decay(%G : tensor<2x8xf32>) : tensor<2x2xf32>, tensor<2x8xf32> -> tensor<2x8xf32>
    %qa = arith.mulf %Q, %a : tensor<2x8xf32>
    %rest = arith.subf %S, %b : tensor<2x8xf32>
    %kb = arith.mulf %K, %rest : tensor<2x8xf32>
    %sum = arith.addf %qa, %kb : tensor<2x8xf32>
    %d = delta.cumsum reverse %sum : tensor<2x8xf32>
    delta.yield outs(%a, %b, %d : tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8xf32>)
  }
  return %dq, %dk, %dg : tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>
}

// -----

// What a sum is added to comes first where it is an in that is read twice, beside three
// products; read once, it is added at the end.

// CHECK-LABEL: func.func @begins(
// CHECK: ins(%[[M:.*]] = %arg0[{{.*}}, %[[X:.*]] = %arg1[{{.*}}, %[[S:.*]] = %arg2[{{.*}}, %[[T:.*]] = %arg3[{{.*}}, %[[G:.*]] = %arg4[
// CHECK: %[[M0:.*]] = delta.decay_mask{{ +}}upto_token %[[M]] near 1
// CHECK: %[[A0:.*]] = linalg.contract {{.*}} ins(%[[M0]], %[[X]] :
// CHECK: %[[A:.*]] = arith.addf %[[S]], %[[A0]]
// CHECK: %[[A1:.*]] = arith.addf %[[A]],
// CHECK: %[[B:.*]] = arith.addf %[[T]], %
// CHECK-NEXT: delta.yield outs(%[[A1]], %[[B]],
func.func @begins(%m: tensor<?x?x1x2xf32>, %x: tensor<?x?x1x8xf32>, %s: tensor<?x?x1x8xf32>, %t: tensor<?x?x1x8xf32>, %g: tensor<?x?x1x8xf32>) -> (tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>) {
  %o:3 = delta.chunk_map chunk = 2 heads = 1 compute = f32
      ins(%M = %m[seq, time, head, _] : tensor<?x?x1x2xf32>, %X = %x[seq, time, head, _] : tensor<?x?x1x8xf32>, %S = %s[seq, time, head, _] : tensor<?x?x1x8xf32>, %T = %t[seq, time, head, _] : tensor<?x?x1x8xf32>, %G = %g[seq, time, head, _] : tensor<?x?x1x8xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x8xf32>, [seq, time, head, _] : tensor<?x?x1x8xf32>, [seq, time, head, _] : tensor<?x?x1x8xf32>) valid(%n) {
    %a = delta.decay_apply upto_token %M, %X decay(%G : tensor<2x8xf32>) : tensor<2x2xf32>, tensor<2x8xf32> -> tensor<2x8xf32>
    %b = delta.decay_apply before_row %M, %X decay(%G : tensor<2x8xf32>) : tensor<2x2xf32>, tensor<2x8xf32> -> tensor<2x8xf32>
    %c = delta.decay_apply upto_token transpose %M, %X decay(%G : tensor<2x8xf32>) : tensor<2x2xf32>, tensor<2x8xf32> -> tensor<2x8xf32>
    %sa = arith.addf %S, %a : tensor<2x8xf32>
    %tb = arith.addf %T, %b : tensor<2x8xf32>
    %xs = arith.mulf %X, %S : tensor<2x8xf32>
    %cs = arith.addf %c, %xs : tensor<2x8xf32>
    delta.yield outs(%sa, %tb, %cs : tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8xf32>)
  }
  return %o#0, %o#1, %o#2 : tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>
}

// -----

// Four matrices: halves of two tokens are far, and come first. What they add to dq, and to what keys get as those behind a
// gate, beginning with %S, and before one, is multiplied by q and k once. The others follow,
// each times the other side's operand.

// FAR-LABEL: func.func @far(
// FAR: ins(%[[M:.*]] = %arg0[{{.*}}, %[[Q:.*]] = %arg1[{{.*}}, %[[K:.*]] = %arg2[{{.*}}, %[[S:.*]] = %arg3[{{.*}}, %[[G:.*]] = %arg4[
// FAR: %[[E:.*]] = math.absf %[[S]]
// FAR-NOT: near
// FAR: delta.sum_to_middle %[[G]] half 2
// FAR: %[[F:.*]] = math.exp
// FAR: %[[A:.*]] = linalg.contract
// FAR: %[[AF:.*]] = arith.mulf %[[A]], %[[F]]
// FAR: %[[B:.*]] = linalg.contract
// FAR: %[[BF:.*]] = arith.mulf %[[B]], %[[F]]
// FAR: %[[C:.*]] = linalg.contract
// FAR: %[[CF:.*]] = arith.mulf %[[C]], %[[F]]
// FAR: %[[ALL:.*]] = arith.addf %[[E]], %[[CF]]
// FAR: %[[DK:.*]] = arith.addf %[[BF]], %[[ALL]]
// FAR: %[[D:.*]] = arith.subf %[[ALL]], %[[BF]]
// FAR: %[[KD:.*]] = arith.mulf %[[K]], %[[D]]
// FAR: %[[QA:.*]] = arith.mulf %[[Q]], %[[AF]]
// FAR: %[[FAR:.*]] = arith.addf %[[KD]], %[[QA]]
// FAR: delta.decay_mask{{ +}}upto_token %[[M]] near 1
// FAR: arith.addf %[[AF]], %
// FAR: arith.addf %[[DK]], %
// FAR: delta.sum_to_middle %[[G]] half 1
// FAR: arith.addf %[[FAR]], %
// FAR: %[[TAKEN:.*]] = arith.subf
// FAR: %[[SUM:.*]] = arith.addf %[[TAKEN]], %
// FAR: delta.cumsum reverse %[[SUM]]
func.func @far(%m: tensor<?x?x1x4xf32>, %q: tensor<?x?x1x8xf32>, %k: tensor<?x?x1x8xf32>, %s: tensor<?x?x1x8xf32>, %g: tensor<?x?x1x8xf32>) -> (tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>) {
  %dq, %dk, %dg, %de = delta.chunk_map chunk = 4 heads = 1 compute = f32
      ins(%M = %m[seq, time, head, _] : tensor<?x?x1x4xf32>, %Q = %q[seq, time, head, _] : tensor<?x?x1x8xf32>, %K = %k[seq, time, head, _] : tensor<?x?x1x8xf32>, %S = %s[seq, time, head, _] : tensor<?x?x1x8xf32>, %G = %g[seq, time, head, _] : tensor<?x?x1x8xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x8xf32>, [seq, time, head, _] : tensor<?x?x1x8xf32>, [seq, time, head, _] : tensor<?x?x1x8xf32>, [seq, time, head, _] : tensor<?x?x1x8xf32>) valid(%n) {
    %E = math.absf %S : tensor<4x8xf32>
    %a = delta.decay_apply upto_token %M, %K decay(%G : tensor<4x8xf32>) : tensor<4x4xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
    %b = delta.decay_apply upto_token transpose %M, %Q decay(%G : tensor<4x8xf32>) : tensor<4x4xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
    %c = delta.decay_apply before_row %M, %K decay(%G : tensor<4x8xf32>) : tensor<4x4xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
    %behind = arith.addf %E, %c : tensor<4x8xf32>
    %all = arith.addf %behind, %b : tensor<4x8xf32>
    %qa = arith.mulf %Q, %a : tensor<4x8xf32>
    %difference = arith.subf %behind, %b : tensor<4x8xf32>
    %kd = arith.mulf %K, %difference : tensor<4x8xf32>
    %sum = arith.addf %qa, %kd : tensor<4x8xf32>
    %d = delta.cumsum reverse %sum : tensor<4x8xf32>
    delta.yield outs(%a, %all, %d, %E : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>)
  }
  return %dq, %dk, %dg, %de : tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>
}

// -----

// What a weight is made of has no other use, and stays until products are multiplied by it.

// FAR-LABEL: func.func @made_weight(
// FAR: ins(%[[M:.*]] = %arg0[{{.*}}, %[[Q:.*]] = %arg1[{{.*}}, %[[K:.*]] = %arg2[
// FAR: %[[W:.*]] = math.absf %[[Q]]
// FAR: arith.mulf %[[W]], %
// FAR: delta.cumsum reverse
func.func @made_weight(%m: tensor<?x?x1x4xf32>, %q: tensor<?x?x1x8xf32>, %k: tensor<?x?x1x8xf32>, %g: tensor<?x?x1x8xf32>) -> (tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>) {
  %dq, %dk, %dg = delta.chunk_map chunk = 4 heads = 1 compute = f32
      ins(%M = %m[seq, time, head, _] : tensor<?x?x1x4xf32>, %Q = %q[seq, time, head, _] : tensor<?x?x1x8xf32>, %K = %k[seq, time, head, _] : tensor<?x?x1x8xf32>, %G = %g[seq, time, head, _] : tensor<?x?x1x8xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x8xf32>, [seq, time, head, _] : tensor<?x?x1x8xf32>, [seq, time, head, _] : tensor<?x?x1x8xf32>) valid(%n) {
    %a = delta.decay_apply upto_token %M, %K decay(%G : tensor<4x8xf32>) : tensor<4x4xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
    %b = delta.decay_apply upto_token transpose %M, %Q decay(%G : tensor<4x8xf32>) : tensor<4x4xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
    %W = math.absf %Q : tensor<4x8xf32>
    %qa = arith.mulf %W, %a : tensor<4x8xf32>
    %kb = arith.mulf %K, %b : tensor<4x8xf32>
    %sum = arith.subf %qa, %kb : tensor<4x8xf32>
    %d = delta.cumsum reverse %sum : tensor<4x8xf32>
    delta.yield outs(%a, %b, %d : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>)
  }
  return %dq, %dk, %dg : tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>
}
