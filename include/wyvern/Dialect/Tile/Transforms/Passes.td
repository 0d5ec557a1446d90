//===- Passes.td - Passes on the tile dialect --------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_TILE_TRANSFORMS_PASSES
#define WYVERN_DIALECT_TILE_TRANSFORMS_PASSES

include "mlir/Pass/PassBase.td"

def TileAttachTargetPass
    : Pass<"tile-attach-target", "::mlir::ModuleOp"> {
  let summary = "say which architecture a module is compiled for";
  let description = [{
    Gives the module the attribute `tile.target`, a `#tile.target` that all that
    depends on the architecture reads: verifiers, budgets, the plan of shared memory.
    One that the module has already stays, with the numbers that it changes, unless
    `arch` is said.

    Before:

    ```mlir
    module {}
    ```

    After:

    ```mlir
    module attributes {tile.target = #tile.target<sm_90a>} {}
    ```
  }];
  let options = [
    Option<"arch", "arch", "std::string", /*default=*/"\"\"",
           "the architecture, as in wyvernc --list-archs; empty: the module's own, "
           "or the first">
  ];
  let statistics = [
    Statistic<"numAttached", "attached", "modules that were told their target">
  ];
  let dependentDialects = ["::mlir::wyvern::tile::TileDialect"];
}

