// RUN: wyvern-opt %s -verify-diagnostics -split-input-file
//
// Constraints whose limits are those of the module's target.

module attributes {tile.target = #tile.target<sm_90a, block_warps = 16>} {
  // expected-error @+1 {{(C3) expected 1 to 16 warps, found 17}}
  tile.kernel @warps() grid 1 * slots warps 17 min_blocks 1 operands [] {
  }
}

// -----

module attributes {tile.target = #tile.target<sm_90a, sm_blocks = 2>} {
  // expected-error @+1 {{(C5) expected 1 to 2 blocks on an SM, found 3}}
  tile.kernel @blocks() grid 1 * slots warps 4 min_blocks 3 operands [] {
  }
}

// -----

module attributes {tile.target = #tile.target<sm_90a, box_size = 128>} {
  // expected-error @+1 {{(C7) expected boxes of 1 to 128 elements in each of a tensor's up to 5 dimensions, found '!tile.tensor_map<tensor<?x64xbf16>, box = [256, 64]>'}}
  tile.kernel @box(%map: !tile.tensor_map<tensor<?x64xbf16>, box = [256, 64]>) grid 1 * slots warps 4 min_blocks 1 operands ["x"] {
  }
}

// -----

module attributes {tile.target = #tile.target<sm_90a, most_registers = 128, register_granule = 16>} {
  tile.kernel @budget() grid 1 * slots warps 8 min_blocks 1 operands [] {
    // expected-error @+1 {{(C4) expected a budget of 0, or a multiple of 16 from 24 to 128, found 160}}
    tile.roles warps [4, 4] registers [160, 24] {
      tile.barrier id 0
    }, {
      tile.barrier id 0
    }
  }
}

// -----

module attributes {tile.target = #tile.target<sm_90a, sm_registers = 32768>} {
  tile.kernel @registers() grid 1 * slots warps 8 min_blocks 1 operands [] {
    // expected-error @+1 {{(C6) expected budgets of at most the block's 32768 registers (128 a thread), found 36864}}
    tile.roles warps [4, 4] registers [240, 48] {
      tile.barrier id 0
    }, {
      tile.barrier id 0
    }
  }
}

// -----

// A warpgroup's own barrier is the one after its number.

module attributes {tile.target = #tile.target<sm_90a, barriers = 2>} {
  tile.kernel @barriers() grid 1 * slots warps 8 min_blocks 1 operands [] {
    tile.roles warps [4, 4] {
      tile.barrier id 0
    }, {
      // expected-error @+1 {{(C9) expected a hardware barrier from 1 to 1, or 0 for the warpgroup's own, found 0}}
      tile.barrier id 0
    }
  }
}

// -----

module attributes {tile.target = #tile.target<sm_90a, mma_depth = 32, most_mma_columns = 64>} {
  func.func @product(%a: !tile.smem<64x64xbf16>, %b: !tile.smem<64x128xbf16>) {
    // expected-error @+1 {{(C3) expected m = 64, k a multiple of 32 and n a multiple of 8 up to 64 (what the tensor cores take), found m = 64, k = 64, n = 128}}
    %d = tile.mma %a, %b : !tile.smem<64x64xbf16>, !tile.smem<64x128xbf16> -> !tile.inflight<tensor<64x128xf32, #tile.layout<acc>>>
    return
  }
}
