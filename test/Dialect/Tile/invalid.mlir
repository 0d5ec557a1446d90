// RUN: wyvern-opt %s -verify-diagnostics -split-input-file

// One test a constraint, named after it.

// expected-error @+1 {{(C1) expected a grid of sequences or slots, found heads}}
tile.kernel @kernel_c1(%T: index) grid 1 * heads warps 4 min_blocks 1 operands ["tokens"] {
}

// -----

// expected-error @+1 {{(C2) expected one operand name an argument, found 2 for 1}}
tile.kernel @kernel_c2(%T: index) grid 1 * slots warps 4 min_blocks 1 operands ["tokens", "sequences"] {
}

// -----

// expected-error @+1 {{(C3) expected 1 to 32 warps, found 33}}
tile.kernel @kernel_c3(%T: index) grid 1 * slots warps 33 min_blocks 1 operands ["tokens"] {
}

// -----

tile.kernel @roles_c1(%T: index) grid 1 * slots warps 5 min_blocks 1 operands ["tokens"] {
  // expected-error @+1 {{(C1) expected one number of warps a role, found 2 for 1}}
  tile.roles warps [4, 1] {
    tile.sync
  }
}

// -----

tile.kernel @roles_c2(%T: index) grid 1 * slots warps 8 min_blocks 1 operands ["tokens"] {
  // expected-error @+1 {{(C2) expected one register budget a role, found 1 for 2}}
  tile.roles warps [4, 4] registers [232] {
    tile.sync
  }, {
    tile.sync
  }
}

// -----

tile.kernel @roles_c3(%T: index) grid 1 * slots warps 5 min_blocks 1 operands ["tokens"] {
  // expected-error @+1 {{(C3) setmaxnreg is per warpgroup: expected roles of 4, 8 ... warps, found 1}}
  tile.roles warps [4, 1] registers [232, 40] {
    tile.sync
  }, {
    tile.sync
  }
}

// -----

tile.kernel @roles_c4(%T: index) grid 1 * slots warps 4 min_blocks 1 operands ["tokens"] {
  // expected-error @+1 {{(C4) expected a budget of 0, or a multiple of 8 from 24 to 240, found 250}}
  tile.roles warps [4] registers [250] {
    tile.sync
  }
}

// -----

func.func @stage_c1(%r: !tile.ring<2, [!tile.smem<64x64xbf16>]>, %i: index) {
  // expected-error @+1 {{(C1) expected the tiles of '!tile.ring<2, [!tile.smem<64x64xbf16>]>', found '!tile.smem<64x128xbf16>'}}
  %t = tile.wait %r[%i] : !tile.ring<2, [!tile.smem<64x64xbf16>]> -> !tile.smem<64x128xbf16>
  return
}

// -----

func.func @read_c1(%t: !tile.smem<64x128xbf16>) {
  // expected-error @+1 {{(C1) expected the shape and element type of '!tile.smem<64x128xbf16>', transposed, found 'tensor<64x128xbf16, #tile.layout<acc>>'}}
  %x = tile.read transpose %t : !tile.smem<64x128xbf16> -> tensor<64x128xbf16, #tile.layout<acc>>
  return
}

// -----

func.func @read_c2(%t: !tile.smem<64xf32>) {
  // expected-error @+1 {{(C2) expected the acc layout for a matrix and row, col or warp for a vector, found 'tensor<64xf32>'}}
  %x = tile.read %t : !tile.smem<64xf32> -> tensor<64xf32>
  return
}

// -----

func.func @mma_c1(%a: !tile.smem<64xf32>, %b: !tile.smem<64x64xbf16>) {
  // expected-error @+1 {{(C1) expected matrices}}
  %d = tile.mma %a, %b : !tile.smem<64xf32>, !tile.smem<64x64xbf16> -> !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
  return
}

// -----

func.func @mma_c2(%a: tensor<64x128xbf16, #tile.layout<acc>>, %b: !tile.smem<64x128xbf16>) {
  // expected-error @+1 {{(C2) expected [m, k] x [k, n] -> [m, n], found [64, 128] x [64, 128] -> 'tensor<64x64xf32, #tile.layout<acc>>'}}
  %d = tile.mma %a, %b : tensor<64x128xbf16, #tile.layout<acc>>, !tile.smem<64x128xbf16> -> !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
  return
}

// -----

func.func @mma_c3(%a: !tile.smem<128x64xbf16>, %b: !tile.smem<64x64xbf16>) {
  // expected-error @+1 {{(C3) wgmma needs m = 64, k a multiple of 16 and n a multiple of 8 up to 256, found m = 128, k = 64, n = 64}}
  %d = tile.mma %a, %b : !tile.smem<128x64xbf16>, !tile.smem<64x64xbf16> -> !tile.inflight<tensor<128x64xf32, #tile.layout<acc>>>
  return
}

// -----

func.func @mma_c4(%a: tensor<64x64xbf16, #tile.layout<acc>>, %b: !tile.smem<64x64xbf16>) {
  // expected-error @+1 {{(C4) wgmma cannot transpose A in registers}}
  %d = tile.mma %a transpose_a, %b : tensor<64x64xbf16, #tile.layout<acc>>, !tile.smem<64x64xbf16> -> !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
  return
}

