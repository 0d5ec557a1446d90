// RUN: wyvern-opt %s -split-input-file | wyvern-opt -split-input-file | FileCheck %s
// RUN: wyvern-opt %s -split-input-file -tile-plan-smem -tile-attach-target | FileCheck %s --check-prefix=ATTACHED
// RUN: wyvern-opt %s -split-input-file -tile-attach-target=arch=sm_90a | FileCheck %s --check-prefix=SAID
// RUN: not wyvern-opt %s -split-input-file -tile-attach-target=arch=sm_80 2>&1 | FileCheck %s --check-prefix=UNKNOWN
//
// What a module is compiled for, and what follows from it.

// CHECK: module {
// ATTACHED: module attributes {tile.target = #tile.target<sm_90a>}
// SAID: module attributes {tile.target = #tile.target<sm_90a>}
// UNKNOWN: error: (C1) expected an architecture that there is code for (sm_90a), found sm_80
module {}

// -----

// Numbers of its own stay, unless the architecture is said.

// CHECK: module attributes {tile.target = #tile.target<sm_90a, barriers = 8, shared_bytes = 101376>}
// ATTACHED: module attributes {tile.target = #tile.target<sm_90a, barriers = 8, shared_bytes = 101376>}
// SAID: module attributes {tile.target = #tile.target<sm_90a>}
module attributes {tile.target = #tile.target<sm_90a, shared_bytes = 101376, barriers = 8>} {}

// -----

// Blocks share what the SM has: two of 40 KB fit here, three do not.

// ATTACHED: tile.kernel @blocks
// ATTACHED-SAME: min_blocks 2
module attributes {tile.target = #tile.target<sm_90a, shared_bytes = 101376>} {
  tile.kernel @blocks() grid 1 * slots warps 5 min_blocks 3 operands [] {
    %t = tile.alloc : !tile.smem<10240xf32>
  }
}
