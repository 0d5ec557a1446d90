// RUN: wyvern-opt %s -delta-form-step -split-input-file -verify-diagnostics
// RUN: not wyvern-opt %s -delta-form-step=layout=ab -split-input-file 2>&1 | FileCheck %s --check-prefix=LAYOUT
// RUN: not wyvern-opt %s -delta-form-step=state-type=f16 -split-input-file 2>&1 | FileCheck %s --check-prefix=TYPE
// RUN: not wyvern-opt %s -delta-form-step=slot-type=i8 -split-input-file 2>&1 | FileCheck %s --check-prefix=SLOT
// RUN: not wyvern-opt %s -delta-form-step=first-slot=-1 -split-input-file 2>&1 | FileCheck %s --check-prefix=FIRST

// LAYOUT: delta-form-step: layout: expected vk or kv, found ab
// TYPE: delta-form-step: state-type: expected f32 or bf16, found f16
// SLOT: delta-form-step: slot-type: expected i32 or i64, found i8
// RUN: not wyvern-opt %s -delta-form-step=prologue=pool -split-input-file 2>&1 | FileCheck %s --check-prefix=PART
// PART: delta-form-step: prologue: expected one of conv, norm, gates, decay, rates, scale, found pool
// RUN: not wyvern-opt %s -delta-form-step=epilogue=conv -split-input-file 2>&1 | FileCheck %s --check-prefix=BEHIND
// RUN: not wyvern-opt %s -delta-form-step=prologue=conv -split-input-file 2>&1 | FileCheck %s --check-prefix=CONV
// CONV: expected one row a token for the prologue 'conv', found a step that repeats 2 times, of which each has a convolution of its own; leave out conv
// CONV: expected q, the keys and the values for the prologue 'conv' to be arguments of the function with a delta.name, after which their filters and windows are named; found one that is computed or has none
// BEHIND: delta-form-step: epilogue: expected norm or gate, found conv
// FIRST: delta-form-step: first-slot: expected at least 0, found -1

// A state that is more than what enters and leaves.
func.func @read_twice(%x: tensor<?x?x1x4xf32>, %s0: tensor<?x1x4x4xf32>) -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>, tensor<?x1x4x4xf32>) {
  // expected-error @+1 {{expected initial_state and cu_seqlens, if given, to be arguments of the function that nothing else reads, and final_state to be returned once and read by nothing else: a step has a pool of states in their place}}
  %o, %sT = delta.recurrence query(%x) step(write %x value %x) initial_state(%s0) scale 1.0
    : tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32> -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>)
  return %o, %sT, %s0 : tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>, tensor<?x1x4x4xf32>
}

// -----

func.func @two_erase(%x: tensor<?x?x1x4xf32>) -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>) {
  // expected-error @+1 {{expected at most one step with an erase key, found steps #0 and #1}}
  %o, %sT = delta.recurrence query(%x) step(write %x erase %x value %x) step(write %x erase %x value %x) scale 1.0
    : tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>
    -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>)
  return %o, %sT : tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>
}

// -----

func.func @two_rows(%x: tensor<?x?x1x4xf32>) -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>) {
  %o, %sT = delta.recurrence query(%x) step(write %x erase %x value %x repeat 2) scale 1.0
    : tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32> -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>)
  return %o, %sT : tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>
}

// -----

func.func @product_of_keys(%x: tensor<?x?x1x4xf32> {delta.name = "x"}, %m: tensor<?x?x1x4xf32> {delta.name = "m"}) -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>) {
  %k = arith.mulf %x, %m : tensor<?x?x1x4xf32>
  %o, %sT = delta.recurrence query(%x) step(write %k value %x) scale 1.0
    : tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32> -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>)
  return %o, %sT : tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>
}

// -----

func.func @taken(%x: tensor<?x?x1x4xf32> {delta.name = "seeds"}) -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>) {
  // expected-error @+1 {{has an operand 'seeds', which is what a step calls one of its own; use another name}}
  %o, %sT = delta.recurrence query(%x) step(write %x value %x) scale 1.0
    : tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32> -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>)
  return %o, %sT : tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>
}
