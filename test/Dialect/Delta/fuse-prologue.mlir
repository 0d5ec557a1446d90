// RUN: wyvern-opt %s -delta-fuse-prologue -split-input-file | FileCheck %s
// RUN: wyvern-opt %s -delta-fuse-prologue -split-input-file --remarks-filter=delta-fuse-prologue -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// The product of two bf16 tensors is one of f32 tiles. The key is an in already;
// the gate becomes one.

// CHECK-LABEL: func.func @product(
// CHECK-SAME: %[[b:.*]]: tensor<?x?x2x16xbf16>, %[[k:.*]]: tensor<?x?x2x16xbf16>)
// CHECK-NOT: arith.mulf
// CHECK: delta.chunk_map
// CHECK-SAME: ins(%[[K:.*]] = %[[k]][seq, time, head, _] : tensor<?x?x2x16xbf16>, %[[B:.*]] = %[[b]][seq, time, head, _] : tensor<?x?x2x16xbf16>)
// CHECK: %[[E:.*]] = arith.mulf %[[B]], %[[K]] : tensor<64x16xf32>
// CHECK: delta.decay_dot before_row %[[E]], %[[K]]
func.func @product(%b: tensor<?x?x2x16xbf16>, %k: tensor<?x?x2x16xbf16>) -> tensor<?x?x2x64xf32> {
  %e = arith.mulf %b, %k : tensor<?x?x2x16xbf16>
  %l = delta.chunk_map chunk = 64 heads = 2 compute = f32
      ins(%E = %e[seq, time, head, _] : tensor<?x?x2x16xbf16>, %K = %k[seq, time, head, _] : tensor<?x?x2x16xbf16>)
      outs([seq, time, head, _] : tensor<?x?x2x64xf32>) valid(%n) {
    %L = delta.decay_dot before_row %E, %K : tensor<64x16xf32>, tensor<64x16xf32> -> tensor<64x64xf32>
    delta.yield outs(%L : tensor<64x64xf32>)
  }
  return %l : tensor<?x?x2x64xf32>
}

// -----

// exp(0) is not 0, so rows past the sequence's end are masked: two a token. What
// makes the operand of what moved moves too, and a tensor with another reader is
// made outside as well.

// CHECK-LABEL: func.func @chain(
// CHECK-SAME: %[[x:.*]]: tensor<?x?x2xf32>)
// CHECK: %[[outside:.*]] = math.exp
// CHECK: delta.chunk_map
// CHECK-SAME: ins(%[[X:.*]] = %[[x]][seq, time * 2, head] : tensor<?x?x2xf32>)
// CHECK-SAME: valid(%[[n:.*]]) {
// CHECK: %[[N:.*]] = arith.negf %[[X]] : tensor<64xf32>
// CHECK: %[[E:.*]] = math.exp %[[N]] : tensor<64xf32>
// CHECK: %[[M:.*]] = delta.mask_rows %[[E]], %[[n]] rows 2 : tensor<64xf32>
// CHECK: delta.cumsum %[[M]]
// CHECK: return %{{.*}}, %[[outside]]
func.func @chain(%x: tensor<?x?x2xf32>) -> (tensor<?x?x2xf32>, tensor<?x?x2xf32>) {
  %n = arith.negf %x : tensor<?x?x2xf32>
  %e = math.exp %n : tensor<?x?x2xf32>
  %o = delta.chunk_map chunk = 32 heads = 2 compute = f32
      ins(%E = %e[seq, time * 2, head] : tensor<?x?x2xf32>)
      outs([seq, time * 2, head] : tensor<?x?x2xf32>) valid(%v) {
    %c = delta.cumsum %E : tensor<64xf32>
    delta.yield outs(%c : tensor<64xf32>)
  }
  return %o, %e : tensor<?x?x2xf32>, tensor<?x?x2xf32>
}

// -----

// What is not elementwise, or changes the type, is left outside.

// CHECK-LABEL: func.func @left(
// CHECK: arith.extf
// CHECK: tensor.cast
// CHECK: delta.chunk_map
func.func @left(%x: tensor<?x?x2xbf16>, %y: tensor<?x8x2xf32>) -> tensor<?x?x2xf32> {
  // REMARK-DAG: [[@LINE+1]]:{{[0-9]+}}: remark: [Missed] arith.extf | Category:delta-fuse-prologue{{.*}}Reason="its operands are not tensors of floats of the type of its result, which could be read as that is"
  %e = arith.extf %x : tensor<?x?x2xbf16> to tensor<?x?x2xf32>
  // REMARK-DAG: [[@LINE+1]]:{{[0-9]+}}: remark: [Missed] tensor.cast | Category:delta-fuse-prologue{{.*}}Reason="it is not elementwise"
  %c = tensor.cast %y : tensor<?x8x2xf32> to tensor<?x?x2xf32>
  %o = delta.chunk_map chunk = 64 heads = 2 compute = f32
      ins(%E = %e[seq, time, head] : tensor<?x?x2xf32>, %C = %c[seq, time, head] : tensor<?x?x2xf32>)
      outs([seq, time, head] : tensor<?x?x2xf32>) valid(%n) {
    %s = arith.addf %E, %C : tensor<64xf32>
    delta.yield outs(%s : tensor<64xf32>)
  }
  return %o : tensor<?x?x2xf32>
}
