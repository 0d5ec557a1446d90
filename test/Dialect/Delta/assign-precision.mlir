// RUN: wyvern-opt %s -delta-assign-precision | FileCheck %s
// RUN: wyvern-opt %s -delta-assign-precision=operand-type=f16 | FileCheck %s --check-prefix=F16
// RUN: not wyvern-opt %s -delta-assign-precision=operand-type=fp8 2>&1 | FileCheck %s --check-prefix=BAD

// BAD: expected operand-type bf16 or f16, found 'fp8': matmul operands have 16 bits

#mk = affine_map<(m, n, k) -> (m, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// Operands are rounded once each, after their definition. The factor is computed
// in f32 and rounded where it leaves the map, for the chain reads it rounded only; it
// knows to what.
// e^a is no matmul operand, so it stays f32.

// CHECK-LABEL: func.func @operands
// CHECK: delta.chunk_map
// CHECK-SAME: ins(%[[K:[a-zA-Z0-9_]+]] = %arg1[seq, time, head, _] : tensor<?x?x1x32xbf16>, %[[G:[a-zA-Z0-9_]+]] = %arg0[seq, time, head] : tensor<?x?x2xf32>, %[[c:[a-zA-Z0-9_]+]] = %arg3[seq, time, head] : tensor<?x?x2xf32>)
// CHECK-SAME: outs([seq, time, head, _] : tensor<?x?x2x64xbf16>, [seq, time, head] : tensor<?x?x2xf32>)
// CHECK-NEXT: %[[Kb:.*]] = arith.truncf %[[K]] : tensor<64x32xf32> to tensor<64x32xbf16>
// CHECK-NEXT: %[[L:.*]] = delta.decay_dot before_row %[[Kb]], %[[Kb]] decay(%[[G]] : tensor<64xf32>) : tensor<64x32xbf16>, tensor<64x32xbf16> -> tensor<64x64xf32>
// CHECK-NEXT: %[[Z:.*]] = delta.erase_factor %[[L]], %[[c]] to bf16 : tensor<64x64xf32>, tensor<64xf32> -> tensor<64x64xf32>
// CHECK: delta.yield outs(%[[Z]], %{{.*}} : tensor<64x64xf32>, tensor<64xf32>)
// CHECK: delta.chunk_scan
// CHECK-SAME: %[[Z:[a-zA-Z0-9_]+]] = %outs#0[seq, time, head, _] : tensor<?x?x2x64xbf16>, %{{.*}} carry(%[[S:[a-zA-Z0-9_]+]] =
// CHECK-DAG: %[[Sb:.*]] = arith.truncf %[[S]] : tensor<32x16xf32> to tensor<32x16xbf16>
// CHECK-DAG: %[[Zb:.*]] = arith.truncf %[[Z]] : tensor<64x64xf32> to tensor<64x64xbf16>
// CHECK-DAG: %[[Kb:.*]] = arith.truncf %{{.*}} : tensor<64x32xf32> to tensor<64x32xbf16>
// CHECK-NOT: arith.truncf
// CHECK: %[[W:.*]] = linalg.contract {{.*}} ins(%[[Kb]], %[[Sb]] : tensor<64x32xbf16>, tensor<32x16xbf16>) outs(%{{.*}} : tensor<64x16xf32>) -> tensor<64x16xf32>
// CHECK: %[[EW:.*]] = arith.mulf %{{.*}}, %[[W]] : tensor<64x16xf32>
// CHECK-NEXT: %[[EWb:.*]] = arith.truncf %[[EW]] : tensor<64x16xf32> to tensor<64x16xbf16>
// CHECK-NEXT: %[[R:.*]] = linalg.contract {{.*}} ins(%[[Zb]], %[[EWb]] : tensor<64x64xbf16>, tensor<64x16xbf16>) outs(%[[W]] : tensor<64x16xf32>)
// CHECK-NEXT: %[[Rb:.*]] = arith.truncf %[[R]]
// CHECK-NEXT: linalg.contract {{.*}} ins(%[[Kb]], %[[Rb]] : tensor<64x32xbf16>, tensor<64x16xbf16>) outs(%[[S]] : tensor<32x16xf32>) -> tensor<32x16xf32>
// CHECK-NOT: arith.truncf

