// RUN: wyvern-opt %s -delta-segment=tokens=100 -delta-simplify -split-input-file | FileCheck %s
// RUN: wyvern-opt %s -delta-segment=tokens=100 -split-input-file --remarks-filter=delta-segment -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: not wyvern-opt %s -delta-segment=tokens=0 -split-input-file -o /dev/null 2>&1 | FileCheck %s --check-prefix=TOKENS

// RUN: wyvern-opt %s -delta-segment="tokens=100 at-launch=true" -split-input-file | FileCheck %s --check-prefix=LAUNCH
// LAUNCH: func.func @delta_net
// LAUNCH-SAME: attributes {delta.in_parts = #delta<direction forward>, delta.segment_tokens = 128 : i64}
// LAUNCH: func.func @reverse
// LAUNCH-SAME: attributes {delta.in_parts = #delta<direction reverse>, delta.segment_tokens = 128 : i64}
// LAUNCH: func.func @kept_states
// LAUNCH-SAME: attributes {delta.in_parts = #delta<direction forward>, delta.segment_tokens = 128 : i64}
// What two chunks have one of may be of two parts, no argument says where a fixed state begins,
// and positions are those of the whole sequence.
// LAUNCH: func.func @kept_every_second
// LAUNCH-SAME: attributes {delta.segment_tokens = 128 : i64}
// LAUNCH: func.func @of_no_argument
// LAUNCH-SAME: attributes {delta.segment_tokens = 128 : i64}
// LAUNCH: func.func @positions
// LAUNCH-SAME: attributes {delta.segment_tokens = 128 : i64}

// TOKENS: error: expected tokens of at least 1, found 0: a segment is as many tokens of a sequence

#mk = affine_map<(m, n, k) -> (m, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// 100 tokens are two chunks of 64. The state is 32 x 16, so the transition has
// 32 lanes where the state has 16. Neither reads queries, and the transition no
// values: they are added, and what they are added to stays.

