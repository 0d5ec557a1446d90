// RUN: wyvern-opt %s -delta-differentiate -split-input-file -verify-diagnostics

func.func @recurrence(%q: tensor<1x8x1x4xf32> {delta.name = "q"}, %k: tensor<1x8x1x4xf32> {delta.name = "k"}, %v: tensor<1x8x1x4xf32> {delta.name = "v"})
    -> (tensor<1x8x1x4xf32> {delta.name = "o"}) {
  %y = delta.chunk_map chunk = 4 heads = 1 compute = f32 ins(%X = %q[seq, time, head, _] : tensor<1x8x1x4xf32>) outs([seq, time, head, _] : tensor<1x8x1x4xf32>) valid(%n) {
    delta.yield outs(%X : tensor<4x4xf32>)
  }
  // expected-error @+1 {{expected a chunk program, found a recurrence; run delta-form-wy first}}
  %o, %s = delta.recurrence query(%y) step(write %k value %v) scale 1.0 : tensor<1x8x1x4xf32>, tensor<1x8x1x4xf32>, tensor<1x8x1x4xf32> -> (tensor<1x8x1x4xf32>, tensor<1x1x4x4xf32>)
  return %o : tensor<1x8x1x4xf32>
}

// -----

// expected-error @+1 {{argument #0: expected a delta.name, from which its gradient gets one}}
func.func @unnamed_argument(%x: tensor<?x?x1xf32>) -> (tensor<?x?x1xf32> {delta.name = "y"}) {
  %y = delta.chunk_map chunk = 4 heads = 1 compute = f32 ins(%X = %x[seq, time, head] : tensor<?x?x1xf32>) outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    delta.yield outs(%X : tensor<4xf32>)
  }
  return %y : tensor<?x?x1xf32>
}

// -----

// expected-error @+1 {{result #0: expected a delta.name, from which its gradient gets one}}
func.func @unnamed_result(%x: tensor<?x?x1xf32> {delta.name = "x"}) -> (tensor<?x?x1xf32>) {
  %y = delta.chunk_map chunk = 4 heads = 1 compute = f32 ins(%X = %x[seq, time, head] : tensor<?x?x1xf32>) outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    delta.yield outs(%X : tensor<4xf32>)
  }
  return %y : tensor<?x?x1xf32>
}

// -----

func.func @one_head_of_two(%x: tensor<?x?x2xf32> {delta.name = "x"}) -> (tensor<?x?x1xf32> {delta.name = "y"}) {
  // expected-error @+1 {{in #0 is bound to #delta.binding<[seq, time, head * 2 + 1]>: the gradient of one head in 2 is not supported; read every head, or take this in out of what is differentiated}}
  %y = delta.chunk_map chunk = 4 heads = 1 compute = f32 ins(%X = %x[seq, time, head * 2 + 1] : tensor<?x?x2xf32>) outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    delta.yield outs(%X : tensor<4xf32>)
  }
  return %y : tensor<?x?x1xf32>
}

// -----

// expected-error @+1 {{expected one block, found control flow between blocks; only straight-line functions of chunk programs are differentiated}}
func.func @blocks(%x: tensor<?x?x1xf32> {delta.name = "x"}) -> (tensor<?x?x1xf32> {delta.name = "y"}) {
  cf.br ^bb1
^bb1:
  %y = delta.chunk_map chunk = 4 heads = 1 compute = f32 ins(%X = %x[seq, time, head] : tensor<?x?x1xf32>) outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    delta.yield outs(%X : tensor<4xf32>)
  }
  return %y : tensor<?x?x1xf32>
}

// -----

func.func @loop(%x: tensor<?x?x1xf32> {delta.name = "x"}, %c: i1 {delta.name = "c"}) -> (tensor<?x?x1xf32> {delta.name = "y"}) {
  // expected-error @+1 {{'scf.if' op has no derivative rule, but a gradient goes through it; write it with operations that have one, or implement AdjointOpInterface}}
  %z = scf.if %c -> tensor<?x?x1xf32> {
    %y = delta.chunk_map chunk = 4 heads = 1 compute = f32 ins(%X = %x[seq, time, head] : tensor<?x?x1xf32>) outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
      delta.yield outs(%X : tensor<4xf32>)
    }
    scf.yield %y : tensor<?x?x1xf32>
  } else {
    scf.yield %x : tensor<?x?x1xf32>
  }
  return %z : tensor<?x?x1xf32>
}

