// RUN: wyvern-opt %s -delta-form-wy -split-input-file | FileCheck %s
// RUN: wyvern-opt %s -delta-form-wy=rows=128 -split-input-file | FileCheck %s --check-prefix=ROWS
// RUN: wyvern-opt %s -delta-form-wy -split-input-file | wyvern-opt -split-input-file | FileCheck %s

// No decay: no running sum anywhere; grouped heads: one key head, two value heads.

// CHECK: #[[AB:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK: #[[BC:.*]] = affine_map<(d0, d1, d2) -> (d2, d1)>
// CHECK: #[[AC:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK: #[[ATB:.*]] = affine_map<(d0, d1, d2) -> (d2, d0)>
// CHECK-LABEL: func.func @delta_net
// CHECK-SAME: (%[[q:.*]]: tensor<?x?x1x16xbf16>, %[[k:.*]]: tensor<?x?x1x16xbf16>, %[[v:.*]]: tensor<?x?x2x8xbf16>, %[[b:.*]]: tensor<?x?x2xf32>, %[[s0:.*]]: tensor<?x2x16x8xf32>, %[[cu:.*]]: tensor<?xi64>)
// ROWS-LABEL: func.func @delta_net
func.func @delta_net(%q: tensor<?x?x1x16xbf16>, %k: tensor<?x?x1x16xbf16>, %v: tensor<?x?x2x8xbf16>, %b: tensor<?x?x2xf32>,
    %s0: tensor<?x2x16x8xf32>, %cu: tensor<?xi64>) -> (tensor<?x?x2x8xbf16>, tensor<?x2x16x8xf32>) {
  // CHECK: %[[scan:.*]], %[[final:.*]] = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32
  // CHECK-SAME: ins(%[[Q:.*]] = %[[q]][seq, time, head, _] : tensor<?x?x1x16xbf16>, %[[K:.*]] = %[[k]][seq, time, head, _] : tensor<?x?x1x16xbf16>, %[[V:.*]] = %[[v]][seq, time, head, _] : tensor<?x?x2x8xbf16>, %[[c:.*]] = %[[b]][seq, time, head] : tensor<?x?x2xf32>)
  // CHECK-SAME: carry(%[[S:.*]] = %[[s0]][seq, head, _, _] : tensor<?x2x16x8xf32>) cu_seqlens(%[[cu]] : tensor<?xi64>) outs([seq, time, head, _] : tensor<?x?x2x8xbf16>)
  // CHECK-NOT: delta.cumsum
  // CHECK-DAG: %[[L:.*]] = delta.decay_dot before_row %[[K]], %[[K]] : tensor<64x16xf32>, tensor<64x16xf32> -> tensor<64x64xf32>
  // CHECK-DAG: %[[zero:.*]] = arith.constant dense<0.000000e+00> : tensor<64x8xf32>
  // CHECK: %[[KS:.*]] = linalg.contract indexing_maps = [#[[AB]], #[[BC]], #[[AC]]] ins(%[[K]], %[[S]] : tensor<64x16xf32>, tensor<16x8xf32>) outs(%[[zero]] : tensor<64x8xf32>)
  // CHECK: %[[W:.*]] = arith.subf %[[V]], %[[KS]]
  // CHECK: %[[R:.*]], %[[U:.*]] = delta.erase_solve %[[L]], %[[c]], %[[W]]
  // CHECK: %[[QS:.*]] = linalg.contract indexing_maps = [#[[AB]], #[[BC]], #[[AC]]] ins(%[[Q]], %[[S]] :
  // CHECK: %[[P:.*]] = delta.decay_dot upto_token %[[Q]], %[[K]] : tensor<64x16xf32>, tensor<64x16xf32> -> tensor<64x64xf32>
  // CHECK: %[[PU:.*]] = linalg.contract indexing_maps = [#[[AB]], #[[BC]], #[[AC]]] ins(%[[P]], %[[U]] : tensor<64x64xf32>, tensor<64x8xf32>) outs(%[[QS]] :
  // CHECK: %[[scale:.*]] = arith.constant dense<2.500000e-01> : tensor<64x8xf32>
  // CHECK: %[[O:.*]] = arith.mulf %[[PU]], %[[scale]]
  // CHECK: %[[S1:.*]] = linalg.contract indexing_maps = [#[[ATB]], #[[BC]], #[[AC]]] ins(%[[K]], %[[U]] : tensor<64x16xf32>, tensor<64x8xf32>) outs(%[[S]] : tensor<16x8xf32>)
  // CHECK: delta.yield outs(%[[O]] : tensor<64x8xf32>) carry(%[[S1]] : tensor<16x8xf32>)
  // CHECK: return %[[scan]], %[[final]]
  // ROWS: chunk = 128
  %o, %sT = delta.recurrence query(%q) step(write %k erase %k value %v rate %b) initial_state(%s0) cu_seqlens(%cu) scale 0.25
    : tensor<?x?x1x16xbf16>, tensor<?x?x1x16xbf16>, tensor<?x?x1x16xbf16>, tensor<?x?x2x8xbf16>, tensor<?x?x2xf32>, tensor<?x2x16x8xf32>, tensor<?xi64>
    -> (tensor<?x?x2x8xbf16>, tensor<?x2x16x8xf32>)
  return %o, %sT : tensor<?x?x2x8xbf16>, tensor<?x2x16x8xf32>
}

