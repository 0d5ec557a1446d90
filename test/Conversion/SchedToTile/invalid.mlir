// RUN: wyvern-opt %s -sched-separate -convert-sched-to-tile -split-input-file -verify-diagnostics
//
// What the GPU path does not take is refused with what was expected and what to do,
// never compiled into something else.

//===----------------------------------------------------------------------===//
// The function
//===----------------------------------------------------------------------===//

func.func @sequence_level(%q: tensor<?x?x1x64xbf16> {delta.name = "q"}) -> (tensor<?x?x1x64xbf16> {delta.name = "o"}) {
  // expected-error @+1 {{expected a kernel, found a recurrence; run delta-form-wy and a strategy first}}
  %o, %s = delta.recurrence query(%q) step(write %q value %q) scale 1.0
    : tensor<?x?x1x64xbf16>, tensor<?x?x1x64xbf16>, tensor<?x?x1x64xbf16> -> (tensor<?x?x1x64xbf16>, tensor<?x1x64x64xf32>)
  return %o : tensor<?x?x1x64xbf16>
}

// -----

func.func @outside(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}) -> (tensor<?x?x1x64xbf16> {delta.name = "y"}) {
  // expected-error @+1 {{'arith.negf' op stands outside of the kernels; the GPU path runs kernels and nothing else so far (compute it before the call, or use target "cpu")}}
  %y = arith.negf %x : tensor<?x?x1x64xbf16>
  return %y : tensor<?x?x1x64xbf16>
}

// -----

// expected-error @+1 {{result #1: expected a result of a kernel that is returned once, with a delta.name; the GPU path copies no tensors}}
func.func @returned_twice(%x: tensor<?x?x1xf32> {delta.name = "x"})
    -> (tensor<?x?x1xf32> {delta.name = "y"}, tensor<?x?x1xf32> {delta.name = "z"}) {
  %y = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head] : tensor<?x?x1xf32>)
      outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %Y = math.exp %X : tensor<64xf32>
    delta.yield outs(%Y : tensor<64xf32>)
  }
  return %y, %y : tensor<?x?x1xf32>, tensor<?x?x1xf32>
}

// -----

// expected-error @+1 {{result #0: expected a result of a kernel that is returned once, with a delta.name; the GPU path copies no tensors}}
func.func @returned_as_it_came(%x: tensor<?x?x1xf32> {delta.name = "x"}) -> (tensor<?x?x1xf32> {delta.name = "y"}) {
  return %x : tensor<?x?x1xf32>
}

// -----

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

func.func @unnamed(%x: tensor<?x?x1x64xbf16>) -> (tensor<?x?x1x64xbf16> {delta.name = "y"}) {
  // expected-error @+1 {{in #0 is neither an argument with a delta.name nor another chunk program's out}}
  %y = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    delta.yield outs(%X : tensor<64x64xf32>)
  }
  return %y : tensor<?x?x1x64xbf16>
}

// -----

func.func @computes_f64(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}) -> (tensor<?x?x1x64xbf16> {delta.name = "y"}) {
  // expected-error @+1 {{computes in 'f64'; the GPU path computes in f32 (target "cpu" takes all)}}
  %y = delta.chunk_map chunk = 64 heads = 1 compute = f64
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    delta.yield outs(%X : tensor<64x64xf64>)
  }
  return %y : tensor<?x?x1x64xbf16>
}

// -----

func.func @no_time(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %w: tensor<1x64x64xbf16> {delta.name = "w"})
    -> (tensor<?x?x1x64xbf16> {delta.name = "y"}) {
  // expected-error @+1 {{in #1 is bound to #delta.binding<[head, _, _]>; the GPU path takes operands with a time or a chunk dimension}}
  %y = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %W = %w[head, _, _] : tensor<1x64x64xbf16>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    %Y = arith.addf %X, %W : tensor<64x64xf32>
    delta.yield outs(%Y : tensor<64x64xf32>)
  }
  return %y : tensor<?x?x1x64xbf16>
}

// -----

func.func @f64_matrix(%x: tensor<?x?x1x64xf64> {delta.name = "x"}) -> (tensor<?x?x1x64xbf16> {delta.name = "y"}) {
  // expected-error @+1 {{in #0 of type 'tensor<?x?x1x64xf64>': the GPU path takes vectors of f32, bf16 or f16, matrices of bf16 or f16, and f32 rows of tokens that are no out of a scan; choose dtype bf16 or f16 (delta-assign-precision), or target "cpu"}}
  %y = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xf64>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    delta.yield outs(%X : tensor<64x64xf32>)
  }
  return %y : tensor<?x?x1x64xbf16>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