// -----

func.func @no_rule(%x: tensor<?x?x1xf32> {delta.name = "x"}) -> (tensor<?x?x1xf32> {delta.name = "y"}) {
  %y = delta.chunk_map chunk = 4 heads = 1 compute = f32 ins(%X = %x[seq, time, head] : tensor<?x?x1xf32>) outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    // expected-error @+1 {{'math.atan' op has no derivative rule, but a gradient goes through it}}
    %Y = math.atan %X : tensor<4xf32>
    delta.yield outs(%Y : tensor<4xf32>)
  }
  return %y : tensor<?x?x1xf32>
}

// -----

func.func @no_sum(%x: tensor<?x?x1xf32> {delta.name = "x"}) -> (tensor<?x?x1xf32> {delta.name = "y"}) {
  %y = delta.chunk_map chunk = 4 heads = 1 compute = f32 ins(%X = %x[seq, time, head] : tensor<?x?x1xf32>) outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %one = arith.constant dense<1.0> : tensor<f32>
    %e = tensor.empty() : tensor<4xf32>
    // expected-error @+1 {{has a derivative only as a sum of one tensor (arith.addf)}}
    %product = linalg.reduce {arith.mulf} ins(%X : tensor<4xf32>) outs(%one : tensor<f32>) dimensions = [0]
    %Y = linalg.broadcast ins(%product : tensor<f32>) outs(%e : tensor<4xf32>) dimensions = [0]
    delta.yield outs(%Y : tensor<4xf32>)
  }
  return %y : tensor<?x?x1xf32>
}

// -----

func.func @shared_state(%x: tensor<?x?x1x4xf32> {delta.name = "x"}, %s0: tensor<1x4x4xf32> {delta.name = "s0"}) -> (tensor<1x4x4xf32> {delta.name = "sT"}) {
  // expected-error @+1 {{carry #0 is bound to #delta.binding<[head, _, _]>, expected a seq dimension: only then has each sequence a state of its own to differentiate}}
  %sT = delta.chunk_scan forward chunk = 4 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>)
      carry(%S = %s0[head, _, _] : tensor<1x4x4xf32>) outs() valid(%n) {
    %S1 = arith.addf %S, %X : tensor<4x4xf32>
    delta.yield carry(%S1 : tensor<4x4xf32>)
  }
  return %sT : tensor<1x4x4xf32>
}

// -----

func.func @called(%x: tensor<?x?x1xf32> {delta.name = "x"}) -> (tensor<?x?x1xf32> {delta.name = "y"}) {
  %y = delta.chunk_map chunk = 4 heads = 1 compute = f32 ins(%X = %x[seq, time, head] : tensor<?x?x1xf32>) outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    delta.yield outs(%X : tensor<4xf32>)
  }
  return %y : tensor<?x?x1xf32>
}
func.func @caller(%x: tensor<?x?x1xf32>) -> tensor<?x?x1xf32> {
  // expected-error @+1 {{refers to @called, which becomes @called_fwd and @called_bwd; only functions that nothing calls are differentiated}}
  %y = call @called(%x) : (tensor<?x?x1xf32>) -> tensor<?x?x1xf32>
  return %y : tensor<?x?x1xf32>
}

// -----

func.func @taken(%x: tensor<?x?x1xf32> {delta.name = "x"}) -> (tensor<?x?x1xf32> {delta.name = "y"}) {
  %y = delta.chunk_map chunk = 4 heads = 1 compute = f32 ins(%X = %x[seq, time, head] : tensor<?x?x1xf32>) outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    delta.yield outs(%X : tensor<4xf32>)
  }
  return %y : tensor<?x?x1xf32>
}
// expected-error @+1 {{has the name that differentiating @taken gives to a function of its own; rename one of them}}
func.func private @taken_bwd()