// -----

// One gate a head: its factors are vectors, broadcast over the keys' columns; the
// state decays by the sum over the chunk; suffix factors are summed from the end.

// CHECK-LABEL: func.func @head_decay
func.func @head_decay(%q: tensor<?x?x2x16xf32>, %g: tensor<?x?x2xf32>, %k: tensor<?x?x2x16xf32>, %v: tensor<?x?x2x8xf32>, %b: tensor<?x?x2xf32>,
    %s0: tensor<?x2x16x8xf32>) -> (tensor<?x?x2x8xf32>, tensor<?x2x16x8xf32>) {
  // CHECK: ins(%[[Q:[^ ]*]] = %arg0[{{.*}}%[[g:[^ ]*]] = %arg1[seq, time, head] : tensor<?x?x2xf32>, {{.*}}%[[K:[^ ]*]] = %arg2[{{.*}}%[[S:[^ ]*]] = %arg5[
  // CHECK: delta.decay_dot before_row %[[K]], %[[K]] decay(%[[g]] : tensor<64xf32>)
  // CHECK: %[[a:.*]] = delta.cumsum %[[g]] : tensor<64xf32>
  // CHECK: %[[ea:.*]] = math.exp %[[a]]
  // CHECK: %[[eaK:.*]] = linalg.broadcast ins(%[[ea]] : tensor<64xf32>) outs(%{{.*}} : tensor<64x16xf32>) dimensions = [1]
  // CHECK: %[[Ka:.*]] = arith.mulf %[[K]], %[[eaK]]
  // CHECK: linalg.contract {{.*}} ins(%[[Ka]], %[[S]]
  // CHECK: delta.erase_solve
  // CHECK: %[[eaQ:.*]] = linalg.broadcast ins(%[[ea]] : tensor<64xf32>)
  // CHECK: %[[Qa:.*]] = arith.mulf %[[Q]], %[[eaQ]]
  // CHECK: linalg.contract {{.*}} ins(%[[Qa]], %[[S]]
  // CHECK: delta.decay_dot upto_token %[[Q]], %[[K]] decay(%[[g]] : tensor<64xf32>)
  // The scale of 1 is not multiplied by.
  // CHECK: %[[O:.*]] = linalg.contract
  // CHECK: %[[aC:.*]] = linalg.reduce { arith.addf } ins(%[[g]] : tensor<64xf32>) outs(%{{.*}} : tensor<f32>) dimensions = [0]
  // CHECK: %[[eaC:.*]] = math.exp %[[aC]] : tensor<f32>
  // CHECK: %[[eaCS:.*]] = linalg.broadcast ins(%[[eaC]] : tensor<f32>) outs(%{{.*}} : tensor<16x8xf32>) dimensions = [0, 1]
  // CHECK: %[[Sd:.*]] = arith.mulf %[[eaCS]], %[[S]]
  // CHECK: %[[suffix:.*]] = delta.cumsum reverse exclusive %[[g]]
  // CHECK: %[[es:.*]] = math.exp %[[suffix]]
  // CHECK: %[[esK:.*]] = linalg.broadcast ins(%[[es]]
  // CHECK: %[[Ks:.*]] = arith.mulf %[[K]], %[[esK]]
  // CHECK: %[[S1:.*]] = linalg.contract {{.*}} ins(%[[Ks]], %{{.*}} : tensor<64x16xf32>, tensor<64x8xf32>) outs(%[[Sd]] :
  // CHECK: delta.yield outs(%[[O]] : tensor<64x8xf32>) carry(%[[S1]] : tensor<16x8xf32>)
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %k erase %k value %v rate %b) initial_state(%s0) scale 1.0
    : tensor<?x?x2x16xf32>, tensor<?x?x2xf32>, tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2xf32>, tensor<?x2x16x8xf32>
    -> (tensor<?x?x2x8xf32>, tensor<?x2x16x8xf32>)
  return %o, %sT : tensor<?x?x2x8xf32>, tensor<?x2x16x8xf32>
}

