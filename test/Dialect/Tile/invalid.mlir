// RUN: wyvern-opt %s -verify-diagnostics -split-input-file
//
// One test a constraint of docs/spec.md, named after it.

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

// expected-error @+1 {{(C1) expected a matrix of bf16 or f16, or a vector or matrix of f32, found 1 dimensions of 'bf16'}}
func.func @smem_c1(%t: !tile.smem<64xbf16>) { return }

// -----

// expected-error @+1 {{(C1) expected a matrix of bf16 or f16, or a vector or matrix of f32, found 3 dimensions of 'f32'}}
func.func @smem_c1_rank(%t: !tile.smem<1x64x64xf32>) { return }

// -----

// expected-error @+1 {{(C1) expected a matrix of bf16 or f16, or a vector or matrix of f32, found 2 dimensions of 'f64'}}
func.func @smem_c1_type(%t: !tile.smem<64x64xf64>) { return }

// -----

// expected-error @+1 {{(C2) expected rows a multiple of 8 and columns a multiple of 64 (the 128-byte swizzle), found 12 x 64}}
func.func @smem_c2(%t: !tile.smem<12x64xbf16>) { return }

// -----

// expected-error @+1 {{(C2) expected rows a multiple of 8 and columns a multiple of 64 (the 128-byte swizzle), found 64 x 96}}
func.func @smem_c2_columns(%t: !tile.smem<64x96xf16>) { return }

// -----

// expected-error @+1 {{(C3) expected some rows of a matrix of bf16 or f16 that has more, a multiple of 8, found 64 of 64 rows of 'bf16'}}
func.func @smem_c3(%t: !tile.smem<64x64xbf16, of 64>) { return }

// -----

// expected-error @+1 {{(C3) expected some rows of a matrix of bf16 or f16 that has more, a multiple of 8, found 64 of 128 rows of 'f32'}}
func.func @smem_c3_type(%t: !tile.smem<64x64xf32, of 128>) { return }

// -----

// Two layouts do not mix: there is no implicit conversion.

func.func @layouts(%x: tensor<64x64xf32, #tile.layout<acc>>) {
  // expected-error @+1 {{requires the same encoding for all operands and results}}
  %y = "arith.negf"(%x) : (tensor<64x64xf32, #tile.layout<acc>>) -> tensor<64x64xf32, #tile.layout<row>>
  return
}

// -----

//===----------------------------------------------------------------------===//
// #tile.target
//===----------------------------------------------------------------------===//

// expected-error @+1 {{(C1) expected an architecture that there is code for (sm_90a), found sm_80}}
func.func private @target_c1() attributes {tile.target = #tile.target<sm_80>}

// -----

// expected-error @+1 {{(C2) expected numbers that an architecture has, found shared_byte (did you mean 'shared_bytes'?)}}
func.func private @target_c2() attributes {tile.target = #tile.target<sm_90a, shared_byte = 1>}

// -----

// expected-error @+1 {{expected each number once, found "shared_bytes" twice}}
func.func private @target_twice() attributes {tile.target = #tile.target<sm_90a, shared_bytes = 1, shared_bytes = 2>}

// -----

// expected-error @+1 {{(C3) expected barriers of at least 1, found 0}}
func.func private @target_c3() attributes {tile.target = #tile.target<sm_90a, barriers = 0>}

// -----

// expected-error @+1 {{(C4) expected tile.target to be a #tile.target of a module, found #tile.target<sm_90a> of func.func}}
func.func private @target_c4() attributes {tile.target = #tile.target<sm_90a>}

// -----

// expected-error @+1 {{(C4) expected tile.target to be a #tile.target of a module, found "sm_90a" of builtin.module}}
module attributes {tile.target = "sm_90a"} {}

// -----

//===----------------------------------------------------------------------===//
// tile.kernel
//===----------------------------------------------------------------------===//

// expected-error @+1 {{(C1) expected a grid of sequences, slots or segments, found heads}}
tile.kernel @kernel_c1() grid 1 * heads warps 4 min_blocks 1 operands [] {
}

// -----

// expected-error @+1 {{(C2) expected one operand name an argument, found 1 for 2}}
tile.kernel @kernel_c2(%a: index, %b: index) grid 1 * slots warps 4 min_blocks 1 operands ["x"] {
}

// -----

// expected-error @+1 {{(C3) expected 1 to 32 warps, found 33}}
tile.kernel @kernel_c3() grid 1 * slots warps 33 min_blocks 1 operands [] {
}

// -----

// expected-error @+1 {{(C3) expected 1 to 32 warps, found 0}}
tile.kernel @kernel_c3_none() grid 1 * slots warps 0 min_blocks 1 operands [] {
}

// -----

// expected-error @+1 {{(C4) expected one or more chunks a slot, and one in another grid, found 2 for a grid of sequences}}
tile.kernel @kernel_c4() grid 1 * sequences of 2 warps 5 min_blocks 1 operands [] {
}

// -----

// expected-error @+1 {{(C5) expected 1 to 32 blocks on an SM, found 0}}
tile.kernel @kernel_c5() grid 1 * slots warps 12 min_blocks 0 operands [] {
  tile.roles warps [4, 8] registers [40, 240] {
    tile.sync
  }, {
    tile.sync
  }
}

// -----

// expected-error @+1 {{(C6) expected a grid of one or more blocks for each of its slots, found -1}}
tile.kernel @kernel_c6() grid -1 * slots warps 4 min_blocks 1 operands [] {
}

// -----

// expected-error @+1 {{(C8) expected clusters of 1 to 8 blocks that divide the grid's 4 blocks for each of its sequences, found 3}}
tile.kernel @kernel_c8() grid 4 * sequences cluster 3 warps 4 min_blocks 1 operands [] {
}

// -----

// expected-error @+1 {{(C7) expected boxes of 1 to 256 elements in each of a tensor's up to 5 dimensions, found '!tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 512, 1, 64]>'}}
tile.kernel @kernel_c7(%map: !tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 512, 1, 64]>) grid 1 * slots warps 4 min_blocks 1 operands ["x"] {
}

// -----

// expected-error @+1 {{(C7) expected boxes of 1 to 256 elements in each of a tensor's up to 5 dimensions, found '!tile.tensor_map<tensor<?x64xbf16>, box = [64]>'}}
tile.kernel @kernel_c7_rank(%map: !tile.tensor_map<tensor<?x64xbf16>, box = [64]>) grid 1 * slots warps 4 min_blocks 1 operands ["x"] {
}

// -----

// expected-error @+1 {{(C8) expected clusters of 1 to 8 blocks that divide the grid's 3 blocks for each of its slots, found 2}}
tile.kernel @kernel_c8() grid 3 * slots cluster 2 warps 4 min_blocks 1 operands [] {
}

// -----

// expected-error @+1 {{(C8) expected clusters of 1 to 8 blocks that divide the grid's 16 blocks for each of its slots, found 16}}
tile.kernel @kernel_c8_most() grid 16 * slots cluster 16 warps 4 min_blocks 1 operands [] {
}

// -----

tile.kernel @sync_c1() grid 2 * slots warps 4 min_blocks 1 operands [] {
  // expected-error @+1 {{(C1) expected a kernel of clusters, found one whose blocks are launched one by one}}
  tile.sync cluster
}

// -----

//===----------------------------------------------------------------------===//
// tile.roles
//===----------------------------------------------------------------------===//

func.func @roles_c1() {
  // expected-error @+1 {{(C1) expected one number of warps a role, found 2 for 1}}
  tile.roles warps [4, 1] {
    tile.sync
  }
  return
}

// -----

func.func @roles_c2() {
  // expected-error @+1 {{(C2) expected one register budget a role, found 2 for 1}}
  tile.roles warps [4] registers [24, 240] {
    tile.sync
  }
  return
}

// -----

func.func @roles_c3() {
  // expected-error @+1 {{(C3) setmaxnreg is per warpgroup: expected roles of 4, 8 ... warps, or a last one whose warpgroup the kernel's warps fill, found 1}}
  tile.roles warps [4, 1] registers [240, 24] {
    tile.sync
  }, {
    tile.sync
  }
  return
}

// -----

func.func @roles_c4() {
  // expected-error @+1 {{(C4) expected a budget of 0, or a multiple of 8 from 24 to 240, found 248}}
  tile.roles warps [4] registers [248] {
    tile.sync
  }
  return
}

// -----

func.func @roles_c4_small() {
  // expected-error @+1 {{(C4) expected a budget of 0, or a multiple of 8 from 24 to 240, found 16}}
  tile.roles warps [4] registers [16] {
    tile.sync
  }
  return
}

// -----

func.func @roles_c4_odd() {
  // expected-error @+1 {{(C4) expected a budget of 0, or a multiple of 8 from 24 to 240, found 100}}
  tile.roles warps [4] registers [100] {
    tile.sync
  }
  return
}

// -----

tile.kernel @roles_c5() grid 1 * slots warps 5 min_blocks 1 operands [] {
  // expected-error @+1 {{(C5) expected roles of at most the kernel's 5 warps, found 8}}
  tile.roles warps [4, 4] {
    tile.sync
  }, {
    tile.sync
  }
}

// -----

// 65536 registers are 168 for each of 384 threads.

tile.kernel @roles_c6() grid 1 * slots warps 12 min_blocks 1 operands [] {
  // expected-error @+1 {{(C6) expected budgets of at most the block's 64512 registers (168 a thread), found 66560}}
  tile.roles warps [4, 8] registers [40, 240] {
    tile.sync
  }, {
    tile.sync
  }
}

// -----

tile.kernel @roles_c7() grid 1 * slots warps 12 min_blocks 1 operands [] {
  %c0 = arith.constant 0 : index
  // expected-note @+1 {{the ring}}
  %r = tile.alloc_ring producers 4 consumers 4 : !tile.ring<2, [!tile.smem<64xf32>], warps>
  // expected-error @+1 {{(C7) expected roles of 4 warps that wait for a ring, its consumers, found 8}}
  tile.roles warps [4, 4, 4] {
    %t = tile.acquire %r[%c0] : !tile.ring<2, [!tile.smem<64xf32>], warps> -> !tile.smem<64xf32>
    tile.commit %r[%c0] : !tile.ring<2, [!tile.smem<64xf32>], warps>
  }, {
    %t = tile.wait %r[%c0] : !tile.ring<2, [!tile.smem<64xf32>], warps> -> !tile.smem<64xf32>
    tile.release %r[%c0] : !tile.ring<2, [!tile.smem<64xf32>], warps>
  }, {
    %t = tile.wait %r[%c0] : !tile.ring<2, [!tile.smem<64xf32>], warps> -> !tile.smem<64xf32>
    tile.release %r[%c0] : !tile.ring<2, [!tile.smem<64xf32>], warps>
  }
}

// -----

tile.kernel @roles_c7_release() grid 1 * slots warps 8 min_blocks 1 operands [] {
  %c0 = arith.constant 0 : index
  // expected-note @+1 {{the ring}}
  %r = tile.alloc_ring producers 4 consumers 4 : !tile.ring<2, [!tile.smem<64xf32>], warps>
  // expected-error @+1 {{(C7) expected roles of 4 warps that release a ring, its consumers, found 0}}
  tile.roles warps [4, 4] {
    %t = tile.acquire %r[%c0] : !tile.ring<2, [!tile.smem<64xf32>], warps> -> !tile.smem<64xf32>
    tile.commit %r[%c0] : !tile.ring<2, [!tile.smem<64xf32>], warps>
  }, {
    %t = tile.wait %r[%c0] : !tile.ring<2, [!tile.smem<64xf32>], warps> -> !tile.smem<64xf32>
  }
}

// -----

func.func @commit_c1(%r: !tile.ring<2, [!tile.smem<64x64xbf16>]>, %n: index) {
  // expected-error @+1 {{(C1) expected 1 to 8192 bytes that TMA brings into a stage, found 8193}}
  tile.commit %r[%n] bytes 8193 : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  return
}

// -----

func.func @clear_stages_c1(%r: !tile.ring<2, [!tile.smem<64xf32>]>) {
  // expected-error @+1 {{(C1) expected the number of a matrix of 16 bits of the ring and a row of it, found tile 0 and row 63 of}}
  tile.clear_stages %r tile 0 from 63 : !tile.ring<2, [!tile.smem<64xf32>]>
  return
}

// -----

func.func @clear_stages_c1_row(%r: !tile.ring<2, [!tile.smem<64x64xbf16>]>) {
  // expected-error @+1 {{(C1) expected the number of a matrix of 16 bits of the ring and a row of it, found tile 0 and row 64 of}}
  tile.clear_stages %r tile 0 from 64 : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  return
}

// -----

tile.kernel @roles_c7_commit() grid 1 * slots warps 8 min_blocks 1 operands [] {
  %c0 = arith.constant 0 : index
  // expected-note @+1 {{the ring}}
  %r = tile.alloc_ring producers 8 consumers 4 : !tile.ring<2, [!tile.smem<64xf32>], warps>
  // expected-error @+1 {{(C7) expected roles of 8 warps that acquire a ring, its producers, found 4}}
  tile.roles warps [4, 4] {
    %t = tile.acquire %r[%c0] : !tile.ring<2, [!tile.smem<64xf32>], warps> -> !tile.smem<64xf32>
    tile.commit %r[%c0] : !tile.ring<2, [!tile.smem<64xf32>], warps>
  }, {
    %t = tile.wait %r[%c0] : !tile.ring<2, [!tile.smem<64xf32>], warps> -> !tile.smem<64xf32>
    tile.release %r[%c0] : !tile.ring<2, [!tile.smem<64xf32>], warps>
  }
}

// -----

tile.kernel @roles_c8() grid 1 * slots warps 5 min_blocks 1 operands [] {
  %x = tile.alloc : !tile.smem<64x64xbf16>
  // expected-error @+1 {{(C8) expected whole warpgroups, the first warp a multiple of four, for role 1 with tile.mma, found 4 warps from 1 on}}
  tile.roles warps [1, 4] {
    tile.sync
  }, {
    // expected-note @+1 {{this needs a warpgroup}}
    %d = tile.mma %x, %x : !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16> -> !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
  }
}

// -----

tile.kernel @roles_c8_part() grid 1 * slots warps 6 min_blocks 1 operands [] {
  // expected-error @+1 {{(C8) expected whole warpgroups, the first warp a multiple of four, for role 0 with tile.barrier, found 6 warps from 0 on}}
  tile.roles warps [6] {
    // expected-note @+1 {{this needs a warpgroup}}
    tile.barrier id 1
  }
}

// -----

tile.kernel @roles_c9() grid 1 * slots warps 4 min_blocks 1 operands [] {
  tile.roles warps [4] {
    // expected-error @+1 {{(C9) expected a hardware barrier from 1 to 15, or 0 for the warpgroup's own, found 16}}
    tile.barrier id 16
  }
}

// -----

tile.kernel @roles_c9_several() grid 1 * slots warps 8 min_blocks 1 operands [] {
  tile.roles warps [8] {
    // expected-error @+1 {{(C9) expected hardware barrier 0, each warpgroup's own, in a role of 8 warps, found 1}}
    tile.barrier id 1
  }
}

// -----

tile.kernel @roles_c10() grid 1 * slots warps 8 min_blocks 1 operands [] {
  tile.roles warps [4, 4] {
    tile.barrier id 1
  }, {
    // expected-error @+1 {{(C10) expected a hardware barrier of this role alone, found 1, which role 0 has too}}
    tile.barrier id 1
  }
}

// -----

// Barrier 0 is that after the warpgroup's number.

tile.kernel @roles_c10_own() grid 1 * slots warps 12 min_blocks 1 operands [] {
  tile.roles warps [8, 4] {
    tile.barrier id 0
  }, {
    // expected-error @+1 {{(C10) expected a hardware barrier of this role alone, found 2, which role 0 has too}}
    tile.barrier id 2
  }
}

// -----

//===----------------------------------------------------------------------===//
// Rings
//===----------------------------------------------------------------------===//

func.func @alloc_ring_c1() {
  // expected-error @+1 {{(C1) expected one producer warp of a ring that TMA fills, found 4}}
  %r = tile.alloc_ring producers 4 consumers 4 : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  return
}

// -----

func.func @alloc_ring_c2() {
  // expected-error @+1 {{(C2) expected a ring across the blocks of the kernel's cluster, which warps fill, found 2 blocks and '!tile.ring<2, [!tile.smem<64x64xbf16>]>'}}
  %r = tile.alloc_ring producers 1 consumers 4 across 2 : !tile.ring<2, [!tile.smem<64x64xbf16>]>
  return
}

// -----

tile.kernel @alloc_ring_c2_blocks() grid 4 * slots cluster 4 warps 4 min_blocks 1 operands [] {
  // expected-error @+1 {{(C2) expected a ring across the blocks of the kernel's cluster, which warps fill, found 2 blocks and '!tile.ring<1, [!tile.smem<64x128xbf16>], warps>'}}
  %r = tile.alloc_ring producers 4 consumers 4 across 2 : !tile.ring<1, [!tile.smem<64x128xbf16>], warps>
}

// -----

func.func @send_c1(%t: !tile.smem<64x64xbf16>, %i: index) {
  %r = tile.alloc_ring producers 4 consumers 4 : !tile.ring<1, [!tile.smem<64x64xbf16>], warps>
  // expected-error @+1 {{(C1) expected a ring across blocks, found one whose stages are this block's alone}}
  tile.send %t to %i of %r[%i] : !tile.smem<64x64xbf16>, !tile.ring<1, [!tile.smem<64x64xbf16>], warps>
  return
}

// -----

func.func @send_c2(%t: !tile.smem<64x128xbf16>, %r: !tile.ring<1, [!tile.smem<64x256xbf16>], warps>, %i: index) {
  // expected-error @+1 {{(C2) expected a piece of 64 columns of 16 bits, or a vector of a multiple of 4, which lie side by side, found '!tile.smem<64x128xbf16>'}}
  tile.send %t to %i of %r[%i] : !tile.smem<64x128xbf16>, !tile.ring<1, [!tile.smem<64x256xbf16>], warps>
  return
}

// -----

func.func @commit_c2(%i: index) {
  %r = tile.alloc_ring producers 4 consumers 4 across 2 : !tile.ring<1, [!tile.smem<64x128xbf16>], warps>
  // expected-error @+1 {{(C2) expected the bytes that other blocks send into a stage of a ring across blocks, a multiple of its 4 producers, found none}}
  tile.commit %r[%i] : !tile.ring<1, [!tile.smem<64x128xbf16>], warps>
  return
}

// -----

func.func @commit_c2_bytes(%i: index) {
  %r = tile.alloc_ring producers 4 consumers 4 across 2 : !tile.ring<1, [!tile.smem<64x128xbf16>], warps>
  // expected-error @+1 {{(C2) expected the bytes that other blocks send into a stage of a ring across blocks, a multiple of its 4 producers, found 8190}}
  tile.commit %r[%i] bytes 8190 : !tile.ring<1, [!tile.smem<64x128xbf16>], warps>
  return
}

// -----

func.func @acquire_c1(%r: !tile.ring<2, [!tile.smem<64x64xbf16>]>, %i: index) {
  // expected-error @+1 {{(C1) expected the tiles of '!tile.ring<2, [!tile.smem<64x64xbf16>]>', found '!tile.smem<64x128xbf16>'}}
  %t = tile.acquire %r[%i] : !tile.ring<2, [!tile.smem<64x64xbf16>]> -> !tile.smem<64x128xbf16>
  return
}

// -----

func.func @wait_c1(%r: !tile.ring<2, [!tile.smem<64x64xbf16>]>, %i: index) {
  // expected-error @+1 {{(C1) expected the tiles of '!tile.ring<2, [!tile.smem<64x64xbf16>]>', found '!tile.smem<64x64xbf16>', '!tile.smem<64x64xbf16>'}}
  %t:2 = tile.wait %r[%i] : !tile.ring<2, [!tile.smem<64x64xbf16>]>
      -> !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>
  return
}

// -----

//===----------------------------------------------------------------------===//
// Device memory
//===----------------------------------------------------------------------===//

func.func @load_c1(%m: !tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 64, 1, 64]>, %t: !tile.smem<64x64xbf16>, %r: !tile.ring<2, [!tile.smem<64x64xbf16>]>, %i: index) {
  // expected-error @+1 {{(C1) expected a coordinate for each dimension of 'tensor<?x?x1x64xbf16>', found 3}}
  tile.load %m[%i, %i, %i] to %t of %r[%i] : !tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 64, 1, 64]>, !tile.smem<64x64xbf16>, !tile.ring<2, [!tile.smem<64x64xbf16>]>
  return
}

// -----

func.func @load_c3(%m: !tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 64, 1, 64]>, %t: !tile.smem<64x64xf16>, %r: !tile.ring<2, [!tile.smem<64x64xf16>]>, %i: index) {
  // expected-error @+1 {{(C3) expected elements of 'bf16', found 'f16'}}
  tile.load %m[%i, %i, %i, %i] to %t of %r[%i] : !tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 64, 1, 64]>, !tile.smem<64x64xf16>, !tile.ring<2, [!tile.smem<64x64xf16>]>
  return
}

// -----

func.func @load_c4(%m: !tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 64, 1, 64]>, %t: !tile.smem<64x64xbf16>, %r: !tile.ring<2, [!tile.smem<64x64xbf16>], warps>, %i: index) {
  // expected-error @+1 {{(C4) expected a ring that TMA fills, found '!tile.ring<2, [!tile.smem<64x64xbf16>], warps>'}}
  tile.load %m[%i, %i, %i, %i] to %t of %r[%i] : !tile.tensor_map<tensor<?x?x1x64xbf16>, box = [1, 64, 1, 64]>, !tile.smem<64x64xbf16>, !tile.ring<2, [!tile.smem<64x64xbf16>], warps>
  return
}

