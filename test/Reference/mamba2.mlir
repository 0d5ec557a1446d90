// RUN: wyvern-translate --interpret %s --random-seed=1 --batch=2 --time=3 | FileCheck %s

// Mamba-2 (SSD): h <- a h + B (dt x)^T, y = C^T h; B and C shared by all heads.

// CHECK: o: shape [2, 3, 4, 10]
// CHECK: final_state: shape [2, 4, 12, 10]
func.func @mamba2(%C: tensor<?x?x1x12xf32> {delta.name = "C"},
    %g: tensor<?x?x4xf32> {delta.name = "g"},
    %B: tensor<?x?x1x12xf32> {delta.name = "B"},
    %x: tensor<?x?x4x10xf32> {delta.name = "x"},
    %dt: tensor<?x?x4xf32> {delta.name = "dt"},
    %initial_state: tensor<?x4x12x10xf32> {delta.name = "initial_state"},
    %cu_seqlens: tensor<?xi64> {delta.name = "cu_seqlens"})
    -> (tensor<?x?x4x10xf32> {delta.name = "o"}, tensor<?x4x12x10xf32> {delta.name = "final_state"}) {
  %o, %final_state = delta.recurrence query(%C) decay(%g) step(write %B value %x rate %dt)
      initial_state(%initial_state) cu_seqlens(%cu_seqlens) scale 1.0
    : tensor<?x?x1x12xf32>, tensor<?x?x4xf32>, tensor<?x?x1x12xf32>, tensor<?x?x4x10xf32>, tensor<?x?x4xf32>, tensor<?x4x12x10xf32>, tensor<?xi64>
    -> (tensor<?x?x4x10xf32>, tensor<?x4x12x10xf32>)
  return %o, %final_state : tensor<?x?x4x10xf32>, tensor<?x4x12x10xf32>
}
