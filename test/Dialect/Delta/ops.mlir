// RUN: wyvern-opt %s | wyvern-opt | FileCheck %s
// RUN: wyvern-opt %s -mlir-print-op-generic | wyvern-opt | FileCheck %s
// RUN: wyvern-opt %s -emit-bytecode | wyvern-opt | FileCheck %s

// Every op in every form, through text, generic text and bytecode.

// CHECK-LABEL: func.func @recurrence
func.func @recurrence(%q: tensor<?x?x1x64xf32>, %g: tensor<?x?x2xf32>, %k: tensor<?x?x1x64xf32>, %v: tensor<?x?x2x64xf32>,
    %b: tensor<?x?x2xf32>, %s0: tensor<?x2x64x64xf32>, %cu: tensor<?xi64>) -> (tensor<?x?x2x64xf32>, tensor<?x2x64x64xf32>) {
  // CHECK: delta.recurrence query(%{{.*}}) decay(%{{.*}}) step(write %[[K:.*]] erase %[[K]] value %{{.*}} rate %{{.*}}) step(write %[[K]] erase %[[K]] rate -1.000000e+00 before_decay) initial_state(%{{.*}}) cu_seqlens(%{{.*}}) scale 1.250000e-01
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %k erase %k value %v rate %b) step(write %k erase %k rate -1.0 before_decay)
    initial_state(%s0) cu_seqlens(%cu) scale 0.125
    : tensor<?x?x1x64xf32>, tensor<?x?x2xf32>, tensor<?x?x1x64xf32>, tensor<?x?x1x64xf32>, tensor<?x?x2x64xf32>, tensor<?x?x2xf32>,
      tensor<?x?x1x64xf32>, tensor<?x?x1x64xf32>, tensor<?x2x64x64xf32>, tensor<?xi64>
    -> (tensor<?x?x2x64xf32>, tensor<?x2x64x64xf32>)
  return %o, %sT : tensor<?x?x2x64xf32>, tensor<?x2x64x64xf32>
}

// CHECK-LABEL: func.func @recurrence_forms
func.func @recurrence_forms(%q: tensor<2x3x1x4xbf16>, %g: tensor<2x3x1x4xf32>, %k: tensor<2x6x1x4xbf16>, %y: tensor<2x6x2x8xbf16>, %cu: tensor<0xi32>)
    -> tensor<2x3x2x8xbf16> {
  // CHECK: delta.recurrence query(%{{.*}}) decay(%{{.*}}) step(write %{{.*}} erase %{{.*}} written %{{.*}} repeat 2) step(write %{{.*}} written %{{.*}} repeat 2) cu_seqlens(%{{.*}}) scale 1.000000e+00 {tag = "x"} :
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %k erase %k written %y repeat 2) step(write %k written %y repeat 2) cu_seqlens(%cu) scale 1.0 {tag = "x"}
    : tensor<2x3x1x4xbf16>, tensor<2x3x1x4xf32>, tensor<2x6x1x4xbf16>, tensor<2x6x1x4xbf16>, tensor<2x6x2x8xbf16>, tensor<2x6x1x4xbf16>, tensor<2x6x2x8xbf16>, tensor<0xi32>
    -> (tensor<2x3x2x8xbf16>, tensor<2x2x4x8xf32>)
  // CHECK: delta.recurrence query(%{{[a-zA-Z0-9_]+}}) scale 5.000000e-01 :
  %p, %pT = delta.recurrence query(%q) scale 0.5 : tensor<2x3x1x4xbf16> -> (tensor<2x3x2x8xbf16>, tensor<2x2x4x8xf32>)
  return %o : tensor<2x3x2x8xbf16>
}

// CHECK-LABEL: func.func @sum_tokens
func.func @sum_tokens(%x: tensor<?x?x4xf32>, %y: tensor<2x?x4x8xf64>, %cu: tensor<?xi32>) -> (tensor<4xf32>, tensor<4x8xf64>) {
  // CHECK: delta.sum_tokens %{{.*}}, %{{.*}} cu_seqlens(%{{.*}} : tensor<?xi32>) : tensor<?x?x4xf32>, tensor<2x?x4x8xf64> -> tensor<4xf32>, tensor<4x8xf64>
  %a, %b = delta.sum_tokens %x, %y cu_seqlens(%cu : tensor<?xi32>) : tensor<?x?x4xf32>, tensor<2x?x4x8xf64> -> tensor<4xf32>, tensor<4x8xf64>
  // CHECK: delta.sum_tokens %{{[a-z0-9]+}} rows 2 cu_seqlens(%{{.*}} : tensor<?xi32>) : tensor<?x?x4xf32> -> tensor<4xf32>
  %d = delta.sum_tokens %x rows 2 cu_seqlens(%cu : tensor<?xi32>) : tensor<?x?x4xf32> -> tensor<4xf32>
  // CHECK: delta.sum_tokens %{{[a-z0-9]+}} : tensor<?x?x4xf32> -> tensor<4xf32>
  %c = delta.sum_tokens %x rows 1 : tensor<?x?x4xf32> -> tensor<4xf32>
  return %c, %b : tensor<4xf32>, tensor<4x8xf64>
}

