// RUN: wyvern-opt %s -delta-form-step -split-input-file | FileCheck %s
// RUN: wyvern-opt %s -delta-form-step=layout=kv -split-input-file | FileCheck %s --check-prefix=KV
// RUN: wyvern-opt %s "-delta-form-step=state-type=bf16 slot-type=i64 first-slot=1" -split-input-file | FileCheck %s --check-prefix=OPTIONS
// RUN: wyvern-opt %s -delta-form-step -split-input-file | wyvern-opt -split-input-file | FileCheck %s
// RUN: wyvern-opt %s "-delta-form-step=prologue=norm,gates" -split-input-file | FileCheck %s --check-prefix=PROLOGUE
// RUN: wyvern-opt %s "-delta-form-step=epilogue=norm,gate norm-epsilon=0.25" -split-input-file | FileCheck %s --check-prefix=EPILOGUE


// One row a token: no solve, no running sum. The pool takes the place of the states, and its
// result has the argument's name: it is written in place. cu_seqlens is gone.

// CHECK-LABEL: func.func @gated_step
// CHECK-SAME: %[[pool:[^ ]*]]: tensor<?x2x8x16xf32> {delta.name = "state"}, %[[read:[^ ]*]]: tensor<?xi32> {delta.name = "read_slots"}
// CHECK-SAME: %[[write:[^ ]*]]: tensor<?xi32> {delta.name = "write_slots"}, %[[lengths:[^ ]*]]: tensor<?xi32> {delta.name = "lengths"}
// CHECK-SAME: -> (tensor<?x?x2x8xbf16> {delta.name = "o"}, tensor<?x2x8x16xf32> {delta.name = "state"})
// CHECK: delta.chunk_scan forward chunk = 1 heads = 2 compute = f32
// CHECK-SAME: %[[g:[^ ]*]] = %arg1[seq, time, head] : tensor<?x?x2xf32>, %[[K:[^ ]*]] = %arg2
// CHECK-SAME: %[[c:[^ ]*]] = %arg4[seq, time, head] : tensor<?x?x2xf32>
// CHECK-SAME: carry(%[[VK:.*]] = %[[pool]][slot, head, _, _] : tensor<?x2x8x16xf32>) slots(%[[read]], %[[write]] : tensor<?xi32>, first = 0) lengths(%[[lengths]] : tensor<?xi32>)
// CHECK-NOT: delta.
// CHECK: %[[S:.*]] = linalg.transpose ins(%[[VK]]
// CHECK: %[[KS:.*]] = linalg.contract {{.*}} ins(%[[K]], %[[S]]
// CHECK: %[[e:.*]] = math.exp %[[g]]
// CHECK: %[[eV:.*]] = linalg.broadcast ins(%[[e]]
// CHECK: %[[eKS:.*]] = arith.mulf %[[KS]], %[[eV]]
// CHECK: %[[W:.*]] = arith.subf %{{.*}}, %[[eKS]]
// CHECK: %[[cW:.*]] = linalg.broadcast ins(%[[c]]
// CHECK: %[[U:.*]] = arith.mulf %[[W]], %[[cW]]
// CHECK: %[[S1:.*]] = linalg.contract {{.*}} ins(%[[K]], %[[U]] :
// CHECK: %[[VK1:.*]] = linalg.transpose ins(%[[S1]]
// CHECK: delta.yield outs(%{{.*}} : tensor<1x8xf32>) carry(%[[VK1]] : tensor<8x16xf32>)

// KV-LABEL: func.func @gated_step
// KV: carry(%[[S:.*]] = %{{.*}}[slot, head, _, _] : tensor<?x2x16x8xf32>)
// KV-NOT: linalg.transpose

// OPTIONS-LABEL: func.func @gated_step
// OPTIONS: carry(%{{.*}} = %{{.*}}[slot, head, _, _] : tensor<?x2x8x16xbf16>) slots(%{{.*}}, %{{.*}} : tensor<?xi64>, first = 1)

// A norm sums over a row of the output as a product does; the gate and the weight are one
// factor of it.

