// RUN: wyvern-opt %s -convert-sched-to-delta -split-input-file -verify-diagnostics
//
// Kernels that no chunk program says the same as.

func.func @carry_of_a_constant(%x: tensor<?x?x1x64xbf16>, %s0: tensor<?x1x64x64xf32>) -> tensor<?x1x64x64xf32> {
  %sN = sched.kernel "k" grid(heads = 1, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      inits(%S0 = %s0[seq, head, _, _] : tensor<?x1x64x64xf32>)
      finals(%SN = [seq, head, _, _] : tensor<?x1x64x64xf32>) {
    %one = arith.constant dense<1.0> : tensor<64x64xf32>
    sched.role "state" warps 4 {
      // expected-error @+1 {{carry #0 starts from what the role makes and is not zero, in a kernel over sequences; a chunk program has such a carry for runs of chunks only: load an init of it}}
      %last = sched.each_chunk forward valid(%n) carries(%S = %one : tensor<64x64xf32>) {
        %a = sched.load %X : <tensor<?x?x1x64xbf16>> -> tensor<64x64xf32>
        %S1 = arith.addf %S, %a : tensor<64x64xf32>
        sched.yield %S1 : tensor<64x64xf32>
      }
      sched.store %last to %SN : tensor<64x64xf32>, <tensor<?x1x64x64xf32>>
    }
  }
  return %sN : tensor<?x1x64x64xf32>
}

// -----

func.func @final_of_an_init(%x: tensor<?x?x1x64xbf16>, %s0: tensor<?x1x64x64xf32>) -> tensor<?x1x64x64xf32> {
  %sN = sched.kernel "k" grid(heads = 1, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      inits(%S0 = %s0[seq, head, _, _] : tensor<?x1x64x64xf32>)
      finals(%SN = [seq, head, _, _] : tensor<?x1x64x64xf32>) {
    sched.role "state" warps 4 {
      %s = sched.load %S0 : <tensor<?x1x64x64xf32>> -> tensor<64x64xf32>
      sched.each_chunk forward valid(%n) {
        sched.yield
      }
      // expected-error @+1 {{expected the last value of a carry that starts at an init of the final's type and binding; a chunk program has no other finals}}
      sched.store %s to %SN : tensor<64x64xf32>, <tensor<?x1x64x64xf32>>
    }
  }
  return %sN : tensor<?x1x64x64xf32>
}
