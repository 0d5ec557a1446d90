// RUN: wyvern-opt %s -canonicalize -split-input-file | FileCheck %s

//===----------------------------------------------------------------------===//
// delta.recurrence
//===----------------------------------------------------------------------===//

// exp(0) = 1; the first step of a token reads the same state either way.

// CHECK-LABEL: func.func @zero_decay
// CHECK: delta.recurrence query(%{{.*}}) step(write %{{.*}} erase %{{.*}} value %{{.*}} rate %{{.*}} max_rate 2.000000e+00) scale
func.func @zero_decay(%q: tensor<?x?x1x4xf32>, %v: tensor<?x?x1x4xf32>, %b: tensor<?x?x1xf32>, %B: index, %T: index) -> tensor<?x?x1x4xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty(%B, %T) : tensor<?x?x1xf32>
  %g = linalg.fill ins(%zero : f32) outs(%e : tensor<?x?x1xf32>) -> tensor<?x?x1xf32>
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %q erase %q value %v rate %b max_rate 2.0 before_decay) scale 1.0
    : tensor<?x?x1x4xf32>, tensor<?x?x1xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1xf32>
    -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>)
  return %o : tensor<?x?x1x4xf32>
}

// -----

// A second step that reads before the decay does not see the first.

// CHECK-LABEL: func.func @zero_decay_second_step
// CHECK: delta.recurrence query(%{{.*}}) decay(
// CHECK-SAME: before_decay
func.func @zero_decay_second_step(%q: tensor<2x3x1x4xf32>, %v: tensor<2x3x1x4xf32>) -> tensor<2x3x1x4xf32> {
  %g = arith.constant dense<0.0> : tensor<2x3x1xf32>
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %q value %v) step(write %q erase %q before_decay) scale 1.0
    : tensor<2x3x1x4xf32>, tensor<2x3x1xf32>, tensor<2x3x1x4xf32>, tensor<2x3x1x4xf32>, tensor<2x3x1x4xf32>, tensor<2x3x1x4xf32>
    -> (tensor<2x3x1x4xf32>, tensor<2x1x4x4xf32>)
  return %o : tensor<2x3x1x4xf32>
}

// -----

// Nor does the second of two equal steps.

// CHECK-LABEL: func.func @zero_decay_repeated_step
// CHECK: delta.recurrence query(%{{.*}}) decay(
func.func @zero_decay_repeated_step(%q: tensor<2x3x1x4xf32>, %k: tensor<2x6x1x4xf32>) -> tensor<2x3x1x4xf32> {
  %g = arith.constant dense<0.0> : tensor<2x3x1xf32>
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %k erase %k repeat 2 before_decay) scale 1.0
    : tensor<2x3x1x4xf32>, tensor<2x3x1xf32>, tensor<2x6x1x4xf32>, tensor<2x6x1x4xf32>
    -> (tensor<2x3x1x4xf32>, tensor<2x1x4x4xf32>)
  return %o : tensor<2x3x1x4xf32>
}

// -----

// A state of zeros and an empty cu_seqlens mean what their absence means.

// CHECK-LABEL: func.func @absent
// CHECK-SAME: %[[q:.*]]: tensor<2x3x1x4xf32>
// CHECK: delta.recurrence query(%[[q]]) step(write %[[q]] value %[[q]]) scale 1.000000e+00 :
func.func @absent(%q: tensor<2x3x1x4xf32>) -> (tensor<2x3x1x4xf32>, tensor<?x1x4x4xf32>) {
  %s0 = arith.constant dense<0.0> : tensor<2x1x4x4xf32>
  %s = tensor.cast %s0 : tensor<2x1x4x4xf32> to tensor<?x1x4x4xf32>
  %cu = arith.constant dense<> : tensor<0xi64>
  %o, %sT = delta.recurrence query(%q) step(write %q value %q) initial_state(%s) cu_seqlens(%cu) scale 1.0
    : tensor<2x3x1x4xf32>, tensor<2x3x1x4xf32>, tensor<2x3x1x4xf32>, tensor<?x1x4x4xf32>, tensor<0xi64>
    -> (tensor<2x3x1x4xf32>, tensor<?x1x4x4xf32>)
  return %o, %sT : tensor<2x3x1x4xf32>, tensor<?x1x4x4xf32>
}

