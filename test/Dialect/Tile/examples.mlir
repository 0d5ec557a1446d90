// RUN: wyvern-opt %s | wyvern-opt | FileCheck %s
// RUN: wyvern-opt %s -mlir-print-op-generic | wyvern-opt | FileCheck %s

// The examples of the ops' documentation, word for word (test/lint compares them
// with the ODS files), and every other form.

// CHECK-LABEL: tile.kernel @copy
// CHECK: tile.alloc_ring
// CHECK: tile.sync
// CHECK: tile.roles warps [4, 1] {
// CHECK: tile.wait
// CHECK: tile.release
// CHECK: tile.acquire
// CHECK: tile.load
// CHECK: tile.commit
tile.kernel @copy(%map: !tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 64, 1, 64]>)
    grid 1 * sequences warps 5 min_blocks 1 operands ["x"] {
  %c0 = arith.constant 0 : index
  %ring = tile.alloc_ring producers 1 consumers 4
      : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  tile.sync
  tile.roles warps [4, 1] {
    %t = tile.wait %ring[%c0]
        : !tile.ring<2, [!tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>
    tile.release %ring[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  }, {
    %t = tile.acquire %ring[%c0]
        : !tile.ring<2, [!tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>
    tile.load %map[%c0, %c0, %c0, %c0] to %t of %ring[%c0]
        : !tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 64, 1, 64]>,
          !tile.smem<64x64xbf16>, !tile.ring<2, [!tile.smem<64x64xbf16>]>
    tile.commit %ring[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  }
}

// CHECK-LABEL: tile.kernel @places(
// CHECK-SAME: ) grid 4 * slots warps 8 min_blocks 2 operands ["cu_seqlens", "tokens", "sequences"] shared_bytes 4096 {
// CHECK: tile.roles warps [4, 4] registers [216, 40] {
tile.kernel @places(%cu: !tile.cu_seqlens, %T: index, %N: index) grid 4 * slots warps 8 min_blocks 2
    operands ["cu_seqlens", "tokens", "sequences"] shared_bytes 4096 {
  // CHECK: tile.block_id
  // CHECK: tile.find_chunk %{{.*}} of %{{.*}} tokens %{{.*}} sequences %{{.*}} chunk %{{.*}}
  // CHECK: tile.sequence %{{.*}} of %{{.*}} tokens %{{.*}} sequences %{{.*}}
  // CHECK: tile.uniform %{{.*}}
  tile.roles warps [4, 4] registers [216, 40] {
    %slot = tile.block_id
    %c64 = arith.constant 64 : index
    %n, %c = tile.find_chunk %slot of %cu tokens %T sequences %N chunk %c64
    %batch, %start, %length, %end = tile.sequence %n of %cu tokens %T sequences %N
    %row = tile.uniform %start
  }, {
    // CHECK: tile.barrier proxy id 1
    tile.barrier proxy id 1
    // CHECK: tile.barrier id 2
    tile.barrier id 2
  }
}

// CHECK-LABEL: func.func @memory
func.func @memory(%g: !tile.global<tensor<?x?x4xf32>>, %out: !tile.global<tensor<?x?x4x128xbf16>>, %b: index, %t: index, %h: index, %v: index,
    %n: index, %end: index, %T: index, %c0: index, %o: tensor<64x64xbf16, #tile.layout<acc>>, %a: tensor<64xf32, #tile.layout<warp>>,
    %s0: !tile.global<tensor<?x4x128x128xf32>, optional = true>, %sT: !tile.global<tensor<?x4x128x128xf32>, optional = true>) {
  // CHECK: tile.alloc transient : <64x64xf32>
  %scratch = tile.alloc transient : !tile.smem<64x64xf32>
  // CHECK: tile.alloc offset 1024 : <64xf32>
  %vector = tile.alloc offset 1024 : !tile.smem<64xf32>
  // CHECK: tile.alloc_ring producers 1 consumers 4 offset 0 : <2, [!tile.smem<64x128xbf16>]>
  %r = tile.alloc_ring producers 1 consumers 4 offset 0 : !tile.ring<2, [!tile.smem<64x128xbf16>]>
  %tile = tile.alloc : !tile.smem<64x64xbf16>
  %ring = tile.alloc_ring producers 1 consumers 4 : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  // CHECK: tile.clear_stages %{{.*}} tile 0 from 63
  tile.clear_stages %ring tile 0 from 63
      : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  // CHECK: tile.commit %{{.*}}[%{{.*}}] bytes 8064
  tile.commit %ring[%n] bytes 8064 : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  // CHECK: tile.zero_rows
  tile.zero_rows %tile from %n : !tile.smem<64x64xbf16>
  // CHECK: tile.read transpose
  %x = tile.read transpose %tile : !tile.smem<64x64xbf16> -> tensor<64x64xbf16, #tile.layout<acc>>
  // CHECK: tile.read_element %{{.*}}[%{{.*}}] : <64xf32>
  %element = tile.read_element %vector[%n] : !tile.smem<64xf32>
  // CHECK: tile.store_rows transpose
  tile.store_rows transpose %o to %out[%b, %t, %h, %v] dim 1 valid %n via %tile
      barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>,
      !tile.global<tensor<?x?x4x128xbf16>>, !tile.smem<64x64xbf16>
  // CHECK: tile.store_vector
  tile.store_vector %a to %g[%b, %t, %h] dim 1 valid %n : tensor<64xf32, #tile.layout<warp>>, !tile.global<tensor<?x?x4xf32>>
  // CHECK: tile.load_matrix
  %s = tile.load_matrix %s0[%n, %h, %c0, %v] dims [3, 2]
      : !tile.global<tensor<?x4x128x128xf32>, optional = true>
      -> tensor<64x128xf32, #tile.layout<acc>>
  // CHECK: tile.store_matrix
  tile.store_matrix %s to %sT[%n, %h, %c0, %v] dims [3, 2]
      : tensor<64x128xf32, #tile.layout<acc>>,
        !tile.global<tensor<?x4x128x128xf32>, optional = true>
  // CHECK: tile.zero_fill
  tile.zero_fill %out[%b, %c0, %h, %v] dim 1 from %end to %T columns 64
      : !tile.global<tensor<?x?x4x128xbf16>>
  return
}

// CHECK-LABEL: func.func @shared_by_tokens
func.func @shared_by_tokens(%log: !tile.global<tensor<4xf32>>, %x: !tile.global<tensor<?x?x4xf32>, dense = true>, %y: !tile.global<tensor<4xf32>>, %h: index,
    %n: index, %s: !tile.smem<32xf32>) {
  // CHECK: tile.load_scalar %{{.*}}[%{{.*}}] : <tensor<4xf32>>
  %a = tile.load_scalar %log[%h] : !tile.global<tensor<4xf32>>
  // CHECK: tile.sum_tokens %{{.*}} to %{{.*}} head %{{.*}} rows %{{.*}} via %{{.*}}
  tile.sum_tokens %x to %y head %h rows %n via %s
      : !tile.global<tensor<?x?x4xf32>, dense = true>, !tile.global<tensor<4xf32>>,
        !tile.smem<32xf32>
  return
}

// CHECK-LABEL: func.func @shared_by_tokens_channels
func.func @shared_by_tokens_channels(%x: !tile.global<tensor<?x?x4x128xf32>, dense = true>, %y: !tile.global<tensor<4x128xf32>>, %c: index, %n: index, %s: !tile.smem<1024xf32>) {
  // CHECK: tile.sum_token_columns %{{.*}} to %{{.*}} block %{{.*}} rows %{{.*}} via %{{.*}}
  tile.sum_token_columns %x to %y block %c rows %n via %s
      : !tile.global<tensor<?x?x4x128xf32>, dense = true>,
        !tile.global<tensor<4x128xf32>>, !tile.smem<1024xf32>
  return
}

// CHECK-LABEL: func.func @running_sum
func.func @running_sum(%x: !tile.global<tensor<?x?x4x64xf32>, dense = true>, %y: !tile.global<tensor<?x?x4x64xf32>, dense = true>, %last: !tile.global<tensor<?x4x64xf32>>, %init: !tile.global<tensor<?x4x64xf32>>, %m: !tile.smem<1024xf32>, %i: index) {
  // CHECK: tile.scan_token_columns %{{.*}} to %{{.*}}, %{{.*}} from %{{.*}} block %{{.*}} runs 32 via %{{.*}} reverse wrapped
  tile.scan_token_columns %x to %y, %last from %init block %i
      rows %i, %i, %i, %i, %i sequence %i of %i runs 32 via %m reverse wrapped
      : !tile.global<tensor<?x?x4x64xf32>, dense = true>,
        !tile.global<tensor<?x?x4x64xf32>, dense = true>,
        !tile.global<tensor<?x4x64xf32>>, !tile.smem<1024xf32>,
        !tile.global<tensor<?x4x64xf32>>
  return
}

// CHECK-LABEL: func.func @half_columns
func.func @half_columns(%x: tensor<64x128xf32, #tile.layout<acc>>) {
  // CHECK: tile.half_columns second %{{.*}}
  %b = tile.half_columns second %x
      : tensor<64x128xf32, #tile.layout<acc>> -> tensor<64x64xf32, #tile.layout<acc>>
  // CHECK: tile.join_columns %{{.*}}, %{{.*}}
  %y = tile.join_columns %b, %b
      : tensor<64x64xf32, #tile.layout<acc>> -> tensor<64x128xf32, #tile.layout<acc>>
  return
}

// CHECK-LABEL: func.func @mask_vector
func.func @mask_vector(%x: tensor<64xf32, #tile.layout<warp>>, %n: index) {
  // CHECK: tile.mask_vector %{{.*}} valid %{{.*}} : tensor<64xf32, #tile.layout<warp>>
  %y = tile.mask_vector %x valid %n : tensor<64xf32, #tile.layout<warp>>
  return
}

// CHECK-LABEL: func.func @load_vector
func.func @load_vector(%g: !tile.global<tensor<?x?x4xf32>>, %b: index, %t: index, %h: index, %n: index, %i: index, %v: !tile.smem<64xf32>,
    %ring: !tile.ring<2, [!tile.smem<64xf32>]>) {
  // CHECK: tile.load_vector %{{.*}}[%{{.*}}] dim 1 valid %{{.*}} to %{{.*}} of %{{.*}}[%{{.*}}]
  tile.load_vector %g[%b, %t, %h] dim 1 valid %n to %v of %ring[%i]
      : !tile.global<tensor<?x?x4xf32>>, !tile.smem<64xf32>,
        !tile.ring<2, [!tile.smem<64xf32>]>
  return
}

// CHECK-LABEL: func.func @load_rows
func.func @load_rows(%g: !tile.global<tensor<?x?x4x128xf32>>, %b: index, %t: index, %h: index, %c0: index, %n: index, %i: index, %v: !tile.smem<64x128xf32>,
    %ring: !tile.ring<2, [!tile.smem<64x128xf32>]>) {
  // CHECK: tile.load_rows %{{.*}}[%{{.*}}] dim 1 valid %{{.*}} to %{{.*}} of %{{.*}}[%{{.*}}]
  tile.load_rows %g[%b, %t, %h, %c0] dim 1 valid %n to %v of %ring[%i]
      : !tile.global<tensor<?x?x4x128xf32>>, !tile.smem<64x128xf32>,
        !tile.ring<2, [!tile.smem<64x128xf32>]>
  return
}

// CHECK-LABEL: func.func @fetch_rows
func.func @fetch_rows(%sum: !tile.global<tensor<?x?x4x128xf32>>, %n: index, %t: index, %h: index, %c0: index, %count: index) {
  // CHECK: tile.fetch_rows %{{.*}} dim 1 valid
  %s = tile.fetch_rows %sum[%n, %t, %h, %c0] dim 1 valid %count
      : !tile.global<tensor<?x?x4x128xf32>> -> tensor<64x128xf32, #tile.layout<acc>>
  return
}

// CHECK-LABEL: func.func @scan_rows
func.func @scan_rows(%g: !tile.smem<64x128xf32>, %s: !tile.smem<64x128xf32>) {
  // CHECK: tile.scan_rows reverse exclusive %{{.*}} via %{{.*}} barrier 1
  %a = tile.scan_rows reverse exclusive %g via %s barrier 1
      : !tile.smem<64x128xf32>, !tile.smem<64x128xf32>
      -> tensor<64x128xf32, #tile.layout<acc>>
  // CHECK: tile.scan_rows exp %{{.*}} half 8 via %{{.*}} barrier 1 : {{.*}} -> !tile.smem<64x128xf32>
  %f = tile.scan_rows exp %g half 8 via %s barrier 1
      : !tile.smem<64x128xf32>, !tile.smem<64x128xf32> -> !tile.smem<64x128xf32>
  return
}

// CHECK-LABEL: func.func @one_warp
func.func @one_warp(%map: !tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 64, 1, 64]>, %ring: !tile.ring<2, [!tile.smem<64x64xbf16>]>, %i: index,
    %c0: index) {
  // CHECK: tile.one_warp 1 {
  tile.one_warp 1 {
    %t = tile.acquire %ring[%i]
        : !tile.ring<2, [!tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>
    tile.load %map[%c0, %c0, %c0, %c0] to %t of %ring[%i]
        : !tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 64, 1, 64]>,
          !tile.smem<64x64xbf16>, !tile.ring<2, [!tile.smem<64x64xbf16>]>
    tile.commit %ring[%i] : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  }
  return
}

// CHECK-LABEL: func.func @store
func.func @store(%o: tensor<64x64xbf16, #tile.layout<acc>>, %out: !tile.global<tensor<?x?x4x128xbf16>>, %b: index, %t: index, %h: index, %v: index,
    %n: index, %s: !tile.smem<64x64xbf16>) {
  // CHECK: tile.store_rows transpose
  tile.store_rows transpose %o to %out[%b, %t, %h, %v] dim 1 valid %n via %s
      barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>,
      !tile.global<tensor<?x?x4x128xbf16>>, !tile.smem<64x64xbf16>
  return
}

// CHECK-LABEL: func.func @copy_rows
func.func @copy_rows(%z: !tile.smem<64x64xbf16>, %out: !tile.global<tensor<?x?x4x64xbf16>>, %b: index, %t: index, %h: index, %v: index, %n: index) {
  // CHECK: tile.copy_rows %{{.*}} to %{{.*}} dim 1 valid
  tile.copy_rows %z to %out[%b, %t, %h, %v] dim 1 valid %n
      : !tile.smem<64x64xbf16>, !tile.global<tensor<?x?x4x64xbf16>>
  return
}

// CHECK-LABEL: func.func @store_own
func.func @store_own(%out: !tile.global<tensor<?x?x4x128xbf16>>, %b: index, %t: index, %h: index, %v: index, %n: index, %s: !tile.smem<64x64xbf16>) {
  %o = tile.read transpose %s : !tile.smem<64x64xbf16> -> tensor<64x64xbf16, #tile.layout<acc>>
  // CHECK: tile.store_rows transpose {{.*}} own barrier 1
  tile.store_rows transpose %o to %out[%b, %t, %h, %v] dim 1 valid %n via %s own
      barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>,
      !tile.global<tensor<?x?x4x128xbf16>>, !tile.smem<64x64xbf16>
  return
}

// CHECK-LABEL: func.func @store_vector
func.func @store_vector(%a: tensor<64xf32, #tile.layout<warp>>, %out: !tile.global<tensor<?x?x4xf32>>, %b: index, %t: index, %h: index, %n: index) {
  // CHECK: tile.store_vector
  tile.store_vector %a to %out[%b, %t, %h] dim 1 valid %n
      : tensor<64xf32, #tile.layout<warp>>, !tile.global<tensor<?x?x4xf32>>
  return
}

// CHECK-LABEL: func.func @product
func.func @product(%a: tensor<64x128xbf16, #tile.layout<acc>>, %b: !tile.smem<64x128xbf16>, %A: !tile.smem<128x64xbf16>, %B: !tile.smem<128x128xbf16>, %c: tensor<64x128xf32, #tile.layout<acc>>) {
  // CHECK: tile.mma %{{.*}}, %{{.*}} transpose_b : tensor<64x128xbf16, #tile.layout<acc>>
  %d = tile.mma %a, %b transpose_b
      : tensor<64x128xbf16, #tile.layout<acc>>, !tile.smem<64x128xbf16>
      -> !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
  // CHECK: tile.mma %{{.*}} transpose_a, %{{.*}} into %{{.*}} : !tile.smem<128x64xbf16>
  %e = tile.mma %A transpose_a, %B into %c : !tile.smem<128x64xbf16>, !tile.smem<128x128xbf16>, tensor<64x128xf32, #tile.layout<acc>>
      -> !tile.inflight<tensor<64x128xf32, #tile.layout<acc>>>
  // CHECK: tile.await %{{.*}} pending 1
  %x = tile.await %d pending 1 : !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
  // CHECK: tile.await %{{.*}} : <tensor<64x128xf32
  %y = tile.await %e : !tile.inflight<tensor<64x128xf32, #tile.layout<acc>>>
  return
}

// CHECK-LABEL: func.func @registers
func.func @registers(%v: tensor<64xf32, #tile.layout<warp>>, %col: tensor<64xf32, #tile.layout<col>>, %x: f32) {
  // CHECK: tile.broadcast %{{.*}} : tensor<64xf32, #tile.layout<col>> -> tensor<64x64xf32, #tile.layout<acc>>
  %m = tile.broadcast %col : tensor<64xf32, #tile.layout<col>> -> tensor<64x64xf32, #tile.layout<acc>>
  // CHECK: tile.broadcast %{{.*}} : f32 -> tensor<64xf32, #tile.layout<warp>>
  %w = tile.broadcast %x : f32 -> tensor<64xf32, #tile.layout<warp>>
  // CHECK: tile.relayout %{{.*}} repeat 1
  %r = tile.relayout %v repeat 1 : tensor<64xf32, #tile.layout<warp>> -> tensor<64xf32, #tile.layout<col>>
  // CHECK: tile.cumsum %
  %a = tile.cumsum %v : tensor<64xf32, #tile.layout<warp>>
  // CHECK: tile.cumsum reverse exclusive %
  %b = tile.cumsum reverse exclusive %v : tensor<64xf32, #tile.layout<warp>>
  // CHECK: tile.sum
  %sum = tile.sum %col : tensor<64xf32, #tile.layout<col>>
  // CHECK: tile.index 0 : tensor<64x64xi32, #tile.layout<acc>>
  // CHECK: tile.index 0 : tensor<64xi32, #tile.layout<warp>>
  %i = tile.index 0 : tensor<64x64xi32, #tile.layout<acc>>
  %t = tile.index 0 : tensor<64xi32, #tile.layout<warp>>
  return
}

// CHECK-LABEL: func.func @copy_to_warps
func.func @copy_to_warps(%x: tensor<64xf32, #tile.layout<warp>>, %s: !tile.smem<256xf32>) {
  // CHECK: tile.copy_to_warps %{{.*}} via %{{.*}} : tensor<64xf32, #tile.layout<warp>>, <256xf32> -> <64xf32>
  %c = tile.copy_to_warps %x via %s
      : tensor<64xf32, #tile.layout<warp>>, !tile.smem<256xf32>
      -> !tile.smem<64xf32>
  return
}

// CHECK-LABEL: tile.kernel @send
// CHECK-SAME: grid 2 * slots cluster 2 warps 4
tile.kernel @send(%i: index, %other: index) grid 2 * slots cluster 2 warps 4 min_blocks 1 operands ["tokens", "sequences"] {
  // CHECK: %[[RING:.*]] = tile.alloc_ring producers 4 consumers 4 across 2 : <1, [!tile.smem<64x128xbf16>], warps>
  %ring = tile.alloc_ring producers 4 consumers 4 across 2 : !tile.ring<1, [!tile.smem<64x128xbf16>], warps>
  // CHECK: tile.await_kernels
  tile.await_kernels
  // CHECK: tile.release_kernels
  tile.release_kernels
  // CHECK: tile.sync cluster
  tile.sync cluster
  %t = tile.acquire %ring[%i] : !tile.ring<1, [!tile.smem<64x128xbf16>], warps> -> !tile.smem<64x128xbf16>
  %part = tile.subview %t[%other] : !tile.smem<64x128xbf16> -> !tile.smem<64x64xbf16>
  // CHECK: tile.send %{{.*}} to %{{.*}} of %[[RING]][%{{.*}}] : <64x64xbf16>, <1, [!tile.smem<64x128xbf16>], warps>
  tile.send %part to %other of %ring[%i]
      : !tile.smem<64x64xbf16>, !tile.ring<1, [!tile.smem<64x128xbf16>], warps>
  // CHECK: tile.commit %[[RING]][%{{.*}}] bytes 8192
  tile.commit %ring[%i] bytes 8192 : !tile.ring<1, [!tile.smem<64x128xbf16>], warps>
}

// CHECK-LABEL: tile.kernel @halves
tile.kernel @halves(%i: index, %rank: index, %other: index) grid 2 * slots cluster 2 warps 4 min_blocks 1 operands ["tokens", "sequences", "sequences"] {
  %y = arith.constant dense<1.0> : tensor<64x128xbf16, #tile.layout<acc>>
  %ring = tile.alloc_ring producers 4 consumers 4 across 2 : !tile.ring<1, [!tile.smem<64x64xbf16>], warps>
  tile.sync cluster
  // CHECK: tile.send_columns %{{.*}}[%{{.*}}] to %{{.*}} by %{{.*}} of %{{.*}}[%{{.*}}] : tensor<64x128xbf16, #tile.layout<acc>>, <64x64xbf16>, <1, [!tile.smem<64x64xbf16>], warps>
  %t = tile.acquire %ring[%i] : !tile.ring<1, [!tile.smem<64x64xbf16>], warps> -> !tile.smem<64x64xbf16>
  tile.send_columns %y[%other] to %other by %t of %ring[%i]
      : tensor<64x128xbf16, #tile.layout<acc>>, !tile.smem<64x64xbf16>,
        !tile.ring<1, [!tile.smem<64x64xbf16>], warps>
  tile.commit %ring[%i] bytes 8192 : !tile.ring<1, [!tile.smem<64x64xbf16>], warps>
  // CHECK: tile.add_columns %{{.*}}[%{{.*}}], %{{.*}} : tensor<64x128xbf16, #tile.layout<acc>>, <64x64xbf16> -> tensor<64x64xbf16, #tile.layout<acc>>
  %z = tile.add_columns %y[%rank], %t
      : tensor<64x128xbf16, #tile.layout<acc>>, !tile.smem<64x64xbf16>
        -> tensor<64x64xbf16, #tile.layout<acc>>
}

// CHECK-LABEL: func.func @subview_of_rows
func.func @subview_of_rows(%t: !tile.smem<128x128xbf16>, %w: index) {
  // CHECK: tile.subview %{{.*}}[%{{.*}}] : <128x128xbf16> -> <64x128xbf16, of 128>
  %r = tile.subview %t[%w] : !tile.smem<128x128xbf16> -> !tile.smem<64x128xbf16, of 128>
  return
}

// CHECK-LABEL: func.func @dot
func.func @dot(%a: !tile.smem<128x128xbf16>, %b: !tile.smem<128x128xbf16>, %scratch: !tile.smem<4xf32>) {
  // CHECK: tile.dot %{{.*}}, %{{.*}} via %{{.*}} barrier 1 : <128x128xbf16>, <128x128xbf16>, <4xf32>
  %s = tile.dot %a, %b via %scratch barrier 1
      : !tile.smem<128x128xbf16>, !tile.smem<128x128xbf16>, !tile.smem<4xf32>
  return
}

// CHECK-LABEL: func.func @add_scaled
func.func @add_scaled(%c: tensor<64x128xf32, #tile.layout<acc>>, %s: tensor<64xf32, #tile.layout<row>>, %a: !tile.smem<64x128xbf16>, %b: !tile.smem<128x128xbf16>) {
  // CHECK: tile.add_scaled %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} transpose_b : tensor<64x128xf32, #tile.layout<acc>>, tensor<64xf32, #tile.layout<row>>, <64x128xbf16>, <128x128xbf16>
  %d = tile.add_scaled %c, %s, %a, %b transpose_b
      : tensor<64x128xf32, #tile.layout<acc>>, tensor<64xf32, #tile.layout<row>>,
        !tile.smem<64x128xbf16>, !tile.smem<128x128xbf16>
  return
}

// CHECK-LABEL: func.func @erase_factor
func.func @erase_factor(%l: !tile.smem<64x64xf32>, %held: tensor<64x64xf32, #tile.layout<acc>>,
    %c: tensor<64xf32, #tile.layout<warp>>, %rates: !tile.smem<64xf32>, %s: !tile.smem<2624xf32>, %z: !tile.smem<64x64xbf16>) {
  // CHECK: %[[B:.*]] = tile.erase_strips
  // CHECK: tile.erase_join %[[B]]
  %b = tile.erase_strips %l, %c via %s to %z barrier 1
      : !tile.smem<64x64xf32>, tensor<64xf32, #tile.layout<warp>>,
        !tile.smem<2624xf32>, !tile.smem<64x64xbf16>
  %w = tile.erase_join %b via %s barrier 1
      : !tile.smem<64x64xbf16>, !tile.smem<2624xf32>
  // CHECK: tile.erase_strips
  %b1 = tile.erase_strips %l, %rates via %s to %z barrier 1
      : !tile.smem<64x64xf32>, !tile.smem<64xf32>,
        !tile.smem<2624xf32>, !tile.smem<64x64xbf16>
  // CHECK: tile.erase_strips {{.*}} for_apply scaled :
  %b3 = tile.erase_strips %l, %rates via %s to %z barrier 1 for_apply scaled
      : !tile.smem<64x64xf32>, !tile.smem<64xf32>,
        !tile.smem<2624xf32>, !tile.smem<64x64xbf16>
  // CHECK: tile.erase_strips
  %b2 = tile.erase_strips %held, %c via %s to %z barrier 1
      : tensor<64x64xf32, #tile.layout<acc>>, tensor<64xf32, #tile.layout<warp>>,
        !tile.smem<2624xf32>, !tile.smem<64x64xbf16>
  return
}

// CHECK-LABEL: func.func @erase_apply
func.func @erase_apply(%w: tensor<64x64xf32, #tile.layout<acc>>, %z: !tile.smem<64x64xbf16>, %zz: !tile.smem<64x128xbf16>, %c: tensor<64xf32, #tile.layout<col>>) {
  // CHECK: tile.erase_apply %
  %r = tile.erase_apply %w, %z, %c
      : tensor<64x64xf32, #tile.layout<acc>>, !tile.smem<64x64xbf16>,
        tensor<64xf32, #tile.layout<col>>
  // CHECK: tile.erase_apply %{{[^,]*}}, %{{[^,]*}} :
  %s = tile.erase_apply %w, %z
      : tensor<64x64xf32, #tile.layout<acc>>, !tile.smem<64x64xbf16>
  // CHECK: tile.erase_apply adjoint %
  %x = tile.erase_apply adjoint %w, %z, %c
      : tensor<64x64xf32, #tile.layout<acc>>, !tile.smem<64x64xbf16>,
        tensor<64xf32, #tile.layout<col>>
  // CHECK: tile.erase_apply {{.*}} <64x128xbf16>
  %rr = tile.erase_apply %w, %zz, %c
      : tensor<64x64xf32, #tile.layout<acc>>, !tile.smem<64x128xbf16>,
        tensor<64xf32, #tile.layout<col>>
  return
}

// CHECK-LABEL: func.func @write_f32
func.func @write_f32(%x: tensor<64x64xf32, #tile.layout<acc>>, %t: !tile.smem<64x64xf32>) {
  // CHECK: tile.write %{{.*}} to %{{.*}} barrier 1 : tensor<64x64xf32, #tile.layout<acc>>, <64x64xf32>
  %l = tile.write %x to %t barrier 1
      : tensor<64x64xf32, #tile.layout<acc>>, !tile.smem<64x64xf32>
  return
}

// CHECK-LABEL: func.func @write
func.func @write(%x: tensor<64x128xbf16, #tile.layout<acc>>, %t: !tile.smem<64x128xbf16>, %y: tensor<64x64xbf16, #tile.layout<acc>>, %b: !tile.smem<64x128xbf16>) {
  // CHECK: tile.write %{{.*}} to %{{.*}} barrier 1 : tensor<64x128xbf16, #tile.layout<acc>>, <64x128xbf16>
  %w = tile.write %x to %t barrier 1
      : tensor<64x128xbf16, #tile.layout<acc>>, !tile.smem<64x128xbf16>
  // CHECK: tile.write transpose %{{.*}} to %{{.*}} block 1 barrier 2
  %v = tile.write transpose %y to %b block 1 barrier 2
      : tensor<64x64xbf16, #tile.layout<acc>>, !tile.smem<64x128xbf16>
  return
}

// CHECK-LABEL: func.func @blocks
func.func @blocks(%A: !tile.smem<128x64xbf16>, %T: !tile.smem<64x128xbf16>, %B: !tile.smem<64x64xbf16>) {
  // CHECK: tile.read %{{.*}} block 1 : <128x64xbf16> -> tensor<64x64xbf16
  %x = tile.read %A block 1 : !tile.smem<128x64xbf16> -> tensor<64x64xbf16, #tile.layout<acc>>
  // CHECK: tile.read transpose %{{.*}} block 1 : <64x128xbf16> -> tensor<64x64xbf16
  %y = tile.read transpose %T block 1 : !tile.smem<64x128xbf16> -> tensor<64x64xbf16, #tile.layout<acc>>
  // CHECK: tile.mma %{{.*}} block 1, %{{.*}} : !tile.smem<128x64xbf16>
  %d = tile.mma %A block 1, %B : !tile.smem<128x64xbf16>, !tile.smem<64x64xbf16>
      -> !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
  // CHECK: tile.mma %{{.*}} block 1 transpose_a, %{{.*}} : !tile.smem<64x128xbf16>
  %e = tile.mma %T block 1 transpose_a, %B : !tile.smem<64x128xbf16>, !tile.smem<64x64xbf16>
      -> !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
  return
}

// CHECK-LABEL: func.func @sums
func.func @sums(%x: tensor<64x128xf32, #tile.layout<acc>>, %scratch: !tile.smem<64xf32>, %wide: !tile.smem<512xf32>) {
  // CHECK: tile.reduce %{{.*}} dim 1 via %{{.*}} barrier 1 : <64xf32>, tensor<64x128xf32, #tile.layout<acc>> -> tensor<64xf32, #tile.layout<warp>>
  %s = tile.reduce %x dim 1 via %scratch barrier 1
      : !tile.smem<64xf32>, tensor<64x128xf32, #tile.layout<acc>>
      -> tensor<64xf32, #tile.layout<warp>>
  // CHECK: tile.reduce %{{.*}}, %{{.*}} dim 0
  %c = tile.reduce %x, %x dim 0 via %wide barrier 1
      : !tile.smem<512xf32>, tensor<64x128xf32, #tile.layout<acc>>, tensor<64x128xf32, #tile.layout<acc>>
      -> tensor<128xf32, #tile.layout<warp>>
  // CHECK: tile.hold %{{.*}} : tensor<64x128xf32, #tile.layout<acc>>
  %y = tile.hold %x : tensor<64x128xf32, #tile.layout<acc>>
  return
}

// CHECK-LABEL: func.func @diagonal
func.func @diagonal(%x: tensor<64x64xf32, #tile.layout<acc>>, %scratch: !tile.smem<64xf32>) {
  // CHECK: tile.diagonal %{{.*}} via %{{.*}} barrier 1 : <64xf32>, tensor<64x64xf32, #tile.layout<acc>> -> tensor<64xf32, #tile.layout<warp>>
  %d = tile.diagonal %x via %scratch barrier 1
      : !tile.smem<64xf32>, tensor<64x64xf32, #tile.layout<acc>>
      -> tensor<64xf32, #tile.layout<warp>>
  return
}

// CHECK-LABEL: func.func @first_slot
func.func @first_slot(%n: index, %cu: !tile.cu_seqlens, %T: index) {
  // CHECK: tile.first_slot %{{.*}} of %{{.*}} tokens %{{.*}} chunk %{{.*}}
  %slot = tile.first_slot %n of %cu tokens %T chunk %T
  return
}

// CHECK-LABEL: func.func @last
func.func @last(%a: tensor<64xf32, #tile.layout<warp>>) {
  // CHECK: tile.last %
  %s = tile.last %a : tensor<64xf32, #tile.layout<warp>>
  return
}

// CHECK-LABEL: func.func @triangle
func.func @triangle(%m: tensor<64x64xf32, #tile.layout<acc>>, %h: tensor<64xf32, #tile.layout<row>>, %p: tensor<64xf32, #tile.layout<col>>) {
  // CHECK: tile.triangle strict %{{.*}} decay %{{.*}}, %
  %l = tile.triangle strict %m decay %h, %p : tensor<64x64xf32, #tile.layout<acc>>,
      tensor<64xf32, #tile.layout<row>>, tensor<64xf32, #tile.layout<col>>
  // CHECK: tile.triangle %{{[^,]*}} : tensor<64x64xf32
  %q = tile.triangle %m : tensor<64x64xf32, #tile.layout<acc>>
  return
}

// CHECK-LABEL: func.func @sum_groups
func.func @sum_groups(%v: tensor<64xf32, #tile.layout<warp>>) {
  // CHECK: tile.sum_groups %{{.*}} by 2
  %s = tile.sum_groups %v by 2 : tensor<64xf32, #tile.layout<warp>>
      -> tensor<32xf32, #tile.layout<warp>>
  return
}

// CHECK-LABEL: tile.kernel @parts
tile.kernel @parts() grid 1 * slots warps 12 min_blocks 1 operands [] {
  %c0 = arith.constant 0 : index
  %t = tile.alloc : !tile.smem<64x128xbf16>
  // CHECK: tile.alloc_ring producers 4 consumers 8 : <2, [!tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xf32>], warps>
  %r = tile.alloc_ring producers 4 consumers 8
      : !tile.ring<2, [!tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xf32>], warps>
  // CHECK: tile.roles warps [8, 4] {
  tile.roles warps [8, 4] {
    // CHECK: tile.warpgroup_id
    %w = tile.warpgroup_id
    // CHECK: tile.warp_id
    %n = tile.warp_id
    // CHECK: tile.subview %{{.*}}[%{{.*}}] : <64x128xbf16> -> <64x64xbf16>
    %s = tile.subview %t[%w] : !tile.smem<64x128xbf16> -> !tile.smem<64x64xbf16>
    %u:3 = tile.wait %r[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xf32>], warps>
        -> !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xf32>
    tile.release %r[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xf32>], warps>
  }, {
    %x = arith.constant dense<1.0> : tensor<64x64xbf16, #tile.layout<acc>>
    %v = arith.constant dense<1.0> : tensor<64xf32, #tile.layout<warp>>
    %y = arith.constant dense<1.0> : tensor<64x64xf32, #tile.layout<acc>>
    %u:3 = tile.acquire %r[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xf32>], warps>
        -> !tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xf32>
    // CHECK: tile.write %{{.*}} to %{{.*}} : tensor<64x64xbf16, #tile.layout<acc>>, <64x64xbf16>
    %a = tile.write %x to %u#0 : tensor<64x64xbf16, #tile.layout<acc>>, !tile.smem<64x64xbf16>
    // CHECK: tile.write %{{.*}} to %{{.*}} : tensor<64xf32, #tile.layout<warp>>, <64xf32>
    %b = tile.write %v to %u#1 : tensor<64xf32, #tile.layout<warp>>, !tile.smem<64xf32>
    // CHECK: tile.write transpose %{{.*}} to %{{.*}} : tensor<64x64xf32, #tile.layout<acc>>, <64x64xf32>
    %c = tile.write transpose %y to %u#2 : tensor<64x64xf32, #tile.layout<acc>>, !tile.smem<64x64xf32>
    tile.commit %r[%c0] : !tile.ring<2, [!tile.smem<64x64xbf16>, !tile.smem<64xf32>, !tile.smem<64x64xf32>], warps>
  }
}

tile.kernel @f_scan(%q: !tile.tensor_map<tensor<?x?x2x64xbf16>, box = [1, 64, 1, 64]>,
                    %o: !tile.global<tensor<?x?x2x64xbf16>>,
                    %s0: !tile.global<tensor<?x2x64x64xf32>, optional = true>,
                    %sT: !tile.global<tensor<?x2x64x64xf32>, optional = true>,
                    %cu: !tile.cu_seqlens, %T: index, %N: index)
    grid 2 * sequences warps 5 min_blocks 1
    operands ["q", "o", "s0", "sT", "cu_seqlens", "tokens", "sequences"] {
}

// CHECK-LABEL: func.func @launch
func.func @launch(%q: tensor<?x?x2x64xbf16>, %s0: tensor<?x2x64x64xf32>)
    -> (tensor<?x?x2x64xbf16>, tensor<?x2x64x64xf32>) {
  // CHECK: tile.launch @f_scan chunk 64 ins(%{{.*}}) inits(%{{.*}}) bindings {{.*}} outs({{.*}}) finals({{.*}})
  %o, %sT = tile.launch @f_scan chunk 64 ins(%q : tensor<?x?x2x64xbf16>)
      inits(%s0 : tensor<?x2x64x64xf32>)
      bindings [#delta.binding<[seq, time, head, _]>],
               [#delta.binding<[seq, head, _, _]>],
               [#delta.binding<[seq, time, head, _]>]
      outs(tensor<?x?x2x64xbf16>) finals(tensor<?x2x64x64xf32>)
  return %o, %sT : tensor<?x?x2x64xbf16>, tensor<?x2x64x64xf32>
}

// CHECK-LABEL: tile.kernel @spread
tile.kernel @spread(%pool: !tile.global<tensor<?x32x128x128xf32>, contiguous = true>,
                    %read: !tile.global<tensor<?xi32>, optional = true>)
    grid 1 * sequences warps 4 min_blocks 1 operands ["pool", "read"] {
  %c0 = arith.constant 0 : index
  %minus1 = arith.constant -1 : index
  // CHECK: tile.load_index %{{.*}}[%{{.*}}] else %{{.*}} : <tensor<?xi32>, optional = true>
  %slot = tile.load_index %read[%c0] else %minus1
      : !tile.global<tensor<?xi32>, optional = true>
  %head = arith.constant 1 : index
  %v = arith.constant 64 : index
  // CHECK: tile.load_spread {{.*}} -> tensor<64x128xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4, piece 4 lanes 8 step 1 warps 1]>>
  %s = tile.load_spread %pool[%slot, %head, %v, %c0] dims [2, 3]
      : !tile.global<tensor<?x32x128x128xf32>, contiguous = true>
      -> tensor<64x128xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4,
                                          piece 4 lanes 8 step 1 warps 1]>>
  // CHECK: tile.store_spread
  tile.store_spread %s to %pool[%slot, %head, %v, %c0] dims [2, 3]
      : tensor<64x128xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4,
                                         piece 4 lanes 8 step 1 warps 1]>>,
        !tile.global<tensor<?x32x128x128xf32>, contiguous = true>
  %q = arith.constant dense<1.0> : tensor<1x128xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>>
  %zero = arith.constant dense<0.0> : tensor<1x64xf32, #tile.spread<[_, piece 1 lanes 4 step 8 warps 4]>>
  // CHECK: tile.contract
  %r = tile.contract %q, %s into %zero
      maps [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>,
            affine_map<(m, n, k) -> (m, n)>]
      : tensor<1x128xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>>,
        tensor<64x128xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4,
                                         piece 4 lanes 8 step 1 warps 1]>>,
        tensor<1x64xf32, #tile.spread<[_, piece 1 lanes 4 step 8 warps 4]>>
  %x = arith.constant dense<1.0> : tensor<64xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4]>>
  // CHECK: tile.rearrange %{{.*}} from [-1, 0]
  %m = tile.rearrange %x from [-1, 0]
      : tensor<64xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4]>>
      -> tensor<1x64xf32, #tile.spread<[_, piece 1 lanes 4 step 8 warps 4]>>
  %l = arith.constant dense<1.0> : tensor<2x2xf32, #tile.spread<[_, _]>>
  %c = arith.constant dense<1.0> : tensor<2xf32, #tile.spread<[_]>>
  %w = arith.constant dense<1.0> : tensor<2x64xf32, #tile.spread<[_, piece 1 lanes 4 step 8 warps 4]>>
  // CHECK: tile.solve_rows
  %u = tile.solve_rows %l, %c, %w
      : tensor<2x2xf32, #tile.spread<[_, _]>>, tensor<2xf32, #tile.spread<[_]>>,
        tensor<2x64xf32, #tile.spread<[_, piece 1 lanes 4 step 8 warps 4]>>
}