// CHECK-LABEL: func.func @chunk_scan
func.func @chunk_scan(%x: tensor<?x?x1x64xbf16>, %a: tensor<2xf32>, %m: tensor<?x2x8x64xf32>, %s0: tensor<?x2x8x64xf32>, %cu: tensor<?xi32>)
    -> (tensor<?x?x2x64xbf16>, tensor<?x2x8x64xf32>) {
  // CHECK: %[[o:.*]]:3, %[[final:.*]] = delta.chunk_scan reverse chunk = 4 heads = 2 compute = f64 ins(%[[X:.*]] = %{{.*}}[seq, time * 2, head, _] : tensor<?x?x1x64xbf16>, %{{.*}} = %{{.*}}[head] : tensor<2xf32>, %[[M:.*]] = %{{.*}}[chunk, head, _, _] : tensor<?x2x8x64xf32>) carry(%[[S:.*]] = %{{.*}}[seq, head, _, _] : tensor<?x2x8x64xf32>) cu_seqlens(%{{.*}} : tensor<?xi32>) outs([seq, time * 2, head, _] : tensor<?x?x2x64xbf16>, [chunk, head, _, _] : tensor<?x2x8x64xf32>, [seq, head, _, time * 2] : tensor<?x2x64x?xf32>) valid(%{{.*}}) {
  %o, %p, %t, %sT = delta.chunk_scan reverse chunk = 4 heads = 2 compute = f64
      ins(%X = %x[seq, time * 2, head, _] : tensor<?x?x1x64xbf16>, %A = %a[head] : tensor<2xf32>, %M = %m[chunk, head, _, _] : tensor<?x2x8x64xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x2x8x64xf32>) cu_seqlens(%cu : tensor<?xi32>)
      outs([seq, time * 2, head, _] : tensor<?x?x2x64xbf16>, [chunk, head, _, _] : tensor<?x2x8x64xf32>, [seq, head, _, time * 2] : tensor<?x2x64x?xf32>) valid(%n) {
    %e = tensor.empty() : tensor<64x8xf64>
    %T = linalg.transpose ins(%M : tensor<8x64xf64>) outs(%e : tensor<64x8xf64>) permutation = [1, 0]
    %S1 = arith.addf %S, %X : tensor<8x64xf64>
    // CHECK: delta.yield outs(%[[S]], %[[M]], %{{.*}} : tensor<8x64xf64>, tensor<8x64xf64>, tensor<64x8xf64>) carry(%{{.*}} : tensor<8x64xf64>)
    delta.yield outs(%S, %M, %T : tensor<8x64xf64>, tensor<8x64xf64>, tensor<64x8xf64>) carry(%S1 : tensor<8x64xf64>)
  }
  return %o, %sT : tensor<?x?x2x64xbf16>, tensor<?x2x8x64xf32>
}

// CHECK-LABEL: func.func @members
func.func @members(%x: tensor<?x?x6x4xbf16>) -> tensor<?x?x2x4xbf16> {
  // CHECK: ins(%{{.*}} = %{{.*}}[seq, time, head * 3, _] : tensor<?x?x6x4xbf16>, %{{.*}} = %{{.*}}[seq, time, head * 3 + 2, _] : tensor<?x?x6x4xbf16>) outs(
  %o = delta.chunk_map chunk = 8 heads = 2 compute = f32
      ins(%A = %x[seq, time, head * 3, _] : tensor<?x?x6x4xbf16>, %B = %x[seq, time, head * 3 + 2, _] : tensor<?x?x6x4xbf16>)
      outs([seq, time, head, _] : tensor<?x?x2x4xbf16>) valid(%n) {
    %S = arith.addf %A, %B : tensor<8x4xf32>
    delta.yield outs(%S : tensor<8x4xf32>)
  }
  return %o : tensor<?x?x2x4xbf16>
}

// The whole closed set of a region but for the ops of this dialect.

