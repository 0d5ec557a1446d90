// RUN: wyvern-opt %s -sched-separate -convert-sched-to-tile -split-input-file -verify-diagnostics

// A block has 64 of the value channels, and cannot have them all beside these.

#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
func.func @split_twice(%k: tensor<?x?x1x128xbf16> {delta.name = "k"}, %v: tensor<?x?x1x64xbf16> {delta.name = "v"}, %s: tensor<?x1x128x64xf32> {delta.name = "s"}, %c: tensor<?x1x64x64xf32> {delta.name = "c"})
    -> (tensor<?x1x128x64xf32> {delta.name = "t"}, tensor<?x1x64x64xf32> {delta.name = "d"}) {
  %t, %d = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x1x128xbf16>, %V = %v[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      carry(%S = %s[seq, head, _, _] : tensor<?x1x128x64xf32>, %C = %c[seq, head, _, _] : tensor<?x1x64x64xf32>) outs() valid(%n) {
    %S1 = linalg.contract indexing_maps = [#km, #kn, #mn]
        ins(%K, %V : tensor<64x128xf32>, tensor<64x64xf32>) outs(%S : tensor<128x64xf32>) -> tensor<128x64xf32>
    // expected-error @+1 {{makes a tile with the dimension that is split over blocks as its rows and as its columns; the GPU path takes tiles that have it once (target "cpu" takes all)}}
    %C1 = linalg.contract indexing_maps = [#km, #kn, #mn]
        ins(%V, %V : tensor<64x64xf32>, tensor<64x64xf32>) outs(%C : tensor<64x64xf32>) -> tensor<64x64xf32>
    delta.yield carry(%S1, %C1 : tensor<128x64xf32>, tensor<64x64xf32>)
  }
  return %t, %d : tensor<?x1x128x64xf32>, tensor<?x1x64x64xf32>
}

// -----

// Two blocks have 64 of the values each, and one role sums over all.

#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
func.func @sums(%k: tensor<?x?x1x64xbf16> {delta.name = "k"}, %v: tensor<?x?x1x128xbf16> {delta.name = "v"}, %s: tensor<?x1x64x128xf32> {delta.name = "s"})
    -> (tensor<?x?x1xf32> {delta.name = "y"}, tensor<?x1x64x128xf32> {delta.name = "t"}) {
  %y, %t = sched.kernel "k" grid(heads = 1, split = 2, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%ki = %k[seq, time, head, _] : tensor<?x?x1x64xbf16>, %vi = %v[seq, time, head, _] : tensor<?x?x1x128xbf16>)
      inits(%si = %s[seq, head, _, _] : tensor<?x1x64x128xf32>)
      outs(%yo = [seq, time, head] : tensor<?x?x1xf32>) finals(%so = [seq, head, _, _] : tensor<?x1x64x128xf32>) {
    %c = sched.channel depth 2 fill tma : <tensor<64x64xbf16>, tensor<64x128xbf16>>
    sched.role "state" warps 4 {
      %S0 = sched.load %si : <tensor<?x1x64x128xf32>> -> tensor<64x128xf32>
      %ST = sched.each_chunk forward valid(%n) carries(%S = %S0 : tensor<64x128xf32>) {
        %K, %V = sched.get %c : <tensor<64x64xbf16>, tensor<64x128xbf16>> -> tensor<64x64xf32>, tensor<64x128xf32>
        %S1 = linalg.contract indexing_maps = [#km, #kn, #mn]
            ins(%K, %V : tensor<64x64xf32>, tensor<64x128xf32>) outs(%S : tensor<64x128xf32>) -> tensor<64x128xf32>
        sched.yield %S1 : tensor<64x128xf32>
      }
      sched.store %ST to %so : tensor<64x128xf32>, <tensor<?x1x64x128xf32>>
    }
    sched.role "sum" warps 4 {
      sched.each_chunk forward valid(%n) {
        %zero = arith.constant dense<0.0> : tensor<64xf32>
        %K, %V = sched.get %c : <tensor<64x64xbf16>, tensor<64x128xbf16>> -> tensor<64x64xf32>, tensor<64x128xf32>
        // expected-error @+1 {{sums over the dimension that is split over 2 blocks, which share nothing; split it over warpgroups of a role, or make the blocks a cluster}}
        %Y = linalg.reduce { arith.addf } ins(%V : tensor<64x128xf32>) outs(%zero : tensor<64xf32>) dimensions = [1]
        sched.store %Y to %yo : tensor<64xf32>, <tensor<?x?x1xf32>>
        sched.yield
      }
    }
    sched.role "load" warps 1 {
      sched.each_chunk forward valid(%n) {
        %K = sched.load %ki : <tensor<?x?x1x64xbf16>> -> tensor<64x64xf32>
        %V = sched.load %vi : <tensor<?x?x1x128xbf16>> -> tensor<64x128xf32>
        sched.put %K, %V to %c : <tensor<64x64xbf16>, tensor<64x128xbf16>>, tensor<64x64xf32>, tensor<64x128xf32>
        sched.yield
      }
    }
  }
  return %y, %t : tensor<?x?x1xf32>, tensor<?x1x64x128xf32>
}