// F16-LABEL: func.func @operands
// F16: delta.chunk_map
// F16-SAME: outs([seq, time, head, _] : tensor<?x?x2x64xf16>,
// F16: delta.decay_dot {{.*}} : tensor<64x32xf16>, tensor<64x32xf16> -> tensor<64x64xf32>
func.func @operands(%g: tensor<?x?x2xf32>, %k: tensor<?x?x1x32xbf16>, %v: tensor<?x?x2x16xbf16>, %beta: tensor<?x?x2xf32>, %s0: tensor<?x2x32x16xf32>)
    -> (tensor<?x?x2x16xbf16>, tensor<?x2x32x16xf32>) {
  %z, %ea = delta.chunk_map chunk = 64 heads = 2 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x1x32xbf16>, %G = %g[seq, time, head] : tensor<?x?x2xf32>, %c = %beta[seq, time, head] : tensor<?x?x2xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x64xf32>, [seq, time, head] : tensor<?x?x2xf32>) valid(%n) {
    %L = delta.decay_dot before_row %K, %K decay(%G : tensor<64xf32>) : tensor<64x32xf32>, tensor<64x32xf32> -> tensor<64x64xf32>
    %Z = delta.erase_factor %L, %c : tensor<64x64xf32>, tensor<64xf32> -> tensor<64x64xf32>
    %a = delta.cumsum %G : tensor<64xf32>
    %Ea = math.exp %a : tensor<64xf32>
    delta.yield outs(%Z, %Ea : tensor<64x64xf32>, tensor<64xf32>)
  }
  %o, %sT = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x1x32xbf16>, %V = %v[seq, time, head, _] : tensor<?x?x2x16xbf16>,
          %Z = %z[seq, time, head, _] : tensor<?x?x2x64xf32>, %Ea = %ea[seq, time, head] : tensor<?x?x2xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x2x32x16xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x16xbf16>) valid(%n) {
    %e = tensor.empty() : tensor<64x16xf32>
    %W = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%K, %S : tensor<64x32xf32>, tensor<32x16xf32>) outs(%V : tensor<64x16xf32>) -> tensor<64x16xf32>
    %EA = linalg.broadcast ins(%Ea : tensor<64xf32>) outs(%e : tensor<64x16xf32>) dimensions = [1]
    %EW = arith.mulf %EA, %W : tensor<64x16xf32>
    %R = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%Z, %EW : tensor<64x64xf32>, tensor<64x16xf32>) outs(%W : tensor<64x16xf32>) -> tensor<64x16xf32>
    %S1 = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%K, %R : tensor<64x32xf32>, tensor<64x16xf32>) outs(%S : tensor<32x16xf32>) -> tensor<32x16xf32>
    delta.yield outs(%R : tensor<64x16xf32>) carry(%S1 : tensor<32x16xf32>)
  }
  return %o, %sT : tensor<?x?x2x16xbf16>, tensor<?x2x32x16xf32>
}

// A result that the caller sees keeps its type. A matrix between programs is stored
// in 16 bits, whatever reads it.

// CHECK-LABEL: func.func @between
// CHECK: delta.chunk_map
// CHECK-SAME: outs([seq, time, head, _] : tensor<?x?x2x16xf32>, [seq, time, head, _] : tensor<?x?x2x16xbf16>)
func.func @between(%x: tensor<?x?x2x16xf32>) -> (tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>) {
  %seen, %mixed = delta.chunk_map chunk = 16 heads = 2 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x2x16xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x16xf32>, [seq, time, head, _] : tensor<?x?x2x16xf32>) valid(%n) {
    %Y = math.exp %X : tensor<16x16xf32>
    delta.yield outs(%Y, %X : tensor<16x16xf32>, tensor<16x16xf32>)
  }
  %p = delta.chunk_map chunk = 16 heads = 2 compute = f32
      ins(%S = %seen[seq, time, head, _] : tensor<?x?x2x16xf32>, %M = %mixed[seq, time, head, _] : tensor<?x?x2x16xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x16xf32>) valid(%n) {
    %P = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%S, %M : tensor<16x16xf32>, tensor<16x16xf32>) outs(%M : tensor<16x16xf32>) -> tensor<16x16xf32>
    delta.yield outs(%P : tensor<16x16xf32>)
  }
  return %seen, %p : tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>
}

