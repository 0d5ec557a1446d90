// RUN: wyvern-opt %s -convert-sched-to-delta | FileCheck %s

// Tiles go from the role that makes them to the role that reads them, whatever the order
// of the roles is. A channel of 16 bits rounds what is computed; what was loaded from 16
// bits is rounded already, and so is a vector that is held in f32.
// CHECK-LABEL: func.func @map
// CHECK-SAME: (%[[XS:.*]]: tensor<?x?x2x64xbf16>, %[[GS:.*]]: tensor<?x?x2xf32>)
// CHECK: %[[Y:.*]] = delta.chunk_map chunk = 64 heads = 2 compute = f32
// CHECK-SAME: ins(%[[X:[^ ]*]] = %[[XS]][seq, time, head, _] : tensor<?x?x2x64xbf16>, %[[G:[^ ]*]] = %[[GS]][seq, time, head] : tensor<?x?x2xf32>)
// CHECK-SAME: outs([seq, time, head, _] : tensor<?x?x2x64xbf16>) valid(%[[N:.*]]) {
// CHECK-NEXT: %[[TWO:.*]] = arith.constant dense<2.000000e+00>
// CHECK-NEXT: %[[E:.*]] = math.exp %[[X]]
// CHECK-NEXT: %[[R:.*]] = arith.truncf %[[E]] : tensor<64x64xf32> to tensor<64x64xbf16>
// CHECK-NEXT: %[[F:.*]] = arith.extf %[[R]] : tensor<64x64xbf16> to tensor<64x64xf32>
// CHECK-NEXT: %[[H:.*]] = delta.cumsum %[[G]]
// CHECK-NEXT: %[[M:.*]] = delta.mask_rows %[[F]], %[[N]]
// CHECK-NEXT: %[[Z:.*]] = arith.mulf %[[M]], %[[TWO]]
// CHECK-NEXT: delta.yield outs(%[[Z]] : tensor<64x64xf32>)
// CHECK: return %[[Y]]
func.func @map(%x: tensor<?x?x2x64xbf16>, %g: tensor<?x?x2xf32>) -> tensor<?x?x2x64xbf16> {
  %y = sched.kernel "map" grid(heads = 2, split = 1, over = slots of 1) chunk = 64 compute = f32 min_blocks 1
      ins(%X = %x[seq, time, head, _] : tensor<?x?x2x64xbf16>, %G = %g[seq, time, head] : tensor<?x?x2xf32>)
      outs(%Y = [seq, time, head, _] : tensor<?x?x2x64xbf16>) {
    %two = arith.constant dense<2.0> : tensor<64x64xf32>
    %in = sched.channel depth 2 fill tma : <tensor<64x64xbf16>, tensor<64xf32>>
    %exp = sched.channel depth 2 fill warps : <tensor<64x64xbf16>>
    sched.role "last" warps 4 {
      sched.each_chunk forward valid(%n) {
        %a = sched.get %exp : <tensor<64x64xbf16>> -> tensor<64x64xf32>
        %m = delta.mask_rows %a, %n : tensor<64x64xf32>
        %z = arith.mulf %m, %two : tensor<64x64xf32>
        sched.store %z to %Y : tensor<64x64xf32>, <tensor<?x?x2x64xbf16>>
        sched.yield
      }
    }
    sched.role "first" warps 4 copies 2 {
      sched.each_chunk forward valid(%n) {
        %a, %b = sched.get %in : <tensor<64x64xbf16>, tensor<64xf32>> -> tensor<64x64xf32>, tensor<64xf32>
        %e = math.exp %a : tensor<64x64xf32>
        sched.put %e to %exp : <tensor<64x64xbf16>>, tensor<64x64xf32>
        %h = delta.cumsum %b : tensor<64xf32>
        sched.yield
      }
    }
    sched.role "load" warps 1 {
      sched.each_chunk forward valid(%n) {
        %a = sched.load %X : <tensor<?x?x2x64xbf16>> -> tensor<64x64xf32>
        %b = sched.load %G : <tensor<?x?x2xf32>> -> tensor<64xf32>
        sched.put %a, %b to %in : <tensor<64x64xbf16>, tensor<64xf32>>, tensor<64x64xf32>, tensor<64xf32>
        sched.yield
      }
    }
  }
  return %y : tensor<?x?x2x64xbf16>
}

