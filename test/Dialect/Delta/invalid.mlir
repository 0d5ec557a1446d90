// RUN: wyvern-opt %s -verify-diagnostics -split-input-file
//
// One test a constraint of docs/spec.md, named after it. What the text form cannot
// say is written in the generic form.

//===----------------------------------------------------------------------===//
// delta.recurrence
//===----------------------------------------------------------------------===//

func.func @recurrence_c1(%q: tensor<?x?x4xf32>, %v: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{(C1) expected query of shape [batch, time, heads, channels], found 'tensor<?x?x4xf32>'}}
  %o, %sT = delta.recurrence query(%q) step(write %v value %v) scale 1.0
    : tensor<?x?x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32> -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>)
  return
}

// -----

func.func @recurrence_c1_output(%q: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{(C1) expected output of shape [batch, time, heads, channels], found 'tensor<?x?x4xf32>'}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %q) scale 1.0
    : tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32> -> (tensor<?x?x4xf32>, tensor<?x1x4x4xf32>)
  return
}

// -----

func.func @recurrence_c2(%q: tensor<?x?x1x?xf32>) {
  // expected-error @+1 {{(C2) expected static heads and channels of query, at least one of each, found 'tensor<?x?x1x?xf32>'}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %q) scale 1.0
    : tensor<?x?x1x?xf32>, tensor<?x?x1x?xf32>, tensor<?x?x1x?xf32> -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>)
  return
}

// -----

func.func @recurrence_c2_zero(%q: tensor<?x?x1x4xf32>, %v: tensor<?x?x0x4xf32>) {
  // expected-error @+1 {{(C2) expected static heads and channels of output, at least one of each, found 'tensor<?x?x0x4xf32>'}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %v) scale 1.0
    : tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?x0x4xf32> -> (tensor<?x?x0x4xf32>, tensor<?x0x4x4xf32>)
  return
}

// -----

func.func @recurrence_c3(%q: tensor<2x8x1x4xf32>) {
  // expected-error @+1 {{(C3) expected query and output of one batch size and length, found 'tensor<2x8x1x4xf32>' and 'tensor<2x9x1x4xf32>'}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %q) scale 1.0
    : tensor<2x8x1x4xf32>, tensor<2x8x1x4xf32>, tensor<2x8x1x4xf32> -> (tensor<2x9x1x4xf32>, tensor<2x1x4x4xf32>)
  return
}

// -----

func.func @recurrence_c4(%q: tensor<2x8x1x4xf32>, %k: tensor<2x8x1x4xf32>) {
  // expected-error @+1 {{(C4) expected step #0 write key of shape [batch, time * 2, heads, channels] with the query's batch and time, found 'tensor<2x8x1x4xf32>' beside 'tensor<2x8x1x4xf32>'}}
  %o, %sT = delta.recurrence query(%q) step(write %k value %k repeat 2) scale 1.0
    : tensor<2x8x1x4xf32>, tensor<2x8x1x4xf32>, tensor<2x8x1x4xf32> -> (tensor<2x8x1x4xf32>, tensor<2x1x4x4xf32>)
  return
}

// -----

func.func @recurrence_c4_rate(%q: tensor<2x8x1x4xf32>) {
  // expected-error @+1 {{(C4) expected step #0 rate of shape [batch, time, heads] with the query's batch and time}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %q rate %q) scale 1.0
    : tensor<2x8x1x4xf32>, tensor<2x8x1x4xf32>, tensor<2x8x1x4xf32>, tensor<2x8x1x4xf32> -> (tensor<2x8x1x4xf32>, tensor<2x1x4x4xf32>)
  return
}

// -----

func.func @recurrence_c5(%q: tensor<?x?x2x4xf32>, %v: tensor<?x?x3x4xf32>) {
  // expected-error @+1 {{(C5) expected the heads of query to divide the 3 value heads of the output, found 'tensor<?x?x2x4xf32>'}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %v) scale 1.0
    : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x3x4xf32> -> (tensor<?x?x3x4xf32>, tensor<?x3x4x4xf32>)
  return
}

// -----

func.func @recurrence_c6(%q: tensor<?x?x1x4xf32>, %k: tensor<?x?x1x8xf32>) {
  // expected-error @+1 {{(C6) expected step #0 write key of 4 channels, found 'tensor<?x?x1x8xf32>'}}
  %o, %sT = delta.recurrence query(%q) step(write %k value %q) scale 1.0
    : tensor<?x?x1x4xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x4xf32> -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>)
  return
}

// -----

func.func @recurrence_c6_decay(%q: tensor<?x?x1x4xf32>, %g: tensor<?x?x1x8xf32>) {
  // expected-error @+1 {{(C6) expected decay of 4 channels, found 'tensor<?x?x1x8xf32>'}}
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %q value %q) scale 1.0
    : tensor<?x?x1x4xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32> -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>)
  return
}

// -----

func.func @recurrence_c7(%q: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{(C7) expected 2 step operands as listed in steps, found 1}}
  %o, %sT = "delta.recurrence"(%q, %q) <{
      steps = [#delta.step<hasErase = false, hasValue = true, hasWritten = false, hasRate = false, beforeDecay = false, repeat = 1, rate = 1.0 : f64>],
      scale = 1.0 : f64, operandSegmentSizes = array<i32: 1, 0, 1, 0, 0, 0, 0>}>
    : (tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>) -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>)
  return
}

// -----

func.func @recurrence_c8(%q: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{(C8) expected step #0 to repeat at least once, found 0}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %q repeat 0) scale 1.0
    : tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32> -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>)
  return
}

// -----

func.func @recurrence_c9(%q: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{(C9) step #0 has both a value (y = rate * value) and a written row (y = written); give one}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %q written %q) scale 1.0
    : tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32> -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>)
  return
}

// -----

func.func @recurrence_c10(%q: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{(C10) step #0 neither erases nor writes; give an erase key, a value or a written row}}
  %o, %sT = delta.recurrence query(%q) step(write %q) scale 1.0
    : tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32> -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>)
  return
}

// -----

func.func @recurrence_c11(%q: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{(C11) step #0 reads before the decay, so it needs an erase key and the recurrence a decay}}
  %o, %sT = delta.recurrence query(%q) step(write %q erase %q before_decay) scale 1.0
    : tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32> -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>)
  return
}

// -----

func.func @recurrence_c12(%q: tensor<?x?x1x4xf32>, %s0: tensor<?x1x8x4xf32>) {
  // expected-error @+1 {{(C12) expected initial state of shape [sequences, 1, 4, 4], found 'tensor<?x1x8x4xf32>'}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %q) initial_state(%s0) scale 1.0
    : tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x1x8x4xf32> -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>)
  return
}

// -----

func.func @recurrence_c12_final(%q: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{(C12) expected final state of shape [sequences, 1, 4, 4], found 'tensor<?x4x4xf32>'}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %q) scale 1.0
    : tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32> -> (tensor<?x?x1x4xf32>, tensor<?x4x4xf32>)
  return
}

// -----

func.func @recurrence_c13(%q: tensor<2x?x1x4xf32>, %cu: tensor<3xi64>) {
  // expected-error @+1 {{(C13) packed sequences share batch row 0: expected batch size 1, found 2}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %q) cu_seqlens(%cu) scale 1.0
    : tensor<2x?x1x4xf32>, tensor<2x?x1x4xf32>, tensor<2x?x1x4xf32>, tensor<3xi64> -> (tensor<2x?x1x4xf32>, tensor<2x1x4x4xf32>)
  return
}

// -----

func.func @recurrence_c14(%q: tensor<1x?x1x4xf32>, %cu: tensor<3xi32>) {
  // expected-error @+1 {{(C14) expected final state for 2 sequences, found 'tensor<3x1x4x4xf32>'}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %q) cu_seqlens(%cu) scale 1.0
    : tensor<1x?x1x4xf32>, tensor<1x?x1x4xf32>, tensor<1x?x1x4xf32>, tensor<3xi32> -> (tensor<1x?x1x4xf32>, tensor<3x1x4x4xf32>)
  return
}

// -----

func.func @recurrence_c14_dense(%q: tensor<2x?x1x4xf32>, %s0: tensor<3x1x4x4xf32>) {
  // expected-error @+1 {{(C14) expected initial state for 2 sequences, found 'tensor<3x1x4x4xf32>'}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %q) initial_state(%s0) scale 1.0
    : tensor<2x?x1x4xf32>, tensor<2x?x1x4xf32>, tensor<2x?x1x4xf32>, tensor<3x1x4x4xf32> -> (tensor<2x?x1x4xf32>, tensor<2x1x4x4xf32>)
  return
}

