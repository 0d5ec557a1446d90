// RUN: wyvern-opt %s -delta-simplify -split-input-file | FileCheck %s
// RUN: sed 's/chunk_scan reverse/chunk_scan forward/' %s | wyvern-opt -delta-simplify -split-input-file | FileCheck %s --check-prefix=FORWARD

#mk = affine_map<(m, n, k) -> (m, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// A gated chain: decays leave the keys and the query. One broadcast of e^a then
// serves both reads of the state.

// CHECK-LABEL: func.func @head_decay
// CHECK: delta.chunk_scan
// CHECK-SAME: ins(%[[Q:[a-zA-Z0-9_]+]] = %arg0[
// CHECK-SAME: %[[K:[a-zA-Z0-9_]+]] = %arg1[
// CHECK-SAME: %[[ea:[a-zA-Z0-9_]+]] = %arg3[
// CHECK-SAME: %[[es:[a-zA-Z0-9_]+]] = %arg4[
// CHECK-SAME: carry(%[[S:[a-zA-Z0-9_]+]] =
// CHECK: %[[KS:.*]] = linalg.contract {{.*}} ins(%[[K]], %[[S]]
// CHECK: %[[EA:.*]] = linalg.broadcast ins(%[[ea]] : tensor<64xf32>) outs(%{{.*}} : tensor<64x16xf32>) dimensions = [1]
// CHECK: %[[EKS:.*]] = arith.mulf %[[EA]], %[[KS]]
// CHECK: %[[U:.*]] = arith.subf %{{.*}}, %[[EKS]]
// CHECK: %[[QS:.*]] = linalg.contract {{.*}} ins(%[[Q]], %[[S]]
// CHECK-NOT: linalg.broadcast ins(%[[ea]]
// CHECK: %[[O:.*]] = arith.mulf %[[EA]], %[[QS]]
// CHECK: %[[ES:.*]] = linalg.broadcast ins(%[[es]] : tensor<64xf32>) outs(%{{.*}} : tensor<64x16xf32>) dimensions = [1]
// CHECK: %[[sU:.*]] = arith.mulf %[[ES]], %[[U]]
// CHECK: %[[S1:.*]] = linalg.contract {{.*}} ins(%[[K]], %[[sU]] : {{.*}} outs(%[[S]] :
// CHECK: delta.yield outs(%[[O]] : {{.*}}) carry(%[[S1]] :
func.func @head_decay(%q: tensor<?x?x2x32xbf16>, %k: tensor<?x?x2x32xbf16>, %v: tensor<?x?x2x16xbf16>, %ea_: tensor<?x?x2xf32>, %es_: tensor<?x?x2xf32>,
    %s0: tensor<?x2x32x16xf32>) -> (tensor<?x?x2x16xbf16>, tensor<?x2x32x16xf32>) {
  %o, %sT = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x2x32xbf16>, %K = %k[seq, time, head, _] : tensor<?x?x2x32xbf16>, %V = %v[seq, time, head, _] : tensor<?x?x2x16xbf16>,
          %ea = %ea_[seq, time, head] : tensor<?x?x2xf32>, %es = %es_[seq, time, head] : tensor<?x?x2xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x2x32x16xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x16xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x16xf32>
    %e = tensor.empty() : tensor<64x32xf32>
    %EA = linalg.broadcast ins(%ea : tensor<64xf32>) outs(%e : tensor<64x32xf32>) dimensions = [1]
    %KE = arith.mulf %K, %EA : tensor<64x32xf32>
    %KS = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%KE, %S : tensor<64x32xf32>, tensor<32x16xf32>) outs(%zero : tensor<64x16xf32>) -> tensor<64x16xf32>
    %U = arith.subf %V, %KS : tensor<64x16xf32>
    %QE = arith.mulf %EA, %Q : tensor<64x32xf32>
    %QS = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%QE, %S : tensor<64x32xf32>, tensor<32x16xf32>) outs(%zero : tensor<64x16xf32>) -> tensor<64x16xf32>
    %ES = linalg.broadcast ins(%es : tensor<64xf32>) outs(%e : tensor<64x32xf32>) dimensions = [1]
    %KX = arith.mulf %K, %ES : tensor<64x32xf32>
    %S1 = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%KX, %U : tensor<64x32xf32>, tensor<64x16xf32>) outs(%S : tensor<32x16xf32>) -> tensor<32x16xf32>
    delta.yield outs(%QS : tensor<64x16xf32>) carry(%S1 : tensor<32x16xf32>)
  }
  return %o, %sT : tensor<?x?x2x16xbf16>, tensor<?x2x32x16xf32>
}

// -----

#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// Between two ins the second takes the scale, and keeps it.

