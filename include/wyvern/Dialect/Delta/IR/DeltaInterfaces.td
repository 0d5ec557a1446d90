//===- DeltaInterfaces.td - Interfaces of chunk programs ---*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_IR_DELTAINTERFACES
#define WYVERN_DIALECT_DELTA_IR_DELTAINTERFACES

include "mlir/IR/OpBase.td"

def Delta_ChunkProgramOpInterface : OpInterface<"ChunkProgramOpInterface"> {
  let cppNamespace = "::mlir::wyvern::delta";
  let description = [{
    What `delta.chunk_scan` and `delta.chunk_map` have in common, so that a pass
    can be written for both. A map is a program without carries.
  }];
  let methods = [
    InterfaceMethod<"The bound operands.", "::mlir::ValueRange",
                    "getIns">,
    InterfaceMethod<"The bound results.", "::mlir::ValueRange",
                    "getOuts">,
    InterfaceMethod<"The initial carries.", "::mlir::ValueRange",
                    "getInits">,
    InterfaceMethod<"The final carries.", "::mlir::ValueRange",
                    "getFinals">,
    InterfaceMethod<"The binding of an in.", "::mlir::wyvern::delta::BindingAttr",
                    "getInBinding", (ins "unsigned":$i)>,
    InterfaceMethod<"The binding of an out.", "::mlir::wyvern::delta::BindingAttr",
                    "getOutBinding", (ins "unsigned":$i)>,
    InterfaceMethod<"The binding of a carry.", "::mlir::wyvern::delta::BindingAttr",
                    "getCarryBinding", (ins "unsigned":$i)>,
    InterfaceMethod<"The region's only block.", "::mlir::Block &",
                    "getBlock">,
    InterfaceMethod<"The region's count of valid tokens.", "::mlir::BlockArgument",
                    "getValid">,
    InterfaceMethod<"The region's tile of an in.", "::mlir::BlockArgument",
                    "getInArg", (ins "unsigned":$i)>,
    InterfaceMethod<"The region's tile of a carry, as it enters the chunk.", "::mlir::BlockArgument",
                    "getCarryArg", (ins "unsigned":$i)>,
    InterfaceMethod<"The bounds of packed sequences, or null.", "::mlir::Value",
                    "getCuSeqlens">,
    InterfaceMethod<"Tokens a chunk.", "int64_t",
                    "getChunk">,
    InterfaceMethod<"Heads that the program runs over.", "int64_t",
                    "getHeads">,
    InterfaceMethod<"The type that the region computes in.", "::mlir::Type",
                    "getCompute">,
  ];
  let extraClassDeclaration = [{
    /// What the region yields.
    ::mlir::wyvern::delta::YieldOp getYield();
    /// The in whose tile `value` is in a program's region; null for every other
    /// value.
    static ::mlir::Value getInOfTile(::mlir::Value value);
    /// Floating-point operations of the region's matrix products, for a chunk
    /// and head.
    int64_t countMatmulFlops();
  }];
}

#endif // WYVERN_DIALECT_DELTA_IR_DELTAINTERFACES
