// RUN: wyvern-opt %s -wyvern-to-rounded -split-input-file | FileCheck %s
// RUN: wyvern-opt %s -wyvern-to-rounded=operand-type=f16 -split-input-file | FileCheck %s --check-prefix=F16
// RUN: wyvern-opt %s -wyvern-to-rounded=operand-type=none -split-input-file | FileCheck %s --check-prefix=NONE

// The whole programs that a GPU lowering is given: the map is the work that no
// state enters, the scan is the chain. Every matmul operand is a truncf, of an in
// wherever it can be; sums stay in f32.

// F16-LABEL: func.func @delta_net
// F16: delta.chunk_map
// F16-SAME: outs([seq, time, head, _] : tensor<?x?x16x64xf16>, [seq, time, head, _] : tensor<?x?x16x64xf16>)
// NONE-LABEL: func.func @delta_net
// NONE-NOT: arith.truncf
// NONE: return

// CHECK: #[[MK:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK: #[[KN:.*]] = affine_map<(d0, d1, d2) -> (d2, d1)>
// CHECK: #[[MN:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK: #[[KM:.*]] = affine_map<(d0, d1, d2) -> (d2, d0)>
// CHECK-LABEL: func.func @delta_net
// CHECK: %[[before:.*]]:2 = delta.chunk_map chunk = 64 heads = 16 compute = f32
// CHECK-SAME: ins(%[[Q:[a-zA-Z0-9_]+]] = %arg0[seq, time, head, _] : tensor<?x?x16x128xbf16>, %[[K:[a-zA-Z0-9_]+]] = %arg1[seq, time, head, _] : tensor<?x?x16x128xbf16>, %[[c:[a-zA-Z0-9_]+]] = %arg3[seq, time, head] : tensor<?x?x16xf32>)
// CHECK-SAME: cu_seqlens(%arg5 : tensor<?xi64>)
// CHECK-SAME: outs([seq, time, head, _] : tensor<?x?x16x64xbf16>, [seq, time, head, _] : tensor<?x?x16x64xbf16>)
// CHECK-DAG: %[[Qb:.*]] = arith.truncf %[[Q]]
// CHECK-DAG: %[[Kb:.*]] = arith.truncf %[[K]]
// CHECK: %[[L:.*]] = delta.decay_dot before_row %[[Kb]], %[[Kb]] : tensor<64x128xbf16>, tensor<64x128xbf16> -> tensor<64x64xf32>
// CHECK: %[[Z:.*]] = delta.erase_factor %[[L]], %[[c]] block 32 to bf16
// CHECK: %[[P:.*]] = delta.decay_dot upto_token %[[Qb]], %[[Kb]]
// CHECK: delta.yield outs(%[[Z]], %[[P]] : tensor<64x64xf32>, tensor<64x64xf32>)
// CHECK: %[[o:.*]], %[[final:.*]] = delta.chunk_scan forward chunk = 64 heads = 16 compute = f32
// CHECK-SAME: ins(%[[Q:[a-zA-Z0-9_]+]] = %arg0[
// CHECK-SAME: %[[K:[a-zA-Z0-9_]+]] = %arg1[
// CHECK-SAME: %[[V:[a-zA-Z0-9_]+]] = %arg2[
// CHECK-SAME: %[[c:[a-zA-Z0-9_]+]] = %arg3[
// CHECK-SAME: %[[Z:[a-zA-Z0-9_]+]] = %[[before]]#0[seq, time, head, _] : tensor<?x?x16x64xbf16>
// CHECK-SAME: %[[P:[a-zA-Z0-9_]+]] = %[[before]]#1[seq, time, head, _] : tensor<?x?x16x64xbf16>
// CHECK-SAME: carry(%[[S:[a-zA-Z0-9_]+]] = %arg4[seq, head, _, _] : tensor<?x16x128x128xf32>) cu_seqlens(%arg5
// CHECK-DAG: %[[Qb:.*]] = arith.truncf %[[Q]]
// CHECK-DAG: %[[Kb:.*]] = arith.truncf %[[K]]
// CHECK-DAG: %[[Zb:.*]] = arith.truncf %[[Z]]
// CHECK-DAG: %[[Pb:.*]] = arith.truncf %[[P]]
// CHECK-DAG: %[[Sb:.*]] = arith.truncf %[[S]]
// CHECK: %[[KS:.*]] = linalg.contract indexing_maps = [#[[MK]], #[[KN]], #[[MN]]] ins(%[[Kb]], %[[Sb]]
// CHECK: %[[W:.*]] = arith.subf %[[V]], %[[KS]]
// CHECK: %[[R:.*]] = delta.erase_apply %[[Zb]], %[[c]], %[[W]] block 32
// CHECK: %[[C:.*]] = linalg.broadcast ins(%[[c]]
// CHECK: %[[U:.*]] = arith.mulf %[[C]], %[[R]]
// CHECK: %[[Ub:.*]] = arith.truncf %[[U]]
// CHECK: %[[QS:.*]] = linalg.contract indexing_maps = [#[[MK]], #[[KN]], #[[MN]]] ins(%[[Qb]], %[[Sb]]
// CHECK: %[[PU:.*]] = linalg.contract indexing_maps = [#[[MK]], #[[KN]], #[[MN]]] ins(%[[Pb]], %[[Ub]] : {{.*}} outs(%[[QS]] :
// CHECK: %[[O:.*]] = arith.mulf %[[PU]], %{{.*}}
// CHECK: %[[S1:.*]] = linalg.contract indexing_maps = [#[[KM]], #[[KN]], #[[MN]]] ins(%[[Kb]], %[[Ub]] : {{.*}} outs(%[[S]] :
// CHECK: delta.yield outs(%[[O]] : {{.*}}) carry(%[[S1]] :
// CHECK: return %[[o]], %[[final]]
func.func @delta_net(%q: tensor<?x?x16x128xbf16>, %k: tensor<?x?x16x128xbf16>, %v: tensor<?x?x16x128xbf16>, %beta: tensor<?x?x16xf32>,
    %s0: tensor<?x16x128x128xf32>, %cu: tensor<?xi64>) -> (tensor<?x?x16x128xbf16>, tensor<?x16x128x128xf32>) {
  %o, %sT = delta.recurrence query(%q) step(write %k erase %k value %v rate %beta) initial_state(%s0) cu_seqlens(%cu) scale 0.088388347648318447
    : tensor<?x?x16x128xbf16>, tensor<?x?x16x128xbf16>, tensor<?x?x16x128xbf16>, tensor<?x?x16x128xbf16>, tensor<?x?x16xf32>, tensor<?x16x128x128xf32>, tensor<?xi64>
    -> (tensor<?x?x16x128xbf16>, tensor<?x16x128x128xf32>)
  return %o, %sT : tensor<?x?x16x128xbf16>, tensor<?x16x128x128xf32>
}

