// A forward and its backward, written by hand: causal over chunks, S sums K^T V.
//
//   P = 2 K, saved;   O = Q S;   S <- S + P^T V
//
// dQ = dO S^T, and from the last chunk to the first, with dS the gradient of the state
// after the chunk: dV = P dS;  dK = 2 V dS^T;  dS <- dS + Q^T dO.

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#nk = affine_map<(m, n, k) -> (n, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#mn = affine_map<(m, n, k) -> (m, n)>

func.func @sums_fwd(
    %q: tensor<?x?x1x64xbf16> {delta.name = "q"}, %k: tensor<?x?x1x64xbf16> {delta.name = "k"},
    %v: tensor<?x?x1x64xbf16> {delta.name = "v"},
    %s0: tensor<?x1x64x64xf32> {delta.name = "initial_state"})
    -> (tensor<?x?x1x64xbf16> {delta.name = "o"}, tensor<?x1x64x64xf32> {delta.name = "final_state"},
        tensor<?x?x1x64xbf16> {delta.name = "p", delta.residual = "twice the keys"})
    attributes {delta.backward = @sums_bwd} {
  %p = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    %P = arith.addf %K, %K : tensor<64x64xf32>
    delta.yield outs(%P : tensor<64x64xf32>)
  }
  %o, %sT = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x64xbf16>,
          %P = %p[seq, time, head, _] : tensor<?x?x1x64xbf16>,
          %V = %v[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x64x64xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    %O = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%Q, %S : tensor<64x64xf32>, tensor<64x64xf32>) outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
    %T = linalg.contract indexing_maps = [#km, #kn, #mn]
        ins(%P, %V : tensor<64x64xf32>, tensor<64x64xf32>) outs(%S : tensor<64x64xf32>) -> tensor<64x64xf32>
    delta.yield outs(%O : tensor<64x64xf32>) carry(%T : tensor<64x64xf32>)
  }
  return %o, %sT, %p : tensor<?x?x1x64xbf16>, tensor<?x1x64x64xf32>, tensor<?x?x1x64xbf16>
}

func.func @sums_bwd(
    %q: tensor<?x?x1x64xbf16> {delta.name = "q"}, %v: tensor<?x?x1x64xbf16> {delta.name = "v"},
    %s0: tensor<?x1x64x64xf32> {delta.name = "initial_state"},
    %p: tensor<?x?x1x64xbf16> {delta.name = "p", delta.residual},
    %do: tensor<?x?x1x64xbf16> {delta.name = "d_o"}, %dsT: tensor<?x1x64x64xf32> {delta.name = "d_final_state"})
    -> (tensor<?x?x1x64xbf16> {delta.name = "d_q"}, tensor<?x?x1x64xbf16> {delta.name = "d_k"},
        tensor<?x?x1x64xbf16> {delta.name = "d_v"}, tensor<?x1x64x64xf32> {delta.name = "d_initial_state"}) {
  %dq, %end = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%dO = %do[seq, time, head, _] : tensor<?x?x1x64xbf16>,
          %P = %p[seq, time, head, _] : tensor<?x?x1x64xbf16>,
          %V = %v[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x64x64xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    %dQ = linalg.contract indexing_maps = [#mk, #nk, #mn]
        ins(%dO, %S : tensor<64x64xf32>, tensor<64x64xf32>) outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
    %T = linalg.contract indexing_maps = [#km, #kn, #mn]
        ins(%P, %V : tensor<64x64xf32>, tensor<64x64xf32>) outs(%S : tensor<64x64xf32>) -> tensor<64x64xf32>
    delta.yield outs(%dQ : tensor<64x64xf32>) carry(%T : tensor<64x64xf32>)
  }
  %dv, %ds0 = delta.chunk_scan reverse chunk = 64 heads = 1 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x64xbf16>,
          %P = %p[seq, time, head, _] : tensor<?x?x1x64xbf16>,
          %dO = %do[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      carry(%dS = %dsT[seq, head, _, _] : tensor<?x1x64x64xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    %dV = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%P, %dS : tensor<64x64xf32>, tensor<64x64xf32>) outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
    %T = linalg.contract indexing_maps = [#km, #kn, #mn]
        ins(%Q, %dO : tensor<64x64xf32>, tensor<64x64xf32>) outs(%dS : tensor<64x64xf32>) -> tensor<64x64xf32>
    delta.yield outs(%dV : tensor<64x64xf32>) carry(%T : tensor<64x64xf32>)
  }
  %dk, %start = delta.chunk_scan reverse chunk = 64 heads = 1 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x64xbf16>,
          %V = %v[seq, time, head, _] : tensor<?x?x1x64xbf16>,
          %dO = %do[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      carry(%dS = %dsT[seq, head, _, _] : tensor<?x1x64x64xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    %dP = linalg.contract indexing_maps = [#mk, #nk, #mn]
        ins(%V, %dS : tensor<64x64xf32>, tensor<64x64xf32>) outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
    %dK = arith.addf %dP, %dP : tensor<64x64xf32>
    %T = linalg.contract indexing_maps = [#km, #kn, #mn]
        ins(%Q, %dO : tensor<64x64xf32>, tensor<64x64xf32>) outs(%dS : tensor<64x64xf32>) -> tensor<64x64xf32>
    delta.yield outs(%dK : tensor<64x64xf32>) carry(%T : tensor<64x64xf32>)
  }
  return %dq, %dk, %dv, %ds0
      : tensor<?x?x1x64xbf16>, tensor<?x?x1x64xbf16>, tensor<?x?x1x64xbf16>, tensor<?x1x64x64xf32>
}