// -----

func.func @recurrence_c15(%q: tensor<1x?x1x4xf32>) {
  // expected-error @+1 {{(C15) expected a finite number above 0 that step #0 has rates up to, found 0.000000e+00}}
  %o, %sT = delta.recurrence query(%q) step(write %q erase %q value %q max_rate 0.0) scale 1.0
    : tensor<1x?x1x4xf32>, tensor<1x?x1x4xf32>, tensor<1x?x1x4xf32>, tensor<1x?x1x4xf32> -> (tensor<1x?x1x4xf32>, tensor<1x1x4x4xf32>)
  return
}

// -----

func.func @sum_tokens_c1(%x: tensor<?x?x4xf32>) {
  // expected-error @+1 {{(C1) expected a result for each of one or more tensors, found 1 tensors and 2 results}}
  %a:2 = delta.sum_tokens %x : tensor<?x?x4xf32> -> tensor<4xf32>, tensor<4xf32>
  return
}

// -----

func.func @sum_tokens_c2(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{(C2) expected tensors [batch, time, heads, ...], found 'tensor<?x4xf32>'}}
  %a = delta.sum_tokens %x : tensor<?x4xf32> -> tensor<f32>
  return
}

// -----

func.func @sum_tokens_c3(%x: tensor<?x?x4xf32>) {
  // expected-error @+1 {{(C3) expected a sum of type 'tensor<4xf32>' for 'tensor<?x?x4xf32>', found 'tensor<8xf32>'}}
  %a = delta.sum_tokens %x : tensor<?x?x4xf32> -> tensor<8xf32>
  return
}

// -----

func.func @sum_tokens_c4(%x: tensor<?x?x4xf32>) {
  // expected-error @+1 {{(C4) expected at least one row a token, found 0}}
  %a = delta.sum_tokens %x rows 0 : tensor<?x?x4xf32> -> tensor<4xf32>
  return
}

// -----

func.func @recurrence_c16(%q: tensor<1x?x1x4xf32>, %lam: tensor<1x?x1x3xf32>) {
  // expected-error @+1 {{(C16) expected level scales of shape [batch, time, 1 * levels] with the query's batch and time, found 'tensor<1x?x1x3xf32>'}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %q) level_scales(%lam) scale 1.0
    : tensor<1x?x1x4xf32>, tensor<1x?x1x4xf32>, tensor<1x?x1x4xf32>, tensor<1x?x1x3xf32> -> (tensor<1x?x1x4xf32>, tensor<1x1x4x4xf32>)
  return
}

// -----

func.func @recurrence_c16_heads(%q: tensor<1x?x2x4xf32>, %lam: tensor<1x?x3xf32>) {
  // expected-error @+1 {{(C16) expected level scales of shape [batch, time, 2 * levels] with the query's batch and time, found 'tensor<1x?x3xf32>'}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %q) level_scales(%lam) scale 1.0
    : tensor<1x?x2x4xf32>, tensor<1x?x2x4xf32>, tensor<1x?x2x4xf32>, tensor<1x?x3xf32> -> (tensor<1x?x2x4xf32>, tensor<1x2x4x4xf32>)
  return
}

// -----

func.func @recurrence_c17(%q: tensor<1x?x1x4xf32>, %s0: tensor<1x1x4x4xf32>, %lam: tensor<1x?x3xf32>) {
  // expected-error @+1 {{(C17) expected no initial state beside level scales without positions, for it is not known of which levels it is; found 'tensor<1x1x4x4xf32>'}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %q) initial_state(%s0) level_scales(%lam) scale 1.0
    : tensor<1x?x1x4xf32>, tensor<1x?x1x4xf32>, tensor<1x?x1x4xf32>, tensor<1x1x4x4xf32>, tensor<1x?x3xf32> -> (tensor<1x?x1x4xf32>, tensor<1x1x4x4xf32>)
  return
}

// -----

func.func @recurrence_c19(%q: tensor<1x?x1x4xf32>, %p: tensor<2xf32>, %lam: tensor<1x?x3xf32>) {
  // expected-error @+1 {{(C19) expected positions beside level scales, a number for each sequence, found 'tensor<2xf32>'}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %q) level_scales(%lam) positions(%p) scale 1.0
    : tensor<1x?x1x4xf32>, tensor<1x?x1x4xf32>, tensor<1x?x1x4xf32>, tensor<1x?x3xf32>, tensor<2xf32> -> (tensor<1x?x1x4xf32>, tensor<1x3x4x4xf32>)
  return
}

// -----

func.func @recurrence_c12_levels(%q: tensor<1x?x1x4xf32>, %p: tensor<1xf32>, %lam: tensor<1x?x3xf32>) {
  // expected-error @+1 {{(C12) expected final state of shape [sequences, 3, 4, 4], found 'tensor<1x1x4x4xf32>'}}
  %o, %sT = delta.recurrence query(%q) step(write %q value %q) level_scales(%lam) positions(%p) scale 1.0
    : tensor<1x?x1x4xf32>, tensor<1x?x1x4xf32>, tensor<1x?x1x4xf32>, tensor<1x?x3xf32>, tensor<1xf32> -> (tensor<1x?x1x4xf32>, tensor<1x1x4x4xf32>)
  return
}

// -----

func.func @running_sum_c1(%x: tensor<?x?x4xf32>) {
  // expected-error @+1 {{(C1) expected a tensor [batch, time, heads, channels], found 'tensor<?x?x4xf32>'}}
  %y, %t = delta.running_sum %x : tensor<?x?x4xf32> -> tensor<?x4xf32>
  return
}

// -----

func.func @running_sum_c2(%x: tensor<?x?x4x8xf32>) {
  // expected-error @+1 {{(C2) expected init and total of shape [sequences, heads, channels] with those of 'tensor<?x?x4x8xf32>', found 'tensor<?x8x4xf32>'}}
  %y, %t = delta.running_sum %x : tensor<?x?x4x8xf32> -> tensor<?x8x4xf32>
  return
}

// -----

func.func @running_sum_c3(%x: tensor<?x?x4x8xf32>, %p: tensor<?x4x8xf32>, %r: tensor<?xi32>, %w: tensor<?xi64>) {
  // expected-error @+1 {{(C3) expected an init, slots to read and to write of one type, a first slot of at least 0 and a sum that goes forward where there are slots, and with keep, of their type, runs of a token or more}}
  %y, %t = delta.running_sum %x init(%p : tensor<?x4x8xf32>) slots(%r, %w : tensor<?xi32>, tensor<?xi64>, first = 0) : tensor<?x?x4x8xf32> -> tensor<?x4x8xf32>
  return
}

// -----

func.func @recurrence_c18(%q: tensor<1x?x1x4xf32>, %g: tensor<1x?x1xf32>, %lam: tensor<1x?x3xf32>) {
  // expected-error @+1 {{(C18) expected no step that reads before the decay beside level scales, found step #0: what it reads would be another level's}}
  %o, %sT = delta.recurrence query(%q) decay(%g) step(write %q erase %q value %q before_decay) level_scales(%lam) scale 1.0
    : tensor<1x?x1x4xf32>, tensor<1x?x1xf32>, tensor<1x?x1x4xf32>, tensor<1x?x1x4xf32>, tensor<1x?x1x4xf32>, tensor<1x?x3xf32> -> (tensor<1x?x1x4xf32>, tensor<1x1x4x4xf32>)
  return
}

// -----

//===----------------------------------------------------------------------===//
// delta.chunk_scan and delta.chunk_map; C1 to C9 and C13 to C15 are shared
//===----------------------------------------------------------------------===//

func.func @chunk_program_c1(%x: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{(C1) expected chunk and heads of 1 to 1048576, found 0 and 1}}
  %o = delta.chunk_map chunk = 0 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) outs([seq, time, head, _] : tensor<?x?x1x4xf32>) valid(%n) {
    delta.yield outs(%X : tensor<0x4xf32>)
  }
  return
}

// -----

