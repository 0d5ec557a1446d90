// Two value heads share a key head: the sum of what both make of it.
func.func @pairs(%k: tensor<?x?x2x128xbf16> {delta.name = "k"}, %v: tensor<?x?x4x128xbf16> {delta.name = "v"})
    -> (tensor<?x?x2x128xbf16> {delta.name = "y"}) {
  %y = sched.kernel "pairs_kernel" grid(heads = 4 in pairs, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %k[seq, time, head, _] : tensor<?x?x2x128xbf16>, %in_0 = %v[seq, time, head, _] : tensor<?x?x4x128xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x128xbf16>) {
    %tiles = sched.channel depth 2 fill tma : <tensor<64x128xbf16>, tensor<64x128xbf16>>
    sched.role "multiply" warps 4 {
      sched.each_chunk reverse valid(%n) {
        %K, %V = sched.get %tiles : <tensor<64x128xbf16>, tensor<64x128xbf16>> -> tensor<64x128xf32>, tensor<64x128xf32>
        %Y = arith.mulf %K, %V : tensor<64x128xf32>
        sched.store %Y to %out direct : tensor<64x128xf32>, !sched.global<tensor<?x?x2x128xbf16>>
        sched.yield
      }
    }
    sched.role "load" warps 1 {
      sched.each_chunk reverse valid(%n) {
        %K = sched.load %in : !sched.global<tensor<?x?x2x128xbf16>> -> tensor<64x128xf32>
        %V = sched.load %in_0 : !sched.global<tensor<?x?x4x128xbf16>> -> tensor<64x128xf32>
        sched.put %K, %V to %tiles : <tensor<64x128xbf16>, tensor<64x128xbf16>>, tensor<64x128xf32>, tensor<64x128xf32>
        sched.yield
      }
    }
  }
  return %y : tensor<?x?x2x128xbf16>
}