// -----

// One gate a channel: factors are whole tiles; f64 operands compute in f64. Gates are
// bounded where exp of them is 0. Write key and erase key differ.

// CHECK-LABEL: func.func @channel_decay_two_keys
func.func @channel_decay_two_keys(%q: tensor<?x?x1x16xf64>, %g: tensor<?x?x1x16xf64>, %x: tensor<?x?x1x16xf64>, %e: tensor<?x?x1x16xf64>, %v: tensor<?x?x1x8xf64>,
    %b: tensor<?x?x1xf64>, %s0: tensor<?x1x16x8xf64>) -> (tensor<?x?x1x8xf64>, tensor<?x1x16x8xf64>) {
  // CHECK: compute = f64 ins(%[[Q:[^ ]*]] = %arg0[{{.*}}%[[G:[^ ]*]] = %arg1[{{.*}}%[[X:[^ ]*]] = %arg2[{{.*}}%[[E:[^ ]*]] = %arg3[
  // CHECK: %[[least:.*]] = arith.constant dense<-7.460000e+02> : tensor<64x16xf64>
  // CHECK: %[[g:.*]] = arith.maximumf %[[G]], %[[least]]
  // CHECK: delta.decay_dot before_row %[[E]], %[[X]] decay(%[[g]] : tensor<64x16xf64>)
  // CHECK: %[[a:.*]] = delta.cumsum %[[g]] : tensor<64x16xf64>
  // CHECK: %[[ea:.*]] = math.exp %[[a]]
  // CHECK: arith.mulf %[[E]], %[[ea]]
  // CHECK: arith.mulf %[[Q]], %[[ea]]
  // CHECK: delta.decay_dot upto_token %[[Q]], %[[X]]
  // CHECK: %[[aC:.*]] = linalg.reduce { arith.addf } ins(%[[g]] : tensor<64x16xf64>) outs(%{{.*}} : tensor<16xf64>) dimensions = [0]
  // CHECK: %[[eaC:.*]] = math.exp %[[aC]] : tensor<16xf64>
  // CHECK: linalg.broadcast ins(%[[eaC]] : tensor<16xf64>) outs(%{{.*}} : tensor<16x8xf64>) dimensions = [1]
  // CHECK: %[[suffix:.*]] = delta.cumsum reverse exclusive %[[g]]
  // CHECK: %[[es:.*]] = math.exp %[[suffix]]
  // CHECK: arith.mulf %[[X]], %[[es]]
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %x erase %e value %v rate %b) initial_state(%s0) scale 1.0
    : tensor<?x?x1x16xf64>, tensor<?x?x1x16xf64>, tensor<?x?x1x16xf64>, tensor<?x?x1x16xf64>, tensor<?x?x1x8xf64>, tensor<?x?x1xf64>, tensor<?x1x16x8xf64>
    -> (tensor<?x?x1x8xf64>, tensor<?x1x16x8xf64>)
  return %o, %sT : tensor<?x?x1x8xf64>, tensor<?x1x16x8xf64>
}