// CHECK-LABEL: func.func @two_ins
// CHECK: ins(%[[K:[a-zA-Z0-9_]+]] = {{.*}}, %[[V:[a-zA-Z0-9_]+]] = {{.*}}, %[[es:[a-zA-Z0-9_]+]] = {{.*}}) carry
// CHECK: %[[ES:.*]] = linalg.broadcast ins(%[[es]] : tensor<64xf32>) outs(%{{.*}} : tensor<64x16xf32>)
// CHECK: %[[sV:.*]] = arith.mulf %[[ES]], %[[V]]
// CHECK: linalg.contract {{.*}} ins(%[[K]], %[[sV]]
func.func @two_ins(%k: tensor<?x?x2x32xbf16>, %v: tensor<?x?x2x16xbf16>, %es_: tensor<?x?x2xf32>, %s0: tensor<?x2x32x16xf32>) -> tensor<?x2x32x16xf32> {
  %sT = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x2x32xbf16>, %V = %v[seq, time, head, _] : tensor<?x?x2x16xbf16>, %es = %es_[seq, time, head] : tensor<?x?x2xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x2x32x16xf32>) outs() valid(%n) {
    %e = tensor.empty() : tensor<64x32xf32>
    %ES = linalg.broadcast ins(%es : tensor<64xf32>) outs(%e : tensor<64x32xf32>) dimensions = [1]
    %KX = arith.mulf %K, %ES : tensor<64x32xf32>
    %S1 = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%KX, %V : tensor<64x32xf32>, tensor<64x16xf32>) outs(%S : tensor<32x16xf32>) -> tensor<32x16xf32>
    delta.yield carry(%S1 : tensor<32x16xf32>)
  }
  return %sT : tensor<?x2x32x16xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// What is accumulated on is not scaled.

// CHECK-LABEL: func.func @accumulates
// CHECK: ins(%[[Q:[a-zA-Z0-9_]+]] = {{.*}}, %[[V:[a-zA-Z0-9_]+]] = {{.*}}, %[[ea:[a-zA-Z0-9_]+]] = {{.*}}) carry(%[[S:[a-zA-Z0-9_]+]] =
// CHECK: %[[zero:.*]] = arith.constant dense<0.000000e+00> : tensor<64x16xf32>
// CHECK: %[[QS:.*]] = linalg.contract {{.*}} ins(%[[Q]], %[[S]] : {{.*}} outs(%[[zero]] :
// CHECK: %[[EA:.*]] = linalg.broadcast ins(%[[ea]]
// CHECK: %[[EQS:.*]] = arith.mulf %[[EA]], %[[QS]]
// CHECK: %[[O:.*]] = arith.addf %[[V]], %[[EQS]]
// CHECK: delta.yield outs(%[[O]]
func.func @accumulates(%q: tensor<?x?x2x32xbf16>, %v: tensor<?x?x2x16xbf16>, %ea_: tensor<?x?x2xf32>, %s0: tensor<?x2x32x16xf32>)
    -> (tensor<?x?x2x16xbf16>, tensor<?x2x32x16xf32>) {
  %o, %sT = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x2x32xbf16>, %V = %v[seq, time, head, _] : tensor<?x?x2x16xbf16>, %ea = %ea_[seq, time, head] : tensor<?x?x2xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x2x32x16xf32>) outs([seq, time, head, _] : tensor<?x?x2x16xbf16>) valid(%n) {
    %e = tensor.empty() : tensor<64x32xf32>
    %EA = linalg.broadcast ins(%ea : tensor<64xf32>) outs(%e : tensor<64x32xf32>) dimensions = [1]
    %QE = arith.mulf %Q, %EA : tensor<64x32xf32>
    %O = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%QE, %S : tensor<64x32xf32>, tensor<32x16xf32>) outs(%V : tensor<64x16xf32>) -> tensor<64x16xf32>
    delta.yield outs(%O : tensor<64x16xf32>) carry(%S : tensor<32x16xf32>)
  }
  return %o, %sT : tensor<?x?x2x16xbf16>, tensor<?x2x32x16xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// A decay of each channel varies over the summed and the kept dimension: it can
// leave the keys in neither matmul. Nor does a scale leave a computed tile.

