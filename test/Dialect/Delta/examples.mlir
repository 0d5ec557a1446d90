// RUN: wyvern-opt %s | wyvern-opt | FileCheck %s

// The examples of the ops' documentation, word for word: test/lint compares them
// with the ODS files.

// CHECK-LABEL: func.func @chunk_map
// CHECK: delta.chunk_map
func.func @chunk_map(%q: tensor<?x?x1x64xbf16>, %k: tensor<?x?x1x64xbf16>) {
  %p = delta.chunk_map chunk = 64 heads = 2 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x64xbf16>,
          %K = %k[seq, time, head, _] : tensor<?x?x1x64xbf16>)
      outs([seq, time, head, _] : tensor<?x?x2x64xbf16>) valid(%n) {
    %P = delta.decay_dot upto_token %Q, %K
        : tensor<64x64xf32>, tensor<64x64xf32> -> tensor<64x64xf32>
    delta.yield outs(%P : tensor<64x64xf32>)
  }
  return
}

// CHECK-LABEL: func.func @sum_tokens
// CHECK: delta.sum_tokens
func.func @sum_tokens(%x: tensor<?x?x4xf32>, %y: tensor<?x?x4xf32>, %cu: tensor<?xi64>) {
  %dA, %dbias = delta.sum_tokens %x, %y cu_seqlens(%cu : tensor<?xi64>)
      : tensor<?x?x4xf32>, tensor<?x?x4xf32> -> tensor<4xf32>, tensor<4xf32>
  return
}

// CHECK-LABEL: func.func @chunk_scan
// CHECK: delta.chunk_scan
func.func @chunk_scan(%q: tensor<?x?x1x64xbf16>, %v: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>) {
  %o, %sT = delta.chunk_scan forward chunk = 64 heads = 2 compute = f32
      ins(%Q = %q[seq, time, head, _] : tensor<?x?x1x64xbf16>,
          %V = %v[seq, time, head, _] : tensor<?x?x2x64xbf16>)
      carry(%S = %s0[seq, head, _, _] : tensor<?x2x64x64xf32>)
      outs([seq, time, head, _] : tensor<?x?x2x64xbf16>) valid(%n) {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    %O = linalg.contract
        indexing_maps = [affine_map<(m, n, k) -> (m, k)>,
                         affine_map<(m, n, k) -> (k, n)>,
                         affine_map<(m, n, k) -> (m, n)>]
        ins(%Q, %S : tensor<64x64xf32>, tensor<64x64xf32>)
        outs(%zero : tensor<64x64xf32>) -> tensor<64x64xf32>
    %S1 = linalg.contract
        indexing_maps = [affine_map<(m, n, k) -> (k, m)>,
                         affine_map<(m, n, k) -> (k, n)>,
                         affine_map<(m, n, k) -> (m, n)>]
        ins(%Q, %V : tensor<64x64xf32>, tensor<64x64xf32>)
        outs(%S : tensor<64x64xf32>) -> tensor<64x64xf32>
    delta.yield outs(%O : tensor<64x64xf32>) carry(%S1 : tensor<64x64xf32>)
  }
  return
}

// CHECK-LABEL: func.func @cumsum
// CHECK: delta.cumsum
func.func @cumsum(%g: tensor<64xf32>, %G: tensor<64x128xf32>) {
  %a = delta.cumsum %g : tensor<64xf32>
  %s = delta.cumsum reverse exclusive %G : tensor<64x128xf32>
  return
}

// CHECK-LABEL: func.func @decay_apply
// CHECK: delta.decay_apply
func.func @decay_apply(%dm: tensor<64x64xf32>, %b: tensor<64x128xf32>, %g: tensor<64xf32>) {
  %da = delta.decay_apply upto_token %dm, %b decay(%g : tensor<64xf32>)
      : tensor<64x64xf32>, tensor<64x128xf32> -> tensor<64x128xf32>
  return
}

// CHECK-LABEL: func.func @decay_dot
// CHECK: delta.decay_dot
func.func @decay_dot(%K: tensor<64x128xf32>, %g: tensor<64xf32>) {
  %L = delta.decay_dot before_row %K, %K decay(%g : tensor<64xf32>)
      : tensor<64x128xf32>, tensor<64x128xf32> -> tensor<64x64xf32>
  return
}

// CHECK-LABEL: func.func @decay_mask
// CHECK: delta.decay_mask
func.func @decay_mask(%dM: tensor<64x64xf32>, %g: tensor<64xf32>) {
  %dP = delta.decay_mask upto_token %dM decay(%g : tensor<64xf32>)
      : tensor<64x64xf32>
  return
}