// -----

// A constant rate is an attribute. A rate of zero leaves of the second step only
// the written row, and nothing of the third. A write key of zeros ends the fourth.

// CHECK-LABEL: func.func @steps
// CHECK-SAME: %[[q:.*]]: tensor<2x3x1x4xf32>, %[[v:.*]]: tensor<2x3x1x4xf32>
// CHECK: delta.recurrence query(%[[q]]) step(write %[[q]] erase %[[q]] value %[[v]] rate 5.000000e-01) step(write %[[q]] written %[[v]]) scale
func.func @steps(%q: tensor<2x3x1x4xf32>, %v: tensor<2x3x1x4xf32>) -> tensor<2x3x1x4xf32> {
  %half = arith.constant dense<0.5> : tensor<2x3x1xf32>
  %zero = arith.constant dense<0.0> : tensor<2x3x1xf32>
  %none = arith.constant dense<0.0> : tensor<2x3x1x4xf32>
  %o, %sT = delta.recurrence query(%q) step(write %q erase %q value %v rate %half) step(write %q erase %q written %v rate %zero)
    step(write %q erase %q value %v rate %zero) step(write %none erase %q value %v) scale 1.0
    : tensor<2x3x1x4xf32>, tensor<2x3x1x4xf32>, tensor<2x3x1x4xf32>, tensor<2x3x1x4xf32>, tensor<2x3x1xf32>,
      tensor<2x3x1x4xf32>, tensor<2x3x1x4xf32>, tensor<2x3x1x4xf32>, tensor<2x3x1xf32>,
      tensor<2x3x1x4xf32>, tensor<2x3x1x4xf32>, tensor<2x3x1x4xf32>, tensor<2x3x1xf32>,
      tensor<2x3x1x4xf32>, tensor<2x3x1x4xf32>, tensor<2x3x1x4xf32>
    -> (tensor<2x3x1x4xf32>, tensor<2x1x4x4xf32>)
  return %o : tensor<2x3x1x4xf32>
}

// -----

// Erasing or writing zeros is not erasing or writing; without an erase term there
// is nothing to read before the decay, and no rate of a written row.

// CHECK-LABEL: func.func @terms
// CHECK-SAME: %[[q:.*]]: tensor<2x3x1x4xf32>, %[[v:.*]]: tensor<2x3x1x4xf32>, %[[b:.*]]: tensor<2x3x1xf32>, %[[g:.*]]: tensor<2x3x1xf32>
// CHECK: delta.recurrence query(%[[q]]) decay(%[[g]]) step(write %[[q]] erase %[[q]] rate %[[b]]) step(write %[[q]] written %[[v]]) scale
func.func @terms(%q: tensor<2x3x1x4xf32>, %v: tensor<2x3x1x4xf32>, %b: tensor<2x3x1xf32>, %g: tensor<2x3x1xf32>) -> tensor<2x3x1x4xf32> {
  %none = arith.constant dense<0.0> : tensor<2x3x1x4xf32>
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %q erase %q value %none rate %b) step(write %q erase %none written %v rate %b before_decay) scale 1.0
    : tensor<2x3x1x4xf32>, tensor<2x3x1xf32>, tensor<2x3x1x4xf32>, tensor<2x3x1x4xf32>, tensor<2x3x1x4xf32>, tensor<2x3x1xf32>,
      tensor<2x3x1x4xf32>, tensor<2x3x1x4xf32>, tensor<2x3x1x4xf32>, tensor<2x3x1xf32>
    -> (tensor<2x3x1x4xf32>, tensor<2x1x4x4xf32>)
  return %o : tensor<2x3x1x4xf32>
}

// -----

// Without steps and decay the state stays what it was; the output still reads it.

// CHECK-LABEL: func.func @no_steps
// CHECK-SAME: %[[q:.*]]: tensor<?x?x1x4xf32>, %[[s0:.*]]: tensor<?x1x4x4xf32>
// CHECK: %[[o:.*]], %{{.*}} = delta.recurrence query(%[[q]]) initial_state(%[[s0]])
// CHECK: return %[[o]], %[[s0]]
func.func @no_steps(%q: tensor<?x?x1x4xf32>, %s0: tensor<?x1x4x4xf32>) -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>) {
  %o, %sT = delta.recurrence query(%q) initial_state(%s0) scale 0.5
    : tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32> -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>)
  return %o, %sT : tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>
}

