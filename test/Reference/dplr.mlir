// RUN: wyvern-translate --interpret %s --random-seed=1 --batch=2 --time=3 | FileCheck %s

// DPLR: S <- (Diag(alpha) + p r^T) S + k v^T. What is added is an erasure at rate -1.

// CHECK: o: shape [2, 3, 4, 10]
// CHECK: final_state: shape [2, 4, 12, 10]
func.func @dplr(%q: tensor<?x?x2x12xf32> {delta.name = "q"},
    %g: tensor<?x?x4x12xf32> {delta.name = "g"},
    %p: tensor<?x?x2x12xf32> {delta.name = "p"},
    %r: tensor<?x?x2x12xf32> {delta.name = "r"},
    %k: tensor<?x?x2x12xf32> {delta.name = "k"},
    %v: tensor<?x?x4x10xf32> {delta.name = "v"},
    %initial_state: tensor<?x4x12x10xf32> {delta.name = "initial_state"},
    %cu_seqlens: tensor<?xi64> {delta.name = "cu_seqlens"})
    -> (tensor<?x?x4x10xf32> {delta.name = "o"}, tensor<?x4x12x10xf32> {delta.name = "final_state"}) {
  %o, %final_state = delta.recurrence query(%q) decay(%g) step(write %p erase %r rate -1.0 before_decay) step(write %k written %v)
      initial_state(%initial_state) cu_seqlens(%cu_seqlens) scale 0.25
    : tensor<?x?x2x12xf32>, tensor<?x?x4x12xf32>, tensor<?x?x2x12xf32>, tensor<?x?x2x12xf32>, tensor<?x?x2x12xf32>, tensor<?x?x4x10xf32>, tensor<?x4x12x10xf32>, tensor<?xi64>
    -> (tensor<?x?x4x10xf32>, tensor<?x4x12x10xf32>)
  return %o, %final_state : tensor<?x?x4x10xf32>, tensor<?x4x12x10xf32>
}