// CHECK-LABEL: tile.kernel @rows
// CHECK-SAME: grid 2 * sequences cluster 2 warps 4
tile.kernel @rows() grid 2 * sequences cluster 2 warps 4 min_blocks 1 operands [] {
  %x = arith.constant dense<1.0> : tensor<1x128xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>
  %window = arith.constant dense<1.0> : tensor<3x128xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>
  %f = arith.constant dense<1.0> : tensor<128x4xf32, #tile.spread<[piece 1 lanes 32 step 1 warps 4, _]>>
  // CHECK: tile.conv_row %{{.*}} behind %{{.*}} filter
  %q, %next = tile.conv_row %x behind %window filter %f
      : tensor<1x128xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>,
        tensor<3x128xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>,
        tensor<128x4xf32, #tile.spread<[piece 1 lanes 32 step 1 warps 4, _]>>
  %v = arith.constant dense<1.0> : tensor<1x64xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 2]>>
  %n = arith.constant 1 : index
  %place = tile.alloc : !tile.smem<2x192xf32>
  // CHECK: tile.put_rows %{{.*}}, %{{.*}} at %{{.*}} in %{{.*}} : <2x192xf32>, tensor<1x128xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>
  tile.put_rows %q, %v at %n in %place
      : !tile.smem<2x192xf32>, tensor<1x128xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>,
        tensor<1x64xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 2]>>
  // CHECK: tile.meet
  tile.meet
  %own = tile.alloc : !tile.smem<128xf32>
  // CHECK: tile.keep %{{.*}} in %{{.*}} : tensor<1x128xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>, <128xf32>
  tile.keep %x in %own : tensor<1x128xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>, !tile.smem<128xf32>
  // CHECK: tile.kept %{{.*}} : <128xf32> -> tensor<1x128xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>
  %kept = tile.kept %own : !tile.smem<128xf32> -> tensor<1x128xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 4]>>
  // CHECK: tile.cluster_arrive
  // CHECK-NOT: of_reads
  tile.cluster_arrive
  // CHECK: tile.cluster_wait
  tile.cluster_wait
  // CHECK: tile.cluster_arrive of_reads
  tile.cluster_arrive of_reads
  // CHECK: tile.cluster_wait
  tile.cluster_wait
}

