// RUN: wyvern-opt %s -delta-cut-maps -split-input-file | FileCheck %s
// RUN: wyvern-opt %s -delta-cut-maps -split-input-file --remarks-filter=delta-cut-maps -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: wyvern-opt %s -delta-cut-maps=shared-bytes=8192 -split-input-file --remarks-filter=delta-cut-maps -o /dev/null 2>&1 | FileCheck %s --check-prefix=LARGE
// RUN: wyvern-opt %s -delta-cut-maps=shared-bytes=131072 -split-input-file | FileCheck %s --check-prefix=NARROW
// RUN: wyvern-opt %s -delta-cut-maps=register-bytes=32768 -split-input-file | FileCheck %s --check-prefix=PARTS
// RUN: wyvern-opt %s -delta-cut-maps=register-bytes=32768 -split-input-file --remarks-filter=delta-cut-maps -o /dev/null 2>&1 | FileCheck %s --check-prefix=PARTS-REMARK

#mn = affine_map<(m, n, k) -> (m, n)>
#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>

// A product that is read for each half of the tokens is made by a map of its own, and so are
// more sums than registers hold. What is summed crosses once, as a sum; the running sums
// of a sum are sums of running sums, one for each map. The difference of two is taken away.

// CHECK-LABEL: func.func @gradient
// CHECK: %[[P:.*]] = delta.chunk_map
// CHECK-SAME: outs([seq, time, head, _] : tensor<?x?x1x64xf32>)
// CHECK: %[[M:.*]] = linalg.contract
// CHECK: delta.yield outs(%[[M]] :
// CHECK: %[[FIRST:.*]]:2 = delta.chunk_map
// CHECK-SAME: %[[m:[a-zA-Z0-9_]+]] = %[[P]][
// CHECK: %[[A:.*]] = delta.decay_apply {{.*}}upto_token %[[m]], %[[X:[a-zA-Z0-9_]+]]
// CHECK: %[[B:.*]] = delta.decay_apply {{.*}}upto_token transpose %[[m]], %[[X]]
// CHECK: %[[AX:.*]] = arith.mulf %[[A]], %[[X]]
// CHECK: %[[BX:.*]] = arith.mulf %[[B]], %[[X]]
// CHECK: %[[AB:.*]] = arith.addf %[[A]], %[[B]]
// CHECK: %[[AXBX:.*]] = arith.subf %[[AX]], %[[BX]]
// CHECK: %[[SUM:.*]] = delta.cumsum reverse %[[AXBX]]
// CHECK: delta.yield outs(%[[SUM]], %[[AB]] :
// CHECK: delta.chunk_map
// CHECK-DAG: %[[G0:[a-zA-Z0-9_]+]] = %[[FIRST]]#0[
// CHECK-DAG: %[[D0:[a-zA-Z0-9_]+]] = %[[FIRST]]#1[
// CHECK: %[[C:.*]] = delta.decay_apply {{.*}}before_token
// CHECK: %[[CX:.*]] = arith.mulf %[[C]],
// CHECK: %[[D:.*]] = arith.addf %[[D0]], %[[C]]
// CHECK: %[[SC:.*]] = delta.cumsum reverse %[[CX]]
// CHECK: %[[G1:.*]] = arith.subf %[[G0]], %[[SC]]
// CHECK: %[[G:.*]] = arith.addf %[[G1]],
// CHECK: delta.yield outs(%[[D]], %[[G]] :
// REMARK: remark: [Passed] Cut | Category:delta-cut-maps{{.*}}Crossing=3, Maps=3
// LARGE: remark: [Passed] Cut
// LARGE: remark: [Missed] TooLarge | Category:delta-cut-maps{{.*}}Reason="a product alone needs more than a block has"
func.func @gradient(%x: tensor<?x?x1x128xbf16>, %do: tensor<?x?x1x128xbf16>, %g: tensor<?x?x1x128xf32>) -> (tensor<?x?x1x128xf32>, tensor<?x?x1x128xf32>) {
  %dx, %dg = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x128xbf16>, %dO = %do[seq, time, head, _] : tensor<?x?x1x128xbf16>, %G = %g[seq, time, head, _] : tensor<?x?x1x128xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x128xf32>, [seq, time, head, _] : tensor<?x?x1x128xf32>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    %M = linalg.contract indexing_maps = [#mk, #nk, #mn] ins(%dO, %X : tensor<64x128xf32>, tensor<64x128xf32>) outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
    %A = delta.decay_apply upto_token %M, %X decay(%G : tensor<64x128xf32>) : tensor<64x64xf32>, tensor<64x128xf32> -> tensor<64x128xf32>
    %B = delta.decay_apply upto_token transpose %M, %X decay(%G : tensor<64x128xf32>) : tensor<64x64xf32>, tensor<64x128xf32> -> tensor<64x128xf32>
    %C = delta.decay_apply before_token %M, %X decay(%G : tensor<64x128xf32>) : tensor<64x64xf32>, tensor<64x128xf32> -> tensor<64x128xf32>
    %AX = arith.mulf %A, %X : tensor<64x128xf32>
    %BX = arith.mulf %B, %X : tensor<64x128xf32>
    %CX = arith.mulf %C, %X : tensor<64x128xf32>
    %AC = arith.addf %A, %C : tensor<64x128xf32>
    %D = arith.addf %AC, %B : tensor<64x128xf32>
    %d0 = arith.subf %AX, %BX : tensor<64x128xf32>
    %d1 = arith.subf %d0, %CX : tensor<64x128xf32>
    %S = delta.cumsum reverse %d1 : tensor<64x128xf32>
    %E = arith.addf %S, %X : tensor<64x128xf32>
    delta.yield outs(%D, %E : tensor<64x128xf32>, tensor<64x128xf32>)
  }
  return %dx, %dg : tensor<?x?x1x128xf32>, tensor<?x?x1x128xf32>
}