// The carries are those of all roles, whose finals may come in another order. Tiles cross
// both ways between the roles.
// CHECK-LABEL: func.func @scan
// CHECK-SAME: (%[[XS:.*]]: tensor<?x?x1x64xbf16>, %[[S0:.*]]: tensor<?x1x64x64xf32>, %[[T0:.*]]: tensor<?x1x64x64xf32>, %[[CU:.*]]: tensor<?xi64>)
// CHECK: %[[Y:.*]], %[[R:.*]]:2 = delta.chunk_scan reverse chunk = 64 heads = 1 compute = f32 ins(%[[X:[^ ]*]] = %[[XS]]
// CHECK-SAME: carry(%[[T:[^ ]*]] = %[[T0]][seq, head, _, _] : tensor<?x1x64x64xf32>, %[[S:[^ ]*]] = %[[S0]][seq, head, _, _] : tensor<?x1x64x64xf32>)
// CHECK-SAME: cu_seqlens(%[[CU]] : tensor<?xi64>)
// CHECK: %[[T1:.*]] = arith.addf %[[T]], %[[X]]
// CHECK: %[[S1:.*]] = arith.mulf %[[S]], %[[T1]]
// CHECK: %[[T2:.*]] = arith.addf %[[T1]], %[[S1]]
// CHECK: delta.yield outs(%[[S]] : tensor<64x64xf32>) carry(%[[T2]], %[[S1]] : tensor<64x64xf32>, tensor<64x64xf32>)
// CHECK: return %[[Y]], %[[R]]#1, %[[R]]#0
func.func @scan(%x: tensor<?x?x1x64xbf16>, %s0: tensor<?x1x64x64xf32>, %t0: tensor<?x1x64x64xf32>, %cu: tensor<?xi64>)
    -> (tensor<?x?x1x64xbf16>, tensor<?x1x64x64xf32>, tensor<?x1x64x64xf32>) {
  %y, %sN, %tN = sched.kernel "scan" grid(heads = 1, split = 1, over = sequences) chunk = 64 compute = f32 min_blocks 1
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      inits(%S0 = %s0[seq, head, _, _] : tensor<?x1x64x64xf32>, %T0 = %t0[seq, head, _, _] : tensor<?x1x64x64xf32>)
      cu_seqlens(%cu : tensor<?xi64>)
      outs(%Y = [seq, time, head, _] : tensor<?x?x1x64xbf16>)
      finals(%SN = [seq, head, _, _] : tensor<?x1x64x64xf32>, %TN = [seq, head, _, _] : tensor<?x1x64x64xf32>) {
    %there = sched.channel depth 1 fill warps : <tensor<64x64xf32>>
    %back = sched.channel depth 1 fill warps : <tensor<64x64xf32>>
    sched.role "one" warps 4 {
      %t = sched.load %T0 : <tensor<?x1x64x64xf32>> -> tensor<64x64xf32>
      %last = sched.each_chunk reverse valid(%n) carries(%T = %t : tensor<64x64xf32>) {
        %a = sched.load %X : <tensor<?x?x1x64xbf16>> -> tensor<64x64xf32>
        %T1 = arith.addf %T, %a : tensor<64x64xf32>
        sched.put %T1 to %there : <tensor<64x64xf32>>, tensor<64x64xf32>
        %S1 = sched.get %back : <tensor<64x64xf32>> -> tensor<64x64xf32>
        %T2 = arith.addf %T1, %S1 : tensor<64x64xf32>
        sched.yield %T2 : tensor<64x64xf32>
      }
      sched.store %last to %TN : tensor<64x64xf32>, <tensor<?x1x64x64xf32>>
    }
    sched.role "other" warps 4 {
      %s = sched.load %S0 : <tensor<?x1x64x64xf32>> -> tensor<64x64xf32>
      %last = sched.each_chunk reverse valid(%n) carries(%S = %s : tensor<64x64xf32>) {
        sched.store %S to %Y : tensor<64x64xf32>, <tensor<?x?x1x64xbf16>>
        %T1 = sched.get %there : <tensor<64x64xf32>> -> tensor<64x64xf32>
        %S1 = arith.mulf %S, %T1 : tensor<64x64xf32>
        sched.put %S1 to %back : <tensor<64x64xf32>>, tensor<64x64xf32>
        sched.yield %S1 : tensor<64x64xf32>
      }
      sched.store %last to %SN : tensor<64x64xf32>, <tensor<?x1x64x64xf32>>
    }
  }
  return %y, %sN, %tN : tensor<?x?x1x64xbf16>, tensor<?x1x64x64xf32>, tensor<?x1x64x64xf32>
}

