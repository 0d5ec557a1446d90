// RUN: wyvern-opt %s -delta-group-terms -split-input-file | FileCheck %s

// Keys stand behind a gate (%tf, a term of a state) and before one (%y); %w is of a running
// sum over earlier rows. The gradient of the gate has each of these times the keys, and the
// queries' times these. What drops it where the gate is at its bound comes behind.

// CHECK-LABEL: func.func @grouped(
// CHECK: ins(%[[Q:[a-z0-9]+]] = %arg0[{{.*}}, %[[K:[a-z0-9]+]] = %arg0[{{.*}}, %[[G:[a-z0-9]+]] = %arg1[{{.*}}, %[[T:[a-z0-9]+]] = %arg0[{{.*}}, %[[M:[a-z0-9]+]] = %arg2[
// CHECK: %[[F:.*]] = math.exp %[[G]]
// CHECK: %[[DQ:.*]] = delta.decay_apply{{ +}}upto_token %[[M]], %[[K]]
// CHECK: %[[Y:.*]] = delta.decay_apply{{ +}}upto_token transpose %[[M]], %[[Q]]
// CHECK: %[[TF:.*]] = arith.mulf %[[T]], %[[F]]
// CHECK: %[[W:.*]] = arith.mulf %[[T]], %[[G]]
// CHECK: %[[SPREAD:.*]] = linalg.broadcast
// CHECK-NOT: cumsum
// CHECK: %[[TY:.*]] = arith.addf %[[TF]], %[[Y]]
// CHECK: %[[D:.*]] = arith.subf %[[TF]], %[[Y]]
// CHECK: %[[KD:.*]] = arith.mulf %[[K]], %[[D]]
// CHECK: %[[KW:.*]] = arith.mulf %[[K]], %[[W]]
// CHECK: %[[DK:.*]] = arith.addf %[[TY]], %[[W]]
// CHECK: %[[SUM:.*]] = arith.subf %[[DQ]], %[[TF]]
// CHECK: %[[QD:.*]] = arith.mulf %[[Q]], %[[SUM]]
// CHECK: %[[ROWS:.*]] = arith.addf %[[KD]], %[[QD]]
// CHECK: %[[LATER:.*]] = delta.cumsum reverse %[[ROWS]]
// CHECK: %[[EARLIER:.*]] = delta.cumsum exclusive %[[KW]]
// CHECK: %[[BOTH:.*]] = arith.addf %[[LATER]], %[[EARLIER]]
// CHECK: %[[DG:.*]] = arith.addf %[[BOTH]], %[[SPREAD]]
// CHECK: %[[DROPPED:.*]] = arith.select %{{.*}}, %[[DG]], %
// CHECK: delta.yield outs(%[[SUM]], %[[DROPPED]], %[[DK]] :
func.func @grouped(%q: tensor<?x?x1x8xf32>, %g: tensor<?x?x1x8xf32>, %m: tensor<?x?x1x4xf32>, %v: tensor<?x1x8xf32>) -> (tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>) {
  %o:3 = delta.chunk_map chunk = 4 heads = 1 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x8xf32>, %K = %q[seq, time, head, _] : tensor<?x?x1x8xf32>, %G = %g[seq, time, head, _] : tensor<?x?x1x8xf32>, %T = %q[seq, time, head, _] : tensor<?x?x1x8xf32>, %M = %m[seq, time, head, _] : tensor<?x?x1x4xf32>, %V = %v[chunk, head, _] : tensor<?x1x8xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x8xf32>, [seq, time, head, _] : tensor<?x?x1x8xf32>, [seq, time, head, _] : tensor<?x?x1x8xf32>) valid(%n) {
    %F = math.exp %G : tensor<4x8xf32>
    %dq = delta.decay_apply upto_token %M, %K decay(%G : tensor<4x8xf32>) : tensor<4x4xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
    %y = delta.decay_apply upto_token transpose %M, %Q decay(%G : tensor<4x8xf32>) : tensor<4x4xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
    // dq has a term of the state too: -T F.
    %tf = arith.mulf %T, %F : tensor<4x8xf32>
    %dq1 = arith.subf %dq, %tf : tensor<4x8xf32>
    %w = arith.mulf %T, %G : tensor<4x8xf32>
    %wy = arith.addf %w, %y : tensor<4x8xf32>
    %dk = arith.addf %wy, %tf : tensor<4x8xf32>
    // (K T - Q T) F, of which the gate's sum over later rows is; Q dq - K y.
    %kt = arith.mulf %K, %T : tensor<4x8xf32>
    %qt = arith.mulf %Q, %T : tensor<4x8xf32>
    %d = arith.subf %kt, %qt : tensor<4x8xf32>
    %df = arith.mulf %d, %F : tensor<4x8xf32>
    %s0 = delta.cumsum reverse %df : tensor<4x8xf32>
    %qd = arith.mulf %Q, %dq : tensor<4x8xf32>
    %ky = arith.mulf %y, %K : tensor<4x8xf32>
    %e = arith.subf %qd, %ky : tensor<4x8xf32>
    %s1 = delta.cumsum reverse %e : tensor<4x8xf32>
    // Over earlier rows.
    %kw = arith.mulf %w, %K : tensor<4x8xf32>
    %s2 = delta.cumsum exclusive %kw : tensor<4x8xf32>
    %init = tensor.empty() : tensor<4x8xf32>
    %b = linalg.broadcast ins(%V : tensor<8xf32>) outs(%init : tensor<4x8xf32>) dimensions = [0]
    %a0 = arith.addf %s2, %b : tensor<4x8xf32>
    %a1 = arith.addf %a0, %s1 : tensor<4x8xf32>
    %dg = arith.addf %a1, %s0 : tensor<4x8xf32>
    %least = arith.constant dense<-104.0> : tensor<4x8xf32>
    %zero = arith.constant dense<0.0> : tensor<4x8xf32>
    %above = arith.cmpf ogt, %G, %least : tensor<4x8xf32>
    %dropped = arith.select %above, %dg, %zero : tensor<4x8xi1>, tensor<4x8xf32>
    delta.yield outs(%dq1, %dropped, %dk : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>)
  }
  return %o#0, %o#1, %o#2 : tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>
}

