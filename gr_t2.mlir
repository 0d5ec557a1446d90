module attributes {tile.target = #tile.target<sm_90a>} {
  func.func @delta_net_fwd(%arg0: tensor<?x?x16x128xbf16> {delta.name = "q"}, %arg1: tensor<?x?x16x128xbf16> {delta.name = "k"}, %arg2: tensor<?x?x32x128xbf16> {delta.name = "v"}, %arg3: tensor<?x?x32xf32> {delta.name = "beta"}, %arg4: tensor<?x32x128x128xf32> {delta.name = "initial_state"}, %arg5: tensor<?xi64> {delta.name = "cu_seqlens"}) -> (tensor<?x?x32x128xbf16> {delta.name = "o"}, tensor<?x32x128x128xf32> {delta.name = "final_state"}, tensor<?x?x32x64xbf16> {delta.name = "factor", delta.residual}, tensor<?x?x32x128xbf16> {delta.name = "rows", delta.residual}, tensor<?x32x128x128xbf16> {delta.name = "state", delta.residual}, tensor<?x?x32x64xbf16> {delta.name = "mapped", delta.residual}) attributes {delta.backward = @delta_net_bwd} {
    %outs:2 = tile.launch @delta_net_fwd_map chunk 64 ins(%arg0, %arg1, %arg3 : tensor<?x?x16x128xbf16>, tensor<?x?x16x128xbf16>, tensor<?x?x32xf32>) cu_seqlens(%arg5 : tensor<?xi64>) bindings [#delta.binding<[seq, time, head, _]>, #delta.binding<[seq, time, head, _]>, #delta.binding<[seq, time, head]>], [], [#delta.binding<[seq, time, head, _]>, #delta.binding<[seq, time, head, _]>] outs(tensor<?x?x32x64xbf16>, tensor<?x?x32x64xbf16>)
    %outs_0:3, %finals = tile.launch @delta_net_fwd_scan chunk 64 ins(%arg0, %arg1, %arg2, %arg3, %outs#0, %outs#1 : tensor<?x?x16x128xbf16>, tensor<?x?x16x128xbf16>, tensor<?x?x32x128xbf16>, tensor<?x?x32xf32>, tensor<?x?x32x64xbf16>, tensor<?x?x32x64xbf16>) inits(%arg4 : tensor<?x32x128x128xf32>) cu_seqlens(%arg5 : tensor<?xi64>) bindings [#delta.binding<[seq, time, head, _]>, #delta.binding<[seq, time, head, _]>, #delta.binding<[seq, time, head, _]>, #delta.binding<[seq, time, head]>, #delta.binding<[seq, time, head, _]>, #delta.binding<[seq, time, head, _]>], [#delta.binding<[seq, head, _, _]>], [#delta.binding<[seq, time, head, _]>, #delta.binding<[seq, time, head, _]>, #delta.binding<[chunk, head, _, _]>] outs(tensor<?x?x32x128xbf16>, tensor<?x?x32x128xbf16>, tensor<?x32x128x128xbf16>) finals(tensor<?x32x128x128xf32>)
    return %outs_0#0, %finals, %outs#0, %outs_0#1, %outs_0#2, %outs#1 : tensor<?x?x32x128xbf16>, tensor<?x32x128x128xf32>, tensor<?x?x32x64xbf16>, tensor<?x?x32x128xbf16>, tensor<?x32x128x128xbf16>, tensor<?x?x32x64xbf16>
  }
  func.func @delta_net_bwd(%arg0: tensor<?x?x16x128xbf16> {delta.name = "q"}, %arg1: tensor<?x?x16x128xbf16> {delta.name = "k"}, %arg2: tensor<?x?x32xf32> {delta.name = "beta"}, %arg3: tensor<?xi64> {delta.name = "cu_seqlens"}, %arg4: tensor<?x?x32x64xbf16> {delta.name = "factor", delta.residual}, %arg5: tensor<?x?x32x128xbf16> {delta.name = "rows", delta.residual}, %arg6: tensor<?x32x128x128xbf16> {delta.name = "state", delta.residual}, %arg7: tensor<?x?x32x64xbf16> {delta.name = "mapped", delta.residual}, %arg8: tensor<?x?x32x128xbf16> {delta.name = "d_o"}, %arg9: tensor<?x32x128x128xf32> {delta.name = "d_final_state"}) -> (tensor<?x?x16x128xbf16> {delta.name = "d_q"}, tensor<?x?x16x128xbf16> {delta.name = "d_k"}, tensor<?x?x32x128xbf16> {delta.name = "d_v"}, tensor<?x?x32xf32> {delta.name = "d_beta"}, tensor<?x32x128x128xf32> {delta.name = "d_initial_state"}) {
    %outs:4, %finals = tile.launch @delta_net_bwd_fused chunk 64 ins(%arg8, %arg2, %arg1, %arg0, %arg4, %arg7, %arg5, %arg6 : tensor<?x?x32x128xbf16>, tensor<?x?x32xf32>, tensor<?x?x16x128xbf16>, tensor<?x?x16x128xbf16>, tensor<?x?x32x64xbf16>, tensor<?x?x32x64xbf16>, tensor<?x?x32x128xbf16>, tensor<?x32x128x128xbf16>) inits(%arg9 : tensor<?x32x128x128xf32>) cu_seqlens(%arg3 : tensor<?xi64>) bindings [#delta.binding<[seq, time, head, _]>, #delta.binding<[seq, time, head]>, #delta.binding<[seq, time, head, _]>, #delta.binding<[seq, time, head, _]>, #delta.binding<[seq, time, head, _]>, #delta.binding<[seq, time, head, _]>, #delta.binding<[seq, time, head, _]>, #delta.binding<[chunk, head, _, _]>], [#delta.binding<[seq, head, _, _]>], [#delta.binding<[seq, time, head, _]>, #delta.binding<[seq, time, head, _]>, #delta.binding<[seq, time, head, _]>, #delta.binding<[seq, time, head]>] outs(tensor<?x?x32x128xbf16>, tensor<?x?x16x128xbf16>, tensor<?x?x16x128xbf16>, tensor<?x?x32xf32>) finals(tensor<?x32x128x128xf32>)
    return %outs#1, %outs#2, %outs#0, %outs#3, %finals : tensor<?x?x16x128xbf16>, tensor<?x?x16x128xbf16>, tensor<?x?x32x128xbf16>, tensor<?x?x32xf32>, tensor<?x32x128x128xf32>
  }
  tile.kernel @delta_net_fwd_map(%arg0: !tile.tensor_map<tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, %arg1: !tile.tensor_map<tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, %arg2: !tile.global<tensor<?x?x32xf32>>, %arg3: !tile.global<tensor<?x?x32x64xbf16>>, %arg4: !tile.global<tensor<?x?x32x64xbf16>>, %arg5: !tile.cu_seqlens, %arg6: index, %arg7: index) grid 32 * slots warps 5 min_blocks 3 operands ["q", "k", "beta", "factor", "mapped", "cu_seqlens", "tokens", "sequences"] {
    %c2 = arith.constant 2 : index
    %cst = arith.constant dense<0.000000e+00> : tensor<64x64xf32, #tile.layout<acc>>
    %c63 = arith.constant 63 : index
    %c0 = arith.constant 0 : index
    %c32 = arith.constant 32 : index
    %c64 = arith.constant 64 : index
    %c1 = arith.constant 1 : index
    %0 = tile.alloc_ring producers 1 consumers 4 : <1, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64xf32>]>
    %1 = tile.alloc transient : <64x64xbf16>
    %2 = tile.alloc transient : <64x64xbf16>
    %3 = tile.block_id
    %4 = arith.remui %3, %c32 : index
    %5 = arith.divui %3, %c32 : index
    %n, %c = tile.find_chunk %5 of %arg5 tokens %arg6 sequences %arg7 chunk %c64
    %batch, %start, %length, %end = tile.sequence %n of %arg5 tokens %arg6 sequences %arg7
    %6 = arith.addi %length, %c63 : index
    %7 = arith.divui %6, %c64 : index
    %8 = arith.minui %c, %7 : index
    %9 = arith.subi %7, %8 : index
    %10 = arith.minui %9, %c1 : index
    %11 = arith.muli %c, %c64 : index
    %12 = arith.addi %start, %11 : index
    %13 = arith.subi %length, %11 : index
    tile.sync
    %14 = tile.alloc : <2624xf32>
    %15 = tile.alloc : <64x64xbf16>
    tile.roles warps [4, 1] {
      %16 = arith.cmpi ne, %10, %c0 : index
      scf.if %16 {
        %23 = arith.minui %13, %c64 : index
        %24:3 = tile.wait %0[%c0] : <1, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64xf32>]> -> !tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64xf32>
        %25 = arith.cmpi ult, %23, %c64 : index
        scf.if %25 {
          tile.zero_rows %24#0 from %23 : <64x128xbf16>
          tile.zero_rows %24#1 from %23 : <64x128xbf16>
          tile.barrier proxy id 1
        }
        %26 = tile.mma %24#0, %24#1 transpose_b : !tile.smem<64x128xbf16>, <64x128xbf16> -> <tensor<64x64xf32, #tile.layout<acc>>>
        %27 = tile.await %26 : <tensor<64x64xf32, #tile.layout<acc>>>
        %28 = tile.index 0 : tensor<64x64xi32, #tile.layout<acc>>
        %29 = tile.index 1 : tensor<64x64xi32, #tile.layout<acc>>
        %30 = arith.cmpi ule, %29, %28 : tensor<64x64xi32, #tile.layout<acc>>
        %31 = arith.select %30, %27, %cst : tensor<64x64xi1, #tile.layout<acc>>, tensor<64x64xf32, #tile.layout<acc>>
        %32 = arith.truncf %31 : tensor<64x64xf32, #tile.layout<acc>> to tensor<64x64xbf16, #tile.layout<acc>>
        tile.store_rows %32 to %arg4[%batch, %12, %4, %c0] dim 1 valid %23 via %2 barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>, <tensor<?x?x32x64xbf16>>, !tile.smem<64x64xbf16>
        %33 = tile.mma %24#1, %24#1 transpose_b : !tile.smem<64x128xbf16>, <64x128xbf16> -> <tensor<64x64xf32, #tile.layout<acc>>>
        %34 = tile.await %33 : <tensor<64x64xf32, #tile.layout<acc>>>
        %35 = arith.cmpi ult, %29, %28 : tensor<64x64xi32, #tile.layout<acc>>
        %36 = arith.select %35, %34, %cst : tensor<64x64xi1, #tile.layout<acc>>, tensor<64x64xf32, #tile.layout<acc>>
        %37 = tile.read %24#2 : <64xf32> -> tensor<64xf32, #tile.layout<warp>>
        %38 = tile.erase_strips %36, %37 via %14 to %15 barrier 1 : tensor<64x64xf32, #tile.layout<acc>>, tensor<64xf32, #tile.layout<warp>>, <2624xf32>, <64x64xbf16>
        %39 = tile.erase_join %38 via %14 barrier 1 : <64x64xbf16>, <2624xf32>
        tile.barrier proxy id 1
        %40 = tile.read %39 : <64x64xbf16> -> tensor<64x64xbf16, #tile.layout<acc>>
        tile.store_rows %40 to %arg3[%batch, %12, %4, %c0] dim 1 valid %23 via %1 barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>, <tensor<?x?x32x64xbf16>>, !tile.smem<64x64xbf16>
        tile.release %0[%c0] : <1, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64xf32>]>
      }
      %17 = arith.subi %arg7, %c1 : index
      %18 = tile.uniform %c64
      %19 = tile.first_slot %17 of %arg5 tokens %arg6 chunk %18
      %20 = arith.muli %19, %c32 : index
      %21 = arith.subi %3, %20 : index
      %22 = arith.cmpi ult, %21, %c32 : index
      scf.if %22 {
        %batch_0, %start_1, %length_2, %end_3 = tile.sequence %17 of %arg5 tokens %arg6 sequences %arg7
        tile.zero_fill %arg3[%batch, %c0, %4, %c0] dim 1 from %end_3 to %arg6 columns 64 : <tensor<?x?x32x64xbf16>>
        tile.zero_fill %arg4[%batch, %c0, %4, %c0] dim 1 from %end_3 to %arg6 columns 64 : <tensor<?x?x32x64xbf16>>
      }
    }, {
      %16 = arith.cmpi ne, %10, %c0 : index
      scf.if %16 {
        %17 = arith.minui %13, %c64 : index
        %18:3 = tile.acquire %0[%c0] : <1, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64xf32>]> -> !tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64xf32>
        %19 = arith.divui %4, %c2 : index
        tile.load %arg0[%batch, %12, %19, %c0] to %18#0 of %0[%c0] : <tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <1, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64xf32>]>
        tile.load %arg1[%batch, %12, %19, %c0] to %18#1 of %0[%c0] : <tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <1, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64xf32>]>
        tile.load_vector %arg2[%batch, %12, %4] dim 1 valid %17 to %18#2 of %0[%c0] : <tensor<?x?x32xf32>>, <64xf32>, <1, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64xf32>]>
        tile.commit %0[%c0] : <1, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64xf32>]>
      }
    }
  }
  tile.kernel @delta_net_fwd_scan(%arg0: !tile.tensor_map<tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, %arg1: !tile.tensor_map<tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, %arg2: !tile.tensor_map<tensor<?x?x32x128xbf16>, box = [1, 64, 1, 64]>, %arg3: !tile.global<tensor<?x?x32xf32>>, %arg4: !tile.tensor_map<tensor<?x?x32x64xbf16>, box = [1, 64, 1, 64]>, %arg5: !tile.tensor_map<tensor<?x?x32x64xbf16>, box = [1, 64, 1, 64]>, %arg6: !tile.global<tensor<?x?x32x128xbf16>>, %arg7: !tile.global<tensor<?x?x32x128xbf16>>, %arg8: !tile.global<tensor<?x32x128x128xbf16>>, %arg9: !tile.global<tensor<?x32x128x128xf32>, optional = true>, %arg10: !tile.global<tensor<?x32x128x128xf32>, optional = true>, %arg11: !tile.cu_seqlens, %arg12: index, %arg13: index) grid 64 * sequences warps 5 min_blocks 1 operands ["q", "k", "v", "beta", "factor", "mapped", "o", "rows", "state", "initial_state", "final_state", "cu_seqlens", "tokens", "sequences"] {
    %cst = arith.constant dense<0.0883883461> : tensor<64x64xf32, #tile.layout<acc>>
    %c128 = arith.constant 128 : index
    %c63 = arith.constant 63 : index
    %c1 = arith.constant 1 : index
    %c0 = arith.constant 0 : index
    %c32 = arith.constant 32 : index
    %c64 = arith.constant 64 : index
    %c2 = arith.constant 2 : index
    %0 = tile.alloc_ring producers 1 consumers 4 : <2, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
    %1 = tile.alloc transient : <64x64xbf16>
    %2 = tile.alloc transient : <64x64xbf16>
    %3 = tile.alloc transient : <128x64xbf16>
    tile.await_kernels
    %4 = tile.block_id
    %5 = arith.remui %4, %c2 : index
    %6 = arith.muli %5, %c64 : index
    %7 = arith.divui %4, %c2 : index
    %8 = arith.remui %7, %c32 : index
    %9 = arith.divui %7, %c32 : index
    %batch, %start, %length, %end = tile.sequence %9 of %arg11 tokens %arg12 sequences %arg13
    %10 = tile.first_slot %9 of %arg11 tokens %arg12 chunk %c64
    %11 = arith.addi %length, %c63 : index
    %12 = arith.divui %11, %c64 : index
    tile.sync
    tile.roles warps [4, 1] {
      %13 = tile.load_matrix %arg9[%9, %8, %c0, %6] dims [3, 2] : <tensor<?x32x128x128xf32>, optional = true> -> tensor<64x128xf32, #tile.layout<acc>>
      %14 = scf.for %arg14 = %c0 to %12 step %c1 iter_args(%arg15 = %13) -> (tensor<64x128xf32, #tile.layout<acc>>) {
        %19 = arith.addi %10, %arg14 : index
        %20 = arith.muli %arg14, %c64 : index
        %21 = arith.subi %length, %20 : index
        %22 = arith.addi %start, %20 : index
        %23 = arith.minui %21, %c64 : index
        %24 = arith.truncf %arg15 : tensor<64x128xf32, #tile.layout<acc>> to tensor<64x128xbf16, #tile.layout<acc>>
        tile.store_rows transpose %24 to %arg8[%19, %8, %c0, %6] dim 2 valid %c128 via %3 barrier 1 : tensor<64x128xbf16, #tile.layout<acc>>, <tensor<?x32x128x128xbf16>>, !tile.smem<128x64xbf16>
        %25:6 = tile.wait %0[%arg14] : <2, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]> -> !tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>
        %26 = arith.cmpi ult, %23, %c64 : index
        scf.if %26 {
          tile.zero_rows %25#0 from %23 : <64x128xbf16>
          tile.zero_rows %25#1 from %23 : <64x128xbf16>
          tile.zero_rows %25#2 from %23 : <64x64xbf16>
          tile.zero_rows %25#4 from %23 : <64x64xbf16>
          tile.zero_rows %25#5 from %23 : <64x64xbf16>
          tile.barrier proxy id 1
        }
        %27 = tile.mma %24, %25#1 transpose_b : tensor<64x128xbf16, #tile.layout<acc>>, <64x128xbf16> -> <tensor<64x64xf32, #tile.layout<acc>>>
        %28 = tile.await %27 : <tensor<64x64xf32, #tile.layout<acc>>>
        %29 = tile.read transpose %25#2 : <64x64xbf16> -> tensor<64x64xbf16, #tile.layout<acc>>
        %30 = arith.extf %29 : tensor<64x64xbf16, #tile.layout<acc>> to tensor<64x64xf32, #tile.layout<acc>>
        %31 = arith.subf %30, %28 : tensor<64x64xf32, #tile.layout<acc>>
        %32 = tile.read %25#3 : <64xf32> -> tensor<64xf32, #tile.layout<col>>
        %33 = tile.erase_apply %31, %25#4, %32 : tensor<64x64xf32, #tile.layout<acc>>, <64x64xbf16>, tensor<64xf32, #tile.layout<col>>
        %34 = arith.truncf %33 : tensor<64x64xf32, #tile.layout<acc>> to tensor<64x64xbf16, #tile.layout<acc>>
        tile.store_rows transpose %34 to %arg7[%batch, %22, %8, %6] dim 1 valid %23 via %2 barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>, <tensor<?x?x32x128xbf16>>, !tile.smem<64x64xbf16>
        %35 = tile.broadcast %32 : tensor<64xf32, #tile.layout<col>> -> tensor<64x64xf32, #tile.layout<acc>>
        %36 = arith.mulf %35, %33 : tensor<64x64xf32, #tile.layout<acc>>
        %37 = arith.truncf %36 : tensor<64x64xf32, #tile.layout<acc>> to tensor<64x64xbf16, #tile.layout<acc>>
        %38 = tile.mma %24, %25#0 transpose_b : tensor<64x128xbf16, #tile.layout<acc>>, <64x128xbf16> -> <tensor<64x64xf32, #tile.layout<acc>>>
        %39 = tile.await %38 : <tensor<64x64xf32, #tile.layout<acc>>>
        %40 = tile.mma %37, %25#5 transpose_b into %39 : tensor<64x64xbf16, #tile.layout<acc>>, <64x64xbf16>, tensor<64x64xf32, #tile.layout<acc>> -> <tensor<64x64xf32, #tile.layout<acc>>>
        %41 = tile.await %40 : <tensor<64x64xf32, #tile.layout<acc>>>
        %42 = arith.mulf %41, %cst : tensor<64x64xf32, #tile.layout<acc>>
        %43 = arith.truncf %42 : tensor<64x64xf32, #tile.layout<acc>> to tensor<64x64xbf16, #tile.layout<acc>>
        tile.store_rows transpose %43 to %arg6[%batch, %22, %8, %6] dim 1 valid %23 via %1 barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>, <tensor<?x?x32x128xbf16>>, !tile.smem<64x64xbf16>
        %44 = tile.mma %37, %25#1 into %arg15 : tensor<64x64xbf16, #tile.layout<acc>>, <64x128xbf16>, tensor<64x128xf32, #tile.layout<acc>> -> <tensor<64x128xf32, #tile.layout<acc>>>
        %45 = tile.await %44 : <tensor<64x128xf32, #tile.layout<acc>>>
        tile.release fenced %0[%arg14] : <2, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
        scf.yield %45 : tensor<64x128xf32, #tile.layout<acc>>
      }
      tile.store_matrix %14 to %arg10[%9, %8, %c0, %6] dims [3, 2] : tensor<64x128xf32, #tile.layout<acc>>, <tensor<?x32x128x128xf32>, optional = true>
      %15 = arith.subi %arg13, %c1 : index
      %16 = arith.muli %15, %c64 : index
      %17 = arith.subi %4, %16 : index
      %18 = arith.cmpi ult, %17, %c64 : index
      scf.if %18 {
        %batch_0, %start_1, %length_2, %end_3 = tile.sequence %15 of %arg11 tokens %arg12 sequences %arg13
        tile.zero_fill %arg6[%batch, %c0, %8, %6] dim 1 from %end_3 to %arg12 columns 64 : <tensor<?x?x32x128xbf16>>
        tile.zero_fill %arg7[%batch, %c0, %8, %6] dim 1 from %end_3 to %arg12 columns 64 : <tensor<?x?x32x128xbf16>>
      }
    }, {
      scf.for %arg14 = %c0 to %12 step %c1 {
        %13 = arith.muli %arg14, %c64 : index
        %14 = arith.subi %length, %13 : index
        %15 = arith.addi %start, %13 : index
        %16 = arith.minui %14, %c64 : index
        %17:6 = tile.acquire %0[%arg14] : <2, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]> -> !tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>
        %18 = arith.divui %8, %c2 : index
        tile.load %arg0[%batch, %15, %18, %c0] to %17#0 of %0[%arg14] : <tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <2, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
        tile.load %arg1[%batch, %15, %18, %c0] to %17#1 of %0[%arg14] : <tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <2, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
        tile.load %arg2[%batch, %15, %8, %6] to %17#2 of %0[%arg14] : <tensor<?x?x32x128xbf16>, box = [1, 64, 1, 64]>, <64x64xbf16>, <2, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
        tile.load_vector %arg3[%batch, %15, %8] dim 1 valid %16 to %17#3 of %0[%arg14] : <tensor<?x?x32xf32>>, <64xf32>, <2, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
        tile.load %arg4[%batch, %15, %8, %c0] to %17#4 of %0[%arg14] : <tensor<?x?x32x64xbf16>, box = [1, 64, 1, 64]>, <64x64xbf16>, <2, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
        tile.load %arg5[%batch, %15, %8, %c0] to %17#5 of %0[%arg14] : <tensor<?x?x32x64xbf16>, box = [1, 64, 1, 64]>, <64x64xbf16>, <2, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
        tile.commit %0[%arg14] : <2, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
      }
    }
  }
  tile.kernel @delta_net_bwd_fused(%arg0: !tile.tensor_map<tensor<?x?x32x128xbf16>, box = [1, 64, 1, 64]>, %arg1: !tile.global<tensor<?x?x32xf32>>, %arg2: !tile.tensor_map<tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, %arg3: !tile.tensor_map<tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, %arg4: !tile.tensor_map<tensor<?x?x32x64xbf16>, box = [1, 64, 1, 64]>, %arg5: !tile.tensor_map<tensor<?x?x32x64xbf16>, box = [1, 64, 1, 64]>, %arg6: !tile.tensor_map<tensor<?x?x32x128xbf16>, box = [1, 64, 1, 64]>, %arg7: !tile.tensor_map<tensor<?x32x128x128xbf16>, box = [1, 1, 128, 64]>, %arg8: !tile.global<tensor<?x?x32x128xbf16>>, %arg9: !tile.global<tensor<?x?x16x128xbf16>>, %arg10: !tile.global<tensor<?x?x16x128xbf16>>, %arg11: !tile.global<tensor<?x?x32xf32>>, %arg12: !tile.global<tensor<?x32x128x128xf32>, optional = true>, %arg13: !tile.global<tensor<?x32x128x128xf32>, optional = true>, %arg14: !tile.cu_seqlens, %arg15: index, %arg16: index) grid 32 * sequences cluster 2 warps 16 min_blocks 1 operands ["d_o", "beta", "k", "q", "factor", "mapped", "rows", "state", "d_v", "d_q", "d_k", "d_beta", "d_final_state", "d_initial_state", "cu_seqlens", "tokens", "sequences"] {
    %cst = arith.constant dense<0.000000e+00> : tensor<64x64xf32, #tile.layout<acc>>
    %cst_0 = arith.constant dense<0.0883883461> : tensor<64xf32, #tile.layout<col>>
    %cst_1 = arith.constant dense<0.0883883461> : tensor<64x128xf32, #tile.layout<acc>>
    %cst_2 = arith.constant dense<0.0883883461> : tensor<64x64xf32, #tile.layout<acc>>
    %cst_3 = arith.constant dense<11.3137083> : tensor<64x64xf32, #tile.layout<acc>>
    %cst_4 = arith.constant dense<11.3137083> : tensor<64x128xf32, #tile.layout<acc>>
    %c2 = arith.constant 2 : index
    %c63 = arith.constant 63 : index
    %c64 = arith.constant 64 : index
    %c0 = arith.constant 0 : index
    %c32 = arith.constant 32 : index
    %c1 = arith.constant 1 : index
    %0 = tile.alloc_ring producers 1 consumers 16 : <2, [!tile.smem<64xf32>]>
    %1 = tile.alloc_ring producers 1 consumers 16 : <2, [!tile.smem<64x128xbf16>]>
    %2 = tile.alloc_ring producers 1 consumers 8 : <1, [!tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
    %3 = tile.alloc_ring producers 1 consumers 12 : <2, [!tile.smem<64x128xbf16>]>
    %4 = tile.alloc_ring producers 1 consumers 12 : <2, [!tile.smem<64x128xbf16>]>
    %5 = tile.alloc_ring producers 1 consumers 8 : <1, [!tile.smem<128x128xbf16>]>
    %6 = tile.alloc_ring producers 1 consumers 8 : <1, [!tile.smem<64x128xbf16>]>
    %7 = tile.alloc_ring producers 8 consumers 8 : <1, [!tile.smem<64x128xbf16>], warps>
    %8 = tile.alloc_ring producers 8 consumers 4 : <1, [!tile.smem<128x128xbf16>], warps>
    %9 = tile.alloc_ring producers 4 consumers 4 : <1, [!tile.smem<64x64xbf16>], warps>
    %10 = tile.alloc_ring producers 4 consumers 4 : <1, [!tile.smem<64x64xbf16>], warps>
    %11 = tile.alloc : <4xf32>
    tile.begin_turns %11 : <4xf32>
    %12 = tile.alloc : <4xf32>
    tile.begin_turns %12 : <4xf32>
    %13 = tile.block_id
    %14 = arith.remui %13, %c32 : index
    %15 = arith.divui %13, %c32 : index
    %batch, %start, %length, %end = tile.sequence %15 of %arg14 tokens %arg15 sequences %arg16
    %16 = tile.first_slot %15 of %arg14 tokens %arg15 chunk %c64
    %17 = arith.addi %length, %c63 : index
    %18 = arith.divui %17, %c64 : index
    tile.sync cluster
    %19 = tile.alloc transient : <64xf32>
    tile.roles warps [8, 4, 4] registers [160, 96, 96] {
      %20 = tile.warpgroup_id
      %21 = arith.muli %20, %c64 : index
      %22 = tile.load_matrix %arg12[%15, %14, %c0, %21] dims [3, 2] : <tensor<?x32x128x128xf32>, optional = true> -> tensor<64x128xf32, #tile.layout<acc>>
      %23 = arith.cmpi ugt, %18, %c0 : index
      %24 = arith.cmpi eq, %20, %c0 : index
      %25 = arith.andi %23, %24 : i1
      scf.if %25 {
        tile.one_warp 0 {
          %31 = arith.subi %18, %c1 : index
          %32 = arith.muli %31, %c64 : index
          %33 = arith.addi %start, %32 : index
          %34:2 = tile.acquire %2[%c0] : <1, [!tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>
          tile.load %arg5[%batch, %33, %14, %c0] to %34#0 of %2[%c0] : <tensor<?x?x32x64xbf16>, box = [1, 64, 1, 64]>, <64x64xbf16>, <1, [!tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
          tile.load %arg4[%batch, %33, %14, %c0] to %34#1 of %2[%c0] : <tensor<?x?x32x64xbf16>, box = [1, 64, 1, 64]>, <64x64xbf16>, <1, [!tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
          tile.commit %2[%c0] : <1, [!tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
        }
      }
      %26 = scf.for %arg17 = %c0 to %18 step %c1 iter_args(%arg18 = %22) -> (tensor<64x128xf32, #tile.layout<acc>>) {
        %31 = arith.subi %18, %c1 : index
        %32 = arith.subi %31, %arg17 : index
        %33 = arith.muli %32, %c64 : index
        %34 = arith.subi %length, %33 : index
        %35 = arith.addi %start, %33 : index
        %36 = arith.minui %34, %c64 : index
        %37 = arith.addi %arg17, %c1 : index
        %38 = arith.cmpi ult, %37, %18 : index
        %39 = arith.andi %38, %24 : i1
        %40 = arith.cmpi ult, %36, %c64 : index
        scf.if %40 {
          %76 = tile.wait %1[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          tile.zero_rows %76 from %36 : <64x128xbf16>
          %77:2 = tile.wait %2[%arg17] : <1, [!tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>
          tile.zero_rows %77#0 from %36 : <64x64xbf16>
          tile.zero_rows %77#1 from %36 : <64x64xbf16>
          %78 = tile.wait %3[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          %79 = tile.subview %78[%20] : <64x128xbf16> -> <64x64xbf16>
          tile.zero_rows %79 from %36 : <64x64xbf16>
          %80 = tile.wait %4[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          tile.zero_rows %80 from %36 : <64x128xbf16>
          tile.barrier proxy id 0
        }
        %41 = arith.truncf %arg18 : tensor<64x128xf32, #tile.layout<acc>> to tensor<64x128xbf16, #tile.layout<acc>>
        %42 = tile.acquire %8[%arg17] : <1, [!tile.smem<128x128xbf16>], warps> -> !tile.smem<128x128xbf16>
        %43 = arith.remui %13, %c2 : index
        %44 = arith.cmpi ne, %43, %c0 : index
        scf.if %44 {
        } else {
          scf.if %24 {
            %76 = arith.maxui %arg17, %c1 : index
            %77 = arith.subi %76, %c1 : index
            tile.pass_turns %12[%77] to %c1 : <4xf32>
          }
        }
        %45 = tile.subview %42[%20] : <128x128xbf16> -> <128x64xbf16>
        %46 = tile.write transpose %41 to %45 : tensor<64x128xbf16, #tile.layout<acc>>, <128x64xbf16>
        tile.commit %8[%arg17] : <1, [!tile.smem<128x128xbf16>], warps>
        %47 = arith.mulf %arg18, %cst_4 : tensor<64x128xf32, #tile.layout<acc>>
        %48 = tile.wait %0[%arg17] : <2, [!tile.smem<64xf32>]> -> !tile.smem<64xf32>
        %49 = tile.wait %1[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
        %50 = tile.mma %41, %49 transpose_b : tensor<64x128xbf16, #tile.layout<acc>>, <64x128xbf16> -> <tensor<64x64xf32, #tile.layout<acc>>>
        %51 = tile.await %50 : <tensor<64x64xf32, #tile.layout<acc>>>
        %52 = arith.mulf %51, %cst_3 : tensor<64x64xf32, #tile.layout<acc>>
        %53:2 = tile.wait %2[%arg17] : <1, [!tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>
        %54 = tile.wait %3[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
        %55 = tile.subview %54[%20] : <64x128xbf16> -> <64x64xbf16>
        %56 = tile.mma %55 transpose_a, %53#0 into %52 : !tile.smem<64x64xbf16>, <64x64xbf16>, tensor<64x64xf32, #tile.layout<acc>> -> <tensor<64x64xf32, #tile.layout<acc>>>
        %57 = tile.await %56 : <tensor<64x64xf32, #tile.layout<acc>>>
        %58 = tile.wait %4[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
        %59 = tile.mma %55 transpose_a, %58 into %47 : !tile.smem<64x64xbf16>, <64x128xbf16>, tensor<64x128xf32, #tile.layout<acc>> -> <tensor<64x128xf32, #tile.layout<acc>>>
        %60 = tile.await %59 : <tensor<64x128xf32, #tile.layout<acc>>>
        %61 = arith.mulf %57, %cst_2 : tensor<64x64xf32, #tile.layout<acc>>
        %62 = tile.read %48 : <64xf32> -> tensor<64xf32, #tile.layout<col>>
        %63 = tile.erase_apply adjoint %61, %53#1, %62 : tensor<64x64xf32, #tile.layout<acc>>, <64x64xbf16>, tensor<64xf32, #tile.layout<col>>
        %64 = arith.truncf %63 : tensor<64x64xf32, #tile.layout<acc>> to tensor<64x64xbf16, #tile.layout<acc>>
        %65 = tile.acquire %7[%arg17] : <1, [!tile.smem<64x128xbf16>], warps> -> !tile.smem<64x128xbf16>
        scf.if %44 {
        } else {
          scf.if %24 {
            %76 = arith.maxui %arg17, %c1 : index
            %77 = arith.subi %76, %c1 : index
            tile.pass_turns %11[%77] to %c1 : <4xf32>
          }
        }
        %66 = tile.subview %65[%20] : <64x128xbf16> -> <64x64xbf16>
        %67 = tile.write transpose %64 to %66 : tensor<64x64xbf16, #tile.layout<acc>>, <64x64xbf16>
        tile.commit %7[%arg17] : <1, [!tile.smem<64x128xbf16>], warps>
        %68 = tile.broadcast %62 : tensor<64xf32, #tile.layout<col>> -> tensor<64x64xf32, #tile.layout<acc>>
        %69 = arith.mulf %63, %68 : tensor<64x64xf32, #tile.layout<acc>>
        %70 = arith.truncf %69 : tensor<64x64xf32, #tile.layout<acc>> to tensor<64x64xbf16, #tile.layout<acc>>
        tile.store_rows transpose %70 to %arg8[%batch, %35, %14, %21] dim 1 valid %36 barrier 0 : tensor<64x64xbf16, #tile.layout<acc>>, <tensor<?x?x32x128xbf16>>
        %71 = arith.negf %69 : tensor<64x64xf32, #tile.layout<acc>>
        %72 = arith.truncf %71 : tensor<64x64xf32, #tile.layout<acc>> to tensor<64x64xbf16, #tile.layout<acc>>
        %73 = arith.mulf %60, %cst_1 : tensor<64x128xf32, #tile.layout<acc>>
        %74 = tile.mma %72, %49 into %73 : tensor<64x64xbf16, #tile.layout<acc>>, <64x128xbf16>, tensor<64x128xf32, #tile.layout<acc>> -> <tensor<64x128xf32, #tile.layout<acc>>>
        %75 = tile.await %74 : <tensor<64x128xf32, #tile.layout<acc>>>
        tile.release %0[%arg17] : <2, [!tile.smem<64xf32>]>
        tile.release %1[%arg17] : <2, [!tile.smem<64x128xbf16>]>
        tile.release %2[%arg17] : <1, [!tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
        scf.if %39 {
          tile.one_warp 0 {
            %76 = arith.subi %31, %37 : index
            %77 = arith.muli %76, %c64 : index
            %78 = arith.addi %start, %77 : index
            %79:2 = tile.acquire %2[%37] : <1, [!tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>
            tile.load %arg5[%batch, %78, %14, %c0] to %79#0 of %2[%37] : <tensor<?x?x32x64xbf16>, box = [1, 64, 1, 64]>, <64x64xbf16>, <1, [!tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
            tile.load %arg4[%batch, %78, %14, %c0] to %79#1 of %2[%37] : <tensor<?x?x32x64xbf16>, box = [1, 64, 1, 64]>, <64x64xbf16>, <1, [!tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
            tile.commit %2[%37] : <1, [!tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
          }
        } {tile.behind_release}
        tile.release %3[%arg17] : <2, [!tile.smem<64x128xbf16>]>
        tile.release %4[%arg17] : <2, [!tile.smem<64x128xbf16>]>
        scf.yield %75 : tensor<64x128xf32, #tile.layout<acc>>
      }
      tile.store_matrix %26 to %arg13[%15, %14, %c0, %21] dims [3, 2] : tensor<64x128xf32, #tile.layout<acc>>, <tensor<?x32x128x128xf32>, optional = true>
      %27 = arith.subi %arg16, %c1 : index
      %28 = arith.muli %27, %c32 : index
      %29 = arith.subi %13, %28 : index
      %30 = arith.cmpi ult, %29, %c32 : index
      scf.if %30 {
        %batch_5, %start_6, %length_7, %end_8 = tile.sequence %27 of %arg14 tokens %arg15 sequences %arg16
        tile.zero_fill %arg8[%batch, %c0, %14, %21] dim 1 from %end_8 to %arg15 columns 64 : <tensor<?x?x32x128xbf16>>
      }
    }, {
      %20 = arith.cmpi ugt, %18, %c0 : index
      scf.if %20 {
        tile.one_warp 0 {
          %28 = arith.subi %18, %c1 : index
          %29 = arith.muli %28, %c64 : index
          %30 = arith.subi %length, %29 : index
          %31 = arith.addi %start, %29 : index
          %32 = arith.minui %30, %c64 : index
          %33 = tile.acquire %0[%c0] : <2, [!tile.smem<64xf32>]> -> !tile.smem<64xf32>
          tile.load_vector %arg1[%batch, %31, %14] dim 1 valid %32 to %33 of %0[%c0] : <tensor<?x?x32xf32>>, <64xf32>, <2, [!tile.smem<64xf32>]>
          tile.commit %0[%c0] : <2, [!tile.smem<64xf32>]>
        }
      }
      %21 = arith.cmpi ugt, %18, %c1 : index
      scf.if %21 {
        tile.one_warp 0 {
          %28 = arith.subi %18, %c2 : index
          %29 = arith.muli %28, %c64 : index
          %30 = arith.subi %length, %29 : index
          %31 = arith.addi %start, %29 : index
          %32 = arith.minui %30, %c64 : index
          %33 = tile.acquire %0[%c1] : <2, [!tile.smem<64xf32>]> -> !tile.smem<64xf32>
          tile.load_vector %arg1[%batch, %31, %14] dim 1 valid %32 to %33 of %0[%c1] : <tensor<?x?x32xf32>>, <64xf32>, <2, [!tile.smem<64xf32>]>
          tile.commit %0[%c1] : <2, [!tile.smem<64xf32>]>
        }
      }
      scf.if %20 {
        tile.one_warp 1 {
          %28 = arith.subi %18, %c1 : index
          %29 = arith.muli %28, %c64 : index
          %30 = arith.addi %start, %29 : index
          %31 = tile.acquire %1[%c0] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          %32 = arith.divui %14, %c2 : index
          tile.load %arg2[%batch, %30, %32, %c0] to %31 of %1[%c0] : <tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <2, [!tile.smem<64x128xbf16>]>
          tile.commit %1[%c0] : <2, [!tile.smem<64x128xbf16>]>
        }
      }
      scf.if %21 {
        tile.one_warp 1 {
          %28 = arith.subi %18, %c2 : index
          %29 = arith.muli %28, %c64 : index
          %30 = arith.addi %start, %29 : index
          %31 = tile.acquire %1[%c1] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          %32 = arith.divui %14, %c2 : index
          tile.load %arg2[%batch, %30, %32, %c0] to %31 of %1[%c1] : <tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <2, [!tile.smem<64x128xbf16>]>
          tile.commit %1[%c1] : <2, [!tile.smem<64x128xbf16>]>
        }
      }
      scf.if %20 {
        tile.one_warp 2 {
          %28 = arith.subi %18, %c1 : index
          %29 = arith.muli %28, %c64 : index
          %30 = arith.addi %start, %29 : index
          %31 = tile.acquire %4[%c0] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          %32 = arith.divui %14, %c2 : index
          tile.load %arg3[%batch, %30, %32, %c0] to %31 of %4[%c0] : <tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <2, [!tile.smem<64x128xbf16>]>
          tile.commit %4[%c0] : <2, [!tile.smem<64x128xbf16>]>
        }
      }
      scf.if %21 {
        tile.one_warp 2 {
          %28 = arith.subi %18, %c2 : index
          %29 = arith.muli %28, %c64 : index
          %30 = arith.addi %start, %29 : index
          %31 = tile.acquire %4[%c1] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          %32 = arith.divui %14, %c2 : index
          tile.load %arg3[%batch, %30, %32, %c0] to %31 of %4[%c1] : <tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <2, [!tile.smem<64x128xbf16>]>
          tile.commit %4[%c1] : <2, [!tile.smem<64x128xbf16>]>
        }
      }
      scf.if %20 {
        tile.one_warp 3 {
          %28 = arith.subi %18, %c1 : index
          %29 = arith.addi %16, %28 : index
          %30 = tile.acquire %5[%c0] : <1, [!tile.smem<128x128xbf16>]> -> !tile.smem<128x128xbf16>
          tile.load %arg7[%29, %14, %c0, %c0] to %30 of %5[%c0] : <tensor<?x32x128x128xbf16>, box = [1, 1, 128, 64]>, <128x128xbf16>, <1, [!tile.smem<128x128xbf16>]>
          tile.commit %5[%c0] : <1, [!tile.smem<128x128xbf16>]>
        }
      }
      scf.if %20 {
        tile.one_warp 0 {
          %28 = arith.subi %18, %c1 : index
          %29 = arith.muli %28, %c64 : index
          %30 = arith.addi %start, %29 : index
          %31 = tile.acquire %6[%c0] : <1, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          tile.load %arg6[%batch, %30, %14, %c0] to %31 of %6[%c0] : <tensor<?x?x32x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <1, [!tile.smem<64x128xbf16>]>
          tile.commit %6[%c0] : <1, [!tile.smem<64x128xbf16>]>
        }
      }
      scf.for %arg17 = %c0 to %18 step %c1 {
        %28 = arith.subi %18, %c1 : index
        %29 = arith.subi %28, %arg17 : index
        %30 = arith.muli %29, %c64 : index
        %31 = arith.subi %length, %30 : index
        %32 = arith.addi %start, %30 : index
        %33 = arith.minui %31, %c64 : index
        %34 = arith.addi %arg17, %c2 : index
        %35 = arith.cmpi ult, %34, %18 : index
        %36 = arith.addi %arg17, %c1 : index
        %37 = arith.cmpi ult, %36, %18 : index
        %38 = arith.cmpi ult, %33, %c64 : index
        scf.if %38 {
          %66 = tile.wait %6[%arg17] : <1, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          tile.zero_rows %66 from %33 : <64x128xbf16>
          %67 = tile.wait %4[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          tile.zero_rows %67 from %33 : <64x128xbf16>
          %68 = tile.wait %1[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          tile.zero_rows %68 from %33 : <64x128xbf16>
          tile.barrier proxy id 3
        }
        %39 = tile.wait %0[%arg17] : <2, [!tile.smem<64xf32>]> -> !tile.smem<64xf32>
        %40 = tile.wait %7[%arg17] : <1, [!tile.smem<64x128xbf16>], warps> -> !tile.smem<64x128xbf16>
        %41 = tile.wait %5[%arg17] : <1, [!tile.smem<128x128xbf16>]> -> !tile.smem<128x128xbf16>
        %42 = tile.mma %40 negate_a, %41 transpose_b : !tile.smem<64x128xbf16>, <128x128xbf16> -> <tensor<64x128xf32, #tile.layout<acc>>>
        %43 = tile.await %42 : <tensor<64x128xf32, #tile.layout<acc>>>
        %44 = tile.wait %8[%arg17] : <1, [!tile.smem<128x128xbf16>], warps> -> !tile.smem<128x128xbf16>
        %45 = tile.wait %6[%arg17] : <1, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
        %46 = tile.mma %45, %44 transpose_b into %43 : !tile.smem<64x128xbf16>, <128x128xbf16>, tensor<64x128xf32, #tile.layout<acc>> -> <tensor<64x128xf32, #tile.layout<acc>>>
        %47 = tile.await %46 : <tensor<64x128xf32, #tile.layout<acc>>>
        %48 = tile.wait %9[%arg17] : <1, [!tile.smem<64x64xbf16>], warps> -> !tile.smem<64x64xbf16>
        %49 = tile.wait %4[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
        %50 = tile.read %39 : <64xf32> -> tensor<64xf32, #tile.layout<warp>>
        %51 = tile.read %39 : <64xf32> -> tensor<64xf32, #tile.layout<row>>
        %52 = tile.broadcast %51 : tensor<64xf32, #tile.layout<row>> -> tensor<64x128xf32, #tile.layout<acc>>
        %53 = arith.mulf %52, %47 : tensor<64x128xf32, #tile.layout<acc>>
        %54 = tile.mma %48 transpose_a, %49 into %53 : !tile.smem<64x64xbf16>, <64x128xbf16>, tensor<64x128xf32, #tile.layout<acc>> -> <tensor<64x128xf32, #tile.layout<acc>>>
        %55 = tile.await %54 : <tensor<64x128xf32, #tile.layout<acc>>>
        %56 = tile.wait %10[%arg17] : <1, [!tile.smem<64x64xbf16>], warps> -> !tile.smem<64x64xbf16>
        %57 = tile.wait %1[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
        %58 = tile.mma %56, %57 into %55 : !tile.smem<64x64xbf16>, <64x128xbf16>, tensor<64x128xf32, #tile.layout<acc>> -> <tensor<64x128xf32, #tile.layout<acc>>>
        %59 = tile.await %58 : <tensor<64x128xf32, #tile.layout<acc>>>
        %60 = tile.mma %56 transpose_a, %57 into %59 : !tile.smem<64x64xbf16>, <64x128xbf16>, tensor<64x128xf32, #tile.layout<acc>> -> <tensor<64x128xf32, #tile.layout<acc>>>
        %61 = tile.await %60 : <tensor<64x128xf32, #tile.layout<acc>>>
        %62 = arith.truncf %61 : tensor<64x128xf32, #tile.layout<acc>> to tensor<64x128xbf16, #tile.layout<acc>>
        %63 = arith.remui %13, %c2 : index
        %64 = arith.cmpi ne, %63, %c0 : index
        %65 = arith.divui %14, %c2 : index
        tile.store_rows %62 to %arg10[%batch, %32, %65, %c0] dim 1 valid %33 added %64 barrier 3 : tensor<64x128xbf16, #tile.layout<acc>>, <tensor<?x?x16x128xbf16>>
        tile.release %0[%arg17] : <2, [!tile.smem<64xf32>]>
        scf.if %35 {
          tile.one_warp 0 {
            %66 = arith.subi %28, %34 : index
            %67 = arith.muli %66, %c64 : index
            %68 = arith.subi %length, %67 : index
            %69 = arith.addi %start, %67 : index
            %70 = arith.minui %68, %c64 : index
            %71 = tile.acquire %0[%34] : <2, [!tile.smem<64xf32>]> -> !tile.smem<64xf32>
            tile.load_vector %arg1[%batch, %69, %14] dim 1 valid %70 to %71 of %0[%34] : <tensor<?x?x32xf32>>, <64xf32>, <2, [!tile.smem<64xf32>]>
            tile.commit %0[%34] : <2, [!tile.smem<64xf32>]>
          }
        } {tile.behind_release}
        tile.release %7[%arg17] : <1, [!tile.smem<64x128xbf16>], warps>
        tile.release %5[%arg17] : <1, [!tile.smem<128x128xbf16>]>
        scf.if %37 {
          tile.one_warp 3 {
            %66 = arith.subi %28, %36 : index
            %67 = arith.addi %16, %66 : index
            %68 = tile.acquire %5[%36] : <1, [!tile.smem<128x128xbf16>]> -> !tile.smem<128x128xbf16>
            tile.load %arg7[%67, %14, %c0, %c0] to %68 of %5[%36] : <tensor<?x32x128x128xbf16>, box = [1, 1, 128, 64]>, <128x128xbf16>, <1, [!tile.smem<128x128xbf16>]>
            tile.commit %5[%36] : <1, [!tile.smem<128x128xbf16>]>
          }
        } {tile.behind_release}
        tile.release %8[%arg17] : <1, [!tile.smem<128x128xbf16>], warps>
        tile.release %6[%arg17] : <1, [!tile.smem<64x128xbf16>]>
        scf.if %37 {
          tile.one_warp 0 {
            %66 = arith.subi %28, %36 : index
            %67 = arith.muli %66, %c64 : index
            %68 = arith.addi %start, %67 : index
            %69 = tile.acquire %6[%36] : <1, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
            tile.load %arg6[%batch, %68, %14, %c0] to %69 of %6[%36] : <tensor<?x?x32x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <1, [!tile.smem<64x128xbf16>]>
            tile.commit %6[%36] : <1, [!tile.smem<64x128xbf16>]>
          }
        } {tile.behind_release}
        tile.release %9[%arg17] : <1, [!tile.smem<64x64xbf16>], warps>
        tile.release %4[%arg17] : <2, [!tile.smem<64x128xbf16>]>
        scf.if %35 {
          tile.one_warp 2 {
            %66 = arith.subi %28, %34 : index
            %67 = arith.muli %66, %c64 : index
            %68 = arith.addi %start, %67 : index
            %69 = tile.acquire %4[%34] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
            tile.load %arg3[%batch, %68, %65, %c0] to %69 of %4[%34] : <tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <2, [!tile.smem<64x128xbf16>]>
            tile.commit %4[%34] : <2, [!tile.smem<64x128xbf16>]>
          }
        } {tile.behind_release}
        tile.release %10[%arg17] : <1, [!tile.smem<64x64xbf16>], warps>
        tile.release %1[%arg17] : <2, [!tile.smem<64x128xbf16>]>
        scf.if %35 {
          tile.one_warp 1 {
            %66 = arith.subi %28, %34 : index
            %67 = arith.muli %66, %c64 : index
            %68 = arith.addi %start, %67 : index
            %69 = tile.acquire %1[%34] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
            tile.load %arg2[%batch, %68, %65, %c0] to %69 of %1[%34] : <tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <2, [!tile.smem<64x128xbf16>]>
            tile.commit %1[%34] : <2, [!tile.smem<64x128xbf16>]>
          }
        } {tile.behind_release}
      }
      %22 = arith.remui %13, %c2 : index
      %23 = arith.cmpi ne, %22, %c0 : index
      scf.if %23 {
      } else {
        tile.pass_turns %12[%18] to %c1 : <4xf32>
      }
      %24 = arith.subi %arg16, %c1 : index
      %25 = arith.muli %24, %c32 : index
      %26 = arith.subi %13, %25 : index
      %27 = arith.cmpi ult, %26, %c32 : index
      scf.if %27 {
        %batch_5, %start_6, %length_7, %end_8 = tile.sequence %24 of %arg14 tokens %arg15 sequences %arg16
        %28 = arith.divui %14, %c2 : index
        tile.zero_fill %arg10[%batch, %c0, %28, %c0] dim 1 from %end_8 to %arg15 columns 64 : <tensor<?x?x16x128xbf16>>
        tile.zero_fill %arg10[%batch, %c0, %28, %c64] dim 1 from %end_8 to %arg15 columns 64 : <tensor<?x?x16x128xbf16>>
      }
    }, {
      %20 = arith.cmpi ugt, %18, %c0 : index
      scf.if %20 {
        tile.one_warp 0 {
          %28 = arith.subi %18, %c1 : index
          %29 = arith.muli %28, %c64 : index
          %30 = arith.addi %start, %29 : index
          %31 = tile.acquire %3[%c0] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          tile.load %arg0[%batch, %30, %14, %c0] to %31 of %3[%c0] : <tensor<?x?x32x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <2, [!tile.smem<64x128xbf16>]>
          tile.commit %3[%c0] : <2, [!tile.smem<64x128xbf16>]>
        }
      }
      %21 = arith.cmpi ugt, %18, %c1 : index
      scf.if %21 {
        tile.one_warp 0 {
          %28 = arith.subi %18, %c2 : index
          %29 = arith.muli %28, %c64 : index
          %30 = arith.addi %start, %29 : index
          %31 = tile.acquire %3[%c1] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          tile.load %arg0[%batch, %30, %14, %c0] to %31 of %3[%c1] : <tensor<?x?x32x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <2, [!tile.smem<64x128xbf16>]>
          tile.commit %3[%c1] : <2, [!tile.smem<64x128xbf16>]>
        }
      }
      scf.for %arg17 = %c0 to %18 step %c1 {
        %28 = arith.subi %18, %c1 : index
        %29 = arith.subi %28, %arg17 : index
        %30 = arith.muli %29, %c64 : index
        %31 = arith.subi %length, %30 : index
        %32 = arith.addi %start, %30 : index
        %33 = arith.minui %31, %c64 : index
        %34 = arith.addi %arg17, %c2 : index
        %35 = arith.cmpi ult, %34, %18 : index
        %36 = arith.cmpi ult, %33, %c64 : index
        scf.if %36 {
          %84 = tile.wait %3[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          tile.zero_rows %84 from %33 : <64x128xbf16>
          %85 = tile.wait %6[%arg17] : <1, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          tile.zero_rows %85 from %33 : <64x128xbf16>
          %86 = tile.wait %1[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          tile.zero_rows %86 from %33 : <64x128xbf16>
          tile.barrier proxy id 4
        }
        %37 = tile.wait %3[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
        %38 = tile.wait %6[%arg17] : <1, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
        %39 = tile.mma %37, %38 transpose_b : !tile.smem<64x128xbf16>, <64x128xbf16> -> <tensor<64x64xf32, #tile.layout<acc>>>
        %40 = tile.await %39 : <tensor<64x64xf32, #tile.layout<acc>>>
        %41 = tile.wait %0[%arg17] : <2, [!tile.smem<64xf32>]> -> !tile.smem<64xf32>
        %42 = tile.read %41 : <64xf32> -> tensor<64xf32, #tile.layout<warp>>
        %43 = tile.read %41 : <64xf32> -> tensor<64xf32, #tile.layout<col>>
        %44 = arith.mulf %43, %cst_0 : tensor<64xf32, #tile.layout<col>>
        %45 = tile.broadcast %44 : tensor<64xf32, #tile.layout<col>> -> tensor<64x64xf32, #tile.layout<acc>>
        %46 = arith.mulf %45, %40 : tensor<64x64xf32, #tile.layout<acc>>
        %47 = tile.index 0 : tensor<64x64xi32, #tile.layout<acc>>
        %48 = tile.index 1 : tensor<64x64xi32, #tile.layout<acc>>
        %49 = arith.cmpi ule, %48, %47 : tensor<64x64xi32, #tile.layout<acc>>
        %50 = arith.select %49, %46, %cst : tensor<64x64xi1, #tile.layout<acc>>, tensor<64x64xf32, #tile.layout<acc>>
        %51 = arith.truncf %50 : tensor<64x64xf32, #tile.layout<acc>> to tensor<64x64xbf16, #tile.layout<acc>>
        %52 = tile.acquire %9[%arg17] : <1, [!tile.smem<64x64xbf16>], warps> -> !tile.smem<64x64xbf16>
        %53 = tile.write %51 to %52 barrier 4 : tensor<64x64xbf16, #tile.layout<acc>>, <64x64xbf16>
        tile.commit %9[%arg17] : <1, [!tile.smem<64x64xbf16>], warps>
        %54 = tile.wait %5[%arg17] : <1, [!tile.smem<128x128xbf16>]> -> !tile.smem<128x128xbf16>
        %55 = arith.remui %13, %c2 : index
        %56 = arith.cmpi ne, %55, %c0 : index
        scf.if %56 {
          %84 = arith.addi %arg17, %c1 : index
          tile.await_turns %11[%84] : <4xf32>
        }
        %57 = tile.mma %37, %54 transpose_b : !tile.smem<64x128xbf16>, <128x128xbf16> -> <tensor<64x128xf32, #tile.layout<acc>>>
        %58 = tile.await %57 : <tensor<64x128xf32, #tile.layout<acc>>>
        %59 = tile.wait %1[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
        %60 = arith.mulf %58, %cst_1 : tensor<64x128xf32, #tile.layout<acc>>
        %61 = tile.mma %52, %59 into %60 : !tile.smem<64x64xbf16>, <64x128xbf16>, tensor<64x128xf32, #tile.layout<acc>> -> <tensor<64x128xf32, #tile.layout<acc>>>
        %62 = tile.await %61 : <tensor<64x128xf32, #tile.layout<acc>>>
        %63 = arith.truncf %62 : tensor<64x128xf32, #tile.layout<acc>> to tensor<64x128xbf16, #tile.layout<acc>>
        %64 = arith.divui %14, %c2 : index
        tile.store_rows %63 to %arg9[%batch, %32, %64, %c0] dim 1 valid %33 added %56 barrier 4 : tensor<64x128xbf16, #tile.layout<acc>>, <tensor<?x?x16x128xbf16>>
        %65 = tile.wait %7[%arg17] : <1, [!tile.smem<64x128xbf16>], warps> -> !tile.smem<64x128xbf16>
        %66 = tile.mma %65, %38 transpose_b : !tile.smem<64x128xbf16>, <64x128xbf16> -> <tensor<64x64xf32, #tile.layout<acc>>>
        %67 = tile.await %66 : <tensor<64x64xf32, #tile.layout<acc>>>
        %68 = tile.read %41 : <64xf32> -> tensor<64xf32, #tile.layout<col>>
        %69 = tile.broadcast %68 : tensor<64xf32, #tile.layout<col>> -> tensor<64x64xf32, #tile.layout<acc>>
        %70 = tile.read %41 : <64xf32> -> tensor<64xf32, #tile.layout<row>>
        %71 = arith.negf %70 : tensor<64xf32, #tile.layout<row>>
        %72 = tile.broadcast %71 : tensor<64xf32, #tile.layout<row>> -> tensor<64x64xf32, #tile.layout<acc>>
        %73 = arith.mulf %72, %67 : tensor<64x64xf32, #tile.layout<acc>>
        %74 = arith.mulf %69, %73 : tensor<64x64xf32, #tile.layout<acc>>
        %75 = arith.cmpi ult, %48, %47 : tensor<64x64xi32, #tile.layout<acc>>
        %76 = arith.select %75, %74, %cst : tensor<64x64xi1, #tile.layout<acc>>, tensor<64x64xf32, #tile.layout<acc>>
        %77 = arith.truncf %76 : tensor<64x64xf32, #tile.layout<acc>> to tensor<64x64xbf16, #tile.layout<acc>>
        %78 = tile.acquire %10[%arg17] : <1, [!tile.smem<64x64xbf16>], warps> -> !tile.smem<64x64xbf16>
        %79 = tile.write %77 to %78 : tensor<64x64xbf16, #tile.layout<acc>>, <64x64xbf16>
        tile.commit %10[%arg17] : <1, [!tile.smem<64x64xbf16>], warps>
        %80 = arith.cmpi eq, %47, %48 : tensor<64x64xi32, #tile.layout<acc>>
        %81 = arith.andi %49, %80 : tensor<64x64xi1, #tile.layout<acc>>
        %82 = arith.select %81, %67, %cst : tensor<64x64xi1, #tile.layout<acc>>, tensor<64x64xf32, #tile.layout<acc>>
        %83 = tile.reduce %82 dim 1 via %19 barrier 4 : <64xf32>, tensor<64x64xf32, #tile.layout<acc>> -> tensor<64xf32, #tile.layout<warp>>
        tile.store_vector %83 to %arg11[%batch, %32, %14] dim 1 valid %33 : tensor<64xf32, #tile.layout<warp>>, <tensor<?x?x32xf32>>
        tile.release %3[%arg17] : <2, [!tile.smem<64x128xbf16>]>
        tile.release %6[%arg17] : <1, [!tile.smem<64x128xbf16>]>
        tile.release %0[%arg17] : <2, [!tile.smem<64xf32>]>
        tile.release %5[%arg17] : <1, [!tile.smem<128x128xbf16>]>
        tile.release %1[%arg17] : <2, [!tile.smem<64x128xbf16>]>
        tile.release %7[%arg17] : <1, [!tile.smem<64x128xbf16>], warps>
        scf.if %35 {
          tile.one_warp 0 {
            %84 = arith.subi %28, %34 : index
            %85 = arith.muli %84, %c64 : index
            %86 = arith.addi %start, %85 : index
            %87 = tile.acquire %3[%34] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
            tile.load %arg0[%batch, %86, %14, %c0] to %87 of %3[%34] : <tensor<?x?x32x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <2, [!tile.smem<64x128xbf16>]>
            tile.commit %3[%34] : <2, [!tile.smem<64x128xbf16>]>
          }
        }
      }
      %22 = arith.remui %13, %c2 : index
      %23 = arith.cmpi ne, %22, %c0 : index
      scf.if %23 {
      } else {
        tile.pass_turns %11[%18] to %c1 : <4xf32>
      }
      %24 = arith.subi %arg16, %c1 : index
      %25 = arith.muli %24, %c32 : index
      %26 = arith.subi %13, %25 : index
      %27 = arith.cmpi ult, %26, %c32 : index
      scf.if %27 {
        %batch_5, %start_6, %length_7, %end_8 = tile.sequence %24 of %arg14 tokens %arg15 sequences %arg16
        %28 = arith.divui %14, %c2 : index
        tile.zero_fill %arg9[%batch, %c0, %28, %c0] dim 1 from %end_8 to %arg15 columns 64 : <tensor<?x?x16x128xbf16>>
        tile.zero_fill %arg9[%batch, %c0, %28, %c64] dim 1 from %end_8 to %arg15 columns 64 : <tensor<?x?x16x128xbf16>>
        tile.zero_fill %arg11[%batch, %c0, %14] dim 1 from %end_8 to %arg15 columns 1 : <tensor<?x?x32xf32>>
      }
    }
    tile.sync cluster
  }
}

