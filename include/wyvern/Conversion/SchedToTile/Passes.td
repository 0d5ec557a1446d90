//===- Passes.td - convert-sched-to-tile -------------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_CONVERSION_SCHEDTOTILE_PASSES
#define WYVERN_CONVERSION_SCHEDTOTILE_PASSES

include "mlir/Pass/PassBase.td"

def ConvertSchedToTilePass
    : Pass<"convert-sched-to-tile", "::mlir::ModuleOp"> {
  let summary = "one tile.kernel a sched.kernel";
  let description = [{
    Translates every `sched.kernel` of a function into a `tile.kernel` and a
    `tile.launch` in its place, which keeps what the kernel's tensors are. It decides
    nothing: blocks, roles, channels and depths are the schedule's.

    * A channel becomes a ring, `sched.put` its `acquire` and `commit`, `sched.get`
      its `wait` and `release`. What `sched.load` brings into a channel comes by TMA;
      a vector by the loading warps.
    * Where a value lies follows from its dimensions (`KernelOrientation`): the
      dimension of the carries that no matmul contracts, 64 of it a warpgroup, is the
      M of every wgmma of a role that holds it, so values stay in registers from one
      matmul to the next and blocks never exchange anything. Other values of such a
      role must come out of a channel; they are the B operands, in shared memory. In
      other roles a value's 64-row dimension is M.

    Before:

    ```mlir
    %o, %sT = sched.kernel "f_scan" grid(heads = 16, split = 2, over = sequences) ... {
      %in = sched.channel depth 2 fill tma : ...
      sched.role "compute" warps 4 { ... sched.each_chunk ... {
        %Q, %K = sched.get %in : ...
        %KS = linalg.contract ... ins(%Kb, %Sb ...)
    ```

    After:

    ```mlir
    tile.kernel @f_scan(...) grid 32 * sequences warps 5 ... {
      tile.roles warps [4, 1] { scf.for ... {
        %tiles:2 = tile.wait %ring[%c] ...
        %d = tile.mma %sb, %tiles#1 transpose_b : ...
    ```
  }];
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

#endif // WYVERN_CONVERSION_SCHEDTOTILE_PASSES
