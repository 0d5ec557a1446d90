// RUN: wyvern-opt %s -delta-pool-states -split-input-file -verify-diagnostics
// RUN: not wyvern-opt %s -delta-pool-states=state-type=f16 -split-input-file 2>&1 | FileCheck %s --check-prefix=TYPE
// RUN: not wyvern-opt %s -delta-pool-states=slot-type=i8 -split-input-file 2>&1 | FileCheck %s --check-prefix=SLOT
// RUN: not wyvern-opt %s -delta-pool-states=first-slot=-1 -split-input-file 2>&1 | FileCheck %s --check-prefix=FIRST

// TYPE: delta-pool-states: state-type: expected f32 or bf16, found f16
// SLOT: delta-pool-states: slot-type: expected i32 or i64, found i8
// FIRST: delta-pool-states: first-slot: expected at least 0, found -1

func.func @read_twice(%x: tensor<?x?x1x4xf32>, %s0: tensor<?x1x4x4xf32>) -> (tensor<?x1x4x4xf32>, tensor<?x1x4x4xf32>) {
  // expected-error @+1 {{expected one carried state, an argument of the function that nothing else reads, which is returned once and read by nothing else: a pool of states takes its place}}
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x1x4x4xf32>) outs() valid(%n) {
    delta.yield carry(%S : tensor<4x4xf32>)
  }
  return %sT, %s0 : tensor<?x1x4x4xf32>, tensor<?x1x4x4xf32>
}

// -----

// A state that a level of a tree has is of its token's position.
func.func @levels(%x: tensor<?x?x2x4xf32>, %s0: tensor<?x2x4x4xf32>) -> (tensor<?x?x2x4xf32> {delta.name = "o"}, tensor<?x2x4x4xf32> {delta.name = "final_state"}) {
  // expected-error @+1 {{has states a level, which depend on a token's position, and a pool has one state a head; leave out --serving}}
  %o, %sT = delta.chunk_scan forward chunk = 8 heads = 2 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x2x4xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x2x4x4xf32>) outs([seq, time, head, _] : tensor<?x?x2x4xf32>) valid(%n) {
    %m = delta.level_rows reads of 2 : tensor<8xf32>
    %mX = delta.mask_rows %X, %n : tensor<8x4xf32>
    delta.yield outs(%mX : tensor<8x4xf32>) carry(%S : tensor<4x4xf32>)
  }
  return %o, %sT : tensor<?x?x2x4xf32>, tensor<?x2x4x4xf32>
}

// -----

// Angles that start from zero in every sequence do not go on.
func.func @running_sum(%x: tensor<?x?x1x4xf32>, %theta: tensor<?x?x1x2xf32>, %s0: tensor<?x1x4x4xf32>) -> (tensor<?x?x1x2xf32>, tensor<?x1x4x4xf32>) {
  // expected-error @+1 {{expected an init that is an argument with a delta.name, which nothing else reads, and a total that is returned once: a pool takes their place; say resume: true in the spec}}
  %phi, %last = delta.running_sum %theta wrapped : tensor<?x?x1x2xf32> -> tensor<?x1x2xf32>
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x1x4x4xf32>) outs() valid(%n) {
    delta.yield carry(%S : tensor<4x4xf32>)
  }
  return %phi, %sT : tensor<?x?x1x2xf32>, tensor<?x1x4x4xf32>
}

// -----

// The pool would have the name of an operand.
func.func @sum_taken(%x: tensor<?x?x1x4xf32> {delta.name = "phi"}, %theta: tensor<?x?x1x2xf32>, %s0: tensor<?x1x4x4xf32>, %p0: tensor<?x1x2xf32> {delta.name = "initial_phi"})
    -> (tensor<?x?x1x2xf32>, tensor<?x1x4x4xf32>, tensor<?x1x2xf32>) {
  // expected-error @+1 {{has an operand 'phi', which is what a prefill calls one of its own; use another name}}
  %phi, %last = delta.running_sum %theta init(%p0 : tensor<?x1x2xf32>) wrapped : tensor<?x?x1x2xf32> -> tensor<?x1x2xf32>
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x1x4x4xf32>) outs() valid(%n) {
    delta.yield carry(%S : tensor<4x4xf32>)
  }
  return %phi, %sT, %last : tensor<?x?x1x2xf32>, tensor<?x1x4x4xf32>, tensor<?x1x2xf32>
}

// -----

func.func @taken(%x: tensor<?x?x1x4xf32> {delta.name = "read_slots"}, %s0: tensor<?x1x4x4xf32>) -> (tensor<?x1x4x4xf32> {delta.name = "final_state"}) {
  // expected-error @+1 {{has an operand 'read_slots', which is what a prefill calls one of its own; use another name}}
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x1x4x4xf32>) outs() valid(%n) {
    delta.yield carry(%S : tensor<4x4xf32>)
  }
  return %sT : tensor<?x1x4x4xf32>
}

// -----

// Names of what other pools have, too: callers say which by name.
func.func @taken_by_others(%x: tensor<?x?x1x4xf32> {delta.name = "seeds"}, %s0: tensor<?x1x4x4xf32>) -> (tensor<?x1x4x4xf32> {delta.name = "final_state"}) {
  // expected-error @+1 {{has an operand 'seeds', which is what a prefill calls one of its own; use another name}}
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x1x4x4xf32>) outs() valid(%n) {
    delta.yield carry(%S : tensor<4x4xf32>)
  }
  return %sT : tensor<?x1x4x4xf32>
}
