// RUN: wyvern-translate --interpret %s --random-seed=1 --batch=2 --time=3 | FileCheck %s

// GDN-2: S <- (I - k (b * k)^T) Diag(alpha) S + k (w * v)^T, gates per channel.

// CHECK: o: shape [2, 3, 4, 10]
// CHECK: final_state: shape [2, 4, 12, 10]
func.func @gdn2(%q: tensor<?x?x2x12xf32> {delta.name = "q"},
    %g: tensor<?x?x4x12xf32> {delta.name = "g"},
    %k: tensor<?x?x2x12xf32> {delta.name = "k"},
    %b: tensor<?x?x2x12xf32> {delta.name = "b"},
    %v: tensor<?x?x4x10xf32> {delta.name = "v"},
    %w: tensor<?x?x4x10xf32> {delta.name = "w"},
    %initial_state: tensor<?x4x12x10xf32> {delta.name = "initial_state"},
    %cu_seqlens: tensor<?xi64> {delta.name = "cu_seqlens"})
    -> (tensor<?x?x4x10xf32> {delta.name = "o"}, tensor<?x4x12x10xf32> {delta.name = "final_state"}) {
  %e = arith.mulf %b, %k : tensor<?x?x2x12xf32>
  %y = arith.mulf %w, %v : tensor<?x?x4x10xf32>
  %o, %final_state = delta.recurrence query(%q) decay(%g) step(write %k erase %e written %y)
      initial_state(%initial_state) cu_seqlens(%cu_seqlens) scale 0.25
    : tensor<?x?x2x12xf32>, tensor<?x?x4x12xf32>, tensor<?x?x2x12xf32>, tensor<?x?x2x12xf32>, tensor<?x?x4x10xf32>, tensor<?x4x12x10xf32>, tensor<?xi64>
    -> (tensor<?x?x4x10xf32>, tensor<?x4x12x10xf32>)
  return %o, %final_state : tensor<?x?x4x10xf32>, tensor<?x4x12x10xf32>
}
