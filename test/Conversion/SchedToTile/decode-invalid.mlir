// RUN: wyvern-opt %s -delta-form-step -canonicalize -cse -sched-decode -convert-sched-to-tile -split-input-file -verify-diagnostics

// Rows of 16 bytes do not divide 6 keys.
func.func @keys(%q: tensor<?x?x1x6xbf16> {delta.name = "q"}, %v: tensor<?x?x1x64xbf16> {delta.name = "v"})
    -> (tensor<?x?x1x64xbf16> {delta.name = "o"}, tensor<?x1x6x64xf32> {delta.name = "final_state"}) {
  // expected-error @+1 {{expected a state that 4 warps can share: rows in pieces of 16 bytes (4 elements) along its last dimension}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %v) scale 1.0
    : tensor<?x?x1x6xbf16>, tensor<?x?x1x6xbf16>, tensor<?x?x1x64xbf16> -> (tensor<?x?x1x64xbf16>, tensor<?x1x6x64xf32>)
  return %o, %sT : tensor<?x?x1x64xbf16>, tensor<?x1x6x64xf32>
}

// -----

func.func @double(%q: tensor<?x?x1x64xf64> {delta.name = "q"}, %v: tensor<?x?x1x64xf64> {delta.name = "v"})
    -> (tensor<?x?x1x64xf64> {delta.name = "o"}, tensor<?x1x64x64xf64> {delta.name = "final_state"}) {
  // expected-error @+1 {{has a role on the CUDA cores; the GPU path takes it for chunks of one token, in f32, on a pool of states, without cu_seqlens, keep and else zeros, found chunks of 1 in 'f64' (target "cpu" takes all)}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %v) scale 1.0
    : tensor<?x?x1x64xf64>, tensor<?x?x1x64xf64>, tensor<?x?x1x64xf64> -> (tensor<?x?x1x64xf64>, tensor<?x1x64x64xf64>)
  return %o, %sT : tensor<?x?x1x64xf64>, tensor<?x1x64x64xf64>
}