func.func @chunk_program_c1_heads(%x: tensor<?x?x1x4xf32>, %s0: tensor<?x1x8x4xf32>) {
  // expected-error @+1 {{(C1) expected chunk and heads of 1 to 1048576, found 8 and -1}}
  %sT = delta.chunk_scan forward chunk = 8 heads = -1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x1x8x4xf32>) outs() valid(%n) {
    delta.yield carry(%X : tensor<8x4xf32>)
  }
  return
}

// -----

func.func @chunk_program_c2(%x: tensor<?x?x1x4xbf16>) {
  // expected-error @+1 {{(C2) expected compute type f32 or f64, found 'bf16'}}
  %o = delta.chunk_map chunk = 8 heads = 1 compute = bf16 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xbf16>) outs([seq, time, head, _] : tensor<?x?x1x4xbf16>) valid(%n) {
    delta.yield outs(%X : tensor<8x4xbf16>)
  }
  return
}

// -----

func.func @chunk_program_c3(%x: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{(C3) expected one bound dimension for each of in #0, found #delta.binding<[seq, time, head]> for 'tensor<?x?x1x4xf32>'}}
  %o = "delta.chunk_map"(%x) <{chunk = 8, heads = 1, compute = f32, in_bindings = [#delta.binding<[seq, time, head]>], out_bindings = [#delta.binding<[seq, time, head, _]>], operandSegmentSizes = array<i32: 1, 0>}> ({
  ^bb0(%n: index, %X: tensor<8x4xf32>):
    delta.yield outs(%X : tensor<8x4xf32>)
  }) : (tensor<?x?x1x4xf32>) -> tensor<?x?x1x4xf32>
  return
}

// -----

func.func @chunk_program_c4(%x: tensor<?x?x1x?xf32>) {
  // expected-error @+1 {{(C4) expected a static size where in #0 is kept whole, found 'tensor<?x?x1x?xf32>'}}
  %o = delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x?xf32>) outs([seq, time, head, _] : tensor<?x?x1x4xf32>) valid(%n) {
    %Y = arith.constant dense<0.0> : tensor<8x4xf32>
    delta.yield outs(%Y : tensor<8x4xf32>)
  }
  return
}

// -----

func.func @chunk_program_c5(%x: tensor<?x?x2x4xf32>) {
  // expected-error @+1 {{(C5) expected the head dimension of in #0 to divide heads = 3, found 'tensor<?x?x2x4xf32>'}}
  %o = delta.chunk_map chunk = 8 heads = 3 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x2x4xf32>) outs([seq, time, head, _] : tensor<?x?x3x4xf32>) valid(%n) {
    delta.yield outs(%X : tensor<8x4xf32>)
  }
  return
}

// -----

// Heads may share a pool, as they share an in.
func.func @chunk_program_c5_pool(%x: tensor<?x?x3x4xf32>, %s: tensor<?x2x4xf32>, %n: tensor<?xi32>) {
  // expected-error @+1 {{(C5) expected the head dimension of carry #0 to divide heads = 3, found 'tensor<?x2x4xf32>'}}
  %sT = delta.chunk_scan forward chunk = 1 heads = 3 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x3x4xf32>)
      carry(%S = %s[slot, head, _] : tensor<?x2x4xf32>) slots(%n, %n : tensor<?xi32>, first = 0) outs() valid(%v) {
    delta.yield carry(%S : tensor<4xf32>)
  }
  return
}

// -----

func.func @chunk_program_c6(%x: tensor<?x?x2x4xf32>) {
  // expected-error @+1 {{(C6) expected the head dimension of out #0 to equal heads = 4, found #delta.binding<[seq, time, head, _]> for 'tensor<?x?x2x4xf32>'; sum over a group of heads with a chunk_map that reads each of them, [head * n + i]}}
  %o = delta.chunk_map chunk = 8 heads = 4 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x2x4xf32>) outs([seq, time, head, _] : tensor<?x?x2x4xf32>) valid(%n) {
    delta.yield outs(%X : tensor<8x4xf32>)
  }
  return
}

// -----

func.func @chunk_program_c6_carry(%x: tensor<?x?x2x4xf32>, %s0: tensor<?x2x8x4xf32>) {
  // expected-error @+1 {{(C6) expected the head dimension of carry #0 to equal heads = 4, found #delta.binding<[seq, head, _, _]> for 'tensor<?x2x8x4xf32>'}}
  %sT = delta.chunk_scan forward chunk = 8 heads = 4 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x2x4xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x2x8x4xf32>) outs() valid(%n) {
    delta.yield carry(%X : tensor<8x4xf32>)
  }
  return
}

// -----

func.func @chunk_program_c7(%x: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{(C7) expected the region's tile of in #0 to be 'tensor<8x4xf32>', found 'tensor<8x4xf64>'}}
  %o = "delta.chunk_map"(%x) <{chunk = 8, heads = 1, compute = f32, in_bindings = [#delta.binding<[seq, time, head, _]>], out_bindings = [#delta.binding<[seq, time, head, _]>], operandSegmentSizes = array<i32: 1, 0>}> ({
  ^bb0(%n: index, %X: tensor<8x4xf64>):
    delta.yield outs(%X : tensor<8x4xf64>)
  }) : (tensor<?x?x1x4xf32>) -> tensor<?x?x1x4xf64>
  return
}

// -----

func.func @chunk_program_c7_out(%x: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{(C7) expected the region's tile of out #0 to be 'tensor<16x4xf32>', found 'tensor<8x4xf32>'}}
  %o = delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) outs([seq, time * 2, head, _] : tensor<?x?x1x4xf32>) valid(%n) {
    delta.yield outs(%X : tensor<8x4xf32>)
  }
  return
}

// -----

func.func @chunk_program_c8(%x: tensor<?x?x1x4xf32>) {
  %o = delta.chunk_map chunk = 4 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) outs([seq, time, head, _] : tensor<?x?x1x4xf32>) valid(%n) {
    %e = tensor.empty() : tensor<4x4xf32>
    // expected-error @+1 {{(C8) does not implement ChunkRegionOpInterface, which tells every pass what an operation in a chunk program does; write it with elementwise arith and math, constants, tensor.empty, linalg contract, elementwise, broadcast, reduce, transpose and fill, and the chunk ops of the delta dialect, or implement the interface}}
    %Y = linalg.matmul ins(%X, %X : tensor<4x4xf32>, tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
    delta.yield outs(%Y : tensor<4x4xf32>)
  }
  return
}

// -----

func.func @chunk_program_c8_nested(%x: tensor<?x?x1x4xf32>) {
  %y = delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) outs([seq, time, head, _] : tensor<?x?x1x4xf32>) valid(%n) {
    // expected-error @+1 {{'delta.chunk_map' op (C8) does not implement ChunkRegionOpInterface}}
    %Y = delta.chunk_map chunk = 4 heads = 1 compute = f32 ins(%Z = %X[time, _] : tensor<8x4xf32>) outs([time, _] : tensor<8x4xf32>) valid(%m) {
      delta.yield outs(%Z : tensor<4x4xf32>)
    }
    delta.yield outs(%Y : tensor<8x4xf32>)
  }
  return
}

// -----

func.func @chunk_program_c9(%x: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{(C9) expected one yielded tile and one binding an out, and one binding an in}}
  %o = delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) outs([seq, time, head, _] : tensor<?x?x1x4xf32>) valid(%n) {
    delta.yield outs(%X, %X : tensor<8x4xf32>, tensor<8x4xf32>)
  }
  return
}

// -----

func.func @chunk_scan_c10(%x: tensor<?x?x1x4xf32>, %s0: tensor<?x1x8x4xf32>) {
  // expected-error @+1 {{(C10) expected one yielded carry, one final result and one binding for each of the 1 inits, found 2, 1 and 1}}
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x1x8x4xf32>) outs() valid(%n) {
    delta.yield carry(%S, %S : tensor<8x4xf32>, tensor<8x4xf32>)
  }
  return
}

// -----

func.func @chunk_map_c10(%x: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{(C10) expected no carry: a chunk_map has no order of chunks; use chunk_scan}}
  delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) outs() valid(%n) {
    delta.yield carry(%X : tensor<8x4xf32>)
  }
  return
}

// -----

func.func @chunk_scan_c11(%x: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{(C11) expected carry #0 without a time dimension, found #delta.binding<[seq, time, head, _]>}}
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) carry(%S = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) outs() valid(%n) {
    delta.yield carry(%S : tensor<8x4xf32>)
  }
  return
}

// -----

