//===- Passes.td - convert-delta-to-tile -------------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_CONVERSION_DELTATOTILE_PASSES
#define WYVERN_CONVERSION_DELTATOTILE_PASSES

include "mlir/Pass/PassBase.td"

def ConvertDeltaToTilePass
    : Pass<"convert-delta-to-tile", "::mlir::ModuleOp"> {
  let summary = "one tile.kernel a chunk program";
  let description = [{
    Every `delta.chunk_scan` and `delta.chunk_map` of a function becomes a
    `tile.kernel` of two roles joined by one ring: a producer warp that brings the
    tiles of chunk after chunk, and a warpgroup that computes.

    What goes where follows from the dimensions of the region's values and from
    nothing else (`TileOrientation`): the one dimension of a scan's carries that no
    matmul contracts becomes the M of every wgmma, 64 of it a block, so values stay
    in registers from one matmul to the next and blocks never exchange anything.
    Values without that dimension must be plain ins; they are the B operands, in
    shared memory. A map's values have their 64-row dimension as M.

    The function stays, as the program's interface: it says which tensors the
    kernels' operands are.

    Before:

    ```mlir
    %o, %sT = delta.chunk_scan forward chunk = 64 ... {
      %KS = linalg.contract ... ins(%Kb, %Sb ...)
    ```

    After:

    ```mlir
    tile.kernel @f_chain(...) grid 32 * sequences warps 5 ... {
      tile.roles warps [4, 1] { scf.for ... {
        %tiles:3 = tile.wait %ring[%c] ...
        %d = tile.mma %sb, %tiles#1 transpose_b : ...
    ```
  }];
  let options = [
    Option<"stages", "stages", "int64_t", /*default=*/"2",
           "chunks in flight between producer and consumer of a scan">
  ];
  let statistics = [
    Statistic<"numKernels", "kernels", "kernels made">,
    Statistic<"numProducts", "products", "tensor-core products, a chunk">,
    Statistic<"numStaged", "staged-values",
              "values written to shared memory for products, a chunk">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
    "::mlir::scf::SCFDialect", "::mlir::wyvern::tile::TileDialect"
  ];
}

#endif // WYVERN_CONVERSION_DELTATOTILE_PASSES
