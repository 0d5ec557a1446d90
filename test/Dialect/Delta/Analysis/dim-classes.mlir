// RUN: wyvern-opt %s -test-print-dim-classes -o /dev/null | FileCheck %s

#mk = affine_map<(m, n, k) -> (m, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>

// A delta rule with 4 key and 4 value channels and 4 tokens a chunk: sizes tell
// nothing. Rows of keys and columns of factors are tokens; the state joins key
// and value channels; nothing mixes the latter.
// CHECK-LABEL: @delta_rule delta.chunk_scan
// CHECK-NEXT: class 0: %Q[0] %1[0]{{$}}
// CHECK-NEXT: class 1: %Q[1] %K[1] %S[0] %2[0]{{$}}
// CHECK-NEXT: class 2: %K[0] %V[0] %c[0] %M[0] %M[1] %0[0] %R[0] %U[0]{{$}}
// CHECK-NEXT: class 3: %V[1] %S[1] %0[1] %R[1] %U[1] %1[1] %2[1]{{$}}
// CHECK-NEXT: uniform: %cst[0] %cst[1]{{$}}
// CHECK-NEXT: mixes class 1: %M{{$}}
// CHECK-NEXT: mixes class 1: %0{{$}}
// CHECK-NEXT: mixes class 2: %R %U{{$}}
// CHECK-NEXT: mixes class 1: %1{{$}}
// CHECK-NEXT: mixes class 2: %2{{$}}
// CHECK-NEXT: split: %S[1]{{$}}
// CHECK-NEXT: meets it: %cst[1]{{$}}
func.func @delta_rule(%q: tensor<?x?x1x4xf32> {delta.name = "q"}, %k: tensor<?x?x1x4xf32> {delta.name = "k"},
    %v: tensor<?x?x1x4xf32> {delta.name = "v"}, %beta: tensor<?x?x1xf32> {delta.name = "c"}, %s0: tensor<?x1x4x4xf32> {delta.name = "s0"})
    -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>) {
  %o, %sT = delta.chunk_scan forward chunk = 4 heads = 1 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x4xf32>, %K = %k[seq, time, head, _] : tensor<?x?x1x4xf32>,
          %V = %v[seq, time, head, _] : tensor<?x?x1x4xf32>, %c = %beta[seq, time, head] : tensor<?x?x1xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x4x4xf32>) outs([seq, time, head, _] : tensor<?x?x1x4xf32>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<4x4xf32>
    %L = delta.decay_dot before_row %K, %K : tensor<4x4xf32>, tensor<4x4xf32> -> tensor<4x4xf32>
    %W = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%K, %S : tensor<4x4xf32>, tensor<4x4xf32>) outs(%V : tensor<4x4xf32>) -> tensor<4x4xf32>
    %R, %U = delta.erase_solve %L, %c, %W : tensor<4x4xf32>, tensor<4xf32>, tensor<4x4xf32> -> tensor<4x4xf32>, tensor<4x4xf32>
    %O = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%Q, %S : tensor<4x4xf32>, tensor<4x4xf32>) outs(%zero : tensor<4x4xf32>) -> tensor<4x4xf32>
    %S1 = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%K, %U : tensor<4x4xf32>, tensor<4x4xf32>) outs(%S : tensor<4x4xf32>) -> tensor<4x4xf32>
    delta.yield outs(%O : tensor<4x4xf32>) carry(%S1 : tensor<4x4xf32>)
  }
  return %o, %sT : tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>
}