// A matrix that one program reads, and adds to something, is a sum that goes on.

// CHECK-LABEL: func.func @goes_on
// CHECK: delta.chunk_map
// CHECK-SAME: outs([seq, time, head, _] : tensor<?x?x2x16xf32>)
func.func @goes_on(%x: tensor<?x?x2x16xf32>) -> tensor<?x?x2x16xf32> {
  %sum = delta.chunk_map chunk = 16 heads = 2 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x2x16xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x16xf32>) valid(%n) {
    %Y = math.exp %X : tensor<16x16xf32>
    delta.yield outs(%Y : tensor<16x16xf32>)
  }
  %p = delta.chunk_map chunk = 16 heads = 2 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x2x16xf32>, %S = %sum[seq, time, head, _] : tensor<?x?x2x16xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x16xf32>) valid(%n) {
    %P = arith.addf %S, %X : tensor<16x16xf32>
    delta.yield outs(%P : tensor<16x16xf32>)
  }
  return %p : tensor<?x?x2x16xf32>
}

// What a scan makes is rounded, though the map that reads it adds to it.

// CHECK-LABEL: func.func @of_scan
// CHECK: delta.chunk_scan
// CHECK-SAME: outs([seq, time, head, _] : tensor<?x?x2x16xbf16>)
func.func @of_scan(%x: tensor<?x?x2x16xf32>, %s0: tensor<?x2x16x16xf32>) -> (tensor<?x?x2x16xf32>, tensor<?x2x16x16xf32>) {
  %rows, %sT = delta.chunk_scan forward chunk = 16 heads = 2 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x2x16xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x2x16x16xf32>) outs([seq, time, head, _] : tensor<?x?x2x16xf32>) valid(%n) {
    %Y = arith.mulf %X, %S : tensor<16x16xf32>
    delta.yield outs(%Y : tensor<16x16xf32>) carry(%S : tensor<16x16xf32>)
  }
  %p = delta.chunk_map chunk = 16 heads = 2 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x2x16xf32>, %R = %rows[seq, time, head, _] : tensor<?x?x2x16xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x16xf32>) valid(%n) {
    %P = arith.addf %R, %X : tensor<16x16xf32>
    delta.yield outs(%P : tensor<16x16xf32>)
  }
  return %p, %sT : tensor<?x?x2x16xf32>, tensor<?x2x16x16xf32>
}

// The adjoint of decay_dot is a matmul too; what already has 16 bits, and decays,
// stay as they are.

// CHECK-LABEL: func.func @decay_apply
// CHECK: delta.chunk_map
// CHECK-DAG: %[[Xb:.*]] = arith.truncf %[[X:[a-zA-Z0-9_]+]] : tensor<16x16xf32> to tensor<16x16xf16>
// CHECK-DAG: %[[Xn:.*]] = arith.truncf %[[X]] : tensor<16x16xf32> to tensor<16x16xbf16>
// CHECK: %[[M:.*]] = delta.decay_dot upto_token %[[Xb]], %[[Xn]] decay(%[[G:[a-zA-Z0-9_]+]] : tensor<16xf32>)
// CHECK: %[[Mb:.*]] = arith.truncf %[[M]] : tensor<16x16xf32> to tensor<16x16xbf16>
// CHECK: delta.decay_apply upto_token %[[Mb]], %[[Xn]] decay(%[[G]] : tensor<16xf32>) : tensor<16x16xbf16>, tensor<16x16xbf16> -> tensor<16x16xf32>
func.func @decay_apply(%x: tensor<?x?x2x16xf32>, %g: tensor<?x?x2xf32>) -> tensor<?x?x2x16xf32> {
  %r = delta.chunk_map chunk = 16 heads = 2 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x2x16xf32>, %G = %g[seq, time, head] : tensor<?x?x2xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x16xf32>) valid(%n) {
    %Xh = arith.truncf %X : tensor<16x16xf32> to tensor<16x16xf16>
    %M = delta.decay_dot upto_token %Xh, %X decay(%G : tensor<16xf32>) : tensor<16x16xf16>, tensor<16x16xf32> -> tensor<16x16xf32>
    %R = delta.decay_apply upto_token %M, %X decay(%G : tensor<16xf32>) : tensor<16x16xf32>, tensor<16x16xf32> -> tensor<16x16xf32>
    delta.yield outs(%R : tensor<16x16xf32>)
  }
  return %r : tensor<?x?x2x16xf32>
}

