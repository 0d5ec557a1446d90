// RUN: wyvern-translate --interpret %s --random-seed=1 --batch=2 --time=3 | FileCheck %s

// RWKV-7: S <- S (diag(w) - kappa^T (a * kappa)) + v^T k, S here V x K and keys rows;
// S is read by kappa before the decay.

// CHECK: o: shape [2, 3, 4, 10]
// CHECK: final_state: shape [2, 4, 12, 10]
func.func @rwkv7(%r: tensor<?x?x2x12xf32> {delta.name = "r"},
    %g: tensor<?x?x4x12xf32> {delta.name = "g"},
    %kappa: tensor<?x?x2x12xf32> {delta.name = "kappa"},
    %a: tensor<?x?x2x12xf32> {delta.name = "a"},
    %k: tensor<?x?x2x12xf32> {delta.name = "k"},
    %v: tensor<?x?x4x10xf32> {delta.name = "v"},
    %initial_state: tensor<?x4x12x10xf32> {delta.name = "initial_state"},
    %cu_seqlens: tensor<?xi64> {delta.name = "cu_seqlens"})
    -> (tensor<?x?x4x10xf32> {delta.name = "o"}, tensor<?x4x12x10xf32> {delta.name = "final_state"}) {
  %x = arith.mulf %a, %kappa : tensor<?x?x2x12xf32>
  %o, %final_state = delta.recurrence query(%r) decay(%g) step(write %x erase %kappa before_decay) step(write %k written %v)
      initial_state(%initial_state) cu_seqlens(%cu_seqlens) scale 1.0
    : tensor<?x?x2x12xf32>, tensor<?x?x4x12xf32>, tensor<?x?x2x12xf32>, tensor<?x?x2x12xf32>, tensor<?x?x2x12xf32>, tensor<?x?x4x10xf32>, tensor<?x4x12x10xf32>, tensor<?xi64>
    -> (tensor<?x?x4x10xf32>, tensor<?x4x12x10xf32>)
  return %o, %final_state : tensor<?x?x4x10xf32>, tensor<?x4x12x10xf32>
}