// CHECK-LABEL: func.func @stochastic_trunc
func.func @stochastic_trunc(%s: tensor<64x128xf32, #tile.layout<acc>>, %seed: index, %first: index) {
  // CHECK: tile.stochastic_trunc %{{.*}} seed %{{.*}} pair %{{.*}} steps [128, 1] : tensor<64x128xf32, #tile.layout<acc>> -> tensor<64x128xbf16, #tile.layout<acc>>
  %b = tile.stochastic_trunc %s seed %seed pair %first steps [128, 1]
      : tensor<64x128xf32, #tile.layout<acc>> -> tensor<64x128xbf16, #tile.layout<acc>>
  return
}

// CHECK-LABEL: tile.kernel @taken
tile.kernel @taken() grid 2 * sequences warps 4 min_blocks 1 operands [] {
  %n = arith.constant 1 : index
  %place = tile.alloc : !tile.smem<2x192xf32>
  // CHECK: tile.get_rows at %{{.*}} in %{{.*}} : <2x192xf32> -> tensor<1x128xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>>
  %q, %v = tile.get_rows at %n in %place
      : !tile.smem<2x192xf32> -> tensor<1x128xf32, #tile.spread<[_, piece 4 lanes 8 step 1 warps 1]>>,
                                 tensor<1x64xf32, #tile.spread<[_, piece 1 lanes 4 step 8 warps 4]>>
}