def TileStripColumnsPass
    : Pass<"tile-strip-columns", "::mlir::wyvern::tile::KernelOp"> {
  let summary = "compute wide rows some columns at a time";
  let description = [{
    A kernel without products computes element by element, up to sums along rows and to
    what leaves. Operation by operation on whole tiles, it holds some of them at a time.
    Where these take more than `registers` of a thread, each sum and each tile that leaves
    is made of strips of at most `columns` columns instead, from what lies in shared memory
    on: what several of them read is made, and read, again. A sum along rows adds strips
    up, element by element, first. Strips are a half of the columns, a quarter and so on;
    halves that a rotation takes are found in what they are halves of.

    Before (types left out):

    ```mlir
    %x = tile.read %t
    %e = math.exp %x
    %s = tile.reduce %e dim 1 via %scratch barrier 1
    %r = tile.relayout %s repeat 1
    %b = tile.broadcast %r
    %y = arith.divf %e, %b
    tile.store_rows %y to %out ...
    ```

    After:

    ```mlir
    %x0 = tile.read %t
    %h0 = tile.half_columns %x0
    %e0 = math.exp %h0
    %x1 = tile.read %t
    %h1 = tile.half_columns second %x1
    %e1 = math.exp %h1
    %a = arith.addf %e0, %e1
    %s = tile.reduce %a dim 1 via %scratch barrier 1
    %r = tile.relayout %s repeat 1
    %x2 = tile.read %t
    %h2 = tile.half_columns %x2
    %e2 = math.exp %h2
    %b2 = tile.broadcast %r
    %y0 = arith.divf %e2, %b2
    ... the same of the second half
    %y = tile.join_columns %y0, %y1
    tile.store_rows %y to %out ...
    ```
  }];
  let options = [
    Option<"registers", "registers", "int64_t", /*default=*/"320",
           "registers of a thread that tiles may hold, element by element; found by "
           "compiling layers with compute at all key dims">,
    Option<"columns", "columns", "int64_t", /*default=*/"64",
           "columns that a strip has at most">
  ];
  let statistics = [
    Statistic<"numStripped", "stripped-blocks", "blocks of which strips are made">,
    Statistic<"numStrips", "strips", "strips that are made">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def TileRematerializePass
    : Pass<"tile-rematerialize", "::mlir::wyvern::tile::KernelOp"> {
  let summary = "spread vectors over tiles where the tiles are used";
  let description = [{
    A tile that is made of vectors alone (the exponents of a decay, a mask, rates
    along the rows) is made again, from the vectors on, right in front of each
    operation that needs it: a few shuffles and additions instead of 32 registers
    held from one use to the next. Runs behind CSE, which merges such tiles. And the
    first slot of a block's chunks is found in the role that alone reads it.

    In a role of few registers, rates that `tile.erase_apply` solves with are read again
    for what stands behind its rows as they leave (`tile.store_rows`).

    Before (types left out):

    ```mlir
    %h = tile.relayout %a repeat 1
    %b = tile.broadcast %h
    %x = arith.mulf %b, %m
    ...
    %y = arith.mulf %b, %n
    ```

    After:

    ```mlir
    %h = tile.relayout %a repeat 1
    %b = tile.broadcast %h
    %x = arith.mulf %b, %m
    ...
    %h1 = tile.relayout %a repeat 1
    %b1 = tile.broadcast %h1
    %y = arith.mulf %b1, %n
    ```
  }];
  let statistics = [
    Statistic<"numMade", "operations", "operations made for one use">
  ];
}

def TileSchedulePass : Pass<"tile-schedule", "::mlir::wyvern::tile::KernelOp"> {
  let summary = "issue products early, await them late";
  let description = [{
    Moves every `tile.mma`, with the pure operations it needs, up to where its
    operands are ready, behind the products that are ready as early, but no further
    than the tiles that are live leave room for its accumulator in `registers`, or
    `registers-once` where there is no loop: what runs once has other blocks of the
    SM to run beside it. Ring hand-overs and barriers are not crossed. Then moves
    every `tile.await` down to its first use (never past a `tile.release`, since the
    stage's tiles may still be read, nor past the await of a younger product, which
    completes it anyway), and counts the products that may still be in flight there. One
    to which the next operation, a product too, adds counts as such: accumulators are
    added to in order, so nothing waits in between.
    In a role with a budget of registers, products are awaited where tiles would hold
    more than the budget leaves for them: a product's operand in registers is free when
    it is complete.
    Before a product there with what a rounding leaves out of a tile, the wait for its
    other operand comes in front of what makes that, in a kernel of `tile.few_registers`
    or `tile.few_addresses`.
    A vector of 64 registers and more is read where it is first combined with a tile, behind the
    awaits in front of that.
    A kernel with products whose tiles then hold more than `registers-shared` at some
    place gets an SM for itself (`min_blocks 1`): beside another block it would spill.

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
  let options = [
    Option<"registers", "registers", "int64_t", /*default=*/"0",
           "registers of a thread that tiles may hold in a loop (addresses need "
           "others); 0: the target's">,
    Option<"registersOnce", "registers-once", "int64_t", /*default=*/"0",
           "the same where there is no loop">,
    Option<"registersShared", "registers-shared", "int64_t", /*default=*/"0",
           "the same in a block that shares an SM">
  ];
  let statistics = [
    Statistic<"numHoisted", "hoisted-products", "products issued earlier">,
    Statistic<"numOverlapped", "overlapped-awaits",
              "awaits that leave a younger product in flight">,
    Statistic<"numSunk", "sunk-reads",
              "reads of wide vectors that come later">,
    Statistic<"numRelieved", "relieved-places",
              "places where products are awaited to free their operands">,
    Statistic<"numWaits", "earlier-waits",
              "waits in front of what a product's parts are made of">,
    Statistic<"numAlone", "kernels-alone", "kernels that get an SM for themselves">
  ];
}

def TileReleaseEarlyPass
    : Pass<"tile-release-early", "::mlir::wyvern::tile::KernelOp"> {
  let summary = "hand stages of rings back as soon as nothing reads them";
  let description = [{
    Moves each `tile.release` up to just behind the last operation of its block that
    reads the stage: a read, or the await of a product. The producer can then fill the
    stage while the consumer works on what it has read. What is marked to stand behind
    a release (`tile.behind_release`: the load that fills the stage) goes with it.

    Before:

    ```mlir
    %t = tile.wait %ring[%c]
    %d = tile.mma %a, %t
    %x = tile.await %d
    tile.store_rows %x to %out ...
    tile.release %ring[%c]
    ```

    After:

    ```mlir
    %t = tile.wait %ring[%c]
    %d = tile.mma %a, %t
    %x = tile.await %d
    tile.release %ring[%c]
    tile.store_rows %x to %out ...
    ```
  }];
  let statistics = [
    Statistic<"numEarlier", "earlier-releases", "stages handed back earlier">
  ];
}

def TileScaleSolvePass
    : Pass<"tile-scale-solve", "::mlir::wyvern::tile::KernelOp"> {
  let summary = "solve for rows that are multiplied by their rates already";
  let description = [{
    What `tile.erase_apply` solves for is often multiplied by the rates that it was
    solved with, diag(c) R, and those are also what its products multiply. So it solves
    for that instead, of diag(c) W with diag(c) Z, and multiplies nothing between one
    product and the next. Who makes Z multiplies its rows, which costs it less: C P is
    at hand where the system is solved by substitution.

    This needs a factor that goes through a ring, made of L and rates in shared memory,
    whose readers all solve so, with the rates that it was made with. Others stay as
    they are, with a remark.

    Before:

    ```mlir
    // in one role
    %b = tile.erase_strips %l, %c via %s to %z barrier 4 for_apply ...
    // in another
    %r = tile.erase_apply %w, %z, %v ...
    %d = tile.broadcast %v
    %u = arith.mulf %d, %r
    ```

    After:

    ```mlir
    %b = tile.erase_strips %l, %c via %s to %z barrier 4 for_apply scaled ...

    %d = tile.broadcast %v
    %x = arith.mulf %d, %w
    %u = tile.erase_apply %x, %z ...
    ```
  }];
  let statistics = [
    Statistic<"numScaled", "scaled-factors",
              "factors whose rows are multiplied by their rates">
  ];
}

def TileRotatePass : Pass<"tile-rotate", "::mlir::wyvern::tile::KernelOp"> {
  let summary = "begin a chunk while the one before it ends";
  let description = [{
    A loop that is marked `tile.overlap_rounds` is cut where no product is in flight,
    before the first product that adds to a carry, and turned: a round is then the
    second half of one chunk and the first half of the next. What of the second half
    no carry needs (the chunk's outs on their way to memory) comes behind the first
    product of the next chunk, and runs beside it. The first half of the first chunk
    is in front of the loop, the second half of the last one behind it.

    What the second half needs of the first goes from round to round; indices are
    computed again. Runs behind `tile-schedule` and `tile-release-early`, whose order
    it keeps within each part. A marked loop without such a cut stays as it is, with a
    remark.

    Before:

    ```mlir
    %r = scf.for %i = %c0 to %n step %c1 iter_args(%s = %s0) {
      %t = tile.wait %ring[%i]
      %b = arith.truncf %s
      %d = tile.mma %b, %t
      %x = tile.await %d
      %e = tile.mma %x, %t into %s
      %s1 = tile.await %e
      tile.release %ring[%i]
      tile.store_rows %x to %out ...
      scf.yield %s1
    } {tile.overlap_rounds}
    ```

    After (for `%n` > 0; without a round the inits are the results):

    ```mlir
    %t0 = tile.wait %ring[%c0]
    ...
    %x0 = tile.await %d0
    %r:3 = scf.for %i = %c0 to %last step %c1 iter_args(%s = %s0, %t = %t0, %x = %x0) {
      %e = tile.mma %x, %t into %s
      %s1 = tile.await %e
      tile.release %ring[%i]
      %j = arith.addi %i, %c1
      %t1 = tile.wait %ring[%j]
      %b = arith.truncf %s1
      %d = tile.mma %b, %t1
      tile.store_rows %x to %out ...
      %x1 = tile.await %d
      scf.yield %s1, %t1, %x1
    }
    %e = tile.mma %r#2, %r#1 into %r#0
    %s1 = tile.await %e
    tile.release %ring[%last]
    tile.store_rows %r#2 to %out ...
    ```
  }];
  let statistics = [
    Statistic<"numRotated", "rotated-loops", "loops whose rounds overlap">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::scf::SCFDialect"];
}

def TilePlanSmemPass
    : Pass<"tile-plan-smem", "::mlir::wyvern::tile::KernelOp"> {
  let summary = "place rings and tiles in the block's shared memory";
  let description = [{
    Gives every `tile.alloc_ring` and `tile.alloc` an offset, and the kernel its
    `shared_bytes`. Rings hold something all the time; a tile from its `tile.write` to
    the await of the last product that reads it; a `transient` tile during each
    operation that uses it. What never holds something at the same time may share a
    place, also with a ring of one stage that its role has acquired and not written: the largest alignment and size come first, each at the lowest place that is
    free. The barriers of a ring lie behind its tiles; apart from them, where not all
    fits otherwise. Bounds `min_blocks` by what the SM has room for. Fails where a block needs
    more than `limit`, or than the module's `#tile.target` says.

    Before:

    ```mlir
    %r = tile.alloc_ring producers 1 consumers 4 : !tile.ring<2, [...]>
    %a = tile.alloc : !tile.smem<64x64xbf16>
    %b = tile.alloc : !tile.smem<64x64xbf16>
    ```

    After, where %b is written when the products with %a are complete:

    ```mlir
    %r = tile.alloc_ring producers 1 consumers 4 offset 0 : !tile.ring<2, [...]>
    %a = tile.alloc offset 33792 : !tile.smem<64x64xbf16>
    %b = tile.alloc offset 33792 : !tile.smem<64x64xbf16>
    ```
  }];
  let options = [
    Option<"limit", "limit", "int64_t", /*default=*/"0",
           "bytes of shared memory a block may have; 0: the target's">
  ];
  let statistics = [
    Statistic<"sharedBytes", "shared-bytes", "bytes planned, over all kernels">,
    Statistic<"numBounded", "bounded-kernels",
              "kernels whose blocks an SM the shared memory bounds">
  ];
}

#endif // WYVERN_DIALECT_TILE_TRANSFORMS_PASSES
