// RUN: wyvern-opt %s -delta-form-levels -delta-form-wy=prologue=norm,gates -split-input-file -verify-diagnostics

func.func @product(%q: tensor<?x?x1x16xf32> {delta.name = "q"}, %k: tensor<?x?x1x16xf32> {delta.name = "k"}, %m: tensor<?x?x1x16xf32> {delta.name = "m"},
    %v: tensor<?x?x1x8xf32> {delta.name = "v"}) -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>) {
  %x = arith.mulf %m, %k : tensor<?x?x1x16xf32>
  // expected-error @+1 {{expected q and the keys for the prologue 'norm', the decay and the rates for 'gates', to be arguments of the function}}
  %o, %sT = delta.recurrence query(%q) step(write %x erase %k value %v) scale 1.0
    : tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x8xf32> -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>)
  return %o, %sT : tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>
}

// -----

func.func @name_taken(%q: tensor<?x?x1x16xf32> {delta.name = "q"}, %k: tensor<?x?x1x16xf32> {delta.name = "b"}, %v: tensor<?x?x1x8xf32> {delta.name = "v"},
    %b: tensor<?x?x1xf32> {delta.name = "beta"}) -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>) {
  // expected-error @+1 {{has an operand 'b', which is what its prologue calls one of its own; use another name}}
  %o, %sT = delta.recurrence query(%q) step(write %k erase %k value %v rate %b) scale 1.0
    : tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1xf32> -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>)
  return %o, %sT : tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>
}

// -----

func.func @levels(%q: tensor<?x?x1x16xf32> {delta.name = "q"}, %v: tensor<?x?x1x8xf32> {delta.name = "v"}, %lam: tensor<?x?x4xf32> {delta.name = "level_scales"})
    -> tensor<?x?x1x8xf32> attributes {delta.prologue = ["norm"]} {
  // expected-error @+1 {{expected no prologue beside level scales, which have none yet; compute norms and gates in front of the layer}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %v) level_scales(%lam) scale 1.0
    : tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x8xf32>, tensor<?x?x4xf32> -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>)
  return %o : tensor<?x?x1x8xf32>
}
