// RUN: wyvern-opt %s -sched-fuse-forward -canonicalize | FileCheck %s
//
// Budgets are parts of what the target has: here three quarters of what fuse-forward.mlir has.

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// CHECK-LABEL: func.func @both
// CHECK: sched.role "state" warps 4 registers 136 {
// CHECK: sched.role "map" warps 4 copies 2 registers 112 in_turn {
// CHECK: sched.role "load" warps 1 registers 24 {
module attributes {tile.target = #tile.target<sm_90a, sm_registers = 49152>} {
  func.func @both(%k: tensor<?x?x2x64xbf16>, %v: tensor<?x?x2x128xbf16>, %b: tensor<?x?x2xf32>, %s: tensor<?x2x64x128xf32>)
      -> (tensor<?x2x64x128xf32>, tensor<?x?x2x64xbf16>) {
    %z = delta.chunk_map chunk = 64 heads = 2 compute = f32
        ins(%K = %k[seq, time, head, _] : tensor<?x?x2x64xbf16>, %B = %b[seq, time, head] : tensor<?x?x2xf32>)
        outs([seq, time, head, _] : tensor<?x?x2x64xbf16>) valid(%n) {
      %Kb = arith.truncf %K : tensor<64x64xf32> to tensor<64x64xbf16>
      %L = delta.decay_dot before_row %Kb, %Kb : tensor<64x64xbf16>, tensor<64x64xbf16> -> tensor<64x64xf32>
      %Z = delta.erase_factor %L, %B block 32 to bf16 : tensor<64x64xf32>, tensor<64xf32> -> tensor<64x64xf32>
      delta.yield outs(%Z : tensor<64x64xf32>)
    }
    %t = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32
        ins(%K = %k[seq, time, head, _] : tensor<?x?x2x64xbf16>, %Z = %z[seq, time, head, _] : tensor<?x?x2x64xbf16>,
            %V = %v[seq, time, head, _] : tensor<?x?x2x128xbf16>)
        carry(%S = %s[seq, head, _, _] : tensor<?x2x64x128xf32>) outs() valid(%n) {
      %zero = arith.constant dense<0.0> : tensor<64x128xf32>
      %Vb = arith.truncf %V : tensor<64x128xf32> to tensor<64x128xbf16>
      %Zb = arith.truncf %Z : tensor<64x64xf32> to tensor<64x64xbf16>
      %Kb = arith.truncf %K : tensor<64x64xf32> to tensor<64x64xbf16>
      %U = linalg.contract indexing_maps = [#mk, #kn, #mn]
          ins(%Zb, %Vb : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%zero : tensor<64x128xf32>) -> tensor<64x128xf32>
      %Ub = arith.truncf %U : tensor<64x128xf32> to tensor<64x128xbf16>
      %T = linalg.contract indexing_maps = [#km, #kn, #mn]
          ins(%Kb, %Ub : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%S : tensor<64x128xf32>) -> tensor<64x128xf32>
      delta.yield carry(%T : tensor<64x128xf32>)
    }
    return %t, %z : tensor<?x2x64x128xf32>, tensor<?x?x2x64xbf16>
  }
}
