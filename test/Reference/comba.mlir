// RUN: wyvern-translate --interpret %s --random-seed=1 --batch=2 --time=3 | FileCheck %s

// Comba: S <- S (alpha I - beta p k^T) + beta v k^T: p reads before the decay.

// CHECK: o: shape [2, 3, 4, 10]
// CHECK: final_state: shape [2, 4, 12, 10]
func.func @comba(%q: tensor<?x?x2x12xf32> {delta.name = "q"},
    %g: tensor<?x?x4xf32> {delta.name = "g"},
    %k: tensor<?x?x2x12xf32> {delta.name = "k"},
    %p: tensor<?x?x2x12xf32> {delta.name = "p"},
    %v: tensor<?x?x4x10xf32> {delta.name = "v"},
    %beta: tensor<?x?x4xf32> {delta.name = "beta"},
    %initial_state: tensor<?x4x12x10xf32> {delta.name = "initial_state"},
    %cu_seqlens: tensor<?xi64> {delta.name = "cu_seqlens"})
    -> (tensor<?x?x4x10xf32> {delta.name = "o"}, tensor<?x4x12x10xf32> {delta.name = "final_state"}) {
  %o, %final_state = delta.recurrence query(%q) decay(%g) step(write %k erase %p value %v rate %beta before_decay)
      initial_state(%initial_state) cu_seqlens(%cu_seqlens) scale 0.25
    : tensor<?x?x2x12xf32>, tensor<?x?x4xf32>, tensor<?x?x2x12xf32>, tensor<?x?x2x12xf32>, tensor<?x?x4x10xf32>, tensor<?x?x4xf32>, tensor<?x4x12x10xf32>, tensor<?xi64>
    -> (tensor<?x?x4x10xf32>, tensor<?x4x12x10xf32>)
  return %o, %final_state : tensor<?x?x4x10xf32>, tensor<?x4x12x10xf32>
}
