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
    %0 = tile.alloc_ring producers 1 consumers 4 : <1, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64xf32>]>
    %1 = tile.alloc transient : <64x64xbf16>
    %2 = tile.alloc transient : <64x64xbf16>
    %3 = tile.block_id
    %c1 = arith.constant 1 : index
    %4 = arith.remui %3, %c1 : index
    %c64 = arith.constant 64 : index
    %5 = arith.muli %4, %c64 : index
    %6 = arith.divui %3, %c1 : index
    %c32 = arith.constant 32 : index
    %7 = arith.remui %6, %c32 : index
    %8 = arith.divui %6, %c32 : index
    %c0 = arith.constant 0 : index
    %c64_0 = arith.constant 64 : index
    %n, %c = tile.find_chunk %8 of %arg5 tokens %arg6 sequences %arg7 chunk %c64_0
    %c1_1 = arith.constant 1 : index
    %9 = arith.muli %c, %c1_1 : index
    %batch, %start, %length, %end = tile.sequence %n of %arg5 tokens %arg6 sequences %arg7
    %c64_2 = arith.constant 64 : index
    %c1_3 = arith.constant 1 : index
    %c63 = arith.constant 63 : index
    %10 = arith.addi %length, %c63 : index
    %11 = arith.divui %10, %c64_2 : index
    %c0_4 = arith.constant 0 : index
    %12 = arith.minui %9, %11 : index
    %13 = arith.subi %11, %12 : index
    %c1_5 = arith.constant 1 : index
    %14 = arith.minui %13, %c1_5 : index
    %15 = arith.muli %9, %c64_2 : index
    %16 = arith.addi %start, %15 : index
    %17 = arith.subi %length, %15 : index
    tile.sync
    %18 = tile.alloc : <2624xf32>
    %19 = tile.alloc : <64x64xbf16>
    tile.roles warps [4, 1] {
      %c0_6 = arith.constant 0 : index
      %20 = arith.cmpi ne, %14, %c0_6 : index
      scf.if %20 {
        %c0_10 = arith.constant 0 : index
        %c0_11 = arith.constant 0 : index
        %c64_12 = arith.constant 64 : index
        %28 = arith.addi %9, %c0_11 : index
        %29 = arith.muli %c0_11, %c64_12 : index
        %30 = arith.subi %17, %29 : index
        %31 = arith.addi %15, %29 : index
        %32 = arith.addi %16, %29 : index
        %33 = arith.minui %30, %c64_12 : index
        %34:3 = tile.wait %0[%c0_10] : <1, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64xf32>]> -> !tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64xf32>
        %c64_13 = arith.constant 64 : index
        %35 = arith.cmpi ult, %33, %c64_13 : index
        scf.if %35 {
          tile.zero_rows %34#0 from %33 : <64x128xbf16>
          tile.zero_rows %34#1 from %33 : <64x128xbf16>
          tile.barrier proxy id 1
        }
        %36 = tile.mma %34#0, %34#1 transpose_b : !tile.smem<64x128xbf16>, <64x128xbf16> -> <tensor<64x64xf32, #tile.layout<acc>>>
        %37 = tile.await %36 : <tensor<64x64xf32, #tile.layout<acc>>>
        %38 = tile.index 0 : tensor<64x64xi32, #tile.layout<acc>>
        %39 = tile.index 1 : tensor<64x64xi32, #tile.layout<acc>>
        %40 = arith.cmpi ule, %39, %38 : tensor<64x64xi32, #tile.layout<acc>>
        %cst = arith.constant dense<0.000000e+00> : tensor<64x64xf32, #tile.layout<acc>>
        %41 = arith.select %40, %37, %cst : tensor<64x64xi1, #tile.layout<acc>>, tensor<64x64xf32, #tile.layout<acc>>
        %42 = arith.truncf %41 : tensor<64x64xf32, #tile.layout<acc>> to tensor<64x64xbf16, #tile.layout<acc>>
        %c1_14 = arith.constant 1 : index
        %43 = arith.divui %7, %c1_14 : index
        %c0_15 = arith.constant 0 : index
        tile.store_rows %42 to %arg4[%batch, %32, %43, %c0_15] dim 1 valid %33 via %2 barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>, <tensor<?x?x32x64xbf16>>, !tile.smem<64x64xbf16>
        %44 = tile.mma %34#1, %34#1 transpose_b : !tile.smem<64x128xbf16>, <64x128xbf16> -> <tensor<64x64xf32, #tile.layout<acc>>>
        %45 = tile.await %44 : <tensor<64x64xf32, #tile.layout<acc>>>
        %46 = tile.index 0 : tensor<64x64xi32, #tile.layout<acc>>
        %47 = tile.index 1 : tensor<64x64xi32, #tile.layout<acc>>
        %48 = arith.cmpi ult, %47, %46 : tensor<64x64xi32, #tile.layout<acc>>
        %cst_16 = arith.constant dense<0.000000e+00> : tensor<64x64xf32, #tile.layout<acc>>
        %49 = arith.select %48, %45, %cst_16 : tensor<64x64xi1, #tile.layout<acc>>, tensor<64x64xf32, #tile.layout<acc>>
        %50 = tile.read %34#2 : <64xf32> -> tensor<64xf32, #tile.layout<warp>>
        %51 = tile.erase_strips %49, %50 via %18 to %19 barrier 1 : tensor<64x64xf32, #tile.layout<acc>>, tensor<64xf32, #tile.layout<warp>>, <2624xf32>, <64x64xbf16>
        %52 = tile.erase_join %51 via %18 barrier 1 : <64x64xbf16>, <2624xf32>
        tile.barrier proxy id 1
        %53 = tile.read %52 : <64x64xbf16> -> tensor<64x64xbf16, #tile.layout<acc>>
        %54 = arith.extf %53 : tensor<64x64xbf16, #tile.layout<acc>> to tensor<64x64xf32, #tile.layout<acc>>
        %55 = arith.truncf %54 : tensor<64x64xf32, #tile.layout<acc>> to tensor<64x64xbf16, #tile.layout<acc>>
        %c1_17 = arith.constant 1 : index
        %56 = arith.divui %7, %c1_17 : index
        %c0_18 = arith.constant 0 : index
        tile.store_rows %55 to %arg3[%batch, %32, %56, %c0_18] dim 1 valid %33 via %1 barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>, <tensor<?x?x32x64xbf16>>, !tile.smem<64x64xbf16>
        tile.release %0[%c0_10] : <1, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64xf32>]>
      }
      %c1_7 = arith.constant 1 : index
      %21 = arith.subi %arg7, %c1_7 : index
      %c32_8 = arith.constant 32 : index
      %c64_9 = arith.constant 64 : index
      %22 = tile.uniform %c64_9
      %23 = tile.first_slot %21 of %arg5 tokens %arg6 chunk %22
      %24 = tile.block_id
      %25 = arith.muli %23, %c32_8 : index
      %26 = arith.subi %24, %25 : index
      %27 = arith.cmpi ult, %26, %c32_8 : index
      scf.if %27 {
        %batch_10, %start_11, %length_12, %end_13 = tile.sequence %21 of %arg5 tokens %arg6 sequences %arg7
        %c0_14 = arith.constant 0 : index
        %c1_15 = arith.constant 1 : index
        %28 = arith.divui %7, %c1_15 : index
        %c0_16 = arith.constant 0 : index
        %c0_17 = arith.constant 0 : index
        tile.zero_fill %arg3[%batch, %c0_17, %28, %c0_16] dim 1 from %end_13 to %arg6 columns 64 : <tensor<?x?x32x64xbf16>>
        %c0_18 = arith.constant 0 : index
        %c1_19 = arith.constant 1 : index
        %29 = arith.divui %7, %c1_19 : index
        %c0_20 = arith.constant 0 : index
        %c0_21 = arith.constant 0 : index
        tile.zero_fill %arg4[%batch, %c0_21, %29, %c0_20] dim 1 from %end_13 to %arg6 columns 64 : <tensor<?x?x32x64xbf16>>
      }
    }, {
      %c0_6 = arith.constant 0 : index
      %20 = arith.cmpi ne, %14, %c0_6 : index
      scf.if %20 {
        %c0_7 = arith.constant 0 : index
        %c0_8 = arith.constant 0 : index
        %c64_9 = arith.constant 64 : index
        %21 = arith.addi %9, %c0_8 : index
        %22 = arith.muli %c0_8, %c64_9 : index
        %23 = arith.subi %17, %22 : index
        %24 = arith.addi %15, %22 : index
        %25 = arith.addi %16, %22 : index
        %26 = arith.minui %23, %c64_9 : index
        %27:3 = tile.acquire %0[%c0_7] : <1, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64xf32>]> -> !tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64xf32>
        %c2 = arith.constant 2 : index
        %28 = arith.divui %7, %c2 : index
        %c0_10 = arith.constant 0 : index
        tile.load %arg0[%batch, %25, %28, %c0_10] to %27#0 of %0[%c0_7] : <tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <1, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64xf32>]>
        %c2_11 = arith.constant 2 : index
        %29 = arith.divui %7, %c2_11 : index
        %c0_12 = arith.constant 0 : index
        tile.load %arg1[%batch, %25, %29, %c0_12] to %27#1 of %0[%c0_7] : <tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <1, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64xf32>]>
        %c1_13 = arith.constant 1 : index
        %30 = arith.divui %7, %c1_13 : index
        tile.load_vector %arg2[%batch, %25, %30] dim 1 valid %26 to %27#2 of %0[%c0_7] : <tensor<?x?x32xf32>>, <64xf32>, <1, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64xf32>]>
        tile.commit %0[%c0_7] : <1, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64xf32>]>
      }
    }
  }
  tile.kernel @delta_net_fwd_scan(%arg0: !tile.tensor_map<tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, %arg1: !tile.tensor_map<tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, %arg2: !tile.tensor_map<tensor<?x?x32x128xbf16>, box = [1, 64, 1, 64]>, %arg3: !tile.global<tensor<?x?x32xf32>>, %arg4: !tile.tensor_map<tensor<?x?x32x64xbf16>, box = [1, 64, 1, 64]>, %arg5: !tile.tensor_map<tensor<?x?x32x64xbf16>, box = [1, 64, 1, 64]>, %arg6: !tile.global<tensor<?x?x32x128xbf16>>, %arg7: !tile.global<tensor<?x?x32x128xbf16>>, %arg8: !tile.global<tensor<?x32x128x128xbf16>>, %arg9: !tile.global<tensor<?x32x128x128xf32>, optional = true>, %arg10: !tile.global<tensor<?x32x128x128xf32>, optional = true>, %arg11: !tile.cu_seqlens, %arg12: index, %arg13: index) grid 64 * sequences warps 5 min_blocks 1 operands ["q", "k", "v", "beta", "factor", "mapped", "o", "rows", "state", "initial_state", "final_state", "cu_seqlens", "tokens", "sequences"] {
    %0 = tile.alloc_ring producers 1 consumers 4 : <2, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
    %1 = tile.alloc transient : <64x64xbf16>
    %2 = tile.alloc transient : <64x64xbf16>
    %3 = tile.alloc transient : <128x64xbf16>
    tile.await_kernels
    %4 = tile.block_id
    %c2 = arith.constant 2 : index
    %5 = arith.remui %4, %c2 : index
    %c64 = arith.constant 64 : index
    %6 = arith.muli %5, %c64 : index
    %7 = arith.divui %4, %c2 : index
    %c32 = arith.constant 32 : index
    %8 = arith.remui %7, %c32 : index
    %9 = arith.divui %7, %c32 : index
    %c0 = arith.constant 0 : index
    %batch, %start, %length, %end = tile.sequence %9 of %arg11 tokens %arg12 sequences %arg13
    %c64_0 = arith.constant 64 : index
    %10 = tile.first_slot %9 of %arg11 tokens %arg12 chunk %c64_0
    %c64_1 = arith.constant 64 : index
    %c1 = arith.constant 1 : index
    %c63 = arith.constant 63 : index
    %11 = arith.addi %length, %c63 : index
    %12 = arith.divui %11, %c64_1 : index
    %c0_2 = arith.constant 0 : index
    tile.sync
    tile.roles warps [4, 1] {
      %c0_3 = arith.constant 0 : index
      %c1_4 = arith.constant 1 : index
      %13 = arith.divui %8, %c1_4 : index
      %c0_5 = arith.constant 0 : index
      %c0_6 = arith.constant 0 : index
      %14 = tile.load_matrix %arg9[%9, %13, %c0_5, %6] dims [3, 2] : <tensor<?x32x128x128xf32>, optional = true> -> tensor<64x128xf32, #tile.layout<acc>>
      %c0_7 = arith.constant 0 : index
      %c1_8 = arith.constant 1 : index
      %15 = scf.for %arg14 = %c0_7 to %12 step %c1_8 iter_args(%arg15 = %14) -> (tensor<64x128xf32, #tile.layout<acc>>) {
        %c64_15 = arith.constant 64 : index
        %22 = arith.addi %10, %arg14 : index
        %23 = arith.addi %c0, %arg14 : index
        %24 = arith.muli %arg14, %c64_15 : index
        %25 = arith.subi %length, %24 : index
        %26 = arith.addi %c0_2, %24 : index
        %27 = arith.addi %start, %24 : index
        %28 = arith.minui %25, %c64_15 : index
        %29 = arith.truncf %arg15 : tensor<64x128xf32, #tile.layout<acc>> to tensor<64x128xbf16, #tile.layout<acc>>
        %c1_16 = arith.constant 1 : index
        %30 = arith.divui %8, %c1_16 : index
        %c0_17 = arith.constant 0 : index
        %c0_18 = arith.constant 0 : index
        %c128 = arith.constant 128 : index
        tile.store_rows transpose %29 to %arg8[%22, %30, %c0_17, %6] dim 2 valid %c128 via %3 barrier 1 : tensor<64x128xbf16, #tile.layout<acc>>, <tensor<?x32x128x128xbf16>>, !tile.smem<128x64xbf16>
        %31:6 = tile.wait %0[%arg14] : <2, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]> -> !tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>
        %c64_19 = arith.constant 64 : index
        %32 = arith.cmpi ult, %28, %c64_19 : index
        scf.if %32 {
          tile.zero_rows %31#0 from %28 : <64x128xbf16>
          tile.zero_rows %31#1 from %28 : <64x128xbf16>
          tile.zero_rows %31#2 from %28 : <64x64xbf16>
          tile.zero_rows %31#4 from %28 : <64x64xbf16>
          tile.zero_rows %31#5 from %28 : <64x64xbf16>
          tile.barrier proxy id 1
        }
        %33 = arith.truncf %arg15 : tensor<64x128xf32, #tile.layout<acc>> to tensor<64x128xbf16, #tile.layout<acc>>
        %34 = tile.mma %33, %31#1 transpose_b : tensor<64x128xbf16, #tile.layout<acc>>, <64x128xbf16> -> <tensor<64x64xf32, #tile.layout<acc>>>
        %35 = tile.await %34 : <tensor<64x64xf32, #tile.layout<acc>>>
        %36 = tile.read transpose %31#2 : <64x64xbf16> -> tensor<64x64xbf16, #tile.layout<acc>>
        %37 = arith.extf %36 : tensor<64x64xbf16, #tile.layout<acc>> to tensor<64x64xf32, #tile.layout<acc>>
        %38 = arith.subf %37, %35 : tensor<64x64xf32, #tile.layout<acc>>
        %39 = tile.read %31#3 : <64xf32> -> tensor<64xf32, #tile.layout<col>>
        %40 = tile.erase_apply %38, %31#4, %39 : tensor<64x64xf32, #tile.layout<acc>>, <64x64xbf16>, tensor<64xf32, #tile.layout<col>>
        %41 = arith.truncf %40 : tensor<64x64xf32, #tile.layout<acc>> to tensor<64x64xbf16, #tile.layout<acc>>
        %c1_20 = arith.constant 1 : index
        %42 = arith.divui %8, %c1_20 : index
        %c0_21 = arith.constant 0 : index
        tile.store_rows transpose %41 to %arg7[%batch, %27, %42, %6] dim 1 valid %28 via %2 barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>, <tensor<?x?x32x128xbf16>>, !tile.smem<64x64xbf16>
        %43 = tile.broadcast %39 : tensor<64xf32, #tile.layout<col>> -> tensor<64x64xf32, #tile.layout<acc>>
        %44 = arith.mulf %43, %40 : tensor<64x64xf32, #tile.layout<acc>>
        %45 = arith.truncf %44 : tensor<64x64xf32, #tile.layout<acc>> to tensor<64x64xbf16, #tile.layout<acc>>
        %46 = tile.mma %33, %31#0 transpose_b : tensor<64x128xbf16, #tile.layout<acc>>, <64x128xbf16> -> <tensor<64x64xf32, #tile.layout<acc>>>
        %47 = tile.await %46 : <tensor<64x64xf32, #tile.layout<acc>>>
        %48 = tile.mma %45, %31#5 transpose_b into %47 : tensor<64x64xbf16, #tile.layout<acc>>, <64x64xbf16>, tensor<64x64xf32, #tile.layout<acc>> -> <tensor<64x64xf32, #tile.layout<acc>>>
        %49 = tile.await %48 : <tensor<64x64xf32, #tile.layout<acc>>>
        %cst = arith.constant dense<0.0883883461> : tensor<64x64xf32, #tile.layout<acc>>
        %50 = arith.mulf %49, %cst : tensor<64x64xf32, #tile.layout<acc>>
        %51 = arith.truncf %50 : tensor<64x64xf32, #tile.layout<acc>> to tensor<64x64xbf16, #tile.layout<acc>>
        %c1_22 = arith.constant 1 : index
        %52 = arith.divui %8, %c1_22 : index
        %c0_23 = arith.constant 0 : index
        tile.store_rows transpose %51 to %arg6[%batch, %27, %52, %6] dim 1 valid %28 via %1 barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>, <tensor<?x?x32x128xbf16>>, !tile.smem<64x64xbf16>
        %53 = tile.mma %45, %31#1 into %arg15 : tensor<64x64xbf16, #tile.layout<acc>>, <64x128xbf16>, tensor<64x128xf32, #tile.layout<acc>> -> <tensor<64x128xf32, #tile.layout<acc>>>
        %54 = tile.await %53 : <tensor<64x128xf32, #tile.layout<acc>>>
        tile.release fenced %0[%arg14] : <2, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
        scf.yield %54 : tensor<64x128xf32, #tile.layout<acc>>
      }
      %c0_9 = arith.constant 0 : index
      %c1_10 = arith.constant 1 : index
      %16 = arith.divui %8, %c1_10 : index
      %c0_11 = arith.constant 0 : index
      %c0_12 = arith.constant 0 : index
      tile.store_matrix %15 to %arg10[%9, %16, %c0_11, %6] dims [3, 2] : tensor<64x128xf32, #tile.layout<acc>>, <tensor<?x32x128x128xf32>, optional = true>
      %c1_13 = arith.constant 1 : index
      %17 = arith.subi %arg13, %c1_13 : index
      %c64_14 = arith.constant 64 : index
      %18 = tile.block_id
      %19 = arith.muli %17, %c64_14 : index
      %20 = arith.subi %18, %19 : index
      %21 = arith.cmpi ult, %20, %c64_14 : index
      scf.if %21 {
        %batch_15, %start_16, %length_17, %end_18 = tile.sequence %17 of %arg11 tokens %arg12 sequences %arg13
        %c0_19 = arith.constant 0 : index
        %c1_20 = arith.constant 1 : index
        %22 = arith.divui %8, %c1_20 : index
        %c0_21 = arith.constant 0 : index
        %c0_22 = arith.constant 0 : index
        tile.zero_fill %arg6[%batch, %c0_22, %22, %6] dim 1 from %end_18 to %arg12 columns 64 : <tensor<?x?x32x128xbf16>>
        %c0_23 = arith.constant 0 : index
        %c1_24 = arith.constant 1 : index
        %23 = arith.divui %8, %c1_24 : index
        %c0_25 = arith.constant 0 : index
        %c0_26 = arith.constant 0 : index
        tile.zero_fill %arg7[%batch, %c0_26, %23, %6] dim 1 from %end_18 to %arg12 columns 64 : <tensor<?x?x32x128xbf16>>
      }
    }, {
      %c0_3 = arith.constant 0 : index
      %c1_4 = arith.constant 1 : index
      scf.for %arg14 = %c0_3 to %12 step %c1_4 {
        %c64_5 = arith.constant 64 : index
        %13 = arith.addi %10, %arg14 : index
        %14 = arith.addi %c0, %arg14 : index
        %15 = arith.muli %arg14, %c64_5 : index
        %16 = arith.subi %length, %15 : index
        %17 = arith.addi %c0_2, %15 : index
        %18 = arith.addi %start, %15 : index
        %19 = arith.minui %16, %c64_5 : index
        %20:6 = tile.acquire %0[%arg14] : <2, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]> -> !tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>
        %c2_6 = arith.constant 2 : index
        %21 = arith.divui %8, %c2_6 : index
        %c0_7 = arith.constant 0 : index
        tile.load %arg0[%batch, %18, %21, %c0_7] to %20#0 of %0[%arg14] : <tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <2, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
        %c2_8 = arith.constant 2 : index
        %22 = arith.divui %8, %c2_8 : index
        %c0_9 = arith.constant 0 : index
        tile.load %arg1[%batch, %18, %22, %c0_9] to %20#1 of %0[%arg14] : <tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <2, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
        %c1_10 = arith.constant 1 : index
        %23 = arith.divui %8, %c1_10 : index
        %c0_11 = arith.constant 0 : index
        tile.load %arg2[%batch, %18, %23, %6] to %20#2 of %0[%arg14] : <tensor<?x?x32x128xbf16>, box = [1, 64, 1, 64]>, <64x64xbf16>, <2, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
        %c1_12 = arith.constant 1 : index
        %24 = arith.divui %8, %c1_12 : index
        tile.load_vector %arg3[%batch, %18, %24] dim 1 valid %19 to %20#3 of %0[%arg14] : <tensor<?x?x32xf32>>, <64xf32>, <2, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
        %c1_13 = arith.constant 1 : index
        %25 = arith.divui %8, %c1_13 : index
        %c0_14 = arith.constant 0 : index
        tile.load %arg4[%batch, %18, %25, %c0_14] to %20#4 of %0[%arg14] : <tensor<?x?x32x64xbf16>, box = [1, 64, 1, 64]>, <64x64xbf16>, <2, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
        %c1_15 = arith.constant 1 : index
        %26 = arith.divui %8, %c1_15 : index
        %c0_16 = arith.constant 0 : index
        tile.load %arg5[%batch, %18, %26, %c0_16] to %20#5 of %0[%arg14] : <tensor<?x?x32x64xbf16>, box = [1, 64, 1, 64]>, <64x64xbf16>, <2, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
        tile.commit %0[%arg14] : <2, [!tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
      }
    }
  }
  tile.kernel @delta_net_bwd_fused(%arg0: !tile.tensor_map<tensor<?x?x32x128xbf16>, box = [1, 64, 1, 64]>, %arg1: !tile.global<tensor<?x?x32xf32>>, %arg2: !tile.tensor_map<tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, %arg3: !tile.tensor_map<tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, %arg4: !tile.tensor_map<tensor<?x?x32x64xbf16>, box = [1, 64, 1, 64]>, %arg5: !tile.tensor_map<tensor<?x?x32x64xbf16>, box = [1, 64, 1, 64]>, %arg6: !tile.tensor_map<tensor<?x?x32x128xbf16>, box = [1, 64, 1, 64]>, %arg7: !tile.tensor_map<tensor<?x32x128x128xbf16>, box = [1, 1, 128, 64]>, %arg8: !tile.global<tensor<?x?x32x128xbf16>>, %arg9: !tile.global<tensor<?x?x16x128xbf16>>, %arg10: !tile.global<tensor<?x?x16x128xbf16>>, %arg11: !tile.global<tensor<?x?x32xf32>>, %arg12: !tile.global<tensor<?x32x128x128xf32>, optional = true>, %arg13: !tile.global<tensor<?x32x128x128xf32>, optional = true>, %arg14: !tile.cu_seqlens, %arg15: index, %arg16: index) grid 32 * sequences cluster 2 warps 16 min_blocks 1 operands ["d_o", "beta", "k", "q", "factor", "mapped", "rows", "state", "d_v", "d_q", "d_k", "d_beta", "d_final_state", "d_initial_state", "cu_seqlens", "tokens", "sequences"] {
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
    %c1 = arith.constant 1 : index
    %14 = arith.remui %13, %c1 : index
    %c128 = arith.constant 128 : index
    %15 = arith.muli %14, %c128 : index
    %16 = arith.divui %13, %c1 : index
    %c32 = arith.constant 32 : index
    %17 = arith.remui %16, %c32 : index
    %18 = arith.divui %16, %c32 : index
    %c0 = arith.constant 0 : index
    %batch, %start, %length, %end = tile.sequence %18 of %arg14 tokens %arg15 sequences %arg16
    %c64 = arith.constant 64 : index
    %19 = tile.first_slot %18 of %arg14 tokens %arg15 chunk %c64
    %c64_0 = arith.constant 64 : index
    %c1_1 = arith.constant 1 : index
    %c63 = arith.constant 63 : index
    %20 = arith.addi %length, %c63 : index
    %21 = arith.divui %20, %c64_0 : index
    %c0_2 = arith.constant 0 : index
    tile.sync cluster
    %22 = tile.alloc transient : <64xf32>
    tile.roles warps [8, 4, 4] registers [160, 96, 96] {
      %23 = tile.warpgroup_id
      %c0_3 = arith.constant 0 : index
      %24 = arith.subi %23, %c0_3 : index
      %c64_4 = arith.constant 64 : index
      %25 = arith.muli %24, %c64_4 : index
      %26 = arith.addi %15, %25 : index
      %c0_5 = arith.constant 0 : index
      %c1_6 = arith.constant 1 : index
      %27 = arith.divui %17, %c1_6 : index
      %c0_7 = arith.constant 0 : index
      %c0_8 = arith.constant 0 : index
      %28 = tile.load_matrix %arg12[%18, %27, %c0_7, %26] dims [3, 2] : <tensor<?x32x128x128xf32>, optional = true> -> tensor<64x128xf32, #tile.layout<acc>>
      %c0_9 = arith.constant 0 : index
      %29 = arith.cmpi ult, %c0_9, %21 : index
      %c0_10 = arith.constant 0 : index
      %30 = arith.cmpi eq, %24, %c0_10 : index
      %31 = arith.andi %29, %30 : i1
      scf.if %31 {
        tile.one_warp 0 {
          %c1_19 = arith.constant 1 : index
          %39 = arith.subi %21, %c1_19 : index
          %40 = arith.subi %39, %c0_9 : index
          %c64_20 = arith.constant 64 : index
          %41 = arith.addi %19, %40 : index
          %42 = arith.addi %c0, %40 : index
          %43 = arith.muli %40, %c64_20 : index
          %44 = arith.subi %length, %43 : index
          %45 = arith.addi %c0_2, %43 : index
          %46 = arith.addi %start, %43 : index
          %47 = arith.minui %44, %c64_20 : index
          %48:2 = tile.acquire %2[%c0_9] : <1, [!tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>
          %c1_21 = arith.constant 1 : index
          %49 = arith.divui %17, %c1_21 : index
          %c0_22 = arith.constant 0 : index
          tile.load %arg5[%batch, %46, %49, %c0_22] to %48#0 of %2[%c0_9] : <tensor<?x?x32x64xbf16>, box = [1, 64, 1, 64]>, <64x64xbf16>, <1, [!tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
          %c1_23 = arith.constant 1 : index
          %50 = arith.divui %17, %c1_23 : index
          %c0_24 = arith.constant 0 : index
          tile.load %arg4[%batch, %46, %50, %c0_24] to %48#1 of %2[%c0_9] : <tensor<?x?x32x64xbf16>, box = [1, 64, 1, 64]>, <64x64xbf16>, <1, [!tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
          tile.commit %2[%c0_9] : <1, [!tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
        }
      }
      %c0_11 = arith.constant 0 : index
      %c1_12 = arith.constant 1 : index
      %32 = scf.for %arg17 = %c0_11 to %21 step %c1_12 iter_args(%arg18 = %28) -> (tensor<64x128xf32, #tile.layout<acc>>) {
        %c1_19 = arith.constant 1 : index
        %39 = arith.subi %21, %c1_19 : index
        %40 = arith.subi %39, %arg17 : index
        %c64_20 = arith.constant 64 : index
        %41 = arith.addi %19, %40 : index
        %42 = arith.addi %c0, %40 : index
        %43 = arith.muli %40, %c64_20 : index
        %44 = arith.subi %length, %43 : index
        %45 = arith.addi %c0_2, %43 : index
        %46 = arith.addi %start, %43 : index
        %47 = arith.minui %44, %c64_20 : index
        %c1_21 = arith.constant 1 : index
        %48 = arith.addi %arg17, %c1_21 : index
        %49 = arith.cmpi ult, %48, %21 : index
        %c0_22 = arith.constant 0 : index
        %50 = arith.cmpi eq, %24, %c0_22 : index
        %51 = arith.andi %49, %50 : i1
        %c64_23 = arith.constant 64 : index
        %52 = arith.cmpi ult, %47, %c64_23 : index
        scf.if %52 {
          %94 = tile.wait %1[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          tile.zero_rows %94 from %47 : <64x128xbf16>
          %95:2 = tile.wait %2[%arg17] : <1, [!tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>
          tile.zero_rows %95#0 from %47 : <64x64xbf16>
          tile.zero_rows %95#1 from %47 : <64x64xbf16>
          %96 = tile.wait %3[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          %97 = tile.subview %96[%24] : <64x128xbf16> -> <64x64xbf16>
          tile.zero_rows %97 from %47 : <64x64xbf16>
          %98 = tile.wait %4[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          tile.zero_rows %98 from %47 : <64x128xbf16>
          tile.barrier proxy id 0
        }
        %53 = arith.truncf %arg18 : tensor<64x128xf32, #tile.layout<acc>> to tensor<64x128xbf16, #tile.layout<acc>>
        %54 = tile.acquire %8[%arg17] : <1, [!tile.smem<128x128xbf16>], warps> -> !tile.smem<128x128xbf16>
        %55 = tile.block_id
        %c2 = arith.constant 2 : index
        %56 = arith.remui %55, %c2 : index
        %c0_24 = arith.constant 0 : index
        %57 = arith.cmpi ne, %56, %c0_24 : index
        scf.if %57 {
        } else {
          %c0_32 = arith.constant 0 : index
          %94 = arith.cmpi eq, %24, %c0_32 : index
          scf.if %94 {
            %c1_33 = arith.constant 1 : index
            %95 = arith.maxui %arg17, %c1_33 : index
            %96 = arith.subi %95, %c1_33 : index
            %c1_34 = arith.constant 1 : index
            tile.pass_turns %12[%96] to %c1_34 : <4xf32>
          }
        }
        %58 = tile.subview %54[%24] : <128x128xbf16> -> <128x64xbf16>
        %59 = tile.write transpose %53 to %58 : tensor<64x128xbf16, #tile.layout<acc>>, <128x64xbf16>
        tile.commit %8[%arg17] : <1, [!tile.smem<128x128xbf16>], warps>
        %60 = arith.truncf %arg18 : tensor<64x128xf32, #tile.layout<acc>> to tensor<64x128xbf16, #tile.layout<acc>>
        %cst = arith.constant dense<11.3137083> : tensor<64x128xf32, #tile.layout<acc>>
        %61 = arith.mulf %arg18, %cst : tensor<64x128xf32, #tile.layout<acc>>
        %62 = tile.wait %0[%arg17] : <2, [!tile.smem<64xf32>]> -> !tile.smem<64xf32>
        %63 = tile.wait %1[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
        %64 = tile.mma %60, %63 transpose_b : tensor<64x128xbf16, #tile.layout<acc>>, <64x128xbf16> -> <tensor<64x64xf32, #tile.layout<acc>>>
        %65 = tile.await %64 : <tensor<64x64xf32, #tile.layout<acc>>>
        %cst_25 = arith.constant dense<11.3137083> : tensor<64x64xf32, #tile.layout<acc>>
        %66 = arith.mulf %65, %cst_25 : tensor<64x64xf32, #tile.layout<acc>>
        %67:2 = tile.wait %2[%arg17] : <1, [!tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>
        %68 = tile.wait %3[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
        %69 = tile.subview %68[%24] : <64x128xbf16> -> <64x64xbf16>
        %70 = tile.mma %69 transpose_a, %67#0 into %66 : !tile.smem<64x64xbf16>, <64x64xbf16>, tensor<64x64xf32, #tile.layout<acc>> -> <tensor<64x64xf32, #tile.layout<acc>>>
        %71 = tile.await %70 : <tensor<64x64xf32, #tile.layout<acc>>>
        %72 = tile.wait %4[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
        %73 = tile.mma %69 transpose_a, %72 into %61 : !tile.smem<64x64xbf16>, <64x128xbf16>, tensor<64x128xf32, #tile.layout<acc>> -> <tensor<64x128xf32, #tile.layout<acc>>>
        %74 = tile.await %73 : <tensor<64x128xf32, #tile.layout<acc>>>
        %cst_26 = arith.constant dense<0.0883883461> : tensor<64x64xf32, #tile.layout<acc>>
        %75 = arith.mulf %71, %cst_26 : tensor<64x64xf32, #tile.layout<acc>>
        %76 = tile.read %62 : <64xf32> -> tensor<64xf32, #tile.layout<col>>
        %77 = tile.erase_apply adjoint %75, %67#1, %76 : tensor<64x64xf32, #tile.layout<acc>>, <64x64xbf16>, tensor<64xf32, #tile.layout<col>>
        %78 = arith.truncf %77 : tensor<64x64xf32, #tile.layout<acc>> to tensor<64x64xbf16, #tile.layout<acc>>
        %79 = tile.acquire %7[%arg17] : <1, [!tile.smem<64x128xbf16>], warps> -> !tile.smem<64x128xbf16>
        %80 = tile.block_id
        %c2_27 = arith.constant 2 : index
        %81 = arith.remui %80, %c2_27 : index
        %c0_28 = arith.constant 0 : index
        %82 = arith.cmpi ne, %81, %c0_28 : index
        scf.if %82 {
        } else {
          %c0_32 = arith.constant 0 : index
          %94 = arith.cmpi eq, %24, %c0_32 : index
          scf.if %94 {
            %c1_33 = arith.constant 1 : index
            %95 = arith.maxui %arg17, %c1_33 : index
            %96 = arith.subi %95, %c1_33 : index
            %c1_34 = arith.constant 1 : index
            tile.pass_turns %11[%96] to %c1_34 : <4xf32>
          }
        }
        %83 = tile.subview %79[%24] : <64x128xbf16> -> <64x64xbf16>
        %84 = tile.write transpose %78 to %83 : tensor<64x64xbf16, #tile.layout<acc>>, <64x64xbf16>
        tile.commit %7[%arg17] : <1, [!tile.smem<64x128xbf16>], warps>
        %85 = tile.broadcast %76 : tensor<64xf32, #tile.layout<col>> -> tensor<64x64xf32, #tile.layout<acc>>
        %86 = arith.mulf %77, %85 : tensor<64x64xf32, #tile.layout<acc>>
        %87 = arith.truncf %86 : tensor<64x64xf32, #tile.layout<acc>> to tensor<64x64xbf16, #tile.layout<acc>>
        %c1_29 = arith.constant 1 : index
        %88 = arith.divui %17, %c1_29 : index
        %c0_30 = arith.constant 0 : index
        tile.store_rows transpose %87 to %arg8[%batch, %46, %88, %26] dim 1 valid %47 barrier 0 : tensor<64x64xbf16, #tile.layout<acc>>, <tensor<?x?x32x128xbf16>>
        %89 = arith.negf %86 : tensor<64x64xf32, #tile.layout<acc>>
        %90 = arith.truncf %89 : tensor<64x64xf32, #tile.layout<acc>> to tensor<64x64xbf16, #tile.layout<acc>>
        %cst_31 = arith.constant dense<0.0883883461> : tensor<64x128xf32, #tile.layout<acc>>
        %91 = arith.mulf %74, %cst_31 : tensor<64x128xf32, #tile.layout<acc>>
        %92 = tile.mma %90, %63 into %91 : tensor<64x64xbf16, #tile.layout<acc>>, <64x128xbf16>, tensor<64x128xf32, #tile.layout<acc>> -> <tensor<64x128xf32, #tile.layout<acc>>>
        %93 = tile.await %92 : <tensor<64x128xf32, #tile.layout<acc>>>
        tile.release %0[%arg17] : <2, [!tile.smem<64xf32>]>
        tile.release %1[%arg17] : <2, [!tile.smem<64x128xbf16>]>
        tile.release %2[%arg17] : <1, [!tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
        scf.if %51 {
          tile.one_warp 0 {
            %c1_32 = arith.constant 1 : index
            %94 = arith.subi %21, %c1_32 : index
            %95 = arith.subi %94, %48 : index
            %c64_33 = arith.constant 64 : index
            %96 = arith.addi %19, %95 : index
            %97 = arith.addi %c0, %95 : index
            %98 = arith.muli %95, %c64_33 : index
            %99 = arith.subi %length, %98 : index
            %100 = arith.addi %c0_2, %98 : index
            %101 = arith.addi %start, %98 : index
            %102 = arith.minui %99, %c64_33 : index
            %103:2 = tile.acquire %2[%48] : <1, [!tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>
            %c1_34 = arith.constant 1 : index
            %104 = arith.divui %17, %c1_34 : index
            %c0_35 = arith.constant 0 : index
            tile.load %arg5[%batch, %101, %104, %c0_35] to %103#0 of %2[%48] : <tensor<?x?x32x64xbf16>, box = [1, 64, 1, 64]>, <64x64xbf16>, <1, [!tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
            %c1_36 = arith.constant 1 : index
            %105 = arith.divui %17, %c1_36 : index
            %c0_37 = arith.constant 0 : index
            tile.load %arg4[%batch, %101, %105, %c0_37] to %103#1 of %2[%48] : <tensor<?x?x32x64xbf16>, box = [1, 64, 1, 64]>, <64x64xbf16>, <1, [!tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
            tile.commit %2[%48] : <1, [!tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>]>
          }
        } {tile.behind_release}
        tile.release %3[%arg17] : <2, [!tile.smem<64x128xbf16>]>
        tile.release %4[%arg17] : <2, [!tile.smem<64x128xbf16>]>
        scf.yield %93 : tensor<64x128xf32, #tile.layout<acc>>
      }
      %c0_13 = arith.constant 0 : index
      %c1_14 = arith.constant 1 : index
      %33 = arith.divui %17, %c1_14 : index
      %c0_15 = arith.constant 0 : index
      %c0_16 = arith.constant 0 : index
      tile.store_matrix %32 to %arg13[%18, %33, %c0_15, %26] dims [3, 2] : tensor<64x128xf32, #tile.layout<acc>>, <tensor<?x32x128x128xf32>, optional = true>
      %c1_17 = arith.constant 1 : index
      %34 = arith.subi %arg16, %c1_17 : index
      %c32_18 = arith.constant 32 : index
      %35 = tile.block_id
      %36 = arith.muli %34, %c32_18 : index
      %37 = arith.subi %35, %36 : index
      %38 = arith.cmpi ult, %37, %c32_18 : index
      scf.if %38 {
        %batch_19, %start_20, %length_21, %end_22 = tile.sequence %34 of %arg14 tokens %arg15 sequences %arg16
        %c0_23 = arith.constant 0 : index
        %c1_24 = arith.constant 1 : index
        %39 = arith.divui %17, %c1_24 : index
        %c0_25 = arith.constant 0 : index
        %c0_26 = arith.constant 0 : index
        tile.zero_fill %arg8[%batch, %c0_26, %39, %26] dim 1 from %end_22 to %arg15 columns 64 : <tensor<?x?x32x128xbf16>>
      }
    }, {
      %c0_3 = arith.constant 0 : index
      %23 = arith.cmpi ult, %c0_3, %21 : index
      scf.if %23 {
        tile.one_warp 0 {
          %c1_16 = arith.constant 1 : index
          %39 = arith.subi %21, %c1_16 : index
          %40 = arith.subi %39, %c0_3 : index
          %c64_17 = arith.constant 64 : index
          %41 = arith.addi %19, %40 : index
          %42 = arith.addi %c0, %40 : index
          %43 = arith.muli %40, %c64_17 : index
          %44 = arith.subi %length, %43 : index
          %45 = arith.addi %c0_2, %43 : index
          %46 = arith.addi %start, %43 : index
          %47 = arith.minui %44, %c64_17 : index
          %48 = tile.acquire %0[%c0_3] : <2, [!tile.smem<64xf32>]> -> !tile.smem<64xf32>
          %c1_18 = arith.constant 1 : index
          %49 = arith.divui %17, %c1_18 : index
          tile.load_vector %arg1[%batch, %46, %49] dim 1 valid %47 to %48 of %0[%c0_3] : <tensor<?x?x32xf32>>, <64xf32>, <2, [!tile.smem<64xf32>]>
          tile.commit %0[%c0_3] : <2, [!tile.smem<64xf32>]>
        }
      }
      %c1_4 = arith.constant 1 : index
      %24 = arith.cmpi ult, %c1_4, %21 : index
      scf.if %24 {
        tile.one_warp 0 {
          %c1_16 = arith.constant 1 : index
          %39 = arith.subi %21, %c1_16 : index
          %40 = arith.subi %39, %c1_4 : index
          %c64_17 = arith.constant 64 : index
          %41 = arith.addi %19, %40 : index
          %42 = arith.addi %c0, %40 : index
          %43 = arith.muli %40, %c64_17 : index
          %44 = arith.subi %length, %43 : index
          %45 = arith.addi %c0_2, %43 : index
          %46 = arith.addi %start, %43 : index
          %47 = arith.minui %44, %c64_17 : index
          %48 = tile.acquire %0[%c1_4] : <2, [!tile.smem<64xf32>]> -> !tile.smem<64xf32>
          %c1_18 = arith.constant 1 : index
          %49 = arith.divui %17, %c1_18 : index
          tile.load_vector %arg1[%batch, %46, %49] dim 1 valid %47 to %48 of %0[%c1_4] : <tensor<?x?x32xf32>>, <64xf32>, <2, [!tile.smem<64xf32>]>
          tile.commit %0[%c1_4] : <2, [!tile.smem<64xf32>]>
        }
      }
      %c0_5 = arith.constant 0 : index
      %25 = arith.cmpi ult, %c0_5, %21 : index
      scf.if %25 {
        tile.one_warp 1 {
          %c1_16 = arith.constant 1 : index
          %39 = arith.subi %21, %c1_16 : index
          %40 = arith.subi %39, %c0_5 : index
          %c64_17 = arith.constant 64 : index
          %41 = arith.addi %19, %40 : index
          %42 = arith.addi %c0, %40 : index
          %43 = arith.muli %40, %c64_17 : index
          %44 = arith.subi %length, %43 : index
          %45 = arith.addi %c0_2, %43 : index
          %46 = arith.addi %start, %43 : index
          %47 = arith.minui %44, %c64_17 : index
          %48 = tile.acquire %1[%c0_5] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          %c2_18 = arith.constant 2 : index
          %49 = arith.divui %17, %c2_18 : index
          %c0_19 = arith.constant 0 : index
          tile.load %arg2[%batch, %46, %49, %c0_19] to %48 of %1[%c0_5] : <tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <2, [!tile.smem<64x128xbf16>]>
          tile.commit %1[%c0_5] : <2, [!tile.smem<64x128xbf16>]>
        }
      }
      %c1_6 = arith.constant 1 : index
      %26 = arith.cmpi ult, %c1_6, %21 : index
      scf.if %26 {
        tile.one_warp 1 {
          %c1_16 = arith.constant 1 : index
          %39 = arith.subi %21, %c1_16 : index
          %40 = arith.subi %39, %c1_6 : index
          %c64_17 = arith.constant 64 : index
          %41 = arith.addi %19, %40 : index
          %42 = arith.addi %c0, %40 : index
          %43 = arith.muli %40, %c64_17 : index
          %44 = arith.subi %length, %43 : index
          %45 = arith.addi %c0_2, %43 : index
          %46 = arith.addi %start, %43 : index
          %47 = arith.minui %44, %c64_17 : index
          %48 = tile.acquire %1[%c1_6] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          %c2_18 = arith.constant 2 : index
          %49 = arith.divui %17, %c2_18 : index
          %c0_19 = arith.constant 0 : index
          tile.load %arg2[%batch, %46, %49, %c0_19] to %48 of %1[%c1_6] : <tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <2, [!tile.smem<64x128xbf16>]>
          tile.commit %1[%c1_6] : <2, [!tile.smem<64x128xbf16>]>
        }
      }
      %c0_7 = arith.constant 0 : index
      %27 = arith.cmpi ult, %c0_7, %21 : index
      scf.if %27 {
        tile.one_warp 2 {
          %c1_16 = arith.constant 1 : index
          %39 = arith.subi %21, %c1_16 : index
          %40 = arith.subi %39, %c0_7 : index
          %c64_17 = arith.constant 64 : index
          %41 = arith.addi %19, %40 : index
          %42 = arith.addi %c0, %40 : index
          %43 = arith.muli %40, %c64_17 : index
          %44 = arith.subi %length, %43 : index
          %45 = arith.addi %c0_2, %43 : index
          %46 = arith.addi %start, %43 : index
          %47 = arith.minui %44, %c64_17 : index
          %48 = tile.acquire %4[%c0_7] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          %c2_18 = arith.constant 2 : index
          %49 = arith.divui %17, %c2_18 : index
          %c0_19 = arith.constant 0 : index
          tile.load %arg3[%batch, %46, %49, %c0_19] to %48 of %4[%c0_7] : <tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <2, [!tile.smem<64x128xbf16>]>
          tile.commit %4[%c0_7] : <2, [!tile.smem<64x128xbf16>]>
        }
      }
      %c1_8 = arith.constant 1 : index
      %28 = arith.cmpi ult, %c1_8, %21 : index
      scf.if %28 {
        tile.one_warp 2 {
          %c1_16 = arith.constant 1 : index
          %39 = arith.subi %21, %c1_16 : index
          %40 = arith.subi %39, %c1_8 : index
          %c64_17 = arith.constant 64 : index
          %41 = arith.addi %19, %40 : index
          %42 = arith.addi %c0, %40 : index
          %43 = arith.muli %40, %c64_17 : index
          %44 = arith.subi %length, %43 : index
          %45 = arith.addi %c0_2, %43 : index
          %46 = arith.addi %start, %43 : index
          %47 = arith.minui %44, %c64_17 : index
          %48 = tile.acquire %4[%c1_8] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          %c2_18 = arith.constant 2 : index
          %49 = arith.divui %17, %c2_18 : index
          %c0_19 = arith.constant 0 : index
          tile.load %arg3[%batch, %46, %49, %c0_19] to %48 of %4[%c1_8] : <tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <2, [!tile.smem<64x128xbf16>]>
          tile.commit %4[%c1_8] : <2, [!tile.smem<64x128xbf16>]>
        }
      }
      %c0_9 = arith.constant 0 : index
      %29 = arith.cmpi ult, %c0_9, %21 : index
      scf.if %29 {
        tile.one_warp 3 {
          %c1_16 = arith.constant 1 : index
          %39 = arith.subi %21, %c1_16 : index
          %40 = arith.subi %39, %c0_9 : index
          %c64_17 = arith.constant 64 : index
          %41 = arith.addi %19, %40 : index
          %42 = arith.addi %c0, %40 : index
          %43 = arith.muli %40, %c64_17 : index
          %44 = arith.subi %length, %43 : index
          %45 = arith.addi %c0_2, %43 : index
          %46 = arith.addi %start, %43 : index
          %47 = arith.minui %44, %c64_17 : index
          %48 = tile.acquire %5[%c0_9] : <1, [!tile.smem<128x128xbf16>]> -> !tile.smem<128x128xbf16>
          %c1_18 = arith.constant 1 : index
          %49 = arith.divui %17, %c1_18 : index
          %c0_19 = arith.constant 0 : index
          %c0_20 = arith.constant 0 : index
          tile.load %arg7[%41, %49, %c0_19, %15] to %48 of %5[%c0_9] : <tensor<?x32x128x128xbf16>, box = [1, 1, 128, 64]>, <128x128xbf16>, <1, [!tile.smem<128x128xbf16>]>
          tile.commit %5[%c0_9] : <1, [!tile.smem<128x128xbf16>]>
        }
      }
      %c0_10 = arith.constant 0 : index
      %30 = arith.cmpi ult, %c0_10, %21 : index
      scf.if %30 {
        tile.one_warp 0 {
          %c1_16 = arith.constant 1 : index
          %39 = arith.subi %21, %c1_16 : index
          %40 = arith.subi %39, %c0_10 : index
          %c64_17 = arith.constant 64 : index
          %41 = arith.addi %19, %40 : index
          %42 = arith.addi %c0, %40 : index
          %43 = arith.muli %40, %c64_17 : index
          %44 = arith.subi %length, %43 : index
          %45 = arith.addi %c0_2, %43 : index
          %46 = arith.addi %start, %43 : index
          %47 = arith.minui %44, %c64_17 : index
          %48 = tile.acquire %6[%c0_10] : <1, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          %c1_18 = arith.constant 1 : index
          %49 = arith.divui %17, %c1_18 : index
          %c0_19 = arith.constant 0 : index
          tile.load %arg6[%batch, %46, %49, %15] to %48 of %6[%c0_10] : <tensor<?x?x32x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <1, [!tile.smem<64x128xbf16>]>
          tile.commit %6[%c0_10] : <1, [!tile.smem<64x128xbf16>]>
        }
      }
      %c0_11 = arith.constant 0 : index
      %c1_12 = arith.constant 1 : index
      scf.for %arg17 = %c0_11 to %21 step %c1_12 {
        %c1_16 = arith.constant 1 : index
        %39 = arith.subi %21, %c1_16 : index
        %40 = arith.subi %39, %arg17 : index
        %c64_17 = arith.constant 64 : index
        %41 = arith.addi %19, %40 : index
        %42 = arith.addi %c0, %40 : index
        %43 = arith.muli %40, %c64_17 : index
        %44 = arith.subi %length, %43 : index
        %45 = arith.addi %c0_2, %43 : index
        %46 = arith.addi %start, %43 : index
        %47 = arith.minui %44, %c64_17 : index
        %c2_18 = arith.constant 2 : index
        %48 = arith.addi %arg17, %c2_18 : index
        %49 = arith.cmpi ult, %48, %21 : index
        %c2_19 = arith.constant 2 : index
        %50 = arith.addi %arg17, %c2_19 : index
        %51 = arith.cmpi ult, %50, %21 : index
        %c2_20 = arith.constant 2 : index
        %52 = arith.addi %arg17, %c2_20 : index
        %53 = arith.cmpi ult, %52, %21 : index
        %c1_21 = arith.constant 1 : index
        %54 = arith.addi %arg17, %c1_21 : index
        %55 = arith.cmpi ult, %54, %21 : index
        %c1_22 = arith.constant 1 : index
        %56 = arith.addi %arg17, %c1_22 : index
        %57 = arith.cmpi ult, %56, %21 : index
        %c64_23 = arith.constant 64 : index
        %58 = arith.cmpi ult, %47, %c64_23 : index
        scf.if %58 {
          %87 = tile.wait %6[%arg17] : <1, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          tile.zero_rows %87 from %47 : <64x128xbf16>
          %88 = tile.wait %4[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          tile.zero_rows %88 from %47 : <64x128xbf16>
          %89 = tile.wait %1[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          tile.zero_rows %89 from %47 : <64x128xbf16>
          tile.barrier proxy id 3
        }
        %59 = tile.wait %0[%arg17] : <2, [!tile.smem<64xf32>]> -> !tile.smem<64xf32>
        %60 = tile.wait %7[%arg17] : <1, [!tile.smem<64x128xbf16>], warps> -> !tile.smem<64x128xbf16>
        %61 = tile.wait %5[%arg17] : <1, [!tile.smem<128x128xbf16>]> -> !tile.smem<128x128xbf16>
        %62 = tile.mma %60 negate_a, %61 transpose_b : !tile.smem<64x128xbf16>, <128x128xbf16> -> <tensor<64x128xf32, #tile.layout<acc>>>
        %63 = tile.await %62 : <tensor<64x128xf32, #tile.layout<acc>>>
        %64 = tile.wait %8[%arg17] : <1, [!tile.smem<128x128xbf16>], warps> -> !tile.smem<128x128xbf16>
        %65 = tile.wait %6[%arg17] : <1, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
        %66 = tile.mma %65, %64 transpose_b into %63 : !tile.smem<64x128xbf16>, <128x128xbf16>, tensor<64x128xf32, #tile.layout<acc>> -> <tensor<64x128xf32, #tile.layout<acc>>>
        %67 = tile.await %66 : <tensor<64x128xf32, #tile.layout<acc>>>
        %68 = tile.wait %9[%arg17] : <1, [!tile.smem<64x64xbf16>], warps> -> !tile.smem<64x64xbf16>
        %69 = tile.wait %4[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
        %70 = tile.read %59 : <64xf32> -> tensor<64xf32, #tile.layout<warp>>
        %71 = tile.read %59 : <64xf32> -> tensor<64xf32, #tile.layout<row>>
        %72 = tile.broadcast %71 : tensor<64xf32, #tile.layout<row>> -> tensor<64x128xf32, #tile.layout<acc>>
        %73 = arith.mulf %72, %67 : tensor<64x128xf32, #tile.layout<acc>>
        %74 = tile.mma %68 transpose_a, %69 into %73 : !tile.smem<64x64xbf16>, <64x128xbf16>, tensor<64x128xf32, #tile.layout<acc>> -> <tensor<64x128xf32, #tile.layout<acc>>>
        %75 = tile.await %74 : <tensor<64x128xf32, #tile.layout<acc>>>
        %76 = tile.wait %10[%arg17] : <1, [!tile.smem<64x64xbf16>], warps> -> !tile.smem<64x64xbf16>
        %77 = tile.wait %1[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
        %78 = tile.mma %76, %77 into %75 : !tile.smem<64x64xbf16>, <64x128xbf16>, tensor<64x128xf32, #tile.layout<acc>> -> <tensor<64x128xf32, #tile.layout<acc>>>
        %79 = tile.await %78 : <tensor<64x128xf32, #tile.layout<acc>>>
        %80 = tile.mma %76 transpose_a, %77 into %79 : !tile.smem<64x64xbf16>, <64x128xbf16>, tensor<64x128xf32, #tile.layout<acc>> -> <tensor<64x128xf32, #tile.layout<acc>>>
        %81 = tile.await %80 : <tensor<64x128xf32, #tile.layout<acc>>>
        %82 = arith.truncf %81 : tensor<64x128xf32, #tile.layout<acc>> to tensor<64x128xbf16, #tile.layout<acc>>
        %83 = tile.block_id
        %c2_24 = arith.constant 2 : index
        %84 = arith.remui %83, %c2_24 : index
        %c0_25 = arith.constant 0 : index
        %85 = arith.cmpi ne, %84, %c0_25 : index
        %c2_26 = arith.constant 2 : index
        %86 = arith.divui %17, %c2_26 : index
        %c0_27 = arith.constant 0 : index
        tile.store_rows %82 to %arg10[%batch, %46, %86, %c0_27] dim 1 valid %47 added %85 barrier 3 : tensor<64x128xbf16, #tile.layout<acc>>, <tensor<?x?x16x128xbf16>>
        tile.release %0[%arg17] : <2, [!tile.smem<64xf32>]>
        scf.if %49 {
          tile.one_warp 0 {
            %c1_28 = arith.constant 1 : index
            %87 = arith.subi %21, %c1_28 : index
            %88 = arith.subi %87, %48 : index
            %c64_29 = arith.constant 64 : index
            %89 = arith.addi %19, %88 : index
            %90 = arith.addi %c0, %88 : index
            %91 = arith.muli %88, %c64_29 : index
            %92 = arith.subi %length, %91 : index
            %93 = arith.addi %c0_2, %91 : index
            %94 = arith.addi %start, %91 : index
            %95 = arith.minui %92, %c64_29 : index
            %96 = tile.acquire %0[%48] : <2, [!tile.smem<64xf32>]> -> !tile.smem<64xf32>
            %c1_30 = arith.constant 1 : index
            %97 = arith.divui %17, %c1_30 : index
            tile.load_vector %arg1[%batch, %94, %97] dim 1 valid %95 to %96 of %0[%48] : <tensor<?x?x32xf32>>, <64xf32>, <2, [!tile.smem<64xf32>]>
            tile.commit %0[%48] : <2, [!tile.smem<64xf32>]>
          }
        } {tile.behind_release}
        tile.release %7[%arg17] : <1, [!tile.smem<64x128xbf16>], warps>
        tile.release %5[%arg17] : <1, [!tile.smem<128x128xbf16>]>
        scf.if %55 {
          tile.one_warp 3 {
            %c1_28 = arith.constant 1 : index
            %87 = arith.subi %21, %c1_28 : index
            %88 = arith.subi %87, %54 : index
            %c64_29 = arith.constant 64 : index
            %89 = arith.addi %19, %88 : index
            %90 = arith.addi %c0, %88 : index
            %91 = arith.muli %88, %c64_29 : index
            %92 = arith.subi %length, %91 : index
            %93 = arith.addi %c0_2, %91 : index
            %94 = arith.addi %start, %91 : index
            %95 = arith.minui %92, %c64_29 : index
            %96 = tile.acquire %5[%54] : <1, [!tile.smem<128x128xbf16>]> -> !tile.smem<128x128xbf16>
            %c1_30 = arith.constant 1 : index
            %97 = arith.divui %17, %c1_30 : index
            %c0_31 = arith.constant 0 : index
            %c0_32 = arith.constant 0 : index
            tile.load %arg7[%89, %97, %c0_31, %15] to %96 of %5[%54] : <tensor<?x32x128x128xbf16>, box = [1, 1, 128, 64]>, <128x128xbf16>, <1, [!tile.smem<128x128xbf16>]>
            tile.commit %5[%54] : <1, [!tile.smem<128x128xbf16>]>
          }
        } {tile.behind_release}
        tile.release %8[%arg17] : <1, [!tile.smem<128x128xbf16>], warps>
        tile.release %6[%arg17] : <1, [!tile.smem<64x128xbf16>]>
        scf.if %57 {
          tile.one_warp 0 {
            %c1_28 = arith.constant 1 : index
            %87 = arith.subi %21, %c1_28 : index
            %88 = arith.subi %87, %56 : index
            %c64_29 = arith.constant 64 : index
            %89 = arith.addi %19, %88 : index
            %90 = arith.addi %c0, %88 : index
            %91 = arith.muli %88, %c64_29 : index
            %92 = arith.subi %length, %91 : index
            %93 = arith.addi %c0_2, %91 : index
            %94 = arith.addi %start, %91 : index
            %95 = arith.minui %92, %c64_29 : index
            %96 = tile.acquire %6[%56] : <1, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
            %c1_30 = arith.constant 1 : index
            %97 = arith.divui %17, %c1_30 : index
            %c0_31 = arith.constant 0 : index
            tile.load %arg6[%batch, %94, %97, %15] to %96 of %6[%56] : <tensor<?x?x32x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <1, [!tile.smem<64x128xbf16>]>
            tile.commit %6[%56] : <1, [!tile.smem<64x128xbf16>]>
          }
        } {tile.behind_release}
        tile.release %9[%arg17] : <1, [!tile.smem<64x64xbf16>], warps>
        tile.release %4[%arg17] : <2, [!tile.smem<64x128xbf16>]>
        scf.if %53 {
          tile.one_warp 2 {
            %c1_28 = arith.constant 1 : index
            %87 = arith.subi %21, %c1_28 : index
            %88 = arith.subi %87, %52 : index
            %c64_29 = arith.constant 64 : index
            %89 = arith.addi %19, %88 : index
            %90 = arith.addi %c0, %88 : index
            %91 = arith.muli %88, %c64_29 : index
            %92 = arith.subi %length, %91 : index
            %93 = arith.addi %c0_2, %91 : index
            %94 = arith.addi %start, %91 : index
            %95 = arith.minui %92, %c64_29 : index
            %96 = tile.acquire %4[%52] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
            %c2_30 = arith.constant 2 : index
            %97 = arith.divui %17, %c2_30 : index
            %c0_31 = arith.constant 0 : index
            tile.load %arg3[%batch, %94, %97, %c0_31] to %96 of %4[%52] : <tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <2, [!tile.smem<64x128xbf16>]>
            tile.commit %4[%52] : <2, [!tile.smem<64x128xbf16>]>
          }
        } {tile.behind_release}
        tile.release %10[%arg17] : <1, [!tile.smem<64x64xbf16>], warps>
        tile.release %1[%arg17] : <2, [!tile.smem<64x128xbf16>]>
        scf.if %51 {
          tile.one_warp 1 {
            %c1_28 = arith.constant 1 : index
            %87 = arith.subi %21, %c1_28 : index
            %88 = arith.subi %87, %50 : index
            %c64_29 = arith.constant 64 : index
            %89 = arith.addi %19, %88 : index
            %90 = arith.addi %c0, %88 : index
            %91 = arith.muli %88, %c64_29 : index
            %92 = arith.subi %length, %91 : index
            %93 = arith.addi %c0_2, %91 : index
            %94 = arith.addi %start, %91 : index
            %95 = arith.minui %92, %c64_29 : index
            %96 = tile.acquire %1[%50] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
            %c2_30 = arith.constant 2 : index
            %97 = arith.divui %17, %c2_30 : index
            %c0_31 = arith.constant 0 : index
            tile.load %arg2[%batch, %94, %97, %c0_31] to %96 of %1[%50] : <tensor<?x?x16x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <2, [!tile.smem<64x128xbf16>]>
            tile.commit %1[%50] : <2, [!tile.smem<64x128xbf16>]>
          }
        } {tile.behind_release}
      }
      %31 = tile.block_id
      %c2 = arith.constant 2 : index
      %32 = arith.remui %31, %c2 : index
      %c0_13 = arith.constant 0 : index
      %33 = arith.cmpi ne, %32, %c0_13 : index
      scf.if %33 {
      } else {
        %c1_16 = arith.constant 1 : index
        tile.pass_turns %12[%21] to %c1_16 : <4xf32>
      }
      %c1_14 = arith.constant 1 : index
      %34 = arith.subi %arg16, %c1_14 : index
      %c32_15 = arith.constant 32 : index
      %35 = tile.block_id
      %36 = arith.muli %34, %c32_15 : index
      %37 = arith.subi %35, %36 : index
      %38 = arith.cmpi ult, %37, %c32_15 : index
      scf.if %38 {
        %batch_16, %start_17, %length_18, %end_19 = tile.sequence %34 of %arg14 tokens %arg15 sequences %arg16
        %c0_20 = arith.constant 0 : index
        %c2_21 = arith.constant 2 : index
        %39 = arith.divui %17, %c2_21 : index
        %c0_22 = arith.constant 0 : index
        %c0_23 = arith.constant 0 : index
        tile.zero_fill %arg10[%batch, %c0_23, %39, %c0_22] dim 1 from %end_19 to %arg15 columns 64 : <tensor<?x?x16x128xbf16>>
        %c64_24 = arith.constant 64 : index
        %40 = arith.addi %c0_22, %c64_24 : index
        tile.zero_fill %arg10[%batch, %c0_23, %39, %40] dim 1 from %end_19 to %arg15 columns 64 : <tensor<?x?x16x128xbf16>>
      }
    }, {
      %c0_3 = arith.constant 0 : index
      %23 = arith.cmpi ult, %c0_3, %21 : index
      scf.if %23 {
        tile.one_warp 0 {
          %c1_10 = arith.constant 1 : index
          %33 = arith.subi %21, %c1_10 : index
          %34 = arith.subi %33, %c0_3 : index
          %c64_11 = arith.constant 64 : index
          %35 = arith.addi %19, %34 : index
          %36 = arith.addi %c0, %34 : index
          %37 = arith.muli %34, %c64_11 : index
          %38 = arith.subi %length, %37 : index
          %39 = arith.addi %c0_2, %37 : index
          %40 = arith.addi %start, %37 : index
          %41 = arith.minui %38, %c64_11 : index
          %42 = tile.acquire %3[%c0_3] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          %c1_12 = arith.constant 1 : index
          %43 = arith.divui %17, %c1_12 : index
          %c0_13 = arith.constant 0 : index
          tile.load %arg0[%batch, %40, %43, %15] to %42 of %3[%c0_3] : <tensor<?x?x32x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <2, [!tile.smem<64x128xbf16>]>
          tile.commit %3[%c0_3] : <2, [!tile.smem<64x128xbf16>]>
        }
      }
      %c1_4 = arith.constant 1 : index
      %24 = arith.cmpi ult, %c1_4, %21 : index
      scf.if %24 {
        tile.one_warp 0 {
          %c1_10 = arith.constant 1 : index
          %33 = arith.subi %21, %c1_10 : index
          %34 = arith.subi %33, %c1_4 : index
          %c64_11 = arith.constant 64 : index
          %35 = arith.addi %19, %34 : index
          %36 = arith.addi %c0, %34 : index
          %37 = arith.muli %34, %c64_11 : index
          %38 = arith.subi %length, %37 : index
          %39 = arith.addi %c0_2, %37 : index
          %40 = arith.addi %start, %37 : index
          %41 = arith.minui %38, %c64_11 : index
          %42 = tile.acquire %3[%c1_4] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          %c1_12 = arith.constant 1 : index
          %43 = arith.divui %17, %c1_12 : index
          %c0_13 = arith.constant 0 : index
          tile.load %arg0[%batch, %40, %43, %15] to %42 of %3[%c1_4] : <tensor<?x?x32x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <2, [!tile.smem<64x128xbf16>]>
          tile.commit %3[%c1_4] : <2, [!tile.smem<64x128xbf16>]>
        }
      }
      %c0_5 = arith.constant 0 : index
      %c1_6 = arith.constant 1 : index
      scf.for %arg17 = %c0_5 to %21 step %c1_6 {
        %c1_10 = arith.constant 1 : index
        %33 = arith.subi %21, %c1_10 : index
        %34 = arith.subi %33, %arg17 : index
        %c64_11 = arith.constant 64 : index
        %35 = arith.addi %19, %34 : index
        %36 = arith.addi %c0, %34 : index
        %37 = arith.muli %34, %c64_11 : index
        %38 = arith.subi %length, %37 : index
        %39 = arith.addi %c0_2, %37 : index
        %40 = arith.addi %start, %37 : index
        %41 = arith.minui %38, %c64_11 : index
        %c2_12 = arith.constant 2 : index
        %42 = arith.addi %arg17, %c2_12 : index
        %43 = arith.cmpi ult, %42, %21 : index
        %c64_13 = arith.constant 64 : index
        %44 = arith.cmpi ult, %41, %c64_13 : index
        scf.if %44 {
          %107 = tile.wait %3[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          tile.zero_rows %107 from %41 : <64x128xbf16>
          %108 = tile.wait %6[%arg17] : <1, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          tile.zero_rows %108 from %41 : <64x128xbf16>
          %109 = tile.wait %1[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
          tile.zero_rows %109 from %41 : <64x128xbf16>
          tile.barrier proxy id 4
        }
        %45 = tile.wait %3[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
        %46 = tile.wait %6[%arg17] : <1, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
        %47 = tile.mma %45, %46 transpose_b : !tile.smem<64x128xbf16>, <64x128xbf16> -> <tensor<64x64xf32, #tile.layout<acc>>>
        %48 = tile.await %47 : <tensor<64x64xf32, #tile.layout<acc>>>
        %49 = tile.wait %0[%arg17] : <2, [!tile.smem<64xf32>]> -> !tile.smem<64xf32>
        %50 = tile.read %49 : <64xf32> -> tensor<64xf32, #tile.layout<warp>>
        %cst = arith.constant dense<0.0883883461> : tensor<64xf32, #tile.layout<warp>>
        %51 = arith.mulf %50, %cst : tensor<64xf32, #tile.layout<warp>>
        %52 = tile.read %49 : <64xf32> -> tensor<64xf32, #tile.layout<col>>
        %cst_14 = arith.constant dense<0.0883883461> : tensor<64xf32, #tile.layout<col>>
        %53 = arith.mulf %52, %cst_14 : tensor<64xf32, #tile.layout<col>>
        %54 = tile.broadcast %53 : tensor<64xf32, #tile.layout<col>> -> tensor<64x64xf32, #tile.layout<acc>>
        %55 = arith.mulf %54, %48 : tensor<64x64xf32, #tile.layout<acc>>
        %56 = tile.index 0 : tensor<64x64xi32, #tile.layout<acc>>
        %57 = tile.index 1 : tensor<64x64xi32, #tile.layout<acc>>
        %58 = arith.cmpi ule, %57, %56 : tensor<64x64xi32, #tile.layout<acc>>
        %cst_15 = arith.constant dense<0.000000e+00> : tensor<64x64xf32, #tile.layout<acc>>
        %59 = arith.select %58, %55, %cst_15 : tensor<64x64xi1, #tile.layout<acc>>, tensor<64x64xf32, #tile.layout<acc>>
        %60 = arith.truncf %59 : tensor<64x64xf32, #tile.layout<acc>> to tensor<64x64xbf16, #tile.layout<acc>>
        %61 = tile.acquire %9[%arg17] : <1, [!tile.smem<64x64xbf16>], warps> -> !tile.smem<64x64xbf16>
        %62 = tile.write %60 to %61 barrier 4 : tensor<64x64xbf16, #tile.layout<acc>>, <64x64xbf16>
        tile.commit %9[%arg17] : <1, [!tile.smem<64x64xbf16>], warps>
        %63 = tile.wait %5[%arg17] : <1, [!tile.smem<128x128xbf16>]> -> !tile.smem<128x128xbf16>
        %64 = tile.block_id
        %c2_16 = arith.constant 2 : index
        %65 = arith.remui %64, %c2_16 : index
        %c0_17 = arith.constant 0 : index
        %66 = arith.cmpi ne, %65, %c0_17 : index
        scf.if %66 {
          %c1_26 = arith.constant 1 : index
          %107 = arith.addi %arg17, %c1_26 : index
          tile.await_turns %11[%107] : <4xf32>
        } else {
        }
        %67 = tile.mma %45, %63 transpose_b : !tile.smem<64x128xbf16>, <128x128xbf16> -> <tensor<64x128xf32, #tile.layout<acc>>>
        %68 = tile.await %67 : <tensor<64x128xf32, #tile.layout<acc>>>
        %69 = tile.wait %1[%arg17] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
        %cst_18 = arith.constant dense<0.0883883461> : tensor<64x128xf32, #tile.layout<acc>>
        %70 = arith.mulf %68, %cst_18 : tensor<64x128xf32, #tile.layout<acc>>
        %71 = tile.mma %61, %69 into %70 : !tile.smem<64x64xbf16>, <64x128xbf16>, tensor<64x128xf32, #tile.layout<acc>> -> <tensor<64x128xf32, #tile.layout<acc>>>
        %72 = tile.await %71 : <tensor<64x128xf32, #tile.layout<acc>>>
        %73 = arith.truncf %72 : tensor<64x128xf32, #tile.layout<acc>> to tensor<64x128xbf16, #tile.layout<acc>>
        %74 = tile.block_id
        %c2_19 = arith.constant 2 : index
        %75 = arith.remui %74, %c2_19 : index
        %c0_20 = arith.constant 0 : index
        %76 = arith.cmpi ne, %75, %c0_20 : index
        %c2_21 = arith.constant 2 : index
        %77 = arith.divui %17, %c2_21 : index
        %c0_22 = arith.constant 0 : index
        tile.store_rows %73 to %arg9[%batch, %40, %77, %c0_22] dim 1 valid %41 added %76 barrier 4 : tensor<64x128xbf16, #tile.layout<acc>>, <tensor<?x?x16x128xbf16>>
        %78 = tile.wait %7[%arg17] : <1, [!tile.smem<64x128xbf16>], warps> -> !tile.smem<64x128xbf16>
        %79 = tile.mma %78, %46 transpose_b : !tile.smem<64x128xbf16>, <64x128xbf16> -> <tensor<64x64xf32, #tile.layout<acc>>>
        %80 = tile.await %79 : <tensor<64x64xf32, #tile.layout<acc>>>
        %81 = arith.negf %50 : tensor<64xf32, #tile.layout<warp>>
        %82 = tile.read %49 : <64xf32> -> tensor<64xf32, #tile.layout<col>>
        %83 = tile.broadcast %82 : tensor<64xf32, #tile.layout<col>> -> tensor<64x64xf32, #tile.layout<acc>>
        %84 = tile.read %49 : <64xf32> -> tensor<64xf32, #tile.layout<row>>
        %85 = arith.negf %84 : tensor<64xf32, #tile.layout<row>>
        %86 = tile.broadcast %85 : tensor<64xf32, #tile.layout<row>> -> tensor<64x64xf32, #tile.layout<acc>>
        %87 = arith.mulf %86, %80 : tensor<64x64xf32, #tile.layout<acc>>
        %88 = arith.mulf %83, %87 : tensor<64x64xf32, #tile.layout<acc>>
        %89 = tile.index 0 : tensor<64x64xi32, #tile.layout<acc>>
        %90 = tile.index 1 : tensor<64x64xi32, #tile.layout<acc>>
        %91 = arith.cmpi ult, %90, %89 : tensor<64x64xi32, #tile.layout<acc>>
        %cst_23 = arith.constant dense<0.000000e+00> : tensor<64x64xf32, #tile.layout<acc>>
        %92 = arith.select %91, %88, %cst_23 : tensor<64x64xi1, #tile.layout<acc>>, tensor<64x64xf32, #tile.layout<acc>>
        %93 = arith.truncf %92 : tensor<64x64xf32, #tile.layout<acc>> to tensor<64x64xbf16, #tile.layout<acc>>
        %94 = tile.acquire %10[%arg17] : <1, [!tile.smem<64x64xbf16>], warps> -> !tile.smem<64x64xbf16>
        %95 = tile.write %93 to %94 : tensor<64x64xbf16, #tile.layout<acc>>, <64x64xbf16>
        tile.commit %10[%arg17] : <1, [!tile.smem<64x64xbf16>], warps>
        %96 = arith.truncf %92 : tensor<64x64xf32, #tile.layout<acc>> to tensor<64x64xbf16, #tile.layout<acc>>
        %97 = tile.index 0 : tensor<64x64xi32, #tile.layout<acc>>
        %98 = tile.index 1 : tensor<64x64xi32, #tile.layout<acc>>
        %99 = arith.cmpi ule, %98, %97 : tensor<64x64xi32, #tile.layout<acc>>
        %100 = tile.index 0 : tensor<64x64xi32, #tile.layout<acc>>
        %101 = tile.index 1 : tensor<64x64xi32, #tile.layout<acc>>
        %102 = arith.cmpi eq, %100, %101 : tensor<64x64xi32, #tile.layout<acc>>
        %103 = arith.andi %99, %102 : tensor<64x64xi1, #tile.layout<acc>>
        %cst_24 = arith.constant dense<0.000000e+00> : tensor<64x64xf32, #tile.layout<acc>>
        %104 = arith.select %103, %80, %cst_24 : tensor<64x64xi1, #tile.layout<acc>>, tensor<64x64xf32, #tile.layout<acc>>
        %105 = tile.reduce %104 dim 1 via %22 barrier 4 : <64xf32>, tensor<64x64xf32, #tile.layout<acc>> -> tensor<64xf32, #tile.layout<warp>>
        %c1_25 = arith.constant 1 : index
        %106 = arith.divui %17, %c1_25 : index
        tile.store_vector %105 to %arg11[%batch, %40, %106] dim 1 valid %41 : tensor<64xf32, #tile.layout<warp>>, <tensor<?x?x32xf32>>
        tile.release %3[%arg17] : <2, [!tile.smem<64x128xbf16>]>
        tile.release %6[%arg17] : <1, [!tile.smem<64x128xbf16>]>
        tile.release %0[%arg17] : <2, [!tile.smem<64xf32>]>
        tile.release %5[%arg17] : <1, [!tile.smem<128x128xbf16>]>
        tile.release %1[%arg17] : <2, [!tile.smem<64x128xbf16>]>
        tile.release %7[%arg17] : <1, [!tile.smem<64x128xbf16>], warps>
        scf.if %43 {
          tile.one_warp 0 {
            %c1_26 = arith.constant 1 : index
            %107 = arith.subi %21, %c1_26 : index
            %108 = arith.subi %107, %42 : index
            %c64_27 = arith.constant 64 : index
            %109 = arith.addi %19, %108 : index
            %110 = arith.addi %c0, %108 : index
            %111 = arith.muli %108, %c64_27 : index
            %112 = arith.subi %length, %111 : index
            %113 = arith.addi %c0_2, %111 : index
            %114 = arith.addi %start, %111 : index
            %115 = arith.minui %112, %c64_27 : index
            %116 = tile.acquire %3[%42] : <2, [!tile.smem<64x128xbf16>]> -> !tile.smem<64x128xbf16>
            %c1_28 = arith.constant 1 : index
            %117 = arith.divui %17, %c1_28 : index
            %c0_29 = arith.constant 0 : index
            tile.load %arg0[%batch, %114, %117, %15] to %116 of %3[%42] : <tensor<?x?x32x128xbf16>, box = [1, 64, 1, 64]>, <64x128xbf16>, <2, [!tile.smem<64x128xbf16>]>
            tile.commit %3[%42] : <2, [!tile.smem<64x128xbf16>]>
          }
        }
      }
      %25 = tile.block_id
      %c2 = arith.constant 2 : index
      %26 = arith.remui %25, %c2 : index
      %c0_7 = arith.constant 0 : index
      %27 = arith.cmpi ne, %26, %c0_7 : index
      scf.if %27 {
      } else {
        %c1_10 = arith.constant 1 : index
        tile.pass_turns %11[%21] to %c1_10 : <4xf32>
      }
      %c1_8 = arith.constant 1 : index
      %28 = arith.subi %arg16, %c1_8 : index
      %c32_9 = arith.constant 32 : index
      %29 = tile.block_id
      %30 = arith.muli %28, %c32_9 : index
      %31 = arith.subi %29, %30 : index
      %32 = arith.cmpi ult, %31, %c32_9 : index
      scf.if %32 {
        %batch_10, %start_11, %length_12, %end_13 = tile.sequence %28 of %arg14 tokens %arg15 sequences %arg16
        %c0_14 = arith.constant 0 : index
        %c2_15 = arith.constant 2 : index
        %33 = arith.divui %17, %c2_15 : index
        %c0_16 = arith.constant 0 : index
        %c0_17 = arith.constant 0 : index
        tile.zero_fill %arg9[%batch, %c0_17, %33, %c0_16] dim 1 from %end_13 to %arg15 columns 64 : <tensor<?x?x16x128xbf16>>
        %c64_18 = arith.constant 64 : index
        %34 = arith.addi %c0_16, %c64_18 : index
        tile.zero_fill %arg9[%batch, %c0_17, %33, %34] dim 1 from %end_13 to %arg15 columns 64 : <tensor<?x?x16x128xbf16>>
        %c0_19 = arith.constant 0 : index
        %c1_20 = arith.constant 1 : index
        %35 = arith.divui %17, %c1_20 : index
        %c0_21 = arith.constant 0 : index
        tile.zero_fill %arg11[%batch, %c0_21, %35] dim 1 from %end_13 to %arg15 columns 1 : <tensor<?x?x32xf32>>
      }
    }
    tile.sync cluster
  }
}