// A broadcast adds a dimension that is of no class, and so is what is made of
// such alone. One such tile (CSE makes one of two) meets two states, one of them
// across, and joins no dimension of them.
// CHECK-LABEL: @uniform delta.chunk_scan
// CHECK-NEXT: class 0: %g[0]{{$}}
// CHECK-NEXT: class 1: %S[0] %2[0]{{$}}
// CHECK-NEXT: class 2: %S[1] %2[1]{{$}}
// CHECK-NEXT: class 3: %S_0[0] %transposed[1] %3[1] %transposed_1[0]{{$}}
// CHECK-NEXT: class 4: %S_0[1] %transposed[0] %3[0] %transposed_1[1]{{$}}
// CHECK-NEXT: uniform: %0[0] %0[1] %broadcasted[0] %broadcasted[1] %1[0] %1[1]{{$}}
// CHECK-NEXT: mixes class 0: %reduced{{$}}
// CHECK-NEXT: split: %S[1]{{$}}
// CHECK-NEXT: meets it: %broadcasted[1] %1[1]{{$}}
func.func @uniform(%g: tensor<?x?x1xf32> {delta.name = "g"}, %s0: tensor<?x1x4x4xf32> {delta.name = "s0"}, %t0: tensor<?x1x4x4xf32> {delta.name = "t0"}) -> (tensor<?x1x4x4xf32>, tensor<?x1x4x4xf32>) {
  %sT, %tT = delta.chunk_scan forward chunk = 4 heads = 1 compute = f32
      ins(%G = %g[seq, time, head] : tensor<?x?x1xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x4x4xf32>, %T = %t0[seq, head, _, _] : tensor<?x1x4x4xf32>) outs() valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<f32>
    %e = tensor.empty() : tensor<4x4xf32>
    %sum = linalg.reduce {arith.addf} ins(%G : tensor<4xf32>) outs(%zero : tensor<f32>) dimensions = [0]
    %all = linalg.broadcast ins(%sum : tensor<f32>) outs(%e : tensor<4x4xf32>) dimensions = [0, 1]
    %exp = math.exp %all : tensor<4x4xf32>
    %S1 = arith.mulf %S, %exp : tensor<4x4xf32>
    %t = linalg.transpose ins(%T : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) permutation = [1, 0]
    %T1 = arith.mulf %t, %exp : tensor<4x4xf32>
    %T2 = linalg.transpose ins(%T1 : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) permutation = [1, 0]
    delta.yield carry(%S1, %T2 : tensor<4x4xf32>, tensor<4x4xf32>)
  }
  return %sT, %tT : tensor<?x1x4x4xf32>, tensor<?x1x4x4xf32>
}