// -----

// Without a state to begin with there is never any, whatever decays it.

// CHECK-LABEL: func.func @no_state
// CHECK-SAME: %[[q:.*]]: tensor<?x?x1x4xf32>
// CHECK-NOT: delta.recurrence
// CHECK-DAG: %[[B:.*]] = tensor.dim %[[q]], %c0
// CHECK-DAG: %[[T:.*]] = tensor.dim %[[q]], %c1
// CHECK: %[[e:.*]] = tensor.empty(%[[B]], %[[T]]) : tensor<?x?x2x4xbf16>
// CHECK: %[[o:.*]] = linalg.fill ins(%{{.*}} : bf16) outs(%[[e]]
// CHECK: return %[[o]]
func.func @no_state(%q: tensor<?x?x1x4xf32>, %g: tensor<?x?x2xf32>) -> tensor<?x?x2x4xbf16> {
  %o, %sT = delta.recurrence query(%q) decay(%g) scale 0.5
    : tensor<?x?x1x4xf32>, tensor<?x?x2xf32> -> (tensor<?x?x2x4xbf16>, tensor<?x2x4x4xf32>)
  return %o : tensor<?x?x2x4xbf16>
}

// -----

// No tokens: the final state is the initial one, and the output has no elements.

// CHECK-LABEL: func.func @no_tokens
// CHECK-SAME: %[[q:.*]]: tensor<?x0x1x4xf32>, %[[v:.*]]: tensor<?x0x1x4xf32>, %[[s0:.*]]: tensor<?x1x4x4xf32>
// CHECK-NOT: delta.recurrence
// CHECK: %[[o:.*]] = linalg.fill
// CHECK: return %[[o]], %[[s0]]
func.func @no_tokens(%q: tensor<?x0x1x4xf32>, %v: tensor<?x0x1x4xf32>, %s0: tensor<?x1x4x4xf32>, %cu: tensor<?xi32>) -> (tensor<?x0x1x4xf32>, tensor<?x1x4x4xf32>) {
  %o, %sT = delta.recurrence query(%q) step(write %q erase %q value %v) initial_state(%s0) cu_seqlens(%cu) scale 1.0
    : tensor<?x0x1x4xf32>, tensor<?x0x1x4xf32>, tensor<?x0x1x4xf32>, tensor<?x0x1x4xf32>, tensor<?x1x4x4xf32>, tensor<?xi32>
    -> (tensor<?x0x1x4xf32>, tensor<?x1x4x4xf32>)
  return %o, %sT : tensor<?x0x1x4xf32>, tensor<?x1x4x4xf32>
}

// -----

// How many states there are is known only from cu_seqlens: nothing to put here.

// CHECK-LABEL: func.func @no_tokens_packed_zero_states
// CHECK: delta.recurrence
func.func @no_tokens_packed_zero_states(%q: tensor<1x0x1x4xf32>, %cu: tensor<?xi32>) -> tensor<?x1x4x4xf32> {
  %o, %sT = delta.recurrence query(%q) step(write %q value %q) cu_seqlens(%cu) scale 1.0
    : tensor<1x0x1x4xf32>, tensor<1x0x1x4xf32>, tensor<1x0x1x4xf32>, tensor<?xi32> -> (tensor<1x0x1x4xf32>, tensor<?x1x4x4xf32>)
  return %sT : tensor<?x1x4x4xf32>
}

// -----

//===----------------------------------------------------------------------===//
// delta.chunk_scan, delta.chunk_map
//===----------------------------------------------------------------------===//

// One in given twice is one in; an empty cu_seqlens goes; without a carry there is
// no order. The last in with tokens stays: it tells how many there are.