// CHECK-LABEL: func.func @delta_net
// CHECK-SAME: %[[q:.*]]: tensor<?x?x1x32xbf16>, %[[k:.*]]: tensor<?x?x1x32xbf16>, %[[v:.*]]: tensor<?x?x2x16xbf16>, %[[c:.*]]: tensor<?x?x2xf32>, %[[s0:.*]]: tensor<?x2x32x16xf32>, %[[cu:.*]]: tensor<?xi64>)
// CHECK: %[[starts:.*]]:2 = delta.chunk_map chunk = 128 heads = 2 compute = f32 ins(%{{.*}} = %[[c]][seq, time, head] : tensor<?x?x2xf32>) cu_seqlens(%[[cu]] : tensor<?xi64>)
// CHECK-SAME: outs([chunk, head, _, _] : tensor<?x2x32x16xf32>, [chunk, head, _, _] : tensor<?x2x32x32xf32>)
// CHECK: %[[zero:.*]] = arith.constant dense<0.000000e+00> : tensor<32x16xf32>
// CHECK: %[[I:.*]] = delta.identity : tensor<32x32xf32>
// CHECK: delta.yield outs(%[[zero]], %[[I]] :
// CHECK: %[[ends:.*]], %{{.*}} = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32
// CHECK-SAME: ins(%[[K:.*]] = %[[k]][seq, time, head, _] : tensor<?x?x1x32xbf16>, %[[V:.*]] = %[[v]][{{.*}}, %[[C:.*]] = %[[c]][
// CHECK-SAME: carry(%[[S:[a-zA-Z0-9_]+]] = %[[starts]]#0[chunk * 2, head, _, _] : tensor<?x2x32x16xf32>) cu_seqlens(%[[cu]] :
// CHECK-SAME: outs([chunk * 2 + 1, head, _, _] : tensor<?x2x32x16xf32>)
// CHECK: %[[KS:.*]] = linalg.contract {{.*}} ins(%[[K]], %[[S]] :
// CHECK: %[[W:.*]] = arith.subf %[[V]], %[[KS]]
// CHECK: delta.yield outs(%[[S1:.*]] : tensor<32x16xf32>) carry(%[[S1]] : tensor<32x16xf32>)
// CHECK: %[[transitions:.*]], %{{.*}} = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32
// CHECK-SAME: ins(%[[K:.*]] = %[[k]][seq, time, head, _] : tensor<?x?x1x32xbf16>, %[[C:.*]] = %[[c]][seq, time, head] : tensor<?x?x2xf32>)
// CHECK-SAME: carry(%[[S:.*]] = %[[starts]]#1[chunk * 2, head, _, _] : tensor<?x2x32x32xf32>) cu_seqlens(%[[cu]] :
// CHECK-SAME: outs([chunk * 2 + 1, head, _, _] : tensor<?x2x32x32xf32>)
// CHECK: %[[KS:.*]] = linalg.contract {{.*}} ins(%[[K]], %[[S]] : tensor<64x32xf32>, tensor<32x32xf32>)
// CHECK: %[[W:.*]] = arith.negf %[[KS]] : tensor<64x32xf32>
// CHECK: %[[R:.*]], %[[U:.*]] = delta.erase_solve %{{.*}}, %[[C]], %[[W]] : tensor<64x64xf32>, tensor<64xf32>, tensor<64x32xf32>
// CHECK: %[[S1:.*]] = linalg.contract {{.*}} ins(%[[K]], %[[U]] : {{.*}} outs(%[[S]] : tensor<32x32xf32>)
// CHECK: delta.yield outs(%[[S1]] : tensor<32x32xf32>) carry(%[[S1]] : tensor<32x32xf32>)
// CHECK: %[[entering:.*]], %[[sT:.*]] = delta.chunk_scan forward chunk = 128 heads = 2 compute = f32
// CHECK-SAME: %[[A:[a-zA-Z0-9_]+]] = %[[transitions]][chunk, head, _, _] : tensor<?x2x32x32xf32>, %[[B:[a-zA-Z0-9_]+]] = %[[ends]][chunk, head, _, _] : tensor<?x2x32x16xf32>)
// CHECK-SAME: carry(%[[S:.*]] = %[[s0]][seq, head, _, _] : tensor<?x2x32x16xf32>) cu_seqlens(%[[cu]] : {{.*}} outs([chunk, head, _, _] : tensor<?x2x32x16xf32>)
// CHECK: %[[S1:.*]] = linalg.contract {{.*}} ins(%[[A]], %[[S]] : {{.*}} outs(%[[B]] :
// CHECK: delta.yield outs(%[[S]] : tensor<32x16xf32>) carry(%[[S1]] : tensor<32x16xf32>)
// CHECK: %[[o:.*]], %{{.*}} = delta.chunk_scan forward chunk = 64
// CHECK-SAME: carry(%{{.*}} = %[[entering]][chunk * 2, head, _, _] : tensor<?x2x32x16xf32>) cu_seqlens(%[[cu]] : tensor<?xi64>) outs([seq, time, head, _] : tensor<?x?x2x16xbf16>)
// CHECK: return %[[o]], %[[sT]]
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
    %QS = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%Q, %S : tensor<64x32xf32>, tensor<32x16xf32>) outs(%zero : tensor<64x16xf32>) -> tensor<64x16xf32>
    %S1 = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%K, %U : tensor<64x32xf32>, tensor<64x16xf32>) outs(%S : tensor<32x16xf32>) -> tensor<32x16xf32>
    delta.yield outs(%QS : tensor<64x16xf32>) carry(%S1 : tensor<32x16xf32>)
  }
  return %o, %sT : tensor<?x?x2x16xbf16>, tensor<?x2x32x16xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// From the last chunk to the first, with the state transposed: a segment ends with
// its first chunk, the transition stands on the right, and a decay that is one
// number in a chunk is broadcast to as many lanes as the transition has.

