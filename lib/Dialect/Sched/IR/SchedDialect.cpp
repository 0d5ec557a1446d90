//===- SchedDialect.cpp - Registration of the sched dialect -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "wyvern/Dialect/Sched/IR/Sched.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::wyvern::sched;

#include "wyvern/Dialect/Sched/IR/SchedDialect.cpp.inc"
#include "wyvern/Dialect/Sched/IR/SchedEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "wyvern/Dialect/Sched/IR/SchedAttrs.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "wyvern/Dialect/Sched/IR/SchedTypes.cpp.inc"

#define GET_OP_CLASSES
#include "wyvern/Dialect/Sched/IR/Sched.cpp.inc"

void SchedDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "wyvern/Dialect/Sched/IR/SchedAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "wyvern/Dialect/Sched/IR/SchedTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "wyvern/Dialect/Sched/IR/Sched.cpp.inc"
      >();
}