// -----

func.func @load_vector_c1(%g: !tile.global<tensor<?x?x4xf32>>, %t: !tile.smem<64xf32>, %r: !tile.ring<2, [!tile.smem<64xf32>]>, %i: index) {
  // expected-error @+1 {{(C1) expected a coordinate for each dimension of 'tensor<?x?x4xf32>', found 2}}
  tile.load_vector %g[%i, %i] dim 1 valid %i to %t of %r[%i] : !tile.global<tensor<?x?x4xf32>>, !tile.smem<64xf32>, !tile.ring<2, [!tile.smem<64xf32>]>
  return
}

// -----

func.func @load_vector_c2(%g: !tile.global<tensor<?x?x4xf32>>, %t: !tile.smem<64xf32>, %r: !tile.ring<2, [!tile.smem<64xf32>]>, %i: index) {
  // expected-error @+1 {{(C2) expected a dimension of 'tensor<?x?x4xf32>', found 3}}
  tile.load_vector %g[%i, %i, %i] dim 3 valid %i to %t of %r[%i] : !tile.global<tensor<?x?x4xf32>>, !tile.smem<64xf32>, !tile.ring<2, [!tile.smem<64xf32>]>
  return
}

// -----

func.func @load_scalar_c1(%g: !tile.global<tensor<4xf32>>, %i: index) {
  // expected-error @+1 {{(C1) expected a coordinate for each dimension of 'tensor<4xf32>', found 2}}
  %x = tile.load_scalar %g[%i, %i] : !tile.global<tensor<4xf32>>
  return
}

// -----

func.func @sum_tokens_c1(%x: !tile.global<tensor<?x?x4xf32>>, %y: !tile.global<tensor<4xf32>>, %s: !tile.smem<32xf32>, %i: index) {
  // expected-error @+1 {{(C1) expected a dense tensor [batch, tokens, heads] and one of its heads, of f32, found '!tile.global<tensor<?x?x4xf32>>' and 'tensor<4xf32>'}}
  tile.sum_tokens %x to %y head %i rows %i via %s : !tile.global<tensor<?x?x4xf32>>, !tile.global<tensor<4xf32>>, !tile.smem<32xf32>
  return
}

// -----

func.func @sum_tokens_c2(%x: !tile.global<tensor<?x?x4xf32>, dense = true>, %y: !tile.global<tensor<4xf32>>, %s: !tile.smem<16xf32>, %i: index) {
  // expected-error @+1 {{(C2) expected scratch for a number of each of the 32 warps that a block may have, found '!tile.smem<16xf32>'}}
  tile.sum_tokens %x to %y head %i rows %i via %s : !tile.global<tensor<?x?x4xf32>, dense = true>, !tile.global<tensor<4xf32>>, !tile.smem<16xf32>
  return
}

// -----

func.func @sum_token_columns_c1(%x: !tile.global<tensor<?x?x4x64xf32>, dense = true>, %y: !tile.global<tensor<4x32xf32>>, %s: !tile.smem<1024xf32>, %i: index) {
  // expected-error @+1 {{(C1) expected a dense tensor [batch, tokens, heads, channels] and one of its heads and channels, of f32, found '!tile.global<tensor<?x?x4x64xf32>, dense = true>' and 'tensor<4x32xf32>'}}
  tile.sum_token_columns %x to %y block %i rows %i via %s : !tile.global<tensor<?x?x4x64xf32>, dense = true>, !tile.global<tensor<4x32xf32>>, !tile.smem<1024xf32>
  return
}

// -----

func.func @sum_token_columns_c2(%x: !tile.global<tensor<?x?x4x64xf32>, dense = true>, %y: !tile.global<tensor<4x64xf32>>, %s: !tile.smem<512xf32>, %i: index) {
  // expected-error @+1 {{(C2) expected scratch for a number of each of the 1024 threads that a block may have, found '!tile.smem<512xf32>'}}
  tile.sum_token_columns %x to %y block %i rows %i via %s : !tile.global<tensor<?x?x4x64xf32>, dense = true>, !tile.global<tensor<4x64xf32>>, !tile.smem<512xf32>
  return
}

// -----

func.func @mask_vector_c1(%x: tensor<64xf32, #tile.layout<col>>, %n: index) {
  // expected-error @+1 {{(C1) expected a warp-held vector, found 'tensor<64xf32, #tile.layout<col>>'}}
  %y = tile.mask_vector %x valid %n : tensor<64xf32, #tile.layout<col>>
  return
}

// -----

func.func @load_vector_c4(%g: !tile.global<tensor<?x?x4xf32>>, %t: !tile.smem<64xf32>, %r: !tile.ring<2, [!tile.smem<64xf32>], warps>, %i: index) {
  // expected-error @+1 {{(C4) expected a ring that TMA fills, found '!tile.ring<2, [!tile.smem<64xf32>], warps>'}}
  tile.load_vector %g[%i, %i, %i] dim 1 valid %i to %t of %r[%i] : !tile.global<tensor<?x?x4xf32>>, !tile.smem<64xf32>, !tile.ring<2, [!tile.smem<64xf32>], warps>
  return
}

// -----

func.func @load_rows_c1(%g: !tile.global<tensor<?x?x4x128xf32>>, %t: !tile.smem<64x128xf32>, %r: !tile.ring<2, [!tile.smem<64x128xf32>]>, %w: !tile.ring<2, [!tile.smem<64x128xf32>], warps>, %h: !tile.smem<64x128xbf16>, %i: index) {
  // expected-error @+1 {{(C1) expected a coordinate for each dimension of 'tensor<?x?x4x128xf32>', found 2}}
  tile.load_rows %g[%i, %i] dim 1 valid %i to %t of %r[%i] : !tile.global<tensor<?x?x4x128xf32>>, !tile.smem<64x128xf32>, !tile.ring<2, [!tile.smem<64x128xf32>]>
  return
}

// -----

