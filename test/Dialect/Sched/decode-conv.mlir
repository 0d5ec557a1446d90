// RUN: wyvern-opt %s -delta-form-step=prologue=conv -sched-decode | FileCheck %s
// RUN: wyvern-opt %s -delta-form-step=prologue=conv -sched-decode -convert-sched-to-delta | FileCheck %s --check-prefix=BACK

// What passes through a convolution is computed once a block. Filters are no rows of keys, so blocks have as many registers as without one.

// CHECK: sched.kernel "delta_step_decode" grid(heads = 4, split = 2, over = sequences) chunk = 1 compute = f32 min_blocks 4
// CHECK-SAME: %[[window:[^ ]*]] = %{{[^ ]*}}[slot, _, head, _] : tensor<?x3x2x128xbf16>
// CHECK: sched.role "step" warps 4 on_cores share_rows 4 {
// CHECK: sched.load %[[window]] : <tensor<?x3x2x128xbf16>> -> tensor<3x128xf32>
// CHECK: delta.conv_row
// BACK: delta.chunk_scan forward chunk = 1
// BACK: delta.conv_row
func.func @delta(%q: tensor<?x?x2x128xbf16> {delta.name = "q"}, %k: tensor<?x?x2x128xbf16> {delta.name = "k"}, %v: tensor<?x?x4x128xbf16> {delta.name = "v"},
    %b: tensor<?x?x4xf32> {delta.name = "beta"}) -> (tensor<?x?x4x128xbf16> {delta.name = "o"}, tensor<?x4x128x128xf32> {delta.name = "final_state"}) {
  %o, %sT = delta.recurrence query(%q) step(write %k erase %k value %v rate %b) scale 1.0
    : tensor<?x?x2x128xbf16>, tensor<?x?x2x128xbf16>, tensor<?x?x2x128xbf16>, tensor<?x?x4x128xbf16>, tensor<?x?x4xf32>
    -> (tensor<?x?x4x128xbf16>, tensor<?x4x128x128xf32>)
  return %o, %sT : tensor<?x?x4x128xbf16>, tensor<?x4x128x128xf32>
}
