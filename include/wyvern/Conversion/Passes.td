//===- Passes.td - Conversions between levels --------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_CONVERSION_PASSES
#define WYVERN_CONVERSION_PASSES

include "mlir/Pass/PassBase.td"

def ConvertDeltaToSCF : Pass<"convert-delta-to-scf", "::mlir::func::FuncOp"> {
  let summary = "chunk programs to loops over tensors, for the CPU";
  let description = [{
    `delta.chunk_scan` and `delta.chunk_map` become loops over sequences, heads and
    chunks; carries are loop-carried tiles. An in is copied, with its cast to the
    compute type, into the valid rows of a zero tile; an out's valid rows are copied
    into the whole result, which starts as zeros. What lies past a sequence's end is
    so never read, let alone multiplied.

    The chunk ops become loops too:

    * `decay_dot`, `decay_apply`, `decay_mask`: a head decay multiplies by exp of segment sums; a
      channel decay is computed by halving, where both factors of a block are <= 1;
    * `erase_solve`, its adjoint and `erase_factor`: substitution;
    * `linalg.contract`: operands are extended to the result's type, then a
      `linalg.generic` whose innermost loop runs over contiguous elements.

    Works on any chunk program, rounded (16-bit operands) or not. `delta.recurrence`
    is an error: run delta-form-wy first.

    Before:

    ```mlir
    %o = delta.chunk_map chunk = 4 heads = 1 compute = f32
        ins(%X = %x[seq, time, head, _] : tensor<?x?x1x8xbf16>)
        outs([seq, time, head, _] : tensor<?x?x1x8xbf16>) valid(%n) {
      %Y = delta.cumsum %X : tensor<4x8xf32>
      delta.yield outs(%Y : tensor<4x8xf32>)
    }
    ```

    After (bounds, casts and the body shortened):

    ```mlir
    %o = scf.for %s = %c0 to %sequences step %c1 iter_args(%o0 = %zeros) {
      scf.for %h = %c0 to %heads step %c1 iter_args(%o1 = %o0) {
        scf.for %c = %c0 to %chunks step %c1 iter_args(%o2 = %o1) {
          %rows = tensor.extract_slice %x[%s, %t, %h, 0] [1, %n, 1, 8] [1, 1, 1, 1]
          %X = tensor.insert_slice %rows into %zero_tile[0, 0] [%n, 8] [1, 1]
          ...
          %o3 = tensor.insert_slice %valid_rows into %o2[%s, %t, %h, 0] ...
        }
      }
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::math::MathDialect",
                           "::mlir::scf::SCFDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [
    Statistic<"numScans", "scans", "chunk_scan ops converted">,
    Statistic<"numMaps", "maps", "chunk_map ops converted">
  ];
}

#endif // WYVERN_CONVERSION_PASSES
