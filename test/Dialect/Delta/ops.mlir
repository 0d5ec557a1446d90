// RUN: wyvern-opt %s | wyvern-opt | FileCheck %s

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

// CHECK-LABEL: func.func @chunk_map
func.func @chunk_map(%q: tensor<?x?x1x64xbf16>, %k: tensor<?x?x1x64xbf16>, %g: tensor<?x?x2xf32>) -> tensor<?x?x2x64xbf16> {
  // CHECK: delta.chunk_map chunk = 64 heads = 2 compute = f32 ins(%[[Q:.*]] = %{{.*}}[seq, time, head, _]
  %p = delta.chunk_map chunk = 64 heads = 2 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x64xbf16>, %K = %k[seq, time, head, _] : tensor<?x?x1x64xbf16>, %g_ = %g[seq, time, head] : tensor<?x?x2xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x64xbf16>) valid(%n) {
    // CHECK: delta.decay_dot before_row %{{.*}}, %{{.*}} decay(%{{.*}} : tensor<64xf32>) : tensor<64x64xf32>, tensor<64x64xf32> -> tensor<64x64xf32>
    %P = delta.decay_dot before_row %Q, %K decay(%g_ : tensor<64xf32>) : tensor<64x64xf32>, tensor<64x64xf32> -> tensor<64x64xf32>
    %a = delta.cumsum reverse exclusive %g_ : tensor<64xf32>
    %b = delta.mask_rows %a, %n : tensor<64xf32>
    %Z = delta.erase_factor %P, %b : tensor<64x64xf32>, tensor<64xf32> -> tensor<64x64xf32>
    delta.yield outs(%Z : tensor<64x64xf32>)
  }
  return %p : tensor<?x?x2x64xbf16>
}