// CHECK-LABEL: func.func @decayed_products
func.func @decayed_products(%g: !tile.global<tensor<?x?x4x128xf32>, contiguous = true>, %k: !tile.global<tensor<?x?x4x128xbf16>, contiguous = true>,
    %q: !tile.global<tensor<?x?x4x128xbf16>, contiguous = true>, %kd: !tile.global<tensor<?x?x4x128xbf16>, dense = true>,
    %t: !tile.global<tensor<?x4x128xf32>, dense = true>, %m: !tile.smem<13824xf32>, %b: index, %i: index, %h: index, %s: index, %c0: index, %n: index) {
  // CHECK: tile.decayed_products %{{.*}} of (%{{.*}}, %{{.*}}) to (%{{.*}}) total %{{.*}} at [{{.*}}] dim 1 valid %{{.*}} via %{{.*}} barrier 1 left [0, 1] right 0 diagonal [false, true] source [0] to_end [false]
  %l, %p = tile.decayed_products %g of (%k, %q) to (%kd) total %t
      at [%b, %i, %h, %c0, %b, %i, %h, %c0, %b, %i, %h, %c0, %b, %i, %h, %c0, %s, %h, %c0]
      dim 1 valid %n via %m barrier 1 left [0, 1] right 0 diagonal [false, true]
      source [0] to_end [false]
      : !tile.global<tensor<?x?x4x128xf32>, contiguous = true>,
        (!tile.global<tensor<?x?x4x128xbf16>, contiguous = true>,
         !tile.global<tensor<?x?x4x128xbf16>, contiguous = true>),
        (!tile.global<tensor<?x?x4x128xbf16>, dense = true>), !tile.smem<13824xf32>
        total !tile.global<tensor<?x4x128xf32>, dense = true>
      -> tensor<64x64xf32, #tile.layout<acc>>, tensor<64x64xf32, #tile.layout<acc>>
  return
}