func.func @chunk_scan_c16(%x: tensor<?x?x1x4xf32>, %s0: tensor<?x1x4xf32>, %s1: tensor<?x1x4xf32>) {
  // expected-error @+1 {{(C16) expected all carries to start anew with the same chunks: one chunk dimension, or none, found #delta.binding<[chunk * 2, head, _]> and #delta.binding<[chunk, head, _]>}}
  %sT:2 = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>)
      carry(%S = %s0[chunk * 2, head, _] : tensor<?x1x4xf32>, %T = %s1[chunk, head, _] : tensor<?x1x4xf32>) outs() valid(%n) {
    delta.yield carry(%S, %T : tensor<4xf32>, tensor<4xf32>)
  }
  return
}

// -----

func.func @chunk_program_c17(%x: tensor<?x?x4x4xf32>) {
  // expected-error @+1 {{(C17) expected in #0 to have 6 heads, 2 for each of heads = 3, of which one is read: 0 to 1, found #delta.binding<[seq, time, head * 2 + 1, _]> for 'tensor<?x?x4x4xf32>'}}
  %o = delta.chunk_map chunk = 8 heads = 3 compute = f32 ins(%X = %x[seq, time, head * 2 + 1, _] : tensor<?x?x4x4xf32>) outs([seq, time, head, _] : tensor<?x?x3x4xf32>) valid(%n) {
    delta.yield outs(%X : tensor<8x4xf32>)
  }
  return
}

// -----

func.func @chunk_program_c17_head(%x: tensor<?x?x6x4xf32>) {
  // expected-error @+1 {{(C17) expected in #0 to have 6 heads, 2 for each of heads = 3, of which one is read: 0 to 1, found #delta.binding<[seq, time, head * 2 + 2, _]>}}
  %o = delta.chunk_map chunk = 8 heads = 3 compute = f32 ins(%X = %x[seq, time, head * 2 + 2, _] : tensor<?x?x6x4xf32>) outs([seq, time, head, _] : tensor<?x?x3x4xf32>) valid(%n) {
    delta.yield outs(%X : tensor<8x4xf32>)
  }
  return
}

// -----

func.func @chunk_program_c17_one(%x: tensor<?x?x3x4xf32>) {
  // expected-error @+1 {{(C17) expected in #0 to have 3 heads, 1 for each of heads = 3, of which one is read: 0 to 0}}
  %o = delta.chunk_map chunk = 8 heads = 3 compute = f32 ins(%X = %x[seq, time, head * 1 + 1, _] : tensor<?x?x3x4xf32>) outs([seq, time, head, _] : tensor<?x?x3x4xf32>) valid(%n) {
    delta.yield outs(%X : tensor<8x4xf32>)
  }
  return
}

// -----

func.func @chunk_program_c18(%x: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{(C18) expected out #0 to be bound to one of the chunks of a slot: chunk * m + i with 0 <= i < m, found #delta.binding<[chunk * 2 + 2, head, _]>}}
  %o = delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) outs([chunk * 2 + 2, head, _] : tensor<?x1x4xf32>) valid(%n) {
    %c = arith.constant dense<1.0> : tensor<4xf32>
    delta.yield outs(%c : tensor<4xf32>)
  }
  return
}

// -----

func.func @chunk_program_c18_in(%x: tensor<?x?x1x4xf32>, %y: tensor<?x1x4xf32>) {
  // expected-error @+1 {{(C18) expected in #1 to be bound without '+ i': it is the same in all chunks of a slot, found #delta.binding<[chunk * 2 + 1, head, _]>}}
  delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>, %Y = %y[chunk * 2 + 1, head, _] : tensor<?x1x4xf32>) outs() valid(%n) {
    delta.yield
  }
  return
}

// -----

func.func @chunk_scan_c18(%x: tensor<?x?x1x4xf32>, %s0: tensor<?x1x4xf32>) {
  // expected-error @+1 {{(C18) expected carry #0 to be bound without '+ i': it is the same in all chunks of a slot, found #delta.binding<[chunk * 2 + 1, head, _]>}}
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>)
      carry(%S = %s0[chunk * 2 + 1, head, _] : tensor<?x1x4xf32>) outs() valid(%n) {
    delta.yield carry(%S : tensor<4xf32>)
  }
  return
}

// -----

func.func @chunk_program_c6_multiple(%x: tensor<?x?x2x4xf32>) {
  // expected-error @+1 {{(C6) expected the head dimension of out #0 to equal heads = 2, found #delta.binding<[seq, time, head * 2, _]>}}
  %o = delta.chunk_map chunk = 8 heads = 2 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x2x4xf32>) outs([seq, time, head * 2, _] : tensor<?x?x4x4xf32>) valid(%n) {
    delta.yield outs(%X : tensor<8x4xf32>)
  }
  return
}

// -----

func.func @no_heads(%x: tensor<?x?x2x4xf32>) {
  // expected-error @+1 {{expected at least one head of the tensor a head, found 0}}
  %o = delta.chunk_map chunk = 8 heads = 2 compute = f32 ins(%X = %x[seq, time, head * 0, _] : tensor<?x?x2x4xf32>) outs() valid(%n) {
    delta.yield
  }
  return
}

// -----

func.func @chunk_scan_c12(%x: tensor<?x?x1x4xf32>, %s0: tensor<?x1x8x4xf32>) {
  // expected-error @+1 {{(C12) expected final #0 of its init's type 'tensor<?x1x8x4xf32>', found 'tensor<?x1x8x4xbf16>'}}
  %sT = "delta.chunk_scan"(%x, %s0) <{direction = #delta<direction forward>, chunk = 8, heads = 1, compute = f32,
      in_bindings = [#delta.binding<[seq, time, head, _]>], carry_bindings = [#delta.binding<[seq, head, _, _]>], out_bindings = [],
      operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0>, resultSegmentSizes = array<i32: 0, 1, 0>}> ({
  ^bb0(%n: index, %X: tensor<8x4xf32>, %S: tensor<8x4xf32>):
    delta.yield carry(%S : tensor<8x4xf32>)
  }) : (tensor<?x?x1x4xf32>, tensor<?x1x8x4xf32>) -> tensor<?x1x8x4xbf16>
  return
}

// -----

func.func @chunk_program_c13(%x: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{(C13) expected in #0 to be bound to seq, time, chunk, head and slot at most once each, and to chunk or slot without the other, seq and time, found #delta.binding<[time, time, head, _]>}}
  %o = delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%X = %x[time, time, head, _] : tensor<?x?x1x4xf32>) outs([seq, time, head, _] : tensor<?x?x1x4xf32>) valid(%n) {
    %Y = arith.constant dense<0.0> : tensor<8x4xf32>
    delta.yield outs(%Y : tensor<8x4xf32>)
  }
  return
}

// -----

func.func @chunk_program_c13_slot(%x: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{(C13) expected out #0 to be bound to seq, time, chunk, head and slot at most once each, and to chunk or slot without the other, seq and time, found #delta.binding<[seq, chunk, head, _, _]>}}
  %o = delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) outs([seq, chunk, head, _, _] : tensor<?x?x1x8x4xf32>) valid(%n) {
    delta.yield outs(%X : tensor<8x4xf32>)
  }
  return
}

// -----

func.func @chunk_program_c14(%x: tensor<?x1x8x4xf32>) {
  // expected-error @+1 {{(C14) expected an in with a time dimension, which says how many tokens there are}}
  %o = delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, head, _, _] : tensor<?x1x8x4xf32>) outs([seq, time, head, _] : tensor<?x?x1x4xf32>) valid(%n) {
    delta.yield outs(%X : tensor<8x4xf32>)
  }
  return
}

// -----

func.func @chunk_program_c15(%x: tensor<?x?x1x4xf32>, %y: tensor<?x1x4xf32>) {
  // expected-error @+1 {{(C15) expected everything with a time dimension to have a seq dimension, or nothing; found #delta.binding<[seq, time, head, _]> and #delta.binding<[time, head, _]>}}
  %o = delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>, %Y = %y[time, head, _] : tensor<?x1x4xf32>) outs([seq, time, head, _] : tensor<?x?x1x4xf32>) valid(%n) {
    delta.yield outs(%Y : tensor<8x4xf32>)
  }
  return
}

// -----

// What the text form refuses by itself.

func.func @chunk_program_binding(%x: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{expected seq, time, chunk, head, slot or _, found 'token'}}
  %o = delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, token, head, _] : tensor<?x?x1x4xf32>) outs() valid(%n) {
  }
}

