#map = affine_map<(d0, d1, d2) -> (d0, d2)>
#map1 = affine_map<(d0, d1, d2) -> (d2, d1)>
#map2 = affine_map<(d0, d1, d2) -> (d0, d1)>
#map3 = affine_map<(d0, d1, d2) -> (d2, d0)>
#map4 = affine_map<(d0, d1, d2) -> (d1, d2)>
module {
  func.func @delta_net_340m_fwd(%arg0: tensor<?x?x8x128xbf16> {delta.name = "q"}, %arg1: tensor<?x?x8x128xbf16> {delta.name = "k"}, %arg2: tensor<?x?x8x128xbf16> {delta.name = "v"}, %arg3: tensor<?x?x8xf32> {delta.name = "beta"}, %arg4: tensor<?x8x128x128xf32> {delta.name = "initial_state"}, %arg5: tensor<?xi64> {delta.name = "cu_seqlens"}) -> (tensor<?x?x8x128xbf16> {delta.name = "o"}, tensor<?x8x128x128xf32> {delta.name = "final_state"}, tensor<?x?x8x64xbf16> {delta.name = "factor", delta.residual}, tensor<?x?x8x128xbf16> {delta.name = "rows", delta.residual}, tensor<?x8x128x128xbf16> {delta.name = "state", delta.residual}, tensor<?x?x8x64xbf16> {delta.name = "mapped", delta.residual}) attributes {delta.backward = @delta_net_340m_bwd} {
    %factor, %mapped = delta.chunk_map chunk = 64 heads = 8 compute = f32 ins(%Q = %arg0[seq, time, head, _] : tensor<?x?x8x128xbf16>, %K = %arg1[seq, time, head, _] : tensor<?x?x8x128xbf16>, %beta = %arg3[seq, time, head] : tensor<?x?x8xf32>) cu_seqlens(%arg5 : tensor<?xi64>) outs([seq, time, head, _] : tensor<?x?x8x64xbf16>, [seq, time, head, _] : tensor<?x?x8x64xbf16>) valid(%n) {
      %0 = arith.truncf %Q : tensor<64x128xf32> to tensor<64x128xbf16>
      %1 = arith.truncf %K : tensor<64x128xf32> to tensor<64x128xbf16>
      %M = delta.decay_dot  before_row %1, %1 : tensor<64x128xbf16>, tensor<64x128xbf16> -> tensor<64x64xf32>
      %Z = delta.erase_factor %M, %beta block 32 to bf16 : tensor<64x64xf32>, tensor<64xf32> -> tensor<64x64xf32>
      %M_0 = delta.decay_dot  upto_token %0, %1 : tensor<64x128xbf16>, tensor<64x128xbf16> -> tensor<64x64xf32>
      delta.yield outs(%Z, %M_0 : tensor<64x64xf32>, tensor<64x64xf32>)
    }
    %o, %rows, %state, %final_state = delta.chunk_scan forward chunk = 64 heads = 8 compute = f32 ins(%Q = %arg0[seq, time, head, _] : tensor<?x?x8x128xbf16>, %K = %arg1[seq, time, head, _] : tensor<?x?x8x128xbf16>, %V = %arg2[seq, time, head, _] : tensor<?x?x8x128xbf16>, %beta = %arg3[seq, time, head] : tensor<?x?x8xf32>, %Factor = %factor[seq, time, head, _] : tensor<?x?x8x64xbf16>, %Mapped = %mapped[seq, time, head, _] : tensor<?x?x8x64xbf16>) carry(%S = %arg4[seq, head, _, _] : tensor<?x8x128x128xf32>) cu_seqlens(%arg5 : tensor<?xi64>) outs([seq, time, head, _] : tensor<?x?x8x128xbf16>, [seq, time, head, _] : tensor<?x?x8x128xbf16>, [chunk, head, _, _] : tensor<?x8x128x128xbf16>) valid(%n) {
      %0 = arith.truncf %Mapped : tensor<64x64xf32> to tensor<64x64xbf16>
      %1 = arith.truncf %Q : tensor<64x128xf32> to tensor<64x128xbf16>
      %2 = arith.truncf %Factor : tensor<64x64xf32> to tensor<64x64xbf16>
      %3 = arith.truncf %S : tensor<128x128xf32> to tensor<128x128xbf16>
      %4 = arith.truncf %K : tensor<64x128xf32> to tensor<64x128xbf16>
      %cst = arith.constant dense<0.0883883461> : tensor<64x128xf32>
      %cst_0 = arith.constant dense<0.000000e+00> : tensor<64x128xf32>
      %5 = linalg.contract indexing_maps = [#map, #map1, #map2] ins(%4, %3 : tensor<64x128xbf16>, tensor<128x128xbf16>) outs(%cst_0 : tensor<64x128xf32>) -> tensor<64x128xf32>
      %6 = arith.subf %V, %5 : tensor<64x128xf32>
      %R = delta.erase_apply %2, %beta, %6 block 32 : tensor<64x64xbf16>, tensor<64xf32>, tensor<64x128xf32>
      %7 = tensor.empty() : tensor<64x128xf32>
      %broadcasted = linalg.broadcast ins(%beta : tensor<64xf32>) outs(%7 : tensor<64x128xf32>) dimensions = [1] 
      %8 = arith.mulf %broadcasted, %R : tensor<64x128xf32>
      %9 = arith.truncf %8 : tensor<64x128xf32> to tensor<64x128xbf16>
      %10 = linalg.contract indexing_maps = [#map, #map1, #map2] ins(%1, %3 : tensor<64x128xbf16>, tensor<128x128xbf16>) outs(%cst_0 : tensor<64x128xf32>) -> tensor<64x128xf32>
      %11 = linalg.contract indexing_maps = [#map, #map1, #map2] ins(%0, %9 : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%10 : tensor<64x128xf32>) -> tensor<64x128xf32>
      %12 = arith.mulf %11, %cst : tensor<64x128xf32>
      %13 = linalg.contract indexing_maps = [#map3, #map1, #map2] ins(%4, %9 : tensor<64x128xbf16>, tensor<64x128xbf16>) outs(%S : tensor<128x128xf32>) -> tensor<128x128xf32>
      delta.yield outs(%12, %R, %S : tensor<64x128xf32>, tensor<64x128xf32>, tensor<128x128xf32>) carry(%13 : tensor<128x128xf32>)
    }
    return %o, %final_state, %factor, %rows, %state, %mapped : tensor<?x?x8x128xbf16>, tensor<?x8x128x128xf32>, tensor<?x?x8x64xbf16>, tensor<?x?x8x128xbf16>, tensor<?x8x128x128xbf16>, tensor<?x?x8x64xbf16>
  }
  func.func @delta_net_340m_bwd(%arg0: tensor<?x?x8x128xbf16> {delta.name = "q"}, %arg1: tensor<?x?x8x128xbf16> {delta.name = "k"}, %arg2: tensor<?x?x8xf32> {delta.name = "beta"}, %arg3: tensor<?xi64> {delta.name = "cu_seqlens"}, %arg4: tensor<?x?x8x64xbf16> {delta.name = "factor", delta.residual}, %arg5: tensor<?x?x8x128xbf16> {delta.name = "rows", delta.residual}, %arg6: tensor<?x8x128x128xbf16> {delta.name = "state", delta.residual}, %arg7: tensor<?x?x8x64xbf16> {delta.name = "mapped", delta.residual}, %arg8: tensor<?x?x8x128xbf16> {delta.name = "d_o"}, %arg9: tensor<?x8x128x128xf32> {delta.name = "d_final_state"}) -> (tensor<?x?x8x128xbf16> {delta.name = "d_q"}, tensor<?x?x8x128xbf16> {delta.name = "d_k"}, tensor<?x?x8x128xbf16> {delta.name = "d_v"}, tensor<?x?x8xf32> {delta.name = "d_beta"}, tensor<?x8x128x128xf32> {delta.name = "d_initial_state"}) {
    %d_v, %outs:2, %d_initial_state = delta.chunk_scan reverse chunk = 64 heads = 8 compute = f32 ins(%dO = %arg8[seq, time, head, _] : tensor<?x?x8x128xbf16>, %beta = %arg2[seq, time, head] : tensor<?x?x8xf32>, %K = %arg1[seq, time, head, _] : tensor<?x?x8x128xbf16>, %Q = %arg0[seq, time, head, _] : tensor<?x?x8x128xbf16>, %Factor = %arg4[seq, time, head, _] : tensor<?x?x8x64xbf16>, %Mapped = %arg7[seq, time, head, _] : tensor<?x?x8x64xbf16>) carry(%S = %arg9[seq, head, _, _] : tensor<?x8x128x128xf32>) cu_seqlens(%arg3 : tensor<?xi64>) outs([seq, time, head, _] : tensor<?x?x8x128xbf16>, [seq, time, head, _] : tensor<?x?x8x128xbf16>, [chunk, head, _, _] : tensor<?x8x128x128xbf16>) valid(%n) {
      %0 = arith.truncf %Factor : tensor<64x64xf32> to tensor<64x64xbf16>
      %1 = arith.truncf %Q : tensor<64x128xf32> to tensor<64x128xbf16>
      %2 = arith.truncf %dO : tensor<64x128xf32> to tensor<64x128xbf16>
      %3 = arith.truncf %Mapped : tensor<64x64xf32> to tensor<64x64xbf16>
      %4 = arith.truncf %S : tensor<128x128xf32> to tensor<128x128xbf16>
      %5 = arith.truncf %K : tensor<64x128xf32> to tensor<64x128xbf16>
      %cst = arith.constant dense<0.0883883461> : tensor<128x128xf32>
      %cst_0 = arith.constant dense<0.0883883461> : tensor<64x128xf32>
      %cst_1 = arith.constant dense<11.3137083> : tensor<64x128xf32>
      %cst_2 = arith.constant dense<0.000000e+00> : tensor<64x128xf32>
      %cst_3 = arith.constant dense<11.3137083> : tensor<128x128xf32>
      %6 = arith.mulf %S, %cst_3 : tensor<128x128xf32>
      %7 = tensor.empty() : tensor<64x128xf32>
      %broadcasted = linalg.broadcast ins(%beta : tensor<64xf32>) outs(%7 : tensor<64x128xf32>) dimensions = [1] 
      %8 = linalg.contract indexing_maps = [#map3, #map2, #map1] ins(%5, %4 : tensor<64x128xbf16>, tensor<128x128xbf16>) outs(%cst_2 : tensor<64x128xf32>) -> tensor<64x128xf32>
      %9 = arith.mulf %8, %cst_1 : tensor<64x128xf32>
      %10 = linalg.contract indexing_maps = [#map, #map2, #map1] ins(%3, %2 : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%9 : tensor<64x128xf32>) -> tensor<64x128xf32>
      %11 = linalg.contract indexing_maps = [#map, #map2, #map1] ins(%1, %2 : tensor<64x128xbf16>, tensor<64x128xbf16>) outs(%6 : tensor<128x128xf32>) -> tensor<128x128xf32>
      %12 = arith.mulf %10, %cst_0 : tensor<64x128xf32>
      %R = delta.erase_apply adjoint %0, %beta, %12 block 32 : tensor<64x64xbf16>, tensor<64xf32>, tensor<64x128xf32>
      %13 = arith.mulf %R, %broadcasted : tensor<64x128xf32>
      %14 = arith.negf %13 : tensor<64x128xf32>
      %15 = arith.truncf %14 : tensor<64x128xf32> to tensor<64x128xbf16>
      %16 = arith.mulf %11, %cst : tensor<128x128xf32>
      %17 = linalg.contract indexing_maps = [#map, #map2, #map1] ins(%5, %15 : tensor<64x128xbf16>, tensor<64x128xbf16>) outs(%16 : tensor<128x128xf32>) -> tensor<128x128xf32>
      delta.yield outs(%13, %R, %S : tensor<64x128xf32>, tensor<64x128xf32>, tensor<128x128xf32>) carry(%17 : tensor<128x128xf32>)
    }
    %d_q, %d_k, %d_beta = delta.chunk_map chunk = 64 heads = 8 compute = f32 ins(%dO = %arg8[seq, time, head, _] : tensor<?x?x8x128xbf16>, %Rows = %arg5[seq, time, head, _] : tensor<?x?x8x128xbf16>, %beta = %arg2[seq, time, head] : tensor<?x?x8xf32>, %K = %arg1[seq, time, head, _] : tensor<?x?x8x128xbf16>, %Q = %arg0[seq, time, head, _] : tensor<?x?x8x128xbf16>, %State = %arg6[chunk, head, _, _] : tensor<?x8x128x128xbf16>, %R = %outs#0[seq, time, head, _] : tensor<?x?x8x128xbf16>, %arg10 = %outs#1[chunk, head, _, _] : tensor<?x8x128x128xbf16>) cu_seqlens(%arg3 : tensor<?xi64>) outs([seq, time, head, _] : tensor<?x?x8x128xbf16>, [seq, time, head, _] : tensor<?x?x8x128xbf16>, [seq, time, head] : tensor<?x?x8xf32>) valid(%n) {
      %0 = arith.truncf %Q : tensor<64x128xf32> to tensor<64x128xbf16>
      %1 = arith.truncf %arg10 : tensor<128x128xf32> to tensor<128x128xbf16>
      %2 = arith.truncf %R : tensor<64x128xf32> to tensor<64x128xbf16>
      %3 = arith.truncf %K : tensor<64x128xf32> to tensor<64x128xbf16>
      %4 = arith.truncf %State : tensor<128x128xf32> to tensor<128x128xbf16>
      %5 = arith.truncf %Rows : tensor<64x128xf32> to tensor<64x128xbf16>
      %6 = arith.truncf %dO : tensor<64x128xf32> to tensor<64x128xbf16>
      %cst = arith.constant dense<0.0883883461> : tensor<64xf32>
      %cst_0 = arith.constant dense<0.0883883461> : tensor<64x128xf32>
      %cst_1 = arith.constant dense<0.000000e+00> : tensor<64xf32>
      %cst_2 = arith.constant dense<0.000000e+00> : tensor<64x64xf32>
      %cst_3 = arith.constant dense<0.000000e+00> : tensor<64x128xf32>
      %7 = tensor.empty() : tensor<64x128xf32>
      %broadcasted = linalg.broadcast ins(%beta : tensor<64xf32>) outs(%7 : tensor<64x128xf32>) dimensions = [1] 
      %8 = linalg.contract indexing_maps = [#map2, #map1, #map] ins(%6, %5 : tensor<64x128xbf16>, tensor<64x128xbf16>) outs(%cst_2 : tensor<64x64xf32>) -> tensor<64x64xf32>
      %9 = tensor.empty() : tensor<64x64xf32>
      %broadcasted_4 = linalg.broadcast ins(%beta : tensor<64xf32>) outs(%9 : tensor<64x64xf32>) dimensions = [0] 
      %10 = arith.mulf %beta, %cst : tensor<64xf32>
      %broadcasted_5 = linalg.broadcast ins(%10 : tensor<64xf32>) outs(%9 : tensor<64x64xf32>) dimensions = [0] 
      %11 = arith.mulf %broadcasted_5, %8 : tensor<64x64xf32>
      %R_6 = delta.decay_mask  upto_token %11 : tensor<64x64xf32>
      %12 = arith.truncf %R_6 : tensor<64x64xf32> to tensor<64x64xbf16>
      %13 = linalg.contract indexing_maps = [#map2, #map1, #map] ins(%6, %4 : tensor<64x128xbf16>, tensor<128x128xbf16>) outs(%cst_3 : tensor<64x128xf32>) -> tensor<64x128xf32>
      %14 = arith.mulf %13, %cst_0 : tensor<64x128xf32>
      %15 = linalg.contract indexing_maps = [#map, #map1, #map2] ins(%12, %3 : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%14 : tensor<64x128xf32>) -> tensor<64x128xf32>
      %16 = linalg.contract indexing_maps = [#map, #map4, #map2] ins(%2, %5 : tensor<64x128xbf16>, tensor<64x128xbf16>) outs(%cst_2 : tensor<64x64xf32>) -> tensor<64x64xf32>
      %17 = arith.negf %beta : tensor<64xf32>
      %broadcasted_7 = linalg.broadcast ins(%17 : tensor<64xf32>) outs(%9 : tensor<64x64xf32>) dimensions = [1] 
      %18 = arith.mulf %broadcasted_7, %16 : tensor<64x64xf32>
      %19 = arith.mulf %broadcasted_4, %18 : tensor<64x64xf32>
      %R_8 = delta.decay_mask  before_row %19 : tensor<64x64xf32>
      %20 = arith.truncf %R_8 : tensor<64x64xf32> to tensor<64x64xbf16>
      %R_9 = delta.decay_mask  upto_token %16 near 1 : tensor<64x64xf32>
      %reduced = linalg.reduce { arith.addf } ins(%R_9 : tensor<64x64xf32>) outs(%cst_1 : tensor<64xf32>) dimensions = [1] 
      %21 = linalg.contract indexing_maps = [#map2, #map1, #map] ins(%2, %4 : tensor<64x128xbf16>, tensor<128x128xbf16>) outs(%cst_3 : tensor<64x128xf32>) -> tensor<64x128xf32>
      %22 = arith.negf %21 : tensor<64x128xf32>
      %23 = linalg.contract indexing_maps = [#map2, #map1, #map3] ins(%1, %5 : tensor<128x128xbf16>, tensor<64x128xbf16>) outs(%22 : tensor<64x128xf32>) -> tensor<64x128xf32>
      %24 = arith.mulf %broadcasted, %23 : tensor<64x128xf32>
      %25 = linalg.contract indexing_maps = [#map3, #map1, #map2] ins(%12, %0 : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%24 : tensor<64x128xf32>) -> tensor<64x128xf32>
      %26 = linalg.contract indexing_maps = [#map, #map1, #map2] ins(%20, %3 : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%25 : tensor<64x128xf32>) -> tensor<64x128xf32>
      %27 = linalg.contract indexing_maps = [#map3, #map1, #map2] ins(%20, %3 : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%26 : tensor<64x128xf32>) -> tensor<64x128xf32>
      delta.yield outs(%15, %27, %reduced : tensor<64x128xf32>, tensor<64x128xf32>, tensor<64xf32>)
    }
    return %d_q, %d_k, %d_v, %d_beta, %d_initial_state : tensor<?x?x8x128xbf16>, tensor<?x?x8x128xbf16>, tensor<?x?x8x128xbf16>, tensor<?x?x8xf32>, tensor<?x8x128x128xf32>
  }
}