// CHECK-LABEL: func.func @scan_to_map
// CHECK-SAME: %[[x:.*]]: tensor<2x?x1x4xf32>, %[[y:.*]]: tensor<2x?x1x4xf32>
// CHECK: %{{.*}} = delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%[[X:[a-zA-Z0-9_]+]] = %[[x]][seq, time, head, _] : tensor<2x?x1x4xf32>) outs(
// CHECK-NEXT: %[[Y:.*]] = arith.mulf %[[X]], %[[X]]
// CHECK-NEXT: delta.yield outs(%[[Y]] : tensor<8x4xf32>)
func.func @scan_to_map(%x: tensor<2x?x1x4xf32>, %y: tensor<2x?x1x4xf32>) -> tensor<2x?x1x4xf32> {
  %cu = arith.constant dense<> : tensor<0xi64>
  %o, %p = delta.chunk_scan reverse chunk = 8 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<2x?x1x4xf32>, %X1 = %x[seq, time, head, _] : tensor<2x?x1x4xf32>, %Y = %y[seq, time, head, _] : tensor<2x?x1x4xf32>)
      cu_seqlens(%cu : tensor<0xi64>)
      outs([seq, time, head, _] : tensor<2x?x1x4xf32>, [seq, time, head, _] : tensor<2x?x1x4xf32>) valid(%n) {
    %Z = arith.mulf %X, %X1 : tensor<8x4xf32>
    delta.yield outs(%Z, %Y : tensor<8x4xf32>, tensor<8x4xf32>)
  }
  return %o : tensor<2x?x1x4xf32>
}

// -----

// CHECK-LABEL: func.func @keeps_length
// CHECK-SAME: %[[x:.*]]: tensor<?x?x1x4xf32>, %[[y:.*]]: tensor<?x?x1x4xf32>, %[[w:.*]]: tensor<1x4xf32>
// CHECK: delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%{{[a-zA-Z0-9_]+}} = %[[x]][seq, time, head, _] : tensor<?x?x1x4xf32>, %{{[a-zA-Z0-9_]+}} = %[[w]][head, _] : tensor<1x4xf32>) outs(
func.func @keeps_length(%x: tensor<?x?x1x4xf32>, %y: tensor<?x?x1x4xf32>, %w: tensor<1x4xf32>) -> tensor<?x?x1x4xf32> {
  %o = delta.chunk_map chunk = 8 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>, %Y = %y[seq, time, head, _] : tensor<?x?x1x4xf32>, %W = %w[head, _] : tensor<1x4xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x4xf32>) valid(%n) {
    %e = tensor.empty() : tensor<8x4xf32>
    %O = linalg.broadcast ins(%W : tensor<4xf32>) outs(%e : tensor<8x4xf32>) dimensions = [0]
    delta.yield outs(%O : tensor<8x4xf32>)
  }
  return %o : tensor<?x?x1x4xf32>
}

// -----

// A carry that only feeds itself goes; one that another carry reads stays.

// CHECK-LABEL: func.func @carries
// CHECK-SAME: %[[x:.*]]: tensor<?x?x1x4xf32>, %[[s0:.*]]: tensor<?x1x8x4xf32>, %[[t0:.*]]: tensor<?x1x8x4xf32>, %[[u0:.*]]: tensor<?x1x8x4xf32>
// CHECK: %[[finals:.*]]:2 = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32
// CHECK-SAME: carry(%[[S:[a-zA-Z0-9_]+]] = %[[s0]][{{.*}}, %[[T:[a-zA-Z0-9_]+]] = %[[t0]][seq, head, _, _] : tensor<?x1x8x4xf32>) outs()
// CHECK: delta.yield carry(
// CHECK: return %[[finals]]#0
func.func @carries(%x: tensor<?x?x1x4xf32>, %s0: tensor<?x1x8x4xf32>, %t0: tensor<?x1x8x4xf32>, %u0: tensor<?x1x8x4xf32>) -> tensor<?x1x8x4xf32> {
  %sT, %tT, %uT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x8x4xf32>, %T = %t0[seq, head, _, _] : tensor<?x1x8x4xf32>, %U = %u0[seq, head, _, _] : tensor<?x1x8x4xf32>)
      outs() valid(%n) {
    %S1 = arith.addf %S, %T : tensor<8x4xf32>
    %T1 = arith.mulf %T, %X : tensor<8x4xf32>
    %U1 = arith.addf %U, %S : tensor<8x4xf32>
    delta.yield carry(%S1, %T1, %U1 : tensor<8x4xf32>, tensor<8x4xf32>, tensor<8x4xf32>)
  }
  return %sT : tensor<?x1x8x4xf32>
}

// -----

//===----------------------------------------------------------------------===//
// The ops of a chunk
//===----------------------------------------------------------------------===//