func.func @f32_out_of_scan(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %s: tensor<?x1x64x64xf32> {delta.name = "s"})
    -> (tensor<?x?x1x64xf32> {delta.name = "y"}, tensor<?x1x64x64xf32> {delta.name = "t"}) {
  // expected-error @+1 {{out #0 of type 'tensor<?x?x1x64xf32>': the GPU path takes vectors of f32, bf16 or f16, matrices of bf16 or f16, and f32 rows of tokens that are no out of a scan;}}
  %y, %t = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      carry(%S = %s[seq, head, _, _] : tensor<?x1x64x64xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x64xf32>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    %Xb = arith.truncf %X : tensor<64x64xf32> to tensor<64x64xbf16>
    %Sb = arith.truncf %S : tensor<64x64xf32> to tensor<64x64xbf16>
    %Y = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%Xb, %Sb : tensor<64x64xbf16>, tensor<64x64xbf16>) outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
    delta.yield outs(%Y : tensor<64x64xf32>) carry(%S : tensor<64x64xf32>)
  }
  return %y, %t : tensor<?x?x1x64xf32>, tensor<?x1x64x64xf32>
}

// -----

func.func @f64_vector(%x: tensor<?x?x1xf64> {delta.name = "x"}) -> (tensor<?x?x1xf32> {delta.name = "y"}) {
  // expected-error @+1 {{in #0 of type 'tensor<?x?x1xf64>': the GPU path takes vectors of f32, bf16 or f16, matrices of bf16 or f16, and f32 rows of tokens}}
  %y = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head] : tensor<?x?x1xf64>)
      outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    delta.yield outs(%X : tensor<64xf32>)
  }
  return %y : tensor<?x?x1xf32>
}

// -----

func.func @three_dimensions(%x: tensor<?x?x1x2x64xbf16> {delta.name = "x"}) -> (tensor<?x?x1x2x64xbf16> {delta.name = "y"}) {
  // expected-error @+1 {{in #0 of type 'tensor<?x?x1x2x64xbf16>': the GPU path takes vectors of f32, bf16 or f16, matrices of bf16 or f16, and f32 rows of tokens}}
  %y = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _, _] : tensor<?x?x1x2x64xbf16>)
      outs([seq, time, head, _, _] : tensor<?x?x1x2x64xbf16>) valid(%n) {
    delta.yield outs(%X : tensor<64x2x64xf32>)
  }
  return %y : tensor<?x?x1x2x64xbf16>
}

// -----

func.func @narrow_head(%x: tensor<?x?x1x96xbf16> {delta.name = "x"}) -> (tensor<?x?x1x96xbf16> {delta.name = "y"}) {
  // expected-error @+1 {{in #0 of type 'tensor<?x?x1x96xbf16>': expected a last dimension that is kept whole and a multiple of 8 (TMA), in tiles of a multiple of 64 (wgmma; delta-pad-dims makes them)}}
  %y = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x96xbf16>)
      outs([seq, time, head, _] : tensor<?x?x1x96xbf16>) valid(%n) {
    delta.yield outs(%X : tensor<64x96xf32>)
  }
  return %y : tensor<?x?x1x96xbf16>
}

// -----

func.func @time_last(%x: tensor<?x1x64x?xbf16> {delta.name = "x"}) -> (tensor<?x?x1x64xbf16> {delta.name = "y"}) {
  // expected-error @+1 {{in #0 of type 'tensor<?x1x64x?xbf16>': expected a last dimension that is kept whole and a multiple of 8}}
  %y = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, head, _, time] : tensor<?x1x64x?xbf16>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    delta.yield outs(%X : tensor<64x64xf32>)
  }
  return %y : tensor<?x?x1x64xbf16>
}

// -----

func.func @odd_rows(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}) -> (tensor<?x?x1x64xbf16> {delta.name = "y"}) {
  // expected-error @+1 {{in #0 has 63 rows a chunk; the GPU path takes a multiple of 16 (what wgmma sums over): bind it to time * n in m, which has as many (delta-form-wy)}}
  %y = delta.chunk_map chunk = 63 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    delta.yield outs(%X : tensor<63x64xf32>)
  }
  return %y : tensor<?x?x1x64xbf16>
}

// -----