// -----

// A step of one row a token beside one of two: its 32 rows are in tiles of 64, so that the matrix
// of their pairs has as many columns as one of 64 tokens.

// CHECK-LABEL: func.func @different_repeats
func.func @different_repeats(%q: tensor<?x?x1x16xf32>, %g: tensor<?x?x1xf32>, %k: tensor<?x?x1x16xf32>, %v: tensor<?x?x1x8xf32>, %b: tensor<?x?x1xf32>,
    %k2: tensor<?x?x1x16xf32>, %v2: tensor<?x?x1x8xf32>, %s0: tensor<?x1x16x8xf32>) -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>) {
  // CHECK: chunk = 32 {{.*}}%[[g:[^ ]*]] = %arg1[seq, time in 64, head] : {{.*}}%[[K:[^ ]*]] = %arg2[seq, time in 64, head, _] : {{.*}}%[[K2:[^ ]*]] = %arg5[seq, time * 2, head, _] :
  // CHECK: delta.decay_dot before_row %[[K]], %[[K]] decay(%[[g]] : tensor<64xf32>) : tensor<64x16xf32>, tensor<64x16xf32> -> tensor<64x64xf32>
  // CHECK: delta.decay_dot before_token %[[K]], %[[K2]] decay(%[[g]] : tensor<64xf32>) rows [1, 2] : tensor<64x16xf32>, tensor<64x16xf32> -> tensor<64x64xf32>
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %k erase %k value %v rate %b) step(write %k2 value %v2 repeat 2) initial_state(%s0) scale 1.0
    : tensor<?x?x1x16xf32>, tensor<?x?x1xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1xf32>,
      tensor<?x?x1x16xf32>, tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>
    -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>)
  return %o, %sT : tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>
}

// -----

// Three rows a token: 21 tokens of 63 rows (42 of 126 with rows = 128), in tiles
// of 32 tokens and 64 rows; decay vectors are repeated. Only the last row of a
// token is read.

// CHECK-LABEL: func.func @repeat
// ROWS-LABEL: func.func @repeat
func.func @repeat(%q: tensor<?x?x1x16xf32>, %g: tensor<?x?x1xf32>, %k: tensor<?x?x1x16xf32>, %v: tensor<?x?x1x8xf32>, %b: tensor<?x?x1xf32>,
    %s0: tensor<?x1x16x8xf32>) -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>) {
  // ROWS: chunk = 42 {{.*}}[seq, time in 64, head] : {{.*}}[seq, time * 3 in 128, head, _]
  // CHECK: chunk = 21 {{.*}}[seq, time in 32, head] : tensor<?x?x1xf32>, %[[K:[^ ]*]] = %arg2[seq, time * 3 in 64, head, _] : {{.*}} = %arg3[seq, time * 3 in 64, head, _] : {{.*}} = %arg4[seq, time * 3 in 64, head] :
  // CHECK: delta.decay_dot before_row %[[K]], %[[K]] decay(%[[g:[^ ]*]] : tensor<32xf32>) rows [3, 3] : tensor<64x16xf32>, tensor<64x16xf32> -> tensor<64x64xf32>
  // CHECK: %[[ea:.*]] = math.exp %{{.*}} : tensor<32xf32>
  // CHECK: %[[rows:.*]] = delta.repeat_rows %[[ea]] by 3 : tensor<32xf32> -> tensor<64xf32>
  // CHECK: linalg.broadcast ins(%[[rows]] : tensor<64xf32>) outs(%{{.*}} : tensor<64x16xf32>) dimensions = [1]
  // CHECK: delta.decay_dot upto_token %{{.*}}, %[[K]] decay(%[[g]] : tensor<32xf32>) rows [1, 3] : tensor<32x16xf32>, tensor<64x16xf32> -> tensor<32x64xf32>
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %k erase %k value %v rate %b repeat 3) initial_state(%s0) scale 1.0
    : tensor<?x?x1x16xf32>, tensor<?x?x1xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1xf32>, tensor<?x1x16x8xf32>
    -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>)
  return %o, %sT : tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>
}

// -----

