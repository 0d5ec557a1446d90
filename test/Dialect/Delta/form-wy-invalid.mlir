// RUN: wyvern-opt %s -delta-form-wy -split-input-file -verify-diagnostics

func.func @two_erasing_steps(%q: tensor<?x?x1x16xf32>, %k: tensor<?x?x1x16xf32>, %v: tensor<?x?x1x8xf32>) -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>) {
  // expected-error @+1 {{expected at most one step with an erase key, found steps #0 and #2: their rows would interleave in one triangular system; give equal steps as one step with 'repeat n' and n rows a token}}
  %o, %sT = delta.recurrence query(%q) step(write %k erase %k value %v) step(write %k written %v) step(write %k erase %k rate 0.5) scale 1.0
    : tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>
    -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>)
  return %o, %sT : tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>
}

// -----

func.func @token_larger_than_chunk(%q: tensor<?x?x1x16xf32>, %k: tensor<?x?x1x16xf32>, %v: tensor<?x?x1x8xf32>) -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>) {
  // expected-error @+1 {{expected at most 64 rows a token, found a step that repeats 65 times: one token must fit a chunk; raise the option 'rows' of delta-form-wy}}
  %o, %sT = delta.recurrence query(%q) step(write %k written %v repeat 65) scale 1.0
    : tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x8xf32> -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>)
  return %o, %sT : tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>
}

// -----

func.func @state_types_differ(%q: tensor<?x?x1x16xf32>, %s0: tensor<?x1x16x8xbf16>) -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>) {
  // expected-error @+1 {{expected initial and final state of one element type, found 'tensor<?x1x16x8xbf16>' and 'tensor<?x1x16x8xf32>'; convert the initial state first}}
  %o, %sT = delta.recurrence query(%q) initial_state(%s0) scale 1.0 : tensor<?x?x1x16xf32>, tensor<?x1x16x8xbf16> -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>)
  return %o, %sT : tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>
}

// -----

func.func @levels(%q: tensor<?x?x1x16xf32>, %v: tensor<?x?x1x8xf32>, %lam: tensor<?x?x4xf32>) -> tensor<?x?x1x8xf32> {
  // expected-error @+1 {{expected no level scales; run delta-form-levels first}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %v) level_scales(%lam) scale 1.0
    : tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x8xf32>, tensor<?x?x4xf32> -> (tensor<?x?x1x8xf32>, tensor<?x1x16x8xf32>)
  return %o : tensor<?x?x1x8xf32>
}

// -----

// Rows of one token that meet would meet those of others in a longer chunk.

func.func @mixed(%k: tensor<?x?x1x16xbf16>, %v: tensor<?x?x1x8xbf16>) -> tensor<?x?x1x8xbf16> {
  %made = delta.chunk_map chunk = 1 heads = 1 compute = f32 ins(%K = %k[seq, time * 2, head, _] : tensor<?x?x1x16xbf16>)
      outs([seq, time * 2, head, _] : tensor<?x?x1x16xbf16>) valid(%n) {
    // expected-error @+1 {{combines rows of a chunk; a map of chunks of one token that makes operands of a recurrence computes each row by itself}}
    %K1 = delta.cumsum %K : tensor<2x16xf32>
    delta.yield outs(%K1 : tensor<2x16xf32>)
  }
  %o, %sT = delta.recurrence query(%k) step(write %made value %v repeat 2) scale 1.0
      : tensor<?x?x1x16xbf16>, tensor<?x?x1x16xbf16>, tensor<?x?x1x8xbf16> -> (tensor<?x?x1x8xbf16>, tensor<?x1x16x8xf32>)
  return %o : tensor<?x?x1x8xbf16>
}