func.func @load_rows_c2(%g: !tile.global<tensor<?x?x4x128xf32>>, %t: !tile.smem<64x128xf32>, %r: !tile.ring<2, [!tile.smem<64x128xf32>]>, %w: !tile.ring<2, [!tile.smem<64x128xf32>], warps>, %h: !tile.smem<64x128xbf16>, %i: index) {
  // expected-error @+1 {{(C2) expected a dimension of 'tensor<?x?x4x128xf32>', found 4}}
  tile.load_rows %g[%i, %i, %i, %i] dim 4 valid %i to %t of %r[%i] : !tile.global<tensor<?x?x4x128xf32>>, !tile.smem<64x128xf32>, !tile.ring<2, [!tile.smem<64x128xf32>]>
  return
}

// -----

func.func @load_rows_c4(%g: !tile.global<tensor<?x?x4x128xf32>>, %t: !tile.smem<64x128xf32>, %r: !tile.ring<2, [!tile.smem<64x128xf32>]>, %w: !tile.ring<2, [!tile.smem<64x128xf32>], warps>, %h: !tile.smem<64x128xbf16>, %i: index) {
  // expected-error @+1 {{(C4) expected a ring that TMA fills, found '!tile.ring<2, [!tile.smem<64x128xf32>], warps>'}}
  tile.load_rows %g[%i, %i, %i, %i] dim 1 valid %i to %t of %w[%i] : !tile.global<tensor<?x?x4x128xf32>>, !tile.smem<64x128xf32>, !tile.ring<2, [!tile.smem<64x128xf32>], warps>
  return
}

// -----

func.func @load_rows_c5(%g: !tile.global<tensor<?x?x4x128xf32>>, %t: !tile.smem<64x128xf32>, %r: !tile.ring<2, [!tile.smem<64x128xf32>]>, %w: !tile.ring<2, [!tile.smem<64x128xf32>], warps>, %h: !tile.smem<64x128xbf16>, %i: index) {
  // expected-error @+1 {{(C5) expected a matrix of f32, found '!tile.smem<64x128xbf16>'}}
  tile.load_rows %g[%i, %i, %i, %i] dim 1 valid %i to %h of %r[%i] : !tile.global<tensor<?x?x4x128xf32>>, !tile.smem<64x128xbf16>, !tile.ring<2, [!tile.smem<64x128xf32>]>
  return
}

// -----

func.func @load_rows_c3(%g: !tile.global<tensor<?x?x4x128xbf16>>, %t: !tile.smem<64x128xf32>, %r: !tile.ring<2, [!tile.smem<64x128xf32>]>, %i: index) {
  // expected-error @+1 {{(C3) expected elements of 'bf16', found 'f32'}}
  tile.load_rows %g[%i, %i, %i, %i] dim 1 valid %i to %t of %r[%i] : !tile.global<tensor<?x?x4x128xbf16>>, !tile.smem<64x128xf32>, !tile.ring<2, [!tile.smem<64x128xf32>]>
  return
}

// -----

func.func @one_warp_c1() {
  // expected-error @+1 {{(C1) expected what one warp can do, found tile.barrier, for which all four of a warpgroup are needed}}
  tile.one_warp 0 {
    // expected-note @+1 {{this needs a warpgroup}}
    tile.barrier id 1
  }
  return
}

// -----

func.func @one_warp_c2() {
  // expected-error @+1 {{(C2) expected one of the 4 warps of a warpgroup, found 4}}
  tile.one_warp 4 {
  }
  return
}

// -----

func.func @store_rows_c1(%x: tensor<64x64xbf16, #tile.layout<acc>>, %g: !tile.global<tensor<?x?x4x128xbf16>>, %s: !tile.smem<64x64xbf16>, %i: index) {
  // expected-error @+1 {{(C1) expected a coordinate for each dimension of 'tensor<?x?x4x128xbf16>', found 3}}
  tile.store_rows %x to %g[%i, %i, %i] dim 1 valid %i via %s barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>, !tile.global<tensor<?x?x4x128xbf16>>, !tile.smem<64x64xbf16>
  return
}

// -----

func.func @store_rows_c2(%x: tensor<64x64xbf16, #tile.layout<acc>>, %g: !tile.global<tensor<?x?x4x128xbf16>>, %s: !tile.smem<64x64xbf16>, %i: index) {
  // expected-error @+1 {{(C2) expected a dimension of 'tensor<?x?x4x128xbf16>', found 4}}
  tile.store_rows %x to %g[%i, %i, %i, %i] dim 4 valid %i via %s barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>, !tile.global<tensor<?x?x4x128xbf16>>, !tile.smem<64x64xbf16>
  return
}

// -----

func.func @store_rows_c3(%x: tensor<64x64xf32, #tile.layout<acc>>, %g: !tile.global<tensor<?x?x4x128xbf16>>, %s: !tile.smem<64x64xbf16>, %i: index) {
  // expected-error @+1 {{(C3) expected elements of 'bf16', found 'f32'}}
  tile.store_rows %x to %g[%i, %i, %i, %i] dim 1 valid %i via %s barrier 1 : tensor<64x64xf32, #tile.layout<acc>>, !tile.global<tensor<?x?x4x128xbf16>>, !tile.smem<64x64xbf16>
  return
}

// -----

func.func @store_rows_c4(%x: tensor<64x128xbf16, #tile.layout<acc>>, %g: !tile.global<tensor<?x?x4x128xbf16>>, %s: !tile.smem<64x128xbf16>, %i: index) {
  // expected-error @+1 {{(C4) expected a staging tile of the shape and element type of 'tensor<64x128xbf16, #tile.layout<acc>>', transposed, found '!tile.smem<64x128xbf16>'}}
  tile.store_rows transpose %x to %g[%i, %i, %i, %i] dim 1 valid %i via %s barrier 1 : tensor<64x128xbf16, #tile.layout<acc>>, !tile.global<tensor<?x?x4x128xbf16>>, !tile.smem<64x128xbf16>
  return
}

// -----

func.func @store_rows_c6(%x: tensor<64x64xf32, #tile.layout<acc>>, %g: !tile.global<tensor<?x?x4x128xf32>>, %s: !tile.smem<64x64xf32>, %i: index) {
  // expected-error @+1 {{(C6) expected a staging tile of 16 bits for the whole of 'tensor<64x64xf32, #tile.layout<acc>>', found '!tile.smem<64x64xf32>'}}
  tile.store_rows %x to %g[%i, %i, %i, %i] dim 1 valid %i via %s own barrier 1 : tensor<64x64xf32, #tile.layout<acc>>, !tile.global<tensor<?x?x4x128xf32>>, !tile.smem<64x64xf32>
  return
}

// -----

func.func @store_rows_c7(%x: tensor<64x64xbf16, #tile.layout<acc>>, %g: !tile.global<tensor<?x?x4x64xbf16>>, %i: index) {
  // expected-error @+1 {{(C7) expected rows that are at least one apart, and through a staging tile where they are more, found every 2}}
  tile.store_rows %x to %g[%i, %i, %i, %i] dim 1 every 2 valid %i barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>, !tile.global<tensor<?x?x4x64xbf16>>
  return
}

// -----

func.func @send_columns_c1(%y: tensor<64x64xbf16, #tile.layout<acc>>, %t: !tile.smem<64x64xbf16>, %r: !tile.ring<1, [!tile.smem<64x64xbf16>], warps>, %i: index) {
  // expected-error @+1 {{(C1) expected a tile of 64 rows in 16 bits, and a place for half of its columns, a multiple of 16, found 'tensor<64x64xbf16, #tile.layout<acc>>' and '!tile.smem<64x64xbf16>'}}
  tile.send_columns %y[%i] to %i by %t of %r[%i] : tensor<64x64xbf16, #tile.layout<acc>>, !tile.smem<64x64xbf16>, !tile.ring<1, [!tile.smem<64x64xbf16>], warps>
  return
}

// -----

tile.kernel @send_columns_c2(%n: index) grid 2 * sequences cluster 2 warps 4 min_blocks 1 operands ["tokens"] {
  %c0 = arith.constant 0 : index
  %ring = tile.alloc_ring producers 4 consumers 4 : !tile.ring<1, [!tile.smem<64x64xbf16>], warps>
  tile.roles warps [4] {
    %y = arith.constant dense<1.0> : tensor<64x128xbf16, #tile.layout<acc>>
    %t = tile.acquire %ring[%c0] : !tile.ring<1, [!tile.smem<64x64xbf16>], warps> -> !tile.smem<64x64xbf16>
    // expected-error @+1 {{(C2) expected a ring across blocks, found one whose stages are this block's alone}}
    tile.send_columns %y[%c0] to %c0 by %t of %ring[%c0] : tensor<64x128xbf16, #tile.layout<acc>>, !tile.smem<64x64xbf16>, !tile.ring<1, [!tile.smem<64x64xbf16>], warps>
    tile.commit %ring[%c0] : !tile.ring<1, [!tile.smem<64x64xbf16>], warps>
    %u = tile.wait %ring[%c0] : !tile.ring<1, [!tile.smem<64x64xbf16>], warps> -> !tile.smem<64x64xbf16>
    tile.release %ring[%c0] : !tile.ring<1, [!tile.smem<64x64xbf16>], warps>
  }
}

// -----

func.func @add_columns_c2(%y: tensor<64x128xbf16, #tile.layout<acc>>, %t: !tile.smem<64x64xbf16>, %i: index) {
  // expected-error @+1 {{(C2) expected a sum of the place's shape, in the value's type and layout, found 'tensor<64x64xf32, #tile.layout<acc>>'}}
  %z = tile.add_columns %y[%i], %t : tensor<64x128xbf16, #tile.layout<acc>>, !tile.smem<64x64xbf16> -> tensor<64x64xf32, #tile.layout<acc>>
  return
}

// -----

func.func @copy_rows_c1(%z: !tile.smem<64x64xbf16>, %g: !tile.global<tensor<?x?x4x64xbf16>>, %i: index) {
  // expected-error @+1 {{(C1) expected a coordinate for each dimension of 'tensor<?x?x4x64xbf16>', found 3}}
  tile.copy_rows %z to %g[%i, %i, %i] dim 1 valid %i : !tile.smem<64x64xbf16>, !tile.global<tensor<?x?x4x64xbf16>>
  return
}

// -----

func.func @copy_rows_c2(%z: !tile.smem<64x64xbf16>, %g: !tile.global<tensor<?x?x4x64xbf16>>, %i: index) {
  // expected-error @+1 {{(C2) expected a dimension of 'tensor<?x?x4x64xbf16>', found 4}}
  tile.copy_rows %z to %g[%i, %i, %i, %i] dim 4 valid %i : !tile.smem<64x64xbf16>, !tile.global<tensor<?x?x4x64xbf16>>
  return
}

// -----

func.func @copy_rows_c3(%z: !tile.smem<64x64xbf16>, %g: !tile.global<tensor<?x?x4x64xf16>>, %i: index) {
  // expected-error @+1 {{(C3) expected elements of 'f16', found 'bf16'}}
  tile.copy_rows %z to %g[%i, %i, %i, %i] dim 1 valid %i : !tile.smem<64x64xbf16>, !tile.global<tensor<?x?x4x64xf16>>
  return
}

// -----

func.func @copy_rows_c4(%z: !tile.smem<64x64xf32>, %g: !tile.global<tensor<?x?x4x64xf32>>, %i: index) {
  // expected-error @+1 {{(C4) expected a matrix of 16 bits, found '!tile.smem<64x64xf32>'}}
  tile.copy_rows %z to %g[%i, %i, %i, %i] dim 1 valid %i : !tile.smem<64x64xf32>, !tile.global<tensor<?x?x4x64xf32>>
  return
}

// -----

func.func @store_vector_c1(%x: tensor<64xf32, #tile.layout<warp>>, %g: !tile.global<tensor<?x?x4xf32>>, %i: index) {
  // expected-error @+1 {{(C1) expected a coordinate for each dimension of 'tensor<?x?x4xf32>', found 2}}
  tile.store_vector %x to %g[%i, %i] dim 1 valid %i : tensor<64xf32, #tile.layout<warp>>, !tile.global<tensor<?x?x4xf32>>
  return
}

// -----

func.func @store_vector_c2(%x: tensor<64xf32, #tile.layout<warp>>, %g: !tile.global<tensor<?x?x4xf32>>, %i: index) {
  // expected-error @+1 {{(C2) expected a dimension of 'tensor<?x?x4xf32>', found 3}}
  tile.store_vector %x to %g[%i, %i, %i] dim 3 valid %i : tensor<64xf32, #tile.layout<warp>>, !tile.global<tensor<?x?x4xf32>>
  return
}

// -----

func.func @store_vector_c3(%x: tensor<64xbf16, #tile.layout<warp>>, %g: !tile.global<tensor<?x?x4xf32>>, %i: index) {
  // expected-error @+1 {{(C3) expected elements of 'f32', found 'bf16'}}
  tile.store_vector %x to %g[%i, %i, %i] dim 1 valid %i : tensor<64xbf16, #tile.layout<warp>>, !tile.global<tensor<?x?x4xf32>>
  return
}

// -----

func.func @load_matrix_c1(%g: !tile.global<tensor<?x4x64x64xf32>>, %i: index) {
  // expected-error @+1 {{(C1) expected a coordinate for each dimension of 'tensor<?x4x64x64xf32>', found 3}}
  %x = tile.load_matrix %g[%i, %i, %i] dims [3, 2] : !tile.global<tensor<?x4x64x64xf32>> -> tensor<64x64xf32, #tile.layout<acc>>
  return
}

// -----

func.func @load_matrix_c2(%g: !tile.global<tensor<?x4x64x64xf32>>, %i: index) {
  // expected-error @+1 {{(C2) expected a dimension of 'tensor<?x4x64x64xf32>', found 4}}
  %x = tile.load_matrix %g[%i, %i, %i, %i] dims [4, 2] : !tile.global<tensor<?x4x64x64xf32>> -> tensor<64x64xf32, #tile.layout<acc>>
  return
}

// -----