func.func @row_in_a_channel(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}) -> (tensor<?x?x1x64xbf16> {delta.name = "y"}) {
  // expected-error @+1 {{in #0 is bound to #delta.binding<[seq, time * 2 row 1, head, _]> and goes through a channel; the GPU path copies rows one after the other: load it in the role that computes (sched-separate)}}
  %y = sched.kernel "y_map" grid(heads = 1, split = 1, over = slots of 1) chunk = 64 compute = f32 min_blocks 3
      ins(%in = %x[seq, time * 2 row 1, head, _] : tensor<?x?x1x64xbf16>) outs(%out = [seq, time, head, _] : tensor<?x?x1x64xbf16>) {
    %c = sched.channel depth 1 fill tma : <tensor<64x64xbf16>>
    sched.role "compute" warps 4 {
      sched.each_chunk forward valid(%n) {
        %t = sched.get %c : <tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %t to %out : tensor<64x64xf32>, <tensor<?x?x1x64xbf16>>
        sched.yield
      }
    }
    sched.role "load" warps 1 {
      sched.each_chunk forward valid(%n) {
        %t = sched.load %in : <tensor<?x?x1x64xbf16>> -> tensor<64x64xf32>
        sched.put %t to %c : <tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return %y : tensor<?x?x1x64xbf16>
}

// -----

func.func @short_vector(%x: tensor<?x?x1xf32> {delta.name = "x"}) -> (tensor<?x?x1xf32> {delta.name = "y"}) {
  // expected-error @+1 {{in #0 has 16 elements a chunk; the GPU path takes multiples of 32 (a warp's lanes): bind it to time * n in m, which has as many (delta-form-wy; target "cpu" takes all)}}
  %y = delta.chunk_map chunk = 16 heads = 1 compute = f32
      ins(%X = %x[seq, time, head] : tensor<?x?x1xf32>)
      outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    delta.yield outs(%X : tensor<16xf32>)
  }
  return %y : tensor<?x?x1xf32>
}

// -----

func.func @slots_of_a_result(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}) -> (tensor<?x1x64x64xbf16> {delta.name = "y"}) {
  // expected-error @+1 {{out #0 has a slot a chunk and is an argument or a result of the function; the GPU path keeps such tensors in the workspace, between chunk programs, or saves them (delta.residual) for the backward}}
  %y = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      outs([chunk, head, _, _] : tensor<?x1x64x64xbf16>) valid(%n) {
    delta.yield outs(%X : tensor<64x64xf32>)
  }
  return %y : tensor<?x1x64x64xbf16>
}

// -----

func.func @slots_of_an_argument(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %s: tensor<?x1x64x64xbf16> {delta.name = "s"})
    -> (tensor<?x?x1x64xbf16> {delta.name = "y"}) {
  // expected-error @+1 {{in #1 has a slot a chunk and is an argument or a result of the function}}
  %y = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %S = %s[chunk, head, _, _] : tensor<?x1x64x64xbf16>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    %Y = arith.addf %X, %S : tensor<64x64xf32>
    delta.yield outs(%Y : tensor<64x64xf32>)
  }
  return %y : tensor<?x?x1x64xbf16>
}

// -----

//===----------------------------------------------------------------------===//
// Carries
//===----------------------------------------------------------------------===//

func.func @state_not_f32(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %s: tensor<?x1x64x64xbf16> {delta.name = "s"})
    -> (tensor<?x1x64x64xbf16> {delta.name = "t"}) {
  // expected-error @+1 {{carry #0: expected an f32 argument of the function as initial state}}
  %t = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      carry(%S = %s[seq, head, _, _] : tensor<?x1x64x64xbf16>) outs() valid(%n) {
    %T = arith.addf %S, %X : tensor<64x64xf32>
    delta.yield carry(%T : tensor<64x64xf32>)
  }
  return %t : tensor<?x1x64x64xbf16>
}

// -----

// A normaliser beside the state: no dimension of it is split over blocks.

func.func @vector_carry(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %s: tensor<?x1x64x64xf32> {delta.name = "s"},
                        %z: tensor<?x1x64xf32> {delta.name = "z"})
    -> (tensor<?x1x64x64xf32> {delta.name = "t"}, tensor<?x1x64xf32> {delta.name = "u"}) {
  // expected-error @+1 {{carry #1 is 'tensor<64xf32>', expected a matrix with the state's value dimension: the dimension that is split over blocks}}
  %t, %u = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      carry(%S = %s[seq, head, _, _] : tensor<?x1x64x64xf32>, %Z = %z[seq, head, _] : tensor<?x1x64xf32>)
      outs() valid(%n) {
    %T = arith.addf %S, %X : tensor<64x64xf32>
    %U = arith.addf %Z, %Z : tensor<64xf32>
    delta.yield carry(%T, %U : tensor<64x64xf32>, tensor<64xf32>)
  }
  return %t, %u : tensor<?x1x64x64xf32>, tensor<?x1x64xf32>
}

// -----

func.func @narrow_values(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %s: tensor<?x1x64x96xf32> {delta.name = "s"})
    -> (tensor<?x1x64x96xf32> {delta.name = "t"}) {
  // expected-error @+1 {{expected the state's value dimension to be a multiple of 64 (the rows of a wgmma accumulator), found 96; run delta-pad-dims first}}
  %t = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      carry(%S = %s[seq, head, _, _] : tensor<?x1x64x96xf32>) outs() valid(%n) {
    %T = arith.addf %S, %S : tensor<64x96xf32>
    delta.yield carry(%T : tensor<64x96xf32>)
  }
  return %t : tensor<?x1x64x96xf32>
}

// -----