// -----

// Decays stand on the computed side of each matmul. The vectors e^a and
// e^(a_C - a) cross in f32; the last valid row of the former is e^(a_C), so that the
// chain does not read g.

// CHECK-LABEL: func.func @gated_delta_net
// CHECK: %[[before:.*]]:4 = delta.chunk_map chunk = 64 heads = 16 compute = f32
// CHECK-SAME: outs([seq, time, head] : tensor<?x?x16xf32>, [seq, time, head, _] : tensor<?x?x16x64xbf16>, [seq, time, head, _] : tensor<?x?x16x64xbf16>, [seq, time, head] : tensor<?x?x16xf32>)
// CHECK: delta.chunk_scan forward
// CHECK-SAME: ins(%[[Q:[a-zA-Z0-9_]+]] = %arg0[
// CHECK-SAME: %[[K:[a-zA-Z0-9_]+]] = %arg2[
// CHECK-SAME: %[[V:[a-zA-Z0-9_]+]] = %arg3[
// CHECK-SAME: %[[c:[a-zA-Z0-9_]+]] = %arg4[
// CHECK-SAME: %[[ea:[a-zA-Z0-9_]+]] = %[[before]]#0[
// CHECK-SAME: %[[Z:[a-zA-Z0-9_]+]] = %[[before]]#1[
// CHECK-SAME: %[[P:[a-zA-Z0-9_]+]] = %[[before]]#2[
// CHECK-SAME: %[[es:[a-zA-Z0-9_]+]] = %[[before]]#3[
// CHECK-SAME: carry(%[[S:[a-zA-Z0-9_]+]] =
// CHECK-DAG: %[[Qb:.*]] = arith.truncf %[[Q]]
// CHECK-DAG: %[[Kb:.*]] = arith.truncf %[[K]]
// CHECK-DAG: %[[Zb:.*]] = arith.truncf %[[Z]]
// CHECK-DAG: %[[Pb:.*]] = arith.truncf %[[P]]
// CHECK-DAG: %[[Sb:.*]] = arith.truncf %[[S]]
// CHECK: %[[KS:.*]] = linalg.contract {{.*}} ins(%[[Kb]], %[[Sb]]
// CHECK: %[[EA:.*]] = linalg.broadcast ins(%[[ea]]
// CHECK: %[[EKS:.*]] = arith.mulf %[[EA]], %[[KS]]
// CHECK: %[[W:.*]] = arith.subf %[[V]], %[[EKS]]
// CHECK: %[[R:.*]] = delta.erase_apply %[[Zb]], %[[c]], %[[W]] block 32
// CHECK: %[[C:.*]] = linalg.broadcast ins(%[[c]]
// CHECK: %[[U:.*]] = arith.mulf %[[C]], %[[R]]
// CHECK: %[[Ub:.*]] = arith.truncf %[[U]]
// CHECK: %[[QS:.*]] = linalg.contract {{.*}} ins(%[[Qb]], %[[Sb]]
// CHECK: %[[EQS:.*]] = arith.mulf %[[EA]], %[[QS]]
// CHECK: %[[PU:.*]] = linalg.contract {{.*}} ins(%[[Pb]], %[[Ub]] : {{.*}} outs(%[[EQS]] :
// CHECK: %[[eaC:.*]] = delta.last_row %[[ea]], %{{.*}} : tensor<64xf32> -> tensor<f32>
// CHECK: %[[EC:.*]] = linalg.broadcast ins(%[[eaC]]
// CHECK: %[[dS:.*]] = arith.mulf %[[EC]], %[[S]]
// CHECK: %[[ES:.*]] = linalg.broadcast ins(%[[es]]
// CHECK: %[[sU:.*]] = arith.mulf %[[ES]], %[[U]]
// CHECK: %[[sUb:.*]] = arith.truncf %[[sU]]
// CHECK: linalg.contract {{.*}} ins(%[[Kb]], %[[sUb]] : {{.*}} outs(%[[dS]] :
func.func @gated_delta_net(%q: tensor<?x?x8x128xbf16>, %g: tensor<?x?x16xf32>, %k: tensor<?x?x8x128xbf16>, %v: tensor<?x?x16x128xbf16>, %beta: tensor<?x?x16xf32>,
    %s0: tensor<?x16x128x128xf32>, %cu: tensor<?xi64>) -> (tensor<?x?x16x128xbf16>, tensor<?x16x128x128xf32>) {
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %k erase %k value %v rate %beta) initial_state(%s0) cu_seqlens(%cu) scale 1.0
    : tensor<?x?x8x128xbf16>, tensor<?x?x16xf32>, tensor<?x?x8x128xbf16>, tensor<?x?x8x128xbf16>, tensor<?x?x16x128xbf16>, tensor<?x?x16xf32>, tensor<?x16x128x128xf32>, tensor<?xi64>
    -> (tensor<?x?x16x128xbf16>, tensor<?x16x128x128xf32>)
  return %o, %sT : tensor<?x?x16x128xbf16>, tensor<?x16x128x128xf32>
}