// CHECK-LABEL: func.func @reverse
// CHECK: %[[ends:.*]], %{{.*}} = delta.chunk_scan reverse chunk = 64
// CHECK-SAME: carry(%{{.*}}[chunk * 2, head, _, _] : tensor<?x2x16x32xf32>) outs([chunk * 2, head, _, _] : tensor<?x2x16x32xf32>)
// CHECK: %[[transitions:.*]], %{{.*}} = delta.chunk_scan reverse chunk = 64
// CHECK-SAME: carry(%[[S:.*]] = %{{.*}}[chunk * 2, head, _, _] : tensor<?x2x32x32xf32>) outs([chunk * 2, head, _, _] : tensor<?x2x32x32xf32>)
// CHECK: %[[E:.*]] = linalg.broadcast ins(%{{.*}} : tensor<f32>) outs(%{{.*}} : tensor<32x32xf32>)
// CHECK: %[[ES:.*]] = arith.mulf %[[E]], %[[S]] : tensor<32x32xf32>
// CHECK: delta.yield outs(%[[ES]] : tensor<32x32xf32>) carry(%[[ES]] : tensor<32x32xf32>)
// CHECK: delta.chunk_scan reverse chunk = 128
// CHECK-SAME: %[[A:[a-zA-Z0-9_]+]] = %[[transitions]][chunk, head, _, _] : tensor<?x2x32x32xf32>, %[[B:[a-zA-Z0-9_]+]] = %[[ends]][chunk, head, _, _]
// CHECK: linalg.contract {{.*}} ins(%{{.*}}, %[[A]] : tensor<16x32xf32>, tensor<32x32xf32>) outs(%[[B]] :
func.func @reverse(%k: tensor<?x?x2x32xf32>, %v: tensor<?x?x2x16xf32>, %gate: tensor<?x?x2xf32>, %s0: tensor<?x2x16x32xf32>) -> (tensor<?x?x2x16xf32>, tensor<?x2x16x32xf32>) {
  %o, %sT = delta.chunk_scan reverse chunk = 64 heads = 2 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x2x32xf32>, %V = %v[seq, time, head, _] : tensor<?x?x2x16xf32>, %g = %gate[seq, time, head] : tensor<?x?x2xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x2x16x32xf32>) outs([seq, time, head, _] : tensor<?x?x2x16xf32>) valid(%n) {
    %z0 = arith.constant dense<0.0> : tensor<f32>
    %zero = arith.constant dense<0.0> : tensor<64x16xf32>
    %empty = tensor.empty() : tensor<16x32xf32>
    %sum = linalg.reduce {arith.addf} ins(%g : tensor<64xf32>) outs(%z0 : tensor<f32>) dimensions = [0]
    %e = math.exp %sum : tensor<f32>
    %E = linalg.broadcast ins(%e : tensor<f32>) outs(%empty : tensor<16x32xf32>) dimensions = [0, 1]
    %ES = arith.mulf %E, %S : tensor<16x32xf32>
    %O = linalg.contract indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, #mn]
        ins(%K, %S : tensor<64x32xf32>, tensor<16x32xf32>) outs(%zero : tensor<64x16xf32>) -> tensor<64x16xf32>
    %S1 = linalg.contract indexing_maps = [affine_map<(m, n, k) -> (k, m)>, #kn, #mn]
        ins(%V, %K : tensor<64x16xf32>, tensor<64x32xf32>) outs(%ES : tensor<16x32xf32>) -> tensor<16x32xf32>
    delta.yield outs(%O : tensor<64x16xf32>) carry(%S1 : tensor<16x32xf32>)
  }
  return %o, %sT : tensor<?x?x2x16xf32>, tensor<?x2x16x32xf32>
}

// -----

// What stays as it is.

// REMARK: [[@LINE+3]]:{{[0-9]+}}: remark: [Missed] math.tanh | Category:delta-segment{{.*}}Reason="it is not known to be linear in the carry"
func.func @not_linear(%x: tensor<?x?x1x8xf32>, %s0: tensor<?x1x8x8xf32>) -> tensor<?x1x8x8xf32> {
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x8xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x1x8x8xf32>) outs() valid(%n) {
    %S1 = math.tanh %S : tensor<8x8xf32>
    delta.yield carry(%S1 : tensor<8x8xf32>)
  }
  return %sT : tensor<?x1x8x8xf32>
}