func.func @load_matrix_c3(%g: !tile.global<tensor<?x4x64x64xf32>>, %i: index) {
  // expected-error @+1 {{(C3) expected elements of 'f32', found 'bf16'}}
  %x = tile.load_matrix %g[%i, %i, %i, %i] dims [3, 2] : !tile.global<tensor<?x4x64x64xf32>> -> tensor<64x64xbf16, #tile.layout<acc>>
  return
}

// -----

func.func @fetch_rows_c1(%g: !tile.global<tensor<?x?x4x64xf32>>, %i: index) {
  // expected-error @+1 {{(C1) expected a coordinate for each dimension of 'tensor<?x?x4x64xf32>', found 3}}
  %x = tile.fetch_rows %g[%i, %i, %i] dim 1 valid %i : !tile.global<tensor<?x?x4x64xf32>> -> tensor<64x64xf32, #tile.layout<acc>>
  return
}

// -----

func.func @fetch_rows_c2(%g: !tile.global<tensor<?x?x4x64xf32>>, %i: index) {
  // expected-error @+1 {{(C2) expected a dimension of 'tensor<?x?x4x64xf32>', found 4}}
  %x = tile.fetch_rows %g[%i, %i, %i, %i] dim 4 valid %i : !tile.global<tensor<?x?x4x64xf32>> -> tensor<64x64xf32, #tile.layout<acc>>
  return
}

// -----

func.func @fetch_rows_c3(%g: !tile.global<tensor<?x?x4x64xf32>>, %i: index) {
  // expected-error @+1 {{(C3) expected elements of 'f32', found 'bf16'}}
  %x = tile.fetch_rows %g[%i, %i, %i, %i] dim 1 valid %i : !tile.global<tensor<?x?x4x64xf32>> -> tensor<64x64xbf16, #tile.layout<acc>>
  return
}

// -----

func.func @fetch_rows_c4(%g: !tile.global<tensor<?x?x4x64xf32>>, %i: index) {
  // expected-error @+1 {{(C4) expected rows that are at least one apart, found every 0}}
  %x = tile.fetch_rows %g[%i, %i, %i, %i] dim 1 every 0 valid %i : !tile.global<tensor<?x?x4x64xf32>> -> tensor<64x64xf32, #tile.layout<acc>>
  return
}

// -----

func.func @store_matrix_c1(%x: tensor<64x64xf32, #tile.layout<acc>>, %g: !tile.global<tensor<?x4x64x64xf32>>, %i: index) {
  // expected-error @+1 {{(C1) expected a coordinate for each dimension of 'tensor<?x4x64x64xf32>', found 3}}
  tile.store_matrix %x to %g[%i, %i, %i] dims [3, 2] : tensor<64x64xf32, #tile.layout<acc>>, !tile.global<tensor<?x4x64x64xf32>>
  return
}

// -----

func.func @store_matrix_c2(%x: tensor<64x64xf32, #tile.layout<acc>>, %g: !tile.global<tensor<?x4x64x64xf32>>, %i: index) {
  // expected-error @+1 {{(C2) expected a dimension of 'tensor<?x4x64x64xf32>', found -1}}
  tile.store_matrix %x to %g[%i, %i, %i, %i] dims [3, -1] : tensor<64x64xf32, #tile.layout<acc>>, !tile.global<tensor<?x4x64x64xf32>>
  return
}

// -----

func.func @store_matrix_c3(%x: tensor<64x64xbf16, #tile.layout<acc>>, %g: !tile.global<tensor<?x4x64x64xf32>>, %i: index) {
  // expected-error @+1 {{(C3) expected elements of 'f32', found 'bf16'}}
  tile.store_matrix %x to %g[%i, %i, %i, %i] dims [3, 2] : tensor<64x64xbf16, #tile.layout<acc>>, !tile.global<tensor<?x4x64x64xf32>>
  return
}

// -----

func.func @zero_fill_c1(%g: !tile.global<tensor<?x?x4x128xbf16>>, %i: index) {
  // expected-error @+1 {{(C1) expected a coordinate for each dimension of 'tensor<?x?x4x128xbf16>', found 3}}
  tile.zero_fill %g[%i, %i, %i] dim 1 from %i to %i columns 64 : !tile.global<tensor<?x?x4x128xbf16>>
  return
}

// -----

func.func @zero_fill_c2(%g: !tile.global<tensor<?x?x4x128xbf16>>, %i: index) {
  // expected-error @+1 {{(C2) expected a dimension of 'tensor<?x?x4x128xbf16>', found 4}}
  tile.zero_fill %g[%i, %i, %i, %i] dim 4 from %i to %i columns 64 : !tile.global<tensor<?x?x4x128xbf16>>
  return
}

// -----

//===----------------------------------------------------------------------===//
// tile.read_element
//===----------------------------------------------------------------------===//