// -----

// Without a decay a channel a map that fits is left alone.

// CHECK-LABEL: func.func @plain
// CHECK-COUNT-1: delta.chunk_map
// CHECK-NOT: delta.chunk_map
#mn = affine_map<(m, n, k) -> (m, n)>
#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
func.func @plain(%x: tensor<?x?x1x64xbf16>, %g: tensor<?x?x1xf32>) -> tensor<?x?x1x64xf32> {
  %d = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %G = %g[seq, time, head] : tensor<?x?x1xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x64xf32>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    %M = linalg.contract indexing_maps = [#mk, #nk, #mn] ins(%X, %X : tensor<64x64xf32>, tensor<64x64xf32>) outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
    %A = delta.decay_apply upto_token %M, %X decay(%G : tensor<64xf32>) : tensor<64x64xf32>, tensor<64x64xf32> -> tensor<64x64xf32>
    delta.yield outs(%A : tensor<64x64xf32>)
  }
  return %d : tensor<?x?x1x64xf32>
}

// -----

// A product that no block has room for alone is one of parts of what it sums over, 64 columns each. What has the dimension is written once
// for each part, and each product starts from the sum so far, which stays in the registers of one block.

// CHECK-LABEL: func.func @wide
// CHECK: delta.chunk_map
// CHECK-SAME: %[[X0:.*]] = %{{.*}}[seq, time, head, _ from 0 to 64] : tensor<?x?x1x512xbf16>
// CHECK-SAME: _ from 448 to 512] : tensor<?x?x1x512xbf16>
// CHECK-SAME: %[[S0:.*]] = %{{.*}}[chunk, head, _, _ from 0 to 64] : tensor<?x1x256x512xbf16>
// CHECK: %[[CX:.*]] = arith.mulf %{{.*}}, %[[X0]] : tensor<64x64xf32>
// CHECK: %[[P0:.*]] = linalg.contract {{.*}} ins(%[[CX]], %[[S0]] : tensor<64x64xf32>, tensor<256x64xf32>)
// CHECK: %[[P1:.*]] = linalg.contract {{.*}} outs(%[[P0]] : tensor<64x256xf32>)
// CHECK: linalg.contract {{.*}} outs(%[[P1]] : tensor<64x256xf32>)
// CHECK: arith.subf
// CHECK-NOT: delta.chunk_map
// REMARK: remark: [Passed] Rounds | Category:delta-cut-maps{{.*}}Columns=64