// CHECK-LABEL: func.func @stays
// CHECK: ins(%[[K:[a-zA-Z0-9_]+]] = {{.*}}, %[[E:[a-zA-Z0-9_]+]] = {{.*}}, %[[ea:[a-zA-Z0-9_]+]] = {{.*}}) carry(%[[S:[a-zA-Z0-9_]+]] =
// CHECK: %[[KE:.*]] = arith.mulf %[[K]], %[[E]]
// CHECK: %[[KS:.*]] = linalg.contract {{.*}} ins(%[[KE]], %[[S]]
// CHECK: %[[EKS:.*]] = arith.mulf %[[KS]], %{{.*}}
// CHECK: linalg.contract {{.*}} ins(%[[KE]], %[[EKS]]
func.func @stays(%k: tensor<?x?x2x32xbf16>, %e_: tensor<?x?x2x32xf32>, %ea_: tensor<?x?x2xf32>, %s0: tensor<?x2x32x16xf32>) -> tensor<?x2x32x16xf32> {
  %sT = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x2x32xbf16>, %E = %e_[seq, time, head, _] : tensor<?x?x2x32xf32>, %ea = %ea_[seq, time, head] : tensor<?x?x2xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x2x32x16xf32>) outs() valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x16xf32>
    %e = tensor.empty() : tensor<64x16xf32>
    %KE = arith.mulf %K, %E : tensor<64x32xf32>
    %KS = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%KE, %S : tensor<64x32xf32>, tensor<32x16xf32>) outs(%zero : tensor<64x16xf32>) -> tensor<64x16xf32>
    %EA = linalg.broadcast ins(%ea : tensor<64xf32>) outs(%e : tensor<64x16xf32>) dimensions = [1]
    %EKS = arith.mulf %KS, %EA : tensor<64x16xf32>
    %S1 = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%KE, %EKS : tensor<64x32xf32>, tensor<64x16xf32>) outs(%S : tensor<32x16xf32>) -> tensor<32x16xf32>
    delta.yield carry(%S1 : tensor<32x16xf32>)
  }
  return %sT : tensor<?x2x32x16xf32>
}

// -----

// Dead ins, outs and carries go, with what only they needed.

// CHECK-LABEL: func.func @dead
// CHECK-SAME: %[[x:[a-zA-Z0-9_]+]]: tensor<?x?x2x16xf32>
// CHECK: %[[o:.*]], %[[final:.*]] = delta.chunk_scan forward chunk = 16 heads = 2 compute = f32 ins(%[[X:[a-zA-Z0-9_]+]] = %[[x]][seq, time, head, _] : tensor<?x?x2x16xf32>) carry(%[[S:[a-zA-Z0-9_]+]] = %{{[a-zA-Z0-9_]+}}[seq, head, _, _] : tensor<?x2x16x16xf32>) outs([seq, time, head, _] : tensor<?x?x2x16xf32>)
// CHECK-NEXT: %[[S1:.*]] = arith.addf %[[S]], %[[X]]
// CHECK-NEXT: delta.yield outs(%[[S]] : tensor<16x16xf32>) carry(%[[S1]] : tensor<16x16xf32>)
// CHECK: return %[[o]]
func.func @dead(%x: tensor<?x?x2x16xf32>, %y: tensor<?x?x2x16xf32>, %s0: tensor<?x2x16x16xf32>, %t0: tensor<?x2x16x16xf32>) -> tensor<?x?x2x16xf32> {
  %o, %p, %sT, %tT, %uT = delta.chunk_scan forward chunk = 16 heads = 2 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x2x16xf32>, %Y = %y[seq, time, head, _] : tensor<?x?x2x16xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x2x16x16xf32>, %T = %t0[seq, head, _, _] : tensor<?x2x16x16xf32>, %U = %t0[seq, head, _, _] : tensor<?x2x16x16xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x16xf32>, [seq, time, head, _] : tensor<?x?x2x16xf32>) valid(%n) {
    %S1 = arith.addf %S, %X : tensor<16x16xf32>
    %T1 = arith.mulf %T, %U : tensor<16x16xf32>
    %U1 = arith.addf %T, %Y : tensor<16x16xf32>
    delta.yield outs(%S, %U : tensor<16x16xf32>, tensor<16x16xf32>) carry(%S1, %T1, %U1 : tensor<16x16xf32>, tensor<16x16xf32>, tensor<16x16xf32>)
  }
  return %o : tensor<?x?x2x16xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// Which operand, and which way the result lies, makes no difference. A scale of the
// whole chunk goes to the result too. Both ins of one product lose theirs; two scales of one dimension are one, and
// that of rows comes first.