// S <- S W sums over the value dimension, K^T W over the keys'.

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
func.func @contracted(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %s: tensor<?x1x64x64xf32> {delta.name = "s"})
    -> (tensor<?x1x64x64xf32> {delta.name = "t"}) {
  // expected-error @+1 {{every dimension of the carried state is summed over by some product of the chunk, so no dimension can be split over blocks; the GPU lowering needs one that is not}}
  %t = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      carry(%S = %s[seq, head, _, _] : tensor<?x1x64x64xf32>) outs() valid(%n) {
    %Xb = arith.truncf %X : tensor<64x64xf32> to tensor<64x64xbf16>
    %Sb = arith.truncf %S : tensor<64x64xf32> to tensor<64x64xbf16>
    %XS = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%Xb, %Sb : tensor<64x64xbf16>, tensor<64x64xbf16>) outs(%S : tensor<64x64xf32>) -> tensor<64x64xf32>
    %T = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%Sb, %Xb : tensor<64x64xbf16>, tensor<64x64xbf16>) outs(%XS : tensor<64x64xf32>) -> tensor<64x64xf32>
    delta.yield carry(%T : tensor<64x64xf32>)
  }
  return %t : tensor<?x1x64x64xf32>
}

// -----

//===----------------------------------------------------------------------===//
// The region of a scan
//===----------------------------------------------------------------------===//

func.func @computed_b(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %g: tensor<?x?x1xf32> {delta.name = "g"},
                %s: tensor<?x1x64x128xf32> {delta.name = "s"}) -> (tensor<?x1x64x128xf32> {delta.name = "t"}) {
  %t = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %G = %g[seq, time, head] : tensor<?x?x1xf32>)
      carry(%S = %s[seq, head, _, _] : tensor<?x1x64x128xf32>) outs() valid(%n) {
    %e = tensor.empty() : tensor<64x64xf32>
    // expected-error @+1 {{'linalg.broadcast' op computes 'tensor<64x64xf32>', which has no dimension to be the 64 rows of an accumulator: in a scan, compute it in a map before (delta-stage)}}
    %B = linalg.broadcast ins(%G : tensor<64xf32>) outs(%e : tensor<64x64xf32>) dimensions = [1]
    %K = arith.mulf %X, %B : tensor<64x64xf32>
    delta.yield carry(%S : tensor<64x128xf32>)
  }
  return %t : tensor<?x1x64x128xf32>
}

// -----

func.func @computed_keys(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %g: tensor<?x?x1xf32> {delta.name = "g"},
                %s: tensor<?x1x64x128xf32> {delta.name = "s"}) -> (tensor<?x1x64x128xf32> {delta.name = "t"}) {
  %t = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %G = %g[seq, time, head] : tensor<?x?x1xf32>)
      carry(%S = %s[seq, head, _, _] : tensor<?x1x64x128xf32>) outs() valid(%n) {
    // expected-error @+1 {{'arith.mulf' op computes 'tensor<64x64xf32>', which has no dimension to be the 64 rows of an accumulator: in a scan, compute it in a map before (delta-stage)}}
    %K = arith.mulf %X, %X : tensor<64x64xf32>
    delta.yield carry(%S : tensor<64x128xf32>)
  }
  return %t : tensor<?x1x64x128xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#km = affine_map<(m, n, k) -> (k, m)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
func.func @f32_product(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %g: tensor<?x?x1xf32> {delta.name = "g"},
                %s: tensor<?x1x64x128xf32> {delta.name = "s"}) -> (tensor<?x1x64x128xf32> {delta.name = "t"}) {
  %t = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %G = %g[seq, time, head] : tensor<?x?x1xf32>)
      carry(%S = %s[seq, head, _, _] : tensor<?x1x64x128xf32>) outs() valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x128xf32>
    // expected-error @+1 {{expected bf16 or f16 operands, found 'tensor<64x128xf32>'; choose dtype bf16 or f16 (delta-assign-precision)}}
    %XS = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%X, %S : tensor<64x64xf32>, tensor<64x128xf32>) outs(%zero : tensor<64x128xf32>) -> tensor<64x128xf32>
    delta.yield carry(%XS : tensor<64x128xf32>)
  }
  return %t : tensor<?x1x64x128xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#km = affine_map<(m, n, k) -> (k, m)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
func.func @no_lane(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %g: tensor<?x?x1xf32> {delta.name = "g"},
                %s: tensor<?x1x64x128xf32> {delta.name = "s"}) -> (tensor<?x1x64x128xf32> {delta.name = "t"}) {
  %t = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %G = %g[seq, time, head] : tensor<?x?x1xf32>)
      carry(%S = %s[seq, head, _, _] : tensor<?x1x64x128xf32>) outs() valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    %Xb = arith.truncf %X : tensor<64x64xf32> to tensor<64x64xbf16>
    // expected-error @+1 {{expected a product of two matrices whose result has a dimension to be the rows of an accumulator, found 'tensor<64x64xf32>'}}
    %P = linalg.contract indexing_maps = [#mk, #nk, #mn]
        ins(%Xb, %Xb : tensor<64x64xbf16>, tensor<64x64xbf16>) outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
    delta.yield carry(%S : tensor<64x128xf32>)
  }
  return %t : tensor<?x1x64x128xf32>
}

// -----

