// RUN: wyvern-opt %s -test-print-time-dims -o /dev/null | FileCheck %s

#mk = affine_map<(m, n, k) -> (m, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// 4 tokens and 4 channels: bindings say which is which, and operations carry it
// on. A tile with rows is stored by rows, others in a slot a chunk.
// CHECK-LABEL: @rows delta.chunk_scan
// CHECK-NEXT: %Q: time = [0], stored as tensor<?x?x1x4xf32> #delta.binding<[seq, time, head, _]>{{$}}
// CHECK-NEXT: %c: time = [0], stored as tensor<?x?x1xf32> #delta.binding<[seq, time, head]>{{$}}
// CHECK-NEXT: %S: time = [], stored as tensor<?x1x4x4xf32> #delta.binding<[chunk, head, _, _]>{{$}}
// CHECK-NEXT: %cst: time = [], stored as tensor<?x1x4x4xf32> #delta.binding<[chunk, head, _, _]>{{$}}
// CHECK-NEXT: %0: time = [], stored as tensor<?x1x4x4xf32> #delta.binding<[chunk, head, _, _]>{{$}}
// CHECK-NEXT: %M: time = [0, 1], stored as tensor<?x?x1x4xf32> #delta.binding<[seq, time, head, _]>{{$}}
// CHECK-NEXT: %1: time = [0], stored as tensor<?x?x1x4xf32> #delta.binding<[seq, time, head, _]>{{$}}
// CHECK-NEXT: %R: time = [0], stored as tensor<?x?x1x4xf32> #delta.binding<[seq, time, head, _]>{{$}}
// CHECK-NEXT: %U: time = [0], stored as tensor<?x?x1x4xf32> #delta.binding<[seq, time, head, _]>{{$}}
// CHECK-NEXT: %transposed: time = [1], stored as tensor<?x1x4x?xf32> #delta.binding<[seq, head, _, time]>{{$}}
// CHECK-NEXT: %broadcasted: time = [1], stored as tensor<?x1x4x?xf32> #delta.binding<[seq, head, _, time]>{{$}}
// CHECK-NEXT: %2: time = [1], stored as tensor<?x1x4x?xf32> #delta.binding<[seq, head, _, time]>{{$}}
// CHECK-NEXT: %3: time = [], stored as tensor<?x1x4x4xf32> #delta.binding<[chunk, head, _, _]>{{$}}
// CHECK-NEXT: %4: time = [0], stored as tensor<?x?x1xf32> #delta.binding<[seq, time * 2, head]>{{$}}
func.func @rows(%q: tensor<?x?x1x4xf32> {delta.name = "q"}, %beta: tensor<?x?x1xf32> {delta.name = "c"}, %s0: tensor<?x1x4x4xf32> {delta.name = "s0"})
    -> (tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>) {
  %o, %sT = delta.chunk_scan forward chunk = 4 heads = 1 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x4xf32>, %c = %beta[seq, time, head] : tensor<?x?x1xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x4x4xf32>) outs([seq, time, head, _] : tensor<?x?x1x4xf32>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<4x4xf32>
    %e = tensor.empty() : tensor<4x4xf32>
    %L = delta.decay_dot before_row %Q, %Q : tensor<4x4xf32>, tensor<4x4xf32> -> tensor<4x4xf32>
    %QS = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%Q, %S : tensor<4x4xf32>, tensor<4x4xf32>) outs(%zero : tensor<4x4xf32>) -> tensor<4x4xf32>
    %R, %U = delta.erase_solve %L, %c, %QS : tensor<4x4xf32>, tensor<4xf32>, tensor<4x4xf32> -> tensor<4x4xf32>, tensor<4x4xf32>
    %Ut = linalg.transpose ins(%U : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) permutation = [1, 0]
    %b = linalg.broadcast ins(%c : tensor<4xf32>) outs(%e : tensor<4x4xf32>) dimensions = [0]
    %bU = arith.mulf %b, %Ut : tensor<4x4xf32>
    %S1 = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%Q, %U : tensor<4x4xf32>, tensor<4x4xf32>) outs(%S : tensor<4x4xf32>) -> tensor<4x4xf32>
    %n2 = delta.repeat_rows %c by 2 : tensor<4xf32> -> tensor<8xf32>
    delta.yield outs(%QS : tensor<4x4xf32>) carry(%S1 : tensor<4x4xf32>)
  }
  return %o, %sT : tensor<?x?x1x4xf32>, tensor<?x1x4x4xf32>
}

// Tiles with more rows than a chunk: how many a token is told by what they are
// made of, not by their size.
// CHECK-LABEL: @tiles delta.chunk_map
// CHECK-NEXT: %Q: time = [0], stored as tensor<?x?x1x4xf32> #delta.binding<[seq, time in 4, head, _]>{{$}}
// CHECK-NEXT: %g: time = [0], stored as tensor<?x?x1xf32> #delta.binding<[seq, time in 4, head]>{{$}}
// CHECK-NEXT: %K: time = [0], stored as tensor<?x?x1x4xf32> #delta.binding<[seq, time * 3 in 8, head, _]>{{$}}
// CHECK-NEXT: %M: time = [0, 1], stored as tensor<?x?x1x8xf32> #delta.binding<[seq, time in 4, head, _]>{{$}}
// CHECK-NEXT: %M_0: time = [0, 1], stored as tensor<?x?x1x8xf32> #delta.binding<[seq, time * 3 in 8, head, _]>{{$}}
// CHECK-NEXT: %0: time = [0], stored as tensor<?x?x1xf32> #delta.binding<[seq, time * 3 in 8, head]>{{$}}
// CHECK-NEXT: %1: time = [0], stored as tensor<?x?x1xf32> #delta.binding<[seq, time in 4, head]>{{$}}
func.func @tiles(%q: tensor<?x?x1x4xf32> {delta.name = "q"}, %gates: tensor<?x?x1xf32> {delta.name = "g"}, %k: tensor<?x?x1x4xf32> {delta.name = "k"})
    -> tensor<?x?x1xf32> {
  %s = delta.chunk_map chunk = 2 heads = 1 compute = f32
      ins(%Q = %q[seq, time in 4, head, _] : tensor<?x?x1x4xf32>, %g = %gates[seq, time in 4, head] : tensor<?x?x1xf32>,
          %K = %k[seq, time * 3 in 8, head, _] : tensor<?x?x1x4xf32>)
      outs([seq, time in 4, head] : tensor<?x?x1xf32>) valid(%n) {
    %P = delta.decay_dot upto_token %Q, %K decay(%g : tensor<4xf32>) rows [1, 3] : tensor<4x4xf32>, tensor<8x4xf32> -> tensor<4x8xf32>
    %L = delta.decay_dot before_row %K, %K decay(%g : tensor<4xf32>) rows [3, 3] : tensor<8x4xf32>, tensor<8x4xf32> -> tensor<8x8xf32>
    %rows = delta.repeat_rows %g by 3 : tensor<4xf32> -> tensor<8xf32>
    %sums = delta.sum_rows %rows by 3 : tensor<8xf32> -> tensor<4xf32>
    delta.yield outs(%sums : tensor<4xf32>)
  }
  return %s : tensor<?x?x1xf32>
}