// -----

// REMARK: arith.mulf | Category:delta-segment{{.*}}Reason="it multiplies what the carry enters by what it enters"
func.func @square(%x: tensor<?x?x1x8xf32>, %s0: tensor<?x1x8x8xf32>) -> tensor<?x1x8x8xf32> {
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x8xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x1x8x8xf32>) outs() valid(%n) {
    %S1 = arith.mulf %S, %S : tensor<8x8xf32>
    delta.yield carry(%S1 : tensor<8x8xf32>)
  }
  return %sT : tensor<?x1x8x8xf32>
}

// -----

// REMARK: arith.divf | Category:delta-segment{{.*}}Reason="it is not linear in the operand that the carry enters"
func.func @quotient(%x: tensor<?x?x1x8xf32>, %s0: tensor<?x1x8x8xf32>) -> tensor<?x1x8x8xf32> {
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x8xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x1x8x8xf32>) outs() valid(%n) {
    %one = arith.constant dense<1.0> : tensor<8x8xf32>
    %S1 = arith.divf %one, %S : tensor<8x8xf32>
    delta.yield carry(%S1 : tensor<8x8xf32>)
  }
  return %sT : tensor<?x1x8x8xf32>
}

// -----

// REMARK: arith.mulf | Category:delta-segment{{.*}}Reason="its factor differs from lane to lane, so the transition is not one matrix"
func.func @lanes_differ(%x: tensor<?x?x1x8xf32>, %y: tensor<?x1x8x8xf32>, %s0: tensor<?x1x8x8xf32>) -> tensor<?x1x8x8xf32> {
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x8xf32>, %Y = %y[chunk, head, _, _] : tensor<?x1x8x8xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x8x8xf32>) outs() valid(%n) {
    %S1 = arith.mulf %Y, %S : tensor<8x8xf32>
    delta.yield carry(%S1 : tensor<8x8xf32>)
  }
  return %sT : tensor<?x1x8x8xf32>
}

// -----

// REMARK: arith.constant | Category:delta-segment{{.*}}Reason="a constant with different elements may differ from lane to lane"
func.func @varying_constant(%x: tensor<?x?x1x8xf32>, %s0: tensor<?x1x2x2xf32>) -> tensor<?x1x2x2xf32> {
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x8xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x1x2x2xf32>) outs() valid(%n) {
    %c = arith.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
    %S1 = arith.mulf %c, %S : tensor<2x2xf32>
    delta.yield carry(%S1 : tensor<2x2xf32>)
  }
  return %sT : tensor<?x1x2x2xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// REMARK: delta.chunk_scan | Category:delta-segment{{.*}}Reason="its recurrence mixes every dimension of the carry, so there are no independent lanes"
func.func @no_lanes(%x: tensor<?x?x1x8xf32>, %s0: tensor<?x1x8x8xf32>) -> tensor<?x1x8x8xf32> {
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x8xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x1x8x8xf32>) outs() valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<8x8xf32>
    %T = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%X, %S : tensor<8x8xf32>, tensor<8x8xf32>) outs(%zero : tensor<8x8xf32>) -> tensor<8x8xf32>
    %S1 = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%T, %X : tensor<8x8xf32>, tensor<8x8xf32>) outs(%zero : tensor<8x8xf32>) -> tensor<8x8xf32>
    delta.yield carry(%S1 : tensor<8x8xf32>)
  }
  return %sT : tensor<?x1x8x8xf32>
}

// -----

// REMARK: delta.chunk_scan | Category:delta-segment{{.*}}Reason="it has several carries: the transition would mix them"
func.func @two_carries(%x: tensor<?x?x1x8xf32>, %s0: tensor<?x1x8x8xf32>, %s1: tensor<?x1x8xf32>) -> (tensor<?x1x8x8xf32>, tensor<?x1x8xf32>) {
  %sT:2 = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x8xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x8x8xf32>, %s = %s1[seq, head, _] : tensor<?x1x8xf32>) outs() valid(%n) {
    delta.yield carry(%S, %s : tensor<8x8xf32>, tensor<8xf32>)
  }
  return %sT#0, %sT#1 : tensor<?x1x8x8xf32>, tensor<?x1x8xf32>
}