// Where registers have no room for its sum beside others, each map makes one part: it loads the sum so far, and nothing else of the others.

// PARTS-LABEL: func.func @wide
// PARTS: %[[FIRST:.*]] = delta.chunk_map
// PARTS-SAME: ins(%[[X0:.*]] = %{{.*}}[seq, time, head, _ from 384 to 512] : tensor<?x?x1x512xbf16>, %[[S0:.*]] = %{{.*}}[chunk, head, _, _ from 384 to 512] : tensor<?x1x256x512xbf16>, %[[C0:.*]] = %{{.*}}[seq, time, head] : tensor<?x?x1xf32>)
// PARTS-SAME: outs([seq, time, head, _] : tensor<?x?x1x256xf32>)
// PARTS: %[[B:.*]] = linalg.broadcast ins(%[[C0]] : tensor<64xf32>) outs(%{{.*}} : tensor<64x128xf32>)
// PARTS: %[[CX:.*]] = arith.mulf %[[B]], %[[X0]] : tensor<64x128xf32>
// PARTS: linalg.contract {{.*}} ins(%[[CX]], %[[S0]] : tensor<64x128xf32>, tensor<256x128xf32>)
// PARTS: %[[NEXT:.*]] = delta.chunk_map
// PARTS-SAME: _ from 0 to 192] : tensor<?x?x1x512xbf16>
// PARTS-SAME: %[[SUM:[a-z0-9]+]] = %[[FIRST]][
// PARTS: %[[P:.*]] = linalg.contract
// PARTS: arith.addf %[[SUM]], %[[P]]
// PARTS: delta.chunk_map
// PARTS-SAME: _ from 192 to 384] : tensor<?x?x1x512xbf16>
// PARTS-SAME: = %[[NEXT]][
// PARTS-SAME: outs([seq, time, head, _] : tensor<?x?x1x256xbf16>)
// PARTS: linalg.contract {{.*}} ins(%{{.*}}, %{{.*}} : tensor<64x192xf32>, tensor<256x192xf32>)
// PARTS: return
// PARTS-REMARK: remark: [Passed] Cut | Category:delta-cut-maps{{.*}}Crossing=2, Maps=3
#mn = affine_map<(m, n, k) -> (m, n)>
#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
func.func @wide(%x: tensor<?x?x1x512xbf16>, %s: tensor<?x1x256x512xbf16>, %c: tensor<?x?x1xf32>, %y: tensor<?x?x1x256xbf16>) -> tensor<?x?x1x256xbf16> {
  %d = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x512xbf16>, %S = %s[chunk, head, _, _] : tensor<?x1x256x512xbf16>,
          %C = %c[seq, time, head] : tensor<?x?x1xf32>, %Y = %y[seq, time, head, _] : tensor<?x?x1x256xbf16>)
      outs([seq, time, head, _] : tensor<?x?x1x256xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x256xf32>
    %e = tensor.empty() : tensor<64x512xf32>
    %B = linalg.broadcast ins(%C : tensor<64xf32>) outs(%e : tensor<64x512xf32>) dimensions = [1]
    %CX = arith.mulf %B, %X : tensor<64x512xf32>
    %P = linalg.contract indexing_maps = [#mk, #nk, #mn] ins(%CX, %S : tensor<64x512xf32>, tensor<256x512xf32>) outs(%zero : tensor<64x256xf32>) -> tensor<64x256xf32>
    %D = arith.subf %P, %Y : tensor<64x256xf32>
    delta.yield outs(%D : tensor<64x256xf32>)
  }
  return %d : tensor<?x?x1x256xbf16>
}

// -----

// A product that is read twice is made twice where two such tiles fill the registers.