// -----

func.func @chunk_program_multiple(%x: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{expected at least one row a token, found 0}}
  %o = delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time * 0, head, _] : tensor<?x?x1x4xf32>) outs() valid(%n) {
  }
}

// -----

func.func @chunk_program_rank(%x: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{expected 4 dimensions for 'tensor<?x?x1x4xf32>', found 3}}
  %o = delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head] : tensor<?x?x1x4xf32>) outs() valid(%n) {
  }
}

// -----

func.func @chunk_scan_direction(%x: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{expected forward or reverse, found 'backward'}}
  %o = delta.chunk_scan backward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) outs() valid(%n) {
  }
}

// -----

//===----------------------------------------------------------------------===//
// delta.decay_dot, delta.decay_apply, delta.decay_mask
//===----------------------------------------------------------------------===//

func.func @decay_dot_c1(%a: tensor<8x4xf32>, %b: tensor<8x5xf32>) {
  // expected-error @+1 {{(C1) expected [i, d], [j, d] -> [i, j], found 'tensor<8x4xf32>', 'tensor<8x5xf32>' -> 'tensor<8x8xf32>'}}
  %m = delta.decay_dot upto_token %a, %b : tensor<8x4xf32>, tensor<8x5xf32> -> tensor<8x8xf32>
  return
}

// -----

func.func @decay_dot_c2(%a: tensor<8x4xf32>, %b: tensor<12x4xf32>) {
  // expected-error @+1 {{(C2) expected rows = [na, nb] of 1 to 1048576 rows a token, found [1, 0]}}
  %m = delta.decay_dot upto_token %a, %b rows [1, 0] : tensor<8x4xf32>, tensor<12x4xf32> -> tensor<8x12xf32>
  return
}

// -----

func.func @decay_dot_c3(%a: tensor<4x4xf32>, %b: tensor<8x4xf32>) {
  // expected-error @+1 {{(C3) before_row compares rows, so both operands need as many rows a token; found [1, 2]}}
  %m = delta.decay_dot before_row %a, %b rows [1, 2] : tensor<4x4xf32>, tensor<8x4xf32> -> tensor<4x8xf32>
  return
}

// -----

func.func @decay_dot_c4(%a: tensor<8x4xf32>, %g: tensor<8xf32>) {
  // expected-error @+1 {{(C4) before_decay needs the mask before_token: a later token's decay would be divided out (a positive exponent)}}
  %m = delta.decay_dot upto_token %a, %a decay(%g : tensor<8xf32>) before_decay : tensor<8x4xf32>, tensor<8x4xf32> -> tensor<8x8xf32>
  return
}

// -----

func.func @decay_dot_c5(%a: tensor<8x4xf32>, %g: tensor<8x2xf32>) {
  // expected-error @+1 {{(C5) expected a decay of shape [8] or [8, 4], or of more tokens, found 'tensor<8x2xf32>'}}
  %m = delta.decay_dot upto_token %a, %a decay(%g : tensor<8x2xf32>) : tensor<8x4xf32>, tensor<8x4xf32> -> tensor<8x8xf32>
  return
}

// -----

func.func @decay_apply_c1(%m: tensor<8x8xf32>, %x: tensor<4x4xf32>) {
  // expected-error @+1 {{(C1) expected [i, j], [j, d] -> [i, d], found 'tensor<8x8xf32>', 'tensor<4x4xf32>' -> 'tensor<8x4xf32>'}}
  %r = delta.decay_apply upto_token %m, %x : tensor<8x8xf32>, tensor<4x4xf32> -> tensor<8x4xf32>
  return
}

// -----

func.func @decay_apply_c1_transpose(%m: tensor<4x8xf32>, %x: tensor<8x4xf32>) {
  // expected-error @+1 {{(C1) expected [i, j], [i, d] -> [j, d], found 'tensor<4x8xf32>', 'tensor<8x4xf32>' -> 'tensor<8x4xf32>'}}
  %r = delta.decay_apply upto_token transpose %m, %x rows [1, 2] : tensor<4x8xf32>, tensor<8x4xf32> -> tensor<8x4xf32>
  return
}

// -----

func.func @decay_apply_c2(%m: tensor<8x8xf32>, %x: tensor<8x4xf32>) {
  // expected-error @+1 {{(C2) expected rows = [na, nb] of 1 to 1048576 rows a token, found [0, 3]}}
  %r = delta.decay_apply upto_token %m, %x rows [0, 3] : tensor<8x8xf32>, tensor<8x4xf32> -> tensor<8x4xf32>
  return
}

// -----

func.func @decay_apply_c3(%m: tensor<4x8xf32>, %x: tensor<8x4xf32>) {
  // expected-error @+1 {{(C3) before_row compares rows, so both operands need as many rows a token; found [1, 2]}}
  %r = delta.decay_apply before_row %m, %x rows [1, 2] : tensor<4x8xf32>, tensor<8x4xf32> -> tensor<4x4xf32>
  return
}

// -----

func.func @decay_apply_c4(%m: tensor<8x8xf32>, %x: tensor<8x4xf32>, %g: tensor<8xf32>) {
  // expected-error @+1 {{(C4) before_decay needs the mask before_token}}
  %r = delta.decay_apply before_row %m, %x decay(%g : tensor<8xf32>) before_decay : tensor<8x8xf32>, tensor<8x4xf32> -> tensor<8x4xf32>
  return
}

// -----

func.func @decay_apply_c5(%m: tensor<8x8xf32>, %x: tensor<8x4xf32>, %g: tensor<4xf32>) {
  // expected-error @+1 {{(C5) expected a decay of shape [8] or [8, 4], or of more tokens, found 'tensor<4xf32>'}}
  %r = delta.decay_apply upto_token %m, %x decay(%g : tensor<4xf32>) : tensor<8x8xf32>, tensor<8x4xf32> -> tensor<8x4xf32>
  return
}

// -----

func.func @decay_mask_c1(%m: tensor<8xf32>) {
  // expected-error @+1 {{(C1) expected a matrix [i, j], found 'tensor<8xf32>'}}
  %r = delta.decay_mask upto_token %m : tensor<8xf32>
  return
}

// -----

func.func @decay_mask_c2(%m: tensor<8x12xf32>) {
  // expected-error @+1 {{(C2) expected rows = [na, nb] of 1 to 1048576 rows a token, found [1, 0]}}
  %r = delta.decay_mask upto_token %m rows [1, 0] : tensor<8x12xf32>
  return
}

// -----

func.func @decay_mask_c3(%m: tensor<4x8xf32>) {
  // expected-error @+1 {{(C3) before_row compares rows, so both operands need as many rows a token; found [1, 2]}}
  %r = delta.decay_mask before_row %m rows [1, 2] : tensor<4x8xf32>
  return
}

// -----

func.func @decay_mask_c4(%m: tensor<8x8xf32>, %g: tensor<8xf32>) {
  // expected-error @+1 {{(C4) before_decay needs the mask before_token}}
  %r = delta.decay_mask before_row %m decay(%g : tensor<8xf32>) before_decay : tensor<8x8xf32>
  return
}

// -----

func.func @decay_mask_c5(%m: tensor<8x8xf32>, %g: tensor<8x8xf32>) {
  // expected-error @+1 {{(C5) expected a decay of shape [8] or of more tokens, one gate a head, found 'tensor<8x8xf32>'}}
  %r = delta.decay_mask upto_token %m decay(%g : tensor<8x8xf32>) : tensor<8x8xf32>
  return
}

// -----

func.func @decay_mask_c6(%m: tensor<8x8xf32>, %g: tensor<8xf32>) {
  // expected-error @+1 {{(C6) expected a half of 1 or more tokens and no decay, found half 2 with a decay}}
  %r = delta.decay_mask upto_token %m decay(%g : tensor<8xf32>) half 2 : tensor<8x8xf32>
  return
}

// -----

func.func @decay_mask_c6_near(%m: tensor<8x8xf32>) {
  // expected-error @+1 {{(C6) expected a near of 1 or more tokens and no decay, found near 0}}
  %r = delta.decay_mask upto_token %m near 0 : tensor<8x8xf32>
  return
}

// -----

func.func @decay_mask_c7(%m: tensor<8x8xf32>) {
  // expected-error @+1 {{(C7) expected half or near, found both}}
  %r = delta.decay_mask upto_token %m half 2 near 2 : tensor<8x8xf32>
  return
}