// A vector between programs keeps its type, unless all that is read of it is
// rounded; so does what is summed outside of a program, and a final state.

// CHECK-LABEL: func.func @vectors
// CHECK: delta.chunk_scan
// CHECK-SAME: outs([seq, time, head] : tensor<?x?x2xf32>, [seq, time, head] : tensor<?x?x2xbf16>, [seq, time, head, _] : tensor<?x?x2x16xf32>)
// CHECK: delta.chunk_scan {{.*}} carry(%{{.*}} = %{{.*}}[seq, head, _, _] : tensor<?x2x16x16xf32>)
func.func @vectors(%x: tensor<?x?x2x16xf32>, %g: tensor<?x?x2xf32>, %s0: tensor<?x2x16x16xf32>) -> (tensor<?x?x2xf32>, tensor<?x?x16xf32>, tensor<?x2x16x16xf32>) {
  %read, %rounded, %summed, %s1 = delta.chunk_scan forward chunk = 16 heads = 2 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x2x16xf32>, %G = %g[seq, time, head] : tensor<?x?x2xf32>) carry(%S = %s0[seq, head, _, _] : tensor<?x2x16x16xf32>)
      outs([seq, time, head] : tensor<?x?x2xf32>, [seq, time, head] : tensor<?x?x2xf32>, [seq, time, head, _] : tensor<?x?x2x16xf32>) valid(%n) {
    delta.yield outs(%G, %G, %X : tensor<16xf32>, tensor<16xf32>, tensor<16x16xf32>) carry(%X : tensor<16x16xf32>)
  }
  %o, %s2 = delta.chunk_scan forward chunk = 16 heads = 2 compute = f32
      ins(%G = %read[seq, time, head] : tensor<?x?x2xf32>, %H = %rounded[seq, time, head] : tensor<?x?x2xf32>)
      carry(%S = %s1[seq, head, _, _] : tensor<?x2x16x16xf32>) outs([seq, time, head] : tensor<?x?x2xf32>) valid(%n) {
    %Hb = arith.truncf %H : tensor<16xf32> to tensor<16xbf16>
    %Hf = arith.extf %Hb : tensor<16xbf16> to tensor<16xf32>
    %Y = arith.mulf %G, %Hf : tensor<16xf32>
    delta.yield outs(%Y : tensor<16xf32>) carry(%S : tensor<16x16xf32>)
  }
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %x, %c0 : tensor<?x?x2x16xf32>
  %t = tensor.dim %x, %c1 : tensor<?x?x2x16xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty(%b, %t) : tensor<?x?x16xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<?x?x16xf32>) -> tensor<?x?x16xf32>
  %sum = linalg.reduce {arith.addf} ins(%summed : tensor<?x?x2x16xf32>) outs(%init : tensor<?x?x16xf32>) dimensions = [2]
  return %o, %sum, %s2 : tensor<?x?x2xf32>, tensor<?x?x16xf32>, tensor<?x2x16x16xf32>
}

// What a forward saves for its backward is stored in 16 bits on both sides, if it
// is a matrix that chunk programs alone read. %both is also what the caller asked
// for, so it keeps its type, and so does the vector.

