// RUN: wyvern-opt %s -delta-form-step -sched-decode -split-input-file | FileCheck %s
// RUN: wyvern-opt %s -delta-form-step "-sched-decode=elements=32 warps=2" -split-input-file | FileCheck %s --check-prefix=SMALL
// RUN: wyvern-opt %s -delta-form-step -sched-decode -split-input-file | wyvern-opt -split-input-file | FileCheck %s
// RUN: wyvern-opt %s -delta-form-step -sched-decode -convert-sched-to-delta -split-input-file | FileCheck %s --check-prefix=BACK
// RUN: wyvern-opt %s -delta-form-step -sched-decode=rows=0 -split-input-file | FileCheck %s --check-prefix=OWN
// RUN: wyvern-opt %s -delta-form-step -sched-decode=few -split-input-file | FileCheck %s --check-prefix=FEW
// RUN: wyvern-opt %s -delta-form-step=layout=kv -sched-decode=few -split-input-file | FileCheck %s
// RUN: wyvern-opt %s -delta-form-step -tile-attach-target -sched-decode -test-print-kernel-cost -split-input-file | FileCheck %s --check-prefix=COST
// RUN: wyvern-opt %s -delta-form-step -tile-attach-target -sched-decode=few -test-print-kernel-cost -split-input-file | FileCheck %s --check-prefix=COST-FEW
// RUN: wyvern-opt %s -delta-form-wy -sched-decode -split-input-file | FileCheck %s --check-prefix=LEFT

// 64 elements of the state a thread: two blocks of four warps have 128 x 128. One role loads,
// computes and stores; the rows of four tokens come at once. For few sequences there are twice as many blocks, unless that would change how lanes
// sum. What a step takes are the bytes of the state, there and back, and of the rows. As a chunk program again it is what it was.

// CHECK-LABEL: func.func @delta_step
// CHECK: sched.kernel "delta_step_decode" grid(heads = 2, split = 2, over = sequences) chunk = 1 compute = f32 min_blocks 4
// CHECK-SAME: inits(%[[init:.*]] = %{{.*}}[slot, head, _, _] : tensor<?x2x128x128xf32>) slots(%[[read:.*]], %[[write:.*]] : tensor<?xi32>, first = 0) lengths(%{{.*}} : tensor<?xi32>)
// CHECK-SAME: finals(%[[final:.*]] = [slot, head, _, _] : tensor<?x2x128x128xf32>) {
// CHECK-NEXT: sched.role "step" warps 4 on_cores share_rows 4 {
// CHECK-NEXT: %[[S:.*]] = sched.load %[[init]]
// CHECK-NEXT: %[[last:.*]] = sched.each_chunk forward valid(%{{.*}}) carries(%{{.*}} = %[[S]] : tensor<128x128xf32>)
// CHECK: sched.load %in
// CHECK: sched.store %{{.*}} to %out
// CHECK: sched.store %[[last]] to %[[final]]
// FEW: grid(heads = 2, split = 4, over = sequences) chunk = 1 compute = f32 min_blocks 3 overlaps
// COST: delta_step_decode: cycles 3805, work 3805, bytes 66308
// COST-FEW: delta_step_decode: cycles 1924, work 1924, bytes 33540
// OWN: sched.role "step" warps 4 on_cores {
// SMALL: split = 8
// SMALL-SAME: min_blocks 8
// SMALL: warps 2 on_cores
// BACK-LABEL: func.func @delta_step
// BACK: delta.chunk_scan forward chunk = 1 {{.*}} slots(%{{.*}}, %{{.*}} : tensor<?xi32>, first = 0) lengths(
// LEFT-LABEL: func.func @delta(
// LEFT: delta.chunk_scan forward chunk = 64
// LEFT-NOT: sched.kernel
func.func @delta(%q: tensor<?x?x2x128xbf16>, %k: tensor<?x?x2x128xbf16>, %v: tensor<?x?x2x128xbf16>, %b: tensor<?x?x2xf32>)
    -> (tensor<?x?x2x128xbf16>, tensor<?x2x128x128xf32>) {
  %o, %sT = delta.recurrence query(%q) step(write %k erase %k value %v rate %b) scale 1.0
    : tensor<?x?x2x128xbf16>, tensor<?x?x2x128xbf16>, tensor<?x?x2x128xbf16>, tensor<?x?x2x128xbf16>, tensor<?x?x2xf32>
    -> (tensor<?x?x2x128xbf16>, tensor<?x2x128x128xf32>)
  return %o, %sT : tensor<?x?x2x128xbf16>, tensor<?x2x128x128xf32>
}

// -----

// Two rows a token have twice the keys in registers, so half of the state.

// CHECK-LABEL: func.func @product_step
// CHECK: grid(heads = 2, split = 4, over = sequences)
func.func @product(%q: tensor<?x?x2x128xbf16>, %k: tensor<?x?x2x128xbf16>, %v: tensor<?x?x2x128xbf16>, %b: tensor<?x?x2xf32>)
    -> (tensor<?x?x2x128xbf16>, tensor<?x2x128x128xf32>) {
  %o, %sT = delta.recurrence query(%q) step(write %k erase %k value %v rate %b repeat 2) scale 1.0
    : tensor<?x?x2x128xbf16>, tensor<?x?x2x128xbf16>, tensor<?x?x2x128xbf16>, tensor<?x?x2x128xbf16>, tensor<?x?x2xf32>
    -> (tensor<?x?x2x128xbf16>, tensor<?x2x128x128xf32>)
  return %o, %sT : tensor<?x?x2x128xbf16>, tensor<?x2x128x128xf32>
}

// -----

// Five rows of keys have more registers: three blocks an SM.

// CHECK-LABEL: func.func @rwkv7_step
// CHECK: grid(heads = 1, split = 2, over = sequences) chunk = 1 compute = f32 min_blocks 3
func.func @rwkv7(%q: tensor<?x?x1x128xbf16>, %g: tensor<?x?x1x128xf32>, %p: tensor<?x?x1x128xbf16>, %r: tensor<?x?x1x128xbf16>, %k: tensor<?x?x1x128xbf16>,
    %v: tensor<?x?x1x128xbf16>) -> (tensor<?x?x1x128xbf16>, tensor<?x1x128x128xf32>) {
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %p erase %r rate -1.0 before_decay) step(write %k value %v) scale 1.0
    : tensor<?x?x1x128xbf16>, tensor<?x?x1x128xf32>, tensor<?x?x1x128xbf16>, tensor<?x?x1x128xbf16>, tensor<?x?x1x128xbf16>, tensor<?x?x1x128xbf16>
    -> (tensor<?x?x1x128xbf16>, tensor<?x1x128x128xf32>)
  return %o, %sT : tensor<?x?x1x128xbf16>, tensor<?x1x128x128xf32>
}