// EPILOGUE-LABEL: func.func @gated_step
// EPILOGUE-SAME: %[[w:[^ ]*]]: tensor<8xf32> {delta.name = "norm_weight"}, %[[z:[^ ]*]]: tensor<?x?x2x8xbf16> {delta.name = "z"}, %{{[^ ]*}}: tensor<?x2x8x16xf32> {delta.name = "state"}
// EPILOGUE: %[[W:[^ ]*]] = %[[w]][_] : tensor<8xf32>, %[[Z:[^ ]*]] = %[[z]][seq, time, head, _]
// EPILOGUE: %[[scale:.*]] = arith.constant dense<2.500000e-01> : tensor<1x8xf32>
// EPILOGUE-NEXT: %[[o:.*]] = arith.mulf %{{.*}}, %[[scale]] : tensor<1x8xf32>
// EPILOGUE: arith.negf %[[Z]]
// EPILOGUE: %[[root:.*]] = math.rsqrt
// EPILOGUE: %[[sigmoid:.*]] = arith.mulf %[[root]], %[[root]]
// EPILOGUE: %[[gate:.*]] = arith.mulf %[[Z]], %[[sigmoid]]
// EPILOGUE: %[[weights:.*]] = linalg.broadcast ins(%[[W]]
// EPILOGUE: %[[factor:.*]] = arith.mulf %[[gate]], %[[weights]]
// EPILOGUE: %[[squares:.*]] = linalg.contract {{.*}} ins(%[[o]], %[[o]]
// EPILOGUE-NEXT: %[[eighth:.*]] = arith.constant dense<1.250000e-01> : tensor<1xf32>
// EPILOGUE-NEXT: %[[mean:.*]] = arith.mulf %[[squares]], %[[eighth]] : tensor<1xf32>
// EPILOGUE-NEXT: %[[epsilon:.*]] = arith.constant dense<2.500000e-01> : tensor<1xf32>
// EPILOGUE-NEXT: %[[sum:.*]] = arith.addf %[[mean]], %[[epsilon]] : tensor<1xf32>
// EPILOGUE-NEXT: %[[norm:.*]] = math.rsqrt %[[sum]]
// EPILOGUE: %[[norms:.*]] = linalg.broadcast ins(%[[norm]]
// EPILOGUE: %[[even:.*]] = arith.mulf %[[o]], %[[norms]]
// EPILOGUE: %[[out:.*]] = arith.mulf %[[even]], %[[factor]]
// EPILOGUE: delta.yield outs(%[[out]]
func.func @gated(%q: tensor<?x?x1x16xbf16> {delta.name = "q"}, %g: tensor<?x?x2xf32> {delta.name = "g"}, %k: tensor<?x?x1x16xbf16> {delta.name = "k"},
    %v: tensor<?x?x2x8xbf16> {delta.name = "v"}, %b: tensor<?x?x2xf32> {delta.name = "beta"}, %s0: tensor<?x2x16x8xf32> {delta.name = "initial_state"},
    %cu: tensor<?xi64> {delta.name = "cu_seqlens"}) -> (tensor<?x?x2x8xbf16> {delta.name = "o"}, tensor<?x2x16x8xf32> {delta.name = "final_state"}) {
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %k erase %k value %v rate %b) initial_state(%s0) cu_seqlens(%cu) scale 0.25
    : tensor<?x?x1x16xbf16>, tensor<?x?x2xf32>, tensor<?x?x1x16xbf16>, tensor<?x?x1x16xbf16>, tensor<?x?x2x8xbf16>, tensor<?x?x2xf32>, tensor<?x2x16x8xf32>, tensor<?xi64>
    -> (tensor<?x?x2x8xbf16>, tensor<?x2x16x8xf32>)
  return %o, %sT : tensor<?x?x2x8xbf16>, tensor<?x2x16x8xf32>
}

// -----

// Two rows a token: a system of two, of which the upper entries are not read.