// CHECK-LABEL: func.func @decay_dot
// CHECK-NEXT: %[[P:.*]] = delta.decay_dot before_token %{{.*}}, %{{.*}} : tensor<8x4xf32>
// CHECK-NEXT: %[[r:.*]] = delta.decay_apply upto_token %[[P]]
// CHECK-NOT: decay(
// CHECK-SAME: :
// CHECK-NEXT: return %[[r]]
func.func @decay_dot(%x: tensor<8x4xf32>) -> tensor<8x4xf32> {
  %g = arith.constant dense<0.0> : tensor<8xf32>
  %P = delta.decay_dot before_token %x, %x decay(%g : tensor<8xf32>) before_decay : tensor<8x4xf32>, tensor<8x4xf32> -> tensor<8x8xf32>
  %r = delta.decay_apply upto_token %P, %x decay(%g : tensor<8xf32>) : tensor<8x8xf32>, tensor<8x4xf32> -> tensor<8x4xf32>
  return %r : tensor<8x4xf32>
}

// -----

// CHECK-LABEL: func.func @decay_mask
// CHECK-SAME: %[[m:.*]]: tensor<8x8xf32>
// CHECK-DAG: %[[zero:.*]] = arith.constant dense<0.000000e+00> : tensor<8x8xf32>
// CHECK-DAG: %[[r:.*]] = delta.decay_mask before_token %[[m]] : tensor<8x8xf32>
// CHECK: return %[[r]], %[[zero]]
func.func @decay_mask(%m: tensor<8x8xf32>, %g: tensor<8xf32>) -> (tensor<8x8xf32>, tensor<8x8xf32>) {
  %none = arith.constant dense<0.0> : tensor<8xf32>
  %zero = arith.constant dense<0.0> : tensor<8x8xf32>
  %r = delta.decay_mask before_token %m decay(%none : tensor<8xf32>) before_decay : tensor<8x8xf32>
  %z = delta.decay_mask upto_token %zero decay(%g : tensor<8xf32>) : tensor<8x8xf32>
  return %r, %z : tensor<8x8xf32>, tensor<8x8xf32>
}

// -----

// CHECK-LABEL: func.func @cumsum
// CHECK-SAME: %[[x:.*]]: tensor<1x4xf32>
// CHECK-DAG: %[[zero:.*]] = arith.constant dense<0.000000e+00> : tensor<8xf32>
// CHECK-DAG: %[[y:.*]] = delta.cumsum exclusive %[[x]]
// CHECK: return %[[zero]], %[[x]], %[[y]]
func.func @cumsum(%x: tensor<1x4xf32>) -> (tensor<8xf32>, tensor<1x4xf32>, tensor<1x4xf32>) {
  %zero = arith.constant dense<0.0> : tensor<8xf32>
  %a = delta.cumsum %zero : tensor<8xf32>
  %b = delta.cumsum reverse %x : tensor<1x4xf32>
  %c = delta.cumsum exclusive %x : tensor<1x4xf32>
  return %a, %b, %c : tensor<8xf32>, tensor<1x4xf32>, tensor<1x4xf32>
}

// -----

// CHECK-LABEL: func.func @mask_rows
// CHECK-SAME: %[[x:.*]]: tensor<8xf32>, %[[n:.*]]: index
// CHECK-DAG: %[[zero:.*]] = arith.constant dense<0.000000e+00> : tensor<8xf32>
// CHECK-DAG: %[[y:.*]] = delta.mask_rows %[[x]], %[[n]] : tensor<8xf32>
// CHECK-DAG: %[[z:.*]] = delta.mask_rows %[[y]], %[[n]] rows 2 : tensor<8xf32>
// CHECK: return %[[y]], %[[z]], %[[zero]]
func.func @mask_rows(%x: tensor<8xf32>, %n: index) -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) {
  %zero = arith.constant dense<0.0> : tensor<8xf32>
  %a = delta.mask_rows %x, %n : tensor<8xf32>
  %b = delta.mask_rows %a, %n : tensor<8xf32>
  %c = delta.mask_rows %a, %n rows 2 : tensor<8xf32>
  %d = delta.mask_rows %zero, %n : tensor<8xf32>
  return %b, %c, %d : tensor<8xf32>, tensor<8xf32>, tensor<8xf32>
}

// -----