// FORWARD-LABEL: func.func @orders
// FORWARD: %[[SK:.*]] = linalg.contract {{.*}} -> tensor<16x64xf32>
// FORWARD: %[[SKB:.*]] = arith.mulf %{{.*}}, %[[SK]]
// FORWARD: linalg.contract {{.*}} ins(%[[SKB]],
// CHECK-LABEL: func.func @orders
// CHECK: ins(%[[K:[a-zA-Z0-9_]+]] = {{.*}}, %[[a:[a-zA-Z0-9_]+]] = {{.*}}, %[[b:[a-zA-Z0-9_]+]] = {{.*}}, %[[c:[a-zA-Z0-9_]+]] = {{.*}}) carry(%[[S:[a-zA-Z0-9_]+]] =
// CHECK: %[[SK:.*]] = linalg.contract {{.*}} ins(%[[S]], %[[K]] : {{.*}} -> tensor<16x64xf32>
// CHECK: %[[ba:.*]] = arith.mulf %[[b]], %[[a]]
// CHECK: %[[BA:.*]] = linalg.broadcast ins(%[[ba]] : tensor<64xf32>) outs(%{{.*}} : tensor<16x64xf32>) dimensions = [0]
// CHECK: %[[SKB:.*]] = arith.mulf %[[BA]], %[[SK]]
// CHECK: %[[S1:.*]] = linalg.contract {{.*}} ins(%[[SKB]], %[[K]] : {{.*}} outs(%[[S]]
// CHECK: %[[KK:.*]] = linalg.contract {{.*}} ins(%[[K]], %[[K]] : {{.*}} -> tensor<64x64xf32>
// CHECK: %[[AR:.*]] = linalg.broadcast ins(%[[a]] : tensor<64xf32>) outs(%{{.*}} : tensor<64x64xf32>) dimensions = [1]
// CHECK: %[[KKA:.*]] = arith.mulf %[[AR]], %[[KK]]
// CHECK: %[[BR:.*]] = linalg.broadcast ins(%[[b]] : tensor<64xf32>) outs(%{{.*}} : tensor<64x64xf32>) dimensions = [0]
// CHECK: arith.mulf %[[BR]], %[[KKA]]
// CHECK: linalg.contract {{.*}} ins(%[[K]], %[[S]]
// CHECK: linalg.broadcast ins(%[[c]] : tensor<f32>) outs(%{{.*}} : tensor<64x16xf32>) dimensions = [0, 1]
func.func @orders(%k: tensor<?x?x2x32xbf16>, %a_: tensor<?x?x2xf32>, %b_: tensor<?x?x2xf32>, %c_: tensor<2xf32>, %s0: tensor<?x2x32x16xf32>)
    -> (tensor<?x2x32x16xf32>, tensor<?x?x2x64xf32>, tensor<?x?x2x16xf32>) {
  %p, %o, %sT = delta.chunk_scan reverse chunk = 64 heads = 2 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x2x32xbf16>, %a = %a_[seq, time, head] : tensor<?x?x2xf32>, %b = %b_[seq, time, head] : tensor<?x?x2xf32>, %c = %c_[head] : tensor<2xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x2x32x16xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x64xf32>, [seq, time, head, _] : tensor<?x?x2x16xf32>) valid(%n) {
    %e = tensor.empty() : tensor<64x32xf32>
    %zt = arith.constant dense<0.0> : tensor<16x64xf32>
    %zo = arith.constant dense<0.0> : tensor<64x16xf32>
    %zk = arith.constant dense<0.0> : tensor<64x64xf32>
    %A = linalg.broadcast ins(%a : tensor<64xf32>) outs(%e : tensor<64x32xf32>) dimensions = [1]
    %B = linalg.broadcast ins(%b : tensor<64xf32>) outs(%e : tensor<64x32xf32>) dimensions = [1]
    %C = linalg.broadcast ins(%c : tensor<f32>) outs(%e : tensor<64x32xf32>) dimensions = [0, 1]
    %KA = arith.mulf %K, %A : tensor<64x32xf32>
    %KB = arith.mulf %K, %B : tensor<64x32xf32>
    %KC = arith.mulf %K, %C : tensor<64x32xf32>
    // (K * a) S, transposed, with the state first.
    %SK = linalg.contract indexing_maps = [#km, #nk, #mn] ins(%S, %KA : tensor<32x16xf32>, tensor<64x32xf32>) outs(%zt : tensor<16x64xf32>) -> tensor<16x64xf32>
    // (K * b)^T (...), with the scaled in second.
    %S1 = linalg.contract indexing_maps = [#nk, #km, #mn] ins(%SK, %KB : tensor<16x64xf32>, tensor<64x32xf32>) outs(%S : tensor<32x16xf32>) -> tensor<32x16xf32>
    %KK = linalg.contract indexing_maps = [#mk, #nk, #mn] ins(%KA, %KB : tensor<64x32xf32>, tensor<64x32xf32>) outs(%zk : tensor<64x64xf32>) -> tensor<64x64xf32>
    %KS = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%KC, %S : tensor<64x32xf32>, tensor<32x16xf32>) outs(%zo : tensor<64x16xf32>) -> tensor<64x16xf32>
    delta.yield outs(%KK, %KS : tensor<64x64xf32>, tensor<64x16xf32>) carry(%S1 : tensor<32x16xf32>)
  }
  return %sT, %p, %o : tensor<?x2x32x16xf32>, tensor<?x?x2x64xf32>, tensor<?x?x2x16xf32>
}

// -----

// In a forward scan two scales are one whoever else reads the tile between them: a backward that runs the scan again
// may not read it, and has to round as it did. A rate of solved rows is kept apart.

// CHECK-LABEL: func.func @read_between
// CHECK: ins(%[[X:[a-zA-Z0-9_]+]] = {{.*}}, %[[Z:[a-zA-Z0-9_]+]] = {{.*}}, %[[a:[a-zA-Z0-9_]+]] = {{.*}}, %[[b:[a-zA-Z0-9_]+]] = {{.*}}) carry
// CHECK: %[[A:.*]] = linalg.broadcast ins(%[[a]] :
// CHECK: %[[B:.*]] = linalg.broadcast ins(%[[b]] :
// CHECK: %[[XA:.*]] = arith.mulf %{{.*}}, %[[A]]
// CHECK: %[[XB:.*]] = arith.mulf %[[XA]], %[[B]]
// CHECK: delta.yield outs(%[[XA]], %[[XB]],
// FORWARD-LABEL: func.func @read_between
// FORWARD: ins(%[[X:[a-zA-Z0-9_]+]] = {{.*}}, %[[Z:[a-zA-Z0-9_]+]] = {{.*}}, %[[a:[a-zA-Z0-9_]+]] = {{.*}}, %[[b:[a-zA-Z0-9_]+]] = {{.*}}) carry
// FORWARD: %[[W:.*]] = arith.addf
// FORWARD: %[[R:.*]] = delta.erase_apply
// FORWARD: %[[XA:.*]] = arith.mulf %[[W]],
// FORWARD: %[[ba:.*]] = arith.mulf %[[b]], %[[a]]
// FORWARD: %[[BA:.*]] = linalg.broadcast ins(%[[ba]] :
// FORWARD: %[[XB:.*]] = arith.mulf %[[BA]], %[[W]]
// FORWARD: %[[RA:.*]] = arith.mulf %[[R]],
// FORWARD: %[[RB:.*]] = arith.mulf %[[RA]],
// FORWARD: delta.yield outs(%[[XA]], %[[XB]], %[[RB]]
func.func @read_between(%x: tensor<?x?x2x16xf32>, %z: tensor<?x?x2x64xf32>, %a_: tensor<?x?x2xf32>, %b_: tensor<?x?x2xf32>, %s0: tensor<?x2x64x16xf32>)
    -> (tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>, tensor<?x2x64x16xf32>) {
  %p, %o, %r, %sT = delta.chunk_scan reverse chunk = 64 heads = 2 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x2x16xf32>, %Z = %z[seq, time, head, _] : tensor<?x?x2x64xf32>, %a = %a_[seq, time, head] : tensor<?x?x2xf32>, %b = %b_[seq, time, head] : tensor<?x?x2xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x2x64x16xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x16xf32>, [seq, time, head, _] : tensor<?x?x2x16xf32>, [seq, time, head, _] : tensor<?x?x2x16xf32>) valid(%n) {
    %e = tensor.empty() : tensor<64x16xf32>
    %A = linalg.broadcast ins(%a : tensor<64xf32>) outs(%e : tensor<64x16xf32>) dimensions = [1]
    %B = linalg.broadcast ins(%b : tensor<64xf32>) outs(%e : tensor<64x16xf32>) dimensions = [1]
    %W = arith.addf %X, %S : tensor<64x16xf32>
    %R = delta.erase_apply %Z, %a, %W block 32 : tensor<64x64xf32>, tensor<64xf32>, tensor<64x16xf32>
    %XA = arith.mulf %W, %A : tensor<64x16xf32>
    %XB = arith.mulf %XA, %B : tensor<64x16xf32>
    %RA = arith.mulf %R, %A : tensor<64x16xf32>
    %RB = arith.mulf %RA, %B : tensor<64x16xf32>
    delta.yield outs(%XA, %XB, %RB : tensor<64x16xf32>, tensor<64x16xf32>, tensor<64x16xf32>) carry(%W : tensor<64x16xf32>)
  }
  return %p, %o, %r, %sT : tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>, tensor<?x2x64x16xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// One number is a scale over no dimension: it goes to the result, where what is
// accumulated on stays out of it.

// CHECK-LABEL: func.func @one_number
// CHECK: ins(%[[Q:[a-zA-Z0-9_]+]] = {{.*}}, %[[X:[a-zA-Z0-9_]+]] = %arg1
// CHECK-DAG: %[[zero:.*]] = arith.constant dense<0.000000e+00> : tensor<16x4xf32>
// CHECK-DAG: %[[half:.*]] = arith.constant dense<5.000000e-01> : tensor<16x4xf32>
// CHECK: %[[QS:.*]] = linalg.contract {{.*}} ins(%[[Q]], %{{.*}} : {{.*}} outs(%[[zero]] :
// CHECK: %[[scaled:.*]] = arith.mulf %[[QS]], %[[half]]
// CHECK: %[[O:.*]] = arith.addf %[[X]], %[[scaled]]
// CHECK: delta.yield outs(%[[O]] :
func.func @one_number(%q: tensor<?x?x1x8xf32>, %x: tensor<?x?x1x4xf32>, %s: tensor<?x1x8x4xf32>) -> tensor<?x?x1x4xf32> {
  %o = delta.chunk_map chunk = 16 heads = 1 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x8xf32>, %X = %x[seq, time, head, _] : tensor<?x?x1x4xf32>, %S = %s[seq, head, _, _] : tensor<?x1x8x4xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x4xf32>) valid(%n) {
    %half = arith.constant dense<0.5> : tensor<16x8xf32>
    %hQ = arith.mulf %Q, %half : tensor<16x8xf32>
    %O = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%hQ, %S : tensor<16x8xf32>, tensor<8x4xf32>) outs(%X : tensor<16x4xf32>) -> tensor<16x4xf32>
    delta.yield outs(%O : tensor<16x4xf32>)
  }
  return %o : tensor<?x?x1x4xf32>
}

