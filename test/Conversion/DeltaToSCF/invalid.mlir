// RUN: wyvern-opt %s -convert-delta-to-scf -split-input-file -verify-diagnostics

func.func @recurrence(%q: tensor<?x?x1x8xf32>, %k: tensor<?x?x1x8xf32>, %v: tensor<?x?x1x8xf32>) -> tensor<?x?x1x8xf32> {
  // expected-error @+1 {{expected a chunk program, found a recurrence; run delta-form-wy first}}
  %o, %s = delta.recurrence query(%q) step(write %k value %v) scale 1.0
    : tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32> -> (tensor<?x?x1x8xf32>, tensor<?x1x8x8xf32>)
  return %o : tensor<?x?x1x8xf32>
}

// -----

func.func @nested(%x: tensor<?x?x1x8xf32>) -> tensor<?x?x1x8xf32> {
  %o = delta.chunk_map chunk = 8 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x8xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x8xf32>) valid(%n) {
    // expected-error @+1 {{expected no chunk program inside another}}
    %Y = delta.chunk_map chunk = 4 heads = 1 compute = f32
        ins(%Z = %X[time, _] : tensor<8x8xf32>)
        outs([time, _] : tensor<8x8xf32>) valid(%m) {
      delta.yield outs(%Z : tensor<4x8xf32>)
    }
    delta.yield outs(%Y : tensor<8x8xf32>)
  }
  return %o : tensor<?x?x1x8xf32>
}