// A decay a channel: the first row of each token gets it, the last one the query, by maps
// in front, and the last row of the output is taken behind. Each row is then a token: no
// decay is repeated.

// CHECK-LABEL: func.func @gates_of_rows
func.func @gates_of_rows(%q: tensor<?x?x1x16xf32>, %g: tensor<?x?x2x16xf32>, %k: tensor<?x?x1x16xf32>, %v: tensor<?x?x2x8xf32>, %b: tensor<?x?x2xf32>,
    %s0: tensor<?x2x16x8xf32>) -> (tensor<?x?x2x8xf32>, tensor<?x2x16x8xf32>) {
  // CHECK: %[[q:.*]] = delta.chunk_map chunk = 64 heads = 1 {{.*}} = %arg0[seq, time, head, _] {{.*}} outs([seq, time * 3 row 2, head, _] : tensor<?x?x1x16xf32>)
  // CHECK: %[[g:.*]] = delta.chunk_map chunk = 64 heads = 2 {{.*}} = %arg1[seq, time, head, _] {{.*}} outs([seq, time * 3 row 0, head, _] : tensor<?x?x2x16xf32>)
  // CHECK: %[[o:[^ ,]*]], %[[final:[^ ]*]] = delta.chunk_scan forward chunk = 21 {{.*}}ins(%[[Q:[^ ]*]] = %[[q]][seq, time * 3 in 64, head, _] : {{.*}} %[[G:[^ ]*]] = %[[g]][seq, time * 3 in 64, head, _] : {{.*}} %[[K:[^ ]*]] = %arg2[seq, time * 3 in 64, head, _] : {{.*}} outs([seq, time * 3 in 64, head, _] :
  // CHECK: delta.decay_dot before_row %[[K]], %[[K]] decay(%[[G]] : tensor<64x16xf32>) : tensor<64x16xf32>, tensor<64x16xf32> -> tensor<64x64xf32>
  // CHECK-NOT: delta.repeat_rows
  // CHECK: delta.decay_dot upto_token %[[Q]], %[[K]] decay(%[[G]] : tensor<64x16xf32>) : tensor<64x16xf32>, tensor<64x16xf32> -> tensor<64x64xf32>
  // CHECK: %[[last:.*]] = delta.chunk_map chunk = 64 heads = 2 {{.*}} = %[[o]][seq, time * 3 row 2, head, _] {{.*}} outs([seq, time, head, _] : tensor<?x?x2x8xf32>)
  // CHECK: return %[[last]], %[[final]]
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %k erase %k value %v rate %b repeat 3) initial_state(%s0) scale 1.0
    : tensor<?x?x1x16xf32>, tensor<?x?x2x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2xf32>, tensor<?x2x16x8xf32>
    -> (tensor<?x?x2x8xf32>, tensor<?x2x16x8xf32>)
  return %o, %sT : tensor<?x?x2x8xf32>, tensor<?x2x16x8xf32>
}

// -----

// Read before the decay of all rows, each row has no gate of its own.

// CHECK-LABEL: func.func @reads_before
func.func @reads_before(%q: tensor<?x?x1x16xf32>, %g: tensor<?x?x1x16xf32>, %k: tensor<?x?x1x16xf32>, %v: tensor<?x?x1x8xf32>, %b: tensor<?x?x1xf32>,
    %s0: tensor<?x1x16x8xf32>) -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>) {
  // CHECK-NOT: delta.chunk_map
  // CHECK: delta.repeat_rows
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %k erase %k value %v rate %b repeat 2 before_decay) initial_state(%s0) scale 1.0
    : tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1xf32>, tensor<?x1x16x8xf32>
    -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>)
  return %o, %sT : tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>
}

// -----

// Four rows a token are whole tiles. Without gates 16 tokens are one too.

