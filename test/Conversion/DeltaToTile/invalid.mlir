// RUN: wyvern-opt %s -convert-delta-to-tile -verify-diagnostics -split-input-file

// What the GPU path does not take is refused, with what to do instead.

func.func @recurrence(%q: tensor<?x?x1x64xbf16> {delta.name = "q"}) -> (tensor<?x?x1x64xbf16> {delta.name = "o"}, tensor<?x1x64x64xf32> {delta.name = "final_state"}) {
  // expected-error @+1 {{is at the sequence level; run delta-form-wy}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %q) scale 1.0 : tensor<?x?x1x64xbf16>, tensor<?x?x1x64xbf16>, tensor<?x?x1x64xbf16> -> (tensor<?x?x1x64xbf16>, tensor<?x1x64x64xf32>)
  return %o, %sT : tensor<?x?x1x64xbf16>, tensor<?x1x64x64xf32>
}

// -----

func.func @outside(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}) -> (tensor<?x?x1x64xbf16> {delta.name = "o"}) {
  // expected-error @+1 {{stands outside of the chunk programs; the GPU path takes functions of chunk programs only so far}}
  %y = arith.mulf %x, %x : tensor<?x?x1x64xbf16>
  return %y : tensor<?x?x1x64xbf16>
}

// -----

func.func @unnamed(%x: tensor<?x?x1x64xbf16>) -> (tensor<?x?x1x64xbf16> {delta.name = "o"}) {
  // expected-error @+1 {{in #0 is neither an argument with a delta.name nor another chunk program's out}}
  %o = delta.chunk_map chunk = 64 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>) outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    delta.yield outs(%X : tensor<64x64xf32>)
  }
  return %o : tensor<?x?x1x64xbf16>
}

// -----

func.func @no_time(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %w: tensor<1x64xf32> {delta.name = "w"}) -> (tensor<?x?x1x64xbf16> {delta.name = "o"}) {
  // expected-error @+1 {{in #1 is bound to #delta.binding<[head, _]>; the GPU path takes operands with a time and without a chunk dimension}}
  %o = delta.chunk_map chunk = 64 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %W = %w[head, _] : tensor<1x64xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    delta.yield outs(%X : tensor<64x64xf32>)
  }
  return %o : tensor<?x?x1x64xbf16>
}

// -----

func.func @columns(%x: tensor<?x?x1x32xbf16> {delta.name = "x"}) -> (tensor<?x?x1x32xbf16> {delta.name = "o"}) {
  // expected-error @+1 {{in #0 of type 'tensor<?x?x1x32xbf16>': expected a last dimension that is kept whole and a multiple of 64 (128-byte rows for TMA and wgmma); use head dimensions 64 or 128}}
  %o = delta.chunk_map chunk = 64 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x32xbf16>) outs([seq, time, head, _] : tensor<?x?x1x32xbf16>) valid(%n) {
    delta.yield outs(%X : tensor<64x32xf32>)
  }
  return %o : tensor<?x?x1x32xbf16>
}

// -----

func.func @in_type(%x: tensor<?x?x1x64xf32> {delta.name = "x"}) -> (tensor<?x?x1x64xbf16> {delta.name = "o"}) {
  // expected-error @+1 {{in #0 of type 'tensor<?x?x1x64xf32>': the GPU path reads matrices of bf16 or f16; run delta-assign-precision, or choose dtype bf16 or f16}}
  %o = delta.chunk_map chunk = 64 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xf32>) outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    delta.yield outs(%X : tensor<64x64xf32>)
  }
  return %o : tensor<?x?x1x64xbf16>
}

// -----

func.func @out_type(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}) -> (tensor<?x?x1x64xf32> {delta.name = "o"}) {
  // expected-error @+1 {{out #0 of type 'tensor<?x?x1x64xf32>': the GPU path writes matrices of bf16 or f16}}
  %o = delta.chunk_map chunk = 64 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>) outs([seq, time, head, _] : tensor<?x?x1x64xf32>) valid(%n) {
    delta.yield outs(%X : tensor<64x64xf32>)
  }
  return %o : tensor<?x?x1x64xf32>
}

// -----

func.func @carry_type(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %s0: tensor<?x1x64x64xbf16> {delta.name = "initial_state"}) -> (tensor<?x1x64x64xbf16> {delta.name = "final_state"}) {
  // expected-error @+1 {{carry #0: expected an f32 argument of the function as initial state}}
  %sT = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>) carry(%S = %s0[seq, head, _, _] : tensor<?x1x64x64xbf16>) outs() valid(%n) {
    %S1 = arith.addf %S, %X : tensor<64x64xf32>
    delta.yield carry(%S1 : tensor<64x64xf32>)
  }
  return %sT : tensor<?x1x64x64xbf16>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

