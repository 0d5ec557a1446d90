// RUN: wyvern-opt %s | FileCheck %s
// RUN: wyvern-opt %s -delta-stage | FileCheck %s --check-prefix=STAGED

// What is not told by a name in the function is called by what it is: valid
// tokens n, carries S. A matrix has a capital. The results of the chunk ops have
// the letters of their formulas.

// CHECK-LABEL: func.func @layer
// CHECK: %o, %final_state = delta.chunk_scan
// CHECK-SAME: ins(%K = %arg0[{{.*}}, %beta = %arg1[{{.*}}, %dO = %arg2[{{.*}}, %arg5 = %arg3[{{.*}}carry(%S = %arg4[{{.*}}valid(%n)
// CHECK: %M = delta.decay_dot
// CHECK: %R, %U = delta.erase_solve %M, %beta, %dO
// CHECK: delta.mask_rows %arg5, %n
// CHECK: %Z = delta.erase_factor

// A tensor between two programs is read under the name of what it holds.

// STAGED-LABEL: func.func @layer
// STAGED: %outs:2 = delta.chunk_map
// STAGED: delta.yield outs(%U, %Z
// STAGED: %o, %final_state = delta.chunk_scan
// STAGED-SAME: %U = %outs#0[{{.*}}, %Z = %outs#1[
func.func @layer(%k: tensor<?x?x1x16xf32> {delta.name = "k"}, %beta: tensor<?x?x1xf32> {delta.name = "beta"}, %do: tensor<?x?x1x16xf32> {delta.name = "d_o"},
    %x: tensor<?x?x1x16xf32>, %s0: tensor<?x1x16x16xf32> {delta.name = "initial_state"})
    -> (tensor<?x?x1x16xf32> {delta.name = "o"}, tensor<?x1x16x16xf32> {delta.name = "final_state"}) {
  %o, %sT = delta.chunk_scan forward chunk = 16 heads = 1 compute = f32
      ins(%a = %k[seq, time, head, _] : tensor<?x?x1x16xf32>, %b = %beta[seq, time, head] : tensor<?x?x1xf32>,
          %c = %do[seq, time, head, _] : tensor<?x?x1x16xf32>, %d = %x[seq, time, head, _] : tensor<?x?x1x16xf32>)
      carry(%e = %s0[seq, head, _, _] : tensor<?x1x16x16xf32>) outs([seq, time, head, _] : tensor<?x?x1x16xf32>) valid(%f) {
    %0 = delta.decay_dot before_row %a, %a : tensor<16x16xf32>, tensor<16x16xf32> -> tensor<16x16xf32>
    %1, %2 = delta.erase_solve %0, %b, %c : tensor<16x16xf32>, tensor<16xf32>, tensor<16x16xf32> -> tensor<16x16xf32>, tensor<16x16xf32>
    %3 = delta.mask_rows %d, %f : tensor<16x16xf32>
    %4 = delta.erase_factor %0, %b : tensor<16x16xf32>, tensor<16xf32> -> tensor<16x16xf32>
    %6 = linalg.contract indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
        ins(%4, %e : tensor<16x16xf32>, tensor<16x16xf32>) outs(%2 : tensor<16x16xf32>) -> tensor<16x16xf32>
    %7 = arith.addf %6, %3 : tensor<16x16xf32>
    delta.yield outs(%7 : tensor<16x16xf32>) carry(%7 : tensor<16x16xf32>)
  }
  return %o, %sT : tensor<?x?x1x16xf32>, tensor<?x1x16x16xf32>
}