// -----

// What the gate's gradient has beside is of no other sum: nothing is changed.

// CHECK-LABEL: func.func @of_no_sum(
// CHECK: %[[QR:.*]] = arith.mulf
// CHECK: delta.cumsum reverse %[[QR]]
// CHECK: delta.cumsum exclusive
func.func @of_no_sum(%q: tensor<?x?x1x8xf32>, %g: tensor<?x?x1x8xf32>, %m: tensor<?x?x1x4xf32>) -> (tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>) {
  %o:2 = delta.chunk_map chunk = 4 heads = 1 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x8xf32>, %G = %g[seq, time, head, _] : tensor<?x?x1x8xf32>, %T = %q[seq, time, head, _] : tensor<?x?x1x8xf32>, %M = %m[seq, time, head, _] : tensor<?x?x1x4xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x8xf32>, [seq, time, head, _] : tensor<?x?x1x8xf32>) valid(%n) {
    %dq = delta.decay_apply upto_token %M, %Q decay(%G : tensor<4x8xf32>) : tensor<4x4xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
    %dq1 = arith.addf %dq, %T : tensor<4x8xf32>
    %qd = arith.mulf %Q, %dq : tensor<4x8xf32>
    %s1 = delta.cumsum reverse %qd : tensor<4x8xf32>
    %tg = arith.mulf %T, %G : tensor<4x8xf32>
    %s2 = delta.cumsum exclusive %tg : tensor<4x8xf32>
    %dg = arith.addf %s1, %s2 : tensor<4x8xf32>
    delta.yield outs(%dq1, %dg : tensor<4x8xf32>, tensor<4x8xf32>)
  }
  return %o#0, %o#1 : tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>
}
