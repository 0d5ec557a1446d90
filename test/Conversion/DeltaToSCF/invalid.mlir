// RUN: wyvern-opt %s -convert-delta-to-scf -split-input-file -verify-diagnostics

func.func @recurrence(%q: tensor<?x?x1x8xf32>, %k: tensor<?x?x1x8xf32>, %v: tensor<?x?x1x8xf32>) -> tensor<?x?x1x8xf32> {
  // expected-error @+1 {{expected a chunk program, found a recurrence; run delta-form-wy first}}
  %o, %s = delta.recurrence query(%q) step(write %k value %v) scale 1.0
    : tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32> -> (tensor<?x?x1x8xf32>, tensor<?x1x8x8xf32>)
  return %o : tensor<?x?x1x8xf32>
}