// CHECK-LABEL: func.func @chunk_map
func.func @chunk_map(%x: tensor<?x?x1x8xf32>) -> tensor<?x?x1x8xf32> {
  // CHECK: %{{.*}} = delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%{{.*}} = %{{.*}}[seq, time, head, _] : tensor<?x?x1x8xf32>) outs([seq, time, head, _] : tensor<?x?x1x8xf32>) valid(%{{.*}}) {
  %p = delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x8xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x8xf32>) valid(%n) {
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<8x8xf32>
    %e1 = tensor.empty() : tensor<8xf32>
    %0 = linalg.fill ins(%zero : f32) outs(%e : tensor<8x8xf32>) -> tensor<8x8xf32>
    %1 = linalg.contract indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
        ins(%X, %X : tensor<8x8xf32>, tensor<8x8xf32>) outs(%0 : tensor<8x8xf32>) -> tensor<8x8xf32>
    %2 = linalg.transpose ins(%1 : tensor<8x8xf32>) outs(%e : tensor<8x8xf32>) permutation = [1, 0]
    %3 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<8xf32>) -> tensor<8xf32>
    %4 = linalg.reduce {arith.addf} ins(%2 : tensor<8x8xf32>) outs(%3 : tensor<8xf32>) dimensions = [1]
    %5 = linalg.broadcast ins(%4 : tensor<8xf32>) outs(%e : tensor<8x8xf32>) dimensions = [1]
    %6 = linalg.elementwise kind=#linalg.elementwise_kind<mul> ins(%5, %X : tensor<8x8xf32>, tensor<8x8xf32>) outs(%e : tensor<8x8xf32>) -> tensor<8x8xf32>
    %7 = arith.cmpf ogt, %6, %X : tensor<8x8xf32>
    %8 = arith.select %7, %6, %X : tensor<8x8xi1>, tensor<8x8xf32>
    %9 = math.tanh %8 : tensor<8x8xf32>
    delta.yield outs(%9 : tensor<8x8xf32>)
  }
  return %p : tensor<?x?x1x8xf32>
}

// CHECK-LABEL: func.func @decay
func.func @decay(%a: tensor<8x4xf32>, %b: tensor<16x4xbf16>, %g: tensor<8xf32>, %G: tensor<8x4xf32>) {
  // CHECK: delta.decay_dot upto_token %{{.*}}, %{{.*}} : tensor<8x4xf32>, tensor<8x4xf32> -> tensor<8x8xf32>
  %0 = delta.decay_dot upto_token %a, %a : tensor<8x4xf32>, tensor<8x4xf32> -> tensor<8x8xf32>
  // CHECK: delta.decay_dot before_row %{{.*}}, %{{.*}} decay(%{{.*}} : tensor<8xf32>) rows [2, 2] : tensor<16x4xbf16>, tensor<16x4xbf16> -> tensor<16x16xf32>
  %1 = delta.decay_dot before_row %b, %b decay(%g : tensor<8xf32>) rows [2, 2] : tensor<16x4xbf16>, tensor<16x4xbf16> -> tensor<16x16xf32>
  // CHECK: delta.decay_dot before_token %{{.*}}, %{{.*}} decay(%{{.*}} : tensor<8x4xf32>) before_decay rows [1, 2] : tensor<8x4xf32>, tensor<16x4xbf16> -> tensor<8x16xf32>
  %2 = delta.decay_dot before_token %a, %b decay(%G : tensor<8x4xf32>) before_decay rows [1, 2] : tensor<8x4xf32>, tensor<16x4xbf16> -> tensor<8x16xf32>
  // CHECK: delta.decay_apply upto_token %{{.*}}, %{{.*}} : tensor<8x8xf32>, tensor<8x4xf32> -> tensor<8x4xf32>
  %3 = delta.decay_apply upto_token %0, %a : tensor<8x8xf32>, tensor<8x4xf32> -> tensor<8x4xf32>
  // CHECK: delta.decay_apply before_token transpose %{{.*}}, %{{.*}} decay(%{{.*}} : tensor<8x4xf32>) before_decay rows [1, 2] : tensor<8x16xf32>, tensor<8x4xf32> -> tensor<16x4xf32>
  %4 = delta.decay_apply before_token transpose %2, %a decay(%G : tensor<8x4xf32>) before_decay rows [1, 2] : tensor<8x16xf32>, tensor<8x4xf32> -> tensor<16x4xf32>
  // CHECK: delta.decay_mask upto_token %{{.*}} : tensor<8x8xf32>
  %5 = delta.decay_mask upto_token %0 : tensor<8x8xf32>
  // CHECK: delta.decay_mask before_token %{{.*}} decay(%{{.*}} : tensor<8xf32>) before_decay rows [1, 2] : tensor<8x16xf32>
  %6 = delta.decay_mask before_token %2 decay(%g : tensor<8xf32>) before_decay rows [1, 2] : tensor<8x16xf32>
  // CHECK: delta.decay_mask before_token %{{.*}} rows [1, 2] near 1 : tensor<8x16xf32>
  %7 = delta.decay_mask before_token %2 rows [1, 2] near 1 : tensor<8x16xf32>
  return
}