// CHECK-LABEL: func.func @product_step
// CHECK: ins(%[[Q:[^ ]*]] = {{.*}}%[[K:[^ ]*]] = %arg1[seq, time * 2, head, _]
// CHECK: %[[L:.*]] = linalg.contract {{.*}} ins(%[[K]], %[[K]] : tensor<2x16xf32>, tensor<2x16xf32>)
// CHECK: delta.erase_solve %[[L]]
func.func @product(%q: tensor<?x?x2x16xbf16>, %k: tensor<?x?x2x16xbf16>, %v: tensor<?x?x2x8xbf16>, %b: tensor<?x?x2xf32>)
    -> (tensor<?x?x2x8xbf16>, tensor<?x2x16x8xf32>) {
  %o, %sT = delta.recurrence query(%q) step(write %k erase %k value %v rate %b repeat 2) scale 1.0
    : tensor<?x?x2x16xbf16>, tensor<?x?x2x16xbf16>, tensor<?x?x2x16xbf16>, tensor<?x?x2x8xbf16>, tensor<?x?x2xf32>
    -> (tensor<?x?x2x8xbf16>, tensor<?x2x16x8xf32>)
  return %o, %sT : tensor<?x?x2x8xbf16>, tensor<?x2x16x8xf32>
}

// -----

// RWKV-7: what reads before the decay sees nothing of its token.

// CHECK-LABEL: func.func @rwkv7_step
// CHECK: ins(%{{.*}}%[[r:[^ ]*]] = %arg3[seq, time, head, _]
// CHECK: %[[S:.*]] = linalg.transpose
// CHECK: linalg.contract {{.*}} ins(%[[r]], %[[S]] :
// CHECK-NOT: delta.erase_solve
func.func @rwkv7(%q: tensor<?x?x1x16xf32>, %g: tensor<?x?x1x16xf32>, %p: tensor<?x?x1x16xf32>, %r: tensor<?x?x1x16xf32>, %k: tensor<?x?x1x16xf32>,
    %v: tensor<?x?x1x8xf32>) -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>) {
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %p erase %r rate -1.0 before_decay) step(write %k value %v) scale 1.0
    : tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x8xf32>
    -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>)
  return %o, %sT : tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>
}

// -----

// A prologue: q and k are divided by their norms, once each; the gate is made of a, A_log and dt_bias.

// PROLOGUE-LABEL: func.func @raw_step
// PROLOGUE-SAME: tensor<?x?x2xbf16> {delta.name = "a"}
// PROLOGUE-SAME: tensor<?x?x2xbf16> {delta.name = "b"}
// PROLOGUE-SAME: tensor<2xf32> {delta.name = "A_log"}, %{{[^ ]*}}: tensor<2xf32> {delta.name = "dt_bias"}
// PROLOGUE: %[[Q:[^ ]*]] = %arg0[seq, time, head, _]
// PROLOGUE-SAME: %[[K:[^ ]*]] = %arg2[seq, time, head, _]
// PROLOGUE-SAME: [head] : tensor<2xf32>, %{{[^ ]*}} = %{{[^ ]*}}[head] : tensor<2xf32>) carry
// PROLOGUE: linalg.contract {{.*}} ins(%[[Q]], %[[Q]] :
// PROLOGUE: math.rsqrt
// PROLOGUE: linalg.contract {{.*}} ins(%[[K]], %[[K]] :
// PROLOGUE: %[[Kn:.*]] = arith.mulf %[[K]], %
// PROLOGUE: math.log1p
// PROLOGUE: linalg.contract {{.*}} ins(%[[Kn]], %
func.func @raw(%q: tensor<?x?x1x16xbf16> {delta.name = "q"}, %g: tensor<?x?x2xf32> {delta.name = "g"}, %k: tensor<?x?x1x16xbf16> {delta.name = "k"},
    %v: tensor<?x?x2x8xbf16> {delta.name = "v"}, %b: tensor<?x?x2xf32> {delta.name = "beta"})
    -> (tensor<?x?x2x8xbf16> {delta.name = "o"}, tensor<?x2x16x8xf32> {delta.name = "final_state"}) {
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %k erase %k value %v rate %b) scale 0.25
    : tensor<?x?x1x16xbf16>, tensor<?x?x2xf32>, tensor<?x?x1x16xbf16>, tensor<?x?x1x16xbf16>, tensor<?x?x2x8xbf16>, tensor<?x?x2xf32>
    -> (tensor<?x?x2x8xbf16>, tensor<?x2x16x8xf32>)
  return %o, %sT : tensor<?x?x2x8xbf16>, tensor<?x2x16x8xf32>
}