// CHECK-LABEL: func.func @repeat_rows
// CHECK-SAME: %[[x:.*]]: tensor<2x4xf32>
// CHECK-DAG: %[[ones:.*]] = arith.constant dense<1.000000e+00> : tensor<8xf32>
// CHECK-DAG: %[[y:.*]] = delta.repeat_rows %[[x]] by 6 : tensor<2x4xf32> -> tensor<12x4xf32>
// CHECK: return %[[x]], %[[ones]], %[[y]]
func.func @repeat_rows(%x: tensor<2x4xf32>) -> (tensor<2x4xf32>, tensor<8xf32>, tensor<12x4xf32>) {
  %one = arith.constant dense<1.0> : tensor<4xf32>
  %a = delta.repeat_rows %x by 1 : tensor<2x4xf32> -> tensor<2x4xf32>
  %b = delta.repeat_rows %one by 2 : tensor<4xf32> -> tensor<8xf32>
  %c = delta.repeat_rows %x by 2 : tensor<2x4xf32> -> tensor<4x4xf32>
  %d = delta.repeat_rows %c by 3 : tensor<4x4xf32> -> tensor<12x4xf32>
  return %a, %b, %d : tensor<2x4xf32>, tensor<8xf32>, tensor<12x4xf32>
}

// -----

// CHECK-LABEL: func.func @sum_rows
// CHECK-SAME: %[[x:.*]]: tensor<4xf32>
// CHECK: %[[y:.*]] = delta.sum_rows %[[x]] by 2
// CHECK: return %[[x]], %[[y]]
func.func @sum_rows(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<2xf32>) {
  %a = delta.sum_rows %x by 1 : tensor<4xf32> -> tensor<4xf32>
  %b = delta.sum_rows %x by 2 : tensor<4xf32> -> tensor<2xf32>
  return %a, %b : tensor<4xf32>, tensor<2xf32>
}

// -----

// A mask of a mask is one mask, if it is the same and only one of them decays.

// CHECK-LABEL: func.func @mask_of_mask
// CHECK-SAME: %[[m:.*]]: tensor<8x8xf32>, %[[g:.*]]: tensor<8xf32>
// CHECK: %[[decayed:.*]] = delta.decay_mask upto_token %[[m]] decay(%[[g]]
// CHECK: %[[twice:.*]] = delta.decay_mask upto_token %[[decayed]] decay(%[[g]]
// CHECK: %[[other:.*]] = delta.decay_mask before_token %[[decayed]] :
// CHECK: return %[[decayed]], %[[decayed]], %[[twice]], %[[other]]
func.func @mask_of_mask(%m: tensor<8x8xf32>, %g: tensor<8xf32>) -> (tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>) {
  %masked = delta.decay_mask upto_token %m : tensor<8x8xf32>
  %decayed = delta.decay_mask upto_token %masked decay(%g : tensor<8xf32>) : tensor<8x8xf32>
  %same = delta.decay_mask upto_token %decayed : tensor<8x8xf32>
  %twice = delta.decay_mask upto_token %decayed decay(%g : tensor<8xf32>) : tensor<8x8xf32>
  %other = delta.decay_mask before_token %decayed : tensor<8x8xf32>
  return %decayed, %same, %twice, %other : tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>
}

// -----

// CHECK-LABEL: func.func @erase_factor
// CHECK: %[[zero:.*]] = arith.constant dense<0.000000e+00> : tensor<8x8xf32>
// CHECK: return %[[zero]]
func.func @erase_factor(%c: tensor<8xf32>) -> tensor<8x8xf32> {
  %L = arith.constant dense<0.0> : tensor<8x8xf32>
  %Z = delta.erase_factor %L, %c : tensor<8x8xf32>, tensor<8xf32> -> tensor<8x8xf32>
  return %Z : tensor<8x8xf32>
}

// CHECK-LABEL: func.func @two_parts
// CHECK: %[[zero:.*]] = arith.constant dense<0.000000e+00> : tensor<8x16xf32>
// CHECK: return %[[zero]]
func.func @two_parts(%c: tensor<8xf32>) -> tensor<8x16xf32> {
  %L = arith.constant dense<0.0> : tensor<8x8xf32>
  %Z = delta.erase_factor %L, %c : tensor<8x8xf32>, tensor<8xf32> -> tensor<8x16xf32>
  return %Z : tensor<8x16xf32>
}
