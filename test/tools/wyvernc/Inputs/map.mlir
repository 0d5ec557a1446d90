// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A map alone: there is no scan to fuse it with, and no chain to cut.
func.func @gram(%k: tensor<?x?x2x64xbf16> {delta.name = "k"}) -> (tensor<?x?x2x64xbf16> {delta.name = "m"}) {
  %m = delta.chunk_map chunk = 64 heads = 2 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs([seq, time, head, _] : tensor<?x?x2x64xbf16>) valid(%n) {
    %M = delta.decay_dot upto_token %K, %K : tensor<64x64xf32>, tensor<64x64xf32> -> tensor<64x64xf32>
    delta.yield outs(%M : tensor<64x64xf32>)
  }
  return %m : tensor<?x?x2x64xbf16>
}