// CHECK-LABEL: func.func @twice
// CHECK-NOT: from
// CHECK: %[[P:.*]] = linalg.contract
// CHECK: %[[PX:.*]] = arith.mulf %[[P]],
// CHECK: linalg.reduce {{.*}} ins(%[[PX]] :
// CHECK: %[[Q:.*]] = linalg.contract
// CHECK: arith.addf %[[Q]],
func.func @twice(%x: tensor<?x?x1x256xbf16>, %p: tensor<?x?x1x64xbf16>, %y: tensor<?x?x1x256xbf16>) -> (tensor<?x?x1x256xbf16>, tensor<?x?x1xf32>) {
  %d:2 = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x256xbf16>, %M = %p[seq, time, head, _] : tensor<?x?x1x64xbf16>,
          %Y = %y[seq, time, head, _] : tensor<?x?x1x256xbf16>)
      outs([seq, time, head, _] : tensor<?x?x1x256xbf16>, [seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x256xf32>
    %none = arith.constant dense<0.0> : tensor<64xf32>
    %P = linalg.contract indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>] ins(%M, %X : tensor<64x64xf32>, tensor<64x256xf32>) outs(%zero : tensor<64x256xf32>) -> tensor<64x256xf32>
    %PX = arith.mulf %P, %X : tensor<64x256xf32>
    %r = linalg.reduce {arith.addf} ins(%PX : tensor<64x256xf32>) outs(%none : tensor<64xf32>) dimensions = [1]
    %D = arith.addf %P, %Y : tensor<64x256xf32>
    delta.yield outs(%D, %r : tensor<64x256xf32>, tensor<64xf32>)
  }
  return %d#0, %d#1 : tensor<?x?x1x256xbf16>, tensor<?x?x1xf32>
}

// -----

// What is multiplied by decays twice, as a term and within the gradient of gates, is once:
// the sum is made of the decayed terms. Of the second one there is none.

// CHECK-LABEL: func.func @terms(
// CHECK: ins(%[[A:.*]] = %arg0[{{.*}}, %[[B:.*]] = %arg1[{{.*}}, %[[X:.*]] = %arg2[{{.*}}, %[[G:.*]] = %arg3[
// CHECK: %[[F:.*]] = math.exp
// CHECK: %[[ONE:.*]] = arith.negf %[[A]]
// CHECK: %[[TWO:.*]] = arith.negf %[[B]]
// CHECK: %[[AF:.*]] = arith.mulf %[[ONE]], %[[F]]
// CHECK: %[[BF:.*]] = arith.mulf %[[TWO]], %[[F]]
// CHECK: %[[AFX:.*]] = arith.mulf %[[AF]], %[[X]]
// CHECK: %[[BFX:.*]] = arith.mulf %[[BF]], %[[X]]
// CHECK: %[[BOTH:.*]] = arith.addf %[[AFX]], %[[BFX]]
// CHECK: %[[XX:.*]] = arith.mulf %[[X]], %[[X]]
// CHECK: %[[OTHER:.*]] = arith.mulf %[[XX]], %[[F]]
// CHECK: delta.yield outs(%[[AF]], %[[BF]], %[[BOTH]], %[[OTHER]] :
func.func @terms(%a: tensor<?x?x1x8xf32>, %b: tensor<?x?x1x8xf32>, %x: tensor<?x?x1x8xf32>, %g: tensor<?x?x1x8xf32>)
    -> (tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>) {
  %r:4 = delta.chunk_map chunk = 4 heads = 1 compute = f32
      ins(%A = %a[seq, time, head, _] : tensor<?x?x1x8xf32>, %B = %b[seq, time, head, _] : tensor<?x?x1x8xf32>,
          %X = %x[seq, time, head, _] : tensor<?x?x1x8xf32>, %G = %g[seq, time, head, _] : tensor<?x?x1x8xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x8xf32>, [seq, time, head, _] : tensor<?x?x1x8xf32>,
           [seq, time, head, _] : tensor<?x?x1x8xf32>, [seq, time, head, _] : tensor<?x?x1x8xf32>) valid(%n) {
    %s = delta.cumsum %G : tensor<4x8xf32>
    %F = math.exp %s : tensor<4x8xf32>
    %one = arith.negf %A : tensor<4x8xf32>
    %two = arith.negf %B : tensor<4x8xf32>
    %AF = arith.mulf %one, %F : tensor<4x8xf32>
    %BF = arith.mulf %two, %F : tensor<4x8xf32>
    %AX = arith.mulf %one, %X : tensor<4x8xf32>
    %BX = arith.mulf %X, %two : tensor<4x8xf32>
    %sum = arith.addf %AX, %BX : tensor<4x8xf32>
    %decayed = arith.mulf %sum, %F : tensor<4x8xf32>
    %XX = arith.mulf %X, %X : tensor<4x8xf32>
    %other = arith.mulf %XX, %F : tensor<4x8xf32>
    delta.yield outs(%AF, %BF, %decayed, %other : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>)
  }
  return %r#0, %r#1, %r#2, %r#3 : tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>
}

