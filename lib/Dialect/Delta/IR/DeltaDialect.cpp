//===- DeltaDialect.cpp - Registration of the delta dialect ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Delta/IR/Delta.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::wyvern::delta;

#include "wyvern/Dialect/Delta/IR/DeltaDialect.cpp.inc"
#include "wyvern/Dialect/Delta/IR/DeltaEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "wyvern/Dialect/Delta/IR/DeltaAttrs.cpp.inc"

#include "wyvern/Dialect/Delta/IR/DeltaInterfaces.cpp.inc"
#include "wyvern/Dialect/Delta/IR/DeltaRegionInterface.cpp.inc"

#define GET_OP_CLASSES
#include "wyvern/Dialect/Delta/IR/Delta.cpp.inc"

void DeltaDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "wyvern/Dialect/Delta/IR/DeltaAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "wyvern/Dialect/Delta/IR/Delta.cpp.inc"
      >();
}

Operation *DeltaDialect::materializeConstant(OpBuilder &builder,
                                             Attribute value, Type type,
                                             Location loc) {
  return arith::ConstantOp::materialize(builder, value, type, loc);
}