// -----

// Two rows a token: 32 tokens a chunk, and P has a row a token, a column a row.

// CHECK-LABEL: func.func @delta_product
// CHECK: delta.chunk_map chunk = 32 heads = 4
// CHECK-SAME: outs([seq, time * 2, head, _] : tensor<?x?x4x64xbf16>, [seq, time, head, _] : tensor<?x?x4x64xbf16>)
// CHECK: delta.chunk_scan forward chunk = 32 heads = 4
// CHECK: linalg.contract {{.*}} : tensor<64x64xbf16>, tensor<64x128xbf16>) outs({{.*}} : tensor<64x128xf32>)
// CHECK: linalg.contract {{.*}} : tensor<32x64xbf16>, tensor<64x128xbf16>) outs({{.*}} : tensor<32x128xf32>)
func.func @delta_product(%q: tensor<?x?x4x64xbf16>, %k: tensor<?x?x4x64xbf16>, %v: tensor<?x?x4x128xbf16>, %beta: tensor<?x?x4xf32>,
    %s0: tensor<?x4x64x128xf32>) -> (tensor<?x?x4x128xbf16>, tensor<?x4x64x128xf32>) {
  %o, %sT = delta.recurrence query(%q) step(write %k erase %k value %v rate %beta repeat 2) initial_state(%s0) scale 1.0
    : tensor<?x?x4x64xbf16>, tensor<?x?x4x64xbf16>, tensor<?x?x4x64xbf16>, tensor<?x?x4x128xbf16>, tensor<?x?x4xf32>, tensor<?x4x64x128xf32>
    -> (tensor<?x?x4x128xbf16>, tensor<?x4x64x128xf32>)
  return %o, %sT : tensor<?x?x4x128xbf16>, tensor<?x4x64x128xf32>
}

