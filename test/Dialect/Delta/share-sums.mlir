// RUN: wyvern-opt %s -delta-share-sums -canonicalize | FileCheck %s

// The map has made what the sum of a chunk's gates is the last of; the scan does not
// read the gates any more.

// CHECK-LABEL: func.func @gated
// CHECK: %[[MADE:.*]] = delta.chunk_map
// CHECK: delta.chunk_scan forward
// CHECK-SAME: ins(%[[E:[a-zA-Z0-9_]+]] = %[[MADE]][seq, time, head] : tensor<?x?x1xf32>)
// CHECK-SAME: valid(%[[N:.*]]) {
// CHECK: %[[ALL:.*]] = delta.last_row %[[E]], %[[N]] : tensor<8xf32> -> tensor<f32>
// CHECK: linalg.broadcast ins(%[[ALL]]
func.func @gated(%g: tensor<?x?x1xf32>, %s: tensor<?x1x4x4xf32>) -> tensor<?x1x4x4xf32> {
  %e = delta.chunk_map chunk = 8 heads = 1 compute = f32
      ins(%G = %g[seq, time, head] : tensor<?x?x1xf32>) outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %a = delta.cumsum %G : tensor<8xf32>
    %x = math.exp %a : tensor<8xf32>
    delta.yield outs(%x : tensor<8xf32>)
  }
  %t = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32
      ins(%G = %g[seq, time, head] : tensor<?x?x1xf32>, %E = %e[seq, time, head] : tensor<?x?x1xf32>)
      carry(%S = %s[seq, head, _, _] : tensor<?x1x4x4xf32>) outs() valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<f32>
    %sum = linalg.reduce { arith.addf } ins(%G : tensor<8xf32>) outs(%zero : tensor<f32>) dimensions = [0]
    %all = math.exp %sum : tensor<f32>
    %empty = tensor.empty() : tensor<4x4xf32>
    %spread = linalg.broadcast ins(%all : tensor<f32>) outs(%empty : tensor<4x4xf32>) dimensions = [0, 1]
    %T = arith.mulf %spread, %S : tensor<4x4xf32>
    delta.yield carry(%T : tensor<4x4xf32>)
  }
  return %t : tensor<?x1x4x4xf32>
}

// A running sum from the end is another one, and so is that of another tensor.

// CHECK-LABEL: func.func @other
// CHECK: delta.chunk_scan
// CHECK: linalg.reduce
// CHECK-NOT: delta.last_row
// CHECK: return
func.func @other(%g: tensor<?x?x1xf32>, %h: tensor<?x?x1xf32>, %s: tensor<?x1x4x4xf32>) -> tensor<?x1x4x4xf32> {
  %e:2 = delta.chunk_map chunk = 8 heads = 1 compute = f32
      ins(%G = %g[seq, time, head] : tensor<?x?x1xf32>, %H = %h[seq, time, head] : tensor<?x?x1xf32>)
      outs([seq, time, head] : tensor<?x?x1xf32>, [seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %a = delta.cumsum reverse %G : tensor<8xf32>
    %x = math.exp %a : tensor<8xf32>
    %b = delta.cumsum %H : tensor<8xf32>
    %y = math.exp %b : tensor<8xf32>
    delta.yield outs(%x, %y : tensor<8xf32>, tensor<8xf32>)
  }
  %t = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32
      ins(%G = %g[seq, time, head] : tensor<?x?x1xf32>, %E = %e#0[seq, time, head] : tensor<?x?x1xf32>,
          %F = %e#1[seq, time, head] : tensor<?x?x1xf32>)
      carry(%S = %s[seq, head, _, _] : tensor<?x1x4x4xf32>) outs() valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<f32>
    %EF = arith.mulf %E, %F : tensor<8xf32>
    %both = linalg.reduce { arith.addf } ins(%EF : tensor<8xf32>) outs(%zero : tensor<f32>) dimensions = [0]
    %sum = linalg.reduce { arith.addf } ins(%G : tensor<8xf32>) outs(%zero : tensor<f32>) dimensions = [0]
    %exp = math.exp %sum : tensor<f32>
    %all = arith.mulf %exp, %both : tensor<f32>
    %empty = tensor.empty() : tensor<4x4xf32>
    %spread = linalg.broadcast ins(%all : tensor<f32>) outs(%empty : tensor<4x4xf32>) dimensions = [0, 1]
    %T = arith.mulf %spread, %S : tensor<4x4xf32>
    delta.yield carry(%T : tensor<4x4xf32>)
  }
  return %t : tensor<?x1x4x4xf32>
}

// A backward finds it among what its forward has saved.

// CHECK-LABEL: func.func @trained_bwd
// CHECK-SAME: %[[SAVED:[a-zA-Z0-9_]+]]: tensor<?x?x1xf32> {delta.name = "mapped", delta.residual}
// CHECK: delta.chunk_map
// CHECK-SAME: ins(%[[E:[a-zA-Z0-9_]+]] = %[[SAVED]][seq, time, head] : tensor<?x?x1xf32>)
// CHECK: delta.last_row %[[E]]
func.func @trained_fwd(%g: tensor<?x?x1xf32> {delta.name = "g"}) -> (tensor<?x?x1xf32> {delta.name = "mapped", delta.residual}) attributes {delta.backward = @trained_bwd} {
  %e = delta.chunk_map chunk = 8 heads = 1 compute = f32
      ins(%G = %g[seq, time, head] : tensor<?x?x1xf32>) outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %a = delta.cumsum %G : tensor<8xf32>
    %x = math.exp %a : tensor<8xf32>
    delta.yield outs(%x : tensor<8xf32>)
  }
  return %e : tensor<?x?x1xf32>
}
func.func @trained_bwd(%g: tensor<?x?x1xf32> {delta.name = "g"}, %e: tensor<?x?x1xf32> {delta.name = "mapped", delta.residual}) -> (tensor<?x?x1xf32> {delta.name = "d_g"}) {
  %d = delta.chunk_map chunk = 8 heads = 1 compute = f32
      ins(%G = %g[seq, time, head] : tensor<?x?x1xf32>, %E = %e[seq, time, head] : tensor<?x?x1xf32>) outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<f32>
    %sum = linalg.reduce { arith.addf } ins(%G : tensor<8xf32>) outs(%zero : tensor<f32>) dimensions = [0]
    %all = math.exp %sum : tensor<f32>
    %empty = tensor.empty() : tensor<8xf32>
    %spread = linalg.broadcast ins(%all : tensor<f32>) outs(%empty : tensor<8xf32>) dimensions = [0]
    %T = arith.mulf %spread, %E : tensor<8xf32>
    delta.yield outs(%T : tensor<8xf32>)
  }
  return %d : tensor<?x?x1xf32>
}