// -----

func.func @sum_to_middle_c1(%g: tensor<8x4x2xf32>) {
  // expected-error @+1 {{(C1) expected [rows] or [rows, channels], found 'tensor<8x4x2xf32>'}}
  %r = delta.sum_to_middle %g half 2 : tensor<8x4x2xf32>
  return
}

// -----

func.func @sum_to_middle_c2(%g: tensor<8xf32>) {
  // expected-error @+1 {{(C2) expected a half of 1 or more tokens, found 0}}
  %r = delta.sum_to_middle %g half 0 : tensor<8xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// delta.erase_solve, delta.erase_solve_adjoint, delta.erase_factor, delta.erase_apply
//===----------------------------------------------------------------------===//

func.func @erase_solve_c1(%L: tensor<8x4xf32>, %c: tensor<8xf32>, %W: tensor<8x4xf32>) {
  // expected-error @+1 {{(C1) expected a square matrix, found 'tensor<8x4xf32>'}}
  %R, %U = delta.erase_solve %L, %c, %W : tensor<8x4xf32>, tensor<8xf32>, tensor<8x4xf32> -> tensor<8x4xf32>, tensor<8x4xf32>
  return
}

// -----

func.func @erase_solve_c2(%L: tensor<8x8xf32>, %c: tensor<4xf32>, %W: tensor<8x4xf32>) {
  // expected-error @+1 {{(C2) expected a rate of shape [8], one a row of L, found 'tensor<4xf32>'}}
  %R, %U = delta.erase_solve %L, %c, %W : tensor<8x8xf32>, tensor<4xf32>, tensor<8x4xf32> -> tensor<8x4xf32>, tensor<8x4xf32>
  return
}

// -----

func.func @erase_solve_c3(%L: tensor<8x8xf32>, %c: tensor<8xf32>, %W: tensor<4x4xf32>) {
  // expected-error @+1 {{(C3) expected right-hand side and results of one type with 8 rows, found 'tensor<4x4xf32>'}}
  %R, %U = delta.erase_solve %L, %c, %W : tensor<8x8xf32>, tensor<8xf32>, tensor<4x4xf32> -> tensor<4x4xf32>, tensor<4x4xf32>
  return
}

// -----

func.func @erase_solve_adjoint_c1(%L: tensor<8xf32>, %c: tensor<8xf32>, %dU: tensor<8x4xf32>) {
  // expected-error @+1 {{(C1) expected a square matrix, found 'tensor<8xf32>'}}
  %X = delta.erase_solve_adjoint %L, %c, %dU : tensor<8xf32>, tensor<8xf32>, tensor<8x4xf32> -> tensor<8x4xf32>
  return
}

// -----

func.func @erase_solve_adjoint_c2(%L: tensor<8x8xf32>, %c: tensor<8x1xf32>, %dU: tensor<8x4xf32>) {
  // expected-error @+1 {{(C2) expected a rate of shape [8], one a row of L, found 'tensor<8x1xf32>'}}
  %X = delta.erase_solve_adjoint %L, %c, %dU : tensor<8x8xf32>, tensor<8x1xf32>, tensor<8x4xf32> -> tensor<8x4xf32>
  return
}

// -----

func.func @erase_solve_adjoint_c3(%L: tensor<8x8xf32>, %c: tensor<8xf32>, %dU: tensor<8x4xf32>) {
  // expected-error @+1 {{(C3) expected right-hand side and results of one type with 8 rows, found 'tensor<8x5xf32>'}}
  %X = delta.erase_solve_adjoint %L, %c, %dU : tensor<8x8xf32>, tensor<8xf32>, tensor<8x4xf32> -> tensor<8x5xf32>
  return
}

// -----

func.func @erase_factor_c1(%L: tensor<8x4xf32>, %c: tensor<8xf32>) {
  // expected-error @+1 {{(C1) expected a square matrix, found 'tensor<8x4xf32>'}}
  %Z = delta.erase_factor %L, %c : tensor<8x4xf32>, tensor<8xf32> -> tensor<8x4xf32>
  return
}

// -----

func.func @erase_factor_c2(%L: tensor<8x8xf32>, %c: tensor<4xf32>) {
  // expected-error @+1 {{(C2) expected a rate of shape [8], one a row of L, found 'tensor<4xf32>'}}
  %Z = delta.erase_factor %L, %c : tensor<8x8xf32>, tensor<4xf32> -> tensor<8x8xf32>
  return
}

// -----

func.func @erase_factor_c3(%L: tensor<8x8xf32>, %c: tensor<8xf32>) {
  // expected-error @+1 {{(C3) expected Z of L's type 'tensor<8x8xf32>', or with twice its columns, found 'tensor<8x8xbf16>'}}
  %Z = delta.erase_factor %L, %c : tensor<8x8xf32>, tensor<8xf32> -> tensor<8x8xbf16>
  return
}

// -----

func.func @erase_factor_c4(%L: tensor<8x8xf32>, %c: tensor<8xf32>) {
  // expected-error @+1 {{(C4) expected blocks of a number of rows that divides 8, found 3}}
  %Z = delta.erase_factor %L, %c block 3 : tensor<8x8xf32>, tensor<8xf32> -> tensor<8x8xf32>
  return
}

// -----

func.func @erase_factor_c5(%L: tensor<8x8xf32>, %c: tensor<8xf32>) {
  // expected-error @+1 {{(C5) expected a float type that Z is rounded to, found 'i16'}}
  %Z = delta.erase_factor %L, %c to i16 : tensor<8x8xf32>, tensor<8xf32> -> tensor<8x8xf32>
  return
}

// -----

func.func @erase_apply_c1(%Z: tensor<8x4xf32>, %c: tensor<8xf32>, %W: tensor<8x4xf32>) {
  // expected-error @+1 {{(C1) expected a square matrix, or one of twice as many columns, found 'tensor<8x4xf32>'}}
  %R = delta.erase_apply %Z, %c, %W : tensor<8x4xf32>, tensor<8xf32>, tensor<8x4xf32>
  return
}

// -----

func.func @erase_apply_c2(%Z: tensor<8x8xf32>, %c: tensor<4xf32>, %W: tensor<8x4xf32>) {
  // expected-error @+1 {{(C2) expected a rate of shape [8], one a row of L, found 'tensor<4xf32>'}}
  %R = delta.erase_apply %Z, %c, %W : tensor<8x8xf32>, tensor<4xf32>, tensor<8x4xf32>
  return
}

// -----

func.func @erase_apply_c3(%Z: tensor<8x8xf32>, %c: tensor<8xf32>, %W: tensor<4x4xf32>) {
  // expected-error @+1 {{(C3) expected right-hand side and results of one type with 8 rows, found 'tensor<4x4xf32>'}}
  %R = delta.erase_apply %Z, %c, %W : tensor<8x8xf32>, tensor<8xf32>, tensor<4x4xf32>
  return
}

// -----

func.func @erase_apply_c4(%Z: tensor<8x8xf32>, %c: tensor<8xf32>, %W: tensor<8x4xf32>) {
  // expected-error @+1 {{(C4) expected blocks of a number of rows that divides 8, found 16}}
  %R = delta.erase_apply adjoint %Z, %c, %W block 16 : tensor<8x8xf32>, tensor<8xf32>, tensor<8x4xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// delta.cumsum, delta.mask_rows, delta.last_row, delta.repeat_rows, delta.sum_rows
//===----------------------------------------------------------------------===//

func.func @cumsum_c1(%x: tensor<8x4x2xf32>) {
  // expected-error @+1 {{(C1) expected [rows] or [rows, channels], found 'tensor<8x4x2xf32>'}}
  %y = delta.cumsum %x : tensor<8x4x2xf32>
  return
}

// -----

func.func @mask_rows_c1(%x: tensor<f32>, %n: index) {
  // expected-error @+1 {{(C1) expected [rows] or [rows, channels], found 'tensor<f32>'}}
  %y = delta.mask_rows %x, %n : tensor<f32>
  return
}

// -----

func.func @mask_rows_c2(%x: tensor<8xf32>, %n: index) {
  // expected-error @+1 {{(C2) expected 1 to 8 rows a token, found 9}}
  %y = delta.mask_rows %x, %n rows 9 : tensor<8xf32>
  return
}

// -----

func.func @last_row_c1(%x: tensor<f32>, %n: index) {
  // expected-error @+1 {{(C1) expected [rows] or [rows, channels], found 'tensor<f32>'}}
  %y = delta.last_row %x, %n : tensor<f32> -> tensor<f32>
  return
}

// -----

func.func @last_row_c2(%x: tensor<8xf32>, %n: index) {
  // expected-error @+1 {{(C2) expected 1 to 8 rows a token, found 9}}
  %y = delta.last_row %x, %n rows 9 : tensor<8xf32> -> tensor<f32>
  return
}

// -----

func.func @last_row_c3(%x: tensor<8x4xf32>, %n: index) {
  // expected-error @+1 {{(C3) expected a row of 'tensor<8x4xf32>', found 'tensor<8xf32>'}}
  %y = delta.last_row %x, %n : tensor<8x4xf32> -> tensor<8xf32>
  return
}

// -----

func.func @repeat_rows_c1(%x: tensor<f32>) {
  // expected-error @+1 {{(C1) expected [rows] or [rows, channels], found 'tensor<f32>'}}
  %y = delta.repeat_rows %x by 2 : tensor<f32> -> tensor<2xf32>
  return
}

// -----

func.func @repeat_rows_c2(%x: tensor<8xf32>) {
  // expected-error @+1 {{(C2) expected at most 2 result rows for each operand row, found 'tensor<8xf32>' -> 'tensor<17xf32>'}}
  %y = delta.repeat_rows %x by 2 : tensor<8xf32> -> tensor<17xf32>
  return
}

// -----

func.func @conv_row_c1(%x: tensor<1x8xf32>, %w: tensor<3x8xf32>, %f: tensor<8x3xf32>) {
  // expected-error @+1 {{(C1) expected one row of d channels, a window of w - 1 rows of as many and a filter of d x w, found 'tensor<1x8xf32>', 'tensor<3x8xf32>' and 'tensor<8x3xf32>'}}
  %y, %next = delta.conv_row %x behind %w filter %f : tensor<1x8xf32>, tensor<3x8xf32>, tensor<8x3xf32>
  return
}

// -----

func.func @sum_rows_c1(%z: tensor<f32>) {
  // expected-error @+1 {{(C1) expected [rows] or [rows, channels], found 'tensor<f32>'}}
  %y = delta.sum_rows %z by 2 : tensor<f32> -> tensor<f32>
  return
}

// -----

func.func @sum_rows_c2(%x: tensor<8x4xf32>) {
  // expected-error @+1 {{(C2) expected at most 3 operand rows for each result row, found 'tensor<8x4xf32>' -> 'tensor<2x4xf32>'}}
  %y = delta.sum_rows %x by 3 : tensor<8x4xf32> -> tensor<2x4xf32>
  return
}

// -----

func.func @chunk_program_c19(%x: tensor<?x?x1x4xf32>, %s: tensor<?x1x4xf32>) {
  // expected-error @+1 {{(C19) expected in #1 to be bound to something else than slot: only a state that is carried lives in a pool, found #delta.binding<[slot, head, _]>}}
  %o = delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>, %S = %s[slot, head, _] : tensor<?x1x4xf32>) outs([seq, time, head, _] : tensor<?x?x1x4xf32>) valid(%n) {
    delta.yield outs(%X : tensor<8x4xf32>)
  }
  return
}

// -----

func.func @chunk_scan_c20(%x: tensor<?x?x1x4xf32>, %s0: tensor<?x1x4x4xf32>) {
  // expected-error @+1 {{(C20) expected slots to read and to write where carries are bound to slot, all of them, and none elsewhere; found [#delta.binding<[slot, head, _, _]>] without slots}}
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) carry(%S = %s0[slot, head, _, _] : tensor<?x1x4x4xf32>) outs() valid(%n) {
    delta.yield carry(%S : tensor<4x4xf32>)
  }
  return
}

