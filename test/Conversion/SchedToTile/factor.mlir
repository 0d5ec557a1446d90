// RUN: wyvern-opt %s -convert-sched-to-tile -split-input-file | FileCheck %s

// A factor is made where it goes: in the stage of the channel, which is waited for
// before. Nothing is read back, and the commit is all that follows.

// CHECK-LABEL: tile.kernel @put
// CHECK: %[[RING:.*]] = tile.alloc_ring producers 4
// CHECK: %[[STAGE:.*]] = tile.acquire %[[RING]]
// CHECK: %[[BEGUN:.*]] = tile.erase_strips %{{.*}}, %{{.*}} via %{{.*}} to %[[STAGE]] barrier
// CHECK-NEXT: tile.erase_join %[[BEGUN]]
// CHECK-NEXT: tile.commit %[[RING]]
func.func @f(%l: tensor<?x?x2x64xbf16> {delta.name = "l"}, %c: tensor<?x?x2xf32> {delta.name = "c"}) -> (tensor<?x?x2x64xbf16> {delta.name = "o"}) {
  %r:1 = sched.kernel "put" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %l[seq, time, head, _] : tensor<?x?x2x64xbf16>, %rate = %c[seq, time, head] : tensor<?x?x2xf32>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %loaded = sched.channel depth 2 fill tma : !sched.channel<tensor<64x64xbf16>, tensor<64xf32>>
    %factors = sched.channel depth 2 fill warps : !sched.channel<tensor<64x64xbf16>>
    sched.role "factor" warps 4 {
      sched.each_chunk forward valid(%n) {
        %L, %C = sched.get %loaded : !sched.channel<tensor<64x64xbf16>, tensor<64xf32>> -> tensor<64x64xf32>, tensor<64xf32>
        %Z = delta.erase_factor %L, %C block 32 to bf16 : tensor<64x64xf32>, tensor<64xf32> -> tensor<64x64xf32>
        sched.put %Z to %factors : !sched.channel<tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
    sched.role "store" warps 4 {
      sched.each_chunk forward valid(%n) {
        %Z = sched.get %factors : !sched.channel<tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %Z to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    sched.role "load" warps 1 {
      sched.each_chunk forward valid(%n) {
        %L = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        %C = sched.load %rate : !sched.global<tensor<?x?x2xf32>> -> tensor<64xf32>
        sched.put %L, %C to %loaded : !sched.channel<tensor<64x64xbf16>, tensor<64xf32>>, tensor<64x64xf32>, tensor<64xf32>
        sched.yield
      }
    }
  }
  return %r#0 : tensor<?x?x2x64xbf16>
}