// Blocks that start anew every two chunks; a channel that rounds to another type than the
// tensor's; a carry whose last value nobody stores.
// CHECK-LABEL: func.func @slots
// CHECK: delta.chunk_scan forward {{.*}} carry(%[[S:[^ ]*]] = %{{[^ ]*}}[chunk * 2, head, _, _] : tensor<?x1x64x64xf32>)
// CHECK: arith.truncf %{{.*}} : tensor<64x64xf32> to tensor<64x64xf16>
func.func @slots(%x: tensor<?x?x1x64xbf16>, %s0: tensor<?x1x64x64xf32>) -> tensor<?x?x1x64xbf16> {
  %y, %sN = sched.kernel "slots" grid(heads = 1, split = 1, over = slots of 2) chunk = 64 compute = f32 min_blocks 1
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      inits(%S0 = %s0[chunk * 2, head, _, _] : tensor<?x1x64x64xf32>)
      outs(%Y = [seq, time, head, _] : tensor<?x?x1x64xbf16>)
      finals(%SN = [chunk * 2, head, _, _] : tensor<?x1x64x64xf32>) {
    %c = sched.channel depth 1 fill warps : <tensor<64x64xf16>>
    sched.role "state" warps 4 {
      %s = sched.load %S0 : <tensor<?x1x64x64xf32>> -> tensor<64x64xf32>
      %last = sched.each_chunk forward valid(%n) carries(%S = %s : tensor<64x64xf32>) {
        %a = sched.get %c : <tensor<64x64xf16>> -> tensor<64x64xf32>
        %S1 = arith.addf %S, %a : tensor<64x64xf32>
        sched.store %S1 to %Y : tensor<64x64xf32>, <tensor<?x?x1x64xbf16>>
        sched.yield %S1 : tensor<64x64xf32>
      }
    }
    sched.role "load" warps 4 {
      sched.each_chunk forward valid(%n) {
        %a = sched.load %X : <tensor<?x?x1x64xbf16>> -> tensor<64x64xf32>
        sched.put %a to %c : <tensor<64x64xf16>>, tensor<64x64xf32>
        sched.yield
      }
    }
  }
  return %y : tensor<?x?x1x64xbf16>
}

// Runs of chunks that start from what the role makes: a map writes it for every run.
// CHECK-LABEL: func.func @runs
// CHECK: %[[I:.*]] = delta.chunk_map chunk = 128 heads = 1
// CHECK-SAME: ins(%{{[^ ]*}} = %[[XS:[^ ]*]][seq, time, head, _]
// CHECK-SAME: cu_seqlens(%[[CU:[^ ]*]] :
// CHECK-SAME: outs([chunk, head, _, _] : tensor<?x1x64x64xf32>)
// CHECK-NEXT: %[[ONE:.*]] = delta.identity
// CHECK-NEXT: delta.yield outs(%[[ONE]] :
// CHECK: delta.chunk_scan forward chunk = 64
// CHECK-SAME: ins(%[[X:[^ ]*]] = %[[XS]][seq, time, head, _]
// CHECK-SAME: carry(%[[S:[^ ]*]] = %[[I]][chunk * 2, head, _, _] : tensor<?x1x64x64xf32>) cu_seqlens(%[[CU]] :
// CHECK-SAME: outs([chunk * 2 + 1, head, _, _] : tensor<?x1x64x64xbf16>)
// CHECK-NEXT: %[[S1:.*]] = arith.addf %[[S]], %[[X]]
// CHECK-NEXT: delta.yield outs(%[[S1]] : tensor<64x64xf32>) carry(%[[S1]] : tensor<64x64xf32>)
func.func @runs(%x: tensor<?x?x1x64xbf16>, %cu: tensor<?xi64>) -> tensor<?x1x64x64xbf16> {
  %y = sched.kernel "runs" grid(heads = 1, split = 1, over = slots of 2) chunk = 64 compute = f32 min_blocks 1
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>) cu_seqlens(%cu : tensor<?xi64>)
      outs(%Y = [chunk * 2 + 1, head, _, _] : tensor<?x1x64x64xbf16>) {
    sched.role "state" warps 4 {
      %I = delta.identity : tensor<64x64xf32>
      %last = sched.each_chunk forward valid(%n) carries(%S = %I : tensor<64x64xf32>) {
        %a = sched.load %X : <tensor<?x?x1x64xbf16>> -> tensor<64x64xf32>
        %S1 = arith.addf %S, %a : tensor<64x64xf32>
        sched.store %S1 to %Y : tensor<64x64xf32>, <tensor<?x1x64x64xbf16>>
        sched.yield %S1 : tensor<64x64xf32>
      }
    }
  }
  return %y : tensor<?x1x64x64xbf16>
}
