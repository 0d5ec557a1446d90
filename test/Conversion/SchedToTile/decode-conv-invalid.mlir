// RUN: wyvern-opt %s -delta-form-step=prologue=conv -canonicalize -cse -sched-decode -convert-sched-to-tile -verify-diagnostics

// Eight value heads of two blocks each read one window.
func.func @heads(%q: tensor<?x?x1x128xbf16> {delta.name = "q"}, %v: tensor<?x?x8x128xbf16> {delta.name = "v"})
    -> (tensor<?x?x8x128xbf16> {delta.name = "o"}, tensor<?x8x128x128xf32> {delta.name = "final_state"}) {
  // expected-error @+1 {{has 16 blocks that read one window of a convolution, which one of them writes when all have read it, or that sum over values together: expected at most 8, the blocks of a cluster; use fewer value heads a key head, or convolve in front of the step}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %v) scale 1.0
    : tensor<?x?x1x128xbf16>, tensor<?x?x1x128xbf16>, tensor<?x?x8x128xbf16> -> (tensor<?x?x8x128xbf16>, tensor<?x8x128x128xf32>)
  return %o, %sT : tensor<?x?x8x128xbf16>, tensor<?x8x128x128xf32>
}