// CHECK-LABEL: func.func @repeat_without_decay
func.func @repeat_without_decay(%q: tensor<?x?x1x16xf32>, %k: tensor<?x?x1x16xf32>, %v: tensor<?x?x1x8xf32>, %b: tensor<?x?x1xf32>,
    %s0: tensor<?x1x16x8xf32>) -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>) {
  // CHECK: chunk = 16 {{.*}}[seq, time, head, _] : {{.*}}[seq, time * 4, head, _] : {{.*}} outs([seq, time, head, _] :
  %o, %sT = delta.recurrence query(%q) step(write %k erase %k value %v rate %b repeat 4) initial_state(%s0) scale 1.0
    : tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1xf32>, tensor<?x1x16x8xf32>
    -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>)
  return %o, %sT : tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>
}

// -----

// A written row: the rate moves to the erase key, and the system's rates are 1.

// CHECK-LABEL: func.func @written
func.func @written(%q: tensor<?x?x1x16xf32>, %k: tensor<?x?x1x16xf32>, %e: tensor<?x?x1x16xf32>, %y: tensor<?x?x1x8xf32>, %b: tensor<?x?x1xf32>,
    %s0: tensor<?x1x16x8xf32>) -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>) {
  // CHECK: ins({{.*}}%[[K:[^ ]*]] = %arg1[{{.*}}%[[E:[^ ]*]] = %arg2[{{.*}}%[[Y:[^ ]*]] = %arg3[{{.*}}%[[b:[^ ]*]] = %arg4[
  // CHECK: %[[brow:.*]] = linalg.broadcast ins(%[[b]] : tensor<64xf32>)
  // CHECK: %[[bE:.*]] = arith.mulf %[[E]], %[[brow]]
  // CHECK: %[[one:.*]] = arith.constant dense<1.000000e+00> : tensor<64xf32>
  // CHECK: %[[L:.*]] = delta.decay_dot before_row %[[bE]], %[[K]]
  // CHECK: %[[read:.*]] = linalg.contract {{.*}} ins(%[[bE]],
  // CHECK: %[[W:.*]] = arith.subf %[[Y]], %[[read]]
  // CHECK: delta.erase_solve %[[L]], %[[one]], %[[W]]
  %o, %sT = delta.recurrence query(%q) step(write %k erase %e written %y rate %b) initial_state(%s0) scale 1.0
    : tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1xf32>, tensor<?x1x16x8xf32>
    -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>)
  return %o, %sT : tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>
}

// -----

// RWKV-7: the erasing step reads before the decay and writes nothing; the
// write-only step leaves the system, which keeps one row a token.

// CHECK-LABEL: func.func @write_only_leaves
func.func @write_only_leaves(%q: tensor<?x?x1x16xf32>, %g: tensor<?x?x1x16xf32>, %p: tensor<?x?x1x16xf32>, %r: tensor<?x?x1x16xf32>, %k: tensor<?x?x1x16xf32>,
    %v: tensor<?x?x1x8xf32>, %s0: tensor<?x1x16x8xf32>) -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>) {
  // CHECK: ins(%[[Q:[^ ]*]] = %arg0[{{.*}}%[[G:[^ ]*]] = %arg1[{{.*}}%[[P:[^ ]*]] = %arg2[{{.*}}%[[R:[^ ]*]] = %arg3[{{.*}}%[[K:[^ ]*]] = %arg4[{{.*}}%[[V:[^ ]*]] = %arg5[{{.*}}%[[S:[^ ]*]] = %arg6[
  // CHECK: %[[least:.*]] = arith.constant dense<-1.040000e+02> : tensor<64x16xf32>
  // CHECK: %[[g:.*]] = arith.maximumf %[[G]], %[[least]]
  // CHECK: %[[c:.*]] = arith.constant dense<-1.000000e+00> : tensor<64xf32>
  // CHECK: %[[L:.*]] = delta.decay_dot before_token %[[R]], %[[P]] decay(%[[g]] : tensor<64x16xf32>) before_decay
  // CHECK: %[[h:.*]] = delta.cumsum exclusive %[[g]]
  // CHECK: %[[eh:.*]] = math.exp %[[h]]
  // CHECK: %[[Rh:.*]] = arith.mulf %[[R]], %[[eh]]
  // CHECK: %[[RS:.*]] = linalg.contract {{.*}} ins(%[[Rh]], %[[S]]
  // CHECK: %[[M:.*]] = delta.decay_dot before_token %[[R]], %[[K]] decay(%[[g]] : tensor<64x16xf32>) before_decay
  // CHECK: %[[read:.*]] = linalg.contract {{.*}} ins(%[[M]], %[[V]] {{.*}} outs(%[[RS]]
  // CHECK: %[[W:.*]] = arith.negf %[[read]]
  // CHECK: %{{.*}}, %[[U:.*]] = delta.erase_solve %[[L]], %[[c]], %[[W]]
  // CHECK-NOT: delta.erase_solve
  // CHECK: %[[P1:.*]] = delta.decay_dot upto_token %[[Q]], %[[P]]
  // CHECK: %[[O1:.*]] = linalg.contract {{.*}} ins(%[[P1]], %[[U]]
  // CHECK: %[[P2:.*]] = delta.decay_dot upto_token %[[Q]], %[[K]]
  // CHECK: linalg.contract {{.*}} ins(%[[P2]], %[[V]] {{.*}} outs(%[[O1]]
  // CHECK: %[[S1:.*]] = linalg.contract {{.*}} ins(%{{.*}}, %[[U]]
  // CHECK: linalg.contract {{.*}} ins(%{{.*}}, %[[V]] {{.*}} outs(%[[S1]]
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %p erase %r rate -1.0 before_decay) step(write %k written %v) initial_state(%s0) scale 1.0
    : tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>
    -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>)
  return %o, %sT : tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>
}