// -----

// Products of states, then products with a decay that are added to them: a block makes both,
// since the second phase's tiles lie where the first one's did. Without room for that, it is two maps.

// CHECK-LABEL: func.func @phases(
// CHECK-COUNT-1: delta.chunk_map
// CHECK-NOT: delta.chunk_map
// NARROW-LABEL: func.func @phases(
// NARROW-COUNT-2: delta.chunk_map
func.func @phases(%m: tensor<?x?x1x64xf32>, %x: tensor<?x?x1x64xbf16>, %g: tensor<?x?x1x64xf32>, %y: tensor<?x?x1x128xbf16>, %s: tensor<?x1x64x128xbf16>) -> (tensor<?x?x1x64xf32>, tensor<?x?x1x64xf32>, tensor<?x?x1x64xf32>) {
  %d:3 = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%M = %m[seq, time, head, _] : tensor<?x?x1x64xf32>, %X = %x[seq, time, head, _] : tensor<?x?x1x64xbf16>, %G = %g[seq, time, head, _] : tensor<?x?x1x64xf32>,
          %Y = %y[seq, time, head, _] : tensor<?x?x1x128xbf16>, %S = %s[chunk, head, _, _] : tensor<?x1x64x128xbf16>)
      outs([seq, time, head, _] : tensor<?x?x1x64xf32>, [seq, time, head, _] : tensor<?x?x1x64xf32>, [seq, time, head, _] : tensor<?x?x1x64xf32>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    %YS = linalg.contract indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>] ins(%Y, %S : tensor<64x128xf32>, tensor<64x128xf32>) outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
    %sum = delta.cumsum %G : tensor<64x64xf32>
    %F = math.exp %sum : tensor<64x64xf32>
    %A = arith.mulf %YS, %F : tensor<64x64xf32>
    %R = delta.decay_apply upto_token %M, %X decay(%G : tensor<64x64xf32>) : tensor<64x64xf32>, tensor<64x64xf32> -> tensor<64x64xf32>
    %B = delta.decay_apply upto_token transpose %M, %X decay(%G : tensor<64x64xf32>) : tensor<64x64xf32>, tensor<64x64xf32> -> tensor<64x64xf32>
    %C = delta.decay_apply before_row %M, %X decay(%G : tensor<64x64xf32>) : tensor<64x64xf32>, tensor<64x64xf32> -> tensor<64x64xf32>
    %D = arith.addf %R, %A : tensor<64x64xf32>
    %E = arith.addf %B, %X : tensor<64x64xf32>
    %H = arith.addf %C, %X : tensor<64x64xf32>
    delta.yield outs(%D, %E, %H : tensor<64x64xf32>, tensor<64x64xf32>, tensor<64x64xf32>)
  }
  return %d#0, %d#1, %d#2 : tensor<?x?x1x64xf32>, tensor<?x?x1x64xf32>, tensor<?x?x1x64xf32>
}