func.func @read_element_c1(%t: !tile.smem<64x64xf32>, %i: index) {
  // expected-error @+1 {{(C1) expected a vector of f32, found '!tile.smem<64x64xf32>'}}
  %x = tile.read_element %t[%i] : !tile.smem<64x64xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// tile.read
//===----------------------------------------------------------------------===//

func.func @read_c1(%t: !tile.smem<64x128xbf16>) {
  // expected-error @+1 {{(C1) expected the shape and element type of 64 rows of '!tile.smem<64x128xbf16>', transposed, found 'tensor<64x128xbf16, #tile.layout<acc>>'}}
  %x = tile.read transpose %t : !tile.smem<64x128xbf16> -> tensor<64x128xbf16, #tile.layout<acc>>
  return
}

// -----

func.func @read_c1_type(%t: !tile.smem<64x128xbf16>) {
  // expected-error @+1 {{(C1) expected the shape and element type of '!tile.smem<64x128xbf16>', found 'tensor<64x128xf32, #tile.layout<acc>>'}}
  %x = tile.read %t : !tile.smem<64x128xbf16> -> tensor<64x128xf32, #tile.layout<acc>>
  return
}

// -----

func.func @read_c3(%t: !tile.smem<128x64xbf16>) {
  // expected-error @+1 {{(C3) expected a block of the tile's 2, counted from 0, found 2}}
  %x = tile.read %t block 2 : !tile.smem<128x64xbf16> -> tensor<64x64xbf16, #tile.layout<acc>>
  return
}

// -----

func.func @write_c1(%x: tensor<64x64xbf16, #tile.layout<acc>>, %t: !tile.smem<64x128xbf16>) {
  // expected-error @+1 {{(C1) expected the shape and element type of '!tile.smem<64x128xbf16>', found 'tensor<64x64xbf16, #tile.layout<acc>>'}}
  %w = tile.write %x to %t barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>, !tile.smem<64x128xbf16>
  return
}

// -----

func.func @write_c2(%x: tensor<64xf32, #tile.layout<acc>>, %t: !tile.smem<64xf32>) {
  // expected-error @+1 {{(C2) expected the acc layout for a matrix and row, col or warp for a vector, found 'tensor<64xf32, #tile.layout<acc>>'}}
  %w = tile.write %x to %t barrier 1 : tensor<64xf32, #tile.layout<acc>>, !tile.smem<64xf32>
  return
}

// -----

func.func @write_c4(%x: tensor<64x64xbf16, #tile.layout<acc>>, %i: index) {
  %t = tile.alloc : !tile.smem<64x128xbf16>
  %s = tile.subview %t[%i] : !tile.smem<64x128xbf16> -> !tile.smem<64x64xbf16>
  // expected-error @+1 {{(C4) expected a barrier, or a tile of a ring's stage, which the ring hands over; found one of tile.alloc}}
  %w = tile.write %x to %s : tensor<64x64xbf16, #tile.layout<acc>>, !tile.smem<64x64xbf16>
  return
}

// -----

func.func @write_c5(%x: tensor<64x64xbf16, #tile.layout<acc>>, %r: !tile.ring<2, [!tile.smem<64x64xbf16>]>, %i: index) {
  %t = tile.acquire %r[%i] : !tile.ring<2, [!tile.smem<64x64xbf16>]> -> !tile.smem<64x64xbf16>
  // expected-error @+1 {{(C5) expected a ring that warps fill, found '!tile.ring<2, [!tile.smem<64x64xbf16>]>'}}
  %w = tile.write %x to %t : tensor<64x64xbf16, #tile.layout<acc>>, !tile.smem<64x64xbf16>
  return
}

// -----

func.func @subview_c1(%t: !tile.smem<64x192xbf16>, %i: index) {
  // expected-error @+1 {{(C1) expected one of several equal pieces of a tile: blocks of 64 columns of a 16-bit matrix, or rows of it, which say of how many, else rows; found '!tile.smem<64x128xbf16>' of '!tile.smem<64x192xbf16>'}}
  %s = tile.subview %t[%i] : !tile.smem<64x192xbf16> -> !tile.smem<64x128xbf16>
  return
}

// -----

// A view of rows has the column blocks of the tile.
func.func @subview_c1_rows(%t: !tile.smem<128x128xbf16>, %i: index) {
  // expected-error @+1 {{found '!tile.smem<64x128xbf16>' of '!tile.smem<128x128xbf16>'}}
  %s = tile.subview %t[%i] : !tile.smem<128x128xbf16> -> !tile.smem<64x128xbf16>
  return
}

// -----

func.func @write_c3(%x: tensor<64x64xbf16, #tile.layout<acc>>, %t: !tile.smem<128x64xbf16>) {
  // expected-error @+1 {{(C3) expected a block of the tile's 2, counted from 0, found -1}}
  %w = tile.write %x to %t block -1 barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>, !tile.smem<128x64xbf16>
  return
}

// -----

func.func @read_c2(%t: !tile.smem<64x128xbf16>) {
  // expected-error @+1 {{(C2) expected the acc layout for a matrix and row, col or warp for a vector, found 'tensor<64x128xbf16>'}}
  %x = tile.read %t : !tile.smem<64x128xbf16> -> tensor<64x128xbf16>
  return
}

// -----

func.func @read_c2_vector(%t: !tile.smem<64xf32>) {
  // expected-error @+1 {{(C2) expected the acc layout for a matrix and row, col or warp for a vector, found 'tensor<64xf32, #tile.layout<acc>>'}}
  %x = tile.read %t : !tile.smem<64xf32> -> tensor<64xf32, #tile.layout<acc>>
  return
}

// -----

//===----------------------------------------------------------------------===//
// tile.mma
//===----------------------------------------------------------------------===//

func.func @mma_c1(%a: tensor<64x64xbf16, #tile.layout<acc>>, %b: !tile.smem<64xf32>) {
  // expected-error @+1 {{(C1) expected matrices}}
  %d = tile.mma %a, %b : tensor<64x64xbf16, #tile.layout<acc>>, !tile.smem<64xf32>
      -> !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
  return
}

// -----

func.func @mma_c2(%a: tensor<64x128xbf16, #tile.layout<acc>>, %b: !tile.smem<64x128xbf16>) {
  // expected-error @+1 {{(C2) expected [m, k] x [k, n] -> [m, n], found [64, 128] x [64, 128] -> 'tensor<64x128xf32, #tile.layout<acc>>'}}
  %d = tile.mma %a, %b : tensor<64x128xbf16, #tile.layout<acc>>, !tile.smem<64x128xbf16>
      -> !tile.inflight<tensor<64x128xf32, #tile.layout<acc>>>
  return
}

// -----

func.func @mma_c2_result(%a: tensor<64x64xbf16, #tile.layout<acc>>, %b: !tile.smem<64x128xbf16>) {
  // expected-error @+1 {{(C2) expected [m, k] x [k, n] -> [m, n], found [64, 64] x [64, 128] -> 'tensor<64x64xf32, #tile.layout<acc>>'}}
  %d = tile.mma %a, %b : tensor<64x64xbf16, #tile.layout<acc>>, !tile.smem<64x128xbf16>
      -> !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
  return
}

// -----

func.func @mma_c3(%a: tensor<128x64xbf16, #tile.layout<acc>>, %b: !tile.smem<64x64xbf16>) {
  // expected-error @+1 {{(C3) expected m = 64, k a multiple of 16 and n a multiple of 8 up to 256 (what the tensor cores take), found m = 128, k = 64, n = 64}}
  %d = tile.mma %a, %b : tensor<128x64xbf16, #tile.layout<acc>>, !tile.smem<64x64xbf16>
      -> !tile.inflight<tensor<128x64xf32, #tile.layout<acc>>>
  return
}

// -----

func.func @mma_c3_k(%a: tensor<64x8xbf16, #tile.layout<acc>>, %b: !tile.smem<8x64xbf16>) {
  // expected-error @+1 {{(C3) expected m = 64, k a multiple of 16 and n a multiple of 8 up to 256 (what the tensor cores take), found m = 64, k = 8, n = 64}}
  %d = tile.mma %a, %b : tensor<64x8xbf16, #tile.layout<acc>>, !tile.smem<8x64xbf16>
      -> !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
  return
}

// -----

func.func @mma_c3_n(%a: tensor<64x64xbf16, #tile.layout<acc>>, %b: !tile.smem<64x320xbf16>) {
  // expected-error @+1 {{(C3) expected m = 64, k a multiple of 16 and n a multiple of 8 up to 256 (what the tensor cores take), found m = 64, k = 64, n = 320}}
  %d = tile.mma %a, %b : tensor<64x64xbf16, #tile.layout<acc>>, !tile.smem<64x320xbf16>
      -> !tile.inflight<tensor<64x320xf32, #tile.layout<acc>>>
  return
}

// -----

func.func @mma_c4(%a: tensor<64x64xbf16, #tile.layout<acc>>, %b: !tile.smem<64x64xbf16>) {
  // expected-error @+1 {{(C4) wgmma cannot transpose A in registers}}
  %d = tile.mma %a transpose_a, %b : tensor<64x64xbf16, #tile.layout<acc>>, !tile.smem<64x64xbf16>
      -> !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
  return
}

// -----

func.func @mma_c5(%a: tensor<64x64xbf16>, %b: !tile.smem<64x64xbf16>) {
  // expected-error @+1 {{(C5) expected the acc layout, found 'tensor<64x64xbf16>'}}
  %d = tile.mma %a, %b : tensor<64x64xbf16>, !tile.smem<64x64xbf16>
      -> !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
  return
}

// -----

func.func @mma_c5_d(%a: tensor<64x64xbf16, #tile.layout<acc>>, %b: !tile.smem<64x64xbf16>) {
  // expected-error @+1 {{(C5) expected the acc layout, found 'tensor<64x64xf32>'}}
  %d = tile.mma %a, %b : tensor<64x64xbf16, #tile.layout<acc>>, !tile.smem<64x64xbf16>
      -> !tile.inflight<tensor<64x64xf32>>
  return
}

// -----

func.func @mma_c6(%a: tensor<64x64xbf16, #tile.layout<acc>>, %b: !tile.smem<64x64xbf16>,
                  %c: tensor<64x64xbf16, #tile.layout<acc>>) {
  // expected-error @+1 {{(C6) expected C of type 'tensor<64x64xf32, #tile.layout<acc>>', found 'tensor<64x64xbf16, #tile.layout<acc>>'}}
  %d = tile.mma %a, %b into %c
      : tensor<64x64xbf16, #tile.layout<acc>>, !tile.smem<64x64xbf16>,
        tensor<64x64xbf16, #tile.layout<acc>>
      -> !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
  return
}

// -----

//===----------------------------------------------------------------------===//
// tile.broadcast, tile.relayout
//===----------------------------------------------------------------------===//

func.func @mma_c7(%a: !tile.smem<128x64xbf16>, %b: !tile.smem<64x64xbf16>) {
  // expected-error @+1 {{(C7) expected a block of A's 2, counted from 0, found 2}}
  %d = tile.mma %a block 2, %b : !tile.smem<128x64xbf16>, !tile.smem<64x64xbf16>
      -> !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
  return
}

// -----

func.func @broadcast_c1(%s: f64) {
  // expected-error @+1 {{(C1) expected a scalar of type 'f32', found 'f64'}}
  %x = tile.broadcast %s : f64 -> tensor<64x64xf32, #tile.layout<acc>>
  return
}

// -----

func.func @index_c1() {
  // expected-error @+1 {{(C1) expected a register tile and one of its 1 dimensions, found 'tensor<64xi32, #tile.layout<warp>>' and dimension 1}}
  %x = tile.index 1 : tensor<64xi32, #tile.layout<warp>>
  return
}

// -----

func.func @broadcast_c2(%s: tensor<64xf32, #tile.layout<warp>>) {
  // expected-error @+1 {{(C2) expected a row or col vector as long as that dimension of an acc tile, found 'tensor<64xf32, #tile.layout<warp>>' for 'tensor<64x64xf32, #tile.layout<acc>>'}}
  %x = tile.broadcast %s : tensor<64xf32, #tile.layout<warp>> -> tensor<64x64xf32, #tile.layout<acc>>
  return
}

// -----

func.func @broadcast_c2_size(%s: tensor<64xf32, #tile.layout<col>>) {
  // expected-error @+1 {{(C2) expected a row or col vector as long as that dimension of an acc tile, found 'tensor<64xf32, #tile.layout<col>>' for 'tensor<64x128xf32, #tile.layout<acc>>'}}
  %x = tile.broadcast %s : tensor<64xf32, #tile.layout<col>> -> tensor<64x128xf32, #tile.layout<acc>>
  return
}

// -----

func.func @relayout_c1(%s: tensor<64xf32, #tile.layout<row>>) {
  // expected-error @+1 {{(C1) expected a warp-held vector, and row, col or warp of it, found 'tensor<64xf32, #tile.layout<row>>' and 'tensor<64xf32, #tile.layout<col>>'}}
  %x = tile.relayout %s repeat 1 : tensor<64xf32, #tile.layout<row>> -> tensor<64xf32, #tile.layout<col>>
  return
}

// -----

func.func @relayout_c1_to(%s: tensor<64xf32, #tile.layout<warp>>) {
  // expected-error @+1 {{(C1) expected a warp-held vector, and row, col or warp of it, found 'tensor<64xf32, #tile.layout<warp>>' and 'tensor<64xf32>'}}
  %x = tile.relayout %s repeat 1 : tensor<64xf32, #tile.layout<warp>> -> tensor<64xf32>
  return
}

// -----

func.func @relayout_c2(%s: tensor<32xf32, #tile.layout<warp>>) {
  // expected-error @+1 {{(C2) expected at most 1 result elements for each of the source's, found 'tensor<32xf32, #tile.layout<warp>>' and 'tensor<64xf32, #tile.layout<col>>'}}
  %x = tile.relayout %s repeat 1 : tensor<32xf32, #tile.layout<warp>> -> tensor<64xf32, #tile.layout<col>>
  return
}

// -----

//===----------------------------------------------------------------------===//
// tile.copy_to_warps
//===----------------------------------------------------------------------===//

func.func @copy_to_warps_c1(%x: tensor<64xf32, #tile.layout<col>>, %s: !tile.smem<256xf32>) {
  // expected-error @+1 {{(C1) expected a vector of f32 held by every warp, found 'tensor<64xf32, #tile.layout<col>>'}}
  %c = tile.copy_to_warps %x via %s : tensor<64xf32, #tile.layout<col>>, !tile.smem<256xf32> -> !tile.smem<64xf32>
  return
}

// -----

func.func @copy_to_warps_c2(%x: tensor<64xf32, #tile.layout<warp>>, %s: !tile.smem<256xf32>) {
  // expected-error @+1 {{(C2) expected a copy of '!tile.smem<64xf32>', found '!tile.smem<32xf32>'}}
  %c = tile.copy_to_warps %x via %s : tensor<64xf32, #tile.layout<warp>>, !tile.smem<256xf32> -> !tile.smem<32xf32>
  return
}

// -----

func.func @copy_to_warps_c3(%x: tensor<64xf32, #tile.layout<warp>>, %s: !tile.smem<128xf32>) {
  // expected-error @+1 {{(C3) expected a scratch tile of '!tile.smem<256xf32>', a part a warp, or of '!tile.smem<64xf32>', one for all, found '!tile.smem<128xf32>'}}
  %c = tile.copy_to_warps %x via %s : tensor<64xf32, #tile.layout<warp>>, !tile.smem<128xf32> -> !tile.smem<64xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// tile.diagonal, tile.dot, tile.add_scaled
//===----------------------------------------------------------------------===//

func.func @diagonal_c1(%x: tensor<64x128xf32, #tile.layout<acc>>, %s: !tile.smem<64xf32>) {
  // expected-error @+1 {{(C1) expected 'tensor<64xf32, #tile.layout<warp>>' of 'tensor<64x64xf32, #tile.layout<acc>>', found 'tensor<64xf32, #tile.layout<warp>>' of 'tensor<64x128xf32, #tile.layout<acc>>'}}
  %d = tile.diagonal %x via %s barrier 1 : !tile.smem<64xf32>, tensor<64x128xf32, #tile.layout<acc>> -> tensor<64xf32, #tile.layout<warp>>
  return
}

// -----

func.func @diagonal_c2(%x: tensor<64x64xf32, #tile.layout<acc>>, %s: !tile.smem<128xf32>) {
  // expected-error @+1 {{(C2) expected a scratch tile of '!tile.smem<64xf32>', found '!tile.smem<128xf32>'}}
  %d = tile.diagonal %x via %s barrier 1 : !tile.smem<128xf32>, tensor<64x64xf32, #tile.layout<acc>> -> tensor<64xf32, #tile.layout<warp>>
  return
}

// -----

func.func @dot_c1(%a: !tile.smem<32x64xbf16>, %s: !tile.smem<4xf32>) {
  // expected-error @+1 {{(C1) expected matrices of 16 bits with a multiple of 64 rows, found '!tile.smem<32x64xbf16>'}}
  %d = tile.dot %a, %a via %s barrier 1 : !tile.smem<32x64xbf16>, !tile.smem<32x64xbf16>, !tile.smem<4xf32>
  return
}

// -----

func.func @dot_c2(%a: !tile.smem<64x64xbf16>, %s: !tile.smem<64xf32>) {
  // expected-error @+1 {{(C2) expected a scratch tile of '!tile.smem<4xf32>', found '!tile.smem<64xf32>'}}
  %d = tile.dot %a, %a via %s barrier 1 : !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>, !tile.smem<64xf32>
  return
}

// -----

func.func @dot_c3(%a: !tile.smem<64x64xbf16>, %b: !tile.smem<64x128xbf16>, %s: !tile.smem<4xf32>) {
  // expected-error @+1 {{(C3) expected matrices of one shape and element type, found '!tile.smem<64x64xbf16>' and '!tile.smem<64x128xbf16>'}}
  %d = tile.dot %a, %b via %s barrier 1 : !tile.smem<64x64xbf16>, !tile.smem<64x128xbf16>, !tile.smem<4xf32>
  return
}

// -----

func.func @add_scaled_c1(%c: tensor<64x64xf32, #tile.layout<acc>>, %s: tensor<64xf32, #tile.layout<row>>, %a: !tile.smem<64xf32>, %b: !tile.smem<64x64xbf16>) {
  // expected-error @+1 {{(C1) expected matrices}}
  %d = tile.add_scaled %c, %s, %a, %b : tensor<64x64xf32, #tile.layout<acc>>, tensor<64xf32, #tile.layout<row>>, !tile.smem<64xf32>, !tile.smem<64x64xbf16>
  return
}

// -----

func.func @add_scaled_c2(%c: tensor<64x64xf32, #tile.layout<acc>>, %s: tensor<64xf32, #tile.layout<row>>, %a: !tile.smem<64x128xbf16>, %b: !tile.smem<64x128xbf16>) {
  // expected-error @+1 {{(C2) expected [m, k] x [k, n] -> [m, n], found [64, 128] x [64, 128] -> 'tensor<64x64xf32, #tile.layout<acc>>'}}
  %d = tile.add_scaled %c, %s, %a, %b : tensor<64x64xf32, #tile.layout<acc>>, tensor<64xf32, #tile.layout<row>>, !tile.smem<64x128xbf16>, !tile.smem<64x128xbf16>
  return
}

// -----

func.func @add_scaled_c3(%c: tensor<128x64xf32, #tile.layout<acc>>, %s: tensor<128xf32, #tile.layout<row>>, %a: !tile.smem<128x64xbf16>, %b: !tile.smem<64x64xbf16>) {
  // expected-error @+1 {{(C3) expected m = 64, k a multiple of 16 and n a multiple of 32, found m = 128, k = 64, n = 64}}
  %d = tile.add_scaled %c, %s, %a, %b : tensor<128x64xf32, #tile.layout<acc>>, tensor<128xf32, #tile.layout<row>>, !tile.smem<128x64xbf16>, !tile.smem<64x64xbf16>
  return
}

// -----

func.func @add_scaled_c4(%c: tensor<64x64xf32>, %s: tensor<64xf32, #tile.layout<row>>, %a: !tile.smem<64x64xbf16>) {
  // expected-error @+1 {{(C4) expected the acc layout, found 'tensor<64x64xf32>'}}
  %d = tile.add_scaled %c, %s, %a, %a : tensor<64x64xf32>, tensor<64xf32, #tile.layout<row>>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>
  return
}

// -----

func.func @add_scaled_c5(%c: tensor<64x64xf32, #tile.layout<acc>>, %s: tensor<64xf32, #tile.layout<col>>, %a: !tile.smem<64x64xbf16>) {
  // expected-error @+1 {{(C5) expected 64 numbers along the rows, found 'tensor<64xf32, #tile.layout<col>>'}}
  %d = tile.add_scaled %c, %s, %a, %a : tensor<64x64xf32, #tile.layout<acc>>, tensor<64xf32, #tile.layout<col>>, !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>
  return
}

// -----

//===----------------------------------------------------------------------===//
// tile.erase_strips, tile.erase_join
//===----------------------------------------------------------------------===//

func.func @erase_strips_c1(%l: tensor<64x32xf32, #tile.layout<acc>>,
                           %c: tensor<64xf32, #tile.layout<warp>>, %s: !tile.smem<2624xf32>, %z: !tile.smem<64x64xbf16>) {
  // expected-error @+1 {{(C1) expected L of 64 x 64 f32 in the acc layout or in shared memory, found 'tensor<64x32xf32, #tile.layout<acc>>'}}
  %w = tile.erase_strips %l, %c via %s to %z barrier 1
      : tensor<64x32xf32, #tile.layout<acc>>, tensor<64xf32, #tile.layout<warp>>, !tile.smem<2624xf32>, !tile.smem<64x64xbf16>
  return
}

// -----

func.func @erase_strips_c2(%l: tensor<64x64xf32, #tile.layout<acc>>,
                           %c: tensor<64xf32, #tile.layout<col>>, %s: !tile.smem<2624xf32>, %z: !tile.smem<64x64xbf16>) {
  // expected-error @+1 {{(C2) expected 64 rates held by every warp or, as L, in shared memory, found 'tensor<64xf32, #tile.layout<col>>'}}
  %w = tile.erase_strips %l, %c via %s to %z barrier 1
      : tensor<64x64xf32, #tile.layout<acc>>, tensor<64xf32, #tile.layout<col>>, !tile.smem<2624xf32>, !tile.smem<64x64xbf16>
  return
}

// -----

func.func @erase_strips_c2(%l: tensor<64x64xf32, #tile.layout<acc>>,
                           %c: !tile.smem<64xf32>, %s: !tile.smem<2624xf32>, %z: !tile.smem<64x64xbf16>) {
  // expected-error @+1 {{(C2) expected 64 rates held by every warp or, as L, in shared memory, found '!tile.smem<64xf32>'}}
  %w = tile.erase_strips %l, %c via %s to %z barrier 1
      : tensor<64x64xf32, #tile.layout<acc>>, !tile.smem<64xf32>, !tile.smem<2624xf32>, !tile.smem<64x64xbf16>
  return
}

// -----

func.func @erase_strips_c3(%l: tensor<64x64xf32, #tile.layout<acc>>,
                           %c: tensor<64xf32, #tile.layout<warp>>, %s: !tile.smem<64x64xf32>, %z: !tile.smem<64x64xbf16>) {
  // expected-error @+1 {{(C3) expected a scratch tile of '!tile.smem<2624xf32>', found '!tile.smem<64x64xf32>'}}
  %w = tile.erase_strips %l, %c via %s to %z barrier 1
      : tensor<64x64xf32, #tile.layout<acc>>, tensor<64xf32, #tile.layout<warp>>, !tile.smem<64x64xf32>, !tile.smem<64x64xbf16>
  return
}

// -----

func.func @erase_strips_c4(%l: tensor<64x64xf32, #tile.layout<acc>>,
                           %c: tensor<64xf32, #tile.layout<warp>>, %s: !tile.smem<2624xf32>, %z: !tile.smem<64x64xf32>) {
  // expected-error @+1 {{(C4) expected Z of 64 x 64, or in two parts 64 x 128, bf16 or f16, found '!tile.smem<64x64xf32>'}}
  %w = tile.erase_strips %l, %c via %s to %z barrier 1
      : tensor<64x64xf32, #tile.layout<acc>>, tensor<64xf32, #tile.layout<warp>>, !tile.smem<2624xf32>, !tile.smem<64x64xf32>
  return
}

// -----

func.func @erase_strips_c6(%l: !tile.smem<64x64xf32>,
                           %c: tensor<64xf32, #tile.layout<warp>>, %s: !tile.smem<2624xf32>, %z: !tile.smem<64x64xbf16>) {
  // expected-error @+1 {{(C6) expected rates in shared memory to scale the rows of other warps with, found 'tensor<64xf32, #tile.layout<warp>>'}}
  %w = tile.erase_strips %l, %c via %s to %z barrier 1 scaled
      : !tile.smem<64x64xf32>, tensor<64xf32, #tile.layout<warp>>, !tile.smem<2624xf32>, !tile.smem<64x64xbf16>
  return
}

// -----

func.func @erase_join_c5(%s: !tile.smem<2624xf32>, %z: !tile.smem<64x64xbf16>) {
  // expected-error @+1 {{(C5) expected the result of the tile.erase_strips that has the same scratch tile}}
  %w = tile.erase_join %z via %s barrier 1 : !tile.smem<64x64xbf16>, !tile.smem<2624xf32>
  return
}

// -----

func.func @erase_join_c3(%s: !tile.smem<64xf32>, %z: !tile.smem<64x64xbf16>) {
  // expected-error @+1 {{(C3) expected a scratch tile of '!tile.smem<2624xf32>', found '!tile.smem<64xf32>'}}
  %w = tile.erase_join %z via %s barrier 1 : !tile.smem<64x64xbf16>, !tile.smem<64xf32>
  return
}

// -----

func.func @erase_join_c4(%s: !tile.smem<2624xf32>, %z: !tile.smem<64x64xf32>) {
  // expected-error @+1 {{(C4) expected Z of 64 x 64, or in two parts 64 x 128, bf16 or f16, found '!tile.smem<64x64xf32>'}}
  %w = tile.erase_join %z via %s barrier 1 : !tile.smem<64x64xf32>, !tile.smem<2624xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// tile.erase_apply
//===----------------------------------------------------------------------===//

func.func @erase_apply_c1(%w: tensor<64x32xf32, #tile.layout<acc>>, %z: !tile.smem<64x64xbf16>, %c: tensor<64xf32, #tile.layout<col>>) {
  // expected-error @+1 {{(C1) expected W of 64 x 64 f32 in the acc layout, found 'tensor<64x32xf32, #tile.layout<acc>>'}}
  %r = tile.erase_apply %w, %z, %c : tensor<64x32xf32, #tile.layout<acc>>, !tile.smem<64x64xbf16>, tensor<64xf32, #tile.layout<col>>
  return
}

// -----

func.func @erase_apply_c2(%w: tensor<64x64xf32, #tile.layout<acc>>, %z: !tile.smem<64x64xf32>, %c: tensor<64xf32, #tile.layout<col>>) {
  // expected-error @+1 {{(C2) expected Z of 64 x 64, or in two parts 64 x 128, bf16 or f16, found '!tile.smem<64x64xf32>'}}
  %r = tile.erase_apply %w, %z, %c : tensor<64x64xf32, #tile.layout<acc>>, !tile.smem<64x64xf32>, tensor<64xf32, #tile.layout<col>>
  return
}

// -----

func.func @erase_apply_c3(%w: tensor<64x64xf32, #tile.layout<acc>>, %z: !tile.smem<64x64xbf16>, %c: tensor<64xf32, #tile.layout<row>>) {
  // expected-error @+1 {{(C3) expected 64 rates along the columns, found 'tensor<64xf32, #tile.layout<row>>'}}
  %r = tile.erase_apply %w, %z, %c : tensor<64x64xf32, #tile.layout<acc>>, !tile.smem<64x64xbf16>, tensor<64xf32, #tile.layout<row>>
  return
}

// -----

func.func @half_columns_c1(%x: tensor<64x64xf32, #tile.layout<acc>>) {
  // expected-error @+1 {{(C1) expected a tile in the acc layout and halves of its columns, multiples of 8, or both spread alike, with whole rows, found 'tensor<64x64xf32, #tile.layout<acc>>' and 'tensor<64x40xf32, #tile.layout<acc>>'}}
  %a = tile.half_columns %x : tensor<64x64xf32, #tile.layout<acc>> -> tensor<64x40xf32, #tile.layout<acc>>
  return
}

// -----

func.func @join_columns_c1(%x: tensor<64x64xf32, #tile.layout<acc>>) {
  // expected-error @+1 {{(C1) expected a tile in the acc layout and halves of its columns, multiples of 8, or both spread alike, with whole rows, found 'tensor<64x64xf32, #tile.layout<acc>>' and 'tensor<64x64xf32, #tile.layout<acc>>'}}
  %a = tile.join_columns %x, %x : tensor<64x64xf32, #tile.layout<acc>> -> tensor<64x64xf32, #tile.layout<acc>>
  return
}

// -----

func.func @scan_token_columns_c1(%x: !tile.global<tensor<?x?x4x64xf32>>, %t: !tile.global<tensor<?x4x64xf32>>, %s: !tile.smem<1024xf32>, %i: index) {
  // expected-error @+1 {{(C1) expected two dense tensors [batch, tokens, heads, channels] of f32, found '!tile.global<tensor<?x?x4x64xf32>>' and '!tile.global<tensor<?x?x4x64xf32>>'}}
  tile.scan_token_columns %x to %x, %t block %i rows %i, %i, %i, %i, %i sequence %i of %i runs 32 via %s
      : !tile.global<tensor<?x?x4x64xf32>>, !tile.global<tensor<?x?x4x64xf32>>, !tile.global<tensor<?x4x64xf32>>, !tile.smem<1024xf32>
  return
}

// -----

func.func @scan_token_columns_c2(%x: !tile.global<tensor<?x?x4x64xf32>, dense = true>, %t: !tile.global<tensor<?x4x32xf32>>, %s: !tile.smem<1024xf32>, %i: index) {
  // expected-error @+1 {{(C2) expected a row of heads and channels a sequence, found '!tile.global<tensor<?x4x32xf32>>'}}
  tile.scan_token_columns %x to %x, %t block %i rows %i, %i, %i, %i, %i sequence %i of %i runs 32 via %s
      : !tile.global<tensor<?x?x4x64xf32>, dense = true>, !tile.global<tensor<?x?x4x64xf32>, dense = true>, !tile.global<tensor<?x4x32xf32>>, !tile.smem<1024xf32>
  return
}

// -----

func.func @scan_token_columns_c3(%x: !tile.global<tensor<?x?x4x64xf32>, dense = true>, %t: !tile.global<tensor<?x4x64xf32>>, %s: !tile.smem<512xf32>, %i: index) {
  // expected-error @+1 {{(C3) expected scratch for a number of each of the 1024 threads that a block may have, found '!tile.smem<512xf32>'}}
  tile.scan_token_columns %x to %x, %t block %i rows %i, %i, %i, %i, %i sequence %i of %i runs 32 via %s
      : !tile.global<tensor<?x?x4x64xf32>, dense = true>, !tile.global<tensor<?x?x4x64xf32>, dense = true>, !tile.global<tensor<?x4x64xf32>>, !tile.smem<512xf32>
  return
}

// -----

func.func @scan_token_columns_c4(%x: !tile.global<tensor<?x?x4x64xf32>, dense = true>, %t: !tile.global<tensor<?x4x64xf32>>, %k: !tile.global<tensor<?xi32>>, %s: !tile.smem<1024xf32>, %i: index) {
  // expected-error @+1 {{(C4) expected runs of a row or more, an init where there are slots, and slots where rows are kept every few runs; found runs of 32, kept every 48}}
  tile.scan_token_columns %x to %x, %t from %t block %i rows %i, %i, %i, %i, %i sequence %i of %i slots %i, %i first 0 keep %k : !tile.global<tensor<?xi32>> from %i every 48 runs 32 via %s
      : !tile.global<tensor<?x?x4x64xf32>, dense = true>, !tile.global<tensor<?x?x4x64xf32>, dense = true>, !tile.global<tensor<?x4x64xf32>>, !tile.smem<1024xf32>, !tile.global<tensor<?x4x64xf32>>
  return
}

// -----

func.func @last_c1(%v: tensor<64xf32, #tile.layout<col>>) {
  // expected-error @+1 {{(C1) expected a warp-held vector of a multiple of 32 elements, found 'tensor<64xf32, #tile.layout<col>>'}}
  %s = tile.last %v : tensor<64xf32, #tile.layout<col>>
  return
}

// -----

func.func @triangle_c1(%m: tensor<64x128xf32, #tile.layout<acc>>, %h: tensor<64xf32, #tile.layout<row>>, %p: tensor<64xf32, #tile.layout<col>>) {
  // expected-error @+1 {{(C1) expected 64 x 64 f32 in the acc layout, found 'tensor<64x128xf32, #tile.layout<acc>>'}}
  %r = tile.triangle %m decay %h, %p : tensor<64x128xf32, #tile.layout<acc>>, tensor<64xf32, #tile.layout<row>>, tensor<64xf32, #tile.layout<col>>
  return
}

// -----

func.func @triangle_c2(%m: tensor<64x64xf32, #tile.layout<acc>>, %h: tensor<64xf32, #tile.layout<row>>) {
  // expected-error @+1 {{(C2) expected 64 sums along the rows and 64 along the columns, found 'tensor<64xf32, #tile.layout<row>>' and 'tensor<64xf32, #tile.layout<row>>'}}
  %r = tile.triangle %m decay %h, %h : tensor<64x64xf32, #tile.layout<acc>>, tensor<64xf32, #tile.layout<row>>, tensor<64xf32, #tile.layout<row>>
  return
}

// -----

func.func @sum_groups_c1(%v: tensor<64xf32, #tile.layout<warp>>) {
  // expected-error @+1 {{(C1) expected a warp-held vector, and one with an element for each 1 of it, found 'tensor<64xf32, #tile.layout<warp>>' and 'tensor<32xf32, #tile.layout<warp>>'}}
  %s = tile.sum_groups %v by 1 : tensor<64xf32, #tile.layout<warp>> -> tensor<32xf32, #tile.layout<warp>>
  return
}

// -----

func.func @hold_c1(%x: tensor<64x64xbf16, #tile.layout<acc>>) {
  // expected-error @+1 {{(C1) expected a tile of f32 in the acc layout, found 'tensor<64x64xbf16, #tile.layout<acc>>'}}
  %y = tile.hold %x : tensor<64x64xbf16, #tile.layout<acc>>
  return
}

// -----

func.func @reduce_c1(%x: tensor<64x64xbf16, #tile.layout<acc>>, %s: !tile.smem<64xf32>) {
  // expected-error @+1 {{(C1) expected blocks of one f32 type in the acc layout, found 'tensor<64x64xbf16, #tile.layout<acc>>'}}
  %y = tile.reduce %x dim 1 via %s barrier 1 : !tile.smem<64xf32>, tensor<64x64xbf16, #tile.layout<acc>> -> tensor<64xf32, #tile.layout<warp>>
  return
}

// -----

func.func @reduce_c2(%x: tensor<64x64xf32, #tile.layout<acc>>, %s: !tile.smem<64xf32>) {
  // expected-error @+1 {{(C2) expected dimension 0 or 1, found 2}}
  %y = tile.reduce %x dim 2 via %s barrier 1 : !tile.smem<64xf32>, tensor<64x64xf32, #tile.layout<acc>> -> tensor<64xf32, #tile.layout<warp>>
  return
}

// -----

func.func @reduce_c3(%x: tensor<64x128xf32, #tile.layout<acc>>, %s: !tile.smem<512xf32>) {
  // expected-error @+1 {{(C3) expected 128 sums held by every warp, found 'tensor<64xf32, #tile.layout<warp>>'}}
  %y = tile.reduce %x dim 0 via %s barrier 1 : !tile.smem<512xf32>, tensor<64x128xf32, #tile.layout<acc>> -> tensor<64xf32, #tile.layout<warp>>
  return
}

// -----

func.func @reduce_c4(%x: tensor<64x128xf32, #tile.layout<acc>>, %s: !tile.smem<128xf32>) {
  // expected-error @+1 {{(C4) expected a scratch tile of 512 f32, found '!tile.smem<128xf32>'}}
  %y = tile.reduce %x dim 0 via %s barrier 1 : !tile.smem<128xf32>, tensor<64x128xf32, #tile.layout<acc>> -> tensor<128xf32, #tile.layout<warp>>
  return
}

// -----

func.func @scan_rows_c1(%x: !tile.smem<64x64xf32>, %s: !tile.smem<64x128xf32>) {
  // expected-error @+1 {{(C1) expected 64 rows of f32 in the acc layout, and as many in it or in shared memory, found 'tensor<64x128xf32, #tile.layout<acc>>' of '!tile.smem<64x64xf32>'}}
  %y = tile.scan_rows %x via %s barrier 1 : !tile.smem<64x64xf32>, !tile.smem<64x128xf32> -> tensor<64x128xf32, #tile.layout<acc>>
  return
}

// -----

func.func @scan_rows_c2(%x: !tile.smem<64x128xf32>, %s: !tile.smem<64xf32>) {
  // expected-error @+1 {{(C2) expected a scratch tile of '!tile.smem<64x128xf32>', found '!tile.smem<64xf32>'}}
  %y = tile.scan_rows %x via %s barrier 1 : !tile.smem<64x128xf32>, !tile.smem<64xf32> -> tensor<64x128xf32, #tile.layout<acc>>
  return
}

// -----

func.func @scan_rows_c3(%x: !tile.smem<64x128xf32>, %s: !tile.smem<64x128xf32>) {
  // expected-error @+1 {{(C3) expected a half of whole blocks of the 64 rows, and a forward scan, found half 24}}
  %y = tile.scan_rows %x half 24 via %s barrier 1 : !tile.smem<64x128xf32>, !tile.smem<64x128xf32> -> tensor<64x128xf32, #tile.layout<acc>>
  return
}

// -----

func.func @scan_rows_c4(%x: !tile.smem<64x128xf32>, %s: !tile.smem<64x128xf32>) {
  // expected-error @+1 {{(C4) expected a half beside signed, found none}}
  %y = tile.scan_rows %x signed via %s barrier 1 : !tile.smem<64x128xf32>, !tile.smem<64x128xf32> -> tensor<64x128xf32, #tile.layout<acc>>
  return
}

// -----

//===----------------------------------------------------------------------===//
// tile.launch
//===----------------------------------------------------------------------===//

func.func @launch_c1(%x: tensor<?x?x1x64xbf16>) {
  // expected-error @+1 {{(C1) expected a tile.kernel of this name, found none: @nobody}}
  tile.launch @nobody chunk 64 ins(%x : tensor<?x?x1x64xbf16>) bindings [#delta.binding<[seq, time, head, _]>], [], []
  return
}

// -----

tile.kernel @two(%x: !tile.global<tensor<?x?x1x64xbf16>>, %y: !tile.global<tensor<?x?x1x64xbf16>>,
                 %cu: !tile.cu_seqlens, %T: index, %N: index)
    grid 1 * slots warps 4 min_blocks 1 operands ["x", "y", "cu_seqlens", "tokens", "sequences"] {
}
func.func @launch_c2(%x: tensor<?x?x1x64xbf16>) {
  // expected-error @+1 {{(C2) expected the kernel to take the 1 tensors, cu_seqlens, tokens and sequences (and slot_tokens, the part and the segment, if it names them), found 5 arguments}}
  tile.launch @two chunk 64 ins(%x : tensor<?x?x1x64xbf16>) bindings [#delta.binding<[seq, time, head, _]>], [], []
  return
}

// -----

// A final that nobody reads is no tensor of the kernel.
tile.kernel @narrow(%x: !tile.global<tensor<?x?x1x64xbf16>>, %s0: !tile.global<tensor<?x1x64x128xf32>, optional = true>,
                    %cu: !tile.cu_seqlens, %T: index, %N: index)
    grid 1 * sequences warps 4 min_blocks 1 operands ["x", "s0", "cu_seqlens", "tokens", "sequences"] {
}
func.func @launch_c3(%x: tensor<?x?x1x64xbf16>, %s0: tensor<?x1x64x64xf32>) {
  // expected-error @+1 {{(C3) expected argument #1 of the kernel to be a 'tensor<?x1x64x64xf32>', found '!tile.global<tensor<?x1x64x128xf32>, optional = true>'}}
  %sT = tile.launch @narrow chunk 64 ins(%x : tensor<?x?x1x64xbf16>) inits(%s0 : tensor<?x1x64x64xf32>)
      bindings [#delta.binding<[seq, time, head, _]>], [#delta.binding<[seq, head, _, _]>], [] finals(tensor<?x1x64x64xf32>)
  return
}

// -----

//===----------------------------------------------------------------------===//
// Spread tiles
//===----------------------------------------------------------------------===//

func.func @stochastic_trunc_c1(%x: tensor<64x16xf32, #tile.layout<acc>>, %i: index) {
  // expected-error @+1 {{(C1) expected a tile of f32, and the same of bf16, found 'tensor<64x16xf32, #tile.layout<acc>>' and 'tensor<64x16xf16, #tile.layout<acc>>'}}
  %y = tile.stochastic_trunc %x seed %i pair %i steps [16, 1] : tensor<64x16xf32, #tile.layout<acc>> -> tensor<64x16xf16, #tile.layout<acc>>
  return
}

// -----

func.func @stochastic_trunc_c2(%x: tensor<64x16xf32, #tile.layout<acc>>, %i: index) {
  // expected-error @+1 {{(C2) expected a step for each of the tile's 2 dimensions, found [1]}}
  %y = tile.stochastic_trunc %x seed %i pair %i steps [1] : tensor<64x16xf32, #tile.layout<acc>> -> tensor<64x16xbf16, #tile.layout<acc>>
  return
}

// -----

func.func @load_index_c1(%x: !tile.global<tensor<?xf32>>, %i: index) {
  // expected-error @+1 {{(C1) expected a vector of integers, found 'tensor<?xf32>'}}
  %n = tile.load_index %x[%i] else %i : !tile.global<tensor<?xf32>>
  return
}

// -----

func.func @load_spread_c1(%x: !tile.global<tensor<?x128xf32>, contiguous = true>, %i: index) {
  // expected-error @+1 {{(C1) expected a tile of static shape with a #tile.spread of as many dimensions}}
  %t = tile.load_spread %x[%i, %i] dims [1] : !tile.global<tensor<?x128xf32>, contiguous = true> -> tensor<16xf32, #tile.spread<[piece 4 lanes 8 step 1 warps 1]>>
  return
}

// -----

func.func @load_spread_c2(%x: !tile.global<tensor<?x128xf32>, contiguous = true>, %i: index) {
  // expected-error @+1 {{(C2) expected a coordinate for each of the 2 dimensions, found 1}}
  %t = tile.load_spread %x[%i] dims [1] : !tile.global<tensor<?x128xf32>, contiguous = true> -> tensor<128xf32, #tile.spread<[piece 4 lanes 8 step 1 warps 1]>>
  return
}

// -----

func.func @load_spread_c3(%x: !tile.global<tensor<?x128xf32>, contiguous = true>, %i: index) {
  // expected-error @+1 {{(C3) expected a dimension of the tensor for each of the tile's 1, found [2]}}
  %t = tile.load_spread %x[%i, %i] dims [2] : !tile.global<tensor<?x128xf32>, contiguous = true> -> tensor<128xf32, #tile.spread<[piece 4 lanes 8 step 1 warps 1]>>
  return
}

// -----

func.func @load_spread_c4(%x: !tile.global<tensor<?x128xbf16>, contiguous = true>, %i: index) {
  // expected-error @+1 {{(C4) expected elements of the tensor's type 'bf16', found 'tensor<128xf32,}}
  %t = tile.load_spread %x[%i, %i] dims [1] : !tile.global<tensor<?x128xbf16>, contiguous = true> -> tensor<128xf32, #tile.spread<[piece 4 lanes 8 step 1 warps 1]>>
  return
}

// -----

func.func @load_spread_c5(%x: !tile.global<tensor<?x128xf32>>, %i: index) {
  // expected-error @+1 {{(C5) expected pieces of more than one element along the last dimension of a contiguous tensor alone}}
  %t = tile.load_spread %x[%i, %i] dims [1] : !tile.global<tensor<?x128xf32>> -> tensor<128xf32, #tile.spread<[piece 4 lanes 8 step 1 warps 1]>>
  return
}

// -----

func.func @store_spread_c1(%x: !tile.global<tensor<?x128xf32>>, %i: index, %t: tensor<128xf32, #tile.layout<warp>>) {
  // expected-error @+1 {{(C1) expected a tile of static shape with a #tile.spread of as many dimensions}}
  tile.store_spread %t to %x[%i, %i] dims [1] : tensor<128xf32, #tile.layout<warp>>, !tile.global<tensor<?x128xf32>>
  return
}

// -----

func.func @store_spread_c2(%x: !tile.global<tensor<?x128xf32>>, %i: index, %t: tensor<128xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4]>>) {
  // expected-error @+1 {{(C2) expected a coordinate for each of the 2 dimensions, found 3}}
  tile.store_spread %t to %x[%i, %i, %i] dims [1] : tensor<128xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4]>>, !tile.global<tensor<?x128xf32>>
  return
}

// -----

func.func @store_spread_c3(%x: !tile.global<tensor<?x128xf32>>, %i: index, %t: tensor<128xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4]>>) {
  // expected-error @+1 {{(C3) expected a dimension of the tensor for each of the tile's 1, found [0, 1]}}
  tile.store_spread %t to %x[%i, %i] dims [0, 1] : tensor<128xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4]>>, !tile.global<tensor<?x128xf32>>
  return
}

// -----

func.func @store_spread_c4(%x: !tile.global<tensor<?x128xbf16>>, %i: index, %t: tensor<128xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4]>>) {
  // expected-error @+1 {{(C4) expected elements of the tensor's type 'bf16', found 'tensor<128xf32,}}
  tile.store_spread %t to %x[%i, %i] dims [1] : tensor<128xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4]>>, !tile.global<tensor<?x128xbf16>>
  return
}

