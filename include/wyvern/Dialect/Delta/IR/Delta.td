//===- Delta.td - All of the delta dialect -----------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef WYVERN_DIALECT_DELTA_IR_DELTA
#define WYVERN_DIALECT_DELTA_IR_DELTA

include "wyvern/Dialect/Delta/IR/DeltaDecayOps.td"
include "wyvern/Dialect/Delta/IR/DeltaEraseOps.td"
include "wyvern/Dialect/Delta/IR/DeltaInterfaces.td"
include "wyvern/Dialect/Delta/IR/DeltaRegionInterface.td"
include "wyvern/Dialect/Delta/IR/DeltaSequenceOps.td"
include "wyvern/Dialect/Delta/IR/DeltaChunkOps.td"
include "wyvern/Dialect/Delta/IR/DeltaRowOps.td"

#endif // WYVERN_DIALECT_DELTA_IR_DELTA