func.func @decay_dot_in_scan(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %g: tensor<?x?x1xf32> {delta.name = "g"},
                %s: tensor<?x1x64x128xf32> {delta.name = "s"}) -> (tensor<?x1x64x128xf32> {delta.name = "t"}) {
  %t = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %G = %g[seq, time, head] : tensor<?x?x1xf32>)
      carry(%S = %s[seq, head, _, _] : tensor<?x1x64x128xf32>) outs() valid(%n) {
    %Xb = arith.truncf %X : tensor<64x64xf32> to tensor<64x64xbf16>
    // expected-error @+1 {{expected a product in a chunk_map, with 64 rows on one side; run delta-stage}}
    %P = delta.decay_dot upto_token %Xb, %Xb : tensor<64x64xbf16>, tensor<64x64xbf16> -> tensor<64x64xf32>
    delta.yield carry(%S : tensor<64x128xf32>)
  }
  return %t : tensor<?x1x64x128xf32>
}

// -----

func.func @cumsum_in_scan(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %g: tensor<?x?x1xf32> {delta.name = "g"},
                %s: tensor<?x1x64x128xf32> {delta.name = "s"}) -> (tensor<?x1x64x128xf32> {delta.name = "t"}) {
  %t = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %G = %g[seq, time, head] : tensor<?x?x1xf32>)
      carry(%S = %s[seq, head, _, _] : tensor<?x1x64x128xf32>) outs() valid(%n) {
    // expected-error @+1 {{expected a running sum in a chunk_map; run delta-stage}}
    %A = delta.cumsum %G : tensor<64xf32>
    delta.yield carry(%S : tensor<64x128xf32>)
  }
  return %t : tensor<?x1x64x128xf32>
}

// -----

func.func @repeat_rows_in_scan(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %g: tensor<?x?x1xf32> {delta.name = "g"},
                %s: tensor<?x1x64x128xf32> {delta.name = "s"}) -> (tensor<?x1x64x128xf32> {delta.name = "t"}) {
  %t = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %G = %g[seq, time, head] : tensor<?x?x1xf32>)
      carry(%S = %s[seq, head, _, _] : tensor<?x1x64x128xf32>) outs() valid(%n) {
    // expected-error @+1 {{expected a vector in a chunk_map; run delta-stage}}
    %A = delta.repeat_rows %G by 2 : tensor<64xf32> -> tensor<128xf32>
    delta.yield carry(%S : tensor<64x128xf32>)
  }
  return %t : tensor<?x1x64x128xf32>
}

// -----

func.func @other_reduction(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %g: tensor<?x?x1xf32> {delta.name = "g"},
                %s: tensor<?x1x64x128xf32> {delta.name = "s"}) -> (tensor<?x1x64x128xf32> {delta.name = "t"}) {
  %t = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %G = %g[seq, time, head] : tensor<?x?x1xf32>)
      carry(%S = %s[seq, head, _, _] : tensor<?x1x64x128xf32>) outs() valid(%n) {
    %one = arith.constant dense<1.0> : tensor<f32>
    // expected-error @+1 {{expected the sum of a vector, or in a map of one dimension of a matrix, from zero; the GPU path takes no other reduction so far}}
    %r = linalg.reduce { arith.mulf } ins(%G : tensor<64xf32>) outs(%one : tensor<f32>) dimensions = [0]
    delta.yield carry(%S : tensor<64x128xf32>)
  }
  return %t : tensor<?x1x64x128xf32>
}

// -----

func.func @solve_in_the_chain(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %c: tensor<?x?x1xf32> {delta.name = "c"},
                              %s: tensor<?x1x64x64xf32> {delta.name = "s"}) -> (tensor<?x1x64x64xf32> {delta.name = "t"}) {
  %t = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %C = %c[seq, time, head] : tensor<?x?x1xf32>)
      carry(%S = %s[seq, head, _, _] : tensor<?x1x64x64xf32>) outs() valid(%n) {
    // expected-error @+1 {{'delta.erase_solve' op has no lowering to the GPU so far (target "cpu" takes it)}}
    %R, %U = delta.erase_solve %X, %C, %S : tensor<64x64xf32>, tensor<64xf32>, tensor<64x64xf32> -> tensor<64x64xf32>, tensor<64x64xf32>
    delta.yield carry(%U : tensor<64x64xf32>)
  }
  return %t : tensor<?x1x64x64xf32>
}

// -----

func.func @vector_out(%g: tensor<?x?x1xf32> {delta.name = "g"}, %s: tensor<?x1x64x128xf32> {delta.name = "s"})
    -> (tensor<?x?x1xf32> {delta.name = "y"}, tensor<?x1x64x128xf32> {delta.name = "t"}) {
  // expected-error @+1 {{out #0 is a vector; the GPU path writes vectors in maps only (compute it in a map: delta-stage)}}
  %y, %t = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%G = %g[seq, time, head] : tensor<?x?x1xf32>)
      carry(%S = %s[seq, head, _, _] : tensor<?x1x64x128xf32>)
      outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %E = math.exp %G : tensor<64xf32>
    delta.yield outs(%E : tensor<64xf32>) carry(%S : tensor<64x128xf32>)
  }
  return %y, %t : tensor<?x?x1xf32>, tensor<?x1x64x128xf32>
}