// -----

// Nothing to solve; the decays are made before the chain, the decayed values in it.

// CHECK-LABEL: func.func @gated_linear_attention
// CHECK: %[[before:.*]]:3 = delta.chunk_map
// CHECK-SAME: outs([seq, time, head] : tensor<?x?x4xf32>, [seq, time, head, _] : tensor<?x?x4x64xbf16>, [seq, time, head] : tensor<?x?x4xf32>)
// CHECK-NOT: delta.erase
// CHECK: delta.chunk_scan
// CHECK-SAME: %[[s:[a-zA-Z0-9_]+]] = %[[before]]#2[seq, time, head] : tensor<?x?x4xf32>) carry
// CHECK: %[[S:.*]] = linalg.broadcast ins(%[[s]] :
// CHECK: %[[sV:.*]] = arith.mulf %[[S]],
// CHECK: %[[sVb:.*]] = arith.truncf %[[sV]]
// CHECK: linalg.contract {{.*}} ins(%{{.*}}, %[[sVb]] : tensor<64x64xbf16>, tensor<64x128xbf16>) outs({{.*}} : tensor<64x128xf32>)
func.func @gated_linear_attention(%q: tensor<?x?x4x64xbf16>, %g: tensor<?x?x4xf32>, %k: tensor<?x?x4x64xbf16>, %v: tensor<?x?x4x128xbf16>,
    %s0: tensor<?x4x64x128xf32>) -> (tensor<?x?x4x128xbf16>, tensor<?x4x64x128xf32>) {
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %k value %v) initial_state(%s0) scale 1.0
    : tensor<?x?x4x64xbf16>, tensor<?x?x4xf32>, tensor<?x?x4x64xbf16>, tensor<?x?x4x128xbf16>, tensor<?x4x64x128xf32>
    -> (tensor<?x?x4x128xbf16>, tensor<?x4x64x128xf32>)
  return %o, %sT : tensor<?x?x4x128xbf16>, tensor<?x4x64x128xf32>
}