// -----

// Both sides of a decay product share the masked matrix, if all channels share the
// decay. A decay a channel stays inside of the sum.

// CHECK-LABEL: func.func @decay_apply
// CHECK: ins(%[[M:[a-zA-Z0-9_]+]] = {{.*}}, %[[X:[a-zA-Z0-9_]+]] = {{.*}}, %[[Y:[a-zA-Z0-9_]+]] = {{.*}}, %[[g:[a-zA-Z0-9_]+]] = {{.*}}, %[[G:[a-zA-Z0-9_]+]] = %arg4
// CHECK: %[[D:.*]] = delta.decay_mask before_token %[[M]] decay(%[[g]] : tensor<8xf32>) before_decay rows [1, 2] : tensor<8x16xf32>
// CHECK: %[[A:.*]] = linalg.contract {{.*}} ins(%[[D]], %[[X]] : tensor<8x16xf32>, tensor<16x4xf32>) {{.*}} -> tensor<8x4xf32>
// CHECK-NOT: delta.decay_mask
// CHECK: %[[B:.*]] = linalg.contract {{.*}} ins(%[[D]], %[[Y]] : tensor<8x16xf32>, tensor<8x4xf32>) {{.*}} -> tensor<16x4xf32>
// CHECK: %[[C:.*]] = delta.decay_apply before_token %[[M]], %[[X]] decay(%[[G]] : tensor<8x4xf32>)
// CHECK: delta.yield outs(%[[A]], %[[B]], %[[C]] :
func.func @decay_apply(%m: tensor<?x?x1x16xf32>, %x: tensor<?x?x1x4xf32>, %y: tensor<?x?x1x4xf32>, %g: tensor<?x?x1xf32>, %gc: tensor<?x?x1x4xf32>)
    -> (tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>) {
  %a, %b, %c = delta.chunk_map chunk = 8 heads = 1 compute = f32
      ins(%M = %m[seq, time, head, _] : tensor<?x?x1x16xf32>, %X = %x[seq, time * 2, head, _] : tensor<?x?x1x4xf32>, %Y = %y[seq, time, head, _] : tensor<?x?x1x4xf32>,
          %G = %g[seq, time, head] : tensor<?x?x1xf32>, %GC = %gc[seq, time, head, _] : tensor<?x?x1x4xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x4xf32>, [seq, time * 2, head, _] : tensor<?x?x1x4xf32>, [seq, time, head, _] : tensor<?x?x1x4xf32>) valid(%n) {
    %A = delta.decay_apply before_token %M, %X decay(%G : tensor<8xf32>) before_decay rows [1, 2] : tensor<8x16xf32>, tensor<16x4xf32> -> tensor<8x4xf32>
    %B = delta.decay_apply before_token transpose %M, %Y decay(%G : tensor<8xf32>) before_decay rows [1, 2] : tensor<8x16xf32>, tensor<8x4xf32> -> tensor<16x4xf32>
    %C = delta.decay_apply before_token %M, %X decay(%GC : tensor<8x4xf32>) before_decay rows [1, 2] : tensor<8x16xf32>, tensor<16x4xf32> -> tensor<8x4xf32>
    delta.yield outs(%A, %B, %C : tensor<8x4xf32>, tensor<16x4xf32>, tensor<8x4xf32>)
  }
  return %a, %b, %c : tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// The sign goes with the scale.

// CHECK-LABEL: func.func @negated
// CHECK-SAME: %[[x:[a-zA-Z0-9_]+]]: tensor<?x?x1x16xbf16>
// CHECK: ins(%[[X:[a-zA-Z0-9_]+]] = %[[x]][{{.*}}, %[[Y:[a-zA-Z0-9_]+]] = %{{.*}}[chunk, {{.*}}, %[[b:[a-zA-Z0-9_]+]] = %{{.*}}[seq, time, head]
// CHECK: %[[P:.*]] = linalg.contract {{.*}} ins(%[[X]], %[[Y]] :
// CHECK: %[[nb:.*]] = arith.negf %[[b]] : tensor<16xf32>
// CHECK: %[[NB:.*]] = linalg.broadcast ins(%[[nb]] :
// CHECK: %[[O:.*]] = arith.mulf %[[NB]], %[[P]]
// CHECK: delta.yield outs(%[[O]] :
func.func @negated(%x: tensor<?x?x1x16xbf16>, %y: tensor<?x1x16x16xbf16>, %b: tensor<?x?x1xf32>) -> tensor<?x?x1x16xbf16> {
  %o = delta.chunk_map chunk = 16 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x16xbf16>, %Y = %y[chunk, head, _, _] : tensor<?x1x16x16xbf16>, %B = %b[seq, time, head] : tensor<?x?x1xf32>)
      outs([seq, time, head, _] : tensor<?x?x1x16xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<16x16xf32>
    %e = tensor.empty() : tensor<16x16xf32>
    %BB = linalg.broadcast ins(%B : tensor<16xf32>) outs(%e : tensor<16x16xf32>) dimensions = [1]
    %BX = arith.mulf %X, %BB : tensor<16x16xf32>
    %N = arith.negf %BX : tensor<16x16xf32>
    %O = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%N, %Y : tensor<16x16xf32>, tensor<16x16xf32>) outs(%zero : tensor<16x16xf32>) -> tensor<16x16xf32>
    delta.yield outs(%O : tensor<16x16xf32>)
  }
  return %o : tensor<?x?x1x16xbf16>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// A decay product of scaled rows is that of the rows, with rows and columns scaled.

