// A head has two blocks, each with half of the values. The chain of each carries its half of S
// and hands that, and its half of X = K S, to both blocks: what is read of them sums over all
// values. Role "sum" makes half of the key channels of y in each block, and a summand of what it
// sums over them, dots; role "pairs" has nothing that could be divided, and the first block stores
// what it makes.

#rows = affine_map<(i, j, k) -> (i, k)>
#columns = affine_map<(i, j, k) -> (k, j)>
#turned = affine_map<(i, j, k) -> (j, k)>
#turned_rows = affine_map<(i, j, k) -> (k, i)>
#out = affine_map<(i, j, k) -> (i, j)>

func.func @cluster(%k: tensor<?x?x2x128xbf16> {delta.name = "k"},
                   %beta: tensor<?x?x2xf32> {delta.name = "beta"},
                   %s0: tensor<?x2x128x128xf32> {delta.name = "initial_state"},
                   %cu: tensor<?xi64> {delta.name = "cu_seqlens"})
    -> (tensor<?x?x2x128xbf16> {delta.name = "x"}, tensor<?x?x2x128xbf16> {delta.name = "y"},
        tensor<?x?x2x64xbf16> {delta.name = "pairs"}, tensor<?x?x2xf32> {delta.name = "dots"},
        tensor<?x2x128x128xf32> {delta.name = "final_state"}) {
  %0:5 = sched.kernel "cluster_kernel" grid(heads = 2, split = 2 cluster, over = sequences)
      chunk = 64 compute = f32 min_blocks 1
      ins(%in = %k[seq, time, head, _] : tensor<?x?x2x128xbf16>,
          %in_0 = %beta[seq, time, head] : tensor<?x?x2xf32>)
      inits(%init = %s0[seq, head, _, _] : tensor<?x2x128x128xf32>)
      cu_seqlens(%cu : tensor<?xi64>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x128xbf16>,
           %out_1 = [seq, time, head, _] : tensor<?x?x2x128xbf16>,
           %out_2 = [seq, time, head, _] : tensor<?x?x2x64xbf16>,
           %out_3 = [seq, time, head] : tensor<?x?x2xf32>)
      finals(%final = [seq, head, _, _] : tensor<?x2x128x128xf32>) {
    %kb = sched.channel depth 2 fill tma : <tensor<64x128xbf16>, tensor<64xf32>>
    %sc = sched.channel depth 1 fill warps across : <tensor<128x128xbf16>>
    %xc = sched.channel depth 2 fill warps across : <tensor<64x128xbf16>>
    %pc = sched.channel depth 1 fill warps : <tensor<64x64xbf16>>
    sched.role "chain" warps 4 registers 208 {
      %start = sched.load %init : <tensor<?x2x128x128xf32>> -> tensor<128x128xf32>
      %last = sched.each_chunk forward valid(%n) carries(%S = %start : tensor<128x128xf32>) {
        sched.put %S to %sc : <tensor<128x128xbf16>>, tensor<128x128xf32>
        %K:2 = sched.get %kb : <tensor<64x128xbf16>, tensor<64xf32>> -> tensor<64x128xf32>, tensor<64xf32>
        %Kh = arith.truncf %K#0 : tensor<64x128xf32> to tensor<64x128xbf16>
        %Sh = arith.truncf %S : tensor<128x128xf32> to tensor<128x128xbf16>
        %zero = arith.constant dense<0.0> : tensor<64x128xf32>
        %KS = linalg.contract indexing_maps = [#rows, #columns, #out] ins(%Kh, %Sh : tensor<64x128xbf16>, tensor<128x128xbf16>) outs(%zero : tensor<64x128xf32>) -> tensor<64x128xf32>
        %empty = tensor.empty() : tensor<64x128xf32>
        %B = linalg.broadcast ins(%K#1 : tensor<64xf32>) outs(%empty : tensor<64x128xf32>) dimensions = [1]
        %X = arith.mulf %KS, %B : tensor<64x128xf32>
        sched.put %X to %xc : <tensor<64x128xbf16>>, tensor<64x128xf32>
        sched.store %X to %out : tensor<64x128xf32>, <tensor<?x?x2x128xbf16>>
        %minus = arith.negf %X : tensor<64x128xf32>
        %Xh = arith.truncf %minus : tensor<64x128xf32> to tensor<64x128xbf16>
        %next = linalg.contract indexing_maps = [#turned_rows, #columns, #out] ins(%Kh, %Xh : tensor<64x128xbf16>, tensor<64x128xbf16>) outs(%S : tensor<128x128xf32>) -> tensor<128x128xf32>
        sched.yield %next : tensor<128x128xf32>
      }
      sched.store %last to %final : tensor<128x128xf32>, <tensor<?x2x128x128xf32>>
    }
    sched.role "sum" warps 4 registers 136 divided {
      sched.each_chunk forward valid(%n) {
        %S = sched.get %sc : <tensor<128x128xbf16>> -> tensor<128x128xf32>
        %Sh = arith.truncf %S : tensor<128x128xf32> to tensor<128x128xbf16>
        %X = sched.get %xc : <tensor<64x128xbf16>> -> tensor<64x128xf32>
        %Xh = arith.truncf %X : tensor<64x128xf32> to tensor<64x128xbf16>
        %zero = arith.constant dense<0.0> : tensor<64x128xf32>
        %XS = linalg.contract indexing_maps = [#rows, #turned, #out] ins(%Xh, %Sh : tensor<64x128xbf16>, tensor<128x128xbf16>) outs(%zero : tensor<64x128xf32>) -> tensor<64x128xf32>
        %P = sched.get %pc : <tensor<64x64xbf16>> -> tensor<64x64xf32>
        %Ph = arith.truncf %P : tensor<64x64xf32> to tensor<64x64xbf16>
        %K:2 = sched.get %kb : <tensor<64x128xbf16>, tensor<64xf32>> -> tensor<64x128xf32>, tensor<64xf32>
        %Kh = arith.truncf %K#0 : tensor<64x128xf32> to tensor<64x128xbf16>
        %Y = linalg.contract indexing_maps = [#rows, #columns, #out] ins(%Ph, %Kh : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%XS : tensor<64x128xf32>) -> tensor<64x128xf32>
        sched.store %Y to %out_1 : tensor<64x128xf32>, <tensor<?x?x2x128xbf16>>
        %YK = arith.mulf %Y, %K#0 : tensor<64x128xf32>
        %none = arith.constant dense<0.0> : tensor<64xf32>
        %sum = linalg.reduce { arith.addf } ins(%YK : tensor<64x128xf32>) outs(%none : tensor<64xf32>) dimensions = [1]
        %dots = arith.addf %sum, %K#1 : tensor<64xf32>
        sched.store %dots to %out_3 : tensor<64xf32>, <tensor<?x?x2xf32>>
        sched.yield
      }
    }
    sched.role "pairs" warps 4 registers 120 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %xc : <tensor<64x128xbf16>> -> tensor<64x128xf32>
        %Xh = arith.truncf %X : tensor<64x128xf32> to tensor<64x128xbf16>
        %zero = arith.constant dense<0.0> : tensor<64x64xf32>
        %P = linalg.contract indexing_maps = [#rows, #turned, #out] ins(%Xh, %Xh : tensor<64x128xbf16>, tensor<64x128xbf16>) outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
        sched.put %P to %pc : <tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.store %P to %out_2 : tensor<64x64xf32>, <tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    sched.role "load" warps 1 registers 40 {
      sched.each_chunk forward valid(%n) {
        %K = sched.load %in : <tensor<?x?x2x128xbf16>> -> tensor<64x128xf32>
        %b = sched.load %in_0 : <tensor<?x?x2xf32>> -> tensor<64xf32>
        sched.put %K, %b to %kb : <tensor<64x128xbf16>, tensor<64xf32>>, tensor<64x128xf32>, tensor<64xf32>
        sched.yield
      }
    }
  }
  return %0#0, %0#1, %0#2, %0#3, %0#4 : tensor<?x?x2x128xbf16>, tensor<?x?x2x128xbf16>, tensor<?x?x2x64xbf16>, tensor<?x?x2xf32>, tensor<?x2x128x128xf32>
}
