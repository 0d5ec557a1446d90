// RUN: wyvern-opt %s "-delta-form-step=prologue=conv,norm" | FileCheck %s
// RUN: wyvern-opt %s "-delta-form-step=prologue=conv,norm" | wyvern-opt | FileCheck %s

// Rows pass through a convolution in front of their norm. Windows are pools beside that of states, at the same slots, of which key heads have one
// for all of their value heads.

// CHECK-LABEL: func.func @raw_step
// CHECK-SAME: tensor<1x16x4xbf16> {delta.name = "q_filter"}
// CHECK-SAME: tensor<?x3x1x16xbf16> {delta.name = "q_window"}
// CHECK-SAME: tensor<?x3x2x8xbf16> {delta.name = "v_window"}, %{{[^ ]*}}: tensor<?xi32> {delta.name = "read_slots"}
// CHECK-SAME: -> (tensor<?x?x2x8xbf16> {delta.name = "o"}, tensor<?x2x8x16xf32> {delta.name = "state"}, tensor<?x3x1x16xbf16> {delta.name = "q_window"},
// CHECK: %[[Q:[^ ]*]] = %arg0[seq, time, head, _]
// CHECK-SAME: %[[F:[^ ]*]] = %{{[^ ]*}}[head, _, _] : tensor<1x16x4xbf16>
// CHECK-SAME: %[[W:[^ ]*]] = %{{[^ ]*}}[slot, _, head, _] : tensor<?x3x1x16xbf16>
// CHECK: %[[Y:.*]], %[[next:.*]] = delta.conv_row %[[Q]] behind %[[W]] filter %[[F]]
// CHECK: linalg.contract {{.*}} ins(%[[Y]], %[[Y]] :
// CHECK: delta.yield outs({{.*}}) carry(%{{[^,]*}}, %[[next]],
func.func @raw(%q: tensor<?x?x1x16xbf16> {delta.name = "q"}, %g: tensor<?x?x2xf32> {delta.name = "g"}, %k: tensor<?x?x1x16xbf16> {delta.name = "k"},
    %v: tensor<?x?x2x8xbf16> {delta.name = "v"}, %b: tensor<?x?x2xf32> {delta.name = "beta"})
    -> (tensor<?x?x2x8xbf16> {delta.name = "o"}, tensor<?x2x16x8xf32> {delta.name = "final_state"}) {
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %k erase %k value %v rate %b) scale 0.25
    : tensor<?x?x1x16xbf16>, tensor<?x?x2xf32>, tensor<?x?x1x16xbf16>, tensor<?x?x1x16xbf16>, tensor<?x?x2x8xbf16>, tensor<?x?x2xf32>
    -> (tensor<?x?x2x8xbf16>, tensor<?x2x16x8xf32>)
  return %o, %sT : tensor<?x?x2x8xbf16>, tensor<?x2x16x8xf32>
}
