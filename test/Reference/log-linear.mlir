// RUN: wyvern-translate --interpret %s --random-seed=1 --batch=2 --time=5 | FileCheck %s
// RUN: not wyvern-translate --interpret %s --random-seed=1 --batch=1 --time=9 2>&1 | FileCheck %s --check-prefix=LONG

// Log-linear Mamba-2 with four levels; test_levels.py judges the numbers.

// CHECK: o: shape [2, 5, 2, 10]
// CHECK: final_state: shape [2, 2, 12, 10]
// LONG: error: expected sequences of at most 8 tokens, of which 4 levels are, found one of 9
func.func @log_linear(%q: tensor<?x?x1x12xf32> {delta.name = "q"},
    %g: tensor<?x?x2xf32> {delta.name = "g"},
    %k: tensor<?x?x1x12xf32> {delta.name = "k"},
    %v: tensor<?x?x2x10xf32> {delta.name = "v"},
    %level_scales: tensor<?x?x8xf32> {delta.name = "level_scales"},
    %cu_seqlens: tensor<?xi64> {delta.name = "cu_seqlens"})
    -> (tensor<?x?x2x10xf32> {delta.name = "o"}, tensor<?x2x12x10xf32> {delta.name = "final_state"}) {
  %o, %final_state = delta.recurrence query(%q) decay(%g) step(write %k value %v)
      cu_seqlens(%cu_seqlens) level_scales(%level_scales) scale 1.0
    : tensor<?x?x1x12xf32>, tensor<?x?x2xf32>, tensor<?x?x1x12xf32>, tensor<?x?x2x10xf32>, tensor<?xi64>, tensor<?x?x8xf32>
    -> (tensor<?x?x2x10xf32>, tensor<?x2x12x10xf32>)
  return %o, %final_state : tensor<?x?x2x10xf32>, tensor<?x2x12x10xf32>
}