// CHECK-LABEL: func.func @pair_fwd
// CHECK-SAME: -> (tensor<?x?x2x16xf32> {delta.name = "both"}, tensor<?x?x2x16xbf16> {delta.name = "factor", delta.residual}, tensor<?x?x2x16xf32> {delta.name = "copy", delta.residual}, tensor<?x?x2xf32> {delta.name = "row", delta.residual})
// CHECK: outs([seq, time, head, _] : tensor<?x?x2x16xf32>, [seq, time, head, _] : tensor<?x?x2x16xbf16>, [seq, time, head] : tensor<?x?x2xf32>)
// CHECK-LABEL: func.func @pair_bwd
// CHECK-SAME: (%{{.*}}: tensor<?x?x2x16xbf16> {delta.name = "factor", delta.residual}, %{{.*}}: tensor<?x?x2x16xf32> {delta.name = "copy", delta.residual}, %{{.*}}: tensor<?x?x2xf32> {delta.name = "row", delta.residual}, %{{.*}}: tensor<?x?x2x16xf32> {delta.name = "d_both"})
func.func @pair_fwd(%x: tensor<?x?x2x16xf32> {delta.name = "x"}, %g: tensor<?x?x2xf32> {delta.name = "g"})
    -> (tensor<?x?x2x16xf32> {delta.name = "both"}, tensor<?x?x2x16xf32> {delta.name = "factor", delta.residual}, tensor<?x?x2x16xf32> {delta.name = "copy", delta.residual},
        tensor<?x?x2xf32> {delta.name = "row", delta.residual}) attributes {delta.backward = @pair_bwd} {
  %both, %factor, %row = delta.chunk_map chunk = 16 heads = 2 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x2x16xf32>, %G = %g[seq, time, head] : tensor<?x?x2xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x16xf32>, [seq, time, head, _] : tensor<?x?x2x16xf32>, [seq, time, head] : tensor<?x?x2xf32>) valid(%n) {
    %Y = math.exp %X : tensor<16x16xf32>
    delta.yield outs(%Y, %X, %G : tensor<16x16xf32>, tensor<16x16xf32>, tensor<16xf32>)
  }
  return %both, %factor, %both, %row : tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>, tensor<?x?x2xf32>
}
func.func @pair_bwd(%factor: tensor<?x?x2x16xf32> {delta.name = "factor", delta.residual}, %copy: tensor<?x?x2x16xf32> {delta.name = "copy", delta.residual},
    %row: tensor<?x?x2xf32> {delta.name = "row", delta.residual}, %d: tensor<?x?x2x16xf32> {delta.name = "d_both"}) -> (tensor<?x?x2x16xf32> {delta.name = "d_x"}) {
  %dx = delta.chunk_map chunk = 16 heads = 2 compute = f32
      ins(%F = %factor[seq, time, head, _] : tensor<?x?x2x16xf32>, %C = %copy[seq, time, head, _] : tensor<?x?x2x16xf32>,
          %R = %row[seq, time, head] : tensor<?x?x2xf32>, %D = %d[seq, time, head, _] : tensor<?x?x2x16xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x16xf32>) valid(%n) {
    %e = tensor.empty() : tensor<16x16xf32>
    %B = linalg.broadcast ins(%R : tensor<16xf32>) outs(%e : tensor<16x16xf32>) dimensions = [1]
    %1 = arith.mulf %F, %D : tensor<16x16xf32>
    %2 = arith.mulf %1, %C : tensor<16x16xf32>
    %3 = arith.mulf %2, %B : tensor<16x16xf32>
    delta.yield outs(%3 : tensor<16x16xf32>)
  }
  return %dx : tensor<?x?x2x16xf32>
}

// What is added to a carry is exact where one more product makes it so: values in
// 16 bits times a vector are rounded, and so is what the rounding took away. The
// same values in a read of the state, or without a vector, are rounded once.

