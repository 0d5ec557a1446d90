// RUN: wyvern-reduce %s -reduction-tree='traversal-mode=0 test=%S/Inputs/has-solve' | FileCheck %s
// RUN: wyvern-reduce %s -opt-reduction-pass='opt-pass=cse test=%S/Inputs/has-solve' | FileCheck %s --check-prefix=OPT

// Only the function that is interesting is left.

// CHECK-NOT: func.func @other
// CHECK: func.func @solve
// CHECK: delta.erase_solve
// CHECK-NOT: func.func @other
func.func @other(%x: tensor<8xf32>) -> tensor<8xf32> {
  %y = delta.cumsum %x : tensor<8xf32>
  return %y : tensor<8xf32>
}

// OPT-LABEL: func.func @solve
// OPT: delta.cumsum
// OPT-NOT: delta.cumsum
// OPT: delta.erase_solve
func.func @solve(%L: tensor<8x8xf32>, %g: tensor<8xf32>, %W: tensor<8x4xf32>) -> (tensor<8x4xf32>, tensor<8xf32>, tensor<8xf32>) {
  %a = delta.cumsum %g : tensor<8xf32>
  %b = delta.cumsum %g : tensor<8xf32>
  %R, %U = delta.erase_solve %L, %a, %W : tensor<8x8xf32>, tensor<8xf32>, tensor<8x4xf32> -> tensor<8x4xf32>, tensor<8x4xf32>
  return %U, %a, %b : tensor<8x4xf32>, tensor<8xf32>, tensor<8xf32>
}

func.func @other_too(%x: tensor<8xf32>) -> tensor<8xf32> {
  return %x : tensor<8xf32>
}
