// RUN: wyvern-opt %s | wyvern-opt | FileCheck %s
// RUN: wyvern-opt %s -mlir-print-op-generic | wyvern-opt | FileCheck %s

// The example of the ops' documentation, word for word (test/lint compares it with
// the ODS files), and every other form.

// CHECK-LABEL: func.func @copy
// CHECK: sched.kernel "copy" grid(heads = 2, split = 1, over = slots of 1) chunk = 64 compute = f32 min_blocks 1
// CHECK-SAME: ins(%[[IN:[^ ]*]] = %{{[^ ]*}}[seq, time, head, _] : tensor<?x?x2x64xbf16>)
// CHECK-SAME: outs(%[[OUT:[^ ]*]] = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
// CHECK: %[[C:[^ ]*]] = sched.channel depth 1 fill tma : <tensor<64x64xbf16>>
// CHECK: sched.role "compute" warps 4 {
// CHECK: sched.each_chunk forward valid(%{{.*}}) {
// CHECK: %[[X:[^ ]*]] = sched.get %[[C]] : <tensor<64x64xbf16>> -> tensor<64x64xf32>
// CHECK: sched.store %[[X]] to %[[OUT]]
// CHECK: sched.role "load" warps 1 {
// CHECK: %[[L:[^ ]*]] = sched.load %[[IN]]
// CHECK: sched.put %[[L]] to %[[C]]
func.func @copy(%0: tensor<?x?x2x64xbf16>) {
  %y = sched.kernel "copy" grid(heads = 2, split = 1, over = slots of 1)
      chunk = 64 compute = f32 min_blocks 1
      ins(%x = %0[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      outs(%z = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %in = sched.channel depth 1 fill tma : <tensor<64x64xbf16>>
    sched.role "compute" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %in : <tensor<64x64xbf16>> -> tensor<64x64xf32>
        sched.store %X to %z : tensor<64x64xf32>, <tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    sched.role "load" warps 1 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %x : <tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        sched.put %X to %in
            : <tensor<64x64xbf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return
}

// Carries, budgets of registers, groups that share a dimension or take chunks in turn,
// packed sequences, from the last chunk to the first.
// CHECK-LABEL: func.func @carries
// CHECK: sched.kernel "sum" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 2
// CHECK-SAME: inits(%{{.*}} = %{{.*}}[seq, head, _, _] : tensor<?x2x64x128xf32>) cu_seqlens(%{{.*}} : tensor<?xi64>)
// CHECK-SAME: finals(%[[FINAL:[^ ]*]] = [seq, head, _, _] : tensor<?x2x64x128xf32>) {
func.func @carries(%x: tensor<?x?x2x128xbf16>, %s0: tensor<?x2x64x128xf32>, %cu: tensor<?xi64>) -> tensor<?x2x64x128xf32> {
  %sN = sched.kernel "sum" grid(heads = 2, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 2
      ins(%in = %x[seq, time, head, _] : tensor<?x?x2x128xbf16>)
      inits(%init = %s0[seq, head, _, _] : tensor<?x2x64x128xf32>)
      cu_seqlens(%cu : tensor<?xi64>)
      finals(%final = [seq, head, _, _] : tensor<?x2x64x128xf32>) {
    %c = sched.channel depth 4 fill tma : !sched.channel<tensor<64x128xbf16>>
    %d = sched.channel depth 2 fill warps : !sched.channel<tensor<64x128xf32>>
    // CHECK: sched.role "state" warps 4 split 2 registers 208 {
    sched.role "state" warps 4 split 2 registers 208 {
      // CHECK: %[[S0:[^ ]*]] = sched.load
      %S0 = sched.load %init : !sched.global<tensor<?x2x64x128xf32>> -> tensor<64x128xf32>
      // CHECK: %[[SN:[^ ]*]] = sched.each_chunk reverse overlap valid(%{{.*}}) carries(%[[S:[^ ]*]] = %[[S0]] : tensor<64x128xf32>) {
      %SN = sched.each_chunk reverse overlap valid(%n) carries(%S = %S0 : tensor<64x128xf32>) {
        %X = sched.get %d : !sched.channel<tensor<64x128xf32>> -> tensor<64x128xf32>
        %S1 = arith.addf %S, %X : tensor<64x128xf32>
        // CHECK: sched.yield %{{.*}} : tensor<64x128xf32>
        sched.yield %S1 : tensor<64x128xf32>
      }
      // CHECK: sched.store %[[SN]] to %[[FINAL]] : tensor<64x128xf32>
      sched.store %SN to %final : tensor<64x128xf32>, !sched.global<tensor<?x2x64x128xf32>>
    }
    // CHECK: sched.role "double" warps 4 copies 2 registers 64 {
    sched.role "double" warps 4 copies 2 registers 64 {
      sched.each_chunk reverse valid(%n) {
        %X = sched.get %c : !sched.channel<tensor<64x128xbf16>> -> tensor<64x128xf32>
        %Y = arith.addf %X, %X : tensor<64x128xf32>
        sched.put %Y to %d : !sched.channel<tensor<64x128xf32>>, tensor<64x128xf32>
        sched.yield
      }
    }
    // CHECK: sched.role "load" warps 4 registers 24 {
    sched.role "load" warps 4 registers 24 {
      sched.each_chunk reverse valid(%n) {
        %X = sched.load %in : !sched.global<tensor<?x?x2x128xbf16>> -> tensor<64x128xf32>
        sched.put %X to %c : !sched.channel<tensor<64x128xbf16>>, tensor<64x128xf32>
        sched.yield
      }
    }
  }
  return %sN : tensor<?x2x64x128xf32>
}

// CHECK-LABEL: func.func @carry
// CHECK: %{{.*}} = sched.each_chunk forward valid(%{{.*}}) carries(%{{.*}} = %{{.*}} : tensor<64x64xf32>) {
func.func @carry(%x: tensor<?x64x64xf32>, %y: tensor<?x?x64xf32>) -> tensor<?x64x64xf32> {
  %z = sched.kernel "carry" grid(heads = 1, split = 1, over = sequences)
      chunk = 64 compute = f32 min_blocks 1
      ins(%in = %y[seq, time, _] : tensor<?x?x64xf32>)
      inits(%init = %x[seq, _, _] : tensor<?x64x64xf32>)
      finals(%final = [seq, _, _] : tensor<?x64x64xf32>) {
    sched.role "only" warps 4 {
      %s0 = sched.load %init : !sched.global<tensor<?x64x64xf32>> -> tensor<64x64xf32>
      %sN = sched.each_chunk forward valid(%n) carries(%S = %s0 : tensor<64x64xf32>) {
        %S1 = arith.addf %S, %S : tensor<64x64xf32>
        sched.yield %S1 : tensor<64x64xf32>
      }
      sched.store %sN to %final : tensor<64x64xf32>, !sched.global<tensor<?x64x64xf32>>
    }
  }
  return %z : tensor<?x64x64xf32>
}

// Blocks of a cluster, a channel across them and a role that they divide.
// CHECK-LABEL: func.func @cluster
// CHECK: sched.kernel "blocks" grid(heads = 2, split = 2 cluster, over = sequences)
// CHECK: %[[C:[^ ]*]] = sched.channel depth 1 fill warps across : <tensor<64x128xbf16>>
// CHECK: sched.role "one" warps 4 {
// CHECK: sched.role "two" warps 4 divided {
func.func @cluster(%a: tensor<?x?x2x128xbf16>) {
  %y = sched.kernel "blocks" grid(heads = 2, split = 2 cluster, over = sequences)
      chunk = 64 compute = f32 min_blocks 1
      ins(%in = %a[seq, time, head, _] : tensor<?x?x2x128xbf16>)
      outs(%z = [seq, time, head, _] : tensor<?x?x2x128xbf16>) {
    %x = sched.channel depth 1 fill warps across : <tensor<64x128xbf16>>
    sched.role "one" warps 4 {
      sched.each_chunk forward valid(%n) {
        %X = sched.load %in : <tensor<?x?x2x128xbf16>> -> tensor<64x128xf32>
        sched.put %X to %x : <tensor<64x128xbf16>>, tensor<64x128xf32>
        sched.yield
      }
    }
    sched.role "two" warps 4 divided {
      sched.each_chunk forward valid(%n) {
        %X = sched.get %x : <tensor<64x128xbf16>> -> tensor<64x128xf32>
        sched.store %X to %z : tensor<64x128xf32>, <tensor<?x?x2x128xbf16>>
        sched.yield
      }
    }
  }
  return
}
