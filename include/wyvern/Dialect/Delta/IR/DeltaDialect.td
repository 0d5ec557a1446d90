//===- DeltaDialect.td - The delta dialect -----------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_IR_DELTADIALECT
#define WYVERN_DIALECT_DELTA_IR_DELTADIALECT

include "mlir/IR/OpBase.td"

def Delta_Dialect : Dialect {
  let name = "delta";
  let cppNamespace = "::mlir::wyvern::delta";
  let summary = "Delta-rule recurrences and their chunkwise WY form";
  let description = [{
    The dialect has two levels, and a program is at one of them:

    * the **sequence level** says *what* is computed. `delta.recurrence` takes
      whole tensors `[B, T, H, D]` and is defined token by token;
    * the **chunk level** says it once more with matrices. `delta.chunk_scan`
      and `delta.chunk_map` hold a region that computes one chunk of one head on
      static tensors. The region is written in a closed set of operations
      (`arith`, `math`, a few `linalg` ops and the chunk ops of this dialect).

    `delta-form-wy` goes from the first level to the second. Neither level knows
    about GPUs: where tiles live is the `tile` dialect's business.
  }];
  // What canonicalizations create.
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
  let hasConstantMaterializer = 1; // folders give arith constants
  let useDefaultAttributePrinterParser = 1;
}

#endif // WYVERN_DIALECT_DELTA_IR_DELTADIALECT
