// RUN: wyvern-opt %s -canonicalize -cse -symbol-dce | FileCheck %s
// RUN: wyvernc %specs/gated_deltanet.yaml --training --emit=scheduled -o %t.mlir
// RUN: wyvern-opt %t.mlir -canonicalize -cse -convert-sched-to-tile -canonicalize -cse > %t.clean
// RUN: wyvern-opt %t.mlir -convert-sched-to-tile -canonicalize -cse | diff - %t.clean

// Passes that know nothing of kernels must leave them what they are: a tile that
// nobody looks at is still waited for, two channels of one type are two, and a constant
// may move to the kernel's beginning.

// CHECK-LABEL: func.func @kernel
// CHECK: sched.kernel "k"
// CHECK-NEXT: %[[TWO:.*]] = arith.constant dense<2.000000e+00>
// CHECK-NEXT: %[[C:.*]] = sched.channel depth 1 fill warps : <tensor<64x64xf32>>
// CHECK-NEXT: %[[D:.*]] = sched.channel depth 1 fill warps : <tensor<64x64xf32>>
// CHECK-NEXT: sched.role "first" warps 4 {
// CHECK-NEXT: sched.each_chunk
// CHECK-NEXT: %[[X:.*]] = sched.load %in
// CHECK-NEXT: %[[Y:.*]] = arith.mulf %[[X]], %[[TWO]]
// CHECK-NEXT: sched.put %[[Y]] to %[[C]]
// CHECK-NEXT: sched.put %[[Y]] to %[[D]]
// CHECK-NEXT: sched.yield
// CHECK: sched.role "second" warps 4 {
// CHECK-NEXT: sched.each_chunk
// CHECK-NEXT: sched.get %[[C]]
// CHECK-NEXT: %[[Z:.*]] = sched.get %[[D]]
// CHECK-NEXT: %[[W:.*]] = arith.mulf %[[Z]], %[[TWO]]
// CHECK-NEXT: sched.store %[[W]] to %out
// Nobody reads what the kernel returns; it may be large, and still it is a launch.
func.func @kernel(%x: tensor<?x?x2x64xbf16>) {
  %y = sched.kernel "k" grid(heads = 2, split = 1, over = slots of 1) chunk = 64 compute = f32 min_blocks 1
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%out = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %c = sched.channel depth 1 fill warps : !sched.channel<tensor<64x64xf32>>
    %d = sched.channel depth 1 fill warps : !sched.channel<tensor<64x64xf32>>
    sched.role "first" warps 4 {
      sched.each_chunk forward valid(%n) {
        %two = arith.constant dense<2.0> : tensor<64x64xf32>
        %X = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        %again = sched.load %in : !sched.global<tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        %Y = arith.mulf %X, %two : tensor<64x64xf32>
        %Z = arith.mulf %again, %two : tensor<64x64xf32>
        sched.put %Y to %c : !sched.channel<tensor<64x64xf32>>, tensor<64x64xf32>
        sched.put %Z to %d : !sched.channel<tensor<64x64xf32>>, tensor<64x64xf32>
        sched.yield
      }
    }
    sched.role "second" warps 4 {
      sched.each_chunk forward valid(%n) {
        %two = arith.constant dense<2.0> : tensor<64x64xf32>
        %X = sched.get %c : !sched.channel<tensor<64x64xf32>> -> tensor<64x64xf32>
        %Y = sched.get %d : !sched.channel<tensor<64x64xf32>> -> tensor<64x64xf32>
        %Z = arith.mulf %Y, %two : tensor<64x64xf32>
        sched.store %Z to %out : tensor<64x64xf32>, !sched.global<tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
  }
  return
}