// -----

func.func @store_spread_c5(%x: !tile.global<tensor<128x?xf32>, contiguous = true>, %i: index, %t: tensor<128xf32, #tile.spread<[piece 4 lanes 8 step 1 warps 1]>>) {
  // expected-error @+1 {{(C5) expected pieces of more than one element along the last dimension of a contiguous tensor alone}}
  tile.store_spread %t to %x[%i, %i] dims [0] : tensor<128xf32, #tile.spread<[piece 4 lanes 8 step 1 warps 1]>>, !tile.global<tensor<128x?xf32>, contiguous = true>
  return
}

// -----

func.func @contract_c1(%x: tensor<64xf32>, %y: tensor<f32, #tile.spread<[]>>) {
  // expected-error @+1 {{(C1) expected a tile of static shape with a #tile.spread of as many dimensions}}
  %r = tile.contract %x, %x into %y maps [affine_map<(k) -> (k)>, affine_map<(k) -> (k)>, affine_map<(k) -> ()>]
      : tensor<64xf32>, tensor<64xf32>, tensor<f32, #tile.spread<[]>>
  return
}

// -----

func.func @contract_c2(%x: tensor<64xf32, #tile.spread<[_]>>, %y: tensor<f32, #tile.spread<[]>>) {
  // expected-error @+1 {{(C2) expected a map of the loops to the dimensions of A, B and C each}}
  %r = tile.contract %x, %x into %y maps [affine_map<(k) -> (k)>, affine_map<(k) -> (k)>, affine_map<(k) -> (k)>]
      : tensor<64xf32, #tile.spread<[_]>>, tensor<64xf32, #tile.spread<[_]>>, tensor<f32, #tile.spread<[]>>
  return
}