// CHECK-LABEL: func.func @erase_factor
// CHECK: delta.erase_factor
// CHECK: delta.erase_factor {{.*}} -> tensor<64x128xf32>
func.func @erase_factor(%L: tensor<64x64xf32>, %c: tensor<64xf32>) {
  %Z = delta.erase_factor %L, %c block 32 to bf16
      : tensor<64x64xf32>, tensor<64xf32> -> tensor<64x64xf32>
  %ZZ = delta.erase_factor %L, %c block 32 to bf16
      : tensor<64x64xf32>, tensor<64xf32> -> tensor<64x128xf32>
  return
}

// CHECK-LABEL: func.func @two_parts
// CHECK: delta.erase_apply adjoint {{.*}} : tensor<64x128xbf16>
// CHECK: delta.erase_solve above_one %
// CHECK: delta.erase_solve_adjoint above_one %
func.func @two_parts(%ZZ: tensor<64x128xbf16>, %L: tensor<64x64xf32>, %c: tensor<64xf32>, %W: tensor<64x128xf32>) {
  %R = delta.erase_apply adjoint %ZZ, %c, %W block 32
      : tensor<64x128xbf16>, tensor<64xf32>, tensor<64x128xf32>
  %R1, %U = delta.erase_solve above_one %L, %c, %W : tensor<64x64xf32>, tensor<64xf32>,
      tensor<64x128xf32> -> tensor<64x128xf32>, tensor<64x128xf32>
  %X = delta.erase_solve_adjoint above_one %L, %c, %W : tensor<64x64xf32>,
      tensor<64xf32>, tensor<64x128xf32> -> tensor<64x128xf32>
  return
}

// CHECK-LABEL: func.func @erase_apply
// CHECK: delta.erase_apply
// CHECK: delta.erase_apply adjoint
func.func @erase_apply(%Z: tensor<64x64xbf16>, %c: tensor<64xf32>, %W: tensor<64x128xf32>, %dU: tensor<64x128xf32>) {
  %R = delta.erase_apply %Z, %c, %W block 32
      : tensor<64x64xbf16>, tensor<64xf32>, tensor<64x128xf32>
  %X = delta.erase_apply adjoint %Z, %c, %dU block 32
      : tensor<64x64xbf16>, tensor<64xf32>, tensor<64x128xf32>
  return
}

// CHECK-LABEL: func.func @erase_solve_adjoint
// CHECK: delta.erase_solve_adjoint
func.func @erase_solve_adjoint(%L: tensor<64x64xf32>, %c: tensor<64xf32>, %dU: tensor<64x128xf32>) {
  %X = delta.erase_solve_adjoint %L, %c, %dU : tensor<64x64xf32>,
      tensor<64xf32>, tensor<64x128xf32> -> tensor<64x128xf32>
  return
}

// CHECK-LABEL: func.func @erase_solve
// CHECK: delta.erase_solve
func.func @erase_solve(%L: tensor<64x64xf32>, %c: tensor<64xf32>, %W: tensor<64x128xf32>) {
  %R, %U = delta.erase_solve %L, %c, %W : tensor<64x64xf32>, tensor<64xf32>,
      tensor<64x128xf32> -> tensor<64x128xf32>, tensor<64x128xf32>
  return
}

// CHECK-LABEL: func.func @mask_rows
// CHECK: delta.mask_rows
func.func @mask_rows(%x: tensor<64xf32>, %n: index) {
  %y = delta.mask_rows %x, %n : tensor<64xf32>
  return
}

// CHECK-LABEL: func.func @last_row
// CHECK: delta.last_row
func.func @last_row(%x: tensor<64xf32>, %n: index) {
  %y = delta.last_row %x, %n : tensor<64xf32> -> tensor<f32>
  return
}

