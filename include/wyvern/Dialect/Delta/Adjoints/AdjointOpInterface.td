//===- AdjointOpInterface.td - One derivative rule an op ---*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_ADJOINTS_ADJOINTOPINTERFACE
#define WYVERN_DIALECT_DELTA_ADJOINTS_ADJOINTOPINTERFACE

include "mlir/IR/OpBase.td"

def AdjointOpInterface : OpInterface<"AdjointOpInterface"> {
  let cppNamespace = "::mlir::wyvern::delta";
  let description = [{
    The reverse-mode derivative of one operation: from the gradients of its
    results to what they add to the gradients of its operands.
  }];
  let methods = [
    InterfaceMethod<[{
      Adds to the gradients of the operands. Called once, when the gradients of
      all results are complete and at least one result has one. Fails with an
      error at the operation where it has no derivative.
    }], "::llvm::LogicalResult", "buildAdjoint",
    (ins "::mlir::wyvern::delta::Adjoint &":$adjoint)>,
    InterfaceMethod<[{
      A cheaper way to have `result` again than to repeat the operation, made of
      other forward values; null if there is none.
    }], "::mlir::Value", "rematerialize",
    (ins "::mlir::OpResult":$result, "::mlir::wyvern::delta::Adjoint &":$adjoint),
    "", "return {};">,
  ];
}

#endif // WYVERN_DIALECT_DELTA_ADJOINTS_ADJOINTOPINTERFACE
