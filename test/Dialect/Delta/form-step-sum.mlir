// RUN: wyvern-opt %s -delta-form-step -canonicalize | FileCheck %s
// RUN: wyvern-opt %s -delta-form-step -canonicalize | wyvern-opt | FileCheck %s

// A running sum goes on in a pool beside that of states, at the same slots: the step adds the token's angles to it, and hands on what it has
// rotated by. Angles stay between -pi and pi, a turn being taken off in two parts.

// CHECK-LABEL: func.func @turned_step
// CHECK-SAME: %[[theta:[^ ]*]]: tensor<?x?x1x8xf32> {delta.name = "theta"}
// CHECK-SAME: %[[pool:[^ ]*]]: tensor<?x1x8xf32> {delta.name = "phi"}, %{{[^ ]*}}: tensor<?xi32> {delta.name = "read_slots"}
// CHECK-NOT: initial_phi
// CHECK-SAME: -> (tensor<?x?x2x8xf32> {delta.name = "o"}, tensor<?x2x8x16xf32> {delta.name = "state"}, tensor<?x1x8xf32> {delta.name = "phi"})
// CHECK-NOT: delta.running_sum
// CHECK: %[[o:[^,]*]], %[[state:[^,]*]], %[[last:.*]] = delta.chunk_scan
// CHECK-SAME: %[[Theta:[^ ]*]] = %[[theta]][seq, time, head, _]
// CHECK-SAME: %[[before:[^ ]*]] = %[[pool]][slot, head, _] : tensor<?x1x8xf32>
// CHECK: %[[wide:.*]] = linalg.broadcast ins(%[[before]] : tensor<8xf32>)
// CHECK: %[[sum:.*]] = arith.addf %[[wide]], %[[Theta]]
// CHECK: %[[turns:.*]] = math.roundeven
// CHECK: arith.mulf %[[turns]]
// CHECK: arith.mulf %[[turns]]
// CHECK: %[[phi:.*]] = arith.subf
// CHECK: %[[next:.*]] = linalg.reduce { arith.addf } ins(%[[phi]] : tensor<1x8xf32>)
// CHECK: math.cos %[[phi]]
// CHECK: delta.yield outs({{.*}}) carry(%{{[^,]*}}, %[[next]] :
// CHECK: return %[[o]], %[[state]], %[[last]]

func.func @turned(%q: tensor<?x?x1x16xf32> {delta.name = "q"}, %theta: tensor<?x?x1x8xf32> {delta.name = "theta"}, %k: tensor<?x?x1x16xf32> {delta.name = "k"},
    %v: tensor<?x?x2x8xf32> {delta.name = "v"}, %b: tensor<?x?x2xf32> {delta.name = "beta"}, %s0: tensor<?x2x16x8xf32> {delta.name = "initial_state"},
    %p0: tensor<?x1x8xf32> {delta.name = "initial_phi"}, %cu: tensor<?xi64> {delta.name = "cu_seqlens"})
    -> (tensor<?x?x2x8xf32> {delta.name = "o"}, tensor<?x2x16x8xf32> {delta.name = "final_state"}, tensor<?x1x8xf32> {delta.name = "final_phi"}) {
  %phi, %last = delta.running_sum %theta init(%p0 : tensor<?x1x8xf32>) cu_seqlens(%cu : tensor<?xi64>) wrapped : tensor<?x?x1x8xf32> -> tensor<?x1x8xf32>
  %turned = delta.chunk_map chunk = 1 heads = 1 compute = f32 ins(%K = %k[seq, time, head, _] : tensor<?x?x1x16xf32>, %Phi = %phi[seq, time, head, _] : tensor<?x?x1x8xf32>)
      cu_seqlens(%cu : tensor<?xi64>) outs([seq, time, head, _] : tensor<?x?x1x16xf32>) valid(%n) {
    %a, %b1 = delta.split_columns %K : tensor<1x16xf32> -> tensor<1x8xf32>
    %c = math.cos %Phi : tensor<1x8xf32>
    %x = arith.mulf %a, %c : tensor<1x8xf32>
    %y = arith.mulf %b1, %c : tensor<1x8xf32>
    %t = delta.join_columns %x, %y : tensor<1x8xf32> -> tensor<1x16xf32>
    delta.yield outs(%t : tensor<1x16xf32>)
  }
  %o, %sT = delta.recurrence query(%q) step(write %turned erase %turned value %v rate %b) initial_state(%s0) cu_seqlens(%cu) scale 0.25
    : tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2xf32>, tensor<?x2x16x8xf32>, tensor<?xi64>
    -> (tensor<?x?x2x8xf32>, tensor<?x2x16x8xf32>)
  return %o, %sT, %last : tensor<?x?x2x8xf32>, tensor<?x2x16x8xf32>, tensor<?x1x8xf32>
}
