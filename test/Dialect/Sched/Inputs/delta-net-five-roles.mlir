// A division of DeltaNet that no strategy makes: what the state is read with is a role of its
// own, which gets the state that a chunk begins with and the rows that it writes, in the type
// that products read them in.
#mk = affine_map<(m, n, k) -> (m, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
func.func @delta_net(
    %q: tensor<?x?x2x64xbf16> {delta.name = "q"}, %k: tensor<?x?x2x64xbf16> {delta.name = "k"},
    %v: tensor<?x?x2x128xbf16> {delta.name = "v"}, %beta: tensor<?x?x2xf32> {delta.name = "beta"},
    %s0: tensor<?x2x64x128xf32> {delta.name = "initial_state"}, %cu: tensor<?xi64> {delta.name = "cu_seqlens"})
    -> (tensor<?x?x2x128xbf16> {delta.name = "o"}, tensor<?x2x64x128xf32> {delta.name = "final_state"}) {
  %o, %sN = sched.kernel "delta_net_fused" grid(heads = 2, split = 2, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x2x64xbf16>, %K = %k[seq, time, head, _] : tensor<?x?x2x64xbf16>,
          %V = %v[seq, time, head, _] : tensor<?x?x2x128xbf16>, %B = %beta[seq, time, head] : tensor<?x?x2xf32>)
      inits(%S0 = %s0[seq, head, _, _] : tensor<?x2x64x128xf32>)
      cu_seqlens(%cu : tensor<?xi64>)
      outs(%O = [seq, time, head, _] : tensor<?x?x2x128xbf16>)
      finals(%SN = [seq, head, _, _] : tensor<?x2x64x128xf32>) {
    %keys = sched.channel depth 3 fill tma : <tensor<64x64xbf16>, tensor<64x64xbf16>>
    %values = sched.channel depth 2 fill tma : <tensor<64x128xbf16>>
    %rates = sched.channel depth 3 fill tma : <tensor<64xf32>>
    %dots = sched.channel depth 1 fill warps : <tensor<64x64xf32>>
    %reads = sched.channel depth 2 fill warps : <tensor<64x64xbf16>>
    %factors = sched.channel depth 2 fill warps : <tensor<64x64xbf16>>
    %states = sched.channel depth 1 fill warps : <tensor<64x128xbf16>>
    %rows = sched.channel depth 1 fill warps : <tensor<64x128xbf16>>
    sched.role "dots" warps 4 {
      sched.each_chunk forward valid(%n) {
        %q1, %k1 = sched.get %keys : <tensor<64x64xbf16>, tensor<64x64xbf16>> -> tensor<64x64xf32>, tensor<64x64xf32>
        %qb = arith.truncf %q1 : tensor<64x64xf32> to tensor<64x64xbf16>
        %kb = arith.truncf %k1 : tensor<64x64xf32> to tensor<64x64xbf16>
        %L = delta.decay_dot before_row %kb, %kb : tensor<64x64xbf16>, tensor<64x64xbf16> -> tensor<64x64xf32>
        sched.put %L to %dots : <tensor<64x64xf32>>, tensor<64x64xf32>
        %P = delta.decay_dot upto_token %qb, %kb : tensor<64x64xbf16>, tensor<64x64xbf16> -> tensor<64x64xf32>
        sched.put %P to %reads : <tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
    sched.role "read" warps 4 {
      %zero = arith.constant dense<0.0> : tensor<64x128xf32>
      sched.each_chunk forward valid(%n) {
        %q1, %k1 = sched.get %keys : <tensor<64x64xbf16>, tensor<64x64xbf16>> -> tensor<64x64xf32>, tensor<64x64xf32>
        %S = sched.get %states : <tensor<64x128xbf16>> -> tensor<64x128xf32>
        %sb = arith.truncf %S : tensor<64x128xf32> to tensor<64x128xbf16>
        %qb = arith.truncf %q1 : tensor<64x64xf32> to tensor<64x64xbf16>
        %QS = linalg.contract indexing_maps = [#mk, #kn, #mn]
            ins(%qb, %sb : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%zero : tensor<64x128xf32>) -> tensor<64x128xf32>
        %U = sched.get %rows : <tensor<64x128xbf16>> -> tensor<64x128xf32>
        %Ub = arith.truncf %U : tensor<64x128xf32> to tensor<64x128xbf16>
        %P = sched.get %reads : <tensor<64x64xbf16>> -> tensor<64x64xf32>
        %Pb = arith.truncf %P : tensor<64x64xf32> to tensor<64x64xbf16>
        %PU = linalg.contract indexing_maps = [#mk, #kn, #mn]
            ins(%Pb, %Ub : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%QS : tensor<64x128xf32>) -> tensor<64x128xf32>
        %scale = arith.constant dense<1.250000e-01> : tensor<64x128xf32>
        %read = arith.mulf %PU, %scale : tensor<64x128xf32>
        sched.store %read to %O : tensor<64x128xf32>, <tensor<?x?x2x128xbf16>>
        sched.yield
      }
    }
    sched.role "factor" warps 4 {
      sched.each_chunk forward valid(%n) {
        %L = sched.get %dots : <tensor<64x64xf32>> -> tensor<64x64xf32>
        %b = sched.get %rates : <tensor<64xf32>> -> tensor<64xf32>
        %Z = delta.erase_factor %L, %b block 32 to bf16 : tensor<64x64xf32>, tensor<64xf32> -> tensor<64x64xf32>
        sched.put %Z to %factors : <tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
    sched.role "state" warps 4 {
      %zero = arith.constant dense<0.0> : tensor<64x128xf32>
      %first = sched.load %S0 : <tensor<?x2x64x128xf32>> -> tensor<64x128xf32>
      %last = sched.each_chunk forward valid(%n) carries(%S = %first : tensor<64x128xf32>) {
        sched.put %S to %states : <tensor<64x128xbf16>>, tensor<64x128xf32>
        %q1, %k1 = sched.get %keys : <tensor<64x64xbf16>, tensor<64x64xbf16>> -> tensor<64x64xf32>, tensor<64x64xf32>
        %kb = arith.truncf %k1 : tensor<64x64xf32> to tensor<64x64xbf16>
        %sb = arith.truncf %S : tensor<64x128xf32> to tensor<64x128xbf16>
        %KS = linalg.contract indexing_maps = [#mk, #kn, #mn]
            ins(%kb, %sb : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%zero : tensor<64x128xf32>) -> tensor<64x128xf32>
        %v1 = sched.get %values : <tensor<64x128xbf16>> -> tensor<64x128xf32>
        %W = arith.subf %v1, %KS : tensor<64x128xf32>
        %b = sched.get %rates : <tensor<64xf32>> -> tensor<64xf32>
        %e = tensor.empty() : tensor<64x128xf32>
        %bs = linalg.broadcast ins(%b : tensor<64xf32>) outs(%e : tensor<64x128xf32>) dimensions = [1]
        %Z = sched.get %factors : <tensor<64x64xbf16>> -> tensor<64x64xf32>
        %Zb = arith.truncf %Z : tensor<64x64xf32> to tensor<64x64xbf16>
        %R = delta.erase_apply %Zb, %b, %W block 32 : tensor<64x64xbf16>, tensor<64xf32>, tensor<64x128xf32>
        %U = arith.mulf %bs, %R : tensor<64x128xf32>
        %Ub = arith.truncf %U : tensor<64x128xf32> to tensor<64x128xbf16>
        sched.put %U to %rows : <tensor<64x128xbf16>>, tensor<64x128xf32>
        %S1 = linalg.contract indexing_maps = [#km, #kn, #mn]
            ins(%kb, %Ub : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%S : tensor<64x128xf32>) -> tensor<64x128xf32>
        sched.yield %S1 : tensor<64x128xf32>
      }
      sched.store %last to %SN : tensor<64x128xf32>, <tensor<?x2x64x128xf32>>
    }
    sched.role "load" warps 1 {
      sched.each_chunk forward valid(%n) {
        %a = sched.load %Q : <tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        %b = sched.load %K : <tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %a, %b to %keys : <tensor<64x64xbf16>, tensor<64x64xbf16>>, tensor<64x64xf32>, tensor<64x64xf32>
        %c = sched.load %B : <tensor<?x?x2xf32>> -> tensor<64xf32>
        sched.put %c to %rates : <tensor<64xf32>>, tensor<64xf32>
        %d = sched.load %V : <tensor<?x?x2x128xbf16>> -> tensor<64x128xf32>
        sched.put %d to %values : <tensor<64x128xbf16>>, tensor<64x128xf32>
        sched.yield
      }
    }
  }
  return %o, %sN : tensor<?x?x2x128xbf16>, tensor<?x2x64x128xf32>
}
