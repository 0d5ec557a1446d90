// RUN: wyvern-opt %s -sched-separate -convert-sched-to-tile -canonicalize -cse | FileCheck %s
//
// The backward of a gated delta rule as one would write it by hand, with a scale of
// 0.5: what a chain stores once a chunk, products of what is computed in the kernel,
// sums over rows, columns and whole states. test/Integration/gpu_free_form.py runs it.

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#km = affine_map<(m, n, k) -> (k, m)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>

// What is carried in is stored before the products overwrite it, all its rows, at the
// chunk's slot; rows of a chunk as far as they are the sequence's.

// CHECK-LABEL: tile.kernel @gated_backward_scan(
// CHECK: %[[FIRST:.*]] = tile.first_slot %{{.*}} of %{{.*}} tokens %{{.*}} chunk %c64
// CHECK: scf.for %[[USE:.*]] = %{{.*}} iter_args(%[[S:.*]] = %
// CHECK: %[[SLOT:.*]] = arith.addi %[[FIRST]], %[[USE]]
// CHECK: %[[SB:.*]] = arith.truncf %[[S]]
// CHECK: tile.store_rows transpose %[[SB]] to %{{.*}}[%[[SLOT]], %{{.*}}, %c0, %{{.*}}] dim 2 valid %c128
// CHECK: tile.wait
// CHECK: tile.mma %[[SB]]
// CHECK: tile.store_rows transpose %{{.*}} dim 1 valid %

// CHECK-LABEL: tile.kernel @gated_backward_scan1(
// CHECK: scf.for %[[USE:.*]] = %{{.*}}
// CHECK: %[[NUMBER:.*]] = arith.subi
// CHECK: arith.addi %{{.*}}, %[[NUMBER]]

// Ins with a slot are brought by TMA and not zeroed at the end of a sequence.

// CHECK-LABEL: tile.kernel @gated_backward_map1(
// CHECK-SAME: %{{.*}}: !tile.tensor_map<tensor<?x1x128x128xbf16>, box = [1, 1, 128, 64]>
// CHECK: %[[SLOT:.*]] = tile.block_id
// CHECK: tile.find_chunk %[[SLOT]]
// CHECK: scf.if
// CHECK: %[[T:.*]]:11 = tile.wait
// CHECK: tile.zero_rows %[[T]]#4
// CHECK-NOT: tile.zero_rows
// CHECK: tile.barrier proxy

// The sum of S * dS, which both lie in shared memory, is one operation.

// CHECK: tile.dot %[[T]]#5, %[[T]]#6 via %{{.*}} barrier 1 : <128x128xbf16>, <128x128xbf16>, <4xf32>

// U is written once, with its first product, and read by two; masked products are
// written and read as they lie and across.

// CHECK: %[[U:.*]] = tile.write %{{.*}} barrier 1 : tensor<64x128xbf16
// CHECK-NEXT: tile.mma %[[T]]#2, %[[U]] transpose_b
// CHECK: math.exp
// CHECK: arith.select
// CHECK: %[[DP:.*]] = tile.write %{{.*}} barrier 1 : tensor<64x64xbf16
// CHECK: tile.mma %{{.*}}, %[[U]] transpose_b
// CHECK: %[[DL:.*]] = tile.write %{{.*}} barrier 1 : tensor<64x64xbf16

// dQ first, then dK, each with its sums for the gates: never more than two
// accumulators. A sum of two of them is computed where it stands.

// CHECK: tile.mma %[[DP]], %[[T]]#1
// CHECK: tile.mma %[[T]]#2, %[[T]]#5 transpose_b
// CHECK: tile.store_rows
// CHECK: tile.mma %[[DP]] transpose_a, %[[T]]#0
// CHECK: %[[E:.*]] = tile.mma %{{.*}}, %[[T]]#6 transpose_b
// CHECK: %[[KU:.*]] = tile.await %[[E]]
// CHECK: %[[SUM:.*]] = arith.addf %{{.*}}, %[[KU]]
// CHECK: tile.hold %[[SUM]]
// CHECK: tile.mma %[[DL]], %[[T]]#1
// CHECK: tile.mma %[[DL]] transpose_a, %[[T]]#1
// CHECK: tile.store_rows
// CHECK: tile.cumsum reverse
// CHECK: tile.release