// CHECK-LABEL: func.func @decayed
// CHECK: ins(%[[K:[a-zA-Z0-9_]+]] = {{.*}}, %[[g:[a-zA-Z0-9_]+]] = {{.*}}, %[[s:[a-zA-Z0-9_]+]] =
// CHECK: %[[M:.*]] = delta.decay_dot before_row %[[K]], %[[K]] decay(%[[g]] : tensor<64xf32>)
// CHECK: %[[R:.*]] = linalg.broadcast ins(%[[s]] {{.*}} dimensions = [1]
// CHECK: %[[MR:.*]] = arith.mulf %[[R]], %[[M]]
// CHECK: %[[C:.*]] = linalg.broadcast ins(%[[s]] {{.*}} dimensions = [0]
// CHECK: %[[MRC:.*]] = arith.mulf %[[C]], %[[MR]]
// CHECK: delta.yield outs(%[[MRC]]
func.func @decayed(%k: tensor<?x?x2x32xbf16>, %g_: tensor<?x?x2xf32>, %s_: tensor<?x?x2xf32>) -> tensor<?x?x2x64xf32> {
  %o = delta.chunk_map chunk = 64 heads = 2 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x2x32xbf16>, %g = %g_[seq, time, head] : tensor<?x?x2xf32>, %s = %s_[seq, time, head] : tensor<?x?x2xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x64xf32>) valid(%n) {
    %e = tensor.empty() : tensor<64x32xf32>
    %B = linalg.broadcast ins(%s : tensor<64xf32>) outs(%e : tensor<64x32xf32>) dimensions = [1]
    %KS = arith.mulf %K, %B : tensor<64x32xf32>
    %M = delta.decay_dot before_row %KS, %KS decay(%g : tensor<64xf32>) : tensor<64x32xf32>, tensor<64x32xf32> -> tensor<64x64xf32>
    delta.yield outs(%M : tensor<64x64xf32>)
  }
  return %o : tensor<?x?x2x64xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// The gradient of scaled rows: the scale goes into the sum, where both sides of D share one matrix, and the row dots