// An out that sums over the values does not take them from being split; where
// rows are free of that too, they are preferred.
// CHECK-LABEL: @prefers delta.chunk_scan
// CHECK-NEXT: class 0: %V[0] %0[0]{{$}}
// CHECK-NEXT: class 1: %V[1] %S[1]{{$}}
// CHECK-NEXT: class 2: %S[0] %0[1]{{$}}
// CHECK-NEXT: uniform: %cst[0] %cst[1]{{$}}
// CHECK-NEXT: mixes class 1: %0{{$}}
// CHECK-NEXT: split: %S[0]{{$}}
// CHECK-NEXT: meets it: %cst[1]{{$}}
func.func @prefers(%v: tensor<?x?x1x4xf32> {delta.name = "v"}, %s0: tensor<?x1x4x4xf32> {delta.name = "s0"}) -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>) {
  %o, %sT = delta.chunk_scan forward chunk = 4 heads = 1 compute = f32
      ins(%V = %v[seq, time, head, _] : tensor<?x?x1x4xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x4x4xf32>) outs([seq, time, head, _] : tensor<?x?x1x4xf32>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<4x4xf32>
    %O = linalg.contract indexing_maps = [#mk, #nk, #mn] ins(%V, %S : tensor<4x4xf32>, tensor<4x4xf32>) outs(%zero : tensor<4x4xf32>) -> tensor<4x4xf32>
    delta.yield outs(%O : tensor<4x4xf32>) carry(%S : tensor<4x4xf32>)
  }
  return %o, %sT : tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>
}

// A recurrence that sums over both dimensions of its state has none to split.
// CHECK-LABEL: @mixed delta.chunk_scan
// CHECK-NEXT: class 0: %V[0]{{$}}
// CHECK-NEXT: class 1: %V[1]{{$}}
// CHECK-NEXT: class 2: %S[0] %S[1] %0[0] %0[1]{{$}}
// CHECK-NEXT: uniform: %cst[0] %cst[1]{{$}}
// CHECK-NEXT: mixes class 2: %0{{$}}
// CHECK-NEXT: split: none{{$}}
func.func @mixed(%v: tensor<?x?x1x4xf32> {delta.name = "v"}, %s0: tensor<?x1x4x4xf32> {delta.name = "s0"}) -> tensor<?x1x4x4xf32> {
  %sT = delta.chunk_scan forward chunk = 4 heads = 1 compute = f32
      ins(%V = %v[seq, time, head, _] : tensor<?x?x1x4xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x4x4xf32>) outs() valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<4x4xf32>
    %S1 = linalg.contract indexing_maps = [#mk, #nk, #mn] ins(%S, %S : tensor<4x4xf32>, tensor<4x4xf32>) outs(%zero : tensor<4x4xf32>) -> tensor<4x4xf32>
    delta.yield carry(%S1 : tensor<4x4xf32>)
  }
  return %sT : tensor<?x1x4x4xf32>
}

// What each of the chunk ops mixes.
// CHECK-LABEL: @chunk_ops delta.chunk_map
// CHECK-NEXT: class 0: %K[0] %c[0] %M[0] %M[1] %R[0] %R[1] %Z[0] %Z[1] %X[0] %R_0[0] %2[0] %3[0]{{$}}
// CHECK-NEXT: class 1: %K[1] %G[1] %0[1] %1[1] %X[1] %R_0[1] %2[1] %3[1]{{$}}
// CHECK-NEXT: class 2: %G[0] %0[0] %1[0]{{$}}
// CHECK-NEXT: uniform:{{$}}
// CHECK-NEXT: mixes class 2: %0{{$}}
// CHECK-NEXT: mixes class 1: %M{{$}}
// CHECK-NEXT: mixes class 0: %Z{{$}}
// CHECK-NEXT: mixes class 0: %X{{$}}
// CHECK-NEXT: mixes class 0: %R_0{{$}}
// CHECK-NEXT: mixes class 0: %3{{$}}
func.func @chunk_ops(%k: tensor<?x?x1x8xf32> {delta.name = "k"}, %g: tensor<?x?x1x8xf32> {delta.name = "g"}, %beta: tensor<?x?x1xf32> {delta.name = "c"}) -> tensor<?x?x1x8xf32> {
  %o = delta.chunk_map chunk = 4 heads = 1 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x1x8xf32>, %G = %g[seq, time, head, _] : tensor<?x?x1x8xf32>, %c = %beta[seq, time, head] : tensor<?x?x1xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x8xf32>) valid(%n) {
    %a = delta.cumsum %G : tensor<4x8xf32>
    %m = delta.mask_rows %a, %n : tensor<4x8xf32>
    %L = delta.decay_dot upto_token %K, %K decay(%m : tensor<4x8xf32>) : tensor<4x8xf32>, tensor<4x8xf32> -> tensor<4x4xf32>
    %D = delta.decay_mask before_token %L : tensor<4x4xf32>
    %Z = delta.erase_factor %D, %c : tensor<4x4xf32>, tensor<4xf32> -> tensor<4x4xf32>
    %X = delta.erase_solve_adjoint %D, %c, %K : tensor<4x4xf32>, tensor<4xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
    %A = delta.decay_apply upto_token transpose %Z, %X : tensor<4x4xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
    %r = delta.repeat_rows %A by 2 : tensor<4x8xf32> -> tensor<8x8xf32>
    %s = delta.sum_rows %r by 2 : tensor<8x8xf32> -> tensor<4x8xf32>
    delta.yield outs(%s : tensor<4x8xf32>)
  }
  return %o : tensor<?x?x1x8xf32>
}

// The identity depends on its two indices, so neither is uniform, and nothing
// makes them one.
// CHECK-LABEL: @identity delta.chunk_map
// CHECK-NEXT: class 0: %X[0]{{$}}
// CHECK-NEXT: class 1: %X[1]{{$}}
// CHECK-NEXT: class 2: %I[0]{{$}}
// CHECK-NEXT: class 3: %I[1]{{$}}
func.func @identity(%x: tensor<?x?x1x4xf32> {delta.name = "x"}) -> tensor<?x1x4x4xf32> {
  %i = delta.chunk_map chunk = 4 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>)
      outs([chunk, head, _, _] : tensor<?x1x4x4xf32>) valid(%n) {
    %I = delta.identity : tensor<4x4xf32>
    delta.yield outs(%I : tensor<4x4xf32>)
  }
  return %i : tensor<?x1x4x4xf32>
}