// Rows that no sequence owns, of results: the block of the last sequence's first slot.

// CHECK: scf.if
// CHECK-COUNT-6: tile.zero_fill {{.*}} columns 64
// CHECK: tile.zero_fill {{.*}} columns 1
// CHECK: }, {
// CHECK: tile.load %{{.*}}[%[[SLOT]], %c0, %c0, %c0] to
func.func @gated_backward(
    %q: tensor<?x?x1x128xbf16> {delta.name = "q"}, %k: tensor<?x?x1x128xbf16> {delta.name = "k"}, %v: tensor<?x?x1x128xbf16> {delta.name = "v"},
    %beta: tensor<?x?x1xf32> {delta.name = "beta"}, %g: tensor<?x?x1xf32> {delta.name = "g"}, %s0: tensor<?x1x128x128xf32> {delta.name = "initial_state"},
    %do: tensor<?x?x1x128xbf16> {delta.name = "d_o"}, %dsT: tensor<?x1x128x128xf32> {delta.name = "d_final_state"}, %cu: tensor<?xi64> {delta.name = "cu_seqlens"})
    -> (tensor<?x?x1x128xbf16> {delta.name = "d_q"}, tensor<?x?x1x128xbf16> {delta.name = "d_k"}, tensor<?x?x1x128xbf16> {delta.name = "d_v"}, tensor<?x?x1xf32> {delta.name = "d_beta"}, tensor<?x?x1xf32> {delta.name = "d_g"}, tensor<?x1x128x128xf32> {delta.name = "d_initial_state"}) {
  %p, %z, %ea, %es = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x128xbf16>, %K = %k[seq, time, head, _] : tensor<?x?x1x128xbf16>, %c = %beta[seq, time, head] : tensor<?x?x1xf32>,
          %G = %g[seq, time, head] : tensor<?x?x1xf32>)
      cu_seqlens(%cu : tensor<?xi64>)
      outs([seq, time, head, _] : tensor<?x?x1x64xbf16>, [seq, time, head, _] : tensor<?x?x1x64xbf16>, [seq, time, head] : tensor<?x?x1xf32>, [seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %Qh = arith.truncf %Q : tensor<64x128xf32> to tensor<64x128xbf16>
    %Kh = arith.truncf %K : tensor<64x128xf32> to tensor<64x128xbf16>
    %P = delta.decay_dot upto_token %Qh, %Kh decay(%G : tensor<64xf32>) : tensor<64x128xbf16>, tensor<64x128xbf16> -> tensor<64x64xf32>
    %L = delta.decay_dot before_row %Kh, %Kh decay(%G : tensor<64xf32>) : tensor<64x128xbf16>, tensor<64x128xbf16> -> tensor<64x64xf32>
    %Z = delta.erase_factor %L, %c block 32 to bf16 : tensor<64x64xf32>, tensor<64xf32> -> tensor<64x64xf32>
    %half = arith.constant dense<0.5> : tensor<64x64xf32>
    %Ps = arith.mulf %P, %half : tensor<64x64xf32>
    %A = delta.cumsum %G : tensor<64xf32>
    %EA = math.exp %A : tensor<64xf32>
    %B = delta.cumsum reverse exclusive %G : tensor<64xf32>
    %ES = math.exp %B : tensor<64xf32>
    delta.yield outs(%Ps, %Z, %EA, %ES : tensor<64x64xf32>, tensor<64x64xf32>, tensor<64xf32>, tensor<64xf32>)
  }
  %s, %r, %sT = delta.chunk_scan forward chunk = 64 heads = 1 compute = f32
      ins(%K = %k[seq, time, head, _] : tensor<?x?x1x128xbf16>, %V = %v[seq, time, head, _] : tensor<?x?x1x128xbf16>, %c = %beta[seq, time, head] : tensor<?x?x1xf32>, %Z = %z[seq, time, head, _] : tensor<?x?x1x64xbf16>,
          %ea_ = %ea[seq, time, head] : tensor<?x?x1xf32>, %es_ = %es[seq, time, head] : tensor<?x?x1xf32>, %G = %g[seq, time, head] : tensor<?x?x1xf32>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x1x128x128xf32>) cu_seqlens(%cu : tensor<?xi64>)
      outs([chunk, head, _, _] : tensor<?x1x128x128xbf16>, [seq, time, head, _] : tensor<?x?x1x128xbf16>) valid(%n) {
    %z64x128 = arith.constant dense<0.0> : tensor<64x128xf32>
    %e128 = tensor.empty() : tensor<64x128xf32>
    %Kh = arith.truncf %K : tensor<64x128xf32> to tensor<64x128xbf16>
    %Sh = arith.truncf %S : tensor<128x128xf32> to tensor<128x128xbf16>
    %Zh = arith.truncf %Z : tensor<64x64xf32> to tensor<64x64xbf16>
    %KS = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%Kh, %Sh : tensor<64x128xbf16>, tensor<128x128xbf16>) outs(%z64x128 : tensor<64x128xf32>) -> tensor<64x128xf32>
    %b_eKS = linalg.broadcast ins(%ea_ : tensor<64xf32>) outs(%e128 : tensor<64x128xf32>) dimensions = [1]
    %eKS = arith.mulf %b_eKS, %KS : tensor<64x128xf32>
    %W = arith.subf %V, %eKS : tensor<64x128xf32>
    %R = delta.erase_apply %Zh, %c, %W block 32 : tensor<64x64xbf16>, tensor<64xf32>, tensor<64x128xf32>
    %b_U = linalg.broadcast ins(%c : tensor<64xf32>) outs(%e128 : tensor<64x128xf32>) dimensions = [1]
    %U = arith.mulf %b_U, %R : tensor<64x128xf32>
    %b_eU = linalg.broadcast ins(%es_ : tensor<64xf32>) outs(%e128 : tensor<64x128xf32>) dimensions = [1]
    %eU = arith.mulf %b_eU, %U : tensor<64x128xf32>
    %zs = arith.constant dense<0.0> : tensor<f32>
    %gC = linalg.reduce { arith.addf } ins(%G : tensor<64xf32>) outs(%zs : tensor<f32>) dimensions = [0]
    %eC = math.exp %gC : tensor<f32>
    %eS = tensor.empty() : tensor<128x128xf32>
    %eCb = linalg.broadcast ins(%eC : tensor<f32>) outs(%eS : tensor<128x128xf32>) dimensions = [0, 1]
    %dS = arith.mulf %eCb, %S : tensor<128x128xf32>
    %Uh = arith.truncf %eU : tensor<64x128xf32> to tensor<64x128xbf16>
    %S1 = linalg.contract indexing_maps = [#km, #kn, #mn]
        ins(%Kh, %Uh : tensor<64x128xbf16>, tensor<64x128xbf16>) outs(%dS : tensor<128x128xf32>) -> tensor<128x128xf32>
    delta.yield outs(%S, %R : tensor<128x128xf32>, tensor<64x128xf32>) carry(%S1 : tensor<128x128xf32>)
  }
  %d, %x, %ds0 = delta.chunk_scan reverse chunk = 64 heads = 1 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x128xbf16>, %K = %k[seq, time, head, _] : tensor<?x?x1x128xbf16>, %dO = %do[seq, time, head, _] : tensor<?x?x1x128xbf16>, %c = %beta[seq, time, head] : tensor<?x?x1xf32>, %P = %p[seq, time, head, _] : tensor<?x?x1x64xbf16>, %Z = %z[seq, time, head, _] : tensor<?x?x1x64xbf16>,
          %ea_ = %ea[seq, time, head] : tensor<?x?x1xf32>, %es_ = %es[seq, time, head] : tensor<?x?x1xf32>, %G = %g[seq, time, head] : tensor<?x?x1xf32>)
      carry(%D = %dsT[seq, head, _, _] : tensor<?x1x128x128xf32>) cu_seqlens(%cu : tensor<?xi64>)
      outs([chunk, head, _, _] : tensor<?x1x128x128xbf16>, [seq, time, head, _] : tensor<?x?x1x128xbf16>) valid(%n) {
    %z64x128 = arith.constant dense<0.0> : tensor<64x128xf32>
    %e128 = tensor.empty() : tensor<64x128xf32>
    %Qh = arith.truncf %Q : tensor<64x128xf32> to tensor<64x128xbf16>
    %Kh = arith.truncf %K : tensor<64x128xf32> to tensor<64x128xbf16>
    %dOh = arith.truncf %dO : tensor<64x128xf32> to tensor<64x128xbf16>
    %Dh = arith.truncf %D : tensor<128x128xf32> to tensor<128x128xbf16>
    %Ph = arith.truncf %P : tensor<64x64xf32> to tensor<64x64xbf16>
    %Zh = arith.truncf %Z : tensor<64x64xf32> to tensor<64x64xbf16>
    %KD = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%Kh, %Dh : tensor<64x128xbf16>, tensor<128x128xbf16>) outs(%z64x128 : tensor<64x128xf32>) -> tensor<64x128xf32>
    %b_eKD = linalg.broadcast ins(%es_ : tensor<64xf32>) outs(%e128 : tensor<64x128xf32>) dimensions = [1]
    %eKD = arith.mulf %b_eKD, %KD : tensor<64x128xf32>
    %dU = linalg.contract indexing_maps = [#km, #kn, #mn]
        ins(%Ph, %dOh : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%eKD : tensor<64x128xf32>) -> tensor<64x128xf32>
    %X = delta.erase_apply adjoint %Zh, %c, %dU block 32 : tensor<64x64xbf16>, tensor<64xf32>, tensor<64x128xf32>
    %b_dW = linalg.broadcast ins(%c : tensor<64xf32>) outs(%e128 : tensor<64x128xf32>) dimensions = [1]
    %dW = arith.mulf %b_dW, %X : tensor<64x128xf32>
    %scale = arith.constant dense<0.5> : tensor<64x128xf32>
    %sdO = arith.mulf %scale, %dO : tensor<64x128xf32>
    %b_edO = linalg.broadcast ins(%ea_ : tensor<64xf32>) outs(%e128 : tensor<64x128xf32>) dimensions = [1]
    %edO = arith.mulf %b_edO, %sdO : tensor<64x128xf32>
    %b_edW = linalg.broadcast ins(%ea_ : tensor<64xf32>) outs(%e128 : tensor<64x128xf32>) dimensions = [1]
    %edW = arith.mulf %b_edW, %dW : tensor<64x128xf32>
    %zs = arith.constant dense<0.0> : tensor<f32>
    %gC = linalg.reduce { arith.addf } ins(%G : tensor<64xf32>) outs(%zs : tensor<f32>) dimensions = [0]
    %eC = math.exp %gC : tensor<f32>
    %eS = tensor.empty() : tensor<128x128xf32>
    %eCb = linalg.broadcast ins(%eC : tensor<f32>) outs(%eS : tensor<128x128xf32>) dimensions = [0, 1]
    %dD = arith.mulf %eCb, %D : tensor<128x128xf32>
    %doh = arith.truncf %edO : tensor<64x128xf32> to tensor<64x128xbf16>
    %D1 = linalg.contract indexing_maps = [#km, #kn, #mn]
        ins(%Qh, %doh : tensor<64x128xbf16>, tensor<64x128xbf16>) outs(%dD : tensor<128x128xf32>) -> tensor<128x128xf32>
    %ndw = arith.negf %edW : tensor<64x128xf32>
    %dwh = arith.truncf %ndw : tensor<64x128xf32> to tensor<64x128xbf16>
    %D2 = linalg.contract indexing_maps = [#km, #kn, #mn]
        ins(%Kh, %dwh : tensor<64x128xbf16>, tensor<64x128xbf16>) outs(%D1 : tensor<128x128xf32>) -> tensor<128x128xf32>
    delta.yield outs(%D, %X : tensor<128x128xf32>, tensor<64x128xf32>) carry(%D2 : tensor<128x128xf32>)
  }
  %dq, %dk, %dv, %dbeta, %dg = delta.chunk_map chunk = 64 heads = 1 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x128xbf16>, %K = %k[seq, time, head, _] : tensor<?x?x1x128xbf16>, %dO = %do[seq, time, head, _] : tensor<?x?x1x128xbf16>, %R = %r[seq, time, head, _] : tensor<?x?x1x128xbf16>, %X = %x[seq, time, head, _] : tensor<?x?x1x128xbf16>,
          %S = %s[chunk, head, _, _] : tensor<?x1x128x128xbf16>, %D = %d[chunk, head, _, _] : tensor<?x1x128x128xbf16>, %c = %beta[seq, time, head] : tensor<?x?x1xf32>,
          %ea_ = %ea[seq, time, head] : tensor<?x?x1xf32>, %es_ = %es[seq, time, head] : tensor<?x?x1xf32>, %G = %g[seq, time, head] : tensor<?x?x1xf32>)
      cu_seqlens(%cu : tensor<?xi64>)
      outs([seq, time, head, _] : tensor<?x?x1x128xbf16>, [seq, time, head, _] : tensor<?x?x1x128xbf16>, [seq, time, head, _] : tensor<?x?x1x128xbf16>, [seq, time, head] : tensor<?x?x1xf32>, [seq, time, head] : tensor<?x?x1xf32>) valid(%n) {
    %z64x64 = arith.constant dense<0.0> : tensor<64x64xf32>
    %z64x128 = arith.constant dense<0.0> : tensor<64x128xf32>
    %z64 = arith.constant dense<0.0> : tensor<64xf32>
    %e128 = tensor.empty() : tensor<64x128xf32>
    %Qh = arith.truncf %Q : tensor<64x128xf32> to tensor<64x128xbf16>
    %Kh = arith.truncf %K : tensor<64x128xf32> to tensor<64x128xbf16>
    %dOh = arith.truncf %dO : tensor<64x128xf32> to tensor<64x128xbf16>
    %Sh = arith.truncf %S : tensor<128x128xf32> to tensor<128x128xbf16>
    %Dh = arith.truncf %D : tensor<128x128xf32> to tensor<128x128xbf16>
    %b_U = linalg.broadcast ins(%c : tensor<64xf32>) outs(%e128 : tensor<64x128xf32>) dimensions = [1]
    %U = arith.mulf %b_U, %R : tensor<64x128xf32>
    %Uh = arith.truncf %U : tensor<64x128xf32> to tensor<64x128xbf16>
    %b_dW = linalg.broadcast ins(%c : tensor<64xf32>) outs(%e128 : tensor<64x128xf32>) dimensions = [1]
    %dW = arith.mulf %b_dW, %X : tensor<64x128xf32>
    %dWh = arith.truncf %dW : tensor<64x128xf32> to tensor<64x128xbf16>
    %m_dbeta = arith.mulf %X, %R : tensor<64x128xf32>
    %dbeta = linalg.reduce { arith.addf } ins(%m_dbeta : tensor<64x128xf32>) outs(%z64 : tensor<64xf32>) dimensions = [1]
    %dOS = linalg.contract indexing_maps = [#mk, #nk, #mn]
        ins(%dOh, %Sh : tensor<64x128xbf16>, tensor<128x128xbf16>) outs(%z64x128 : tensor<64x128xf32>) -> tensor<64x128xf32>
    %scale = arith.constant dense<0.5> : tensor<64x128xf32>
    %dQ0 = arith.mulf %scale, %dOS : tensor<64x128xf32>
    %b_dQ1 = linalg.broadcast ins(%ea_ : tensor<64xf32>) outs(%e128 : tensor<64x128xf32>) dimensions = [1]
    %dQ1 = arith.mulf %b_dQ1, %dQ0 : tensor<64x128xf32>
    %m_da0 = arith.mulf %Q, %dQ1 : tensor<64x128xf32>
    %da0 = linalg.reduce { arith.addf } ins(%m_da0 : tensor<64x128xf32>) outs(%z64 : tensor<64xf32>) dimensions = [1]
    %dOU = linalg.contract indexing_maps = [#mk, #nk, #mn]
        ins(%dOh, %Uh : tensor<64x128xbf16>, tensor<64x128xbf16>) outs(%z64x64 : tensor<64x64xf32>) -> tensor<64x64xf32>
    %dP = delta.decay_mask upto_token %dOU decay(%G : tensor<64xf32>) : tensor<64x64xf32>
    %scale64 = arith.constant dense<0.5> : tensor<64x64xf32>
    %dPs = arith.mulf %scale64, %dP : tensor<64x64xf32>
    %dPh = arith.truncf %dPs : tensor<64x64xf32> to tensor<64x64xbf16>
    %dQP = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%dPh, %Kh : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%z64x128 : tensor<64x128xf32>) -> tensor<64x128xf32>
    %m_da1 = arith.mulf %Q, %dQP : tensor<64x128xf32>
    %da1 = linalg.reduce { arith.addf } ins(%m_da1 : tensor<64x128xf32>) outs(%z64 : tensor<64xf32>) dimensions = [1]
    %dQ = arith.addf %dQ1, %dQP : tensor<64x128xf32>
    %dKP = linalg.contract indexing_maps = [#km, #kn, #mn]
        ins(%dPh, %Qh : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%z64x128 : tensor<64x128xf32>) -> tensor<64x128xf32>
    %m_da2 = arith.mulf %K, %dKP : tensor<64x128xf32>
    %da2 = linalg.reduce { arith.addf } ins(%m_da2 : tensor<64x128xf32>) outs(%z64 : tensor<64xf32>) dimensions = [1]
    %b_eU = linalg.broadcast ins(%es_ : tensor<64xf32>) outs(%e128 : tensor<64x128xf32>) dimensions = [1]
    %eU = arith.mulf %b_eU, %U : tensor<64x128xf32>
    %eUh = arith.truncf %eU : tensor<64x128xf32> to tensor<64x128xbf16>
    %dKU = linalg.contract indexing_maps = [#mk, #nk, #mn]
        ins(%eUh, %Dh : tensor<64x128xbf16>, tensor<128x128xbf16>) outs(%z64x128 : tensor<64x128xf32>) -> tensor<64x128xf32>
    %m_da3 = arith.mulf %K, %dKU : tensor<64x128xf32>
    %da3 = linalg.reduce { arith.addf } ins(%m_da3 : tensor<64x128xf32>) outs(%z64 : tensor<64xf32>) dimensions = [1]
    %dK1 = arith.addf %dKP, %dKU : tensor<64x128xf32>
    %dWU = linalg.contract indexing_maps = [#mk, #nk, #mn]
        ins(%dWh, %Uh : tensor<64x128xbf16>, tensor<64x128xbf16>) outs(%z64x64 : tensor<64x64xf32>) -> tensor<64x64xf32>
    %dL = delta.decay_mask before_row %dWU decay(%G : tensor<64xf32>) : tensor<64x64xf32>
    %dLn = arith.negf %dL : tensor<64x64xf32>
    %dLh = arith.truncf %dLn : tensor<64x64xf32> to tensor<64x64xbf16>
    %dKL = linalg.contract indexing_maps = [#mk, #kn, #mn]
        ins(%dLh, %Kh : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%z64x128 : tensor<64x128xf32>) -> tensor<64x128xf32>
    %m_da4 = arith.mulf %K, %dKL : tensor<64x128xf32>
    %da4 = linalg.reduce { arith.addf } ins(%m_da4 : tensor<64x128xf32>) outs(%z64 : tensor<64xf32>) dimensions = [1]
    %dK2 = arith.addf %dK1, %dKL : tensor<64x128xf32>
    %dKM = linalg.contract indexing_maps = [#km, #kn, #mn]
        ins(%dLh, %Kh : tensor<64x64xbf16>, tensor<64x128xbf16>) outs(%z64x128 : tensor<64x128xf32>) -> tensor<64x128xf32>
    %m_da5 = arith.mulf %K, %dKM : tensor<64x128xf32>
    %da5 = linalg.reduce { arith.addf } ins(%m_da5 : tensor<64x128xf32>) outs(%z64 : tensor<64xf32>) dimensions = [1]
    %dK3 = arith.addf %dK2, %dKM : tensor<64x128xf32>
    %b_edW = linalg.broadcast ins(%ea_ : tensor<64xf32>) outs(%e128 : tensor<64x128xf32>) dimensions = [1]
    %edW = arith.mulf %b_edW, %dW : tensor<64x128xf32>
    %ndw = arith.negf %edW : tensor<64x128xf32>
    %ndwh = arith.truncf %ndw : tensor<64x128xf32> to tensor<64x128xbf16>
    %dKS = linalg.contract indexing_maps = [#mk, #nk, #mn]
        ins(%ndwh, %Sh : tensor<64x128xbf16>, tensor<128x128xbf16>) outs(%z64x128 : tensor<64x128xf32>) -> tensor<64x128xf32>
    %m_da6 = arith.mulf %K, %dKS : tensor<64x128xf32>
    %da6 = linalg.reduce { arith.addf } ins(%m_da6 : tensor<64x128xf32>) outs(%z64 : tensor<64xf32>) dimensions = [1]
    %dK = arith.addf %dK3, %dKS : tensor<64x128xf32>
    %s1 = arith.addf %da0, %da1 : tensor<64xf32>
    %s2 = arith.subf %s1, %da2 : tensor<64xf32>
    %s3 = arith.subf %s2, %da3 : tensor<64xf32>
    %s4 = arith.addf %s3, %da4 : tensor<64xf32>
    %s5 = arith.subf %s4, %da5 : tensor<64xf32>
    %s6 = arith.addf %s5, %da6 : tensor<64xf32>
    %SD = arith.mulf %S, %D : tensor<128x128xf32>
    %zK = arith.constant dense<0.0> : tensor<128xf32>
    %zs = arith.constant dense<0.0> : tensor<f32>
    %SDk = linalg.reduce { arith.addf } ins(%SD : tensor<128x128xf32>) outs(%zK : tensor<128xf32>) dimensions = [1]
    %SDs = linalg.reduce { arith.addf } ins(%SDk : tensor<128xf32>) outs(%zs : tensor<f32>) dimensions = [0]
    %gC = linalg.reduce { arith.addf } ins(%G : tensor<64xf32>) outs(%zs : tensor<f32>) dimensions = [0]
    %eC = math.exp %gC : tensor<f32>
    %deC = arith.mulf %eC, %SDs : tensor<f32>
    %sum3 = linalg.reduce { arith.addf } ins(%da3 : tensor<64xf32>) outs(%zs : tensor<f32>) dimensions = [0]
    %daC = arith.addf %deC, %sum3 : tensor<f32>
    %ev = tensor.empty() : tensor<64xf32>
    %daCb = linalg.broadcast ins(%daC : tensor<f32>) outs(%ev : tensor<64xf32>) dimensions = [0]
    %cs = delta.cumsum reverse %s6 : tensor<64xf32>
    %dg = arith.addf %cs, %daCb : tensor<64xf32>
    delta.yield outs(%dQ, %dK, %dW, %dbeta, %dg : tensor<64x128xf32>, tensor<64x128xf32>, tensor<64x128xf32>, tensor<64xf32>, tensor<64xf32>)
  }
  return %dq, %dk, %dv, %dbeta, %dg, %ds0 : tensor<?x?x1x128xbf16>, tensor<?x?x1x128xbf16>, tensor<?x?x1x128xbf16>, tensor<?x?x1xf32>, tensor<?x?x1xf32>, tensor<?x1x128x128xf32>
}
