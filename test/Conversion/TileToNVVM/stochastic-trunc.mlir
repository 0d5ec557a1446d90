// RUN: wyvern-opt %s -tile-plan-smem -convert-tile-to-nvvm | FileCheck %s

// A random word is for two elements. Side by side in memory a thread holds both, and makes the
// word once: with the key's two, 2 + 4 of two multiplications each for 8 elements.

// CHECK-LABEL: llvm.func @pairs
// CHECK-COUNT-6: llvm.mlir.constant(2146121005 : i32)
// CHECK-NOT: llvm.mlir.constant(2146121005 : i32)
// CHECK: llvm.fcmp "uno"
// CHECK: llvm.store
tile.kernel @pairs(%o: !tile.global<tensor<?x64x16xbf16>>, %seeds: !tile.global<tensor<?xi64>>)
    grid 1 * sequences warps 4 min_blocks 1 operands ["o", "seeds"] {
  %c0 = arith.constant 0 : index
  %x = arith.constant dense<1.0> : tensor<64x16xf32, #tile.layout<acc>>
  %seed = tile.load_index %seeds[%c0] else %c0 : !tile.global<tensor<?xi64>>
  %y = tile.stochastic_trunc %x seed %seed pair %c0 steps [16, 1] : tensor<64x16xf32, #tile.layout<acc>> -> tensor<64x16xbf16, #tile.layout<acc>>
  tile.store_matrix %y to %o[%c0, %c0, %c0] dims [1, 2] : tensor<64x16xbf16, #tile.layout<acc>>, !tile.global<tensor<?x64x16xbf16>>
}

// Along the other dimension each makes its own.

// CHECK-LABEL: llvm.func @turned
// CHECK-COUNT-10: llvm.mlir.constant(2146121005 : i32)
// CHECK-NOT: llvm.mlir.constant(2146121005 : i32)
tile.kernel @turned(%o: !tile.global<tensor<?x16x64xbf16>>, %seeds: !tile.global<tensor<?xi64>>)
    grid 1 * sequences warps 4 min_blocks 1 operands ["o", "seeds"] {
  %c0 = arith.constant 0 : index
  %x = arith.constant dense<1.0> : tensor<64x16xf32, #tile.layout<acc>>
  %seed = tile.load_index %seeds[%c0] else %c0 : !tile.global<tensor<?xi64>>
  %y = tile.stochastic_trunc %x seed %seed pair %c0 steps [1, 64] : tensor<64x16xf32, #tile.layout<acc>> -> tensor<64x16xbf16, #tile.layout<acc>>
  tile.store_matrix %y to %o[%c0, %c0, %c0] dims [2, 1] pairs : tensor<64x16xbf16, #tile.layout<acc>>, !tile.global<tensor<?x16x64xbf16>>
}
