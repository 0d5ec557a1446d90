// RUN: wyvern-opt %s -delta-form-wy=prologue=norm,gates -split-input-file | FileCheck %s
// RUN: wyvern-opt %s -delta-form-wy=prologue=norm -split-input-file | FileCheck %s --check-prefix=NORM
// RUN: wyvern-opt %s -delta-form-wy -split-input-file | FileCheck %s --check-prefix=CHANNEL
// RUN: not wyvern-opt %s -delta-form-wy=prologue=pool -split-input-file 2>&1 | FileCheck %s --check-prefix=PART
// RUN: not wyvern-opt %s -delta-form-wy=prologue=conv -split-input-file 2>&1 | FileCheck %s --check-prefix=CONV
// CONV: has the prologue 'conv', which only a step of decoding computes; add --serving, or convolve q, k and v in front of the layer
// PART: delta-form-wy: prologue: expected one of conv, norm, gates, decay, rates, scale, found pool

// Norms, gates and rates of raw operands, in the region; the gates of tokens past a sequence's end are none.

// CHECK-LABEL: func.func @gated(
// CHECK-SAME: %[[q:[^ ]*]]: tensor<?x?x1x16xbf16>
// CHECK-SAME: %[[a:[^ ]*]]: tensor<?x?x2xbf16> {delta.name = "a"}
// CHECK-SAME: %[[b:[^ ]*]]: tensor<?x?x2xbf16> {delta.name = "b"}
// CHECK-SAME: %[[A:[^ ]*]]: tensor<2xf32> {delta.name = "A_log"}, %[[bias:[^ ]*]]: tensor<2xf32> {delta.name = "dt_bias"}
// CHECK: delta.chunk_scan
// CHECK-SAME: %[[Q:[^ ]*]] = %[[q]][seq, time, head, _]
// CHECK-SAME: %[[Ta:[^ ]*]] = %[[a]][seq, time, head]
// CHECK-SAME: %[[Tb:[^ ]*]] = %[[b]][seq, time, head]
// CHECK-SAME: %[[TA:[^ ]*]] = %[[A]][head] : tensor<2xf32>, %[[Tbias:[^ ]*]] = %[[bias]][head]
// CHECK-SAME: valid(%[[n:.*]]) {
// CHECK: %[[QQ:.*]] = arith.mulf %[[Q]], %[[Q]]
// CHECK: %[[sum:.*]] = linalg.reduce { arith.addf } ins(%[[QQ]] {{.*}} dimensions = [1]
// CHECK: %[[more:.*]] = arith.addf %[[sum]], %{{.*}}
// CHECK: %[[norm:.*]] = math.rsqrt %[[more]]
// CHECK: %[[N:.*]] = linalg.broadcast ins(%[[norm]] {{.*}} dimensions = [1]
// CHECK: %[[Qn:.*]] = arith.mulf %[[Q]], %[[N]]
// CHECK: math.rsqrt
// CHECK: linalg.broadcast
// CHECK: %[[Kn:.*]] = arith.mulf
// CHECK: %[[least:.*]] = arith.constant dense<-8.000000e+01>
// CHECK: %[[logits:.*]] = arith.maximumf %[[Tb]], %[[least]]
// CHECK: %[[rate:.*]] = arith.divf
// CHECK: math.exp %[[TA]] : tensor<f32>
// CHECK: %[[x:.*]] = arith.addf %[[Ta]], %{{.*}} : tensor<64xf32>
// CHECK: math.log1p
// CHECK: %[[floor:.*]] = arith.constant dense<-1.040000e+02>
// CHECK: %[[bounded:.*]] = arith.maximumf %{{.*}}, %[[floor]]
// CHECK: %[[g:.*]] = delta.mask_rows %[[bounded]], %[[n]] : tensor<64xf32>
// CHECK: %[[M:.*]] = delta.decay_dot before_row %[[Kn]], %[[Kn]] decay(%[[g]] : tensor<64xf32>)
// CHECK: delta.erase_solve %[[M]], %[[rate]],
// CHECK: delta.decay_dot upto_token %[[Qn]], %[[Kn]]

// NORM-LABEL: func.func @gated(
// NORM-NOT: "A_log"
// NORM: math.rsqrt
// NORM-NOT: math.log1p
// NORM-NOT: delta.mask_rows
func.func @gated(%q: tensor<?x?x1x16xbf16> {delta.name = "q"}, %g: tensor<?x?x2xf32> {delta.name = "g"}, %k: tensor<?x?x1x16xbf16> {delta.name = "k"},
    %v: tensor<?x?x2x8xbf16> {delta.name = "v"}, %b: tensor<?x?x2xf32> {delta.name = "beta"})
    -> (tensor<?x?x2x8xbf16> {delta.name = "o"}, tensor<?x2x16x8xf32> {delta.name = "final_state"}) {
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %k erase %k value %v rate %b) scale 0.25
    : tensor<?x?x1x16xbf16>, tensor<?x?x2xf32>, tensor<?x?x1x16xbf16>, tensor<?x?x1x16xbf16>, tensor<?x?x2x8xbf16>, tensor<?x?x2xf32>
    -> (tensor<?x?x2x8xbf16>, tensor<?x2x16x8xf32>)
  return %o, %sT : tensor<?x?x2x8xbf16>, tensor<?x2x16x8xf32>
}