// CHECK-LABEL: func.func @scaled_values
// CHECK: delta.chunk_scan
// CHECK-SAME: carry(%[[S:[a-zA-Z0-9_]+]] =
// CHECK-DAG: %[[EV:.*]] = arith.mulf %{{.*}}, %{{.*}} : tensor<16x16xf32>
// CHECK-DAG: %[[high:.*]] = arith.truncf %[[EV]] : tensor<16x16xf32> to tensor<16x16xbf16>
// CHECK: %[[back:.*]] = arith.extf %[[high]] : tensor<16x16xbf16> to tensor<16x16xf32>
// CHECK: %[[rest:.*]] = arith.subf %[[EV]], %[[back]]
// CHECK: %[[low:.*]] = arith.truncf %[[rest]]
// CHECK: linalg.contract {{.*}} ins(%[[K:.*]], %[[high]] : {{.*}}) outs(%[[V:.*]] : tensor<16x16xf32>)
// CHECK: %[[S0:.*]] = linalg.contract {{.*}} ins(%[[K]], %[[low]] : {{.*}}) outs(%[[S]] : tensor<16x16xf32>)
// CHECK: %[[S1:.*]] = linalg.contract {{.*}} ins(%[[K]], %[[high]] : {{.*}}) outs(%[[S0]] : tensor<16x16xf32>)
// CHECK-NEXT: %[[S2:.*]] = linalg.contract {{.*}} ins(%[[K]], %{{.*}} : {{.*}}) outs(%[[S1]] : tensor<16x16xf32>)
// CHECK-NEXT: delta.yield outs(%{{.*}}) carry(%[[S2]] :
func.func @scaled_values(%k: tensor<?x?x1x16xbf16>, %v: tensor<?x?x1x16xbf16>, %g: tensor<?x?x1xf32>, %s0: tensor<?x1x16x16xf32>)
    -> (tensor<?x?x1x16xbf16>, tensor<?x1x16x16xf32>) {
  %o, %sT = delta.chunk_scan forward chunk = 16 heads = 1 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x1x16xbf16>, %V = %v[seq, time, head, _] : tensor<?x?x1x16xbf16>, %E = %g[seq, time, head] : tensor<?x?x1xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x16x16xf32>) outs([seq, time, head, _] : tensor<?x?x1x16xbf16>) valid(%n) {
    %e = tensor.empty() : tensor<16x16xf32>
    %EE = linalg.broadcast ins(%E : tensor<16xf32>) outs(%e : tensor<16x16xf32>) dimensions = [1]
    %EV = arith.mulf %EE, %V : tensor<16x16xf32>
    %O = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%K, %EV : tensor<16x16xf32>, tensor<16x16xf32>) outs(%V : tensor<16x16xf32>) -> tensor<16x16xf32>
    %S1 = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%K, %EV : tensor<16x16xf32>, tensor<16x16xf32>) outs(%S : tensor<16x16xf32>) -> tensor<16x16xf32>
    %S2 = linalg.contract indexing_maps = [#km, #kn, #mn] ins(%K, %V : tensor<16x16xf32>, tensor<16x16xf32>) outs(%S1 : tensor<16x16xf32>) -> tensor<16x16xf32>
    delta.yield outs(%O : tensor<16x16xf32>) carry(%S2 : tensor<16x16xf32>)
  }
  return %o, %sT : tensor<?x?x1x16xbf16>, tensor<?x1x16x16xf32>
}

// Rows that a vector is summed from are stored with what their rounding took away,
// for the sum alone: the product reads the first part. States are not.

