//===- Passes.td - Passes on the tile dialect --------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_TILE_TRANSFORMS_PASSES
#define WYVERN_DIALECT_TILE_TRANSFORMS_PASSES

include "mlir/Pass/PassBase.td"

def TileSchedulePass : Pass<"tile-schedule", "::mlir::wyvern::tile::KernelOp"> {
  let summary = "issue products early, await them late";
  let description = [{
    Moves every `tile.mma`, with the pure operations it needs, up to where its
    operands are ready, behind the products that are ready as early; ring
    hand-overs and barriers are not crossed. Then moves every `tile.await` down to
    its first use (never past a `tile.release`, since the stage's tiles may still be
    read, nor past the await of a younger product, which completes it anyway), and
    counts the products that may still be in flight there.

    Before (types left out):

    ```mlir
    %d = tile.mma %a, %k
    %x = tile.await %d
    %w = arith.subf %v, %x
    %e = tile.mma %a, %q
    %y = tile.await %e
    %o = arith.mulf %y, %s
    ```

    After:

    ```mlir
    %d = tile.mma %a, %k
    %e = tile.mma %a, %q
    %x = tile.await %d pending 1
    %w = arith.subf %v, %x
    %y = tile.await %e
    %o = arith.mulf %y, %s
    ```
  }];
  let statistics = [
    Statistic<"numHoisted", "hoisted-products", "products issued earlier">,
    Statistic<"numOverlapped", "overlapped-awaits",
              "awaits that leave a younger product in flight">
  ];
}

def TilePlanSmemPass
    : Pass<"tile-plan-smem", "::mlir::wyvern::tile::KernelOp"> {
  let summary = "place rings and tiles in the block's shared memory";
  let description = [{
    Gives every `tile.alloc_ring` and `tile.alloc` an offset, largest alignment
    first and all `transient` tiles the same one, and the kernel its `shared_bytes`.
    Fails where they exceed `limit`.

    Before:

    ```mlir
    %r = tile.alloc_ring producers 1 consumers 4 : !tile.ring<2, [...]>
    ```

    After:

    ```mlir
    %r = tile.alloc_ring producers 1 consumers 4 offset 0 : !tile.ring<2, [...]>
    ```
  }];
  let options = [
    Option<"limit", "limit", "int64_t", /*default=*/"232448",
           "bytes of shared memory a block may have (227 KB on sm_90)">
  ];
  let statistics = [
    Statistic<"sharedBytes", "shared-bytes", "bytes planned, over all kernels">
  ];
}

#endif // WYVERN_DIALECT_TILE_TRANSFORMS_PASSES