// -----

// What the function says of its layer counts too. A rate reaches what the step says.

// NORM-LABEL: func.func @named(
// NORM-SAME: %[[b:[^ ]*]]: tensor<?x?x2xbf16> {delta.name = "b"}
// NORM: %[[most:.*]] = arith.constant dense<2.000000e+00>
// NORM: arith.divf %[[most]],
func.func @named(%q: tensor<?x?x1x16xbf16> {delta.name = "q"}, %k: tensor<?x?x1x16xbf16> {delta.name = "k"}, %v: tensor<?x?x2x8xbf16> {delta.name = "v"},
    %b: tensor<?x?x2xf32> {delta.name = "beta"}) -> (tensor<?x?x2x8xbf16> {delta.name = "o"}, tensor<?x2x16x8xf32> {delta.name = "final_state"})
    attributes {delta.prologue = ["gates"]} {
  %o, %sT = delta.recurrence query(%q) step(write %k erase %k value %v rate %b max_rate 2.0) scale 0.25
    : tensor<?x?x1x16xbf16>, tensor<?x?x1x16xbf16>, tensor<?x?x1x16xbf16>, tensor<?x?x2x8xbf16>, tensor<?x?x2xf32>
    -> (tensor<?x?x2x8xbf16>, tensor<?x2x16x8xf32>)
  return %o, %sT : tensor<?x?x2x8xbf16>, tensor<?x2x16x8xf32>
}

// -----

// A decay a channel comes out of a map in front of the scan, here with a bound. A scale of the call is in the place of
// the layer's, and has no gradient.

// CHANNEL-LABEL: func.func @channel(
// CHANNEL-SAME: %[[a:[^ ]*]]: tensor<?x?x2x16xbf16> {delta.name = "a"}
// CHANNEL-SAME: %[[A:[^ ]*]]: tensor<2xf32> {delta.name = "A_log"}, %[[bias:[^ ]*]]: tensor<2x16xf32> {delta.name = "dt_bias"}, %[[scale:[^ ]*]]: tensor<2xf32> {delta.constant, delta.name = "scale"}
// CHANNEL: %[[g:.*]] = delta.chunk_map chunk = 64 heads = 2 compute = f32
// CHANNEL-SAME: ins(%[[Ta:[^ ]*]] = %[[a]][seq, time, head, _] : {{.*}}, %[[TA:[^ ]*]] = %[[A]][head] : tensor<2xf32>, %[[Tb:[^ ]*]] = %[[bias]][head, _]
// CHANNEL-SAME: outs([seq, time, head, _] : tensor<?x?x2x16xf32>)
// CHANNEL: %[[speed:.*]] = math.exp %[[TA]] : tensor<f32>
// CHANNEL: %[[x:.*]] = arith.addf %[[Ta]],
// CHANNEL: %[[y:.*]] = arith.mulf %{{.*}}, %[[x]]
// CHANNEL: arith.maximumf %[[y]],
// CHANNEL: %[[bound:.*]] = arith.constant dense<-5.000000e+00>
// CHANNEL: %[[gates:.*]] = arith.divf %[[bound]],
// CHANNEL: delta.yield outs(%[[gates]] :
// CHANNEL: } {delta.exact}
// CHANNEL: delta.chunk_scan
// CHANNEL-SAME: %[[G:[^ ]*]] = %[[g]][seq, time, head, _] : tensor<?x?x2x16xf32>
// CHANNEL-SAME: %[[s:[^ ]*]] = %[[scale]][head] : tensor<2xf32>
// CHANNEL: %[[S:.*]] = linalg.broadcast ins(%[[s]] : tensor<f32>) outs(%{{.*}} : tensor<64x8xf32>) dimensions = [0, 1]
// CHANNEL: arith.mulf %{{.*}}, %[[S]]
// CHANNEL-NOT: 2.500000e-01
func.func @channel(%q: tensor<?x?x2x16xbf16> {delta.name = "q"}, %g: tensor<?x?x2x16xf32> {delta.name = "g"}, %k: tensor<?x?x2x16xbf16> {delta.name = "k"},
    %v: tensor<?x?x2x8xbf16> {delta.name = "v"}, %b: tensor<?x?x2xf32> {delta.name = "beta"})
    -> (tensor<?x?x2x8xbf16> {delta.name = "o"}, tensor<?x2x16x8xf32> {delta.name = "final_state"}) attributes {delta.prologue = ["decay", "scale"], delta.lower_bound = -5.0} {
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %k erase %k value %v rate %b) scale 0.25
    : tensor<?x?x2x16xbf16>, tensor<?x?x2x16xf32>, tensor<?x?x2x16xbf16>, tensor<?x?x2x16xbf16>, tensor<?x?x2x8xbf16>, tensor<?x?x2xf32>
    -> (tensor<?x?x2x8xbf16>, tensor<?x2x16x8xf32>)
  return %o, %sT : tensor<?x?x2x8xbf16>, tensor<?x2x16x8xf32>
}