// -----

func.func @contract_c3(%x: tensor<64xf32, #tile.spread<[_]>>, %z: tensor<64xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4]>>, %y: tensor<f32, #tile.spread<[]>>) {
  // expected-error @+1 {{(C3) expected the dimensions of one loop to be equally long and spread alike, found dimension 0 of 'tensor<64xf32, #tile.spread<[_]>>' for loop 0}}
  %r = tile.contract %x, %z into %y maps [affine_map<(k) -> (k)>, affine_map<(k) -> (k)>, affine_map<(k) -> ()>]
      : tensor<64xf32, #tile.spread<[_]>>, tensor<64xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4]>>, tensor<f32, #tile.spread<[]>>
  return
}

// -----

func.func @contract_c4(%x: tensor<64xbf16, #tile.spread<[_]>>, %y: tensor<bf16, #tile.spread<[]>>) {
  // expected-error @+1 {{(C4) expected tiles of f32, found 'tensor<64xbf16, #tile.spread<[_]>>'}}
  %r = tile.contract %x, %x into %y maps [affine_map<(k) -> (k)>, affine_map<(k) -> (k)>, affine_map<(k) -> ()>]
      : tensor<64xbf16, #tile.spread<[_]>>, tensor<64xbf16, #tile.spread<[_]>>, tensor<bf16, #tile.spread<[]>>
  return
}

// -----

func.func @contract_c5(%x: tensor<64xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4]>>, %y: tensor<f32, #tile.spread<[]>>) {
  // expected-error @+1 {{(C5) expected what is summed over to lie within a warp, or scratch of a number of f32 for each of the warps and elements of D, found 4 warps, 1 elements and no scratch}}
  %r = tile.contract %x, %x into %y maps [affine_map<(k) -> (k)>, affine_map<(k) -> (k)>, affine_map<(k) -> ()>]
      : tensor<64xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4]>>, tensor<64xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4]>>, tensor<f32, #tile.spread<[]>>
  return
}

// -----

func.func @contract_c5_scratch(%x: tensor<64xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4]>>, %y: tensor<f32, #tile.spread<[]>>, %s: !tile.smem<8xf32>) {
  // expected-error @+1 {{found 4 warps, 1 elements and scratch}}
  %r = tile.contract %x, %x into %y maps [affine_map<(k) -> (k)>, affine_map<(k) -> (k)>, affine_map<(k) -> ()>] through %s : !tile.smem<8xf32>,
      : tensor<64xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4]>>, tensor<64xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4]>>, tensor<f32, #tile.spread<[]>>
  return
}