// -----

// REMARK: delta.chunk_scan | Category:delta-segment{{.*}}Reason="its carry is not a matrix"
func.func @vector(%x: tensor<?x?x1x8xf32>, %s0: tensor<?x1x8xf32>) -> tensor<?x1x8xf32> {
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x8xf32>) carry(%s = %s0[seq, head, _] : tensor<?x1x8xf32>) outs() valid(%n) {
    delta.yield carry(%s : tensor<8xf32>)
  }
  return %sT : tensor<?x1x8xf32>
}

// -----

// REMARK: delta.chunk_scan | Category:delta-segment{{.*}}Reason="its carry starts anew every few chunks already"
func.func @runs(%x: tensor<?x?x1x8xf32>, %s0: tensor<?x1x8x8xf32>) -> tensor<?x1x8x8xf32> {
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x8xf32>) carry(%S = %s0[chunk * 4, head, _, _] : tensor<?x1x8x8xf32>) outs() valid(%n) {
    delta.yield carry(%S : tensor<8x8xf32>)
  }
  return %sT : tensor<?x1x8x8xf32>
}

// -----

// REMARK: delta.chunk_scan | Category:delta-segment{{.*}}Reason="its carry has no seq or slot dimension, which a slot a segment could replace"
func.func @no_sequences(%x: tensor<?x1x8xf32>, %s0: tensor<1x8x8xf32>) -> tensor<1x8x8xf32> {
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[time, head, _] : tensor<?x1x8xf32>) carry(%S = %s0[head, _, _] : tensor<1x8x8xf32>) outs() valid(%n) {
    delta.yield carry(%S : tensor<8x8xf32>)
  }
  return %sT : tensor<1x8x8xf32>
}

// -----

// 104 tokens are 13 chunks of 8: the least that is not less than 100.

// REMARK: delta.chunk_scan | Category:delta-segment{{.*}}Reason="its sequences have no more tokens than one segment"
func.func @short(%x: tensor<2x104x1x8xf32>, %s0: tensor<2x1x8x8xf32>) -> tensor<2x1x8x8xf32> {
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<2x104x1x8xf32>) carry(%S = %s0[seq, head, _, _] : tensor<2x1x8x8xf32>) outs() valid(%n) {
    delta.yield carry(%S : tensor<8x8xf32>)
  }
  return %sT : tensor<2x1x8x8xf32>
}

// -----

// In parts that a launch could hand on, or not (LAUNCH above).

func.func @kept_states(%x: tensor<?x?x1x8xf32>, %s0: tensor<?x1x8x8xf32>) -> (tensor<?x1x8x8xf32>, tensor<?x1x8x8xf32>) {
  %kept, %sT = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x8xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x1x8x8xf32>)
      outs([chunk, head, _, _] : tensor<?x1x8x8xf32>) valid(%n) {
    delta.yield outs(%S : tensor<8x8xf32>) carry(%S : tensor<8x8xf32>)
  }
  return %kept, %sT : tensor<?x1x8x8xf32>, tensor<?x1x8x8xf32>
}

func.func @kept_every_second(%x: tensor<?x?x1x8xf32>, %s0: tensor<?x1x8x8xf32>) -> (tensor<?x1x8x8xf32>, tensor<?x1x8x8xf32>) {
  %kept, %sT = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x8xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x1x8x8xf32>)
      outs([chunk * 2, head, _, _] : tensor<?x1x8x8xf32>) valid(%n) {
    delta.yield outs(%S : tensor<8x8xf32>) carry(%S : tensor<8x8xf32>)
  }
  return %kept, %sT : tensor<?x1x8x8xf32>, tensor<?x1x8x8xf32>
}

func.func @of_no_argument(%x: tensor<?x?x1x8xf32>, %N: index) -> tensor<?x1x8x8xf32> {
  %s0 = tensor.empty(%N) : tensor<?x1x8x8xf32>
  %sT = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x8xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x1x8x8xf32>) outs() valid(%n) {
    delta.yield carry(%S : tensor<8x8xf32>)
  }
  return %sT : tensor<?x1x8x8xf32>
}