// -----

// The erasing step sees write-only steps of its own token only if they come first
// (upto_token) and not if they come later (before_token).

// CHECK-LABEL: func.func @order_within_token
func.func @order_within_token(%q: tensor<?x?x1x16xf32>, %k: tensor<?x?x1x16xf32>, %e: tensor<?x?x1x16xf32>, %x: tensor<?x?x1x16xf32>, %v: tensor<?x?x1x8xf32>, %b: tensor<?x?x1xf32>,
    %s0: tensor<?x1x16x8xf32>) -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>) {
  // CHECK: ins({{.*}}%[[K:[^ ]*]] = %arg1[{{.*}}%[[V:[^ ]*]] = %arg4[{{.*}}%[[b:[^ ]*]] = %arg5[{{.*}}%[[E:[^ ]*]] = %arg2[{{.*}}%[[X:[^ ]*]] = %arg3[
  // A value with a rate writes b v.
  // CHECK: %[[brow:.*]] = linalg.broadcast ins(%[[b]] : tensor<64xf32>)
  // CHECK: %[[bV:.*]] = arith.mulf %[[V]], %[[brow]]
  // CHECK: %[[first:.*]] = delta.decay_dot upto_token %[[E]], %[[K]]
  // CHECK: linalg.contract {{.*}} ins(%[[first]], %[[bV]]
  // CHECK: %[[later:.*]] = delta.decay_dot before_token %[[E]], %[[X]]
  // CHECK: linalg.contract {{.*}} ins(%[[later]], %[[V]]
  %o, %sT = delta.recurrence query(%q) step(write %k value %v rate %b) step(write %k erase %e rate %b) step(write %x written %v) initial_state(%s0) scale 1.0
    : tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>
    -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>)
  return %o, %sT : tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>
}

// -----

// Nothing erases: no solve.

// CHECK-LABEL: func.func @linear_attention
func.func @linear_attention(%q: tensor<?x?x1x16xf32>, %k: tensor<?x?x1x16xf32>, %v: tensor<?x?x1x8xf32>, %s0: tensor<?x1x16x8xf32>) -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>) {
  // CHECK: ins(%[[Q:[^ ]*]] = %arg0[{{.*}}%[[K:[^ ]*]] = %arg1[{{.*}}%[[V:[^ ]*]] = %arg2[{{.*}}%[[S:[^ ]*]] = %arg3[
  // CHECK-NOT: delta.erase_solve
  // CHECK: %[[P:.*]] = delta.decay_dot upto_token %[[Q]], %[[K]]
  // CHECK: linalg.contract {{.*}} ins(%[[P]], %[[V]]
  // CHECK: linalg.contract {{.*}} ins(%[[K]], %[[V]] {{.*}} outs(%[[S]] : tensor<16x8xf32>)
  %o, %sT = delta.recurrence query(%q) step(write %k written %v) initial_state(%s0) scale 1.0
    : tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32> -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>)
  return %o, %sT : tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>
}

