// RUN: wyvern-opt %s "-delta-pool-states=keep first-slot=1" | FileCheck %s

// The sum goes on from a pool at the slots of the states, and is kept where these are.

// CHECK-LABEL: func.func @turned_prefill_keep
// CHECK-SAME: %[[state:[^ ]*]]: tensor<?x1x4x4xf32> {delta.name = "state"}, %[[pool:[^ ]*]]: tensor<?x1x2xf32> {delta.name = "phi"}
// CHECK-SAME: %[[read:[^ ]*]]: tensor<?xi32> {delta.name = "read_slots"}, %[[write:[^ ]*]]: tensor<?xi32> {delta.name = "write_slots"}, %[[keep:[^ ]*]]: tensor<?xi32> {delta.name = "keep_slots"})
// CHECK-SAME: tensor<?x1x2xf32> {delta.name = "phi"})
// CHECK: delta.running_sum %{{.*}} init(%[[pool]] : tensor<?x1x2xf32>) slots(%[[read]], %[[write]] : tensor<?xi32>, tensor<?xi32>, first = 1) keep(%[[keep]] : tensor<?xi32>, every 8) wrapped

func.func @turned(%x: tensor<?x?x1x4xf32> {delta.name = "x"}, %theta: tensor<?x?x1x2xf32> {delta.name = "theta"}, %s0: tensor<?x1x4x4xf32> {delta.name = "initial_state"},
    %p0: tensor<?x1x2xf32> {delta.name = "initial_phi"})
    -> (tensor<?x?x1x2xf32> {delta.name = "angles"}, tensor<?x1x4x4xf32> {delta.name = "final_state"}, tensor<?x1x2xf32> {delta.name = "final_phi"}) {
  %phi, %last = delta.running_sum %theta init(%p0 : tensor<?x1x2xf32>) wrapped : tensor<?x?x1x2xf32> -> tensor<?x1x2xf32>
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x1x4x4xf32>) outs() valid(%n) {
    delta.yield carry(%S : tensor<4x4xf32>)
  }
  return %phi, %sT, %last : tensor<?x?x1x2xf32>, tensor<?x1x4x4xf32>, tensor<?x1x2xf32>
}