func.func @positions(%x: tensor<?x?x1x8xf32>, %s0: tensor<?x1x8x8xf32>) -> tensor<?x1x8x8xf32> {
  %rows = delta.chunk_map chunk = 64 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x8xf32>) outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %r = delta.level_rows starts of 1 : tensor<64xf32>
    delta.yield outs(%r : tensor<64xf32>)
  }
  %sT = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x8xf32>, %r = %rows[seq, time, head] : tensor<?x?x1xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x1x8x8xf32>) outs() valid(%n) {
    %z0 = arith.constant dense<0.0> : tensor<f32>
    %empty = tensor.empty() : tensor<8x8xf32>
    %sum = linalg.reduce {arith.addf} ins(%r : tensor<64xf32>) outs(%z0 : tensor<f32>) dimensions = [0]
    %E = linalg.broadcast ins(%sum : tensor<f32>) outs(%empty : tensor<8x8xf32>) dimensions = [0, 1]
    %S1 = arith.mulf %E, %S : tensor<8x8xf32>
    delta.yield carry(%S1 : tensor<8x8xf32>)
  }
  return %sT : tensor<?x1x8x8xf32>
}

// -----

// What a factor is filled with is a number, which no lanes have: the tile alone has as many as the
// transition, 16 where the state has 8.

// CHECK-LABEL: func.func @filled_factor
// CHECK: carry(%{{.*}} : tensor<?x1x16x8xf32>)
// CHECK: carry(%[[S:.*]] = %{{.*}}#1[chunk * 2, head, _, _] : tensor<?x1x16x16xf32>)
// CHECK: %[[half:.*]] = arith.constant 5.000000e-01 : f32
// CHECK: %[[none:.*]] = tensor.empty() : tensor<f32>
// CHECK: %[[one:.*]] = linalg.fill ins(%[[half]] : f32) outs(%[[none]] : tensor<f32>) -> tensor<f32>
// CHECK: %[[spread:.*]] = linalg.broadcast ins(%[[one]] : tensor<f32>) outs(%{{.*}} : tensor<16x16xf32>) dimensions = [0, 1]
// CHECK: %[[S1:.*]] = arith.mulf %[[S]], %[[spread]] : tensor<16x16xf32>
// CHECK: %[[all:.*]] = linalg.fill ins(%[[half]] : f32) outs(%{{.*}} : tensor<16x16xf32>) -> tensor<16x16xf32>
// CHECK: arith.mulf %[[S1]], %[[all]] : tensor<16x16xf32>
func.func @filled_factor(%k: tensor<?x?x1x16xbf16>, %v: tensor<?x?x1x8xbf16>, %s0: tensor<?x1x16x8xf32>) -> tensor<?x1x16x8xf32> {
  %sT = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x1x16xbf16>, %V = %v[seq, time, head, _] : tensor<?x?x1x8xbf16>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x16x8xf32>) outs() valid(%n) {
    %half = arith.constant 0.5 : f32
    %none = tensor.empty() : tensor<f32>
    %empty = tensor.empty() : tensor<16x8xf32>
    %one = linalg.fill ins(%half : f32) outs(%none : tensor<f32>) -> tensor<f32>
    %spread = linalg.broadcast ins(%one : tensor<f32>) outs(%empty : tensor<16x8xf32>) dimensions = [0, 1]
    %all = linalg.fill ins(%half : f32) outs(%empty : tensor<16x8xf32>) -> tensor<16x8xf32>
    %S1 = arith.mulf %S, %spread : tensor<16x8xf32>
    %S2 = arith.mulf %S1, %all : tensor<16x8xf32>
    %S3 = linalg.contract indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
        ins(%K, %V : tensor<64x16xf32>, tensor<64x8xf32>) outs(%S2 : tensor<16x8xf32>) -> tensor<16x8xf32>
    delta.yield carry(%S3 : tensor<16x8xf32>)
  }
  return %sT : tensor<?x1x16x8xf32>
}
