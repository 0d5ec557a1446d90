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
