// RUN: wyvern-opt %s | wyvern-opt | FileCheck %s
//
// The `rounded` phase of Gated DeltaNet (K = V = 128, 8 key heads, 16 value heads,
// bf16), by hand: what the passes hand to the GPU lowering. Decays stand on the
// computed side of a matmul, so that its other operand is a plain input tile.

#mk = affine_map<(m, n, k) -> (m, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// CHECK-LABEL: func.func @gated_delta_net
// CHECK: delta.chunk_map
// CHECK: delta.chunk_scan forward
func.func @gated_delta_net(
    %q: tensor<?x?x8x128xbf16> {delta.name = "q"},
    %g: tensor<?x?x16xf32> {delta.name = "g"},
    %k: tensor<?x?x8x128xbf16> {delta.name = "k"},
    %v: tensor<?x?x16x128xbf16> {delta.name = "v"},
    %beta: tensor<?x?x16xf32> {delta.name = "beta"},
    %s0: tensor<?x16x128x128xf32> {delta.name = "initial_state"},
    %cu: tensor<?xi64> {delta.name = "cu_seqlens"})
    -> (tensor<?x?x16x128xbf16> {delta.name = "o"},
        tensor<?x16x128x128xf32> {delta.name = "final_state"}) {
  // e^a and e^(a_C - a) stay in f32; Z and P are read as matmul operands only.
  %ea, %es, %z, %p = delta.chunk_map chunk = 64 heads = 16 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x8x128xbf16>,
          %G = %g[seq, time, head] : tensor<?x?x16xf32>,
          %K = %k[seq, time, head, _] : tensor<?x?x8x128xbf16>,
          %c = %beta[seq, time, head] : tensor<?x?x16xf32>)
      cu_seqlens(%cu : tensor<?xi64>)
      outs([seq, time, head] : tensor<?x?x16xf32>,
           [seq, time, head] : tensor<?x?x16xf32>,
           [seq, time, head, _] : tensor<?x?x16x64xbf16>,
           [seq, time, head, _] : tensor<?x?x16x64xbf16>) valid(%n) {
    %Qb = arith.truncf %Q : tensor<64x128xf32> to tensor<64x128xbf16>
    %Kb = arith.truncf %K : tensor<64x128xf32> to tensor<64x128xbf16>
    %a = delta.cumsum %G : tensor<64xf32>
    %Ea = math.exp %a : tensor<64xf32>
    %s = delta.cumsum reverse exclusive %G : tensor<64xf32>
    %Es = math.exp %s : tensor<64xf32>
    %L = delta.decay_dot before_row %Kb, %Kb decay(%G : tensor<64xf32>)
        : tensor<64x128xbf16>, tensor<64x128xbf16> -> tensor<64x64xf32>
    %Z = delta.erase_factor %L, %c
        : tensor<64x64xf32>, tensor<64xf32> -> tensor<64x64xf32>
    %P = delta.decay_dot upto_token %Qb, %Kb decay(%G : tensor<64xf32>)
        : tensor<64x128xbf16>, tensor<64x128xbf16> -> tensor<64x64xf32>
    delta.yield outs(%Ea, %Es, %Z, %P : tensor<64xf32>, tensor<64xf32>,
                     tensor<64x64xf32>, tensor<64x64xf32>)
  }
  %o, %sT = delta.chunk_scan forward chunk = 64 heads = 16 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x8x128xbf16>,
          %G = %g[seq, time, head] : tensor<?x?x16xf32>,
          %K = %k[seq, time, head, _] : tensor<?x?x8x128xbf16>,
          %V = %v[seq, time, head, _] : tensor<?x?x16x128xbf16>,
          %c = %beta[seq, time, head] : tensor<?x?x16xf32>,
          %Ea = %ea[seq, time, head] : tensor<?x?x16xf32>,
          %Es = %es[seq, time, head] : tensor<?x?x16xf32>,
          %Z = %z[seq, time, head, _] : tensor<?x?x16x64xbf16>,
          %P = %p[seq, time, head, _] : tensor<?x?x16x64xbf16>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x16x128x128xf32>)
      cu_seqlens(%cu : tensor<?xi64>)
      outs([seq, time, head, _] : tensor<?x?x16x128xbf16>) valid(%n) {
    %Qb = arith.truncf %Q : tensor<64x128xf32> to tensor<64x128xbf16>
    %Kb = arith.truncf %K : tensor<64x128xf32> to tensor<64x128xbf16>
    %Zb = arith.truncf %Z : tensor<64x64xf32> to tensor<64x64xbf16>
    %Pb = arith.truncf %P : tensor<64x64xf32> to tensor<64x64xbf16>
    %Sb = arith.truncf %S : tensor<128x128xf32> to tensor<128x128xbf16>
    %z0 = arith.constant dense<0.0> : tensor<f32>
    %zero = arith.constant dense<0.0> : tensor<64x128xf32>
    %scale = arith.constant dense<0.0883883461> : tensor<64x128xf32>
    %e = tensor.empty() : tensor<64x128xf32>
    // W = V - e^a * (K S)
    %KS = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%Kb, %Sb : tensor<64x128xbf16>, tensor<128x128xbf16>)
        outs(%zero : tensor<64x128xf32>) -> tensor<64x128xf32>
    %EA = linalg.broadcast ins(%Ea : tensor<64xf32>)
        outs(%e : tensor<64x128xf32>) dimensions = [1]
    %EKS = arith.mulf %EA, %KS : tensor<64x128xf32>
    %W = arith.subf %V, %EKS : tensor<64x128xf32>
    // R = W - Z (c * W), U = c * R
    %C = linalg.broadcast ins(%c : tensor<64xf32>)
        outs(%e : tensor<64x128xf32>) dimensions = [1]
    %cW = arith.mulf %C, %W : tensor<64x128xf32>
    %ncW = arith.negf %cW : tensor<64x128xf32>
    %ncWb = arith.truncf %ncW : tensor<64x128xf32> to tensor<64x128xbf16>
    %R = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%Zb, %ncWb : tensor<64x64xbf16>, tensor<64x128xbf16>)
        outs(%W : tensor<64x128xf32>) -> tensor<64x128xf32>
    %U = arith.mulf %C, %R : tensor<64x128xf32>
    %Ub = arith.truncf %U : tensor<64x128xf32> to tensor<64x128xbf16>
    // O = scale * (e^a * (Q S) + P U)
    %QS = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%Qb, %Sb : tensor<64x128xbf16>, tensor<128x128xbf16>)
        outs(%zero : tensor<64x128xf32>) -> tensor<64x128xf32>
    %EQS = arith.mulf %EA, %QS : tensor<64x128xf32>
    %PU = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%Pb, %Ub : tensor<64x64xbf16>, tensor<64x128xbf16>)
        outs(%EQS : tensor<64x128xf32>) -> tensor<64x128xf32>
    %O = arith.mulf %PU, %scale : tensor<64x128xf32>
    // S+ = e^(a_C) * S + K^T (e^(a_C - a) * U)
    %aC = linalg.reduce {arith.addf} ins(%G : tensor<64xf32>)
        outs(%z0 : tensor<f32>) dimensions = [0]
    %eaC = math.exp %aC : tensor<f32>
    %eS = tensor.empty() : tensor<128x128xf32>
    %EC = linalg.broadcast ins(%eaC : tensor<f32>)
        outs(%eS : tensor<128x128xf32>) dimensions = [0, 1]
    %dS = arith.mulf %EC, %S : tensor<128x128xf32>
    %ES = linalg.broadcast ins(%Es : tensor<64xf32>)
        outs(%e : tensor<64x128xf32>) dimensions = [1]
    %sU = arith.mulf %ES, %U : tensor<64x128xf32>
    %sUb = arith.truncf %sU : tensor<64x128xf32> to tensor<64x128xbf16>
    %S1 = linalg.contract indexing_maps = [#km, #kn, #mn]
        ins(%Kb, %sUb : tensor<64x128xbf16>, tensor<64x128xbf16>)
        outs(%dS : tensor<128x128xf32>) -> tensor<128x128xf32>
    delta.yield outs(%O : tensor<64x128xf32>) carry(%S1 : tensor<128x128xf32>)
  }
  return %o, %sT : tensor<?x?x16x128xbf16>, tensor<?x16x128x128xf32>
}