// -----

// Nothing but a read. Without an initial state the carry starts at zeros, one
// state a sequence: packed or, with an empty cu_seqlens, one a batch row.

// CHECK-LABEL: func.func @no_step_no_state
// CHECK-SAME: (%[[q:.*]]: tensor<?x?x1x16xf32>, %[[cu:.*]]: tensor<?xi32>)
func.func @no_step_no_state(%q: tensor<?x?x1x16xf32>, %cu: tensor<?xi32>) -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>) {
  // CHECK-DAG: %[[batch:.*]] = tensor.dim %[[q]]
  // CHECK-DAG: %[[entries:.*]] = tensor.dim %[[cu]]
  // CHECK: %[[packed:.*]] = arith.cmpi ne, %[[entries]]
  // CHECK: %[[less:.*]] = arith.subi %[[entries]]
  // CHECK: %[[n:.*]] = arith.select %[[packed]], %[[less]], %[[batch]]
  // CHECK: %[[empty:.*]] = tensor.empty(%[[n]]) : tensor<?x1x16x8xf32>
  // CHECK: %[[zeros:.*]] = linalg.fill {{.*}} outs(%[[empty]]
  // CHECK: delta.chunk_scan {{.*}} ins(%[[Q:.*]] = {{.*}}) carry(%[[S:.*]] = %[[zeros]][seq
  // CHECK: %[[O:.*]] = linalg.contract {{.*}} ins(%[[Q]], %[[S]]
  // CHECK-NEXT: delta.yield outs(%[[O]] : tensor<64x8xf32>) carry(%[[S]] : tensor<16x8xf32>)
  %o, %sT = delta.recurrence query(%q) cu_seqlens(%cu) scale 1.0 : tensor<?x?x1x16xf32>, tensor<?xi32> -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>)
  return %o, %sT : tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>
}

// -----

// Rates that are said to reach more than 1, and a number above 1, are of a solve
// that is told so.

// CHECK-LABEL: func.func @rates_above_one
func.func @rates_above_one(%q: tensor<?x?x1x16xbf16>, %k: tensor<?x?x1x16xbf16>, %v: tensor<?x?x1x8xbf16>, %b: tensor<?x?x1xf32>)
    -> (tensor<?x?x1x8xbf16>, tensor<?x?x1x8xbf16>, tensor<?x?x1x8xbf16>) {
  // CHECK: delta.erase_solve above_one %
  %o, %sT = delta.recurrence query(%q) step(write %k erase %k value %v rate %b max_rate 2.0) scale 1.0
    : tensor<?x?x1x16xbf16>, tensor<?x?x1x16xbf16>, tensor<?x?x1x16xbf16>, tensor<?x?x1x8xbf16>, tensor<?x?x1xf32>
    -> (tensor<?x?x1x8xbf16>, tensor<?x1x16x8xf32>)
  // CHECK: delta.erase_solve above_one %
  %o1, %sT1 = delta.recurrence query(%q) step(write %k erase %k value %v rate 1.5) scale 1.0
    : tensor<?x?x1x16xbf16>, tensor<?x?x1x16xbf16>, tensor<?x?x1x16xbf16>, tensor<?x?x1x8xbf16>
    -> (tensor<?x?x1x8xbf16>, tensor<?x1x16x8xf32>)
  // CHECK: delta.erase_solve %
  %o2, %sT2 = delta.recurrence query(%q) step(write %k erase %k value %v rate %b max_rate 1.0) scale 1.0
    : tensor<?x?x1x16xbf16>, tensor<?x?x1x16xbf16>, tensor<?x?x1x16xbf16>, tensor<?x?x1x8xbf16>, tensor<?x?x1xf32>
    -> (tensor<?x?x1x8xbf16>, tensor<?x1x16x8xf32>)
  return %o, %o1, %o2 : tensor<?x?x1x8xbf16>, tensor<?x?x1x8xbf16>, tensor<?x?x1x8xbf16>
}
