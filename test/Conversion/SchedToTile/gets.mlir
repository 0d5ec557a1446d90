// RUN: wyvern-opt %s -convert-sched-to-tile | FileCheck %s

// A role waits for tiles where its gets stand. Role "one" puts before it gets: it would
// wait for ever at its chunk's start, since role "two" waits for what it puts.

// CHECK-LABEL: tile.kernel @k
// CHECK: %[[IN:.*]] = tile.alloc_ring producers 1
// CHECK: %[[C:.*]] = tile.alloc_ring producers 4
// CHECK: %[[D:.*]] = tile.alloc_ring producers 4
// CHECK: tile.roles
// CHECK: tile.wait %[[IN]]
// CHECK: tile.commit %[[C]]
// CHECK: %[[Y:.*]] = tile.wait %[[D]]
// CHECK: tile.read %[[Y]]
// CHECK: }, {
// CHECK: tile.wait %[[C]]
// CHECK: tile.commit %[[D]]
func.func @crosswise(%x: tensor<?x?x2x64xbf16> {delta.name = "x"}) -> (tensor<?x?x2x64xbf16> {delta.name = "y"}) {
  %r = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %i = sched.channel depth 1 fill tma : <tensor<64x64xbf16>>
    %c = sched.channel depth 1 fill warps : <tensor<64x64xbf16>>
    %d = sched.channel depth 1 fill warps : <tensor<64x64xbf16>>
    sched.role "one" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %i : <tensor<64x64xbf16>> -> tensor<64x64xf32>
        %XX = arith.addf %X, %X : tensor<64x64xf32>
        sched.put %XX to %c : <tensor<64x64xbf16>>, tensor<64x64xf32>
        %Y = sched.get %d : <tensor<64x64xbf16>> -> tensor<64x64xf32>
        %YX = arith.addf %Y, %XX : tensor<64x64xf32>
        sched.store %YX to %out : tensor<64x64xf32>, <tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    sched.role "two" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %c : <tensor<64x64xbf16>> -> tensor<64x64xf32>
        %XX = arith.mulf %X, %X : tensor<64x64xf32>
        sched.put %XX to %d : <tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
    sched.role "load" warps 1 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : <tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %i : <tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return %r : tensor<?x?x2x64xbf16>
}