// -----

func.func @chunk_scan_c20_sequences(%x: tensor<?x?x1x4xf32>, %s0: tensor<?x1x4x4xf32>, %r: tensor<?xi32>) {
  // expected-error @+1 {{(C20) expected slots to read and to write where carries are bound to slot, all of them, and none elsewhere; found [#delta.binding<[seq, head, _, _]>] with slots}}
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x1x4x4xf32>) slots(%r, %r : tensor<?xi32>, first = 0) outs() valid(%n) {
    delta.yield carry(%S : tensor<4x4xf32>)
  }
  return
}

// -----

func.func @chunk_scan_c21(%x: tensor<?x?x1x4xf32>, %s0: tensor<?x1x4x4xf32>, %r: tensor<?xi32>) {
  // expected-error @+1 {{(C21) expected slots to read and to write of one type and a first valid slot of at least 0, found 'tensor<?xi32>', 'tensor<?xi32>' and -1}}
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) carry(%S = %s0[slot, head, _, _] : tensor<?x1x4x4xf32>) slots(%r, %r : tensor<?xi32>, first = -1) outs() valid(%n) {
    delta.yield carry(%S : tensor<4x4xf32>)
  }
  return
}

// -----

func.func @chunk_scan_c22(%x: tensor<?x?x1x4xf32>, %s0: tensor<?x1x4x4xf32>, %r: tensor<?xi32>) {
  // expected-error @+1 {{(C22) expected lengths or cu_seqlens, found both: either says how long each sequence is}}
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) carry(%S = %s0[slot, head, _, _] : tensor<?x1x4x4xf32>) slots(%r, %r : tensor<?xi32>, first = 0) cu_seqlens(%r : tensor<?xi32>) lengths(%r : tensor<?xi32>) outs() valid(%n) {
    delta.yield carry(%S : tensor<4x4xf32>)
  }
  return
}

// -----

func.func @chunk_scan_c26(%x: tensor<?x?x1x4xf32>, %s0: tensor<?x1x4x4xf32>, %r: tensor<?xi32>) {
  // expected-error @+1 {{(C26) expected keep, of the type of slots, and else zeros where carries are pools, and keep in a forward scan}}
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x1x4x4xf32>) keep(%r : tensor<?xi32>) outs() valid(%n) {
    delta.yield carry(%S : tensor<4x4xf32>)
  }
  return
}

// -----

func.func @chunk_scan_c26_types(%x: tensor<?x?x1x4xf32>, %s0: tensor<?x1x4x4xf32>, %r: tensor<?xi32>, %k: tensor<?xi64>) {
  // expected-error @+1 {{(C26) expected keep, of the type of slots, and else zeros where carries are pools, and keep in a forward scan}}
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) carry(%S = %s0[slot, head, _, _] : tensor<?x1x4x4xf32>) slots(%r, %r : tensor<?xi32>, first = 0) keep(%k : tensor<?xi64>) outs() valid(%n) {
    delta.yield carry(%S : tensor<4x4xf32>)
  }
  return
}

// -----

func.func @chunk_scan_c27(%x: tensor<?x?x1x4xf32>, %s0: tensor<?x1x4x4xf32>, %r: tensor<?xi32>) {
  // expected-error @+1 {{(C27) expected round, of the type of slots, where carries are pools of bf16 and computed in f32}}
  %sT = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) carry(%S = %s0[slot, head, _, _] : tensor<?x1x4x4xf32>) slots(%r, %r : tensor<?xi32>, first = 0) round(%r : tensor<?xi32>) outs() valid(%n) {
    delta.yield carry(%S : tensor<4x4xf32>)
  }
  return
}

// -----

func.func @chunk_scan_c28(%x: tensor<?x?x1x4xf32>, %s0: tensor<?x1x4x4xf32>, %p: tensor<?x1x4x4xf32>, %r: tensor<?xi32>) {
  // expected-error @+1 {{(C28) expected into, a pool that is a result too, beside keep where the one carry is bound to chunk, of the rank of that}}
  %sT:2 = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x1x4x4xf32>) keep(%r : tensor<?xi32>, first = 0) into(%p : tensor<?x1x4x4xf32>) outs() valid(%n) {
    delta.yield carry(%S : tensor<4x4xf32>)
  }
  return
}

// -----

func.func @chunk_scan_c28_tile(%x: tensor<?x?x1x4xf32>, %s0: tensor<?x1x4x4xf32>, %p: tensor<?x1x4x8xf32>, %r: tensor<?xi32>) {
  // expected-error @+1 {{(C7) expected the region's tile of carry #0 to be 'tensor<4x8xf32>', found 'tensor<4x4xf32>'}}
  %sT:2 = delta.chunk_scan forward chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>) carry(%S = %s0[chunk * 4, head, _, _] : tensor<?x1x4x4xf32>) keep(%r : tensor<?xi32>, first = 0) into(%p : tensor<?x1x4x8xf32>) outs() valid(%n) {
    delta.yield carry(%S : tensor<4x4xf32>)
  }
  return
}

