// RUN: wyvern-opt %s | wyvern-opt | FileCheck %s
//
// The `rounded` phase of DeltaNet (K = V = 128, 16 heads, bf16), by hand: what the
// passes hand to the GPU lowering. The map is the work that no state enters, the
// scan is the chain. Every matmul operand is a truncf; sums stay in f32.

#mk = affine_map<(m, n, k) -> (m, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// CHECK-LABEL: func.func @delta_net
// CHECK: delta.chunk_map
// CHECK: delta.chunk_scan forward
func.func @delta_net(
    %q: tensor<?x?x16x128xbf16> {delta.name = "q"},
    %k: tensor<?x?x16x128xbf16> {delta.name = "k"},
    %v: tensor<?x?x16x128xbf16> {delta.name = "v"},
    %beta: tensor<?x?x16xf32> {delta.name = "beta"},
    %s0: tensor<?x16x128x128xf32> {delta.name = "initial_state"},
    %cu: tensor<?xi64> {delta.name = "cu_seqlens"})
    -> (tensor<?x?x16x128xbf16> {delta.name = "o"},
        tensor<?x16x128x128xf32> {delta.name = "final_state"}) {
  %z, %p = delta.chunk_map chunk = 64 heads = 16 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x16x128xbf16>,
          %K = %k[seq, time, head, _] : tensor<?x?x16x128xbf16>,
          %c = %beta[seq, time, head] : tensor<?x?x16xf32>)
      cu_seqlens(%cu : tensor<?xi64>)
      outs([seq, time, head, _] : tensor<?x?x16x64xbf16>,
           [seq, time, head, _] : tensor<?x?x16x64xbf16>) valid(%n) {
    %Qb = arith.truncf %Q : tensor<64x128xf32> to tensor<64x128xbf16>
    %Kb = arith.truncf %K : tensor<64x128xf32> to tensor<64x128xbf16>
    %L = delta.decay_dot before_row %Kb, %Kb
        : tensor<64x128xbf16>, tensor<64x128xbf16> -> tensor<64x64xf32>
    %Z = delta.erase_factor %L, %c
        : tensor<64x64xf32>, tensor<64xf32> -> tensor<64x64xf32>
    %P = delta.decay_dot upto_token %Qb, %Kb
        : tensor<64x128xbf16>, tensor<64x128xbf16> -> tensor<64x64xf32>
    delta.yield outs(%Z, %P : tensor<64x64xf32>, tensor<64x64xf32>)
  }
  %o, %sT = delta.chunk_scan forward chunk = 64 heads = 16 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x16x128xbf16>,
          %K = %k[seq, time, head, _] : tensor<?x?x16x128xbf16>,
          %V = %v[seq, time, head, _] : tensor<?x?x16x128xbf16>,
          %c = %beta[seq, time, head] : tensor<?x?x16xf32>,
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
    %zero = arith.constant dense<0.0> : tensor<64x128xf32>
    %scale = arith.constant dense<0.0883883461> : tensor<64x128xf32>
    // W = V - K S
    %KS = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%Kb, %Sb : tensor<64x128xbf16>, tensor<128x128xbf16>)
        outs(%zero : tensor<64x128xf32>) -> tensor<64x128xf32>
    %W = arith.subf %V, %KS : tensor<64x128xf32>
    // R = W - Z (c * W), U = c * R
    %e = tensor.empty() : tensor<64x128xf32>
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
    // O = scale * (Q S + P U)
    %QS = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%Qb, %Sb : tensor<64x128xbf16>, tensor<128x128xbf16>)
        outs(%zero : tensor<64x128xf32>) -> tensor<64x128xf32>
    %PU = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%Pb, %Ub : tensor<64x64xbf16>, tensor<64x128xbf16>)
        outs(%QS : tensor<64x128xf32>) -> tensor<64x128xf32>
    %O = arith.mulf %PU, %scale : tensor<64x128xf32>
    // S+ = S + K^T U
    %S1 = linalg.contract indexing_maps = [#km, #kn, #mn]
        ins(%Kb, %Ub : tensor<64x128xbf16>, tensor<64x128xbf16>)
        outs(%S : tensor<128x128xf32>) -> tensor<128x128xf32>
    delta.yield outs(%O : tensor<64x128xf32>) carry(%S1 : tensor<128x128xf32>)
  }
  return %o, %sT : tensor<?x?x16x128xbf16>, tensor<?x16x128x128xf32>
}