// CHECK-LABEL: func.func @summed_rows
// CHECK: delta.chunk_map
// CHECK-SAME: outs([seq, time, head, _] : tensor<?x?x1x16xbf16>, [chunk, head, _, _] : tensor<?x1x16x16xbf16>, [seq, time, head, _] : tensor<?x?x1x16xbf16>)
// CHECK: %[[X:.*]] = math.exp
// CHECK: %[[rounded:.*]] = arith.truncf %[[X]]
// CHECK: %[[back:.*]] = arith.extf %[[rounded]]
// CHECK: %[[rest:.*]] = arith.subf %[[X]], %[[back]]
// CHECK: delta.yield outs(%[[X]], %{{.*}}, %[[rest]] :
// CHECK: delta.chunk_map
// CHECK-SAME: ins(%[[high:[a-zA-Z0-9_]+]] = %outs#0[seq, time, head, _] : {{[^,]*}}, %[[T:[a-zA-Z0-9_]+]] = %outs#1[chunk, head, _, _] : {{[^,]*}}, %[[low:[a-zA-Z0-9_]+]] = %outs#2[seq, time, head, _] :
// CHECK-DAG: %[[sum:.*]] = arith.addf %[[high]], %[[low]] : tensor<16x16xf32>
// CHECK-DAG: %[[operand:.*]] = arith.truncf %[[high]]
// CHECK: linalg.contract {{.*}} ins(%[[operand]], %[[operand]] :
// CHECK: %[[XP:.*]] = arith.mulf %[[sum]], %{{.*}}
// CHECK: linalg.reduce { arith.addf } ins(%[[XP]]
// CHECK: linalg.reduce { arith.addf } ins(%[[T]]
func.func @summed_rows(%x: tensor<?x?x1x16xbf16>) -> (tensor<?x?x1xf32>, tensor<?x?x1xf32>) {
  %y, %t = delta.chunk_map chunk = 16 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x16xbf16>)
      outs([seq, time, head, _] : tensor<?x?x1x16xf32>, [chunk, head, _, _] : tensor<?x1x16x16xf32>) valid(%n) {
    %Y = math.exp %X : tensor<16x16xf32>
    delta.yield outs(%Y, %Y : tensor<16x16xf32>, tensor<16x16xf32>)
  }
  %d, %e = delta.chunk_map chunk = 16 heads = 1 compute = f32 ins(%Y = %y[seq, time, head, _] : tensor<?x?x1x16xf32>, %T = %t[chunk, head, _, _] : tensor<?x1x16x16xf32>)
      outs([seq, time, head] : tensor<?x?x1xf32>, [seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<16x16xf32>
    %none = arith.constant dense<0.0> : tensor<16xf32>
    %P = linalg.contract indexing_maps = [#mk, #km, #mn] ins(%Y, %Y : tensor<16x16xf32>, tensor<16x16xf32>) outs(%zero : tensor<16x16xf32>) -> tensor<16x16xf32>
    %YP = arith.mulf %Y, %P : tensor<16x16xf32>
    %D = linalg.reduce {arith.addf} ins(%YP : tensor<16x16xf32>) outs(%none : tensor<16xf32>) dimensions = [1]
    %E = linalg.reduce {arith.addf} ins(%T : tensor<16x16xf32>) outs(%none : tensor<16xf32>) dimensions = [1]
    delta.yield outs(%D, %E : tensor<16xf32>, tensor<16xf32>)
  }
  return %d, %e : tensor<?x?x1xf32>, tensor<?x?x1xf32>
}

// Not where the other factor of a row's sum is what a forward has saved, in 16 bits: it
// lacks as much.

// CHECK-LABEL: func.func @summed_with_saved
// CHECK: delta.chunk_map
// CHECK-SAME: outs([seq, time, head, _] : tensor<?x?x1x16xbf16>)
// CHECK-NOT: arith.subf
func.func @summed_with_saved(%x: tensor<?x?x1x16xbf16>, %r: tensor<?x?x1x16xf32> {delta.name = "rows", delta.residual}) -> tensor<?x?x1xf32> {
  %y = delta.chunk_map chunk = 16 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x16xbf16>)
      outs([seq, time, head, _] : tensor<?x?x1x16xf32>) valid(%n) {
    %Y = math.exp %X : tensor<16x16xf32>
    delta.yield outs(%Y : tensor<16x16xf32>)
  }
  %d = delta.chunk_map chunk = 16 heads = 1 compute = f32 ins(%Y = %y[seq, time, head, _] : tensor<?x?x1x16xf32>, %R = %r[seq, time, head, _] : tensor<?x?x1x16xf32>)
      outs([seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %none = arith.constant dense<0.0> : tensor<16xf32>
    %YR = arith.mulf %Y, %R : tensor<16x16xf32>
    %D = linalg.reduce {arith.addf} ins(%YR : tensor<16x16xf32>) outs(%none : tensor<16xf32>) dimensions = [1]
    delta.yield outs(%D : tensor<16xf32>)
  }
  return %d : tensor<?x?x1xf32>
}

// States that a program stores for one that multiplies its carry by them are two
// outs, and what the product is added to; the product is three.

// CHECK-LABEL: func.func @joined_states
// CHECK: delta.chunk_scan
// CHECK-SAME: outs([chunk * 4 + 3, head, _, _] : tensor<?x1x16x16xbf16>, [chunk * 4 + 3, head, _, _] : tensor<?x1x16x16xbf16>, [chunk * 4 + 3, head, _, _] : tensor<?x1x16x16xbf16>, [chunk * 4 + 3, head, _, _] : tensor<?x1x16x16xbf16>)
// CHECK: delta.chunk_scan
// CHECK-SAME: %[[A:[a-zA-Z0-9_]+]] = %outs#0[chunk, head, _, _] : {{[^,]*}}, %[[B:[a-zA-Z0-9_]+]] = %outs#1[chunk, head, _, _] : {{[^,]*}}, %[[A1:[a-zA-Z0-9_]+]] = %outs#2[chunk, head, _, _] : {{[^,]*}}, %[[B1:[a-zA-Z0-9_]+]] = %outs#3[chunk, head, _, _] : {{.*}} carry(%[[S:.*]] = %{{.*}}[seq
// CHECK: %[[sum:.*]] = arith.addf %[[B]], %[[B1]]
// CHECK: %[[Sb:.*]] = arith.truncf %[[S]] : tensor<16x16xf32> to tensor<16x16xbf16>
// CHECK: %[[Sx:.*]] = arith.extf %[[Sb]]
// CHECK: %[[rest:.*]] = arith.subf %[[S]], %[[Sx]]
// CHECK: %[[Rb:.*]] = arith.truncf %[[rest]]
// CHECK: %[[Ab:.*]] = arith.truncf %[[A]]
// CHECK: %[[A1b:.*]] = arith.truncf %[[A1]]
// CHECK: %[[one:.*]] = linalg.contract {{.*}} ins(%[[A1b]], %[[Sb]] : {{.*}} outs(%[[sum]] :
// CHECK: %[[two:.*]] = linalg.contract {{.*}} ins(%[[Ab]], %[[Rb]] : {{.*}} outs(%[[one]] :
// CHECK: %[[three:.*]] = linalg.contract {{.*}} ins(%[[Ab]], %[[Sb]] : {{.*}} outs(%[[two]] :
// CHECK: delta.yield outs(%[[S]] : {{.*}}) carry(%[[three]] :
func.func @joined_states(%x: tensor<?x?x1x16xbf16>, %z: tensor<?x1x16x16xf32>, %s0: tensor<?x1x16x16xf32>) -> (tensor<?x1x16x16xf32>, tensor<?x1x16x16xf32>) {
  %a, %b, %0 = delta.chunk_scan forward chunk = 16 heads = 1 compute = f32 ins(%X = %x[seq, time, head, _] : tensor<?x?x1x16xbf16>)
      carry(%S = %z[chunk * 4, head, _, _] : tensor<?x1x16x16xf32>)
      outs([chunk * 4 + 3, head, _, _] : tensor<?x1x16x16xf32>, [chunk * 4 + 3, head, _, _] : tensor<?x1x16x16xf32>) valid(%n) {
    %S1 = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%X, %X : tensor<16x16xf32>, tensor<16x16xf32>) outs(%S : tensor<16x16xf32>) -> tensor<16x16xf32>
    delta.yield outs(%S1, %S : tensor<16x16xf32>, tensor<16x16xf32>) carry(%S1 : tensor<16x16xf32>)
  }
  %s, %sT = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%X = %x[seq, time, head, _] : tensor<?x?x1x16xbf16>, %A = %a[chunk, head, _, _] : tensor<?x1x16x16xf32>, %B = %b[chunk, head, _, _] : tensor<?x1x16x16xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x16x16xf32>) outs([chunk, head, _, _] : tensor<?x1x16x16xf32>) valid(%n) {
    %S1 = linalg.contract indexing_maps = [#mk, #kn, #mn] ins(%A, %S : tensor<16x16xf32>, tensor<16x16xf32>) outs(%B : tensor<16x16xf32>) -> tensor<16x16xf32>
    delta.yield outs(%S : tensor<16x16xf32>) carry(%S1 : tensor<16x16xf32>)
  }
  return %s, %sT : tensor<?x1x16x16xf32>, tensor<?x1x16x16xf32>
}
