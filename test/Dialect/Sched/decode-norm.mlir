// RUN: wyvern-opt %s -delta-form-step=epilogue=norm -sched-decode -split-input-file -verify-diagnostics | FileCheck %s
// RUN: wyvern-opt %s -delta-form-step=epilogue=norm -canonicalize -cse -sched-decode -convert-sched-to-tile -canonicalize -split-input-file -verify-diagnostics | FileCheck %s --check-prefix=TILE

// A norm sums over the value dimension: the two blocks of a head are a cluster, and send each other the sums of their warps,
// which meet in the shared memory of both.

// CHECK-LABEL: func.func @delta_step
// CHECK: sched.kernel "delta_step_decode" grid(heads = 2, split = 2, over = sequences) chunk = 1 compute = f32 min_blocks 3
// CHECK: sched.role "step" warps 4 on_cores share_rows 4

// TILE: tile.kernel @delta_step_decode
// TILE-SAME: grid 4 * sequences cluster 2 warps 4 min_blocks 3
// TILE: %[[scratch:.*]] = tile.alloc : <8xf32>
// TILE: tile.contract %[[o:.*]], %[[o]] into %{{.*}} through %[[scratch]] : !tile.smem<8xf32>, {blocks = 2 : i64}
// TILE-SAME: : tensor<1x64xf32, #tile.spread<[_, piece 1 lanes 4 step 8 warps 4]>>
// TILE: math.rsqrt
func.func @delta(%q: tensor<?x?x2x128xbf16> {delta.name = "q"}, %k: tensor<?x?x2x128xbf16> {delta.name = "k"}, %v: tensor<?x?x2x128xbf16> {delta.name = "v"},
    %b: tensor<?x?x2xf32> {delta.name = "beta"}) -> (tensor<?x?x2x128xbf16> {delta.name = "o"}, tensor<?x2x128x128xf32> {delta.name = "final_state"}) {
  %o, %sT = delta.recurrence query(%q) step(write %k erase %k value %v rate %b) scale 1.0
    : tensor<?x?x2x128xbf16>, tensor<?x?x2x128xbf16>, tensor<?x?x2x128xbf16>, tensor<?x?x2x128xbf16>, tensor<?x?x2xf32>
    -> (tensor<?x?x2x128xbf16>, tensor<?x2x128x128xf32>)
  return %o, %sT : tensor<?x?x2x128xbf16>, tensor<?x2x128x128xf32>
}

// -----

// A state of 256 x 512 takes sixteen blocks.

func.func @wide(%q: tensor<?x?x1x256xbf16> {delta.name = "q"}, %v: tensor<?x?x1x512xbf16> {delta.name = "v"})
    -> (tensor<?x?x1x512xbf16> {delta.name = "o"}, tensor<?x1x256x512xf32> {delta.name = "final_state"}) {
  // expected-error @+1 {{expected a state that the 8 blocks of a cluster can hold, since the step sums over its value dimension (the norm of an epilogue), found 'tensor<512x256xf32>'; leave the norm out}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %v) scale 1.0
    : tensor<?x?x1x256xbf16>, tensor<?x?x1x256xbf16>, tensor<?x?x1x512xbf16> -> (tensor<?x?x1x512xbf16>, tensor<?x1x256x512xf32>)
  return %o, %sT : tensor<?x?x1x512xbf16>, tensor<?x1x256x512xf32>
}