// -----

func.func @mma_c5(%a: tensor<64x64xbf16>, %b: !tile.smem<64x64xbf16>) {
  // expected-error @+1 {{(C5) expected the acc layout, found 'tensor<64x64xbf16>'}}
  %d = tile.mma %a, %b : tensor<64x64xbf16>, !tile.smem<64x64xbf16> -> !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
  return
}

// -----

func.func @mma_c6(%a: !tile.smem<64x64xbf16>, %b: !tile.smem<64x64xbf16>, %c: tensor<64x64xf32, #tile.layout<row>>) {
  // expected-error @+1 {{(C6) expected C of type 'tensor<64x64xf32, #tile.layout<acc>>', found 'tensor<64x64xf32, #tile.layout<row>>'}}
  %d = tile.mma %a, %b into %c : !tile.smem<64x64xbf16>, !tile.smem<64x64xbf16>, tensor<64x64xf32, #tile.layout<row>> -> !tile.inflight<tensor<64x64xf32, #tile.layout<acc>>>
  return
}

// -----

func.func @broadcast_c1(%x: f64) {
  // expected-error @+1 {{(C1) expected a scalar of type 'f32', found 'f64'}}
  %y = tile.broadcast %x : f64 -> tensor<64x64xf32, #tile.layout<acc>>
  return
}

// -----

func.func @broadcast_c2(%x: tensor<64xf32, #tile.layout<warp>>) {
  // expected-error @+1 {{(C2) expected a row or col vector as long as that dimension of an acc tile}}
  %y = tile.broadcast %x : tensor<64xf32, #tile.layout<warp>> -> tensor<64x64xf32, #tile.layout<acc>>
  return
}

// -----

func.func @relayout_c1(%x: tensor<64xf32, #tile.layout<col>>) {
  // expected-error @+1 {{(C1) expected a warp-held vector, and row, col or warp of it}}
  %y = tile.relayout %x repeat 1 : tensor<64xf32, #tile.layout<col>> -> tensor<64xf32, #tile.layout<row>>
  return
}

// -----

func.func @relayout_c2(%x: tensor<32xf32, #tile.layout<warp>>) {
  // expected-error @+1 {{(C2) expected 2 result elements for each of the source's}}
  %y = tile.relayout %x repeat 2 : tensor<32xf32, #tile.layout<warp>> -> tensor<32xf32, #tile.layout<col>>
  return
}

// -----

func.func @erase_factor_c1(%l: tensor<64x64xbf16, #tile.layout<acc>>, %c: tensor<64xf32, #tile.layout<warp>>, %s: !tile.smem<65x64xf32>) {
  // expected-error @+1 {{(C1) expected L of 64 x 64 f32 in the acc layout, found 'tensor<64x64xbf16, #tile.layout<acc>>'}}
  %z = tile.erase_factor %l, %c via %s barrier 1 : tensor<64x64xbf16, #tile.layout<acc>>, tensor<64xf32, #tile.layout<warp>>, !tile.smem<65x64xf32>
  return
}

// -----

func.func @erase_factor_c2(%l: tensor<64x64xf32, #tile.layout<acc>>, %c: tensor<64xf32, #tile.layout<col>>, %s: !tile.smem<65x64xf32>) {
  // expected-error @+1 {{(C2) expected 64 rates held by every warp, found 'tensor<64xf32, #tile.layout<col>>'}}
  %z = tile.erase_factor %l, %c via %s barrier 1 : tensor<64x64xf32, #tile.layout<acc>>, tensor<64xf32, #tile.layout<col>>, !tile.smem<65x64xf32>
  return
}

// -----

func.func @erase_factor_c3(%l: tensor<64x64xf32, #tile.layout<acc>>, %c: tensor<64xf32, #tile.layout<warp>>, %s: !tile.smem<64x64xf32>) {
  // expected-error @+1 {{(C3) expected a scratch tile of 65 x 64 f32, found '!tile.smem<64x64xf32>'}}
  %z = tile.erase_factor %l, %c via %s barrier 1 : tensor<64x64xf32, #tile.layout<acc>>, tensor<64xf32, #tile.layout<warp>>, !tile.smem<64x64xf32>
  return
}

// -----

// Types.

// expected-error @+1 {{expected a matrix of bf16 or f16, or a vector or matrix of f32, found 1 dimensions of 'bf16'}}
func.func private @smem_element(!tile.smem<64xbf16>)

// -----

// expected-error @+1 {{expected rows a multiple of 8 and columns a multiple of 64 (the 128-byte swizzle), found 64 x 32}}
func.func private @smem_swizzle(!tile.smem<64x32xbf16>)

// -----

// Two layouts do not mix: there is no implicit conversion.

func.func @layouts(%x: tensor<64x64xf32, #tile.layout<acc>>) {
  // expected-error @+1 {{requires the same encoding for all operands and results}}
  %y = "arith.negf"(%x) : (tensor<64x64xf32, #tile.layout<acc>>) -> tensor<64x64xf32, #tile.layout<row>>
  return
}