// -----

//===----------------------------------------------------------------------===//
// The region of a map
//===----------------------------------------------------------------------===//

func.func @channel_decay(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %g: tensor<?x?x1xf32> {delta.name = "g"})
    -> (tensor<?x?x1x64xbf16> {delta.name = "y"}) {
  %y = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %G = %g[seq, time, head] : tensor<?x?x1xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    %Xb = arith.truncf %X : tensor<64x64xf32> to tensor<64x64xbf16>
    // expected-error @+1 {{'delta.decay_dot' op has a decay per key channel inside of its sum; the GPU path takes products of its factors (delta-halve-decay)}}
    %Y = delta.decay_dot upto_token %Xb, %Xb decay(%X : tensor<64x64xf32>) : tensor<64x64xbf16>, tensor<64x64xbf16> -> tensor<64x64xf32>
    delta.yield outs(%Y : tensor<64x64xf32>)
  }
  return %y : tensor<?x?x1x64xbf16>
}

// -----

func.func @decay_dot_of_f32(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %g: tensor<?x?x1xf32> {delta.name = "g"})
    -> (tensor<?x?x1x64xbf16> {delta.name = "y"}) {
  %y = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %G = %g[seq, time, head] : tensor<?x?x1xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    // expected-error @+1 {{'math.exp' op computes 'tensor<64x64xf32>', which a product reads from shared memory; the GPU path takes bf16 or f16 with a multiple of 64 columns there (delta-assign-precision)}}
    %E = math.exp %X : tensor<64x64xf32>
    %Y = delta.decay_dot upto_token %X, %E : tensor<64x64xf32>, tensor<64x64xf32> -> tensor<64x64xf32>
    delta.yield outs(%Y : tensor<64x64xf32>)
  }
  return %y : tensor<?x?x1x64xbf16>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
func.func @narrow_computed(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %y: tensor<?x?x1x64xbf16> {delta.name = "y"})
    -> (tensor<?x?x1x64xbf16> {delta.name = "z"}) {
  %z = delta.chunk_map chunk = 32 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %Y = %y[seq, time * 2, head, _] : tensor<?x?x1x64xbf16>)
      outs([seq, time * 2, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    %none = arith.constant dense<0.0> : tensor<64x32xf32>
    %Xb = arith.truncf %X : tensor<32x64xf32> to tensor<32x64xbf16>
    %Yb = arith.truncf %Y : tensor<64x64xf32> to tensor<64x64xbf16>
    %P = linalg.contract indexing_maps = [#mk, affine_map<(m, n, k) -> (n, k)>, #mn]
        ins(%Yb, %Xb : tensor<64x64xbf16>, tensor<32x64xbf16>) outs(%none : tensor<64x32xf32>) -> tensor<64x32xf32>
    // expected-error @+1 {{'arith.truncf' op computes 'tensor<64x32xbf16>', which a product reads from shared memory; the GPU path takes bf16 or f16 with a multiple of 64 columns there (delta-assign-precision)}}
    %Pb = arith.truncf %P : tensor<64x32xf32> to tensor<64x32xbf16>
    %Z = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%Pb, %Xb : tensor<64x32xbf16>, tensor<32x64xbf16>) outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
    delta.yield outs(%Z : tensor<64x64xf32>)
  }
  return %z : tensor<?x?x1x64xbf16>
}

// -----

func.func @other_math(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %g: tensor<?x?x1xf32> {delta.name = "g"})
    -> (tensor<?x?x1x64xbf16> {delta.name = "y"}) {
  %y = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %G = %g[seq, time, head] : tensor<?x?x1xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    // expected-error @+1 {{'math.tanh' op has no lowering to the GPU so far: of math, only exp, exp2, absf, log1p, rsqrt, sqrt, sin and cos (target "cpu" takes it)}}
    %Y = math.tanh %X : tensor<64x64xf32>
    delta.yield outs(%Y : tensor<64x64xf32>)
  }
  return %y : tensor<?x?x1x64xbf16>
}

// -----

func.func @other_op(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %g: tensor<?x?x1xf32> {delta.name = "g"})
    -> (tensor<?x?x1x64xbf16> {delta.name = "y"}) {
  %y = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %G = %g[seq, time, head] : tensor<?x?x1xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    // expected-error @+1 {{expected a vector in a chunk_map, found 'tensor<64x64xf32>'; run delta-stage (target "cpu" takes all)}}
    %Y = delta.mask_rows %X, %n : tensor<64x64xf32>
    delta.yield outs(%Y : tensor<64x64xf32>)
  }
  return %y : tensor<?x?x1x64xbf16>
}

// -----