func.func @all_contracted(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %s0: tensor<?x1x64x64xf32> {delta.name = "initial_state"}) -> (tensor<?x1x64x64xf32> {delta.name = "final_state"}) {
  // expected-error @+1 {{every dimension of the carried state is summed over by some product of the chunk, so no dimension can be split over blocks; the GPU lowering needs one that is not}}
  %sT = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>) carry(%S = %s0[seq, head, _, _] : tensor<?x1x64x64xf32>) outs() valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    %Sb = arith.truncf %S : tensor<64x64xf32> to tensor<64x64xbf16>
    %S1 = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%Sb, %Sb : tensor<64x64xbf16>, tensor<64x64xbf16>) outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
    delta.yield carry(%S1 : tensor<64x64xf32>)
  }
  return %sT : tensor<?x1x64x64xf32>
}

// -----

func.func @channel_decay(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %g: tensor<?x?x1x64xbf16> {delta.name = "g"}) -> (tensor<?x?x1x64xbf16> {delta.name = "o"}) {
  %o = delta.chunk_map chunk = 64 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %G = %g[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    %Xb = arith.truncf %X : tensor<64x64xf32> to tensor<64x64xbf16>
    // expected-error @+1 {{has a decay per key channel; the GPU path takes no decay or one gate a head so far (target "cpu" takes all)}}
    %P = delta.decay_dot upto_token %Xb, %Xb decay(%G : tensor<64x64xf32>) : tensor<64x64xbf16>, tensor<64x64xbf16> -> tensor<64x64xf32>
    delta.yield outs(%P : tensor<64x64xf32>)
  }
  return %o : tensor<?x?x1x64xbf16>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

func.func @not_rounded(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %s0: tensor<?x1x64x64xf32> {delta.name = "initial_state"}) -> (tensor<?x?x1x64xbf16> {delta.name = "o"}, tensor<?x1x64x64xf32> {delta.name = "final_state"}) {
  %o, %sT = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>) carry(%S = %s0[seq, head, _, _] : tensor<?x1x64x64xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    // expected-error @+1 {{expected bf16 or f16 operands, found 'tensor<64x64xf32>'; run delta-assign-precision}}
    %O = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%X, %S : tensor<64x64xf32>, tensor<64x64xf32>) outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
    delta.yield outs(%O : tensor<64x64xf32>) carry(%S : tensor<64x64xf32>)
  }
  return %o, %sT : tensor<?x?x1x64xbf16>, tensor<?x1x64x64xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

func.func @computed_key(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %s0: tensor<?x1x64x64xf32> {delta.name = "initial_state"}) -> (tensor<?x?x1x64xbf16> {delta.name = "o"}, tensor<?x1x64x64xf32> {delta.name = "final_state"}) {
  %o, %sT = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>) carry(%S = %s0[seq, head, _, _] : tensor<?x1x64x64xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    // expected-error @+1 {{computes 'tensor<64x64xf32>', which has no dimension to be the 64 rows of an accumulator: in a scan, compute it in a map before (delta-stage)}}
    %Y = math.tanh %X : tensor<64x64xf32>
    %Yb = arith.truncf %Y : tensor<64x64xf32> to tensor<64x64xbf16>
    %Sb = arith.truncf %S : tensor<64x64xf32> to tensor<64x64xbf16>
    %O = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%Yb, %Sb : tensor<64x64xbf16>, tensor<64x64xbf16>) outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
    delta.yield outs(%O : tensor<64x64xf32>) carry(%S : tensor<64x64xf32>)
  }
  return %o, %sT : tensor<?x?x1x64xbf16>, tensor<?x1x64x64xf32>
}

// -----

func.func @solve_in_chain(%x: tensor<?x?x1x64xbf16> {delta.name = "x"}, %c: tensor<?x?x1xf32> {delta.name = "c"}, %s0: tensor<?x1x64x64xf32> {delta.name = "initial_state"}) -> (tensor<?x1x64x64xf32> {delta.name = "final_state"}) {
  %sT = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %C = %c[seq, time, head] : tensor<?x?x1xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x64x64xf32>) outs() valid(%n) {
    // expected-error @+1 {{has no lowering to the GPU so far (target "cpu" takes it)}}
    %R, %U = delta.erase_solve %X, %C, %S : tensor<64x64xf32>, tensor<64xf32>, tensor<64x64xf32> -> tensor<64x64xf32>, tensor<64x64xf32>
    delta.yield carry(%U : tensor<64x64xf32>)
  }
  return %sT : tensor<?x1x64x64xf32>
}