// with K, which have the scale three times, are of what is scaled: then twice. D * P takes the scaled D too.

// CHECK-LABEL: func.func @gradient
// CHECK: ins(%[[K:[a-zA-Z0-9_]+]] = {{.*}}, %{{.*}} = {{.*}}, %[[P:[a-zA-Z0-9_]+]] = {{.*}}, %[[s:[a-zA-Z0-9_]+]] =
// CHECK: %[[D:.*]] = math.exp
// CHECK: %[[R:.*]] = linalg.broadcast ins(%[[s]] {{.*}} outs(%{{.*}} : tensor<64x64xf32>) dimensions = [1]
// CHECK: %[[DR:.*]] = arith.mulf %[[R]], %[[D]]
// CHECK: %[[C:.*]] = linalg.broadcast ins(%[[s]] {{.*}} outs(%{{.*}} : tensor<64x64xf32>) dimensions = [0]
// CHECK: %[[DRC:.*]] = arith.mulf %[[C]], %[[DR]]
// CHECK: %[[A:.*]] = linalg.contract {{.*}} ins(%[[DRC]], %[[K]] :
// CHECK: %[[B:.*]] = linalg.contract {{.*}} ins(%[[DRC]], %[[K]] : {{.*}} outs(%[[A]] :
// CHECK: %[[twice:.*]] = arith.mulf %[[s]], %[[s]]
// CHECK: %[[dots:.*]] = arith.mulf %[[B]], %[[K]]
// CHECK: %[[sum:.*]] = linalg.reduce { arith.addf } ins(%[[dots]]
// CHECK: %[[ds:.*]] = arith.mulf %[[sum]], %[[twice]]
// CHECK: %[[PD:.*]] = arith.mulf %[[P]], %[[DRC]]
// CHECK: delta.yield outs(%[[B]], %[[ds]], %[[PD]] :
func.func @gradient(%k: tensor<?x?x2x32xbf16>, %d: tensor<?x?x2x64xf32>, %p: tensor<?x?x2x64xf32>, %s_: tensor<?x?x2xf32>)
    -> (tensor<?x?x2x32xf32>, tensor<?x?x2xf32>, tensor<?x?x2x64xf32>) {
  %o:3 = delta.chunk_map chunk = 64 heads = 2 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x2x32xbf16>, %X = %d[seq, time, head, _] : tensor<?x?x2x64xf32>,
          %P = %p[seq, time, head, _] : tensor<?x?x2x64xf32>, %s = %s_[seq, time, head] : tensor<?x?x2xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x32xf32>, [seq, time, head] : tensor<?x?x2xf32>, [seq, time, head, _] : tensor<?x?x2x64xf32>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x32xf32>
    %zeros = arith.constant dense<0.0> : tensor<64xf32>
    %e = tensor.empty() : tensor<64x32xf32>
    %f = tensor.empty() : tensor<64x64xf32>
    %S = linalg.broadcast ins(%s : tensor<64xf32>) outs(%e : tensor<64x32xf32>) dimensions = [1]
    %SR = linalg.broadcast ins(%s : tensor<64xf32>) outs(%f : tensor<64x64xf32>) dimensions = [1]
    %SC = linalg.broadcast ins(%s : tensor<64xf32>) outs(%f : tensor<64x64xf32>) dimensions = [0]
    %KS = arith.mulf %K, %S : tensor<64x32xf32>
    %D = math.exp %X : tensor<64x64xf32>
    %A = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%D, %KS : tensor<64x64xf32>, tensor<64x32xf32>) outs(%zero : tensor<64x32xf32>) -> tensor<64x32xf32>
    %B = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%D, %KS : tensor<64x64xf32>, tensor<64x32xf32>) outs(%A : tensor<64x32xf32>) -> tensor<64x32xf32>
    %dK = arith.mulf %B, %S : tensor<64x32xf32>
    %dots = arith.mulf %B, %K : tensor<64x32xf32>
    %sum = linalg.reduce { arith.addf } ins(%dots : tensor<64x32xf32>) outs(%zeros : tensor<64xf32>) dimensions = [1]
    %s2 = arith.mulf %s, %s : tensor<64xf32>
    %s3 = arith.mulf %s2, %s : tensor<64xf32>
    %ds = arith.mulf %sum, %s3 : tensor<64xf32>
    %PR = arith.mulf %P, %SR : tensor<64x64xf32>
    %PS = arith.mulf %PR, %SC : tensor<64x64xf32>
    %PD = arith.mulf %PS, %D : tensor<64x64xf32>
    delta.yield outs(%dK, %ds, %PD : tensor<64x32xf32>, tensor<64xf32>, tensor<64x64xf32>)
  }
  return %o#0, %o#1, %o#2 : tensor<?x?x2x32xf32>, tensor<?x?x2xf32>, tensor<?x?x2x64xf32>
}
