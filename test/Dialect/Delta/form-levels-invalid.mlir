// RUN: wyvern-opt %s -delta-form-levels -split-input-file -verify-diagnostics

func.func @reads_final_state(%q: tensor<?x?x1x16xf32>, %v: tensor<?x?x1x8xf32>, %lam: tensor<?x?x4xf32>) -> tensor<?x1x16x8xf32> {
  // expected-error @+1 {{expected nothing to read the final state of a recurrence with levels and without positions: it is the sum of its levels, which the heads of the chunk program do not have at a sequence's end}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %v) level_scales(%lam) scale 1.0
    : tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x8xf32>, tensor<?x?x4xf32> -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>)
  return %sT : tensor<?x1x16x8xf32>
}

// -----

func.func @two_erasing_steps(%q: tensor<?x?x1x16xf32>, %v: tensor<?x?x1x8xf32>, %lam: tensor<?x?x4xf32>) -> tensor<?x?x1x8xf32> {
  // expected-error @+1 {{expected at most one step with an erase key, found steps #0 and #1}}
  %o, %sT = delta.recurrence query(%q) step(write %q erase %q value %v) step(write %q erase %q value %v) level_scales(%lam) scale 1.0
    : tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x8xf32>, tensor<?x?x4xf32>
    -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>)
  return %o : tensor<?x?x1x8xf32>
}

// -----

func.func @token_larger_than_chunk(%q: tensor<?x?x1x16xf32>, %v: tensor<?x?x1x8xf32>, %lam: tensor<?x?x4xf32>) -> tensor<?x?x1x8xf32> {
  // expected-error @+1 {{expected at most 64 rows a token, found a step that repeats 65 times}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %v repeat 65) level_scales(%lam) scale 1.0
    : tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x8xf32>, tensor<?x?x4xf32> -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>)
  return %o : tensor<?x?x1x8xf32>
}
