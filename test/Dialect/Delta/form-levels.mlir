// RUN: wyvern-opt %s -delta-form-levels -split-input-file | FileCheck %s
// RUN: wyvern-opt %s -delta-form-levels -split-input-file | wyvern-opt -split-input-file | FileCheck %s

// Two value heads of four levels: a scan of eight heads, whose gate, values and
// queries differ, and the sum over the four of each.

// CHECK-LABEL: func.func @gated
// CHECK-SAME: (%[[q:.*]]: tensor<?x?x1x16xbf16>, %[[g:.*]]: tensor<?x?x2xf32>, %[[k:.*]]: tensor<?x?x1x16xbf16>, %[[v:.*]]: tensor<?x?x2x8xbf16>, %[[b:.*]]: tensor<?x?x2xf32>, %[[cu:.*]]: tensor<?xi64>, %[[lam:.*]]: tensor<?x?x8xf32>)
// CHECK-SAME: attributes {delta.max_tokens = 8 : i64}
func.func @gated(%q: tensor<?x?x1x16xbf16>, %g: tensor<?x?x2xf32>, %k: tensor<?x?x1x16xbf16>, %v: tensor<?x?x2x8xbf16>,
    %b: tensor<?x?x2xf32>, %cu: tensor<?xi64>, %lam: tensor<?x?x8xf32>) -> tensor<?x?x2x8xbf16> {
  // CHECK: %[[os:.*]], %{{.*}} = delta.chunk_scan forward chunk = 64 heads = 8 compute = f32
  // CHECK-SAME: ins(%[[Q:[^ ]*]] = %[[q]][seq, time, head, _] : {{.*}}%[[G:[^ ]*]] = %[[g]][seq, time, head] : {{.*}}%[[V:[^ ]*]] = %[[v]][seq, time, head, _] : {{.*}}%[[L:[^ ]*]] = %[[lam]][seq, time, head] :
  // CHECK-SAME: carry(%{{.*}} = %{{.*}}[seq, head, _, _] : tensor<?x8x16x8xf32>) cu_seqlens(%[[cu]] : tensor<?xi64>) outs([seq, time, head, _] : tensor<?x?x8x8xbf16>)
  // CHECK: %[[w:.*]] = delta.level_rows writes of 4 : tensor<64xf32>
  // CHECK: %[[W:.*]] = linalg.broadcast ins(%[[w]] : tensor<64xf32>)
  // CHECK: %[[V1:.*]] = arith.mulf %[[V]], %[[W]] : tensor<64x8xf32>
  // CHECK: %[[s:.*]] = delta.level_rows starts of 4 : tensor<64xf32>
  // CHECK: %[[gate:.*]] = arith.constant dense<-3.200000e+01> : tensor<64xf32>
  // CHECK: %[[e:.*]] = arith.mulf %[[s]], %[[gate]]
  // CHECK: %[[g1:.*]] = arith.addf %[[G]], %[[e]]
  // CHECK: %[[r:.*]] = delta.level_rows reads of 4 : tensor<64xf32>
  // CHECK: %[[lr:.*]] = arith.mulf %[[L]], %[[r]]
  // CHECK: delta.decay_dot before_row %{{.*}}, %{{.*}} decay(%[[g1]] : tensor<64xf32>)
  // CHECK: %[[a:.*]] = delta.cumsum %[[g1]]
  // CHECK: %[[ea:.*]] = math.exp %[[a]]
  // CHECK: arith.subf %[[V1]], %{{.*}}
  // CHECK: %[[lra:.*]] = arith.mulf %[[ea]], %[[lr]]
  // CHECK: %[[LRA:.*]] = linalg.broadcast ins(%[[lra]] : tensor<64xf32>)
  // CHECK: %[[Q1:.*]] = arith.mulf %[[Q]], %[[LRA]] : tensor<64x16xf32>
  // CHECK: linalg.contract {{.*}} ins(%[[Q1]], %{{.*}} : tensor<64x16xf32>, tensor<16x8xf32>)
  // CHECK: %[[P:.*]] = delta.decay_dot upto_token %[[Q]], %{{.*}} decay(%[[g1]] : tensor<64xf32>)
  // CHECK: %[[LR:.*]] = linalg.broadcast ins(%[[lr]] : tensor<64xf32>)
  // CHECK: %[[P1:.*]] = arith.mulf %[[P]], %[[LR]] : tensor<64x64xf32>
  // CHECK: linalg.contract {{.*}} ins(%[[P1]], %{{.*}} : tensor<64x64xf32>, tensor<64x8xf32>)
  // CHECK: %[[o:.*]] = delta.chunk_map chunk = 64 heads = 2 compute = f32
  // CHECK-SAME: %[[os]][seq, time, head * 4, _] : {{.*}} %[[os]][seq, time, head * 4 + 1, _] : {{.*}} %[[os]][seq, time, head * 4 + 2, _] : {{.*}} %[[os]][seq, time, head * 4 + 3, _] :
  // CHECK-SAME: cu_seqlens(%[[cu]] : tensor<?xi64>) outs([seq, time, head, _] : tensor<?x?x2x8xbf16>)
  // CHECK-COUNT-3: arith.addf
  // CHECK: return %[[o]]
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %k erase %k value %v rate %b) cu_seqlens(%cu) level_scales(%lam) scale 0.25
    : tensor<?x?x1x16xbf16>, tensor<?x?x2xf32>, tensor<?x?x1x16xbf16>, tensor<?x?x1x16xbf16>, tensor<?x?x2x8xbf16>, tensor<?x?x2xf32>, tensor<?xi64>, tensor<?x?x8xf32>
    -> (tensor<?x?x2x8xbf16>, tensor<?x2x16x8xf32>)
  return %o : tensor<?x?x2x8xbf16>
}