// CHECK-LABEL: func.func @recurrence
// CHECK: delta.recurrence
func.func @recurrence(%q: tensor<?x?x1x64xf32>, %g: tensor<?x?x2xf32>, %k: tensor<?x?x1x64xf32>,
    %v: tensor<?x?x2x64xf32>, %beta: tensor<?x?x2xf32>, %s0: tensor<?x2x64x64xf32>, %cu: tensor<?xi64>,
    %lam: tensor<?x?x28xf32>) {
  %o, %sT = delta.recurrence query(%q) decay(%g)
      step(write %k erase %k value %v rate %beta)
      initial_state(%s0) cu_seqlens(%cu) scale 0.125
      : tensor<?x?x1x64xf32>, tensor<?x?x2xf32>, tensor<?x?x1x64xf32>,
        tensor<?x?x1x64xf32>, tensor<?x?x2x64xf32>, tensor<?x?x2xf32>,
        tensor<?x2x64x64xf32>, tensor<?xi64>
      -> (tensor<?x?x2x64xf32>, tensor<?x2x64x64xf32>)
  %p, %pT = delta.recurrence query(%q) decay(%g)
      step(write %k value %v) cu_seqlens(%cu) level_scales(%lam) scale 1.0
      : tensor<?x?x1x64xf32>, tensor<?x?x2xf32>, tensor<?x?x1x64xf32>,
        tensor<?x?x2x64xf32>, tensor<?xi64>, tensor<?x?x28xf32>
      -> (tensor<?x?x2x64xf32>, tensor<?x2x64x64xf32>)
  return
}

// CHECK-LABEL: func.func @repeat_rows
// CHECK: delta.repeat_rows
func.func @repeat_rows(%a: tensor<32xf32>) {
  %r = delta.repeat_rows %a by 2 : tensor<32xf32> -> tensor<64xf32>
  return
}

// CHECK-LABEL: func.func @split_columns
// CHECK: delta.split_columns
// CHECK: delta.join_columns
func.func @split_columns(%x: tensor<64x128xf32>) {
  %a, %b = delta.split_columns %x : tensor<64x128xf32> -> tensor<64x64xf32>
  %y = delta.join_columns %a, %b : tensor<64x64xf32> -> tensor<64x128xf32>
  return
}

// CHECK-LABEL: func.func @running_sum
// CHECK: delta.running_sum %{{.*}} init(%{{.*}} : tensor<?x4x64xf32>) cu_seqlens(%{{.*}} : tensor<?xi64>) wrapped : tensor<?x?x4x64xf32> -> tensor<?x4x64xf32>
// CHECK: delta.running_sum %{{.*}} init(%{{.*}} : tensor<?x4x64xf32>) slots(%{{.*}}, %{{.*}} : tensor<?xi32>, tensor<?xi32>, first = 0) keep(%{{.*}} : tensor<?xi32>, every 64) wrapped
func.func @running_sum(%theta: tensor<?x?x4x64xf32>, %p0: tensor<?x4x64xf32>, %cu: tensor<?xi64>, %pool: tensor<?x4x64xf32>, %read: tensor<?xi32>, %write: tensor<?xi32>,
                       %kept: tensor<?xi32>) {
  %phi, %end = delta.running_sum %theta init(%p0 : tensor<?x4x64xf32>)
      cu_seqlens(%cu : tensor<?xi64>) wrapped
      : tensor<?x?x4x64xf32> -> tensor<?x4x64xf32>
  %angles, %pool1 = delta.running_sum %theta init(%pool : tensor<?x4x64xf32>)
      slots(%read, %write : tensor<?xi32>, tensor<?xi32>, first = 0)
      keep(%kept : tensor<?xi32>, every 64) wrapped
      : tensor<?x?x4x64xf32> -> tensor<?x4x64xf32>
  return
}

// CHECK-LABEL: func.func @conv_row
// CHECK: %Y, %Next = delta.conv_row
func.func @conv_row(%x: tensor<1x64xf32>, %window: tensor<3x64xf32>, %f: tensor<64x4xf32>) {
  %y, %next = delta.conv_row %x behind %window filter %f
      : tensor<1x64xf32>, tensor<3x64xf32>, tensor<64x4xf32>
  return
}

// CHECK-LABEL: func.func @sum_rows
// CHECK: delta.sum_rows
func.func @sum_rows(%a: tensor<64xf32>) {
  %s = delta.sum_rows %a by 2 : tensor<64xf32> -> tensor<32xf32>
  return
}

// CHECK-LABEL: func.func @identity
// CHECK: delta.identity
func.func @identity() {
  %I = delta.identity : tensor<64x64xf32>
  return
}

// CHECK-LABEL: func.func @sum_to_middle
// CHECK: delta.sum_to_middle
func.func @sum_to_middle(%G: tensor<64x128xf32>) {
  %y = delta.sum_to_middle %G half 8 : tensor<64x128xf32>
  return
}

// CHECK-LABEL: func.func @level_rows
// CHECK: delta.level_rows
// CHECK: delta.level_rows reads of 14 from %{{.*}} : tensor<f32> : tensor<64xf32>
func.func @level_rows(%p: tensor<f32>) {
  %w = delta.level_rows writes of 14 : tensor<64xf32>
  %r = delta.level_rows reads of 14 from %p : tensor<f32> : tensor<64xf32>
  return
}
