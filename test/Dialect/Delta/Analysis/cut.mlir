// RUN: wyvern-opt %s -test-print-cut -o /dev/null | FileCheck %s

#mk = affine_map<(m, n, k) -> (m, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>

// The product of rows needs no state and crosses to the chain. Its broadcast rate
// is cheap and is made again there. The sum over the split dimension that only an
// out reads waits until after the chain: it reads the product with the state,
// which costs something, from memory, and the state itself, of which it makes the
// negative again.
// CHECK-LABEL: @cut delta.chunk_scan
// CHECK-NEXT: chain: %cst %0 %1 %broadcasted %2 %3 %6{{$}}
// CHECK-NEXT: after: %cst_0 %4 %5{{$}}
// CHECK-NEXT: crosses to the chain: %M{{$}}
// CHECK-NEXT: crosses from the chain: %1 %S{{$}}
// CHECK-NEXT: outs of before:{{$}}
// CHECK-NEXT: outs of chain: 0{{$}}
// CHECK-NEXT: outs of after: 1{{$}}
// CHECK-NEXT: recomputed: 3{{$}}
func.func @cut(%q: tensor<?x?x1x4xf32> {delta.name = "q"}, %v: tensor<?x?x1x8xf32> {delta.name = "v"}, %beta: tensor<?x?x1xf32> {delta.name = "c"}, %s0: tensor<?x1x4x8xf32> {delta.name = "s0"})
    -> (tensor<?x?x1x8xf32>, tensor<?x?x1x4xf32>, tensor<?x1x4x8xf32>) {
  %o, %d, %sT = delta.chunk_scan forward chunk = 16 heads = 1 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x4xf32>, %V = %v[seq, time, head, _] : tensor<?x?x1x8xf32>, %c = %beta[seq, time, head] : tensor<?x?x1xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x4x8xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x8xf32>, [seq, time, head, _] : tensor<?x?x1x4xf32>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<16x8xf32>
    %zq = arith.constant dense<0.0> : tensor<16x4xf32>
    %e = tensor.empty() : tensor<16x8xf32>
    %M = delta.decay_dot upto_token %Q, %Q : tensor<16x4xf32>, tensor<16x4xf32> -> tensor<16x16xf32>
    %QS = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%Q, %S : tensor<16x4xf32>, tensor<4x8xf32>) outs(%zero : tensor<16x8xf32>) -> tensor<16x8xf32>
    %C = linalg.broadcast ins(%c : tensor<16xf32>) outs(%e : tensor<16x8xf32>) dimensions = [1]
    %cQS = arith.mulf %C, %QS : tensor<16x8xf32>
    %O = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%M, %cQS : tensor<16x16xf32>, tensor<16x8xf32>) outs(%zero : tensor<16x8xf32>) -> tensor<16x8xf32>
    %nS = arith.negf %S : tensor<4x8xf32>
    %D = linalg.contract indexing_maps = [#mk, #nk, #mn] ins(%QS, %nS : tensor<16x8xf32>, tensor<4x8xf32>) outs(%zq : tensor<16x4xf32>) -> tensor<16x4xf32>
    %S1 = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%Q, %V : tensor<16x4xf32>, tensor<16x8xf32>) outs(%S : tensor<4x8xf32>) -> tensor<4x8xf32>
    delta.yield outs(%O, %D : tensor<16x8xf32>, tensor<16x4xf32>) carry(%S1 : tensor<4x8xf32>)
  }
  return %o, %d, %sT : tensor<?x?x1x8xf32>, tensor<?x?x1x4xf32>, tensor<?x1x4x8xf32>
}