func.func @last_row(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %g: tensor<?x?x1xf32> {delta.name = "g"})
    -> (tensor<?x?x1x64xbf16> {delta.name = "y"}) {
  %y = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %G = %g[seq, time, head] : tensor<?x?x1xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    %E = math.exp %G : tensor<64xf32>
    // expected-error @+1 {{'delta.last_row' op reads a row of 'tensor<64xf32>'; the GPU path reads one element of a vector that a channel brings (delta-share-sums)}}
    %e = delta.last_row %E, %n : tensor<64xf32> -> tensor<f32>
    %empty = tensor.empty() : tensor<64x64xf32>
    %spread = linalg.broadcast ins(%e : tensor<f32>) outs(%empty : tensor<64x64xf32>) dimensions = [0, 1]
    %Y = arith.mulf %spread, %X : tensor<64x64xf32>
    delta.yield outs(%Y : tensor<64x64xf32>)
  }
  return %y : tensor<?x?x1x64xbf16>
}

// -----

func.func @constant_tile(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %g: tensor<?x?x1xf32> {delta.name = "g"})
    -> (tensor<?x?x1x64xbf16> {delta.name = "y"}) {
  %y = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %G = %g[seq, time, head] : tensor<?x?x1xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    %c = arith.constant dense<"0x0000803F000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"> : tensor<64xf32>
    %e = tensor.empty() : tensor<64x64xf32>
    // expected-error @+1 {{'linalg.broadcast' op reads a constant that is not one number throughout; the GPU path takes splat constants only}}
    %C = linalg.broadcast ins(%c : tensor<64xf32>) outs(%e : tensor<64x64xf32>) dimensions = [1]
    %Y = arith.mulf %X, %C : tensor<64x64xf32>
    delta.yield outs(%Y : tensor<64x64xf32>)
  }
  return %y : tensor<?x?x1x64xbf16>
}

// -----

func.func @no_rows_of_64(%x: tensor<?x?x1xf32> {delta.name = "x"}) -> (tensor<?x?x1xf32> {delta.name = "y"}) {
  %y = delta.chunk_map chunk = 32 heads = 1 compute = f32
      ins(%X = %x[seq, time, head] : tensor<?x?x1xf32>)
      outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %e = tensor.empty() : tensor<32x96xf32>
    %zero = arith.constant dense<0.0> : tensor<32xf32>
    // expected-error @+1 {{'linalg.broadcast' op computes 'tensor<32x96xf32>', which has no dimension to be the 64 rows of an accumulator}}
    %B = linalg.broadcast ins(%X : tensor<32xf32>) outs(%e : tensor<32x96xf32>) dimensions = [1]
    %Y = linalg.reduce { arith.addf } ins(%B : tensor<32x96xf32>) outs(%zero : tensor<32xf32>) dimensions = [1]
    delta.yield outs(%Y : tensor<32xf32>)
  }
  return %y : tensor<?x?x1xf32>
}

// -----

func.func @few_sums(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}) -> (tensor<?x?x1x64xbf16> {delta.name = "y"}) {
  %y = delta.chunk_map chunk = 16 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<16xf32>
    // expected-error @+1 {{'linalg.reduce' op gives 16 sums; the GPU path takes multiples of 32 (a warp's lanes)}}
    %S = linalg.reduce { arith.addf } ins(%X : tensor<16x64xf32>) outs(%zero : tensor<16xf32>) dimensions = [1]
    delta.yield outs(%X : tensor<16x64xf32>)
  }
  return %y : tensor<?x?x1x64xbf16>
}

// -----

func.func @long_rows(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %s: tensor<?x1x128x128xf32> {delta.name = "s"}) -> (tensor<?x1x128x128xf32> {delta.name = "t"}, tensor<?x?x1xf32> {delta.name = "w"}) {
  %states, %t = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      carry(%S = %s[seq, head, _, _] : tensor<?x1x128x128xf32>)
      outs([chunk, head, _, _] : tensor<?x1x128x128xbf16>) valid(%n) {
    delta.yield outs(%S : tensor<128x128xf32>) carry(%S : tensor<128x128xf32>)
  }
  %w = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %S = %states[chunk, head, _, _] : tensor<?x1x128x128xbf16>)
      outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<128xf32>
    %none = arith.constant dense<0.0> : tensor<64xf32>
    %e = tensor.empty() : tensor<128x128xf32>
    %sums = linalg.reduce { arith.addf } ins(%S : tensor<128x128xf32>) outs(%zero : tensor<128xf32>) dimensions = [1]
    // expected-error @+1 {{'linalg.broadcast' op spreads a vector of 128 along the rows of an accumulator, which has 64; the GPU path takes no more so far (target "cpu" takes it)}}
    %B = linalg.broadcast ins(%sums : tensor<128xf32>) outs(%e : tensor<128x128xf32>) dimensions = [1]
    %P = arith.mulf %B, %S : tensor<128x128xf32>
    %again = linalg.reduce { arith.addf } ins(%P : tensor<128x128xf32>) outs(%zero : tensor<128xf32>) dimensions = [0]
    %f = tensor.empty() : tensor<64x128xf32>
    %Q = linalg.broadcast ins(%again : tensor<128xf32>) outs(%f : tensor<64x128xf32>) dimensions = [0]
    %W = linalg.reduce { arith.addf } ins(%Q : tensor<64x128xf32>) outs(%none : tensor<64xf32>) dimensions = [1]
    delta.yield outs(%W : tensor<64xf32>)
  }
  return %t, %w : tensor<?x1x128x128xf32>, tensor<?x?x1xf32>
}