// CHECK-LABEL: func.func @erase
func.func @erase(%L: tensor<8x8xf32>, %c: tensor<8xf32>, %W: tensor<8x4xf32>) {
  // CHECK: delta.erase_solve %{{.*}}, %{{.*}}, %{{.*}} : tensor<8x8xf32>, tensor<8xf32>, tensor<8x4xf32> -> tensor<8x4xf32>, tensor<8x4xf32>
  %R, %U = delta.erase_solve %L, %c, %W : tensor<8x8xf32>, tensor<8xf32>, tensor<8x4xf32> -> tensor<8x4xf32>, tensor<8x4xf32>
  // CHECK: delta.erase_solve_adjoint %{{.*}}, %{{.*}}, %{{.*}} : tensor<8x8xf32>, tensor<8xf32>, tensor<8x4xf32> -> tensor<8x4xf32>
  %X = delta.erase_solve_adjoint %L, %c, %U : tensor<8x8xf32>, tensor<8xf32>, tensor<8x4xf32> -> tensor<8x4xf32>
  // CHECK: delta.erase_factor %{{.*}}, %{{.*}} : tensor<8x8xf32>, tensor<8xf32> -> tensor<8x8xf32>
  %Z = delta.erase_factor %L, %c : tensor<8x8xf32>, tensor<8xf32> -> tensor<8x8xf32>
  return
}

// CHECK-LABEL: func.func @rows
func.func @rows(%x: tensor<8xf32>, %y: tensor<8x4xf64>, %n: index) {
  // CHECK: delta.cumsum %{{.*}} : tensor<8xf32>
  %0 = delta.cumsum %x : tensor<8xf32>
  // CHECK: delta.cumsum exclusive %{{.*}} : tensor<8x4xf64>
  %1 = delta.cumsum exclusive %y : tensor<8x4xf64>
  // CHECK: delta.cumsum reverse %{{.*}} : tensor<8xf32>
  %2 = delta.cumsum reverse %x : tensor<8xf32>
  // CHECK: delta.cumsum reverse exclusive %{{.*}} : tensor<8xf32>
  %3 = delta.cumsum reverse exclusive %x : tensor<8xf32>
  // CHECK: delta.sum_to_middle %{{.*}} half 2 : tensor<8xf32>
  %m0 = delta.sum_to_middle %x half 2 : tensor<8xf32>
  // CHECK: delta.sum_to_middle %{{.*}} half 4 before_decay : tensor<8x4xf64>
  %m1 = delta.sum_to_middle %y half 4 before_decay : tensor<8x4xf64>
  // CHECK: delta.sum_to_middle %{{.*}} half 4 signed before_decay : tensor<8x4xf64>
  %m2 = delta.sum_to_middle %y half 4 signed before_decay : tensor<8x4xf64>
  // CHECK: delta.mask_rows %{{.*}}, %{{.*}} : tensor<8xf32>
  %4 = delta.mask_rows %x, %n : tensor<8xf32>
  // CHECK: delta.mask_rows %{{.*}}, %{{.*}} rows 2 : tensor<8x4xf64>
  %5 = delta.mask_rows %y, %n rows 2 : tensor<8x4xf64>
  // CHECK: delta.last_row %{{.*}}, %{{.*}} : tensor<8xf32> -> tensor<f32>
  %l0 = delta.last_row %x, %n : tensor<8xf32> -> tensor<f32>
  // CHECK: delta.last_row %{{.*}}, %{{.*}} rows 2 : tensor<8x4xf64> -> tensor<4xf64>
  %l1 = delta.last_row %y, %n rows 2 : tensor<8x4xf64> -> tensor<4xf64>
  // CHECK: delta.repeat_rows %{{.*}} by 3 : tensor<8x4xf64> -> tensor<24x4xf64>
  %6 = delta.repeat_rows %y by 3 : tensor<8x4xf64> -> tensor<24x4xf64>
  // CHECK: delta.sum_rows %{{.*}} by 3 : tensor<24x4xf64> -> tensor<8x4xf64>
  %7 = delta.sum_rows %6 by 3 : tensor<24x4xf64> -> tensor<8x4xf64>
  // CHECK: delta.identity : tensor<8x8xf32>
  %8 = delta.identity : tensor<8x8xf32>
  return
}