// -----

// Without a decay the gate that empties is the only one; two rows a token; f64. Of
// twenty levels no map sums all: first four and then five.

// CHECK-LABEL: func.func @no_decay
// CHECK-SAME: attributes {delta.max_tokens = 524288 : i64}
func.func @no_decay(%q: tensor<?x?x1x16xf64>, %k: tensor<?x?x1x16xf64>, %v: tensor<?x?x1x8xf64>, %lam: tensor<?x?x20xf64>) -> tensor<?x?x1x8xf64> {
  // CHECK: delta.chunk_scan forward chunk = 32 heads = 20 compute = f64
  // CHECK: delta.level_rows writes of 20 rows 2 : tensor<64xf64>
  // CHECK: %[[s:.*]] = delta.level_rows starts of 20 : tensor<32xf64>
  // CHECK: %[[gate:.*]] = arith.constant dense<-6.400000e+01> : tensor<32xf64>
  // CHECK: %[[e:.*]] = arith.mulf %[[s]], %[[gate]]
  // CHECK: decay(%[[e]] : tensor<32xf64>)
  // CHECK: delta.chunk_map chunk = 32 heads = 4
  // CHECK-SAME: head * 5 + 4
  // CHECK-SAME: outs([seq, time, head, _] : tensor<?x?x4x8xf64>)
  // CHECK: delta.chunk_map chunk = 32 heads = 1
  // CHECK-SAME: head * 4 + 3
  %o, %sT = delta.recurrence query(%q) step(write %k erase %k value %v repeat 2) level_scales(%lam) scale 1.0
    : tensor<?x?x1x16xf64>, tensor<?x?x1x16xf64>, tensor<?x?x1x16xf64>, tensor<?x?x1x8xf64>, tensor<?x?x20xf64>
    -> (tensor<?x?x1x8xf64>, tensor<?x1x16x8xf64>)
  return %o : tensor<?x?x1x8xf64>
}

// -----

// Others are delta-form-wy's.

// CHECK-LABEL: func.func @no_levels
// CHECK-NOT: delta.max_tokens
// CHECK: delta.recurrence
func.func @no_levels(%q: tensor<?x?x1x16xf64>, %v: tensor<?x?x1x8xf64>) -> tensor<?x?x1x8xf64> {
  %o, %sT = delta.recurrence query(%q) step(write %q value %v) scale 1.0
    : tensor<?x?x1x16xf64>, tensor<?x?x1x16xf64>, tensor<?x?x1x8xf64> -> (tensor<?x?x1x8xf64>, tensor<?x1x16x8xf64>)
  return %o : tensor<?x?x1x8xf64>
}

// -----

// A sequence that goes on has the states of all levels, and rows from its position on. Rows past its end empty none.

// CHECK-LABEL: func.func @resumed
// CHECK-SAME: %[[s0:[a-z0-9]+]]: tensor<?x4x16x8xf32>, %[[lam:[a-z0-9]+]]: tensor<?x?x4xf32>, %[[p:[a-z0-9]+]]: tensor<?xf32>)
func.func @resumed(%q: tensor<?x?x1x16xbf16>, %v: tensor<?x?x1x8xbf16>, %s0: tensor<?x4x16x8xf32>, %lam: tensor<?x?x4xf32>, %p: tensor<?xf32>)
    -> (tensor<?x?x1x8xbf16>, tensor<?x4x16x8xf32>) {
  // CHECK: %{{.*}}, %[[final:.*]] = delta.chunk_scan forward chunk = 64 heads = 4 compute = f32
  // CHECK-SAME: %[[P:[^ ]*]] = %[[p]][seq] : tensor<?xf32>
  // CHECK-SAME: carry(%{{.*}} = %[[s0]][seq, head, _, _] : tensor<?x4x16x8xf32>)
  // CHECK: delta.level_rows writes of 4 from %[[P]] : tensor<f32> : tensor<64xf32>
  // CHECK: %[[s:.*]] = delta.level_rows starts of 4 from %[[P]] : tensor<f32> : tensor<64xf32>
  // CHECK: %[[gate:.*]] = arith.mulf %[[s]], %{{.*}}
  // CHECK: delta.mask_rows %[[gate]], %{{.*}} : tensor<64xf32>
  // CHECK: delta.level_rows reads of 4 from %[[P]] : tensor<f32> : tensor<64xf32>
  // CHECK: return %{{.*}}, %[[final]]
  %o, %sT = delta.recurrence query(%q) step(write %q value %v) initial_state(%s0) level_scales(%lam) positions(%p) scale 1.0
    : tensor<?x?x1x16xbf16>, tensor<?x?x1x16xbf16>, tensor<?x?x1x8xbf16>, tensor<?x4x16x8xf32>, tensor<?x?x4xf32>, tensor<?xf32>
    -> (tensor<?x?x1x8xbf16>, tensor<?x4x16x8xf32>)
  return %o, %sT : tensor<?x?x1x8xbf16>, tensor<?x4x16x8xf32>
}