// -----

tile.kernel @contract_c6() grid 1 * sequences warps 8 min_blocks 1 operands [] {
  %s = tile.alloc : !tile.smem<4xf32>
  %x = arith.constant dense<1.0> : tensor<64xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4]>>
  %y = arith.constant dense<0.0> : tensor<f32, #tile.spread<[]>>
  // expected-error @+1 {{(C6) expected all warps of the kernel to share what is summed over, and each thread to have all of D, found 4 warps and 'tensor<f32, #tile.spread<[]>>'}}
  %r = tile.contract %x, %x into %y maps [affine_map<(k) -> (k)>, affine_map<(k) -> (k)>, affine_map<(k) -> ()>] through %s : !tile.smem<4xf32>,
      : tensor<64xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4]>>, tensor<64xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4]>>, tensor<f32, #tile.spread<[]>>
}

// -----

tile.kernel @contract_c7() grid 2 * sequences warps 4 min_blocks 1 operands [] {
  %s = tile.alloc : !tile.smem<8xf32>
  %x = arith.constant dense<1.0> : tensor<64xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4]>>
  %y = arith.constant dense<0.0> : tensor<f32, #tile.spread<[]>>
  // expected-error @+1 {{(C7) expected blocks that sum together to divide a cluster of the kernel, found 2}}
  %r = tile.contract %x, %x into %y maps [affine_map<(k) -> (k)>, affine_map<(k) -> (k)>, affine_map<(k) -> ()>] through %s : !tile.smem<8xf32>, {blocks = 2 : i64}
      : tensor<64xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4]>>, tensor<64xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4]>>, tensor<f32, #tile.spread<[]>>
}

// -----

func.func @rearrange_c1(%x: tensor<64xf32>) {
  // expected-error @+1 {{(C1) expected a tile of static shape with a #tile.spread of as many dimensions}}
  %r = tile.rearrange %x from [0] : tensor<64xf32> -> tensor<64xf32>
  return
}

// -----

func.func @rearrange_c2(%x: tensor<64xf32, #tile.spread<[_]>>) {
  // expected-error @+1 {{(C2) expected a dimension of the source, or -1, for each of the result's 2 and one element type}}
  %r = tile.rearrange %x from [0] : tensor<64xf32, #tile.spread<[_]>> -> tensor<64x2xf32, #tile.spread<[_, _]>>
  return
}

// -----

func.func @rearrange_c3(%x: tensor<64xf32, #tile.spread<[_]>>) {
  // expected-error @+1 {{(C3) expected dimension 0 to be one of the source that no other is, as long and spread alike, found dimension 0 of}}
  %r = tile.rearrange %x from [0] : tensor<64xf32, #tile.spread<[_]>> -> tensor<64xf32, #tile.spread<[piece 1 lanes 4 step 8 warps 4]>>
  return
}

// -----

func.func @rearrange_c4(%x: tensor<64xf32, #tile.spread<[_]>>) {
  // expected-error @+1 {{(C4) expected what is dropped to have one element, found dimension 0 of 'tensor<64xf32, #tile.spread<[_]>>'}}
  %r = tile.rearrange %x from [] : tensor<64xf32, #tile.spread<[_]>> -> tensor<f32, #tile.spread<[]>>
  return
}

// -----

func.func @solve_rows_c1(%l: tensor<2x2xf32>, %c: tensor<2xf32>, %w: tensor<2x64xf32>) {
  // expected-error @+1 {{(C1) expected a tile of static shape with a #tile.spread of as many dimensions}}
  %u = tile.solve_rows %l, %c, %w : tensor<2x2xf32>, tensor<2xf32>, tensor<2x64xf32>
  return
}

// -----

func.func @solve_rows_c2(%l: tensor<2x2xf32, #tile.spread<[_, _]>>, %c: tensor<3xf32, #tile.spread<[_]>>, %w: tensor<2x64xf32, #tile.spread<[_, _]>>) {
  // expected-error @+1 {{(C2) expected L of n x n, n rates and W of n rows, the rows whole in every thread}}
  %u = tile.solve_rows %l, %c, %w : tensor<2x2xf32, #tile.spread<[_, _]>>, tensor<3xf32, #tile.spread<[_]>>, tensor<2x64xf32, #tile.spread<[_, _]>>
  return
}

// -----

func.func @conv_row_c1(%x: tensor<1x64xf32>, %w: tensor<3x64xf32>, %f: tensor<64x4xf32>) {
  // expected-error @+1 {{(C1) expected a tile of static shape with a #tile.spread of as many dimensions}}
  %y, %next = tile.conv_row %x behind %w filter %f : tensor<1x64xf32>, tensor<3x64xf32>, tensor<64x4xf32>
  return
}

// -----

func.func @conv_row_c2(%x: tensor<1x64xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 1]>>, %w: tensor<3x64xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 1]>>,
                       %f: tensor<64x4xf32, #tile.spread<[piece 1 lanes 32 step 1 warps 2, _]>>) {
  // expected-error @+1 {{(C2) expected one row of d channels, a window of w - 1 rows and a filter of d x w, channels spread alike and all else whole in every thread}}
  %y, %next = tile.conv_row %x behind %w filter %f : tensor<1x64xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 1]>>,
      tensor<3x64xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 1]>>, tensor<64x4xf32, #tile.spread<[piece 1 lanes 32 step 1 warps 2, _]>>
  return
}

// -----

func.func @put_rows_c1(%x: tensor<1x64xf32>, %n: index, %s: !tile.smem<2x64xf32>) {
  // expected-error @+1 {{(C1) expected a tile of static shape with a #tile.spread of as many dimensions}}
  tile.put_rows %x at %n in %s : !tile.smem<2x64xf32>, tensor<1x64xf32>
  return
}

// -----

func.func @put_rows_c2(%x: tensor<1x64xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 2]>>, %y: tensor<1xf32, #tile.spread<[_]>>, %n: index,
                       %s: !tile.smem<2x65xf32>) {
  // expected-error @+1 {{(C2) expected tiles of f32, and a matrix of f32 whose rows hold all of them, each in a multiple of 4 elements: 68, found}}
  tile.put_rows %x, %y at %n in %s : !tile.smem<2x65xf32>, tensor<1x64xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 2]>>, tensor<1xf32, #tile.spread<[_]>>
  return
}

// -----

func.func @put_rows_c3(%x: tensor<1x64xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 2]>>, %n: index, %s: !tile.smem<2x64xf32>) {
  // expected-error @+1 {{(C3) expected tiles that one warp has all of, since it puts them, found}}
  tile.put_rows %x at %n in %s of_warp : !tile.smem<2x64xf32>, tensor<1x64xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 2]>>
  return
}

// -----

func.func @get_rows_c1(%n: index, %s: !tile.smem<2x64xf32>) {
  // expected-error @+1 {{(C1) expected a tile of static shape with a #tile.spread of as many dimensions}}
  %x = tile.get_rows at %n in %s : !tile.smem<2x64xf32> -> tensor<1x64xf32>
  return
}

// -----

func.func @get_rows_c2(%n: index, %s: !tile.smem<128xf32>) {
  // expected-error @+1 {{(C2) expected tiles of f32, and a matrix of f32 whose rows hold all of them, each in a multiple of 4 elements: 64, found}}
  %x = tile.get_rows at %n in %s : !tile.smem<128xf32> -> tensor<1x64xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 2]>>
  return
}

// -----

tile.kernel @cluster_arrive_c1() grid 2 * sequences warps 4 min_blocks 1 operands [] {
  // expected-error @+1 {{(C1) expected a kernel whose blocks form clusters, found one of single blocks, which wait for no other}}
  tile.cluster_arrive
}

// -----

tile.kernel @cluster_wait_c1() grid 2 * sequences warps 4 min_blocks 1 operands [] {
  // expected-error @+1 {{(C1) expected a kernel whose blocks form clusters, found one of single blocks, which wait for no other}}
  tile.cluster_wait
}

// -----

func.func @keep_c1(%x: tensor<1x64xf32>, %s: !tile.smem<128xf32>) {
  // expected-error @+1 {{(C1) expected a tile of static shape with a #tile.spread of as many dimensions}}
  tile.keep %x in %s : tensor<1x64xf32>, !tile.smem<128xf32>
  return
}

// -----

// Warps that hold the same keep it each for itself.
tile.kernel @keep_c2() grid 1 * sequences warps 4 min_blocks 1 operands [] {
  %s = tile.alloc : !tile.smem<64xf32>
  %x = arith.constant dense<1.0> : tensor<1x64xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 2]>>
  // expected-error @+1 {{(C2) expected a tile of f32, and a vector of f32 with an entry for each of the 1 elements of each of the kernel's 128 threads, found}}
  tile.keep %x in %s : tensor<1x64xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 2]>>, !tile.smem<64xf32>
}

// -----

func.func @kept_c1(%s: !tile.smem<128xf32>) {
  // expected-error @+1 {{(C1) expected a tile of static shape with a #tile.spread of as many dimensions}}
  %x = tile.kept %s : !tile.smem<128xf32> -> tensor<1x64xf32>
  return
}

// -----

tile.kernel @kept_c2() grid 1 * sequences warps 4 min_blocks 1 operands [] {
  %s = tile.alloc : !tile.smem<64xf32>
  // expected-error @+1 {{(C2) expected a tile of f32, and a vector of f32 with an entry for each of the 1 elements of each of the kernel's 128 threads, found}}
  %x = tile.kept %s : !tile.smem<64xf32> -> tensor<1x64xf32, #tile.spread<[_, piece 1 lanes 32 step 1 warps 2]>>
}

// -----

func.func @decayed_products_c1(%g: !tile.global<tensor<?x64xf32>, contiguous = true>, %x: !tile.global<tensor<?x64xbf16>, contiguous = true>, %s: !tile.smem<9216xf32>, %i: index) {
  // expected-error @+1 {{(C1) expected a coordinate for each dimension of the tensors, 6 in all, found 3}}
  %p = tile.decayed_products %g of (%x) to (%x) at [%i, %i, %i] dim 0 valid %i via %s barrier 1 left [0] right 0 diagonal [true] source [0] to_end [true] : !tile.global<tensor<?x64xf32>, contiguous = true>, (!tile.global<tensor<?x64xbf16>, contiguous = true>), (!tile.global<tensor<?x64xbf16>, contiguous = true>), !tile.smem<9216xf32> -> tensor<64x64xf32, #tile.layout<acc>>
  return
}

// -----

func.func @decayed_products_c2(%g: !tile.global<tensor<?x64xf32>, contiguous = true>, %x: !tile.global<tensor<?x64xbf16>>, %s: !tile.smem<9216xf32>, %i: index) {
  // expected-error @+1 {{(C2) expected gates of f32 and rows of bf16 along dimension 0, without gaps, of the same multiple of 64 channels}}
  %p = tile.decayed_products %g of (%x) to (%x) at [%i, %i, %i, %i, %i, %i] dim 0 valid %i via %s barrier 1 left [0] right 0 diagonal [true] source [0] to_end [true] : !tile.global<tensor<?x64xf32>, contiguous = true>, (!tile.global<tensor<?x64xbf16>>), (!tile.global<tensor<?x64xbf16>>), !tile.smem<9216xf32> -> tensor<64x64xf32, #tile.layout<acc>>
  return
}

// -----

func.func @decayed_products_c3(%g: !tile.global<tensor<?x64xf32>, contiguous = true>, %x: !tile.global<tensor<?x64xbf16>, contiguous = true>, %s: !tile.smem<9216xf32>, %i: index) {
  // expected-error @+1 {{(C3) expected left and diagonal for each product, source and to_end for each out, and numbers below the 1 rows}}
  %p = tile.decayed_products %g of (%x) to (%x) at [%i, %i, %i, %i, %i, %i] dim 0 valid %i via %s barrier 1 left [1] right 0 diagonal [true] source [0] to_end [true] : !tile.global<tensor<?x64xf32>, contiguous = true>, (!tile.global<tensor<?x64xbf16>, contiguous = true>), (!tile.global<tensor<?x64xbf16>, contiguous = true>), !tile.smem<9216xf32> -> tensor<64x64xf32, #tile.layout<acc>>
  return
}

// -----

func.func @decayed_products_c4(%g: !tile.global<tensor<?x64xf32>, contiguous = true>, %x: !tile.global<tensor<?x64xbf16>, contiguous = true>, %s: !tile.smem<9216xf32>, %i: index) {
  // expected-error @+1 {{(C4) expected one or two products 'tensor<64x64xf32, #tile.layout<acc>>'}}
  %p = tile.decayed_products %g of (%x) to (%x) at [%i, %i, %i, %i, %i, %i] dim 0 valid %i via %s barrier 1 left [0] right 0 diagonal [true] source [0] to_end [true] : !tile.global<tensor<?x64xf32>, contiguous = true>, (!tile.global<tensor<?x64xbf16>, contiguous = true>), (!tile.global<tensor<?x64xbf16>, contiguous = true>), !tile.smem<9216xf32> -> tensor<64x64xbf16, #tile.layout<acc>>
  return
}

// -----

func.func @decayed_products_c5(%g: !tile.global<tensor<?x64xf32>, contiguous = true>, %x: !tile.global<tensor<?x64xbf16>, contiguous = true>, %s: !tile.smem<64xf32>, %i: index) {
  // expected-error @+1 {{(C5) expected a scratch tile of 9216 f32, found '!tile.smem<64xf32>'}}
  %p = tile.decayed_products %g of (%x) to (%x) at [%i, %i, %i, %i, %i, %i] dim 0 valid %i via %s barrier 1 left [0] right 0 diagonal [true] source [0] to_end [true] : !tile.global<tensor<?x64xf32>, contiguous = true>, (!tile.global<tensor<?x64xbf16>, contiguous = true>), (!tile.global<tensor<?x64xbf16>, contiguous = true>), !tile.smem<64xf32> -> tensor<64x64xf32, #tile.layout<acc>>
  return
}
