//===- DeltaRegionInterface.td - An op in a chunk program --*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_IR_DELTAREGIONINTERFACE
#define WYVERN_DIALECT_DELTA_IR_DELTAREGIONINTERFACE

include "mlir/IR/OpBase.td"

// No method has a default: an operation that says nothing must not be taken for
// one that does nothing.
def Delta_ChunkRegionOpInterface : OpInterface<"ChunkRegionOpInterface"> {
  let cppNamespace = "::mlir::wyvern::delta";
  let description = [{
    What every pass must know of an operation that may stand in the region of a chunk
    program. The region's verifier refuses an operation without it (constraint 8 of
    chunk programs in docs/spec.md). The chunk ops of the delta dialect implement it
    themselves; upstream operations do so by external models
    (`registerChunkRegionModels`).
  }];
  let methods = [
    InterfaceMethod<[{
      The indices of the operation's formula. A dimension of a result that no index
      runs over holds one value many times (a constant, what a broadcast adds).
    }], "::llvm::SmallVector<::mlir::wyvern::delta::TileLoop>", "getLoops">,
    InterfaceMethod<[{
      True if the operation costs about as much as to read its result from memory:
      elementwise work, broadcasts, rows that are repeated or masked.
    }], "bool", "isCheap">,
    InterfaceMethod<[{
      The operands that the tensor cores multiply: `delta-assign-precision` rounds
      them to 16 bits.
    }], "::llvm::SmallVector<::mlir::OpOperand *>", "getRoundedOperands">,
    InterfaceMethod<[{
      Floating-point operations of one execution, if its work is that of matrix
      products, however it is lowered; 0 for other work. A multiplication and an
      addition count as two. Masks are not made use of, since tensor cores do not
      either.
    }], "int64_t", "getMatmulFlops">,
  ];
}

#endif // WYVERN_DIALECT_DELTA_IR_DELTAREGIONINTERFACE