// -----

func.func @mask_in_scan(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %s: tensor<?x1x64x64xf32> {delta.name = "s"}) -> (tensor<?x1x64x64xf32> {delta.name = "t"}) {
  %t = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      carry(%S = %s[seq, head, _, _] : tensor<?x1x64x64xf32>) outs() valid(%n) {
    // expected-error @+1 {{expected a mask of 64 rows or columns in a chunk_map; run delta-stage}}
    %M = delta.decay_mask upto_token %X : tensor<64x64xf32>
    %T = arith.addf %S, %M : tensor<64x64xf32>
    delta.yield carry(%T : tensor<64x64xf32>)
  }
  return %t : tensor<?x1x64x64xf32>
}

// -----

func.func @mask_of_128(%x: tensor<?x?x1x128xbf16> {delta.name = "x"}) -> (tensor<?x?x1x128xbf16> {delta.name = "y"}) {
  %y = delta.chunk_map chunk = 128 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x128xbf16>)
      outs([seq, time, head, _] : tensor<?x?x1x128xbf16>) valid(%n) {
    // expected-error @+1 {{'delta.decay_mask' op has 128 rows; the GPU path takes chunks of at most 64 rows}}
    %M = delta.decay_mask upto_token %X : tensor<128x128xf32>
    delta.yield outs(%M : tensor<128x128xf32>)
  }
  return %y : tensor<?x?x1x128xbf16>
}

// -----

func.func @sum_rows_in_scan(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %g: tensor<?x?x1xf32> {delta.name = "g"},
                %s: tensor<?x1x64x128xf32> {delta.name = "s"}) -> (tensor<?x1x64x128xf32> {delta.name = "t"}) {
  %t = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %G = %g[seq, time, head] : tensor<?x?x1xf32>)
      carry(%S = %s[seq, head, _, _] : tensor<?x1x64x128xf32>) outs() valid(%n) {
    // expected-error @+1 {{expected a vector in a chunk_map; run delta-stage}}
    %A = delta.sum_rows %G by 2 : tensor<64xf32> -> tensor<32xf32>
    delta.yield carry(%S : tensor<64x128xf32>)
  }
  return %t : tensor<?x1x64x128xf32>
}

// -----

func.func @wide(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %w: tensor<?x?x1x320xbf16> {delta.name = "w"})
    -> (tensor<?x?x1x320xbf16> {delta.name = "y"}) {
  %y = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>,
          %W = %w[seq, time, head, _] : tensor<?x?x1x320xbf16>)
      outs([seq, time, head, _] : tensor<?x?x1x320xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x320xf32>
    %Xb = arith.truncf %X : tensor<64x64xf32> to tensor<64x64xbf16>
    %Wb = arith.truncf %W : tensor<64x320xf32> to tensor<64x320xbf16>
    // expected-error @+1 {{'linalg.contract' op sums over 64 elements into 320 columns; the tensor cores take a multiple of 16 and a multiple of 8 up to 256: use other head dimensions or fewer rows a token}}
    %Y = linalg.contract indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
        ins(%Xb, %Wb : tensor<64x64xbf16>, tensor<64x320xbf16>) outs(%zero : tensor<64x320xf32>) -> tensor<64x320xf32>
    delta.yield outs(%Y : tensor<64x320xf32>)
  }
  return %y : tensor<?x?x1x320xbf16>
}

// -----

func.func @varying_start(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}) -> (tensor<?x1x64x64xf32> {delta.name = "end"}) {
  %end = sched.kernel "varying_start" grid(heads = 1, split = 1, over = slots of 2) chunk = 64 compute = f32 min_blocks 1
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      outs(%E = [chunk * 2 + 1, head, _, _] : tensor<?x1x64x64xf32>) {
    %in = sched.channel depth 1 fill tma : <tensor<64x64xbf16>>
    // expected-error @+1 {{'arith.constant' op starts a carry and is not one number throughout; the GPU path takes splat constants and delta.identity}}
    %start = arith.constant dense_resource<numbers> : tensor<64x64xf32>
    sched.role "state" warps 4 {
      %last = sched.each_chunk forward valid(%n) carries(%S = %start : tensor<64x64xf32>) {
        %a = sched.get %in : <tensor<64x64xbf16>> -> tensor<64x64xf32>
        %S1 = arith.addf %S, %a : tensor<64x64xf32>
        sched.store %S1 to %E : tensor<64x64xf32>, <tensor<?x1x64x64xf32>>
        sched.yield %S1 : tensor<64x64xf32>
      }
    }
    sched.role "load" warps 1 {
      sched.each_chunk forward valid(%n) {
        %a = sched.load %X : <tensor<?x?x1x64xbf16>> -> tensor<64x64xf32>
        sched.put %a to %in : <tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return %end : tensor<?x1x64x64xf32>
}
