// RUN: wyvern-opt %s -convert-sched-to-tile -verify-diagnostics
//
// A role without the split dimension takes all tiles of a chunk at its start. Here that
// would wait for ever: role "two" waits for what role "one" puts before it gets.

func.func @crosswise(%x: tensor<?x?x2x64xbf16> {delta.name = "x"}) -> (tensor<?x?x2x64xbf16> {delta.name = "y"}) {
  %r = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %c = sched.channel depth 1 fill warps : <tensor<64x64xbf16>>
    %d = sched.channel depth 1 fill warps : <tensor<64x64xbf16>>
    sched.role "one" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : <tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %c : <tensor<64x64xbf16>>, tensor<64x64xf32>
        // expected-error @+1 {{stands behind a sched.put; a role without the split dimension takes all tiles of a chunk before it puts any: move it up, or divide the role}}
        %Y = sched.get %d : <tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %Y to %out : tensor<64x64xf32>, <tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    sched.role "two" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : <tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %d : <tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return %r : tensor<?x?x2x64xbf16>
}
