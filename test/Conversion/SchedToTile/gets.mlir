// RUN: wyvern-opt %s -convert-sched-to-tile | FileCheck %s
//
// A role begins with all the tiles that it gets. One that puts before it gets takes
// tiles where its program does: role "two" waits here for what role "one" puts.

// CHECK-LABEL: tile.kernel @k
// CHECK: %[[IN:.*]] = tile.alloc_ring producers 1 consumers 4 : <2,
// CHECK: %[[C:.*]] = tile.alloc_ring producers 4 consumers 4 : <1, {{.*}}, warps>
// CHECK: %[[D:.*]] = tile.alloc_ring producers 4 consumers 4 : <1, {{.*}}, warps>
// CHECK: scf.for
// CHECK: tile.wait %[[IN]]
// CHECK: tile.commit %[[C]]
// CHECK: tile.wait %[[D]]
// CHECK: tile.store_rows {{.*}} barrier 1 :
// CHECK-NOT: tile.store_rows

// The place of what role "one" has read is filled again behind it: it is the last that
// has to be done with it, and puts nothing that the other role waits for.

// CHECK: tile.release fenced %[[IN]]
// CHECK: scf.if
// CHECK: tile.one_warp 0
// CHECK: tile.acquire %[[IN]]
// CHECK: tile.load
// CHECK: tile.commit %[[IN]]
// CHECK: {tile.behind_release}

func.func @crosswise(%x: tensor<?x?x2x64xbf16> {delta.name = "x"}) -> (tensor<?x?x2x64xbf16> {delta.name = "y"}) {
  %r = sched.kernel "k" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %i = sched.channel depth 2 fill tma : <tensor<64x64xbf16>>
    %c = sched.channel depth 1 fill warps : <tensor<64x64xbf16>>
    %d = sched.channel depth 1 fill warps : <tensor<64x64xbf16>>
    sched.role "one" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %i : <tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %c : <tensor<64x64xbf16>>, tensor<64x64xf32>
        %Y = sched.get %d : <tensor<64x64xbf16>> -> tensor<64x64xf32>
        %Z = arith.addf %X, %Y : tensor<64x64xf32>
        sched.store %Z to %out direct : tensor<64x64xf32>, <tensor<?x?x2x64xbf16>>
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
    sched.role "load" warps 1 within "one" {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : <tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %i ahead 2 : <tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return %r : tensor<?x?x2x64xbf16>
}