// -----

func.func @chunk_program_c23(%x: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{(C23) expected a part of a dimension of an in, within its 4 elements, found #delta.binding<[seq, time, head, _ from 2 to 6]> for in #0}}
  delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _ from 2 to 6] : tensor<?x?x1x4xf32>) outs() valid(%n) {
    delta.yield
  }
  return
}

// -----

func.func @chunk_program_c23_out(%x: tensor<?x?x1x4xf32>) -> tensor<?x?x1x4xf32> {
  // expected-error @+1 {{(C23) expected a part of a dimension of an in, within its 4 elements, found #delta.binding<[seq, time, head, _ from 0 to 2]> for out #0}}
  %y = delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _ from 2 to 4] : tensor<?x?x1x4xf32>) outs([seq, time, head, _ from 0 to 2] : tensor<?x?x1x4xf32>) valid(%n) {
    delta.yield outs(%X : tensor<8x2xf32>)
  }
  return %y : tensor<?x?x1x4xf32>
}

// -----

func.func @chunk_program_c25(%x: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{(C25) expected in #0 to be split into parts that divide its 4 elements and heads = 3, of a dimension that is no part itself, found #delta.binding<[seq, time, head, _ split 3]>}}
  delta.chunk_map chunk = 8 heads = 3 compute = f32 ins(%X = %x[seq, time, head, _ split 3] : tensor<?x?x1x4xf32>) outs() valid(%n) {
    delta.yield
  }
  return
}

// -----

func.func @chunk_program_c25_heads(%x: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{(C25) expected in #0 to be split into parts that divide its 4 elements and heads = 3}}
  delta.chunk_map chunk = 8 heads = 3 compute = f32 ins(%X = %x[seq, time, head, _ split 2] : tensor<?x?x1x4xf32>) outs() valid(%n) {
    delta.yield
  }
  return
}

// -----

func.func @chunk_program_c25_empty(%x: tensor<?x?x1x6xf32>) {
  // expected-error @+1 {{(C25) expected in #0 to be split into parts that divide its 6 elements and heads = 4, none of them zeros alone, of a dimension that is no part itself, found #delta.binding<[seq, time, head, _ split 4 * 2]>}}
  delta.chunk_map chunk = 8 heads = 4 compute = f32 ins(%X = %x[seq, time, head, _ split 4 * 2] : tensor<?x?x1x6xf32>) outs() valid(%n) {
    delta.yield
  }
  return
}

// -----

func.func @chunk_program_c25_part(%x: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{(C25) expected in #0 to be split into parts that divide its 4 elements and heads = 2, of a dimension that is no part itself}}
  delta.chunk_map chunk = 8 heads = 2 compute = f32 ins(%X = %x[seq, time, head, _ from 0 to 4 split 2] : tensor<?x?x1x4xf32>) outs() valid(%n) {
    delta.yield
  }
  return
}

// -----

func.func @chunk_program_c25_carry(%x: tensor<?x?x2x4xf32>, %s: tensor<?x1x4xf32>) {
  // expected-error @+1 {{(C25) expected carry #0 to be whole: parts are of ins and outs, found #delta.binding<[seq, head, _ split 2]>}}
  %f = delta.chunk_scan forward chunk = 8 heads = 2 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x2x4xf32>) carry(%S = %s[seq, head, _ split 2] : tensor<?x1x4xf32>) outs() valid(%n) {
    delta.yield carry(%S : tensor<2xf32>)
  }
  return
}

// -----

func.func @chunk_program_c6_parts(%x: tensor<?x?x2x4xf32>) -> tensor<?x?x2x4xf32> {
  // expected-error @+1 {{(C6) expected the head dimension of out #0 to equal heads = 2 by its parts}}
  %y = delta.chunk_map chunk = 8 heads = 2 compute = f32 ins(%X = %x[seq, time, head, _ split 2] : tensor<?x?x2x4xf32>) outs([seq, time, head, _ split 2] : tensor<?x?x2x4xf32>) valid(%n) {
    delta.yield outs(%X : tensor<8x2xf32>)
  }
  return %y : tensor<?x?x2x4xf32>
}

// -----

func.func @one_part(%x: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{expected two or more parts, one for each head in turn, found 1}}
  delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _ split 1] : tensor<?x?x1x4xf32>) outs() valid(%n) {
    delta.yield
  }
  return
}

// -----

func.func @chunk_program_c24(%x: tensor<?x?x1x4xf32>) {
  // expected-error @+1 {{(C24) expected the tile of in #0 to hold the 24 rows of a chunk, found #delta.binding<[seq, time * 3 in 16, head, _]>}}
  delta.chunk_map chunk = 8 heads = 1 compute = f32 ins(%X = %x[seq, time * 3 in 16, head, _] : tensor<?x?x1x4xf32>) outs() valid(%n) {
    delta.yield
  }
  return
}

// -----

// expected-error @+1 {{expected one of a token's rows, 0 to 1, found 2}}
func.func private @no_such_row() attributes {binding = #delta.binding<[seq, time * 2 row 2]>}

// -----

// expected-error @+1 {{expected a tile of some rows, found 0}}
func.func private @empty_tile() attributes {binding = #delta.binding<[seq, time in 0]>}

// -----

// expected-error @+1 {{expected a part of some elements, found 2 to 2}}
func.func private @empty_part() attributes {binding = #delta.binding<[seq, _ from 2 to 2]>}

// -----

func.func @identity_c1() {
  // expected-error @+1 {{(C1) expected a square matrix, found 'tensor<8x4xf32>'}}
  %I = delta.identity : tensor<8x4xf32>
  return
}

// -----

func.func @level_rows_c1() {
  // expected-error @+1 {{(C1) expected a vector, one entry a row, found 'tensor<8x4xf32>'}}
  %y = delta.level_rows reads of 3 : tensor<8x4xf32>
  return
}

// -----

func.func @level_rows_c2() {
  // expected-error @+1 {{(C2) expected rows a token that divide the 8 rows, found 3}}
  %y = delta.level_rows reads of 3 rows 3 : tensor<8xf32>
  return
}

// -----

func.func @level_rows_c3() {
  // expected-error @+1 {{(C3) expected 1 to 31 levels, found 32}}
  %y = delta.level_rows reads of 32 : tensor<8xf32>
  return
}

// -----

func.func @level_rows_c5(%p: tensor<8xf32>) {
  // expected-error @+1 {{(C5) expected one number to start from, found 'tensor<8xf32>'}}
  %y = delta.level_rows reads of 3 from %p : tensor<8xf32> : tensor<8xf32>
  return
}

// -----

func.func @split_columns_c1(%x: tensor<8x6xf32>) {
  // expected-error @+1 {{(C1) expected a matrix and halves of its columns, found 'tensor<8x6xf32>' and 'tensor<8x4xf32>'}}
  %a, %b = delta.split_columns %x : tensor<8x6xf32> -> tensor<8x4xf32>
  return
}

// -----

func.func @join_columns_c1(%x: tensor<8x6xf32>) {
  // expected-error @+1 {{(C1) expected a matrix and halves of its columns, found 'tensor<8x8xf32>' and 'tensor<8x6xf32>'}}
  %y = delta.join_columns %x, %x : tensor<8x6xf32> -> tensor<8x8xf32>
  return
}

// -----

func.func @level_rows_c4(%x: tensor<?x?x4xf32>) {
  %y = delta.chunk_map chunk = 8 heads = 4 compute = f32 ins(%X = %x[seq, time, head] : tensor<?x?x4xf32>)
      outs([seq, time, head] : tensor<?x?x4xf32>) valid(%n) {
    // expected-error @+1 {{(C4) expected a program with a head for each of 3 levels of each value head, found 4 heads}}
    %r = delta.level_rows reads of 3 : tensor<8xf32>
    delta.yield outs(%r : tensor<8xf32>)
  }
  return
}

// -----

// Tiles are static.

func.func @tile_static(%x: tensor<?xf32>) {
  // expected-error @+1 {{statically shaped tensor}}
  %y = delta.cumsum %x : tensor<?xf32>
  return
}
